# cython: language_level=3
"""What each thread knows of its slots: the one thread-local of the package.

The first domain's slot, and a small hash table by the domain's key for the others, of which some are at hand: in the
thread-local itself. It holds pointers and does not know what becomes of slots; a slot whose key is no longer that of
the entry is somebody else's, and the entry is as good as gone.

`find`, `thread_serial`, `is_left_behind` and what counts updates are for any moment; all else is called under the
registry's lock.
"""

from libc.stdint cimport intptr_t, uint64_t

from rcu._headers cimport rcu_slot

cdef rcu_slot *find(uint64_t key) noexcept nogil  # the calling thread's slot in a domain, or NULL
cdef intptr_t entry_at(uint64_t key) noexcept nogil  # where others find what is at hand: see this_thread.h
cdef void become_reclaimer() noexcept nogil       # the calling thread, for good
cdef bint reclaims() noexcept nogil               # is it one
cdef void begin_update() noexcept nogil           # the calling thread keeps writers waiting, until
cdef void end_update() noexcept nogil
cdef bint updates() noexcept nogil                # does it
cdef uint64_t thread_serial() noexcept nogil      # of the calling thread, never another's; 0: attached nowhere yet
cdef bint is_left_behind(uint64_t serial) noexcept nogil  # in a fork child: of a thread that it does not have
cdef uint64_t each_slot(uint64_t (*visit)(rcu_slot *slot) noexcept nogil) noexcept nogil  # its own; the sum

cdef int watch_threads(void (*ends)() noexcept nogil) noexcept nogil  # 0, or an error: a hook, once per process
cdef bint make_room() noexcept nogil              # for one more slot of the calling thread; False: no memory
cdef void remember(rcu_slot *slot) noexcept nogil  # after make_room
cdef void forget(uint64_t key) noexcept nogil     # what is there
cdef void forget_all() noexcept nogil             # at the calling thread's end
cdef void leave_others_behind() noexcept nogil    # in a fork child: the calling thread is all there is
