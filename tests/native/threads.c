/* Threads as thread.h promises them: locks, conditions, clock, idents, thread ends, forks. */
#include "check.h"

#if !defined(_WIN32)
#include <sys/wait.h>
#endif

#define THREADS 4
#define MS UINT64_C(1000000)

static rcu_mutex mutex;
static rcu_cond cond;
static uint64_t plain; /* guarded by mutex */

static void count_under_lock(void *unused)
{
    (void)unused;
    for (uint64_t i = 0; i < rounds; i++) {
        rcu_mutex_lock(&mutex);
        plain++;
        rcu_mutex_unlock(&mutex);
    }
}

static void try_lock(void *got)
{
    *(int *)got = rcu_mutex_trylock(&mutex);
    if (*(int *)got)
        rcu_mutex_unlock(&mutex);
}

static int another_can_lock(void)
{
    struct thread thread;
    int got = -1;
    spawn(&thread, try_lock, &got);
    join(&thread);
    CHECK(got != -1);
    return got;
}

static void test_mutex(void)
{
    struct thread threads[THREADS];
    plain = 0;
    for (size_t i = 0; i < THREADS; i++)
        spawn(&threads[i], count_under_lock, NULL);
    for (size_t i = 0; i < THREADS; i++)
        join(&threads[i]);
    CHECK_EQUAL(plain, THREADS * rounds);
    CHECK(another_can_lock());
    CHECK(rcu_mutex_trylock(&mutex));
    CHECK(!another_can_lock());
    rcu_mutex_unlock(&mutex);
    CHECK(another_can_lock());
}

struct waiter {
    uint64_t until, returns; /* how often the wait returned */
};
static uint64_t waiting, let_go; /* guarded by mutex */

static void wait_until_let_go(void *data)
{
    struct waiter *waiter = (struct waiter *)data;
    rcu_mutex_lock(&mutex);
    waiting++;
    while (!let_go) {
        rcu_cond_wait(&cond, &mutex, waiter->until);
        waiter->returns++;
    }
    waiting--;
    rcu_mutex_unlock(&mutex);
}

/* Who has counted itself as waiting under the lock has let go of it only by waiting. */
static void await_waiters(uint64_t count)
{
    uint64_t began = rcu_clock(), found;
    do {
        rcu_thread_yield();
        rcu_mutex_lock(&mutex);
        found = waiting;
        rcu_mutex_unlock(&mutex);
        ENSURE_PATIENCE(began);
    } while (found != count);
}

/* Lets time pass on a condition that nobody signals, and returns how much did. */
static uint64_t rest(uint64_t ns)
{
    rcu_mutex own;
    rcu_cond nobody;
    uint64_t began = rcu_clock(), returns = 0;
    rcu_mutex_init(&own);
    rcu_cond_init(&nobody);
    rcu_mutex_lock(&own);
    do {
        rcu_cond_wait(&nobody, &own, began + ns);
        returns++;
    } while (rcu_clock() < began + ns);
    CHECK(!rcu_mutex_trylock(&own)); /* a wait comes back with the lock */
    rcu_mutex_unlock(&own);
    rcu_cond_destroy(&nobody);
    rcu_mutex_destroy(&own);
    CHECK(returns < 100); /* a wait that does not wait is a loop */
    return rcu_clock() - began;
}

static void test_conditions(void)
{
    /* The past: returns, and has the lock. */
    rcu_mutex_lock(&mutex);
    rcu_cond_wait(&cond, &mutex, 0);
    rcu_cond_wait(&cond, &mutex, 1);
    rcu_cond_wait(&cond, &mutex, rcu_clock() - 1);
    CHECK(!another_can_lock());
    rcu_mutex_unlock(&mutex);
    CHECK(another_can_lock());
    /* The future: over by itself. */
    CHECK(rest(1) >= 1);
    CHECK(rest(5 * MS) >= 5 * MS);

    /* Never, and far off: over when signalled, and neither at once nor in a loop of short waits. */
    const uint64_t ends[] = {RCU_NEVER, RCU_NEVER, rcu_clock() + 7200 * RCU_NS_PER_SECOND};
    struct waiter waiters[3];
    struct thread threads[3];
    const uint64_t count = sizeof ends / sizeof *ends;
    for (int broadcast = 0; broadcast < 2; broadcast++) {
        let_go = 0;
        for (uint64_t i = 0; i < count; i++) {
            waiters[i].until = ends[i];
            waiters[i].returns = 0;
            spawn(&threads[i], wait_until_let_go, &waiters[i]);
        }
        await_waiters(count);
        CHECK(rest(20 * MS) >= 20 * MS);
        rcu_mutex_lock(&mutex);
        CHECK_EQUAL(waiting, count);
        let_go = 1;
        if (broadcast)
            rcu_cond_broadcast(&cond);
        for (uint64_t i = 0; !broadcast && i < count; i++)
            rcu_cond_signal(&cond);
        rcu_mutex_unlock(&mutex);
        for (uint64_t i = 0; i < count; i++) {
            join(&threads[i]);
            CHECK(waiters[i].returns >= 1 && waiters[i].returns < 100);
        }
        CHECK_EQUAL(waiting, 0);
    }
}

static void test_clock(void)
{
    uint64_t first = rcu_clock(), last = first, moves = 0;
    for (uint64_t i = 0; i < rounds || moves < 10; i++) {
        uint64_t now = rcu_clock();
        ENSURE_EQUAL(now >= last, 1);
        moves += now != last;
        last = now;
    }
    CHECK(moves >= 10);
    CHECK(last < RCU_NEVER);
}

static RCU_THREAD_LOCAL uint64_t local = 5;

struct identity {
    uint64_t ident, native;
    uint64_t *local;
};
static uint64_t arrived, depart;

static void identify(void *data)
{
    struct identity *identity = (struct identity *)data;
    CHECK_EQUAL(local, 5);
    local = 6;
    identity->ident = rcu_thread_ident();
    identity->native = rcu_thread_native_id();
    identity->local = &local;
    rcu_fetch_add(&arrived, 1);
    await_word(&depart, 1); /* numbers may be given again once a thread has ended */
    CHECK_EQUAL(rcu_thread_ident(), identity->ident);
    CHECK_EQUAL(rcu_thread_native_id(), identity->native);
}

static void test_identities(void)
{
    struct thread threads[2];
    struct identity all[3] = {{0, 0, NULL}, {0, 0, NULL}, {rcu_thread_ident(), rcu_thread_native_id(), &local}};
    for (size_t i = 0; i < 2; i++)
        spawn(&threads[i], identify, &all[i]);
    await_word(&arrived, 2);
    for (size_t i = 0; i < 3; i++) {
        CHECK(all[i].ident != 0 && all[i].native != 0);
        for (size_t j = 0; j < i; j++) {
            CHECK(all[i].ident != all[j].ident);
            CHECK(all[i].native != all[j].native);
            CHECK(all[i].local != all[j].local);
        }
    }
    rcu_store_release(&depart, 1);
    for (size_t i = 0; i < 2; i++)
        join(&threads[i]);
    CHECK_EQUAL(local, 5);
#if defined(_WIN32)
    CHECK_EQUAL(all[2].ident, GetCurrentThreadId());
#else
    CHECK_EQUAL(all[2].ident, (uintptr_t)pthread_self());
#if defined(__linux__)
    CHECK_EQUAL(all[2].native, getpid()); /* the main thread's */
#endif
#endif
}

void test_threads(void)
{
    rcu_mutex_init(&mutex);
    rcu_cond_init(&cond);
    test_mutex();
    test_conditions();
    test_clock();
    test_identities();
    rcu_cond_destroy(&cond);
    rcu_mutex_destroy(&mutex);
    printf("threads: %" PRIu64 " turns under a lock; waits, clock, identities\n", plain);
}

/* ---- the ends of threads ---- */

static rcu_exit_key key;
static uint64_t ended, ended_ident;
static void *ended_data;

static void RCU_EXIT_CALL on_end(void *data)
{
    /* Windows may call with NULL; who watches passes something else. */
    if (data == NULL)
        return;
    ended_ident = rcu_thread_ident();
    ended_data = data;
    rcu_fetch_add(&ended, 1);
}

struct watching {
    void *first, *second; /* what it is watched with, in turn; NULL: as it was */
    int then_not;
    uint64_t ident;
};

static void watch(void *data)
{
    struct watching *watching = (struct watching *)data;
    watching->ident = rcu_thread_ident();
    CHECK(rcu_thread_watched(key) == NULL);
    if (watching->first != NULL) {
        CHECK_EQUAL(rcu_thread_watch(key, watching->first), 0);
        CHECK(rcu_thread_watched(key) == watching->first);
    }
    if (watching->second != NULL) {
        CHECK_EQUAL(rcu_thread_watch(key, watching->second), 0);
        CHECK(rcu_thread_watched(key) == watching->second);
    }
    if (watching->then_not) {
        CHECK_EQUAL(rcu_thread_watch(key, NULL), 0);
        CHECK(rcu_thread_watched(key) == NULL);
    }
    CHECK_EQUAL(ended, 0);
}

static uint64_t ends_of(void *first, void *second, int then_not)
{
    struct thread thread;
    struct watching watching = {first, second, then_not, 0};
    ended = ended_ident = 0;
    ended_data = NULL;
    spawn(&thread, watch, &watching);
    join(&thread);
    CHECK_EQUAL(ended_ident, ended ? watching.ident : 0); /* on the thread that ends */
    return ended;
}

void test_thread_ends(void)
{
    int one, other;
    CHECK_EQUAL(rcu_exit_key_create(&key, on_end), 0);
    CHECK(rcu_thread_watched(key) == NULL);
    CHECK_EQUAL(rcu_thread_watch(key, &one), 0); /* this thread's does not end here */
    CHECK_EQUAL(ends_of(&one, NULL, 0), 1);
    CHECK(ended_data == &one);
    CHECK_EQUAL(ends_of(&one, &other, 0), 1);
    CHECK(ended_data == &other);
    CHECK_EQUAL(ends_of(NULL, NULL, 0), 0);
    CHECK_EQUAL(ends_of(&one, NULL, 1), 0);
    CHECK(rcu_thread_watched(key) == &one);
    CHECK_EQUAL(rcu_thread_watch(key, NULL), 0);
    printf("thread ends: told of those that watch, and of no others\n");
}

/* ---- forks ---- */

static char order[8];

static void note(char who)
{
    size_t length = strlen(order);
    CHECK(length + 1 < sizeof order);
    order[length] = who;
}

static void before(void)
{
    note('b');
}

static void in_parent(void)
{
    note('p');
}

static void in_child(void)
{
    note('c');
}

void test_forks(void)
{
    CHECK_EQUAL(rcu_at_fork(before, in_parent, in_child), 0);
#if defined(_WIN32)
    CHECK_EQUAL(strlen(order), 0);
    printf("forks: there are none\n");
#else
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0)
        _exit(strcmp(order, "bc") == 0 ? 23 : 1);
    CHECK_EQUAL(strcmp(order, "bp"), 0);
    int status = 0;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    CHECK_EQUAL(WEXITSTATUS(status), 23);
    printf("forks: handlers in order, in parent and child\n");
#endif
}
