# cython: language_level=3
"""Sections as Python sees them: what the reader's side raises, and Guard. See the .pxd for the map."""

import threading

cimport cython
from libc.stdint cimport uint64_t

from rcu._headers cimport rcu_domain, rcu_enter, rcu_exit, rcu_held, rcu_slot, rcu_thread_ident
from rcu._refcount cimport share_methods
from rcu._slots cimport attach
from rcu._threads cimport find, thread_serial

from rcu.errors import SectionError, WrongThreadError


cdef extern from "Python.h":
    # Declared as what cannot raise: the second takes what the first sets.
    void PyErr_SetObject(object kind, object value) noexcept
    void PyErr_WriteUnraisable(object where) noexcept


cdef rcu_slot *attached(rcu_domain *engine, object name) except NULL:
    """The calling thread's slot, made at its first use."""
    cdef rcu_slot *slot = attach(engine)
    if slot is NULL:
        raise MemoryError(f"domain {name!r}: no memory to attach {this_thread()}")
    return slot


cdef int end_section(uint64_t key, object name, str what) except -1:
    cdef rcu_slot *slot = find(key)
    if slot is NULL or not rcu_held(slot):
        raise SectionError(f"domain {name!r}: {what} without a section to end: {this_thread()} is in none; a section "
                           "is ended by the thread that began it, once")
    rcu_exit(slot)
    return 0


cdef str this_thread():
    return f"thread {threading.current_thread().name!r} (ident {rcu_thread_ident()})"


cdef Guard new_guard(object domain, object name, rcu_domain *engine):
    cdef Guard guard = Guard.__new__(Guard)
    attached(engine, name)
    guard.thread = thread_serial()
    guard._domain = domain
    guard.name = name
    guard.engine = engine
    return guard


cdef enum:
    GUARD_NEW
    GUARD_ACTIVE
    GUARD_RELEASED


@cython.final
@cython.freelist(32)
@cython.no_gc
cdef class Guard:
    """A witness of one read-side section, ``with domain.read() as guard:``.

    It belongs to the thread that called ``read()``, and is good for one section. Where it is dropped while
    active, the section ends. After ``RcuGuard`` of QEMU's and the kernel's Rust bindings.
    """

    def __init__(self):
        raise TypeError("a guard is made by Domain.read()")

    def __dealloc__(self):
        if self.state == GUARD_ACTIVE:
            self.drop()

    def __repr__(self):
        return f"<rcu.Guard of {self.name!r}, {('new', 'active', 'released')[self.state]}>"

    def __reduce__(self):
        raise TypeError(f"cannot copy or pickle {self!r}: it stands for a section of one thread")

    @property
    def domain(self):
        """The domain of its section."""
        return self._domain

    @property
    def active(self):
        """Has its section begun, and not ended? May be asked from any thread."""
        return self.state == GUARD_ACTIVE

    @cython.always_allow_keywords(False)
    def __enter__(self):
        """Begins the section.

        :raises SectionError: it was begun before.
        :raises WrongThreadError: another thread made the guard.
        """
        self.check_thread("entered")
        if self.state != GUARD_NEW:
            raise SectionError(f"{self!r} is used a second time by {this_thread()}; read() makes a new one")
        rcu_enter(attached(self.engine, self.name))
        self.state = GUARD_ACTIVE
        return self

    @cython.always_allow_keywords(False)
    def __exit__(self, kind, error, traceback, /):
        """Ends the section, unless ``release()`` has; exceptions go on."""
        self.check_thread("left")
        if self.state == GUARD_ACTIVE:
            self.end()
        elif self.state == GUARD_NEW:
            raise SectionError(f"{self!r} has no section to end: {this_thread()} has not entered it")

    @cython.always_allow_keywords(False)
    def release(self):
        """Ends the section before its ``with`` block does.

        :raises SectionError: it has not begun, or has ended.
        :raises WrongThreadError: another thread made the guard.
        """
        self.check_thread("released")
        if self.state != GUARD_ACTIVE:
            raise SectionError(f"{self!r} has no section to release: release() goes once, inside its with block, by "
                               f"{this_thread()}")
        self.end()

    cdef void drop(self) noexcept:
        """A dropped guard can end its section on its own thread only; otherwise sys.unraisablehook hears of it.

        Names the thread by its number: who frees objects may hold the locks that its name is behind.
        """
        cdef bint mine = thread_serial() == self.thread
        cdef rcu_slot *slot = find(self.engine.key)
        if mine and slot is not NULL and rcu_held(slot):
            rcu_exit(slot)
            return
        why = ("its section had been ended by hand" if mine else
               "its section lasts until the thread that called read() ends")
        PyErr_SetObject(SectionError if mine else WrongThreadError,
                        f"{self!r} was dropped while active by the thread with ident {rcu_thread_ident()}; {why}")
        PyErr_WriteUnraisable(Guard)

    cdef int check_thread(self, str what) except -1:
        if self.engine is NULL:
            raise SectionError("a guard that Domain.read() has not made has no domain")
        if thread_serial() != self.thread:
            raise WrongThreadError(f"{self!r} is {what} by {this_thread()}, but belongs to the thread that called "
                                   "read(), which alone can end its section")
        return 0

    cdef int end(self) except -1:
        self.state = GUARD_RELEASED
        return end_section(self.engine.key, self.name, "the end of a guard")


cdef int check_guard(object guard, rcu_domain *engine, object name, str what) except -1:
    cdef Guard witness
    cdef rcu_slot *slot
    if type(guard) is not Guard:
        raise TypeError(f"{what} takes a guard, as domain.read() makes one, not {type(guard).__name__} {guard!r}")
    witness = <Guard>guard
    if witness.engine != engine:
        raise SectionError(f"{what}: {guard!r} witnesses no section of domain {name!r}; make one by read() of that "
                           "domain")
    if thread_serial() != witness.thread:
        raise WrongThreadError(f"{what}: {guard!r} is used by {this_thread()}, but belongs to the thread that called "
                               "read(); a section protects what its own thread reads")
    slot = find(engine.key)
    # One that was ended by hand leaves its guard active.
    if witness.state != GUARD_ACTIVE or slot is NULL or not rcu_held(slot):
        raise SectionError(f"{what}: the section of {guard!r} is not under way; read inside its with block, before "
                           "release()")
    return 0


share_methods(Guard)
