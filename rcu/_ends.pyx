# cython: language_level=3
"""Where deferred work meets forks and the end of the program: nothing is lost, and nothing is run twice.

At import, this registers itself with the interpreter for both.
"""

import atexit
import os
import sys

from libc.stdint cimport uint64_t

from rcu._clock cimport deadline, nanoseconds
from rcu._deferred cimport Backlog, barrier_at, look, start_again
from rcu._gate cimport reopen, shut, wait_idle
from rcu._headers cimport RCU_NEVER, RCU_NS_PER_SECOND, rcu_clock, rcu_domain, rcu_load_relaxed
from rcu._reclaim cimport hasten
from rcu._slots cimport each_domain

from rcu.diagnostics import log_exit

cdef uint64_t FORK_PATIENCE_NS = RCU_NS_PER_SECOND
cdef uint64_t exit_timeout_ns = 5 * RCU_NS_PER_SECOND


def before_fork():
    """Lets callbacks that run come to their end, so that each runs once in the parent and once in the child. Not for
    ever: one of them might wait for the thread that forks."""
    with nogil:
        shut(rcu_clock() + FORK_PATIENCE_NS)


def after_fork_in_parent():
    reopen()


def after_fork_in_child():
    start_again()
    # Children of multiprocessing begin by forgetting what is to be done at their end, and then call what is put here.
    processes = sys.modules.get("multiprocessing.util")
    if processes is not None:
        processes.register_after_fork(at_exit, atexit.register)


def set_exit_timeout(seconds):
    """Sets how long the end of the program waits for what is still deferred; 5 seconds at first.

    :param seconds: a real number; ``None``: as long as it takes. 0: not at all.
    :raises TypeError, ValueError: `seconds` is not a number, or is negative or NaN.
    """
    global exit_timeout_ns
    exit_timeout_ns = RCU_NEVER if seconds is None else nanoseconds("seconds", seconds)


cdef uint64_t left_at_exit = 0
cdef bint not_started = False  # the system starts no thread for someone's callbacks


cdef void count_left(rcu_domain *domain) noexcept nogil:
    global left_at_exit
    cdef Backlog backlog
    look(domain, &backlog)
    left_at_exit += backlog.pending


def at_exit():
    """Has everything deferred run before modules are torn down."""
    global left_at_exit
    cdef uint64_t until = deadline(exit_timeout_ns)
    cdef bint done
    with nogil:
        each_domain(hasten_pending)
        done = wait_idle(until)
    if not done or not_started:
        left_at_exit = 0
        each_domain(count_left)
        log_exit(exit_timeout_ns / <double>RCU_NS_PER_SECOND, left_at_exit)


cdef void hasten_pending(rcu_domain *domain) noexcept nogil:
    global not_started
    # One that nobody holds is about to be freed.
    if rcu_load_relaxed(&domain.holders) != 0 and barrier_at(domain) != 0:
        if not hasten(domain):
            not_started = True


atexit.register(at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=before_fork, after_in_parent=after_fork_in_parent, after_in_child=after_fork_in_child)
