# cython: language_level=3
"""Domain: the Python face of slots and grace periods.

Here the engine's results become objects and exceptions, and the words for reports are asked for. Nothing below
knows a Python object; nothing above knows a slot.
"""

from libc.stdint cimport uint64_t

from rcu._headers cimport rcu_domain

cdef class Domain:
    cdef rcu_domain *engine
    cdef uint64_t key              # of the engine, one load nearer
    cdef object __weakref__
    cdef object _name              # untyped, so that the type is the collector's, which alone frees deferred objects
    cdef object _periods           # who awaits a grace period: an aio.Waiters
    cdef object _barriers
