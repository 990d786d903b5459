# cython: language_level=3
"""Seconds as callers give them, and nanoseconds as the engine counts them."""

from libc.stdint cimport uint64_t

# RCU_NEVER for more than the clock can count; `otherwise` is what a message adds to the number that it asks for
cdef uint64_t nanoseconds(str what, object seconds, str otherwise=*) except? 0
cdef uint64_t deadline(uint64_t ns) noexcept nogil  # so long from now
