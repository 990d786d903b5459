"""A counted reference out of a cell, beside one out of cereggii's AtomicRef."""

from functools import partial

from rcu import Cell, Domain
from rcu.bench import rivals
from rcu.bench.findings import Line, Target
from rcu.bench.laps import Loop, beside, flatness, over
from rcu.bench.measure import Scale, line_or_reason, readers_may_leave_counts
from rcu.bench.rivals import Rival

TITLE = "cell.get() and cell.get(guard) beside cereggii.AtomicRef.get(), the turn of the loop included"
TARGET = Target(1.3)


class Payload:
    pass


def get_guarded(pair: tuple[Cell, Domain], turns: int) -> None:
    cell, domain = pair
    with domain.read() as guard:
        for _ in range(turns):
            cell.get(guard)


def run(scale: Scale) -> list[Line]:
    domain = Domain("bench")
    cell = Cell(Payload(), domain=domain)
    target = TARGET if readers_may_leave_counts() else None
    ways = [
        ("cell.get()", over(rivals.read_get, cell), target),
        ("cell.get(guard)", over(get_guarded, (cell, domain)), None),
    ]
    lines = []
    for name, loop, wanted in ways:
        what = f"one thread: {name} / cereggii.AtomicRef.get()"
        lines.append(line_or_reason(what, partial(_one_thread, scale, what, name, loop, wanted)))
    for name, loop, _ in ways:
        what = f"{name}: a turn on each of two threads / on one thread"
        lines.append(line_or_reason(what, partial(flatness, scale, what, loop)))
    return lines


def _one_thread(scale: Scale, what: str, name: str, loop: Loop, target: Target | None) -> Line:
    rival: Rival = rivals.atomic_ref(Payload())
    return beside(scale, what, (name, loop), (rival.name, rival.read), 1, target)
