"""A section in C beside liburcu's: a program of its own, compiled here."""

import statistics

import rcu
from rcu.bench import liburcu
from rcu.bench.findings import Line, Target
from rcu.bench.measure import NotMeasured, Scale, pinned, processors, ratios

TITLE = "a section in C, on a known slot, beside one of liburcu-memb, inline"
TARGET = Target(1.0)
# Where a program's code and data lie differs from start to start, and shows at this scale.
_STARTS = 5


def run(scale: Scale) -> list[Line]:
    if rcu.flavor == "fence":
        raise NotMeasured(
            "this process has the fence flavor, whose sections are not inline; unset RCU_FLAVOR, or run on a "
            "system with a heavy barrier"
        )
    ordered_by, rounds = _measure(scale)
    ours, theirs, nothing = zip(*rounds, strict=True)
    line = Line(
        "rcu / liburcu-memb",
        ratios(ours, theirs),
        "x",
        TARGET,
        {
            "rcu ns": statistics.median(ours),
            "liburcu ns": statistics.median(theirs),
            "loop without a section ns": statistics.median(nothing),
        },
        f"liburcu's readers are ordered by a {ordered_by}",
    )
    return [line]


def _measure(scale: Scale) -> tuple[str, list[list[float]]]:
    rounds: list[list[float]] = []
    with liburcu.program("sections") as program:
        for _ in range(scale.count(_STARTS, 2)):
            with pinned(processors()[-1]):  # the program inherits it
                said = liburcu.call([program, str(scale.count(101, 2)), str(scale.count(200_000, 800))])
            ordered_by, *lines = said.splitlines()
            rounds += [[float(word) for word in line.split()] for line in lines]
    if not rounds:
        raise NotMeasured("other programs took the processor all the time; try while the machine is idle")
    return ordered_by, rounds
