"""Threads that come, go, and end where they should not."""

import logging
import threading

import pytest

import rcu
from threads import PATIENCE, Holder, beside, eventually, together


def test_a_thread_leaves_when_it_ends(domain):
    def read():
        with domain:
            assert domain.stats().threads == 1

    for _ in range(3):
        together(read)
        assert domain.stats().threads == 0


def test_a_thread_that_ends_inside_a_section(domain, caplog):
    together(domain.read_lock)
    with caplog.at_level(logging.ERROR, "rcu"):
        stats = domain.stats()
    (record,) = caplog.records
    assert "ended inside a read-side section" in record.getMessage()
    assert (record.rcu_domain, record.rcu_count) == (domain.name, 1)
    assert (stats.threads, stats.sections_active) == (0, 0)
    domain.synchronize(PATIENCE)
    assert len(caplog.records) == 1, "reported once"


def test_each_thread_that_ended_inside_a_section_is_reported_once(domain, caplog):
    deaths = 60

    def die():
        for _ in range(deaths):
            worker = threading.Thread(target=domain.read_lock)
            worker.start()
            worker.join(PATIENCE)

    def look():
        for _ in range(500):
            domain.stats()

    with caplog.at_level(logging.ERROR, "rcu"):
        together(die, look, look)
        domain.stats()
    assert sum(record.rcu_count for record in caplog.records) == deaths


def test_a_thread_that_ends_inside_a_section_ends_the_wait_for_it(domain, caplog):
    entered, may_end = threading.Event(), threading.Event()

    def read():
        domain.read_lock()
        entered.set()
        assert may_end.wait(PATIENCE)

    with caplog.at_level(logging.ERROR, "rcu"), beside(read):
        assert entered.wait(PATIENCE)
        with beside(domain.synchronize, PATIENCE):
            eventually(lambda: domain.stats().heavy_barriers)
            assert domain.stats().sections_active == 1
            may_end.set()
    assert domain.stats().grace_periods == 1
    assert [record.rcu_count for record in caplog.records] == [1]


def test_an_exception_that_kills_a_thread_ends_its_section(domain):
    class KillsThread(Exception):
        pass

    def read():
        with domain:
            raise KillsThread

    with pytest.raises(KillsThread):
        together(read)
    domain.synchronize(PATIENCE)
    assert domain.stats().threads == 0


def test_ten_thousand_threads_come_and_go(domain):
    """While an updater works: each attaches, reads and detaches; none is missed, none is left behind."""
    batch, batches = 50, 200
    sections, work = [], threading.Semaphore(0)

    def read():
        with domain:
            pass
        work.release()
        with domain:
            assert domain.stats().threads
        sections.append(2)

    def update():
        for _ in range(batch * batches):
            assert work.acquire(timeout=PATIENCE)
            domain.synchronize(PATIENCE)

    def churn():
        for _ in range(batches):
            workers = [threading.Thread(target=read) for _ in range(batch)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join(PATIENCE)

    together(update, churn)
    stats = domain.stats()
    assert sum(sections) == 2 * batch * batches
    assert (stats.threads, stats.sections_active) == (0, 0)
    assert stats.grace_periods == batch * batches
    assert stats.heavy_barriers, "no grace period met a thread"


def test_a_thread_of_many_domains_leaves_them_all():
    domains = [rcu.Domain() for _ in range(40)]

    def read():
        for domain in domains:
            domain.register_thread()
        domains[7].unregister_thread()
        domains[9].unregister_thread()
        domains[9].register_thread()
        for domain in domains[::3]:
            with domain:
                pass

    together(read, read)
    assert [domain.stats().threads for domain in domains] == [0] * 40


def test_slots_are_recycled_clean(domain):
    """A thread that gets the slot of one that died in a section, or was parked, begins outside of all."""
    for _ in range(20):
        together(domain.read_lock)

        def read():
            assert not domain.read_lock_held()
            with domain:
                assert domain.read_lock_held()
            assert not domain.read_lock_held()
            domain.synchronize()

        together(read)
    with Holder(domain) as peer:
        peer.leave()
        for _ in range(3):
            domain.synchronize()
    together(lambda: domain.run(lambda: pytest.raises(rcu.DeadlockError, domain.synchronize)))
