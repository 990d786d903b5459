"""What an update, and the wait for a grace period, take an updater, against the number of busy readers."""

import contextlib
from functools import partial

import rcu
from rcu.bench.findings import Curve, Graph, Line, Spread
from rcu.bench.measure import BusyReader, Scale, pause_of, pinned, readers_processor, time_calls
from rcu.bench.throughput import interleaved

TITLE = "cell.set(new) and synchronize() against the number of busy readers in C, in sections of about 1 us"
READERS = (0, 1, 2, 4, 8)
_SECTION = 1e-6
_SETS = 2000
_WAITS = 20
_REPEATS = 15
_US = 1e6


class Payload:
    __slots__ = ()


def run(scale: Scale) -> list[Line]:
    processor, others = readers_processor()
    with pinned(*others):
        pause = pause_of(_SECTION)
        measures = {count: partial(_latencies, scale, count, pause, processor) for count in READERS}
        found, said = interleaved(scale, _REPEATS, measures)
    sets = {count: _microseconds([pair[0] for pair in found[count]]) for count in READERS}
    waits = {count: _microseconds([pair[1] for pair in found[count]]) for count in READERS}
    graph = Graph(
        "latency",
        "An update, and a grace period, beside busy readers in C",
        "readers, on one processor",
        "us",
        [Curve("cell.set(new)", list(sets.items())), Curve("synchronize()", list(waits.items()))],
        log_y=True,
    )
    notes = {
        0: said,
        2: "readers that share a processor are preempted in their sections, and have to be waited for",
    }
    lines = []
    for count in READERS:
        readers = f"{count} busy reader{'s' * (count != 1)}"
        figures = {"cell.set(new) us": sets[count].median}
        shown = graph if count == 0 else None
        what = f"synchronize(), {readers}"
        lines.append(Line(what, waits[count], "us", None, figures, notes.get(count, ""), graph=shown))
    return lines


def _microseconds(seconds: list[float]) -> Spread:
    return Spread.of([each * _US for each in seconds])


def _latencies(scale: Scale, readers: int, pause: int, processor: int) -> tuple[float, float]:
    """Seconds for an update, and for a grace period."""
    domain = rcu.Domain("bench")
    cell = rcu.Cell(Payload(), domain=domain)
    values = iter([Payload() for _ in range(scale.count(_SETS, 50))])
    with contextlib.ExitStack() as stack:
        busy = [stack.enter_context(BusyReader(domain, pause, processor)) for _ in range(readers)]

        def measure() -> tuple[float, float]:
            update = time_calls(lambda: cell.set(next(values)), scale.count(_SETS, 50))
            domain.barrier()
            return update, time_calls(domain.synchronize, scale.count(_WAITS, 2))

        # Of several readers on one processor, none is busy all the time.
        return busy[0].watch(scale, measure) if readers == 1 else measure()
