# cython: language_level=3
"""Heads that a debug build has enqueued, so that one which is enqueued a second time is reported.

For rcu_call() of extensions that define RCU_DEBUG, and for nobody else. Knows them by their address, from when they are
enqueued until they are called.
"""

from rcu._headers cimport rcu_callback, rcu_domain, rcu_head

# Callable without a thread state; blocks for the locks only. A head that is queued already stays as it is.
cdef void enqueue_checked(rcu_domain *domain, rcu_head *head, rcu_callback func) noexcept nogil
