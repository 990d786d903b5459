# cython: language_level=3
"""Replaced: an old version that its updater holds, and the grace period after which nobody else does."""

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from rcu._headers cimport rcu_domain

cdef Replaced new_replaced(PyObject *domain, object old)  # just after it was replaced

cdef class Replaced:
    cdef object old
    cdef PyObject *domain_   # the Domain
    cdef rcu_domain *engine  # its
    cdef uint64_t need       # the grace period
    cdef object __weakref__
