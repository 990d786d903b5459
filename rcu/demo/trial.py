"""The same work under one protection: readers look up while an updater reloads, and both are counted."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from rcu.demo.contenders import Contender, Holder, NoGracePeriodContender
from rcu.demo.crew import Crew
from rcu.demo.readers import Tally, read_until
from rcu.demo.readtimes import ReadTimes
from rcu.demo.table import TableError
from rcu.demo.version import Ledger, Version
from rcu.demo.watch import Source

# How often the files are looked at when the demo itself does not change them more often, in seconds.
WATCH_INTERVAL = 0.05
TICK = 0.1


@dataclass(frozen=True, slots=True)
class Settings:
    """What the user chose."""

    readers: int
    rate: float
    seconds: float
    grace_period: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was counted, so far or in the end."""

    name: str
    seconds: float
    reads: int
    reloads: int
    times: ReadTimes
    live: int
    live_at_most: int
    stale: int
    torn: int
    after_unmap: int
    grace_periods: int | None

    @property
    def reads_per_second(self) -> float:
        return self.reads / self.seconds if self.seconds else 0.0

    @property
    def reloads_per_second(self) -> float:
        return self.reloads / self.seconds if self.seconds else 0.0

    @property
    def violations(self) -> int:
        """Reads that must not happen."""
        return self.stale + self.torn + self.after_unmap


class Trial:
    """One contender's run."""

    def __init__(
        self,
        contender: Contender,
        source: Source,
        settings: Settings,
        directory: Path,
        on_error: Callable[[TableError], None],
    ) -> None:
        self._contender = contender
        self._source = source
        self._settings = settings
        self._directory = directory
        self._on_error = on_error
        self._ledger = Ledger()
        self._tallies = [Tally() for _ in range(settings.readers)]
        self._reloads = 0
        self._begin = perf_counter()
        self._end: float | None = None

    def run(self, seconds: float, on_tick: Callable[["Trial"], bool | None]) -> Outcome:
        """Run for so long, or until *on_tick*, called some ten times a second, returns True."""
        holder = Holder(Version(self._source.table, self._directory, self._ledger))
        try:
            with Crew() as crew:
                self._begin = perf_counter()
                crew.start("updater", self._update_until, crew.stop, holder)
                for number, tally in enumerate(self._tallies):
                    section = self._contender.section()
                    table = self._source.table
                    crew.start(f"reader-{number}", read_until, crew.stop, section, holder, tally, table, number)
                while (left := self._begin + seconds - perf_counter()) > 0:
                    if crew.stop.wait(min(left, TICK)) or on_tick(self):
                        break
                self._end = perf_counter()
        finally:
            holder.current.close()
            if isinstance(self._contender, NoGracePeriodContender):
                self._contender.close_revoked()
        return self.outcome()

    def outcome(self) -> Outcome:
        """What was counted until now."""
        tallies = self._tallies
        return Outcome(
            name=self._contender.name,
            seconds=(self._end or perf_counter()) - self._begin,
            reads=sum(tally.reads for tally in tallies),
            reloads=self._reloads,
            times=ReadTimes.merged(tally.times for tally in tallies),
            live=self._ledger.live,
            live_at_most=self._ledger.live_at_most,
            stale=sum(tally.stale for tally in tallies),
            torn=sum(tally.torn for tally in tallies),
            after_unmap=sum(tally.after_unmap for tally in tallies),
            grace_periods=self._contender.grace_periods(),
        )

    def _update_until(self, stop: threading.Event, holder: Holder) -> None:
        pause = 1 / self._settings.rate if self._settings.rate else float("inf")
        due = perf_counter() + pause
        # An updater that came late, because it had to wait for readers, does not make up for it with a burst.
        while not stop.wait(min(max(due - perf_counter(), 0), WATCH_INTERVAL)):
            if perf_counter() >= due:
                due = max(due + pause, perf_counter())
                self._source.edit()
            try:
                table = self._source.poll()
            except TableError as error:
                self._on_error(error)
                continue
            if table:
                self._contender.replace(holder, Version(table, self._directory, self._ledger))
                self._reloads += 1
