/* Checks that count, and threads, for the test of the headers: a program of its own, without Python. */
#ifndef RCU_TEST_CHECK_H
#define RCU_TEST_CHECK_H

#include <rcu/atomic.h>
#include <rcu/barrier.h>
#include <rcu/domain.h>
#include <rcu/pointer.h>
#include <rcu/read.h>
#include <rcu/slot.h>
#include <rcu/thread.h>

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#include <process.h>
#endif

/* How many checks have passed, in all threads. */
extern uint64_t checks;

static inline void check_equal(uint64_t got, uint64_t expected, const char *what, const char *file, int line)
{
    if (got != expected) {
        fflush(stdout);
        fprintf(stderr, "%s:%d: %s: expected %" PRIu64 " (0x%" PRIx64 "), got %" PRIu64 " (0x%" PRIx64 ")\n", file,
                line, what, expected, expected, got, got);
        /* Other threads may be at work: no destructors. */
        _Exit(EXIT_FAILURE);
    }
    rcu_fetch_add(&checks, 1);
}

#define CHECK_EQUAL(got, expected) check_equal((uint64_t)(got), (uint64_t)(expected), #got, __FILE__, __LINE__)
#define CHECK(condition) check_equal((condition) ? 1 : 0, 1, #condition, __FILE__, __LINE__)
/* For loops that run often: counts nothing, so that it orders nothing. */
static inline void ensure_equal(uint64_t got, uint64_t expected, const char *what, const char *file, int line)
{
    if (RCU_UNLIKELY(got != expected))
        check_equal(got, expected, what, file, line);
}

#define ENSURE_EQUAL(got, expected) ensure_equal((uint64_t)(got), (uint64_t)(expected), #got, __FILE__, __LINE__)

/* The end of a hang; no measure of anything. Counts nothing, as it is asked in loops. */
#define PATIENCE (UINT64_C(300) * RCU_NS_PER_SECOND)
#define ENSURE_PATIENCE(began) ENSURE_EQUAL(rcu_clock() - (began) < PATIENCE, 1)

struct thread {
    void (*run)(void *data);
    void *data;
#if defined(_WIN32)
    HANDLE handle;
#else
    pthread_t handle;
#endif
};

#if defined(_WIN32)
static inline unsigned __stdcall thread_begin(void *thread)
{
    ((struct thread *)thread)->run(((struct thread *)thread)->data);
    return 0;
}
#else
static inline void *thread_begin(void *thread)
{
    ((struct thread *)thread)->run(((struct thread *)thread)->data);
    return NULL;
}
#endif

/* The struct must outlive the thread. */
static inline void spawn(struct thread *thread, void (*run)(void *data), void *data)
{
    thread->run = run;
    thread->data = data;
#if defined(_WIN32)
    thread->handle = (HANDLE)_beginthreadex(NULL, 0, thread_begin, thread, 0, NULL);
    CHECK(thread->handle != NULL);
#else
    CHECK_EQUAL(pthread_create(&thread->handle, NULL, thread_begin, thread), 0);
#endif
}

static inline void join(struct thread *thread)
{
#if defined(_WIN32)
    CHECK_EQUAL(WaitForSingleObject(thread->handle, INFINITE), WAIT_OBJECT_0);
    CHECK(CloseHandle(thread->handle));
#else
    CHECK_EQUAL(pthread_join(thread->handle, NULL), 0);
#endif
}

/* Waits until a word has the value, or is past it; returns what it is. Lets others run if that takes long, for there
 * may be more threads than processors. */
static inline uint64_t await_word(const uint64_t *word, uint64_t value)
{
    unsigned spins = 0;
    uint64_t began = 0, now;
    while ((now = rcu_load_acquire(word)) < value) {
        if (++spins % 16384 != 0)
            continue;
        rcu_thread_yield();
        if (began == 0)
            began = rcu_clock();
        ENSURE_PATIENCE(began);
    }
    return now;
}

/* Marsaglia's xorshift; the state is never 0. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline void spin(uint64_t turns)
{
    while (turns-- > 0)
        rcu_compiler_barrier();
}

/* How often what must never happen is given the chance; RCU_ROUNDS. Emulators want fewer. */
extern uint64_t rounds;
/* The updater's barrier in the flavor that is tested, counted. */
void updater_barrier(int fence);

/* A file each; each prints a line that tells what it did. */
void test_layout(void);
void test_atomics(void);
void test_pointers(void);
void test_threads(void);
void test_thread_ends(void);
void test_forks(void);
void test_sections(void);
void test_litmus(int fence);
void test_readers(int fence);
void test_lists(void);
void test_arrays(void);

#endif
