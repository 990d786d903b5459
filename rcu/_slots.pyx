# cython: language_level=3
"""Slots: attach, detach at thread exit, prune after fork. See the .pxd for the map."""

from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from rcu._flavor cimport fence_flavor, prepare_again
from rcu._gate cimport gate_begin
from rcu._headers cimport (
    RCU_ABSENT, RCU_BLOCK_SLOTS, RCU_FIRST_ROOM, RCU_GROUPS, RCU_PHASE_DONE, RCU_PHASE_STARTED, RCU_PHASE_WAITING,
    RCU_RECLAIMERS, RCU_SEQ_DETACHED, RCU_SEQ_FIRST, RCU_SEQ_QUIESCED, RCU_SLOT_SIZE, rcu_at_fork, rcu_cond_destroy,
    rcu_cond_init, rcu_cond_signal, rcu_exchange, rcu_fetch_add, rcu_fetch_sub, rcu_held, rcu_load_relaxed, rcu_mutex,
    rcu_mutex_destroy, rcu_mutex_init, rcu_mutex_lock, rcu_mutex_unlock, rcu_reclaimer, rcu_store_relaxed,
    rcu_thread_ident, rcu_thread_native_id, rcu_thread_yield,
)
from rcu._threads cimport (
    each_slot, entry_at, find, forget, forget_all, leave_others_behind, make_room, remember, watch_threads,
)


cdef extern from *:
    """
    #include "rcu/domain.h"
    #include "rcu/this_thread.h"

    /* Slots come in blocks, each slot on lines of its own. */
    struct rcu_block {
        struct rcu_block *next;
        char room[(RCU_BLOCK_SLOTS + 1) * RCU_SLOT_SIZE]; /* one more, for the alignment */
    };

    static struct rcu_slot *rcu_block_slots(struct rcu_block *block)
    {
        uintptr_t line = ((uintptr_t)block->room + RCU_SLOT_SIZE - 1) & ~(uintptr_t)(RCU_SLOT_SIZE - 1);
        return (struct rcu_slot *)line;
    }

    /* A domain has lines of its own, too: calloc's alignment is not enough. What calloc gave is kept in front. */
    static struct rcu_domain *rcu_domain_alloc(void)
    {
        char *room = (char *)calloc(1, sizeof(struct rcu_domain) + 2 * RCU_SLOT_SIZE);
        if (!room)
            return 0;
        uintptr_t line = ((uintptr_t)room + 2 * RCU_SLOT_SIZE - 1) & ~(uintptr_t)(RCU_SLOT_SIZE - 1);
        ((void **)line)[-1] = room;
        return (struct rcu_domain *)line;
    }

    static void rcu_domain_dealloc(struct rcu_domain *domain)
    {
        free(((void **)domain)[-1]);
    }

    static const uint64_t rcu_gp_never = RCU_SEQ_NEVER;

    /* What others' rcu_this_slot() takes a domain for. */
    typedef char rcu_domain_begins[offsetof(struct rcu_domain, key) == offsetof(struct rcu_domain_begin, key) &&
                                   offsetof(struct rcu_domain, entry_at) ==
                                       offsetof(struct rcu_domain_begin, entry_at) ? 1 : -1];

    /* A new structure is as large as the header says: what others compile against depends on it. */
    typedef char rcu_slot_has_its_size[sizeof(struct rcu_slot) == RCU_SLOT_SIZE ? 1 : -1];
    """
    const uint64_t rcu_gp_never
    struct rcu_block:
        rcu_block *next
    rcu_slot *rcu_block_slots(rcu_block *block) noexcept nogil
    rcu_domain *rcu_domain_alloc() noexcept nogil
    void rcu_domain_dealloc(rcu_domain *domain) noexcept nogil

cdef struct Registry:
    rcu_mutex lock
    rcu_domain *domains   # the newest
    rcu_slot *pool        # free slots
    rcu_block *blocks
    uint64_t last_key

cdef Registry registry


# ---- attach, detach ------------------------------------------------------------------------------------------

cdef rcu_slot *attach(rcu_domain *domain) noexcept nogil:
    cdef rcu_slot *slot = find(domain.key)
    if slot != NULL:
        return slot
    rcu_mutex_lock(&registry.lock)
    if make_room():
        slot = pool_take()
        if slot != NULL:
            slot_reset(slot, domain)
            if enlist(domain, slot):
                remember(slot)
            else:
                pool_give(slot)
                slot = NULL
    rcu_mutex_unlock(&registry.lock)
    return slot


cdef void detach(rcu_slot *slot) noexcept nogil:
    rcu_mutex_lock(&registry.lock)
    forget(slot.key)
    delist(slot)
    rcu_mutex_unlock(&registry.lock)


cdef uint64_t depth(const rcu_slot *slot) noexcept nogil:
    return slot.nest + 1 if rcu_held(slot) else 0


cdef uint64_t visit_mine(uint64_t (*look)(rcu_slot *slot) noexcept nogil) noexcept nogil:
    rcu_mutex_lock(&registry.lock)
    cdef uint64_t sum = each_slot(look)
    rcu_mutex_unlock(&registry.lock)
    return sum


cdef bint take_awaited(rcu_slot *slot) noexcept nogil:
    # One exchange decides who takes the flag back, so that each flag is counted down once. As a
    # read-modify-write that releases, it also keeps the store of seq before the count.
    # [X] with [K]: the caller has fenced since it stored seq (or holds the lock), so a leader that sets the flag
    # after this load looks again and sees that store.
    if rcu_load_relaxed(&slot.awaited) == 0:
        return False
    if rcu_exchange(&slot.awaited, 0) == 0:
        return False
    return rcu_fetch_sub(&slot.domain.unready, 1) == 1


cdef void wake(rcu_slot *slot) noexcept nogil:
    if take_awaited(slot):
        end_doze(slot.domain)


cdef void end_doze(rcu_domain *domain) noexcept nogil:
    # Under its lock, for the leader looks at the count and falls asleep under it.
    rcu_mutex_lock(&domain.doze_lock)
    rcu_cond_signal(&domain.doze)
    rcu_mutex_unlock(&domain.doze_lock)


cdef void visit(rcu_domain *domain) noexcept nogil:
    rcu_fetch_add(&domain.visitors, 1)
    rcu_mutex_lock(&domain.lock)
    rcu_fetch_sub(&domain.visitors, 1)


cdef void give_way(rcu_domain *domain) noexcept nogil:
    # Once is enough: the lock is free meanwhile, so whoever runs gets it. It need not be exact either: relaxed.
    if rcu_load_relaxed(&domain.visitors) != 0:
        rcu_thread_yield()


cdef void slot_reset(rcu_slot *slot, rcu_domain *domain) noexcept nogil:
    memset(slot, 0, RCU_SLOT_SIZE)
    slot.seq = RCU_SEQ_QUIESCED
    slot.fence = domain.fence
    slot.parked = domain.fence
    slot.gp = &rcu_gp_never if domain.fence else &domain.gp_seq
    slot.slow = domain.slow
    slot.domain = domain
    slot.key = domain.key
    slot.ident = rcu_thread_ident()
    slot.native_id = rcu_thread_native_id()


cdef bint enlist(rcu_domain *domain, rcu_slot *slot) noexcept nogil:
    visit(domain)
    if domain.n_slots == domain.room and not grow(domain):
        rcu_mutex_unlock(&domain.lock)
        return False
    slot.index = domain.n_slots
    domain.slots[domain.n_slots] = slot
    domain.n_slots += 1
    rcu_mutex_unlock(&domain.lock)
    return True


cdef bint grow(rcu_domain *domain) noexcept nogil:
    """Makes room in the domain's list of slots; False: no memory."""
    cdef uint64_t room = domain.room * 2 if domain.room else RCU_FIRST_ROOM
    cdef rcu_slot **slots = <rcu_slot **>realloc(domain.slots, room * sizeof(rcu_slot *))
    if slots == NULL:
        return False
    domain.slots = slots
    domain.room = room
    return True


cdef void delist(rcu_slot *slot) noexcept nogil:
    """Takes a slot from its domain and gives it to the pool; its thread reads there no more."""
    cdef rcu_domain *domain = slot.domain
    cdef rcu_slot *last
    visit(domain)
    if rcu_held(slot):
        rcu_store_relaxed(&domain.counts.abandoned, domain.counts.abandoned + 1)
        domain.counts.abandoned_ident = slot.ident
    if slot.outbox != NULL:
        domain.departs(slot)
    last = domain.slots[domain.n_slots - 1]
    domain.slots[slot.index] = last
    last.index = slot.index
    domain.n_slots -= 1
    # If a section was open, this ends it. The lock orders it with leaders, who look and set flags under it.
    wake(slot)
    rcu_mutex_unlock(&domain.lock)
    pool_give(slot)


# ---- under the registry's lock: the pool --------------------------------------------------

cdef rcu_slot *pool_take() noexcept nogil:
    cdef rcu_block *block
    cdef rcu_slot *slots
    cdef uint64_t i
    if registry.pool == NULL:
        block = <rcu_block *>calloc(1, sizeof(rcu_block))
        if block == NULL:
            return NULL
        block.next = registry.blocks
        registry.blocks = block
        slots = rcu_block_slots(block)
        for i in range(RCU_BLOCK_SLOTS):
            pool_give(&slots[RCU_BLOCK_SLOTS - 1 - i])
    cdef rcu_slot *slot = registry.pool
    registry.pool = slot.spare
    return slot


cdef void pool_give(rcu_slot *slot) noexcept nogil:
    rcu_store_relaxed(&slot.seq, RCU_SEQ_DETACHED)
    slot.key = 0
    slot.nest = 0
    slot.spare = registry.pool
    registry.pool = slot


# ---- domains ---------------------------------------------------------------------------------------------------

cdef rcu_domain *domain_new(const rcu_slow *slow) noexcept nogil:
    cdef rcu_domain *domain = rcu_domain_alloc()
    if domain == NULL:
        return NULL
    domain.slow = slow
    domain.gp_seq = RCU_SEQ_FIRST
    domain.gp_done = RCU_SEQ_FIRST
    domain.phase = RCU_PHASE_DONE
    domain.fence = fence_flavor()
    domain.holders = 1
    rcu_mutex_init(&domain.lock)
    rcu_mutex_init(&domain.doze_lock)
    cdef int i
    for i in range(RCU_RECLAIMERS):
        rcu_mutex_init(&domain.reclaimers[i].lock)
        domain.reclaimers[i].domain = domain
        domain.reclaimers[i].state = RCU_ABSENT
    init_conditions(domain)
    rcu_mutex_lock(&registry.lock)
    registry.last_key += 1
    domain.key = registry.last_key
    domain.entry_at = entry_at(domain.key)
    domain.older = registry.domains
    if domain.older != NULL:
        domain.older.newer = domain
    registry.domains = domain
    rcu_mutex_unlock(&registry.lock)
    return domain


cdef bint name_domain(rcu_domain *domain, const char *name, uint64_t size) noexcept nogil:
    domain.label = <char *>malloc(size + 1)
    if domain.label == NULL:
        return False
    memcpy(domain.label, name, size)
    domain.label[size] = 0
    domain.label_size = size
    return True


cdef void init_conditions(rcu_domain *domain) noexcept nogil:
    cdef int group, i
    rcu_cond_init(&domain.doze)
    for group in range(RCU_GROUPS):
        rcu_cond_init(&domain.changed[group])
    for i in range(RCU_RECLAIMERS):
        rcu_cond_init(&domain.reclaimers[i].wake)
        rcu_cond_init(&domain.reclaimers[i].changed)


cdef void domain_free(rcu_domain *domain) noexcept nogil:
    cdef uint64_t i
    cdef int group
    rcu_mutex_lock(&registry.lock)
    if domain.newer != NULL:
        domain.newer.older = domain.older
    else:
        registry.domains = domain.older
    if domain.older != NULL:
        domain.older.newer = domain.newer
    for i in range(domain.n_slots):
        if domain.slots[i].outbox != NULL:
            domain.departs(domain.slots[i])
        pool_give(domain.slots[i])
    rcu_mutex_unlock(&registry.lock)
    for i in range(<uint64_t>RCU_RECLAIMERS):
        free(domain.reclaimers[i].tops)
        rcu_mutex_destroy(&domain.reclaimers[i].lock)
        rcu_cond_destroy(&domain.reclaimers[i].wake)
        rcu_cond_destroy(&domain.reclaimers[i].changed)
    rcu_mutex_destroy(&domain.lock)
    rcu_mutex_destroy(&domain.doze_lock)
    rcu_cond_destroy(&domain.doze)
    for group in range(RCU_GROUPS):
        rcu_cond_destroy(&domain.changed[group])
    free(domain.slots)
    free(domain.label)
    rcu_domain_dealloc(domain)


cdef void each_domain(void (*visit)(rcu_domain *domain) noexcept nogil) noexcept nogil:
    rcu_mutex_lock(&registry.lock)
    cdef rcu_domain *domain = registry.domains
    while domain != NULL:
        visit(domain)
        domain = domain.older
    rcu_mutex_unlock(&registry.lock)


# ---- the ends of threads, and forks: no Python may run here ----------------------------------------------------

cdef uint64_t leave_behind(rcu_slot *slot) noexcept nogil:
    delist(slot)
    return 0


cdef void on_thread_exit() noexcept nogil:
    rcu_mutex_lock(&registry.lock)
    each_slot(leave_behind)
    forget_all()
    rcu_mutex_unlock(&registry.lock)


# Who forks holds every lock, and its child, where it goes on, unlocks them like the parent: no other thread can have
# been at work on what they guard. The conditions are made anew, for those who wait there are not in the child.

cdef void before_fork() noexcept nogil:
    cdef rcu_domain *domain
    cdef int i
    rcu_mutex_lock(&registry.lock)
    domain = registry.domains
    while domain != NULL:
        rcu_mutex_lock(&domain.lock)
        rcu_mutex_lock(&domain.doze_lock)
        for i in range(RCU_RECLAIMERS):
            rcu_mutex_lock(&domain.reclaimers[i].lock)
        domain = domain.older


cdef void after_fork_in_parent() noexcept nogil:
    cdef rcu_domain *domain = registry.domains
    cdef int i
    while domain != NULL:
        for i in range(RCU_RECLAIMERS):
            rcu_mutex_unlock(&domain.reclaimers[i].lock)
        rcu_mutex_unlock(&domain.doze_lock)
        rcu_mutex_unlock(&domain.lock)
        domain = domain.older
    rcu_mutex_unlock(&registry.lock)


cdef void after_fork_in_child() noexcept nogil:
    cdef rcu_domain *domain = registry.domains
    cdef int i
    while domain != NULL:
        init_conditions(domain)
        keep_only(domain, find(domain.key))
        for i in range(RCU_RECLAIMERS):
            keep_reclaimer(&domain.reclaimers[i])
        domain = domain.older
    leave_others_behind()
    prepare_again()
    after_fork_in_parent()


cdef void keep_only(rcu_domain *domain, rcu_slot *mine) noexcept nogil:
    """In a fork child: drops the slots of the threads that it does not have. A section that the forking thread
    is in stays open; a grace period that was under way is taken up anew by whoever asks for it next."""
    cdef uint64_t i
    cdef rcu_slot *slot
    for i in range(domain.n_slots):
        slot = domain.slots[i]
        if slot != mine:
            if slot.outbox != NULL:
                domain.departs(slot)
            pool_give(slot)
    domain.n_slots = 0
    if mine != NULL:
        mine.index = 0
        mine.native_id = rcu_thread_native_id()
        domain.slots[0] = mine
        domain.n_slots = 1
        rcu_store_relaxed(&mine.awaited, 0)
        rcu_store_relaxed(&mine.parked, mine.fence)
    rcu_store_relaxed(&domain.unready, 0)
    rcu_store_relaxed(&domain.visitors, 0)
    domain.led = False
    for i in range(<uint64_t>RCU_GROUPS):
        domain.followers[i] = 0
    if domain.phase == RCU_PHASE_WAITING:
        domain.phase = RCU_PHASE_STARTED


cdef void keep_reclaimer(rcu_reclaimer *self) noexcept nogil:
    """In a fork child: what the reclaimer had in hand is still there; its thread is not, or has other things to do."""
    self.waiters = 0
    self.busy = False
    if self.batch == NULL and self.ready == NULL:
        self.done = self.taken
    self.unwatched = self.ident != 0 and self.ident == rcu_thread_ident()
    if self.unwatched:
        self.turn += 1  # it hands over: the callback that has forked may never return
    elif self.state != RCU_ABSENT:
        self.domain.holders -= 1
    self.state = RCU_ABSENT
    self.ident = 0


cdef int begin() except -1:
    # The gate's handlers come first, so that its lock is taken last.
    cdef int error = gate_begin()
    if error != 0:
        raise ImportError(f"rcu cannot watch forks: the system refuses a handler (error {error})")
    rcu_mutex_init(&registry.lock)
    error = watch_threads(on_thread_exit)
    if error != 0:
        raise ImportError(f"rcu cannot watch threads end: the system grants no more thread-local keys (error {error})")
    error = rcu_at_fork(before_fork, after_fork_in_parent, after_fork_in_child)
    if error != 0:
        raise ImportError(f"rcu cannot watch forks: the system refuses a handler (error {error})")
    return 0


begin()
