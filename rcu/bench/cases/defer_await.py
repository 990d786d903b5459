"""Awaited grace periods: 10,000 tasks of one loop at once."""

import asyncio
import os
import time

from rcu import Domain
from rcu.bench.findings import Line, Spread, Target
from rcu.bench.measure import BusyReader, NotMeasured, Scale, pause_of, readers_processor

TITLE = "10,000 tasks of one asyncio loop that await synchronize_async() at once, one busy reader in C"
_TASKS = 10_000
_REPEATS = 5
_SECTION_SECONDS = 1e-4
_US = 1e6


def run(scale: Scale) -> list[Line]:
    processor, _ = readers_processor()
    pause = pause_of(_SECTION_SECONDS)
    tasks = scale.count(_TASKS, 100)
    found = [_measure(tasks, pause, processor) for _ in range(scale.count(_REPEATS, 1))]
    periods, threads, seconds = zip(*found, strict=True)
    return [
        Line("grace periods for all of them", Spread.of(periods), "", Target(10), {"tasks": tasks}),
        Line("threads that were not there before", Spread.of(threads), "", Target(1), {"tasks": tasks}),
        Line(
            "for each task, its creation included",
            Spread.of([each * _US for each in seconds]),
            "us",
            None,
            {"tasks": tasks},
        ),
    ]


def _measure(tasks: int, pause: int, processor: int) -> tuple[int, int, float]:
    domain = Domain("bench")
    with BusyReader(domain, pause, processor):
        return asyncio.run(_await_all(domain, tasks))


async def _await_all(domain: Domain, tasks: int) -> tuple[int, int, float]:
    threads, periods = _threads(), domain.stats().grace_periods
    began = time.perf_counter()
    await asyncio.gather(*(domain.synchronize_async() for _ in range(tasks)))
    seconds = time.perf_counter() - began
    # A reclaimer stays for a while, so it is still there to be counted.
    return domain.stats().grace_periods - periods, len(_threads() - threads), seconds / tasks


def _threads() -> set[str]:
    """Those of the system, for a reclaimer is not one of Python's."""
    try:
        return set(os.listdir("/proc/self/task"))
    except OSError as error:
        raise NotMeasured("only Linux lists the threads of a process (/proc/self/task)") from error
