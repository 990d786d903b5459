# cython: language_level=3
"""Garbage as Python sees it: its limits, and how much there is."""

import operator

from libc.stdint cimport uint64_t

from rcu._clock cimport nanoseconds
from rcu._garbage cimport Garbage, Limit, limit_garbage, survey_garbage
from rcu._headers cimport RCU_NEVER, RCU_NS_PER_SECOND, rcu_domain
from rcu._reclaim cimport look_again
from rcu._slots cimport each_domain

from rcu.diagnostics import GarbageStats

NUMBER = 100_000
NBYTES = 64 * 2**20
AGE = 60.0


def set_garbage_limit(limits=..., /, *, number=NUMBER, nbytes=NBYTES, age=AGE):
    """Sets when a reclaimer starts a collection for the sake of garbage: of deferred objects, as cells publish them,
    that were retired, and that the cyclic collector alone frees.

    Each call sets all three limits; what is left out is set to its default. ``None`` turns one off, and
    ``set_garbage_limit(None)`` all of them: then the interpreter's own collections are all there is. A collection
    looks at every object that the collector tracks, and stops all threads meanwhile: limits trade memory for that.
    They hold where ``gc.disable()`` was called, too. Does not block.

    :param number: how many there may be, an int of at least 0; 100,000.
    :param nbytes: how many bytes they may take, by ``sys.getsizeof``, so without what they refer to; 64 MiB.
    :param age: for how many seconds the oldest may wait; 60.
    :raises TypeError, ValueError: a limit is of another type, or out of range. All stay as they were.
    """
    cdef Limit limit
    if limits is None:
        if number != NUMBER or nbytes != NBYTES or age != AGE:
            raise TypeError("set_garbage_limit(None) turns all limits off, and takes no others")
        number = nbytes = age = None
    elif limits is not ...:
        raise TypeError("set_garbage_limit() takes its limits by name, or None, not "
                        f"{type(limits).__name__} {limits!r}")
    limit.number = count_of("number", number)
    limit.nbytes = count_of("nbytes", nbytes)
    limit.age_ns = RCU_NEVER if age is None else nanoseconds("age", age)
    limit_garbage(&limit)
    if garbage_stats().number != 0:
        with nogil:
            have_one_look()  # all may sleep until the old limit, or none be there


cdef bint one_looks = False  # under the registry's lock


cdef void have_one_look() noexcept nogil:
    global one_looks
    one_looks = False
    each_domain(look_if_none_does)


cdef void look_if_none_does(rcu_domain *domain) noexcept nogil:
    global one_looks
    if not one_looks:
        one_looks = look_again(domain)


cdef uint64_t count_of(str what, object limit) except? 0:
    if limit is None:
        return RCU_NEVER
    try:
        value = operator.index(limit)
    except TypeError:
        raise TypeError(f"{what} must be an int or None, not {type(limit).__name__} {limit!r}") from None
    if value < 0:
        raise ValueError(f"{what} must be at least 0, or None, not {value}")
    return min(value, 2**63)


def garbage_stats():
    """Returns a `GarbageStats`: what was retired since the last collection, whoever started that, and now waits for the
    next. Cheap, does not block."""
    cdef Garbage garbage
    survey_garbage(&garbage)
    return GarbageStats(
        number=garbage.number,
        nbytes=garbage.nbytes,
        oldest_age=garbage.oldest_ns / <double>RCU_NS_PER_SECOND,
        collections=garbage.collections,
    )


set_garbage_limit()
