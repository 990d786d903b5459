# cython: language_level=3
"""Makes reading threads leave an object's reference count alone, as far as the interpreter can."""

cdef bint share(object obj)       # True: from now on they do; new objects only, on 3.13t
cdef int share_methods(type cls) except -1

# For a method that is as quick as the counting of its arguments would be.
cdef extern from "Python.h":
    const int METH_FASTCALL, METH_KEYWORDS
    ctypedef object (*PyCFunction)(object, object)
    ctypedef struct PyMethodDef:
        const char *ml_name
        PyCFunction ml_meth
        int ml_flags
        const char *ml_doc

cdef int put_method(type cls, PyMethodDef *method) except -1  # into an extension type, at import
