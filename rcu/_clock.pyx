# cython: language_level=3
"""Seconds as callers give them, and nanoseconds as the engine counts them."""

from libc.math cimport isnan
from libc.stdint cimport uint64_t

from rcu._headers cimport RCU_NEVER, RCU_NS_PER_SECOND, rcu_clock


cdef uint64_t deadline(uint64_t ns) noexcept nogil:
    cdef uint64_t now = rcu_clock()
    return now + ns if ns < RCU_NEVER - now else RCU_NEVER


cdef uint64_t nanoseconds(str what, object seconds, str otherwise="or None") except? 0:
    """Seconds as a caller gives them; RCU_NEVER for more than the clock can count."""
    cdef double value
    try:
        value = seconds
    except TypeError:
        raise TypeError(f"{what} must be a number of seconds {otherwise}, not {type(seconds).__name__} "
                        f"{seconds!r}") from None
    except OverflowError:
        value = float("inf") if seconds > 0 else float("-inf")
    if isnan(value) or value < 0:
        raise ValueError(f"{what} must be a number of seconds of at least 0, {otherwise}, not {seconds!r}")
    value *= RCU_NS_PER_SECOND
    return <uint64_t>value if value < 2.0**63 else RCU_NEVER
