# cython: language_level=3
"""Makes reading threads leave an object's reference count alone, as far as the interpreter can.

In free-threaded Python two threads that load the same object write to the same line, its shared count, and pay
ten times the price. 3.14 and later can defer the count of an object to the cyclic collector. 3.13 cannot; what
it does there to functions, classes and modules of its own when the first thread starts, is to make them
immortal, and the same is done here to the few objects of this package that all readers load. With the GIL there
is nothing to do.
"""

from cpython.object cimport PyObject


cdef extern from *:
    """
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
    """
    bint rcu_share_count(object obj)


cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        PyObject *tp_dict
    object PyDescr_NewMethod(PyTypeObject *cls, PyMethodDef *method)
    int PyDict_SetItemString(object mapping, const char *key, object value) except -1
    void PyType_Modified(PyTypeObject *cls)


cdef bint share(object obj):
    return rcu_share_count(obj)


cdef int share_methods(type cls) except -1:
    for attribute in vars(cls).values():
        if callable(attribute):
            share(attribute)
    return 0


cdef int put_method(type cls, PyMethodDef *method) except -1:
    cdef PyTypeObject *slots = <PyTypeObject *>cls
    PyDict_SetItemString(<object>slots.tp_dict, method.ml_name, PyDescr_NewMethod(slots, method))
    PyType_Modified(slots)
    return 0


def share_function(function):
    """Shares a function of the package that is about to be published, and returns it."""
    share(function)
    return function
