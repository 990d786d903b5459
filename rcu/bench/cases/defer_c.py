"""Deferring in C, beside liburcu's call_rcu: to enqueue, to have all of it run, and the latency of one."""

import statistics

from rcu import Domain
from rcu.bench import _native, liburcu
from rcu.bench.findings import Line, Spread, Target
from rcu.bench.measure import NS, NotMeasured, Scale, ratios

TITLE = "call_rcu in C: enqueueing, throughput and latency, beside liburcu-memb's"
_COUNT = 100_000
_STARTS = 5
_ROUNDS = 7
_US = 1000.0


def run(scale: Scale) -> list[Line]:
    ours, latencies, theirs, why = _measure(scale)
    lines = [
        Line(
            "idle queue: from the call until the callback runs",
            Spread.of([seconds * NS / _US for seconds in latencies]),
            "us",
            Target(300),
            {"liburcu us": statistics.median(latency for _, _, latency in theirs) / _US} if theirs else {},
            "one at a time; nothing else is queued, nobody reads",
        )
    ]
    compared = [
        ("enqueue: rcu / liburcu", 0, Target(0.5), "ns to enqueue one"),
        ("until all have run: rcu / liburcu", 1, Target(0.667), "ns for each"),
    ]
    for what, i, target, unit in compared:
        if theirs:
            mine, other = [pair[i] for pair in ours], [found[i] for found in theirs]
            figures = {f"rcu {unit}": statistics.median(mine), f"liburcu {unit}": statistics.median(other)}
            lines.append(Line(what, ratios(mine, other), "x", target, figures, f"{_COUNT} callbacks that do nothing"))
        else:
            lines.append(Line(what, missing=why))
    return lines


def _measure(scale: Scale) -> tuple[list[tuple[float, float]], list[float], list[list[float]], str]:
    count = scale.count(_COUNT, 1000)
    rounds = scale.count(_ROUNDS, 1)
    callbacks = _native.Callbacks(Domain("bench"), count)
    callbacks.enqueue()
    ours: list[tuple[float, float]] = []
    latencies: list[float] = []
    theirs: list[list[float]] = []
    why = ""
    try:
        with liburcu.program("calls") as program:
            for _ in range(scale.count(_STARTS, 1)):
                said = liburcu.call([program, str(rounds), str(count)])
                theirs += [[float(word) for word in line.split()] for line in said.splitlines()]
                _ours(callbacks, count, rounds, ours, latencies)
    except NotMeasured as error:
        why = str(error)
        _ours(callbacks, count, rounds, ours, latencies)
    return ours, latencies, theirs, why


def _ours(
    callbacks: _native.Callbacks, count: int, rounds: int, pairs: list[tuple[float, float]], latencies: list[float]
) -> None:
    for _ in range(rounds):
        enqueued, over = callbacks.enqueue()
        pairs.append((enqueued * NS / count, over * NS / count))
        latencies.append(callbacks.time_one())
