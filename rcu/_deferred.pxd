# cython: language_level=3
"""Deferred work: a domain that has it, enqueueing, barriers, the backlog. Callbacks are called by _reclaim."""

from libc.stdint cimport uint64_t

from rcu._headers cimport rcu_callback, rcu_domain, rcu_head, rcu_outbox

# What a look at a domain's deferred work finds.
cdef struct Backlog:
    uint64_t pending, peak, run, failed
    uint64_t oldest_ns      # age

# All of these may be called with or without a thread state. None but the waits blocks, except for locks.
cdef rcu_domain *deferred_domain() noexcept nogil                         # a new domain; NULL: no memory
# Its owner has gone: it is freed once all that was deferred has run and nobody else holds it.
cdef void close_domain(rcu_domain *domain) noexcept nogil
cdef void start_again() noexcept nogil                                    # in a fork child: whoever has work

# The kernel's call_rcu(). Needs no memory but, at a thread's first, for its slot and its outbox; where there is none
# for these, its order among the thread's others is open.
cdef void enqueue(rcu_domain *domain, rcu_head *head, rcu_callback func) noexcept nogil
cdef void push_log(rcu_domain *domain, rcu_outbox *box, rcu_head *log) noexcept nogil  # onto the calling thread's
cdef void remind(rcu_domain *domain) noexcept nogil                       # of what was put into a log that is queued
# To run soon after a grace period; after all that is deferred now. False: no thread can be started for it.
cdef bint push_awaited(rcu_domain *domain, rcu_head *log) noexcept nogil
cdef bint push_last(rcu_domain *domain, rcu_head *log) noexcept nogil

# The backlog: the number of the callback that there is no room for yet; 0: there is.
cdef uint64_t room_at(rcu_domain *domain, rcu_outbox *box) noexcept nogil
cdef bint wait_for_room(rcu_domain *domain, uint64_t number, uint64_t until) noexcept nogil  # blocks; True: there is
cdef void limit_backlog(rcu_domain *domain, uint64_t limit) noexcept nogil  # from now on, for who waits as well
# The batch that must be done before all that is deferred now has run; 0: it has.
cdef uint64_t barrier_at(rcu_domain *domain) noexcept nogil
cdef bint wait_for_batch(rcu_domain *domain, uint64_t batch, uint64_t until) noexcept nogil  # blocks; True: it is done

cdef bint warns_first(rcu_domain *domain) noexcept nogil                  # once, until there is room again

cdef bint is_reclaimer(const rcu_domain *domain) noexcept nogil           # the calling thread is that of callbacks
cdef void look(rcu_domain *domain, Backlog *backlog) noexcept nogil
