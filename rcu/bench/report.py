"""What was measured, where, as text."""

from rcu.bench.compare import Compared, Comparison
from rcu.bench.findings import Graph, Line, Spread, Target
from rcu.bench.machine import interpreter_and_machine
from rcu.bench.measure import Scale
from rcu.bench.record import verdict

_NOT_MEANINGFUL = "--quick: so few turns that the figures mean nothing; no target is judged"
_ROWS = 12


def heading(facts: dict[str, object], scale: Scale, processes: int) -> str:
    lines = list(interpreter_and_machine(facts))
    if facts["load_average"] is not None:
        lines.append(f"load average {facts['load_average']}: what else runs here widens the spread")
    if scale.quick:
        lines.append(_NOT_MEANINGFUL)
    elif processes > 1:
        lines.append(f"medians of the medians of {processes} processes for each case (min..max of them)")
    else:
        lines.append("medians of interleaved repeats (min..max)")
    return "\n".join(lines)


def comparison_heading(comparison: Comparison, facts: dict[str, object], processes: int) -> str:
    lines = [f"compared with {comparison.path}, of rcu {comparison.old.machine.get('rcu')}; a ratio is this run / that"]
    lines += [f"warning: {warning}" for warning in comparison.warnings(facts, processes)]
    return "\n".join(lines)


def text(line: Line, scale: Scale, compared: Compared | None = None) -> str:
    """A line of findings, with what is behind it below."""
    rows = [f"  {line.what}"]
    if line.missing is not None:
        rows.append(f"    not measured: {line.missing}")
    if line.spread is not None:
        row = f"    {_spread(line.spread, line.unit)}"
        if line.target is not None:
            row += f"   target {_range(line.target)}{_unit(line.unit)}: {verdict(line, not scale.quick)}"
        rows.append(row)
    if compared is not None:
        was = "" if compared.was is None else f"was {_spread(compared.was, compared.unit)}, "
        ratio = "" if compared.ratio is None else f"{number(compared.ratio)} of it: "
        rows.append(f"    {was}{ratio}{compared.verdict}")
    if line.graph is not None:
        rows += [f"    {row}" for row in _table(line.graph)]
    if line.figures:
        rows.append("    " + "; ".join(f"{name} {number(value)}" for name, value in line.figures.items()))
    if line.note:
        rows.append(f"    {line.note}")
    return "\n".join(rows)


def _table(graph: Graph) -> list[str]:
    """The medians, a column for each curve. Of many points some: the others are in the picture."""
    curves = [dict(curve.points) for curve in graph.curves]
    xs = sorted(set().union(*curves))
    step = max(1, -(-len(xs) // _ROWS))
    shown = xs[::step]
    head = [graph.x, *(curve.name for curve in graph.curves)]
    cells = [[number(x), *(number(curve[x].median) if x in curve else "-" for curve in curves)] for x in shown]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    rows = ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in [head, *cells]]
    some = f" ({len(shown)} of {len(xs)} points)" if step > 1 else ""
    return [f"{graph.title}; {graph.y}{some}", *rows]


def _spread(spread: Spread, unit: str) -> str:
    return f"{number(spread.median)}{_unit(unit)} ({number(spread.low)}..{number(spread.high)})"


def _unit(unit: str) -> str:
    return f" {unit}" if unit else ""


def _range(target: Target) -> str:
    if target.high is None:
        return "any" if target.low is None else f">= {number(target.low)}"
    at_most = number(target.high)
    return f"<= {at_most}" if target.low is None else f"{number(target.low)} to {at_most}"


def number(value: float) -> str:
    """Three digits, and none less before the point."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
