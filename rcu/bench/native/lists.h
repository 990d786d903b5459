/* A list that is traversed: by a reader in sections, and without anything, in loops that differ in nothing else. */
#ifndef RCU_BENCH_LISTS_H
#define RCU_BENCH_LISTS_H

#include <stdint.h>
#include <stdlib.h>

#include "rcu/head.h"
#include "rcu/list.h"
#include "rcu/read.h"

struct rcu_bench_entry {
    struct rcu_list_node links;
    uint64_t number;
    struct rcu_head head;
};

#if defined(__GNUC__)
#define RCU_BENCH_LOOP __attribute__((noinline, aligned(64)))
#else
#define RCU_BENCH_LOOP
#endif

/* Both return the sum of the entries' numbers, so that each entry is looked at. */
static RCU_BENCH_LOOP uint64_t rcu_bench_traverse(const struct rcu_list *list, struct rcu_slot *slot)
{
    const struct rcu_bench_entry *entry;
    uint64_t sum = 0;
    rcu_enter(slot);
    rcu_list_for_each_entry(entry, list, struct rcu_bench_entry, links) sum += entry->number;
    rcu_exit(slot);
    return sum;
}

static RCU_BENCH_LOOP uint64_t rcu_bench_walk(const struct rcu_list *list)
{
    const struct rcu_list_node *node;
    uint64_t sum = 0;
    for (node = list->root.next; node != &list->root; node = node->next)
        sum += rcu_list_entry(node, const struct rcu_bench_entry, links)->number;
    return sum;
}

/* A new entry, of that number; NULL: no memory. */
static inline struct rcu_bench_entry *rcu_bench_entry(uint64_t number)
{
    struct rcu_bench_entry *entry = (struct rcu_bench_entry *)calloc(1, sizeof(struct rcu_bench_entry));
    if (entry != NULL)
        entry->number = number;
    return entry;
}

/* The callback of a replaced one. */
static inline void rcu_bench_free_entry(struct rcu_head *head)
{
    free((char *)head - offsetof(struct rcu_bench_entry, head));
}

#endif
