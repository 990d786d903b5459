/* A callback that waits for a grace period, as the kernel's rcu_head: a member of what it will free, so that
 * enqueueing it allocates nothing. From when it is enqueued until it is called it belongs to the domain. */
#ifndef RCU_HEAD_H
#define RCU_HEAD_H

#include <stddef.h>
#include <stdint.h>

struct rcu_head;
typedef void (*rcu_callback)(struct rcu_head *head);

struct rcu_head {
    struct rcu_head *next; /* older, in an outbox; newer, once taken from there */
    rcu_callback func;     /* called outside every section and lock; may free what the head is in */
};

/* What has the head as its `member`: in a callback, what it frees. Anyone. The kernel's container_of(), QEMU's and
 * liburcu's too. */
#define rcu_head_entry(head, type, member) ((type *)(void *)((char *)(head) - offsetof(type, member)))

/* Where a thread leaves the heads that it enqueues, on lines of its own: nobody else writes here but the reclaimer,
 * which takes all of them at once. */
struct rcu_outbox {
    uint64_t newest;   /* a struct rcu_head *, or 0: a stack. Pushed by its thread, emptied by the reclaimer */
    uint64_t enqueued; /* callbacks in all. Written by its thread, read by anyone */
    uint64_t check_at; /* of `enqueued`, when its thread looks at the backlog. Others make it 0 if they need room */
    uint64_t since_ns; /* when the oldest head in it was pushed. Written by its thread before it pushes onto nothing */
    void *log;         /* the newest head, where it has room for more callbacks; NULL if not. Its thread only */
};

#endif
