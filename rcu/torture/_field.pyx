# cython: language_level=3
"""What a torture is about. See the .pxd for the map."""

cimport cython
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from rcu._domain cimport Domain
from rcu._grace cimport Survey, poll, survey
from rcu._headers cimport rcu_fetch_add, rcu_load_relaxed, rcu_store_relaxed

cdef enum:
    LITTER = 256   # cache lines
    LITTERED = 32  # of them written at a time

cdef uint64_t last_stamp = 0
cdef uint64_t[LITTER * 8] litter


cdef void scatter(uint64_t chance) noexcept nogil:
    """Stores to lines that other processors hold: what is stored next, as by who begins a section, waits behind them
    in the store buffer, and becomes visible late."""
    cdef uint64_t i
    for i in range(LITTERED):
        rcu_store_relaxed(&litter[(chance + i * 37) % LITTER * 8], chance)


cdef uint64_t draw(uint64_t *state) noexcept nogil:
    """64 bits of Marsaglia's xorshift, multiplied."""
    state[0] ^= state[0] >> 12
    state[0] ^= state[0] << 25
    state[0] ^= state[0] >> 27
    return state[0] * <uint64_t>0x2545F4914F6CDD1D


cdef uint64_t begin(uint64_t seed) noexcept:
    """A state that is not 0, far from that of the seed next to it."""
    cdef uint64_t state = (seed + 1) * <uint64_t>0x9E3779B97F4A7C15
    return state if state else 1


@cython.final
cdef class Field:
    """What one domain protects here: a published object, and what was seen of it that must not be."""

    def __cinit__(self, Domain domain not None):
        self.domain = domain
        self.current = new_thing()
        if self.current is NULL:
            raise MemoryError("no memory for an object to read")

    def __dealloc__(self):
        free(self.current)

    def stop(self):
        """Makes all who read and update here return."""
        rcu_store_relaxed(&self.stopped, 1)

    @property
    def violations(self):
        """How many sections saw what they must not. May be asked at any time."""
        return rcu_load_relaxed(&self.broken)

    @property
    def first(self):
        """The first of them, in words."""
        found, age = rcu_load_relaxed(&self.found), rcu_load_relaxed(&self.age)
        what = "was freed (0xdb...)" if found == RCU_POISONED else f"had changed to {found:#x}"
        if found == self.stamp:
            what = "was whole"
        return f"a section met the object {self.stamp:#x} which {what}, {age} grace period(s) old, counting its removal"

    def counts(self):
        """What the engine counted in this domain, by name."""
        cdef Survey now
        survey(self.domain.engine, &now)
        return {
            "periods": now.periods,
            "heavy_barriers": now.counts.heavy_barriers,
            "barriers_skipped": now.counts.barriers_skipped,
            "shared": now.counts.shared_waits,
            "slept": now.counts.sleeps,
            "parked": now.counts.parkings,
            "resumed": now.counts.resumed,
            "abandoned": now.counts.abandoned,
        }

    def attached(self):
        """How many threads are attached now, and how many of them are in a section."""
        cdef Survey now
        survey(self.domain.engine, &now)
        return now.threads, now.active

    def nudge(self, uint64_t cookie):
        """Drives the domain as far as that goes without a heavy barrier; is the cookie's period over?"""
        return poll(self.domain.engine, cookie, False)

    cdef void report(self, uint64_t stamp, uint64_t found, uint64_t age) noexcept nogil:
        if rcu_fetch_add(&self.broken, 1) == 0:
            rcu_store_relaxed(&self.stamp, stamp)
            rcu_store_relaxed(&self.found, found)
            rcu_store_relaxed(&self.age, age)


cdef rcu_thing *new_thing() noexcept nogil:
    cdef rcu_thing *thing = <rcu_thing *>malloc(sizeof(rcu_thing))
    if thing is not NULL:
        rcu_thing_make(thing, rcu_fetch_add(&last_stamp, 1) + 1)
    return thing
