# cython: language_level=3
"""Reclaimers: the threads that call what was deferred.

One starts when there is something to do, takes all that is queued, waits for a grace period, and calls it, outside
every section and every lock. What it has in hand stands in the domain, so that a fork child, which does not have the
thread, has the work; where the thread itself has forked, by a callback, the child's next one takes it over. Knows no
Python: what runs callbacks there is handed to it by a floor above.
"""

from libc.stdint cimport uint64_t

from rcu._headers cimport rcu_domain, rcu_head, rcu_reclaimer

# What the floor above brings. All are called without a thread state.
cdef struct Python:
    # Calls what is left in the log, until the gate is shut or another thread has taken over; True: all of it, and it is
    # to be left. Counts each callback in `run` before it begins: one that a fork interrupts is not begun again.
    bint (*run)(rcu_reclaimer *self, rcu_head *log) noexcept nogil
    bint (*begin)(void **state) noexcept nogil             # gives the thread a state, once; False: never again
    void (*end)(void *state) noexcept nogil                # what `begin` has made, or NULL
    void (*report)(rcu_domain *domain) noexcept nogil      # its grace period takes long
    void (*left_open)(rcu_domain *domain, uint64_t sections) noexcept nogil  # by its callbacks; ended by now
    # What callbacks leave behind is tidied up by one that has nothing else to do: when; and do it.
    uint64_t (*tidies_at)() noexcept nogil                 # RCU_NEVER: nothing to do, now
    void (*tidy)() noexcept nogil

# All of these may be called with or without a thread state, and block for the locks at most.
cdef void use_python(const Python *with_python) noexcept nogil         # once

cdef void hold(rcu_domain *domain) noexcept nogil                      # by one who keeps it already
cdef void drop(rcu_domain *domain) noexcept nogil                      # the last one frees it

# After a push: onto nothing, or onto what is still there.
cdef void tell(rcu_reclaimer *self, bint onto_nothing) noexcept nogil
cdef bint look_again(rcu_domain *domain) noexcept nogil                # when to tidy up; False: it has no thread
cdef bint hasten(rcu_domain *domain) noexcept nogil                    # the next batch waits for no more; as rouse

# Under the reclaimer's lock.
cdef bint rouse(rcu_reclaimer *self) noexcept nogil                    # wakes or starts it; False: it cannot be started
# Under the domain's as well.
cdef bint needs_thread(rcu_reclaimer *self) noexcept nogil             # it has work, and does not know
