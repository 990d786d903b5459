# cython: language_level=3
"""The gate between callbacks and what must not happen in the midst of one: a fork, the end of the program.

Of all domains. A reclaimer passes it for each handful of callbacks. Knows no domain; its lock is taken last.
"""

from libc.stdint cimport uint64_t

# On the stack of a reclaimer's thread, between enter and leave.
cdef struct Passage:
    uint64_t ident
    Passage *next

# All of these may be called with or without a thread state.
cdef int gate_begin() noexcept nogil                     # 0, or an error: once, before any other handler of forks
cdef void enter(Passage *passage) noexcept nogil         # blocks while it is shut
cdef void leave(Passage *passage) noexcept nogil
cdef bint is_shut() noexcept nogil                       # whoever has entered leaves soon
# Shuts it, and waits until nobody is in it but the calling thread, or the rcu_clock() says `until`. True: nobody is.
cdef bint shut(uint64_t until) noexcept nogil
cdef void reopen() noexcept nogil                        # once for each shut, but not in a fork child: open there
cdef void count_busy(uint64_t change) noexcept nogil     # reclaimers that have work
# Around the end of a thread state, which must not meet the end of the interpreter. False: leave it to the interpreter.
cdef bint begin_leaving() noexcept nogil
cdef void end_leaving() noexcept nogil
cdef bint wait_idle(uint64_t until) noexcept nogil       # blocks; True: none has
