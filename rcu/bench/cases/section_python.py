"""A section in Python beside a lock, on one thread; and both on two threads at once."""

import sys
import threading
from functools import partial

from rcu import Domain
from rcu.bench.findings import Line, Target
from rcu.bench.laps import alone, flatness, over
from rcu.bench.measure import (
    Scale,
    free_threaded,
    line_or_reason,
    ns,
    pairs,
    pinned,
    processors,
    ratios,
    repeated,
)

TITLE = "a section in Python, the turn of the loop included, beside a lock; one thread and two"
FLAT = Target(1.15)


def lock_target() -> Target | None:
    """3.15 made locks faster; 3.13 specialises no with statement."""
    if not free_threaded() or sys.version_info < (3, 14):
        return None
    return Target(0.60) if sys.version_info < (3, 15) else Target(1.1)


# The subject is an argument, a fast local, for all alike.
def with_domain(domain: Domain, turns: int) -> None:
    for _ in range(turns):
        with domain:
            pass


def with_lock(lock: threading.Lock, turns: int) -> None:
    for _ in range(turns):
        with lock:
            pass


def empty(subject: None, turns: int) -> None:  # noqa: ARG001
    for _ in range(turns):
        pass


def run(scale: Scale) -> list[Line]:
    domain, lock = Domain("bench"), threading.Lock()
    return [_one_thread(scale, domain, lock), *_two_threads(scale, domain, lock)]


def _one_thread(scale: Scale, domain: Domain, lock: threading.Lock) -> Line:
    turns = scale.count(5000, 500)
    with pinned(processors()[-1]):
        sections, locks, said = pairs(
            scale,
            101,
            partial(alone, over(with_domain, domain), turns),
            partial(alone, over(with_lock, lock), turns),
        )
        nothing, _ = repeated(scale, 11, partial(alone, over(empty, None), turns))
    return Line(
        "one thread: with domain / with threading.Lock()",
        ratios(sections, locks),
        "x",
        lock_target(),
        {"domain ns": ns(sections), "lock ns": ns(locks), "empty loop ns": ns(nothing)},
        said,
    )


def _two_threads(scale: Scale, domain: Domain, lock: threading.Lock) -> list[Line]:
    what = "one shared {}: a turn on each of two threads / on one thread"
    subjects = [("domain", with_domain, domain, FLAT), ("threading.Lock()", with_lock, lock, None)]
    return [
        line_or_reason(what.format(name), partial(flatness, scale, what.format(name), over(function, subject), target))
        for name, function, subject, target in subjects
    ]
