"""Which shapes of published data two threads read as fast as one does, and which they do not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import FunctionType

import rcu
from rcu import Cell, Domain
from rcu.bench import rivals
from rcu.bench.findings import Line
from rcu.bench.laps import flatness, over
from rcu.bench.measure import Scale, line_or_reason

TITLE = "reading what a cell publishes on each of two threads / on one thread, by the shape of the data"
_REPEATS = 21


class Leaf:
    """What lies in the published object, and is loaded out of it: neither a string nor a number."""


class Instance:
    def __init__(self, leaf: object) -> None:
        self.leaf = leaf


class Slots:
    __slots__ = ("leaf",)

    def __init__(self, leaf: object) -> None:
        self.leaf = leaf


@dataclass(frozen=True)
class Frozen:
    leaf: object


def read_attribute(cell: Cell, turns: int) -> None:
    for _ in range(turns):
        cell.value.leaf  # noqa: B018


def read_first(cell: Cell, turns: int) -> None:
    for _ in range(turns):
        cell.value[0]


def read_key(cell: Cell, turns: int) -> None:
    for _ in range(turns):
        cell.value["leaf"]


# The read, and what makes the payload of a leaf.
SHAPES: list[tuple[str, FunctionType, Callable[[object], object]]] = [
    ("cell.value.leaf, an instance's attribute", read_attribute, Instance),
    ("cell.value.leaf, a slot", read_attribute, Slots),
    ("cell.value.leaf, a frozen dataclass's field", read_attribute, Frozen),
    ("cell.value[0], a tuple's item", read_first, lambda leaf: (leaf, leaf)),
    ("cell.value[0], a list's item", read_first, lambda leaf: [leaf, leaf]),
    ('cell.value["leaf"], a dict\'s hot value', read_key, lambda leaf: {"leaf": leaf}),
]
# Not literals: those of code are immortal without the GIL, and are not counted, as are the smallest numbers.
PLAIN: list[tuple[str, Callable[[], object]]] = [
    ("an instance", Leaf),
    ("a str", lambda: "".join(["no ", "literal"])),
    ("a str that is a literal", lambda: "literal"),
    ("an int", lambda: int("1234567")),
    ("a float", lambda: float("1.5")),
]


def run(scale: Scale) -> list[Line]:
    return [line_or_reason(what, partial(_line, scale, what, *rest)) for what, *rest in _settings()]


def _settings() -> Iterator[tuple[str, FunctionType, Callable[[], object]]]:
    for what, function, make in SHAPES:
        yield what, function, lambda make=make: make(Leaf())
        yield f"{what}; rcu.share(deep=True)", function, lambda make=make: rcu.share(make(Leaf()), deep=True)
    for what, make in PLAIN:
        yield f"cell.value, {what}", rivals.read_value, make
    for what, make in PLAIN[1:]:
        yield (
            f"cell.value.leaf, an instance's attribute that is {what}",
            read_attribute,
            lambda make=make: Instance(make()),
        )


def _line(scale: Scale, what: str, function: FunctionType, make: Callable[[], object]) -> Line:
    cell = Cell(make(), domain=Domain("bench"))
    return flatness(scale, what, over(function, cell), None, _REPEATS)
