"""Awaits that are cancelled, and loops that end, at each point of a wait."""

import asyncio
import contextlib
import gc
import weakref

import pytest
import trio

from loops import OnAsyncio, Wait, over, run_one_turn, when_joined
from rcu.aio import Waiters
from threads import beside

# ---- cancellation --------------------------------------------------------------------------------------------


def cancel_at(library, waiters, moment):
    """Runs three tasks of one batch, of which one is cancelled, at the moment; returns how each has ended."""
    ends = {}

    async def work(name):
        try:
            await waiters.wait()
        except library.cancelled:
            ends[name] = "cancelled"
            raise
        ends[name] = "returned"

    async def main():
        async with library.tasks() as start:
            start(lambda: work("before"))
            cancel = start(lambda: work("victim"))
            start(lambda: work("after"))
            await moment(cancel)
        return ends

    return library.run(main)


WELL = {"before": "returned", "victim": "cancelled", "after": "returned"}


def test_cancelled_before_the_wait_begins(library, wait, waiters):
    async def moment(cancel):
        when_joined(waiters, 3, cancel)
        await wait.started(1)
        wait.end(0)

    assert cancel_at(library, waiters, moment) == WELL


def test_cancelled_while_it_waits(library, wait, waiters):
    async def moment(cancel):
        await wait.started(1)
        cancel()
        await library.turn()
        wait.end(0)

    assert cancel_at(library, waiters, moment) == WELL


def test_cancelled_after_the_end_before_the_loop_heard(library, wait, waiters):
    async def moment(cancel):
        await wait.started(1)
        wait.end(0)
        cancel()

    assert cancel_at(library, waiters, moment) == WELL


def test_cancelled_after_the_loop_heard_before_the_task_runs(library, wait, waiters):
    async def moment(cancel):
        await wait.started(1)
        wait.end(0)
        if library is OnAsyncio:
            asyncio.get_running_loop().call_soon(cancel)
        else:
            trio.lowlevel.current_trio_token().run_sync_soon(cancel)

    # What has been resumed, trio cancels at its next checkpoint.
    victim = "cancelled" if library is OnAsyncio else "returned"
    assert cancel_at(library, waiters, moment) == WELL | {"victim": victim}


@pytest.mark.parametrize("failing", [False, True])
def test_a_batch_whose_tasks_are_all_cancelled(library, failing):
    """The wait may begin, end and fail: nobody hears of it, and nothing complains."""
    dones = []

    def start(done):
        dones.append(done)
        if failing:
            raise MemoryError
        return False

    async def main():
        waiters = Waiters(start, "wait()")
        async with library.tasks() as start_task:
            cancels = [start_task(waiters.wait) for _ in range(10)]
            when_joined(waiters, 10, lambda: [cancel() for cancel in cancels])
        await Waiters(over, "wait()").wait()
        assert len(dones) == 1
        if not failing:
            with beside(dones[0]):
                pass
        await Waiters(over, "wait()").wait()

    library.run(main)
    assert len(dones) == 1


def test_the_ways_to_give_up(library, wait, waiters):
    """asyncio.timeout() and wait_for(), trio.move_on_after(): of many that wait, each gives up for itself."""

    async def on_asyncio():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await waiters.wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiters.wait(), 0.01)
        both = asyncio.gather(waiters.wait(), asyncio.shield(waiters.wait()))
        await wait.started(len(wait.dones) + 1)
        wait.end(-1)
        assert await both == [None, None]

    async def on_trio():
        for seconds in 0, 0.01:
            with trio.move_on_after(seconds) as scope:
                await waiters.wait()
            assert scope.cancelled_caught

    library.run(on_asyncio if library is OnAsyncio else on_trio)


def test_eager_tasks():
    wait = Wait(OnAsyncio)
    waiters = Waiters(wait, "wait()")

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(waiters.wait()) for _ in range(100)]
            assert not wait.dones, "not even now, when they have begun"
            assert not any(task.done() for task in tasks)
            await wait.started(1)
            wait.end(0)

    asyncio.run(main())
    assert len(wait.dones) == 1


# ---- ends of loops -------------------------------------------------------------------------------------------


def test_a_loop_that_ends_before_the_wait_does(library, wait, waiters):
    async def main():
        async with library.tasks() as start:
            cancel = start(waiters.wait)
            await wait.started(1)
            cancel()

    library.run(main)
    wait.end(0)


def test_a_loop_that_is_closed_leaves_its_tasks():
    """asyncio lets one; what ends the wait hears nothing of it."""
    wait = Wait(OnAsyncio)
    waiters = Waiters(wait, "wait()")
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        task = loop.create_task(waiters.wait())
        loop.run_until_complete(wait.started(1))
        task.get_coro().close()
        task._log_destroy_pending = False
    wait.end(0)
    assert not task.done()


def test_an_open_batch_does_not_keep_its_loop_alive():
    wait = Wait(OnAsyncio)
    waiters = Waiters(wait, "wait()")
    loop = run_one_turn(waiters._join)
    gc.collect()
    assert loop() is None
    assert not wait.dones


class Mark:
    """Held by a frame, it tells when that is gone."""


@pytest.mark.parametrize("how", ["returns", "fails", "is cancelled"])
def test_tasks_and_loops_are_gone_after(library, how):
    """Frames at once, without the collector: there is no cycle. Loops have cycles of their own."""
    marks, tokens = [], []
    wait = Wait(library)

    def start(done):
        wait(done)
        if how == "fails":
            raise MemoryError
        return False

    waiters = Waiters(start, "wait()")

    async def work():
        mark = Mark()
        marks.append(weakref.ref(mark))
        if how != "fails":
            await waiters.wait()
            return
        try:
            await waiters.wait()
        except MemoryError:
            return

    async def main():
        tokens.append(
            weakref.ref(asyncio.get_running_loop() if library is OnAsyncio else trio.lowlevel.current_trio_token())
        )
        async with library.tasks() as start_task:
            cancels = [start_task(work) for _ in range(3)]
            await wait.started(1)
            if how == "is cancelled":
                for cancel in cancels:
                    cancel()
                del cancel
            del cancels
            if how == "returns":
                wait.end(0)
        for _ in range(3):
            await library.turn()
        assert [mark() for mark in marks] == [None] * 3

    gc.collect()
    gc.disable()
    try:
        library.run(main)
    finally:
        gc.enable()
    wait.dones.clear()
    gc.collect()
    assert tokens[0]() is None
