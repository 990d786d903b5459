# cython: language_level=3
"""The queue of deferred work: outboxes, and what is taken from them.

A thread pushes heads onto a stack of its own, its outbox; the reclaimer empties all outboxes at once and turns what it
got into one list, in which each thread's heads are in their order. Knows neither grace periods nor who calls what.
"""

from libc.stdint cimport uint64_t

from rcu._headers cimport rcu_callback, rcu_domain, rcu_head, rcu_outbox, rcu_reclaimer, rcu_slot

# A log is a head with room for many callbacks: its thread appends to it until a reclaimer closes it. What is in it is
# the affair of the floor that brings this.
cdef struct Logs:
    rcu_callback mark                            # the func of such a head
    void (*close)(rcu_head *log) noexcept nogil  # nothing is appended any more
    void (*leave)(void *log) noexcept nogil      # its thread appends no more; or all has run

# All of these may be called with or without a thread state, and block for the locks at most.
cdef void use_logs(const Logs *with_logs) noexcept nogil          # once
cdef bint is_log(const rcu_head *head) noexcept nogil
cdef void leave_log(void *log) noexcept nogil

cdef rcu_outbox *outbox_of(rcu_slot *slot) noexcept nogil         # the calling thread's; NULL: no memory
# True: onto nothing, so the reclaimer has to be told.
cdef bint push(rcu_outbox *box, rcu_head *head) noexcept nogil
cdef bint push_callback(rcu_domain *domain, rcu_head *head) noexcept nogil  # onto the calling thread's; counts it
cdef void departs(rcu_slot *slot) noexcept nogil                  # rcu_domain.departs

cdef bint take_all(rcu_reclaimer *self) noexcept nogil            # as its next batch; False: there was nothing

# Under the domain's lock.
cdef bint is_queued(rcu_reclaimer *self) noexcept nogil           # anything for it
cdef uint64_t enqueued(rcu_domain *domain) noexcept nogil         # callbacks that were ever deferred
cdef uint64_t pending(uint64_t all, uint64_t run) noexcept nogil  # the difference
cdef uint64_t oldest(rcu_domain *domain) noexcept nogil           # when what is pending was; RCU_NEVER: nothing is
