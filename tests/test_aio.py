"""Awaits of what calls back, on a real asyncio and a real trio."""

import asyncio
import threading
import traceback

import pytest
import trio
import trio.testing

import rcu.aio
from loops import OnAsyncio, OnTrio, Wait, over, run_one_turn
from rcu.aio import Waiters
from threads import beside, together

MANY = 10_000


# ---- sharing -------------------------------------------------------------------------------------------------


def test_many_awaits_share_a_wait(library, wait, waiters):
    begun, ended = [], []

    async def work():
        begun.append(1)
        await waiters.wait()
        ended.append(1)

    async def main():
        async with library.tasks() as start:
            for _ in range(MANY):
                start(work)
            await wait.started(1)
            assert len(begun) == MANY, "the wait begins after the last of them"
            assert not ended
            wait.end(0)
        assert len(ended) == MANY

    library.run(main)
    assert len(wait.dones) == 1
    assert wait.threads == [threading.get_ident()]


def test_a_batch_is_woken_once():
    wait, calls = Wait(OnAsyncio), []
    waiters = Waiters(wait, "wait()")

    async def main():
        loop = asyncio.get_running_loop()
        call_soon_threadsafe = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *args, **options: (
            calls.append(args) or call_soon_threadsafe(*args, **options)
        )
        async with asyncio.TaskGroup() as group:
            for _ in range(100):
                group.create_task(waiters.wait())
            await wait.started(1)
            wait.end(0)
        del loop.call_soon_threadsafe

    asyncio.run(main())
    assert len(calls) == 1


def test_a_wait_that_has_begun_is_never_joined(library, wait, waiters):
    ended = []

    async def work(name):
        await waiters.wait()
        ended.append(name)

    async def main():
        early, late = library.Event(), library.Event()

        async def first():
            await work("first")
            early.set()

        async def second():
            await work("second")
            late.set()

        async with library.tasks() as start:
            start(first)
            await wait.started(1)
            start(second)
            await wait.started(2)
            wait.end(1)
            await late.wait()
            assert ended == ["second"]
            wait.end(0)
            await early.wait()

    library.run(main)
    assert ended == ["second", "first"]
    assert len(wait.dones) == 2


def test_one_after_the_other(library):
    starts = []

    def start(done):
        starts.append(done)
        done()
        return False

    async def main():
        waiters = Waiters(start, "wait()")
        for count in range(1, 6):
            assert await waiters.wait() is None
            assert len(starts) == count

    library.run(main)


def test_loops_of_several_threads_share_waiters_but_no_batch():
    """Each wait begins on the thread of those who wait, whichever library runs there."""
    begun = []

    def start(done):
        begun.append(threading.get_ident())
        threading.Thread(target=done).start()
        return False

    waiters = Waiters(start, "wait()")

    def run(library):
        async def main():
            for _ in range(50):
                async with library.tasks() as start:
                    for _ in range(5):
                        start(waiters.wait)

        library.run(main)
        return threading.get_ident()

    idents = together(*(lambda library=library: run(library) for library in [OnAsyncio, OnTrio] * 2))
    assert sorted(set(begun)) == sorted(idents)
    assert all(begun.count(ident) >= 50 for ident in idents)


def test_a_loop_after_another_in_one_thread(library, wait, waiters):
    """The second one finds a batch that is still open: its loop ended before."""

    async def main():
        async with library.tasks() as start:
            start(waiters.wait)
            await wait.started(1)
            wait.end(-1)

    kept = []
    join = waiters._join
    waiters._join = lambda: kept.append(join()) or kept[-1]
    run_one_turn(waiters._join)
    assert kept[0].is_open
    library.run(main)
    assert len(kept) == 2
    assert len(wait.dones) == 1


# ---- the end of a wait ---------------------------------------------------------------------------------------


def test_what_is_over_at_once(library):
    """Still it is a turn of the loop: the batch has to be complete."""
    begun = []

    async def main():
        waiters = Waiters(lambda done: begun.append(done) or True, "wait()")
        async with library.tasks() as start:
            for _ in range(10):
                start(waiters.wait)

    library.run(main)
    assert len(begun) == 1
    begun[0]()  # nobody calls this after True, and nothing happens


def test_each_await_is_a_checkpoint_of_trio():
    async def main():
        with trio.testing.assert_checkpoints():
            await Waiters(over, "wait()").wait()
        with trio.move_on_after(0) as scope:
            await Waiters(over, "wait()").wait()
        assert scope.cancelled_caught

    trio.run(main)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["same thread", "other thread"])
def test_an_end_before_start_returns(library, elsewhere):
    def start(done):
        if elsewhere:
            with beside(done):
                pass
        else:
            done()
        return False

    async def main():
        waiters = Waiters(start, "wait()")
        async with library.tasks() as start_task:
            for _ in range(10):
                start_task(waiters.wait)

    library.run(main)


@pytest.mark.parametrize("early", [False, True], ids=["at once", "after its end"])
@pytest.mark.parametrize("error", [MemoryError("no memory"), rcu.DeadlockError("in a section")], ids=repr)
def test_an_error_of_start_goes_to_each_waiter(library, early, error):
    lengths = []

    def start(done):
        if early:
            done()
        raise error

    async def work(waiters):
        with pytest.raises(type(error)) as caught:
            await waiters.wait()
        assert caught.value is error
        lengths.append(len(traceback.extract_tb(caught.tb)))

    async def main():
        waiters = Waiters(start, "wait()")
        async with library.tasks() as start_task:
            for _ in range(10):
                start_task(lambda: work(waiters))
        await Waiters(over, "wait()").wait()

    library.run(main)
    assert len(lengths) == 10
    assert len(set(lengths)) == 1, "the traceback of one is not part of the next one's"
    assert "start" in [frame.name for frame in traceback.extract_tb(error.__traceback__)]


# ---- where it runs -------------------------------------------------------------------------------------------


def test_trio_as_a_guest_of_asyncio():
    """Both run in one thread: the task decides, and either has batches of its own."""
    wait = Wait(OnTrio)
    hosts = Wait(OnAsyncio)
    waiters = Waiters(lambda done: wait(done) or hosts(done), "wait()")

    async def guest():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(waiters.wait)
            nursery.start_soon(waiters.wait)
        return "guest"

    async def host():
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        trio.lowlevel.start_guest_run(
            guest,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=ended.set_result,
            host_uses_signal_set_wakeup_fd=True,
        )
        both = asyncio.gather(waiters.wait(), waiters.wait())
        await hosts.started(2)
        for i in range(2):
            hosts.end(i)
        await both
        return (await ended).unwrap()

    assert asyncio.run(host()) == "guest"
    assert len(wait.dones) == 2


def test_trio_within_a_task_of_asyncio():
    """As in a cell of a notebook."""

    async def cell():
        trio.run(Waiters(lambda done: done(), "wait()").wait)

    asyncio.run(cell())


@pytest.mark.parametrize("in_a_thread", [False, True])
def test_outside_of_any_loop(waiters, wait, in_a_thread):
    def drive():
        coroutine = waiters.wait()
        with pytest.raises(rcu.RcuError) as caught:
            coroutine.send(None)
        message = str(caught.value)
        assert message.startswith("synchronize_async() is awaited in thread ")
        assert repr(threading.current_thread().name) in message
        assert "asyncio.run() or trio.run()" in message
        assert "blocking form" in message

    async def main():
        with beside(drive):
            pass

    if in_a_thread:
        wait.runs_on.run(main)
    else:
        drive()
    assert not wait.dones


def test_without_either_library(script):
    code = """
import sys, rcu.aio
coroutine = rcu.aio.Waiters(print, "wait()").wait()
try:
    coroutine.send(None)
except rcu.RcuError as error:
    print(error)
print("asyncio" in sys.modules, "trio" in sys.modules)
"""
    message, imported = script(code).splitlines()
    assert message.startswith("wait() is awaited in thread 'MainThread' ")
    assert imported == "False False"


def test_a_coroutine_that_is_never_awaited(waiters):
    with pytest.warns(RuntimeWarning, match=r"'synchronize_async\(\)' was never awaited"):
        waiters.wait()
