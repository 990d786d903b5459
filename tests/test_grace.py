"""Grace periods: what is waited for and what is not, barriers, sharing, polling, time-outs."""

import itertools
import math
import threading
from fractions import Fraction

import pytest

import rcu
from rcu.bench._native import Reader
from threads import PATIENCE, Holder, beside, eventually, together

HEAVY = rcu.flavor != "fence"


def waits(domain):
    """True once some caller waits for a reader: the domain's newest grace period has issued its barrier."""
    before = domain.stats().heavy_barriers
    return lambda: domain.stats().heavy_barriers > before


def test_synchronize_waits_for_older_sections_only(domain):
    log = []

    def update():
        domain.synchronize()
        log.extend(old.log)
        log.append("returns")

    with Holder(domain) as old:
        waiting = waits(domain)
        with beside(update):
            eventually(waiting)
            with Holder(domain) as young:
                old.leave()
                eventually(lambda: log)
                assert young.log == []
    assert log == ["leaves", "returns"]


def test_the_last_of_several_readers_wakes_the_leader(domain):
    with Holder(domain) as one, Holder(domain) as two, Holder(domain) as three:
        waiting = waits(domain)
        with beside(domain.synchronize) as updater:
            eventually(waiting)
            for holder in one, two, three:
                assert updater.is_alive()
                assert domain.stats().grace_periods == 0
                holder.leave()
    assert domain.stats().grace_periods == 1
    assert domain.stats().heavy_barriers == 1


def test_no_barrier_when_all_others_are_absent(domain):
    for _ in range(5):
        with domain:
            pass
        domain.synchronize()
    stats = domain.stats()
    assert (stats.grace_periods, stats.heavy_barriers, stats.barriers_skipped) == (5, 0, 5)


def test_no_barrier_when_all_others_are_quiesced(domain):
    with Holder(domain, then=domain.quiesce) as peer:
        peer.leave()
        assert domain.stats().parked_threads == 1
        for _ in range(5):
            domain.synchronize()
        stats = domain.stats()
        assert (stats.threads, stats.heavy_barriers, stats.barriers_skipped) == (1, 0, 5)


def test_no_barrier_once_idle_threads_are_parked(domain):
    with Holder(domain) as peer:
        peer.leave()
        # Seen idle once, it may be busy between two sections; seen idle and untouched again, it is parked.
        for _ in range(2):
            domain.synchronize()
        before = domain.stats()
        assert before.parked_threads == 1
        assert before.heavy_barriers == (2 if HEAVY else 0)
        for _ in range(5):
            domain.synchronize()
        assert domain.stats().heavy_barriers == before.heavy_barriers


def test_a_parked_thread_is_waited_for_again(domain):
    """Parked idle, it enters a section: no barrier tells the leader, the thread's own fence does."""

    def park_others():
        for _ in range(3):
            domain.synchronize()
        before = domain.stats().heavy_barriers
        domain.synchronize()
        assert domain.stats().heavy_barriers == before, "it is parked, so it costs no barrier"

    def fail_to_wait():
        with pytest.raises(TimeoutError):
            domain.synchronize(timeout=0)

    for _ in range(20):
        with domain:
            pass
        together(park_others)
        assert domain.stats().parked_threads == 1
        with domain:
            assert (domain.stats().parked_threads, domain.stats().sections_active) == (0, 1)
            together(fail_to_wait)
        together(domain.synchronize)


def test_exactly_one_barrier_with_a_busy_peer(domain):
    with Holder(domain) as busy, Holder(domain) as idle:
        idle.leave()
        waiting = waits(domain)
        with beside(domain.synchronize):
            eventually(waiting)
            busy.leave()
    stats = domain.stats()
    assert (stats.grace_periods, stats.heavy_barriers, stats.barriers_skipped) == (1, 1, 0)


def test_a_reader_in_c(domain):
    """Sections that begin and end all the time neither starve an updater nor are missed by it."""
    reader = Reader(domain, 50_000)
    with beside(reader.run):
        eventually(lambda: reader.sections)
        for _ in range(200):
            domain.synchronize()
        reader.stop()
    stats = domain.stats()
    assert stats.grace_periods == 200
    assert stats.heavy_barriers > 0, "no grace period met a busy reader"


def test_a_reader_that_quiesces_after_each_section_starves_nobody(domain):
    done = []

    def read():
        while not done:
            with domain:
                pass
            domain.quiesce()

    with beside(read):
        eventually(lambda: domain.stats().threads)
        for _ in range(2000):
            domain.synchronize()
        done.append(True)
    assert domain.stats().grace_periods == 2000


def test_synchronize_in_a_section_is_an_error(domain):
    with domain:
        with domain, pytest.raises(rcu.DeadlockError, match=rf"'{domain.name}'.*synchronize\(\).*2 nested"):
            domain.synchronize()
        with pytest.raises(rcu.DeadlockError):
            domain.synchronize(timeout=0)
        assert domain.read_lock_held()
    domain.synchronize()


# ---- sharing -----------------------------------------------------------------------------------------------------


def test_concurrent_callers_share_grace_periods(domain):
    """However many call while a reader is busy: the period under way, and one more, serve them all."""
    callers = 16
    with Holder(domain) as reader:
        calling = []

        def update():
            calling.append(1)
            domain.synchronize()

        def release():
            eventually(lambda: len(calling) == callers and domain.stats().heavy_barriers)
            reader.leave()

        together(*[update] * callers, release)
        stats = domain.stats()
        # Who was counted as calling, but had not come to take its number yet, may lead one more.
        assert stats.grace_periods < callers
        assert stats.shared_waits > 0


def test_a_follower_is_not_let_go_by_an_older_period(domain):
    """A caller that comes while a period is under way needs the next one: its reader is not in this one's."""
    log = []

    def update(name, holder):
        domain.synchronize()
        log.append((name, list(holder.log)))

    with Holder(domain) as first:
        waiting = waits(domain)
        with beside(update, "leader", first):
            eventually(waiting)
            with Holder(domain) as second:
                cookie = domain.start_poll()
                waiting = waits(domain)
                with beside(update, "follower", second):
                    first.leave()
                    eventually(lambda: log)
                    eventually(waiting)
                    assert not domain.poll(cookie)
                    second.leave()
    assert log == [("leader", ["leaves"]), ("follower", ["leaves"])]


# ---- polling -----------------------------------------------------------------------------------------------------


def test_polling(domain):
    cookie = domain.start_poll()
    assert isinstance(cookie, int)
    assert domain.poll(cookie)
    assert domain.poll(cookie), "a cookie stays good"


def test_polling_with_a_reader(domain):
    with Holder(domain) as reader:
        cookie = domain.start_poll()
        assert not domain.poll(cookie)
        assert not domain.poll(cookie)
        reader.leave()
        assert domain.poll(cookie)


def test_polling_completes_what_two_periods_are_needed_for(domain):
    with Holder(domain) as reader:
        early = domain.start_poll()
        assert not domain.poll(early)
        late = domain.start_poll()
        assert late > early
        assert not domain.poll(late)
        reader.leave()
        assert domain.poll(late)
        assert domain.poll(early)


def test_polling_in_a_section_waits_for_that_section(domain):
    with domain:
        cookie = domain.start_poll()
        assert not domain.poll(cookie)
    assert domain.poll(cookie)


def test_a_wait_completes_the_cookies_before_it(domain):
    cookie = domain.start_poll()
    domain.synchronize()
    assert domain.stats().grace_periods == 1
    assert domain.poll(cookie)
    assert domain.stats().grace_periods == 1


@pytest.mark.parametrize("cookie", [0, 4, -2, 7, 8, 2**64, 2**70])
def test_cookies_that_the_domain_has_not_given(domain, cookie):
    with pytest.raises(ValueError, match=rf"'{domain.name}': poll\({cookie}\)"):
        domain.poll(cookie)
    assert domain.poll(domain.start_poll())


@pytest.mark.parametrize("cookie", [None, "6", 6.0])
def test_cookies_that_are_no_ints(domain, cookie):
    with pytest.raises(TypeError):
        domain.poll(cookie)


# ---- time-outs ---------------------------------------------------------------------------------------------------


def test_a_timeout_leaves_the_domain_sound(domain):
    with Holder(domain) as reader:
        for timeout in 0, 0.0, 0.01, Fraction(1, 100):
            with pytest.raises(TimeoutError) as caught:
                domain.synchronize(timeout)
            assert f"'{domain.name}'" in str(caught.value)
            assert f"{timeout!r} s" in str(caught.value)
            assert f"'{reader.thread.name}' (ident {reader.thread.ident}" in str(caught.value)
        assert domain.stats().heavy_barriers == 1, "each caller resumed the first one's grace period"
        reader.leave()
        domain.synchronize(timeout=math.inf)
    assert domain.stats().grace_periods == 2


def test_a_timed_out_leader_is_replaced(domain):
    """Who waits behind a leader that gives up leads on: its reader's leaving must end the wait."""
    gave_up = threading.Event()

    def give_up():
        with pytest.raises(TimeoutError):
            domain.synchronize(timeout=0.05)
        gave_up.set()

    with Holder(domain) as reader:
        waiting = waits(domain)
        with beside(give_up):
            eventually(waiting)
            with beside(domain.synchronize) as follower:
                assert gave_up.wait(PATIENCE)
                assert follower.is_alive()
                assert domain.stats().grace_periods == 0
                reader.leave()
    assert domain.stats().grace_periods == 2, "the one that was given up, and the next for who came after its start"


def test_timeouts_come_and_go_under_load(domain):
    """Leaders that leave early, all the time, beside callers that must not: nobody is forgotten."""
    reader = Reader(domain, 5_000_000)
    gave_up = []
    # Where processors are scarce, who sleeps for a moment wakes when the section has ended: so every other time it
    # does not sleep at all.
    timeouts = itertools.cycle([0, 0.00001])

    def give_up():
        try:
            domain.synchronize(timeout=next(timeouts))
        except TimeoutError:
            gave_up.append(1)
        return len(gave_up) == 50

    def impatient():
        eventually(give_up)

    def patient():
        for _ in range(100):
            domain.synchronize()

    with beside(reader.run):
        eventually(lambda: reader.sections)
        together(impatient, patient, patient)
        reader.stop()
    assert gave_up


@pytest.mark.parametrize(
    ("timeout", "error", "words"),
    [
        (-1, ValueError, "timeout must be a number of seconds of at least 0, or None, not -1"),
        (-0.001, ValueError, "not -0.001"),
        (math.nan, ValueError, "not nan"),
        (-math.inf, ValueError, "not -inf"),
        (-(10**400), ValueError, "timeout"),
        ("1", TypeError, "timeout must be a number of seconds or None, not str"),
        ([], TypeError, "list"),
    ],
)
def test_timeouts_out_of_range(domain, timeout, error, words):
    with pytest.raises(error, match=words):
        domain.synchronize(timeout)
    domain.synchronize(timeout=None)


@pytest.mark.parametrize("timeout", [math.inf, 1e300, 10**400, 2**63, True])
def test_timeouts_beyond_the_clock(domain, timeout):
    domain.synchronize(timeout)
