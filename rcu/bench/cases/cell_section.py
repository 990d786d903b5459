"""A read in a section beside one under a lock and under a reader-writer lock, on one thread and on two."""

from collections.abc import Callable
from functools import partial

from rcu import Cell, Domain
from rcu.bench import rivals
from rcu.bench.findings import Line, Target
from rcu.bench.laps import LAP, beside, over
from rcu.bench.measure import Scale, free_threaded, line_or_reason, readers_may_leave_counts
from rcu.bench.rivals import Rival

TITLE = "with domain: cell.value beside a read under locks, the turn of the loop included; one thread and two"
_LAP_OF_SLOW = 20  # turns


class Payload:
    pass


def targets() -> dict[tuple[str, int], Target]:
    """By rival and number of threads. Where every reader counts, a section is still to be no slower than a lock."""
    if readers_may_leave_counts():
        return {("threading.Lock", 2): Target(0.30), ("RWLockFair", 2): Target(1 / 40)}
    if free_threaded():
        return {("threading.Lock", threads): Target(1.0) for threads in (1, 2)}
    return {}


def read_in_section(pair: tuple[Domain, Cell], turns: int) -> None:
    domain, cell = pair
    for _ in range(turns):
        with domain:
            cell.value  # noqa: B018


def run(scale: Scale) -> list[Line]:
    lines = []
    for name, make, lap in [
        ("threading.Lock", rivals.lock_and_attribute, LAP),
        ("RWLockFair", rivals.rwlock_and_attribute, _LAP_OF_SLOW),
    ]:
        for threads in 1, 2:
            on = "one thread" if threads == 1 else "each of two threads"
            what = f"{on}: with domain: cell.value / with {name}: holder.value"
            target = targets().get((name, threads))
            lines.append(line_or_reason(what, partial(_line, scale, what, make, threads, target, lap)))
    return lines


def _line(
    scale: Scale, what: str, make: Callable[[object], Rival], threads: int, target: Target | None, lap: int
) -> Line:
    domain, rival = Domain("bench"), make(Payload())
    section = over(read_in_section, (domain, Cell(Payload(), domain=domain)))
    return beside(scale, what, ("section", section), (rival.name, rival.read), threads, target, lap)
