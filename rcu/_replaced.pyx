# cython: language_level=3
"""Replaced: an old version that its updater holds. See the .pxd for the map."""

from types import GenericAlias

cimport cython
from cpython.object cimport PyObject

from rcu._calls cimport defer_reference
from rcu._domain cimport Domain
from rcu._grace cimport is_over, needed
from rcu._refcount cimport share_methods
from rcu._waits cimport ask, name_of, step_aside, wait_until_over

from rcu.aio import Waiters


cdef extern from "Python.h":
    bint Py_IsFinalizing() noexcept
    void Py_INCREF(PyObject *obj) noexcept
    void Py_XDECREF(PyObject *obj) noexcept
    ctypedef int (*visitproc)(PyObject *obj, void *arg) noexcept
    ctypedef int (*traverseproc)(PyObject *self, visitproc visit, void *arg) noexcept
    ctypedef struct PyTypeObject:
        traverseproc tp_traverse


cdef object the_maker = object()  # without which there is none: it would know no domain


cdef Replaced new_replaced(PyObject *domain, object old):
    cdef Replaced replaced = Replaced.__new__(Replaced, the_maker)
    Py_INCREF(domain)
    replaced.domain_ = domain
    replaced.engine = (<Domain>domain).engine
    replaced.need = needed(replaced.engine)  # [P]: publishing came before
    replaced.old = old
    return replaced


@cython.final
@cython.no_gc_clear
cdef class Replaced:
    """What ``cell.replace(new)`` has taken out of the cell: the old value, which readers may still use.

    ``with cell.replace(new) as old:`` waits for a grace period before the body, which may then close or free `old`;
    ``async with`` does so without holding a thread. Or wait by hand: ``wait()``, ``await replaced``. Where neither
    is done, the old value is retired as by ``cell.set()``. May be used by any thread. After ``RcuOld`` of the kernel's
    and ``RcuWriteGuard`` of QEMU's Rust bindings.
    """

    def __cinit__(self, maker=None):
        if maker is not the_maker:
            raise TypeError("a Replaced is made by Cell.replace()")

    def __dealloc__(self):
        if self.engine is NULL:
            return
        # Also where the grace period is over: by whom, and when, then does not depend on that. Without memory for it,
        # it is never freed.
        if not Py_IsFinalizing():
            Py_INCREF(<PyObject *>self.old)
            defer_reference(self.engine, <PyObject *>self.old)
        Py_XDECREF(self.domain_)

    def __repr__(self):
        return f"<rcu.Replaced {type(self.old).__name__} in domain {name_of(self.engine)!r}>"

    def __reduce__(self):
        raise TypeError(f"cannot copy or pickle {self!r}: it stands for readers of this process")

    __class_getitem__ = classmethod(GenericAlias)

    @property
    def value(self):
        """The old value. Until the grace period is over, readers may be using it."""
        return self.old

    @property
    def done(self):
        """Is the grace period over? Never blocks; asking is enough to complete it."""
        return ask(self.engine, self.need)

    def wait(self, timeout=None):
        """Returns the old value once every section of the domain that began before it was replaced has ended. Blocks.

        Where nobody else has asked for such a grace period, for those that began before the call, too.

        :param timeout: how long to wait at most, in seconds, a real number; ``None``: for ever.
        :raises DeadlockError: the calling thread is in a section of the domain.
        :raises TimeoutError: `timeout` seconds have passed. All is as before.
        :raises TypeError, ValueError: `timeout` is not a number, or is negative or NaN.
        """
        wait_until_over(self.engine, self.need, timeout, "Replaced.wait()")
        return self.old

    def __enter__(self):
        wait_until_over(self.engine, self.need, None, "the with block of a Replaced")
        return self.old

    @cython.always_allow_keywords(False)
    def __exit__(self, kind, error, traceback, /):
        """Nothing is left to do."""

    def __await__(self):
        return self._wait_async("await of a Replaced").__await__()

    def __aenter__(self):
        return self._wait_async("the async with block of a Replaced")

    async def __aexit__(self, kind, error, traceback, /):
        """Nothing is left to do."""

    async def _wait_async(self, what):
        step_aside(self.engine, what)
        # Where nothing is left to wait for, it is a turn of the loop all the same: others run, and it can be cancelled.
        await (turn.wait() if self.done else (<Domain>self.domain_).synchronize_async())
        return self.old


cdef int traverse(PyObject *self, visitproc visit, void *arg) noexcept:
    """What the cyclic collector finds together with a Replaced it finalizes at once, so the old value is not shown to
    it before the grace period is over. That may end amid a collection, which then keeps the value for the next."""
    if (<Replaced>self).engine is NULL or not is_over((<Replaced>self).engine, (<Replaced>self).need):
        return 0
    return traverse_all(self, visit, arg)


cdef traverseproc traverse_all = (<PyTypeObject *>Replaced).tp_traverse
(<PyTypeObject *>Replaced).tp_traverse = traverse

turn = Waiters(lambda _: True, "a Replaced")


share_methods(Replaced)
