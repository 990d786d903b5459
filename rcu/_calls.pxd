# cython: language_level=3
"""Deferred work as Python sees it: what is deferred, who waits for room, barriers, and what awaits are made of."""

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from rcu._headers cimport rcu_domain

cdef rcu_domain *python_domain() noexcept                      # a new one; NULL: no memory
# `arguments` are the callable, then its positional ones, then those that `names` (a tuple, or NULL) names.
cdef int defer_call(rcu_domain *domain, PyObject *const *arguments, Py_ssize_t count, PyObject *names) except -1
cdef int check_function(str takes, PyObject *func) except -1  # TypeError: a call of it would run no body
cdef int defer_drop(rcu_domain *domain, PyObject *obj) except -1
# The same in two steps, for one that the caller holds: waits for room, and may raise; then fails for memory only.
cdef int admit(rcu_domain *domain, str what) except -1
cdef bint defer_reference(rcu_domain *domain, PyObject *obj) noexcept nogil  # False: it is still the caller's
cdef int wait_for_deferred(rcu_domain *domain, uint64_t until, object timeout) except -1  # blocks
cdef Notices new_notices(rcu_domain *domain)
cdef int check_barrier(rcu_domain *domain, str what) except -1  # DeadlockError where it would wait for itself

# What awaits are made of. Holds the engine, not the Domain that holds it.
cdef class Notices:
    cdef rcu_domain *engine
