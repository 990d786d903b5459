# cython: language_level=3
"""Deferred work: enqueue, reclaim, barriers, the backlog.

A reclaimer, a thread that starts when there is something to do, takes all that is queued, waits for a grace period, and
calls it, outside every section and every lock. What it has in hand stands in the domain, so that a fork child, which
does not have the thread, has the work. Knows no Python: what runs callbacks there is handed to it by the floor above.
"""

from libc.stdint cimport uint64_t

from rcu._headers cimport rcu_callback, rcu_domain, rcu_head, rcu_outbox, rcu_reclaimer

# What the floor above brings. All are called without a thread state.
cdef struct Python:
    # Calls what is left in the log, until the gate is shut; True: all of it, and it is to be left. Counts each callback
    # in `run` before it begins: one that a fork interrupts is not begun again.
    bint (*run)(rcu_reclaimer *self, rcu_head *log) noexcept nogil
    bint (*begin)(rcu_reclaimer *self) noexcept nogil                    # of a reclaimer's thread; False: never again
    void (*end)(void *state) noexcept nogil                              # what `begin` has left in `python`, or NULL
    void (*report)(rcu_domain *domain) noexcept nogil                    # its grace period takes long
    void (*forget)(rcu_domain *domain) noexcept nogil                    # the domain is about to be freed

# What a look at a domain's deferred work finds.
cdef struct Backlog:
    uint64_t pending, peak, run, failed
    uint64_t oldest_ns      # age

# All of these may be called with or without a thread state. None but the waits blocks, except for locks.
cdef void use_python(const Python *with_python) noexcept nogil            # once
cdef rcu_domain *deferred_domain() noexcept nogil                         # a new domain; NULL: no memory
# Its owner has gone: it is freed once all that was deferred has run and nobody else holds it.
cdef void close_domain(rcu_domain *domain) noexcept nogil
cdef void hold(rcu_domain *domain) noexcept nogil
cdef void drop(rcu_domain *domain) noexcept nogil
cdef void start_again() noexcept nogil                                    # in a fork child: whoever has work

# The kernel's call_rcu(). Needs no memory but, at a thread's first, for its slot and its outbox; where there is none
# for these, its order among the thread's others is open.
cdef void enqueue(rcu_domain *domain, rcu_head *head, rcu_callback func) noexcept nogil
cdef void push_log(rcu_domain *domain, rcu_outbox *box, rcu_head *log) noexcept nogil  # onto the calling thread's
cdef void push_awaited(rcu_domain *domain, rcu_head *log) noexcept nogil  # to run after a grace period, soon
cdef void push_last(rcu_domain *domain, rcu_head *log) noexcept nogil     # to run after all that is deferred now

# The backlog: the number of the callback that there is no room for yet; 0: there is.
cdef uint64_t room_at(rcu_domain *domain, rcu_outbox *box) noexcept nogil
cdef bint wait_for_room(rcu_domain *domain, uint64_t number, uint64_t until) noexcept nogil  # blocks; True: there is
cdef void limit_backlog(rcu_domain *domain, uint64_t limit) noexcept nogil  # from now on, for who waits as well
# The batch that must be done before all that is deferred now has run; 0: it has.
cdef uint64_t barrier_at(rcu_domain *domain) noexcept nogil
cdef bint wait_for_batch(rcu_domain *domain, uint64_t batch, uint64_t until) noexcept nogil  # blocks; True: it is done
cdef void hasten(rcu_domain *domain) noexcept nogil                       # its next batch does not wait for more

cdef bint is_reclaimer(const rcu_domain *domain) noexcept nogil           # the calling thread is that of callbacks
cdef void look(rcu_domain *domain, Backlog *backlog) noexcept nogil
