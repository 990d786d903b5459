"""Reads in a second against the number of threads that read one value."""

from collections.abc import Callable, Iterator
from functools import partial

import rcu
from rcu.bench import rivals
from rcu.bench.cases.cell_section import read_in_section
from rcu.bench.findings import Curve, Graph, Line, Spread
from rcu.bench.laps import Loop, over, require_processors
from rcu.bench.measure import NotMeasured, Scale, processors, ratios
from rcu.bench.throughput import interleaved, throughput

TITLE = "reads/s of one value against the number of threads that read it: a cell beside what else holds a value"
_REPEATS = 15
_SECONDS = 0.05
_UNDISTURBED_SECONDS = 0.002  # few of these are disturbed
_MILLION = 1e6


class Payload:
    pass


def run(scale: Scale) -> list[Line]:
    require_processors(2)
    counts = list(thread_counts())
    most = max(count for count in counts if count <= len(processors()))
    loops: dict[str, Loop] = {}
    missing: list[Line] = []
    for name, make in _ways():
        try:
            loops[name] = make()
        except NotMeasured as why:
            missing.append(Line(_what(name, most), missing=str(why)))
    measures = {(name, count): partial(_reads, scale, loop, count) for name, loop in loops.items() for count in counts}
    found, said = interleaved(scale, _REPEATS, measures)
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
        alone, together = found[name, 1], found[name, most]
        figures = {
            f"{count} thread{'s' * (count > 1)} M/s": Spread.of(found[name, count]).median / _MILLION
            for count in counts
        }
        what, note, shown = _what(name, most), "" if lines else said, None if lines else graph
        lines.append(Line(what, ratios(together, alone), "x", None, figures, note, graph=shown, more_is_better=True))
    return lines + missing


def _reads(scale: Scale, loop: Loop, count: int) -> float:
    """In a second: on a processor for each thread while there are enough, else where the system puts them."""
    usable = processors()
    if count > len(usable):
        return throughput(scale, [loop] * count, scale.seconds(_SECONDS))
    return throughput(scale, [loop] * count, _UNDISTURBED_SECONDS, usable[:count])


def thread_counts() -> Iterator[int]:
    """1, 2, 4, and so on, up to twice as many as there are processors."""
    count = 1
    while count <= 2 * len(processors()):
        yield count
        count *= 2


def _what(name: str, threads: int) -> str:
    return f"{name}: reads/s of {threads} threads / of one"


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
