"""The C interface, include/rcu/api.h: on all kinds of threads, and together with Python."""

import contextlib
import os
import threading
import weakref

import pytest

import rcu
from payloads import Thing, freed
from probes import ATTACHED, DETACHED, DONE, FOREIGN, IN_CALLBACK, IN_SECTION, TIMED_OUT, build, load
from threads import PATIENCE, Holder, beside, eventually, together

pytestmark = pytest.mark.skipif(os.name == "nt", reason="cc is what POSIX calls a compiler")
HOWS = pytest.mark.parametrize("how", [ATTACHED, DETACHED, FOREIGN], ids=["attached", "detached", "foreign"])
SECOND = 10**9
CALLS = 5000


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    return load(build(tmp_path_factory.mktemp("probe")))


@pytest.fixture
def engine(probe, domain):
    """The domain as C knows it."""
    return probe.domain_of(domain)


# ---- domains -------------------------------------------------------------------------------------------------------


def test_python_and_c_share_a_domain(probe, domain, engine):
    assert probe.default_domain() == probe.domain_of(rcu.default_domain)
    before = domain.stats().threads
    assert probe.this_slot(ATTACHED, engine)
    assert domain.stats().threads == before + 1
    with domain:
        assert probe.held(ATTACHED, engine, probe.this_slot(ATTACHED, engine))
    assert not probe.held(ATTACHED, engine, probe.this_slot(ATTACHED, engine))


@HOWS
def test_a_domain_of_cs_own(probe, how):
    engine = probe.domain_new(min(how, DETACHED), b"mine")
    assert probe.section(how, engine) == 1
    assert probe.synchronize(how, engine) == DONE
    before = probe.numbers()["called"]
    probe.call(how, engine, 10)
    assert probe.barrier(how, engine) == DONE
    assert probe.numbers()["called"] == before + 10
    with pytest.raises(TimeoutError, match=r"domain 'mine': lookup\(\)"):
        probe.check(engine, TIMED_OUT, "lookup()")
    probe.domain_free(how, engine)


@HOWS
def test_what_was_enqueued_is_called_after_its_domain_was_freed(probe, how):
    engine = probe.domain_new(min(how, DETACHED), None)
    before = probe.numbers()["called"]
    probe.call(how, engine, 100)
    probe.domain_free(how, engine)
    eventually(lambda: probe.numbers()["called"] == before + 100)


@pytest.mark.parametrize(
    ("name", "told"),
    [(None, r"domain-\d+"), (b"", ""), ("größer".encode(), "größer"), (b"\xff\xfe", r"\\\\xff\\\\xfe")],
    ids=["none", "empty", "utf-8", "not-utf-8"],
)
def test_names(probe, name, told):
    engine = probe.domain_new(ATTACHED, name)
    with pytest.raises(TimeoutError, match=f"^domain '{told}': x"):
        probe.check(engine, TIMED_OUT, "x")
    probe.domain_free(ATTACHED, engine)


@pytest.mark.parametrize("other", [None, 1, "default", rcu.Domain, object()])
def test_what_is_no_domain(probe, other):
    with pytest.raises(TypeError, match=r"takes an rcu\.Domain, not"):
        probe.domain_of(other)


# ---- slots -----------------------------------------------------------------------------------------------------------


def test_slots_of_many_domains_on_many_threads(probe):
    """More domains than a thread has at hand; each thread has its own slot in each, the same each time."""
    domains = [rcu.Domain() for _ in range(11)]
    engines = [probe.domain_of(domain) for domain in domains]

    def slots():
        first = [probe.this_slot(ATTACHED, engine) for engine in engines]
        for _ in range(50):
            assert [probe.this_slot(ATTACHED, engine) for engine in engines] == first
            for engine, slot in zip(engines, first, strict=True):
                assert [probe.this_slot(ATTACHED, engine) for _ in range(3)] == [slot] * 3
        both.wait(PATIENCE)
        return first

    both = threading.Barrier(2)
    one, other = together(slots, slots)
    assert len({*one, *other}) == 2 * len(engines)


def test_a_slot_is_given_back_and_made_anew(probe, domain, engine):
    assert probe.unregister_thread(ATTACHED, engine) == DONE  # it has none
    for _ in range(3):
        slot = probe.this_slot(ATTACHED, engine)
        assert domain.stats().threads == 1
        probe.enter(ATTACHED, engine, slot)
        assert probe.unregister_thread(ATTACHED, engine) == IN_SECTION
        assert domain.read_lock_held()
        probe.leave(ATTACHED, engine, slot)
        assert probe.unregister_thread(ATTACHED, engine) == DONE
        assert domain.stats().threads == 0
        assert not domain.read_lock_held()


def test_a_foreign_thread_leaves_its_slot_at_its_end(probe, domain, engine):
    for _ in range(100):
        assert probe.section(FOREIGN, engine) == 1
    assert domain.stats().threads == 0


@HOWS
def test_quiescing(probe, domain, engine, how):
    probe.quiesce(how, engine)
    assert domain.stats().parked_threads == (how != FOREIGN)
    assert probe.section(how, engine) == 1


# ---- waits -----------------------------------------------------------------------------------------------------------


@HOWS
def test_synchronize_waits_for_readers(probe, domain, engine, how):
    order = []

    def wait():
        probe.synchronize(how, engine)
        order.append("synchronized")

    with Holder(domain) as holder, beside(wait):
        eventually(lambda: domain.stats().heavy_barriers)
        assert probe.synchronize_for(how, engine, 0) == TIMED_OUT
        assert probe.synchronize_for(how, engine, SECOND // 100) == TIMED_OUT
        order.append("left")
        holder.leave()
    assert order == ["left", "synchronized"]
    assert probe.synchronize(how, engine) == DONE
    assert probe.synchronize_for(how, engine, 2**64 - 1) == DONE


def test_a_wait_holds_up_nobody(probe, script):
    """A collection stops all threads that have a thread state attached, and there may be a GIL: who waits has none."""
    code = f"""
import faulthandler, gc, sys, threading, rcu
faulthandler.dump_traceback_later({PATIENCE} / 3, exit=True)
sys.path.insert(0, {os.path.dirname(probe.__file__)!r})
import probe
domain = rcu.Domain(stall_timeout=None)  # no report, which would attach who waits
engine = probe.domain_of(domain)
def wait(how):
    probe.synchronize(how, engine)
    print("synchronized")
for how in 0, 1, 2:
    before = domain.stats().heavy_barriers
    entered, leave = threading.Event(), threading.Event()
    def read():
        with domain:
            entered.set()
            leave.wait()
    reader = threading.Thread(target=read)
    reader.start()
    entered.wait()
    waiter = threading.Thread(target=wait, args=(how,))
    waiter.start()
    while domain.stats().heavy_barriers == before:
        pass
    gc.collect()
    leave.set()
    reader.join()
    waiter.join()
"""
    assert script(code) == "synchronized\n" * 3


@HOWS
def test_polling(probe, domain, engine, how):
    with Holder(domain) as holder:
        cookie = probe.start_poll(how, engine)
        for _ in range(10):
            assert not probe.poll(how, engine, cookie)
        holder.leave()
        while not probe.poll(how, engine, cookie):
            pass
        assert domain.poll(cookie), "a cookie is the domain's, whoever asked for it"


@HOWS
def test_callbacks_run_in_order_outside_of_sections_without_a_thread_state(probe, domain, engine, how):
    before = probe.numbers()
    with Holder(domain) as holder:
        probe.call(how, engine, CALLS)
        assert probe.barrier_for(how, engine, SECOND // 100) == TIMED_OUT
        assert probe.numbers()["called"] == before["called"]
        assert domain.stats().pending == CALLS
        holder.leave()
        assert probe.barrier(how, engine) == DONE
    after = probe.numbers()
    assert after["called"] == before["called"] + CALLS
    assert (after["disorder"], after["unsafe"]) == (0, 0)
    assert domain.stats().pending == 0


def test_callbacks_of_c_and_python_share_a_queue(probe, domain, engine):
    seen = []
    before = probe.numbers()["called"]
    for i in range(100):
        domain.call(lambda: seen.append(probe.numbers()["called"] - before))
        probe.call(ATTACHED, engine, 1)
        if i % 10 == 0:
            assert probe.barrier(ATTACHED, engine) == DONE
    domain.barrier()
    assert seen == list(range(100))


@HOWS
@pytest.mark.parametrize("inside", [False, True], ids=["outside", "inside"])
def test_retiring(probe, domain, engine, how, inside):
    """A reference is dropped after the grace period, and after what the thread enqueued before."""
    things = [Thing() for _ in range(1000)]
    refs = [weakref.ref(thing) for thing in things]
    with Holder(domain) as holder:
        with domain if inside else contextlib.nullcontext():
            for thing in things:
                assert probe.retire(how, engine, thing) == 0
        del things, thing
        assert all(ref() is not None for ref in refs)
        assert domain.stats().pending == len(refs)
        holder.leave()
        assert probe.barrier(how, engine) == DONE
    assert domain.stats().callbacks_run == len(refs)
    assert freed(*refs)


@HOWS
def test_waits_in_a_section_are_told(probe, engine, how):
    assert probe.waits_in_a_section(how, engine) == (IN_SECTION * 8 + IN_SECTION) * 8 + IN_SECTION
    assert probe.synchronize(how, engine) == DONE


def test_waits_in_a_callback_are_told(probe, domain, engine):
    probe.call_waiter(engine, engine)
    assert probe.barrier(ATTACHED, engine) == DONE
    assert probe.numbers()["in_callback"] == (100 + IN_CALLBACK) * 100 + DONE
    other = rcu.Domain()
    probe.call_waiter(engine, probe.domain_of(other))
    other.call(str)
    assert probe.barrier(ATTACHED, engine) == DONE
    assert probe.numbers()["in_callback"] == 100 * 100 + DONE
    assert domain.stats().callbacks_run == 2


def test_a_wait_in_c_reports_a_stall(probe, records):
    domain = rcu.Domain("slow", stall_timeout=0.01)
    with Holder(domain):
        while not records:
            assert probe.synchronize_for(ATTACHED, probe.domain_of(domain), SECOND // 50) == TIMED_OUT
    assert "'slow'" in records[0].getMessage()


@pytest.mark.parametrize(
    ("outcome", "error", "words"),
    [
        (IN_SECTION, rcu.DeadlockError, r"reload\(\) by thread 'MainThread' .* is in 2 nested section"),
        (IN_CALLBACK, rcu.DeadlockError, r"reload\(\) in a callback"),
        (TIMED_OUT, TimeoutError, r"reload\(\) did not end in time"),
        (4, rcu.RcuError, r"reload\(\) while the interpreter is taken down"),
        (99, SystemError, r"reload\(\): 99 is no outcome"),
    ],
)
def test_outcomes_as_exceptions(probe, domain, engine, outcome, error, words):
    assert probe.check(engine, DONE, "reload()") is None
    with domain, domain, pytest.raises(error, match=f"^domain '{domain.name}': {words}"):
        probe.check(engine, outcome, "reload()")


# ---- cells -----------------------------------------------------------------------------------------------------------


def test_what_a_cell_is(probe, domain, engine):
    cell = rcu.Cell([], domain=domain)
    assert probe.cell_check(cell)
    assert not probe.cell_check(rcu.Cell)
    assert not probe.cell_check([])
    assert probe.cell_domain(cell) == engine
    with domain:
        assert probe.borrow_outside(cell) is cell.value


@pytest.mark.parametrize("deferred", [True, False])
@pytest.mark.parametrize("swaps", [True, False])
def test_what_is_borrowed_lives_until_the_section_ends(probe, domain, deferred, swaps):
    cell = rcu.Cell(probe.Witness(), domain=domain, deferred=deferred)
    stop = threading.Event()
    written = 0

    def write():
        nonlocal written
        while not stop.is_set():
            if swaps:
                domain.retire(cell.swap(probe.Witness()))
            else:
                cell.set(probe.Witness())
            written += 1
            if written % 100 == 0:
                domain.barrier()

    def read():
        changed = 0
        try:
            while changed < 20:
                more, dead = probe.borrow_many(cell, 2000)
                assert dead == 0
                changed += more
        finally:
            stop.set()
        return changed

    _, changed = together(write, read)
    assert changed >= 20
    assert written >= 20


# ---- the import ------------------------------------------------------------------------------------------------------


def test_importing_again_is_harmless(probe):
    assert probe.import_again() is None
