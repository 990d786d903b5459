"""Makes objects of the program's own ready to be read by many threads."""

import gc
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    ModuleType,
    TracebackType,
)

from rcu._refcount import defer

# What refers to half the program: shared where it is met, and left at that.
_DOORS = (
    type,
    ModuleType,
    FunctionType,
    BuiltinFunctionType,
    CodeType,
    FrameType,
    TracebackType,
    GeneratorType,
    CoroutineType,
    AsyncGeneratorType,
)


def share[T](obj: T, *, deep: bool = False) -> T:
    """Makes reading threads leave the reference count of `obj` alone, from now on, and returns it.

    For what many threads load: in bytecode, that is from a variable, an attribute or a tuple; what a call returns is
    counted all the same, and the look-up in a mapping is one. The cyclic collector alone frees it then. Free-threaded
    CPython 3.14 and later can do so for objects that the collector tracks; for all others (str, int, float, bytes,
    tuples of them), and elsewhere, nothing happens. It cannot be undone. Never blocks; may be called in a section.

    :param deep: everything that it contains, too: items, keys, attributes, and theirs. Classes, modules, functions and
        frames are not followed. What is put in later is not shared. This stops all threads, as the collector does, once
        for each level.
    """
    defer(obj)
    if deep:
        seen = {id(obj)}
        found = [[obj]]  # kept, so that no other object gets the id of one that was seen
        while found[-1]:
            # By type(): a proxy would be asked what it is.
            inside = [each for each in found[-1] if not issubclass(type(each), _DOORS)]
            layer = []
            for each in gc.get_referents(*inside):
                if id(each) not in seen:
                    seen.add(id(each))
                    layer.append(each)
                    defer(each)
            found.append(layer)
    return obj
