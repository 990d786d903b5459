/* Slots, as in rcu/_slots.pyx: attach, detach, and who is waited for. */

inline attach()
{
    pool_take();
    slot_reset();
    enlist();
    mutex_unlock(registry)
}

/* With the lock of the registry. The model's pool cannot grow: who finds it empty has not come yet. */
inline pool_take()
{
    if
    :: atomic { DRAINED && !registry && memory[SEQ(0)] == DETACHED -> registry = true; slot = 0 }
#if SLOTS > 1
    :: atomic { DRAINED && !registry && memory[SEQ(1)] == DETACHED -> registry = true; slot = 1 }
#endif
    fi
}

/* Straight into the memory: nobody looks at the slot before it is listed, under a lock. */
inline slot_reset()
{
    atomic {
        if
        :: MUTANT == NO_RESET
        :: else ->
            memory[AWAITED(slot)] = 0;
            memory[PARKED(slot)] = FENCE_FLAVOR
        fi;
        memory[SEQ(slot)] = QUIESCED;
        mine = QUIESCED;
        assert(memory[AWAITED(slot)] == 0 && memory[PARKED(slot)] == FENCE_FLAVOR)
    }
}

inline enlist()
{
    mutex_lock(lock);
    atomic { listed[slot] = true; REACHED_IF(RECYCLED, recycled == gp_seq && phase == WAITING) };
    mutex_unlock(lock)
}

inline detach()
{
    mutex_lock(registry);
    delist();
    mutex_unlock(registry)
}

inline delist()
{
    mutex_lock(lock);
    atomic { listed[slot] = false; REACHED_IF(ENDS_AWAITED, memory[AWAITED(slot)]) };
    if
    :: MUTANT == NO_WAKE_AT_DETACH
    :: else -> wake()
    fi;
    mutex_unlock(lock);
    pool_give()
}

inline on_thread_exit()
{
    mutex_lock(registry);
    delist();
    mutex_unlock(registry)
}

inline pool_give()
{
    atomic {
        assert(MUTANT == NO_WAKE_AT_DETACH || memory[AWAITED(slot)] == 0);
        mine = DETACHED;
        store(SEQ(slot), mine);
        recycled = (PROBE == RECYCLED && phase == WAITING -> gp_seq : 0)
    }
}

inline take_awaited(which)
{
    last = false;
    if
    :: LOAD(AWAITED(which), 1) == 0
    :: else ->
        atomic { /* rcu_exchange */
            DRAINED ->
            last = memory[AWAITED(which)];
            if
            :: MUTANT == TORN_TAKE -> last = true
            :: else
            fi;
            memory[AWAITED(which)] = 0
        };
        if
        :: last -> atomic { DRAINED -> assert(unready > 0); unready--; last = (unready == 0) }
        :: else
        fi
    fi
}

inline wake()
{
    take_awaited(slot);
    if
    :: last -> end_doze()
    :: else
    fi
}

inline end_doze()
{
    atomic { (DRAINED && !doze_lock) || MUTANT == NO_DOZE_LOCK -> last = false; cond_signal(DOZE) }
}
