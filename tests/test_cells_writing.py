"""Writing to cells: what each method publishes and retires, and what it refuses."""

import gc
import weakref

import pytest

import rcu
from payloads import Thing
from threads import PATIENCE, Holder, beside, eventually, together

KINDS = pytest.mark.parametrize("deferred", [True, False], ids=["deferred", "counted"])


def collected(ref):
    gc.collect()
    return ref() is None


# ---- writing --------------------------------------------------------------------------------------------------------


def change(cell, how, new):
    """Publishes by one of the methods; the old value is retired where the method does so."""
    match how:
        case "set":
            assert cell.set(new) is None
        case "swap":
            old = cell.value
            assert cell.swap(new) is old
        case "compare_and_set":
            assert cell.compare_and_set(cell.value, new) is True
        case "update":
            assert cell.update(lambda _: new) is new
        case "replace":
            old = cell.value
            assert cell.replace(new).wait(PATIENCE) is old


WRITERS = pytest.mark.parametrize("how", ["set", "swap", "compare_and_set", "update", "replace"])


@KINDS
@WRITERS
def test_what_is_published_is_read(domain, how, deferred):
    cell = rcu.Cell(0, domain=domain, deferred=deferred)
    for value in 1, "text", None, [], Thing(), (1, [2]):
        change(cell, how, value)
        assert cell.value is cell.get() is value


@KINDS
@WRITERS
def test_references_are_neither_lost_nor_kept(domain, how, deferred):
    cell = rcu.Cell(None, domain=domain, deferred=deferred)
    refs = []
    for _ in range(50):
        thing = Thing()
        refs.append(weakref.ref(thing))
        change(cell, how, thing)
        del thing
        assert cell.value is refs[-1]()
    domain.barrier(PATIENCE)
    eventually(lambda: all(map(collected, refs[:-1])))
    assert cell.value is refs[-1]() is not None
    del cell
    gc.collect()
    domain.barrier(PATIENCE)
    eventually(lambda: collected(refs[-1]))


@KINDS
@WRITERS
def test_what_is_published_already(domain, how, deferred):
    thing = Thing()
    cell = rcu.Cell(thing, domain=domain, deferred=deferred)
    ref = weakref.ref(thing)
    before = domain.stats()
    for _ in range(10):
        change(cell, how, thing)
    del thing
    if how != "replace":  # which waits
        assert domain.stats().pending + domain.stats().callbacks_run == before.pending + before.callbacks_run
    domain.barrier(PATIENCE)
    gc.collect()
    assert cell.value is ref() is not None


@KINDS
@WRITERS
def test_a_cell_is_not_published_into_itself(domain, how, deferred):
    value = Thing()
    cell = rcu.Cell(value, domain=domain, deferred=deferred)
    with pytest.raises(ValueError, match="itself"):
        change(cell, how, cell)
    assert cell.value is value
    change(cell, how, None)
    assert cell.value is None


def test_a_cell_in_another(domain):
    inner = rcu.Cell(1, domain=domain)
    outer = rcu.Cell(inner, domain=domain)
    inner.set(outer)
    assert outer.value.value.value is inner
    ref = weakref.ref(inner)
    del inner, outer
    eventually(lambda: collected(ref))


def test_compare_and_set_is_by_identity(domain):
    old = [1]
    cell = rcu.Cell(old, domain=domain)
    assert cell.compare_and_set([1], [2]) is False
    assert cell.value is old
    assert cell.compare_and_set(1.0, [2]) is False
    assert cell.compare_and_set(old, [2]) is True
    assert cell.value == [2]
    assert cell.compare_and_set(old, [3]) is False
    assert cell.value == [2]


def test_compare_and_set_keeps_no_reference_where_it_fails(domain):
    cell = rcu.Cell(1, domain=domain)
    thing, expected = Thing(), Thing()
    refs = weakref.ref(thing), weakref.ref(expected)
    assert not cell.compare_and_set(expected, thing)
    del thing, expected
    assert all(map(collected, refs)), "what is not published is not kept, nor made immortal"


@pytest.mark.parametrize("arguments", [(), (1, 2, 3)])
@pytest.mark.parametrize("how", ["set", "swap", "compare_and_set", "update", "replace"])
def test_arguments_that_are_missing_or_too_many(how, arguments):
    cell = rcu.Cell(0)
    with pytest.raises(TypeError, match="argument"):
        getattr(cell, how)(*arguments)
    assert cell.value == 0


# ---- update ---------------------------------------------------------------------------------------------------------


def test_update_calls_once_with_the_old_value(domain):
    old, new = Thing(), Thing()
    cell = rcu.Cell(old, domain=domain)
    calls = []
    assert cell.update(lambda value: calls.append(value) or new) is new
    assert calls == [old]
    assert cell.value is new


@pytest.mark.parametrize("wrong", [None, 5, "name", []])
def test_update_by_what_cannot_be_called(wrong):
    cell = rcu.Cell(0)
    with pytest.raises(TypeError, match="function of the old value") as caught:
        cell.update(wrong)
    assert type(wrong).__name__ in str(caught.value)
    assert cell.value == 0
    assert cell.update(lambda value: value + 1) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError, rcu.DeadlockError])
def test_update_that_raises(domain, error):
    value = Thing()
    cell = rcu.Cell(value, domain=domain)
    raised = error("why")

    def fail(_):
        raise raised

    with pytest.raises(error) as caught:
        cell.update(fail)
    assert caught.value is raised
    assert cell.value is value
    assert domain.stats().pending == 0
    # The lock is free: for another thread, too.
    together(lambda: cell.set(1))
    assert cell.update(lambda old: old + 1) == 2


@WRITERS
def test_writing_from_within_its_own_update(domain, how):
    cell = rcu.Cell(0, domain=domain)

    def func(old):
        change(cell, how, old + 10)

    def write():
        with pytest.raises(rcu.DeadlockError, match="update") as caught:
            cell.update(func)
        assert domain.name in str(caught.value)

    together(write)  # on a thread of its own, which may hang
    assert cell.value == 0

    def careful(old):
        with pytest.raises(rcu.DeadlockError):
            change(cell, how, old + 10)
        assert cell.value == old
        return old + 1

    assert cell.update(careful) == cell.value == 1
    change(cell, how, 2)
    assert cell.value == 2


def test_reading_from_within_its_own_update(domain):
    cell = rcu.Cell(0, domain=domain)
    assert cell.update(lambda old: old + cell.value + cell.get() + 1) == 1


def test_the_update_of_another_cell(domain):
    one, other = rcu.Cell(0, domain=domain), rcu.Cell(0, domain=domain)

    def func(old):
        other.update(lambda value: value + 1)
        other.set(other.value + 1)
        return old + 1

    for i in range(1, 4):
        assert one.update(func) == i
        assert other.value == 2 * i


def test_writing_in_a_section(domain):
    cell = rcu.Cell(0, domain=domain)
    with domain:
        cell.set(1)
        assert cell.swap(2) == 1
        assert cell.compare_and_set(cell.value, 3)
        assert cell.update(lambda old: old + 1) == 4
        replaced = cell.replace(5)
        assert replaced.value == 4
    assert replaced.wait(PATIENCE) == 4
    assert cell.value == 5


def test_the_methods_of_the_type():
    cell = rcu.Cell(1)
    for name in "get", "set", "swap", "compare_and_set", "update", "replace":
        with pytest.raises(TypeError):
            getattr(rcu.Cell, name)(None)
        with pytest.raises(TypeError):
            getattr(rcu.Cell, name)(rcu.default_domain, 1)
    assert rcu.Cell.get(cell) == 1


# ---- the backlog ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["set", "compare_and_set", "update"])
def test_a_writer_waits_for_room_before_it_publishes(domain, how):
    domain.backlog_limit = 3
    cell = rcu.Cell(0, domain=domain)
    with Holder(domain) as reader:
        for _ in range(3):
            domain.call(int)
        with beside(change, cell, how, 1) as writer:
            writer.join(0.01)
            assert writer.is_alive()
            assert cell.value == 0
            with domain:
                cell.get()
            reader.leave()
            writer.join(PATIENCE)
            assert cell.value == 1


def test_a_writer_in_a_section_waits_for_nothing(domain):
    domain.backlog_limit = 1
    cell = rcu.Cell(0, domain=domain)
    with domain:
        for i in range(1, 100):
            cell.set(i)
        assert domain.stats().pending >= 99
    assert cell.value == 99
    domain.barrier(PATIENCE)


def test_the_function_of_an_update_waits_for_no_room(domain):
    """Callbacks, which make the room, may be waiting for the lock that it holds."""
    domain.backlog_limit = 5
    cell, other = rcu.Cell(0, domain=domain), rcu.Cell(0, domain=domain)

    def func(_):
        for i in range(20):
            domain.call(cell.set, i)
            other.set(i)
        return 1

    with beside(cell.update, func) as worker:
        worker.join(PATIENCE)
        assert not worker.is_alive()
    domain.barrier(PATIENCE)
    assert cell.value == other.value == 19
    # It is over: this thread waits again.
    with Holder(domain) as reader, beside(lambda: [cell.update(lambda old: old + 1) for _ in range(20)]) as worker:
        worker.join(0.01)
        assert worker.is_alive()
        reader.leave()
    assert cell.value == 39
