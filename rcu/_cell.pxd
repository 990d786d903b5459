# cython: language_level=3
"""Cell: one published reference.

Readers in bytecode take it from the member `held`, without a lock and without a call. Writers take turns, and each
publishes by one exchange; what they take out is dropped after a grace period, by the domain's reclaimer.
"""

from cpython.object cimport PyObject

from rcu._headers cimport rcu_domain
from rcu._writers cimport WriterLock

cdef Py_ssize_t held_at() noexcept   # bytes from a cell's begin to its member `held`

cdef public class Cell [object RcuCell, type RcuCellType]:
    cdef object held         # read at any time; written by exchange() only, under the lock
    cdef PyObject *domain_   # the Domain; not the collector's to clear, for methods may be called after that
    cdef rcu_domain *engine  # its
    cdef WriterLock lock
    cdef bint is_deferring
    cdef object __weakref__

    cdef void live_in(self, object domain) noexcept  # only while it is made
    cdef int begin(self, str what) except -1         # to write: waits for its turn; DeadlockError
    cdef int check(self, str what, object new) except -1  # before: ValueError; waits for room
    cdef int check_value(self, str what, object new) except -1
    cdef PyObject *publish(self, object new) noexcept    # its turn. What it replaces; NULL: it was published already
    cdef int retire(self, PyObject *old, str what) except -1
