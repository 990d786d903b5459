"""Cells: each method, what it refuses, and what a cell is to the interpreter."""

import copy
import gc
import inspect
import pickle
import sys
import types
import weakref

import pytest

import rcu
from payloads import DEFERS, Deaths, Thing
from threads import PATIENCE, Holder, beside, eventually, together

KINDS = pytest.mark.parametrize("deferred", [True, False], ids=["deferred", "counted"])


def collected(ref):
    gc.collect()
    return ref() is None


# ---- what a cell is -------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("value", [None, 5, "text", 2.5, (1, 2), [], {}, Thing(), Thing, print, rcu], ids=repr)
def test_anything_can_be_published(value, deferred):
    cell = rcu.Cell(value, deferred=deferred)
    assert cell.value is value
    assert cell.get() is value
    assert cell.deferred is deferred
    assert cell.domain is rcu.default_domain


def test_the_domain_is_as_told(domain):
    assert rcu.Cell(1, domain=domain).domain is domain
    assert rcu.Cell(value=1, domain=None).domain is rcu.default_domain
    assert rcu.Cell(1).deferred is True


@pytest.mark.parametrize("wrong", ["default", 5, rcu.Domain, rcu, object()])
def test_domains_of_another_type(wrong):
    with pytest.raises(TypeError, match=r"rcu\.Domain") as caught:
        rcu.Cell(1, domain=wrong)
    assert type(wrong).__name__ in str(caught.value)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1, None), {}), ((1, None, True), {}), ((1,), {"nonsense": 1}), ((1,), {"value": 2})],
)
def test_arguments_that_make_no_cell(args, kwargs):
    with pytest.raises(TypeError):
        rcu.Cell(*args, **kwargs)
    with pytest.raises(TypeError):
        rcu.Cell.__new__(rcu.Cell)


def test_a_cell_is_made_once():
    value = Thing()
    cell = rcu.Cell(value)
    try:
        cell.__init__(Thing())
    except TypeError:
        pass
    assert cell.value is value


def test_it_is_final():
    with pytest.raises(TypeError):
        type("Sub", (rcu.Cell,), {})


def test_it_is_generic():
    alias = rcu.Cell[dict[str, int]]
    assert (alias.__origin__, alias.__args__) == (rcu.Cell, (dict[str, int],))
    cell = alias({})
    assert type(cell) is rcu.Cell
    assert cell.value == {}


def test_value_is_a_member():
    assert type(rcu.Cell.value) is types.MemberDescriptorType
    assert inspect.getdoc(rcu.Cell.value)
    assert rcu.Cell.value.__get__(rcu.Cell(7)) == 7


def test_value_is_set_by_methods():
    value = Thing()
    cell = rcu.Cell(value)
    writes = [
        lambda: setattr(cell, "value", 1),
        lambda: delattr(cell, "value"),
        lambda: cell.__setattr__("value", 1),
        lambda: cell.__delattr__("value"),
    ]
    for write in writes:
        with pytest.raises(AttributeError, match=r"set\("):
            write()
        assert cell.value is value
    behind = [
        lambda: object.__setattr__(cell, "value", 1),
        lambda: object.__delattr__(cell, "value"),
        lambda: rcu.Cell.value.__set__(cell, 1),
        lambda: rcu.Cell.value.__delete__(cell),
    ]
    for write in behind:
        with pytest.raises((AttributeError, TypeError)):
            write()
        assert cell.value is value


@pytest.mark.parametrize("name", ["domain", "deferred", "nonsense", "__dict__", "__class__"])
def test_nothing_else_can_be_set(name):
    cell = rcu.Cell(1)
    with pytest.raises((AttributeError, TypeError)):
        setattr(cell, name, None)
    with pytest.raises((AttributeError, TypeError)):
        delattr(cell, name)
    assert (cell.value, cell.domain, cell.deferred) == (1, rcu.default_domain, True)


def test_the_type_cannot_be_changed():
    for name in "value", "set", "nonsense":
        with pytest.raises(TypeError):
            setattr(rcu.Cell, name, None)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_cells_cannot_be_copied_or_pickled(domain, duplicate):
    cell = rcu.Cell({}, domain=domain)
    replaced = cell.replace(1)
    for thing in cell, replaced:
        with pytest.raises(TypeError, match="cannot copy or pickle"):
            duplicate(thing)
    replaced.wait(PATIENCE)


def test_a_replaced_is_made_by_replace():
    with pytest.raises(TypeError, match=r"replace\("):
        rcu.Replaced()
    with pytest.raises(TypeError):
        type("Sub", (rcu.Replaced,), {})


@pytest.mark.parametrize("name", ["get", "set", "swap", "compare_and_set", "update", "replace"])
def test_signatures_can_be_asked_for(name):
    assert inspect.signature(getattr(rcu.Cell, name))


# ---- reading --------------------------------------------------------------------------------------------------------


def test_get_with_a_guard(domain):
    cell = rcu.Cell("value", domain=domain)
    with domain.read() as guard:
        assert cell.get(guard) == cell.get(guard=guard) == cell.get(None) == "value"
        with domain.read() as inner:
            assert cell.get(inner) == cell.get(guard) == "value"


@pytest.mark.parametrize("wrong", [5, "guard", rcu.default_domain, object()])
def test_get_with_what_is_no_guard(wrong):
    with pytest.raises(TypeError, match="guard") as caught:
        rcu.Cell(1).get(wrong)
    assert type(wrong).__name__ in str(caught.value)


def test_get_with_too_much():
    for args in (None, None), (1, 2, 3):
        with pytest.raises(TypeError):
            rcu.Cell(1).get(*args)
    with pytest.raises(TypeError):
        rcu.Cell(1).get(nonsense=None)


def test_get_with_a_guard_of_another_thread(domain):
    cell = rcu.Cell(1, domain=domain)
    with domain.read() as guard:
        with pytest.raises(rcu.WrongThreadError, match="thread"):
            together(lambda: cell.get(guard))
        assert cell.get(guard) == 1
        assert guard.active


def test_get_with_a_guard_out_of_its_section(domain):
    cell = rcu.Cell(1, domain=domain)
    guard = domain.read()
    for state in "new", "released":
        with pytest.raises(rcu.SectionError, match=state) as caught:
            cell.get(guard)
        assert not isinstance(caught.value, rcu.WrongThreadError)
        if state == "new":
            with guard:
                assert cell.get(guard) == 1
                guard.release()
                with pytest.raises(rcu.SectionError):
                    cell.get(guard)


def test_get_with_a_guard_of_another_domain(domain):
    other = rcu.Domain("the other")
    cell = rcu.Cell(1, domain=domain)
    with other.read() as guard, pytest.raises(rcu.SectionError) as caught:
        cell.get(guard)
    assert repr(domain.name) in str(caught.value)
    assert "'the other'" in str(caught.value)


def test_get_with_a_guard_whose_section_was_ended_by_hand(domain):
    """It says that it is active, and protects nothing."""
    cell = rcu.Cell(1, domain=domain)
    guard = domain.read().__enter__()
    domain.read_unlock()
    with pytest.raises(rcu.SectionError):
        cell.get(guard)
    with pytest.raises(rcu.SectionError):
        guard.release()


def test_get_with_a_guard_made_behind_the_domains_back():
    with pytest.raises(rcu.SectionError):
        rcu.Cell(1).get(rcu.Guard.__new__(rcu.Guard))


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
    with pytest.raises(TypeError, match="callable") as caught:
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

    with pytest.raises(rcu.DeadlockError, match="update") as caught:
        cell.update(func)
    assert domain.name in str(caught.value)
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


# ---- what a cell is to the interpreter --------------------------------------------------------------------------------


@KINDS
def test_weak_references(deferred):
    cell = rcu.Cell(1, deferred=deferred)
    died = []
    ref = weakref.ref(cell, died.append)
    assert ref() is cell
    del cell
    if not deferred:
        assert ref() is None, "a counted cell dies when it is dropped"
    assert collected(ref)
    assert died == [ref]


def test_the_collector_knows_what_it_refers_to(domain):
    value = Thing()
    cell = rcu.Cell(value, domain=domain)
    assert gc.is_tracked(cell)
    assert any(it is value for it in gc.get_referents(cell))
    old = cell.replace(1)
    assert gc.is_tracked(old)
    assert any(it is value for it in gc.get_referents(old))


@KINDS
def test_a_cycle_through_a_cell(domain, deferred):
    thing = Thing()
    thing.cell = rcu.Cell(thing, domain=domain, deferred=deferred)
    refs = weakref.ref(thing), weakref.ref(thing.cell)
    del thing
    eventually(lambda: all(map(collected, refs)))


@KINDS
def test_a_cycle_of_cells(domain, deferred):
    cells = [rcu.Cell(None, domain=domain, deferred=deferred) for _ in range(5)]
    for i, cell in enumerate(cells):
        cell.set((cells[i - 1], Thing()))
    refs = [weakref.ref(cell) for cell in cells] + [weakref.ref(cell.value[1]) for cell in cells]
    del cells, cell
    domain.barrier(PATIENCE)
    eventually(lambda: all(map(collected, refs)))


@KINDS
def test_a_cycle_through_replaced(domain, deferred):
    thing = Thing()
    thing.cell = rcu.Cell(thing, domain=domain, deferred=deferred)
    thing.replaced = thing.cell.replace(None)
    refs = weakref.ref(thing), weakref.ref(thing.cell)
    del thing
    eventually(lambda: all(map(collected, refs)))


def test_a_finalizer_in_a_cycle_still_reads(domain):
    seen = []

    class Last:
        def __del__(self):
            seen.append(self.cell.value is self)
            self.cell.set(None)
            seen.append(self.cell.value)

    last = Last()
    last.cell = rcu.Cell(last, domain=domain)
    del last
    gc.collect()
    domain.barrier(PATIENCE)
    eventually(lambda: gc.collect() is not None and seen == [True, None])


def test_a_payload_that_writes_when_it_dies(domain):
    """Its death is in the reclaimer, or in the collector: neither holds the cell's lock."""
    cell = rcu.Cell(None, domain=domain, deferred=False)
    deaths = Deaths()
    log = cell

    class Writing:
        def __del__(self):
            deaths.log.append(log.update(lambda old: old))

    for _ in range(10):
        cell.set(Writing())
    cell.set("last")
    domain.barrier(PATIENCE)
    eventually(lambda: gc.collect() is not None and len(deaths.log) == 10)


def test_sizes():
    assert sys.getsizeof(rcu.Cell(1)) < 256


# ---- in words -------------------------------------------------------------------------------------------------------


def test_representation():
    assert repr(rcu.Cell({"a": 1})) == "<rcu.Cell of dict in domain 'default': {'a': 1}>"
    assert repr(rcu.Cell(None, domain=rcu.Domain("mine"))) == "<rcu.Cell of NoneType in domain 'mine': None>"


def test_the_representation_of_what_contains_the_cell():
    mapping = {}
    cell = rcu.Cell(mapping)
    mapping["me"] = cell
    assert repr(cell).startswith("<rcu.Cell of dict in domain 'default': {'me': ")
    assert "..." in repr(cell)
    assert len(repr(cell)) < 500
    repr(mapping)
    one, other = rcu.Cell(None), rcu.Cell(None)
    one.set((other,))
    other.set((one,))
    assert len(repr(one)) < 500


@pytest.mark.parametrize(
    "huge",
    [dict.fromkeys(range(10**5)), [[0] * 100] * 10**4, "x" * 10**6, 10**4000, b"x" * 10**6, {*range(10**5)}],
    ids=lambda huge: type(huge).__name__,
)
def test_the_representation_of_much(huge):
    found = repr(rcu.Cell(huge))
    assert found.startswith(f"<rcu.Cell of {type(huge).__name__} in domain 'default': ")
    assert len(found) < 1000


def test_the_representation_of_what_has_none():
    class Mute:
        def __repr__(self):
            raise ValueError("mute")

    assert repr(rcu.Cell(Mute())).startswith("<rcu.Cell of Mute in domain 'default': ")


def test_the_representation_of_nested_cells():
    cell = rcu.Cell(0)
    for _ in range(10_000):
        cell = rcu.Cell(cell)
    assert len(repr(cell)) < 1000
    while isinstance(cell, rcu.Cell):
        cell = cell.value


@pytest.mark.skipif(not DEFERS, reason="this interpreter defers no counts")
def test_payloads_that_are_deferred_wait_for_the_collector(domain):
    """And counted ones do not."""
    gc.disable()
    limit = rcu.set_garbage_limit
    limit(None)
    try:
        refs = []
        for deferred in True, False:
            cell = rcu.Cell(Thing(), domain=domain, deferred=deferred)
            refs.append(weakref.ref(cell.value))
            cell.set(None)
        domain.barrier(PATIENCE)
        eventually(lambda: refs[1]() is None)
        assert refs[0]() is not None
        gc.collect()
        assert refs[0]() is None
    finally:
        gc.enable()
        limit()
