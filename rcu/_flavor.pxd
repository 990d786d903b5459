# cython: language_level=3
"""The flavor of the barriers: chosen once, at import, from what the system grants.

Callable with or without a thread state; none blocks, and the process ends with a message where a barrier that
was granted at import is refused later.
"""

cdef bint fence_flavor() noexcept nogil   # True: readers fence, there is no heavy barrier
cdef void heavy_barrier() noexcept nogil  # of this flavor
cdef void prepare_again() noexcept nogil  # in a fork child
cdef str flavor_name()
