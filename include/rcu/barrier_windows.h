/* The heavy barrier of Windows: FlushProcessWriteBuffers, since Vista. */
#ifndef RCU_BARRIER_WINDOWS_H
#define RCU_BARRIER_WINDOWS_H

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include "atomic.h"

#define RCU_HEAVY_FLAVOR "flush-process-write-buffers"

/* Wine is told apart because its FlushProcessWriteBuffers cannot be relied on: it is a stub that returns at once in
 * what distributions carry (8.0, 10.0), and later ones do not say so when the kernel refuses them membarrier. */
static inline int rcu_heavy_prepare(void)
{
    HMODULE system = GetModuleHandleA("ntdll.dll");
    return system && GetProcAddress(system, "wine_get_version") ? ERROR_CALL_NOT_IMPLEMENTED : 0;
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
