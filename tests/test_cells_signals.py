"""Signals: Ctrl-C ends what a writer waits for, and the cell keeps its value; handlers may write, too."""

import signal
import threading

import pytest

import rcu
from threads import PATIENCE, beside, eventually

needs_signals = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no signals to threads")
pytestmark = needs_signals

INTERRUPTED = """
import signal, threading, rcu

signal.signal(signal.SIGINT, signal.default_int_handler)
domain = rcu.Domain()
cell = rcu.Cell("old", domain=domain)
begun, go_on, waits = threading.Event(), threading.Event(), threading.Event()

def func(old):
    begun.set()
    go_on.wait()
    return "updated"

def interrupt():
    waits.wait()
    threading.Event().wait(0.1)
    signal.pthread_kill(main, signal.SIGINT)

main = threading.main_thread().ident
worker = threading.Thread(target=cell.update, args=(func,))
worker.start()
begun.wait()
threading.Thread(target=interrupt).start()
"""


@pytest.mark.parametrize(
    "write",
    ["set('new')", "swap('new')", "compare_and_set('old', 'new')", "update(lambda _: 'new')", "replace('new')"],
)
def test_ctrl_c_ends_the_wait_for_the_writer_lock(script, write):
    out = script(
        INTERRUPTED
        + f"""
try:
    waits.set()
    cell.{write}
except KeyboardInterrupt:
    print("interrupted", cell.value, worker.is_alive())
go_on.set()
worker.join()
print(cell.value)
threading.Thread(target=cell.set, args=(1,)).run()
print(cell.update(lambda n: n + 1))
domain.barrier()
"""
    )
    assert out == "interrupted old True\nupdated\n2\n"


def test_ctrl_c_in_the_function_of_an_update(script):
    out = script(
        INTERRUPTED
        + """
go_on.set()
worker.join()
def slow(old):
    waits.set()
    threading.Event().wait(60)
    return "late"
try:
    cell.update(slow)
except KeyboardInterrupt:
    print("interrupted", cell.value)
thread = threading.Thread(target=cell.set, args=("next",))
thread.start()
thread.join()
print(cell.value)
"""
    )
    assert out == "interrupted updated\nnext\n"


def test_ctrl_c_in_the_wait_for_room(script):
    """What was not deferred was not published, either."""
    out = script(
        """
import signal, threading, rcu

signal.signal(signal.SIGINT, signal.default_int_handler)
domain = rcu.Domain(backlog_limit=3)
cell = rcu.Cell("old", domain=domain)
entered, leave, waits = threading.Event(), threading.Event(), threading.Event()

def hold():
    with domain:
        entered.set()
        leave.wait()

def interrupt():
    waits.wait()
    threading.Event().wait(0.1)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

worker = threading.Thread(target=hold)
worker.start()
entered.wait()
for _ in range(3):
    domain.call(int)
writes = [
    lambda: cell.set("new"),
    lambda: cell.compare_and_set("old", "new"),
    lambda: cell.update(lambda _: "new"),
]
for write in writes:
    waits.clear()
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        waits.set()
        write()
    except KeyboardInterrupt:
        print("interrupted", cell.value, domain.stats().pending)
    thread.join()
leave.set()
worker.join()
cell.set("next")
domain.barrier()
print(cell.value)
"""
    )
    assert out == "interrupted old 3\n" * 3 + "next\n"


@pytest.fixture
def on_signal():
    """Makes a function the handler of a signal; returns what sends it to the main thread."""
    before = signal.getsignal(signal.SIGUSR1)

    def install(handle):
        signal.signal(signal.SIGUSR1, lambda *_: handle())
        return lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    yield install
    signal.signal(signal.SIGUSR1, before)


def test_a_handler_that_writes_amid_its_threads_update(domain, on_signal):
    cell = rcu.Cell(0, domain=domain)
    refused = []

    def handle():
        try:
            cell.set(10)
        except rcu.DeadlockError as error:
            refused.append(error)

    send = on_signal(handle)

    def func(old):
        send()
        eventually(lambda: refused)
        return old + 1

    assert cell.update(func) == cell.value == 1


def test_a_handler_that_writes_while_its_thread_waits(domain, on_signal):
    """It waits as well; both write when the lock is free."""
    cell = rcu.Cell([], domain=domain)
    handled = []
    begun, go_on = threading.Event(), threading.Event()

    def handle():
        handled.append("begins")
        cell.update(lambda old: [*old, "handler"])
        handled.append("ends")

    send = on_signal(handle)

    def func(old):
        begun.set()
        assert go_on.wait(PATIENCE)
        return [*old, "first"]

    def interrupt():
        threading.Event().wait(0.05)
        send()
        eventually(lambda: handled)
        go_on.set()

    with beside(cell.update, func):
        assert begun.wait(PATIENCE)
        with beside(interrupt):
            cell.update(lambda old: [*old, "main"])
    assert handled == ["begins", "ends"]
    assert cell.value[0] == "first"
    assert sorted(cell.value) == ["first", "handler", "main"]


def test_a_handler_that_returns_does_not_end_the_wait(domain, on_signal):
    cell = rcu.Cell(0, domain=domain)
    handled = []
    begun, go_on = threading.Event(), threading.Event()
    send = on_signal(lambda: handled.append(cell.value))

    def func(_):
        begun.set()
        assert go_on.wait(PATIENCE)
        return 1

    def interrupt():
        for i in range(3):
            threading.Event().wait(0.01)
            send()
            eventually(lambda i=i: len(handled) > i)
        go_on.set()

    with beside(cell.update, func):
        assert begun.wait(PATIENCE)
        with beside(interrupt):
            assert cell.swap(2) == 1
    assert handled == [0, 0, 0]
    assert cell.value == 2
