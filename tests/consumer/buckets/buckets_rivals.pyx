# cython: language_level=3, freethreading_compatible=True, cdivision=True, boundscheck=False, wraparound=False
"""The bounds of buckets.pyx behind each of several ways to protect its readers, for measuring: the same bisections, in
loops without a thread state, each protected by itself."""

from libc.stdint cimport uint64_t
from libc.stdlib cimport free
from rcu cimport (
    rcu_assign_pointer, rcu_call, rcu_default_domain, rcu_dereference, rcu_enter, rcu_exit, rcu_head, rcu_import,
    rcu_slot, rcu_this_slot,
)

from bounds cimport Bounds, bisect, with_one_more

cdef extern from "Python.h" nogil:
    ctypedef struct PyMutex:
        pass
    void PyMutex_Lock(PyMutex *mutex) noexcept
    void PyMutex_Unlock(PyMutex *mutex) noexcept

cdef extern from "rcu/atomic.h" nogil:
    uint64_t rcu_load_relaxed(const uint64_t *word) noexcept
    uint64_t rcu_fetch_add(uint64_t *word, uint64_t value) noexcept
    uint64_t rcu_fetch_sub(uint64_t *word, uint64_t value) noexcept

cdef extern from "rcu/thread.h" nogil:
    void rcu_thread_yield() noexcept

rcu_import()

cdef enum:
    LINE = 128      # bytes that processors hand each other, the neighbour that is fetched along included
cdef uint64_t WRITER = <uint64_t>1 << 63

# What readers write is on lines of its own, which spares all but RCU the loss of what they only read.
cdef struct Store:
    char[LINE] before_bounds
    Bounds *bounds
    char[LINE] before_mutex
    PyMutex mutex
    char[LINE] before_word
    uint64_t word               # how many read, and WRITER
    char[LINE] behind

ctypedef uint64_t (*look_up_t)(Store *, rcu_slot *, uint64_t) noexcept nogil
ctypedef void (*update_t)(Store *, Bounds *) noexcept nogil


# ---- a reader-writer lock whose readers share a word; writers go first -----------------------------------------------

cdef inline void lock_shared(uint64_t *word) noexcept nogil:
    while rcu_fetch_add(word, 1) & WRITER:
        rcu_fetch_sub(word, 1)
        while rcu_load_relaxed(word) & WRITER:
            rcu_thread_yield()


cdef inline void unlock_shared(uint64_t *word) noexcept nogil:
    rcu_fetch_sub(word, 1)


cdef void lock_alone(uint64_t *word) noexcept nogil:
    """Of one writer at a time."""
    rcu_fetch_add(word, WRITER)
    while rcu_fetch_add(word, 0) != WRITER:
        rcu_thread_yield()


# ---- look-ups: so many, of values that change from one to the next; the sum of what was found ------------------------

cdef inline double value_of(uint64_t turn) noexcept nogil:
    """From 0 to 255, in no order that a processor learns."""
    return <double>((turn * <uint64_t>0x9E3779B97F4A7C15) >> 56)


cdef uint64_t look_up_bare(Store *store, rcu_slot *slot, uint64_t turns) noexcept nogil:
    cdef uint64_t turn, found = 0
    for turn in range(turns):
        found += bisect(<Bounds *>rcu_dereference(store.bounds), value_of(turn))
    return found


cdef uint64_t look_up_by_slot(Store *store, rcu_slot *slot, uint64_t turns) noexcept nogil:
    cdef uint64_t turn, found = 0
    for turn in range(turns):
        rcu_enter(slot)
        found += bisect(<Bounds *>rcu_dereference(store.bounds), value_of(turn))
        rcu_exit(slot)
    return found


cdef uint64_t look_up_by_rcu(Store *store, rcu_slot *slot, uint64_t turns) noexcept nogil:
    cdef uint64_t turn, found = 0
    for turn in range(turns):
        slot = rcu_this_slot(rcu_default_domain())
        rcu_enter(slot)
        found += bisect(<Bounds *>rcu_dereference(store.bounds), value_of(turn))
        rcu_exit(slot)
    return found


cdef uint64_t look_up_by_mutex(Store *store, rcu_slot *slot, uint64_t turns) noexcept nogil:
    cdef uint64_t turn, found = 0
    for turn in range(turns):
        PyMutex_Lock(&store.mutex)
        found += bisect(store.bounds, value_of(turn))
        PyMutex_Unlock(&store.mutex)
    return found


cdef uint64_t look_up_by_lock(Store *store, rcu_slot *slot, uint64_t turns) noexcept nogil:
    cdef uint64_t turn, found = 0
    for turn in range(turns):
        lock_shared(&store.word)
        found += bisect(store.bounds, value_of(turn))
        unlock_shared(&store.word)
    return found


# ---- updates: the new version in the place of the old one ------------------------------------------------------------

cdef void free_old(rcu_head *head) noexcept nogil:
    free(head)


cdef void update_by_rcu(Store *store, Bounds *new) noexcept nogil:
    cdef Bounds *old = store.bounds
    rcu_assign_pointer(store.bounds, new)
    rcu_call(rcu_default_domain(), &old.head, free_old)


cdef void update_by_mutex(Store *store, Bounds *new) noexcept nogil:
    PyMutex_Lock(&store.mutex)
    cdef Bounds *old = store.bounds
    store.bounds = new
    PyMutex_Unlock(&store.mutex)
    free(old)


cdef void update_by_lock(Store *store, Bounds *new) noexcept nogil:
    lock_alone(&store.word)
    cdef Bounds *old = store.bounds
    store.bounds = new
    rcu_fetch_sub(&store.word, WRITER)
    free(old)


cdef struct Way:
    look_up_t look_up
    update_t update

cdef Way[5] ways
ways[0] = Way(look_up_bare, update_by_rcu)  # nobody may add beside readers
ways[1] = Way(look_up_by_slot, update_by_rcu)
ways[2] = Way(look_up_by_rcu, update_by_rcu)
ways[3] = Way(look_up_by_mutex, update_by_mutex)
ways[4] = Way(look_up_by_lock, update_by_lock)
WAYS = ("nothing", "rcu", "rcu_this_slot", "PyMutex", "lock")


cdef class Rival:
    """Buckets whose readers are protected in that way. One thread at a time adds."""
    cdef Store store
    cdef Way way

    def __cinit__(self, str way, double first):
        self.way = ways[WAYS.index(way)]
        self.store.bounds = with_one_more(NULL, first)
        if self.store.bounds == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.store.bounds)

    def look_up(self, uint64_t turns):
        cdef rcu_slot *slot = rcu_this_slot(rcu_default_domain())
        if slot == NULL:
            raise MemoryError
        with nogil:
            turns = self.way.look_up(&self.store, slot, turns)
        return turns

    def add(self, double bound):
        cdef Bounds *new = with_one_more(self.store.bounds, bound)
        if new == NULL:
            raise MemoryError
        with nogil:
            self.way.update(&self.store, new)
