"""Words and numbers about domains. Knows no domain: it is handed plain values."""

import logging
import os
import threading
from dataclasses import dataclass

from rcu.errors import StallWarning

__all__ = [
    "DomainStats",
    "debug",
    "describe_threads",
    "log_abandoned",
    "log_across_await",
    "log_backlog",
    "log_exit",
    "log_stall",
]

logger = logging.getLogger("rcu")

debug = os.environ.get("RCU_DEBUG", "0") not in ("", "0")
"""Look for misuse that costs time to find?"""


@dataclass(frozen=True, slots=True)
class DomainStats:
    """What a domain has done, and holds now. The counts are since its creation; each is exact, but the moment of
    one is not quite the moment of the next."""

    grace_periods: int
    """Grace periods completed."""
    shared_waits: int
    """Waits that ended without the caller having led: another caller's grace period served it."""
    heavy_barriers: int
    """Heavy barriers issued: times that the process's other running threads were interrupted. In the fence flavor
    each is but a fence of the updater's own."""
    barriers_skipped: int
    """Grace periods that needed no heavy barrier: all readers were absent, quiesced or parked."""
    threads: int
    """Threads attached."""
    parked_threads: int
    """Of these, those that cost an updater nothing: quiesced, or idle and parked by a leader."""
    sections_active: int
    """Threads that are in a section now."""
    pending: int
    """Callbacks deferred and not begun; a retired reference is one, too."""
    peak_pending: int
    """The most there ever were, as far as anyone looked: the reclaimer looks at each batch."""
    oldest_pending_age: float
    """For how many seconds the oldest has been pending; 0: none is."""
    callbacks_run: int
    """Callbacks begun."""
    callbacks_failed: int
    """Of these, those that raised."""
    stalls: int
    """Reports of a grace period older than ``stall_timeout``."""
    last_grace_period: float
    """Duration of the newest completed grace period, in seconds, until a caller noticed its end."""
    longest_grace_period: float
    """Duration of the longest, in seconds."""


@dataclass(frozen=True, slots=True)
class GarbageStats:
    """Deferred objects that were retired, and wait for the cyclic collector: what ``rcu.garbage_stats()`` returns."""

    number: int
    """How many were retired since the last collection; one that was retired twice is counted once."""
    nbytes: int
    """How many bytes they take, by ``sys.getsizeof``: without what they refer to."""
    oldest_age: float
    """For how many seconds the oldest has been waiting, at most; 0: there is none."""
    collections: int
    """Collections that were started for their sake, ever."""


def describe_threads(threads, total):
    """Names threads for a message: `threads` are pairs of ident and native id, `total` says how many there are."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    words = [
        f"thread {names.get(ident, 'unknown to threading')!r} (ident {ident}, native id {native_id})"
        for ident, native_id in threads
    ]
    if total > len(threads):
        words.append(f"{total - len(threads)} more")
    return ", ".join(words) if words else "no thread"


def log_stall(name, seconds, threads, total):
    """Logs that a grace period of the domain `name` is `seconds` old and whom it waits for."""
    logger.warning(
        "domain %r: a grace period is %.3g s old and waits for %s to leave a read-side section",
        name,
        seconds,
        describe_threads(threads, total),
        extra={"category": StallWarning, "rcu_domain": name, "rcu_seconds": seconds, "rcu_threads": threads},
    )


def log_backlog(name, what, pending, limit):
    """Logs that the domain `name` has more callbacks pending than it may, and that they go on in a section."""
    logger.warning(
        "domain %r: %s in a read-side section goes on with %d callbacks pending, over the backlog_limit of %d: who is "
        "in a section cannot wait for them; defer outside of sections, or leave them sooner",
        name,
        what,
        pending,
        limit,
        extra={"rcu_domain": name, "rcu_pending": pending, "rcu_limit": limit},
    )


def log_exit(seconds, pending):
    """Logs that the program ends though callbacks have not run within the `seconds` that it waits for them."""
    logger.warning(
        "the program ends before all that was deferred has run; it waited for %.3g s, and %d callback(s) have not even "
        "begun: a section or a callback that does not end holds them up, or the system starts no thread for them; "
        "rcu.set_exit_timeout() sets how long to wait",
        seconds,
        pending,
        extra={"rcu_pending": pending, "rcu_seconds": seconds},
    )


def log_abandoned(name, ident, count):
    """Logs that threads of the domain `name` ended inside a section, the last of them `ident`."""
    logger.error(
        "domain %r: %s ended inside a read-side section, the last with ident %d; the section ended with it, "
        "so nothing waits for it, but what it read was never released",
        name,
        "a thread" if count == 1 else f"{count} threads",
        ident,
        extra={"rcu_domain": name, "rcu_ident": ident, "rcu_count": count},
    )


def log_across_await(event, task, threads):
    """Logs that a thread, the only one of `threads`, is in a section when it should be in none: at an `event` like
    "task 'Task-1' suspends". `task` is the name of the running one, if any."""
    logger.warning(
        "%s while %s is in a read-side section: the section lasts across an await, and blocks every updater of its "
        "domain until it ends; end it before the await",
        event,
        describe_threads(threads, len(threads)),
        extra={"rcu_task": task, "rcu_threads": threads},
    )
