"""Feature flags: a frozen dataclass that each request reads once, and works with to its end."""

import dataclasses
import threading

import rcu
from rcu.bench import scenario
from rcu.bench.findings import Line
from rcu.bench.measure import Scale
from rcu.bench.rivals import package

TITLE = "feature flags: requests that take one consistent set of flags and ask for three of them; one thread and two"


@dataclasses.dataclass(frozen=True, slots=True)
class Flags:
    revision: int = 0
    new_checkout: bool = False
    new_receipt: bool = False
    maintenance: bool = False


def flipped(old: Flags) -> Flags:
    on = not old.new_checkout
    return dataclasses.replace(old, revision=old.revision + 1, new_checkout=on, new_receipt=on)


class InCell:
    """No section: what a thread holds stays alive, and flags need not be closed."""

    def __init__(self) -> None:
        self._domain = rcu.Domain("flags")
        self._flags = rcu.Cell(Flags(), domain=self._domain)
        rcu.share(self)

    def serve(self, turns: int) -> None:
        for _ in range(turns):
            flags = self._flags.value
            if not flags.maintenance:
                flags.new_checkout, flags.new_receipt  # noqa: B018

    def swap(self) -> None:
        self._flags.update(flipped)
        self._domain.barrier()  # the reclaimer is at rest again


class UnderLock:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flags = Flags()

    def serve(self, turns: int) -> None:
        for _ in range(turns):
            with self._lock:
                flags = self._flags
            if not flags.maintenance:
                flags.new_checkout, flags.new_receipt  # noqa: B018

    def swap(self) -> None:
        with self._lock:
            self._flags = flipped(self._flags)


class UnderReaderWriterLock:
    def __init__(self) -> None:
        self._lock = package("readerwriterlock").rwlock.RWLockFair()
        self._flags = Flags()

    def serve(self, turns: int) -> None:
        for _ in range(turns):
            with self._lock.gen_rlock():
                flags = self._flags
            if not flags.maintenance:
                flags.new_checkout, flags.new_receipt  # noqa: B018

    def swap(self) -> None:
        with self._lock.gen_wlock():
            self._flags = flipped(self._flags)


class Plain:
    def __init__(self) -> None:
        self._flags = Flags()

    def serve(self, turns: int) -> None:
        for _ in range(turns):
            flags = self._flags
            if not flags.maintenance:
                flags.new_checkout, flags.new_receipt  # noqa: B018

    def swap(self) -> None:
        self._flags = flipped(self._flags)


def run(scale: Scale) -> list[Line]:
    ways = {
        "rcu.Cell": InCell,
        "threading.Lock": UnderLock,
        "RWLockFair": UnderReaderWriterLock,
        "plain attribute": Plain,
    }
    notes = {"plain attribute": "consistent, too; but of two updates at once, one may be lost"}
    return scenario.run(scale, "rcu.Cell", ways, notes=notes)
