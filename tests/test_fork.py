"""Forks: in the child there is one thread, and the domain is as that thread left it."""

import os

import pytest

from processes import FORKS, starts_threads_in_a_child
from threads import HELD

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

IN_CHILD = f"""{FORKS}
def in_child(check):
    joined(start_child(check))
"""
BEGIN = (
    """
import os, threading, rcu
from rcu.bench._native import Reader

domain = rcu.Domain()
"""
    + IN_CHILD
)


def test_a_child_has_no_readers_but_its_own(script):
    script(
        HELD
        + IN_CHILD
        + """
try:
    domain.synchronize(timeout=0)
except TimeoutError:
    pass
cookie = domain.start_poll()

def check():
    assert domain.stats().threads == 0, domain.stats()
    domain.synchronize(timeout=10)
    assert domain.poll(cookie)
    with domain:
        assert domain.stats().sections_active == 1
    threads = [threading.Thread(target=lambda: domain.run(int)) for _ in range(3)]
    [t.start() for t in threads], [t.join() for t in threads]
    domain.synchronize(timeout=10)

in_child(check)
assert domain.stats().sections_active == 1
leave.set()
worker.join()
domain.synchronize(timeout=10)
"""
    )


def test_the_forking_threads_section_stays_open(script):
    script(
        BEGIN
        + """
guard = domain.read()
def check():
    assert domain.read_lock_held() and guard.active
    cookie = domain.start_poll()
    assert not domain.poll(cookie)
    failed = []
    def wait():
        try:
            domain.synchronize(timeout=0)
        except TimeoutError:
            failed.append(1)
    worker = threading.Thread(target=wait)
    worker.start(), worker.join()
    assert failed
    guard.release()
    assert domain.poll(cookie)
    domain.synchronize(timeout=10)

with guard:
    in_child(check)
    assert domain.read_lock_held()
domain.synchronize(timeout=10)
"""
    )


def test_forks_under_load(script):
    """Leaders, followers, readers, threads that come and go: whatever a fork catches them at, the child works."""
    out = script(
        BEGIN
        + """
done = threading.Event()
reader = Reader(domain, 5000)
def update():
    while not done.is_set():
        domain.synchronize()
def churn():
    while not done.is_set():
        worker = threading.Thread(target=lambda: domain.run(int))
        worker.start(), worker.join()
threads = [threading.Thread(target=target) for target in (reader.run, update, update, churn)]
[t.start() for t in threads]
while not domain.stats().heavy_barriers:
    pass
def check():
    assert domain.stats().threads <= 1
    before = domain.stats().grace_periods
    for _ in range(3):
        with domain:
            pass
        domain.synchronize(timeout=10)
    assert domain.stats().grace_periods >= before + 3
    with domain:
        in_child(lambda: domain.read_unlock())
    domain.register_thread()

for i in range(40):
    in_child(check)
before = domain.stats().grace_periods
while domain.stats().grace_periods < before + 10:
    pass
done.set()
reader.stop()
[t.join() for t in threads]
print(domain.stats().grace_periods)
"""
    )
    assert int(out) > 0


def test_a_fork_without_python(script):
    """A raw fork, as a C library may do one: the handlers are the system's."""
    script(
        HELD
        + """
import ctypes
libc = ctypes.PyDLL(None)
pid = libc.fork()
if pid == 0:
    try:
        domain.synchronize(timeout=10)
        assert domain.stats().threads == 0
    except BaseException:
        os._exit(1)
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
leave.set()
worker.join()
"""
    )


@starts_threads_in_a_child
def test_a_child_begins_what_is_deferred_by_itself(script):
    script(
        BEGIN
        + """
called = threading.Event()
domain.read_lock()
domain.call(called.set)

def check():
    domain.read_unlock()
    assert called.wait(10)

in_child(check)
domain.read_unlock()
assert called.wait(10)
"""
    )


@starts_threads_in_a_child
def test_a_callback_that_a_fork_interrupts_is_not_begun_again(script):
    """A fork waits for callbacks, but not for ever."""
    script(
        BEGIN
        + """
calls = []
begun, go_on = threading.Event(), threading.Event()

def callback():
    calls.append(threading.get_ident())
    begun.set()
    assert go_on.wait(60)

domain.call(callback)
assert begun.wait(10)

def check():
    domain.barrier(timeout=10)
    assert len(calls) == 1, calls

in_child(check)
go_on.set()
domain.barrier(timeout=10)
assert len(calls) == 1, calls
"""
    )
