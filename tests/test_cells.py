"""Cells: each method, what it refuses, and what a cell is to the interpreter."""

import contextlib
import copy
import gc
import inspect
import pickle
import sys
import types
import weakref

import pytest

import rcu
from payloads import DEFERS, Thing, freed
from threads import PATIENCE, eventually, together

KINDS = pytest.mark.parametrize("deferred", [True, False], ids=["deferred", "counted"])


# ---- what a cell is -------------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize(
    "value", [None, 5, "text", 2.5, (1, 2), [], {}, Thing(), Thing, print, rcu], ids=lambda it: type(it).__name__
)
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
    with contextlib.suppress(TypeError):
        cell.__init__(Thing())
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


# ---- what a cell is to the interpreter ------------------------------------------------------------------------------


@KINDS
def test_weak_references(deferred):
    cell = rcu.Cell(1, deferred=deferred)
    died = []
    ref = weakref.ref(cell, died.append)
    assert ref() is cell
    gc.disable()
    try:
        del cell
        # A counted one dies when it is dropped.
        assert (ref() is not None) == (deferred and DEFERS)
    finally:
        gc.enable()
    assert freed(ref)
    assert died == [ref]


def test_the_collector_knows_what_it_refers_to(domain):
    value = Thing()
    cell = rcu.Cell(value, domain=domain)
    assert gc.is_tracked(cell)
    assert any(it is value for it in gc.get_referents(cell))
    old = cell.replace(1)
    assert gc.is_tracked(old)
    old.wait()  # before, the value is nothing that the collector may find
    assert any(it is value for it in gc.get_referents(old))


@KINDS
def test_a_cycle_through_a_cell(domain, deferred):
    thing = Thing()
    thing.cell = rcu.Cell(thing, domain=domain, deferred=deferred)
    refs = weakref.ref(thing), weakref.ref(thing.cell)
    del thing
    assert freed(*refs)


@KINDS
def test_a_cycle_of_cells(domain, deferred):
    cells = [rcu.Cell(None, domain=domain, deferred=deferred) for _ in range(5)]
    for i, cell in enumerate(cells):
        cell.set((cells[i - 1], Thing()))
    refs = [weakref.ref(cell) for cell in cells] + [weakref.ref(cell.value[1]) for cell in cells]
    del cells, cell
    domain.barrier(PATIENCE)
    assert freed(*refs)


@KINDS
def test_a_cycle_through_replaced(domain, deferred):
    """It is collected after a grace period, and not before: what dies with it is finalized by the collector."""
    thing = Thing()
    thing.cell = rcu.Cell(thing, domain=domain, deferred=deferred)
    ref = weakref.ref(thing)
    with domain:
        thing.replaced = thing.cell.replace(None)
        del thing
        gc.collect()
        assert ref() is not None
    domain.synchronize()
    assert freed(ref)


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
    log = []

    class Writing:
        def __del__(self):
            log.append(cell.update(lambda old: old) is not None)

    for _ in range(10):
        cell.set(Writing())
    cell.set("last")
    domain.barrier(PATIENCE)
    eventually(lambda: gc.collect() is not None and len(log) == 10)


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
