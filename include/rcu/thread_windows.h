/* Threads of Windows; see thread.h for what is promised. */
#ifndef RCU_THREAD_WINDOWS_H
#define RCU_THREAD_WINDOWS_H

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <errno.h>
#include <process.h>
#include <stdint.h>
#include <windows.h>

#ifndef RCU_NEVER
#error "rcu: include rcu/thread.h, which picks this file"
#endif

#if defined(_MSC_VER)
#define RCU_THREAD_LOCAL __declspec(thread)
#else
#define RCU_THREAD_LOCAL __thread
#endif

typedef SRWLOCK rcu_mutex;
typedef CONDITION_VARIABLE rcu_cond;

static inline void rcu_mutex_init(rcu_mutex *mutex)
{
    InitializeSRWLock(mutex);
}

static inline void rcu_mutex_destroy(rcu_mutex *mutex)
{
    (void)mutex; /* owns nothing */
}

static inline void rcu_mutex_lock(rcu_mutex *mutex)
{
    AcquireSRWLockExclusive(mutex);
}

/* Not 0 if the calling thread now holds it. */
static inline int rcu_mutex_trylock(rcu_mutex *mutex)
{
    return TryAcquireSRWLockExclusive(mutex) != 0;
}

static inline void rcu_mutex_unlock(rcu_mutex *mutex)
{
    ReleaseSRWLockExclusive(mutex);
}

static inline void rcu_cond_init(rcu_cond *cond)
{
    InitializeConditionVariable(cond);
}

static inline void rcu_cond_destroy(rcu_cond *cond)
{
    (void)cond;
}

static inline void rcu_cond_signal(rcu_cond *cond)
{
    WakeConditionVariable(cond);
}

static inline void rcu_cond_broadcast(rcu_cond *cond)
{
    WakeAllConditionVariable(cond);
}

static inline uint64_t rcu_clock(void)
{
    LARGE_INTEGER frequency, now;
    QueryPerformanceFrequency(&frequency);
    QueryPerformanceCounter(&now);
    uint64_t ticks = (uint64_t)now.QuadPart, rate = (uint64_t)frequency.QuadPart;
    return ticks / rate * RCU_NS_PER_SECOND + ticks % rate * RCU_NS_PER_SECOND / rate;
}

/* May return early: the caller looks again at what it waits for, and at the clock. */
static inline void rcu_cond_wait(rcu_cond *cond, rcu_mutex *mutex, uint64_t until)
{
    const uint64_t ns_per_ms = 1000000, longest = 3600000;
    uint64_t now = rcu_clock();
    /* Rounded up, lest the last millisecond be spent in a loop of waits of none. */
    uint64_t ms = until > now ? (until - now - 1) / ns_per_ms + 1 : 0;
    SleepConditionVariableSRW(cond, mutex, (DWORD)(ms < longest ? ms : longest), 0);
}

static inline uint64_t rcu_thread_ident(void)
{
    return GetCurrentThreadId();
}

static inline uint64_t rcu_thread_native_id(void)
{
    return GetCurrentThreadId();
}

static inline void rcu_thread_yield(void)
{
    SwitchToThread();
}

typedef unsigned rcu_thread_result;
#define RCU_THREAD_CALL __stdcall

static inline int rcu_thread_start(rcu_thread_result(__stdcall *run)(void *data), void *data, const char *name)
{
    uintptr_t thread = _beginthreadex(0, 0, run, data, 0, 0);
    (void)name;
    if (thread == 0)
        return errno;
    CloseHandle((HANDLE)thread);
    return 0;
}

/* A fiber-local slot is used because it, unlike a thread-local one, has a callback when the thread ends. */
typedef DWORD rcu_exit_key;
#define RCU_EXIT_CALL WINAPI
typedef void(RCU_EXIT_CALL *rcu_exit_hook)(void *data);

static inline int rcu_exit_key_create(rcu_exit_key *key, rcu_exit_hook hook)
{
    *key = FlsAlloc(hook);
    return *key == FLS_OUT_OF_INDEXES ? (int)GetLastError() : 0;
}

static inline int rcu_thread_watch(rcu_exit_key key, void *data)
{
    return FlsSetValue(key, data) ? 0 : (int)GetLastError();
}

static inline void *rcu_thread_watched(rcu_exit_key key)
{
    return FlsGetValue(key);
}

static inline int rcu_at_fork(void (*before)(void), void (*parent)(void), void (*child)(void))
{
    (void)before, (void)parent, (void)child;
    return 0;
}

#endif
