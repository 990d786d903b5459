# cython: language_level=3
"""Garbage: deferred objects that were dropped, and wait for the cyclic collector, which alone frees them.

The interpreter starts a collection for the number of new objects, whatever they hold; a thousand versions of a big
mapping are a thousand objects to it. So they are counted here, and when they are too many, too big or too old, whoever
drops the next one, a reclaimer, collects.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

cdef struct Garbage:
    uint64_t number, nbytes, collections
    uint64_t oldest_ns  # age

cdef struct Limit:
    uint64_t number, nbytes, age_ns  # RCU_NEVER: none

cdef void drop_reference(PyObject *obj) noexcept  # in a reclaimer: may collect, and call whatever finalizer
cdef void collect_if_due() noexcept               # the same
# Without a thread state.
cdef uint64_t collects_at() noexcept nogil        # the rcu_clock() at which someone must; RCU_NEVER: not known yet
cdef void limit_garbage(const Limit *limit) noexcept nogil
cdef void survey_garbage(Garbage *garbage) noexcept nogil
