# cython: language_level=3
"""Grace periods: quiesce, lead, share, poll, wait.

The middle of the engine. A grace period is driven in steps (start it, find whom it must wait for, see that they
are done), each by whichever caller finds nobody leading; the steps' state is the domain's, so that a leader that
has to go leaves a period that any other can take up.

All functions may be called with or without a Python thread state; those that block say so.
"""

from libc.stdint cimport uint64_t

from rcu._headers cimport rcu_awaited, rcu_counts, rcu_domain, rcu_slot

cdef struct Survey:
    uint64_t threads, parked, active   # slots; those that need no heavy barrier; those in a section
    uint64_t periods                   # completed
    rcu_counts counts

# What a wait came to.
cdef enum Outcome:
    COMPLETED
    TIME_IS_UP

cdef rcu_domain *grace_domain() noexcept nogil          # a new domain with this engine; NULL: no memory
cdef void quiesce(rcu_slot *slot) noexcept nogil        # no-op in a section
cdef uint64_t needed(rcu_domain *domain) noexcept nogil  # the period that a caller of now has to see completed
cdef bint is_over(rcu_domain *domain, uint64_t need) noexcept nogil

# Both drive the domain's grace periods. Neither may be called by a thread in a section of the domain, unless it is
# poll: it never blocks, so it cannot wait for itself.
cdef bint poll(rcu_domain *domain, uint64_t need, bint may_interrupt) noexcept nogil
cdef Outcome wait(rcu_domain *domain, uint64_t need, uint64_t until) noexcept nogil  # blocks

# For reports. `awaited` fills in up to `room` threads that the period under way waits for, and returns how many
# there are in all.
cdef uint64_t awaited(rcu_domain *domain, rcu_awaited *threads, uint64_t room) noexcept nogil
cdef uint64_t stalled(rcu_domain *domain, uint64_t timeout_ns) noexcept nogil  # age to report now, in ns; or 0
# Threads that ended in a section since the last call, and the last of them.
cdef uint64_t take_abandoned(rcu_domain *domain, uint64_t *ident) noexcept nogil
cdef void survey(rcu_domain *domain, Survey *result) noexcept nogil
