# cython: language_level=3
"""Replaced: an old version that its updater holds, and the grace period after which nobody else does."""

from libc.stdint cimport uint64_t

from rcu._domain cimport Domain

# Just after it was replaced. Takes over the reference.
cdef Replaced new_replaced(Domain domain, object old)

cdef class Replaced:
    cdef object old
    cdef Domain domain
    cdef uint64_t need    # the grace period
    cdef bint over        # it is
    cdef object __weakref__
