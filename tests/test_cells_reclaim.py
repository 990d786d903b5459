"""What becomes of old values: they die after a grace period, in the reclaimer's thread."""

import contextlib
import gc
import queue
import threading
import weakref

import pytest

import rcu
from payloads import DEFERS, Deaths, Thing
from threads import PATIENCE, Holder, beside, eventually, together

WRITES = {
    "set": lambda cell, new: cell.set(new),
    "compare_and_set": lambda cell, new: cell.compare_and_set(cell.value, new),
    "update": lambda cell, new: cell.update(lambda _: new),
}
WRITERS = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())


@pytest.fixture
def no_collector():
    """Nothing is collected unless asked for."""
    gc.collect()
    gc.disable()
    rcu.set_garbage_limit(None)
    yield
    rcu.set_garbage_limit()
    gc.enable()


def made_here(make):
    return contextlib.nullcontext(make())


def made_by_a_thread_that_has_ended(make):
    return contextlib.nullcontext(together(make)[0])


@contextlib.contextmanager
def made_by_a_thread_that_lives(make):
    made, end = queue.SimpleQueue(), threading.Event()

    def work():
        made.put(make())
        assert end.wait(PATIENCE)

    with beside(work):
        try:
            yield made.get(timeout=PATIENCE)
        finally:
            end.set()


@WRITERS
@pytest.mark.parametrize("made", [made_here, made_by_a_thread_that_has_ended, made_by_a_thread_that_lives])
@pytest.mark.usefixtures("no_collector")
def test_counted_payloads_die_in_the_reclaimer(domain, write, made):
    """Whoever has made them, and at once."""
    deaths, idents = Deaths(), []
    with made(lambda: rcu.Cell(deaths.make("old"), domain=domain, deferred=False)) as cell:
        with Holder(domain):
            domain.call(lambda: idents.append(threading.get_ident()))
            write(cell, None)
            domain.call(lambda: idents.append(threading.get_ident()))
            assert deaths.log == []
        domain.barrier(PATIENCE)
        eventually(lambda: deaths.log == ["old"])
    assert len(set(idents)) == 1
    assert deaths.idents == idents[:1]


@WRITERS
@pytest.mark.usefixtures("no_collector")
def test_deferred_payloads_die_in_the_reclaimer(domain, write):
    """It collects them, once there are too many."""
    deaths, idents = Deaths(), []
    rcu.set_garbage_limit(number=1)
    cell = rcu.Cell(deaths.make(0), domain=domain)
    with Holder(domain):
        domain.call(lambda: idents.append(threading.get_ident()))
        for i in range(1, 11):
            write(cell, deaths.make(i))
        assert deaths.log == []
    domain.barrier(PATIENCE)
    eventually(lambda: len(deaths.log) >= 9)
    assert set(deaths.log) <= set(range(10))
    assert set(deaths.idents) == set(idents)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("deferred", [True, False])
def test_not_in_the_thread_that_reads_last(domain, deferred):
    deaths = Deaths()
    cell = rcu.Cell(deaths.make("old"), domain=domain, deferred=deferred)
    has_read, may_leave = threading.Event(), threading.Event()
    readers = []

    def read():
        readers.append(threading.get_ident())
        with domain:
            value = cell.value
            has_read.set()
            assert may_leave.wait(PATIENCE)
            assert value.name == "old"
            del value
        for _ in range(100):
            cell.get()
        assert deaths.log == [] or deaths.idents[0] != threading.get_ident()

    with beside(read):
        assert has_read.wait(PATIENCE)
        cell.set(None)
        may_leave.set()
    domain.barrier(PATIENCE)
    eventually(lambda: (gc.collect() if deferred else 0) is not None and deaths.log == ["old"])
    assert deaths.idents[0] not in readers


@WRITERS
@pytest.mark.parametrize("deferred", [True, False])
def test_not_before_the_grace_period(domain, write, deferred):
    deaths = Deaths()
    cell = rcu.Cell(deaths.make("old"), domain=domain, deferred=deferred)
    with Holder(domain) as reader:
        write(cell, deaths.make("new"))
        with pytest.raises(TimeoutError):
            domain.barrier(timeout=0.01)
        gc.collect()
        assert deaths.log == []
        reader.leave()
        domain.barrier(PATIENCE)
        eventually(lambda: gc.collect() is not None and deaths.log == ["old"])
    assert cell.value.name == "new"


@WRITERS
def test_other_domains_are_not_waited_for(domain, write):
    deaths = Deaths()
    cell = rcu.Cell(deaths.make("old"), domain=domain, deferred=False)
    with Holder(rcu.Domain()):
        write(cell, None)
        domain.barrier(PATIENCE)
        eventually(lambda: deaths.log == ["old"])


@pytest.mark.skipif(not DEFERS, reason="this interpreter defers no counts")
@pytest.mark.usefixtures("no_collector")
def test_deferred_payloads_wait_for_the_next_collection(domain):
    deaths = Deaths()
    cell = rcu.Cell(deaths.make("old"), domain=domain)
    cell.set(None)
    domain.barrier(PATIENCE)
    assert deaths.log == []
    gc.collect()
    assert deaths.log == ["old"]


@WRITERS
def test_what_someone_else_refers_to_lives_on(domain, write):
    for deferred in True, False:
        thing = Thing()
        ref = weakref.ref(thing)
        cell = rcu.Cell(thing, domain=domain, deferred=deferred)
        write(cell, None)
        domain.barrier(PATIENCE)
        gc.collect()
        assert ref() is thing
        assert thing.__dict__ == {}
        del thing
        eventually(lambda ref=ref: gc.collect() is not None and ref() is None)


def test_many_versions(domain):
    """Each dies once; the backlog keeps its limit."""
    deaths = Deaths()
    count = 20_000
    domain.backlog_limit = 100
    for deferred in True, False:
        deaths.log.clear()
        cell = rcu.Cell(deaths.make(0), domain=domain, deferred=deferred)
        for i in range(1, count):
            cell.set(deaths.make(i))
        cell.set(None)
        domain.barrier(PATIENCE)
        eventually(lambda: gc.collect() is not None and len(deaths.log) >= count)
        assert sorted(deaths.log) == list(range(count))
    assert domain.stats().peak_pending <= 100 + domain.stats().threads + 1


@pytest.mark.parametrize(("kind", "deferred"), [("cell", False), ("replaced", False), ("replaced", True)])
def test_what_is_dropped_retires_its_payload(domain, kind, deferred):
    """A deferred cell is not: the collector finds it together with its payload, unless a reader refers to that."""
    deaths = Deaths()
    cell = rcu.Cell(deaths.make("old"), domain=domain, deferred=deferred)
    dropped = [cell if kind == "cell" else cell.replace(None)]
    if kind == "cell":
        del cell
    with Holder(domain) as reader:
        dropped.clear()
        gc.collect()
        with pytest.raises(TimeoutError):
            domain.barrier(timeout=0.01)
        assert domain.stats().pending >= 1
        gc.collect()
        assert deaths.log == []
        reader.leave()
        domain.barrier(PATIENCE)
        eventually(lambda: gc.collect() is not None and deaths.log == ["old"])


@pytest.mark.parametrize("deferred", [True, False])
def test_a_cell_dropped_in_a_section_of_its_own(domain, deferred):
    deaths = Deaths()
    domain.backlog_limit = 1
    with domain:
        for i in range(20):
            cell = rcu.Cell(deaths.make(i), domain=domain, deferred=deferred)
            value = cell.value
            del cell
            gc.collect()
            assert value.name == i
            assert deaths.log == []
    del value
    domain.barrier(PATIENCE)
    eventually(lambda: gc.collect() is not None and len(deaths.log) == 20)


def test_cells_dropped_beyond_the_backlog_limit(domain):
    """A destructor waits for nobody who might wait for it, and nothing is lost."""
    deaths = Deaths()
    domain.backlog_limit = 2

    def work():
        for i in range(500):
            cell = rcu.Cell(deaths.make(i), domain=domain, deferred=False)
            del cell

    together(work, work)
    domain.barrier(PATIENCE)
    eventually(lambda: gc.collect() is not None and len(deaths.log) == 1000)


def test_a_domain_outlives_its_cells():
    """The cell holds it: what the cell retires at its end is freed."""
    deaths = Deaths()
    for deferred in True, False:
        for _ in range(20):
            cell = rcu.Cell(deaths.make(1), domain=rcu.Domain(), deferred=deferred)
            cell.set(deaths.make(2))
            del cell
    eventually(lambda: gc.collect() is not None and len(deaths.log) == 80)


def test_payloads_at_the_programs_end(script):
    """Cells and what they have retired are no matter for the exit: it neither hangs nor crashes."""
    out = script(
        """
import threading, rcu

class Dying:
    def __del__(self):
        cell.value, cell.domain

domain = rcu.Domain()
cell = rcu.Cell(Dying(), domain=domain)
counted = rcu.Cell(Dying(), domain=domain, deferred=False)
stop = False
def work():
    while not stop:
        cell.set(Dying())
        counted.update(lambda _: Dying())
        cell.replace(Dying())
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
for _ in range(1000):
    counted.set(Dying())
held = cell.replace(Dying())
print("ends")
"""
    )
    assert out == "ends\n"


def test_a_writer_that_is_left_alone_at_the_programs_end(script):
    """A daemon thread holds the writer lock, and goes on no more: who writes then is told so."""
    out = script(
        """
import os, sys, threading, rcu

cell = rcu.Cell(0)
begun = threading.Event()

def func(old):
    begun.set()
    threading.Event().wait()

class Last:
    def __init__(self):
        self.cell, self.write, self.error = cell, os.write, rcu.RcuError
    def __del__(self):
        try:
            self.cell.set(1)
        except self.error as error:
            self.write(1, str(error).encode())

threading.Thread(target=cell.update, args=(func,), daemon=True).start()
begun.wait()
sys.modules["last"] = Last()
"""
    )
    assert "Cell.set() while the interpreter is taken down" in out
