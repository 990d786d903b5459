# cython: language_level=3
"""Logs: where callbacks and references of Python wait for their grace period.

A log is a block of words that one thread appends to and one reclaimer reads: a callable with its arguments, or a
reference to drop. The thread needs no lock, and no memory for most of what it defers. Registers itself with the engine.
"""

from libc.stdint cimport uint64_t

from rcu._headers cimport rcu_head

cdef enum:
    WORDS = 122        # of an ordinary log: with its head, 1 KiB
    CALL_WORDS = 3     # of a callback, before its arguments: the callable, their number, the names of some
    MARK = 1           # on a reference: it is to be dropped, not called

cdef struct Log:
    rcu_head head
    uint64_t used      # words; CLOSED once the reclaimer has taken it. Its thread appends by compare-and-exchange
    uint64_t end       # `used`, when it was closed
    uint64_t begun     # words, by the reclaimer
    uint64_t parties   # its thread and the reclaimer: the last to leave it frees it
    uint64_t quiet     # 1: it is a notice, and no callback that anyone counts
    uint64_t room
    size_t words[WORDS]

# Without a thread state; the references in the words are the log's from then on.
cdef Log *new_log(uint64_t words, uint64_t parties) noexcept nogil             # with room for so many; NULL: no memory
cdef bint append(Log *log, const size_t *words, uint64_t n) noexcept nogil    # False: it is closed, or full
cdef void leave_log(void *log) noexcept nogil                                 # one party less
