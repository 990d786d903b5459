"""asyncio and trio under one interface, for tests of what works on both; and a wait whose end a test decides."""

import asyncio
import contextlib
import threading
import types
import weakref

import trio

from threads import beside


class OnAsyncio:
    cancelled = asyncio.CancelledError
    Event = asyncio.Event

    @staticmethod
    def run(main):
        return asyncio.run(main())

    @staticmethod
    async def turn():
        """Lets the other tasks run."""
        await asyncio.sleep(0)

    @staticmethod
    @contextlib.asynccontextmanager
    async def tasks():
        """Yields what starts a function as a task, and returns what cancels it. Joins all tasks."""
        async with asyncio.TaskGroup() as group:
            yield lambda function: group.create_task(function()).cancel


class OnTrio:
    cancelled = trio.Cancelled
    Event = trio.Event

    @staticmethod
    def run(main):
        return trio.run(main)

    @staticmethod
    async def turn():
        await trio.lowlevel.checkpoint()

    @staticmethod
    @contextlib.asynccontextmanager
    async def tasks():
        async with trio.open_nursery(strict_exception_groups=True) as nursery:

            def start(function):
                scope = trio.CancelScope()

                async def work():
                    with scope:
                        await function()

                nursery.start_soon(work)
                return scope.cancel

            yield start


class Wait:
    """A `start` for Waiters. The waits that it begins end when the test says so, on a thread of their own."""

    def __init__(self, library):
        self.runs_on = library
        self.dones = []
        self.threads = []
        self._started = []

    def __call__(self, done):
        self.threads.append(threading.get_ident())
        self.dones.append(done)
        for event in self._started:
            event.set()
        return False

    async def started(self, count):
        """Returns when so many waits have begun."""
        while len(self.dones) < count:
            event = self.runs_on.Event()
            self._started.append(event)
            await event.wait()
            self._started.remove(event)

    def end(self, i):
        """Ends wait number `i`; returns when the thread that has done so is gone."""
        with beside(self.dones[i]):
            pass


def over(_):
    """A `start` of a wait that is over at once."""
    return True


def run_one_turn(function):
    """Runs a loop of asyncio for the turn that calls the function, and closes it; returns a weak reference to it."""
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        loop.call_soon(function)
        loop.call_soon(loop.stop)
        loop.run_forever()
        return weakref.ref(loop)


def when_joined(waiters, count, then):
    """Calls `then` as soon as so many awaits have joined a batch: the last of them is about to be suspended, and
    the wait has not begun."""
    join = waiters._join
    joined = []

    def join_and_count():
        batch = join()
        joined.append(batch)
        if len(joined) == count:
            assert all(batch.is_open for batch in joined)
            then()
        return batch

    waiters._join = join_and_count


class Suspensions:
    """A `suspended` for quiesce_on_pending that counts. In a section?"""

    def __init__(self, held=False):
        self.count = 0
        self.held = held

    def __call__(self):
        self.count += 1
        return self.held


def generate(*requests):
    """Yields each request; returns what was sent in answer."""
    answers = []
    for request in requests:
        answers.append((yield request))
    return answers


@types.coroutine
def suspend(*requests):
    """Suspends with each request; returns what was sent in answer."""
    return (yield from generate(*requests))


async def echo(*requests):
    """The same as a coroutine."""
    return await suspend(*requests)
