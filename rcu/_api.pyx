# cython: language_level=3
"""The table of functions behind include/rcu/api.h, in a capsule. See the .pxd for the map."""

from cpython.exc cimport PyErr_Clear
from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport intptr_t, uint32_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport strlen

from rcu._calls cimport defer_reference
from rcu._cell cimport Cell, held_at
from rcu._clock cimport deadline
from rcu._deferred cimport barrier_at, close_domain, deferred_domain, enqueue, is_reclaimer, wait_for_batch
from rcu._domain cimport Domain
from rcu._grace cimport needed, poll, quiesce
from rcu._headers cimport (
    RCU_NS_PER_SECOND, RCU_SEQ_STEP, rcu_callback, rcu_clock, rcu_domain, rcu_head, rcu_held,
    rcu_load_relaxed, rcu_slot,
)
from rcu._heads cimport enqueue_checked
from rcu._sections cimport this_thread
from rcu._slots cimport attach, depth, detach, name_domain
from rcu._threads cimport find
from rcu._waits cimport Waiter, ask, name_of, report_from_engine, wait_for_period

from rcu._domain import default_domain
from rcu.errors import DeadlockError, RcuError


cdef extern from "Python.h":
    ctypedef struct PyObject
    ctypedef struct PyThreadState
    ctypedef struct PyTypeObject
    PyThreadState *PyThreadState_GetUnchecked() noexcept nogil
    PyThreadState *PyEval_SaveThread() noexcept nogil
    void PyEval_RestoreThread(PyThreadState *state) noexcept nogil
    bint Py_IsFinalizing() noexcept nogil

cdef extern from "rcu/api.h" nogil:
    const char *RCU_CAPSULE
    const char *RCU_VERSION
    const uint32_t RCU_ABI
    const int RCU_DONE, RCU_IN_SECTION, RCU_IN_CALLBACK, RCU_TIMED_OUT, RCU_FINALIZING
    struct rcu_api:
        uint32_t abi, size
        const char *version
        uint64_t slot_size, head_size
        rcu_domain *default_domain
        rcu_domain *(*domain_new)(const char *name) noexcept nogil
        void (*domain_free)(rcu_domain *domain) noexcept nogil
        rcu_domain *(*domain_of)(PyObject *domain) except NULL
        rcu_slot *(*this_slot)(rcu_domain *domain) noexcept nogil
        int (*unregister_thread)(rcu_domain *domain) noexcept nogil
        void (*quiesce)(rcu_slot *slot) noexcept nogil
        int (*synchronize)(rcu_domain *domain, uint64_t timeout_ns) noexcept nogil
        uint64_t (*start_poll)(rcu_domain *domain) noexcept nogil
        int (*poll)(rcu_domain *domain, uint64_t cookie) noexcept nogil
        void (*call)(rcu_domain *domain, rcu_head *head, rcu_callback func) noexcept nogil
        void (*call_checked)(rcu_domain *domain, rcu_head *head, rcu_callback func) noexcept nogil
        int (*retire)(rcu_domain *domain, PyObject *obj) noexcept nogil
        int (*barrier)(rcu_domain *domain, uint64_t timeout_ns) noexcept nogil
        int (*check)(rcu_domain *domain, int outcome, const char *what) except -1
        PyTypeObject *cell_type
        intptr_t cell_value_at
        rcu_domain *(*cell_domain)(PyObject *cell) noexcept nogil

cdef extern from *:
    """
    /* In Cython a cell's type is an object like others. */
    #define RCU_TYPE_OF_CELLS(type) ((PyTypeObject *)(type))
    """
    PyTypeObject *RCU_TYPE_OF_CELLS(object type) noexcept


cdef uint64_t NAP_NS = RCU_NS_PER_SECOND // 20       # how often who waits looks for what to report
cdef uint64_t SHORTEST_NAP_NS = RCU_NS_PER_SECOND // 1000
cdef uint64_t NAPS_PER_STALL = 16

cdef enum:
    NAME_ROOM = 32  # for one that the package gives

VERSION = RCU_VERSION.decode()
ABI = RCU_ABI


# ---- domains, threads ----------------------------------------------------------------------------------------------

cdef rcu_domain *new_domain(const char *name) noexcept nogil:
    cdef char[NAME_ROOM] given
    cdef rcu_domain *domain = deferred_domain()
    if domain == NULL:
        return NULL
    if name == NULL:
        snprintf(given, NAME_ROOM, b"domain-%llu", <unsigned long long>domain.key)
        name = given
    if not name_domain(domain, name, strlen(name)):
        close_domain(domain)
        return NULL
    return domain


cdef rcu_domain *domain_of(PyObject *domain) except NULL:
    if type(<object>domain) is not Domain:
        PyErr_Clear()  # no Python may run with an exception set
        raise TypeError(f"rcu_domain_of() takes an rcu.Domain, not {type(<object>domain).__name__} {<object>domain!r}")
    return (<Domain>domain).engine


cdef int unregister_thread(rcu_domain *domain) noexcept nogil:
    cdef rcu_slot *slot = find(domain.key)
    if slot == NULL:
        return RCU_DONE
    if rcu_held(slot):
        return RCU_IN_SECTION
    detach(slot)
    return RCU_DONE


# ---- waits ---------------------------------------------------------------------------------------------------------

cdef int wait_detached(
    rcu_domain *domain, Waiter waiter, uint64_t what, uint64_t until, bint needs_python,
) noexcept nogil:
    """In naps, between which stalls are reported, without the thread state that the caller may have."""
    cdef PyThreadState *state = PyEval_SaveThread() if PyThreadState_GetUnchecked() != NULL else NULL
    cdef uint64_t stall_ns = rcu_load_relaxed(&domain.stall_ns)
    cdef uint64_t nap = NAP_NS
    cdef int outcome = RCU_DONE
    if stall_ns != 0:
        nap = min(nap, max(stall_ns // NAPS_PER_STALL, SHORTEST_NAP_NS))
    while not waiter(domain, what, min(until, rcu_clock() + nap)):
        if rcu_clock() >= until:
            outcome = RCU_TIMED_OUT
            break
        if needs_python and Py_IsFinalizing():
            outcome = RCU_FINALIZING
            break
        report_from_engine(domain)
    if state != NULL:
        PyEval_RestoreThread(state)
    return outcome


cdef int step_aside(rcu_domain *domain) noexcept nogil:
    cdef rcu_slot *slot = find(domain.key)
    if slot != NULL:
        if rcu_held(slot):
            return RCU_IN_SECTION
        quiesce(slot)
    return RCU_DONE


cdef int synchronize(rcu_domain *domain, uint64_t timeout_ns) noexcept nogil:
    cdef int outcome = step_aside(domain)
    cdef uint64_t need
    if outcome == RCU_DONE:
        need = needed(domain)
        # Without a busy reader this is all, and not worth detaching the thread state.
        if not poll(domain, need, False):
            outcome = wait_detached(domain, wait_for_period, need, deadline(timeout_ns), False)
    return outcome


cdef int ask_for_period(rcu_domain *domain, uint64_t cookie) noexcept nogil:
    # One that start_poll() of this domain cannot have given would have period after period driven to reach it. Relaxed:
    # who was handed a cookie, with the order that handing over has, sees gp_seq at least as new as its maker did;
    # without that order this may be too old, and says no where a later call says yes.
    return cookie <= rcu_load_relaxed(&domain.gp_seq) + RCU_SEQ_STEP and ask(domain, cookie)


cdef int retire(rcu_domain *domain, PyObject *obj) noexcept nogil:
    return 0 if defer_reference(domain, obj) else -1


cdef int barrier(rcu_domain *domain, uint64_t timeout_ns) noexcept nogil:
    cdef int outcome = step_aside(domain)
    cdef uint64_t batch
    if outcome == RCU_DONE and is_reclaimer(domain):
        outcome = RCU_IN_CALLBACK
    if outcome == RCU_DONE:
        batch = barrier_at(domain)
        if batch != 0:
            outcome = wait_detached(domain, wait_for_batch, batch, deadline(timeout_ns), True)
    return outcome


# ---- exceptions, cells ---------------------------------------------------------------------------------------------

cdef int raise_outcome(rcu_domain *domain, int outcome, const char *what) except -1:
    PyErr_Clear()  # as PyErr_SetString() does; and no Python may run with an exception set
    cdef rcu_slot *slot = find(domain.key)
    where = f"domain {name_of(domain)!r}: {what.decode('utf-8', 'replace')}"
    if outcome == RCU_DONE:
        return 0
    if outcome == RCU_IN_SECTION:
        raise DeadlockError(f"{where} by {this_thread()}, which is in {depth(slot) if slot is not NULL else 0} nested "
                            "section(s) of this domain; leave them first")
    if outcome == RCU_IN_CALLBACK:
        raise DeadlockError(f"{where} in a callback of this domain, which is part of what it would wait for")
    if outcome == RCU_TIMED_OUT:
        raise TimeoutError(f"{where} did not end in time; the domain is as before")
    if outcome == RCU_FINALIZING:
        raise RcuError(f"{where} while the interpreter is taken down: callbacks do not run any more; call it before, "
                       "at the latest in a function for atexit")
    raise SystemError(f"{where}: {outcome} is no outcome of a wait")


cdef rcu_domain *domain_of_cell(PyObject *cell) noexcept nogil:
    return (<Cell>cell).engine


cdef rcu_api functions
functions.abi = RCU_ABI
functions.size = sizeof(rcu_api)
functions.version = RCU_VERSION
functions.slot_size = sizeof(rcu_slot)
functions.head_size = sizeof(rcu_head)
functions.default_domain = (<Domain>default_domain).engine
functions.domain_new = new_domain
functions.domain_free = close_domain
functions.domain_of = domain_of
functions.this_slot = attach
functions.unregister_thread = unregister_thread
functions.quiesce = quiesce
functions.synchronize = synchronize
functions.start_poll = needed
functions.poll = ask_for_period
functions.call = enqueue
functions.call_checked = enqueue_checked
functions.retire = retire
functions.barrier = barrier
functions.check = raise_outcome
functions.cell_type = RCU_TYPE_OF_CELLS(Cell)
functions.cell_value_at = held_at()
functions.cell_domain = domain_of_cell

table = PyCapsule_New(&functions, RCU_CAPSULE, NULL)
