"""A section in C as an extension has it: on a slot that it keeps, and on one that it asks for each time."""

import statistics
from collections.abc import Callable

import rcu
from rcu.bench import _slots
from rcu.bench.findings import Line, Target
from rcu.bench.measure import NotMeasured, Scale, pinned, processors, ratios, repeated

TITLE = "a section of an extension in C, through api.h, beside two plain stores"
_STORES = Target(1.1)
_ASKED = Target(2.0)


def run(scale: Scale) -> list[Line]:
    if rcu.flavor == "fence":
        raise NotMeasured(
            "this process has the fence flavor, whose sections are not inline; unset RCU_FLAVOR, or run on a "
            "system with a heavy barrier"
        )
    domain = rcu.Domain()  # of whose slots those of the last few are at hand
    n = scale.count(1_000_000, 800)

    def each() -> tuple[float, ...]:
        return tuple(loop(domain, n) * 1e9 / n for loop in _LOOPS)

    with pinned(processors()[-1]):
        found, said = repeated(scale, 201, each)
    known, asked, stores, nothing = (list(times) for times in zip(*found, strict=True))
    figures = {
        "known slot ns": statistics.median(known),
        "asked for ns": statistics.median(asked),
        "two stores ns": statistics.median(stores),
        "loop without a section ns": statistics.median(nothing),
    }
    return [
        Line("a known slot / two plain stores", ratios(known, stores), "x", _STORES, figures, said),
        Line("rcu_this_slot() each time / a known slot", ratios(asked, known), "x", _ASKED, figures, said),
    ]


_LOOPS: list[Callable[[rcu.Domain, int], float]] = [
    _slots.time_known,
    _slots.time_asked,
    _slots.time_stores,
    _slots.time_nothing,
]
