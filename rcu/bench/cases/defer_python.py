"""Deferring in Python, while the reclaimer works; one thread and two."""

import time
from collections.abc import Callable
from functools import partial

from rcu import Domain
from rcu.bench.findings import Line, Spread, Target
from rcu.bench.measure import (
    NS,
    NotMeasured,
    Scale,
    at_once,
    free_threaded,
    line_or_reason,
    ns,
    processors,
    ratios,
    repeated,
    require_threads_in_parallel,
)

TITLE = "retire(obj) and call(f), the turn of the loop included, while the reclaimer works; one thread and two"
FLAT = Target(1.5)
_TURNS = 50_000
_REPEATS = 31
_NO_LIMIT = 2**62
_PROCESSOR_TIME = "processor time of the calling thread, for the reclaimer wants a processor, too"


class Small:
    __slots__ = ()


def run(scale: Scale) -> list[Line]:
    cases = [
        ("retire(obj)", Target(150), _retire),
        ("call(f)", Target(250), _call),
    ]
    lines = [_one(scale, *case) for case in cases]
    for what, _, loop in cases:
        setting = f"{what}: one of two threads / one thread"
        lines.append(line_or_reason(setting, partial(_two, scale, setting, loop)))
    return lines


def _retire(domain: Domain, turns: int) -> float:
    retire = domain.retire
    subjects = [Small() for _ in range(turns)]
    began = time.thread_time_ns()
    for subject in subjects:
        retire(subject)
    return (time.thread_time_ns() - began) / NS / turns


def _call(domain: Domain, turns: int) -> float:
    call = domain.call

    def func() -> None:
        pass

    began = time.thread_time_ns()
    for _ in range(turns):
        call(func)
    return (time.thread_time_ns() - began) / NS / turns


def _one(scale: Scale, what: str, target: Target, loop: Callable[[Domain, int], float]) -> Line:
    times, said = repeated(scale, _REPEATS, partial(_seconds, scale, loop, 1), here=False)
    wanted = target if free_threaded() else None
    return Line(
        what,
        Spread.of([seconds * NS for seconds in times]),
        "ns",
        wanted,
        {"turns": scale.count(_TURNS, 500)},
        said or _PROCESSOR_TIME,
    )


def _two(scale: Scale, what: str, loop: Callable[[Domain, int], float]) -> Line:
    require_threads_in_parallel()
    if len(processors()) < 2:
        raise NotMeasured("this process may use one processor only; it takes two")
    found, said = repeated(scale, _REPEATS, lambda: (_seconds(scale, loop, 2), _seconds(scale, loop, 1)), here=False)
    both, alone = [pair[0] for pair in found], [pair[1] for pair in found]
    figures = {"one thread ns": ns(alone), "two threads ns": ns(both)}
    return Line(what, ratios(both, alone), "x", FLAT, figures, said or _PROCESSOR_TIME)


def _seconds(scale: Scale, loop: Callable[[Domain, int], float], threads: int) -> float:
    """Of processor time for a turn, on so many threads at once; then waits until all has run."""
    domain = Domain("bench", backlog_limit=_NO_LIMIT)
    turns = scale.count(_TURNS, 500)
    times = at_once([partial(loop, domain, turns) for _ in range(threads)])
    domain.barrier()
    return sum(times) / threads
