# cython: language_level=3
"""The flavor of the barriers: chosen once, at import, from what the system grants."""

import os

from libc.stdio cimport fprintf, stderr
from libc.stdlib cimport abort


cdef extern from "rcu/barrier.h" nogil:
    const char *RCU_HEAVY_FLAVOR
    const char *RCU_FENCE_FLAVOR
    int rcu_heavy_prepare() noexcept
    int rcu_heavy_barrier() noexcept
    void rcu_full_barrier() noexcept

cdef bint fence = False
cdef int broken = 0  # why a fork child has no heavy barrier


cdef bint fence_flavor() noexcept nogil:
    return fence


cdef void prepare_again() noexcept nogil:
    # A child that only goes on to exec never needs it, so a refusal is no error yet.
    global broken
    if not fence:
        broken = rcu_heavy_prepare()


cdef void heavy_barrier() noexcept nogil:
    cdef int error
    if fence:
        # [E] of the fence flavor: each reader fences by itself, at [F] and in exit_slow. The leader's fence at [D]
        # would do for both; this one keeps the pairs of [E] the same in each flavor.
        rcu_full_barrier()
        return
    error = broken if broken != 0 else rcu_heavy_barrier()
    if error != 0:
        give_up(error)


cdef void give_up(int error) noexcept nogil:
    # It worked at import and is refused now, as by a filter installed since. Readers do not fence, so no grace
    # period can be told any more, and to go on would mean to free what is being read.
    fprintf(stderr, b"rcu: the %s barrier is refused (error %d) but was granted when rcu was imported; import rcu "
                    b"after the filter is installed, or set RCU_FLAVOR=fence\n", RCU_HEAVY_FLAVOR, error)
    abort()


cdef str flavor_name():
    return (RCU_FENCE_FLAVOR if fence else RCU_HEAVY_FLAVOR).decode()


cdef bint choose_flavor() except -1:
    wanted = os.environ.get("RCU_FLAVOR", "")
    if wanted not in ("", "fence"):
        raise ImportError(f"RCU_FLAVOR={wanted!r} in the environment: the only value is 'fence'; unset it to let rcu "
                          "choose the best barrier that the system grants")
    return wanted == "fence" or rcu_heavy_prepare() != 0


fence = choose_flavor()
