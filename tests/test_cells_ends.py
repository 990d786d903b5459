"""Cells at the ends of things: half made, after the modules are cleared, of domains that close, beside tuples that the
collector forgets and finalizers that leave sections open."""

import gc
import threading
import tracemalloc
import weakref

import pytest

import rcu
from payloads import DEFERS, Thing, Turns, freed
from threads import PATIENCE, eventually, together

COLLECTIONS = 20  # after which what is garbage is gone

needs_deferral = pytest.mark.skipif(not DEFERS, reason="this interpreter defers no counts: nothing is left to it")


def test_a_cell_that_is_being_made_is_whole():
    """The collector knows of it by then, and so may whoever is asked for its repr."""
    found = []

    class NoDomain:
        def __repr__(self):
            for each in gc.get_objects():
                if type(each) is rcu.Cell and each.value is None:
                    found.append(each)
                    each.set([1])
                    assert each.domain is rcu.default_domain
            return "no domain"

    with pytest.raises(TypeError, match="no domain"):
        rcu.Cell(0, domain=NoDomain())
    assert any(cell.value == [1] for cell in found)


def test_a_finalizer_after_all_modules(script):
    """When the dictionary of sys is cleared, last of all, the package's modules have been."""
    said = script("""
import os, sys, rcu

class Late:
    def __init__(self):
        self.cell = rcu.Cell
        self.old = rcu.Cell([1])
        self.write = os.write

    def __del__(self):
        self.cell([3]).set([4])
        self.old.swap([2])
        self.old.update(lambda old: old + [5])
        self.write(1, b"last\\n" if self.old.value == [2, 5] else b"wrong\\n")

sys.late = Late()
""")
    assert said == "last\n"


@needs_deferral
def test_limits_are_set_while_domains_close():
    """Who looks for a reclaimer to tell may meet a domain that its owner is about to let go of."""
    rcu.Cell([]).set([])
    rcu.default_domain.barrier(PATIENCE)
    turns = Turns()
    rounds = 300
    over = threading.Event()

    def come_and_go():
        garbage = rcu.Cell([])
        for i in range(rounds):
            domain = rcu.Domain()
            domain.retire([i])
            del domain
            garbage.set([i])
            gc.collect()
        over.set()

    def limit():
        while not over.is_set():
            rcu.set_garbage_limit(age=3600)
            turns.add("limits", 1)

    try:
        together(come_and_go, limit)
    finally:
        rcu.set_garbage_limit()
    assert turns["limits"] > 10


@pytest.mark.parametrize("deferred", [True, False], ids=["deferred", "counted"])
def test_tuples_that_the_collector_forgets(domain, deferred):
    """It untracks those that can be part of no cycle, also if their counts are deferred; then nobody freed them. 3.15
    does so in large programs only."""
    size, count = 100_000, 50
    large = [[] for _ in range(200_000)]
    gc.collect()
    assert large
    tracemalloc.start()
    try:
        cell = rcu.Cell(None, domain=domain, deferred=deferred)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(count):
            # Made by zip, they are tracked at first.
            cell.set(next(zip((bytes(size),), (0,), strict=True)))
            gc.collect()
        cell.set(None)
        domain.barrier(PATIENCE)
        left = None
        for _ in range(COLLECTIONS):
            gc.collect()
            left = tracemalloc.get_traced_memory()[0] - before
            if left < 5 * size:
                break
        assert left < 5 * size
    finally:
        tracemalloc.stop()


@needs_deferral
def test_a_tuple_of_what_the_collector_tracks_is_deferred(domain):
    thing = Thing()
    ref = weakref.ref(thing)
    cell = rcu.Cell((thing, 1), domain=domain)
    del thing
    gc.collect()
    cell.set(None)
    domain.barrier(PATIENCE)
    assert freed(ref)


@needs_deferral
@pytest.mark.parametrize("own", [True, False], ids=["its own domain", "another domain"])
def test_a_finalizer_leaves_a_section_open(domain, own, monkeypatch):
    """In a collection that an idle reclaimer makes: nobody else could end it."""
    told = []
    monkeypatch.setattr("sys.unraisablehook", lambda raised: told.append(raised.exc_value))
    entered = rcu.Domain() if not own else domain

    class LeavesOpen:
        def __del__(self):
            entered.read_lock()

    gc.disable()
    try:
        cell = rcu.Cell(LeavesOpen(), domain=domain)
        cell.set(None)
        domain.barrier(PATIENCE)
        rcu.set_garbage_limit(age=0)
        eventually(lambda: told)
    finally:
        rcu.set_garbage_limit()
        gc.enable()
    assert [type(error) for error in told] == [rcu.SectionError]
    entered.synchronize(PATIENCE)
    domain.synchronize(PATIENCE)


def test_what_only_looks_like_a_class_is_shared(domain):
    """A proxy is not asked what it is, which may be nothing any more."""

    class Lazy:
        @property
        def __class__(self):
            raise AssertionError("asked")

    gone = weakref.proxy(Thing())
    inside = [gone, Lazy(), Thing()]
    assert rcu.share(inside, deep=True) is inside
    assert rcu.Cell(inside, domain=domain).value is inside


@needs_deferral
def test_going_to_and_fro_is_no_garbage(domain):
    """Two versions that are both alive, and published in turn, are two, however often."""
    on, off = {"on": bytes(1000)}, {"on": None}
    cell = rcu.Cell(on, domain=domain)
    gc.collect()
    gc.disable()
    try:
        before = rcu.garbage_stats()
        for _ in range(1000):
            cell.set(off)
            cell.set(on)
        domain.barrier(PATIENCE)
        after = rcu.garbage_stats()
    finally:
        gc.enable()
    # Other domains may have dropped something, too.
    assert after.number - before.number < 100
