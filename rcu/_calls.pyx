# cython: language_level=3
"""Deferred work as Python sees it. See the .pxd for the map."""

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc

from rcu._deferred cimport (
    Backlog, barrier_at, deferred_domain, is_reclaimer, look, push_awaited, push_last, push_log, remind, room_at,
    wait_for_batch, wait_for_room, warns_first,
)
from rcu._grace cimport needed, poll
from rcu._headers cimport (
    RCU_NS_PER_SECOND, rcu_clock, rcu_domain, rcu_held, rcu_load_relaxed, rcu_outbox, rcu_slot, rcu_store_relaxed,
)
from rcu._logs cimport CALL_WORDS, MARK, Log, append, leave_log, new_log
from rcu._queue cimport outbox_of
from rcu._reclaim cimport drop, hold
from rcu._sections cimport this_thread
from rcu._slots cimport attach, visit_mine
from rcu._threads cimport find, reclaims, updates
from rcu._waits cimport name_of, step_aside, wait_in_naps, waited_for

from rcu.diagnostics import log_backlog
from rcu.errors import DeadlockError, RcuError


cdef extern from *:
    """
    /* Does a call of it only make a coroutine or a generator? */
    static int rcu_puts_off_its_body(PyObject *func)
    {
        if (PyMethod_Check(func))
            func = PyMethod_GET_FUNCTION(func);
        return PyFunction_Check(func) && (((PyCodeObject *)PyFunction_GET_CODE(func))->co_flags
                                          & (CO_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR)) != 0;
    }
    """
    bint rcu_puts_off_its_body(PyObject *func) noexcept


cdef extern from "Python.h":
    bint Py_IsFinalizing() noexcept nogil
    void Py_INCREF(PyObject *obj) noexcept
    void Py_XINCREF(PyObject *obj) noexcept
    void Py_DECREF(PyObject *obj) noexcept
    void Py_XDECREF(PyObject *obj) noexcept
    Py_ssize_t PyTuple_GET_SIZE(PyObject *names) noexcept nogil
    bint PyCallable_Check(PyObject *obj) noexcept


cdef enum:
    FEW_WORDS = 16  # on the stack

cdef uint64_t SECTION_CHECKS = 64  # callbacks between two looks at the backlog of who cannot wait for it
cdef uint64_t NAP_NS = RCU_NS_PER_SECOND // 10  # after which a wait for callbacks looks whether any can still run


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
    # No reclaimer waits, for any domain: callbacks of that one may be waiting for room in its own. Nor does the
    # function of an update: callbacks may be waiting to write to its cell. Nor does who takes the interpreter down,
    # when no callback of Python runs any more.
    if held or reclaims() or updates():
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
    check_function("call() takes a callable and its arguments", arguments[0])
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


cdef int check_function(str takes, PyObject *func) except -1:
    if not PyCallable_Check(func):
        raise TypeError(f"{takes}, not {type(<object>func).__name__} {<object>func!r}")
    if rcu_puts_off_its_body(func):
        raise TypeError(f"{takes}, not the coroutine or generator function {<object>func!r}, of whose body a call "
                        "runs nothing; pass a plain function that does the work")
    return 0


cdef int defer_drop(rcu_domain *domain, PyObject *obj) except -1:
    admit(domain, "retire()")
    Py_INCREF(obj)
    if not defer_reference(domain, obj):
        Py_DECREF(obj)
        no_memory(domain)
    return 0


cdef int admit(rcu_domain *domain, str what) except -1:
    if not has_room(domain) and make_room(domain):
        say_backlog(domain, what)
    return 0


cdef bint defer_reference(rcu_domain *domain, PyObject *obj) noexcept nogil:
    cdef size_t word = <size_t>obj | MARK
    return defer(domain, &word, 1)


# ---- waits, notices ------------------------------------------------------------------------------------------------

cdef int check_barrier(rcu_domain *domain, str what) except -1:
    step_aside(domain, what)
    if is_reclaimer(domain):
        raise DeadlockError(f"domain {name_of(domain)!r}: {what} in a callback of this domain, which is part of what "
                            "it would wait for; defer what comes after it by another call()")
    if updates():
        raise DeadlockError(f"domain {name_of(domain)!r}: {what} by {this_thread()} in the function of a "
                            "Cell.update(): callbacks that write to the cell wait for its end; call it before or after")
    return 0


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
