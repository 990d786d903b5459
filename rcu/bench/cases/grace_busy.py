"""A grace period beside the barrier that it cannot do without, while one reader is busy."""

from functools import partial

import rcu
from rcu import Domain
from rcu.bench import _native
from rcu.bench.findings import Line, Target
from rcu.bench.measure import (
    NS,
    BusyReader,
    NotMeasured,
    Scale,
    line_or_reason,
    ns,
    pairs,
    pause_of,
    pinned,
    ratios,
    readers_processor,
    time_calls,
)

TITLE = "synchronize() with one busy reader in C, beside one heavy barrier while the same reader runs"
TARGET = Target(1.15)
_SECTION = 1.5e-6


def run(scale: Scale) -> list[Line]:
    if rcu.flavor == "fence":
        raise NotMeasured(
            "the fence flavor has no heavy barrier; unset RCU_FLAVOR, or run on Linux 4.14 or later, or Windows"
        )
    inherent = "to wait for the rest of the section that the barrier found is inherent, and included"
    settings = [
        ("empty sections, back to back", 0, ""),
        (f"sections of about {_SECTION * 1e6:g} us, back to back", pause_of(_SECTION), inherent),
    ]
    return [line_or_reason(setting[0], partial(_line, scale, *setting)) for setting in settings]


def _line(scale: Scale, what: str, pause: int, note: str) -> Line:
    domain = Domain("bench")
    count = scale.count(50, 10)
    issued: list[float] = []

    def synchronize() -> float:
        before = domain.stats().heavy_barriers
        seconds = time_calls(domain.synchronize, count)
        issued.append((domain.stats().heavy_barriers - before) / count)
        return seconds

    def barrier() -> float:
        return _native.time_heavy_barriers(count) / count

    reader, others = readers_processor()
    with pinned(others[0]):
        section = min(_native.time_sections(domain, 1000, pause) for _ in range(5)) / 1000
        with BusyReader(domain, pause, reader) as busy:
            waits, barriers, said = pairs(
                scale, 41, lambda: busy.watch(scale, synchronize), lambda: busy.watch(scale, barrier)
            )
    return Line(
        what,
        ratios(waits, barriers),
        "x",
        TARGET,
        {
            "synchronize() ns": ns(waits),
            f"{rcu.flavor} ns": ns(barriers),
            "section ns": section * NS,
            "heavy barriers a call": sum(issued) / len(issued),
        },
        f"{note}; {said}".strip("; "),
    )
