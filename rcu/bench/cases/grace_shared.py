"""Updaters that wait at the same time share grace periods."""

import statistics
import threading
import time
from functools import partial

from rcu import Domain
from rcu.bench.findings import Line, Spread, Target
from rcu.bench.measure import (
    BusyReader,
    Scale,
    at_once,
    line_or_reason,
    pause_of,
    pinned,
    readers_processor,
    repeated,
    require_threads_in_parallel,
)

TITLE = "16 threads that call synchronize() at once: grace periods for a call"
CALLERS = 16
TARGET = Target(0.25)


def run(scale: Scale) -> list[Line]:
    require_threads_in_parallel()
    settings = [
        ("one busy reader in C, sections of about 50 us", 50e-6, TARGET),
        ("one busy reader in C, sections of about 2 us", 2e-6, TARGET),
        ("no reader: a grace period costs less than sharing one would", None, None),
    ]
    return [line_or_reason(setting[0], partial(_line, scale, *setting)) for setting in settings]


def _line(scale: Scale, what: str, section: float | None, target: Target | None) -> Line:
    domain = Domain("bench")
    seconds = scale.seconds(0.03)

    def share() -> tuple[float, float]:
        before = domain.stats().grace_periods
        calls = _calls(domain, CALLERS, seconds)
        return (domain.stats().grace_periods - before) / calls, calls / seconds

    def alone() -> float:
        return _calls(domain, 1, seconds) / seconds

    processor, others = readers_processor()
    with pinned(*others):
        if section is None:
            found, said = repeated(scale, 15, lambda: (share(), alone()), here=False)
        else:
            with BusyReader(domain, pause_of(section), processor) as busy:
                found, said = repeated(
                    scale, 15, lambda: (busy.watch(scale, share), busy.watch(scale, alone)), here=False
                )
    notes = [f"calls within {seconds:g} s, all callers from start to end", said]
    if section is not None and len(others) == 1:
        notes.insert(1, "the reader has one processor and the callers the other, where only who sleeps can share")
    return Line(
        what,
        Spread.of([periods for (periods, _), _ in found]),
        "a call",
        target,
        {
            "calls/s": statistics.median(calls for (_, calls), _ in found),
            "of a single caller calls/s": statistics.median(calls for _, calls in found),
        },
        "; ".join(filter(None, notes)),
    )


def _calls(domain: Domain, callers: int, seconds: float) -> int:
    """How many are made by so many threads from a common start to a common end."""
    end = 0.0

    def begin() -> None:
        nonlocal end
        end = time.perf_counter() + seconds

    start = threading.Barrier(callers, action=begin)

    def call() -> int:
        start.wait()
        calls, until = 0, end
        while time.perf_counter() < until:
            domain.synchronize()
            calls += 1
        return calls

    return sum(at_once([call] * callers))
