# cython: language_level=3
"""Deferred work: enqueue, reclaim, barriers, the backlog.

A thread leaves callbacks in an outbox of its own, a stack of intrusive heads that no other thread pushes onto. A
reclaimer, a thread that starts when there is something to do, takes all outboxes at once, waits for a grace period,
and calls what it took, outside every section and every lock. What it has in hand stands in the domain, so that a fork
child, which does not have the thread, has the work.

Knows no Python: what runs callbacks there is handed to it by the floor above.
"""

from libc.stdint cimport uint64_t

from rcu._headers cimport rcu_callback, rcu_domain, rcu_head, rcu_outbox, rcu_reclaimer, rcu_slot

# What the floor above brings. A log is a head with room for many callbacks of Python: its thread appends to it until
# a reclaimer closes it. All are called without a thread state.
cdef struct Python:
    rcu_callback log                                                     # the func of such a head
    void (*close)(rcu_head *log) noexcept nogil                          # nothing is appended any more
    void (*leave)(void *log) noexcept nogil                              # its thread appends no more
    # Calls what is left in the log, until the gate is shut; True: all of it, and it is gone. Counts each callback in
    # `run` before it begins: one that a fork interrupts is not begun again.
    bint (*run)(rcu_reclaimer *self, rcu_head *log) noexcept nogil
    bint (*begin)(rcu_reclaimer *self) noexcept nogil                    # of a reclaimer's thread; False: never again
    void (*end)(void *python) noexcept nogil                             # of that thread, with what `begin` left
    void (*report)(rcu_domain *domain) noexcept nogil                    # its grace period takes long
    void (*forget)(rcu_domain *domain) noexcept nogil                    # the domain is about to be freed

# What a look at a domain's deferred work finds.
cdef struct Backlog:
    uint64_t pending, peak, run, failed
    uint64_t oldest_ns      # age

# All of these may be called with or without a thread state. None but the waits blocks, except for locks.
cdef void use_python(const Python *with_python) noexcept nogil            # once
cdef rcu_domain *deferred_domain() noexcept nogil                         # a new domain; NULL: no memory
cdef void close_domain(rcu_domain *domain) noexcept nogil                 # freed once all that was deferred has run
cdef void start_again() noexcept nogil                                    # in a fork child: whoever has work

# The calling thread's; NULL: no memory. `enqueue` needs none of it, then its order among others' is open.
cdef rcu_outbox *outbox_of(rcu_slot *slot) noexcept nogil
cdef void enqueue(rcu_domain *domain, rcu_head *head, rcu_callback func) noexcept nogil
cdef void push_log(rcu_domain *domain, rcu_outbox *box, rcu_head *log) noexcept nogil  # onto the calling thread's
cdef void push_awaited(rcu_domain *domain, rcu_head *log) noexcept nogil  # to run after a grace period, soon
cdef void push_last(rcu_domain *domain, rcu_head *log) noexcept nogil     # to run after all that is deferred now

# The backlog: what `run` must come to before there is room for one more callback; 0: there is.
cdef uint64_t room_at(rcu_domain *domain, rcu_outbox *box) noexcept nogil
cdef bint wait_for_room(rcu_domain *domain, uint64_t run, uint64_t until) noexcept nogil  # blocks; True: it has
# The batch that must be done before all that is deferred now has run; 0: it has.
cdef uint64_t barrier_at(rcu_domain *domain) noexcept nogil
cdef bint wait_for_batch(rcu_domain *domain, uint64_t batch, uint64_t until) noexcept nogil  # blocks; True: it is done
cdef void hasten(rcu_domain *domain) noexcept nogil                       # its next batch does not wait for more

cdef bint is_reclaimer(const rcu_domain *domain) noexcept nogil           # the calling thread, of the domain's callbacks
cdef void look(rcu_domain *domain, Backlog *backlog) noexcept nogil
