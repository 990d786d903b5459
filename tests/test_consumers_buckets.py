"""The extension in Cython, tests/consumer/buckets/: bounds that readers bisect while updaters add some."""

import sys

import pytest

from consumers import noticed
from threads import PATIENCE

# Cython's own code has parameters that it does not use, and on some interpreters leaves out members that are NULL.
STRICT = "-Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers"

RIGHT = """
import array, bisect, random, sys
import buckets

random.seed(1)
for count in range(1, 70):
    bounds = random.choices(range(30), k=count)
    it = buckets.Buckets(bounds[0])
    for bound in bounds[1:]:
        it.add(bound)
    values = array.array("d", [i / 2 for i in range(-3, 64)] + [-1e308, 1e308, float("inf"), float("-inf")])
    expected = [bisect.bisect(sorted(bounds), value) for value in values]
    assert [it.index(value) for value in values] == expected
    found = array.array("l" if array.array("l").itemsize == 8 else "q", bytes(8 * len(values)))
    it.indexes(values, found)
    assert list(found) == expected
    it.indexes(memoryview(values)[::-1], found)
    assert list(found) == expected[::-1]
"""
WRONG = """
import array, buckets

it = buckets.Buckets(1.0)
for call, error in [
    (lambda: it.indexes(array.array("d", [1.0]), array.array("q", [])), "1 values, but room for 0"),
    (lambda: it.indexes(array.array("f", [1.0]), array.array("q", [0])), "dtype"),
    (lambda: it.indexes(array.array("d", [1.0]), b"12345678"), ""),
    (lambda: it.add("high"), "real number"),
    (lambda: buckets.Buckets(), "argument"),
]:
    try:
        call()
    except (TypeError, ValueError, BufferError) as raised:
        assert error in str(raised), raised
    else:
        raise AssertionError(error)
assert it.index(1) == 1  # works on
"""


@pytest.fixture
def run(consumers):
    consumers.install("buckets")
    return consumers.run


def test_each_value_gets_its_bucket(run):
    run(RIGHT)


def test_what_is_wrong_is_an_error_and_leaves_no_section_open(run):
    run(WRONG + "import rcu\nassert not rcu.read_lock_held()\nrcu.synchronize()\n")


RACE = """
import array, gc, threading, time
import buckets, rcu

VALUES = 200_000  # so that a call takes longer than it takes to free what it reads, were it freed too early
MOST = 2000
READERS = 2
OVERTAKEN = 20     # calls of each reader during which an updater publishes
UPDATERS = 2

it = buckets.Buckets(1.0)
values = array.array("d", [i + 0.5 for i in range(VALUES)])
overtaken = [0] * READERS
versions_seen = [0] * READERS
errors = []
until = time.monotonic() + PATIENCE

def going():
    return min(overtaken) < OVERTAKEN and not errors and time.monotonic() < until

def read(me):
    found = array.array("q", bytes(8 * VALUES))
    last = 0
    while going():
        before = buckets.versions_made()
        it.indexes(values, found)
        overtaken[me] += buckets.versions_made() != before
        # Of one version, whole: bounds 1 to n each once, so value i is in bucket i, or in the last one.
        n = found[-1]
        right = array.array("q", [*range(min(n, VALUES)), *([n] * (VALUES - n))])
        assert found == right, (n, found[:3], found[-3:])
        assert n >= last, "an older version than before"
        versions_seen[me] += n > last
        last = n
        assert it.index(VALUES) >= last

turns = threading.Lock()
added = 1

def update():
    # The lock makes the bounds ascend.
    global added
    while going():
        with turns:
            added += 1
            it.add(float(added) if added <= MOST else 1e9)
        # Nothing else bounds what waits for readers.
        if added % 64 == 0:
            rcu.synchronize()

def caught(function, *args):
    try:
        function(*args)
    except BaseException as error:
        errors.append(error)

threads = [threading.Thread(target=caught, args=(read, i)) for i in range(READERS)]
threads += [threading.Thread(target=caught, args=(update,)) for _ in range(UPDATERS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
if errors:
    raise errors[0]
assert min(overtaken) >= OVERTAKEN, f"no race: {overtaken}"
assert min(versions_seen) >= 2, f"no race: {versions_seen}"
assert it.index(1e9) == added
rcu.barrier()
assert buckets.versions_alive() == 1, buckets.versions_alive()
assert buckets.versions_made() == added
del it
gc.collect()
assert buckets.versions_alive() == 0
"""


def race(consumers, *folders):
    """With the C library's freed memory overwritten, so that nobody reads there what he expects."""
    begin = f"PATIENCE = {PATIENCE}\nimport sys\nsys.path[:0] = {[str(folder) for folder in folders]}\n"
    return consumers.command(consumers.python, "-I", "-c", begin + RACE, MALLOC_PERTURB_="165")


def test_readers_see_one_version_each_while_updaters_add(consumers):
    consumers.install("buckets")
    done = race(consumers)
    assert done.returncode == 0, done.stdout + done.stderr


WRITERS = """
import threading
import buckets, rcu

EACH = 1000
before = buckets.versions_made()
it = buckets.Buckets(0.0)
start = threading.Barrier(4)

def add(me):
    start.wait()
    for i in range(EACH):
        it.add(1.0 + me)

threads = [threading.Thread(target=add, args=(i,)) for i in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert [it.index(i + 0.5) for i in range(6)] == [1, 1 + EACH, 1 + 2 * EACH, 1 + 3 * EACH] + [1 + 4 * EACH] * 2
assert buckets.versions_made() - before == 1 + 4 * EACH
rcu.barrier()
assert buckets.versions_alive() == 1
"""


def test_no_update_is_lost(run):
    """... by the consumer's own lock."""
    run(WRITERS)


SHARED_DOMAIN = """
import buckets, rcu

# The consumer's versions wait for Python's sections, and Python's barrier() for them.
it = buckets.Buckets(1.0)
with rcu.default_domain:
    it.add(2.0)
    assert it.index(3) == 2
    assert buckets.versions_alive() == 2
rcu.barrier()
assert buckets.versions_alive() == 1
"""


def test_python_and_the_consumer_share_a_domain(run):
    run(SHARED_DOMAIN)


def planted(consumers, variant, *faults):
    """A build with faults: pairs of what is right and what is wrong."""

    def plant(project):
        (project / "buckets_rivals.pyx").unlink()
        text = (project / "buckets.pyx").read_text()
        for right, wrong in faults:
            assert text.count(right) == 1, right
            text = text.replace(right, wrong)
        (project / "buckets.pyx").write_text(text)

    return consumers.install("buckets", variant=variant, edit=plant)


def test_bounds_that_are_freed_at_once_are_noticed(consumers):
    fault = ("rcu_call(rcu_default_domain(), &old.head, free_old)", "free_old(&old.head)")
    done = consumers.run(SHARED_DOMAIN, planted(consumers, "at-once", fault), check=False)
    assert done.returncode != 0
    assert "versions_alive() == 2" in done.stderr


def test_a_section_that_ends_too_early_is_noticed(consumers):
    load = "            bounds = <const Bounds *>rcu_dereference(self.bounds)\n"
    end = "            rcu_exit(slot)\n"
    folder = planted(consumers, "early", (f"{end}\n    def add", "\n    def add"), (load, load + end))
    assert noticed(lambda: race(consumers, folder), unlike="no race")


RIVALS = """
import threading
from buckets_rivals import WAYS, Rival

TURNS = 200_000
sums = set()
for way in WAYS:
    it = Rival(way, 0.0)
    for bound in range(4, 256, 4):
        it.add(bound)
    sums.add(it.look_up(TURNS))
    if way == "nothing":
        continue
    # Each look-up finds the bounds of some moment, and more bounds count for half of the values.
    turns, updates = TURNS, 0
    while updates < 5:
        turns *= 2
        low = it.look_up(turns)
        results = []
        readers = [threading.Thread(target=lambda: results.append(it.look_up(turns))) for _ in "12"]
        for reader in readers:
            reader.start()
        updates = 0
        while all(reader.is_alive() for reader in readers):
            it.add(128.0)
            updates += 1
        for reader in readers:
            reader.join()
        high = it.look_up(turns)
        assert (low < high) == (updates > 0), (way, low, high, updates)
        assert all(low <= result <= high for result in results), (way, low, results, high)
assert len(sums) == 1, sums
try:
    Rival("hope", 0.0)
except ValueError:
    pass
else:
    raise AssertionError
"""


def test_the_rivals_do_the_same(run):
    run(RIVALS)


@pytest.mark.parametrize("debug", ["", " -DRCU_DEBUG"], ids=["release", "debug"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_it_compiles_without_warnings(consumers, compiler, debug):
    variant = f"{compiler}{'-debug' * bool(debug)}"
    folder = consumers.install("buckets", variant=variant, CC=compiler, CPPFLAGS=STRICT + debug)
    consumers.run(RIGHT + WRITERS, folder)


def test_the_gil_stays_off_where_it_is(run):
    said = run("import sys, buckets, buckets_rivals; print(sys._is_gil_enabled())", options=("-W", "error"))
    assert said.strip() == str(sys._is_gil_enabled())
