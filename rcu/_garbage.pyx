# cython: language_level=3
"""Garbage: deferred objects that were dropped, and wait for the cyclic collector. See the .pxd for the map."""

import gc
import sys

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from rcu._headers cimport RCU_NEVER, rcu_clock, rcu_fetch_add, rcu_load_relaxed, rcu_store_relaxed
from rcu._refcount cimport is_deferred


cdef extern from "Python.h":
    void Py_DECREF(PyObject *obj) noexcept


# Counts that only grow, so that threads which move them on at the same time do no worse than count something twice.
cdef struct Counts:
    uint64_t number, nbytes  # dropped, ever
    uint64_t old_number, old_nbytes  # of these, dropped before a collection began that has ended: garbage no more
    uint64_t since_ns        # when the oldest of the others was dropped, or earlier
    uint64_t collections     # that were started here
    uint64_t ended           # that anybody started

cdef struct Mark:
    uint64_t number, nbytes, ns

cdef Counts counts
cdef set counted = set()  # the addresses of those that are garbage, or are still held by someone
cdef Mark begun  # by the collection under way; there is one at a time
cdef Limit limits
cdef bint watched = False


# ---- counting ------------------------------------------------------------------------------------------------------

cdef void drop_reference(PyObject *obj) noexcept:
    if not is_deferred(obj):
        Py_DECREF(obj)
        return
    count(<object>obj)
    Py_DECREF(obj)
    collect_if_due()


cdef int count(object obj) noexcept:
    # What comes back, as one of several versions between which a program goes to and fro, is counted once. Nothing else
    # has its address meanwhile: a collection alone frees it, and forgets the address.
    cdef Py_ssize_t before = len(counted)
    counted.add(<size_t><PyObject *>obj)
    if len(counted) == before:
        return 0
    if not watched:
        watch()
    rcu_fetch_add(&counts.nbytes, shallow_size(obj))
    if rcu_fetch_add(&counts.number, 1) == rcu_load_relaxed(&counts.old_number):
        rcu_store_relaxed(&counts.since_ns, rcu_clock())
    return 0


cdef uint64_t shallow_size(object obj) except? 0:
    try:
        return sys.getsizeof(obj)
    except Exception:  # of its own __sizeof__, or of a number that is no size
        return type(obj).__basicsize__


cdef uint64_t left(const uint64_t *all, const uint64_t *old) noexcept nogil:
    # Either may move on between the two looks.
    cdef uint64_t all_now = rcu_load_relaxed(all)
    return all_now - min(all_now, rcu_load_relaxed(old))


cdef bint is_too_much() noexcept nogil:
    return (left(&counts.number, &counts.old_number) > rcu_load_relaxed(&limits.number)
            or left(&counts.nbytes, &counts.old_nbytes) > rcu_load_relaxed(&limits.nbytes))


cdef uint64_t collects_at() noexcept nogil:
    cdef uint64_t age_ns = rcu_load_relaxed(&limits.age_ns)
    cdef uint64_t since_ns = rcu_load_relaxed(&counts.since_ns)
    if is_too_much():
        return 0
    if age_ns == RCU_NEVER or left(&counts.number, &counts.old_number) == 0:
        return RCU_NEVER
    return since_ns + age_ns if age_ns < RCU_NEVER - since_ns else RCU_NEVER


# ---- collecting ----------------------------------------------------------------------------------------------------

cdef Mark mark() noexcept nogil:
    cdef Mark now
    now.number = rcu_load_relaxed(&counts.number)
    now.nbytes = rcu_load_relaxed(&counts.nbytes)
    now.ns = rcu_clock()
    return now


cdef int forget(const Mark *before) noexcept:
    counted.clear()
    rcu_store_relaxed(&counts.old_number, before.number)
    rcu_store_relaxed(&counts.old_nbytes, before.nbytes)
    rcu_store_relaxed(&counts.since_ns, before.ns)
    return 0


cdef void collect_if_due() noexcept:
    cdef Mark before
    cdef uint64_t ended = rcu_load_relaxed(&counts.ended)
    # Whoever else thought so may have done it by now.
    if rcu_clock() < collects_at():
        return
    before = mark()
    gc_collect()
    if rcu_load_relaxed(&counts.ended) != ended:
        rcu_fetch_add(&counts.collections, 1)
    else:
        # Nobody has told us of its end: another thread is collecting, or someone has emptied gc.callbacks.
        forget(&before)


cdef int gc_collect() noexcept:
    """Whether or not the collector is enabled: nothing else would free these. Errors go to sys.unraisablehook."""
    gc.collect()
    return 0


def note_collection(phase, info):
    """Called by the collector when it begins and when it ends, whoever has started it."""
    global begun
    if phase == "start":
        begun = mark()
    elif begun.ns != 0:
        forget(&begun)
        begun.ns = 0
        rcu_fetch_add(&counts.ended, 1)


cdef int watch() except -1:
    """Has the collector tell us, from the first garbage on: programs without any are left alone."""
    global watched
    watched = True
    gc.callbacks.append(note_collection)
    return 0


# ---- limits and figures --------------------------------------------------------------------------------------------

cdef void limit_garbage(const Limit *limit) noexcept nogil:
    rcu_store_relaxed(&limits.number, limit.number)
    rcu_store_relaxed(&limits.nbytes, limit.nbytes)
    rcu_store_relaxed(&limits.age_ns, limit.age_ns)


cdef void survey_garbage(Garbage *garbage) noexcept nogil:
    cdef uint64_t since_ns
    garbage.number = left(&counts.number, &counts.old_number)
    garbage.nbytes = left(&counts.nbytes, &counts.old_nbytes)
    garbage.collections = rcu_load_relaxed(&counts.collections)
    since_ns = rcu_load_relaxed(&counts.since_ns)
    garbage.oldest_ns = 0 if garbage.number == 0 else rcu_clock() - since_ns
