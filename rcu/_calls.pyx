# cython: language_level=3
"""Deferred work as Python sees it: callbacks and references, in logs. See the .pxd for the map."""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from rcu._deferred cimport (
    Backlog, barrier_at, deferred_domain, is_reclaimer, look, push_awaited, push_last, push_log, remind, room_at,
    wait_for_batch, wait_for_room, warns_first,
)
from rcu._gate cimport begin_leaving, end_leaving, is_shut
from rcu._grace cimport needed, poll
from rcu._headers cimport (
    RCU_NS_PER_SECOND, rcu_clock, rcu_compare_exchange, rcu_domain, rcu_exchange, rcu_exit, rcu_fetch_add,
    rcu_fetch_sub, rcu_head, rcu_held, rcu_load_relaxed, rcu_outbox, rcu_reclaimer, rcu_slot, rcu_store_relaxed,
    rcu_store_release,
)
from rcu._queue cimport Logs, outbox_of, use_logs
from rcu._reclaim cimport Python, drop, hold, use_python
from rcu._sections cimport this_thread
from rcu._slots cimport attach, depth, visit_mine
from rcu._threads cimport find, reclaims
from rcu._waits cimport name_of, report_from_engine, step_aside, wait_in_naps, waited_for

from rcu.diagnostics import log_backlog
from rcu.errors import DeadlockError, RcuError, SectionError


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
cdef uint64_t NAP_NS = RCU_NS_PER_SECOND // 10  # after which a wait for callbacks looks whether any can still run
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
            remind(domain)  # who was told of the log, when it was pushed, may not have been able to start
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
    return rcu_compare_exchange(&log.used, used, used + n)


cdef bint has_room(rcu_domain *domain) noexcept nogil:
    """False: it is time to look at the backlog."""
    cdef rcu_outbox *box = box_of_this_thread(domain)
    return box is NULL or box.enqueued < rcu_load_relaxed(&box.check_at)


cdef uint64_t held_here(rcu_slot *slot) noexcept nogil:
    return rcu_held(slot)


cdef bint make_room(rcu_domain *domain) except -1:
    """Looks at the backlog; where it is full, a thread that may wait waits for it. True: the limit is passed in a
    section, and nobody has been told yet."""
    cdef rcu_outbox *box = box_of_this_thread(domain)
    cdef uint64_t number = room_at(domain, box)
    # Of any domain: a callback may wait for that section.
    cdef bint held = visit_mine(held_here) != 0
    # No reclaimer waits, for any domain: callbacks of that one may be waiting for room in its own. Nor does who takes
    # the interpreter down, when no callback of Python runs any more.
    if held or reclaims():
        if number != 0:
            rcu_store_relaxed(&box.check_at, box.enqueued + SECTION_CHECKS)  # who cannot wait need not look each time
        return number != 0 and held and warns_first(domain)
    while number != 0 and not Py_IsFinalizing():
        if wait_in_naps(domain, wait_for_room, number, rcu_clock() + NAP_NS):
            return False
        # Signal handlers may have run, and detached the thread; and what was counted may have been taken back.
        box = box_of_this_thread(domain)
        number = room_at(domain, box) if box is not NULL else 0
    return False


cdef int say_backlog(rcu_domain *domain, str what) noexcept:
    cdef Backlog backlog
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
    cdef bint warns = False
    if count < 1:
        raise TypeError("call() missing 1 required positional argument: 'func'")
    if not PyCallable_Check(arguments[0]):
        raise TypeError(f"call() takes a callable and its arguments, not {type(<object>arguments[0]).__name__} "
                        f"{<object>arguments[0]!r}")
    if not has_room(domain):
        warns = make_room(domain)
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
    if warns:
        say_backlog(domain, "call()")
    return 0


cdef int defer_drop(rcu_domain *domain, PyObject *obj) except -1:
    cdef size_t word = <size_t>obj | MARK
    cdef bint warns = False
    if not has_room(domain):
        warns = make_room(domain)
    Py_INCREF(obj)
    if not defer(domain, &word, 1):
        Py_DECREF(obj)
        no_memory(domain)
    if warns:
        say_backlog(domain, "retire()")
    return 0


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


cdef void left_open(rcu_domain *domain, uint64_t sections) noexcept nogil:
    if not Py_IsFinalizing():
        say_left_open(domain, sections)


cdef void say_left_open(rcu_domain *domain, uint64_t sections) noexcept with gil:
    raise SectionError(f"domain {name_of(domain)!r}: callbacks returned in {sections} nested section(s) of other "
                       "domains that they had begun; they are ended now; end them in the callback")


cdef int wait_for_deferred(rcu_domain *domain, uint64_t until, object timeout) except -1:
    cdef uint64_t batch
    cdef Backlog backlog
    check_barrier(domain, "barrier()")
    batch = barrier_at(domain)
    if batch == 0:
        return 0
    while not wait_in_naps(domain, wait_for_batch, batch, min(until, rcu_clock() + NAP_NS)):
        if Py_IsFinalizing():
            raise RcuError(f"domain {name_of(domain)!r}: barrier() while the interpreter is taken down: callbacks do "
                           "not run any more; call it before, at the latest in a function for atexit")
        if rcu_clock() >= until:
            break
    else:
        return 0
    look(domain, &backlog)
    age = backlog.oldest_ns / <double>RCU_NS_PER_SECOND
    raise TimeoutError(f"domain {name_of(domain)!r}: barrier() did not end within {timeout!r} s: {backlog.pending} "
                       f"callback(s) pending, the oldest for {age:.3g} s; the grace period under way waits for: "
                       f"{waited_for(domain)}")


cdef Notices new_notices(rcu_domain *domain):
    cdef Notices notices = Notices.__new__(Notices)
    hold(domain)
    notices.engine = domain
    return notices


@cython.final
cdef class Notices:
    """Starts waits that call back: each method returns True if there is nothing to wait for, False if `done` will be
    called, without arguments, by a reclaimer."""

    def __dealloc__(self):
        if self.engine is not NULL and not Py_IsFinalizing():
            drop(self.engine)

    def of_period(self, done):
        cdef Log *log
        step_aside(self.engine, "synchronize_async()")
        if poll(self.engine, needed(self.engine), True):
            return True
        log = notice(self.engine, done)
        if not push_awaited(self.engine, &log.head):
            free_notice(log)
            no_thread(self.engine)
        return False

    def of_deferred(self, done):
        cdef Log *log
        check_barrier(self.engine, "barrier_async()")
        if barrier_at(self.engine) == 0:
            return True
        log = notice(self.engine, done)
        if not push_last(self.engine, &log.head):
            free_notice(log)
            no_thread(self.engine)
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


cdef void free_notice(Log *log) noexcept:
    Py_DECREF(<PyObject *>log.words[0])
    free(log)


cdef int no_thread(rcu_domain *domain) except -1:
    raise RcuError(f"domain {name_of(domain)!r}: the system starts no thread that could call {this_thread()} back; "
                   "raise its limit (ulimit -u), or use the blocking form")


# ---- domains -------------------------------------------------------------------------------------------------------

cdef rcu_domain *python_domain() noexcept:
    return deferred_domain()


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
hooks.forget = forget_domain
use_python(&hooks)
