# cython: language_level=3
"""Updaters that wait for nothing: they leave the end of what they remove to callbacks."""

cimport cython
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

from rcu._deferred cimport enqueue, room_at, wait_for_room
from rcu._headers cimport (
    RCU_ASLEEP, RCU_DEFERRED, RCU_NEVER, rcu_domain, rcu_fetch_add, rcu_head, rcu_load_acquire,
    rcu_enter, rcu_exit, rcu_load_relaxed, rcu_outbox, rcu_slot, rcu_store_relaxed, rcu_store_release,
)
from rcu._queue cimport outbox_of
from rcu._sections cimport attached
from rcu._slots cimport attach, detach
from rcu._threads cimport find
from rcu.torture._field cimport (
    REMOVED, TOO_OLD, Field, begin, draw, new_thing, rcu_thing, rcu_thing_bury, rcu_thing_of, rcu_thing_replace,
)

cdef enum:
    BURST = 64
    OLDEST = 3  # age at which some objects are freed: they are deferred again, by their own callback

# What is deferred: the object's own head; a call; a reference whose end is the object's; any of them.
WAYS = ("head", "call", "retire", "mixed")

cdef enum Way:
    HEAD
    CALL
    RETIRE
    MIXED

# What a thread has deferred, and what has become of it. Only the last two are written by reclaimers.
cdef struct Tally:
    rcu_domain *domain
    uint64_t begun    # about to be deferred
    uint64_t deferred
    uint64_t ordered  # of them, those whose order counts
    uint64_t run
    uint64_t wrong    # run twice, or out of order
    uint64_t called   # of those whose order counts. The reclaimer's own


cdef void come_to_end(rcu_thing *thing) noexcept nogil:
    """After a grace period: the object is two ages old now, and nobody may see it."""
    cdef Tally *tally = <Tally *>thing.tally
    if thing.order != 0:
        tally.called += 1
        if tally.called != thing.order:
            rcu_fetch_add(&tally.wrong, 1)
        thing.order = 0
    rcu_store_relaxed(&thing.age, rcu_load_relaxed(&thing.age) + 1)
    if rcu_load_relaxed(&thing.age) < thing.last:
        # Its callback's thread defers it, and leaves the domain at once: no reclaimer stays attached.
        enqueue(tally.domain, &thing.head, come_to_end_by_head)
        detach(find(tally.domain.key))
        return
    rcu_thing_bury(thing)
    rcu_fetch_add(&tally.run, 1)


cdef void come_to_end_by_head(rcu_head *head) noexcept nogil:
    come_to_end(rcu_thing_of(head))


cdef rcu_thing *take_out(Field field) noexcept nogil:
    """Puts a new object in the place of the one that readers see, and returns that; NULL: no memory."""
    cdef rcu_thing *new = new_thing()
    cdef rcu_thing *old
    if new is NULL:
        return NULL
    old = rcu_thing_replace(&field.current, new)
    rcu_store_relaxed(&old.age, REMOVED)
    return old


@cython.final
cdef class Parcel:
    """An object of Python's that ends one of the field's: when it is called, or by its own end."""

    cdef rcu_thing *thing

    def __call__(self):
        cdef rcu_thing *thing = self.thing
        self.thing = NULL
        with nogil:
            come_to_end(thing)

    def __dealloc__(self):
        if self.thing is not NULL:
            come_to_end(self.thing)


@cython.final
cdef class Removed:
    """An object of the field's that readers no longer find, for who waits by itself."""

    cdef rcu_thing *thing

    def __cinit__(self, Field field not None):
        self.thing = take_out(field)
        if self.thing is NULL:
            raise MemoryError("no memory for an object to read")

    def bury(self):
        """After a grace period."""
        rcu_thing_bury(self.thing)
        self.thing = NULL


@cython.final
cdef class Deferrer:
    """Replaces a field's object again and again, and defers the end of what it removed.

    :param way: one of `WAYS`.
    :param limit: so many; 0: until the field is stopped.
    :param grace: false: free at once, to see that the torture notices.
    """

    cdef readonly Field field
    cdef readonly str way
    cdef Way how
    cdef uint64_t state, limit, waits, again, barriers
    cdef bint grace
    cdef Tally *tally
    cdef rcu_slot *section

    def __cinit__(self, Field field not None, uint64_t seed, str way not None, *, uint64_t limit=0, bint grace=True):
        if way not in WAYS:
            raise ValueError(f"way must be one of {', '.join(WAYS)}, not {way!r}")
        self.tally = <Tally *>calloc(1, sizeof(Tally))
        if self.tally is NULL:
            raise MemoryError("no memory for a count")
        self.tally.domain = field.domain.engine
        self.field = field
        self.state = begin(seed)
        self.way = way
        self.how = <Way><int>WAYS.index(way)
        self.limit = limit
        self.grace = grace

    def __dealloc__(self):
        # What is still pending counts there.
        if self.tally is not NULL and self.pending() == 0:
            free(self.tally)

    def run(self):
        """Updates on the calling thread, for a while; true: it is not done yet.

        What Python frees may have to be freed by the thread that made it, and Cython's loops do not see to that.
        """
        for _ in range(BURST):
            if rcu_load_relaxed(&self.field.stopped) != 0 or (self.limit != 0 and self.tally.deferred >= self.limit):
                return False
            self.update(draw(&self.state))
        return True

    cdef int update(self, uint64_t chance) except -1:
        cdef rcu_domain *domain = self.field.domain.engine
        cdef Way how = <Way>((chance >> 32) % MIXED) if self.how == MIXED else self.how
        cdef Parcel parcel
        cdef rcu_thing *old
        if chance % 256 == 2 and self.section is NULL:
            self.barriers += 1
            self.barrier()
        if chance % 512 == 1 and self.section is NULL and find(domain.key) is not NULL:
            self.again += 1
            detach(find(domain.key))
        with nogil:
            self.make_room()
            old = take_out(self.field)
        if old is NULL:
            raise MemoryError("no memory for an object to read")
        if not self.grace:
            rcu_thing_bury(old)
            return 0
        old.tally = self.tally
        old.last = TOO_OLD
        old.order = 0
        # What Python drops may be freed by another thread than the reclaimer's, and later.
        if how != RETIRE:
            old.last = OLDEST if chance >> 63 else TOO_OLD
            self.tally.ordered += 1
            old.order = self.tally.ordered
        rcu_store_relaxed(&self.tally.begun, self.tally.begun + 1)
        if how == HEAD:
            with nogil:
                enqueue(domain, &old.head, come_to_end_by_head)
        else:
            parcel = Parcel()
            parcel.thing = old
            if how == CALL:
                self.field.domain.call(parcel)
            else:
                self.field.domain.retire(parcel)
        rcu_store_release(&self.tally.deferred, self.tally.deferred + 1)
        return 0

    cdef void make_room(self) noexcept nogil:
        """As call() does, of which heads know nothing."""
        cdef rcu_domain *domain = self.field.domain.engine
        cdef rcu_slot *slot = attach(domain)
        cdef rcu_outbox *box = outbox_of(slot) if slot is not NULL else NULL
        cdef uint64_t run
        if box is NULL or box.enqueued < rcu_load_relaxed(&box.check_at):
            return
        run = room_at(domain, box)
        if run != 0:
            self.waits += 1
            wait_for_room(domain, run, RCU_NEVER)

    cpdef int barrier(self) except -1:
        """Waits for all that this thread has deferred, and looks whether each was called; after `run`, of any one."""
        self.field.domain.barrier()
        if self.tally.called != self.tally.ordered:
            raise AssertionError(f"{self.tally.ordered} deferred, {self.tally.called} called, after a barrier")
        return 0

    def check_in_child(self):
        """Of a thread that the fork child does not have, and that may have been about to defer one more."""
        self.field.domain.barrier()
        cdef uint64_t called = self.tally.called
        if called > self.tally.ordered or called + 1 < self.tally.ordered:
            raise AssertionError(f"{self.tally.ordered} callbacks deferred, {called} called, in a fork child")
        self.check()

    def hold(self):
        """Begins a section, so that what is deferred now stays pending."""
        self.section = attached(self.field.domain.engine, self.field.domain.name)
        rcu_enter(self.section)

    def let_go(self):
        """Lets go of the field, and of its domain."""
        self.field = None

    def release(self):
        """Ends the section; was the domain closed in it? The work that is pending keeps it."""
        closed = bool(self.tally.domain.closed)
        with nogil:
            rcu_exit(self.section)
        self.section = NULL
        return closed

    def check(self):
        """Looks whether each callback of this thread was called once, in its turn."""
        cdef uint64_t run = rcu_load_acquire(&self.tally.run)
        if rcu_load_relaxed(&self.tally.wrong) != 0:
            raise AssertionError(f"{self.tally.wrong} callback(s) called twice or out of turn, of {run}")
        if run > rcu_load_relaxed(&self.tally.begun):
            raise AssertionError(f"{run} callbacks called, and {self.tally.begun} deferred")

    def pending(self):
        """How many have been deferred and not been called."""
        # A fork may come between the begin of a call and its end.
        cdef uint64_t run = rcu_load_acquire(&self.tally.run)
        cdef uint64_t deferred = rcu_load_acquire(&self.tally.deferred)
        return deferred - run if deferred > run else 0

    def reclaimer_sleeps(self):
        """Does the reclaimer want to be woken for what is deferred next?"""
        return rcu_load_relaxed(&self.tally.domain.reclaimers[<int>RCU_DEFERRED].state) == RCU_ASLEEP

    @property
    def progress(self):
        """Objects deferred so far; may be asked while it runs."""
        return rcu_load_relaxed(&self.tally.deferred)

    def counts(self):
        """What it did, by name; to be asked when `run` has returned."""
        return {
            "deferred": self.tally.deferred,
            "run": rcu_load_acquire(&self.tally.run),
            "waits_for_room": self.waits,
            "attached_again": self.again,
            "barriers": self.barriers,
        }


def batches(Field field not None):
    """How many batches the field's reclaimer has taken."""
    return rcu_load_relaxed(&field.domain.engine.reclaimers[<int>RCU_DEFERRED].taken)
