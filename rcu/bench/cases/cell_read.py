"""Reading a cell beside a slot of the thread's own object, on one thread; and both on two threads at once."""

from collections.abc import Callable
from functools import partial

from rcu import Cell, Domain
from rcu.bench import rivals
from rcu.bench.findings import Line, Target
from rcu.bench.laps import LAP, Loop, beside, flatness, over
from rcu.bench.measure import Scale, line_or_reason, readers_may_leave_counts

TITLE = "cell.value beside a slot of the thread's own object, the turn of the loop included; one thread and two"
OWN = FLAT = Target(1.10)
_LAP = 2000  # turns; to call a function counts the variables that it encloses

CELL: Cell | None = None


class Payload:
    """What is published: an ordinary instance, which readers of a cell need not count."""


def read_global(_: None, turns: int) -> None:
    for _ in range(turns):
        CELL.value  # noqa: B018


def reader_of(cell: Cell) -> Loop:
    def read_enclosed(_: None, turns: int) -> None:
        for _ in range(turns):
            cell.value  # noqa: B018

    return over(read_enclosed, None)


def run(scale: Scale) -> list[Line]:
    global CELL
    cell = CELL = Cell(Payload(), domain=Domain("bench"))
    own, flat = (OWN, FLAT) if readers_may_leave_counts() else (None, None)
    local = over(rivals.read_value, cell)
    slot = over(rivals.read_value, rivals.Slots(Payload()))
    what = "one thread: cell.value / a slot of the thread's own object"
    shared: list[tuple[str, Target | None, int, Callable[[], Loop]]] = [
        ("cell.value, the cell a local variable", flat, _LAP, lambda: local),
        ("cell.value, the cell a module global", flat, _LAP, lambda: over(read_global, None)),
        ("cell.value, the cell a variable of an enclosing function", flat, _LAP, lambda: reader_of(cell)),
        ("an attribute of a shared object", None, LAP, lambda: rivals.plain_attribute(Payload()).read),
        ("a module global", None, LAP, lambda: rivals.module_global(Payload()).read),
        ("cereggii.AtomicRef.get()", None, LAP, lambda: rivals.atomic_ref(Payload()).read),
    ]
    return [
        line_or_reason(what, partial(beside, scale, what, ("cell.value", local), ("slot", slot), 1, own)),
        *(_two_threads(scale, *setting) for setting in shared),
    ]


def _two_threads(scale: Scale, name: str, target: Target | None, lap: int, make: Callable[[], Loop]) -> Line:
    what = f"{name}: a turn on each of two threads / on one thread"
    return line_or_reason(what, lambda: flatness(scale, what, make(), target, lap=lap))
