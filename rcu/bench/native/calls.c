/* What call_rcu() of liburcu's memb flavor costs: calls ROUNDS COUNT. Prints a line for each round: nanoseconds to
 * enqueue one callback, nanoseconds for each until all have run, and nanoseconds from a single call, while nothing is
 * queued, until its callback runs. The benchmark compiles it when it runs, and alternates with rcu's own. */
#define _GNU_SOURCE
#include <urcu/urcu-memb.h>

#include <rcu/atomic.h>
#include <rcu/thread.h>

#include <stdio.h>
#include <stdlib.h>

static uint64_t ran_at;

static void nothing(struct rcu_head *head)
{
    (void)head;
}

static void note_time(struct rcu_head *head)
{
    (void)head;
    rcu_store_release(&ran_at, rcu_clock());
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: calls ROUNDS COUNT\n");
        return EXIT_FAILURE;
    }
    long rounds = atol(argv[1]);
    unsigned long count = strtoul(argv[2], NULL, 10);
    struct rcu_head *heads = calloc(count + 1, sizeof *heads);
    if (!heads)
        return EXIT_FAILURE;
    urcu_memb_register_thread();
    for (long round = -1; round < rounds; round++) {
        uint64_t began = rcu_clock();
        for (unsigned long i = 0; i < count; i++)
            urcu_memb_call_rcu(&heads[i], nothing);
        uint64_t enqueued = rcu_clock();
        urcu_memb_barrier();
        uint64_t over = rcu_clock();
        rcu_store_relaxed(&ran_at, 0);
        uint64_t called = rcu_clock();
        urcu_memb_call_rcu(&heads[count], note_time);
        urcu_memb_barrier();
        /* The first round is for the caches and the clock rate. */
        if (round >= 0)
            printf("%.3f %.3f %.0f\n", (double)(enqueued - began) / (double)count,
                   (double)(over - began) / (double)count, (double)(rcu_load_acquire(&ran_at) - called));
    }
    urcu_memb_unregister_thread();
    free(heads);
    return EXIT_SUCCESS;
}
