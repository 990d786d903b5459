"""Domains as objects: arguments, names, independence, ends, statistics."""

import copy
import dataclasses
import gc
import itertools
import pickle
import re
import sys
import sysconfig
import weakref

import pytest

import rcu
from threads import Holder, together

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
IMMORTAL = FREE_THREADED and sys.version_info < (3, 14)


def test_names():
    assert re.fullmatch(r"domain-\d+", rcu.Domain().name)
    assert rcu.Domain().name != rcu.Domain().name
    domain = rcu.Domain("routes", stall_timeout=None, backlog_limit=5)
    assert (domain.name, domain.stall_timeout, domain.backlog_limit) == ("routes", None, 5)
    assert repr(domain) == "<rcu.Domain 'routes'>"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"name": 5}, TypeError, "name must be a string or None, not int"),
        ({"stall_timeout": "10"}, TypeError, "stall_timeout must be a number of seconds or None, not str"),
        ({"stall_timeout": -1}, ValueError, "stall_timeout .* not -1"),
        ({"stall_timeout": 0}, ValueError, "stall_timeout must be above 0"),
        ({"stall_timeout": float("nan")}, ValueError, "stall_timeout .* not nan"),
        ({"backlog_limit": 0}, ValueError, "backlog_limit must be at least 1.* not 0"),
        ({"backlog_limit": -3}, ValueError, "backlog_limit .* not -3"),
        ({"backlog_limit": 1.5}, TypeError, "float"),
        ({"color": 1}, TypeError, "color"),
    ],
)
def test_arguments_out_of_range(arguments, error, words):
    with pytest.raises(error, match=words):
        rcu.Domain(**arguments)


@pytest.mark.parametrize("argument", ["stall_timeout", "backlog_limit"])
def test_an_argument_that_finds_the_domain_before_it_is_made(argument):
    """Converting an argument may run Python, and the collector knows the object already."""
    found = []

    class Nosy:
        def __float__(self):
            found.extend(thing for thing in gc.get_objects() if type(thing) is rcu.Domain and thing.name == argument)
            for domain in found:
                with domain, domain.read():
                    domain.stats()
                domain.synchronize()
            return 1.0

        def __index__(self):
            return int(self.__float__())

    domain = rcu.Domain(argument, **{argument: Nosy()})
    assert found == [domain]


def test_stall_timeout_may_be_changed(domain):
    domain.stall_timeout = 3
    assert domain.stall_timeout == 3
    with pytest.raises(ValueError, match="stall_timeout"):
        domain.stall_timeout = -3
    assert domain.stall_timeout == 3
    domain.stall_timeout = None
    assert domain.stall_timeout is None


def test_stall_timeout_is_changed_by_any_thread(domain):
    seen = set()

    def write():
        for i in range(3000):
            domain.stall_timeout = None if i % 3 == 0 else 1.5 + i % 2

    def read():
        for _ in range(3000):
            seen.add(domain.stall_timeout)

    together(write, write, read, read)
    assert seen <= {None, 1.5, 2.5, 10.0}


def test_domains_cannot_be_copied_pickled_or_subclassed(domain):
    for duplicate in copy.copy, copy.deepcopy, pickle.dumps:
        with pytest.raises(TypeError, match=f"cannot copy or pickle .*{domain.name}"):
            duplicate(domain)
    with pytest.raises(TypeError):
        type("Mine", (rcu.Domain,), {})


def test_domains_are_independent():
    one, two = rcu.Domain(), rcu.Domain()
    with one:
        assert not two.read_lock_held()
        two.synchronize()
        with pytest.raises(rcu.DeadlockError):
            one.synchronize()
    with Holder(one):
        two.synchronize()
        with pytest.raises(TimeoutError):
            one.synchronize(timeout=0)


def test_many_domains_of_one_thread():
    """More than the thread's first table holds; each section is of its own domain."""
    domains = [rcu.Domain() for _ in range(300)]
    for domain in domains:
        domain.read_lock()
    for domain, other in itertools.pairwise(domains):
        domain.read_unlock()
        assert not domain.read_lock_held()
        assert other.read_lock_held()
    domains[-1].read_unlock()


def test_domains_come_and_go():
    """Recycled slots belong to nobody: a new domain's thread is in no section, whatever the old one's was."""
    for _ in range(300):
        domain = rcu.Domain()
        assert domain.stats().threads == 0
        assert not domain.read_lock_held()
        domain.read_lock()
        assert domain.stats().threads == 1
        del domain
        if _ % 50 == 0:
            gc.collect()


def test_a_domain_is_freed_by_the_collector():
    domain = rcu.Domain()
    together(domain.read_lock)
    gone = weakref.ref(domain)
    del domain
    gc.collect()
    assert (gone() is None) is not IMMORTAL


@pytest.mark.skipif(not FREE_THREADED, reason="the reference counts of one running thread are nobody's problem")
def test_reading_threads_leave_the_count_of_a_domain_alone(domain):
    deferred_or_immortal = 1 << 31
    for shared in domain, rcu.read_lock, rcu.Domain.__dict__["__enter__"]:
        assert sys.getrefcount(shared) >= deferred_or_immortal


def test_statistics(domain):
    stats = domain.stats()
    assert dataclasses.asdict(stats) == {
        "grace_periods": 0,
        "shared_waits": 0,
        "heavy_barriers": 0,
        "barriers_skipped": 0,
        "threads": 0,
        "parked_threads": 0,
        "sections_active": 0,
        "pending": 0,
        "peak_pending": 0,
        "oldest_pending_age": 0.0,
        "callbacks_run": 0,
        "callbacks_failed": 0,
        "stalls": 0,
        "last_grace_period": 0.0,
        "longest_grace_period": 0.0,
    }
    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.threads = 1
    domain.synchronize()
    with Holder(domain) as holder:
        with pytest.raises(TimeoutError):
            domain.synchronize(timeout=0)
        now = domain.stats()
        assert (now.grace_periods, now.heavy_barriers, now.threads, now.sections_active) == (1, 1, 1, 1)
        holder.leave()
        domain.synchronize()
    now = domain.stats()
    assert now.grace_periods == 3
    assert now.longest_grace_period >= now.last_grace_period > 0
