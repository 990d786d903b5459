# cython: language_level=3
"""A list in C, traversed with and without RCU, and an updater that replaces its entries meanwhile."""

cimport cython
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from rcu._deferred cimport enqueue
from rcu._domain cimport Domain
from rcu._headers cimport (
    RCU_NS_PER_SECOND, rcu_clock, rcu_head, rcu_load_acquire, rcu_load_relaxed, rcu_slot, rcu_store_relaxed,
    rcu_store_release, rcu_thread_yield,
)
from rcu._sections cimport attached

cdef extern from "native/lists.h" nogil:
    struct rcu_list_node:
        pass
    struct rcu_list:
        pass
    struct rcu_bench_entry:
        rcu_list_node links
        uint64_t number
        rcu_head head
    void rcu_list_init(rcu_list *list) noexcept
    void rcu_list_insert_tail(rcu_list *list, rcu_list_node *node) noexcept
    bint rcu_list_replace(rcu_list_node *old, rcu_list_node *with_) noexcept
    rcu_bench_entry *rcu_bench_entry_new "rcu_bench_entry"(uint64_t number) noexcept
    void rcu_bench_free_entry(rcu_head *head) noexcept
    uint64_t rcu_bench_traverse(const rcu_list *list, rcu_slot *slot) noexcept
    uint64_t rcu_bench_walk(const rcu_list *list) noexcept

cdef enum Order:
    # What the updater is told, and answers when it has heard it.
    PAUSE
    GO
    STOP


@cython.final
cdef class Traversed:
    """A list of `n` entries, each replaced in its turn by an updater: one every `every_ns` nanoseconds."""

    cdef Domain domain
    cdef rcu_list list
    cdef rcu_bench_entry **entries
    cdef uint64_t n, every_ns, expected
    cdef uint64_t order, heard, done, failed

    def __cinit__(self, Domain domain not None, uint64_t n, uint64_t every_ns):
        cdef uint64_t i
        self.domain = domain
        self.n = n
        self.every_ns = every_ns
        rcu_list_init(&self.list)
        self.entries = <rcu_bench_entry **>calloc(n, sizeof(rcu_bench_entry *))
        if self.entries is NULL:
            raise MemoryError(f"no memory for {n} entries")
        for i in range(n):
            self.entries[i] = rcu_bench_entry_new(i)
            if self.entries[i] is NULL:
                raise MemoryError(f"no memory for {n} entries")
            rcu_list_insert_tail(&self.list, &self.entries[i].links)
            self.expected += i

    def __dealloc__(self):
        cdef uint64_t i
        if self.entries is not NULL:
            for i in range(self.n):
                free(self.entries[i])
            free(self.entries)

    def update(self):
        """Updates on the calling thread, or pauses, as it is told, until it is told to stop."""
        cdef uint64_t order, at = 0
        cdef uint64_t next_ns = rcu_clock()
        with nogil:
            while True:
                order = rcu_load_relaxed(&self.order)
                rcu_store_release(&self.heard, order)
                if order == STOP:
                    break
                if order == PAUSE:
                    rcu_thread_yield()
                    continue
                if rcu_clock() < next_ns:
                    continue
                next_ns = rcu_clock() + self.every_ns
                at = (at + 7919) % self.n  # here and there, for a prime goes by no cache line twice soon
                if not self.replace(at):
                    rcu_store_relaxed(&self.failed, 1)
                    break
                rcu_store_relaxed(&self.done, self.done + 1)

    cdef bint replace(self, uint64_t i) noexcept nogil:
        cdef rcu_bench_entry *old = self.entries[i]
        cdef rcu_bench_entry *new = rcu_bench_entry_new(i)
        if new is NULL:
            return False
        rcu_list_replace(&old.links, &new.links)
        self.entries[i] = new
        enqueue(self.domain.engine, &old.head, rcu_bench_free_entry)
        return True

    def go(self):
        """Lets the updater update from now on."""
        self.tell(GO)

    def pause(self):
        """Keeps it from updating; returns when it no longer does."""
        self.tell(PAUSE)

    def stop(self):
        """Makes `update` return."""
        rcu_store_relaxed(&self.order, STOP)

    cdef int tell(self, Order order) except -1:
        cdef bint failed = False
        rcu_store_relaxed(&self.order, order)
        with nogil:
            while rcu_load_acquire(&self.heard) != <uint64_t>order and not failed:
                failed = rcu_load_relaxed(&self.failed) != 0
        if failed:
            raise MemoryError("no memory for an entry")
        return 0

    @property
    def updates(self):
        """How many there have been; may be asked meanwhile."""
        return rcu_load_relaxed(&self.done)

    def time_traversals(self, uint64_t count):
        """Seconds for one of `count` traversals in sections, on the calling thread."""
        cdef rcu_slot *slot = attached(self.domain.engine, self.domain.name)
        cdef uint64_t _, began, sums = 0
        with nogil:
            began = rcu_clock()
            for _ in range(count):
                sums += rcu_bench_traverse(&self.list, slot)
            began = rcu_clock() - began
        return self.seconds(began, count, sums)

    def time_walks(self, uint64_t count):
        """The same without sections and atomic loads; the updater must pause."""
        cdef uint64_t _, began, sums = 0
        with nogil:
            began = rcu_clock()
            for _ in range(count):
                sums += rcu_bench_walk(&self.list)
            began = rcu_clock() - began
        return self.seconds(began, count, sums)

    cdef double seconds(self, uint64_t ns, uint64_t count, uint64_t sums) except -1:
        if sums != count * self.expected:
            raise AssertionError(f"{count} traversals summed up to {sums}, not {count * self.expected}")
        return <double>ns / RCU_NS_PER_SECOND / count
