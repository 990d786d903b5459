"""What callbacks may do: raise, wait, read, defer, block, and let their domain go. None of it harms others."""

import asyncio
import gc
import sys
import sysconfig
import threading
import weakref

import pytest

import rcu
from threads import PATIENCE, Holder, beside, eventually

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
IMMORTAL = FREE_THREADED and sys.version_info < (3, 14)


def in_callback(domain, function):
    """Calls it in a callback of the domain; returns what it returned."""
    results = []
    domain.call(lambda: results.append(function()))
    domain.barrier(PATIENCE)
    (result,) = results
    return result


def is_gone(ref):
    """Sees to it that the domain is: without the GIL, domains are freed by the collector."""

    def look():
        gc.collect()
        return ref() is None

    if not IMMORTAL:
        eventually(look)


class Blocked:
    """A callback of the domain that blocks while the context lasts."""

    def __init__(self, domain):
        self.begun = threading.Event()
        self.may_end = threading.Event()
        domain.call(self.block)

    def block(self):
        self.begun.set()
        assert self.may_end.wait(PATIENCE)

    def __enter__(self):
        assert self.begun.wait(PATIENCE)
        return self

    def __exit__(self, *error):
        self.may_end.set()


def test_where_a_callback_runs(domain):
    idents = [in_callback(domain, threading.get_ident) for _ in range(3)]
    assert threading.get_ident() not in idents
    assert not in_callback(domain, domain.read_lock_held)
    assert in_callback(rcu.Domain(), threading.get_ident) not in idents


def test_the_thread_of_callbacks_keeps_its_state(domain):
    """It is one thread of Python, and not a new one with each callback."""
    here = threading.local()
    here.value = "mine"
    in_callback(domain, lambda: setattr(here, "value", "its"))
    assert in_callback(domain, lambda: here.value) == "its"
    assert here.value == "mine"
    ident = in_callback(domain, lambda: threading.current_thread().ident)
    assert ident == in_callback(domain, threading.get_ident)


# ---- exceptions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ZeroDivisionError, SystemExit, KeyboardInterrupt, GeneratorExit, BaseException])
def test_exceptions(domain, unraisable, kind):
    ran = []

    def fail(text):
        raise kind(text)

    with Holder(domain):
        for i in range(3):
            domain.call(fail, str(i))
            domain.call(ran.append, i)
    domain.barrier(PATIENCE)
    assert unraisable == [(kind, str(i)) for i in range(3)]
    assert ran == [0, 1, 2]
    assert (domain.stats().callbacks_run, domain.stats().callbacks_failed) == (6, 3)


def test_exceptions_of_what_dies(domain, unraisable):
    class Failing:
        def __del__(self):
            raise ZeroDivisionError("dies")

    domain.retire(Failing())
    domain.barrier(PATIENCE)
    eventually(lambda: unraisable == [(ZeroDivisionError, "dies")])
    assert domain.stats().callbacks_failed == 0


def test_a_hook_that_fails(domain, monkeypatch, capsys):
    monkeypatch.setattr(sys, "unraisablehook", lambda _: 1 / 0)
    domain.call(int, "x")
    assert in_callback(domain, lambda: 5) == 5
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_wrong_arguments_fail_in_the_callback(domain, unraisable):
    domain.call(lambda: None, 1)
    domain.barrier(PATIENCE)
    ((kind, _),) = unraisable
    assert kind is TypeError


# ---- sections and waits ---------------------------------------------------------------------------------------------


def test_a_callback_may_read(domain):
    def read():
        with domain, domain:
            return domain.read_lock_held(), domain.stats().sections_active

    assert in_callback(domain, read) == (True, 1)
    assert domain.stats().sections_active == 0
    for _ in range(5):
        assert in_callback(domain, read) == (True, 1)


@pytest.mark.parametrize("nested", [1, 3])
def test_a_section_that_a_callback_leaves_open(domain, unraisable, nested):
    """It is ended: the next grace period would wait for it, and nobody else could end it."""
    held = []
    with Holder(domain):
        for _ in range(nested - 1):
            domain.read_lock()  # the callback's are its own
        for _ in range(nested - 1):
            domain.read_unlock()
        domain.call(lambda: [domain.read_lock() for _ in range(nested)])
        domain.call(lambda: held.append(domain.read_lock_held()))
    domain.barrier(PATIENCE)
    assert held == [False]
    ((kind, text),) = unraisable
    assert kind is rcu.SectionError
    assert f"{nested} nested section(s)" in text
    domain.synchronize(PATIENCE)


def test_a_callback_may_synchronize(domain):
    def synchronize():
        before = domain.stats().grace_periods
        domain.synchronize(PATIENCE)
        return domain.stats().grace_periods - before

    assert in_callback(domain, synchronize) >= 1


def test_a_callback_may_synchronize_while_others_read(domain):
    order = []

    domain.call(int)
    domain.barrier(PATIENCE)
    entered, leave = threading.Event(), threading.Event()

    def read():
        with domain:
            entered.set()
            assert leave.wait(PATIENCE)
            order.append("leaves")

    def callback():
        # The reader begins once the callback runs, so only its synchronize() waits for it.
        with beside(read):
            assert entered.wait(PATIENCE)
            order.append("begins")
            with beside(leave.set):
                domain.synchronize(PATIENCE)
                order.append("waited")

    domain.call(callback)
    domain.barrier(PATIENCE)
    assert order == ["begins", "leaves", "waited"]


@pytest.mark.parametrize("what", ["barrier", "barrier_async"])
def test_a_callback_cannot_wait_for_itself(domain, unraisable, what):
    domain.call(getattr(domain, what))
    domain.barrier(PATIENCE)
    ((kind, text),) = unraisable
    assert kind is rcu.DeadlockError
    assert f"{what}() in a callback of this domain" in text
    assert domain.stats().callbacks_failed == 1


def test_a_callback_may_wait_for_another_domain(domain):
    other = rcu.Domain()
    ran = []

    def wait():
        other.call(ran.append, 1)
        other.barrier(PATIENCE)
        return list(ran)

    assert in_callback(domain, wait) == [1]


# ---- deferring more -------------------------------------------------------------------------------------------------


def test_callbacks_that_enqueue(domain):
    order = []

    def again(n):
        order.append(n)
        if n < 500:
            domain.call(again, n + 1)
        else:
            done.set()

    done = threading.Event()
    domain.call(again, 0)
    assert done.wait(PATIENCE)
    domain.barrier(PATIENCE)
    assert order == list(range(501))
    assert domain.stats().pending == 0


def test_what_a_callback_defers_awaits_a_grace_period_of_its_own(domain):
    ran = threading.Event()
    deferred = threading.Event()
    entered = threading.Event()

    def defer():
        assert entered.wait(PATIENCE)
        domain.call(ran.set)
        deferred.set()

    domain.call(defer)
    # A reader that begins after the callback's own grace period, or it would not run.
    eventually(lambda: domain.stats().callbacks_run == 1)
    with Holder(domain):
        entered.set()
        assert deferred.wait(PATIENCE)
        with pytest.raises(TimeoutError):
            domain.barrier(timeout=0.01)
        assert not ran.is_set()
    assert ran.wait(PATIENCE)


def test_a_barrier_does_not_wait_for_what_callbacks_defer_later(domain):
    """Or one that always defers the next would hold it up for ever."""
    stop = threading.Event()
    count = 0

    def again():
        nonlocal count
        count += 1
        if not stop.is_set():
            domain.call(again)

    domain.call(again)
    for _ in range(20):
        domain.barrier(PATIENCE)
    stop.set()
    eventually(lambda: domain.stats().pending == 0)
    assert count >= 20


# ---- callbacks that take long ---------------------------------------------------------------------------------------


def test_others_go_on_while_a_callback_blocks(domain):
    other = rcu.Domain()
    ran = []

    async def wait():
        for _ in range(3):
            await domain.synchronize_async()

    with Blocked(domain):
        domain.call(ran.append, "behind")
        other.call(ran.append, "other")
        other.barrier(PATIENCE)
        with domain:
            pass
        domain.synchronize(PATIENCE)
        asyncio.run(wait())
        cookie = domain.start_poll()
        eventually(lambda: domain.poll(cookie))
        with pytest.raises(TimeoutError, match="1 callback"):
            domain.barrier(timeout=0)
        assert domain.stats().pending == 1
        assert ran == ["other"]
    domain.barrier(PATIENCE)
    assert ran == ["other", "behind"]


# ---- ends of domains ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 1000])
@pytest.mark.parametrize("held", [True, False])
def test_a_domain_that_is_dropped_with_work(held, count):
    ran = []
    done = threading.Event()
    domain = rcu.Domain()
    ref = weakref.ref(domain)
    entered, leave = threading.Event(), threading.Event()

    def read(guard):
        with guard:
            entered.set()
            assert leave.wait(PATIENCE)

    with beside(lambda: read(domain.read()) if held else None):
        if held:
            assert entered.wait(PATIENCE)
        for i in range(count):
            domain.call(ran.append, i)
        domain.call(done.set)
        domain = None
        gc.collect()
        assert held or done.wait(PATIENCE)
        leave.set()
    assert done.wait(PATIENCE)
    assert ran == list(range(count))
    is_gone(ref)


def test_many_domains_that_are_dropped_with_work():
    ran = []

    def work():
        for i in range(200):
            domain = rcu.Domain()
            domain.call(ran.append, i)
            domain.retire([])
            del domain
            if i % 50 == 0:
                gc.collect()

    with beside(work), beside(work):
        pass
    eventually(lambda: len(ran) == 400)
    assert sorted(ran) == sorted([*range(200)] * 2)


def test_a_callback_that_drops_the_last_reference_to_its_domain():
    for _ in range(20):
        holder = [rcu.Domain()]
        ref = weakref.ref(holder[0])
        ran = []

        def drop(holder=holder, ran=ran):
            domain = holder.pop()
            domain.call(ran.append, 2)
            ran.append(1)
            del domain

        holder[0].call(drop)
        del drop
        eventually(lambda ran=ran: 2 in ran)
        assert ran.index(1) < ran.index(2)
        is_gone(ref)


def test_a_domain_that_is_retired_by_itself():
    done = threading.Event()
    domain = rcu.Domain()
    ref = weakref.ref(domain)
    domain.retire(domain)
    domain.call(done.set)
    del domain
    assert done.wait(PATIENCE)
    is_gone(ref)
