"""Coroutines that quiesce their thread each time that they suspend."""

import asyncio
import copy

import pytest
import trio

from loops import Suspensions, echo, generate, suspend
from rcu.aio import quiesce_on_pending


@pytest.fixture
def suspended():
    return Suspensions()


# ---- quiesce_on_pending: any way to drive it -----------------------------------------------------------------


class Awaitable:
    def __init__(self, iterator):
        self.iterator = iterator

    def __await__(self):
        return self.iterator


def test_it_passes_on_what_goes_in_and_out(suspended):
    coroutine = quiesce_on_pending(echo("a", "b"), suspended)
    assert suspended.count == 0
    assert coroutine.send(None) == "a"
    assert suspended.count == 1
    assert coroutine.send(1) == "b"
    assert suspended.count == 2
    with pytest.raises(StopIteration) as stop:
        coroutine.send(2)
    assert stop.value.value == [1, 2]
    assert suspended.count == 2
    with pytest.raises(RuntimeError, match="cannot reuse already awaited coroutine"):
        coroutine.send(None)


@pytest.mark.parametrize(
    "awaitable",
    [
        lambda: echo("a"),
        lambda: suspend("a"),
        lambda: Awaitable(generate("a")),
        lambda: quiesce_on_pending(echo("a"), Suspensions()),
        lambda: agen().asend(None),
    ],
    ids=["coroutine", "generator", "__await__", "itself", "asend"],
)
def test_all_that_can_be_awaited(awaitable, suspended):
    async def outer():
        return await quiesce_on_pending(awaitable(), suspended)

    coroutine = outer()
    assert coroutine.send(None) == "a"
    assert suspended.count == 1
    with pytest.raises(StopIteration) as stop:
        coroutine.send("answer")
    assert stop.value.value == ["answer"]


async def agen():
    yield await suspend("a")


def test_an_iterator_without_send(suspended):
    async def outer():
        return await quiesce_on_pending(Awaitable(iter("ab")), suspended)

    coroutine = outer()
    assert [coroutine.send(None), coroutine.send(None)] == ["a", "b"]
    assert suspended.count == 2
    with pytest.raises(StopIteration):
        coroutine.send(None)


@pytest.mark.parametrize("outside", [lambda inner: inner, lambda inner: through(inner)], ids=["driven", "awaited"])
def test_errors_go_in_and_come_out(suspended, outside):
    async def work():
        try:
            await suspend("a")
        except KeyError:
            await suspend("b")
            raise ValueError("c") from None

    coroutine = outside(quiesce_on_pending(work(), suspended))
    assert coroutine.send(None) == "a"
    assert coroutine.throw(KeyError()) == "b"
    assert suspended.count == 2
    with pytest.raises(ValueError, match="c"):
        coroutine.send(None)
    assert suspended.count == 2


async def through(awaitable):
    return await awaitable


def test_closing_closes_what_is_within(suspended):
    closed = []

    async def work():
        try:
            await suspend("a")
        finally:
            closed.append(1)

    quiesce_on_pending(work(), suspended).close()  # nor does it warn that work() was never awaited
    assert not closed
    for outside in (lambda inner: inner), through:
        coroutine = outside(quiesce_on_pending(work(), suspended))
        coroutine.send(None)
        coroutine.close()
        assert closed
        closed.clear()


def test_awaited_twice_at_once(suspended):
    coroutine = quiesce_on_pending(echo("a"), suspended)
    first, second = through(coroutine), through(coroutine)
    first.send(None)
    with pytest.raises(RuntimeError, match="being awaited already"):
        second.send(None)
    first.close()


def test_never_awaited(suspended):
    with pytest.warns(RuntimeWarning) as warned:
        quiesce_on_pending(echo("a"), suspended)
    assert ["echo" in str(warning.message) for warning in warned] == [True]
    with pytest.warns(RuntimeWarning) as warned:
        quiesce_on_pending(Awaitable(iter("a")), suspended)
    assert ["'quiesce_on_pending' was never" in str(warning.message) for warning in warned] == [True]


@pytest.mark.parametrize("value", [None, 17, print, [1]])
def test_what_cannot_be_awaited(value, suspended):
    with pytest.raises(TypeError) as caught:
        quiesce_on_pending(value, suspended)
    assert repr(value) in str(caught.value)
    assert type(value).__name__ in str(caught.value)
    with pytest.raises(TypeError, match="call it first"):
        quiesce_on_pending(echo, suspended)


def test_it_looks_like_what_is_within(suspended):
    inner = echo("a")
    coroutine = quiesce_on_pending(inner, suspended)
    assert coroutine.cr_frame is inner.cr_frame
    assert coroutine.__qualname__ == "echo"
    assert "echo" in repr(coroutine)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = coroutine.nonsense
    with pytest.raises(TypeError, match="cannot copy or pickle"):
        copy.copy(coroutine)
    coroutine.close()


# ---- quiesce_on_pending: on loops ----------------------------------------------------------------------------


def test_on_loops(library, suspended):
    async def work():
        for _ in range(3):
            await library.turn()
        return "result"

    async def main():
        return await quiesce_on_pending(work(), suspended)

    assert library.run(main) == "result"
    assert suspended.count == 3


def test_as_a_task_of_its_own(library, suspended):
    """A task's first coroutine is what a loop drives, and looks into."""
    ended = []

    async def work():
        await library.turn()
        ended.append(1)
        await library.Event().wait()

    async def main():
        async with library.tasks() as start:
            cancel = start(lambda: quiesce_on_pending(work(), suspended))
            while not ended:
                await library.turn()
            cancel()

    library.run(main)
    assert suspended.count == 2


@pytest.mark.parametrize("eager", [False, True])
def test_futures_and_tasks_of_asyncio(suspended, eager):
    async def main():
        loop = asyncio.get_running_loop()
        if eager:
            loop.set_task_factory(asyncio.eager_task_factory)
        future = loop.create_future()
        loop.call_soon(loop.call_soon, future.set_result, "future")
        assert await asyncio.create_task(quiesce_on_pending(future, suspended)) == "future"
        assert suspended.count == 1
        task = asyncio.create_task(asyncio.sleep(0, "task"))
        assert await quiesce_on_pending(task, suspended) == "task"
        task = asyncio.create_task(quiesce_on_pending(loop.create_future(), suspended))
        await asyncio.sleep(0)
        assert task.get_stack()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        count = suspended.count
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(quiesce_on_pending(loop.create_future(), suspended), 0.01)
        assert suspended.count == count + 1

    asyncio.run(main())


def test_in_a_nursery_of_trio(suspended):
    async def main():
        with trio.move_on_after(0.01) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(quiesce_on_pending, trio.sleep_forever(), suspended)
        assert scope.cancelled_caught

    trio.run(main)
    assert suspended.count == 1
