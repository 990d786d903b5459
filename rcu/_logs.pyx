# cython: language_level=3
"""Logs: where callbacks and references of Python wait for their grace period. See the .pxd for the map."""

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from rcu._garbage cimport collect_if_due, collects_at, drop_reference
from rcu._gate cimport begin_leaving, end_leaving, is_shut
from rcu._headers cimport (
    rcu_compare_exchange, rcu_domain, rcu_exchange, rcu_exit, rcu_fetch_add, rcu_fetch_sub, rcu_head, rcu_held,
    rcu_load_relaxed, rcu_reclaimer, rcu_slot, rcu_store_relaxed, rcu_store_release,
)
from rcu._queue cimport Logs, use_logs
from rcu._reclaim cimport Python, use_python
from rcu._slots cimport depth
from rcu._threads cimport find
from rcu._waits cimport name_of, report_from_engine

from rcu.errors import SectionError


cdef extern from "Python.h":
    ctypedef int PyGILState_STATE
    ctypedef struct PyThreadState
    PyGILState_STATE PyGILState_Ensure() noexcept nogil
    void PyGILState_Release(PyGILState_STATE state) noexcept nogil
    PyThreadState *PyEval_SaveThread() noexcept nogil
    void PyEval_RestoreThread(PyThreadState *state) noexcept nogil
    bint Py_IsFinalizing() noexcept nogil
    PyObject *PyObject_Vectorcall(PyObject *func, PyObject *const *arguments, size_t count, PyObject *names) noexcept
    void PyErr_WriteUnraisable(PyObject *where) noexcept
    void Py_DECREF(PyObject *obj) noexcept
    void Py_XDECREF(PyObject *obj) noexcept
    Py_ssize_t PyTuple_GET_SIZE(PyObject *names) noexcept nogil


cdef uint64_t CLOSED = <uint64_t>-1


# ---- logs: without a thread state ----------------------------------------------------------------------------------

cdef void mark_of_logs(rcu_head *log) noexcept nogil:
    """The func of a log. It is not called: the reclaimer runs logs by run_log."""


cdef Log *new_log(uint64_t words, uint64_t parties) noexcept nogil:
    cdef uint64_t room = max(words, <uint64_t>WORDS)
    cdef Log *log = <Log *>malloc(sizeof(Log) + (room - WORDS) * sizeof(size_t))
    if log != NULL:
        log.head.func = mark_of_logs
        log.used = 0
        log.begun = 0
        log.parties = parties
        log.quiet = False
        log.room = room
    return log


cdef void close_log(rcu_head *head) noexcept nogil:
    cdef Log *log = <Log *>head
    log.end = rcu_exchange(&log.used, CLOSED)  # [T] with [H]: what was appended before is in this batch, nothing after


cdef void leave_log(void *log) noexcept nogil:
    if rcu_fetch_sub(&(<Log *>log).parties, 1) == 1:
        free(log)


cdef bint append(Log *log, const size_t *words, uint64_t n) noexcept nogil:
    cdef uint64_t used = rcu_load_relaxed(&log.used)
    cdef uint64_t i
    if used == CLOSED or n > log.room - used:
        return False
    for i in range(n):
        log.words[used + i] = words[i]
    # [H] with [T]: whoever closes it sees the words, and its grace period begins after what this thread did before.
    return rcu_compare_exchange(&log.used, used, used + n)


# ---- the reclaimer's side ------------------------------------------------------------------------------------------

cdef bint begin_python(void **state) noexcept nogil:
    if Py_IsFinalizing():
        return False
    if state[0] is NULL:
        PyGILState_Ensure()
        state[0] = PyEval_SaveThread()
    return True


cdef void end_python(void *state) noexcept nogil:
    if state is not NULL and begin_leaving():
        PyEval_RestoreThread(<PyThreadState *>state)
        PyGILState_Release(<PyGILState_STATE>1)
        end_leaving()


cdef bint run_log(rcu_reclaimer *self, rcu_head *head) noexcept nogil:
    cdef Log *log = <Log *>head
    cdef uint64_t turn = self.turn
    cdef bint done
    # A party of its own: if a callback forks, the child's next reclaimer may be done with the log before this one.
    rcu_fetch_add(&log.parties, 1)
    if log.begun < log.end:
        run_words(self, log, turn)
    done = self.turn == turn and log.begun == log.end
    leave_log(log)
    return done


cdef void run_words(rcu_reclaimer *self, Log *log, uint64_t turn) noexcept with gil:
    cdef size_t *words
    cdef rcu_slot *slot
    while self.turn == turn and log.begun < log.end and not is_shut():
        words = &log.words[log.begun]
        if not log.quiet:
            rcu_store_release(&self.run, self.run + 1)  # [W]
        if words[0] & MARK:
            log.begun += 1
            drop_reference(<PyObject *>(words[0] - MARK))
        else:
            call_words(self, log, words)
        slot = find(self.domain.key)
        if slot is not NULL and rcu_held(slot):
            end_left_open(self, slot)


cdef void end_left_open(rcu_reclaimer *self, rcu_slot *slot) noexcept:
    """Ends the section that a callback has left open, for the next grace period would wait for it for ever. Raises to
    sys.unraisablehook."""
    cdef uint64_t sections = depth(slot)
    while rcu_held(slot):
        rcu_exit(slot)
    raise SectionError(f"domain {name_of(self.domain)!r}: a callback returned in {sections} nested section(s) that "
                       "it had begun; they are ended now; end them in the callback")


cdef void call_words(rcu_reclaimer *self, Log *log, const size_t *words) noexcept:
    cdef PyObject *func = <PyObject *>words[0]
    cdef PyObject *names = <PyObject *>words[2]
    cdef PyObject **arguments = <PyObject **>&words[CALL_WORDS]
    cdef uint64_t n = words[1]
    cdef uint64_t all = n + (<uint64_t>PyTuple_GET_SIZE(names) if names is not NULL else 0)
    cdef uint64_t i
    log.begun += CALL_WORDS + all  # before it is called: a child that it forks goes on behind
    cdef PyObject *result = PyObject_Vectorcall(func, arguments, n, names)
    if result is NULL:
        rcu_store_relaxed(&self.failed, self.failed + 1)
        PyErr_WriteUnraisable(func)
    Py_XDECREF(result)
    for i in range(all):
        Py_DECREF(arguments[i])
    Py_XDECREF(names)
    Py_DECREF(func)


cdef void tidy() noexcept nogil:
    collect_with_python()


cdef void collect_with_python() noexcept with gil:
    collect_if_due()


cdef void left_open(rcu_domain *domain, uint64_t sections) noexcept nogil:
    if not Py_IsFinalizing():
        say_left_open(domain, sections)


cdef void say_left_open(rcu_domain *domain, uint64_t sections) noexcept with gil:
    raise SectionError(f"domain {name_of(domain)!r}: callbacks returned in {sections} nested section(s) of other "
                       "domains that they had begun; they are ended now; end them in the callback")


cdef Logs logs
logs.mark = mark_of_logs
logs.close = close_log
logs.leave = leave_log
use_logs(&logs)

cdef Python hooks
hooks.run = run_log
hooks.begin = begin_python
hooks.end = end_python
hooks.report = report_from_engine
hooks.left_open = left_open
hooks.tidies_at = collects_at
hooks.tidy = tidy
use_python(&hooks)
