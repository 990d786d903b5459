"""How a grace period grows with the number of threads that sleep."""

from functools import partial

from rcu import Domain
from rcu.bench.findings import Line, Spread, Target
from rcu.bench.measure import Scale, bystanders, ns, pairs, time_calls

TITLE = "synchronize() with 1,000 threads attached and parked"
TARGET_US = Target(20)
_UNTIL_PARKED = 5
_US = 1e6


def run(scale: Scale) -> list[Line]:
    threads = scale.count(1000, 50)
    many, none = Domain("many"), Domain("none")
    count = scale.count(500, 10)
    with bystanders(many, threads):
        for _ in range(_UNTIL_PARKED):
            many.synchronize()
        before = many.stats()
        waits, alone, said = pairs(
            scale,
            51,
            partial(time_calls, many.synchronize, count),
            partial(time_calls, none.synchronize, count),
        )
        after = many.stats()
    barriers = after.heavy_barriers - before.heavy_barriers
    return [
        Line(
            f"{threads:,} threads",
            Spread.of([seconds * _US for seconds in waits]),
            "us",
            TARGET_US,
            {
                "without other threads ns": ns(alone),
                "for each thread ns": (ns(waits) - ns(alone)) / threads,
                "threads parked": after.parked_threads,
                "heavy barriers issued": barriers,
            },
            said if barriers == 0 else "heavy barriers were issued: this is not the idle path",
        )
    ]
