# cython: language_level=3
"""Slots: attach, detach at thread exit, prune after fork.

Owns the pool of slots and the list of domains, and keeps them true when threads end and when the process forks.
It does not know what a grace period is: it is handed the slow halves of the read side, and the wake-up is a
count and a condition.

Lock order: the registry's lock, then one domain's, then where that domain's leader dozes; a fork takes them
all.
"""

from libc.stdint cimport uint64_t

from rcu._headers cimport rcu_domain, rcu_slot, rcu_slow

# All of these may be called with or without a thread state, and block for the locks at most.
cdef rcu_slot *attach(rcu_domain *domain) noexcept nogil  # finds or makes the calling thread's; NULL: no memory
cdef void detach(rcu_slot *slot) noexcept nogil         # the calling thread's, outside every section
cdef uint64_t depth(const rcu_slot *slot) noexcept nogil  # of its sections; the calling thread's slot only
cdef uint64_t visit_mine(uint64_t (*look)(rcu_slot *slot) noexcept nogil) noexcept nogil  # its slots; the sum
cdef bint take_awaited(rcu_slot *slot) noexcept nogil   # no longer awaited; True: it was the last of its period
cdef void wake(rcu_slot *slot) noexcept nogil           # take_awaited, and wake the leader if it was the last

# The domain's lock, for all but updaters: an updater in a loop takes it again before a thread that it woke can,
# so it gives way to visitors. Either may hold it for short only, and never while it waits for Python.
cdef void visit(rcu_domain *domain) noexcept nogil
cdef void give_way(rcu_domain *domain) noexcept nogil

cdef rcu_domain *domain_new(const rcu_slow *slow) noexcept nogil  # NULL: no memory
cdef bint name_domain(rcu_domain *domain, const char *name, uint64_t size) noexcept nogil  # once; False: no memory
cdef void domain_free(rcu_domain *domain) noexcept nogil  # nobody reads, waits or updates there any more
cdef void each_domain(void (*visit)(rcu_domain *domain) noexcept nogil) noexcept nogil  # under the registry's lock
