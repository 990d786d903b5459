"""Readers and updaters at work together: what must never happen, and counts that show that it could have."""

import random
import threading

import pytest

import rcu
from rcu.bench._native import Reader
from threads import beside, eventually, together

UPDATES = 1500


class Version:
    """A resource that must not be read after it was closed."""

    def __init__(self, number):
        self.number = number
        self.open = True


class Shared:
    """One published version; what readers and updaters saw is counted."""

    def __init__(self, domain):
        self.domain = domain
        self.current = Version(0)
        self.done = threading.Event()
        self.raced = threading.Event()
        self.reads = self.closed = self.overtaken = 0
        self.counts = threading.Lock()

    def read(self):
        """Reads until the end. A version is looked at twice in its section: at once, and after others may have
        been published."""
        domain, reads, closed, overtaken = self.domain, 0, 0, 0
        chance = random.Random(threading.get_ident())
        while not self.done.is_set():
            with domain:
                version = self.current
                closed += not version.open
                for _ in range(chance.randrange(30)):
                    pass
                if self.current is not version:
                    overtaken += 1
                    self.raced.set()
                closed += not version.open
            reads += 1
            if reads % 64 == 0:
                domain.quiesce()
        with self.counts:
            self.reads += reads
            self.closed += closed
            self.overtaken += overtaken

    def update(self, wait, updates=UPDATES):
        """Publishes that many versions, and goes on until a section has seen its version replaced."""
        number = 0
        while number < updates or not (self.raced.is_set() or number > 1000 * updates):
            number += 1
            with self.counts:
                old, self.current = self.current, Version(number)
            wait()
            old.open = False

    def run(self, readers, *updaters):
        def update():
            try:
                together(*updaters)
            finally:
                self.done.set()

        together(*[self.read] * readers, update)


def poll(domain):
    cookie = domain.start_poll()
    while not domain.poll(cookie):
        pass


def insist(domain):
    while True:
        try:
            return domain.synchronize(timeout=0.0001)
        except TimeoutError:
            continue


@pytest.mark.parametrize("readers", [1, 3])
@pytest.mark.parametrize("wait", [rcu.Domain.synchronize, poll, insist])
def test_nothing_is_read_after_its_grace_period(domain, readers, wait):
    shared = Shared(domain)
    shared.run(readers, lambda: shared.update(lambda: wait(domain)))
    assert shared.reads
    assert shared.closed == 0
    assert shared.overtaken, "no section saw a version replaced: the race did not happen"
    assert domain.stats().grace_periods >= UPDATES


def test_several_updaters(domain):
    shared = Shared(domain)
    shared.run(2, *[lambda: shared.update(lambda: domain.synchronize(), UPDATES // 4)] * 4)
    stats = domain.stats()
    assert shared.closed == 0
    assert shared.overtaken
    assert stats.heavy_barriers + stats.barriers_skipped == stats.grace_periods


def test_the_stress_sees_what_it_looks_for(domain):
    """Without a grace period between publishing and closing, readers do see closed versions."""
    shared = Shared(domain)

    def update():
        number = 0
        while not shared.done.is_set():
            number += 1
            old, shared.current = shared.current, Version(number)
            old.open = False

    def read():
        while not shared.closed:
            with domain:
                version = shared.current
                for _ in range(50):
                    pass
                shared.closed += not version.open
        shared.done.set()

    together(update, read)
    assert shared.closed


def test_domains_do_not_disturb_each_other():
    domains = [rcu.Domain() for _ in range(3)]
    shareds = [Shared(domain) for domain in domains]

    def both(one, two):
        """Reads two domains in nested sections."""
        while not one.done.is_set():
            with one.domain:
                version = one.current
                with two.domain:
                    other = two.current
                    assert other.open
                assert version.open

    def work(i):
        shareds[i].run(1, lambda: shareds[i].update(domains[i].synchronize, UPDATES // 3))

    together(*[lambda i=i: work(i) for i in range(3)], lambda: both(shareds[0], shareds[1]))
    assert [shared.closed for shared in shareds] == [0, 0, 0]
    assert sum(shared.overtaken for shared in shareds)


def test_attaching_and_detaching_beside_updaters(domain):
    """While leaders scan, and while their heavy barrier is under way."""
    busy = Reader(domain, 20_000)
    shared = Shared(domain)
    rounds = 300

    def churn():
        for _ in range(10 * rounds):
            with domain:
                assert shared.current.open
            domain.unregister_thread()

    with beside(busy.run):
        eventually(lambda: busy.sections)
        shared.run(
            1,
            churn,
            churn,
            lambda: shared.update(domain.synchronize, rounds),
            lambda: shared.update(lambda: poll(domain), rounds),
        )
        busy.stop()
    assert shared.closed == 0
    assert domain.stats().threads == 0
    assert domain.stats().heavy_barriers
