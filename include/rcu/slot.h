/* A slot: what one thread tells the updaters of one domain.
 *
 * Slots live in a pool that is never given back, so whoever holds a pointer to one reads a slot, whatever has
 * become of its thread and domain. The first line is the reader's; the second belongs to the registry. */
#ifndef RCU_SLOT_H
#define RCU_SLOT_H

#include <stdint.h>

/* Two lines of 64 bytes: processors fetch neighbours in pairs, and Apple's have lines of 128. */
#define RCU_SLOT_SIZE 128

/* Values of rcu_slot.seq. From RCU_SEQ_FIRST on: the newest grace period that the thread has seen, even; odd
 * while it is in a section. */
#define RCU_SEQ_DETACHED UINT64_C(0) /* in the pool, no thread's */
#define RCU_SEQ_QUIESCED UINT64_C(2) /* will fence before it reads again */
#define RCU_SEQ_FIRST UINT64_C(4)    /* gp_seq of a new domain */
#define RCU_SEQ_STEP UINT64_C(2)     /* from one grace period to the next */
#define RCU_SEQ_BUSY UINT64_C(1)     /* in a section */
#define RCU_SEQ_NEVER UINT64_C(0)    /* equals no sequence that a reader can hold after a section */

struct rcu_domain;
struct rcu_outbox;
struct rcu_slot;

/* The slow halves of the read side. They are found through the slot, so that a header-only reader needs no
 * symbol of ours. */
struct rcu_slow {
    void (*enter)(struct rcu_slot *slot);        /* leaves the quiesced state */
    void (*enter_parked)(struct rcu_slot *slot); /* an idle slot that updaters no longer interrupt wakes up */
    void (*exit)(struct rcu_slot *slot);         /* a grace period began since this slot last looked */
};

struct rcu_slot {
    /* The reader's line. */

    /* Written by its thread, and by the registry, locked, when the slot changes hands. Read by updaters. */
    uint64_t seq;
    /* How many sections are nested in its outermost one. Its thread only, while attached; plain. */
    uint64_t nest;
    /* 1: a leader waits for it. Set by leaders; taken (exchanged for 0) by its thread, or by the leader that set
     * it too late. */
    uint64_t awaited;
    /* 1: it fences at its next enter, so leaders need not interrupt it. Set by leaders, cleared by its thread;
     * constantly 1 in the fence flavor. */
    uint64_t parked;
    /* What an exit compares seq with: the domain's gp_seq; in the fence flavor a word that is RCU_SEQ_NEVER, so
     * that each exit takes the slow half. Constant while attached, like the three below. */
    const uint64_t *gp;
    const struct rcu_slow *slow;
    struct rcu_domain *domain;
    /* 1: the fence flavor. */
    uint64_t fence;

    /* The registry's line: written and read under its locks. */

    uint64_t key;           /* of the domain; 0 in the pool */
    uint64_t index;         /* place in the domain's list of slots */
    uint64_t ident;         /* the thread, as threading.get_ident() tells it */
    uint64_t native_id;     /* the thread, as the system's tools name it */
    struct rcu_slot *spare; /* the next free one, in the pool */
    /* What the thread has deferred; NULL until it does. Set by its thread under the domain's lock, read by it, and by
     * others under that lock. */
    struct rcu_outbox *outbox;
    uint64_t reserved[2];
};

#endif
