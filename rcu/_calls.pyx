# cython: language_level=3
"""Deferred work as Python sees it: callbacks and references, in logs. See the .pxd for the map."""

import atexit
import os
import sys

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from rcu._clock cimport deadline, nanoseconds
from rcu._deferred cimport (
    Backlog, Python, barrier_at, deferred_domain, hasten, is_reclaimer, look, outbox_of, push_awaited, push_last,
    push_log, room_at, start_again, use_python, wait_for_batch, wait_for_room,
)
from rcu._gate cimport begin_leaving, end_leaving, is_inside, is_shut, reopen, shut, wait_idle
from rcu._grace cimport needed, poll
from rcu._headers cimport (
    RCU_DEFERRED, RCU_NEVER, RCU_NS_PER_SECOND, rcu_clock, rcu_compare_exchange, rcu_domain, rcu_exchange, rcu_exit,
    rcu_fetch_sub, rcu_head, rcu_held, rcu_load_acquire, rcu_load_relaxed, rcu_outbox, rcu_reclaimer, rcu_slot,
    rcu_store_relaxed, rcu_store_release,
)
from rcu._sections cimport this_thread
from rcu._slots cimport attach, depth, each_domain, visit_mine
from rcu._threads cimport find
from rcu._waits cimport name_of, report_from_engine, step_aside, wait_in_naps, waited_for

from rcu.diagnostics import log_backlog, log_exit
from rcu.errors import DeadlockError, SectionError


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
    void Py_INCREF(PyObject *obj) noexcept
    void Py_XINCREF(PyObject *obj) noexcept
    void Py_DECREF(PyObject *obj) noexcept
    void Py_XDECREF(PyObject *obj) noexcept
    Py_ssize_t PyTuple_GET_SIZE(PyObject *names) noexcept nogil
    bint PyCallable_Check(PyObject *obj) noexcept

cdef enum:
    WORDS = 122        # of an ordinary log: with its head, 1 KiB
    CALL_WORDS = 3     # of a callback, before its arguments: the callable, their number, the names of some
    FEW_WORDS = 16     # on the stack
    MARK = 1           # on a reference: it is to be dropped, not called

cdef struct Log:
    rcu_head head
    uint64_t used      # words; CLOSED once the reclaimer has taken it. Its thread appends by compare-and-exchange
    uint64_t end       # `used`, when it was closed
    uint64_t begun     # words, by the reclaimer
    uint64_t parties   # its thread and the reclaimer: the last to leave it frees it
    uint64_t quiet     # 1: it is a notice, and no callback that anyone counts
    uint64_t room
    size_t words[WORDS]

cdef uint64_t SECTION_CHECKS = 64  # callbacks between two looks at the backlog of who cannot wait for it
cdef uint64_t CLOSED = <uint64_t>-1
cdef uint64_t FORK_PATIENCE_NS = RCU_NS_PER_SECOND
cdef uint64_t exit_timeout_ns = 5 * RCU_NS_PER_SECOND


# ---- logs: without a thread state ----------------------------------------------------------------------------------

cdef void is_log(rcu_head *log) noexcept nogil:
    """What marks a head as a log; the reclaimer runs logs by run_log."""


cdef Log *new_log(uint64_t words, uint64_t parties) noexcept nogil:
    cdef uint64_t room = max(words, <uint64_t>WORDS)
    cdef Log *log = <Log *>malloc(sizeof(Log) + (room - WORDS) * sizeof(size_t))
    if log != NULL:
        log.head.func = is_log
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


# ---- deferring -----------------------------------------------------------------------------------------------------

cdef bint defer(rcu_domain *domain, const size_t *words, uint64_t n) noexcept nogil:
    """Appends the words, with their references, to the calling thread's log, or to a new one; False: no memory."""
    cdef rcu_outbox *box = box_of_this_thread(domain)
    cdef Log *log
    if box is NULL:
        return False
    # Counted first, lest it has run before it is counted.
    rcu_store_relaxed(&box.enqueued, box.enqueued + 1)
    if box.log is not NULL:
        log = <Log *>box.log
        if append(log, words, n):
            return True
        box.log = NULL
        leave_log(log)
    log = new_log(n, 2)
    if log is NULL:
        rcu_store_relaxed(&box.enqueued, box.enqueued - 1)
        return False
    append(log, words, n)
    box.log = log
    push_log(domain, box, &log.head)
    return True


cdef rcu_outbox *box_of_this_thread(rcu_domain *domain) noexcept nogil:
    cdef rcu_slot *slot = find(domain.key)
    if slot is NULL:
        slot = attach(domain)
    return outbox_of(slot) if slot is not NULL else NULL


cdef bint append(Log *log, const size_t *words, uint64_t n) noexcept nogil:
    """False: it is closed, or full."""
    cdef uint64_t used = rcu_load_relaxed(&log.used)
    cdef uint64_t i
    if used == CLOSED or n > log.room - used:
        return False
    for i in range(n):
        log.words[used + i] = words[i]
    # [H] with [T]: whoever closes it sees the words, and its grace period begins after what this thread did before.
    # Nobody need be told: the log is queued, so the reclaimer has been.
    return rcu_compare_exchange(&log.used, used, used + n)


cdef bint has_room(rcu_domain *domain) noexcept nogil:
    """False: it is time to look at the backlog."""
    cdef rcu_outbox *box = box_of_this_thread(domain)
    return box is NULL or box.enqueued < rcu_load_relaxed(&box.check_at)


cdef uint64_t held_here(rcu_slot *slot) noexcept nogil:
    return rcu_held(slot)


cdef int make_room(rcu_domain *domain, str what) except -1:
    """Looks at the backlog; where it is full, a thread that may wait waits for it."""
    cdef rcu_reclaimer *reclaimer = &domain.reclaimers[RCU_DEFERRED]
    cdef rcu_outbox *box = box_of_this_thread(domain)
    cdef uint64_t number = room_at(domain, box)
    # Of any domain: a callback may wait for that section.
    cdef bint held = visit_mine(held_here) != 0
    cdef Backlog backlog
    if number == 0:
        reclaimer.warned = False
        return 0
    # Nor may a callback wait, of any domain: the callbacks of this one may be waiting for room in that.
    if not held and not is_inside():
        wait_in_naps(domain, wait_for_room, number, RCU_NEVER)
        return 0
    # Who cannot wait need not look each time, either.
    rcu_store_relaxed(&box.check_at, box.enqueued + SECTION_CHECKS)
    if held and not reclaimer.warned:
        reclaimer.warned = True
        look(domain, &backlog)
        log_backlog(name_of(domain), what, backlog.pending, rcu_load_relaxed(&domain.backlog_limit))
    return 0


cdef int no_memory(rcu_domain *domain) except -1:
    raise MemoryError(f"domain {name_of(domain)!r}: no memory for what {this_thread()} defers; nothing is deferred")


cdef int defer_call(rcu_domain *domain, PyObject *const *arguments, Py_ssize_t count, PyObject *names) except -1:
    cdef size_t[FEW_WORDS] few
    cdef size_t *words = few
    cdef Py_ssize_t all = count
    cdef Py_ssize_t i
    cdef bint done
    if count < 1:
        raise TypeError("call() missing 1 required positional argument: 'func'")
    if not PyCallable_Check(arguments[0]):
        raise TypeError(f"call() takes a callable and its arguments, not {type(<object>arguments[0]).__name__} "
                        f"{<object>arguments[0]!r}")
    if not has_room(domain):
        make_room(domain, "call()")
    if names is not NULL:
        all += PyTuple_GET_SIZE(names)
    if CALL_WORDS + all - 1 > FEW_WORDS:
        words = <size_t *>malloc((CALL_WORDS + all - 1) * sizeof(size_t))
        if words is NULL:
            no_memory(domain)
    words[0] = <size_t>arguments[0]
    words[1] = count - 1
    words[2] = <size_t>names
    for i in range(1, all):
        words[CALL_WORDS + i - 1] = <size_t>arguments[i]
    for i in range(all):
        Py_INCREF(arguments[i])
    Py_XINCREF(names)
    done = defer(domain, words, CALL_WORDS + all - 1)
    if words != few:
        free(words)
    if not done:
        for i in range(all):
            Py_DECREF(arguments[i])
        Py_XDECREF(names)
        no_memory(domain)
    return 0


cdef int defer_drop(rcu_domain *domain, PyObject *obj) except -1:
    cdef size_t word = <size_t>obj | MARK
    if not has_room(domain):
        make_room(domain, "retire()")
    Py_INCREF(obj)
    if not defer(domain, &word, 1):
        Py_DECREF(obj)
        no_memory(domain)
    return 0


# ---- the reclaimer's side ------------------------------------------------------------------------------------------

cdef bint begin_python(rcu_reclaimer *self) noexcept nogil:
    """Gives the reclaimer's thread a state of its own, which it keeps."""
    if Py_IsFinalizing():
        return False
    if self.python is NULL:
        PyGILState_Ensure()
        self.python = PyEval_SaveThread()
    return True


cdef void end_python(void *state) noexcept nogil:
    if state is not NULL and begin_leaving():
        PyEval_RestoreThread(<PyThreadState *>state)
        PyGILState_Release(<PyGILState_STATE>1)
        end_leaving()


cdef bint run_log(rcu_reclaimer *self, rcu_head *head) noexcept nogil:
    cdef Log *log = <Log *>head
    if log.begun < log.end:
        run_words(self, log)
    return log.begun == log.end


cdef void run_words(rcu_reclaimer *self, Log *log) noexcept with gil:
    cdef size_t *words
    cdef rcu_slot *slot
    while log.begun < log.end and not is_shut():
        words = &log.words[log.begun]
        if not log.quiet:
            rcu_store_release(&self.run, self.run + 1)  # [W]
        if words[0] & MARK:
            log.begun += 1
            Py_DECREF(<PyObject *>(words[0] - MARK))
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


cdef void forget_domain(rcu_domain *domain) noexcept nogil:
    if begin_leaving():
        drop_label(domain)
        end_leaving()


cdef void drop_label(rcu_domain *domain) noexcept with gil:
    Py_XDECREF(<PyObject *>domain.label)


# ---- waits, notices ------------------------------------------------------------------------------------------------

cdef int check_barrier(rcu_domain *domain, str what) except -1:
    step_aside(domain, what)
    if is_reclaimer(domain):
        raise DeadlockError(f"domain {name_of(domain)!r}: {what} in a callback of this domain, which is part of what "
                            "it would wait for; defer what comes after it by another call()")
    return 0


cdef int wait_for_deferred(rcu_domain *domain, uint64_t until, object timeout) except -1:
    cdef uint64_t batch
    cdef Backlog backlog
    check_barrier(domain, "barrier()")
    batch = barrier_at(domain)
    if batch == 0 or wait_in_naps(domain, wait_for_batch, batch, until):
        return 0
    look(domain, &backlog)
    raise TimeoutError(f"domain {name_of(domain)!r}: barrier() did not end within {timeout!r} s: {backlog.pending} "
                       f"callback(s) pending, the oldest for {backlog.oldest_ns / <double>RCU_NS_PER_SECOND:.3g} s; the "
                       f"grace period under way waits for: {waited_for(domain)}")


cdef bint notify_of_period(rcu_domain *domain, object done) except -1:
    cdef Log *log
    step_aside(domain, "synchronize_async()")
    if poll(domain, needed(domain), True):
        return True
    log = notice(domain, done)
    push_awaited(domain, &log.head)
    return False


cdef bint notify_of_deferred(rcu_domain *domain, object done) except -1:
    cdef Log *log
    check_barrier(domain, "barrier_async()")
    if barrier_at(domain) == 0:
        return True
    log = notice(domain, done)
    push_last(domain, &log.head)
    return False


cdef Log *notice(rcu_domain *domain, object done) except NULL:
    cdef Log *log = new_log(CALL_WORDS, 1)
    if log is NULL:
        raise MemoryError(f"domain {name_of(domain)!r}: no memory for what {this_thread()} awaits")
    log.quiet = True
    log.words[0] = <size_t><PyObject *>done
    log.words[1] = 0
    log.words[2] = 0
    log.used = CALL_WORDS
    Py_INCREF(<PyObject *>done)
    return log


# ---- forks, the program's end --------------------------------------------------------------------------------------

def before_fork():
    """Lets callbacks that run come to their end, so that each runs once in the parent and once in the child. Not for
    ever: one of them might wait for the thread that forks."""
    with nogil:
        shut(rcu_clock() + FORK_PATIENCE_NS)


def after_fork_in_parent():
    reopen()


def after_fork_in_child():
    start_again()
    # A child of multiprocessing forgets all functions for its exit, and then calls what is registered there.
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util.register_after_fork(at_exit, atexit.register)


def set_exit_timeout(seconds):
    """Sets how long the end of the program waits for what is still deferred; 5 seconds at first.

    :param seconds: a real number; ``None``: as long as it takes. 0: not at all.
    :raises TypeError, ValueError: `seconds` is not a number, or is negative or NaN.
    """
    global exit_timeout_ns
    exit_timeout_ns = RCU_NEVER if seconds is None else nanoseconds("seconds", seconds)


cdef uint64_t left_at_exit = 0


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
    if not done:
        left_at_exit = 0
        each_domain(count_left)
        log_exit(exit_timeout_ns / <double>RCU_NS_PER_SECOND, left_at_exit)


cdef void hasten_pending(rcu_domain *domain) noexcept nogil:
    if barrier_at(domain) != 0:
        hasten(domain)


cdef rcu_domain *python_domain() noexcept:
    return deferred_domain()


cdef Python hooks
hooks.log = is_log
hooks.close = close_log
hooks.leave = leave_log
hooks.run = run_log
hooks.begin = begin_python
hooks.end = end_python
hooks.report = report_from_engine
hooks.forget = forget_domain
use_python(&hooks)

atexit.register(at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=before_fork, after_in_parent=after_fork_in_parent, after_in_child=after_fork_in_child)
