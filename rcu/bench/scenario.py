"""What scenarios have in common: one use, protected in several ways, on one thread and on two."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import Protocol

from rcu.bench.findings import Line, Target
from rcu.bench.laps import require_processors
from rcu.bench.measure import NotMeasured, Scale, ratios, readers_may_leave_counts
from rcu.bench.throughput import interleaved, throughput

_REPEATS = 31
_SECONDS = 0.002
_MILLION = 1e6


class Way(Protocol):
    """A way to protect what the threads share. Each has a loop of its own, as bytecode specialises on what it meets."""

    def serve(self, turns: int) -> None:
        """Handles so many requests."""

    def swap(self) -> None:
        """Replaces what is shared by another version."""


def run(
    scale: Scale,
    ours: str,
    ways: dict[str, Callable[[], Way]],
    target: Target | None = None,
    notes: dict[str, str] | None = None,
) -> list[Line]:
    """What two threads get done of each way, over what one does; and over what both do with ours. The target is that
    of ours, where the interpreter lets readers share."""
    where = require_processors(2)
    alternate = itertools.cycle(where)
    measures: dict[tuple[str, int], Callable[[], float]] = {}
    missing = {}
    for name, make in ways.items():
        try:
            way = make()
        except NotMeasured as why:
            missing[name] = str(why)
        else:
            measures[name, 1] = lambda way=way: _served(scale, way, [next(alternate)])
            measures[name, 2] = partial(_served, scale, way, where)
    found, said = interleaved(scale, _REPEATS, measures)
    lines = []
    for name in ways:
        what = f"{name}: requests of two threads / of one"
        if name in missing:
            lines.append(Line(what, missing=missing[name]))
            continue
        alone, both = found[name, 1], found[name, 2]
        figures = {"one thread M/s": median(alone) / _MILLION, "two threads M/s": median(both) / _MILLION}
        if name != ours:
            figures[f"{ours} on two threads / this on two x"] = ratios(found[ours, 2], both).median
        note = "; ".join(filter(None, [(notes or {}).get(name), said if name == ours else ""]))
        aim = target if name == ours and readers_may_leave_counts() else None
        lines.append(Line(what, ratios(both, alone), "x", aim, figures, note, more_is_better=True))
    return lines


def _served(scale: Scale, way: Way, where: Sequence[int]) -> float:
    """Requests in a second, on a thread on each of these processors, of a version that they have not met yet."""
    way.swap()
    return throughput(scale, [way.serve] * len(where), _SECONDS, where)
