/* Atomic accesses to plain 64-bit words and to pointers, and fences: one spelling for C11, C++17 and MSVC.
 *
 * The words are plain integers, so that a structure reads the same in C, in C++ and in Cython; what makes an
 * access atomic is the function that does it. Orders are part of the names; what each use is ordered with is
 * said where it is used, by a label of the table in barrier.h. */
#ifndef RCU_ATOMIC_H
#define RCU_ATOMIC_H

#include <stdint.h>

/* RCU_THREAD_SANITIZER or RCU_ADDRESS_SANITIZER, and RCU_SANITIZED for either: GCC says it by a macro, Clang by a
 * feature. */
#if defined(__SANITIZE_THREAD__)
#define RCU_THREAD_SANITIZER 1
#elif defined(__SANITIZE_ADDRESS__)
#define RCU_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_THREAD_SANITIZER 1
#elif __has_feature(address_sanitizer)
#define RCU_ADDRESS_SANITIZER 1
#endif
#endif
#if defined(RCU_THREAD_SANITIZER) || defined(RCU_ADDRESS_SANITIZER)
#define RCU_SANITIZED 1
#endif

#if defined(__GNUC__)

#define RCU_LIKELY(x) __builtin_expect(!!(x), 1)
#define RCU_UNLIKELY(x) __builtin_expect(!!(x), 0)

static inline uint64_t rcu_load_relaxed(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline uint64_t rcu_load_acquire(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline void rcu_store_relaxed(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void rcu_store_release(uint64_t *word, uint64_t value)
{
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* Returns the value before. Sequentially consistent, which orders it with other such operations only: it is no
 * fence for the plain accesses around it. What the engine relies on is that it acquires and releases, which costs
 * the same. */
static inline uint64_t rcu_exchange(uint64_t *word, uint64_t value)
{
    return __atomic_exchange_n(word, value, __ATOMIC_SEQ_CST);
}

static inline uint64_t rcu_fetch_add(uint64_t *word, uint64_t value)
{
    return __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST);
}

static inline uint64_t rcu_fetch_sub(uint64_t *word, uint64_t value)
{
    return __atomic_fetch_sub(word, value, __ATOMIC_SEQ_CST);
}

/* Not 0 if the word was `expected` and is `value` now. A failure orders as much as a success: GCC before 13 for RISC-V
 * takes the order of both from that of the failure, and leaves out the release if that has none. */
static inline int rcu_compare_exchange(uint64_t *word, uint64_t expected, uint64_t value)
{
    return __atomic_compare_exchange_n(word, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Keeps the compiler, and only the compiler, from moving accesses across. */
static inline void rcu_compiler_barrier(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* ThreadSanitizer follows atomic accesses and locks; a fence orders the processor there as anywhere, and tells it
 * nothing, of which GCC warns. Nothing has to be told: fences decide what is seen, as in store buffering, and a
 * section that saw the new version does not touch the old one. That the old one is freed after a section that saw
 * it is the business of atomic accesses: [B] to [G], or the exchange of awaited and the count of unready, then [Z].
 * A dummy read-modify-write here instead would order every thread with every other, and hide what is missing. */
static inline void rcu_full_barrier(void)
{
#if defined(RCU_THREAD_SANITIZER) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#if defined(RCU_THREAD_SANITIZER) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
}

#elif defined(_MSC_VER)

#include <intrin.h>

#define RCU_LIKELY(x) (x)
#define RCU_UNLIKELY(x) (x)

static inline void rcu_compiler_barrier(void)
{
    _ReadWriteBarrier();
}

#if defined(_M_X64) || defined(_M_IX86)
/* x86 keeps loads in order with what follows and stores in order with what precedes by itself. */
#define RCU_MSVC_AFTER_LOAD() _ReadWriteBarrier()
#define RCU_MSVC_BEFORE_STORE() _ReadWriteBarrier()
static inline void rcu_full_barrier(void)
{
    _ReadWriteBarrier();
    _mm_mfence();
    _ReadWriteBarrier();
}
#elif defined(_M_ARM64)
#define RCU_MSVC_AFTER_LOAD() __dmb(_ARM64_BARRIER_ISHLD)
#define RCU_MSVC_BEFORE_STORE() __dmb(_ARM64_BARRIER_ISH)
static inline void rcu_full_barrier(void)
{
    __dmb(_ARM64_BARRIER_ISH);
}
#else
#error "rcu: this processor is unknown to the MSVC half of rcu/atomic.h"
#endif

static inline uint64_t rcu_load_relaxed(const uint64_t *word)
{
    return (uint64_t)__iso_volatile_load64((const volatile __int64 *)word);
}

static inline uint64_t rcu_load_acquire(const uint64_t *word)
{
    uint64_t value = rcu_load_relaxed(word);
    RCU_MSVC_AFTER_LOAD();
    return value;
}

static inline void rcu_store_relaxed(uint64_t *word, uint64_t value)
{
    __iso_volatile_store64((volatile __int64 *)word, (__int64)value);
}

static inline void rcu_store_release(uint64_t *word, uint64_t value)
{
    RCU_MSVC_BEFORE_STORE();
    rcu_store_relaxed(word, value);
}

static inline uint64_t rcu_exchange(uint64_t *word, uint64_t value)
{
    return (uint64_t)_InterlockedExchange64((volatile __int64 *)word, (__int64)value);
}

static inline uint64_t rcu_fetch_add(uint64_t *word, uint64_t value)
{
    return (uint64_t)_InterlockedExchangeAdd64((volatile __int64 *)word, (__int64)value);
}

static inline uint64_t rcu_fetch_sub(uint64_t *word, uint64_t value)
{
    return (uint64_t)_InterlockedExchangeAdd64((volatile __int64 *)word, -(__int64)value);
}

static inline int rcu_compare_exchange(uint64_t *word, uint64_t expected, uint64_t value)
{
    return (uint64_t)_InterlockedCompareExchange64((volatile __int64 *)word, (__int64)value, (__int64)expected) ==
           expected;
}

#else
#error "rcu: rcu/atomic.h knows GCC, Clang and MSVC; add this compiler's atomics there"
#endif

#endif
