# cython: language_level=3
"""What each thread knows of its slots: the one thread-local of the package. See the .pxd for the map."""

from libc.stdint cimport intptr_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free


cdef extern from *:
    """
    #include "rcu/domain.h"
    #include "rcu/this_thread.h"

    #define RCU_KEY_GONE UINT64_MAX /* was detached; no domain's key */

    /* On the heap, for some systems end thread-local storage before they call the hook. A fork child does not free
     * those of the threads that it does not have, as little as anything else that was theirs. */
    struct rcu_record {
        struct rcu_entry first;
        struct rcu_entry *table; /* of the other domains; NULL: none. Keys count upwards, so key & mask spreads them */
        uint32_t mask, used;
        uint64_t serial;         /* of the thread; never used again for another */
    };

    /* The one thread-local of the package. At hand is what the thread has looked for in its record, one load nearer. */
    static RCU_THREAD_LOCAL struct rcu_this_thread {
        struct rcu_entry at_hand[RCU_AT_HAND];
        struct rcu_record *record;
        int reclaims; /* it calls, or has called, what was deferred */
        int updates;  /* functions of updates that it is in: others may wait until they return */
    } rcu_this_thread;

    /* How far a key's entry there is from the thread pointer, in every thread; 0: who wants it calls. */
    static intptr_t rcu_entry_at(uint64_t key)
    {
        (void)key;
    #if defined(RCU_THREAD_POINTER)
        return (intptr_t)((const char *)&rcu_this_thread.at_hand[key & (RCU_AT_HAND - 1)] - RCU_THREAD_POINTER());
    #else
        return 0;
    #endif
    }

    static void rcu_become_reclaimer(void)
    {
        rcu_this_thread.reclaims = 1;
    }

    static int rcu_reclaims(void)
    {
        return rcu_this_thread.reclaims;
    }

    static void rcu_count_update(int by)
    {
        rcu_this_thread.updates += by;
    }

    static int rcu_updates(void)
    {
        return rcu_this_thread.updates != 0;
    }

    static rcu_exit_key rcu_thread_key;

    static void rcu_this_thread_is(struct rcu_record *record)
    {
        static const struct rcu_entry none;
        rcu_this_thread.record = record;
        for (int i = 0; i < RCU_AT_HAND; i++)
            rcu_this_thread.at_hand[i] = none;
    }

    static struct rcu_record *rcu_this_record(void)
    {
        /* What runs between the end of thread-local storage and the hook finds the record with the hook. */
        if (!rcu_this_thread.record)
            rcu_this_thread_is((struct rcu_record *)rcu_thread_watched(rcu_thread_key));
        return rcu_this_thread.record;
    }

    static const struct rcu_entry *rcu_entry_in_record(const struct rcu_record *record, uint64_t key)
    {
        if (record->first.key == key)
            return &record->first;
        if (!record->table)
            return 0;
        for (uint64_t i = key & record->mask;; i = (i + 1) & record->mask) {
            if (record->table[i].key == key)
                return &record->table[i];
            if (record->table[i].key == 0)
                return 0;
        }
    }

    static struct rcu_slot *rcu_find_in_record(uint64_t key)
    {
        const struct rcu_record *record = rcu_this_record();
        const struct rcu_entry *entry = record ? rcu_entry_in_record(record, key) : 0;
        if (!entry)
            return 0;
        rcu_this_thread.at_hand[key & (RCU_AT_HAND - 1)] = *entry;
        return entry->slot;
    }

    static inline struct rcu_slot *rcu_find(uint64_t key)
    {
        const struct rcu_entry *entry = &rcu_this_thread.at_hand[key & (RCU_AT_HAND - 1)];
        if (RCU_LIKELY(entry->key == key))
            return entry->slot;
        return rcu_find_in_record(key);
    }

    /* The domain's slot is about to be another's, or another. */
    static void rcu_put_away(uint64_t key)
    {
        struct rcu_entry *entry = &rcu_this_thread.at_hand[key & (RCU_AT_HAND - 1)];
        if (entry->key == key)
            entry->key = 0;
    }

    /* The system's calling convention for the hook, which Cython cannot spell. */
    static void (*rcu_thread_hook)(void);

    static void RCU_EXIT_CALL rcu_thread_exits(void *record)
    {
        if (record) {
            rcu_this_thread_is((struct rcu_record *)record);
            rcu_thread_hook();
        }
    }

    static int rcu_watch_threads(void (*hook)(void))
    {
        rcu_thread_hook = hook;
        return rcu_exit_key_create(&rcu_thread_key, rcu_thread_exits);
    }

    static int rcu_watch_this_thread(struct rcu_record *record)
    {
        return rcu_thread_watch(rcu_thread_key, record);
    }
    """
    const uint64_t RCU_KEY_GONE
    struct rcu_entry:
        uint64_t key
        rcu_slot *slot
    struct rcu_record:
        rcu_entry first
        rcu_entry *table
        uint32_t mask, used
        uint64_t serial
    rcu_slot *rcu_find(uint64_t key) noexcept nogil
    intptr_t rcu_entry_at(uint64_t key) noexcept nogil
    void rcu_put_away(uint64_t key) noexcept nogil
    void rcu_become_reclaimer() noexcept nogil
    bint rcu_reclaims() noexcept nogil
    void rcu_count_update(int by) noexcept nogil
    bint rcu_updates() noexcept nogil
    void rcu_this_thread_is(rcu_record *record) noexcept nogil
    rcu_record *rcu_this_record() noexcept nogil
    int rcu_watch_threads(void (*hook)() noexcept nogil) noexcept nogil
    int rcu_watch_this_thread(rcu_record *record) noexcept nogil


cdef uint64_t SMALLEST_TABLE = 4
cdef uint64_t last_serial = 0
cdef uint64_t last_before_fork = 0  # serials up to this one, but for one, are of threads that are not here
cdef uint64_t survivor = 0


cdef rcu_slot *find(uint64_t key) noexcept nogil:
    return rcu_find(key)


cdef intptr_t entry_at(uint64_t key) noexcept nogil:
    return rcu_entry_at(key)


cdef void become_reclaimer() noexcept nogil:
    rcu_become_reclaimer()


cdef bint reclaims() noexcept nogil:
    return rcu_reclaims()


cdef void begin_update() noexcept nogil:
    rcu_count_update(1)


cdef void end_update() noexcept nogil:
    rcu_count_update(-1)


cdef bint updates() noexcept nogil:
    return rcu_updates()


cdef uint64_t thread_serial() noexcept nogil:
    return rcu_this_record().serial if rcu_this_record() != NULL else 0


cdef bint is_left_behind(uint64_t serial) noexcept nogil:
    return serial <= last_before_fork and serial != survivor


cdef void leave_others_behind() noexcept nogil:
    global last_before_fork, survivor
    last_before_fork = last_serial
    survivor = thread_serial()


cdef uint64_t each_slot(uint64_t (*visit)(rcu_slot *slot) noexcept nogil) noexcept nogil:
    cdef rcu_record *record = rcu_this_record()
    cdef uint64_t i
    cdef uint64_t sum = 0
    if record == NULL:
        return 0
    if lives(&record.first):
        sum += visit(record.first.slot)
    for i in range(size_of(record)):
        if lives(&record.table[i]):
            sum += visit(record.table[i].slot)
    return sum


cdef int watch_threads(void (*ends)() noexcept nogil) noexcept nogil:
    return rcu_watch_threads(ends)


cdef bint make_room() noexcept nogil:
    """The table stays at most half full, where find is short."""
    cdef rcu_record *record = rcu_this_record()
    if record == NULL:
        record = new_record()
    if record == NULL:
        return False
    if not lives(&record.first) or 2 * (record.used + 1) <= size_of(record):
        return True
    # Entries of domains that are gone may be what fills it: count without them before growing.
    cdef uint64_t live = 0
    cdef uint64_t i
    for i in range(size_of(record)):
        if lives(&record.table[i]):
            live += 1
    cdef uint64_t size = SMALLEST_TABLE
    while size < 3 * (live + 1):
        size *= 2
    return resize(record, size)


cdef void remember(rcu_slot *slot) noexcept nogil:
    cdef rcu_record *record = rcu_this_record()
    if lives(&record.first):
        put(record, slot)
    else:
        record.first.key = slot.key
        record.first.slot = slot


cdef void forget(uint64_t key) noexcept nogil:
    cdef rcu_record *record = rcu_this_record()
    cdef uint64_t i
    rcu_put_away(key)
    if record.first.key == key:
        record.first.key = 0
        record.first.slot = NULL
        return
    # The place stays taken, for what was put behind it must still be found; the next resize clears it.
    i = key & record.mask
    while record.table[i].key != key:
        i = (i + 1) & record.mask
    record.table[i].key = RCU_KEY_GONE
    record.table[i].slot = NULL


cdef void forget_all() noexcept nogil:
    # A destructor that runs later may read again: it finds no record, makes one, and the hook is called once more.
    cdef rcu_record *record = rcu_this_record()
    rcu_watch_this_thread(NULL)
    rcu_this_thread_is(NULL)
    if record != NULL:
        free(record.table)
        free(record)


# ---- records and their tables ----------------------------------------------------------------------------------

cdef rcu_record *new_record() noexcept nogil:
    """The calling thread's, watched; NULL: no memory."""
    global last_serial
    cdef rcu_record *record = <rcu_record *>calloc(1, sizeof(rcu_record))
    if record == NULL:
        return NULL
    if rcu_watch_this_thread(record) != 0:
        free(record)
        return NULL
    last_serial += 1
    record.serial = last_serial
    rcu_this_thread_is(record)
    return record


cdef uint64_t size_of(const rcu_record *record) noexcept nogil:
    return <uint64_t>record.mask + 1 if record.table != NULL else 0


cdef bint lives(const rcu_entry *entry) noexcept nogil:
    # Slots are never given back to the system, so the slot of a stale entry can be read; its key has changed.
    return entry.slot != NULL and entry.slot.key == entry.key


cdef void put(rcu_record *record, rcu_slot *slot) noexcept nogil:
    cdef uint64_t i = slot.key & record.mask
    while record.table[i].key != 0:
        i = (i + 1) & record.mask
    record.table[i].key = slot.key
    record.table[i].slot = slot
    record.used += 1


cdef bint resize(rcu_record *record, uint64_t size) noexcept nogil:
    """Gives the record a new table with what lives of the old; False: no memory, all as before."""
    cdef rcu_entry *old = record.table
    cdef uint64_t old_size = size_of(record)
    cdef rcu_entry *new = <rcu_entry *>calloc(size, sizeof(rcu_entry))
    cdef uint64_t i
    if new == NULL:
        return False
    record.table = new
    record.mask = <uint32_t>(size - 1)
    record.used = 0
    for i in range(old_size):
        if lives(&old[i]):
            put(record, old[i].slot)
    free(old)
    return True
