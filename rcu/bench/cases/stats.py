"""What a monitor pays that asks each second."""

from functools import partial

from rcu import Domain
from rcu.bench.findings import Line, Spread, Target
from rcu.bench.measure import Scale, bystanders, repeated, time_calls

TITLE = "stats(), with threads attached"
TARGET_US = Target(20)
_THREADS = [(1, 1), (100, 10), (1000, 50)]
_US = 1e6


def run(scale: Scale) -> list[Line]:
    return [_line(scale, scale.count(*threads)) for threads in _THREADS]


def _line(scale: Scale, threads: int) -> Line:
    domain = Domain("bench")
    count = scale.count(500, 10)
    with bystanders(domain, threads):
        took, said = repeated(scale, 51, partial(time_calls, domain.stats, count))
        attached = domain.stats().threads
    return Line(
        f"{threads:,} thread{'s' if threads > 1 else ''}",
        Spread.of([seconds * _US for seconds in took]),
        "us",
        TARGET_US,
        {"threads attached": attached},
        said,
    )
