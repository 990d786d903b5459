# cython: language_level=3
"""The queue of deferred work: outboxes, and what is taken from them. See the .pxd for the map, barrier.h for the
labels."""

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, realloc

from rcu._headers cimport (
    RCU_DEFERRED, RCU_NEVER, rcu_clock, rcu_compare_exchange, rcu_exchange, rcu_fetch_add, rcu_load_relaxed,
    rcu_mutex_lock, rcu_mutex_unlock, rcu_store_relaxed,
)
from rcu._slots cimport attach, visit

cdef const Logs *logs


cdef void use_logs(const Logs *with_logs) noexcept nogil:
    global logs
    logs = with_logs


cdef void leave_log(void *log) noexcept nogil:
    logs.leave(log)


cdef bint is_log(const rcu_head *head) noexcept nogil:
    return head.func == logs.mark


# ---- a thread's side ---------------------------------------------------------------------------------------------

cdef rcu_outbox *outbox_of(rcu_slot *slot) noexcept nogil:
    if slot.outbox == NULL:
        visit(slot.domain)
        slot.outbox = <rcu_outbox *>calloc(1, sizeof(rcu_outbox))
        rcu_mutex_unlock(&slot.domain.lock)
    return slot.outbox


cdef bint push_callback(rcu_domain *domain, rcu_head *head) noexcept nogil:
    cdef rcu_outbox *strays = &domain.reclaimers[RCU_DEFERRED].strays
    cdef rcu_slot *slot = attach(domain)
    cdef rcu_outbox *box = outbox_of(slot) if slot != NULL else NULL
    cdef void *log
    if box == NULL:
        rcu_fetch_add(&strays.enqueued, 1)
        return push(strays, head)
    if box.log != NULL:
        # What its thread defers next comes after this head, so it must not go into what came before. In this order, for
        # a fork child would leave once more what it finds here.
        log = box.log
        box.log = NULL
        logs.leave(log)
    rcu_store_relaxed(&box.enqueued, box.enqueued + 1)  # first, lest it has run before it is counted: [W]
    return push(box, head)


cdef bint push(rcu_outbox *box, rcu_head *head) noexcept nogil:
    cdef uint64_t newest = rcu_load_relaxed(&box.newest)
    while True:
        head.next = <rcu_head *>newest
        if newest == 0:
            rcu_store_relaxed(&box.since_ns, rcu_clock())
        # [H] with [T]: the reclaimer that takes the head sees what is in it, and its grace period begins after what
        # this thread did before.
        if rcu_compare_exchange(&box.newest, newest, <uint64_t>head):
            return newest == 0
        newest = rcu_load_relaxed(&box.newest)


cdef void departs(rcu_slot *slot) noexcept nogil:
    """A thread leaves the domain, locked: what it has deferred stays."""
    cdef rcu_domain *domain = slot.domain
    cdef rcu_outbox *box = slot.outbox
    cdef rcu_head *last = NULL
    cdef rcu_head *first
    if box.log != NULL:
        logs.leave(box.log)
    first = reverse(rcu_exchange(&box.newest, 0), &last)  # [T]; only the reclaimer might be in the way, and is not
    if first != NULL:
        if domain.left_first == NULL:
            domain.left_first = first
            domain.left_since_ns = box.since_ns
        else:
            domain.left_last.next = first
            domain.left_since_ns = min(domain.left_since_ns, box.since_ns)
        domain.left_last = last
    domain.departed += box.enqueued
    slot.outbox = NULL
    free(box)


# ---- the reclaimer's side --------------------------------------------------------------------------------------

cdef bint is_queued(rcu_reclaimer *self) noexcept nogil:
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


cdef bint take_all(rcu_reclaimer *self) noexcept nogil:
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
    if self.taken_ns - self.window_began_ns > rcu_load_relaxed(&domain.window_ns):
        self.window_began_ns = self.taken_ns
        self.batches = 0
    self.batches += 1
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
    rcu_mutex_unlock(&self.lock)
    return first != NULL


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
        if is_log(head):
            logs.close(head)
        older = head.next
        head.next = newer
        newer = head
        head = older
    return newer


# ---- numbers ------------------------------------------------------------------------------------------------------

cdef uint64_t enqueued(rcu_domain *domain) noexcept nogil:
    cdef uint64_t total = domain.departed + rcu_load_relaxed(&domain.reclaimers[RCU_DEFERRED].strays.enqueued)
    cdef uint64_t i
    for i in range(domain.n_slots):
        if domain.slots[i].outbox != NULL:
            total += rcu_load_relaxed(&domain.slots[i].outbox.enqueued)
    return total


cdef uint64_t pending(uint64_t all, uint64_t run) noexcept nogil:
    # A fork that did not wait for callbacks may have counted one twice in the child.
    return all - run if all > run else 0


cdef uint64_t oldest(rcu_domain *domain) noexcept nogil:
    cdef uint64_t since = domain.reclaimers[RCU_DEFERRED].since_ns
    cdef rcu_outbox *box
    cdef uint64_t i
    if since == 0:
        since = RCU_NEVER
    box = &domain.reclaimers[RCU_DEFERRED].strays
    if rcu_load_relaxed(&box.newest) != 0:
        since = min(since, rcu_load_relaxed(&box.since_ns))
    if domain.left_first != NULL:
        since = min(since, domain.left_since_ns)
    for i in range(domain.n_slots):
        box = domain.slots[i].outbox
        if box != NULL and rcu_load_relaxed(&box.newest) != 0:
            since = min(since, rcu_load_relaxed(&box.since_ns))
    return since
