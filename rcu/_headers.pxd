# cython: language_level=3
"""include/rcu/ as Cython sees it; what the names mean is said there."""

from libc.stdint cimport intptr_t, uint64_t

cdef extern from "rcu/atomic.h" nogil:
    uint64_t rcu_load_relaxed(const uint64_t *word) noexcept
    uint64_t rcu_load_acquire(const uint64_t *word) noexcept
    void rcu_store_relaxed(uint64_t *word, uint64_t value) noexcept
    void rcu_store_release(uint64_t *word, uint64_t value) noexcept
    uint64_t rcu_exchange(uint64_t *word, uint64_t value) noexcept
    uint64_t rcu_fetch_add(uint64_t *word, uint64_t value) noexcept
    uint64_t rcu_fetch_sub(uint64_t *word, uint64_t value) noexcept
    bint rcu_compare_exchange(uint64_t *word, uint64_t expected, uint64_t value) noexcept
    void rcu_full_barrier() noexcept

cdef extern from "rcu/thread.h" nogil:
    const uint64_t RCU_NEVER
    const uint64_t RCU_NS_PER_SECOND
    ctypedef struct rcu_mutex:
        pass
    ctypedef struct rcu_cond:
        pass
    void rcu_mutex_init(rcu_mutex *mutex) noexcept
    void rcu_mutex_destroy(rcu_mutex *mutex) noexcept
    void rcu_mutex_lock(rcu_mutex *mutex) noexcept
    bint rcu_mutex_trylock(rcu_mutex *mutex) noexcept
    void rcu_mutex_unlock(rcu_mutex *mutex) noexcept
    void rcu_cond_init(rcu_cond *cond) noexcept
    void rcu_cond_destroy(rcu_cond *cond) noexcept
    void rcu_cond_signal(rcu_cond *cond) noexcept
    void rcu_cond_broadcast(rcu_cond *cond) noexcept
    void rcu_cond_wait(rcu_cond *cond, rcu_mutex *mutex, uint64_t until) noexcept
    uint64_t rcu_clock() noexcept
    uint64_t rcu_thread_ident() noexcept
    uint64_t rcu_thread_native_id() noexcept
    void rcu_thread_yield() noexcept
    int rcu_at_fork(void (*before)() noexcept nogil, void (*parent)() noexcept nogil,
                    void (*child)() noexcept nogil) noexcept

cdef extern from "rcu/head.h" nogil:
    ctypedef void (*rcu_callback)(rcu_head *head) noexcept nogil
    struct rcu_head:
        rcu_head *next
        rcu_callback func
    struct rcu_outbox:
        uint64_t newest, enqueued, check_at, since_ns
        void *log

cdef extern from "rcu/slot.h" nogil:
    const uint64_t RCU_SEQ_DETACHED, RCU_SEQ_QUIESCED, RCU_SEQ_FIRST, RCU_SEQ_STEP, RCU_SEQ_BUSY
    const uint64_t RCU_SEQ_NEVER
    const size_t RCU_SLOT_SIZE
    struct rcu_slow:
        void (*enter)(rcu_slot *slot) noexcept nogil
        void (*enter_parked)(rcu_slot *slot) noexcept nogil
        void (*exit)(rcu_slot *slot) noexcept nogil
    struct rcu_slot:
        uint64_t seq, nest, awaited, parked
        const uint64_t *gp
        const rcu_slow *slow
        rcu_domain *domain
        uint64_t fence
        uint64_t key, index, ident, native_id
        rcu_slot *spare
        rcu_outbox *outbox

cdef extern from "rcu/domain.h" nogil:
    const int RCU_GROUPS
    const uint64_t RCU_BLOCK_SLOTS, RCU_FIRST_ROOM
    enum rcu_phase:
        RCU_PHASE_DONE
        RCU_PHASE_STARTED
        RCU_PHASE_WAITING
    struct rcu_counts:
        uint64_t heavy_barriers, barriers_skipped, shared_waits, parkings, sleeps, resumed, stalls
        uint64_t abandoned, abandoned_ident, last_ns, longest_ns
    struct rcu_awaited:
        uint64_t ident, native_id
    const int RCU_DEFERRED, RCU_AWAITED, RCU_RECLAIMERS
    const uint64_t RCU_AWAKE, RCU_ASLEEP, RCU_ABSENT
    struct rcu_reclaimer:
        uint64_t state, run, failed
        rcu_outbox strays, last
        rcu_mutex lock
        rcu_cond wake, changed
        rcu_domain *domain
        uint64_t ident
        bint hurry, busy, unwatched
        uint64_t waiters, turn, taken, done, run_before, window_began_ns, batches, taken_ns, since_ns, peak
        uint64_t *tops
        uint64_t room
        rcu_head *batch
        rcu_head *ready
    struct rcu_domain:
        uint64_t key
        intptr_t entry_at
        const rcu_slow *slow
        uint64_t fence
        void (*departs)(rcu_slot *slot) noexcept nogil
        char *label
        uint64_t label_size
        uint64_t stall_ns, window_ns, backlog_limit
        uint64_t gp_seq, gp_done, unready
        rcu_mutex doze_lock
        rcu_cond doze
        rcu_mutex lock
        uint64_t visitors
        rcu_slot **slots
        uint64_t n_slots, room
        rcu_phase phase
        bint led, crowded
        uint64_t by
        uint64_t followers[2]
        rcu_cond changed[2]
        uint64_t started_ns, stall_next_ns
        rcu_counts counts
        uint64_t departed, holders
        bint closed
        rcu_head *left_first
        rcu_head *left_last
        uint64_t left_since_ns
        bint warned
        rcu_reclaimer reclaimers[2]
        rcu_domain *older
        rcu_domain *newer

cdef extern from "rcu/read.h" nogil:
    void rcu_enter(rcu_slot *slot) noexcept
    void rcu_exit(rcu_slot *slot) noexcept
    bint rcu_held(const rcu_slot *slot) noexcept
