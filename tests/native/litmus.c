/* Store buffering, for real: a reader stores and loads with the light barrier between, an updater with the heavy one.
 *
 * That neither sees the other's store must never happen. What else can happen must happen: the reader first (it does
 * not see the updater's store, which sees the reader's), and the updater first. Every other block of rounds is the
 * control: the same without the heavy barrier, where real processors do show what must not be. It goes on until they
 * have, so on a machine that is too busy to show anything it takes longer, and does not pass for that. */
#include "check.h"

#if !defined(_WIN32)
#include <sched.h>
#endif

/* Of each outcome that must happen, at least. */
#define ENOUGH 100
/* Rounds in which the reader ran while the barrier did: on a busy machine nothing but luck brings the two together. */
#define ENOUGH_BOTH (rounds / 5000)
/* What the control must have shown: had the tested side no barrier, it would have shown about as many. */
#define ENOUGH_SHOWN (rounds / 20000 + 1)
#define END UINT64_MAX

enum side { HEAVY, FENCE, NOTHING };

/* A word is its writer's round, so nothing is reset, and each store finds its line with the other processor. */
static RCU_OWN_LINE uint64_t updaters;
static RCU_OWN_LINE uint64_t readers;
/* They begin rounds in turns, lest whoever waits always be late: each says which round it has begun. */
static RCU_OWN_LINE uint64_t updater_began;
static RCU_OWN_LINE uint64_t reader_began;
/* The newest round that each is through with. */
static RCU_OWN_LINE uint64_t updater_done;
static RCU_OWN_LINE uint64_t reader_done;
static RCU_OWN_LINE uint64_t reader_saw;
/* Constant while they play. */
static RCU_OWN_LINE enum side tested;
static uint64_t wide[3]; /* the longest delay on each side, in turns of spin() */

#define BLOCK 512
static enum side side_of(uint64_t round)
{
    return round / BLOCK % 2 == 0 ? tested : NOTHING;
}

/* The reader fills its store buffer with lines that the updater has just written: its store has to wait for them, its
 * load does not. That is what the heavy barrier is there for, and makes the time in which it is missed longer. */
#define CLUTTER 48
static struct {
    RCU_OWN_LINE uint64_t word;
} clutter[CLUTTER];

static inline void write_clutter(uint64_t round)
{
    for (size_t i = 0; i < CLUTTER; i++)
        rcu_store_relaxed(&clutter[i].word, round);
}

/* Who begins is late by a random time, so that who comes first is open. The other is late by its way here, and
 * where a barrier takes its time, by as much again. */
static uint64_t delay(uint64_t *random, enum side side, int begins)
{
    return begins || side == HEAVY ? random_next(random) % (wide[side] + 1) : 0;
}

/* Two threads that share one processor show nothing, and a busy system may leave them there: where they can be told
 * to, the two keep to two of the processors that the process may use, until it is over. */
#if defined(__linux__)
static cpu_set_t allowed;

static void keep_to(int nth)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &allowed) && (CPU_COUNT(&one) == 0 || nth-- > 0)) {
            CPU_ZERO(&one);
            CPU_SET(i, &one);
        }
    CHECK_EQUAL(sched_setaffinity(0, sizeof one, &one), 0);
}

static void keep_to_any(void)
{
    CHECK_EQUAL(sched_setaffinity(0, sizeof allowed, &allowed), 0);
}
#else
static void keep_to(int nth)
{
    (void)nth;
}

static void keep_to_any(void)
{
}
#endif

static void reader(void *unused)
{
    (void)unused;
    keep_to(1);
    uint64_t random = 88172645463325252u;
    for (uint64_t round = 1;; round++) {
        enum side side = side_of(round);
        int begins = round % 2 == 0;
        if (await_word(&updater_done, round - 1) == END)
            return;
        if (begins)
            rcu_store_release(&reader_began, round);
        else if (await_word(&updater_began, round) == END)
            return;
        spin(delay(&random, side, begins));
        write_clutter(round);
        rcu_store_relaxed(&readers, round);
        if (side == FENCE)
            rcu_full_barrier();
        else
            rcu_compiler_barrier();
        rcu_store_relaxed(&reader_saw, rcu_load_relaxed(&updaters));
        rcu_store_release(&reader_done, round);
    }
}

struct outcomes {
    uint64_t rounds, neither, reader_first, updater_first, both;
};

static void play(struct outcomes *seen, uint64_t *random, uint64_t round)
{
    enum side side = side_of(round);
    int begins = round % 2 != 0;
    write_clutter(round);
    if (begins)
        rcu_store_release(&updater_began, round);
    else
        await_word(&reader_began, round);
    spin(delay(random, side, begins));
    rcu_store_relaxed(&updaters, round);
    if (side == NOTHING)
        rcu_compiler_barrier();
    else
        updater_barrier(side == FENCE);
    int updater_saw = rcu_load_relaxed(&readers) == round;
    await_word(&reader_done, round);
    int reader_did = rcu_load_relaxed(&reader_saw) == round;
    seen->rounds++;
    seen->neither += !updater_saw && !reader_did;
    seen->reader_first += updater_saw && !reader_did;
    seen->updater_first += !updater_saw && reader_did;
    seen->both += updater_saw && reader_did;
    rcu_store_release(&updater_done, round);
}

/* What both take when no other program takes the processor meanwhile: the shortest of some attempts. */
#define ATTEMPTS 20
static uint64_t turns_of_spin(uint64_t ns)
{
    const uint64_t many = 10000;
    uint64_t shortest = UINT64_MAX;
    for (int i = 0; i < ATTEMPTS; i++) {
        uint64_t began = rcu_clock();
        spin(many);
        uint64_t took = rcu_clock() - began;
        shortest = took < shortest ? took : shortest;
    }
    return ns * many / (shortest + 1) + 1;
}

static uint64_t barrier_ns(int fence)
{
    const uint64_t many = 10;
    uint64_t shortest = UINT64_MAX;
    for (int i = 0; i < ATTEMPTS; i++) {
        uint64_t began = rcu_clock();
        for (uint64_t j = 0; j < many; j++)
            updater_barrier(fence);
        uint64_t took = rcu_clock() - began;
        shortest = took < shortest ? took : shortest;
    }
    return shortest / many;
}

static unsigned processors(void)
{
#if defined(_WIN32)
    DWORD_PTR mine = 0, all = 0;
    unsigned count = 0;
    CHECK(GetProcessAffinityMask(GetCurrentProcess(), &mine, &all));
    for (; mine != 0; mine &= mine - 1)
        count++;
    return count;
#elif defined(__linux__)
    CHECK_EQUAL(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    return (unsigned)CPU_COUNT(&allowed);
#else
    return (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
#endif
}

/* What store buffers do is certain of x86 only, and takes two processors; nobody runs an x86 program emulated here.
 * Elsewhere it is told and not required. */
#if defined(__x86_64__) || defined(_M_X64)
#define SHOWS_STORE_BUFFERS 1
#else
#define SHOWS_STORE_BUFFERS 0
#endif

void test_litmus(int fence)
{
    struct thread thread;
    struct outcomes seen = {0, 0, 0, 0, 0}, control = {0, 0, 0, 0, 0};
    int required = processors() > 1 && SHOWS_STORE_BUFFERS;
    uint64_t random = 2463534242u, began;
    /* The barrier and the way of a line between processors; without a barrier, the way alone. */
    wide[HEAVY] = wide[FENCE] = turns_of_spin(barrier_ns(fence) + 500);
    wide[NOTHING] = turns_of_spin(1000);
    tested = fence ? FENCE : HEAVY;
    keep_to(0);
    spawn(&thread, reader, NULL);
    began = rcu_clock();
    for (uint64_t round = 1;
         seen.rounds < rounds || seen.reader_first < ENOUGH || seen.updater_first < ENOUGH ||
         (!fence && seen.both < ENOUGH_BOTH) || control.rounds < rounds || (required && control.neither < ENOUGH_SHOWN);
         round++) {
        play(side_of(round) == NOTHING ? &control : &seen, &random, round);
        ENSURE_EQUAL(seen.neither, 0);
        ENSURE_PATIENCE(began);
    }
    rcu_store_release(&updater_began, END);
    rcu_store_release(&updater_done, END);
    join(&thread);
    keep_to_any();
    CHECK_EQUAL(seen.reader_first + seen.updater_first + seen.both, seen.rounds);
    CHECK(seen.rounds >= rounds && seen.reader_first >= ENOUGH && seen.updater_first >= ENOUGH);
    printf("store buffering (%s): %" PRIu64 " rounds, reader first %" PRIu64 ", updater first %" PRIu64
           ", both %" PRIu64 ", neither %" PRIu64 "\n",
           fence ? RCU_FENCE_FLAVOR : RCU_HEAVY_FLAVOR, seen.rounds, seen.reader_first, seen.updater_first, seen.both,
           seen.neither);
    if (required)
        CHECK(control.neither >= ENOUGH_SHOWN);
    printf("store buffering (no barrier): %" PRIu64 " rounds, neither %" PRIu64 "%s\n", control.rounds, control.neither,
           required ? "" : ", which is not required here");
}
