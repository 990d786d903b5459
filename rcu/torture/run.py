"""Round after round of torture, watched: a violation, or a thread that gets no further, ends it."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType

from rcu.torture.modes import MODES
from rcu.torture.scene import Scene, Setting, Worker

TICK = 0.1  # seconds between looks
LONGEST_ROUND = 5.0
SHORTEST_ROUND = 0.1
EXTRA_ROUNDS = 10  # at most, for each mode some of whose counts are still 0 at the end

# The modes' turns; most are native, whose sections are the most.
PATTERN = (
    "native",
    "domains",
    "native",
    "python",
    "native",
    "churn",
    "native",
    "fork",
    "native",
    "deferred",
    "native",
    "cells",
    "lists",
    *["native"] * 8,
)


class Hang(Exception):
    """A thread got no further. Others cannot be ended, either: the process has to be."""


@dataclass(slots=True)
class Options:
    """What the caller chose."""

    seconds: float
    readers: int
    updaters: int
    seed: int
    modes: list[str]
    patience: float
    sections: int = 0
    periods: int = 0


@dataclass(slots=True)
class Result:
    """What was counted, and what went wrong."""

    seconds: float = 0.0
    rounds: int = 0
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    ages: list[int] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    missing: dict[str, list[str]] = field(default_factory=dict)
    """By mode: what should have happened, and did not once."""

    @property
    def good(self) -> bool:
        return not self.violations and not self.missing

    @property
    def sections(self) -> int:
        return self._total("sections") + self._total("python_sections")

    @property
    def periods(self) -> int:
        return self._total("periods")

    def _total(self, name: str) -> int:
        return sum(counts[name] for counts in self.counts.values())


def schedule(options: Options) -> Iterator[str]:
    """The modes in turn, for ever."""
    turns = [name for name in PATTERN if name in options.modes] or options.modes
    while True:
        yield from turns


def run(options: Options, say: Callable[[str], None]) -> Result:
    """Runs rounds until the time is over, there were enough, and every count has moved, or something goes wrong."""
    result = Result()
    length = min(max(options.seconds / len(PATTERN), SHORTEST_ROUND), LONGEST_ROUND)
    began = time.monotonic()
    for name in schedule(options):
        enough = (
            time.monotonic() - began >= options.seconds
            and result.sections >= options.sections
            and result.periods >= options.periods
            and result.counts.keys() >= set(options.modes)
        )
        if result.violations or enough:
            break
        _round(name, length, options, result, say)
    for _ in range(EXTRA_ROUNDS):
        wanting = [name for name in options.modes if missing(name, options, result)]
        if result.violations or not wanting:
            break
        for name in wanting:
            _round(name, length, options, result, say)
    if not result.violations:
        found = {name: missing(name, options, result) for name in options.modes}
        result.missing = {name: names for name, names in found.items() if names}
    result.seconds = time.monotonic() - began
    return result


def missing(name: str, options: Options, result: Result) -> list[str]:
    """What should have happened in the mode, and has not yet."""
    expected = MODES[name].expected(Setting(0, options.readers, options.updaters))
    return sorted(count for count in expected if not result.counts[name][count])


def _round(name: str, length: float, options: Options, result: Result, say: Callable[[str], None]) -> None:
    mode: ModuleType = MODES[name]
    # A round's seed depends on its number alone, so that a replay goes through the same ones.
    setting = Setting(options.seed + (result.rounds << 32), options.readers, options.updaters)
    scene = mode.build(setting)
    result.violations += _play(scene, length, options.patience)
    counts = scene.counts()
    result.counts.setdefault(name, Counter()).update(counts)
    ages = scene.histogram()
    result.ages = [a + b for a, b in zip(result.ages or [0] * len(ages), ages, strict=True)]
    result.rounds += 1
    say(
        f"{result.rounds:4} {name:8}{counts['sections'] + counts['python_sections']:>14,} sections"
        f"{counts['periods']:>12,} grace periods"
    )


def _play(scene: Scene, length: float, patience: float) -> list[str]:
    """Runs the scene's workers; returns the violations."""
    threads = [(worker, threading.Thread(target=worker.run, name=worker.name, daemon=True)) for worker in scene.workers]
    for _, thread in threads:
        thread.start()
    watch = _Watch(scene, patience)
    end = time.monotonic() + length
    while time.monotonic() < end and not scene.violations():
        scene.stopped.wait(TICK)
        watch.look()
    # Nobody may be stuck now: what holds one up is not to be taken away by the end of the round.
    watch = _Watch(scene, patience)
    while not (watch.all_got_on() or scene.violations()):
        scene.stopped.wait(TICK / 10)
        watch.look()
    scene.stop()
    end = time.monotonic() + patience
    for worker, thread in threads:
        thread.join(max(end - time.monotonic(), TICK))
        if thread.is_alive() and not scene.violations():
            raise Hang(f"{worker.name} does not return when told to, for {patience:g} s")
    return scene.violations() or scene.leftovers()


class _Watch:
    """Sees to it that every worker gets on."""

    def __init__(self, scene: Scene, patience: float) -> None:
        self.patience = patience
        self.seen = self.begin = [(worker, worker.progress(), time.monotonic()) for worker in scene.workers]

    def look(self) -> None:
        now = time.monotonic()
        self.seen = [self.compare(worker, before, since, now) for worker, before, since in self.seen]

    def all_got_on(self) -> bool:
        return all(worker.progress() != before for worker, before, _ in self.begin)

    def compare(self, worker: Worker, before: int, since: float, now: float) -> tuple[Worker, int, float]:
        progress = worker.progress()
        if progress != before:
            return worker, progress, now
        if now - since > self.patience:
            raise Hang(f"{worker.name} has got no further than {before:,} for {self.patience:g} s")
        return worker, before, since
