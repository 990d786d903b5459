/* Threads of POSIX systems; see thread.h for what is promised. */
#ifndef RCU_THREAD_POSIX_H
#define RCU_THREAD_POSIX_H

#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#ifndef RCU_NEVER
#error "rcu: include rcu/thread.h, which picks this file"
#endif

/* Storage of one thread. glibc keeps room for small initial-exec variables of libraries that are loaded late,
 * and reading one is a single instruction; other C libraries refuse to load such a library. */
#if defined(__GLIBC__)
#define RCU_THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))
#else
#define RCU_THREAD_LOCAL __thread
#endif

typedef pthread_mutex_t rcu_mutex;
typedef pthread_cond_t rcu_cond;

static inline void rcu_mutex_init(rcu_mutex *mutex)
{
    pthread_mutex_init(mutex, 0);
}

static inline void rcu_mutex_destroy(rcu_mutex *mutex)
{
    pthread_mutex_destroy(mutex);
}

static inline void rcu_mutex_lock(rcu_mutex *mutex)
{
    pthread_mutex_lock(mutex);
}

/* Not 0 if the calling thread now holds it. */
static inline int rcu_mutex_trylock(rcu_mutex *mutex)
{
    return pthread_mutex_trylock(mutex) == 0;
}

static inline void rcu_mutex_unlock(rcu_mutex *mutex)
{
    pthread_mutex_unlock(mutex);
}

static inline void rcu_cond_init(rcu_cond *cond)
{
#if defined(__APPLE__)
    pthread_cond_init(cond, 0);
#else
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
#endif
}

static inline void rcu_cond_destroy(rcu_cond *cond)
{
    pthread_cond_destroy(cond);
}

static inline void rcu_cond_signal(rcu_cond *cond)
{
    pthread_cond_signal(cond);
}

static inline void rcu_cond_broadcast(rcu_cond *cond)
{
    pthread_cond_broadcast(cond);
}

static inline uint64_t rcu_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * RCU_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* May return early: the caller looks again at what it waits for, and at the clock. */
static inline void rcu_cond_wait(rcu_cond *cond, rcu_mutex *mutex, uint64_t until)
{
    struct timespec when;
#if defined(__APPLE__)
    uint64_t now = rcu_clock();
    until = until > now ? until - now : 0;
#endif
    when.tv_sec = (time_t)(until / RCU_NS_PER_SECOND);
    when.tv_nsec = (long)(until % RCU_NS_PER_SECOND);
#if defined(__APPLE__)
    pthread_cond_timedwait_relative_np(cond, mutex, &when);
#else
    pthread_cond_timedwait(cond, mutex, &when);
#endif
}

static inline uint64_t rcu_thread_ident(void)
{
    return (uint64_t)(uintptr_t)pthread_self();
}

static inline uint64_t rcu_thread_native_id(void)
{
#if defined(__linux__)
    return (uint64_t)syscall(SYS_gettid);
#elif defined(__APPLE__)
    uint64_t id = 0;
    pthread_threadid_np(0, &id);
    return id;
#else
    return rcu_thread_ident();
#endif
}

static inline void rcu_thread_yield(void)
{
    sched_yield();
}

/* Where Python runs, whatever the system's own default: 512 KiB on macOS, 128 KiB with musl. */
#define RCU_THREAD_STACK ((size_t)8 << 20)
typedef void *rcu_thread_result;
#define RCU_THREAD_CALL

static inline int rcu_thread_start(rcu_thread_result (*run)(void *data), void *data, const char *name)
{
    pthread_t thread;
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error)
        return error;
    pthread_attr_setstacksize(&attributes, RCU_THREAD_STACK);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_JOINABLE);
    error = pthread_create(&thread, &attributes, run, data);
    pthread_attr_destroy(&attributes);
    if (error)
        return error;
#if defined(__linux__)
    pthread_setname_np(thread, name);
#else
    (void)name;
#endif
    return pthread_detach(thread);
}

typedef pthread_key_t rcu_exit_key;
#define RCU_EXIT_CALL
typedef void (*rcu_exit_hook)(void *data);

static inline int rcu_exit_key_create(rcu_exit_key *key, rcu_exit_hook hook)
{
    return pthread_key_create(key, hook);
}

static inline int rcu_thread_watch(rcu_exit_key key, void *data)
{
    return pthread_setspecific(key, data);
}

static inline void *rcu_thread_watched(rcu_exit_key key)
{
    return pthread_getspecific(key);
}

static inline int rcu_at_fork(void (*before)(void), void (*parent)(void), void (*child)(void))
{
    return pthread_atfork(before, parent, child);
}

#endif
