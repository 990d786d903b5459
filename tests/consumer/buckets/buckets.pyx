# cython: language_level=3, freethreading_compatible=True, cdivision=True, boundscheck=False, wraparound=False
"""Buckets of a histogram: any number of threads sort values into them, without waiting, while others add bounds."""

cimport cython
from libc.stdint cimport uint64_t
from libc.stdlib cimport free
from rcu cimport (
    rcu_assign_pointer, rcu_call, rcu_default_domain, rcu_dereference, rcu_enter, rcu_exit, rcu_head, rcu_import,
    rcu_slot, rcu_this_slot,
)

from bounds cimport Bounds, bisect, with_one_more

cdef extern from "rcu/atomic.h" nogil:
    uint64_t rcu_fetch_add(uint64_t *word, uint64_t value) noexcept

rcu_import()

cdef uint64_t made, freed  # versions, of all buckets


cdef void free_old(rcu_head *head) noexcept nogil:
    """After a grace period, on a thread of rcu's, which has no thread state."""
    free(head)
    rcu_fetch_add(&freed, 1)


cdef rcu_slot *this_slot() except NULL:
    cdef rcu_slot *slot = rcu_this_slot(rcu_default_domain())
    if slot == NULL:
        raise MemoryError
    return slot


cdef class Buckets:
    """Bucket 0 is below the first bound, bucket i is from bound i - 1 on."""
    cdef Bounds *bounds         # published
    cdef cython.pymutex adding  # held by who publishes

    def __cinit__(self, double first):
        self.bounds = with_one_more(NULL, first)
        if self.bounds == NULL:
            raise MemoryError
        rcu_fetch_add(&made, 1)

    def __dealloc__(self):
        # A reader has a reference to self: there is none.
        if self.bounds != NULL:
            free_old(&self.bounds.head)

    def index(self, double x):
        """The bucket of x."""
        cdef rcu_slot *slot = this_slot()
        rcu_enter(slot)
        cdef Py_ssize_t found = bisect(<Bounds *>rcu_dereference(self.bounds), x)
        rcu_exit(slot)
        return found

    def indexes(self, const double[:] values, Py_ssize_t[:] found):
        """The buckets of all values, by the same bounds, into `found`. A GIL, if there is one, is free meanwhile."""
        cdef rcu_slot *slot = this_slot()
        cdef const Bounds *bounds
        cdef Py_ssize_t i
        if len(values) != len(found):
            raise ValueError(f"there are {len(values)} values, but room for {len(found)} buckets")
        with nogil:
            rcu_enter(slot)
            bounds = <const Bounds *>rcu_dereference(self.bounds)
            for i in range(values.shape[0]):
                found[i] = bisect(bounds, values[i])
            rcu_exit(slot)

    def add(self, double bound):
        """Adds a bound, which splits a bucket. Readers see it from now on, but for those who have begun before."""
        cdef Bounds *old
        cdef Bounds *new
        with self.adding:
            old = self.bounds
            new = with_one_more(old, bound)
            if new == NULL:
                raise MemoryError
            rcu_fetch_add(&made, 1)
            rcu_assign_pointer(self.bounds, new)
        rcu_call(rcu_default_domain(), &old.head, free_old)


def versions_made():
    return rcu_fetch_add(&made, 0)


def versions_alive():
    return rcu_fetch_add(&made, 0) - rcu_fetch_add(&freed, 0)
