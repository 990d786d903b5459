# cython: language_level=3
"""The lock of those who write to a cell. See the .pxd for the map, barrier.h for the labels."""

from libc.stdint cimport uint64_t

from rcu._headers cimport (
    rcu_at_fork, rcu_clock, rcu_compare_exchange, rcu_cond, rcu_cond_broadcast, rcu_cond_init, rcu_cond_signal,
    rcu_cond_wait, rcu_domain, rcu_full_barrier, rcu_load_relaxed, rcu_mutex, rcu_mutex_init, rcu_mutex_lock,
    rcu_mutex_unlock, rcu_store_relaxed, rcu_store_release,
)
from rcu._threads cimport is_left_behind, thread_serial


cdef enum:
    FREE = 0
    BENCHES = 16
    LOCK_SPACING = 64  # a cell takes about so many bytes

cdef struct Bench:
    rcu_mutex lock
    rcu_cond freed
    uint64_t sleepers          # for whatever lock
    const WriterLock *whose    # the one that all of them wait for; NULL: they wait for several

cdef Bench[BENCHES] benches


cdef Bench *bench_of(const WriterLock *lock) noexcept nogil:
    return &benches[(<size_t>lock // LOCK_SPACING) % BENCHES]


cdef bint try_to_write(WriterLock *lock) noexcept nogil:
    cdef uint64_t holder = rcu_load_relaxed(&lock.holder)
    if holder != FREE and not is_left_behind(holder):
        return False
    # [N] with itself: who takes the lock after us sees what we have written.
    return rcu_compare_exchange(&lock.holder, holder, thread_serial())


cdef bint writes(const WriterLock *lock) noexcept nogil:
    # A thread finds what it has stored itself; what another one finds is not its own.
    return rcu_load_relaxed(&lock.holder) == thread_serial()


cdef bint wait_to_write(rcu_domain *domain, uint64_t which, uint64_t until) noexcept nogil:
    cdef WriterLock *lock = <WriterLock *>which
    cdef Bench *bench = bench_of(lock)
    cdef bint got
    rcu_mutex_lock(&bench.lock)
    rcu_store_relaxed(&lock.waiting, lock.waiting + 1)
    if bench.sleepers == 0:
        bench.whose = lock
    elif bench.whose != lock:
        bench.whose = NULL
    bench.sleepers += 1
    # [J] with [L]: if our word comes first, who frees the lock sees it, and wakes us; if the freeing does, we find the
    # lock free.
    rcu_full_barrier()
    got = try_to_write(lock)
    while not got and rcu_clock() < until:
        rcu_cond_wait(&bench.freed, &bench.lock, until)
        got = try_to_write(lock)
    rcu_store_relaxed(&lock.waiting, lock.waiting - 1)
    bench.sleepers -= 1
    rcu_mutex_unlock(&bench.lock)
    return got


cdef void stop_writing(WriterLock *lock) noexcept nogil:
    cdef Bench *bench
    rcu_store_release(&lock.holder, FREE)  # [N]
    rcu_full_barrier()  # [L] with [J]
    if rcu_load_relaxed(&lock.waiting) == 0:
        return
    bench = bench_of(lock)
    rcu_mutex_lock(&bench.lock)
    # One is enough, if all there are wait for this lock: whoever takes it before that one frees it, too. The counts do
    # not tell: in a fork child, `waiting` may be too high.
    if bench.whose == lock:
        rcu_cond_signal(&bench.freed)
    else:
        rcu_cond_broadcast(&bench.freed)
    rcu_mutex_unlock(&bench.lock)


# ---- forks: see _slots for the manner ----------------------------------------------------------------------------

cdef void before_fork() noexcept nogil:
    cdef int i
    for i in range(BENCHES):
        rcu_mutex_lock(&benches[i].lock)


cdef void after_fork_in_parent() noexcept nogil:
    cdef int i
    for i in range(BENCHES):
        rcu_mutex_unlock(&benches[i].lock)


cdef void after_fork_in_child() noexcept nogil:
    # A lock still counts who waited for it in the parent; all that comes of it is a look at its bench, in vain.
    cdef int i
    for i in range(BENCHES):
        rcu_cond_init(&benches[i].freed)
        benches[i].sleepers = 0
    after_fork_in_parent()


cdef int prepare() except -1:
    cdef int i, error
    for i in range(BENCHES):
        rcu_mutex_init(&benches[i].lock)
        rcu_cond_init(&benches[i].freed)
    error = rcu_at_fork(before_fork, after_fork_in_parent, after_fork_in_child)
    if error != 0:
        raise ImportError(f"rcu cannot watch forks: the system refuses a handler (error {error})")
    return 0


prepare()
