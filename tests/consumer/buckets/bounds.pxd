# cython: language_level=3
"""One version of the bounds, which does not change any more once readers can find it."""

from libc.stdlib cimport malloc
from libc.string cimport memcpy
from rcu cimport rcu_head

cdef struct Bounds:
    rcu_head head       # for rcu_call(); the first member, so that a pointer to it is one to all
    Py_ssize_t count
    double[1] at        # ascending; there is memory for `count`, which is 1 or more


cdef inline Py_ssize_t bisect(const Bounds *bounds, double x) noexcept nogil:
    """How many bounds are not above x: the number of its bucket. No branch depends on x, for a processor to guess."""
    cdef Py_ssize_t found = 0, left = bounds.count, half
    while left > 1:
        half = left // 2
        found += half * (bounds.at[found + half - 1] <= x)
        left -= half
    return found + (bounds.at[found] <= x)


cdef inline Bounds *with_one_more(const Bounds *old, double bound) noexcept nogil:
    """A copy that has that bound, too; of nothing if `old` is NULL. NULL: no memory."""
    cdef Py_ssize_t count = old.count if old != NULL else 0
    cdef Py_ssize_t before = bisect(old, bound) if old != NULL else 0
    cdef Bounds *new = <Bounds *>malloc(sizeof(Bounds) + count * sizeof(double))
    if new != NULL:
        new.count = count + 1
        new.at[before] = bound
        if old != NULL:
            memcpy(new.at, old.at, before * sizeof(double))
            memcpy(new.at + before + 1, old.at + before, (count - before) * sizeof(double))
    return new
