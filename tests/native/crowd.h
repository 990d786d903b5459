/* Readers and the updater that frees what they read, for the tests of lists and arrays: the smallest grace period there
 * is. The engine's own stand-in is in readers.c. */
#ifndef RCU_TEST_CROWD_H
#define RCU_TEST_CROWD_H

#include "check.h"

#define CROWD 2
#define POISON 0xDB
#define POISONED UINT64_C(0xDBDBDBDBDBDBDBDB)

/* One reader's. Odd in a section. */
struct crowd_word {
    RCU_OWN_LINE uint64_t word;
};

static inline void crowd_enter(struct crowd_word *mine)
{
    rcu_exchange(&mine->word, mine->word + 1);
    rcu_full_barrier();
}

static inline void crowd_exit(struct crowd_word *mine)
{
    rcu_store_release(&mine->word, mine->word + 1);
}

/* Blocks until all sections that there are have ended. */
static inline void crowd_wait(const struct crowd_word *words)
{
    uint64_t began = rcu_clock();
    rcu_full_barrier();
    for (size_t i = 0; i < CROWD; i++) {
        uint64_t seen = rcu_load_acquire(&words[i].word);
        while (seen % 2 != 0 && rcu_load_acquire(&words[i].word) == seen) {
            rcu_thread_yield();
            ENSURE_PATIENCE(began);
        }
    }
}

/* What nobody may read any more. Volatile, as a compiler drops what is stored into something that is then freed. */
static inline void poison(void *memory, size_t size)
{
    volatile unsigned char *bytes = (volatile unsigned char *)memory;
    while (size-- > 0)
        bytes[size] = POISON;
}

#endif
