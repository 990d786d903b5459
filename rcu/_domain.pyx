# cython: language_level=3
"""Domain: the Python face of slots and grace periods. See the .pxd for the map."""

import operator
import weakref
cimport cython
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_AsEncodedString
from libc.stdint cimport uint64_t

from rcu._calls cimport (
    check_barrier, check_function, defer_call, defer_drop, new_notices, python_domain, wait_for_deferred,
)
from rcu._clock cimport deadline, nanoseconds
from rcu._deferred cimport Backlog, close_domain, limit_backlog, look
from rcu._flavor cimport flavor_name
from rcu._grace cimport Survey, needed, quiesce, survey
from rcu._headers cimport (
    RCU_NEVER, RCU_NS_PER_SECOND, RCU_SEQ_FIRST, RCU_SEQ_STEP, rcu_enter, rcu_exit, rcu_held, rcu_load_relaxed,
    rcu_slot, rcu_store_relaxed,
)
from rcu._refcount cimport METH_FASTCALL, METH_KEYWORDS, PyCFunction, PyMethodDef, put_method, share, share_methods
from rcu._sections cimport attached, end_section, new_guard, this_thread
from rcu._slots cimport depth, detach, name_domain
from rcu._threads cimport find
from rcu._waits cimport ask, report, step_aside, wait_until_over

from rcu.aio import Waiters, quiesce_on_pending
from rcu.diagnostics import DomainStats
from rcu.errors import SectionError


cdef extern from "Python.h":
    bint Py_IsFinalizing()


cdef set alive = set()  # weak references to what live_domains() finds


@cython.final
cdef class Domain:
    """An independent set of readers and updaters.

    Readers bracket what they read with a *read-side section*: ``with domain:``. An updater publishes a new
    version, calls ``synchronize()``, and may then free the old one: every section that could have seen it has
    ended. Sections of one domain are not waited for by another.

    :param name: what reports and messages call it, a string; ``domain-N`` by default.
    :param stall_timeout: age in seconds at which a grace period that is not over is logged (logger ``"rcu"``),
        with the threads that it waits for, and again each time the age has doubled; ``None``: never.
    :param backlog_limit: how many deferred callbacks may be pending before who defers more waits for them, unless in
        a section, where one never waits; at least 1.
    :raises TypeError, ValueError: an argument is of another type, or out of range.

    All methods may be called from any thread. A domain cannot be subclassed, copied or pickled.
    After minircu's ``RcuDomain`` and C++26's ``std::rcu_domain``.
    """

    def __cinit__(self, name=None, *, stall_timeout=10.0, backlog_limit=100_000):
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a string or None, not {type(name).__name__} {name!r}")
        self.engine = python_domain()
        if self.engine is NULL:
            raise MemoryError("no memory for a domain")
        self.key = self.engine.key
        self._name = f"domain-{self.key}" if name is None else name
        label = PyUnicode_AsEncodedString(self._name, "utf-8", "surrogatepass")
        if not name_domain(self.engine, label, len(label)):
            raise MemoryError("no memory for a domain's name")
        # From here on the domain is whole: what converts the arguments may be Python, and find it.
        self.stall_timeout = stall_timeout
        self.backlog_limit = backlog_limit
        notices = new_notices(self.engine)
        self._periods = Waiters(notices.of_period, f"domain {self._name!r}: synchronize_async()")
        self._barriers = Waiters(notices.of_deferred, f"domain {self._name!r}: barrier_async()")
        share(self)
        # None leads to a domain that is being freed: the cyclic collector alone does that, and breaks them before. With
        # the GIL, it is held meanwhile.
        alive.add(weakref.ref(self, alive.discard))

    def __dealloc__(self):
        # At exit, daemon threads may still wait or read here: their frames no longer count.
        if self.engine is not NULL and not Py_IsFinalizing():
            close_domain(self.engine)

    def __repr__(self):
        return f"<rcu.Domain {self._name!r}>"

    def __reduce__(self):
        raise TypeError(f"cannot copy or pickle {self!r}: it stands for threads of this process")

    def __delattr__(self, name):
        raise AttributeError(f"attribute {name!r} of {self!r} cannot be deleted; some can be assigned",
                             name=name, obj=self)

    @property
    def name(self):
        """What reports and messages call it."""
        return self._name

    @property
    def backlog_limit(self):
        """How many deferred callbacks may be pending before who defers more waits for them. May be changed."""
        return rcu_load_relaxed(&self.engine.backlog_limit)

    @backlog_limit.setter
    def backlog_limit(self, limit):
        limit = index("backlog_limit must be an int", limit)
        if not 1 <= limit < 2**63:
            raise ValueError(f"backlog_limit must be at least 1 and below 2**63, not {limit}")
        limit_backlog(self.engine, limit)

    @property
    def batch_window(self):
        """For how many seconds callbacks are gathered into a batch, which shares a grace period, while the one before
        has just been called; the first ones do not wait. 1 ms at first. May be changed."""
        return rcu_load_relaxed(&self.engine.window_ns) / <double>RCU_NS_PER_SECOND

    @batch_window.setter
    def batch_window(self, seconds):
        cdef uint64_t ns = nanoseconds("batch_window", seconds, "and at most 1")
        if ns > RCU_NS_PER_SECOND:
            raise ValueError(f"batch_window must be a number of seconds from 0 to 1, not {seconds!r}")
        rcu_store_relaxed(&self.engine.window_ns, ns)

    @property
    def stall_timeout(self):
        """Age in seconds at which a grace period that is not over is logged; ``None``: never. May be changed."""
        cdef uint64_t ns = rcu_load_relaxed(&self.engine.stall_ns)
        return None if ns == 0 else float("inf") if ns == RCU_NEVER else ns / <double>RCU_NS_PER_SECOND

    @stall_timeout.setter
    def stall_timeout(self, seconds):
        cdef uint64_t ns = 0 if seconds is None else nanoseconds("stall_timeout", seconds)
        if seconds is not None and ns == 0:
            raise ValueError(f"stall_timeout must be above 0 seconds, or None for never, not {seconds!r}")
        rcu_store_relaxed(&self.engine.stall_ns, ns)  # one word, alone: nothing else depends on it

    # ---- sections --------------------------------------------------------------------------------------------

    @cython.always_allow_keywords(False)
    def __enter__(self):
        """Begins a section of the calling thread, or nests one more. Never blocks."""
        cdef rcu_slot *slot = find(self.key)
        rcu_enter(slot if slot is not NULL else attached(self.engine, self._name))

    # __exit__ is below, written by hand.

    @cython.always_allow_keywords(False)
    def read_lock(self):
        """Begins a section of the calling thread, or nests one more. Never blocks.

        Sections may overlap: only the number of locks and unlocks counts. QEMU's and liburcu's
        ``rcu_read_lock()``.

        :raises MemoryError: the thread's first section in this domain, and no memory to attach it.
        """
        cdef rcu_slot *slot = find(self.key)
        rcu_enter(slot if slot is not NULL else attached(self.engine, self._name))

    @cython.always_allow_keywords(False)
    def read_unlock(self):
        """Ends the calling thread's innermost section. QEMU's and liburcu's ``rcu_read_unlock()``.

        :raises SectionError: the calling thread is in no section of this domain.
        """
        cdef rcu_slot *slot = find(self.key)
        if slot is NULL or not rcu_held(slot):
            end_section(self.key, self._name, "read_unlock()")
        rcu_exit(slot)

    @cython.always_allow_keywords(False)
    def read_lock_held(self):
        """Is the calling thread in a section of this domain? After the kernel's ``rcu_read_lock_held()``."""
        cdef rcu_slot *slot = find(self.key)
        return slot is not NULL and rcu_held(slot)

    def run(self, func, /, *args, **kwargs):
        """Calls ``func(*args, **kwargs)`` in a section and returns its result; an exception leaves the section
        and goes on. minircu's ``run``.

        :raises SectionError: `func` has ended more sections than it began.
        :raises TypeError: `func` is not callable, or its body would run later: a coroutine or generator function.
        """
        check_function("run() takes a callable and its arguments", <PyObject *>func)
        rcu_enter(attached(self.engine, self._name))
        try:
            return func(*args, **kwargs)
        finally:
            end_section(self.key, self._name, "the end of run()")

    @cython.always_allow_keywords(False)
    def read(self):
        """Returns a guard for one section, ``with domain.read() as guard:``.

        The guard witnesses the section: code that takes one need not ask whether it is in a section. It
        belongs to the calling thread, and is good for one use. After ``RcuGuard`` of the Rust bindings.
        """
        return new_guard(self, self._name, self.engine)

    @cython.always_allow_keywords(False)
    def quiesce(self):
        """Declares that the calling thread will not read for a while: updaters need not interrupt it.

        Its next section costs a fence more. Nothing happens inside a section. Optional: updaters find idle
        threads by themselves, and stop interrupting them. minircu's ``quiesce``. Does not block.
        """
        cdef rcu_slot *slot = find(self.key)
        if slot is not NULL:
            quiesce(slot)

    @cython.always_allow_keywords(False)
    def register_thread(self):
        """Attaches the calling thread, which its first section would do otherwise. Doing so twice is harmless.

        QEMU's ``rcu_register_thread()``; not needed here.

        :raises MemoryError: there is none for the thread's slot.
        """
        attached(self.engine, self._name)

    @cython.always_allow_keywords(False)
    def unregister_thread(self):
        """Detaches the calling thread, which its end would do otherwise. Doing so twice is harmless, and so is
        reading again: that attaches it anew. QEMU's ``rcu_unregister_thread()``.

        :raises SectionError: the thread is in a section of this domain.
        """
        cdef rcu_slot *slot = find(self.key)
        if slot is NULL:
            return
        if rcu_held(slot):
            raise SectionError(f"domain {self._name!r}: unregister_thread() by {this_thread()}, which is in "
                               f"{depth(slot)} nested section(s); end them first")
        detach(slot)

    # ---- grace periods -----------------------------------------------------------------------------------------

    def synchronize(self, timeout=None):
        """Returns once every section of this domain that began before the call has ended. Blocks.

        Sections that begin later are not waited for. Callers at the same time share grace periods. The thread
        state is detached meanwhile, and signals are handled: ``KeyboardInterrupt`` ends the wait, and the domain
        works on. The kernel's ``synchronize_rcu()``.

        :param timeout: how long to wait at most, in seconds, a real number; ``None``: for ever.
        :raises DeadlockError: the calling thread is in a section of this domain.
        :raises TimeoutError: `timeout` seconds have passed. The domain is as before.
        :raises TypeError, ValueError: `timeout` is not a number, or is negative or NaN.
        """
        wait_until_over(self.engine, needed(self.engine), timeout, "synchronize()")

    def synchronize_async(self):
        """Await it: returns once every section of this domain that began before the call has ended; holds no thread.

        On asyncio or on trio, whichever runs. Awaits that begin in the same turn of an event loop share a
        grace period; a cancelled one disturbs no other. minircu's ``synchronize``.

        :raises DeadlockError: the calling thread is in a section of this domain.
        :raises RcuError: no event loop runs in this thread.
        """
        step_aside(self.engine, "synchronize_async()")
        return self._periods.wait()

    def quiesce_on_pending(self, awaitable, /):
        """Returns an awaitable that does the same, and quiesces the thread in this domain each time it suspends.

        For a coroutine that reads, and then waits for long: updaters need not interrupt its thread meanwhile.
        minircu's ``quiesce_on_pending``.

        :raises TypeError: `awaitable` is none.
        """
        return quiesce_on_pending(awaitable, self._quiesce_or_tell)

    def _quiesce_or_tell(self):
        """Quiesces the calling thread; True: it is in a section, and cannot."""
        cdef rcu_slot *slot = find(self.key)
        if slot is NULL:
            return False
        quiesce(slot)
        return bool(rcu_held(slot))

    @cython.always_allow_keywords(False)
    def start_poll(self):
        """Returns a cookie for `poll`: an int that stands for the grace period that a caller of now needs.

        Does not block; may be called in a section. The kernel's ``start_poll_synchronize_rcu()``.
        """
        return needed(self.engine)

    @cython.always_allow_keywords(False)
    def poll(self, cookie, /):
        """Has a grace period that began after ``start_poll()`` returned `cookie` completed? Never blocks.

        Asking is enough to complete it: a poll drives the grace period as far as that goes without waiting for
        a reader. May be called in a section, which is then one of those that are waited for. The kernel's
        ``poll_state_synchronize_rcu()``.

        :param cookie: an int that ``start_poll()`` of this domain returned; it stays good for ever.
        :raises TypeError, ValueError: `cookie` is not an int, or none that this domain has given.
        """
        cdef uint64_t need
        value = index(f"domain {self._name!r}: poll() takes a cookie, as start_poll() returns it", cookie)
        if not RCU_SEQ_FIRST < value < 2**64 or value % RCU_SEQ_STEP != 0 or value > needed(self.engine):
            raise ValueError(f"domain {self._name!r}: poll({cookie!r}): start_poll() of this domain has not returned "
                             "such a cookie")
        need = value
        return ask(self.engine, need)

    # ---- deferred work -----------------------------------------------------------------------------------------

    # call() is below, written by hand.

    @cython.always_allow_keywords(False)
    def retire(self, obj):
        """Drops this reference to `obj` after a grace period: who still reads it, in a section, may go on.

        Otherwise as `call`. The kernel's ``kfree_rcu()``, QEMU's ``g_free_rcu()``, C++26's ``rcu_retire``.

        :param obj: any object. The caller's other references are its own affair.
        """
        defer_drop(self.engine, <PyObject *>obj)

    def barrier(self, timeout=None):
        """Returns once all that was deferred in this domain before the call, by any thread, has run. Blocks.

        The kernel's ``rcu_barrier()``.

        :param timeout: how long to wait at most, in seconds, a real number; ``None``: for ever.
        :raises DeadlockError: the calling thread is in a section of this domain, runs one of its callbacks, or keeps
            writers of a cell waiting, in the function of an ``update()``.
        :raises TimeoutError: `timeout` seconds have passed. What was deferred still is.
        :raises TypeError, ValueError: `timeout` is not a number, or is negative or NaN.
        """
        cdef uint64_t ns = RCU_NEVER if timeout is None else nanoseconds("timeout", timeout)
        wait_for_deferred(self.engine, deadline(ns), timeout)

    def barrier_async(self):
        """Await it: returns once all that was deferred in this domain before the call has run; holds no thread.

        On asyncio and on trio, like `synchronize_async`.

        :raises DeadlockError: as for `barrier`.
        :raises RcuError: no event loop runs in this thread.
        """
        check_barrier(self.engine, "barrier_async()")
        return self._barriers.wait()

    # ---- diagnostics -------------------------------------------------------------------------------------------

    def stats(self):
        """Returns a `DomainStats`: what this domain has done and holds now. Cheap, does not block for readers."""
        cdef Survey now
        cdef Backlog backlog
        report(self.engine)
        survey(self.engine, &now)
        look(self.engine, &backlog)
        return DomainStats(
            grace_periods=now.periods,
            shared_waits=now.counts.shared_waits,
            heavy_barriers=now.counts.heavy_barriers,
            barriers_skipped=now.counts.barriers_skipped,
            threads=now.threads,
            parked_threads=now.parked,
            sections_active=now.active,
            pending=backlog.pending,
            peak_pending=backlog.peak,
            oldest_pending_age=backlog.oldest_ns / <double>RCU_NS_PER_SECOND,
            callbacks_run=backlog.run,
            callbacks_failed=backlog.failed,
            stalls=now.counts.stalls,
            last_grace_period=now.counts.last_ns / <double>RCU_NS_PER_SECOND,
            longest_grace_period=now.counts.longest_ns / <double>RCU_NS_PER_SECOND,
        )


def live_domains():
    """Returns the domains that the program holds, the oldest first. What extensions make with ``rcu_domain_new()`` is
    no object, and not among them."""
    cdef list found = [domain for domain in [refer() for refer in alive.copy()] if domain is not None]
    found.sort(key=age_of)
    return found


def age_of(Domain domain not None):
    return domain.key


cdef object index(str what, object value):
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{what}, not {type(value).__name__} {value!r}") from None


# ---- __exit__ -----------------------------------------------------------------------------------------------------

cdef object exit_section(PyObject *self, PyObject *const *arguments, Py_ssize_t count):
    """Domain.__exit__. It looks at none of its arguments, so it does not count their references either, as the
    wrapper does that Cython would put around a method: that is a tenth of what a section costs."""
    cdef rcu_slot *slot = find((<Domain>self).key)  # not held by a variable, which would count a reference
    if count != 3:
        raise TypeError(f"Domain.__exit__() takes exactly 3 arguments ({count} given)")
    if slot is NULL or not rcu_held(slot):
        end_section((<Domain>self).key, (<Domain>self)._name, "the end of a with block")
    rcu_exit(slot)


cdef PyMethodDef exit_method
exit_method.ml_name = b"__exit__"
exit_method.ml_meth = <PyCFunction><void *>exit_section
exit_method.ml_flags = METH_FASTCALL
exit_method.ml_doc = (b"__exit__($self, kind, error, traceback, /)\n--\n\n"
                      b"Ends the calling thread's innermost section; exceptions go on.")
put_method(Domain, &exit_method)


# ---- call -----------------------------------------------------------------------------------------------------------

cdef object call_method(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *names):
    """Domain.call: the arguments go from the caller's stack into the log, with no tuple and no dict between."""
    defer_call((<Domain>self).engine, arguments, count, names)


cdef PyMethodDef call_definition
call_definition.ml_name = b"call"
call_definition.ml_meth = <PyCFunction><void *>call_method
call_definition.ml_flags = METH_FASTCALL | METH_KEYWORDS
call_definition.ml_doc = (
    b"call($self, func, /, *args, **kwargs)\n--\n\n"
    b"Calls ``func(*args, **kwargs)`` after a grace period, on a thread of the domain, outside every section.\n\n"
    b"What one thread defers runs in that order. An exception goes to ``sys.unraisablehook`` and stops nothing. May\n"
    b"be called anywhere: in a section, in ``__del__``, in a signal handler, in a callback. In a section it never\n"
    b"blocks; elsewhere, with ``backlog_limit`` callbacks pending, it waits until there is room. The kernel's\n"
    b"``call_rcu()``.\n\n"
    b":param func: a callable.\n"
    b":raises TypeError: `func` is not callable, or its body would never run: a coroutine or generator function.\n"
    b":raises MemoryError: there is none; nothing is deferred.")
put_method(Domain, &call_definition)
share_methods(Domain)
flavor = flavor_name()
default_domain = Domain("default")
