"""Read-side sections: with, by hand, nested, overlapping, left by exceptions, misused."""

import pytest

import rcu
from threads import Holder, together


def test_with_yields_none_and_is_a_section(domain):
    with domain as value:
        assert value is None
        assert domain.read_lock_held()
        assert domain.stats().sections_active == 1
    assert not domain.read_lock_held()
    assert domain.stats().sections_active == 0


def test_sections_nest(domain):
    with domain:
        with domain:
            assert domain.read_lock_held()
        assert domain.read_lock_held()
    assert not domain.read_lock_held()


def test_sections_overlap(domain):
    guard = domain.read()
    domain.read_lock()
    guard.__enter__()
    domain.read_unlock()
    assert domain.read_lock_held()
    guard.release()
    assert not domain.read_lock_held()


def test_a_section_is_its_threads_own(domain):
    with Holder(domain):
        assert not domain.read_lock_held()
        assert domain.stats().sections_active == 1


def test_a_nested_section_ends_with_the_outermost(domain):
    with domain:
        with domain:
            pass
        together(lambda: pytest.raises(TimeoutError, domain.synchronize, 0))
    together(domain.synchronize)


@pytest.mark.parametrize("leave", ["with", "guard", "run"])
def test_an_exception_leaves_the_section(domain, leave):
    def fail():
        assert domain.read_lock_held()
        raise KeyError("x")

    with pytest.raises(KeyError):
        if leave == "with":
            with domain:
                fail()
        elif leave == "guard":
            with domain.read():
                fail()
        else:
            domain.run(fail)
    assert not domain.read_lock_held()
    domain.synchronize()


def test_run_passes_arguments_and_result(domain):
    assert domain.run(lambda *args, **kwargs: (domain.read_lock_held(), args, kwargs), 1, 2, a=3) == (
        True,
        (1, 2),
        {"a": 3},
    )
    assert not domain.read_lock_held()


def test_run_of_something_that_cannot_be_called(domain):
    with pytest.raises(TypeError):
        domain.run(5)
    assert not domain.read_lock_held()


def test_unlock_without_lock(domain):
    for _ in range(2):
        with pytest.raises(
            rcu.SectionError, match=rf"domain '{domain.name}'.*read_unlock\(\).*'MainThread' \(ident \d+\)"
        ):
            domain.read_unlock()
        domain.read_lock()
        domain.read_unlock()
    domain.synchronize()


def test_unlock_of_another_threads_lock(domain):
    with Holder(domain):
        with pytest.raises(rcu.SectionError):
            domain.read_unlock()
        assert domain.stats().sections_active == 1


def test_a_body_that_unlocks_too_much(domain):
    with pytest.raises(rcu.SectionError, match="end of a with block"), domain:
        domain.read_unlock()
    with pytest.raises(rcu.SectionError, match=r"end of run\(\)"):
        domain.run(domain.read_unlock)
    with domain:
        assert domain.read_lock_held()
    assert not domain.read_lock_held()


def test_a_generator_that_moves_between_threads(domain):
    def generate():
        with domain:
            yield

    generator = generate()
    next(generator)
    with pytest.raises(rcu.SectionError):
        together(lambda: next(generator))
    domain.read_unlock()
    domain.synchronize()


def test_the_functions_of_the_default_domain():
    def use():
        domain = rcu.default_domain
        assert domain.name == "default"
        rcu.register_thread()
        rcu.read_lock()
        assert rcu.read_lock_held()
        assert domain.read_lock_held()
        rcu.read_unlock()
        with rcu.read() as guard:
            assert guard.domain is domain
        assert rcu.run(rcu.read_lock_held)
        rcu.quiesce()
        rcu.synchronize()
        rcu.synchronize(timeout=1)
        assert rcu.poll(rcu.start_poll())
        assert isinstance(rcu.stats(), rcu.DomainStats)
        rcu.unregister_thread()

    together(use)


def test_registering_is_idempotent(domain):
    assert domain.stats().threads == 0
    domain.register_thread()
    domain.register_thread()
    assert domain.stats().threads == 1
    domain.unregister_thread()
    domain.unregister_thread()
    assert domain.stats().threads == 0
    with domain:
        assert domain.stats().threads == 1


def test_unregistering_inside_a_section(domain):
    with domain:
        with domain, pytest.raises(rcu.SectionError, match=r"unregister_thread\(\).*2 nested"):
            domain.unregister_thread()
        assert domain.read_lock_held()
    domain.unregister_thread()
    assert domain.stats().threads == 0


def test_quiesce(domain):
    domain.quiesce()  # of a thread that is not attached: nothing
    assert domain.stats().threads == 0
    with domain:
        domain.quiesce()
        assert domain.stats().sections_active == 1
        assert domain.stats().parked_threads == 0
    domain.quiesce()
    assert domain.stats().parked_threads == 1
    with domain:
        assert domain.stats().sections_active == 1
