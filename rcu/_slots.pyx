# cython: language_level=3
"""Thread-local slots: attach, find, detach at thread exit, prune after fork. See the .pxd for the map."""

import os

from libc.stdint cimport uint64_t
from libc.stdio cimport fprintf, stderr
from libc.stdlib cimport abort, calloc, free, realloc
from libc.string cimport memset


cdef extern from "rcu/barrier.h" nogil:
    const char *RCU_HEAVY_FLAVOR
    const char *RCU_FENCE_FLAVOR
    int rcu_heavy_prepare() noexcept
    int rcu_heavy_barrier() noexcept


# What a thread knows of its slots: a small hash table by the domain's key. Keys count upwards and are never used
# again, so `key & mask` spreads them evenly and an entry of a domain that is gone matches nothing.
cdef extern from *:
    """
    #include "rcu/domain.h"

    struct rcu_entry {
        uint64_t key; /* 0: free */
        struct rcu_slot *slot;
    };
    #define RCU_KEY_GONE UINT64_MAX /* was detached; no domain's key */

    /* The part of a thread's record that outlives its thread-local storage: the exit hook, which runs late,
     * and a fork child, which inherits the records of threads that it does not have, go by it. */
    struct rcu_record {
        struct rcu_entry *table;
        uint64_t mask, used;
        uint64_t serial; /* of the thread; never used again for another */
        struct rcu_record *older, *newer; /* all threads' records; under the registry's lock */
    };

    static const struct rcu_entry rcu_no_entry[1] = {{0, 0}};

    /* The one thread-local of the package; the first two mirror the record for a quicker find. */
    static RCU_THREAD_LOCAL struct rcu_this_thread {
        const struct rcu_entry *table;
        uint64_t mask;
        struct rcu_record *record;
    } rcu_this_thread = {rcu_no_entry, 0, 0};

    static inline struct rcu_slot *rcu_find(uint64_t key)
    {
        const struct rcu_entry *table = rcu_this_thread.table;
        uint64_t mask = rcu_this_thread.mask;
        for (uint64_t i = key & mask;; i = (i + 1) & mask) {
            if (RCU_LIKELY(table[i].key == key))
                return table[i].slot;
            if (table[i].key == 0)
                return 0;
        }
    }

    static void rcu_this_thread_is(struct rcu_record *record)
    {
        rcu_this_thread.record = record;
        rcu_this_thread.table = record ? record->table : rcu_no_entry;
        rcu_this_thread.mask = record ? record->mask : 0;
    }

    static struct rcu_record *rcu_this_record(void)
    {
        return rcu_this_thread.record;
    }

    /* The system's calling convention for the hook, which Cython cannot spell. */
    static rcu_exit_key rcu_thread_key;
    static void (*rcu_thread_hook)(struct rcu_record *record);

    static void RCU_EXIT_CALL rcu_thread_exits(void *record)
    {
        if (record)
            rcu_thread_hook((struct rcu_record *)record);
    }

    static int rcu_watch_threads(void (*hook)(struct rcu_record *record))
    {
        rcu_thread_hook = hook;
        return rcu_exit_key_create(&rcu_thread_key, rcu_thread_exits);
    }

    static int rcu_watch_this_thread(struct rcu_record *record)
    {
        return rcu_thread_watch(rcu_thread_key, record);
    }

    /* Slots come in blocks, each slot on lines of its own. */
    #define RCU_BLOCK_SLOTS 32
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

    /* A new structure is as large as the header says: what others compile against depends on it. */
    typedef char rcu_slot_has_its_size[sizeof(struct rcu_slot) == RCU_SLOT_SIZE ? 1 : -1];
    """
    const uint64_t RCU_BLOCK_SLOTS
    const uint64_t RCU_KEY_GONE
    struct rcu_entry:
        uint64_t key
        rcu_slot *slot
    struct rcu_record:
        rcu_entry *table
        uint64_t mask, used, serial
        rcu_record *older
        rcu_record *newer
    struct rcu_block:
        rcu_block *next
    rcu_slot *rcu_find(uint64_t key) noexcept nogil
    void rcu_this_thread_is(rcu_record *record) noexcept nogil
    rcu_record *rcu_this_record() noexcept nogil
    int rcu_watch_threads(void (*hook)(rcu_record *record) noexcept nogil) noexcept nogil
    int rcu_watch_this_thread(rcu_record *record) noexcept nogil
    rcu_slot *rcu_block_slots(rcu_block *block) noexcept nogil
    rcu_domain *rcu_domain_alloc() noexcept nogil
    void rcu_domain_dealloc(rcu_domain *domain) noexcept nogil
    const uint64_t rcu_gp_never

cdef struct Registry:
    rcu_mutex lock
    rcu_domain *domains   # the newest
    rcu_record *records   # the newest
    rcu_slot *pool        # free slots
    rcu_block *blocks
    uint64_t last_key, last_serial
    bint fence

cdef Registry registry

cdef uint64_t SMALLEST_TABLE = 4


# ---- find, attach, detach ------------------------------------------------------------------------------------

cdef rcu_slot *find(uint64_t key) noexcept nogil:
    return rcu_find(key)


cdef uint64_t thread_serial() noexcept nogil:
    return rcu_this_record().serial if rcu_this_record() != NULL else 0


cdef rcu_slot *attach(rcu_domain *domain) noexcept nogil:
    cdef rcu_slot *slot = rcu_find(domain.key)
    if slot != NULL:
        return slot
    rcu_mutex_lock(&registry.lock)
    cdef rcu_record *record = this_record()
    if record != NULL and make_room(record):
        slot = pool_take()
        if slot != NULL:
            slot_reset(slot, domain)
            if enlist(domain, slot):
                table_put(record, slot)
            else:
                pool_give(slot)
                slot = NULL
    rcu_mutex_unlock(&registry.lock)
    return slot


cdef void detach(rcu_slot *slot) noexcept nogil:
    rcu_mutex_lock(&registry.lock)
    table_forget(rcu_this_record(), slot.key)
    delist(slot)
    rcu_mutex_unlock(&registry.lock)


cdef bint take_awaited(rcu_slot *slot) noexcept nogil:
    # One exchange decides who takes the flag back, so that each flag is counted down once. As a
    # read-modify-write that releases, it also keeps the store of seq before the count.
    if rcu_load_relaxed(&slot.awaited) == 0:
        return False  # [K] with [X]: the caller has fenced since it stored seq, so a leader that sets the flag
                      # after this load looks again and sees that store
    if rcu_exchange(&slot.awaited, 0) == 0:
        return False
    return rcu_fetch_sub(&slot.domain.unready, 1) == 1


cdef void wake(rcu_slot *slot) noexcept nogil:
    cdef rcu_domain *domain = slot.domain
    if take_awaited(slot):
        # Under the lock, for the leader looks at the count and falls asleep under it.
        rcu_mutex_lock(&domain.lock)
        rcu_cond_signal(&domain.leader)
        rcu_mutex_unlock(&domain.lock)


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
    cdef uint64_t room
    cdef rcu_slot **slots
    visit(domain)
    if domain.n_slots == domain.room:
        room = domain.room * 2 if domain.room else 8
        slots = <rcu_slot **>realloc(domain.slots, room * sizeof(rcu_slot *))
        if slots == NULL:
            rcu_mutex_unlock(&domain.lock)
            return False
        domain.slots = slots
        domain.room = room
    slot.index = domain.n_slots
    domain.slots[domain.n_slots] = slot
    domain.n_slots += 1
    rcu_mutex_unlock(&domain.lock)
    return True


cdef void delist(rcu_slot *slot) noexcept nogil:
    """Takes a slot from its domain and gives it to the pool; its thread reads there no more."""
    cdef rcu_domain *domain = slot.domain
    cdef rcu_slot *last
    visit(domain)
    if rcu_held(slot):
        domain.counts.abandoned += 1
        domain.counts.abandoned_ident = slot.ident
    last = domain.slots[domain.n_slots - 1]
    domain.slots[slot.index] = last
    last.index = slot.index
    domain.n_slots -= 1
    # [B] with [G] and [X] with [K], as at the end of a section: this ends one, if one was open.
    rcu_store_release(&slot.seq, RCU_SEQ_DETACHED)
    rcu_full_barrier()
    if take_awaited(slot):
        rcu_cond_signal(&domain.leader)
    rcu_mutex_unlock(&domain.lock)
    pool_give(slot)


# ---- under the registry's lock: the pool, the threads' tables --------------------------------------------------

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
    slot.key = 0
    slot.nest = 0
    slot.spare = registry.pool
    registry.pool = slot


cdef rcu_record *this_record() noexcept nogil:
    """The calling thread's record, made and watched at first; NULL: no memory, or no key left for the hook."""
    cdef rcu_record *record = rcu_this_record()
    if record != NULL:
        return record
    record = <rcu_record *>calloc(1, sizeof(rcu_record))
    if record == NULL:
        return NULL
    if not resize(record, SMALLEST_TABLE):
        free(record)
        return NULL
    if rcu_watch_this_thread(record) != 0:
        free(record.table)
        free(record)
        return NULL
    registry.last_serial += 1
    record.serial = registry.last_serial
    record.older = registry.records
    if record.older != NULL:
        record.older.newer = record
    registry.records = record
    rcu_this_thread_is(record)
    return record


cdef void forget_record(rcu_record *record) noexcept nogil:
    if record.newer != NULL:
        record.newer.older = record.older
    else:
        registry.records = record.older
    if record.older != NULL:
        record.older.newer = record.newer
    free(record.table)
    free(record)


cdef void table_put(rcu_record *record, rcu_slot *slot) noexcept nogil:
    cdef uint64_t i = slot.key & record.mask
    while record.table[i].key != 0:
        i = (i + 1) & record.mask
    record.table[i].key = slot.key
    record.table[i].slot = slot
    record.used += 1


cdef void table_forget(rcu_record *record, uint64_t key) noexcept nogil:
    # The place stays taken, for what was put behind it must still be found; the next resize clears it.
    cdef uint64_t i = key & record.mask
    while record.table[i].key != key:
        i = (i + 1) & record.mask
    record.table[i].key = RCU_KEY_GONE
    record.table[i].slot = NULL


cdef bint make_room(rcu_record *record) noexcept nogil:
    """Room for one more entry in a table that is at most half full, where find stays short."""
    if 2 * (record.used + 1) <= record.mask + 1:
        return True
    # Entries of domains that are gone may be what fills it: count without them before growing.
    cdef uint64_t live = 0
    cdef uint64_t i
    for i in range(record.mask + 1):
        if entry_lives(&record.table[i]):
            live += 1
    cdef uint64_t size = SMALLEST_TABLE
    while size < 3 * (live + 1):
        size *= 2
    return resize(record, size)


cdef bint entry_lives(const rcu_entry *entry) noexcept nogil:
    # Slots are never given back to the system, so the slot of a stale entry can be read; its key has changed.
    return entry.slot != NULL and entry.slot.key == entry.key


cdef bint resize(rcu_record *record, uint64_t size) noexcept nogil:
    """Gives the calling thread's record a new table with what lives of the old; False: no memory, as before."""
    cdef rcu_entry *old = record.table
    cdef rcu_entry *new = <rcu_entry *>calloc(size, sizeof(rcu_entry))
    cdef uint64_t old_size = record.mask + 1 if old != NULL else 0
    cdef uint64_t i
    if new == NULL:
        return False
    record.table = new
    record.mask = size - 1
    record.used = 0
    for i in range(old_size):
        if entry_lives(&old[i]):
            table_put(record, old[i].slot)
    free(old)
    if rcu_this_record() == record:
        rcu_this_thread_is(record)
    return True


# ---- domains ---------------------------------------------------------------------------------------------------

cdef rcu_domain *domain_new(const rcu_slow *slow) noexcept nogil:
    cdef rcu_domain *domain = rcu_domain_alloc()
    if domain == NULL:
        return NULL
    domain.slow = slow
    domain.gp_seq = RCU_SEQ_FIRST
    domain.gp_done = RCU_SEQ_FIRST
    domain.phase = RCU_PHASE_DONE
    domain.fence = registry.fence
    init_locks(domain)
    rcu_mutex_lock(&registry.lock)
    registry.last_key += 1
    domain.key = registry.last_key
    domain.older = registry.domains
    if domain.older != NULL:
        domain.older.newer = domain
    registry.domains = domain
    rcu_mutex_unlock(&registry.lock)
    return domain


cdef void init_locks(rcu_domain *domain) noexcept nogil:
    cdef int group
    rcu_mutex_init(&domain.lock)
    rcu_cond_init(&domain.leader)
    for group in range(RCU_GROUPS):
        rcu_cond_init(&domain.changed[group])


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
        rcu_store_relaxed(&domain.slots[i].seq, RCU_SEQ_DETACHED)
        pool_give(domain.slots[i])
    rcu_mutex_unlock(&registry.lock)
    rcu_mutex_destroy(&domain.lock)
    rcu_cond_destroy(&domain.leader)
    for group in range(RCU_GROUPS):
        rcu_cond_destroy(&domain.changed[group])
    free(domain.slots)
    rcu_domain_dealloc(domain)


# ---- the ends of threads, and forks: no Python may run here ----------------------------------------------------

cdef void on_thread_exit(rcu_record *record) noexcept nogil:
    cdef uint64_t i
    rcu_mutex_lock(&registry.lock)
    for i in range(record.mask + 1):
        if entry_lives(&record.table[i]):
            delist(record.table[i].slot)
    forget_record(record)
    # A destructor that runs later may read again: it finds no record, makes one, and we are called once more.
    rcu_this_thread_is(NULL)
    rcu_mutex_unlock(&registry.lock)


cdef void before_fork() noexcept nogil:
    cdef rcu_domain *domain
    rcu_mutex_lock(&registry.lock)
    domain = registry.domains
    while domain != NULL:
        rcu_mutex_lock(&domain.lock)
        domain = domain.older


cdef void after_fork_in_parent() noexcept nogil:
    cdef rcu_domain *domain = registry.domains
    while domain != NULL:
        rcu_mutex_unlock(&domain.lock)
        domain = domain.older
    rcu_mutex_unlock(&registry.lock)


cdef void after_fork_in_child() noexcept nogil:
    cdef rcu_domain *domain = registry.domains
    cdef rcu_record *record = registry.records
    cdef rcu_record *older
    rcu_mutex_init(&registry.lock)
    while domain != NULL:
        init_locks(domain)
        keep_only(domain, rcu_find(domain.key))
        domain = domain.older
    while record != NULL:
        older = record.older
        if record != rcu_this_record():
            forget_record(record)
        record = older
    if not registry.fence and rcu_heavy_prepare() != 0:
        broken_barrier(rcu_heavy_prepare())


cdef void keep_only(rcu_domain *domain, rcu_slot *mine) noexcept nogil:
    """In a fork child: drops the slots of the threads that it does not have. A section that the forking thread
    is in stays open; a grace period that was under way is taken up anew by whoever asks for it next."""
    cdef uint64_t i
    cdef rcu_slot *slot
    for i in range(domain.n_slots):
        slot = domain.slots[i]
        if slot != mine:
            rcu_store_relaxed(&slot.seq, RCU_SEQ_DETACHED)
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


# ---- the flavor, chosen once -----------------------------------------------------------------------------------

cdef bint fence_flavor() noexcept nogil:
    return registry.fence


cdef void heavy_barrier() noexcept nogil:
    cdef int error
    if registry.fence:
        # [E] of the fence flavor: each reader fences by itself, at [F] and in exit_slow.
        rcu_full_barrier()
        return
    error = rcu_heavy_barrier()
    if error != 0:
        broken_barrier(error)


cdef void broken_barrier(int error) noexcept nogil:
    # It worked at import and is refused now, as by a filter installed since. Readers do not fence, so no grace
    # period can be told any more, and to go on would mean to free what is being read.
    fprintf(stderr, b"rcu: the %s barrier is refused (error %d) but was granted when rcu was imported; import rcu "
                    b"after the filter is installed, or set RCU_FLAVOR=fence\n", RCU_HEAVY_FLAVOR, error)
    abort()


cdef str flavor_name():
    return (RCU_FENCE_FLAVOR if registry.fence else RCU_HEAVY_FLAVOR).decode()


cdef bint choose_flavor() except -1:
    wanted = os.environ.get("RCU_FLAVOR", "")
    if wanted not in ("", "fence"):
        raise ImportError(f"RCU_FLAVOR={wanted!r} in the environment: the only value is 'fence'; unset it to let rcu "
                          "choose the best barrier that the system grants")
    return wanted == "fence" or rcu_heavy_prepare() != 0


cdef int begin() except -1:
    cdef int error
    registry.fence = choose_flavor()
    rcu_mutex_init(&registry.lock)
    error = rcu_watch_threads(on_thread_exit)
    if error != 0:
        raise ImportError(f"rcu cannot watch threads end: the system grants no more thread-local keys (error {error})")
    error = rcu_at_fork(before_fork, after_fork_in_parent, after_fork_in_child)
    if error != 0:
        raise ImportError(f"rcu cannot watch forks: the system refuses a handler (error {error})")
    return 0


begin()
