# cython: language_level=3
"""The lock of those who write to a cell: one word, which says who has it.

So a thread that asks for what it has is told, and in a fork child what a thread had that is not there is free. Who has
to wait sleeps on one of a few benches, which all locks share.
"""

from libc.stdint cimport uint64_t

from rcu._headers cimport rcu_domain

cdef struct WriterLock:
    uint64_t holder    # the serial of a thread; 0: it is free
    uint64_t waiting   # threads that sleep for it, or are about to; written under the lock of its bench

# For threads that have a serial. All of these may be called with or without a thread state.
cdef bint try_to_write(WriterLock *lock) noexcept nogil
cdef bint writes(const WriterLock *lock) noexcept nogil   # the calling thread has it
cdef bint wait_to_write(rcu_domain *domain, uint64_t lock, uint64_t until) noexcept nogil  # a Waiter; blocks
cdef void stop_writing(WriterLock *lock) noexcept nogil
