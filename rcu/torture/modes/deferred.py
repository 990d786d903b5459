"""Updaters that defer, threads that end with work left behind, domains that close with it, forks with it pending."""

import asyncio
import gc
import mmap
import os
import random
import sys
import sysconfig
import threading
import time

import rcu
from rcu.torture._deferrers import WAYS, Deferrer, Removed, batches
from rcu.torture._field import Field
from rcu.torture._readers import Reader
from rcu.torture._updaters import Updater
from rcu.torture.modes.fork import Forker
from rcu.torture.scene import Scene, Setting

TITLE = "callbacks that free: outboxes, reclaimers, barriers, forks with work pending"

BACKLOG = 64  # so that updaters wait for room
LEFT = 20  # callbacks that a thread leaves behind
NAP = 0.0001  # seconds between looks at what others do

# ThreadSanitizer does not follow threads that are started in a child of a process that has threads, and crashes there.
_FORKS = hasattr(os, "fork") and "--with-thread-sanitizer" not in (sysconfig.get_config_var("CONFIG_ARGS") or "")


def expected(_: Setting) -> set[str]:
    names = {"sections", "periods", "overtaken", "deferred", "run", "batches", "waits_for_room", "attached_again"}
    names |= {"barriers", "left_behind", "closed", "woken", "awaited"}
    # Domains are immortal on 3.13t: see _refcount.
    if sys.version_info >= (3, 14) or not sysconfig.get_config_var("Py_GIL_DISABLED"):
        names |= {"closed_pending"}
    return names | ({"forks", "forks_in_section", "pending_at_fork"} if _FORKS else set())


def build(setting: Setting) -> Scene:
    chance = setting.chance()
    scene = Scene()
    field = scene.add_field(Field(rcu.Domain("deferred", backlog_limit=BACKLOG)))
    scene.counted.append(lambda: {"batches": batches(field)})
    for _ in range(setting.readers):
        scene.add_reader(Reader(field, chance.getrandbits(64)))
    scene.add_updater(Updater(field, chance.getrandbits(64), "wait"))
    deferrers = []
    for i in range(max(setting.updaters - 1, 1)):
        deferrer = Deferrer(field, chance.getrandbits(64), WAYS[-1 - i % len(WAYS)])
        deferrers.append(deferrer)
        scene.counted.append(deferrer.counts)
        name = f"deferrer {i} ({deferrer.way})"
        scene.add_worker(name, lambda one=deferrer: _see_through(one), lambda one=deferrer: one.progress)
    for one in (_Parent, _Closer, _Loop):
        worker = one(scene, field, chance.getrandbits(64))
        scene.counted.append(worker.counts)
        scene.add_worker(one.__name__.strip("_").lower(), worker.run, lambda worker=worker: worker.done)
    if _FORKS:
        forker = _Forker(scene, field, chance.getrandbits(64), deferrers)
        scene.counted.append(forker.counts)
        scene.add_worker("forker", forker.run, lambda: forker.forks)
    return scene


def _work(deferrer: Deferrer) -> None:
    while deferrer.run():
        pass


def _see_through(deferrer: Deferrer) -> None:
    """Works, and waits until all that was deferred has come to its end, each once."""
    _work(deferrer)
    deferrer.barrier()
    # Some were deferred again by their callbacks, and what Python drops it may drop later.
    while deferrer.pending():
        deferrer.field.domain.barrier()
        time.sleep(NAP)
    deferrer.check()


class _Parent:
    """Starts threads that defer and end, one after the other."""

    def __init__(self, scene: Scene, field: Field, seed: int) -> None:
        self.scene = scene
        self.field = field
        self.chance = random.Random(seed)
        self.done = self.left_behind = 0

    def run(self) -> None:
        while not self.scene.stopped.is_set():
            child = Deferrer(self.field, self.chance.getrandbits(64), self.chance.choice(WAYS), limit=LEFT)
            thread = threading.Thread(target=_work, args=(child,))
            thread.start()
            thread.join()
            self.left_behind += child.pending() != 0
            _see_through(child)
            self.done += 1

    def counts(self) -> dict[str, int]:
        return {"threads": self.done, "left_behind": self.left_behind}


class _Closer:
    """Wakes the reclaimer of a domain of its own from its sleep, and closes the domain with work pending."""

    def __init__(self, scene: Scene, _: Field, seed: int) -> None:
        self.scene = scene
        self.chance = random.Random(seed)
        self.done = self.pending = self.woken = 0

    def run(self) -> None:
        while not self.scene.stopped.is_set():
            field = Field(rcu.Domain("closed"))
            first = Deferrer(field, self.chance.getrandbits(64), "head", limit=1)
            last = Deferrer(field, self.chance.getrandbits(64), "call", limit=LEFT)
            _work(first)
            while first.pending() or not first.reclaimer_sleeps():
                time.sleep(NAP)
            self.woken += 1
            last.hold()
            _work(last)
            first.let_go()
            last.let_go()
            del field
            gc.collect()  # domains are shared between threads: nobody else counts who uses them
            self.pending += last.release()
            while last.pending():
                time.sleep(NAP)
            last.check()
            self.done += 1

    def counts(self) -> dict[str, int]:
        return {"closed": self.done, "closed_pending": self.pending, "woken": self.woken}


class _Loop:
    """Awaits grace periods, and what is deferred."""

    def __init__(self, scene: Scene, field: Field, _: int) -> None:
        self.scene = scene
        self.field = field
        self.done = 0

    def run(self) -> None:
        asyncio.run(self.work())

    async def work(self) -> None:
        while not self.scene.stopped.is_set():
            removed = [Removed(self.field) for _ in range(LEFT)]
            await self.field.domain.synchronize_async()
            for one in removed:
                one.bury()
            if self.done % 8 == 0:
                await self.field.domain.barrier_async()
            self.done += 1

    def counts(self) -> dict[str, int]:
        return {"awaited": self.done}


class _Forker(Forker):
    """Forks with work pending: the child calls all of it, and none twice."""

    def __init__(self, scene: Scene, field: Field, seed: int, deferrers: list[Deferrer]) -> None:
        super().__init__(scene, field, seed)
        self.deferrers = deferrers
        self.pending = mmap.mmap(-1, 1)  # shared with the children

    def check(self, inside: bool) -> None:
        if any(one.pending() for one in self.deferrers):
            self.pending[0] = 1
        if inside:
            self.field.domain.read_unlock()
        for one in self.deferrers:
            one.check_in_child()
        again = Deferrer(self.field, self.chance.getrandbits(64), "mixed", limit=LEFT)
        _see_through(again)

    def counts(self) -> dict[str, int]:
        return super().counts() | {"pending_at_fork": self.pending[0]}
