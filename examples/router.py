"""A router of 10,000 routes whose table is swapped while it serves.

A table is built aside and published when it is complete, so no request sees half of one. A request is a section and
keeps to the table that it began with. So an old table dies in the reclaimer, once no request uses it any more, and not
in the thread that happens to use it last. Since readers do not count their references to what a cell holds, it waits
there for the cyclic collector; `rcu.set_garbage_limit` has the reclaimer call that in time.
"""

import gc
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import rcu

ROUTES = 10_000
THREADS = 3
TABLES = 25  # that each thread must meet before it ends
GARBAGE = 3  # old tables that may wait for their grace period, and as many for the collector
# At most: the current one and the next; those in or after their grace period; those that wait for the collector.
ALIVE = 2 + 2 * GARBAGE + 2 * GARBAGE


class Table:
    """Routes of two shapes, `/section/name` and `/section/{any}/name`; never changed once it is published."""

    __slots__ = ("__weakref__", "_targets", "version")

    def __init__(self, version: int) -> None:
        self.version = version
        self._targets: dict[str, tuple[int, int]] = {}
        for number in range(ROUTES // 2):
            # Interned, for threads that look up equal keys which are not the same would contend.
            for path in f"/shop/{number}", f"/users/{{}}/{number}":
                self._targets[sys.intern(path)] = (version, number)
        rcu.share(self._targets)  # all threads load the table's parts, too

    def match(self, path: str) -> tuple[int, int]:
        """The target of a path; KeyError if there is no such route."""
        target = self._targets.get(path)
        if target is None:
            section, _, name = path[1:].split("/")
            target = self._targets[f"/{section}/{{}}/{name}"]
        return target


class Tables:
    """Makes tables, and knows how many there are, and on which threads the others died."""

    def __init__(self) -> None:
        self.made = 0
        self.most_alive = 0
        self._deaths: list[int] = []

    def make(self) -> Table:
        table = Table(self.made)
        weakref.finalize(table, lambda: self._deaths.append(threading.get_ident()))
        self.made += 1
        self.most_alive = max(self.most_alive, self.alive())
        return table

    def alive(self) -> int:
        return self.made - len(self._deaths)

    def died_on(self, threads: set[int]) -> int:
        return sum(thread in threads for thread in self._deaths)


def handle(table: Table, number: int) -> int:
    """Looks up the two routes of a request; the version of the table."""
    found = table.match(f"/shop/{number}"), table.match(f"/users/anna/{number}")
    if found != ((table.version, number),) * 2:
        raise RuntimeError(f"table {table.version} led to {found}")
    return table.version


def serve(routes: rcu.Cell[Table]) -> tuple[int, int, int]:
    """Handles requests until it has met enough tables; how many of both there were, and on which thread."""
    requests = 0
    met: set[int] = set()
    while len(met) < TABLES:
        with routes.domain:
            met.add(handle(routes.value, requests % (ROUTES // 2)))
        requests += 1
    return requests, len(met), threading.get_ident()


def main() -> None:
    domain = rcu.Domain("routes", backlog_limit=GARBAGE)
    rcu.set_garbage_limit(number=GARBAGE)
    tables = Tables()
    routes = rcu.Cell(tables.make(), domain=domain)
    swaps = 0
    with ThreadPoolExecutor(THREADS) as threads:
        served = [threads.submit(serve, routes) for _ in range(THREADS)]
        while not all(each.done() for each in served):
            routes.set(tables.make())
            swaps += 1
    requests, met, readers = zip(*(each.result() for each in served), strict=True)
    domain.barrier()
    gc.collect()
    print(f"{sum(requests)} requests of {THREADS} threads were routed while the table was swapped {swaps} times")
    print(f"each thread met {min(met)} tables or more, all of them whole")
    print(f"at most {tables.most_alive} tables were alive at once, and {tables.alive()} at the end")
    print(f"{tables.died_on(set(readers))} tables died on a thread that serves")
    if tables.most_alive > ALIVE or tables.alive() != 1:
        raise RuntimeError(f"old tables stay: {ALIVE} at once, and 1 at the end, were to be expected")


if __name__ == "__main__":
    main()
