"""Outcomes as text and as JSON."""

import dataclasses
import platform
import sys

import rcu
from rcu.demo.table import Table
from rcu.demo.trial import Outcome, Settings

PERCENTILES = {"p50": 0.5, "p99": 0.99}
_UNITS = ((10**9, "s"), (10**6, "ms"), (10**3, "us"), (1, "ns"))


def duration(nanoseconds: int) -> str:
    """Three digits and a unit."""
    size, unit = next((pair for pair in _UNITS if nanoseconds >= pair[0]), _UNITS[-1])
    return f"{nanoseconds / size:.3g} {unit}" if nanoseconds < 1000 * size else f"{nanoseconds // size} {unit}"


def rows(outcomes: list[Outcome]) -> list[tuple[str, list[str]]]:
    """The final table: a label and a cell for each contender."""
    lock = next((o.reads_per_second for o in outcomes if o.name == "threading.Lock"), 0.0)
    cells = {
        "reads/s": [f"{o.reads_per_second:,.0f}" for o in outcomes],
        "against Lock": [f"{o.reads_per_second / lock:.2f} x" if lock else "" for o in outcomes],
        "read time p50": [duration(o.times.percentile(PERCENTILES["p50"])) for o in outcomes],
        "read time p99": [duration(o.times.percentile(PERCENTILES["p99"])) for o in outcomes],
        "read time max": [duration(o.times.longest) for o in outcomes],
        "reloads/s": [f"{o.reloads_per_second:.1f}" for o in outcomes],
        "grace periods": ["" if o.grace_periods is None else f"{o.grace_periods:,}" for o in outcomes],
        "versions live at most": [str(o.live_at_most) for o in outcomes],
        "stale reads": [f"{o.stale:,}" for o in outcomes],
        "torn reads": [f"{o.torn:,}" for o in outcomes],
        "reads after unmap": [f"{o.after_unmap:,}" for o in outcomes],
    }
    return list(cells.items())


def heading(table: Table, settings: Settings) -> str:
    """What was run, in a line."""
    return (
        f"{table.name}: {len(table.routes)} routes, {settings.readers} readers, "
        f"{settings.rate:g} reloads/s asked for, {settings.seconds:g} s"
    )


def sentence(outcome: Outcome) -> str:
    """What one contender did, in a line."""
    return (
        f"{outcome.name}: {outcome.reads:,} reads, {outcome.violations:,} of them wrong, "
        f"and {outcome.reloads:,} reloads in {outcome.seconds:.1f} s"
    )


def as_json(
    table: Table, file: str, settings: Settings, outcomes: list[Outcome], errors: list[str]
) -> dict[str, object]:
    """Everything that was counted, for machines."""
    return {
        "file": file,
        "name": table.name,
        "routes": len(table.routes),
        "settings": dataclasses.asdict(settings),
        "python": platform.python_version(),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "flavor": rcu.flavor,
        "contenders": [_outcome_as_json(outcome) for outcome in outcomes],
        "reload_errors": errors,
        "violations": sum(outcome.violations for outcome in outcomes),
    }


def _outcome_as_json(outcome: Outcome) -> dict[str, object]:
    times = {name: outcome.times.percentile(share) for name, share in PERCENTILES.items()}
    return {
        "name": outcome.name,
        "seconds": outcome.seconds,
        "reads": outcome.reads,
        "reads_per_second": outcome.reads_per_second,
        "read_ns": {**times, "max": outcome.times.longest},
        "reloads": outcome.reloads,
        "reloads_per_second": outcome.reloads_per_second,
        "grace_periods": outcome.grace_periods,
        "versions_live_at_most": outcome.live_at_most,
        "versions_live_at_end": outcome.live,
        "stale": outcome.stale,
        "torn": outcome.torn,
        "after_unmap": outcome.after_unmap,
    }
