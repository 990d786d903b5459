"""Publishing through a cell while two threads read it, beside rebinding an attribute under a lock that they take."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rcu import Cell, Domain
from rcu.bench import rivals
from rcu.bench.cases.cell_section import read_in_section
from rcu.bench.findings import Line, Spread, Target
from rcu.bench.laps import LAP, Loop, over
from rcu.bench.measure import (
    NS,
    Readers,
    Scale,
    line_or_reason,
    ns,
    readers_may_leave_counts,
    repeated,
    require_threads_in_parallel,
)

TITLE = "set, swap, compare_and_set and update of a cell beside a lock; two threads read meanwhile, and nobody"
TARGET_NS = Target(1000)
_WRITES = 100_000
_REPEATS = 15
_READERS = 2
_PROCESSOR_TIME = "processor time of the writer, for readers and the reclaimer want the processors, too"


class Payload:
    __slots__ = ("number",)


def set_all(cell: Cell, values: list) -> None:
    for new in values:
        cell.set(new)


def swap_all(cell: Cell, values: list) -> None:
    for new in values:
        cell.swap(new)


def exchange_all(cell: Cell, values: list) -> None:
    old = cell.value
    for new in values:
        cell.compare_and_set(old, new)
        old = new


def update_all(cell: Cell, values: list) -> None:
    following = iter(values)

    def func(_: object) -> object:
        return next(following)

    for _ in values:
        cell.update(func)


def write_all(write: Callable[[object], object], values: list) -> None:
    for new in values:
        write(new)


def set_under_lock(pair: tuple[threading.Lock, rivals.Holder], values: list) -> None:
    lock, holder = pair
    for new in values:
        with lock:
            holder.value = new


def update_under_lock(pair: tuple[threading.Lock, rivals.Holder], values: list) -> None:
    lock, holder = pair
    following = iter(values)

    def func(_: object) -> object:
        return next(following)

    for _ in values:
        with lock:
            holder.value = func(holder.value)


@dataclass(frozen=True, slots=True)
class Way:
    """To write; `read` is what readers do meanwhile, `settle` what ends the writes' consequences."""

    write: Callable[[list], None]
    read: Loop
    settle: Callable[[], object] = lambda: None


def through_cell(write: Callable[[Cell, list], None]) -> Way:
    domain = Domain("bench")
    cell = Cell(Payload(), domain=domain)
    return Way(partial(write, cell), over(read_in_section, (domain, cell)), domain.barrier)


def under_lock(write: Callable[[tuple[threading.Lock, rivals.Holder], list], None]) -> Way:
    pair = threading.Lock(), rivals.Holder(Payload())
    return Way(partial(write, pair), over(rivals.read_under_lock, pair))


def through_ref() -> Way:
    rival = rivals.atomic_ref(Payload())
    return Way(partial(write_all, rival.write), rival.read)


WAYS: dict[str, Callable[[], Way]] = {
    "cell.set(new)": partial(through_cell, set_all),
    "cell.swap(new)": partial(through_cell, swap_all),
    "cell.compare_and_set(old, new)": partial(through_cell, exchange_all),
    "cell.update(func)": partial(through_cell, update_all),
    "with lock: holder.value = new": partial(under_lock, set_under_lock),
    "with lock: holder.value = func(holder.value)": partial(under_lock, update_under_lock),
    "cereggii.AtomicRef.set(new)": through_ref,
}


def run(scale: Scale) -> list[Line]:
    lines = []
    for name, make in WAYS.items():
        what = f"{name}, two threads read meanwhile"
        target = TARGET_NS if name == "cell.set(new)" and readers_may_leave_counts() else None
        lines.append(line_or_reason(what, partial(_with_readers, scale, what, make, target)))
    for name, make in WAYS.items():
        what = f"{name}, nobody reads"
        lines.append(line_or_reason(what, partial(_alone, scale, what, make)))
    return lines


def _with_readers(scale: Scale, what: str, make: Callable[[], Way], target: Target | None) -> Line:
    require_threads_in_parallel()
    way = make()
    with Readers(partial(way.read, LAP), _READERS) as readers:
        found, said = repeated(
            scale, _REPEATS, partial(readers.watch, partial(_write, way, scale.count(_WRITES, 500))), here=False
        )
        figures = {
            "elapsed ns": ns([took for _, took in found]),
            "fewest reads of a thread meanwhile": readers.fewest * LAP,
        }
    return _line(what, [ran for ran, _ in found], target, figures, said)


def _alone(scale: Scale, what: str, make: Callable[[], Way]) -> Line:
    way, count = make(), scale.count(_WRITES, 500)
    found, said = repeated(scale, _REPEATS, partial(_write, way, count), here=False)
    return _line(what, [ran for ran, _ in found], None, {"writes": count}, said)


def _write(way: Way, count: int) -> tuple[float, float]:
    """Seconds for a write: of the processor, and elapsed."""
    values = [Payload() for _ in range(count)]
    began, ran = time.perf_counter_ns(), time.thread_time_ns()
    way.write(values)
    ran, took = time.thread_time_ns() - ran, time.perf_counter_ns() - began
    way.settle()
    return ran / NS / count, took / NS / count


def _line(what: str, ran: list[float], target: Target | None, figures: dict[str, float], said: str) -> Line:
    note = f"{_PROCESSOR_TIME}; {said}".rstrip("; ")
    return Line(what, Spread.of([seconds * NS for seconds in ran]), "ns", target, figures, note)
