# cython: language_level=3
"""Makes reading threads leave an object's reference count alone, as far as the interpreter can; publishes references
where readers of the interpreter's own find them, without a lock."""

from cpython.object cimport PyObject

# For the few objects of this package that all readers load: new ones only, for 3.13t makes them immortal.
cdef bint share(object obj)       # True: from now on readers do
cdef int share_methods(type cls) except -1
# For the objects of others: nothing happens where the interpreter cannot defer the count, or not for this object.
cdef void defer_count(PyObject *obj) noexcept
cdef bint is_deferred(PyObject *obj) noexcept  # the collector alone frees it

# Publishes `new` in `where`, a member of `owner`, and holds a reference to it there. What was there is the caller's,
# who could drop it at once, were there no readers but those in bytecode: they take what they find, and do not borrow.
cdef PyObject *exchange(PyObject *owner, PyObject **where, PyObject *new) noexcept

# For methods and members that Cython would make slower than the interpreter can.
cdef extern from "Python.h":
    const int METH_FASTCALL, METH_KEYWORDS
    ctypedef object (*PyCFunction)(object, object)
    ctypedef struct PyMethodDef:
        const char *ml_name
        PyCFunction ml_meth
        int ml_flags
        const char *ml_doc

    ctypedef struct PyMemberDef:
        const char *name
        int type
        Py_ssize_t offset
        int flags
        const char *doc
    const int Py_T_OBJECT_EX, Py_READONLY

# Into an extension type, at import.
cdef int put_method(type cls, PyMethodDef *method) except -1
cdef int put_member(type cls, PyMemberDef *member) except -1
