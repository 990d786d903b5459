"""The ways to use the interface wrongly: what the tables of misuses_reading.py and misuses_writing.py are made of."""

import asyncio
import copy
import gc
import logging
import pickle
import sys
import warnings

import rcu
from rcu.aio import quiesce_when_idle
from threads import PATIENCE, Holder, eventually, together


class Logged(Exception):
    """What the package has logged, where it cannot raise."""


class Scene:
    """A domain and a cell, of which the misuse is made, and the ways to make it. What is reported instead of raised,
    is raised here."""

    def __init__(self, monkeypatch, domain):
        self.monkeypatch = monkeypatch
        self.domain = domain
        self.other = rcu.Domain()
        self.first = ["first"]
        self.cell = rcu.Cell(self.first, domain=domain)

    def inside(self, func):
        """In a section of the domain."""
        with self.domain:
            func()

    def guarded(self, func, domain=None):
        """In a section, with its guard."""
        with (domain or self.domain).read() as guard:
            func(guard)

    def held(self, func):
        """While another thread is in a section."""
        with Holder(self.domain):
            func()

    def writes(self, how, func):
        """Writes what the function returns in one of five ways."""
        new = func()
        match how:
            case "compare_and_set":
                self.cell.compare_and_set(self.first, new)
            case "update":
                self.cell.update(lambda _: new)
            case _:
                getattr(self.cell, how)(new)

    def updating(self, func):
        """In the function of an update of the cell."""
        self.cell.update(lambda _: func())

    def replaced(self, func):
        """With a Replaced, after which the cell is as before."""
        replaced = rcu.Cell(0, domain=self.domain).replace(1)
        func(replaced)

    def run(self, func):
        """Awaits what the function returns, on asyncio."""

        async def main():
            await func()

        asyncio.run(main())

    def unraised(self, func):
        """Raises what goes to sys.unraisablehook."""
        found = []
        with self.monkeypatch.context() as patch:
            patch.setattr(sys, "unraisablehook", lambda report: found.append(report.exc_value))
            func()
            gc.collect()
            self.domain.barrier(PATIENCE)
        (error,) = found
        raise error

    def callback(self, func, *args):
        """In a callback of the domain."""
        self.unraised(lambda: self.domain.call(func, *args))

    def warned(self, func):
        """Raises what Python warns of."""
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            func()
            gc.collect()
        raise found[0].message

    def logged(self, func):
        """Raises what the package logs."""
        found = []
        handler = logging.Handler()
        handler.emit = found.append
        logging.getLogger("rcu").addHandler(handler)
        try:
            func()
        finally:
            logging.getLogger("rcu").removeHandler(handler)
        raise Logged(found[0].getMessage())


# ---- misuse that takes statements ------------------------------------------------------------------------------------


def enter(context):
    with context:
        raise AssertionError("entered")


async def enter_async(context):
    async with context:
        raise AssertionError("entered")


def unlocked_in_a_with_block(scene):
    with scene.domain:
        scene.domain.read_unlock()


def generator_in_two_threads(scene):
    def generate():
        with scene.domain:
            yield

    generator = generate()
    next(generator)
    try:
        together(lambda: next(generator))
    finally:
        scene.domain.read_unlock()


def guard_of_another_thread(scene, use):
    """Made by this thread and active, used by another."""
    with scene.domain.read() as guard:
        together(lambda: use(guard))


def guard_used_twice(scene):
    guard = scene.domain.read()
    with guard:
        pass
    enter(guard)


def guard_released_twice(guard):
    guard.release()
    guard.release()


def guard_ended_by_hand(scene):
    guard = scene.domain.read().__enter__()
    scene.domain.read_unlock()
    del guard


def get_after_release(scene):
    with scene.domain.read() as guard:
        guard.release()
        scene.cell.get(guard)


def get_after_the_block(scene):
    with scene.domain.read() as guard:
        pass
    with scene.domain:
        scene.cell.get(guard)


def get_after_unlocking_by_hand(scene):
    guard = scene.domain.read().__enter__()
    scene.domain.read_unlock()
    try:
        scene.cell.get(guard)
    finally:
        scene.domain.read_lock()
        guard.release()


def made_outside_awaited_inside(scene, what):
    """The section is open across an await, and the wait begins in it."""

    async def main():
        waiting = what()
        with scene.domain:
            await waiting

    asyncio.run(main())


def awaited_twice(scene):
    async def main():
        waiting = scene.domain.synchronize_async()
        await waiting
        await waiting

    asyncio.run(main())


def ends_in_a_section(scene):
    together(scene.domain.read_lock)
    eventually(lambda: scene.domain.stats().threads == 0)
    scene.domain.stats()


def passes_the_limit(scene):
    scene.domain.backlog_limit = 1
    with scene.domain:
        for _ in range(3):
            scene.domain.call(list)


def closed_loop():
    loop = asyncio.new_event_loop()
    loop.close()
    quiesce_when_idle(loop)


async def coroutine(*_):
    raise AssertionError("runs")


def generator(*_):
    yield


async def async_generator(*_):
    yield


class Methods:
    async def coroutine(self, *_):
        raise AssertionError("runs")


def deferred_then_waits(scene):
    scene.domain.call(scene.cell.set, scene.first)  # which changes nothing, whenever it runs
    scene.domain.barrier()


# ---- what the tables share -------------------------------------------------------------------------------------------

NO_COPIES = [copy.copy, copy.deepcopy, pickle.dumps]
BODILESS = [coroutine, generator, async_generator, Methods().coroutine]

NO_BODY = "coroutine or generator function ... pass a plain function"
SECONDS = "must be a number of seconds"
ITSELF = "{domain} ... {thread} ... 1 nested section(s) ... leave them first"
NO_LOOP = "{thread} ... neither asyncio nor trio runs ... asyncio.run()"
OF_ANOTHER = "<rcu.Guard of {domain} ... thread 'Thread- ... belongs to the thread"
