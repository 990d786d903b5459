# cython: language_level=3
"""The gate between callbacks and what must not happen in the midst of one. See the .pxd for the map."""

from libc.stdint cimport uint64_t

from rcu._headers cimport (
    RCU_NEVER, rcu_at_fork, rcu_clock, rcu_cond, rcu_cond_broadcast, rcu_cond_init, rcu_cond_wait, rcu_load_relaxed,
    rcu_mutex, rcu_mutex_init, rcu_mutex_lock, rcu_mutex_unlock, rcu_store_relaxed, rcu_thread_ident,
)

cdef struct Gate:
    rcu_mutex lock
    rcu_cond changed
    uint64_t shut       # by so many; atomic, for it is looked at without the lock as well
    uint64_t busy
    bint ended          # nobody has been waited for since
    Passage *passages

cdef Gate gate


cdef int gate_begin() noexcept nogil:
    rcu_mutex_init(&gate.lock)
    rcu_cond_init(&gate.changed)
    return rcu_at_fork(before_fork, after_fork_in_parent, after_fork_in_child)


cdef void enter(Passage *passage) noexcept nogil:
    passage.ident = rcu_thread_ident()
    rcu_mutex_lock(&gate.lock)
    while gate.shut != 0:
        rcu_cond_wait(&gate.changed, &gate.lock, RCU_NEVER)
    passage.next = gate.passages
    gate.passages = passage
    rcu_mutex_unlock(&gate.lock)


cdef void leave(Passage *passage) noexcept nogil:
    cdef Passage **place = &gate.passages
    rcu_mutex_lock(&gate.lock)
    while place[0] != passage:
        place = &place[0].next
    place[0] = passage.next
    if gate.shut != 0:
        rcu_cond_broadcast(&gate.changed)
    rcu_mutex_unlock(&gate.lock)


cdef bint is_shut() noexcept nogil:
    # A hint: who enters looks again, under the lock.
    return rcu_load_relaxed(&gate.shut) != 0


cdef bint shut(uint64_t until) noexcept nogil:
    cdef bint alone
    rcu_mutex_lock(&gate.lock)
    rcu_store_relaxed(&gate.shut, gate.shut + 1)
    alone = only_mine()
    while not alone and rcu_clock() < until:
        rcu_cond_wait(&gate.changed, &gate.lock, until)
        alone = only_mine()
    rcu_mutex_unlock(&gate.lock)
    return alone


cdef bint only_mine() noexcept nogil:
    cdef Passage *passage = gate.passages
    while passage != NULL:
        if passage.ident != rcu_thread_ident():
            return False
        passage = passage.next
    return True


cdef void reopen() noexcept nogil:
    rcu_mutex_lock(&gate.lock)
    rcu_store_relaxed(&gate.shut, gate.shut - 1)
    rcu_cond_broadcast(&gate.changed)
    rcu_mutex_unlock(&gate.lock)


cdef void count_busy(uint64_t change) noexcept nogil:
    rcu_mutex_lock(&gate.lock)
    gate.busy += change
    if gate.busy == 0:
        rcu_cond_broadcast(&gate.changed)
    rcu_mutex_unlock(&gate.lock)


cdef bint begin_leaving() noexcept nogil:
    cdef bint may
    rcu_mutex_lock(&gate.lock)
    may = not gate.ended
    gate.busy += may
    rcu_mutex_unlock(&gate.lock)
    return may


cdef void end_leaving() noexcept nogil:
    count_busy(<uint64_t>-1)


cdef bint wait_idle(uint64_t until) noexcept nogil:
    cdef bint idle
    rcu_mutex_lock(&gate.lock)
    while gate.busy != 0 and rcu_clock() < until:
        rcu_cond_wait(&gate.changed, &gate.lock, until)
    idle = gate.busy == 0
    gate.ended = True
    rcu_mutex_unlock(&gate.lock)
    return idle


# ---- forks: see _slots for the manner ----------------------------------------------------------------------------

cdef void before_fork() noexcept nogil:
    rcu_mutex_lock(&gate.lock)


cdef void after_fork_in_parent() noexcept nogil:
    rcu_mutex_unlock(&gate.lock)


cdef void after_fork_in_child() noexcept nogil:
    """Nobody else is in it, nobody shuts it, and nobody is busy: who is, in the child, says so anew."""
    cdef Passage **place = &gate.passages
    while place[0] != NULL:
        if place[0].ident == rcu_thread_ident():
            place = &place[0].next
        else:
            place[0] = place[0].next
    rcu_store_relaxed(&gate.shut, 0)
    gate.busy = 0
    rcu_cond_init(&gate.changed)
    rcu_mutex_unlock(&gate.lock)
