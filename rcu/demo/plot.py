"""The outcome as a picture."""

from pathlib import Path

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from rcu.demo.trial import Outcome


def save(path: Path, heading: str, outcomes: list[Outcome]) -> None:
    """Write an SVG: reads per second, and how many reads took longer than a given time."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    FigureCanvasSVG(figure)
    figure.suptitle(heading)
    rates, tails = figure.subplots(1, 2)

    colours = [f"C{number}" for number in range(len(outcomes))]
    names = [outcome.name for outcome in outcomes]
    bars = rates.bar(names, [outcome.reads_per_second for outcome in outcomes], color=colours)
    rates.bar_label(bars, [f"{outcome.reads_per_second:,.0f}" for outcome in outcomes])
    rates.set_ylabel("reads per second")
    rates.margins(y=0.1)

    for outcome, colour in zip(outcomes, colours, strict=True):
        curve = list(outcome.times.curve())
        total = curve[-1][1] if curve else 0
        # The last point, no read at all, has no place on a logarithmic axis.
        points = [(duration / 1000, 1 - reads / total) for duration, reads in curve if reads < total]
        tails.plot([x for x, _ in points], [y for _, y in points], label=outcome.name, color=colour)
    tails.set(xscale="log", yscale="log", xlabel="read time, microseconds", ylabel="share of reads that took longer")
    tails.grid(visible=True, alpha=0.3)
    tails.legend()
    figure.savefig(path, format="svg", metadata={"Date": None})
