"""Three ways to protect the same look-ups from the same updates."""

import threading
from contextlib import AbstractContextManager
from typing import Protocol

from readerwriterlock import rwlock

from rcu import Domain
from rcu.demo.version import Version


class Holder:
    """Where readers find the current version; a plain attribute."""

    __slots__ = ("current",)

    def __init__(self, current: Version) -> None:
        self.current = current


class Contender(Protocol):
    """A way to keep a version open for as long as anybody reads it."""

    name: str

    def section(self) -> AbstractContextManager[object]:
        """What the calling thread enters around each of its reads."""

    def replace(self, holder: Holder, new: Version) -> None:
        """Publish *new*, and close the version from before as soon as nobody reads it any more."""

    def grace_periods(self) -> int | None:
        """How many grace periods there were; None where there is no such thing."""


class RcuContender:
    """Readers announce themselves, and the updater waits until those of the old version are gone."""

    name = "rcu.Domain"

    def __init__(self) -> None:
        self._domain = Domain("demo")

    def section(self) -> AbstractContextManager[object]:
        return self._domain

    def replace(self, holder: Holder, new: Version) -> None:
        old = holder.current
        holder.current = new
        self._domain.synchronize()
        old.close()

    def grace_periods(self) -> int | None:
        return self._domain.stats().grace_periods


class NoGracePeriodContender(RcuContender):
    """What goes wrong without the wait.

    The old version is taken from its readers at once, but stays mapped for as long as the process could crash
    from it, that is until :meth:`close_revoked`.
    """

    name = "no grace period"

    def __init__(self) -> None:
        super().__init__()
        self._revoked: list[Version] = []

    def replace(self, holder: Holder, new: Version) -> None:
        old = holder.current
        holder.current = new
        old.revoke()
        self._revoked.append(old)

    def close_revoked(self) -> None:
        """Unmap what was revoked, once all readers have ended."""
        for version in self._revoked:
            version.close()
        self._revoked.clear()


class LockContender:
    """Readers and the updater take turns, one at a time."""

    name = "threading.Lock"

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def section(self) -> AbstractContextManager[object]:
        return self._lock

    def replace(self, holder: Holder, new: Version) -> None:
        with self._lock:
            old = holder.current
            holder.current = new
        # Whoever read the old version had the lock; closing it need not keep the next reader waiting.
        old.close()

    def grace_periods(self) -> int | None:
        return None


class ReaderWriterLockContender:
    """Readers share the lock among themselves, but not with the updater."""

    name = "RWLockFair"

    def __init__(self) -> None:
        self._lock = rwlock.RWLockFair()

    def section(self) -> AbstractContextManager[object]:
        return self._lock.gen_rlock()

    def replace(self, holder: Holder, new: Version) -> None:
        with self._lock.gen_wlock():
            old = holder.current
            holder.current = new
        old.close()

    def grace_periods(self) -> int | None:
        return None


def all_contenders(grace_period: bool) -> list[Contender]:
    """A fresh one of each kind, in the order in which they run."""
    first = RcuContender() if grace_period else NoGracePeriodContender()
    return [first, LockContender(), ReaderWriterLockContender()]
