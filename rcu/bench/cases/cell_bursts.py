"""How long single reads take, most of them and the slowest, beside bursts of updates and beside none."""

import contextlib
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import rcu
from rcu.bench.findings import Curve, Graph, Line, Spread
from rcu.bench.laps import require_processors
from rcu.bench.measure import Scale, pinned
from rcu.bench.rivals import Holder
from rcu.bench.throughput import interleaved

TITLE = "time of a read, p50, p99 and p99.9, during bursts of 1,000 updates and while idle: a cell beside a lock"
SHARES = (0.5, 0.9, 0.99, 0.999, 0.9999)
_READS = 200_000
_BURST = 1000
_PAUSE = 0.002  # between bursts, for the reclaimer to work off the one before
_REPEATS = 11
_WARM_UP = 100  # reads, for bytecode specialises in each thread by itself


class Payload:
    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 1


@dataclass(frozen=True, slots=True)
class Way:
    """`read` fills an array with the nanoseconds that each read took."""

    name: str
    read: Callable[[array], None]
    write: Callable[[object], object]


# Each has a loop of its own, with the subject in a fast local; bytecode specialises on what it meets.
def time_in_section(domain: rcu.Domain, cell: rcu.Cell, times: array) -> None:
    clock = time.perf_counter_ns
    for i in range(len(times)):
        began = clock()
        with domain:
            cell.value.number  # noqa: B018
        times[i] = clock() - began


def time_under_lock(lock: threading.Lock, holder: Holder, times: array) -> None:
    clock = time.perf_counter_ns
    for i in range(len(times)):
        began = clock()
        with lock:
            holder.value.number  # noqa: B018
        times[i] = clock() - began


def run(scale: Scale) -> list[Line]:
    where = require_processors(2)
    ways = _ways()
    found, said = interleaved(
        scale,
        _REPEATS,
        {
            (way.name, bursts): partial(_percentiles, scale, way, bursts, *where)
            for way in ways
            for bursts in (False, True)
        },
    )
    spreads = {key: [Spread.of(times) for times in zip(*repeats, strict=True)] for key, repeats in found.items()}
    graph = Graph(
        "times",
        f"How long reads take beside bursts of {_BURST:,} updates, and beside none",
        "one read of so many takes longer",
        "ns, the clock's own time included",
        [
            Curve(
                f"{name}, {_words(bursts)}",
                [(round(1 / (1 - share)), spread) for share, spread in zip(SHARES, of, strict=True)],
            )
            for (name, bursts), of in spreads.items()
        ],
        log_x=True,
        log_y=True,
    )
    lines = []
    for (name, bursts), of in spreads.items():
        named = dict(zip(SHARES, of, strict=True))
        figures = {f"p{100 * share:g} ns": spread.median for share, spread in named.items()}
        note, shown = ("", None) if lines else (said, graph)
        lines.append(
            Line(f"{name}, {_words(bursts)}: p99 of a read", named[0.99], "ns", None, figures, note, graph=shown)
        )
    return lines


def _words(bursts: bool) -> str:
    return "bursts" if bursts else "idle"


def _ways() -> list[Way]:
    domain = rcu.Domain("bench")
    cell = rcu.Cell(Payload(), domain=domain)
    lock, holder = threading.Lock(), Holder(Payload())

    def write(new: object) -> None:
        with lock:
            holder.value = new

    return [
        Way("with domain: cell.value", partial(time_in_section, domain, cell), cell.set),
        Way("threading.Lock", partial(time_under_lock, lock, holder), write),
    ]


def _percentiles(scale: Scale, way: Way, bursts: bool, reader: int, updater: int) -> list[int]:
    times = array("q", bytes(8 * scale.count(_READS, 2000)))
    with pinned(updater), _bursts(way.write) if bursts else contextlib.nullcontext():
        thread = threading.Thread(target=_read_there, args=(way, times, reader))
        thread.start()
        thread.join()
    ordered = sorted(times)
    return [ordered[int(share * len(ordered))] for share in SHARES]


def _read_there(way: Way, times: array, processor: int) -> None:
    with pinned(processor):
        way.read(times[:_WARM_UP])
        way.read(times)


@contextlib.contextmanager
def _bursts(write: Callable[[object], object]) -> Iterator[None]:
    """Beside the body, on the processors of the calling thread, as is the reclaimer that it starts."""
    leave = threading.Event()

    def work() -> None:
        while not leave.wait(_PAUSE):
            for _ in range(_BURST):
                write(Payload())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        leave.set()
        thread.join()
