/* What the torture's sections read: objects that know whether they are whole, and that are really freed. */
#ifndef RCU_TORTURE_THING_H
#define RCU_TORTURE_THING_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "rcu/head.h"
#include "rcu/pointer.h"

#define RCU_POISON 0xdb
#define RCU_POISONED UINT64_C(0xdbdbdbdbdbdbdbdb)
#define RCU_THING_WORDS 6

/* Pipe ages: 0 published, 1 removed, and one more for each grace period since. */
struct rcu_thing {
    uint64_t stamp; /* no other object's, ever */
    uint64_t words[RCU_THING_WORDS];
    uint64_t age; /* relaxed: it is counted while readers look */
    /* Of who defers its end. */
    struct rcu_head head;
    void *tally;
    uint64_t order; /* among what its thread deferred; 0: it does not matter */
    uint64_t last;  /* freed at this age */
};

static inline struct rcu_thing *rcu_thing_of(struct rcu_head *head)
{
    return (struct rcu_thing *)((char *)head - offsetof(struct rcu_thing, head));
}

static inline void rcu_thing_make(struct rcu_thing *thing, uint64_t stamp)
{
    thing->stamp = stamp;
    for (uint64_t i = 0; i < RCU_THING_WORDS; i++)
        thing->words[i] = stamp ^ i;
    rcu_store_relaxed(&thing->age, 0);
}

/* Volatile, so that each look is one: and plain, so that it orders nothing. */
static inline uint64_t rcu_thing_stamp(const struct rcu_thing *thing)
{
    return *(const volatile uint64_t *)&thing->stamp;
}

/* The first word that is not the object's; its stamp if it is whole. */
static inline uint64_t rcu_thing_look(const struct rcu_thing *thing, uint64_t stamp)
{
    for (uint64_t i = 0; i < RCU_THING_WORDS; i++) {
        uint64_t word = ((const volatile uint64_t *)thing->words)[i] ^ i;
        if (word != stamp)
            return word ^ i;
    }
    return rcu_thing_stamp(thing);
}

static inline struct rcu_thing *rcu_thing_dereference(struct rcu_thing *const *current)
{
    return rcu_dereference(*current);
}

static inline struct rcu_thing *rcu_thing_replace(struct rcu_thing **current, struct rcu_thing *with)
{
    return rcu_xchg_pointer(current, with);
}

/* After the last reader. The poison stays visible until the allocator hands the room out again. */
static inline void rcu_thing_bury(struct rcu_thing *thing)
{
    memset(thing, RCU_POISON, sizeof(struct rcu_thing));
    free(thing);
}

#endif
