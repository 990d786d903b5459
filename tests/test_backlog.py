"""The backlog: who defers beyond the limit waits, unless in a section, in a callback, or where the limit is raised."""

import threading

import pytest

import rcu
from threads import PATIENCE, Holder, beside, eventually, together


class Caller:
    """A thread that defers `count` callbacks, one by one."""

    def __init__(self, domain, count, function=int):
        self.domain = domain
        self.count = count
        self.function = function
        self.done = 0

    def __call__(self):
        for _ in range(self.count):
            self.domain.call(self.function)
            self.done += 1


def is_full(domain):
    return domain.stats().pending >= domain.backlog_limit


@pytest.mark.parametrize(
    ("limit", "error"), [(0, ValueError), (-1, ValueError), (2**63, ValueError), (1.0, TypeError), ("1", TypeError)]
)
def test_limits_out_of_range(domain, limit, error):
    with pytest.raises(error):
        domain.backlog_limit = limit
    assert domain.backlog_limit == 100_000
    with pytest.raises(error):
        rcu.Domain(backlog_limit=limit)


def test_limits(domain):
    for limit in (1, 2**63 - 1, True):
        domain.backlog_limit = limit
        assert domain.backlog_limit == limit
        domain.call(int)
        domain.barrier(PATIENCE)


@pytest.mark.parametrize("kind", ["call", "retire"])
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_caller_waits_for_room(domain, limit, kind):
    domain.backlog_limit = limit
    caller = Caller(domain, 3 * limit)
    if kind == "retire":

        def caller():
            for _ in range(3 * limit):
                domain.retire([])

    with Holder(domain) as reader, beside(caller) as worker:
        eventually(lambda: is_full(domain))
        worker.join(0.01)
        assert worker.is_alive()
        assert domain.stats().pending == limit
        reader.leave()
        worker.join(PATIENCE)
        assert not worker.is_alive()
    domain.barrier(PATIENCE)
    stats = domain.stats()
    assert stats.callbacks_run == 3 * limit
    assert stats.peak_pending <= limit + stats.threads
    assert stats.pending == 0


@pytest.mark.parametrize("limit", [1, 10, 1000])
def test_threads_together_stay_below_the_limit(domain, limit):
    """Whatever each was granted when it looked last, when there were fewer of them."""
    threads = 20
    domain.backlog_limit = limit
    go = threading.Event()
    callers = [Caller(domain, limit) for _ in range(threads)]
    first = [threading.Event() for _ in range(threads)]

    def work(i):
        if i < limit:
            domain.call(int)
        first[i].set()
        assert go.wait(PATIENCE)
        callers[i]()

    with Holder(domain) as reader:
        workers = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(threads)]
        for i, worker in enumerate(workers):
            worker.start()
            if i < limit:
                assert first[i].wait(PATIENCE)
        go.set()
        eventually(lambda: is_full(domain))
        for worker in workers:
            worker.join(0.01)
        assert all(worker.is_alive() for worker in workers)
        assert limit <= domain.stats().pending <= limit + threads
        reader.leave()
        for worker in workers:
            worker.join(PATIENCE)
    domain.barrier(PATIENCE)
    stats = domain.stats()
    assert stats.callbacks_run == threads * limit + min(limit, threads)
    assert stats.peak_pending <= limit + threads


def test_a_grant_is_no_loan_for_ever(domain):
    """A thread that was granted much and uses it late finds that others have filled the backlog meanwhile."""
    domain.backlog_limit = 1000
    early = Caller(domain, 1000)
    may_go_on = threading.Event()

    def work():
        domain.call(int)
        first.set()
        assert may_go_on.wait(PATIENCE)
        early()

    first = threading.Event()
    with Holder(domain) as reader, beside(work) as worker:
        assert first.wait(PATIENCE)
        with beside(Caller(domain, 1500)) as other:
            eventually(lambda: is_full(domain))
            may_go_on.set()
            worker.join(0.01)
            assert worker.is_alive()
            assert other.is_alive()
            assert early.done <= 1
            assert domain.stats().pending <= 1002
            reader.leave()


# ---- who does not wait ----------------------------------------------------------------------------------------------


def test_in_a_section_one_goes_on(domain, records):
    domain.backlog_limit = 10
    for episode in range(1, 4):
        with domain:
            for _ in range(500):
                domain.call(int)
            assert domain.stats().pending == 500
        assert len(records) == episode
        domain.barrier(PATIENCE)
        for _ in range(100):  # one of them looks, and finds room: the episode is over
            domain.call(int)
        domain.barrier(PATIENCE)
    record = records[0]
    assert (record.rcu_domain, record.rcu_limit) == (domain.name, 10)
    assert record.rcu_pending >= 10
    assert "call() in a read-side section goes on" in record.getMessage()
    assert domain.stats().peak_pending == 500


def test_in_a_section_of_another_domain_one_goes_on(domain):
    """What holds up the callbacks may be a callback that waits for that section."""
    other = rcu.Domain()
    domain.backlog_limit = 1
    done = threading.Event()

    def work():
        with other:
            domain.call(other.synchronize)
            for _ in range(100):
                domain.call(int)
        done.set()

    with beside(work):
        assert done.wait(PATIENCE)
    domain.barrier(PATIENCE)
    assert domain.stats().callbacks_run == 101


def test_callbacks_go_on(domain):
    domain.backlog_limit = 1
    ran = []

    def more(n):
        ran.append(n)
        for _ in range(n):
            domain.call(more, n - 1)

    domain.call(more, 5)
    eventually(lambda: domain.stats().pending == 0 and len(ran) == 1 + 5 + 20 + 60 + 120 + 120)


def test_callbacks_of_two_domains_do_not_wait_for_each_other():
    one, other = rcu.Domain(backlog_limit=1), rcu.Domain(backlog_limit=1)
    meet = threading.Barrier(2)

    def fill(domain):
        meet.wait(PATIENCE)
        for _ in range(50):
            domain.call(int)

    one.call(fill, other)
    other.call(fill, one)
    eventually(lambda: one.stats().callbacks_run == other.stats().callbacks_run == 51)


# ---- changes, interruptions -----------------------------------------------------------------------------------------


def test_a_higher_limit_lets_who_waits_go_on(domain):
    domain.backlog_limit = 5
    caller = Caller(domain, 50)
    with Holder(domain), beside(caller) as worker:
        eventually(lambda: is_full(domain))
        domain.backlog_limit = 20
        eventually(lambda: is_full(domain))
        assert domain.stats().pending == 20
        assert worker.is_alive()
        domain.backlog_limit = 51
        worker.join(PATIENCE)
        assert not worker.is_alive()
        assert domain.stats().pending == 50


def test_a_lower_limit_holds_at_once(domain):
    caller = Caller(domain, 100)
    with Holder(domain) as reader:
        domain.call(int)

        def work():
            domain.call(int)  # is granted many
            granted.set()
            assert lowered.wait(PATIENCE)
            caller()

        granted, lowered = threading.Event(), threading.Event()
        with beside(work) as worker:
            assert granted.wait(PATIENCE)
            domain.backlog_limit = 10
            lowered.set()
            eventually(lambda: is_full(domain))
            worker.join(0.01)
            assert worker.is_alive()
            assert domain.stats().pending == 10
            reader.leave()


def test_ctrl_c_in_the_wait(script):
    """The callback that there was no room for is not deferred; the others are."""
    out = script(
        """
import signal, threading, rcu

signal.signal(signal.SIGINT, signal.default_int_handler)
domain = rcu.Domain(backlog_limit=3)
entered, leave = threading.Event(), threading.Event()

def hold():
    with domain:
        entered.set()
        leave.wait()

waits = threading.Event()

def interrupt():
    waits.wait()
    signal.pthread_kill(main, signal.SIGINT)

main = threading.main_thread().ident
ran = []
worker = threading.Thread(target=hold)
worker.start()
entered.wait()
for i in range(3):
    domain.call(ran.append, i)
threading.Thread(target=interrupt).start()
try:
    waits.set()
    domain.call(ran.append, "too many")
except KeyboardInterrupt:
    print("interrupted", domain.stats().pending)
leave.set()
worker.join()
domain.call(ran.append, 3)
domain.barrier()
print(ran)
"""
    )
    assert out == "interrupted 3\n[0, 1, 2, 3]\n"


# ---- figures --------------------------------------------------------------------------------------------------------


def test_statistics(domain):
    assert (domain.stats().pending, domain.stats().peak_pending, domain.stats().oldest_pending_age) == (0, 0, 0.0)
    with Holder(domain):
        domain.call(int)
        first = domain.stats()
        assert first.pending == first.peak_pending == 1
        eventually(lambda: domain.stats().oldest_pending_age > first.oldest_pending_age)
        with beside(domain.call, int):
            pass
        domain.retire([])
        second = domain.stats()
        assert (second.pending, second.peak_pending, second.callbacks_run) == (3, 3, 0)
        # The oldest is the same.
        assert second.oldest_pending_age > first.oldest_pending_age
    domain.barrier(PATIENCE)
    last = domain.stats()
    assert (last.pending, last.peak_pending, last.callbacks_run, last.oldest_pending_age) == (0, 3, 3, 0.0)


def test_pending_is_never_negative_nor_beyond(domain):
    stop = threading.Event()
    looks = []

    def look():
        while not stop.is_set():
            stats = domain.stats()
            assert 0 <= stats.pending <= 1000 + 3
            assert stats.peak_pending <= 1000 + 3
            assert stats.oldest_pending_age < PATIENCE
            looks.append(stats.pending)

    domain.backlog_limit = 1000
    callers = [Caller(domain, 20_000) for _ in range(2)]
    with beside(look):
        try:
            together(*callers)
            domain.barrier(PATIENCE)
        finally:
            stop.set()
    assert looks
    assert domain.stats().peak_pending > 0
    assert domain.stats().callbacks_run == 40_000
