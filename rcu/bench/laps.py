"""Loops of bytecode on one thread, and on several at once: what a turn takes, the turn of the loop included."""

import itertools
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import FunctionType
from typing import NamedTuple

from rcu.bench.findings import Line, Target
from rcu.bench.measure import (
    NS,
    Disturbed,
    NotMeasured,
    Scale,
    at_once,
    ns,
    pairs,
    pinned,
    preemptions,
    processors,
    ratios,
    require_threads_in_parallel,
)

LAP = 500  # turns
LAPS = 50
_FEWEST = 10  # laps of each thread that tell anything
_REPEATS = 51

type Loop = Callable[[int], object]
"""Does so many turns. Each thread gets the same one."""


def over(function: FunctionType, subject: object) -> Loop:
    """Turns of a function(subject, turns), with bytecode of its own, for that specialises on what it meets."""
    own = FunctionType(function.__code__.replace(), function.__globals__, function.__name__, None, function.__closure__)
    return partial(own, subject)


def require_processors(count: int) -> list[int]:
    """So many, for a thread each."""
    if count > 1:
        require_threads_in_parallel()
    usable = processors()
    if len(usable) < count:
        which = "one processor" if len(usable) == 1 else f"{len(usable)} processors"
        raise NotMeasured(f"this process may use {which} only; it takes {'two' if count == 2 else count}")
    return usable[:count]


def alone(loop: Loop, turns: int) -> float:
    """Seconds for a turn on the calling thread, which owns what it made."""
    began = time.perf_counter_ns()
    loop(turns)
    return (time.perf_counter_ns() - began) / NS / turns


def turn(scale: Scale, loop: Loop, where: Sequence[int], lap: int = LAP, *, fair: bool = True) -> float:
    """Seconds for a turn, on a thread on each of these processors at once: of the laps in which all of them ran.
    `fair`: each thread gets on like the others, so the median lap tells; else the sum of what the threads do does."""
    start = threading.Barrier(len(where))

    def run(processor: int) -> list[_Lap]:
        with pinned(processor):
            loop(lap)
            start.wait()
            laps: list[_Lap] = []
            before, idle = preemptions(), time.perf_counter_ns()
            for _ in range(LAPS):
                began = time.perf_counter_ns()
                loop(lap)
                ended, after = time.perf_counter_ns(), preemptions()
                laps.append(_Lap(idle, began, ended, after == before))
                before, idle = after, ended
            return laps

    together = _together(at_once([partial(run, processor) for processor in where]))
    scale.require(all(len(laps) >= _FEWEST for laps in together))
    if not all(together):
        raise Disturbed
    if fair:
        took = statistics.median(itertools.chain.from_iterable(together))
    else:
        took = statistics.harmonic_mean([statistics.fmean(laps) for laps in together])
    return took / lap / NS


class _Lap(NamedTuple):
    """When it began and ended, when the one before it had, and whether the thread kept its processor since."""

    idle: int
    began: int
    ended: int
    kept: bool


def _together(runs: Sequence[Sequence[_Lap]]) -> list[list[int]]:
    """How long the laps of each took in which none of them was preempted, had not begun or was done."""
    first, last = max(laps[0].began for laps in runs), min(laps[-1].ended for laps in runs)
    gaps = [(lap.idle, lap.ended) for laps in runs for lap in laps if not lap.kept]
    return [
        [
            lap.ended - lap.began
            for lap in laps
            if first <= lap.began
            and lap.ended <= last
            and not any(lap.began < end and begin < lap.ended for begin, end in gaps)
        ]
        for laps in runs
    ]


def flatness(
    scale: Scale, what: str, loop: Loop, target: Target | None = None, repeats: int = _REPEATS, lap: int = LAP
) -> Line:
    """A turn on each of two threads, beside one on one thread."""
    where = require_processors(2)
    alternate = itertools.cycle(where)
    alone, both, said = pairs(
        scale,
        repeats,
        lambda: turn(scale, loop, [next(alternate)], lap),
        lambda: turn(scale, loop, where, lap),
        here=False,
    )
    figures = {"one thread ns": ns(alone), "two threads ns": ns(both)}
    return Line(what, ratios(both, alone), "x", target, figures, note(said, lap))


def beside(
    scale: Scale,
    what: str,
    ours: tuple[str, Loop],
    rival: tuple[str, Loop],
    threads: int,
    target: Target | None = None,
    lap: int = LAP,
) -> Line:
    """A turn of ours on each of so many threads, beside one of the rival's on as many; the one is the calling one."""
    where = require_processors(threads)
    loops = ours[1], rival[1]
    if threads == 1:
        turns = scale.count(10 * lap, lap)
        with pinned(where[-1]):
            found = pairs(scale, 2 * _REPEATS, *(partial(alone, loop, turns) for loop in loops))
    else:
        found = pairs(
            scale, _REPEATS, *(partial(turn, scale, loop, where, lap, fair=False) for loop in loops), here=False
        )
    ours_took, rival_took, said = found
    figures = {f"{ours[0]} ns": ns(ours_took), f"{rival[0]} ns": ns(rival_took)}
    return Line(what, ratios(ours_took, rival_took), "x", target, figures, said if threads == 1 else note(said, lap))


def note(said: str, lap: int = LAP) -> str:
    return f"{LAPS} laps of {lap} turns on each pinned thread, those in which all ran; {said}".rstrip("; ")
