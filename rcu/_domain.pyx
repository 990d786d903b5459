# cython: language_level=3
"""Domain: the Python face of slots and grace periods. See the .pxd for the map."""

import operator
from threading import main_thread

cimport cython
from cpython.object cimport PyObject
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint64_t

from rcu._grace cimport (
    COMPLETED, Outcome, Survey, awaited, grace_domain, is_over, needed, poll, quiesce, stalled, survey, take_abandoned,
    wait,
)
from rcu._clock cimport deadline, nanoseconds
from rcu._flavor cimport flavor_name
from rcu._headers cimport (
    RCU_NEVER, RCU_NS_PER_SECOND, RCU_SEQ_FIRST, RCU_SEQ_STEP, rcu_awaited, rcu_clock, rcu_enter, rcu_exit, rcu_held,
    rcu_load_relaxed, rcu_slot, rcu_store_relaxed, rcu_thread_ident,
)
from rcu._refcount cimport METH_FASTCALL, PyCFunction, PyMethodDef, put_method, share, share_methods
from rcu._sections cimport attached, end_section, new_guard, this_thread
from rcu._slots cimport depth, detach, domain_free
from rcu._threads cimport find

from rcu.diagnostics import DomainStats, describe_threads, log_abandoned, log_stall
from rcu.errors import DeadlockError, SectionError


cdef extern from "Python.h":
    bint Py_IsFinalizing()

# A wait looks up this often: the main thread for signals, every other for a stall to report. Who waits is woken
# when the period is over; the nap is not how long that takes.
cdef uint64_t NAP_NS = RCU_NS_PER_SECOND
cdef uint64_t MAIN_NAP_NS = RCU_NS_PER_SECOND // 20
cdef uint64_t SHORTEST_NAP_NS = RCU_NS_PER_SECOND // 1000
cdef uint64_t NAPS_PER_STALL = 16

cdef enum:
    NAMED_THREADS = 8  # so many does a report name; it says how many more there are


@cython.final
cdef class Domain:
    """An independent set of readers and updaters.

    Readers bracket what they read with a *read-side section*: ``with domain:``. An updater publishes a new
    version, calls ``synchronize()``, and may then free the old one: every section that could have seen it has
    ended. Sections of one domain are not waited for by another.

    :param name: what reports and messages call it, a string; ``domain-N`` by default.
    :param stall_timeout: age in seconds at which a grace period that is not over is logged (logger ``"rcu"``),
        with the threads that it waits for, and again each time the age has doubled; ``None``: never.
    :param backlog_limit: how many deferred callbacks may be pending; at least 1.
    :raises TypeError, ValueError: an argument is of another type, or out of range.

    All methods may be called from any thread. A domain cannot be subclassed, copied or pickled.
    After minircu's ``RcuDomain`` and C++26's ``std::rcu_domain``.
    """

    def __cinit__(self, name=None, *, stall_timeout=10.0, backlog_limit=100_000):
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a string or None, not {type(name).__name__}")
        self.engine = grace_domain()
        if self.engine is NULL:
            raise MemoryError("no memory for a domain")
        self.key = self.engine.key
        self._name = f"domain-{self.key}" if name is None else name
        # From here on the domain is whole: what converts the arguments may be Python, and find it.
        self.stall_timeout = stall_timeout
        limit = operator.index(backlog_limit)
        if not 1 <= limit < 2**63:
            raise ValueError(f"backlog_limit must be at least 1 and below 2**63, not {limit}")
        self._backlog_limit = limit
        share(self)

    def __dealloc__(self):
        # At exit, daemon threads may still wait or read here: their frames no longer count.
        if self.engine is not NULL and not Py_IsFinalizing():
            domain_free(self.engine)

    def __repr__(self):
        return f"<rcu.Domain {self._name!r}>"

    def __reduce__(self):
        raise TypeError(f"cannot copy or pickle {self!r}: it stands for threads of this process")

    @property
    def name(self):
        """What reports and messages call it."""
        return self._name

    @property
    def backlog_limit(self):
        """How many deferred callbacks may be pending."""
        return self._backlog_limit

    @property
    def stall_timeout(self):
        """Age in seconds at which a grace period that is not over is logged; ``None``: never. May be changed."""
        cdef uint64_t ns = rcu_load_relaxed(&self.stall_ns)
        return None if ns == 0 else float("inf") if ns == RCU_NEVER else ns / <double>RCU_NS_PER_SECOND

    @stall_timeout.setter
    def stall_timeout(self, seconds):
        cdef uint64_t ns = 0 if seconds is None else nanoseconds("stall_timeout", seconds)
        if seconds is not None and ns == 0:
            raise ValueError(f"stall_timeout must be above 0 seconds, or None for never, not {seconds!r}")
        rcu_store_relaxed(&self.stall_ns, ns)  # one word, alone: nothing else depends on it

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
        """
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
        cdef uint64_t ns = RCU_NEVER if timeout is None else nanoseconds("timeout", timeout)
        self.step_aside("synchronize()")
        cdef uint64_t need = needed(self.engine)
        # Without a busy reader this is all, and not worth detaching the thread state.
        if not poll(self.engine, need, False):
            self.wait_until(need, deadline(ns), timeout)

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
        value = operator.index(cookie)
        if not RCU_SEQ_FIRST < value < 2**64 or value % RCU_SEQ_STEP != 0 or value > needed(self.engine):
            raise ValueError(f"domain {self._name!r}: poll({cookie!r}): start_poll() of this domain has not returned "
                             "such a cookie")
        need = value
        cdef rcu_slot *slot = find(self.key)
        if is_over(self.engine, need):
            return True
        if slot is not NULL:
            quiesce(slot)  # if it is in no section: lest it interrupts itself
        return poll(self.engine, need, True)

    # ---- diagnostics -------------------------------------------------------------------------------------------

    def stats(self):
        """Returns a `DomainStats`: what this domain has done and holds now. Cheap, does not block for readers."""
        cdef Survey now
        self.report()
        survey(self.engine, &now)
        return DomainStats(
            grace_periods=now.periods,
            shared_waits=now.counts.shared_waits,
            heavy_barriers=now.counts.heavy_barriers,
            barriers_skipped=now.counts.barriers_skipped,
            threads=now.threads,
            parked_threads=now.parked,
            sections_active=now.active,
            stalls=now.counts.stalls,
            last_grace_period=now.counts.last_ns / <double>RCU_NS_PER_SECOND,
            longest_grace_period=now.counts.longest_ns / <double>RCU_NS_PER_SECOND,
        )

    # ---- below: C only -----------------------------------------------------------------------------------------

    cdef int step_aside(self, str what) except -1:
        """Before a wait: no thread waits for itself, nor is interrupted for its own sake."""
        cdef rcu_slot *slot = find(self.key)
        if slot is not NULL:
            if rcu_held(slot):
                raise DeadlockError(f"domain {self._name!r}: {what} by {this_thread()}, which is in {depth(slot)} "
                                    "nested section(s) of this domain and would wait for itself; leave them first")
            quiesce(slot)
        return 0

    cdef int wait_until(self, uint64_t need, uint64_t until, object timeout) except -1:
        cdef rcu_domain *engine = self.engine
        cdef uint64_t nap = MAIN_NAP_NS if rcu_thread_ident() == main_thread().ident else NAP_NS
        cdef uint64_t wake, stall_ns
        cdef Outcome outcome
        while True:
            stall_ns = rcu_load_relaxed(&self.stall_ns)
            if stall_ns != 0:
                nap = min(nap, max(stall_ns // NAPS_PER_STALL, SHORTEST_NAP_NS))
            wake = min(until, rcu_clock() + nap)
            with nogil:
                outcome = wait(engine, need, wake)
            if outcome == COMPLETED:
                return 0
            PyErr_CheckSignals()
            self.report()
            if rcu_clock() >= until:
                raise TimeoutError(f"domain {self._name!r}: no grace period completed within {timeout!r} s; still "
                                   f"waited for: {describe_threads(*self.waited_for())}")

    cdef int report(self) except -1:
        """Logs what the engine could not say: a stall, a thread that ended inside a section."""
        cdef uint64_t ident = 0
        cdef uint64_t gone = take_abandoned(self.engine, &ident)
        cdef uint64_t stall_ns = rcu_load_relaxed(&self.stall_ns)
        cdef uint64_t age = stalled(self.engine, stall_ns) if stall_ns != 0 else 0
        if gone != 0:
            log_abandoned(self._name, ident, gone)
        if age != 0:
            log_stall(self._name, age / <double>RCU_NS_PER_SECOND, *self.waited_for())
        return 0

    cdef tuple waited_for(self):
        """Threads that the grace period under way waits for, (ident, native id) each; and how many they are."""
        cdef rcu_awaited[NAMED_THREADS] room
        cdef uint64_t total = awaited(self.engine, room, NAMED_THREADS)
        cdef uint64_t i
        return [(room[i].ident, room[i].native_id) for i in range(min(total, NAMED_THREADS))], total


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
share_methods(Domain)
flavor = flavor_name()
default_domain = Domain("default")
