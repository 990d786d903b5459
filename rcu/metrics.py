"""Metrics for Prometheus: what ``stats()`` and ``rcu.garbage_stats()`` tell, as a collector of prometheus_client.

``prometheus_client.REGISTRY.register(rcu.metrics.RcuCollector())``, and each scrape has them.
"""

import os
import re
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rcu import Domain, garbage_stats
from rcu._domain import live_domains

try:
    from prometheus_client import core
except ModuleNotFoundError as error:
    if error.name != "prometheus_client":
        raise
    raise ImportError(
        "rcu.metrics needs the package 'prometheus_client', which is not installed; pip install 'rcu[metrics]'",
        name=error.name,
    ) from error

__all__ = ["RcuCollector"]

type _Family = core.CounterMetricFamily | core.GaugeMetricFamily


class _Metric(NamedTuple):
    """How a field of the statistics is exposed."""

    field: str
    name: str
    kind: type[core.CounterMetricFamily] | type[core.GaugeMetricFamily]
    text: str
    unit: str = ""

    def family(self, namespace: str, labels: list[str]) -> _Family:
        return self.kind(f"{namespace}_{self.name}", self.text, labels=labels, unit=self.unit)


_COUNT, _GAUGE = core.CounterMetricFamily, core.GaugeMetricFamily

_OF_DOMAINS = [
    _Metric("grace_periods", "grace_periods", _COUNT, "Grace periods completed."),
    _Metric("shared_waits", "shared_waits", _COUNT, "Waits that another caller's grace period served."),
    _Metric(
        "heavy_barriers", "heavy_barriers", _COUNT, "Times that the process's other running threads were interrupted."
    ),
    _Metric("barriers_skipped", "barriers_skipped", _COUNT, "Grace periods that needed no heavy barrier."),
    _Metric("threads", "threads", _GAUGE, "Threads attached."),
    _Metric("parked_threads", "parked_threads", _GAUGE, "Threads attached that cost an updater nothing."),
    _Metric("sections_active", "sections_active", _GAUGE, "Threads in a read-side section."),
    _Metric("pending", "pending_callbacks", _GAUGE, "Callbacks deferred and not begun, retired references included."),
    _Metric("peak_pending", "peak_pending_callbacks", _GAUGE, "The most callbacks that were seen pending."),
    _Metric("oldest_pending_age", "oldest_pending_age", _GAUGE, "Age of the oldest callback pending.", "seconds"),
    _Metric("callbacks_run", "callbacks_run", _COUNT, "Callbacks begun."),
    _Metric("callbacks_failed", "callbacks_failed", _COUNT, "Callbacks that raised."),
    _Metric("stalls", "stalls", _COUNT, "Reports of a grace period older than stall_timeout."),
    _Metric("last_grace_period", "last_grace_period", _GAUGE, "Duration of the newest grace period.", "seconds"),
    _Metric("longest_grace_period", "longest_grace_period", _GAUGE, "Duration of the longest grace period.", "seconds"),
]

_OF_GARBAGE = [
    _Metric("number", "garbage_objects", _GAUGE, "Retired objects that wait for the cyclic collector."),
    _Metric("nbytes", "garbage", _GAUGE, "What they take, without what they refer to.", "bytes"),
    _Metric("oldest_age", "garbage_oldest_age", _GAUGE, "Age of the oldest of them.", "seconds"),
    _Metric("collections", "garbage_collections", _COUNT, "Collections started for their sake."),
]


class RcuCollector:
    """A collector for a registry of prometheus_client: ``REGISTRY.register(RcuCollector())``.

    Each field of `DomainStats` is a metric, ``rcu_grace_periods_total{domain="default"}``, and so is each of
    `GarbageStats`: ``rcu_garbage_bytes``. What a program counts from its begin is a counter, all else a gauge; times
    are in seconds. Those of one domain come from one ``stats()``, so a scrape reports stalls, too.

    The label is the domain's name. Of several that are alive, the oldest, or the first of `domains`, has the name for
    its label, the next is ``name (2)``; each keeps what the collector has called it for life, and leaves it to another
    then. A character that UTF-8 does not have, half of a surrogate pair, is written as ``\\ud800``.

    :param domains: whose to collect; ``None``: of all that there are at the time, but for those that extensions have
        made with ``rcu_domain_new()``. They are not kept alive, and one that is gone is not collected any more.
    :param namespace: what the names of the metrics begin with.
    :raises TypeError, ValueError: `domains` are not domains, or `namespace` cannot begin a metric's name.

    May be used from any thread; one may be in several registries.
    """

    def __init__(self, domains: Iterable[Domain] | None = None, *, namespace: str = "rcu") -> None:
        if not isinstance(namespace, str):
            raise TypeError(f"namespace must be a string, not {type(namespace).__name__} {namespace!r}")
        if not re.fullmatch("[a-zA-Z_:][a-zA-Z0-9_:]*", namespace):
            raise ValueError(
                f"namespace must be of letters, digits, _ and :, and not begin with a digit: {namespace!r}"
            )
        self._namespace = namespace
        self._only = None if domains is None else [weakref.ref(domain) for domain in _checked(domains)]
        self._labels: dict[weakref.ref[Domain], str] = {}

    def describe(self) -> list[_Family]:
        """Returns the metrics without values: a registry asks for their names, and collects nothing to know them."""
        return [metric.family(self._namespace, ["domain"]) for metric in _OF_DOMAINS] + [
            metric.family(self._namespace, []) for metric in _OF_GARBAGE
        ]

    def collect(self) -> list[_Family]:
        """Returns the metrics with the values of now. Takes some 20 us for each domain; does not block."""
        of_domains = [metric.family(self._namespace, ["domain"]) for metric in _OF_DOMAINS]
        for domain, label in self._labelled():
            stats = domain.stats()
            for metric, family in zip(_OF_DOMAINS, of_domains, strict=True):
                family.add_metric([label], getattr(stats, metric.field))
        of_garbage = [metric.family(self._namespace, []) for metric in _OF_GARBAGE]
        garbage = garbage_stats()
        for metric, family in zip(_OF_GARBAGE, of_garbage, strict=True):
            family.add_metric([], getattr(garbage, metric.field))
        return of_domains + of_garbage

    def _labelled(self) -> list[tuple[Domain, str]]:
        """The domains of now, each with the label that no other has."""
        with _lock:
            if self._only is None:
                domains = live_domains()
            else:
                domains = [domain for domain in (refer() for refer in self._only) if domain is not None]
            refers = [weakref.ref(domain) for domain in domains]
            # A new dictionary, whole when it is published: a fork child may find the lock taken, and gets another.
            labels = {refer: self._labels[refer] for refer in refers if refer in self._labels}
            taken = set(labels.values())
            following: dict[str, Iterator[str]] = {}
            for domain, refer in zip(domains, refers, strict=True):
                if refer not in labels:
                    name = domain.name.encode("utf-8", "backslashreplace").decode()
                    free = following.setdefault(name, _candidates(name))
                    labels[refer] = next(label for label in free if label not in taken)
                    taken.add(labels[refer])
            self._labels = labels
        return [(domain, labels[refer]) for domain, refer in zip(domains, refers, strict=True)]


def _candidates(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name} ({number})"
        number += 1


def _checked(domains: Iterable[Domain]) -> list[Domain]:
    try:
        found = list(dict.fromkeys(domains))
    except TypeError:
        raise TypeError(f"domains must be an iterable of rcu.Domain, or None for all, not {domains!r}") from None
    for domain in found:
        if not isinstance(domain, Domain):
            raise TypeError(f"domains must hold instances of rcu.Domain, not {type(domain).__name__} {domain!r}")
    return found


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


_renew_lock()  # of all collectors' labels
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
