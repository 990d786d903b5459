"""Reads in a second of two threads while a third one updates, at several rates."""

from functools import partial
from statistics import median

import rcu
from rcu.bench import rivals
from rcu.bench.cases.cell_section import read_in_section
from rcu.bench.findings import Curve, Graph, Line, Spread
from rcu.bench.laps import over, require_processors
from rcu.bench.measure import Scale, ratios
from rcu.bench.rivals import Rival
from rcu.bench.throughput import interleaved, throughput, updates

TITLE = "reads/s of two threads under 0, 1, 100 and 10,000 updates/s: a cell beside a lock and a plain attribute"
RATES = (0, 1, 100, 10_000)
_NONE = 0.1  # where no updates are shown, for a logarithmic axis has no 0
_REPEATS = 7
_SECONDS = 0.2
_MILLION = 1e6


class Payload:
    __slots__ = ("number",)


def run(scale: Scale) -> list[Line]:
    require_processors(2)
    ways = _ways()
    achieved: dict[tuple[str, int], list[float]] = {(way.name, rate): [] for way in ways for rate in RATES}

    def reads(way: Rival, rate: int) -> float:
        # Long enough for one update at least.
        seconds = max(scale.seconds(_SECONDS), 1 / rate if rate and not scale.quick else 0)
        with updates(lambda: way.write(Payload()), rate) as done:
            found = throughput(scale, [way.read] * 2, seconds)
        achieved[way.name, rate].append(done.rate)
        return found

    found, _ = interleaved(
        scale, _REPEATS, {(way.name, rate): partial(reads, way, rate) for way in ways for rate in RATES}
    )
    graph = Graph(
        "updates",
        "Reads of one value by two threads while a third one replaces it",
        f"updates/s ({_NONE} stands for none)",
        "million reads/s",
        [Curve(way.name, [(rate or _NONE, _millions(found[way.name, rate])) for rate in RATES]) for way in ways],
        log_x=True,
        log_y=True,
    )
    lines = []
    for way in ways:
        still, busy = found[way.name, 0], found[way.name, RATES[-1]]
        figures = {f"M/s under {rate:,}/s": _millions(found[way.name, rate]).median for rate in RATES}
        figures["most updates/s achieved"] = median(achieved[way.name, RATES[-1]])
        what = f"{way.name}: reads/s under {RATES[-1]:,} updates/s / under none"
        shown = graph if not lines else None
        lines.append(Line(what, ratios(busy, still), "x", None, figures, graph=shown, more_is_better=True))
    return lines


def _millions(rates: list[float]) -> Spread:
    return Spread.of([rate / _MILLION for rate in rates])


def _ways() -> list[Rival]:
    domain = rcu.Domain("bench")
    cell = rcu.Cell(Payload(), domain=domain)
    return [
        Rival("cell.value", over(rivals.read_value, cell), cell.set),
        Rival("with domain: cell.value", over(read_in_section, (domain, cell)), cell.set),
        rivals.lock_and_attribute(Payload()),
        rivals.plain_attribute(Payload()),
    ]
