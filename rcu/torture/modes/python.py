"""Readers and updaters in Python, through every method of a domain."""

import random
import threading

import rcu
from rcu.torture._field import Field
from rcu.torture._readers import Reader
from rcu.torture._updaters import Updater
from rcu.torture.scene import Scene, Setting

TITLE = "readers and updaters in Python"

WORDS = 16
POISON = 0xDBDBDBDB
SHORT = 0.0002  # seconds until a wait gives up


def expected(setting: Setting) -> set[str]:
    names = {"python_sections", "python_overtaken", "python_updates", "periods"}
    return names | ({"python_timeouts"} if setting.updaters > 1 else set())


def build(setting: Setting) -> Scene:
    chance = setting.chance()
    scene = Scene()
    # In C, too: a section in Python is long, and one in C is short.
    field = scene.add_field(Field(rcu.Domain("python", stall_timeout=None)))
    scene.add_reader(Reader(field, chance.getrandbits(64)))
    scene.add_updater(Updater(field, chance.getrandbits(64), "wait"))
    shared = _Shared(field.domain, scene)
    scene.counted.append(shared.counts)
    for i in range(setting.readers):
        reader = _Reader(shared, chance.getrandbits(64))
        scene.add_worker(f"Python reader {i}", reader.run, lambda reader=reader: reader.sections)
    for i in range(setting.updaters):
        updater = _Updater(shared, WAITS[i % len(WAITS)])
        scene.add_worker(f"Python updater {i}", updater.run, lambda updater=updater: updater.updates)
    return scene


class _Page:
    """A resource that is overwritten when it is closed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.words = [number] * WORDS

    def close(self) -> None:
        for i in range(WORDS):
            self.words[i] = POISON

    def check(self) -> None:
        for i in range(WORDS):
            if self.words[i] != self.number:
                raise AssertionError(f"a section met page {self.number:#x}, whose word {i} is {self.words[i]:#x}")


class _Shared:
    def __init__(self, domain: rcu.Domain, scene: Scene) -> None:
        self.domain = domain
        self.scene = scene
        self.current = _Page(0)
        self.publishing = threading.Lock()
        self.number = 0
        self.tally: dict[str, int] = {}

    def replace(self) -> _Page:
        with self.publishing:
            self.number += 1
            old, self.current = self.current, _Page(self.number)
        return old

    def add(self, **counts: int) -> None:
        with self.publishing:
            for name, count in counts.items():
                self.tally[name] = self.tally.get(name, 0) + count

    def counts(self) -> dict[str, int]:
        return self.tally


class _Reader:
    def __init__(self, shared: _Shared, seed: int) -> None:
        self.shared = shared
        self.chance = random.Random(seed)
        self.sections = self.overtaken = 0

    def run(self) -> None:
        domain, stopped = self.shared.domain, self.shared.scene.stopped
        while not stopped.is_set():
            for _ in range(32):
                self.section(domain)
                self.sections += 1
            domain.quiesce()
            if self.chance.random() < 0.05:
                domain.unregister_thread()
        self.shared.add(python_sections=self.sections, python_overtaken=self.overtaken)

    def section(self, domain: rcu.Domain) -> None:
        """In one of the forms that a section can have."""
        match self.chance.randrange(5):
            case 0 | 1:
                with domain:
                    self.look()
            case 2:
                with domain.read() as guard:
                    self.look()
                    guard.release()
            case 3:
                domain.read_lock()
                with domain:
                    page = self.look()
                    domain.read_unlock()  # overlaps: one is still open
                    page.check()
            case 4:
                domain.run(self.look)

    def look(self) -> _Page:
        page = self.shared.current
        page.check()
        for _ in range(self.chance.randrange(20)):
            pass
        self.overtaken += self.shared.current is not page
        page.check()
        return page


class _Updater:
    def __init__(self, shared: _Shared, wait) -> None:
        self.shared = shared
        self.wait = wait
        self.updates = self.timeouts = 0

    def run(self) -> None:
        while not self.shared.scene.stopped.is_set():
            page = self.shared.replace()
            self.timeouts += self.wait(self.shared.domain)
            page.close()
            self.updates += 1
        self.shared.add(python_updates=self.updates, python_timeouts=self.timeouts)


def _synchronize(domain: rcu.Domain) -> int:
    domain.synchronize()
    return 0


def _insist(domain: rcu.Domain) -> int:
    timeouts = 0
    while True:
        try:
            domain.synchronize(timeout=SHORT)
        except TimeoutError:
            timeouts += 1
        else:
            return timeouts


def _poll(domain: rcu.Domain) -> int:
    cookie = domain.start_poll()
    while not domain.poll(cookie):
        pass
    return 0


WAITS = (_synchronize, _insist, _poll)
