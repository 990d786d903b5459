/* Published pointers, for readers in C: the kernel's names.
 *
 * rcu_dereference is an acquire load. The dependency from a pointer to what it points at orders the two on all
 * processors but Alpha, yet no compiler promises to keep it; acquire costs nothing on x86 and one LDAPR on
 * AArch64. rcu_assign_pointer is a release store. Exchange and compare-exchange are both, so that the updater may
 * also read the old object; the latter's orders are as they are for the reason in atomic.h.
 *
 * [V] with itself: if a load sees the new pointer, what was written into the object before it was published is seen
 * as well; if it does not, it sees the old pointer and the old object, which stays until all such loads' sections
 * have ended. */
#ifndef RCU_POINTER_H
#define RCU_POINTER_H

#include "atomic.h"

#if defined(__GNUC__)

#define rcu_dereference(p) __atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#define rcu_assign_pointer(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)
#define rcu_xchg_pointer(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
/* 1 if *p was *expected and is now v; 0, and *expected is what it was, if not. */
#define rcu_cmpxchg_pointer(p, expected, v) \
    ((int)__atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))

#elif defined(_MSC_VER)

static inline void *rcu_msvc_load_pointer(void *const volatile *p)
{
    void *value = *p;
    RCU_MSVC_AFTER_LOAD();
    return value;
}

static inline void rcu_msvc_store_pointer(void *volatile *p, void *v)
{
    RCU_MSVC_BEFORE_STORE();
    *p = v;
}

static inline int rcu_msvc_cmpxchg_pointer(void *volatile *p, void **expected, void *v)
{
    void *found = _InterlockedCompareExchangePointer(p, v, *expected);
    int swapped = found == *expected;
    *expected = found;
    return swapped;
}

#if defined(__cplusplus)
/* Plus makes it a value: of *p, decltype alone is a reference. */
#define RCU_MSVC_AS(p, value) static_cast<decltype(+(p))>(value)
#else
#define RCU_MSVC_AS(p, value) (value)
#endif
#define rcu_dereference(p) RCU_MSVC_AS(p, rcu_msvc_load_pointer((void *const volatile *)&(p)))
#define rcu_assign_pointer(p, v) rcu_msvc_store_pointer((void *volatile *)&(p), (void *)(v))
#define rcu_xchg_pointer(p, v) RCU_MSVC_AS(*(p), _InterlockedExchangePointer((void *volatile *)(p), (void *)(v)))
#define rcu_cmpxchg_pointer(p, expected, v) \
    rcu_msvc_cmpxchg_pointer((void *volatile *)(p), (void **)(expected), (void *)(v))

#endif

#endif
