"""A case in several fresh processes: where things lie in memory, and what strings hash to, is a process's luck."""

import re
from collections.abc import Iterable, Sequence
from statistics import median

from rcu.bench import record
from rcu.bench.apart import run_apart
from rcu.bench.findings import Curve, Graph, Line, Spread
from rcu.bench.measure import LEFT_OUT, NotMeasured

_LEFT_OUT = re.compile(re.escape(LEFT_OUT).replace(r"\{\}", r"(\d+)"))
_CHILD = "from rcu.bench import main\nsys.exit(main(sys.argv[1:], 'rcu bench'))\n"


def run(name: str, title: str, processes: int, quick: bool) -> list[Line]:
    """The lines of the case, pooled."""
    found = []
    for _ in range(processes):
        try:
            found.append(record.from_json(run_apart(_CHILD, name, "--json", *["--quick"] * quick)).cases[name])
        except NotMeasured as why:
            found.append([Line(title, missing=str(why))])
    return pooled(found)


def pooled(found: Sequence[Sequence[Line]]) -> list[Line]:
    """Each line's median of medians, and their spread. What one of the processes only has stays, and says so."""
    kinds: dict[str, list[Line]] = {}
    for lines in found:
        for line in lines:
            kinds.setdefault(line.what, []).append(line)
    return [_pooled(lines, len(found)) for lines in kinds.values()]


def _pooled(lines: list[Line], processes: int) -> Line:
    measured = [line for line in lines if line.missing is None]
    notes = _notes(line.note for line in measured)
    reasons = list(dict.fromkeys(line.missing for line in lines if line.missing is not None))
    if not measured:
        return Line(lines[0].what, missing="; ".join(reasons))
    if len(measured) < processes:
        notes.insert(0, f"measured in {len(measured)} of {processes} processes only: {'; '.join(reasons) or 'no line'}")
    first = measured[0]
    spreads = [line.spread for line in measured if line.spread is not None]
    graphs = [line.graph for line in measured if line.graph is not None]
    return Line(
        first.what,
        _spread(spreads) if spreads else None,
        first.unit,
        first.target,
        {name: median(line.figures[name] for line in measured if name in line.figures) for name in first.figures},
        "; ".join(notes),
        graph=_graph(graphs) if graphs else None,
        more_is_better=first.more_is_better,
    )


def _notes(notes: Iterable[str]) -> list[str]:
    """Their parts, each once, and the sum of the repeats that were left out."""
    parts = [part for note in notes for part in note.split("; ") if part]
    left_out = [int(found[1]) for part in parts if (found := _LEFT_OUT.fullmatch(part))]
    others = [part for part in dict.fromkeys(parts) if not _LEFT_OUT.fullmatch(part)]
    return others + [LEFT_OUT.format(sum(left_out))] * bool(left_out)


def _spread(spreads: Sequence[Spread]) -> Spread:
    return Spread.of([spread.median for spread in spreads])


def _graph(graphs: Sequence[Graph]) -> Graph:
    curves: dict[str, dict[float, list[Spread]]] = {}
    for graph in graphs:
        for curve in graph.curves:
            for x, spread in curve.points:
                curves.setdefault(curve.name, {}).setdefault(x, []).append(spread)
    first = graphs[0]
    return Graph(
        first.name,
        first.title,
        first.x,
        first.y,
        [Curve(name, [(x, _spread(points[x])) for x in sorted(points)]) for name, points in curves.items()],
        first.log_x,
        first.log_y,
    )
