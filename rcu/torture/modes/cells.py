"""Cells: readers in Python beside updaters that write in every way there is, and free what they took out."""

import itertools
import random
import threading

import rcu
from rcu.torture._field import Field
from rcu.torture._readers import Reader
from rcu.torture._updaters import Updater
from rcu.torture.scene import Scene, Setting

TITLE = "cells: readers beside updaters that set, swap, compare, update and replace"

WORDS = 16
POISON = 0xDBDBDBDB
GARBAGE = 500  # deferred pages, after which a reclaimer collects them
BURST = 16  # writes, one after the other, of those that do not wait for readers
BACKLOG = 200  # so that updaters wait for room
SHORT = 0.0002  # seconds until a wait gives up


def expected(setting: Setting) -> set[str]:
    names = {"python_sections", "cells_overtaken", "pages_died", "pages_closed", "additions", "periods"}
    names |= {way.__name__.strip("_") for way in WAYS} | {"dropped", "refused"}
    return names | ({"compared_in_vain"} if setting.updaters > 1 else set())


def build(setting: Setting) -> Scene:
    chance = setting.chance()
    scene = Scene()
    rcu.set_garbage_limit(number=GARBAGE)
    # In C, too: a section in Python is long, and one in C is short.
    field = scene.add_field(Field(rcu.Domain("cells", stall_timeout=None, backlog_limit=BACKLOG)))
    scene.add_reader(Reader(field, chance.getrandbits(64)))
    scene.add_updater(Updater(field, chance.getrandbits(64), "wait"))
    shared = _Shared(field.domain, scene, setting.updaters)
    scene.counted.append(shared.counts)
    for i in range(setting.readers):
        reader = _Reader(shared, chance.getrandbits(64))
        scene.add_worker(f"reader of cells {i}", reader.run, lambda reader=reader: reader.sections)
    for i in range(setting.updaters):
        updater = _Updater(shared, chance.getrandbits(64), i)
        scene.add_worker(f"updater of cells {i}", updater.run, lambda updater=updater: updater.updates)
    return scene


class _Page:
    """What is published. It is overwritten when it is closed, and when it dies."""

    __slots__ = ("deaths", "number", "taken", "words")

    def __init__(self, number: int, deaths: dict[int, int]) -> None:
        self.number = number
        self.deaths = deaths
        self.taken = False
        self.words = [number] * WORDS

    def close(self) -> None:
        for i in range(WORDS):
            self.words[i] = POISON

    def __del__(self) -> None:
        self.close()
        ident = threading.get_ident()
        self.deaths[ident] = self.deaths.get(ident, 0) + 1

    def take(self) -> None:
        """It was handed to an updater: to this one only, and whole."""
        self.check()
        if self.taken:
            raise AssertionError(f"page {self.number:#x} was handed out twice")
        self.taken = True

    def check(self) -> None:
        for i in range(WORDS):
            if self.words[i] != self.number:
                raise AssertionError(f"page {self.number:#x} has a word {i} that is {self.words[i]:#x}")


class _Shared:
    def __init__(self, domain: rcu.Domain, scene: Scene, updaters: int) -> None:
        self.domain = domain
        self.scene = scene
        self.deaths: dict[int, int] = {}
        self.cells = [rcu.Cell(_Page(i, self.deaths), domain=domain, deferred=bool(i)) for i in range(2)]
        self.total = rcu.Cell(0, domain=domain)
        self.working = updaters
        self.additions = 0
        self.adding = threading.Lock()
        self.tally: dict[str, int] = {}

    def add(self, counts: dict[str, int]) -> None:
        with self.adding:
            for name, count in counts.items():
                self.tally[name] = self.tally.get(name, 0) + count

    def end_updater(self, additions: int) -> None:
        with self.adding:
            self.additions += additions
            self.working -= 1
            if self.working == 0 and self.total.value != self.additions:
                raise AssertionError(f"of {self.additions} additions to a cell {self.total.value} were made")

    def counts(self) -> dict[str, int]:
        return self.tally | {"pages_died": sum(self.deaths.values()), "additions": self.additions}


class _Reader:
    def __init__(self, shared: _Shared, seed: int) -> None:
        self.shared = shared
        self.chance = random.Random(seed)
        self.sections = self.overtaken = 0

    def run(self) -> None:
        while not self.shared.scene.stopped.is_set():
            for _ in range(32):
                self.section(self.chance.choice(self.shared.cells))
                self.sections += 1
            if self.chance.random() < 0.05:
                self.shared.domain.unregister_thread()
        self.shared.add({"python_sections": self.sections, "cells_overtaken": self.overtaken})

    def section(self, cell: "rcu.Cell[_Page]") -> None:
        match self.chance.randrange(4):
            case 0 | 1:
                with self.shared.domain:
                    page = cell.value
                    self.look(cell, page)
            case 2:
                with self.shared.domain.read() as guard:
                    self.look(cell, cell.get(guard))
            case 3:
                # Of versions that follow each other, each is whole.
                with self.shared.domain:
                    for _ in range(8):
                        cell.value.check()

    def look(self, cell: "rcu.Cell[_Page]", page: _Page) -> None:
        page.check()
        for _ in range(self.chance.randrange(20)):
            pass
        self.overtaken += cell.value is not page
        page.check()


class _Updater:
    def __init__(self, shared: _Shared, seed: int, number: int) -> None:
        self.shared = shared
        self.chance = random.Random(seed)
        self.numbers = itertools.count((number + 1) << 40)
        self.tally = dict.fromkeys(("pages_closed", "dropped", "refused", "compared_in_vain"), 0)
        self.updates = self.additions = 0

    def run(self) -> None:
        try:
            while not self.shared.scene.stopped.is_set():
                way, cell = self.chance.choice(WAYS), self.chance.choice(self.shared.cells)
                name = way.__name__.strip("_")
                times = 1 if way in WAITS else BURST
                for _ in range(times):
                    way(self, cell)
                    self.updates += 1
                self.tally[name] = self.tally.get(name, 0) + times
            self.shared.add(self.tally)
        finally:
            self.shared.end_updater(self.additions)

    def page(self) -> _Page:
        return _Page(next(self.numbers), self.shared.deaths)

    def close(self, page: _Page) -> None:
        page.check()
        page.close()
        self.tally["pages_closed"] += 1


def _set(updater: _Updater, cell: "rcu.Cell[_Page]") -> None:
    cell.set(updater.page())


def _swap(updater: _Updater, cell: "rcu.Cell[_Page]") -> None:
    old = cell.swap(updater.page())
    old.take()
    if updater.chance.random() < 0.5:
        updater.shared.domain.retire(old)
    else:
        updater.shared.domain.synchronize()
        updater.close(old)


def _compare(updater: _Updater, cell: "rcu.Cell[_Page]") -> None:
    # Out of a section, what is read may be closed: it is compared by identity, and looked at when it was taken.
    while True:
        old = cell.value
        for _ in range(updater.chance.randrange(50)):
            pass
        if cell.compare_and_set(old, updater.page()):
            return old.take()
        updater.tally["compared_in_vain"] += 1


def _update(updater: _Updater, cell: "rcu.Cell[_Page]") -> None:
    def func(old: _Page) -> _Page:
        old.take()
        if updater.chance.random() < 0.1:
            try:
                cell.set(old)
            except rcu.DeadlockError:
                updater.tally["refused"] += 1
            else:
                raise AssertionError("a cell was set within its own update")
        return updater.page()

    cell.update(func)


def _replace(updater: _Updater, cell: "rcu.Cell[_Page]") -> None:
    replaced = cell.replace(updater.page())
    replaced.value.take()
    match updater.chance.randrange(3):
        case 0:
            with replaced as old:
                updater.close(old)
        case 1:
            while not replaced.done:
                try:
                    replaced.wait(SHORT)
                except TimeoutError:
                    continue
            updater.close(replaced.value)
        case 2:
            updater.tally["dropped"] += 1


def _add(updater: _Updater, _: "rcu.Cell[_Page]") -> None:
    updater.shared.total.update(lambda number: number + 1)
    while not updater.shared.total.compare_and_set(number := updater.shared.total.value, number + 1):
        updater.tally["compared_in_vain"] += 1
    updater.additions += 2


WAITS = (_swap, _replace)  # for grace periods
WAYS = (_set, _compare, _update, _add, *WAITS)
