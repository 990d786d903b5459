"""A router: each request looks a path up in a table of 10,000 routes, which is swapped whole."""

import itertools
import sys
import threading
import time

import rcu
from rcu.bench import scenario
from rcu.bench.findings import Line
from rcu.bench.measure import Scale
from rcu.bench.rivals import package

TITLE = "a router of 10,000 routes, swapped whole: requests that look up one path each; one thread and two"
ROUTES = 10_000


class Table:
    """Routes of two shapes, `/section/name` and `/section/{any}/name`.

    The keys are interned, which makes them immortal in free-threaded Python. A look-up must hold on to the key that it
    compares with; where it cannot do so by itself, it takes the dictionary's lock each time.
    """

    __slots__ = ("targets",)

    def __init__(self) -> None:
        self.targets: dict[str, tuple[int, str]] = {}
        for number in range(ROUTES // 2):
            self.targets[sys.intern(f"/shop/{number}")] = (number, "shop")
            self.targets[sys.intern(f"/users/{{}}/{number}")] = (number, "users")

    def match(self, path: str) -> tuple[int, str]:
        target = self.targets.get(path)
        if target is None:
            section, _, name = path[1:].split("/")
            target = self.targets[f"/{section}/{{}}/{name}"]
        return target


def requests() -> tuple[int, int]:
    """Where a thread begins, and how many different requests there are; both are its own, so it alone counts them."""
    different = ROUTES // 2
    return time.perf_counter_ns() % different, different


class InCell:
    """In sections, so that old tables die in the reclaimer and not in the thread that serves."""

    def __init__(self) -> None:
        self._domain = rcu.Domain("router")
        # Made once, for that takes longer than the requests.
        tables = [Table(), Table()]
        for table in tables:
            rcu.share(table.targets)  # the cell shares the table itself
        self._tables = itertools.cycle(tables)
        self._routes = rcu.Cell(next(self._tables), domain=self._domain)
        rcu.share(self)

    def serve(self, turns: int) -> None:
        number, different = requests()
        for _ in range(turns):
            number = (number * 21 + 7) % different  # all of them, scattered
            with self._domain:
                self._routes.value.match(f"/users/anna/{number}")

    def swap(self) -> None:
        self._routes.set(next(self._tables))
        self._domain.barrier()  # the reclaimer is at rest again


class UnderLock:
    def __init__(self) -> None:
        self._tables = itertools.cycle([Table(), Table()])
        self._lock = threading.Lock()
        self.swap()

    def serve(self, turns: int) -> None:
        number, different = requests()
        for _ in range(turns):
            number = (number * 21 + 7) % different  # all of them, scattered
            with self._lock:
                table = self._table
            table.match(f"/users/anna/{number}")

    def swap(self) -> None:
        with self._lock:
            self._table = next(self._tables)


class UnderReaderWriterLock:
    def __init__(self) -> None:
        self._tables = itertools.cycle([Table(), Table()])
        self._lock = package("readerwriterlock").rwlock.RWLockFair()
        self.swap()

    def serve(self, turns: int) -> None:
        number, different = requests()
        for _ in range(turns):
            number = (number * 21 + 7) % different  # all of them, scattered
            with self._lock.gen_rlock():
                table = self._table
            table.match(f"/users/anna/{number}")

    def swap(self) -> None:
        with self._lock.gen_wlock():
            self._table = next(self._tables)


class Plain:
    def __init__(self) -> None:
        self._tables = itertools.cycle([Table(), Table()])
        self.swap()

    def serve(self, turns: int) -> None:
        number, different = requests()
        for _ in range(turns):
            number = (number * 21 + 7) % different  # all of them, scattered
            self._table.match(f"/users/anna/{number}")

    def swap(self) -> None:
        self._table = next(self._tables)


def run(scale: Scale) -> list[Line]:
    ways = {
        "rcu.Cell": InCell,
        "threading.Lock": UnderLock,
        "RWLockFair": UnderReaderWriterLock,
        "plain attribute": Plain,
    }
    notes = {
        "rcu.Cell": "what a mapping returns is counted, so threads that meet at one route contend",
        "plain attribute": "right where nobody needs to know when the old table is out of use",
    }
    return scenario.run(scale, "rcu.Cell", ways, notes=notes)
