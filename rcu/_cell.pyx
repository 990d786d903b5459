# cython: language_level=3
"""Cell: one published reference. See the .pxd for the map."""

from reprlib import Repr
from types import GenericAlias

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from rcu._calls cimport admit, check_function, defer_reference
from rcu._domain cimport Domain
from rcu._headers cimport RCU_NS_PER_SECOND, rcu_clock
from rcu._refcount cimport (
    Py_READONLY, Py_T_OBJECT_EX, PyMemberDef, defer_count, exchange, put_member, share_methods,
)
from rcu._replaced cimport new_replaced
from rcu._sections cimport attached, check_guard, this_thread
from rcu._threads cimport begin_update, end_update
from rcu._waits cimport name_of, wait_in_naps
from rcu._writers cimport stop_writing, try_to_write, wait_to_write, writes

from rcu._domain import default_domain as the_default_domain
from rcu.errors import DeadlockError, RcuError


cdef extern from *:
    """
    #define rcu_held_by(cell) (&((struct RcuCell *)(cell))->held)
    #define RCU_HELD_AT offsetof(struct RcuCell, held)
    """
    PyObject **rcu_held_by(Cell cell) noexcept
    const Py_ssize_t RCU_HELD_AT


cdef extern from "Python.h":
    bint Py_IsFinalizing() noexcept
    void Py_INCREF(PyObject *obj) noexcept
    void Py_DECREF(PyObject *obj) noexcept
    void Py_XDECREF(PyObject *obj) noexcept
    bint PyCoro_CheckExact(object obj) noexcept
    int Py_ReprEnter(object obj) except -1
    void Py_ReprLeave(object obj)
    object PyMember_GetOne(const char *obj, PyMemberDef *member)


cdef Py_ssize_t held_at() noexcept:
    return RCU_HELD_AT


cdef uint64_t NAP_NS = RCU_NS_PER_SECOND // 10  # after which who waits to write looks whether anyone can still free it

cdef object the_default = the_default_domain  # where the end of the program does not clear it

cdef PyMemberDef value_member
value_member.name = b"value"
value_member.type = Py_T_OBJECT_EX
value_member.offset = RCU_HELD_AT
value_member.flags = Py_READONLY
value_member.doc = (
    b"What is published now. An attribute that the interpreter reads by itself: there is no faster read.\n\n"
    b"Never blocks; may be read anywhere. In a section of the domain it stays whole until the section ends, even\n"
    b"where an updater closes or frees what it replaces. The kernel's ``rcu_dereference()``.")

shorten = Repr(maxlevel=3, maxstring=60, maxother=60).repr


@cython.final
cdef public class Cell [object RcuCell, type RcuCellType]:
    """One published reference: many threads read it, at the speed of a local variable, and updaters replace it.

    :param value: what to publish first, any object but the cell itself.
    :param domain: the `Domain` whose sections protect what is read; ``None``: ``rcu.default_domain``.
    :param deferred: readers leave the reference counts of the cell and of what is published alone, which is what lets
        them run side by side; the cyclic collector frees both, and what was replaced is bounded by
        ``rcu.set_garbage_limit()``; cells that come and go are not, and are better counted.
        Free-threaded CPython 3.14 and later can do so for objects that the collector tracks, so not for str, int,
        float, bytes, or tuples of them. ``False``: all are counted, and a cell that is dropped dies at once.
    :raises TypeError: `domain` is no domain.

    All methods may be called from any thread, inside and outside of sections. Writers take turns. Cells support weak
    references and ``Cell[T]``; they cannot be subclassed, copied or pickled. After ``RcuCell`` of QEMU's and ``Rcu<T>``
    of the kernel's Rust bindings.
    """

    def __cinit__(self, value, *, domain=None, deferred=True):
        # The default at first, for the collector knows of the cell by now, and so may whoever is asked for his repr.
        self.live_in(the_default)
        if domain is not None:
            if type(domain) is not Domain:
                raise TypeError(f"domain must be an rcu.Domain or None, not {type(domain).__name__} {domain!r}")
            self.live_in(domain)
        self.is_deferring = bool(deferred)
        Py_XDECREF(self.publish(value))  # None was there
        if self.is_deferring:
            defer_count(<PyObject *>self)

    def __del__(self):
        # Who has borrowed the value in a section may use it for as long as that lasts. No waiting for room: this may
        # be anywhere.
        if self.engine is not NULL and not Py_IsFinalizing():
            Py_INCREF(<PyObject *>self.held)
            defer_reference(self.engine, <PyObject *>self.held)

    def __dealloc__(self):
        Py_XDECREF(self.domain_)

    cdef void live_in(self, object domain) noexcept:
        Py_XDECREF(self.domain_)
        Py_INCREF(<PyObject *>domain)
        self.domain_ = <PyObject *>domain
        self.engine = (<Domain>domain).engine

    def __repr__(self):
        value = PyMember_GetOne(<const char *><PyObject *>self, &value_member)
        if Py_ReprEnter(self) != 0:
            return "<rcu.Cell ...>"
        try:
            return f"<rcu.Cell of {type(value).__name__} in domain {name_of(self.engine)!r}: {shorten(value)}>"
        finally:
            Py_ReprLeave(self)

    def __reduce__(self):
        raise TypeError(f"cannot copy or pickle {self!r}: it stands for readers of this process; copy its value")

    def __setattr__(self, name, value):
        if name == "value":
            raise AttributeError("the value of a cell is not assigned but published: cell.set(new)",
                                 name=name, obj=self)
        raise AttributeError(f"a cell has no attribute {name!r} that can be assigned", name=name, obj=self)

    def __delattr__(self, name):
        raise AttributeError(f"attribute {name!r} of a cell cannot be deleted; cell.set(None) publishes None",
                             name=name, obj=self)

    __class_getitem__ = classmethod(GenericAlias)

    @property
    def domain(self):
        """The domain whose sections protect what is read."""
        return <object>self.domain_

    @property
    def deferred(self):
        """Do readers leave the reference counts of the cell and of what it publishes alone, where they can?"""
        return bool(self.is_deferring)

    # ---- reading ---------------------------------------------------------------------------------------------

    # value is above, a member.

    def get(self, guard=None):
        """Returns what is published now: `value` as a call. The result of a call is always counted, unlike `value`.

        Never blocks.

        :param guard: a witness that the calling thread is in a section of the cell's domain. After
            ``RcuCell::get(&guard)`` of QEMU's Rust bindings.
        :raises TypeError: `guard` is neither a guard nor ``None``.
        :raises WrongThreadError: it is another thread's.
        :raises SectionError: it is another domain's, or its section has not begun, or has ended.
        """
        if guard is not None:
            check_guard(guard, self.engine, name_of(self.engine), "Cell.get()")
        return PyMember_GetOne(<const char *><PyObject *>self, &value_member)

    # ---- writing ---------------------------------------------------------------------------------------------

    @cython.always_allow_keywords(False)
    def set(self, new):
        """Publishes `new`; the old value is retired: its reference is dropped after a grace period, in the reclaimer.

        Publishing what is published already does nothing. Waits for other writers, which an ``update()`` makes as long
        as its function takes, and outside of sections for room, with ``backlog_limit`` callbacks pending. The kernel's
        ``rcu_assign_pointer()``.

        :param new: any object but the cell itself.
        :raises DeadlockError: called by the function of an ``update()`` of this cell.
        :raises ValueError: `new` is the cell.
        """
        cdef PyObject *old
        self.check("Cell.set()", new)
        self.begin("Cell.set()")
        old = self.publish(new)
        stop_writing(&self.lock)
        self.retire(old, "Cell.set()")

    @cython.always_allow_keywords(False)
    def swap(self, new):
        """Publishes `new` and returns the old value, at once: readers may still be using it.

        Reclaiming it is the caller's affair: ``domain.retire(old)``, or ``domain.synchronize()`` and then whatever ends
        it; unless it is `new`, which was published already and still is. Otherwise as `set`. liburcu's
        ``rcu_xchg_pointer()``.

        :raises DeadlockError, ValueError: as for `set`.
        """
        cdef PyObject *old
        self.check("Cell.swap()", new)
        self.begin("Cell.swap()")
        old = self.publish(new)
        stop_writing(&self.lock)
        return taken(old, new)

    @cython.always_allow_keywords(False)
    def compare_and_set(self, expected, new):
        """Publishes `new` if `expected` is what is published, by identity, and tells whether it was.

        Otherwise as `set`. liburcu's ``rcu_cmpxchg_pointer()``.

        :raises DeadlockError, ValueError: as for `set`.
        """
        cdef PyObject *old
        self.check("Cell.compare_and_set()", new)
        self.begin("Cell.compare_and_set()")
        if self.held is not expected:
            stop_writing(&self.lock)
            return False
        old = self.publish(new)
        stop_writing(&self.lock)
        self.retire(old, "Cell.compare_and_set()")
        return True

    @cython.always_allow_keywords(False)
    def update(self, func):
        """Publishes ``func(old)`` and returns it; the old value is retired. RCU's copy-update.

        `func` runs once, on this thread, and no other writer of this cell comes between; those wait until it is done,
        readers do not. If it raises, nothing changes. Finalizers and signal handlers that run meanwhile cannot write to
        the cell either. Waits as `set`.

        :param func: makes the new version from the old one, which it must leave as it is.
        :raises DeadlockError: called by the function of an ``update()`` of this cell.
        :raises TypeError: `func` is not callable, or its body would run later: a coroutine or generator function.
        :raises ValueError: `func` has returned the cell.
        """
        cdef PyObject *old
        check_function("Cell.update() takes a function of the old value", <PyObject *>func)
        admit(self.engine, "Cell.update()")
        self.begin("Cell.update()")
        begin_update()
        try:
            new = func(self.held)
            if PyCoro_CheckExact(new):
                new.close()
                raise TypeError("Cell.update() takes a function that returns the new value, not a coroutine, as "
                                f"{func!r} does; await what it needs before")
            self.check_value("Cell.update()", new)
            old = self.publish(new)
        finally:
            end_update()
            stop_writing(&self.lock)
        self.retire(old, "Cell.update()")
        return new

    @cython.always_allow_keywords(False)
    def replace(self, new):
        """Publishes `new` and returns a `Replaced`, which holds the old value for who waits to close or free it:

            with cell.replace(new) as old:  # after a grace period
                old.close()

        Otherwise as `set`; waits for readers only there.

        :raises DeadlockError: as for `set`.
        :raises ValueError: `new` is the cell, or is published already: what is closed then is what readers get.
        """
        cdef PyObject *old
        self.check("Cell.replace()", new)
        self.begin("Cell.replace()")
        old = self.publish(new)
        stop_writing(&self.lock)
        if old is NULL:
            raise ValueError(f"Cell.replace(): {type(new).__name__} {shorten(new)} is what {self!r} publishes already; "
                             "nothing is replaced, and nothing may be closed")
        return new_replaced(self.domain_, taken(old, new))

    cdef int check(self, str what, object new) except -1:
        self.check_value(what, new)
        return admit(self.engine, what)

    cdef int check_value(self, str what, object new) except -1:
        if new is self:
            raise ValueError(f"{what}: {self!r} cannot publish itself; its value stays as it was")
        return 0

    cdef int begin(self, str what) except -1:
        attached(self.engine, name_of(self.engine))  # it has a serial from then on
        if try_to_write(&self.lock):
            return 0
        if writes(&self.lock):
            raise DeadlockError(f"domain {name_of(self.engine)!r}: {what} by {this_thread()} in the function of its "
                                "own Cell.update(): writers of a cell take turns, so it would wait for itself; return "
                                "the new value from the function")
        while not wait_in_naps(self.engine, wait_to_write, <uint64_t>&self.lock, rcu_clock() + NAP_NS):
            if Py_IsFinalizing():
                raise RcuError(f"domain {name_of(self.engine)!r}: {what} while the interpreter is taken down: the "
                               "thread in the function of a Cell.update() of this cell goes on no more")
        return 0

    cdef PyObject *publish(self, object new) noexcept:
        if self.held is new:
            return NULL
        if self.is_deferring:
            defer_count(<PyObject *>new)
        return exchange(<PyObject *>self, rcu_held_by(self), <PyObject *>new)

    cdef int retire(self, PyObject *old, str what) except -1:
        if old is not NULL and not defer_reference(self.engine, old):
            raise MemoryError(f"domain {name_of(self.engine)!r}: {what}: the new value is published, but there is no "
                              "memory to retire the old one, which is never freed")
        return 0


cdef object taken(PyObject *old, object new):
    """The value that was replaced, and the cell's reference to it."""
    if old is NULL:
        return new
    value = <object>old
    Py_DECREF(old)
    return value


put_member(Cell, &value_member)
share_methods(Cell)
