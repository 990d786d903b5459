"""Graphs as pictures: an SVG each, the same bytes for the same figures."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from rcu.bench.findings import Curve, Graph
from rcu.bench.machine import interpreter_and_machine
from rcu.bench.record import Run
from rcu.bench.report import number

_STYLE = {
    # Ids are hashed with this instead of a random number; text stays text.
    "svg.hashsalt": "rcu",
    "svg.fonttype": "none",
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "errorbar.capsize": 3.0,
}
_SIZE = (8.5, 5.0)
_COLOURS = matplotlib.color_sequences["petroff10"]  # told apart by the colour-blind, too
_MARKERS = "osD^vPX*<>"
_DASHES = ("solid", "dashed", "dashdot", "dotted")
_WIDE = 100  # so many times the least is the greatest where powers of ten suffice as ticks
_FEW = 12  # points that are worth a mark, an error bar and a tick each


def save(run: Run, directory: Path) -> Iterator[Path]:
    """Writes each graph of the run; yields where."""
    for case, lines in run.cases.items():
        for line in lines:
            if line.graph is not None:
                path = directory / f"{case}-{line.graph.name}.svg"
                with matplotlib.rc_context(_STYLE):
                    _draw(line.graph, run).savefig(path, format="svg", metadata={"Date": None})
                yield path


def _draw(graph: Graph, run: Run) -> Figure:
    figure = Figure(figsize=_SIZE, layout="constrained")
    FigureCanvasSVG(figure)
    figure.suptitle(graph.title, fontsize="large", fontweight="bold")
    axes = figure.subplots()
    axes.set_title(_where(run), fontsize="x-small", color="0.35")
    axes.set(xlabel=graph.x, ylabel=graph.y)
    axes.grid(visible=True, alpha=0.3)
    for number_of, curve in enumerate(graph.curves):
        _add(axes, curve, number_of)
    _set_scales(axes, graph)
    figure.legend(loc="outside lower center", ncols=min(3, len(graph.curves)), frameon=False)
    return figure


def _where(run: Run) -> str:
    lines = list(interpreter_and_machine(run.machine))
    if not run.meaningful:
        lines.append("--quick: the figures mean nothing")
    elif run.processes > 1:
        lines.append(f"medians of {run.processes} processes; the bars or bands are all of their medians")
    else:
        lines.append("medians of repeats in one process; the bars or bands are all repeats")
    return "\n".join(lines)


def _add(axes: Axes, curve: Curve, number_of: int) -> None:
    colour, marker, dashes = (kind[number_of % len(kind)] for kind in (_COLOURS, _MARKERS, _DASHES))
    xs = [x for x, _ in curve.points]
    ys, lows, highs = ([getattr(it, part) for _, it in curve.points] for part in ("median", "low", "high"))
    if len(xs) <= _FEW:
        below, above = ([abs(y - end) for y, end in zip(ys, ends, strict=True)] for ends in (lows, highs))
        axes.errorbar(xs, ys, yerr=[below, above], label=curve.name, color=colour, marker=marker, markersize=5)
    else:
        axes.plot(xs, ys, label=curve.name, color=colour, linestyle=dashes)
        axes.fill_between(xs, lows, highs, color=colour, alpha=0.2, linewidth=0)


def _set_scales(axes: Axes, graph: Graph) -> None:
    """With numbers in full, and where the x are few, a tick at each of them."""
    xs = sorted({x for curve in graph.curves for x, _ in curve.points})
    ys = [spread.median for curve in graph.curves for _, spread in curve.points]
    if graph.log_x:
        _make_logarithmic(axes.xaxis, axes.set_xscale, xs)
    if len(xs) <= _FEW:
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(xs)
    if graph.log_y:
        _make_logarithmic(axes.yaxis, axes.set_yscale, ys)
    else:
        axes.set_ylim(bottom=0)
    for axis in axes.xaxis, axes.yaxis:
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        axis.set_minor_formatter(NullFormatter())


def _make_logarithmic(axis: Axis, set_scale: Callable[..., None], values: Sequence[float]) -> None:
    """Zero has a place, too: as far below the least of the others as a decade is wide."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = min(positive), max(positive)
    if min(values) <= 0:
        set_scale("symlog", linthresh=low, linscale=1)
    else:
        set_scale("log")
        if high < low * _WIDE:
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
