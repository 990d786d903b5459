# cython: language_level=3
"""Sections through the interface that other people's extensions use."""

from libc.stdint cimport uint64_t

from rcu cimport rcu_domain, rcu_domain_of, rcu_import
from rcu._headers cimport rcu_clock


cdef extern from "native/slots.h" nogil:
    uint64_t rcu_bench_known(rcu_domain *domain, uint64_t n) noexcept
    uint64_t rcu_bench_asked(rcu_domain *domain, uint64_t n) noexcept
    uint64_t rcu_bench_stores(rcu_domain *domain, uint64_t n) noexcept
    uint64_t rcu_bench_nothing(rcu_domain *domain, uint64_t n) noexcept


ctypedef uint64_t (*Loop)(rcu_domain *domain, uint64_t n) noexcept nogil


cdef double seconds(Loop loop, object domain, uint64_t n) except -1:
    cdef rcu_domain *engine = rcu_domain_of(domain)
    cdef uint64_t began, took, read
    with nogil:
        began = rcu_clock()
        read = loop(engine, n)
        took = rcu_clock() - began
    if read != n:
        raise AssertionError(f"{n} sections have read {read} times")
    return took / 1e9


def time_known(domain, n):
    """Seconds that `n` sections take on a known slot; `n` is a multiple of 8."""
    return seconds(rcu_bench_known, domain, n)


def time_asked(domain, n):
    """... on a slot that each asks for."""
    return seconds(rcu_bench_asked, domain, n)


def time_stores(domain, n):
    """... with two plain stores in their place."""
    return seconds(rcu_bench_stores, domain, n)


def time_nothing(domain, n):
    """... without them."""
    return seconds(rcu_bench_nothing, domain, n)


rcu_import()
