# cython: language_level=3
"""Heads that a debug build has enqueued. See the .pxd for the map."""

from libc.stdint cimport uint64_t, uintptr_t
from libc.stdio cimport fflush, fprintf, stderr
from libc.stdlib cimport calloc, free

from rcu._deferred cimport enqueue
from rcu._headers cimport (
    rcu_at_fork, rcu_callback, rcu_domain, rcu_head, rcu_mutex, rcu_mutex_init, rcu_mutex_lock, rcu_mutex_unlock,
)

cdef struct Queued:
    rcu_head *head
    rcu_callback func    # what the head's own stands for meanwhile
    rcu_domain *domain
    Queued *next         # in the same row

# A hash table of chains, of a fixed size: what is enqueued here is being debugged.
cdef enum:
    ROWS = 4096

cdef Queued *rows[ROWS]
cdef rcu_mutex lock      # alone, and for short


cdef Queued **place_of(const rcu_head *head) noexcept nogil:
    """Where the head is noted, or would be. Under the lock."""
    cdef uint64_t mixed = <uint64_t><uintptr_t>head * <uint64_t>0x9E3779B97F4A7C15
    cdef Queued **place = &rows[(mixed >> 52) % ROWS]
    while place[0] != NULL and place[0].head != head:
        place = &place[0].next
    return place


cdef void enqueue_checked(rcu_domain *domain, rcu_head *head, rcu_callback func) noexcept nogil:
    cdef Queued *queued = <Queued *>calloc(1, sizeof(Queued))
    cdef Queued **place
    cdef Queued *before
    rcu_mutex_lock(&lock)
    place = place_of(head)
    before = place[0]
    if before != NULL:
        # Under the lock, for it is called, and gone, as soon as that is free.
        report(domain, head, before)
    elif queued != NULL:
        queued.head = head
        queued.func = func
        queued.domain = domain
        place[0] = queued
    rcu_mutex_unlock(&lock)
    if before != NULL:
        free(queued)
    else:
        enqueue(domain, head, call_noted if queued != NULL else func)


cdef void call_noted(rcu_head *head) noexcept nogil:
    """Stands in for the function of a head that is noted."""
    cdef Queued **place
    cdef Queued *queued
    cdef rcu_callback func
    rcu_mutex_lock(&lock)
    place = place_of(head)
    queued = place[0]
    func = queued.func
    place[0] = queued.next
    rcu_mutex_unlock(&lock)
    free(queued)
    head.func = func
    func(head)


cdef void report(rcu_domain *domain, const rcu_head *head, const Queued *before) noexcept nogil:
    # By C alone: who enqueues need not have a thread state, and may hold locks that Python waits for.
    fprintf(stderr, b"rcu: rcu_call() in domain '%s' of head %p, which is queued already in domain '%s' and has not "
            b"been called yet: the second call is ignored; give each object a head of its own, or wait until its "
            b"function has begun\n", domain.label, <const void *>head, before.domain.label)
    fflush(stderr)


# ---- forks: see _slots for the manner ------------------------------------------------------------------------------

cdef void before_fork() noexcept nogil:
    rcu_mutex_lock(&lock)


cdef void after_fork() noexcept nogil:
    rcu_mutex_unlock(&lock)


cdef int begin() except -1:
    rcu_mutex_init(&lock)
    cdef int error = rcu_at_fork(before_fork, after_fork, after_fork)
    if error != 0:
        raise ImportError(f"rcu cannot watch forks: the system refuses a handler (error {error})")
    return 0


begin()
