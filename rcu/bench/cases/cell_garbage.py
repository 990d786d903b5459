"""Resident memory while a big dict is replaced again and again: versions that only the cyclic collector frees."""

import sys
import time

import rcu
from rcu.bench.apart import resident, run_apart
from rcu.bench.findings import Curve, Graph, Line, Spread, Target
from rcu.bench.measure import PATIENCE, Scale

TITLE = "resident memory over 100,000 updates of a dict of 1 MB, with the default garbage limit, and with none"
_UPDATES = 100_000
_UNLIMITED = 1000  # so many dicts of 1 MB is what is risked without a limit
_ENTRIES = 43_690  # as many as a table of 1 MB has room for
_WARM_UP = 0.1  # of the updates
_LOOKS = 30  # meanwhile; then 100 for all
_LIMIT = 64 * 2**20  # the default
_BACKLOG = 16  # dicts of that size that may wait for their grace period, where the reclaimer is slow to be run
_MB = 1e6
# A process of its own: what earlier cases have freed would be used again, and count as nothing.
_CHILD = "from rcu.bench.cases import cell_garbage\ncell_garbage.print_memory(*map(int, sys.argv[1:]))\n"


def run(scale: Scale) -> list[Line]:
    count, few = scale.count(_UPDATES, 300), scale.count(_UNLIMITED, 100)
    size, seconds, collections, limited = _measure(count, True)
    _, _, _, unlimited = _measure(few, False)
    after = [peak for updates, peak in limited if updates > _WARM_UP * count]
    tenth = len(after) // 9
    early, late = Spread.of(after[:tenth]), Spread.of(after[-tenth:])
    first, most = limited[0][1], max(peak for _, peak in limited)
    graph = Graph(
        "memory",
        f"Resident memory while a dict of {size / _MB:.2g} MB is replaced",
        "updates",
        "MB, at most since the mark before",
        [Curve("default limit", _points(limited)), Curve("limit off", _points(unlimited))],
        log_x=True,
    )
    return [
        Line(
            "default limit: in the last tenth / in the second tenth",
            Spread.of([late.median / early.median]),
            "x",
            Target(1.05),
            {"updates": count, "dict MB": size / _MB, "us for an update": seconds / count * 1e6},
            "resident memory of a process of its own, looked at after each update",
            graph=graph,
        ),
        Line(
            "default limit: most memory above that of the first version / the limit of 64 MiB",
            Spread.of([(most - first) / _LIMIT]),
            "x",
            Target(4.0),
            {"first MB": first / _MB, "most MB": most / _MB, "collections for the limit's sake": collections},
            f"backlog_limit={_BACKLOG}; what the reclaimer frees stays with the process until it allocates again",
        ),
        Line(
            "limit off: growth for each update",
            Spread.of([(unlimited[-1][1] - unlimited[0][1]) / _MB / (few - 1)]),
            "MB",
            None,
            {"updates": few, "most MB": max(peak for _, peak in unlimited) / _MB},
            "the collector by itself waits for thousands of objects, however big they are",
        ),
    ]


def _measure(count: int, limited: bool) -> tuple[int, float, int, list[tuple[int, int]]]:
    first, *looks = run_apart(_CHILD, str(count), str(int(limited)), timeout=15 * PATIENCE).splitlines()
    size, seconds, collections = first.split()
    points = [tuple(map(int, look.split())) for look in looks]
    return int(size), float(seconds), int(collections), points


def _points(looks: list[tuple[int, int]]) -> list[tuple[float, Spread]]:
    return [(updates, Spread.of([peak / _MB])) for updates, peak in looks]


def print_memory(count: int, limited: int) -> None:
    """Prints the size of a version, the seconds for all updates, and how many collections there were for the limit's
    sake; then how much memory was resident after how many updates, at most since the line before."""
    # Interned strings and small numbers are immortal, so that a copy is not about counting references.
    version = {sys.intern(f"key {number}"): 0 for number in range(_ENTRIES)}
    changed = next(iter(version))
    cell = rcu.Cell(version, domain=rcu.Domain("bench", backlog_limit=_BACKLOG))
    if not limited:
        rcu.set_garbage_limit(None)
    size = sys.getsizeof(version)
    del version
    warm_up = _WARM_UP * count
    marks = sorted(
        {round(warm_up ** (i / _LOOKS)) for i in range(_LOOKS + 1)}
        | {round(warm_up + count / 100 * i) for i in range(1, 91)}
    )
    looks, peak = [], 0
    began = time.perf_counter()
    for number in range(1, count + 1):
        cell.update(lambda old, value=number % 256: {**old, changed: value})
        peak = max(peak, resident())
        if number == marks[len(looks)]:
            looks.append((number, peak))
            peak = 0
    seconds = time.perf_counter() - began
    print(size, seconds, rcu.garbage_stats().collections)
    for updates, most in looks:
        print(updates, most)
