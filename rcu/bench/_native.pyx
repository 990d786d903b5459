# cython: language_level=3
"""What the benchmarks and the tests need below Python: a reader and callbacks in C, and the cost of the barriers."""

cimport cython
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from rcu._deferred cimport barrier_at, enqueue, wait_for_batch
from rcu._domain cimport Domain
from rcu._flavor cimport heavy_barrier
from rcu._headers cimport (
    RCU_NEVER, RCU_SLOT_SIZE, rcu_clock, rcu_domain, rcu_enter, rcu_exit, rcu_full_barrier, rcu_head, rcu_load_acquire,
    rcu_load_relaxed, rcu_slot, rcu_store_relaxed, rcu_store_release,
)
from rcu._sections cimport attached

cdef uint64_t SECTIONS_PER_LOOK = 64

slot_bytes = RCU_SLOT_SIZE


@cython.final
cdef class Reader:
    """Begins and ends sections of a domain, as fast as C can, until it is told to stop.

    :param pause: a section lasts that many turns of an empty loop.
    """

    cdef Domain domain
    cdef uint64_t pause, stopped, done

    def __cinit__(self, Domain domain not None, uint64_t pause=0):
        self.domain = domain
        self.pause = pause

    def run(self):
        """Reads on the calling thread, which holds no GIL meanwhile, until another calls `stop`."""
        cdef rcu_slot *slot = attached(self.domain.engine, self.domain.name)
        cdef uint64_t _
        with nogil:
            while rcu_load_relaxed(&self.stopped) == 0:
                for _ in range(SECTIONS_PER_LOOK):
                    rcu_enter(slot)
                    spend(self.pause)
                    rcu_exit(slot)
                rcu_store_relaxed(&self.done, self.done + SECTIONS_PER_LOOK)

    def stop(self):
        """Makes `run` return."""
        rcu_store_relaxed(&self.stopped, 1)

    @property
    def sections(self):
        """How many it has done; may be asked while it runs."""
        return rcu_load_relaxed(&self.done)


cdef extern from *:
    """
    static void rcu_spend(uint64_t turns)
    {
        for (volatile uint64_t i = 0; i < turns; i++)
            ;
    }
    """
    void spend "rcu_spend"(uint64_t turns) noexcept nogil


def time_sections(Domain domain not None, uint64_t n, uint64_t pause=0):
    """Seconds that `n` sections of a `Reader` with that `pause` take on the calling thread."""
    cdef rcu_slot *slot = attached(domain.engine, domain.name)
    cdef uint64_t _, began
    with nogil:
        began = rcu_clock()
        for _ in range(n):
            rcu_enter(slot)
            spend(pause)
            rcu_exit(slot)
        began = rcu_clock() - began
    return began / 1e9


cdef struct Callback:
    rcu_head head
    uint64_t ran_ns       # when it was called


cdef void note_time(rcu_head *head) noexcept nogil:
    rcu_store_release(&(<Callback *>head).ran_ns, rcu_clock())


cdef void note_nothing(rcu_head *head) noexcept nogil:
    pass


@cython.final
cdef class Callbacks:
    """Callbacks in C, which are there once and are enqueued again and again.

    :param count: how many.
    """

    cdef Domain domain
    cdef Callback *room
    cdef uint64_t count

    def __cinit__(self, Domain domain not None, uint64_t count):
        self.domain = domain
        self.count = count
        self.room = <Callback *>calloc(count + 1, sizeof(Callback))
        if self.room is NULL:
            raise MemoryError(f"no memory for {count} callbacks")

    def __dealloc__(self):
        free(self.room)

    def enqueue(self):
        """Enqueues all of them and waits until they have run; returns the seconds for the one and for both."""
        cdef uint64_t i, began, enqueued
        with nogil:
            began = rcu_clock()
            for i in range(self.count):
                enqueue(self.domain.engine, &self.room[i].head, note_nothing)
            enqueued = rcu_clock()
            wait_for_batch(self.domain.engine, barrier_at(self.domain.engine), RCU_NEVER)
        return (enqueued - began) / 1e9, (rcu_clock() - began) / 1e9

    def time_one(self):
        """Enqueues one, while nothing is, and waits until it has run; returns the seconds until it was called."""
        cdef uint64_t began
        cdef Callback *one = &self.room[self.count]
        with nogil:
            began = rcu_clock()
            enqueue(self.domain.engine, &one.head, note_time)
            wait_for_batch(self.domain.engine, barrier_at(self.domain.engine), RCU_NEVER)
        return (rcu_load_acquire(&one.ran_ns) - began) / 1e9


cdef double time_barriers(void (*barrier)() noexcept nogil, uint64_t n):
    cdef uint64_t _, began
    with nogil:
        began = rcu_clock()
        for _ in range(n):
            barrier()
        began = rcu_clock() - began
    return began / 1e9


cdef void full_barrier() noexcept nogil:
    rcu_full_barrier()


def time_heavy_barriers(uint64_t n):
    """Seconds that `n` heavy barriers of this process's flavor take."""
    return time_barriers(heavy_barrier, n)


def time_full_barriers(uint64_t n):
    """Seconds that `n` full fences of the calling thread take, the call of a function included."""
    return time_barriers(full_barrier, n)


# ---- callbacks -----------------------------------------------------------------------------------------------------

cdef struct CountedHead:
    rcu_head head       # first: what is handed to the callback is the address of both
    Work *work

cdef struct Work:
    rcu_domain *domain
    CountedHead *heads
    uint64_t n
    uint64_t enqueued, called, disorder

cdef extern from *:
    """
    #include "rcu/thread.h"

    static void (*rcu_bench_work)(void *work);

    static rcu_thread_result RCU_THREAD_CALL rcu_bench_thread(void *work)
    {
        rcu_bench_work(work);
        return 0;
    }

    static int rcu_bench_start(void *work)
    {
        return rcu_thread_start(rcu_bench_thread, work, "rcu-bench");
    }
    """
    void (*rcu_bench_work)(void *work) noexcept nogil
    int start_thread "rcu_bench_start"(void *work) noexcept nogil


cdef void count_call(rcu_head *head) noexcept nogil:
    cdef Work *work = (<CountedHead *>head).work
    cdef uint64_t called = work.called  # callbacks of a domain run one after the other
    if <CountedHead *>head != &work.heads[called]:
        rcu_store_relaxed(&work.disorder, work.disorder + 1)
    rcu_store_relaxed(&work.called, called + 1)


cdef void enqueue_all(void *data) noexcept nogil:
    cdef Work *work = <Work *>data
    cdef uint64_t n = work.n
    cdef uint64_t i
    for i in range(n):
        enqueue(work.domain, &work.heads[i].head, count_call)
    rcu_store_relaxed(&work.enqueued, n)


rcu_bench_work = enqueue_all


@cython.final
cdef class Heads:
    """`n` heads of C callbacks that do nothing but count. To be enqueued once; what goes before it is done leaves its
    memory to the callbacks."""

    cdef Domain domain
    cdef Work *work
    cdef bint begun

    def __cinit__(self, Domain domain not None, uint64_t n):
        cdef uint64_t i
        self.domain = domain
        self.work = <Work *>calloc(1, sizeof(Work))
        if self.work is NULL:
            raise MemoryError(f"no memory for {n} heads")
        self.work.domain = domain.engine
        self.work.n = n
        self.work.heads = <CountedHead *>calloc(n + 1, sizeof(CountedHead))
        if self.work.heads is NULL:
            raise MemoryError(f"no memory for {n} heads")
        for i in range(n):
            self.work.heads[i].work = self.work

    def __dealloc__(self):
        if self.work is not NULL and (not self.begun or (self.enqueued and self.called == self.work.n)):
            free(self.work.heads)
            free(self.work)

    cdef int begin(self) except -1:
        if self.begun:
            raise RuntimeError(f"these {self.work.n} heads have been enqueued already; make new ones")
        self.begun = True
        return 0

    def enqueue(self):
        """Enqueues all on the calling thread, which holds no GIL meanwhile; returns the seconds that it took."""
        cdef uint64_t began
        self.begin()
        with nogil:
            began = rcu_clock()
            enqueue_all(self.work)
            began = rcu_clock() - began
        return began / 1e9

    def enqueue_elsewhere(self):
        """Starts a thread that Python does not know, which enqueues all. `enqueued` says when it has."""
        self.begin()
        cdef int error = start_thread(self.work)
        if error != 0:
            raise OSError(error, "cannot start a thread")

    @property
    def enqueued(self):
        """Are all of them?"""
        return rcu_load_relaxed(&self.work.enqueued) == self.work.n

    @property
    def called(self):
        """How many have been called."""
        return rcu_load_relaxed(&self.work.called)

    @property
    def disorder(self):
        """How many were not called in the order in which they were enqueued."""
        return rcu_load_relaxed(&self.work.disorder)


def enqueue_heads(Domain domain not None, uint64_t n):
    """Seconds that it takes the calling thread to enqueue `n` callbacks in C, which are then awaited."""
    heads = Heads(domain, n)
    seconds = heads.enqueue()
    domain.barrier()
    return seconds
