"""One version of the routing table: a memory-mapped file that must stay mapped while anybody reads it."""

import itertools
import mmap
import threading
from pathlib import Path

from rcu.demo import index
from rcu.demo.index import CHILD, SALT, SEAL
from rcu.demo.table import Route, Table


class ReadAfterUnmapError(Exception):
    """A version was unmapped before the reader was done with it."""


class TornReadError(Exception):
    """An answer does not carry the checksum of its version."""


class Ledger:
    """Counts the versions that are mapped, and numbers them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self.live = 0
        self.live_at_most = 0

    def next_number(self) -> int:
        """A number that no version has yet, higher than all before."""
        return next(self._numbers)

    def opened(self) -> None:
        """Count one more."""
        with self._lock:
            self.live += 1
            self.live_at_most = max(self.live_at_most, self.live)

    def closed(self) -> None:
        """Count one less."""
        with self._lock:
            self.live -= 1


class Version:
    """An immutable compiled table in a mapped file of its own.

    Any number of threads may look up at the same time. :meth:`close` is for the one thread that knows that no
    look-up is under way; the look-ups find out if it was wrong.
    """

    __slots__ = ("_file", "_ledger", "_map", "_view", "closed", "number", "table")

    def __init__(self, table: Table, directory: Path, ledger: Ledger) -> None:
        self.table = table
        self.closed = False
        self._ledger = ledger
        self.number = ledger.next_number()
        self._file = directory / f"index-{self.number}"
        self._file.write_bytes(index.build(table, self.number))
        with self._file.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        # Readers index this one view and make no others: a map counts its views, and readers would contend
        # for that count.
        with memoryview(self._map) as octets:
            self._view = octets.cast("I")
        ledger.opened()

    def lookup(self, address: bytes) -> int:
        """The number of the best route for a packed *address*, from 1; 0 if there is none."""
        try:
            view = self._view
            base = view[len(address)]
            entry = base
            for octet in address:
                entry = view[base + octet]
                if entry < CHILD:
                    break
                base = entry - CHILD
            answer = view[entry]
            intact = answer ^ view[SEAL] ^ SALT == view[entry + 1]
        except (ValueError, IndexError):
            # The view was released or wiped on the way.
            answer = intact = False
        if self.closed:
            raise ReadAfterUnmapError(f"version {self.number} was unmapped during a look-up")
        if not intact:
            raise TornReadError(f"version {self.number} gave an answer that is not its own")
        return answer

    def route(self, answer: int) -> Route | None:
        """The route that :meth:`lookup` found."""
        return self.table.routes[answer - 1] if answer != index.UNREACHABLE else None

    def revoke(self) -> None:
        """Take the version from its readers, but leave its memory mapped.

        Who reads it now is told so; after an unmapping, the process might be killed.
        """
        if self.closed:
            return
        self.closed = True
        # As if the memory were in use for something else already.
        self._map[:] = bytes(len(self._map))
        self._view.release()
        self._ledger.closed()

    def close(self) -> None:
        """Unmap, and remove the file. Again is harmless."""
        self.revoke()
        self._map.close()
        self._file.unlink(missing_ok=True)
