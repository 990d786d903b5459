# cython: language_level=3
"""Sections as Python sees them: what the reader's side raises, and Guard.

A guard knows its domain as an object and as an engine; the class Domain is the floor above.
"""

from libc.stdint cimport uint64_t

from rcu._headers cimport rcu_domain, rcu_slot

cdef rcu_slot *attached(rcu_domain *engine, object name) except NULL       # the calling thread's slot
cdef int end_section(uint64_t key, object name, str what) except -1        # SectionError where there is none
cdef str this_thread()                                                     # the calling one, for messages
cdef Guard new_guard(object domain, object name, rcu_domain *engine)

# TypeError, WrongThreadError, SectionError, unless it is an active guard of the calling thread and of the domain.
cdef int check_guard(object guard, rcu_domain *engine, object name, str what) except -1

cdef class Guard:
    cdef object _domain        # keeps the engine alive
    cdef object name           # of the domain
    cdef rcu_domain *engine
    cdef uint64_t thread       # serial of the one that made it
    cdef int state

    cdef void drop(self) noexcept
    cdef int check_thread(self, str what) except -1
    cdef int end(self) except -1
