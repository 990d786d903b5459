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
_WRITES = 20_000
_REPEATS = 31
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

    name: str
    write: Callable[[list], None]
    read: Loop
    settle: Callable[[], object]
    target: Target | None = None


def run(scale: Scale) -> list[Line]:
    domain = Domain("bench")
    cell = Cell(Payload(), domain=domain)
    lock, holder = pair = threading.Lock(), rivals.Holder(Payload())
    target = TARGET_NS if readers_may_leave_counts() else None
    through_cell = over(read_in_section, (domain, cell)), domain.barrier
    through_lock = over(rivals.read_under_lock, (lock, holder)), lambda: None
    ways = [
        Way("cell.set(new)", partial(set_all, cell), *through_cell, target),
        Way("cell.swap(new)", partial(swap_all, cell), *through_cell),
        Way("cell.compare_and_set(old, new)", partial(exchange_all, cell), *through_cell),
        Way("cell.update(func)", partial(update_all, cell), *through_cell),
        Way("with lock: holder.value = new", partial(set_under_lock, pair), *through_lock),
        Way("with lock: holder.value = func(holder.value)", partial(update_under_lock, pair), *through_lock),
    ]
    lines = []
    for way in ways:
        what = f"{way.name}, two threads read meanwhile"
        lines.append(line_or_reason(what, partial(_with_readers, scale, what, way)))
    for way in ways:
        what = f"{way.name}, nobody reads"
        lines.append(line_or_reason(what, partial(_line, scale, what, way, None, None)))
    return lines


def _with_readers(scale: Scale, what: str, way: Way) -> Line:
    require_threads_in_parallel()
    with Readers(partial(way.read, LAP), _READERS) as readers:
        return _line(scale, what, way, way.target, readers)


def _line(scale: Scale, what: str, way: Way, target: Target | None, readers: Readers | None) -> Line:
    count = scale.count(_WRITES, 500)

    def measure() -> tuple[float, float]:
        values = [Payload() for _ in range(count)]
        began, ran = time.perf_counter_ns(), time.thread_time_ns()
        way.write(values)
        ran, took = time.thread_time_ns() - ran, time.perf_counter_ns() - began
        way.settle()
        return ran / NS / count, took / NS / count

    watched = measure if readers is None else partial(readers.watch, measure)
    found, said = repeated(scale, _REPEATS, watched, here=readers is None)
    ran, took = [pair[0] for pair in found], [pair[1] for pair in found]
    figures = {"elapsed ns": ns(took)}
    if readers is not None:
        figures["fewest reads of a thread meanwhile"] = readers.fewest * LAP
    return Line(what, Spread.of([seconds * NS for seconds in ran]), "ns", target, figures, said or _PROCESSOR_TIME)
