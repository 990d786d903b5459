"""A section in Python beside a lock, on one thread; and both on two threads at once."""

import itertools
import statistics
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

from rcu import Domain
from rcu.bench.findings import Line, Target
from rcu.bench.measure import (
    NS,
    Disturbed,
    NotMeasured,
    Scale,
    at_once,
    free_threaded,
    line_or_reason,
    ns,
    pairs,
    pinned,
    preemptions,
    processors,
    ratios,
    repeated,
    require_threads_in_parallel,
)

TITLE = "a section in Python, the turn of the loop included, beside a lock; one thread and two"
FLAT = Target(1.15)
_LAP = 500  # turns
_LAPS = 50


def lock_target() -> Target | None:
    """3.15 made locks faster; 3.13 specialises no with statement."""
    if not free_threaded() or sys.version_info < (3, 14):
        return None
    return Target(0.60) if sys.version_info < (3, 15) else Target(1.1)


# The subject is an argument, a fast local, for all alike. One function each: bytecode specialises on what it meets.
def with_domain(domain: Domain, turns: int) -> None:
    for _ in range(turns):
        with domain:
            pass


def with_lock(lock: threading.Lock, turns: int) -> None:
    for _ in range(turns):
        with lock:
            pass


def empty(subject: None, turns: int) -> None:  # noqa: ARG001
    for _ in range(turns):
        pass


def run(scale: Scale) -> list[Line]:
    domain, lock = Domain("bench"), threading.Lock()
    return [_one_thread(scale, domain, lock), *_two_threads(scale, domain, lock)]


def _one_thread(scale: Scale, domain: Domain, lock: threading.Lock) -> Line:
    turns = scale.count(5000, 500)
    with pinned(processors()[-1]):
        sections, locks, said = pairs(
            scale, 101, partial(_seconds, with_domain, domain, turns), partial(_seconds, with_lock, lock, turns)
        )
        nothing, _ = repeated(scale, 11, partial(_seconds, empty, None, turns))
    return Line(
        "one thread: with domain / with threading.Lock()",
        ratios(sections, locks),
        "x",
        lock_target(),
        {"domain ns": ns(sections), "lock ns": ns(locks), "empty loop ns": ns(nothing)},
        said,
    )


def _seconds(loop: Callable, subject: object, turns: int) -> float:
    began = time.perf_counter_ns()
    loop(subject, turns)
    return (time.perf_counter_ns() - began) / NS / turns


def _two_threads(scale: Scale, domain: Domain, lock: threading.Lock) -> list[Line]:
    what = "one shared {}: a turn on each of two threads / on one thread"
    subjects = [("domain", with_domain, domain, FLAT), ("threading.Lock()", with_lock, lock, None)]
    settings = [(what.format(name), *rest) for name, *rest in subjects]
    return [line_or_reason(setting[0], partial(_flatness, scale, *setting)) for setting in settings]


def _flatness(scale: Scale, what: str, loop: Callable, subject: object, target: Target | None) -> Line:
    require_threads_in_parallel()
    if len(processors()) < 2:
        raise NotMeasured("this process may use one processor only; it takes two")
    first, second = processors()[:2]
    alternate = itertools.cycle([first, second])
    alone, both, said = pairs(
        scale,
        51,
        lambda: _lap_seconds(scale, loop, subject, [next(alternate)]),
        lambda: _lap_seconds(scale, loop, subject, [first, second]),
        here=False,
    )
    return Line(
        what,
        ratios(both, alone),
        "x",
        target,
        {"one thread ns": ns(alone), "two threads ns": ns(both)},
        f"{_LAPS} laps of {_LAP} turns on each pinned thread, the median of those in which both ran; {said}".rstrip(
            "; "
        ),
    )


def _lap_seconds(scale: Scale, loop: Callable, subject: object, where: list[int]) -> float:
    """Seconds for a turn, on a thread on each of these processors at once. Equal counts for each thread; a lap
    that began before the last one started, or ended after the first one was done, is left out."""
    start = threading.Barrier(len(where))

    def run(processor: int) -> tuple[list[int], bool]:
        with pinned(processor):
            loop(subject, _LAP)
            start.wait()
            before = preemptions()
            marks = [time.perf_counter_ns()]
            for _ in range(_LAPS):
                loop(subject, _LAP)
                marks.append(time.perf_counter_ns())
            return marks, preemptions() == before

    runs = at_once([partial(run, processor) for processor in where])
    scale.require(all(undisturbed for _, undisturbed in runs))
    began, ended = max(marks[0] for marks, _ in runs), min(marks[-1] for marks, _ in runs)
    common = [b - a for marks, _ in runs for a, b in itertools.pairwise(marks) if a >= began and b <= ended]
    if not common:
        raise Disturbed
    return statistics.median(common) / _LAP / NS
