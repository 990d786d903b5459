"""What the benchmark compares cells with: that it is read and written, or that the package is named."""

import importlib.util
import itertools
import sys
import threading
import weakref
from collections import Counter

import pytest

from rcu.bench import rivals
from rcu.bench.laps import LAPS, _Lap, _together, alone, beside, flatness, over, turn
from rcu.bench.measure import Delays, Disturbed, NotMeasured, Readers, Scale, processors
from threads import eventually

QUICK = Scale(quick=True)
RIVALS = {
    rivals.plain_attribute: None,
    rivals.module_global: None,
    rivals.plain_dict: None,
    rivals.lock_and_attribute: None,
    rivals.rwlock_and_attribute: "readerwriterlock",
    rivals.atomic_ref: "cereggii",
    rivals.atomic_dict: "cereggii",
}


class Meter:
    """Counts how often its attribute is read."""

    reads = 0

    @property
    def value(self):
        self.reads += 1
        return self.reads


@pytest.mark.parametrize(("make", "package"), RIVALS.items(), ids=lambda it: getattr(it, "__name__", None))
def test_each_is_read_and_written(make, package):
    if package is not None and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed; pip install 'rcu[bench]'")
    rival = make(object())
    assert rival.name
    rival.read(3)
    new = Meter()
    written = weakref.ref(new)
    rival.write(new)
    del new
    assert written() is not None
    rival.read(3)
    rival.write(None)


@pytest.mark.parametrize(
    ("make", "package"), [pair for pair in RIVALS.items() if pair[1]], ids=lambda it: getattr(it, "__name__", None)
)
def test_a_missing_package_is_named(monkeypatch, make, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NotMeasured, match=rf"the package '{package}' is not installed; pip install 'rcu\[bench\]'"):
        make(object())


class TestLaps:
    def test_a_loop_has_bytecode_of_its_own(self):
        first, second = over(rivals.read_value, None), over(rivals.read_value, None)
        assert first.func.__code__ is not second.func.__code__
        assert first.func.__code__ == second.func.__code__

    def test_alone(self):
        meter = Meter()
        assert alone(over(rivals.read_value, meter), 7) > 0
        assert meter.reads == 7

    def test_one_thread_beside_another(self):
        ours, rival = Meter(), Meter()
        line = beside(QUICK, "it", ("a", over(rivals.read_value, ours)), ("b", over(rivals.read_value, rival)), 1)
        assert line.figures.keys() == {"a ns", "b ns"}
        assert ours.reads == rival.reads > 0

    @pytest.mark.parametrize("fair", [True, False])
    def test_turns_take_time(self, fair):
        assert turn(QUICK, over(rivals.read_value, rivals.Holder(1)), processors()[:1], 3, fair=fair) > 0

    def test_only_laps_in_which_all_ran_count(self):
        def laps(*ends, preempted=()):
            return [_Lap(begin, begin, end, end not in preempted) for begin, end in itertools.pairwise(ends)]

        ours = laps(0, 10, 20, 30, 40, 50)
        assert _together([ours]) == [[10] * 5]
        assert _together([ours, laps(10, 20, 50)]) == [[10] * 4, [10, 30]]
        assert _together([ours, laps(5, 15, 25, 45)]) == [[10] * 3, [10, 10, 20]]
        assert _together([ours, laps(0, 20, 40, 50, preempted=[40])]) == [[10] * 3, [20, 10]]
        assert _together([laps(0, 10, 20, preempted=[10]), laps(0, 10, 20)]) == [[10], [10]]
        assert _together([ours, laps(50, 60)]) == [[], []]

    @pytest.mark.parametrize(("delayed", "wrong"), [(0, 0), (10**12, 5)])
    def test_a_lap_that_waited_for_a_processor_is_left_out(self, monkeypatch, delayed, wrong):
        totals = itertools.chain([0] * (LAPS - 4), itertools.count(delayed, delayed))
        monkeypatch.setattr("rcu.bench.laps.Delays.total", lambda _: next(totals))
        monkeypatch.setattr("rcu.bench.laps.preemptions", lambda: 0)
        found = []
        monkeypatch.setattr("rcu.bench.laps._together", lambda runs: found.extend(runs[0]) or [[1]])
        turn(QUICK, lambda _: None, processors()[:1])
        assert [lap.kept for lap in found] == [True] * (LAPS - wrong) + [False] * wrong

    def test_delays_grow(self):
        with Delays() as delays:
            assert 0 <= delays.total() <= delays.total()

    def test_a_system_that_does_not_tell_delays(self, monkeypatch):
        def no_such_file(*_):
            raise FileNotFoundError

        monkeypatch.setattr("rcu.bench.measure.os.open", no_such_file)
        with Delays() as delays:
            assert delays.total() == 0

    def test_too_few_such_laps_are_a_disturbance(self, monkeypatch):
        monkeypatch.setattr("rcu.bench.laps._together", lambda _: [[10] * 4])
        with pytest.raises(Disturbed):
            turn(Scale(quick=False), lambda _: None, processors()[:1])
        assert turn(QUICK, lambda _: None, processors()[:1], 2) == pytest.approx(5e-9)

    @pytest.mark.parametrize("usable", [[], [0]])
    def test_two_threads_need_two_processors(self, monkeypatch, usable):
        monkeypatch.setattr("rcu.bench.laps.processors", lambda: usable)
        monkeypatch.setattr("rcu.bench.laps.require_threads_in_parallel", lambda: None)
        with pytest.raises(NotMeasured, match="takes two"):
            flatness(QUICK, "it", over(rivals.read_value, rivals.Holder(1)))


class TestReaders:
    def test_they_read_until_left(self):
        laps = Counter()

        def lap():
            laps[threading.get_ident()] += 1

        def three_laps():
            before = dict(laps)
            eventually(lambda: all(laps[ident] > before[ident] + 2 for ident in before))
            return before

        with Readers(lap, 2) as readers:
            before = readers.watch(three_laps)
            assert readers.fewest >= 2  # the last one of them may not be counted yet
        assert len(before) == 2
        assert threading.active_count() == 1

    def test_one_that_does_not_read_disturbs(self):
        with Readers(lambda: None, 1) as readers:
            pass
        with pytest.raises(Disturbed):
            readers.watch(lambda: None)
        assert readers.fewest is None
