"""A grace period that has nobody to wait for."""

import contextlib
from functools import partial

from rcu import Domain
from rcu.bench import _native
from rcu.bench.findings import Line, Spread, Target
from rcu.bench.measure import NS, Scale, bystanders, ns, pairs, time_calls

TITLE = "synchronize() while all other threads are absent, quiesced or parked"
TARGET_NS = Target(400)
_UNTIL_PARKED = 5


def run(scale: Scale) -> list[Line]:
    return [
        _line(scale, "no other thread", threads=0),
        _line(scale, "one other thread, quiesced", threads=1, quiesced=True),
        _line(scale, "one other thread, parked", threads=1),
    ]


def _line(scale: Scale, what: str, threads: int, quiesced: bool = False) -> Line:
    domain = Domain("bench")
    count = scale.count(2000, 50)
    with bystanders(domain, threads, quiesced) if threads else contextlib.nullcontext():
        for _ in range(_UNTIL_PARKED):
            domain.synchronize()
        before = domain.stats().heavy_barriers
        waits, fences, said = pairs(
            scale,
            51,
            partial(time_calls, domain.synchronize, count),
            lambda: _native.time_full_barriers(count) / count,
        )
        barriers = domain.stats().heavy_barriers - before
    return Line(
        what,
        Spread.of([seconds * NS for seconds in waits]),
        "ns",
        TARGET_NS,
        {
            "full fence ns": ns(fences),
            "in full fences": ns(waits) / ns(fences),
            "heavy barriers issued": barriers,
        },
        said if barriers == 0 else "heavy barriers were issued: this is not the idle path",
    )
