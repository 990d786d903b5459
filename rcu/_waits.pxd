# cython: language_level=3
"""Waits as Python sees them: naps between which signals are handled and stalls reported.

The engine, without a thread state, waits until some time and comes back; what there is to say, and to whom, is said
here.
"""

from libc.stdint cimport uint64_t

from rcu._headers cimport rcu_domain, rcu_slot

# A wait of the engine for something; True: it is over.
ctypedef bint (*Waiter)(rcu_domain *domain, uint64_t what, uint64_t until) noexcept nogil

cdef str name_of(const rcu_domain *domain)
# Waits in naps until it is over, or the rcu_clock() says `until`: False. Signals may end it with what they raise.
cdef bint wait_in_naps(rcu_domain *domain, Waiter waiter, uint64_t what, uint64_t until) except -1
cdef bint wait_for_period(rcu_domain *domain, uint64_t need, uint64_t until) noexcept nogil  # a Waiter
# Waits until the period `need` is over, for `timeout` seconds at most, or None: DeadlockError, TimeoutError, TypeError,
# ValueError. `what` is the wait's name, for messages.
cdef int wait_until_over(rcu_domain *domain, uint64_t need, object timeout, str what) except -1
cdef bint ask(rcu_domain *domain, uint64_t need) noexcept nogil  # is it over? drives it; does not block for readers
# DeadlockError in a section of the domain: the name of the wait, for its message. Quiesces otherwise.
cdef int step_aside(rcu_domain *domain, str what) except -1
cdef int report(rcu_domain *domain) except -1  # logs what the engine could not say
cdef void report_from_engine(rcu_domain *domain) noexcept nogil  # the same, where nobody can be told of an error
cdef str waited_for(rcu_domain *domain)        # the threads that the grace period under way waits for, in words
