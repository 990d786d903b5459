"""The extension in C++, tests/consumer/registry/: names of types that readers look up while updaters set some."""

import json
import sys
import sysconfig

import pytest

from consumers import SOURCES, noticed
from rcu.bench.measure import processors
from threads import PATIENCE

# Python.h as a header of the system, whose warnings are its own.
STRICT = f"-isystem {sysconfig.get_path('include')} -Wall -Wextra -Werror -pedantic"

RIGHT = """
import gc, random, sys, weakref
import rcu, registry

it = registry.Registry()
assert len(it) == 0 and it.find(int) is None
it.register(int, "whole")
it.register(str, "text \\u2014 with a dash, and longer than what a std::string holds in itself")
assert it.find(str) == "text \\u2014 with a dash, and longer than what a std::string holds in itself"
it.register(int, "integer")
assert (it.find(int), it.find(bool), len(it)) == ("integer", None, 2)

for call, error in [
    (lambda: it.find(5), "find() takes a type, not 5"),
    (lambda: it.register("int", "integer"), "register() argument 1 must be type"),
    (lambda: it.register(int, 5), "register() argument 2 must be str"),
    (lambda: it.register(int, "a\\0b"), "null character"),
]:
    try:
        call()
    except (TypeError, ValueError) as raised:
        assert error in str(raised), raised
    else:
        raise AssertionError(error)
assert not rcu.read_lock_held()

# Against a dict, and no type is lost when the table grows.
types = [type(f"T{i}", (), {}) for i in range(500)]
expected = {int: "integer", str: it.find(str)}
random.seed(1)
for i in range(1000):
    one = random.choice(types)
    it.register(one, str(i))
    expected[one] = str(i)
assert {one: it.find(one) for one in [*types, int, str] if it.find(one)} == expected
assert len(it) == len(expected)
rcu.barrier()
assert registry.versions_alive() == 1
"""
LIVES = """
import gc, weakref
import rcu, registry

class Kept:
    pass

# A registry holds its types,
it = registry.Registry()
it.register(Kept, "kept")
it.register(Kept, "kept twice")
seen = weakref.ref(Kept)
del Kept
gc.collect()
assert it.find(seen()) == "kept twice"
# and gives them up with itself,
del it
gc.collect()
assert seen() is None

class Round:
    it = registry.Registry()

# in a cycle, too.
Round.it.register(Round, "round")
seen = weakref.ref(Round)
del Round
gc.collect()
assert seen() is None
rcu.barrier()
assert registry.versions_alive() == 0
assert registry.versions_made() == 2 + 2 + 1
"""


@pytest.fixture
def run(consumers):
    consumers.install("registry")
    return consumers.run


def test_each_type_has_its_name(run):
    run(RIGHT)


def test_types_live_as_long_as_the_registry(run):
    run(LIVES)


RACE = """
import gc, threading, time
import registry, rcu

READERS = 2
OVERTAKEN = 200  # pairs of look-ups of each reader between which an updater publishes

class First: pass
class Second: pass

it = registry.Registry()
others = [type(f"T{i}", (), {}) for i in range(100)]
for one in others:
    it.register(one, "other")
it.register(First, "0")
it.register(Second, "0")
overtaken = [0] * READERS
rounds = 0
errors = []
until = time.monotonic() + PATIENCE

def going():
    return min(overtaken) < OVERTAKEN and not errors and time.monotonic() < until

def read(me):
    last = 0
    while going():
        # Each round sets First, then Second.
        second = int(it.find(Second))
        first = int(it.find(First))
        again = int(it.find(Second))
        assert last <= second <= first, (last, second, first)
        assert first - 1 <= again, (first, again)
        assert it.find(others[first % 100]) == "other"
        overtaken[me] += first > second or again > second
        last = again

def update():
    global rounds
    while going():
        rounds += 1
        it.register(First, str(rounds))
        it.register(Second, str(rounds))

def collect():
    # Meanwhile, the collector goes through the table.
    while going():
        gc.collect()

def caught(function, *args):
    try:
        function(*args)
    except BaseException as error:
        errors.append(error)

threads = [threading.Thread(target=caught, args=(read, i)) for i in range(READERS)]
threads += [threading.Thread(target=caught, args=(function,)) for function in (update, collect)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if errors:
    raise errors[0]
assert min(overtaken) >= OVERTAKEN, f"no race: {overtaken}"
assert it.find(First) == it.find(Second) == str(rounds)
rcu.barrier()
assert registry.versions_alive() == 1, registry.versions_alive()
assert registry.versions_made() == 1 + 100 + 2 + 2 * rounds
# Without the GIL, references that other threads took may be given up by the collector alone.
del it
gc.collect()
assert registry.versions_alive() == 0
"""


def test_readers_see_each_update_whole_and_in_order(run):
    run(f"PATIENCE = {PATIENCE}\n" + RACE)


WRITERS = """
import threading
import rcu, registry

EACH = 300
it = registry.Registry()
before = registry.versions_made()
start = threading.Barrier(4)
types = [[type(f"T{i}-{j}", (), {}) for j in range(EACH)] for i in range(4)]

def register(me):
    start.wait()
    for one in types[me]:
        it.register(one, one.__name__)

threads = [threading.Thread(target=register, args=(i,)) for i in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(it) == 4 * EACH
assert all(it.find(one) == one.__name__ for each in types for one in each)
assert registry.versions_made() - before == 4 * EACH
rcu.barrier()
assert registry.versions_alive() == 1
"""


def test_no_update_is_lost(run):
    run(WRITERS)


SHARED_DOMAIN = """
import rcu, registry

# The consumer's versions wait for Python's sections, and Python's barrier() for them.
it = registry.Registry()
with rcu.default_domain:
    it.register(int, "integer")
    assert it.find(int) == "integer"
    assert registry.versions_alive() == 2
rcu.barrier()
assert registry.versions_alive() == 1
"""


def test_python_and_the_consumer_share_a_domain(run):
    run(SHARED_DOMAIN)


RIVALS = """
import threading
import rcu
from registry_rivals import WAYS, Rival, versions_alive

TURNS = 200_000
types = tuple(type(f"T{i}", (), {}) for i in range(50))
for way in WAYS:
    it = Rival(way, types)
    assert it.look_up(TURNS) == 0
    it.update()
    assert it.look_up(TURNS) == TURNS
    turns, updates = TURNS, 0
    while updates < 5 and way != "nothing":
        turns *= 2
        results = []
        readers = [threading.Thread(target=lambda: results.append(it.look_up(turns))) for _ in "12"]
        for reader in readers:
            reader.start()
        updates = 0
        while all(reader.is_alive() for reader in readers):
            it.update()
            updates += 1
        for reader in readers:
            reader.join()
        assert results == [turns] * 2, (way, results)
    rcu.barrier()
    assert versions_alive() == 1, way
    del it
try:
    Rival("hope", types)
except ValueError as error:
    assert "hope" in str(error)
else:
    raise AssertionError
"""


def test_the_rivals_do_the_same(run):
    run(RIVALS)


def planted(consumers, variant, *faults):
    """A build with faults: files, what is right there, and what is wrong."""

    def plant(project):
        for name, right, wrong in faults:
            text = (project / name).read_text()
            assert text.count(right) == 1, right
            (project / name).write_text(text.replace(right, wrong))

    return consumers.install("registry", variant=variant, edit=plant)


def test_versions_that_are_freed_at_once_are_noticed(consumers):
    call = "rcu_call(rcu_default_domain(), {}, version::reclaim)"
    folder = planted(
        consumers,
        "at-once",
        ("names.hpp", call.format("old"), "version::reclaim(old)"),
        ("registry_rivals.cpp", call.format("all.replace(next)"), "version::reclaim(all.replace(next))"),
    )
    done = consumers.run(SHARED_DOMAIN, folder, check=False)
    assert done.returncode != 0
    assert "versions_alive() == 2" in done.stderr
    if not sys._is_gil_enabled():
        # Readers in C notice it by what they read, for what is freed is overwritten.
        begin = f"import sys\nsys.path.insert(0, {str(folder)!r})\n"
        command = (consumers.python, "-I", "-c", begin + RIVALS)
        assert noticed(lambda: consumers.command(*command, MALLOC_PERTURB_="165"))


def test_a_section_that_is_not_left_is_noticed(consumers):
    fault = ("names.hpp", "        if (slot_ != nullptr)\n            rcu_exit(slot_);", "        ;")
    done = consumers.run(RIGHT, planted(consumers, "stays", fault), check=False)
    assert done.returncode != 0
    assert "read_lock_held" in done.stderr


@pytest.mark.parametrize("debug", ["", " -DRCU_DEBUG"], ids=["release", "debug"])
@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_it_compiles_without_warnings(consumers, compiler, debug):
    c = {"g++": "gcc", "clang++": "clang"}[compiler]
    variant = f"{c}{'-debug' * bool(debug)}"
    folder = consumers.install("registry", variant=variant, CC=c, CXX=compiler, CPPFLAGS=STRICT + debug)
    consumers.run(RIGHT + WRITERS.replace("import", "del it\nimport", 1), folder)


def test_the_gil_stays_off_where_it_is(run):
    said = run("import sys, registry, registry_rivals; print(sys._is_gil_enabled())", options=("-W", "error"))
    assert said.strip() == str(sys._is_gil_enabled())


@pytest.mark.parametrize("case", ["buckets", "registry"])
def test_it_is_measured_beside_its_rivals(consumers, case):
    consumers.install(case)
    measure = str(SOURCES / "measure.py")
    done = consumers.command(consumers.python, "-I", measure, "--quick", "--json", case)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = json.loads(done.stdout)["cases"][case]
    if sys._is_gil_enabled() or len(processors()) < 2:
        why = "GIL" if sys._is_gil_enabled() else "processor"
        assert all(why in line["not_measured"] for line in lines)
        return
    assert {line["what"] for line in lines} >= {
        "rcu: two threads / one",
        "rcu / PyMutex, on two threads",
        "rcu / lock, on two threads",
    }
    assert all(line["median"] > 0 for line in lines)
