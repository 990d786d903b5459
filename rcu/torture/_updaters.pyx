# cython: language_level=3
"""Updaters in C, which see grace periods through in every way there is."""

cimport cython
from libc.stdint cimport uint64_t

from rcu._grace cimport COMPLETED, is_over, needed, poll, quiesce, wait
from rcu._headers cimport (
    RCU_NEVER, rcu_clock, rcu_domain, rcu_enter, rcu_exit, rcu_load_relaxed, rcu_slot, rcu_store_relaxed,
    rcu_thread_yield,
)
from rcu._sections cimport attached
from rcu.torture._field cimport (
    REMOVED, TOO_OLD, Field, begin, draw, new_thing, rcu_thing, rcu_thing_bury, rcu_thing_replace, scatter,
)

cdef enum:
    OLDEST = 3    # age at which an object is freed; some are at TOO_OLD
    PENDING = 64  # removed objects that an updater has not freed yet, at most
    OVER = 0      # in place of a cookie: the period was said to be over

# Ways to see a grace period through. `insist` and `abandon` have time-outs; `abandon` leaves the period to others.
WAYS = ("wait", "insist", "abandon", "poll", "nudge", "read")

cdef enum Way:
    WAIT
    INSIST
    ABANDON
    POLL
    NUDGE
    READ

cdef struct Pending:
    rcu_thing *thing
    uint64_t need
    uint64_t last  # freed at this age


@cython.final
cdef class Updater:
    """Replaces a field's object again and again, and frees what it removed after a grace period, or two.

    :param way: one of `WAYS`.
    :param limit: so many updates; 0: until the field is stopped.
    :param grace: false: free before the grace period, to see that the torture notices.
    """

    cdef readonly Field field
    cdef readonly str way
    cdef Way how
    cdef uint64_t state, limit, done, timeouts, freed
    cdef bint grace
    cdef Pending[PENDING] pending
    cdef uint64_t n_pending

    def __cinit__(self, Field field not None, uint64_t seed, str way not None, *, uint64_t limit=0, bint grace=True):
        if way not in WAYS:
            raise ValueError(f"way must be one of {', '.join(WAYS)}, not {way!r}")
        self.field = field
        self.state = begin(seed)
        self.way = way
        self.how = <Way><int>WAYS.index(way)
        self.limit = limit
        self.grace = grace

    def run(self):
        """Updates on the calling thread."""
        cdef rcu_slot *slot = NULL
        if self.how == READ:
            slot = attached(self.field.domain.engine, self.field.domain.name)
        with nogil:
            while rcu_load_relaxed(&self.field.stopped) == 0 and (self.limit == 0 or self.done < self.limit):
                if not self.update(slot):
                    break
                rcu_store_relaxed(&self.done, self.done + 1)
            self.drain()
        return self

    cdef bint update(self, rcu_slot *slot) noexcept nogil:
        cdef rcu_domain *domain = self.field.domain.engine
        cdef rcu_thing *old
        cdef rcu_thing *new = new_thing()
        if new is NULL:
            return False
        scatter(draw(&self.state) >> 32)
        if slot is not NULL:
            rcu_enter(slot)
        old = rcu_thing_replace(&self.field.current, new)
        if slot is not NULL:
            rcu_exit(slot)
            quiesce(slot)  # as a caller of synchronize() does: it does not interrupt itself
        rcu_store_relaxed(&old.age, REMOVED)
        if not self.grace:
            rcu_thing_bury(old)
            self.see_through(needed(domain))  # for readers that rest until periods complete
            return True
        if self.n_pending == PENDING:
            self.drain()
        cdef Pending *mine = &self.pending[self.n_pending]
        self.n_pending += 1
        mine.thing = old
        mine.need = needed(domain)
        mine.last = TOO_OLD if draw(&self.state) >> 63 else OLDEST
        if self.see_through(mine.need):
            mine.need = OVER
        self.collect()
        return True

    cdef bint see_through(self, uint64_t need) noexcept nogil:
        """Waits in the updater's way; true if that says that the period is over, which nobody asks again."""
        cdef rcu_domain *domain = self.field.domain.engine
        cdef uint64_t chance
        cdef uint64_t turn = 0
        if self.how == WAIT or self.how == READ:
            return wait(domain, need, RCU_NEVER) == COMPLETED
        elif self.how == POLL:
            while not poll(domain, need, True):
                rcu_thread_yield()
        elif self.how == NUDGE:
            while not poll(domain, need, turn % 8 == 7):
                turn += 1
                rcu_thread_yield()
        else:
            while True:
                chance = draw(&self.state) >> 50  # up to 16 us
                if wait(domain, need, rcu_clock() + chance) == COMPLETED:
                    break
                self.timeouts += 1
                if self.how == ABANDON:
                    return False
        return True

    cdef void collect(self) noexcept nogil:
        """Ages what has seen its grace period through, and frees the oldest."""
        cdef uint64_t i = 0
        cdef uint64_t age
        cdef Pending *one
        while i < self.n_pending:
            one = &self.pending[i]
            if not is_over(self.field.domain.engine, one.need):
                i += 1
                continue
            age = rcu_load_relaxed(&one.thing.age) + 1
            rcu_store_relaxed(&one.thing.age, age)
            if age < one.last:
                one.need = needed(self.field.domain.engine)
                i += 1
                continue
            rcu_thing_bury(one.thing)
            self.freed += 1
            self.n_pending -= 1
            self.pending[i] = self.pending[self.n_pending]

    cdef void drain(self) noexcept nogil:
        while self.n_pending:
            if wait(self.field.domain.engine, self.pending[0].need, RCU_NEVER) == COMPLETED:
                self.pending[0].need = OVER
            self.collect()

    @property
    def progress(self):
        """Updates so far; may be asked while it runs."""
        return rcu_load_relaxed(&self.done)

    def counts(self):
        """What it did, by name; to be asked when `run` has returned."""
        return {"updates": self.done, "freed": self.freed, "timeouts": self.timeouts}
