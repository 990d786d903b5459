"""Where a cell is faster than a lock and where it is slower: by the length of sections, and the share of writes."""

import threading
import time
from functools import partial

import rcu
from rcu.bench.findings import Curve, Graph, Line, Spread
from rcu.bench.laps import Loop, alone, require_processors
from rcu.bench.measure import Scale, ratios
from rcu.bench.throughput import interleaved, throughput

TITLE = "throughput of a cell / of threading.Lock on two threads, by section length and share of writes: where it loses"
LENGTHS_US = (0, 0.1, 1, 10, 100)
WRITES = (0, 0.0001, 0.01, 0.1, 0.5)
_NO_LENGTH_US = 0.01  # where none is shown, for a logarithmic axis has no 0
_REPEATS = 7
_SECONDS = 0.03
_CALIBRATION_TURNS = 10_000
_NEVER = 2**29  # reads; more would be a larger int, which takes longer to count down


class Record:
    __slots__ = ("a", "b", "c", "number")

    def __init__(self, number: int, a: object, b: object, c: object) -> None:
        self.number = number
        self.a = a
        self.b = b
        self.c = c


def following(old: Record) -> Record:
    # Numbers as small as these are immortal, or readers would count them.
    return Record((old.number + 1) & 255, old.a, old.b, old.c)


def idle(turns: int) -> None:
    for _ in range(turns):
        pass


# `reads` come between two writes; where in that a lap begins is by chance. `work` is done within each section.
def through_cell(domain: rcu.Domain, cell: rcu.Cell, work: int, reads: int, turns: int) -> None:
    left = time.perf_counter_ns() % (reads + 1)
    for _ in range(turns):
        if left:
            left -= 1
            with domain:
                cell.value.number  # noqa: B018
                if work:
                    for _ in range(work):
                        pass
        else:
            left = reads
            cell.update(following)


def under_lock(lock: threading.Lock, record: Record, work: int, reads: int, turns: int) -> None:
    left = time.perf_counter_ns() % (reads + 1)
    for _ in range(turns):
        if left:
            left -= 1
            with lock:
                record.number  # noqa: B018
                if work:
                    for _ in range(work):
                        pass
        else:
            left = reads
            with lock:
                record.number = (record.number + 1) & 255


def run(scale: Scale) -> list[Line]:
    require_processors(2)
    lengths = LENGTHS_US[: scale.count(len(LENGTHS_US), 2)]
    idle(_CALIBRATION_TURNS)
    turn_us = min(alone(idle, _CALIBRATION_TURNS) for _ in range(5)) * 1e6
    domain, lock = rcu.Domain("bench"), threading.Lock()
    cell, record = rcu.Cell(Record(0, None, None, None), domain=domain), Record(0, None, None, None)

    def measure(loop: Loop) -> float:
        rate = throughput(scale, [loop] * 2, scale.seconds(_SECONDS))
        domain.barrier()  # what is left to do is not the next measurement's
        return rate

    measures = {}
    for length in lengths:
        for share in WRITES:
            setting = round(length / turn_us), round(1 / share) - 1 if share else _NEVER
            measures["cell", length, share] = partial(measure, partial(through_cell, domain, cell, *setting))
            measures["lock", length, share] = partial(measure, partial(under_lock, lock, record, *setting))
    found, _ = interleaved(scale, _REPEATS, measures)
    points = {
        share: {length: ratios(found["cell", length, share], found["lock", length, share]) for length in lengths}
        for share in WRITES
    }
    graph = Graph(
        "ratio",
        "What two threads get done with a cell / with a lock: below 1 the cell loses",
        f"us of work in each section ({_NO_LENGTH_US} stands for none)",
        "throughput with a cell / with threading.Lock",
        [
            *(
                Curve(f"{100 * share:g} % writes", [(length or _NO_LENGTH_US, of[length]) for length in lengths])
                for share, of in points.items()
            ),
            Curve("break-even", [(length or _NO_LENGTH_US, Spread.of([1.0])) for length in lengths]),
        ],
        log_x=True,
        log_y=True,
    )
    return [_line(share, points[share], graph if share == WRITES[0] else None) for share in WRITES]


def _line(share: float, by_length: dict[float, Spread], graph: Graph | None) -> Line:
    """The spread is that of the shortest sections."""
    shortest = min(by_length)
    lost = [f"{length:g}" for length, spread in by_length.items() if spread.median < 1]
    return Line(
        f"{100 * share:g} % writes, sections without work: cell / lock",
        by_length[shortest],
        "x",
        None,
        {f"sections of {length:g} us: x": spread.median for length, spread in by_length.items()},
        f"the cell LOSES at {', '.join(lost)} us" if lost else "the cell wins at every length",
        graph=graph,
        more_is_better=True,
    )
