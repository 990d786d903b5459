"""The torture: that it finds nothing, with several seeds, and that it would find something."""

import itertools
import json
import random

import pytest

import processes
import rcu
from rcu.torture._field import Field
from rcu.torture._readers import Reader, enter_awaited
from rcu.torture._updaters import WAYS, Updater
from rcu.torture.modes import MODES
from rcu.torture.run import PATTERN, Hang, Options, run, schedule
from rcu.torture.scene import Scene, Setting
from threads import beside, eventually, together


def torture(*arguments, **environment):
    return processes.run(
        *processes.PYTHON, "-W", "ignore::DeprecationWarning", "-m", "rcu", "torture", *arguments, **environment
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("number", range(2))
def test_it_finds_nothing(mode, number):
    """With a seed of its own each time; the output has it, to replay what it found."""
    seed = str(random.SystemRandom().randrange(2**32) + number)
    done = torture(mode, "--seconds", "1", "--readers", "3", "--updaters", str(len(WAYS)), "--seed", seed, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["good"]
    assert found["seed"] == int(seed)
    assert found["sections"] > 1000
    assert found["periods"] > 10
    assert sum(found["ages"]) > 1000
    assert sum(found["ages"][2:]) == 0
    expected = MODES[mode].expected(Setting(0, 3, len(WAYS)))
    assert len(expected) > 3
    assert all(found["modes"][mode][name] for name in expected)


def test_objects_freed_without_a_grace_period_are_noticed(domain):
    field = Field(domain)
    reader, updater = Reader(field, 1), Updater(field, 2, "wait", grace=False)

    def watch():
        eventually(lambda: field.violations)
        field.stop()

    together(reader.run, updater.run, watch)
    assert "a section met the object" in field.first


FREED_AT_ONCE = """
import threading, rcu
from rcu.torture._field import Field
from rcu.torture._lists import ListReader, Lists, ListUpdater
lists = Lists(Field(rcu.Domain()))
updater = threading.Thread(target=ListUpdater(lists, 1, grace=False).run, daemon=True)
updater.start()
try:
    ListReader(lists, 2).run()
finally:
    lists.field.stop()
    updater.join()
"""


def test_list_entries_freed_without_a_grace_period_are_noticed(script):
    """By what was found, or by a crash: a link that was freed leads anywhere."""
    done = script(FREED_AT_ONCE, check=False)
    assert done.returncode != 0
    assert done.returncode < 0 or "AssertionError: a traversal met" in done.stderr


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_wait(domain, way):
    field = Field(domain)
    reader, updater = Reader(field, 1), Updater(field, 2, way)

    def watch():
        eventually(lambda: reader.progress > 100 and updater.progress > 100)
        field.stop()

    together(reader.run, updater.run, watch)
    assert field.violations == 0
    counts = updater.counts()
    assert counts["freed"] == counts["updates"] >= 100
    assert field.counts()["periods"] > 0
    assert field.attached() == (0, 0)


def test_unknown_ways_are_refused(domain):
    with pytest.raises(ValueError, match="'hope'"):
        Updater(Field(domain), 1, "hope")


def test_readers_stop_at_their_limit(domain):
    field = Field(domain)
    reader, updater = Reader(field, 3, limit=500, die=True), Updater(field, 4, "wait")
    with beside(updater.run):
        together(reader.run)
        field.stop()
    counts = reader.counts()
    assert counts["sections"] == 500 == sum(reader.histogram())
    assert counts["nested"]
    assert field.counts()["abandoned"] == 1


def test_a_section_that_begins_later_is_not_waited_for(domain):
    """A period has begun, and nobody has looked at its readers yet: who leaves the quiesced state now is new."""
    field = Field(domain)
    domain.read_lock()
    domain.read_unlock()
    domain.quiesce()
    cookies = []

    def update():
        domain.read_lock()
        cookies.append(domain.start_poll())
        assert not field.nudge(cookies[0])  # begins the period, which waits for this thread
        domain.read_unlock()
        domain.unregister_thread()

    together(update)
    domain.read_lock()
    assert field.nudge(cookies[0])
    domain.read_unlock()


def test_a_section_that_joins_a_newer_period_has_begun(domain):
    assert enter_awaited(Field(domain)) == (True, True, True)
    domain.synchronize()


def options(*modes, seconds=0.1, patience=30.0):
    return Options(seconds, 2, 2, 7, list(modes), patience)


class Stuck:
    """A mode whose worker gets no further until it is told to stop."""

    TITLE = "stuck"

    @staticmethod
    def expected(_):
        return {"sections"}

    @staticmethod
    def build(_):
        scene = Scene()
        scene.add_worker("the stuck one", scene.stopped.wait, lambda: 0)
        scene.counted.append(lambda: {"sections": 0})
        return scene


class Idle(Stuck):
    """A mode whose worker gets on, and never has a section."""

    @staticmethod
    def build(_):
        scene = Scene()
        scene.add_worker("the idle one", scene.stopped.wait, itertools.count().__next__)
        return scene


class Raising(Stuck):
    @staticmethod
    def build(_):
        scene = Scene()
        scene.add_worker("the raising one", lambda: 1 / 0, lambda: 0)
        return scene


class Leaving(Stuck):
    """A mode that leaves a thread attached."""

    @staticmethod
    def build(_):
        scene = Scene()
        field = scene.add_field(Field(rcu.Domain("left")))
        field.domain.register_thread()
        return scene


def test_a_worker_that_gets_no_further_is_a_hang(monkeypatch):
    monkeypatch.setitem(MODES, "stuck", Stuck)
    with pytest.raises(Hang, match="the stuck one has got no further than 0"):
        run(options("stuck", seconds=60.0, patience=0.01), print)


def test_what_never_happened_is_no_success(monkeypatch):
    monkeypatch.setitem(MODES, "idle", Idle)
    result = run(options("idle"), print)
    assert not result.good
    assert result.missing == {"idle": ["sections"]}


def test_what_a_worker_raises_is_a_violation(monkeypatch):
    monkeypatch.setitem(MODES, "raising", Raising)
    result = run(options("raising"), print)
    assert not result.good
    assert "ZeroDivisionError" in result.violations[0]


def test_threads_left_attached_are_a_violation(monkeypatch):
    monkeypatch.setitem(MODES, "leaving", Leaving)
    result = run(options("leaving"), print)
    assert "1 thread(s) still attached" in result.violations[0]


def test_the_seed_decides_the_draws(domain):
    def draws(seed):
        field = Field(domain)
        reader, updater = Reader(field, seed, limit=5000), Updater(field, seed, "wait")
        together(lambda: reader.run() and field.stop(), updater.run)
        return {name: reader.counts()[name] for name in ("sections", "nested", "quiesced", "rested")}

    assert draws(5) == draws(5)
    assert draws(5) != draws(6)


def test_modes_take_turns():
    assert set(PATTERN) == set(MODES)
    turns = schedule(options("native", "fork"))
    assert {next(turns) for _ in PATTERN} == {"native", "fork"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "'nonsense'"),
        (["--seconds", "0"], "0"),
        (["--readers", "0"], "0"),
        (["--readers", "two"], "'two'"),
        (["--updaters", "-1"], "-1"),
        (["--seed", "-1"], "-1"),
        (["--patience", "nan"], "nan"),
    ],
)
def test_arguments_that_make_no_sense(arguments, words):
    done = torture(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_people_read_a_verdict_and_a_seed():
    done = torture("native", "--seconds", "0.5", "--readers", "2", "--updaters", "2", "--seed", "11")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "--seed 11" in lines[0]
    assert lines[-1].startswith("all is well: ")
    assert " 0 violation(s)" in lines[-1]
