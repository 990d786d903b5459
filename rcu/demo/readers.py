"""What a reader thread does: look up, check, and now and then take the time."""

import random
import threading
from contextlib import AbstractContextManager
from time import perf_counter_ns

from rcu.demo.contenders import Holder
from rcu.demo.readtimes import ReadTimes
from rcu.demo.table import Table
from rcu.demo.version import ReadAfterUnmapError, TornReadError, Version

# One read in so many is timed.
SAMPLE = 16
ROUNDS = 64
STRAY_SHARE = 0.05


class Tally:
    """What one reader counted; it alone writes."""

    def __init__(self) -> None:
        self.reads = 0
        self.stale = 0
        self.torn = 0
        self.after_unmap = 0
        self.times = ReadTimes()
        self.newest: Version | None = None


def read(section: AbstractContextManager[object], holder: Holder, addresses: list[bytes], tally: Tally) -> None:
    """Look up each address in a read-side section of its own, and count the answers that are wrong."""
    newest = tally.newest
    for address in addresses:
        with section:
            version = holder.current
            try:
                version.lookup(address)
            except ReadAfterUnmapError:
                tally.after_unmap += 1
            except TornReadError:
                tally.torn += 1
        if version is not newest:
            if newest is not None and version.number < newest.number:
                tally.stale += 1
            else:
                newest = version
    tally.newest = newest
    tally.reads += len(addresses)


def read_until(
    stop: threading.Event,
    section: AbstractContextManager[object],
    holder: Holder,
    tally: Tally,
    table: Table,
    seed: int,
) -> None:
    """Read addresses from *table* without a pause until *stop* is set."""
    # Made by this thread, so that it shares their reference counts with no other.
    addresses = pick_addresses(table, SAMPLE * ROUNDS, seed)
    rounds = [(addresses[i : i + 1], addresses[i + 1 : i + SAMPLE]) for i in range(0, len(addresses), SAMPLE)]
    while True:
        for timed, untimed in rounds:
            begin = perf_counter_ns()
            read(section, holder, timed, tally)
            tally.times.add(perf_counter_ns() - begin)
            read(section, holder, untimed, tally)
            if stop.is_set():
                return


def pick_addresses(table: Table, count: int, seed: int) -> list[bytes]:
    """Packed addresses, most of them within a random prefix of *table*, the others anywhere."""
    chance = random.Random(seed)
    addresses = []
    for _ in range(count):
        prefix = chance.choice(table.routes).prefix
        address = chance.getrandbits(prefix.max_prefixlen)
        if chance.random() >= STRAY_SHARE:
            address = int(prefix.network_address) | (address & int(prefix.hostmask))
        addresses.append(address.to_bytes(prefix.max_prefixlen // 8))
    return addresses
