# cython: language_level=3
"""Waits as Python sees them: naps between which signals are handled and stalls reported. See the .pxd for the map."""

import threading

from cpython.exc cimport PyErr_CheckSignals
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint64_t

from rcu._clock cimport deadline, nanoseconds
from rcu._grace cimport COMPLETED, awaited, is_over, poll, quiesce, stalled, take_abandoned, wait
from rcu._headers cimport (
    RCU_NEVER, RCU_NS_PER_SECOND, rcu_awaited, rcu_clock, rcu_held, rcu_load_relaxed, rcu_thread_ident,
)
from rcu._sections cimport this_thread
from rcu._slots cimport depth, visit_mine
from rcu._threads cimport find

from rcu.diagnostics import describe_threads, log_abandoned, log_stall
from rcu.errors import DeadlockError


cdef extern from "Python.h":
    bint Py_IsFinalizing() noexcept nogil
    PyObject *PyErr_GetRaisedException() noexcept
    void PyErr_SetRaisedException(PyObject *raised) noexcept

# A wait looks up this often: the main thread for signals, every other for a stall to report. Who waits is woken
# when the period is over; the nap is not how long that takes.
cdef uint64_t NAP_NS = RCU_NS_PER_SECOND
cdef uint64_t MAIN_NAP_NS = RCU_NS_PER_SECOND // 20
cdef uint64_t SHORTEST_NAP_NS = RCU_NS_PER_SECOND // 1000
cdef uint64_t NAPS_PER_STALL = 16

cdef enum:
    NAMED_THREADS = 8  # so many does a report name; it says how many more there are


cdef object main_thread = threading.main_thread  # where the end of the program, which waits, too, does not clear it


cdef str name_of(const rcu_domain *domain):
    try:
        return PyUnicode_DecodeUTF8(domain.label, domain.label_size, "surrogatepass")
    except UnicodeDecodeError:  # C may have named it anything
        return PyUnicode_DecodeUTF8(domain.label, domain.label_size, "backslashreplace")


cdef bint wait_in_naps(rcu_domain *domain, Waiter waiter, uint64_t what, uint64_t until) except -1:
    cdef uint64_t nap = MAIN_NAP_NS if rcu_thread_ident() == main_thread().ident else NAP_NS
    cdef uint64_t wake, stall_ns
    cdef bint over
    while True:
        stall_ns = rcu_load_relaxed(&domain.stall_ns)
        if stall_ns != 0:
            nap = min(nap, max(stall_ns // NAPS_PER_STALL, SHORTEST_NAP_NS))
        wake = min(until, rcu_clock() + nap)
        with nogil:
            over = waiter(domain, what, wake)
        if over:
            return True
        PyErr_CheckSignals()
        report(domain)
        if rcu_clock() >= until:
            return False


cdef bint wait_for_period(rcu_domain *domain, uint64_t need, uint64_t until) noexcept nogil:
    return wait(domain, need, until) == COMPLETED


cdef int wait_until_over(rcu_domain *domain, uint64_t need, object timeout, str what) except -1:
    cdef uint64_t until = deadline(RCU_NEVER if timeout is None else nanoseconds("timeout", timeout))
    step_aside(domain, what)
    # Without a busy reader this is all, and not worth detaching the thread state.
    if not poll(domain, need, False) and not wait_in_naps(domain, wait_for_period, need, until):
        raise TimeoutError(f"domain {name_of(domain)!r}: {what}: no grace period completed within {timeout!r} s; still "
                           f"waited for: {waited_for(domain)}")
    return 0


cdef bint ask(rcu_domain *domain, uint64_t need) noexcept nogil:
    cdef rcu_slot *slot
    if is_over(domain, need):
        return True
    slot = find(domain.key)
    if slot is not NULL:
        quiesce(slot)  # if it is in no section: lest it interrupts itself
    return poll(domain, need, True)


cdef int step_aside(rcu_domain *domain, str what) except -1:
    cdef rcu_slot *slot = find(domain.key)
    if slot is not NULL:
        if rcu_held(slot):
            raise DeadlockError(f"domain {name_of(domain)!r}: {what} by {this_thread()}, which is in {depth(slot)} "
                                "nested section(s) of this domain and would wait for itself; leave them first")
        quiesce(slot)
    return 0


cdef uint64_t quiesce_or_count(rcu_slot *slot) noexcept nogil:
    quiesce(slot)
    return rcu_held(slot)


def quiesce_thread():
    """Quiesces the calling thread in all its domains; True: it is in a section of one, and is not quiesced there."""
    return visit_mine(quiesce_or_count) != 0


cdef int report(rcu_domain *domain) except -1:
    cdef uint64_t ident = 0
    cdef uint64_t gone = take_abandoned(domain, &ident)
    cdef uint64_t stall_ns = rcu_load_relaxed(&domain.stall_ns)
    cdef uint64_t age = stalled(domain, stall_ns) if stall_ns != 0 else 0
    return say(domain, gone, ident, age)


cdef int say(rcu_domain *domain, uint64_t gone, uint64_t ident, uint64_t age) except -1:
    if gone != 0:
        log_abandoned(name_of(domain), ident, gone)
    if age != 0:
        log_stall(name_of(domain), age / <double>RCU_NS_PER_SECOND, *threads_waited_for(domain))
    return 0


cdef void report_from_engine(rcu_domain *domain) noexcept nogil:
    # Asks the engine first: Python is not bothered where there is nothing to say.
    cdef uint64_t ident = 0
    cdef uint64_t gone = take_abandoned(domain, &ident)
    cdef uint64_t stall_ns = rcu_load_relaxed(&domain.stall_ns)
    cdef uint64_t age = stalled(domain, stall_ns) if stall_ns != 0 else 0
    if (gone != 0 or age != 0) and not Py_IsFinalizing():
        say_unraisable(domain, gone, ident, age)


cdef void say_unraisable(rcu_domain *domain, uint64_t gone, uint64_t ident, uint64_t age) noexcept with gil:
    # Who waits in C may have an exception set, with which no Python may run: a lock's __enter__ would fail, locked.
    cdef PyObject *raised = PyErr_GetRaisedException()
    try_to_say(domain, gone, ident, age)
    PyErr_SetRaisedException(raised)


cdef void try_to_say(rcu_domain *domain, uint64_t gone, uint64_t ident, uint64_t age) noexcept:
    say(domain, gone, ident, age)


cdef tuple threads_waited_for(rcu_domain *domain):
    """Threads that the grace period under way waits for, (ident, native id) each; and how many they are."""
    cdef rcu_awaited[NAMED_THREADS] room
    cdef uint64_t total = awaited(domain, room, NAMED_THREADS)
    cdef uint64_t i
    return [(room[i].ident, room[i].native_id) for i in range(min(total, NAMED_THREADS))], total


cdef str waited_for(rcu_domain *domain):
    return describe_threads(*threads_waited_for(domain))
