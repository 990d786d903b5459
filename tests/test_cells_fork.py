"""Forks: a writer lock that is held by a thread which the child does not have is free there."""

import os

import pytest

from processes import FORKS, starts_threads_in_a_child

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
    starts_threads_in_a_child,
]

BEGIN = (
    FORKS
    + """
import signal, threading, rcu

domain = rcu.Domain()
cell = rcu.Cell("old", domain=domain)
parent = os.getpid()

def write_in_all_ways(before):
    if os.getpid() != parent:
        signal.alarm(50)  # no child may outlive the test by which it hangs
    assert cell.value == before, cell.value
    cell.set(1)
    assert cell.swap(2) == 1
    assert cell.compare_and_set(cell.value, 3)
    assert cell.update(lambda old: old + 1) == 4
    with cell.replace(5) as old:
        assert old == 4
    domain.barrier(30)
    assert domain.stats().pending == 0, domain.stats()

def write_beside(before):
    "The same, and then by threads of the child, which meet at the lock."
    write_in_all_ways(before)
    cell.set(0)
    def work():
        for _ in range(200):
            cell.update(lambda old: old + 1)
    threads = [threading.Thread(target=work) for _ in range(3)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert cell.value == 600, cell.value
"""
)

UPDATING = (
    BEGIN
    + """
begun, go_on = threading.Event(), threading.Event()

def func(old):
    begun.set()
    go_on.wait()
    return "updated"

worker = threading.Thread(target=cell.update, args=(func,))
worker.start()
begun.wait()
"""
)

END = """
go_on.set()
worker.join()
assert cell.value == "updated", cell.value
write_beside("updated")
"""


@pytest.mark.parametrize("check", ["write_in_all_ways", "write_beside"])
def test_while_another_thread_updates(script, check):
    script(UPDATING + f"joined(start_child(lambda: {check}('old')))" + END)


def test_while_others_wait_for_it(script):
    """Neither who holds the lock is in the child, nor who waits for it."""
    script(
        UPDATING
        + """
waiting = [threading.Thread(target=cell.update, args=(lambda _: "updated",)) for _ in range(3)]
[t.start() for t in waiting]
threading.Event().wait(0.05)
for _ in range(3):
    joined(start_child(lambda: write_beside("old")))
go_on.set()
[t.join() for t in waiting]
"""
        + END
    )


def test_by_the_function_of_an_update_itself(script):
    """The child goes on within it: the lock is its own, and free when the function has returned."""
    script(
        BEGIN
        + """
def refused(write):
    try:
        write()
    except rcu.DeadlockError:
        return
    raise AssertionError("it wrote")

pids = []
def func(old):
    pid = os.fork()
    if pid == 0:
        signal.alarm(50)
        refused(lambda: cell.set("within"))
        assert cell.value == "old"
        return "child"
    pids.append(pid)
    joined(pid)
    return "parent"

new = cell.update(func)
if new == "child":
    try:
        write_beside("child")
    except BaseException:
        os._exit(1)
    os._exit(0)
assert len(pids) == 1
write_beside("parent")
"""
    )


def test_by_the_function_of_an_update_while_others_wait(script):
    script(
        BEGIN
        + """
def func(old):
    begun.set()
    threading.Event().wait(0.05)  # for others to come
    def check():
        signal.alarm(50)
        try:
            cell.set("within")
        except rcu.DeadlockError:
            return
        raise AssertionError("it wrote")
    joined(start_child(check))
    return "updated"

begun = threading.Event()
def wait():
    begun.wait()
    cell.update(lambda old: [old, "later"])
threads = [threading.Thread(target=wait) for _ in range(2)]
[t.start() for t in threads]
cell.update(func)
[t.join() for t in threads]
assert cell.value == [["updated", "later"], "later"], cell.value
"""
    )


def test_while_a_replaced_waits(script):
    """The reader that it waits for is not in the child, and neither is the thread that waits; the old value is."""
    script(
        BEGIN
        + """
entered, leave = threading.Event(), threading.Event()
def hold():
    with domain:
        entered.set()
        leave.wait()
reader = threading.Thread(target=hold)
reader.start()
entered.wait()
replaced = cell.replace("new")
bodies = []
def wait():
    with replaced as old:
        bodies.append(old)
waiting = threading.Thread(target=wait)
waiting.start()
while not domain.stats().heavy_barriers:
    pass

def check():
    signal.alarm(50)
    assert bodies == []
    assert replaced.value == "old"
    assert replaced.wait(30) == "old"
    assert replaced.done
    with replaced as old:
        assert old == "old"
    write_beside("new")

joined(start_child(check))
assert not replaced.done and bodies == []
leave.set()
waiting.join()
assert bodies == ["old"]
write_beside("new")
"""
    )


def test_with_old_values_retired(script):
    """They die once in the parent, and once in the child."""
    out = script(
        BEGIN
        + """
import gc

class Dying:
    def __del__(self):
        dead.append(1)

dead = []
gc.disable()
rcu.set_garbage_limit(None)
entered, leave = threading.Event(), threading.Event()
def hold():
    with domain:
        entered.set()
        leave.wait()
reader = threading.Thread(target=hold)
reader.start()
entered.wait()
counted = rcu.Cell(Dying(), domain=domain, deferred=False)
for i in range(100):
    cell.set(Dying())
    counted.set(Dying())
cell.set("last")
counted.set("last")

def finish():
    domain.barrier(30)
    pause = threading.Event()
    for _ in range(1000):
        if len(dead) == 201:
            break
        gc.collect()
        pause.wait(0.01)
    assert len(dead) == 201, len(dead)
    write_beside("last")

joined(start_child(finish))
assert dead == []
leave.set()
reader.join()
finish()
print("ends")
"""
    )
    assert out == "ends\n"


def test_garbage_is_collected_in_a_child(script):
    script(
        BEGIN
        + """
import gc, sys, sysconfig

class Dying:
    def __del__(self):
        dead.append(1)

dead = []
gc.disable()
rcu.set_garbage_limit(number=20, nbytes=None, age=None)

def work():
    del dead[:]
    for _ in range(400):
        cell.set(Dying())
        domain.barrier(30)
    pause = threading.Event()
    for _ in range(1000):
        if len(dead) >= 370:
            break
        pause.wait(0.01)
    assert len(dead) >= 370, len(dead)

work()
joined(start_child(work))
work()
"""
    )


def test_forks_under_load(script):
    """Wherever a writer is when the fork comes: the child finds the cell whole, and can write."""
    script(
        BEGIN
        + """
cell.set((0, 0))
stop = threading.Event()
def write(i):
    while not stop.is_set():
        cell.set((i, i))
        cell.update(lambda old: (old[0] + 1, old[1] + 1))
        cell.swap((i, i))
        cell.replace((i, i))
        other.compare_and_set(other.value, (i, i))

other = rcu.Cell((0, 0), domain=domain, deferred=False)
threads = [threading.Thread(target=write, args=(i,)) for i in range(3)]
[t.start() for t in threads]

def check():
    signal.alarm(50)
    for it in cell, other:
        one, two = it.value
        assert one == two
        it.set((5, 5))
        assert it.update(lambda old: (old[0] + 1, 6)) == (6, 6)
        with it.replace("new") as old:
            assert old == (6, 6)
    domain.barrier(30)

try:
    for _ in range(60):
        joined(start_child(check))
finally:
    stop.set()
[t.join() for t in threads]
write_beside(cell.value)
"""
    )
