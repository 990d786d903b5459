/* How a thread finds its own slot without a call.
 *
 * Extensions are loaded apart from each other, so a header cannot define the thread-local where a thread keeps its
 * slots; only _threads has one. Where such a variable is at the same distance from the thread pointer in every thread
 * (glibc's initial-exec model), that distance is all that others need to know. Elsewhere they call. */
#ifndef RCU_THIS_THREAD_H
#define RCU_THIS_THREAD_H

#include <stdint.h>
#include <stdlib.h> /* says whether this is glibc */

#include "slot.h"

/* What a thread knows of one of its slots. */
struct rcu_entry {
    uint64_t key;          /* of the domain; 0: free */
    struct rcu_slot *slot; /* the thread's slot there */
};

#if defined(__GLIBC__) && defined(__GNUC__)

/* Not by __has_builtin, which says yes where the compiler then refuses it: GCC for POWER, Clang 12 for x86-64. */
#if (defined(__x86_64__) && defined(__LP64__)) || defined(__aarch64__)
#if defined(__clang__) ? __clang_major__ >= 14 : __GNUC__ >= 11
#define RCU_THREAD_POINTER() ((const char *)__builtin_thread_pointer())
#endif
#elif defined(__riscv) && !defined(__clang__) && __GNUC__ >= 11
#define RCU_THREAD_POINTER() ((const char *)__builtin_thread_pointer())
#endif

/* Where the compiler has no such built-in for x86-64, the ABI has it: the first word there is its own address. */
#if !defined(RCU_THREAD_POINTER) && defined(__x86_64__) && defined(__LP64__)
static inline const char *rcu_x86_thread_pointer(void)
{
    const char *pointer;
    __asm__("mov %%fs:0, %0" : "=r"(pointer));
    return pointer;
}
#define RCU_THREAD_POINTER() rcu_x86_thread_pointer()
#endif

#endif

/* A thread has that many entries at hand, each at its key modulo that; keys count upwards. A power of two. */
#define RCU_AT_HAND 4

/* What a domain begins with, constant while it lasts. */
struct rcu_domain_begin {
    uint64_t key;
    intptr_t entry_at; /* of the entry at hand that is this domain's or another's, from the thread pointer; 0: call */
};

/* The calling thread's slot in the domain, if it is at hand; else NULL. */
static inline struct rcu_slot *rcu_slot_at_hand(const struct rcu_domain *domain)
{
#if defined(RCU_THREAD_POINTER)
    const struct rcu_domain_begin *begin = (const struct rcu_domain_begin *)(const void *)domain;
    if (begin->entry_at != 0) {
        const void *at = RCU_THREAD_POINTER() + begin->entry_at;
        const struct rcu_entry *entry = (const struct rcu_entry *)at;
        if (entry->key == begin->key)
            return entry->slot;
    }
#else
    (void)domain;
#endif
    return NULL;
}

#endif
