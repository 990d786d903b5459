# cython: language_level=3
"""Makes reading threads leave an object's reference count alone, as far as the interpreter can."""

cdef bint share(object obj)       # True: from now on they do; new objects only, on 3.13t
cdef int share_methods(type cls) except -1
