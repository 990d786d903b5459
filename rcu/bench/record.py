"""A run of the benchmark as JSON: how it is written and read."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rcu.bench.findings import Curve, Graph, Line, Spread, Target


class RecordError(Exception):
    """This is not a run of the benchmark; says why."""


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured where, and in how many processes for each case."""

    meaningful: bool
    processes: int
    machine: dict[str, object]
    cases: dict[str, list[Line]]


def verdict(line: Line, meaningful: bool) -> str | None:
    """What a line's target came to; None where it has none, or was not measured."""
    if line.target is None or line.spread is None:
        return None
    if not meaningful:
        return "not judged"
    return "ok" if line.target.met_by(line.spread) else "missed"


def as_json(run: Run) -> dict[str, Any]:
    return {
        "meaningful": run.meaningful,
        "processes": run.processes,
        "machine": run.machine,
        "cases": {name: [_line(line, run.meaningful) for line in lines] for name, lines in run.cases.items()},
    }


def read(path: Path) -> Run:
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or error}") from error
    except (RecordError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} is not what 'python -m rcu bench --json' prints: {error}") from error


def from_json(text: str) -> Run:
    try:
        data = json.loads(text)
        return Run(
            data["meaningful"] is True,
            int(data["processes"]),
            dict(data["machine"]),
            {str(name): [_parse_line(line) for line in lines] for name, lines in data["cases"].items()},
        )
    except json.JSONDecodeError as error:
        raise RecordError(f"no JSON ({error})") from error
    except KeyError as error:
        raise RecordError(f"{error} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise RecordError(str(error)) from error


def _line(line: Line, meaningful: bool) -> dict[str, Any]:
    spread, target = line.spread, line.target
    return {
        "what": line.what,
        "unit": line.unit,
        "more_is_better": line.more_is_better,
        **_spread(spread),
        "target": target and {"min": target.low, "max": target.high},
        "verdict": verdict(line, meaningful),
        "figures": line.figures,
        "note": line.note,
        "not_measured": line.missing,
        "graph": line.graph and _graph(line.graph),
    }


def _spread(spread: Spread | None) -> dict[str, float | None]:
    return {
        "median": spread and spread.median,
        "min": spread and spread.low,
        "max": spread and spread.high,
    }


def _graph(graph: Graph) -> dict[str, Any]:
    return {
        "name": graph.name,
        "title": graph.title,
        "x": graph.x,
        "y": graph.y,
        "log_x": graph.log_x,
        "log_y": graph.log_y,
        "curves": [
            {"name": curve.name, "points": [{"x": x, **_spread(spread)} for x, spread in curve.points]}
            for curve in graph.curves
        ],
    }


def _parse_line(data: dict[str, Any]) -> Line:
    target, graph = data["target"], data["graph"]
    return Line(
        str(data["what"]),
        None if data["median"] is None else _parse_spread(data),
        str(data["unit"]),
        target and Target(target["max"], target["min"]),
        {str(name): float(value) for name, value in data["figures"].items()},
        str(data["note"]),
        data["not_measured"],
        graph and _parse_graph(graph),
        data["more_is_better"] is True,
    )


def _parse_graph(data: dict[str, Any]) -> Graph:
    curves = [
        Curve(str(curve["name"]), [(float(point["x"]), _parse_spread(point)) for point in curve["points"]])
        for curve in data["curves"]
    ]
    words = (str(data[key]) for key in ("name", "title", "x", "y"))
    return Graph(*words, curves, log_x=data["log_x"] is True, log_y=data["log_y"] is True)


def _parse_spread(data: dict[str, Any]) -> Spread:
    return Spread(float(data["median"]), float(data["min"]), float(data["max"]))
