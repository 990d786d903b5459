"""What was measured, where, as text and as JSON."""

import os
import platform
import sys
from pathlib import Path

import rcu
from rcu.bench.measure import Line, Scale, Target, free_threaded, processors

_NOT_MEANINGFUL = "--quick: so few turns that the figures mean nothing; no target is judged"


def machine() -> dict[str, object]:
    """What the figures depend on."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "cores_usable": len(processors()),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "free_threaded": free_threaded(),
        "gil": sys._is_gil_enabled(),
        "rcu": rcu.__version__,
        "flavor": rcu.flavor,
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def heading(scale: Scale) -> str:
    """The same for people."""
    facts = machine()
    build = "free-threaded" if facts["free_threaded"] else "default build"
    gil = "on" if facts["gil"] else "off"
    lines = [
        f"rcu {facts['rcu']}, flavor {facts['flavor']}; CPython {facts['python']} ({build}), GIL {gil}",
        f"{facts['cpu']}, {facts['cores']} cores, {facts['cores_usable']} of them usable; {facts['system']}",
    ]
    if facts["load_average"] is not None:
        lines.append(f"load average {facts['load_average']}: what else runs here widens the spread")
    lines.append(_NOT_MEANINGFUL if scale.quick else "medians of interleaved repeats (min..max)")
    return "\n".join(lines)


def verdict(line: Line, scale: Scale) -> str | None:
    """What a line's target came to; None where it has none, or was not measured."""
    if line.target is None or line.spread is None:
        return None
    if scale.quick:
        return "not judged"
    return "ok" if line.target.met_by(line.spread) else "missed"


def text(line: Line, scale: Scale) -> str:
    """A line of findings, with what is behind it below."""
    rows = [f"  {line.what}"]
    if line.missing is not None:
        rows.append(f"    not measured: {line.missing}")
    if line.spread is not None:
        unit = f" {line.unit}" if line.unit else ""
        spread = line.spread
        row = f"    {_number(spread.median)}{unit} ({_number(spread.low)}..{_number(spread.high)})"
        if line.target is not None:
            row += f"   target {_range(line.target)}{unit}: {verdict(line, scale)}"
        rows.append(row)
    if line.figures:
        rows.append("    " + "; ".join(f"{name} {_number(value)}" for name, value in line.figures.items()))
    if line.note:
        rows.append(f"    {line.note}")
    return "\n".join(rows)


def as_json(found: dict[str, list[Line]], scale: Scale) -> dict[str, object]:
    return {
        "meaningful": not scale.quick,
        "machine": machine(),
        "cases": {name: [_as_json(line, scale) for line in lines] for name, lines in found.items()},
    }


def _as_json(line: Line, scale: Scale) -> dict[str, object]:
    spread, target = line.spread, line.target
    return {
        "what": line.what,
        "unit": line.unit,
        "median": spread and spread.median,
        "min": spread and spread.low,
        "max": spread and spread.high,
        "target": target and {"min": target.low, "max": target.high},
        "verdict": verdict(line, scale),
        "figures": line.figures,
        "note": line.note,
        "not_measured": line.missing,
    }


def _range(target: Target) -> str:
    at_most = _number(target.high)
    return f"<= {at_most}" if target.low is None else f"{_number(target.low)} to {at_most}"


def _number(value: float) -> str:
    """Three digits, and none less before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
