/* What a read-side section costs in C: rcu's beside that of liburcu's memb flavor.
 *
 * A program of its own, which the benchmark compiles when it runs: sections ROUNDS COUNT. The loops differ in
 * nothing but the section. Prints how liburcu orders its readers, then a line for each round in which no
 * other program took the processor: nanoseconds for a section of rcu, of liburcu, and for the loop without a
 * section. */
#define _GNU_SOURCE
/* Both ask liburcu for its inline sections: the newer name and the older. */
#define URCU_INLINE_SMALL_FUNCTIONS
#define _LGPL_SOURCE
#include <urcu/urcu-memb.h>

#include <rcu/read.h>
#include <rcu/thread.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/* A loop's own cost, and where the compiler happened to put it, weigh an eighth. */
#define UNROLLED 8
#define EIGHT(x) x x x x x x x x

/* What a section reads. */
static volatile int shared = 1;

#define LOOP(name, before, after)                                                                         \
    static __attribute__((noinline, aligned(64))) double name(struct rcu_slot *slot, unsigned long count) \
    {                                                                                                     \
        (void)slot;                                                                                       \
        uint64_t began = rcu_clock();                                                                     \
        for (unsigned long i = 0; i < count; i += UNROLLED) {                                             \
            EIGHT(before; (void)shared; after;)                                                           \
        }                                                                                                 \
        return (double)(rcu_clock() - began) / (double)count;                                             \
    }

LOOP(time_rcu, rcu_enter(slot), rcu_exit(slot))
LOOP(time_liburcu, urcu_memb_read_lock(), urcu_memb_read_unlock())
LOOP(time_nothing, (void)0, (void)0)

/* How often this thread had to yield its processor; 0 where the system does not tell. */
static long preemptions(void)
{
    struct rusage usage = {0};
#if defined(RUSAGE_THREAD)
    getrusage(RUSAGE_THREAD, &usage);
#endif
    return usage.ru_nivcsw;
}

/* Nobody updates, so a slow half that runs is a wrong measurement. */
static void unexpected(struct rcu_slot *slot)
{
    fprintf(stderr, "sections: a slow half ran, seq %llu\n", (unsigned long long)slot->seq);
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    static const struct rcu_slow slow = {unexpected, unexpected, unexpected};
    static uint64_t gp = RCU_SEQ_FIRST;
    static struct rcu_slot slot __attribute__((aligned(RCU_SLOT_SIZE)));
    if (argc != 3) {
        fprintf(stderr, "usage: sections ROUNDS COUNT\n");
        return EXIT_FAILURE;
    }
    long rounds = atol(argv[1]);
    unsigned long count = strtoul(argv[2], NULL, 10);
    slot.seq = gp;
    slot.gp = &gp;
    slot.slow = &slow;
    /* As where a domain hands out its slots: in a register, at an address that the compiler does not know. */
    struct rcu_slot *volatile known = &slot;
    urcu_memb_register_thread();
    puts(urcu_memb_has_sys_membarrier ? "membarrier" : "fence");
    for (long round = -1; round < rounds; round++) {
        long before = preemptions();
        double rcu = time_rcu(known, count);
        double liburcu = time_liburcu(known, count);
        double nothing = time_nothing(known, count);
        /* The round before the first is for the caches and the clock rate. */
        if (round >= 0 && preemptions() == before)
            printf("%.4f %.4f %.4f\n", rcu, liburcu, nothing);
    }
    urcu_memb_unregister_thread();
    return EXIT_SUCCESS;
}
