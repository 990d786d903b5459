/* The read side: inline, on an explicit slot of the calling thread.
 *
 * All may be called with or without a Python thread state, in or out of a section; none allocates, and none
 * blocks, but for the short lock that the last reader of a grace period takes to wake its updater. The slot is
 * rcu_this_slot()'s, of the calling thread; a debug build (debug.h) checks that. */
#ifndef RCU_READ_H
#define RCU_READ_H

#include "atomic.h"
#include "debug.h"
#include "slot.h"

/* Is the calling thread, whose slot this is, in a section? The kernel's rcu_read_lock_held(). */
static inline int rcu_held(const struct rcu_slot *slot)
{
    RCU_DEBUG_SLOT(slot);
    return (rcu_load_relaxed(&slot->seq) & RCU_SEQ_BUSY) != 0;
}

/* Begins a read-side section, or nests one more. The kernel's and liburcu's rcu_read_lock(). */
static inline void rcu_enter(struct rcu_slot *slot)
{
    RCU_DEBUG_SLOT(slot);
    uint64_t seq = rcu_load_relaxed(&slot->seq);
    if (RCU_UNLIKELY((seq & RCU_SEQ_BUSY) != 0)) {
        slot->nest++;
        return;
    }
    if (RCU_UNLIKELY(seq <= RCU_SEQ_QUIESCED)) {
        slot->slow->enter(slot);
        return;
    }
    /* Relaxed: what must not come before this store is held back by [A]. */
    rcu_store_relaxed(&slot->seq, seq | RCU_SEQ_BUSY);
    /* [A] with [E]: if the leader's heavy barrier interrupts us after the store, the leader sees us busy and
     * waits; if before, our loads see what was published before it, and the parked flag that went with it. */
    rcu_compiler_barrier();
    if (RCU_UNLIKELY(rcu_load_relaxed(&slot->parked) != 0))
        slot->slow->enter_parked(slot);
}

/* Ends the innermost section; the caller is in one. The kernel's and liburcu's rcu_read_unlock(). */
static inline void rcu_exit(struct rcu_slot *slot)
{
    RCU_DEBUG_HELD(slot);
    if (RCU_UNLIKELY(slot->nest != 0)) {
        slot->nest--;
        return;
    }
    uint64_t seq = rcu_load_relaxed(&slot->seq) & ~RCU_SEQ_BUSY;
    /* [B] with [G]: whoever sees this store sees the section's accesses done. If the leader looks earlier it
     * sees us busy, and waits. */
    rcu_store_release(&slot->seq, seq);
    /* [C] with [E]: if the heavy barrier comes after the store, the leader sees us idle and does not wait; if
     * before, we see the new gp_seq here, and tell the leader. */
    rcu_compiler_barrier();
    if (RCU_UNLIKELY(rcu_load_relaxed(slot->gp) != seq))
        slot->slow->exit(slot);
}

#endif
