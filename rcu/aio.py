"""Turns "call me back" into an awaitable, on asyncio and on trio. Knows no domain.

Neither library is imported here: what runs the calling task has been imported by someone else.
"""

import contextlib
import inspect
import sys
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, cast

import rcu.diagnostics as diagnostics
from rcu._waits import quiesce_thread
from rcu.errors import RcuError

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

__all__ = ["Waiters", "quiesce_on_pending", "quiesce_when_idle"]

type Soon = Callable[[Callable[[], None]], object]
type Start = Callable[[Callable[[], None]], bool]
type Failure = tuple[BaseException, TracebackType | None]


# ---- what runs the caller ------------------------------------------------------------------------------------


def _trio_task() -> Any | None:
    """The calling task, if trio runs it. Where trio is a guest of asyncio, or runs inside of a task of asyncio (a
    notebook's cell, say), asyncio runs as well: it is the task that decides."""
    current_task = getattr(sys.modules.get("trio.lowlevel"), "current_task", None)
    if current_task is not None:
        with contextlib.suppress(RuntimeError):
            return current_task()
    return None


def _asyncio_loop() -> "AbstractEventLoop | None":
    """The loop of asyncio that runs in the calling thread."""
    get_running_loop = getattr(sys.modules.get("asyncio"), "get_running_loop", None)
    if get_running_loop is not None:
        with contextlib.suppress(RuntimeError):
            loop: AbstractEventLoop = get_running_loop()
            return loop
    return None


def _task_name() -> str | None:
    task: Any = _trio_task()
    if task is not None:
        return str(task.name)
    if _asyncio_loop() is not None and (task := sys.modules["asyncio"].current_task()) is not None:
        return str(task.get_name())
    return None


def _this_thread() -> str:
    return diagnostics.describe_threads([(threading.get_ident(), threading.get_native_id())], 1)


# ---- waiting -------------------------------------------------------------------------------------------------


class Waiters:
    """Tasks of any loops, in any threads, that await the same kind of thing. A batch of them, those whose awaits
    begin in the same turn of the same loop, costs one wait and one wake-up.

    :param start: begins the wait of a batch, on the loop's thread, when no task can join the batch any more: so a
        grace period that it starts begins after all of the calls. It must not block. True: there is nothing to wait
        for. False: what it was handed will be called once, from any thread, be it before `start` returns. What it
        raises, each task of the batch gets.
    :param what: what messages call that which is awaited.
    """

    def __init__(self, start: Start, what: str) -> None:
        self._start = start
        self._what = what
        self._here = threading.local()

    def wait(self) -> Coroutine[Any, Any, None]:
        """Await it: returns when the wait of its batch is over. May be cancelled at any time; the others wait on.

        :raises RcuError: neither asyncio nor trio runs the caller.
        """
        waiting = self._wait()
        waiting.__qualname__ = self._what  # what "was never awaited" names
        return waiting

    async def _wait(self) -> None:
        failure = await self._join().suspend()
        if failure is not None:
            error, traceback = failure
            try:
                # All tasks of the batch get this one error: each starts from the traceback that it came with.
                raise error.with_traceback(traceback)
            finally:
                # This frame is in that traceback now: a cycle.
                del failure, error

    def _join(self) -> "_Batch":
        kind: Callable[[Start, Any], _Batch]
        loop: Any
        if _trio_task() is not None:
            kind, loop = _TrioBatch, sys.modules["trio.lowlevel"].current_trio_token()
        elif (loop := _asyncio_loop()) is not None:
            kind = _AsyncioBatch
        else:
            raise RcuError(
                f"{self._what} is awaited in {_this_thread()}, where neither asyncio nor trio runs; await it in a "
                "coroutine that asyncio.run() or trio.run() runs, or call the blocking form in a thread"
            )
        newest: _Batch | None = getattr(self._here, "newest", lambda: None)()
        if newest is not None and newest.is_open and newest.loop is loop:
            return newest
        batch = kind(self._start, loop)
        # The loop keeps it until it is flushed, and what completes it after. A loop that was closed before
        # is not kept alive by this.
        self._here.newest = weakref.ref(batch)
        return batch


class _Batch(ABC):
    """Tasks that one call of `start` serves. Only the loop's thread touches it, but for `done`.

    :param soon: makes the loop call a function in its next turn.
    :param soon_threadsafe: the same from any thread; a RuntimeError says that the loop is closed.
    """

    def __init__(self, start: Start, loop: object, soon: Soon, soon_threadsafe: Soon) -> None:
        self.start = start
        self.loop = loop
        self.soon_threadsafe = soon_threadsafe
        self.is_open = True
        soon(self.flush)

    def flush(self) -> None:
        self.is_open = False
        try:
            over = self.start(self.done)
        except BaseException as error:
            self.complete((error, error.__traceback__))
        else:
            if over:
                self.complete()

    def done(self) -> None:
        """The wait is over, says any thread. If the loop was closed meanwhile, nobody waits there any more."""
        with contextlib.suppress(RuntimeError):
            self.soon_threadsafe(self.complete)

    @abstractmethod
    async def suspend(self) -> Failure | None:
        """Suspends the calling task until the wait is over; returns why it failed, if it has."""

    @abstractmethod
    def complete(self, failure: Failure | None = None) -> None:
        """Resumes the tasks, once."""


class _AsyncioBatch(_Batch):
    def __init__(self, start: Start, loop: "AbstractEventLoop") -> None:
        super().__init__(start, loop, loop.call_soon, loop.call_soon_threadsafe)
        self.new_future = loop.create_future
        self.futures: list[Future[Failure | None]] = []

    async def suspend(self) -> Failure | None:
        future: Future[Failure | None] = self.new_future()
        self.futures.append(future)
        return await future

    def complete(self, failure: Failure | None = None) -> None:
        futures, self.futures = self.futures, []
        for future in futures:
            if not future.done():
                # A failure is a result, too: asyncio complains of exceptions whose task is gone.
                future.set_result(failure)


class _TrioBatch(_Batch):
    def __init__(self, start: Start, token: Any) -> None:
        super().__init__(start, token, token.run_sync_soon, token.run_sync_soon)
        self.tasks: set[Any] = set()

    async def suspend(self) -> Failure | None:
        lowlevel: Any = sys.modules["trio.lowlevel"]
        task = lowlevel.current_task()

        def abort(_: object) -> object:
            self.tasks.discard(task)
            return lowlevel.Abort.SUCCEEDED

        self.tasks.add(task)
        failure: Failure | None = await lowlevel.wait_task_rescheduled(abort)
        return failure

    def complete(self, failure: Failure | None = None) -> None:
        lowlevel: Any = sys.modules["trio.lowlevel"]
        value: Any = sys.modules["outcome"].Value  # what trio takes; it imports it
        tasks, self.tasks = self.tasks, set()
        for task in tasks:
            lowlevel.reschedule(task, value(failure))


# ---- quiescing -----------------------------------------------------------------------------------------------


def quiesce_on_pending[T](awaitable: Awaitable[T], suspended: Callable[[], bool]) -> Coroutine[Any, Any, T]:
    """Returns a coroutine that awaits `awaitable`, with its result, and calls `suspended` each time that it suspends.
    Any library may run it. After minircu's ``quiesce_on_pending``.

    :param suspended: quiesces the thread. True: it cannot, as the thread is in a section; debug mode logs that.
    :raises TypeError: `awaitable` is not one.
    """
    if isinstance(awaitable, Coroutine):
        return _QuiesceOnPending(awaitable, suspended)
    if inspect.isawaitable(awaitable):
        return _QuiesceOnPending(_result_of(awaitable), suspended)
    raise TypeError(
        f"quiesce_on_pending() needs what await takes (a coroutine, a task, a future), not {awaitable!r} of type "
        f"{type(awaitable).__name__}" + ("; call it first" if inspect.iscoroutinefunction(awaitable) else "")
    )


async def _result_of[T](awaitable: Awaitable[T]) -> T:
    return await awaitable


_result_of.__name__ = _result_of.__qualname__ = quiesce_on_pending.__name__  # what "was never awaited" names


class _QuiesceOnPending[T](Coroutine[Any, Any, T]):
    """A coroutine around another. What it yields goes to the loop next: that is when the task is suspended."""

    __slots__ = ("__weakref__", "_coroutine", "_reported", "_suspended")

    def __init__(self, coroutine: Coroutine[Any, Any, T], suspended: Callable[[], bool]) -> None:
        self._coroutine = coroutine
        self._suspended = suspended
        self._reported = False

    def send(self, value: Any) -> Any:
        return self._pass_on(self._coroutine.send(value))

    def throw(self, *error: Any) -> Any:
        return self._pass_on(self._coroutine.throw(*error))

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, T]:
        if getattr(self._coroutine, "cr_await", None) is not None:
            raise RuntimeError(f"{self!r} is being awaited already")
        return cast("Generator[Any, Any, T]", self)

    def __iter__(self) -> "_QuiesceOnPending[T]":
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def __getattr__(self, name: str) -> Any:
        """What looks into coroutines (reprs, debuggers, stacks of tasks) sees the one within."""
        if name.startswith("cr_") or name in ("__name__", "__qualname__"):
            return getattr(self._coroutine, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot copy or pickle {self!r}: it is run once")

    def __repr__(self) -> str:
        return f"<quiesce_on_pending of {self._coroutine!r}>"

    def _pass_on(self, request: Any) -> Any:
        if self._suspended() and not self._reported and _is_debugging(_asyncio_loop()):
            self._reported = True
            name = _task_name()
            _report("a coroutine suspends" if name is None else f"task {name!r} suspends", name)
        return request


def quiesce_when_idle(loop: "AbstractEventLoop | None" = None) -> None:
    """Makes a loop of asyncio, the running one by default, quiesce its thread in all domains each time before it
    blocks for I/O, until it is closed. Doing so twice is harmless.

    For the loops of the standard library; others do not show when they are idle: see ``quiesce_on_pending()``.

    :raises RcuError: no loop was given, and none runs in this thread; or it is closed.
    :raises TypeError: it is another kind of loop.
    """
    if loop is None:
        loop = _asyncio_loop()
        if loop is None:
            raise RcuError(
                f"quiesce_when_idle() without a loop in {_this_thread()}, where asyncio does not run; call it in a "
                "coroutine that asyncio.run() runs, or give it the loop; on trio, use quiesce_on_pending()"
            )
    base: Any = getattr(sys.modules.get("asyncio"), "BaseEventLoop", None)
    if base is None or not isinstance(loop, base) or type(loop)._run_once is not base._run_once:
        raise TypeError(
            f"quiesce_when_idle() knows the loops of the standard library only, not {type(loop).__module__}."
            f"{type(loop).__qualname__}; use quiesce_on_pending() in its coroutines"
        )
    selector: Any = loop._selector
    if selector is None:
        raise RcuError(f"quiesce_when_idle() of a loop that is closed: {loop!r}")
    if not isinstance(selector.select, _QuiescingSelect):
        selector.select = _QuiescingSelect(selector.select, loop)


class _QuiescingSelect:
    """Stands in for the select() of one loop's selector, or of Windows' proactor."""

    def __init__(self, select: Callable[[float | None], Any], loop: "AbstractEventLoop") -> None:
        self._select = select
        self._loop = weakref.ref(loop)
        self._reported = False

    def __call__(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout > 0:
            held = quiesce_thread()
            if held and not self._reported and _is_debugging(loop := self._loop()):
                _report(f"{loop!r} waits for I/O", None)
            self._reported = held
        return self._select(timeout)


def _is_debugging(loop: "AbstractEventLoop | None") -> bool:
    return diagnostics.debug or (loop is not None and loop.get_debug())


def _report(event: str, task: str | None) -> None:
    diagnostics.log_across_await(event, task, [(threading.get_ident(), threading.get_native_id())])
