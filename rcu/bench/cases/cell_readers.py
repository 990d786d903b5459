"""Reads in a second against the number of threads that read one value."""

from collections.abc import Callable, Iterator
from functools import partial

import rcu
from rcu.bench import rivals
from rcu.bench.cases.cell_section import read_in_section
from rcu.bench.findings import Curve, Graph, Line, Spread
from rcu.bench.laps import Loop, over
from rcu.bench.measure import NotMeasured, Scale, processors, ratios, require_threads_in_parallel
from rcu.bench.throughput import interleaved, throughput

TITLE = "reads/s of one value against the number of threads that read it: a cell beside what else holds a value"
_REPEATS = 11
_SECONDS = 0.05
_MILLION = 1e6


class Payload:
    pass


def run(scale: Scale) -> list[Line]:
    require_threads_in_parallel()
    counts = list(thread_counts())
    loops: dict[str, Loop] = {}
    missing: list[Line] = []
    for name, make in _ways():
        try:
            loops[name] = make()
        except NotMeasured as why:
            missing.append(Line(_what(name, counts), missing=str(why)))
    measures = {
        (name, count): partial(throughput, scale, [loop] * count, scale.seconds(_SECONDS))
        for name, loop in loops.items()
        for count in counts
    }
    found, _ = interleaved(scale, _REPEATS, measures)
    graph = Graph(
        "threads",
        "Reads of one value, all threads together",
        f"threads that read ({len(processors())} processors)",
        "million reads/s",
        [
            Curve(name, [(count, Spread.of([rate / _MILLION for rate in found[name, count]])) for count in counts])
            for name in loops
        ],
        log_y=True,
    )
    lines = []
    for name in loops:
        alone, many = found[name, 1], found[name, counts[-1]]
        figures = {
            f"{count} thread{'s' * (count > 1)} M/s": Spread.of(found[name, count]).median / _MILLION
            for count in counts
        }
        shown = graph if not lines else None
        lines.append(
            Line(_what(name, counts), ratios(many, alone), "x", None, figures, graph=shown, more_is_better=True)
        )
    return lines + missing


def thread_counts() -> Iterator[int]:
    """1, 2, 4, and so on, up to twice as many as there are processors."""
    count = 1
    while count <= 2 * len(processors()):
        yield count
        count *= 2


def _what(name: str, counts: list[int]) -> str:
    return f"{name}: reads/s of {counts[-1]} threads / of one"


def _ways() -> Iterator[tuple[str, Callable[[], Loop]]]:
    domain = rcu.Domain("bench")
    cell = rcu.Cell(Payload(), domain=domain)
    yield "cell.value", lambda: over(rivals.read_value, cell)
    yield "with domain: cell.value", lambda: over(read_in_section, (domain, cell))
    for name, make in [
        ("plain attribute", rivals.plain_attribute),
        ("cereggii.AtomicRef", rivals.atomic_ref),
        ("threading.Lock", rivals.lock_and_attribute),
        ("RWLockFair", rivals.rwlock_and_attribute),
    ]:
        yield name, lambda make=make: make(Payload()).read
