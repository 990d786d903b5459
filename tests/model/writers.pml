/* The lock of those who write to a cell, function by function, as in rcu/_writers.pyx: threads that take one of two
 * locks that share a bench, wait for it, give up, and free it; also in a fork child, where locks may have holders and
 * counts of those who wait that nobody there answers for.
 *
 * Memory has store buffers (machine.pml). A thread is an updater there; id and me are its number, wants its lock. */

#include "settings.pml"
#include "machine.pml"

#define HOLDER(lock) (lock)
#define WAITING(lock) (LOCKS + (lock))
#define FREED 1 /* the bench's condition */
#define SEVERAL LOCKS

/* Serials. Those up to last_before_fork, but for the survivor's, are of threads that are not there. */
#define FREE 0
#define LEFT 1
#define SERIAL(thread) (2 + (thread))
#define SURVIVOR SERIAL(0)

#define IS_LEFT_BEHIND(serial) \
    (FORKED && (serial) <= SURVIVOR && ((serial) != SURVIVOR || MUTANT == SURVIVOR_LEFT) && MUTANT != LEFT_FOR_EVER)

bool bench;
byte sleepers;
byte whose = SEVERAL; /* the lock that all of them wait for, or several */

/* For the properties. */
bool writing[LOCKS];
byte wants[UPDATERS];

/* Asleep, though nobody has the lock. */
#define MISSED(thread) \
    (sleeps[thread] == FREED && (memory[HOLDER(wants[thread])] == FREE || memory[HOLDER(wants[thread])] == LEFT))

inline try_to_write()
{
    holder = LOAD(HOLDER(wants[id]), FREE);
    if
    :: holder != FREE && !IS_LEFT_BEHIND(holder) -> got = false
    :: (holder == FREE || IS_LEFT_BEHIND(holder)) && MUTANT != TORN_LOCK ->
        atomic { /* [N] */
            DRAINED;
            got = (memory[HOLDER(wants[id])] == holder || MUTANT == LEFT_TO_MANY && holder == LEFT);
            if
            :: got ->
                memory[HOLDER(wants[id])] = SERIAL(id);
                if
                :: holder == LEFT -> REACHED(TAKES_OVER)
                :: else
                fi
            :: else
            fi
        }
    :: (holder == FREE || IS_LEFT_BEHIND(holder)) && MUTANT == TORN_LOCK ->
        atomic { DRAINED -> memory[HOLDER(wants[id])] = SERIAL(id); got = true }
    fi;
    holder = FREE
}

inline count_waiting()
{
    atomic { waiting = memory[WAITING(wants[id])] + 1; store(WAITING(wants[id]), waiting) }
}

inline wait_to_write()
{
    atomic {
        mutex_lock(bench);
        if
        :: sleepers == 0 -> whose = wants[id]
        :: sleepers != 0 && whose != wants[id] -> whose = SEVERAL
        :: else
        fi;
        sleepers++;
        waiting = memory[WAITING(wants[id])];
        if
        :: MUTANT == NOT_COUNTED || MUTANT == SAID_LATE
        :: else -> count_waiting()
        fi
    };
    full_barrier(J);
    try_to_write();
    if
    :: MUTANT == SAID_LATE -> count_waiting()
    :: else
    fi;
    do
    :: got -> break
    :: !got ->
        look_at_clock();
        if
        :: late -> break
        :: !late ->
            cond_wait(FREED, bench);
            if
            :: MUTANT == NO_LAST_LOOK ->
                look_at_clock();
                if
                :: late
                :: !late -> try_to_write()
                fi
            :: else -> try_to_write()
            fi;
            REACHED_IF(BARGES, !got && NAPS == 0 && whose == wants[id])
        fi
    od;
    atomic {
        if
        :: MUTANT == NOT_COUNTED
        :: else -> waiting = LOAD(WAITING(wants[id]), waiting) - 1; store(WAITING(wants[id]), waiting)
        fi;
        waiting = 0;
        sleepers--
    };
    mutex_unlock(bench)
}

inline stop_writing()
{
    atomic { writing[wants[id]] = false; store(HOLDER(wants[id]), FREE) }; /* [N] */
    if
    :: full_barrier(L) && memory[WAITING(wants[id])] == 0
    :: full_barrier(L) && memory[WAITING(wants[id])] != 0 ->
        if
        :: MUTANT == NO_BENCH_LOCK
        :: else -> mutex_lock(bench)
        fi;
        atomic {
            if
            :: MUTANT == EQUAL_COUNTS && memory[WAITING(wants[id])] == sleepers -> cond_signal(FREED)
            :: MUTANT != EQUAL_COUNTS && whose == wants[id] || MUTANT == SIGNAL_ALWAYS -> cond_signal(FREED)
            :: MUTANT == NO_BROADCAST && whose != wants[id]
            :: else -> REACHED_IF(SHARES_BENCH, sleepers > 1); cond_broadcast(FREED)
            fi
        };
        if
        :: MUTANT == NO_BENCH_LOCK
        :: else -> mutex_unlock(bench)
        fi
    fi
}

/* ---- the world -------------------------------------------------------------------------------------------------- */

/* In turns: until it has the lock, or gives up. */
inline begin_to_write()
{
    try_to_write();
    do
    :: got -> atomic { assert(!writing[wants[id]]); writing[wants[id]] = true; break }
    :: !got && late -> break /* a signal handler has raised */
    :: !got -> late = false; wait_to_write()
    od
}

/* A writer may keep its lock for as long as anything else can happen: nobody is to rely on its freeing another. */
inline write()
{
    if
    :: true
    :: true -> timeout && !MISSED(0) && !MISSED(1) && !MISSED(2)
    fi;
    stop_writing()
}

proctype writer(byte id)
{
    byte me, holder, waiting, turns, naps;
    bool got, late;
    atomic { me = id; naps = NAPS };
    if
    :: memory[HOLDER(0)] == SERIAL(id) -> write() /* it has forked meanwhile */
    :: else
    fi;
    do
    :: turns == UPDATES -> break
    :: turns < UPDATES ->
        atomic { turns++; wants[id] = 0 };
        if
        :: begin_to_write();
            if
            :: got && LOCKS > 1 -> wants[id] = 1; begin_to_write(); /* the one in the function of the other's update */
                if
                :: got -> write()
                :: else
                fi;
                atomic { wants[id] = 0; got = true }
            :: true
            fi
        :: LOCKS > 1 -> wants[id] = 1; begin_to_write()
        fi;
        if
        :: got -> write()
        :: else
        fi;
        atomic { got = false; late = false }
    od
}

/* A lock as a fork may have left it. */
inline left_by_fork(lock)
{
    if
    :: memory[HOLDER(lock)] = FREE
    :: memory[HOLDER(lock)] = LEFT
    :: lock == 0 -> memory[HOLDER(lock)] = SURVIVOR; writing[lock] = true
    fi;
    if
    :: memory[WAITING(lock)] = 0
    :: memory[WAITING(lock)] = 1
    fi
}

init
{
    atomic {
        if
        :: FORKED && LOCKS == 1 -> left_by_fork(0)
        :: FORKED && LOCKS == 2 -> left_by_fork(0); left_by_fork(1)
        :: else
        fi;
        run writer(0); run writer(1); run writer(2);
        run store_buffer(0); run store_buffer(1); run store_buffer(2)
    }
}
