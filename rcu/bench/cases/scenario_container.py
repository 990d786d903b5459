"""A dependency container: all threads resolve one shared singleton, and use it."""

import threading

import rcu
from rcu.bench import scenario
from rcu.bench.findings import Line, Target
from rcu.bench.measure import Scale
from rcu.bench.rivals import package

TITLE = "a dependency container: requests that resolve one shared database and use it; one thread and two"
TARGET = Target(low=1.9)


class Database:
    __slots__ = ("_open", "port")

    def __init__(self) -> None:
        self.port = 54  # an int as small as this one is immortal: what is read of an object may be counted, too
        self._open = True

    def query(self) -> int:
        return self.port if self._open else -1

    def close(self) -> None:
        self._open = False


class InCell:
    """The one that waits for no reader, and closes the old database when all have left it."""

    def __init__(self) -> None:
        self._domain = rcu.Domain("container")
        self._database = rcu.Cell(Database(), domain=self._domain)
        rcu.share(self)

    def resolve(self) -> Database:
        return self._database.value

    def serve(self, turns: int) -> None:
        for _ in range(turns):
            with self._domain:
                self.resolve().query()

    def swap(self) -> None:
        with self._database.replace(Database()) as old:
            old.close()


class UnderLock:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._database = Database()

    def resolve(self) -> Database:
        return self._database

    def serve(self, turns: int) -> None:
        for _ in range(turns):
            with self._lock:
                self.resolve().query()

    def swap(self) -> None:
        with self._lock:
            self._database.close()
            self._database = Database()


class UnderReaderWriterLock:
    def __init__(self) -> None:
        self._lock = package("readerwriterlock").rwlock.RWLockFair()
        self._database = Database()

    def resolve(self) -> Database:
        return self._database

    def serve(self, turns: int) -> None:
        for _ in range(turns):
            with self._lock.gen_rlock():
                self.resolve().query()

    def swap(self) -> None:
        with self._lock.gen_wlock():
            self._database.close()
            self._database = Database()


class Plain:
    """Whoever replaced the database could not tell when to close the old one, and does not."""

    def __init__(self) -> None:
        self._database = Database()

    def resolve(self) -> Database:
        return self._database

    def serve(self, turns: int) -> None:
        for _ in range(turns):
            self.resolve().query()

    def swap(self) -> None:
        self._database = Database()


def run(scale: Scale) -> list[Line]:
    ways = {
        "rcu.Cell": InCell,
        "threading.Lock": UnderLock,
        "RWLockFair": UnderReaderWriterLock,
        "plain attribute": Plain,
    }
    notes = {"plain attribute": "the old database is never closed, for nobody knows when it may be"}
    return scenario.run(scale, "rcu.Cell", ways, TARGET, notes)
