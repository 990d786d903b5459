# cython: language_level=3
"""Makes reading threads leave an object's reference count alone, and publishes references. See the .pxd for the map.

In free-threaded Python two threads that load the same object write to the same line, its shared count, and pay
ten times the price. 3.14 and later can defer the count of an object to the cyclic collector. 3.13 cannot; what
it does there to functions, classes and modules of its own when the first thread starts, is to make them
immortal, and the same is done here to the few objects of this package that all readers load. With the GIL there
is nothing to do.
"""

from cpython.object cimport PyObject


cdef extern from *:
    """
    #include "rcu/pointer.h"

    static int rcu_share_count(PyObject *obj)
    {
    #if !defined(Py_GIL_DISABLED)
        (void)obj;
        return 0;
    #elif PY_VERSION_HEX >= 0x030E0000
        return PyUnstable_Object_EnableDeferredRefcount(obj);
    #else
        /* The caller is the only thread that knows the object. An immortal object is not the collector's. */
        if (PyObject_IS_GC(obj) && PyObject_GC_IsTracked(obj))
            PyObject_GC_UnTrack(obj);
        obj->ob_tid = 0;
        obj->ob_ref_local = UINT32_MAX;
        obj->ob_ref_shared = 0;
        return 1;
    #endif
    }

    #if defined(Py_GIL_DISABLED) && PY_VERSION_HEX >= 0x030E0000
    /* What deferral sets in an object is not in CPython's public headers: found by deferring one. */
    static uint8_t rcu_deferred_bits;

    static void rcu_learn_deferred_bits(PyObject *fresh)
    {
        uint8_t before = fresh->ob_gc_bits;
        if (PyUnstable_Object_EnableDeferredRefcount(fresh))
            rcu_deferred_bits = fresh->ob_gc_bits & (uint8_t)~before;
    }

    static int rcu_is_deferred(PyObject *obj)
    {
        return (_Py_atomic_load_uint8_relaxed(&obj->ob_gc_bits) & rcu_deferred_bits) != 0;
    }

    static int rcu_may_be_untracked(PyObject *obj)
    {
        /* A collection on 3.14 untracks tuples that can be part of no cycle, deferred or not, and then nobody frees
         * them: python/cpython#144054, of which 3.15.0rc1 mends the half (not gc_mark_traverse_tuple(), which it uses
         * in large programs). It leaves alone those that hold something which might be. */
        if (PyTuple_CheckExact(obj)) {
            for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(obj); i++) {
                PyObject *item = PyTuple_GET_ITEM(obj, i);
                if (item && PyObject_IS_GC(item) && !PyTuple_CheckExact(item))
                    return 0;
            }
            return 1;
        }
        return 0;
    }

    static void rcu_defer_count(PyObject *obj)
    {
        if (!rcu_may_be_untracked(obj))
            PyUnstable_Object_EnableDeferredRefcount(obj);
    }

    static void rcu_let_try(PyObject *obj)
    {
        PyUnstable_EnableTryIncRef(obj);
    }
    #else
    static void rcu_learn_deferred_bits(PyObject *fresh) { (void)fresh; }
    static int rcu_is_deferred(PyObject *obj) { (void)obj; return 0; }
    static void rcu_defer_count(PyObject *obj) { (void)obj; }
    static void rcu_let_try(PyObject *obj) { (void)obj; }
    #endif

    static void rcu_count_shared(PyObject *obj)
    {
    #if !defined(Py_GIL_DISABLED) || defined(Py_REF_DEBUG)
        Py_INCREF(obj);
    #else
        /* What Py_INCREF does on a thread that does not own the object. */
        if (!_Py_IsImmortal(obj))
            _Py_atomic_add_ssize(&obj->ob_ref_shared, (Py_ssize_t)1 << _Py_REF_SHARED_SHIFT);
    #endif
    }

    static PyObject *rcu_exchange_in(PyObject *owner, PyObject **where, PyObject *with_new)
    {
        PyObject *old;
        Py_BEGIN_CRITICAL_SECTION(owner);
        old = rcu_xchg_pointer(where, with_new);
        Py_END_CRITICAL_SECTION();
        return old;
    }
    """
    bint rcu_share_count(object obj)
    void rcu_learn_deferred_bits(object fresh)
    bint rcu_is_deferred(PyObject *obj) noexcept
    void rcu_defer_count(PyObject *obj) noexcept
    void rcu_let_try(PyObject *obj) noexcept
    void rcu_count_shared(PyObject *obj) noexcept
    PyObject *rcu_exchange_in(PyObject *owner, PyObject **where, PyObject *with_new) noexcept


cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        PyObject *tp_dict
    object PyDescr_NewMethod(PyTypeObject *cls, PyMethodDef *method)
    object PyDescr_NewMember(PyTypeObject *cls, PyMemberDef *member)
    int PyDict_SetItemString(object mapping, const char *key, object value) except -1
    void PyType_Modified(PyTypeObject *cls)


cdef bint share(object obj):
    return rcu_share_count(obj)


cdef void defer_count(PyObject *obj) noexcept:
    rcu_defer_count(obj)


cdef bint is_deferred(PyObject *obj) noexcept:
    return rcu_is_deferred(obj)


cdef PyObject *exchange(PyObject *owner, PyObject **where, PyObject *new) noexcept:
    # A reader tries to take what it finds; where that fails, it takes it in the owner's critical section, and no writer
    # takes it away meanwhile. It does not fail for an object whose shared count is above zero, so that is what holds
    # the reference here. It also spares us the thread that made the object: the last reference to it dies where it is
    # dropped, and is not handed to that thread.
    rcu_let_try(new)
    rcu_count_shared(new)
    return rcu_exchange_in(owner, where, new)  # [V] in pointer.h


cdef int share_methods(type cls) except -1:
    for attribute in vars(cls).values():
        if callable(attribute):
            share(attribute)
    return 0


cdef int put_method(type cls, PyMethodDef *method) except -1:
    return put(<PyTypeObject *>cls, method.ml_name, PyDescr_NewMethod(<PyTypeObject *>cls, method))


cdef int put_member(type cls, PyMemberDef *member) except -1:
    return put(<PyTypeObject *>cls, member.name, PyDescr_NewMember(<PyTypeObject *>cls, member))


cdef int put(PyTypeObject *cls, const char *name, object descriptor) except -1:
    PyDict_SetItemString(<object>cls.tp_dict, name, descriptor)
    PyType_Modified(cls)
    return 0


def share_function(function):
    """Shares a function of the package that is about to be published, and returns it."""
    share(function)
    return function


rcu_learn_deferred_bits([])


def defer(obj):
    """Has reading threads leave the count of any object alone, where the interpreter can; else nothing happens."""
    defer_count(<PyObject *>obj)
