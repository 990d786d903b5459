/* The heavy barrier of Linux: membarrier(PRIVATE_EXPEDITED), since 4.14. */
#ifndef RCU_BARRIER_LINUX_H
#define RCU_BARRIER_LINUX_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "atomic.h"

#define RCU_HEAVY_FLAVOR "membarrier"

/* The expedited command is refused to a process that has not registered for it. */
static inline int rcu_heavy_prepare(void)
{
    if (syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0)
        return errno;
    /* A filter may let the registration pass and refuse the barrier: try it before anyone relies on it. */
    return syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0 ? 0 : errno;
}

static inline int rcu_heavy_barrier(void)
{
    /* The kernel skips the caller, and returns early where it sees no other processor: the caller's own
     * fences do not depend on that. */
    rcu_full_barrier();
    int failed = syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0 ? errno : 0;
    rcu_full_barrier();
    return failed;
}

#endif
