# cython: language_level=3
"""Deferred work: enqueue, reclaim, barriers, the backlog. See the .pxd for the map, barrier.h for the labels.

After call_rcu() of the kernel and of liburcu, with queues that nobody contends for, batches that start at once where
nothing is pending, and a backlog that is bounded.
"""

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, realloc

from rcu._gate cimport Passage, count_busy, enter, is_shut, leave
from rcu._grace cimport COMPLETED, grace_domain, needed, quiesce, wait
from rcu._headers cimport (
    RCU_ABSENT, RCU_ASLEEP, RCU_AWAITED, RCU_AWAKE, RCU_DEFERRED, RCU_NEVER, RCU_NS_PER_SECOND, RCU_RECLAIMERS,
    rcu_clock, rcu_compare_exchange, rcu_cond_broadcast, rcu_cond_signal, rcu_cond_wait, rcu_exchange, rcu_fetch_add,
    rcu_fetch_sub, rcu_full_barrier, rcu_load_acquire, rcu_load_relaxed, rcu_mutex_lock, rcu_mutex_unlock,
    rcu_store_relaxed, rcu_store_release, rcu_thread_ident,
)
from rcu._slots cimport attach, domain_free, each_domain, visit
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

    static int rcu_start_reclaimer(struct rcu_reclaimer *self, void (*reclaim)(struct rcu_reclaimer *))
    {
        rcu_reclaim = reclaim;
        return rcu_thread_start(rcu_reclaimer_main, self, "rcu-reclaimer");
    }
    """
    int rcu_start_reclaimer(rcu_reclaimer *self, void (*reclaim)(rcu_reclaimer *self) noexcept nogil) noexcept nogil

cdef uint64_t IDLE_NS = 5 * RCU_NS_PER_SECOND        # a reclaimer without work ends after that long
cdef uint64_t NAP_NS = RCU_NS_PER_SECOND // 20       # how often one that waits for readers looks for what to report
cdef uint64_t SHORTEST_NAP_NS = RCU_NS_PER_SECOND // 1000
cdef uint64_t NAPS_PER_STALL = 16
cdef uint64_t WINDOW_NS = RCU_NS_PER_SECOND // 1000
cdef uint64_t BACKLOG_LIMIT = 100_000
cdef uint64_t FEW_CALLBACKS = 4                      # a batch of no more is no sign of load
cdef uint64_t HEADS_PER_PASSAGE = 64                 # called before others may look how far it has come

cdef const Python *python


cdef void use_python(const Python *with_python) noexcept nogil:
    global python
    python = with_python


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


cdef void drop(rcu_domain *domain) noexcept nogil:
    """One holder less; the last one frees the domain, and what could not even be started is lost with it."""
    if rcu_fetch_sub(&domain.holders, 1) == 1:
        python.forget(domain)
        domain_free(domain)


# ---- enqueue -------------------------------------------------------------------------------------------------------

cdef rcu_outbox *outbox_of(rcu_slot *slot) noexcept nogil:
    if slot.outbox == NULL:
        visit(slot.domain)
        slot.outbox = <rcu_outbox *>calloc(1, sizeof(rcu_outbox))
        rcu_mutex_unlock(&slot.domain.lock)
    return slot.outbox


cdef void enqueue(rcu_domain *domain, rcu_head *head, rcu_callback func) noexcept nogil:
    cdef rcu_reclaimer *reclaimer = &domain.reclaimers[RCU_DEFERRED]
    cdef rcu_slot *slot = attach(domain)
    cdef rcu_outbox *box = outbox_of(slot) if slot != NULL else NULL
    head.func = func
    if box == NULL:
        rcu_fetch_add(&reclaimer.strays.enqueued, 1)
        push(&reclaimer.strays, head)
    else:
        if box.log != NULL:
            # What its thread defers next comes after this head, so it must not go into what came before.
            python.leave(box.log)
            box.log = NULL
        rcu_store_relaxed(&box.enqueued, box.enqueued + 1)
        push(box, head)
    tell(reclaimer)


cdef void push_log(rcu_domain *domain, rcu_outbox *box, rcu_head *log) noexcept nogil:
    push(box, log)
    tell(&domain.reclaimers[RCU_DEFERRED])


cdef void push_awaited(rcu_domain *domain, rcu_head *log) noexcept nogil:
    push(&domain.reclaimers[RCU_AWAITED].strays, log)
    tell(&domain.reclaimers[RCU_AWAITED])


cdef void push_last(rcu_domain *domain, rcu_head *log) noexcept nogil:
    push(&domain.reclaimers[RCU_DEFERRED].last, log)
    hasten(domain)


cdef void push(rcu_outbox *box, rcu_head *head) noexcept nogil:
    cdef uint64_t newest = rcu_load_relaxed(&box.newest)
    while True:
        head.next = <rcu_head *>newest
        if newest == 0:
            rcu_store_relaxed(&box.since_ns, rcu_clock())
        # [H] with [T]: the reclaimer that takes the head sees what is in it, and its grace period begins after what
        # this thread did before.
        if rcu_compare_exchange(&box.newest, newest, <uint64_t>head):
            return
        newest = rcu_load_relaxed(&box.newest)


cdef void tell(rcu_reclaimer *self) noexcept nogil:
    # [I] with [S]: if our push comes first, the reclaimer finds it before it sleeps; if its word that it sleeps does,
    # we see the word.
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
        rcu_fetch_add(&self.domain.holders, 1)
        rcu_store_relaxed(&self.state, RCU_AWAKE)
        be_busy(self, True)
        if rcu_start_reclaimer(self, reclaim) != 0:
            be_busy(self, False)
            rcu_store_relaxed(&self.state, RCU_ABSENT)
            rcu_fetch_sub(&self.domain.holders, 1)


cdef void be_busy(rcu_reclaimer *self, bint busy) noexcept nogil:
    # The program's end waits for callbacks, and for nobody who only awaits: the loop that would go on is over.
    if self == &self.domain.reclaimers[RCU_DEFERRED] and self.busy != busy:
        self.busy = busy
        count_busy(1 if busy else <uint64_t>-1)


cdef void departs(rcu_slot *slot) noexcept nogil:
    """A thread leaves the domain, locked: what it has deferred stays."""
    cdef rcu_domain *domain = slot.domain
    cdef rcu_outbox *box = slot.outbox
    cdef rcu_head *last = NULL
    cdef rcu_head *first
    if box.log != NULL:
        python.leave(box.log)
    first = reverse(rcu_exchange(&box.newest, 0), &last)  # [T]; only the reclaimer might be in the way, and is not
    if first != NULL:
        if domain.left_first == NULL:
            domain.left_first = first
            domain.left_since_ns = box.since_ns
        else:
            domain.left_last.next = first
        domain.left_last = last
    domain.departed += box.enqueued
    slot.outbox = NULL
    free(box)


# ---- the reclaimer's thread --------------------------------------------------------------------------------------

cdef void reclaim(rcu_reclaimer *self) noexcept nogil:
    """Until it has been idle for long, or its domain is closed."""
    cdef rcu_domain *domain = self.domain
    cdef void *state = NULL
    rcu_mutex_lock(&self.lock)
    self.ident = rcu_thread_ident()
    self.python = NULL
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
            take(self)
        else:
            # From when it rests no more, `self` may be the next thread's.
            state = self.python
            if not rest(self):
                break
    python.end(state)
    drop(domain)


cdef bint has_work(rcu_reclaimer *self) noexcept nogil:
    cdef bint found
    visit(self.domain)
    rcu_mutex_lock(&self.lock)
    found = self.hurry or is_queued(self)
    rcu_mutex_unlock(&self.lock)
    rcu_mutex_unlock(&self.domain.lock)
    return found


cdef bint is_queued(rcu_reclaimer *self) noexcept nogil:
    """Under the domain's lock."""
    cdef rcu_domain *domain = self.domain
    cdef rcu_outbox *box
    cdef uint64_t i
    if rcu_load_relaxed(&self.strays.newest) != 0 or rcu_load_relaxed(&self.last.newest) != 0:
        return True
    if self != &domain.reclaimers[RCU_DEFERRED]:
        return False
    if domain.left_first != NULL:
        return True
    for i in range(domain.n_slots):
        box = domain.slots[i].outbox
        if box != NULL and rcu_load_relaxed(&box.newest) != 0:
            return True
    return False


cdef bint needs_thread(rcu_reclaimer *self) noexcept nogil:
    """Under both locks."""
    return self.ready != NULL or self.batch != NULL or is_queued(self)


cdef bint is_loaded(rcu_reclaimer *self) noexcept nogil:
    """Did the last batch have more than a few callbacks? Then whoever enqueues goes on doing so, most likely."""
    return self.run - self.run_before > FEW_CALLBACKS


cdef bint linger(rcu_reclaimer *self) noexcept nogil:
    """Under load, lets the next batch grow: one grace period for many callbacks, and nobody has to wake us."""
    cdef uint64_t until = self.taken_ns + rcu_load_relaxed(&self.domain.window_ns)
    self.run_before = self.run  # once for each batch
    rcu_mutex_lock(&self.lock)
    while not self.hurry and self.waiters == 0 and not self.domain.closed and rcu_clock() < until:
        rcu_cond_wait(&self.wake, &self.lock, until)
    rcu_mutex_unlock(&self.lock)
    return True


cdef void take(rcu_reclaimer *self) noexcept nogil:
    """Takes all that is queued as the next batch."""
    cdef rcu_domain *domain = self.domain
    cdef rcu_head *first = NULL
    cdef rcu_head *last = NULL
    cdef uint64_t *tops = NULL
    cdef uint64_t n = 0
    cdef uint64_t since = RCU_NEVER
    cdef uint64_t i, behind, strays
    visit(domain)
    rcu_mutex_lock(&self.lock)
    # First what comes last: what was deferred before a barrier was pushed is then found below.
    behind = take_box(&self.last, &since)
    if self == &domain.reclaimers[RCU_DEFERRED]:
        # A thread that has left, and attached again, deferred what it left behind before what is in its new outbox.
        if domain.left_first != NULL:
            since = min(since, domain.left_since_ns)
            first = domain.left_first
            last = domain.left_last
            domain.left_first = NULL
            domain.left_last = NULL
        tops = room_for(self, domain.n_slots)
        for i in range(domain.n_slots):
            if domain.slots[i].outbox == NULL:
                continue
            if tops != NULL:
                tops[n] = take_box(domain.slots[i].outbox, &since)
                n += 1
            else:
                append(&first, &last, take_box(domain.slots[i].outbox, &since))
    strays = take_box(&self.strays, &since)
    self.taken += 1
    self.taken_ns = rcu_clock()
    self.run_before = self.run
    self.hurry = False
    rcu_mutex_unlock(&domain.lock)
    # A fork finds the heads in order, for it takes this lock; updaters need not wait for that.
    for i in range(n):
        append(&first, &last, tops[i])
    append(&first, &last, strays)
    append(&first, &last, behind)
    self.batch = first
    self.since_ns = since if first != NULL else 0
    if first == NULL:
        finish(self)
    rcu_mutex_unlock(&self.lock)


cdef uint64_t *room_for(rcu_reclaimer *self, uint64_t n) noexcept nogil:
    cdef uint64_t *tops
    if self.room < n:
        tops = <uint64_t *>realloc(self.tops, 2 * n * sizeof(uint64_t))
        if tops == NULL:
            return NULL
        self.tops = tops
        self.room = 2 * n
    return self.tops


cdef uint64_t take_box(rcu_outbox *box, uint64_t *since) noexcept nogil:
    cdef uint64_t newest = 0
    if rcu_load_relaxed(&box.newest) != 0:
        since[0] = min(since[0], rcu_load_relaxed(&box.since_ns))
        newest = rcu_exchange(&box.newest, 0)  # [T] with [H]: all that its thread did before is seen from here on
    return newest


cdef void append(rcu_head **first, rcu_head **last, uint64_t newest) noexcept nogil:
    cdef rcu_head *end = NULL
    cdef rcu_head *begin = reverse(newest, &end)
    if begin == NULL:
        return
    if first[0] == NULL:
        first[0] = begin
    else:
        last[0].next = begin
    last[0] = end


cdef rcu_head *reverse(uint64_t newest, rcu_head **last) noexcept nogil:
    """Turns a stack into a list, oldest first, and lets none of its logs grow any more."""
    cdef rcu_head *head = <rcu_head *>newest
    cdef rcu_head *newer = NULL
    cdef rcu_head *older
    last[0] = head
    while head != NULL:
        if head.func == python.log:
            python.close(head)
        older = head.next
        head.next = newer
        newer = head
        head = older
    return newer


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
    cdef rcu_head *following
    cdef uint64_t n
    while self.ready != NULL:
        n = 0
        enter(&passage)
        while self.ready != NULL and n < HEADS_PER_PASSAGE and not is_shut():
            head = self.ready
            n += 1
            if head.func == python.log:
                if self.python == NULL and not python.begin(self):
                    leave(&passage)
                    return False
                following = head.next
                if python.run(self, head):
                    self.ready = following
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


cdef bint rest(rcu_reclaimer *self) noexcept nogil:
    """Sleeps until there is work; False: there has been none for long, or will not be, and the thread is to end."""
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
            self.ident = 0
            self.unwatched = False
    cdef bint stays = self.state == RCU_AWAKE
    rcu_mutex_unlock(&self.lock)
    return stays


# ---- waits -------------------------------------------------------------------------------------------------------

cdef uint64_t enqueued(rcu_domain *domain) noexcept nogil:
    """Under the domain's lock: callbacks that were ever deferred."""
    cdef uint64_t total = domain.departed + rcu_load_relaxed(&domain.reclaimers[RCU_DEFERRED].strays.enqueued)
    cdef uint64_t i
    for i in range(domain.n_slots):
        if domain.slots[i].outbox != NULL:
            total += rcu_load_relaxed(&domain.slots[i].outbox.enqueued)
    return total


cdef uint64_t room_at(rcu_domain *domain, rcu_outbox *box) noexcept nogil:
    cdef rcu_reclaimer *reclaimer = &domain.reclaimers[RCU_DEFERRED]
    cdef uint64_t limit = rcu_load_relaxed(&domain.backlog_limit)
    cdef uint64_t total, pending, threads
    visit(domain)
    # [W]: what has begun to run was counted as enqueued before, so the difference is never negative.
    cdef uint64_t run = rcu_load_acquire(&reclaimer.run)
    total = enqueued(domain)
    threads = domain.n_slots
    rcu_mutex_unlock(&domain.lock)
    pending = total - run
    if pending >= limit:
        return total + 1 - limit
    # Each thread may use half of its share before it looks again, so that all of them together stay below.
    cdef uint64_t share = (limit - pending) // (2 * threads)
    box.check_at = box.enqueued + (share if share > 0 else 1)
    return 0


cdef bint wait_for_room(rcu_domain *domain, uint64_t run, uint64_t until) noexcept nogil:
    cdef rcu_reclaimer *self = &domain.reclaimers[RCU_DEFERRED]
    cdef bint found
    rcu_mutex_lock(&self.lock)
    self.hurry = True
    self.waiters += 1
    rouse(self)
    rcu_cond_signal(&self.wake)
    found = rcu_load_relaxed(&self.run) >= run
    while not found and rcu_clock() < until:
        rcu_cond_wait(&self.changed, &self.lock, until)
        found = rcu_load_relaxed(&self.run) >= run
    self.waiters -= 1
    rcu_mutex_unlock(&self.lock)
    return found


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
    return domain.reclaimers[RCU_DEFERRED].ident == rcu_thread_ident()


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
    cdef uint64_t since = RCU_NEVER
    cdef uint64_t i
    cdef rcu_outbox *box
    visit(domain)
    rcu_mutex_lock(&self.lock)
    backlog.run = rcu_load_acquire(&self.run)  # [W]
    backlog.failed = rcu_load_relaxed(&self.failed)
    backlog.pending = enqueued(domain) - backlog.run
    self.peak = max(self.peak, backlog.pending)
    backlog.peak = self.peak
    if self.since_ns != 0:
        since = self.since_ns
    if domain.left_first != NULL:
        since = min(since, domain.left_since_ns)
    for i in range(domain.n_slots):
        box = domain.slots[i].outbox
        if box != NULL and rcu_load_relaxed(&box.newest) != 0:
            since = min(since, rcu_load_relaxed(&box.since_ns))
    rcu_mutex_unlock(&self.lock)
    rcu_mutex_unlock(&domain.lock)
    backlog.oldest_ns = 0 if since == RCU_NEVER or backlog.pending == 0 else rcu_clock() - since
