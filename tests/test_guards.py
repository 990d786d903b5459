"""Guards: witnesses of one section, of one thread."""

import copy
import gc
import pickle

import pytest

import rcu
from threads import together


def test_a_guard_witnesses_its_section(domain):
    guard = domain.read()
    assert guard.domain is domain
    assert not guard.active
    assert not domain.read_lock_held()
    with guard as same:
        assert same is guard
        assert guard.active
        assert domain.read_lock_held()
    assert not guard.active
    assert not domain.read_lock_held()


def test_release_ends_the_section_early(domain):
    with domain.read() as guard:
        guard.release()
        assert not guard.active
        assert not domain.read_lock_held()
        domain.synchronize()
    assert not domain.read_lock_held()


def test_a_guard_is_good_for_one_section(domain):
    guard = domain.read()
    with guard, pytest.raises(rcu.SectionError, match="a second time"), guard:
        raise AssertionError("entered twice")
    with pytest.raises(rcu.SectionError, match="a second time"), guard:
        raise AssertionError("entered again")
    assert not domain.read_lock_held()


def test_release_without_a_section(domain):
    guard = domain.read()
    with pytest.raises(rcu.SectionError, match="no section to release"):
        guard.release()
    with guard:
        guard.release()
        with pytest.raises(rcu.SectionError, match="no section to release"):
            guard.release()
    domain.synchronize()


@pytest.mark.parametrize("use", ["__enter__", "release", "__exit__"])
def test_a_guard_on_another_thread(domain, use):
    arguments = (None, None, None) if use == "__exit__" else ()
    guard = domain.read()
    if use != "__enter__":
        guard.__enter__()
    with pytest.raises(rcu.WrongThreadError, match=rf"{domain.name}.*belongs to the thread that called read"):
        together(lambda: getattr(guard, use)(*arguments))
    assert domain.stats().threads == 1, "the other thread was not attached by its mistake"
    if use != "__enter__":
        assert guard.active
        guard.release()
    domain.synchronize()


def test_a_guard_survives_reregistration(domain):
    guard = domain.read()
    domain.unregister_thread()
    with guard:
        assert domain.read_lock_held()


def test_unlocking_a_guards_section_by_hand(domain):
    with pytest.raises(rcu.SectionError, match="end of a guard"), domain.read():
        domain.read_unlock()
    with domain.read():
        assert domain.read_lock_held()
    assert not domain.read_lock_held()


def test_a_dropped_guard_ends_its_section(domain):
    domain.read().__enter__()
    gc.collect()
    assert not domain.read_lock_held()


def test_a_guard_dropped_by_another_thread_does_not_end_that_threads_section(domain, monkeypatch):
    """The interpreter chooses the thread that frees it: without the GIL the guard's own, else the other."""
    reports = []
    monkeypatch.setattr("sys.unraisablehook", lambda report: reports.append(report.exc_value))
    guards = [domain.read()]
    guards[0].__enter__()

    def drop():
        with domain:
            guards.clear()
            assert domain.read_lock_held()

    together(drop)
    if domain.read_lock_held():
        (report,) = reports
        assert isinstance(report, rcu.WrongThreadError)
        assert "dropped while active" in str(report)
        domain.read_unlock()
    else:
        assert not reports
    domain.synchronize()


def test_a_guard_dropped_after_its_section_was_ended_by_hand(domain, monkeypatch, capfd):
    reports = []
    monkeypatch.setattr("sys.unraisablehook", lambda report: reports.append(report.exc_value))
    guard = domain.read().__enter__()
    domain.read_unlock()
    del guard
    (report,) = reports
    assert type(report) is rcu.SectionError
    assert "had been ended by hand" in str(report)
    assert capfd.readouterr() == ("", ""), "reported to the hook only"
    domain.synchronize()


def test_guards_cannot_be_made_copied_or_pickled(domain):
    guard = domain.read()
    with pytest.raises(TypeError, match=r"Domain\.read\(\)"):
        rcu.Guard()
    for duplicate in copy.copy, copy.deepcopy, pickle.dumps:
        with pytest.raises(TypeError, match="cannot copy or pickle"):
            duplicate(guard)
    assert repr(guard) == f"<rcu.Guard of {domain.name!r}, new>"


def test_a_guard_made_behind_the_domains_back():
    for thread in together, lambda function: function():
        guard = rcu.Guard.__new__(rcu.Guard)
        for use in guard.__enter__, guard.release, lambda guard=guard: guard.__exit__(None, None, None):

            def check(use=use):
                with pytest.raises(rcu.SectionError, match=r"Domain\.read\(\) has not made"):
                    use()

            thread(check)
        assert "new" in repr(guard)
