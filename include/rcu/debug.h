/* What a debug build checks: one that defines RCU_DEBUG before it includes any of these headers, or on the compiler's
 * command line. A check that fails says so on stderr and aborts. Without RCU_DEBUG nothing here is compiled in. */
#ifndef RCU_DEBUG_H
#define RCU_DEBUG_H

#if defined(RCU_DEBUG)

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#if defined(_WIN32)
#include <windows.h>
#else
#include <pthread.h>
#endif

#include "atomic.h"
#include "slot.h"

/* As thread.h, which wants more of the system than a strict C11 build shows. */
static inline uint64_t rcu_debug_ident(void)
{
#if defined(_WIN32)
    return GetCurrentThreadId();
#else
    return (uint64_t)(uintptr_t)pthread_self();
#endif
}

#if defined(__GNUC__)
__attribute__((noreturn, cold, format(printf, 1, 2)))
#elif defined(_MSC_VER)
__declspec(noreturn)
#endif
static inline void rcu_debug_abort(const char *format, ...)
{
    va_list words;
    va_start(words, format);
    fputs("rcu: ", stderr);
    vfprintf(stderr, format, words);
    fputc('\n', stderr);
    fflush(stderr);
    va_end(words);
    abort();
}

/* Is it the slot of the calling thread, as only that may use it? */
static inline void rcu_debug_slot(const struct rcu_slot *slot, const char *what)
{
    uint64_t me = rcu_debug_ident();
    if (slot == NULL)
        rcu_debug_abort("%s(NULL) by thread %" PRIu64 ": rcu_this_slot() returns NULL where there is no memory", what,
                        me);
    /* A slot that its thread has left is another's, or none's; both are read, for slots are never given back. */
    if (rcu_load_relaxed(&slot->seq) == RCU_SEQ_DETACHED)
        rcu_debug_abort("%s(%p) by thread %" PRIu64 ": the slot is no thread's any more: its thread has ended or was "
                        "unregistered, or its domain was freed; ask rcu_this_slot() again",
                        what, (const void *)slot, me);
    if (slot->ident != me)
        rcu_debug_abort("%s(%p) by thread %" PRIu64 ": the slot belongs to thread %" PRIu64
                        "; each thread has its own, "
                        "from rcu_this_slot()",
                        what, (const void *)slot, me, slot->ident);
}

/* ... and is it in a section, which alone can be ended? */
static inline void rcu_debug_held(const struct rcu_slot *slot, const char *what)
{
    rcu_debug_slot(slot, what);
    if ((rcu_load_relaxed(&slot->seq) & RCU_SEQ_BUSY) == 0)
        rcu_debug_abort("%s(%p) by thread %" PRIu64 ", which is in no section of the slot's domain", what,
                        (const void *)slot, slot->ident);
}

#define RCU_DEBUG_SLOT(slot) rcu_debug_slot((slot), __func__)
#define RCU_DEBUG_HELD(slot) rcu_debug_held((slot), __func__)

#else

#define RCU_DEBUG_SLOT(slot) ((void)0)
#define RCU_DEBUG_HELD(slot) ((void)0)

#endif

#endif
