"""Bounded garbage: what waits for the collector is counted, and collected beyond a limit."""

import gc
import inspect
import threading
import weakref

import pytest

import rcu
from payloads import DEFERS, Deaths, Thing
from threads import PATIENCE, Holder, eventually

needs_deferral = pytest.mark.skipif(not DEFERS, reason="this interpreter defers no counts: nothing is left to it")
MANY = 200
OFF = {"number": None, "nbytes": None, "age": None}


@pytest.fixture(autouse=True)
def collector(domain):
    """Off: what is collected is collected by the package. Returns which threads have begun to."""
    starts = []

    def note(phase, _):
        if phase == "start":
            starts.append(threading.get_ident())

    gc.collect()
    gc.disable()
    gc.callbacks.append(note)
    yield starts
    gc.callbacks.remove(note)
    rcu.set_garbage_limit(None)
    # Dropped cells retire what they have published.
    gc.collect()
    domain.barrier(PATIENCE)
    gc.collect()
    rcu.set_garbage_limit()
    gc.enable()


def retire(domain, count, make):
    cell = rcu.Cell(make(), domain=domain)
    for _ in range(count):
        cell.set(make())
        domain.barrier(PATIENCE)
    return cell


# ---- limits ---------------------------------------------------------------------------------------------------------


@needs_deferral
def test_by_number(domain, collector):
    rcu.set_garbage_limit(number=10, nbytes=None, age=None)
    deaths = Deaths()
    before = rcu.garbage_stats().collections
    cell = retire(domain, MANY, lambda: deaths.make(1))
    eventually(lambda: len(deaths.log) >= MANY - 10)
    assert len(deaths.log) <= MANY
    assert rcu.garbage_stats().number <= 10
    # Another domain's reclaimer may come when one is under way.
    assert rcu.garbage_stats().collections - before >= len(collector) >= 10
    assert len(collector) <= MANY / 10 + 2, "and no more often than need be"
    assert threading.get_ident() not in collector
    assert cell.value is not None


class Sized:
    """What says that it is large."""

    def __init__(self, size):
        self.size = size

    def __sizeof__(self):
        return self.size


@needs_deferral
@pytest.mark.parametrize("make", [lambda: [0] * 20_000, lambda: dict.fromkeys(range(5000)), lambda: {*range(5000)}])
def test_by_bytes(domain, collector, make):
    rcu.set_garbage_limit(number=None, nbytes=1_000_000, age=None)
    retire(domain, MANY, make)
    eventually(lambda: len(collector) >= 10)
    assert rcu.garbage_stats().nbytes <= 1_000_000 + make().__sizeof__()
    assert len(collector) <= MANY / 2


@needs_deferral
def test_by_age(domain, collector):
    """Nothing more need happen."""
    rcu.set_garbage_limit(number=None, nbytes=None, age=0.05)
    deaths = Deaths()
    cell = rcu.Cell(deaths.make("old"), domain=domain)
    cell.set(None)
    eventually(lambda: deaths.log == ["old"])
    assert threading.get_ident() not in collector
    assert len(collector) == 1
    cell.set(deaths.make("older"))
    cell.set(None)
    eventually(lambda: deaths.log == ["old", "older"])


@needs_deferral
def test_an_age_that_is_set_later(domain):
    rcu.set_garbage_limit(None)
    deaths = Deaths()
    cell = rcu.Cell(deaths.make("old"), domain=domain)
    cell.set(None)
    domain.barrier(PATIENCE)
    assert deaths.log == []
    rcu.set_garbage_limit(age=0.01)
    eventually(lambda: deaths.log == ["old"])


@needs_deferral
@pytest.mark.parametrize("off", [lambda: rcu.set_garbage_limit(None), lambda: rcu.set_garbage_limit(**OFF)])
def test_without_limits(domain, collector, off):
    off()
    deaths = Deaths()
    retire(domain, MANY, lambda: deaths.make(1))
    domain.barrier(PATIENCE)
    assert not collector
    assert not deaths.log
    stats = rcu.garbage_stats()
    assert stats.number == MANY
    assert stats.nbytes >= MANY * 16
    assert stats.oldest_age > 0


@needs_deferral
def test_each_limit_alone(domain, collector):
    """One that is off is off, whatever the others are."""
    for name, low in ("number", 1), ("nbytes", 1), ("age", 0.001):
        rcu.set_garbage_limit(**OFF | {name: low})
        before = len(collector)
        retire(domain, 3, Thing)
        eventually(lambda before=before: len(collector) > before)


@needs_deferral
def test_the_defaults(domain, collector):
    """What is omitted is set anew: to 100,000 payloads, 64 MiB, a minute."""
    rcu.set_garbage_limit(number=1, nbytes=1, age=0.001)
    rcu.set_garbage_limit()
    retire(domain, MANY, Thing)
    assert not collector
    gc.collect()  # or it may be that a reclaimer does, before the next limit but one is set
    collector.clear()
    rcu.set_garbage_limit(nbytes=1)
    rcu.set_garbage_limit(age=3600)
    retire(domain, MANY, lambda: Sized(1000))
    assert not collector
    cell = rcu.Cell(None, domain=domain)
    for _ in range(100_001):
        cell.set(Thing())
    domain.barrier(PATIENCE)
    eventually(lambda: collector)
    before = len(collector)
    retire(domain, 12, lambda: [0] * (1 << 20))  # 8 MiB each
    eventually(lambda: len(collector) > before)


def test_the_signature():
    parameters = inspect.signature(rcu.set_garbage_limit).parameters
    assert {"number", "nbytes", "age"} <= parameters.keys()
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in ("number", "nbytes", "age"))
    assert rcu.set_garbage_limit() is None
    assert rcu.set_garbage_limit(None) is None


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("number", -1, ValueError),
        ("number", 1.5, TypeError),
        ("number", "many", TypeError),
        ("nbytes", -5, ValueError),
        ("nbytes", 1e6, TypeError),
        ("nbytes", "1 MiB", TypeError),
        ("age", -0.5, ValueError),
        ("age", float("nan"), ValueError),
        ("age", "old", TypeError),
    ],
)
def test_limits_that_make_no_sense(domain, collector, name, value, error):
    rcu.set_garbage_limit(None)
    with pytest.raises(error, match=name) as caught:
        rcu.set_garbage_limit(**{"number": 1, "nbytes": 1, "age": 0.001} | {name: value})
    assert repr(value) in str(caught.value) or type(value).__name__ in str(caught.value)
    retire(domain, 3, Thing)
    assert not collector, "nothing was set"


def test_arguments_that_make_no_sense():
    for args, kwargs in ((5,), {}), (("number",), {}), ((), {"nonsense": 1}), ((1, 2, 3), {}):
        with pytest.raises(TypeError):
            rcu.set_garbage_limit(*args, **kwargs)


# ---- what is counted ------------------------------------------------------------------------------------------------


@needs_deferral
def test_statistics(domain):
    rcu.set_garbage_limit(None)
    first = rcu.garbage_stats()
    assert (first.number, first.nbytes, first.oldest_age) == (0, 0, 0.0)
    cell = rcu.Cell([0] * 1000, domain=domain)
    cell.set([0] * 2000)
    domain.barrier(PATIENCE)
    second = rcu.garbage_stats()
    assert second.number == 1
    assert 8000 <= second.nbytes <= 8500
    eventually(lambda: rcu.garbage_stats().oldest_age > second.oldest_age)
    cell.set(None)
    domain.barrier(PATIENCE)
    third = rcu.garbage_stats()
    assert third.number == 2
    assert 24_000 <= third.nbytes <= 25_000
    assert third.oldest_age >= second.oldest_age
    assert third.collections == first.collections
    with pytest.raises(AttributeError):
        third.number = 0
    assert type(third) is rcu.GarbageStats


@needs_deferral
def test_a_collection_by_someone_else(domain):
    rcu.set_garbage_limit(None)
    retire(domain, 5, Thing)
    assert rcu.garbage_stats().number == 5
    gc.collect()
    stats = rcu.garbage_stats()
    assert (stats.number, stats.nbytes, stats.oldest_age) == (0, 0, 0.0)


@needs_deferral
def test_a_collection_by_someone_else_delays_ones_own(domain, collector):
    rcu.set_garbage_limit(number=50, nbytes=None, age=None)
    for _ in range(4):
        retire(domain, 40, Thing)
        gc.collect()
    assert len(collector) == 4
    assert set(collector) == {threading.get_ident()}


@pytest.mark.parametrize("deferred", [True, False])
@pytest.mark.parametrize("make", [lambda: "x" * 1000, lambda: 1 << 100, lambda: 0.5 + 1, lambda: b"x" * 1000])
def test_what_cannot_be_deferred_is_no_garbage(domain, make, deferred):
    rcu.set_garbage_limit(None)
    cell = rcu.Cell(make(), domain=domain, deferred=deferred)
    for _ in range(10):
        cell.set(make())
    domain.barrier(PATIENCE)
    assert rcu.garbage_stats().number == 0


def test_what_is_counted_is_no_garbage(domain):
    rcu.set_garbage_limit(None)
    cell = rcu.Cell(Thing(), domain=domain, deferred=False)
    for _ in range(10):
        cell.set(Thing())
    domain.barrier(PATIENCE)
    assert rcu.garbage_stats().number == 0


@needs_deferral
def test_what_a_reader_holds_up_is_no_garbage_yet(domain, collector):
    """Collecting would free nothing."""
    rcu.set_garbage_limit(number=1, nbytes=None, age=None)
    deaths = Deaths()
    cell = rcu.Cell(deaths.make(0), domain=domain)
    with Holder(domain) as reader:
        for i in range(1, 20):
            cell.set(deaths.make(i))
        assert not deaths.log
        assert not collector
        reader.leave()
        domain.barrier(PATIENCE)
        eventually(lambda: len(deaths.log) >= 18)


@needs_deferral
def test_what_a_section_was_shared_with_lives_on(domain, collector):
    """A collection finds what a thread still refers to by a variable alone."""
    rcu.set_garbage_limit(number=1, nbytes=None, age=None)
    deaths = Deaths()
    cell = rcu.Cell(deaths.make(0), domain=domain)
    value = cell.value
    ref = weakref.ref(value)
    for _ in range(10):
        cell.set(deaths.make(1))
        domain.barrier(PATIENCE)
    eventually(lambda: len(collector) >= 2)
    assert 0 not in deaths.log
    assert value is ref()
    assert value.name == 0


# ---- payloads of bad character --------------------------------------------------------------------------------------


SIZES = {
    "raises": lambda _: 1 / 0,
    "is negative": lambda _: -1,
    "is no number": lambda _: "large",
    "is huge": lambda _: 1 << 80,
    "writes": lambda self: self.cell.set(None) or 0,
}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_a_size_that_cannot_be_told(domain, size):
    """It counts for something; the write goes on."""
    deaths = Deaths()
    bad = type("Bad", (type(deaths.make(0)),), {"__sizeof__": size})
    deaths.log.clear()
    rcu.set_garbage_limit(number=1)
    cell = rcu.Cell(None, domain=domain)
    for i in range(5):
        one = bad(deaths, i)
        one.cell = cell
        cell.set(one)
        del one
    cell.set("last")
    domain.barrier(PATIENCE)
    eventually(lambda: gc.collect() is not None and len(deaths.log) == 5)
    assert cell.value in ("last", None)
    assert rcu.garbage_stats().nbytes < 1 << 63


@needs_deferral
def test_a_finalizer_that_writes_within_the_collection(domain):
    rcu.set_garbage_limit(number=3, nbytes=None, age=None)
    cell, log = rcu.Cell(None, domain=domain), []

    class Writing:
        def __del__(self):
            cell.update(lambda _: log.append(1) or Thing())

    for _ in range(50):
        cell.set(Writing())
        domain.barrier(PATIENCE)
    eventually(lambda: len(log) >= 40)
    domain.barrier(PATIENCE)


@needs_deferral
def test_a_collection_that_waits_for_a_writer(domain):
    """The collector stops the world while a function of an update runs, and a finalizer needs that cell's lock."""
    rcu.set_garbage_limit(number=1, nbytes=None, age=None)
    cell, died = rcu.Cell(0, domain=domain), threading.Event()
    garbage = rcu.Cell(None, domain=domain)

    class Writing:
        def __del__(self):
            cell.set(2)
            died.set()

    def func(_):
        for _ in range(5):
            garbage.set(Writing())
        for _ in range(1000):
            domain.stats()
        return 1

    for _ in range(20):
        cell.update(func)
    garbage.set(None)
    eventually(died.is_set)
    domain.barrier(PATIENCE)


def test_limits_change_while_writers_write(domain):
    cell = rcu.Cell(None, domain=domain)
    for i in range(300):
        rcu.set_garbage_limit(number=i + 1, nbytes=None if i % 2 else 1000, age=None if i % 3 else 0.001)
        for _ in range(10):
            cell.set(Thing())
            rcu.garbage_stats()
    domain.barrier(PATIENCE)
