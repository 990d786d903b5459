/* Systems without a heavy barrier: there is none to be had, and the process takes the fence flavor. */
#ifndef RCU_BARRIER_FENCE_H
#define RCU_BARRIER_FENCE_H

#include "atomic.h"

#define RCU_HEAVY_FLAVOR "fence"
#define RCU_HEAVY_MISSING (-1)

static inline int rcu_heavy_prepare(void)
{
    return RCU_HEAVY_MISSING;
}

static inline int rcu_heavy_barrier(void)
{
    return RCU_HEAVY_MISSING;
}

#endif
