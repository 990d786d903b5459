/* A domain, from inside: what the engine keeps for an independent set of readers and updaters.
 *
 * For our own modules; other code treats struct rcu_domain as opaque. Each hot word has lines of its own: the
 * one that every section exit reads must not be disturbed by anything but a grace period. */
#ifndef RCU_DOMAIN_H
#define RCU_DOMAIN_H

#include <stdint.h>

#include "atomic.h"
#include "head.h"
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

/* A thread that takes what was deferred, waits for a grace period, and calls it. A domain has two, each with a queue
 * of its own: callbacks may be slow, and whoever only awaits a grace period shall not wait for them. */
enum rcu_reclaimers {
    RCU_DEFERRED, /* call, retire: the threads' outboxes */
    RCU_AWAITED,  /* awaited grace periods: its own outbox alone */
    RCU_RECLAIMERS
};

enum rcu_reclaimer_state {
    RCU_AWAKE,  /* will look at the queue before it sleeps */
    RCU_ASLEEP, /* wants to be woken for what is enqueued */
    RCU_ABSENT  /* has no thread: wants to be started */
};

struct rcu_reclaimer {
    /* An enum rcu_reclaimer_state. Read by whoever enqueues; written under the lock. */
    RCU_OWN_LINE uint64_t state;
    /* Callbacks begun, and those of them that failed. Written by the reclaimer's thread. */
    RCU_OWN_LINE uint64_t run;
    uint64_t failed;
    /* Of threads that have no outbox. */
    RCU_OWN_LINE struct rcu_outbox strays;
    /* Heads for the end of the next batch, behind what all threads have enqueued: barriers that nobody waits in. */
    RCU_OWN_LINE struct rcu_outbox last;

    /* Guards what follows; taken with the domain's lock held, or alone. */
    RCU_OWN_LINE rcu_mutex lock;
    rcu_cond wake;    /* the reclaimer sleeps here */
    rcu_cond changed; /* a batch is done, or there is room again */
    struct rcu_domain *domain;
    uint64_t ident;           /* its thread's; 0: absent. Atomic, for its thread looks whether it is that one */
    int hurry;                /* someone waits for the next batch: do not let it grow */
    int busy;                 /* counted in the gate: the program's exit waits for it */
    int unwatched;            /* the thread that forked this process was this one's: it ends as soon as all is done */
    uint64_t turn;            /* which of its threads it is: a thread that another has taken over from looks at it */
    uint64_t waiters;         /* threads in `changed` */
    uint64_t taken, done;     /* batches: the newest that was taken; the newest whose callbacks have all been called */
    uint64_t run_before;      /* `run`, when the newest was taken. Its thread only */
    uint64_t window_began_ns; /* since when batches are counted, so as to tell load */
    uint64_t batches;         /* how many were taken since. Both are its thread's only */
    uint64_t taken_ns;        /* when the newest was taken */
    uint64_t since_ns;        /* when the oldest callback of the batch in hand was enqueued; 0: none is in hand */
    uint64_t *tops, room;     /* scratch: what it has just taken from the outboxes */
    struct rcu_head *batch;   /* taken, oldest first, and waits for its grace period */
    struct rcu_head *ready;   /* its grace period is over */
    uint64_t peak;            /* most callbacks pending */
};

struct rcu_domain {
    /* Constant after creation. */
    uint64_t key;      /* never used again for another domain */
    intptr_t entry_at; /* see struct rcu_domain_begin */
    const struct rcu_slow *slow;
    uint64_t fence; /* 1: the fence flavor */
    /* Called with the domain's lock held when a slot with an outbox leaves the domain. */
    void (*departs)(struct rcu_slot *slot);
    char *label; /* what reports call it: UTF-8 of label_size bytes, surrogates and NULs allowed */
    uint64_t label_size;
    /* May be changed at any time; each alone, nothing else depends on them. */
    uint64_t stall_ns;      /* age at which a grace period is reported; 0: never */
    uint64_t window_ns;     /* under load, a batch grows for that long */
    uint64_t backlog_limit; /* callbacks that may be pending before updaters wait */

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
    /* Also under the locks of those reclaimers that look: what threads which are no longer attached left behind. */
    uint64_t departed;                       /* callbacks that they had enqueued */
    uint64_t holders;                        /* atomic: who keeps the domain: its owner, and each reclaimer that runs */
    int closed;                              /* its owner has gone */
    struct rcu_head *left_first, *left_last; /* oldest first */
    uint64_t left_since_ns;
    int warned; /* that a section goes on over the limit; until there is room */
    struct rcu_reclaimer reclaimers[RCU_RECLAIMERS];
    struct rcu_domain *older, *newer; /* all domains; guarded by the registry's lock */
};

/* A line of a report: a slot that a grace period waits for. */
struct rcu_awaited {
    uint64_t ident;
    uint64_t native_id;
};

#endif
