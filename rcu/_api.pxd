# cython: language_level=3
"""The table of functions behind include/rcu/api.h, in a capsule. What they promise is said there.

After the capsules of CPython's datetime and of NumPy. All but what takes a Python object may be called without a thread
state, and what blocks detaches the one that there is.
"""
