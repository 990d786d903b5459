"""Where a cell is faster than a lock and where it is slower: by the length of sections, and the share of writes."""

import threading
import time
from functools import partial
from statistics import median

import rcu
from rcu.bench.findings import Curve, Graph, Line, Spread
from rcu.bench.laps import Loop, alone, require_processors
from rcu.bench.measure import Scale, ratios
from rcu.bench.throughput import interleaved, throughput

TITLE = "a cell against threading.Lock, two threads: above 1 the cell gets more done, below it loses, as with many writes"
LENGTHS_US = (0, 0.1, 1, 10, 100)
WRITES = (0, 0.0001, 0.01, 0.1, 0.5)
_NO_LENGTH_US = 0.01  # where none is shown, for a logarithmic axis has no 0
_REPEATS = 7
_SECONDS = 0.03
_CALIBRATION_TURNS = 10_000


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
            # Only reads: so many that the write is never reached.
            setting = round(length / turn_us), round(1 / share) - 1 if share else 2**62
            measures["cell", length, share] = partial(measure, partial(through_cell, domain, cell, *setting))
            measures["lock", length, share] = partial(measure, partial(under_lock, lock, record, *setting))
    found, _ = interleaved(scale, _REPEATS, measures)
    points = {
        share: {length: ratios(found["cell", length, share], found["lock", length, share]) for length in lengths}
        for share in WRITES
    }
    lines = [_line(share, points[share]) for share in WRITES]
    lines[0] = _with_graph(lines[0], points)
    return lines
