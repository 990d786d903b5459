"""Memory over time while a reader stalls in its section, and an updater goes on until the backlog limit holds it up."""

import sys
import threading
import time

import rcu
from rcu.bench.apart import resident, run_apart
from rcu.bench.findings import Curve, Graph, Line, Spread, Target
from rcu.bench.measure import PATIENCE, Scale
from rcu.bench.throughput import updates

TITLE = "memory while a reader stalls in its section for a second, and a dict of 1 MB is updated 400 times a second"
_PHASE = 0.25  # seconds: one before the stall, four of it, three after
_PHASES = (1, 4, 3)
_BACKLOG = 100  # callbacks, a phase's worth of updates
_LOOKS = 10  # in a phase
_GARBAGE = 64 * 2**20  # the default limit
_ENTRIES = 43_690
_MB = 1e6
_CHILD = "from rcu.bench.cases import cell_stalled\ncell_stalled.print_memory(float(sys.argv[1]), int(sys.argv[2]))\n"


def run(scale: Scale) -> list[Line]:
    phase, backlog = scale.seconds(_PHASE), scale.count(_BACKLOG, 10)
    heading, *looks = run_apart(_CHILD, str(phase), str(backlog), timeout=PATIENCE).splitlines()
    size, longest = int(heading.split()[0]), float(heading.split()[1])
    memory, pending = zip(*(map(int, look.split()) for look in looks), strict=True)
    begins, ends = _PHASES[0] * _LOOKS, sum(_PHASES[:2]) * _LOOKS
    most = max(memory)
    graph = Graph(
        "memory",
        f"A reader stalls from {begins * phase / _LOOKS:g} s to {ends * phase / _LOOKS:g} s",
        "seconds",
        "MB",
        [
            Curve("resident memory", _points(memory, phase)),
            Curve(f"retired and not reclaimed (backlog_limit={backlog})", _points([size * n for n in pending], phase)),
        ],
    )
    return [
        Line(
            "most memory above that of the first version / what the backlog and the garbage limit allow together",
            Spread.of([(most - memory[0]) / (backlog * size + _GARBAGE)]),
            "x",
            Target(2.0),
            {
                "most MB": most / _MB,
                "before the stall MB": max(memory[:begins]) / _MB,
                "after it MB": max(memory[-_LOOKS:]) / _MB,
                "most pending": max(pending),
                "longest wait of the updater s": longest,
            },
            "resident memory of a process of its own",
            graph=graph,
        )
    ]


def _points(values: list[int], phase: float) -> list[tuple[float, Spread]]:
    return [(round(i * phase / _LOOKS, 4), Spread.of([value / _MB])) for i, value in enumerate(values)]


def print_memory(phase: float, backlog: int) -> None:
    """Prints the size of a version, and the longest time that an update took; then, look by look, resident memory and
    callbacks pending."""
    domain = rcu.Domain("bench", backlog_limit=backlog)
    cell = rcu.Cell({sys.intern(f"key {number}"): 0 for number in range(_ENTRIES)}, domain=domain)
    changed = next(iter(cell.value))
    stall, release, longest = threading.Event(), threading.Event(), 0.0

    def read() -> None:
        stall.wait()
        with domain:
            release.wait()

    def update() -> None:
        nonlocal longest
        began = time.perf_counter()
        cell.update(lambda old: {**old, changed: 1})
        longest = max(longest, time.perf_counter() - began)

    reader = threading.Thread(target=read)
    reader.start()
    looks = []
    with updates(update, backlog / phase):
        began = time.perf_counter()
        for i in range(sum(_PHASES) * _LOOKS):
            if i == _PHASES[0] * _LOOKS:
                stall.set()
            elif i == sum(_PHASES[:2]) * _LOOKS:
                release.set()
            time.sleep(max(0.0, began + i * phase / _LOOKS - time.perf_counter()))
            looks.append((resident(), domain.stats().pending))
    reader.join()
    print(sys.getsizeof(cell.value), longest)
    for memory, pending in looks:
        print(memory, pending)
