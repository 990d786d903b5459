# cython: language_level=3
"""Deferred work: enqueueing, barriers, the backlog. See the .pxd for the map, barrier.h for the labels.

After call_rcu() of the kernel and of liburcu, with queues that nobody contends for, batches that start at once where
nothing is pending, and a backlog that is bounded.
"""

from libc.stdint cimport uint64_t

from rcu._grace cimport grace_domain
from rcu._headers cimport (
    RCU_AWAITED, RCU_DEFERRED, RCU_NEVER, RCU_NS_PER_SECOND, RCU_RECLAIMERS, rcu_clock, rcu_cond_broadcast,
    rcu_cond_signal, rcu_cond_wait, rcu_load_acquire, rcu_load_relaxed, rcu_mutex_lock, rcu_mutex_unlock, rcu_reclaimer,
    rcu_store_relaxed, rcu_thread_ident,
)
from rcu._queue cimport departs, enqueued, is_queued, oldest, pending, push, push_callback
from rcu._reclaim cimport drop, hasten, needs_thread, rouse, tell
from rcu._slots cimport each_domain, visit

cdef uint64_t WINDOW_NS = RCU_NS_PER_SECOND // 1000
cdef uint64_t BACKLOG_LIMIT = 100_000
cdef uint64_t STALL_NS = 10 * RCU_NS_PER_SECOND


# ---- domains -----------------------------------------------------------------------------------------------------

cdef rcu_domain *deferred_domain() noexcept nogil:
    cdef rcu_domain *domain = grace_domain()
    if domain != NULL:
        domain.departs = departs
        domain.window_ns = WINDOW_NS
        domain.backlog_limit = BACKLOG_LIMIT
        domain.stall_ns = STALL_NS
    return domain


cdef void close_domain(rcu_domain *domain) noexcept nogil:
    cdef int i
    visit(domain)
    for i in range(RCU_RECLAIMERS):
        rcu_mutex_lock(&domain.reclaimers[i].lock)
    domain.closed = True
    for i in range(RCU_RECLAIMERS):
        if needs_thread(&domain.reclaimers[i]):
            rouse(&domain.reclaimers[i])
        rcu_cond_signal(&domain.reclaimers[i].wake)
        rcu_mutex_unlock(&domain.reclaimers[i].lock)
    rcu_mutex_unlock(&domain.lock)
    drop(domain)


# ---- enqueue -------------------------------------------------------------------------------------------------------

cdef void enqueue(rcu_domain *domain, rcu_head *head, rcu_callback func) noexcept nogil:
    head.func = func
    tell(&domain.reclaimers[RCU_DEFERRED], push_callback(domain, head))


cdef void push_log(rcu_domain *domain, rcu_outbox *box, rcu_head *log) noexcept nogil:
    tell(&domain.reclaimers[RCU_DEFERRED], push(box, log))


cdef void remind(rcu_domain *domain) noexcept nogil:
    tell(&domain.reclaimers[RCU_DEFERRED], False)


cdef bint push_awaited(rcu_domain *domain, rcu_head *log) noexcept nogil:
    cdef rcu_reclaimer *reclaimer = &domain.reclaimers[RCU_AWAITED]
    if not has_thread(reclaimer):
        return False
    tell(reclaimer, push(&reclaimer.strays, log))
    return True


cdef bint push_last(rcu_domain *domain, rcu_head *log) noexcept nogil:
    cdef rcu_reclaimer *reclaimer = &domain.reclaimers[RCU_DEFERRED]
    if not has_thread(reclaimer):
        return False
    push(&reclaimer.last, log)
    hasten(domain)
    return True


cdef bint has_thread(rcu_reclaimer *self) noexcept nogil:
    """Now, and for some time."""
    rcu_mutex_lock(&self.lock)
    cdef bint has = rouse(self)
    rcu_mutex_unlock(&self.lock)
    return has


# ---- waits -------------------------------------------------------------------------------------------------------

cdef uint64_t room_at(rcu_domain *domain, rcu_outbox *box) noexcept nogil:
    cdef rcu_reclaimer *reclaimer = &domain.reclaimers[RCU_DEFERRED]
    cdef uint64_t granted = 0  # to others, who may use it without a look
    cdef uint64_t limit, run, total, room, share, used, check_at, i
    cdef rcu_outbox *other
    visit(domain)
    limit = rcu_load_relaxed(&domain.backlog_limit)
    # [W]: what has begun to run was counted as enqueued before, so the difference is never negative.
    run = rcu_load_acquire(&reclaimer.run)
    total = domain.departed + rcu_load_relaxed(&reclaimer.strays.enqueued)
    for i in range(domain.n_slots):
        other = domain.slots[i].outbox
        if other != NULL:
            used = rcu_load_relaxed(&other.enqueued)
            check_at = rcu_load_relaxed(&other.check_at)
            total += used
            if other != box and check_at > used:
                granted += check_at - used
    if pending(total, run) >= limit:
        rcu_mutex_unlock(&domain.lock)
        return total + 1
    domain.warned = False
    # A thread gets half of its share, so that all of them together stay below the limit.
    room = limit - pending(total, run)
    share = max(room // (2 * domain.n_slots), <uint64_t>1)
    if granted + share > room:
        revoke(domain)
    rcu_store_relaxed(&box.check_at, box.enqueued + share)
    rcu_mutex_unlock(&domain.lock)
    return 0


cdef bint warns_first(rcu_domain *domain) noexcept nogil:
    visit(domain)
    cdef bint first = not domain.warned
    domain.warned = True
    rcu_mutex_unlock(&domain.lock)
    return first


cdef void revoke(rcu_domain *domain) noexcept nogil:
    """Under the domain's lock: every thread looks at the backlog with the next callback, or with the one after."""
    cdef uint64_t i
    for i in range(domain.n_slots):
        if domain.slots[i].outbox != NULL:
            rcu_store_relaxed(&domain.slots[i].outbox.check_at, 0)


cdef void limit_backlog(rcu_domain *domain, uint64_t limit) noexcept nogil:
    cdef rcu_reclaimer *self = &domain.reclaimers[RCU_DEFERRED]
    visit(domain)
    rcu_store_relaxed(&domain.backlog_limit, limit)
    revoke(domain)
    rcu_mutex_lock(&self.lock)
    rcu_cond_broadcast(&self.changed)
    rcu_mutex_unlock(&self.lock)
    rcu_mutex_unlock(&domain.lock)


cdef bint wait_for_room(rcu_domain *domain, uint64_t number, uint64_t until) noexcept nogil:
    cdef rcu_reclaimer *self = &domain.reclaimers[RCU_DEFERRED]
    cdef bint found
    rcu_mutex_lock(&self.lock)
    self.hurry = True
    self.waiters += 1
    rouse(self)
    rcu_cond_signal(&self.wake)
    found = has_room(self, number)
    while not found and rcu_clock() < until:
        rcu_cond_wait(&self.changed, &self.lock, until)
        found = has_room(self, number)
    self.waiters -= 1
    rcu_mutex_unlock(&self.lock)
    return found


cdef bint has_room(rcu_reclaimer *self, uint64_t number) noexcept nogil:
    return number - min(number, rcu_load_relaxed(&self.run)) <= rcu_load_relaxed(&self.domain.backlog_limit)


cdef uint64_t barrier_at(rcu_domain *domain) noexcept nogil:
    cdef rcu_reclaimer *self = &domain.reclaimers[RCU_DEFERRED]
    cdef uint64_t batch = 0
    visit(domain)
    rcu_mutex_lock(&self.lock)
    if is_queued(self):
        batch = self.taken + 1
    elif self.done != self.taken:
        batch = self.taken
    rcu_mutex_unlock(&self.lock)
    rcu_mutex_unlock(&domain.lock)
    return batch


cdef bint wait_for_batch(rcu_domain *domain, uint64_t batch, uint64_t until) noexcept nogil:
    cdef rcu_reclaimer *self = &domain.reclaimers[RCU_DEFERRED]
    cdef bint done
    rcu_mutex_lock(&self.lock)
    if self.taken < batch:
        self.hurry = True
        rcu_cond_signal(&self.wake)
    rouse(self)
    self.waiters += 1
    while self.done < batch and rcu_clock() < until:
        rcu_cond_wait(&self.changed, &self.lock, until)
    self.waiters -= 1
    done = self.done >= batch
    rcu_mutex_unlock(&self.lock)
    return done


cdef void start_again() noexcept nogil:
    each_domain(start_reclaimers)


cdef void start_reclaimers(rcu_domain *domain) noexcept nogil:
    cdef int i
    cdef rcu_reclaimer *self
    if rcu_load_relaxed(&domain.holders) == 0:
        return  # it is about to be freed
    visit(domain)
    for i in range(RCU_RECLAIMERS):
        self = &domain.reclaimers[i]
        rcu_mutex_lock(&self.lock)
        if needs_thread(self):
            rouse(self)
        rcu_mutex_unlock(&self.lock)
    rcu_mutex_unlock(&domain.lock)


cdef bint is_reclaimer(const rcu_domain *domain) noexcept nogil:
    # A thread finds what it has stored itself; what another one finds is not its own.
    return rcu_load_relaxed(&domain.reclaimers[RCU_DEFERRED].ident) == rcu_thread_ident()


# ---- reports -----------------------------------------------------------------------------------------------------

cdef void look(rcu_domain *domain, Backlog *backlog) noexcept nogil:
    cdef rcu_reclaimer *self = &domain.reclaimers[RCU_DEFERRED]
    cdef uint64_t since
    visit(domain)
    rcu_mutex_lock(&self.lock)
    backlog.run = rcu_load_acquire(&self.run)  # [W]
    backlog.failed = rcu_load_relaxed(&self.failed)
    backlog.pending = pending(enqueued(domain), backlog.run)
    self.peak = max(self.peak, backlog.pending)
    backlog.peak = self.peak
    since = oldest(domain)
    rcu_mutex_unlock(&self.lock)
    rcu_mutex_unlock(&domain.lock)
    backlog.oldest_ns = 0 if since == RCU_NEVER or backlog.pending == 0 else rcu_clock() - since
