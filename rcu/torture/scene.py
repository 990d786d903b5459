"""A round of torture: who works on what, and how to see that all of them get on."""

import random
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from rcu.torture._field import Field
from rcu.torture._readers import Reader
from rcu.torture._updaters import Updater


@dataclass(frozen=True, slots=True)
class Setting:
    """What a round is told."""

    seed: int
    readers: int
    updaters: int

    def chance(self) -> random.Random:
        """The round's own draws, the same for the same seed."""
        return random.Random(self.seed)


@dataclass(slots=True)
class Worker:
    """A thread of a round."""

    name: str
    run: Callable[[], object]
    progress: Callable[[], int]
    """Grows for as long as the thread gets on."""


@dataclass(slots=True)
class Scene:
    """The workers of a round, and what they found."""

    fields: list[Field] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    counted: list[Callable[[], dict[str, int]]] = field(default_factory=list)
    """Asked for their counts when all workers have returned."""
    readers: list[Reader] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    broken: list[str] = field(default_factory=list)
    """What must not happen and did, in words; fields count theirs by themselves."""

    def add_field(self, one: Field) -> Field:
        self.fields.append(one)
        self.counted.append(one.counts)
        return one

    def add_reader(self, reader: Reader) -> None:
        self.readers.append(reader)
        self.counted.append(reader.counts)
        self.workers.append(Worker(f"reader {len(self.workers)}", reader.run, lambda: reader.progress))

    def add_updater(self, updater: Updater) -> None:
        self.counted.append(updater.counts)
        name = f"updater {len(self.workers)} ({updater.way})"
        self.workers.append(Worker(name, updater.run, lambda: updater.progress))

    def add_worker(self, name: str, run: Callable[[], object], progress: Callable[[], int]) -> None:
        """A worker in Python: what it raises is a violation."""

        def guarded() -> None:
            try:
                run()
            except BaseException:
                self.broken.append(f"{name} raised:\n{traceback.format_exc()}")

        self.workers.append(Worker(name, guarded, progress))

    def stop(self) -> None:
        self.stopped.set()
        for one in self.fields:
            one.stop()

    def violations(self) -> list[str]:
        found = [
            f"{one.domain.name}: {one.violations} violation(s), first: {one.first}"
            for one in self.fields
            if one.violations
        ]
        return found + self.broken

    def leftovers(self) -> list[str]:
        """What is wrong when no worker is left: threads that are still attached."""
        return [
            f"{one.domain.name}: {threads} thread(s) still attached, {active} in a section, after all have ended"
            for one in self.fields
            for threads, active in [one.attached()]
            if threads
        ]

    def counts(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for one in self.counted:
            total.update(one())
        return total

    def histogram(self) -> list[int]:
        return [sum(column) for column in zip(*(reader.histogram() for reader in self.readers), strict=True)]
