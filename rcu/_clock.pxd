# cython: language_level=3
"""Seconds as callers give them, and nanoseconds as the engine counts them."""

from libc.stdint cimport uint64_t

cdef uint64_t nanoseconds(str what, object seconds) except? 0  # RCU_NEVER for more than the clock can count
cdef uint64_t deadline(uint64_t ns) noexcept                   # so long from now
