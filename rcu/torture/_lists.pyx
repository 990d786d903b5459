# cython: language_level=3
"""Lists and arrays in C: readers that traverse them, and updaters that insert, remove, replace and append."""

cimport cython
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from rcu._deferred cimport barrier_at, enqueue, wait_for_batch
from rcu._grace cimport quiesce
from rcu._headers cimport (
    RCU_NEVER, rcu_callback, rcu_domain, rcu_enter, rcu_exit, rcu_fetch_sub, rcu_head, rcu_load_acquire,
    rcu_load_relaxed, rcu_mutex, rcu_mutex_lock, rcu_mutex_unlock, rcu_slot, rcu_store_relaxed, rcu_thread_yield,
)
from rcu._sections cimport attached
from rcu.torture._field cimport Field, begin, draw

cdef extern from "native/lists.h" nogil:
    const uint64_t RCU_SPAN, RCU_STEP
    struct rcu_lists:
        rcu_mutex lock
        uint64_t removed, reclaimed
    struct rcu_item:
        uint64_t number
        rcu_head head
    struct rcu_array:
        rcu_head head
        uint64_t room
    struct rcu_pass:
        uint64_t fault, found, stood, grown, replaced
    void rcu_lists_pass(rcu_lists *lists, rcu_pass *pass_, uint64_t chance) noexcept
    rcu_item *rcu_lists_find(rcu_lists *lists, uint64_t number) noexcept
    rcu_item *rcu_item_make(rcu_lists *lists, uint64_t number, uint64_t stamp) noexcept
    void rcu_lists_insert(rcu_lists *lists, rcu_item *item, rcu_item *following, uint64_t chance) noexcept
    bint rcu_lists_take_out(rcu_lists *lists, rcu_item *item, rcu_item *with_) noexcept
    int rcu_lists_change_array(rcu_lists *lists, uint64_t chance, rcu_array **old) noexcept
    void rcu_item_reclaim(rcu_head *head) noexcept
    void rcu_version_reclaim(rcu_head *head) noexcept
    int rcu_lists_init(rcu_lists *lists) noexcept
    void rcu_lists_free(rcu_lists *lists) noexcept

cdef enum:
    PENDING = 256  # removed and not reclaimed yet: at more, an updater waits
    YIELD = 64     # every so many updates, one lets others in between its look and its lock

# In the order of the header's.
FAULTS = (
    "", "an item or an element that was freed or not yet whole", "items out of order",
    "an item missing that is always listed, or there twice", "a gap between the array's elements",
    "an array of the wrong length",
)


@cython.final
cdef class Lists:
    """A list, a table of the same items, and an array, in a field's domain."""

    cdef readonly Field field
    cdef rcu_lists *here
    cdef uint64_t updaters  # that have not yet returned

    def __cinit__(self, Field field not None):
        cdef uint64_t number
        cdef rcu_item *item
        self.field = field
        self.here = <rcu_lists *>malloc(sizeof(rcu_lists))
        if self.here is NULL or rcu_lists_init(self.here) != 0:
            raise MemoryError("no memory for lists")
        for number in range(0, RCU_SPAN, RCU_STEP):
            item = rcu_item_make(self.here, number, number)
            if item is NULL:
                raise MemoryError("no memory for an item")
            rcu_lists_insert(self.here, item, NULL, number)

    def __dealloc__(self):
        # What is still pending counts there.
        if self.here is not NULL and self.here.removed == rcu_load_acquire(&self.here.reclaimed):
            rcu_lists_free(self.here)

    def counts(self):
        """What was removed from them, and what was reclaimed; to be asked when all have returned."""
        return {"removed": self.here.removed, "reclaimed": rcu_load_acquire(&self.here.reclaimed)}

    cdef int check(self) except -1:
        """When the last updater has returned: is all that was removed reclaimed, once?"""
        self.field.domain.barrier()
        cdef uint64_t reclaimed = rcu_load_acquire(&self.here.reclaimed)
        if reclaimed != self.here.removed:
            raise AssertionError(f"{self.here.removed} items and arrays removed, {reclaimed} reclaimed")
        return 0


@cython.final
cdef class ListReader:
    """Traverses lists again and again, until their field is stopped."""

    cdef readonly Lists lists
    cdef uint64_t state, done
    cdef rcu_pass passed

    def __cinit__(self, Lists lists not None, uint64_t seed):
        self.lists = lists
        self.state = begin(seed)

    def run(self):
        """Reads on the calling thread. AssertionError, if a section meets what it must not."""
        cdef Field field = self.lists.field
        cdef rcu_slot *slot = attached(field.domain.engine, field.domain.name)
        cdef uint64_t chance
        with nogil:
            while rcu_load_relaxed(&field.stopped) == 0 and self.passed.fault == 0:
                chance = draw(&self.state)
                rcu_enter(slot)
                rcu_lists_pass(self.lists.here, &self.passed, chance)
                rcu_exit(slot)
                rcu_store_relaxed(&self.done, self.done + 1)
                if chance % 256 == 0:
                    quiesce(slot)
        if self.passed.fault != 0:
            raise AssertionError(f"a traversal met {FAULTS[self.passed.fault]}: at {self.passed.found:#x}")

    @property
    def progress(self):
        """Sections so far; may be asked while it runs."""
        return rcu_load_relaxed(&self.done)

    def counts(self):
        """What it met, by name; to be asked when `run` has returned."""
        return {
            "sections": self.done,
            "removed_under_reader": self.passed.stood,
            "grown_under_reader": self.passed.grown,
            "replaced_under_reader": self.passed.replaced,
        }


@cython.final
cdef class ListUpdater:
    """Inserts, removes, replaces and appends, and defers the end of what it removed, until the field is stopped.

    :param grace: false: free at once, to see that the torture notices.
    """

    cdef readonly Lists lists
    cdef uint64_t state, done, stamps, inserted, items, beaten, appended, grown, waits
    cdef bint grace

    def __cinit__(self, Lists lists not None, uint64_t seed, *, bint grace=True):
        self.lists = lists
        self.state = begin(seed)
        self.stamps = draw(&self.state)
        self.grace = grace
        lists.updaters += 1

    def run(self):
        """Updates on the calling thread; the last one that returns checks that nothing was left."""
        cdef Field field = self.lists.field
        cdef rcu_slot *slot = attached(field.domain.engine, field.domain.name)
        cdef bint had_memory = True
        with nogil:
            while had_memory and rcu_load_relaxed(&field.stopped) == 0:
                had_memory = self.update(slot, draw(&self.state)) and self.change_array(draw(&self.state))
                rcu_store_relaxed(&self.done, self.done + 1)
                self.make_room()
        if rcu_fetch_sub(&self.lists.updaters, 1) == 1:
            self.lists.check()
        if not had_memory:
            raise MemoryError("no memory for an item or an array")

    cdef bint update(self, rcu_slot *slot, uint64_t chance) noexcept nogil:
        """Inserts, removes or replaces an item; False: no memory."""
        cdef rcu_lists *lists = self.lists.here
        cdef uint64_t number = (chance >> 32) % RCU_SPAN
        cdef rcu_item *found
        cdef rcu_item *item
        cdef bint taken = False
        self.stamps += 1
        item = rcu_item_make(lists, number, self.stamps)
        if item is NULL:
            return False
        # It looks as a reader does, and locks then: another may be first.
        rcu_enter(slot)
        found = rcu_lists_find(lists, number)
        if found is not NULL and found.number == number:
            if chance % YIELD == 0:
                rcu_thread_yield()
            rcu_mutex_lock(&lists.lock)
            if number % RCU_STEP == 0:
                taken = rcu_lists_take_out(lists, found, item)
                if taken:
                    item = NULL
            else:
                taken = rcu_lists_take_out(lists, found, NULL)
            rcu_mutex_unlock(&lists.lock)
            self.items += taken
            self.beaten += not taken
        else:
            rcu_mutex_lock(&lists.lock)
            found = rcu_lists_find(lists, number)
            if found is NULL or found.number != number:
                rcu_lists_insert(lists, item, found, chance)
                self.inserted += 1
                item = NULL
            rcu_mutex_unlock(&lists.lock)
        rcu_exit(slot)
        free(item)
        if taken:
            self.defer(&found.head, rcu_item_reclaim)
        return True

    cdef bint change_array(self, uint64_t chance) noexcept nogil:
        cdef rcu_lists *lists = self.lists.here
        cdef rcu_array *old = NULL
        rcu_mutex_lock(&lists.lock)
        cdef int error = rcu_lists_change_array(lists, chance, &old)
        rcu_mutex_unlock(&lists.lock)
        if old is not NULL:
            self.grown += 1
            self.defer(&old.head, rcu_version_reclaim)
        else:
            self.appended += 1
        return error == 0

    cdef void defer(self, rcu_head *head, rcu_callback func) noexcept nogil:
        if self.grace:
            enqueue(self.lists.field.domain.engine, head, func)
        else:
            func(head)

    cdef void make_room(self) noexcept nogil:
        """Waits for callbacks if too many are pending."""
        cdef rcu_domain *domain = self.lists.field.domain.engine
        if self.done % PENDING == 0:
            self.waits += 1
            wait_for_batch(domain, barrier_at(domain), RCU_NEVER)

    @property
    def progress(self):
        """Updates so far; may be asked while it runs."""
        return rcu_load_relaxed(&self.done)

    def counts(self):
        """What it did, by name; to be asked when `run` has returned."""
        return {
            "inserted": self.inserted,
            "items_removed": self.items,
            "beaten": self.beaten,
            "appended": self.appended,
            "arrays_replaced": self.grown,
        }
