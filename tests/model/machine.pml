/* The machine under the model: memory with store buffers, mutexes, condition variables, time.
 *
 * As on x86-TSO, a thread's plain stores wait in a queue, from which they reach the memory in order, at any moment;
 * its own loads find them there; a full fence and a read-modify-write wait until the queue is empty. What other
 * processors reorder beyond that (loads with loads, stores with stores) is the litmus tests' business: here it is
 * the whole engine, there each pair alone.
 *
 * Steps that no other thread can see are joined to the step before or after them by atomic: a store that only goes to
 * the queue to the one before, a fence to the access after it, what the lock guards to any access under it. */

#define THREADS (READERS + UPDATERS)

/* The words that are stored to without being read-modified. The others are only written under a lock or by a
 * read-modify-write, and so never wait in a queue when somebody can miss them. */
#define SEQ(slot) (slot)
#define PARKED(slot) (SLOTS + (slot))
#define AWAITED(slot) (2 * SLOTS + (slot))
#define POINTER(updater) (3 * SLOTS + (updater))

#if WRITERS
#define WORDS (2 * LOCKS) /* writers.pml names them */
#else
#define WORDS (3 * SLOTS + UPDATERS)
#endif

byte memory[WORDS];
chan buffer[THREADS] = [DEPTH] of { byte, byte }; /* where, what */

#define store(where, what) buffer[me]!where, what
#define DRAINED (len(buffer[me]) == 0)

/* A load of a word to which the loading thread stores only ever one value. */
#define LOAD(where, own) (buffer[me]??[eval(where), _] -> own : memory[where])

/* full_barrier(label): of the table in barrier.h. */
#define full_barrier(label) (MUTANT == WITHOUT_##label || DRAINED)

proctype store_buffer(byte thread)
{
    byte where, what;
end: do
    :: d_step { buffer[thread]?where, what -> memory[where] = what; where = 0; what = 0 }
    od
}

/* What the heavy barrier does to another thread: it executes a full fence. */
inline interrupted(thread)
{
    d_step {
        do
        :: nempty(buffer[thread]) -> buffer[thread]?where, what; memory[where] = what
        :: empty(buffer[thread]) -> break
        od;
        where = 0; what = 0
    }
}

/* A mutex. Taking and leaving it are read-modify-writes. */
#define mutex_lock(mutex) atomic { DRAINED && !mutex -> mutex = true }
#define mutex_unlock(mutex) atomic { DRAINED -> assert(mutex); mutex = false }

/* Condition variables: what each updater sleeps on. A signal wakes one that sleeps there, whichever, and is lost
 * without one. */
#define NOWHERE 0
#define DOZE 1
#define CHANGED(group) (2 + group)

byte sleeps[UPDATERS];

#if UPDATERS == 1
#define SLEEPER(condition) :: sleeps[0] == condition -> sleeps[0] = NOWHERE
#elif UPDATERS == 2
#define SLEEPER(condition) \
    :: sleeps[0] == condition -> sleeps[0] = NOWHERE \
    :: sleeps[1] == condition -> sleeps[1] = NOWHERE
#else
#define SLEEPER(condition) \
    :: sleeps[0] == condition -> sleeps[0] = NOWHERE \
    :: sleeps[1] == condition -> sleeps[1] = NOWHERE \
    :: sleeps[2] == condition -> sleeps[2] = NOWHERE
#endif

#define cond_signal(condition) \
    if \
    SLEEPER(condition) \
    :: else \
    fi

#define cond_broadcast(condition) \
    do \
    SLEEPER(condition) \
    :: else -> break \
    od

/* Returns when signalled; or when time is up, or early, if ever. */
inline cond_wait(condition, mutex)
{
    atomic { DRAINED -> sleeps[id] = condition; mutex = false };
    if
    :: atomic { sleeps[id] == NOWHERE && !mutex -> mutex = true }
    :: atomic {
            sleeps[id] != NOWHERE && naps > 0 ->
            naps--;
            sleeps[id] = NOWHERE;
            if
            :: late = true
            :: late = false
            fi
        };
        mutex_lock(mutex)
    fi
}

/* rcu_clock() >= until: perhaps, while there are naps left. An updater's last wait is for ever. */
inline look_at_clock()
{
    if
    :: late || naps == 0
    :: !late && naps > 0
    :: !late && naps > 0 -> naps--; late = true
    fi
}
