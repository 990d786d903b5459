/* A domain, from inside: what the engine keeps for an independent set of readers and updaters.
 *
 * For our own modules; other code treats struct rcu_domain as opaque. Each hot word has lines of its own: the
 * one that every section exit reads must not be disturbed by anything but a grace period. */
#ifndef RCU_DOMAIN_H
#define RCU_DOMAIN_H

#include <stdint.h>

#include "atomic.h"
#include "slot.h"
#include "thread.h"

#if defined(_MSC_VER)
#define RCU_OWN_LINE __declspec(align(128))
#else
#define RCU_OWN_LINE __attribute__((aligned(RCU_SLOT_SIZE)))
#endif

/* How much there is at first. Under a sanitizer it is as little as can be: the pool and the lists of slots then grow,
 * move and change hands with the second thread, and not first with the ninth or the thirtieth. */
#if defined(RCU_SANITIZED)
#define RCU_BLOCK_SLOTS 2 /* so many does the pool get at a time */
#define RCU_FIRST_ROOM 1  /* of a domain's list of slots; it doubles */
#else
#define RCU_BLOCK_SLOTS 32
#define RCU_FIRST_ROOM 8
#endif

/* Where the newest started grace period stands. */
enum rcu_phase {
    RCU_PHASE_DONE,    /* gp_done == gp_seq */
    RCU_PHASE_STARTED, /* gp_seq has moved; who must be waited for is not known yet */
    RCU_PHASE_WAITING  /* rcu_domain.unready is how many are still waited for */
};

/* Waiters are woken by the parity of the grace period that they need: while period n is under way all of them
 * need n or n + 2. */
#define RCU_GROUPS 2

/* Plain numbers for stats(), written under the lock. */
struct rcu_counts {
    uint64_t heavy_barriers;   /* issued */
    uint64_t barriers_skipped; /* grace periods that needed none */
    uint64_t shared_waits;     /* waits over without having led */
    uint64_t parkings;         /* slots parked by a leader */
    uint64_t sleeps;           /* leaders that slept until readers had left */
    uint64_t resumed;          /* times that a caller took up a period that was under way */
    uint64_t stalls;           /* reports of a grace period that took too long */
    uint64_t abandoned;        /* threads that ended inside a section, not yet reported */
    uint64_t abandoned_ident;  /* the last such thread */
    uint64_t last_ns;          /* duration of the last grace period */
    uint64_t longest_ns;
};

struct rcu_domain {
    /* Constant after creation. */
    uint64_t key; /* never used again for another domain */
    const struct rcu_slow *slow;
    uint64_t fence; /* 1: the fence flavor */

    /* The newest grace period started. Written by the leader, read by every section exit. */
    RCU_OWN_LINE uint64_t gp_seq;
    /* The newest one completed. Written by the leader, read by waiters and pollers. */
    RCU_OWN_LINE uint64_t gp_done;
    /* Slots still waited for, and the leader's own bias while it counts. Written by the leader, and once by each
     * reader that it waits for. */
    RCU_OWN_LINE uint64_t unready;
    /* Where the leader sleeps until unready is 0. Apart from the lock below, so that a reader that wakes it does not
     * stand in line with updaters; it guards nothing else. */
    rcu_mutex doze_lock;
    rcu_cond doze;

    /* Everything below is guarded by lock. It is held for short, never while someone sleeps or interrupts the
     * processors, and never by anyone who waits for Python. */
    RCU_OWN_LINE rcu_mutex lock;
    /* Threads that want the lock and are no updaters. Atomic, for it is counted and read without the lock. */
    uint64_t visitors;
    struct rcu_slot **slots;
    uint64_t n_slots, room;
    enum rcu_phase phase;
    int led;     /* a thread is the leader now */
    int crowded; /* the newest completed period had another leader than the one before, or followers */
    uint64_t by; /* its leader's ident */
    uint64_t followers[RCU_GROUPS];
    rcu_cond changed[RCU_GROUPS]; /* the period is over, or wants a leader */
    uint64_t started_ns;          /* when the newest grace period started */
    uint64_t stall_next_ns;       /* age at which it is reported (again); 0: not yet reported */
    struct rcu_counts counts;
    struct rcu_domain *older, *newer; /* all domains; guarded by the registry's lock */
};

/* A line of a report: a slot that a grace period waits for. */
struct rcu_awaited {
    uint64_t ident;
    uint64_t native_id;
};

#endif
