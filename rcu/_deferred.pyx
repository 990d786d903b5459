# cython: language_level=3
"""Deferred work: enqueue, reclaim, barriers, the backlog. See the .pxd for the map, barrier.h for the labels.

After call_rcu() of the kernel and of liburcu, with queues that nobody contends for, batches that start at once where
nothing is pending, and a backlog that is bounded.
"""

from libc.stdint cimport uint64_t

from rcu._gate cimport Passage, count_busy, enter, is_shut, leave
from rcu._grace cimport COMPLETED, grace_domain, needed, quiesce, wait
from rcu._headers cimport (
    RCU_ABSENT, RCU_ASLEEP, RCU_AWAITED, RCU_AWAKE, RCU_DEFERRED, RCU_NEVER, RCU_NS_PER_SECOND, RCU_RECLAIMERS,
    rcu_clock, rcu_cond_broadcast, rcu_cond_signal, rcu_cond_wait, rcu_fetch_add, rcu_fetch_sub, rcu_full_barrier,
    rcu_load_acquire, rcu_load_relaxed, rcu_mutex_lock, rcu_mutex_unlock, rcu_slot, rcu_store_relaxed,
    rcu_store_release, rcu_thread_ident,
)
from rcu._queue cimport departs, enqueued, is_log, is_queued, leave_log, oldest, push, push_callback, take_all
from rcu._slots cimport domain_free, each_domain, visit
from rcu._threads cimport find


cdef extern from *:
    """
    #include "rcu/domain.h"

    /* The system's calling convention for a thread's function, which Cython cannot spell. */
    static void (*rcu_reclaim)(struct rcu_reclaimer *self);

    static rcu_thread_result RCU_THREAD_CALL rcu_reclaimer_main(void *self)
    {
        rcu_reclaim((struct rcu_reclaimer *)self);
        return 0;
    }

    static int rcu_start_reclaimer(struct rcu_reclaimer *self)
    {
        return rcu_thread_start(rcu_reclaimer_main, self, "rcu-reclaimer");
    }
    """
    void (*rcu_reclaim)(rcu_reclaimer *self) noexcept nogil
    int rcu_start_reclaimer(rcu_reclaimer *self) noexcept nogil

cdef uint64_t IDLE_NS = 5 * RCU_NS_PER_SECOND        # a reclaimer without work ends after that long
cdef uint64_t NAP_NS = RCU_NS_PER_SECOND // 20       # how often one that waits for readers looks for what to report
cdef uint64_t SHORTEST_NAP_NS = RCU_NS_PER_SECOND // 1000
cdef uint64_t NAPS_PER_STALL = 16
cdef uint64_t WINDOW_NS = RCU_NS_PER_SECOND // 1000
cdef uint64_t BACKLOG_LIMIT = 100_000
cdef uint64_t FEW_CALLBACKS = 4                      # a batch of no more is no sign of load
cdef uint64_t FEW_BATCHES = 8                        # nor are so many within a window
cdef uint64_t HEADS_PER_PASSAGE = 64                 # called before others may look how far it has come

cdef const Python *python


cdef void use_python(const Python *with_python) noexcept nogil:
    global python, rcu_reclaim
    python = with_python
    rcu_reclaim = reclaim


# ---- domains -----------------------------------------------------------------------------------------------------

cdef rcu_domain *deferred_domain() noexcept nogil:
    cdef rcu_domain *domain = grace_domain()
    if domain != NULL:
        domain.departs = departs
        domain.window_ns = WINDOW_NS
        domain.backlog_limit = BACKLOG_LIMIT
    return domain


cdef void close_domain(rcu_domain *domain) noexcept nogil:
    cdef int i
    visit(domain)
    for i in range(RCU_RECLAIMERS):
        rcu_mutex_lock(&domain.reclaimers[i].lock)
        domain.closed = True
        if needs_thread(&domain.reclaimers[i]):
            rouse(&domain.reclaimers[i])
        rcu_cond_signal(&domain.reclaimers[i].wake)
        rcu_mutex_unlock(&domain.reclaimers[i].lock)
    rcu_mutex_unlock(&domain.lock)
    drop(domain)


cdef void hold(rcu_domain *domain) noexcept nogil:
    rcu_fetch_add(&domain.holders, 1)


cdef void drop(rcu_domain *domain) noexcept nogil:
    """The last one frees the domain, and what could not even be started is lost with it."""
    if rcu_fetch_sub(&domain.holders, 1) == 1:
        python.forget(domain)
        domain_free(domain)


# ---- enqueue -------------------------------------------------------------------------------------------------------

cdef void enqueue(rcu_domain *domain, rcu_head *head, rcu_callback func) noexcept nogil:
    head.func = func
    tell(&domain.reclaimers[RCU_DEFERRED], push_callback(domain, head))


cdef void push_log(rcu_domain *domain, rcu_outbox *box, rcu_head *log) noexcept nogil:
    tell(&domain.reclaimers[RCU_DEFERRED], push(box, log))


cdef void push_awaited(rcu_domain *domain, rcu_head *log) noexcept nogil:
    tell(&domain.reclaimers[RCU_AWAITED], push(&domain.reclaimers[RCU_AWAITED].strays, log))


cdef void push_last(rcu_domain *domain, rcu_head *log) noexcept nogil:
    push(&domain.reclaimers[RCU_DEFERRED].last, log)
    hasten(domain)


cdef void tell(rcu_reclaimer *self, bint onto_nothing) noexcept nogil:
    # [I] with [S]: if our push comes first, the reclaimer finds it before it sleeps; if its word that it sleeps does,
    # we see the word. Onto a head that is still there, whoever pushed that has told, or is about to: the reclaimer
    # does not sleep over it. Then the look is for one that could not be started.
    if onto_nothing:
        rcu_full_barrier()
    if rcu_load_relaxed(&self.state) != RCU_AWAKE:
        rcu_mutex_lock(&self.lock)
        rouse(self)
        rcu_mutex_unlock(&self.lock)


cdef void rouse(rcu_reclaimer *self) noexcept nogil:
    """Under the reclaimer's lock: wakes its thread, or starts it. If that fails, the next who comes by tries again."""
    if self.state == RCU_ASLEEP:
        rcu_store_relaxed(&self.state, RCU_AWAKE)
        be_busy(self, True)
        rcu_cond_signal(&self.wake)
    elif self.state == RCU_ABSENT:
        hold(self.domain)
        rcu_store_relaxed(&self.state, RCU_AWAKE)
        be_busy(self, True)
        if rcu_start_reclaimer(self) != 0:
            be_busy(self, False)
            rcu_store_relaxed(&self.state, RCU_ABSENT)
            rcu_fetch_sub(&self.domain.holders, 1)


cdef void be_busy(rcu_reclaimer *self, bint busy) noexcept nogil:
    # The program's end waits for callbacks, and for nobody who only awaits: the loop that would go on is over.
    if self == &self.domain.reclaimers[RCU_DEFERRED] and self.busy != busy:
        self.busy = busy
        count_busy(1 if busy else <uint64_t>-1)


# ---- the reclaimer's thread --------------------------------------------------------------------------------------

cdef void reclaim(rcu_reclaimer *self) noexcept nogil:
    """Until it has been idle for long, or its domain is closed."""
    cdef rcu_domain *domain = self.domain
    cdef void *state = NULL
    rcu_mutex_lock(&self.lock)
    rcu_store_relaxed(&self.ident, rcu_thread_ident())
    rcu_mutex_unlock(&self.lock)
    while True:
        if self.ready != NULL:
            if not call_ready(self):
                return  # the interpreter ends, and with it all that this reclaimer could still be asked for
        elif self.batch != NULL:
            wait_for_readers(self)
        elif is_loaded(self) and linger(self):
            continue
        elif has_work(self):
            if not take_all(self):
                rcu_mutex_lock(&self.lock)
                finish(self)
                rcu_mutex_unlock(&self.lock)
        elif not rest(self, &state):
            break
    drop(domain)
    python.end(state)


cdef bint has_work(rcu_reclaimer *self) noexcept nogil:
    cdef bint found
    visit(self.domain)
    rcu_mutex_lock(&self.lock)
    found = self.hurry or is_queued(self)
    rcu_mutex_unlock(&self.lock)
    rcu_mutex_unlock(&self.domain.lock)
    return found


cdef bint needs_thread(rcu_reclaimer *self) noexcept nogil:
    """Under both locks."""
    return self.ready != NULL or self.batch != NULL or is_queued(self)


cdef bint is_loaded(rcu_reclaimer *self) noexcept nogil:
    """Is it a time of many callbacks? The last batch had more than a few, or was one of many small ones: each of these
    had to wake us, at the cost of who enqueued."""
    return self.run - self.run_before > FEW_CALLBACKS or self.batches >= FEW_BATCHES


cdef bint linger(rcu_reclaimer *self) noexcept nogil:
    """Under load, lets the next batch grow: one grace period for many callbacks, and nobody has to wake us."""
    cdef uint64_t until = self.taken_ns + rcu_load_relaxed(&self.domain.window_ns)
    self.run_before = self.run  # once for each batch
    self.batches = 0
    rcu_mutex_lock(&self.lock)
    while not self.hurry and self.waiters == 0 and not self.domain.closed and rcu_clock() < until:
        rcu_cond_wait(&self.wake, &self.lock, until)
    rcu_mutex_unlock(&self.lock)
    return True


cdef void wait_for_readers(rcu_reclaimer *self) noexcept nogil:
    cdef rcu_domain *domain = self.domain
    cdef rcu_slot *mine = find(domain.key)
    if mine != NULL:
        quiesce(mine)  # callbacks may have read here
    cdef uint64_t need = needed(domain)  # [P], for all whose heads were taken, by [T]
    cdef uint64_t nap = NAP_NS
    cdef uint64_t stall_ns = rcu_load_relaxed(&domain.stall_ns)
    if stall_ns != 0:
        nap = min(nap, max(stall_ns // NAPS_PER_STALL, SHORTEST_NAP_NS))
    while wait(domain, need, rcu_clock() + nap) != COMPLETED:
        python.report(domain)
    rcu_mutex_lock(&self.lock)
    self.ready = self.batch
    self.batch = NULL
    rcu_mutex_unlock(&self.lock)
    note_peak(self)


cdef bint call_ready(rcu_reclaimer *self) noexcept nogil:
    """Calls the batch whose grace period is over, in handfuls. False: that needs a Python that is no more."""
    cdef Passage passage
    cdef rcu_head *head
    cdef uint64_t n
    while self.ready != NULL:
        n = 0
        enter(&passage)
        while self.ready != NULL and n < HEADS_PER_PASSAGE and not is_shut():
            head = self.ready
            n += 1
            if is_log(head):
                if not python.begin(self):
                    leave(&passage)
                    return False
                if python.run(self, head):
                    self.ready = head.next  # before it is freed: a fork that did not wait would find it here
                    leave_log(head)
            else:
                self.ready = head.next  # begun, so not to be begun again in a child that the callback forks
                rcu_store_release(&self.run, self.run + 1)  # [W]
                head.func(head)
        leave(&passage)
        note_peak(self)
        rcu_mutex_lock(&self.lock)
        if self.ready == NULL:
            finish(self)
        elif self.waiters != 0:
            rcu_cond_broadcast(&self.changed)
        rcu_mutex_unlock(&self.lock)
    return True


cdef void finish(rcu_reclaimer *self) noexcept nogil:
    """Under the reclaimer's lock: the batch is done."""
    self.done = self.taken
    self.since_ns = 0
    if self.waiters != 0:
        rcu_cond_broadcast(&self.changed)


cdef bint rest(rcu_reclaimer *self, void **state) noexcept nogil:
    """Sleeps until there is work; False: there has been none for long, or will not be, and the thread is to end. Then
    another may start at once, and `state` is what this one must end in Python."""
    cdef rcu_domain *domain = self.domain
    cdef uint64_t until
    visit(domain)
    rcu_mutex_lock(&self.lock)
    rcu_store_relaxed(&self.state, RCU_ASLEEP)
    # [S] with [I]: if our word comes first, who pushes sees it; if the push does, we find the head now.
    rcu_full_barrier()
    if self.hurry or is_queued(self):
        rcu_store_relaxed(&self.state, RCU_AWAKE)
    rcu_mutex_unlock(&domain.lock)
    if self.state == RCU_ASLEEP:
        be_busy(self, False)
        until = 0 if self.unwatched else rcu_clock() + IDLE_NS
        while self.state == RCU_ASLEEP and not domain.closed and rcu_clock() < until:
            rcu_cond_wait(&self.wake, &self.lock, until)
        if self.state == RCU_ASLEEP:
            rcu_store_relaxed(&self.state, RCU_ABSENT)
            rcu_store_relaxed(&self.ident, 0)
            self.unwatched = False
            state[0] = self.python
            self.python = NULL
    cdef bint stays = self.state == RCU_AWAKE
    rcu_mutex_unlock(&self.lock)
    return stays


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
    if total - run >= limit:
        rcu_mutex_unlock(&domain.lock)
        return total + 1
    # A thread gets half of its share, so that all of them together stay below the limit.
    room = limit - (total - run)
    share = max(room // (2 * domain.n_slots), <uint64_t>1)
    if granted + share > room:
        revoke(domain)
    rcu_store_relaxed(&box.check_at, box.enqueued + share)
    rcu_mutex_unlock(&domain.lock)
    return 0


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


cdef void hasten(rcu_domain *domain) noexcept nogil:
    cdef rcu_reclaimer *self = &domain.reclaimers[RCU_DEFERRED]
    rcu_mutex_lock(&self.lock)
    self.hurry = True
    rouse(self)
    rcu_cond_signal(&self.wake)
    rcu_mutex_unlock(&self.lock)


cdef void start_again() noexcept nogil:
    each_domain(start_reclaimers)


cdef void start_reclaimers(rcu_domain *domain) noexcept nogil:
    cdef int i
    cdef rcu_reclaimer *self
    visit(domain)
    for i in range(RCU_RECLAIMERS):
        self = &domain.reclaimers[i]
        rcu_mutex_lock(&self.lock)
        if self.unwatched:
            be_busy(self, True)
        elif needs_thread(self):
            rouse(self)
        rcu_mutex_unlock(&self.lock)
    rcu_mutex_unlock(&domain.lock)


cdef bint is_reclaimer(const rcu_domain *domain) noexcept nogil:
    # A thread finds what it has stored itself; what another one finds is not its own.
    return rcu_load_relaxed(&domain.reclaimers[RCU_DEFERRED].ident) == rcu_thread_ident()


# ---- reports -----------------------------------------------------------------------------------------------------

cdef void note_peak(rcu_reclaimer *self) noexcept nogil:
    cdef uint64_t pending
    visit(self.domain)
    if self == &self.domain.reclaimers[RCU_DEFERRED]:
        pending = enqueued(self.domain) - self.run
        self.peak = max(self.peak, pending)
    rcu_mutex_unlock(&self.domain.lock)


cdef void look(rcu_domain *domain, Backlog *backlog) noexcept nogil:
    cdef rcu_reclaimer *self = &domain.reclaimers[RCU_DEFERRED]
    cdef uint64_t since
    visit(domain)
    rcu_mutex_lock(&self.lock)
    backlog.run = rcu_load_acquire(&self.run)  # [W]
    backlog.failed = rcu_load_relaxed(&self.failed)
    backlog.pending = enqueued(domain) - backlog.run
    self.peak = max(self.peak, backlog.pending)
    backlog.peak = self.peak
    since = oldest(domain)
    rcu_mutex_unlock(&self.lock)
    rcu_mutex_unlock(&domain.lock)
    backlog.oldest_ns = 0 if since == RCU_NEVER or backlog.pending == 0 else rcu_clock() - since
