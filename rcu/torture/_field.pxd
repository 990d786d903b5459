# cython: language_level=3
"""What a torture is about: a published object, replaced and freed while sections read it.

After the kernel's rcutorture: an object's age counts the grace periods since it was removed, and no section may
meet one that is two grace periods old. Nothing inside a section is atomic in a way that would order anything:
what a section reads of an object are plain loads, and its age is relaxed.
"""

from libc.stdint cimport uint64_t

from rcu._domain cimport Domain
from rcu._headers cimport rcu_head

cdef extern from "native/thing.h" nogil:
    const uint64_t RCU_POISONED
    struct rcu_thing:
        uint64_t stamp, age
        rcu_head head
        void *tally
        uint64_t order, last
    rcu_thing *rcu_thing_of(rcu_head *head) noexcept
    void rcu_thing_make(rcu_thing *thing, uint64_t stamp) noexcept
    uint64_t rcu_thing_stamp(const rcu_thing *thing) noexcept
    uint64_t rcu_thing_look(const rcu_thing *thing, uint64_t stamp) noexcept
    rcu_thing *rcu_thing_dereference(rcu_thing **current) noexcept
    rcu_thing *rcu_thing_replace(rcu_thing **current, rcu_thing *with_) noexcept
    void rcu_thing_bury(rcu_thing *thing) noexcept

cdef enum:
    # Ages of an object.
    REMOVED = 1
    TOO_OLD = 2  # a section that meets it has been overlooked by a grace period

cdef class Field:
    """What one domain protects here."""
    cdef readonly Domain domain
    cdef rcu_thing *current
    cdef uint64_t stopped
    cdef uint64_t broken, found, stamp, age  # how many violations; the first

    cdef void report(self, uint64_t stamp, uint64_t found, uint64_t age) noexcept nogil  # a violation

cdef rcu_thing *new_thing() noexcept nogil   # NULL: no memory
cdef void scatter(uint64_t chance) noexcept nogil

# Draws, the same for the same seed.
cdef uint64_t begin(uint64_t seed) noexcept  # a state
cdef uint64_t draw(uint64_t *state) noexcept nogil
