"""A grace period that does not end is reported: which domain, which thread, how long."""

import math

import pytest

import rcu
from threads import Holder, beside, eventually


def test_a_stall_names_the_reader(records):
    domain = rcu.Domain("routes", stall_timeout=0.02)
    with Holder(domain) as reader:
        reader.thread.name = "stuck"
        with beside(domain.synchronize):
            eventually(lambda: len(records) >= 3)
            reader.leave()
    first = records[0]
    assert first.category is rcu.StallWarning
    assert first.rcu_domain == "routes"
    assert [ident for ident, _ in first.rcu_threads] == [reader.thread.ident]
    assert [native_id for _, native_id in first.rcu_threads] == [reader.thread.native_id]
    assert f"thread 'stuck' (ident {reader.thread.ident}, native id {reader.thread.native_id})" in first.getMessage()
    ages = [record.rcu_seconds for record in records]
    assert ages[0] >= 0.02
    assert all(later >= 2 * 0.02 * 2**i for i, later in enumerate(ages[1:])), "at doubling ages"
    assert domain.stats().stalls == len(records)


def test_several_waiters_report_once(records):
    domain = rcu.Domain(stall_timeout=0.02)
    with (
        Holder(domain) as reader,
        beside(domain.synchronize),
        beside(domain.synchronize),
        beside(domain.synchronize),
    ):
        eventually(lambda: len(records) >= 2)
        reader.leave()
    # One report in each of the spans from 0.02 s to 0.04 s, to 0.08 s, ...; a late one may be the last moment of its.
    spans = [int(math.log2(record.rcu_seconds / 0.02)) for record in records]
    assert spans == sorted(set(spans))


def test_no_report_without_a_timeout(records):
    domain = rcu.Domain(stall_timeout=None)
    with Holder(domain), pytest.raises(TimeoutError):
        domain.synchronize(timeout=0.1)
    assert domain.stats().stalls == 0
    assert not records


def test_a_long_list_of_readers_is_cut_short(records):
    import contextlib

    domain = rcu.Domain(stall_timeout=0.01)
    with contextlib.ExitStack() as stack:
        for _ in range(11):
            stack.enter_context(Holder(domain))
        with pytest.raises(TimeoutError, match="3 more"):
            domain.synchronize(timeout=0.05)
    assert len(records[0].rcu_threads) == 8
    assert "3 more" in records[0].getMessage()


def test_a_reader_that_left_unnoticed_is_no_stall(records):
    """Nobody waited when the last reader left: the next look completes the period, and reports nothing."""
    domain = rcu.Domain(stall_timeout=0.05)
    with Holder(domain) as reader:
        with pytest.raises(TimeoutError):
            domain.synchronize(timeout=0)
        reader.leave()
        before = domain.stats().stalls
        reader.may_end.wait(0.1)
        assert domain.stats().stalls == before
        assert domain.stats().grace_periods == 1
    assert not [record for record in records if "no thread" in record.getMessage()]
