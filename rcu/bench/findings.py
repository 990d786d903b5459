"""What a case finds: lines, graphs, and the spreads and targets in them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of one thing."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))

    def overlaps(self, other: "Spread") -> bool:
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True, slots=True)
class Target:
    """What a median should be."""

    high: float | None = None
    low: float | None = None

    def met_by(self, spread: Spread) -> bool:
        # As it is printed: more than three digits no measurement here is good for.
        median = float(f"{spread.median:.3g}")
        return (self.high is None or median <= self.high) and (self.low is None or median >= self.low)


@dataclass(frozen=True, slots=True)
class Curve:
    """One of the things that a graph shows: at which x, which y."""

    name: str
    points: Sequence[tuple[float, Spread]]


@dataclass(frozen=True, slots=True)
class Graph:
    """`name` becomes part of a file's name; `x` and `y` are the labels of the axes, with their units."""

    name: str
    title: str
    x: str
    y: str
    curves: Sequence[Curve]
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One finding. Within a case, `what` tells it from the others. `figures` are the medians behind it, by name with
    their unit; `missing` says why it was not measured."""

    what: str
    spread: Spread | None = None
    unit: str = ""
    target: Target | None = None
    figures: dict[str, float] = field(default_factory=dict)
    note: str = ""
    missing: str | None = None
    graph: Graph | None = None
    more_is_better: bool = False
