"""The ways to share a value that cells are compared with: how each is read, in a loop, and written."""

import importlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from rcu.bench.laps import Loop, over
from rcu.bench.measure import NotMeasured


@dataclass(frozen=True, slots=True)
class Rival:
    """Any number of threads may read and write at once."""

    name: str
    read: Loop
    write: Callable[[object], object]


class Holder:
    """An ordinary object, whose attribute anybody rebinds."""

    def __init__(self, value: object) -> None:
        self.value = value


class Slots:
    """The same with a slot in place of a dictionary."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value


# Each subject is an argument, a fast local, for all alike.
def read_value(holder: Holder, turns: int) -> None:
    for _ in range(turns):
        holder.value  # noqa: B018


def read_under_lock(pair: tuple[threading.Lock, Holder], turns: int) -> None:
    lock, holder = pair
    for _ in range(turns):
        with lock:
            holder.value  # noqa: B018


def read_under_rwlock(pair: tuple, turns: int) -> None:
    lock, holder = pair
    for _ in range(turns):
        with lock.gen_rlock():
            holder.value  # noqa: B018


def read_get(ref, turns: int) -> None:
    for _ in range(turns):
        ref.get()


def read_item(mapping, turns: int) -> None:
    for _ in range(turns):
        mapping["value"]


VALUE: object = None


def read_global(_: None, turns: int) -> None:
    for _ in range(turns):
        VALUE  # noqa: B018


def write_global(new: object) -> None:
    global VALUE
    VALUE = new


def plain_attribute(value: object) -> Rival:
    holder = Holder(value)

    def write(new: object) -> None:
        holder.value = new

    return Rival("plain attribute", over(read_value, holder), write)


def module_global(value: object) -> Rival:
    """There is one of it."""
    write_global(value)
    return Rival("module global", over(read_global, None), write_global)


def lock_and_attribute(value: object) -> Rival:
    lock, holder = threading.Lock(), Holder(value)

    def write(new: object) -> None:
        with lock:
            holder.value = new

    return Rival("threading.Lock", over(read_under_lock, (lock, holder)), write)


def rwlock_and_attribute(value: object) -> Rival:
    rwlock = package("readerwriterlock").rwlock
    lock, holder = rwlock.RWLockFair(), Holder(value)

    def write(new: object) -> None:
        with lock.gen_wlock():
            holder.value = new

    return Rival("RWLockFair", over(read_under_rwlock, (lock, holder)), write)


def atomic_ref(value: object) -> Rival:
    ref = package("cereggii").AtomicRef(value)
    return Rival("cereggii.AtomicRef", over(read_get, ref), ref.set)


def atomic_dict(value: object) -> Rival:
    mapping = package("cereggii").AtomicDict({"value": value})

    def write(new: object) -> None:
        mapping["value"] = new

    return Rival("cereggii.AtomicDict", over(read_item, mapping), write)


def plain_dict(value: object) -> Rival:
    mapping = {"value": value}

    def write(new: object) -> None:
        mapping["value"] = new

    return Rival("dict", over(read_item, mapping), write)


def package(name: str) -> ModuleType:
    """`NotMeasured` where it is not installed."""
    try:
        module = importlib.import_module(name)
        if name == "readerwriterlock":
            importlib.import_module("readerwriterlock.rwlock")
    except ImportError as error:
        only = ", which has it for Python 3.14 and later" if name == "cereggii" else ""
        raise NotMeasured(f"the package {name!r} is not installed; pip install 'rcu[bench]'{only}") from error
    return module
