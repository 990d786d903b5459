# cython: language_level=3
"""Reclaimers: the threads that call what was deferred. See the .pxd for the map, barrier.h for the labels."""

from libc.stdint cimport uint64_t

from rcu._gate cimport Passage, count_busy, enter, is_shut, leave
from rcu._grace cimport COMPLETED, needed, quiesce, wait
from rcu._headers cimport (
    RCU_ABSENT, RCU_ASLEEP, RCU_AWAKE, RCU_DEFERRED, RCU_NEVER, RCU_NS_PER_SECOND, rcu_clock, rcu_cond_broadcast,
    rcu_cond_signal, rcu_cond_wait, rcu_exit, rcu_fetch_add, rcu_fetch_sub, rcu_full_barrier, rcu_held,
    rcu_load_relaxed, rcu_mutex_lock, rcu_mutex_unlock, rcu_slot, rcu_store_relaxed, rcu_store_release,
    rcu_thread_ident,
)
from rcu._queue cimport enqueued, is_log, is_queued, leave_log, pending, take_all
from rcu._slots cimport depth, domain_free, visit, visit_mine
from rcu._threads cimport become_reclaimer, find

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
cdef uint64_t FEW_CALLBACKS = 4                      # a batch of no more is no sign of load
cdef uint64_t FEW_BATCHES = 8                        # nor are so many within a window
cdef uint64_t HEADS_PER_PASSAGE = 64                 # called before others may look how far it has come

cdef const Python *python


cdef void use_python(const Python *with_python) noexcept nogil:
    global python, rcu_reclaim
    python = with_python
    rcu_reclaim = reclaim


# ---- who keeps a domain --------------------------------------------------------------------------------------------

cdef void hold(rcu_domain *domain) noexcept nogil:
    rcu_fetch_add(&domain.holders, 1)


cdef void drop(rcu_domain *domain) noexcept nogil:
    """The last one frees the domain, and what could not even be started is lost with it."""
    if rcu_fetch_sub(&domain.holders, 1) == 1:
        domain_free(domain)


# ---- telling the reclaimer -----------------------------------------------------------------------------------------

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


cdef bint rouse(rcu_reclaimer *self) noexcept nogil:
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
            return False
    return True


cdef void be_busy(rcu_reclaimer *self, bint busy) noexcept nogil:
    # The program's end waits for callbacks, and for nobody who only awaits: the loop that would go on is over.
    if self == &self.domain.reclaimers[RCU_DEFERRED] and self.busy != busy:
        self.busy = busy
        count_busy(1 if busy else <uint64_t>-1)


cdef bint hasten(rcu_domain *domain) noexcept nogil:
    cdef rcu_reclaimer *self = &domain.reclaimers[RCU_DEFERRED]
    cdef bint has_thread
    rcu_mutex_lock(&self.lock)
    self.hurry = True
    # One that was closed has been roused then, if it had anything to do; now it may be about to be freed.
    has_thread = domain.closed or rouse(self)
    rcu_cond_signal(&self.wake)
    rcu_mutex_unlock(&self.lock)
    return has_thread


cdef bint look_again(rcu_domain *domain) noexcept nogil:
    cdef rcu_reclaimer *self = &domain.reclaimers[RCU_DEFERRED]
    cdef bint has_thread
    rcu_mutex_lock(&self.lock)
    # Its owner lets go of a domain after he has closed it, under this lock: until then there is someone to hold it for.
    has_thread = not domain.closed and rouse(self)
    rcu_mutex_unlock(&self.lock)
    return has_thread


cdef bint needs_thread(rcu_reclaimer *self) noexcept nogil:
    # Where one is awake, what it has in hand is its own affair.
    return self.state != RCU_AWAKE and (self.ready != NULL or self.batch != NULL or is_queued(self))


# ---- the reclaimer's thread --------------------------------------------------------------------------------------

cdef void reclaim(rcu_reclaimer *self) noexcept nogil:
    """Until it has been idle for long, or its domain is closed."""
    cdef rcu_domain *domain = self.domain
    cdef void *state = NULL  # of this thread, in Python
    cdef uint64_t turn
    cdef Called called
    become_reclaimer()
    rcu_mutex_lock(&self.lock)
    turn = self.turn
    rcu_store_relaxed(&self.ident, rcu_thread_ident())
    rcu_mutex_unlock(&self.lock)
    while True:
        if self.ready != NULL:
            called = call_ready(self, turn, &state)
            if called == WITHOUT_PYTHON:
                return  # the interpreter ends, and with it all that this reclaimer could still be asked for
            if called == HANDED_OVER:
                break
        elif self.batch != NULL:
            wait_for_readers(self)
        elif is_loaded(self) and linger(self):
            continue
        elif has_work(self):
            if not take_all(self):
                rcu_mutex_lock(&self.lock)
                finish(self)
                rcu_mutex_unlock(&self.lock)
        elif tidies_at(self) <= rcu_clock():
            if not tidy(self, &state):
                return
            if self.turn != turn:
                break
        elif not rest(self):
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


cdef enum Called:
    ALL_OF_IT
    WITHOUT_PYTHON  # it needs a Python that is no more
    HANDED_OVER     # in a child that a callback has forked: the rest is the next thread's


cdef Called call_ready(rcu_reclaimer *self, uint64_t turn, void **state) noexcept nogil:
    """Calls the batch whose grace period is over, in handfuls."""
    cdef Passage passage
    cdef rcu_head *head
    cdef bint done
    cdef uint64_t n, left_open
    while self.ready != NULL:
        n = 0
        enter(&passage)
        while self.ready != NULL and n < HEADS_PER_PASSAGE and not is_shut():
            head = self.ready
            n += 1
            if is_log(head):
                if not python.begin(state):
                    leave(&passage)
                    return WITHOUT_PYTHON
                done = python.run(self, head)
                if done and self.turn == turn:
                    self.ready = head.next  # before it is freed: a fork that did not wait would find it here
                    leave_log(head)
            else:
                self.ready = head.next  # begun, so not to be begun again in a child that the callback forks
                rcu_store_release(&self.run, self.run + 1)  # [W]
                head.func(head)
            if self.turn != turn:
                leave(&passage)
                return HANDED_OVER
        left_open = visit_mine(end_sections)
        leave(&passage)
        if left_open != 0:
            python.left_open(self.domain, left_open)
        note_peak(self)
        rcu_mutex_lock(&self.lock)
        if self.ready == NULL:
            finish(self)
        elif self.waiters != 0:
            rcu_cond_broadcast(&self.changed)
        rcu_mutex_unlock(&self.lock)
    return ALL_OF_IT


cdef uint64_t end_sections(rcu_slot *slot) noexcept nogil:
    """Of whatever domain: nobody else would end them, and this thread may be to wait for them itself."""
    cdef uint64_t sections = depth(slot)
    while rcu_held(slot):
        rcu_exit(slot)
    return sections


cdef void finish(rcu_reclaimer *self) noexcept nogil:
    """Under the reclaimer's lock: the batch is done."""
    self.done = self.taken
    self.since_ns = 0
    if self.waiters != 0:
        rcu_cond_broadcast(&self.changed)


cdef uint64_t tidies_at(rcu_reclaimer *self) noexcept nogil:
    return python.tidies_at() if self == &self.domain.reclaimers[RCU_DEFERRED] else RCU_NEVER


cdef bint tidy(rcu_reclaimer *self, void **state) noexcept nogil:
    """Between callbacks, and like one. False: it needs a Python that is no more."""
    cdef Passage passage
    cdef uint64_t left_open = 0
    cdef bint begun
    enter(&passage)
    begun = python.begin(state)
    if begun:
        python.tidy()
        left_open = visit_mine(end_sections)
    leave(&passage)
    if left_open != 0:
        python.left_open(self.domain, left_open)
    return begun


cdef bint rest(rcu_reclaimer *self) noexcept nogil:
    """Sleeps until there is work; False: there has been none for long, or will not be, and the thread is to end. Then
    another may start at once."""
    cdef rcu_domain *domain = self.domain
    cdef uint64_t idle_until, tidies
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
        idle_until = rcu_clock() + IDLE_NS
        while self.state == RCU_ASLEEP and not domain.closed and not self.unwatched:
            tidies = tidies_at(self)
            if rcu_clock() >= tidies:
                rcu_store_relaxed(&self.state, RCU_AWAKE)
                be_busy(self, True)
            elif tidies != RCU_NEVER or rcu_clock() < idle_until:
                rcu_cond_wait(&self.wake, &self.lock, idle_until if tidies == RCU_NEVER else tidies)
            else:
                break
        if self.state == RCU_ASLEEP:
            rcu_store_relaxed(&self.state, RCU_ABSENT)
            rcu_store_relaxed(&self.ident, 0)
    cdef bint stays = self.state == RCU_AWAKE
    rcu_mutex_unlock(&self.lock)
    return stays


cdef void note_peak(rcu_reclaimer *self) noexcept nogil:
    visit(self.domain)
    if self == &self.domain.reclaimers[RCU_DEFERRED]:
        self.peak = max(self.peak, pending(enqueued(self.domain), self.run))
    rcu_mutex_unlock(&self.domain.lock)
