"""Feature flags: a frozen dataclass in a cell, read once for each request, flipped by administrators meanwhile.

A request reads the cell once and works with that version to its end, so what it sees is one consistent set. No section
is needed for that: an object that a thread holds stays alive. Administrators replace the whole set by an update of the
old one; updates of one cell take turns, so none is lost.
"""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import rcu

WORKERS = 3
ADMINISTRATORS = 2
VERSIONS = 200  # that each worker must meet before it ends


@dataclasses.dataclass(frozen=True, slots=True)
class Flags:
    revision: int = 0
    new_checkout: bool = False
    new_receipt: bool = False  # goes with the new checkout: half of the pair would be an error


current = rcu.Cell(Flags())


def work() -> tuple[int, int]:
    """Handles requests until it has met enough versions of the flags; how many requests and versions there were."""
    requests = 0
    met: set[int] = set()
    while len(met) < VERSIONS:
        flags = current.value
        if checkout(flags) != receipt(flags):
            raise RuntimeError(f"a request saw half of an update: {flags}")
        met.add(flags.revision)
        requests += 1
    return requests, len(met)


def checkout(flags: Flags) -> str:
    return "new" if flags.new_checkout else "old"


def receipt(flags: Flags) -> str:
    return "new" if flags.new_receipt else "old"


def flipped(old: Flags) -> Flags:
    on = not old.new_checkout
    return dataclasses.replace(old, revision=old.revision + 1, new_checkout=on, new_receipt=on)


def administrate(workers: list) -> int:
    """Flips flags while anybody works; how often."""
    updates = 0
    while not all(worker.done() for worker in workers):
        current.update(flipped)
        updates += 1
    return updates


def main() -> None:
    with ThreadPoolExecutor(WORKERS + ADMINISTRATORS) as threads:
        workers = [threads.submit(work) for _ in range(WORKERS)]
        administrators = [threads.submit(administrate, workers) for _ in range(ADMINISTRATORS)]
    requests, met = zip(*(worker.result() for worker in workers), strict=True)
    updates = [administrator.result() for administrator in administrators]
    print(f"{sum(requests)} requests of {WORKERS} threads read the flags, each one consistent set of them")
    print(f"each thread met {min(met)} versions or more")
    print(f"{ADMINISTRATORS} administrators made {sum(updates)} updates, and the revision is {current.value.revision}")
    if current.value.revision != sum(updates):
        raise RuntimeError("an update was lost")


if __name__ == "__main__":
    main()
