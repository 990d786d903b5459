/* The heavy barrier of Windows: FlushProcessWriteBuffers, since Vista. */
#ifndef RCU_BARRIER_WINDOWS_H
#define RCU_BARRIER_WINDOWS_H

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include "atomic.h"

#define RCU_HEAVY_FLAVOR "flush-process-write-buffers"

static inline int rcu_heavy_prepare(void)
{
    return 0;
}

static inline int rcu_heavy_barrier(void)
{
    /* Documented to flush the other processors that run this process; the fences are for the caller's own. */
    rcu_full_barrier();
    FlushProcessWriteBuffers();
    rcu_full_barrier();
    return 0;
}

#endif
