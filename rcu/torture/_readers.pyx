# cython: language_level=3
"""Readers in C: sections of all kinds, and what threads do between them."""

cimport cython
from libc.stdint cimport uint64_t

from rcu._grace cimport quiesce
from rcu._headers cimport (
    RCU_SEQ_BUSY, RCU_SEQ_STEP, rcu_domain, rcu_enter, rcu_exit, rcu_held, rcu_load_relaxed, rcu_slot,
    rcu_store_relaxed, rcu_thread_yield,
)
from rcu._sections cimport attached
from rcu._slots cimport attach, detach
from rcu.torture._field cimport (
    RCU_POISONED, TOO_OLD, Field, begin, draw, rcu_thing, rcu_thing_dereference, rcu_thing_look, rcu_thing_stamp,
    scatter,
)

cdef enum:
    AGES = 8            # of the histogram; the last stands for all above
    REST_PERIODS = 4    # at most, that a thread stays idle for: longer than it takes to be parked
    REST = 10_000       # turns, at most, that it does
    OVERSTAY = 200_000  # turns, at most, that a section lasts
    YIELD = 8192        # turns until others are let in, which may take a while
    LONG = 3000         # turns, more, of a section that began late


@cython.final
cdef class Reader:
    """Reads a field in sections of all kinds, until told to stop.

    :param other: a second field, whose sections are nested in the first one's.
    :param hold: most turns that a section lasts, but for some that wait for a grace period to begin.
    :param limit: so many sections; 0: until the field is stopped.
    :param die: return inside a section, which the thread's end has to end.
    """

    cdef readonly Field field
    cdef readonly Field other
    cdef uint64_t state, hold, limit, done
    cdef bint die, idled
    cdef uint64_t nested, crossed, overlapped, overtaken, unparked, quiesced, detached, rested
    cdef uint64_t[AGES] ages

    def __cinit__(self, Field field not None, uint64_t seed, *, Field other=None, uint64_t hold=32, uint64_t limit=0,
                  bint die=False):
        self.field = field
        self.other = other
        self.state = begin(seed)
        self.hold = hold
        self.limit = limit
        self.die = die

    def run(self):
        """Reads on the calling thread."""
        cdef rcu_slot *slot = attached(self.field.domain.engine, self.field.domain.name)
        cdef rcu_slot *crossing = NULL
        if self.other is not None:
            crossing = attached(self.other.domain.engine, self.other.domain.name)
        with nogil:
            while rcu_load_relaxed(&self.field.stopped) == 0 and (self.limit == 0 or self.done < self.limit):
                self.section(slot, crossing)
                rcu_store_relaxed(&self.done, self.done + 1)
                slot = self.pause(slot)
            if self.die:
                rcu_enter(slot)
                rcu_enter(slot)
        return self

    cdef void section(self, rcu_slot *slot, rcu_slot *crossing) noexcept nogil:
        cdef rcu_domain *domain = self.field.domain.engine
        cdef uint64_t chance = draw(&self.state)
        cdef rcu_thing *thing
        cdef uint64_t stamp, age, turn, _
        cdef uint64_t turns = (chance >> 32) % (self.hold + 1)
        cdef bint parked = rcu_load_relaxed(&slot.parked) != 0
        if self.idled or chance % 32 == 3:
            # What orders the begin of a section with its loads is then put to the test.
            self.idled = False
            turns += LONG
            scatter(chance >> 40)
        rcu_enter(slot)
        thing = rcu_thing_dereference(&self.field.current)
        stamp = rcu_thing_stamp(thing)
        self.check(self.field, thing, stamp)
        if chance % 16 == 0:
            self.nested += 1
            rcu_enter(slot)
            self.glance(self.field)
            if chance % 32 == 0:
                rcu_exit(slot)
        if crossing is not NULL and chance % 8 == 1:
            self.crossed += 1
            rcu_enter(crossing)
            self.glance(self.other)
            rcu_exit(crossing)
        if chance % 4096 == 2:
            # Long enough for a leader to begin a period, and to see that it must sleep.
            turn = 0
            while turn < OVERSTAY and rcu_load_relaxed(&slot.awaited) == 0:
                turn += 1
                if turn % YIELD == 0:
                    rcu_thread_yield()
                    self.check(self.field, thing, stamp)
        for _ in range(turns):
            if rcu_thing_stamp(thing) != stamp:
                break
        self.check(self.field, thing, stamp)
        age = rcu_load_relaxed(&thing.age)
        self.ages[min(age, <uint64_t>(AGES - 1))] += 1
        if age >= TOO_OLD:
            self.field.report(stamp, stamp, age)
        if thing != rcu_thing_dereference(&self.field.current):
            self.overtaken += 1
        if rcu_load_relaxed(&domain.gp_seq) != rcu_load_relaxed(&slot.seq) & ~RCU_SEQ_BUSY:
            self.overlapped += 1
        self.unparked += parked
        if chance % 16 == 0 and chance % 32 != 0:
            rcu_exit(slot)
        rcu_exit(slot)

    cdef void glance(self, Field field) noexcept nogil:
        cdef rcu_thing *thing = rcu_thing_dereference(&field.current)
        self.check(field, thing, rcu_thing_stamp(thing))

    cdef void check(self, Field field, rcu_thing *thing, uint64_t stamp) noexcept nogil:
        cdef uint64_t found = rcu_thing_look(thing, stamp)
        if found != stamp or stamp == RCU_POISONED:
            field.report(stamp, found, rcu_load_relaxed(&thing.age))

    cdef rcu_slot *pause(self, rcu_slot *slot) noexcept nogil:
        """What a thread does between sections; returns its slot."""
        cdef rcu_domain *domain = self.field.domain.engine
        cdef uint64_t chance = draw(&self.state) >> 32
        cdef uint64_t turn, until
        cdef rcu_slot *again
        # A leader that set the flag too late takes it back by itself. Had the end of the section not been told, the
        # flag would stay, and this thread get no further.
        while rcu_load_relaxed(&slot.awaited) != 0 and rcu_load_relaxed(&self.field.stopped) == 0:
            rcu_thread_yield()
        if chance % 64 == 0:
            self.quiesced += 1
            self.idled = True
            quiesce(slot)
        elif chance % 8192 == 1:
            self.detached += 1
            detach(slot)
            again = attach(domain)
            while again is NULL:  # no memory now
                again = attach(domain)
            return again
        elif chance % 1024 == 2:
            # Idle, some until leaders park it.
            self.rested += 1
            self.idled = True
            until = rcu_load_relaxed(&domain.gp_done) + (1 + (chance >> 10) % REST_PERIODS) * RCU_SEQ_STEP
            turn = 0
            while rcu_load_relaxed(&domain.gp_done) < until and turn < REST:
                turn += 1
        return slot

    @property
    def progress(self):
        """Sections begun and ended so far; may be asked while it runs."""
        return rcu_load_relaxed(&self.done)

    def counts(self):
        """What it did, by name; to be asked when `run` has returned."""
        return {
            "sections": self.done,
            "nested": self.nested,
            "crossed": self.crossed,
            "overlapped": self.overlapped,
            "overtaken": self.overtaken,
            "unparked": self.unparked,
            "quiesced": self.quiesced,
            "detached": self.detached,
            "rested": self.rested,
        }

    def histogram(self):
        """How many sections ended with an object of each pipe age, as a list."""
        return [self.ages[i] for i in range(AGES)]


def enter_awaited(Field field not None):
    """Enters as a thread does that leaves the quiesced state just when a leader begins to wait for it.

    Returns whether it is in a section then, with the newest number, and has told the leader.
    """
    cdef rcu_domain *domain = field.domain.engine
    cdef rcu_slot *slot = attached(domain, field.domain.name)
    quiesce(slot)
    rcu_store_relaxed(&domain.unready, 1)
    rcu_store_relaxed(&slot.awaited, 1)
    rcu_enter(slot)
    cdef bint held = rcu_held(slot)
    cdef bint newest = rcu_load_relaxed(&slot.seq) & ~RCU_SEQ_BUSY == rcu_load_relaxed(&domain.gp_seq)
    cdef bint told = rcu_load_relaxed(&slot.awaited) == 0 and rcu_load_relaxed(&domain.unready) == 0
    if held:
        rcu_exit(slot)
    return held, newest, told
