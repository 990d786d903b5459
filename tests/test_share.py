"""share: whose count is left to the collector, and whose is not. One that is, is freed by the collector alone."""

import collections
import dataclasses
import gc
import inspect
import sys
import threading
import types
import weakref

import pytest

import rcu
from payloads import DEFERS, Thing
from threads import beside, eventually, together

needs_deferral = pytest.mark.skipif(not DEFERS, reason="this interpreter defers no counts")


class Box:
    """Something with attributes of its own."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class Slotted:
    __slots__ = ("__weakref__", "one", "unset")

    def __init__(self, one):
        self.one = one


class Both(Slotted):
    """Slots of its base, and a dictionary."""

    def __init__(self, one, other):
        super().__init__(one)
        self.other = other


@dataclasses.dataclass(frozen=True, slots=True, weakref_slot=True)
class Flags:
    things: tuple


class Mapping(dict):
    pass


class Sequence(list):
    pass


class Point(collections.namedtuple("Point", "x y")):
    __slots__ = ()


@pytest.fixture(autouse=True)
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def is_deferred(ref):
    """Drop the thing before: it is still there, and a collection frees it."""
    if ref() is None:
        return False
    gc.collect()
    assert ref() is None
    return True


# ---- one object -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    "thing",
    ["text", b"bytes", 5, 1 << 100, 2.5, 1j, None, True, ..., (), (1, "two"), NotImplemented, range(3), slice(1)],
    ids=repr,
)
def test_what_cannot_be_shared_is_left_as_it_is(thing, deep):
    before = repr(thing)
    assert rcu.share(thing, deep=deep) is thing
    assert repr(thing) == before


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("make", [Thing, Box, lambda: Slotted(1), set, Sequence, Mapping, frozenset])
def test_an_object(make, deep):
    thing = make()
    ref = weakref.ref(thing)
    assert rcu.share(thing, deep=deep) is thing
    del thing
    assert is_deferred(ref) == DEFERS


def test_twice_is_no_more_than_once():
    thing = Thing()
    ref = weakref.ref(thing)
    for _ in range(3):
        assert rcu.share(rcu.share(thing), deep=True) is thing
    del thing
    assert is_deferred(ref) == DEFERS


def test_what_the_object_contains_is_not_shared():
    thing = Thing()
    ref = weakref.ref(thing)
    holders = [rcu.share(it) for it in ([thing], {1: thing}, (thing,), Box(one=thing), Slotted(thing))]
    del thing, holders
    gc.collect()
    assert ref() is None
    thing = Thing()
    ref = weakref.ref(thing)
    box = rcu.share(Box(one=thing))
    del thing, box.one
    assert not is_deferred(ref)


def test_arguments():
    with pytest.raises(TypeError):
        rcu.share()
    with pytest.raises(TypeError):
        rcu.share([], True)
    with pytest.raises(TypeError):
        rcu.share([], nonsense=1)
    assert inspect.signature(rcu.share).parameters["deep"].kind is inspect.Parameter.KEYWORD_ONLY
    assert inspect.getdoc(rcu.share)


# ---- deep -----------------------------------------------------------------------------------------------------------


CONTAINERS = {
    "list": lambda thing: [thing],
    "tuple": lambda thing: (1, thing),
    "dict value": lambda thing: {1: thing},
    "dict key": lambda thing: {thing: 1},
    "set": lambda thing: {thing},
    "frozenset": lambda thing: frozenset([thing]),
    "instance": lambda thing: Box(one=thing),
    "slots": lambda thing: Slotted(thing),
    "slots and instance": lambda thing: Both(1, thing),
    "slots of the base": lambda thing: Both(thing, 1),
    "dataclass": lambda thing: Flags((thing,)),
    "subclass of dict": lambda thing: Mapping(one=thing),
    "subclass of list": lambda thing: Sequence([thing]),
    "named tuple": lambda thing: Point(thing, 1),
    "deque": lambda thing: collections.deque([thing]),
    "ordered dict": lambda thing: collections.OrderedDict(one=thing),
    "default dict": lambda thing: collections.defaultdict(list, one=thing),
    "namespace": lambda thing: types.SimpleNamespace(one=thing),
    "nested": lambda thing: {"a": [({"b": Box(one=[Slotted((thing,))])},)]},
}


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS.keys())
def test_what_an_object_contains(make):
    thing = Thing()
    ref = weakref.ref(thing)
    holder = make(thing)
    assert rcu.share(holder, deep=True) is holder
    del thing
    # The holder is deferred as well, if it can be, and keeps the thing until a collection; so ask by another way.
    thing = ref()
    assert thing is not None
    gc.collect()
    assert ref() is thing
    del thing, holder
    assert is_deferred(ref) == DEFERS


@pytest.mark.parametrize("make", [CONTAINERS[name] for name in ("list", "dict value", "instance", "nested")])
def test_what_is_taken_out_again_is_still_shared(make):
    """The thing itself is, not only its holder."""
    thing = Thing()
    ref = weakref.ref(thing)
    holder = rcu.share(make(thing), deep=True)
    del thing
    (vars(holder) if isinstance(holder, Box) else holder).clear()
    assert (ref() is not None) == DEFERS
    gc.collect()
    assert ref() is None


def test_cycles():
    one, other = Box(), Box(things=[])
    one.other, other.one = other, one
    other.things.append(other.things)
    refs = weakref.ref(one), weakref.ref(other)
    rcu.share(one, deep=True)
    del one, other
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


def test_much_of_it():
    """Neither depth nor breadth is a matter of the stack."""
    deep = leaf = [Thing()]
    for _ in range(200_000):
        deep = [deep]
    rcu.share(deep, deep=True)
    ref = weakref.ref(leaf[0])
    leaf.clear()
    assert is_deferred(ref) == DEFERS
    broad = [Thing() for _ in range(100_000)]
    refs = weakref.ref(broad[0]), weakref.ref(broad[-1])
    rcu.share(broad, deep=True)
    broad.clear()
    assert all((ref() is not None) == DEFERS for ref in refs)
    while deep:
        deep = deep[0]


def test_a_cell_and_what_it_has_published():
    """A cell contains its payload."""
    cell = rcu.Cell([Thing()], deferred=False)
    ref = weakref.ref(cell.value[0])
    rcu.share(cell, deep=True)
    cell.value.clear()
    assert is_deferred(ref) == DEFERS


# ---- what is not followed -------------------------------------------------------------------------------------------


@needs_deferral
def test_types_are_not_followed():
    class Kind:
        thing = Thing()

    ref = weakref.ref(Kind.thing)
    rcu.share([Kind(), Kind], deep=True)
    del Kind.thing
    assert not is_deferred(ref)


@needs_deferral
def test_modules_are_not_followed():
    module = types.ModuleType("module")
    module.thing = Thing()
    ref = weakref.ref(module.thing)
    rcu.share({"module": module}, deep=True)
    del module.thing
    assert not is_deferred(ref)


@needs_deferral
def test_globals_of_functions_are_not_followed():
    names = {"thing": Thing()}
    exec("def function():\n    return thing\n", names)
    ref = weakref.ref(names["thing"])
    rcu.share([names["function"]], deep=True)
    assert names["function"]() is ref()
    del names["thing"]
    assert not is_deferred(ref)


@needs_deferral
def test_weak_references_are_not_followed():
    thing = Thing()
    ref = weakref.ref(thing)
    rcu.share([ref], deep=True)
    del thing
    assert not is_deferred(ref)


def test_no_code_of_the_objects_runs():
    class Trap:
        def __getattribute__(self, name):
            if name in ("__class__", "__dict__"):
                return object.__getattribute__(self, name)
            raise AssertionError(f"asked for {name}")

        def trap(self, *_):
            raise AssertionError

        __iter__ = __len__ = __getitem__ = __eq__ = __hash__ = __sizeof__ = __reduce_ex__ = trap

    class Items(dict):
        def items(self):
            raise AssertionError

        __iter__ = values = keys = items

    trap, items = Trap(), Items(one=Thing())
    assert rcu.share([trap], deep=True)[0] is trap
    ref = weakref.ref(dict.__getitem__(items, "one"))
    assert rcu.share(items, deep=True) is items
    del items
    gc.collect()
    assert ref() is None


def test_the_whole_interpreter_survives():
    """All that there is, seen from a frame."""
    assert rcu.share(dict(sys.modules), deep=True)
    frame = sys._getframe()
    assert rcu.share([frame, test_cycles, iter([1]), (it for it in [1]), weakref.WeakValueDictionary()], deep=True)
    del frame


# ---- beside others --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dict", "list", "set", "instance"])
def test_a_container_that_changes_meanwhile(kind):
    stop = threading.Event()
    holder = {"dict": dict, "list": list, "set": set, "instance": Box}[kind]()
    changes = [0]

    def change():
        i = 0
        while not stop.is_set():
            i += 1
            match kind:
                case "dict":
                    holder[i % 100] = [i]
                    holder.pop((i + 50) % 100, None)
                case "list":
                    holder.append([i])
                    if len(holder) > 100:
                        holder.clear()
                case "set":
                    holder.add((i % 100, ()))
                    holder.discard(((i + 50) % 100, ()))
                case "instance":
                    setattr(holder, f"name{i % 50}", [i])
                    vars(holder).pop(f"name{(i + 25) % 50}", None)
            changes[0] += 1

    def share():
        for _ in range(300):
            assert rcu.share(holder, deep=True) is holder
        eventually(lambda: changes[0] > 1000)
        stop.set()

    with beside(change):
        try:
            share()
        finally:
            stop.set()


def test_by_many_threads_at_once():
    things = [Box(things=[Thing() for _ in range(20)]) for _ in range(50)]
    refs = [weakref.ref(thing) for thing in things]
    together(*[lambda: [rcu.share(things, deep=True) for _ in range(20)]] * 4)
    things.clear()
    gc.collect()
    assert not any(ref() for ref in refs)


@needs_deferral
def test_an_object_that_another_thread_has_made():
    def make():
        made.append(Thing())

    made = []
    with beside(make):
        eventually(lambda: made)
    ref = weakref.ref(made[0])
    rcu.share(made.pop())
    assert is_deferred(ref)
