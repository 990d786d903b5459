"""What retired objects hold in memory: ten million of them, with a backlog limit."""

from rcu.bench.apart import resident, run_apart
from rcu.bench.findings import Line, Spread, Target
from rcu.bench.measure import PATIENCE, Scale

TITLE = "memory that 10,000,000 retired objects hold, with a backlog_limit of 100,000"
_RETIRED = 10_000_000
_LIMIT = 100_000
_LOOKS = 200
_CHILD = "from rcu.bench.cases import defer_memory\ndefer_memory.print_growth(*map(int, sys.argv[1:]))\n"


class Small:
    __slots__ = ("one", "two")


def run(scale: Scale) -> list[Line]:
    # A process of its own: what earlier cases have freed would be used again, and count as nothing.
    retired, limit = scale.count(_RETIRED, 20_000), scale.count(_LIMIT, 2000)
    printed = run_apart(_CHILD, str(retired), str(limit), timeout=5 * PATIENCE)
    worth, peak, pending = map(int, printed.split())
    ratio = peak / max(worth, 1)
    return [
        Line(
            "peak while retiring / with as many pending as the limit allows",
            Spread.of([ratio]),
            "x",
            Target(2.0),
            {"limit's worth MB": worth / 1e6, "peak MB": peak / 1e6, "most callbacks pending": pending},
            "resident memory of a process of its own",
        )
    ]


def print_growth(retired: int, limit: int) -> None:
    """Prints by how much resident memory grows: with `limit` objects pending, because nobody's section ends; at most,
    while `retired` are retired and freed; and how many callbacks were pending at most."""
    from rcu import Domain

    domain = Domain("bench", backlog_limit=limit)
    domain.retire(Small())
    domain.barrier()
    before = resident()
    with domain:
        # In the section nobody waits, so one less than the limit are pending.
        for _ in range(limit - 1):
            domain.retire(Small())
        worth = resident() - before
    domain.barrier()
    peak = 0
    for _ in range(_LOOKS):
        for _ in range(retired // _LOOKS):
            domain.retire(Small())
        peak = max(peak, resident() - before)
    domain.barrier()
    print(worth, peak, domain.stats().peak_pending)
