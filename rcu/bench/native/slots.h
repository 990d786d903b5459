/* A section as an extension has it, in loops that differ in nothing else: on a slot that the loop knows, on one that it
 * asks for each time, and with two plain stores in its place. Each returns what it read. */
#ifndef RCU_BENCH_SLOTS_H
#define RCU_BENCH_SLOTS_H

#include <rcu/api.h>

#if defined(__GNUC__)
#define RCU_BENCH_LOOP __attribute__((noinline, aligned(64)))
#else
#define RCU_BENCH_LOOP
#endif

/* A loop's own cost, and where the compiler happened to put it, weigh an eighth. */
#define RCU_BENCH_UNROLLED 8
#define RCU_BENCH_EIGHT(x) x x x x x x x x

static volatile int rcu_bench_shared = 1;
static struct rcu_slot rcu_bench_plain; /* to store to */

#define RCU_BENCH_SECTIONS(name, begin, end)                                   \
    static RCU_BENCH_LOOP uint64_t name(struct rcu_domain *domain, uint64_t n) \
    {                                                                          \
        struct rcu_slot *slot = rcu_this_slot(domain);                         \
        volatile uint64_t *plain = &rcu_bench_plain.seq;                       \
        uint64_t sum = 0;                                                      \
        for (uint64_t i = 0; i < n; i += RCU_BENCH_UNROLLED) {                 \
            RCU_BENCH_EIGHT(begin; sum += (uint64_t)rcu_bench_shared; end;)    \
        }                                                                      \
        (void)slot;                                                            \
        (void)plain;                                                           \
        return sum;                                                            \
    }

RCU_BENCH_SECTIONS(rcu_bench_known, rcu_enter(slot), rcu_exit(slot))
/* Asked for once a section, as by a function that reads: its end has the pointer. */
RCU_BENCH_SECTIONS(rcu_bench_asked, slot = rcu_this_slot(domain); rcu_enter(slot), rcu_exit(slot))
RCU_BENCH_SECTIONS(rcu_bench_stores, *plain = i | 1, *plain = i)
RCU_BENCH_SECTIONS(rcu_bench_nothing, (void)0, (void)0)

#endif
