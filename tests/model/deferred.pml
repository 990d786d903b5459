/* Deferred work, function by function, as in rcu/_deferred.pyx: threads that push, append, leave and come back, wait in
 * barriers, and close the domain; its reclaimer, which starts, takes, waits, calls, rests and ends.
 *
 * Memory is sequentially consistent here: what processors reorder is the litmus tests' business. The grace period is
 * the engine's, so it is only what it promises: a section that was open at the need has ended. Stacks are queues, for
 * nobody sees the order in which they are turned round. What is done under a lock, and meets nobody who does without
 * it, is one step. Left out: the backlog, the window in which a batch grows,
 * the other reclaimer, which has one queue of this one's three, forks, and heads that are no logs. */

#define AWAKE 0
#define ASLEEP 1
#define ABSENT 2

#define ALL (ENQUEUERS * CALLS)
#define NOTICE ALL /* a barrier that nobody waits in */

chan box[ENQUEUERS] = [CALLS] of { byte };
chan tops[ENQUEUERS] = [CALLS] of { byte }; /* taken, their logs not closed yet */
chan left = [ALL] of { byte };
chan batch = [ALL + 1] of { byte };
bool last;
bool open_log[ENQUEUERS]; /* the newest log of the thread may be appended to */
bool in_tops[ENQUEUERS];  /* it has been taken */
bool lock, own;           /* the domain's lock, the reclaimer's */
byte state = ABSENT;
bool signalled;
byte taken, done;
bool hurry, closed, freed;
byte holders = 1;

/* For the properties. */
byte section;           /* number of the newest one */
bool inside;
byte saw[ALL];          /* the section that was open when the callback was deferred */
bool called[ALL];
byte pushed[ENQUEUERS]; /* so many */
byte ran[ENQUEUERS];
byte at_notice[ENQUEUERS];
byte finished;
byte naps = 1;          /* a reclaimer has been idle for long */

#define mutex_lock(mutex) atomic { !mutex -> assert(!freed); mutex = true }
#define mutex_unlock(mutex) atomic { assert(mutex); mutex = false }

#define QUEUED (last || len(left) + len(box[0]) + len(box[1]) > 0)

/* ---- who defers ------------------------------------------------------------------------------------------------- */

inline defer()
{
    atomic { /* append: the words are there before they are counted */
        number = id * CALLS + pushed[id];
        saw[number] = (inside -> section : 0);
        told = open_log[id];
        pushed[id] = pushed[id] + told;
        if
        :: open_log[id] && in_tops[id] -> tops[id]!number; REACHED(APPENDS_TAKEN)
        :: open_log[id] && !in_tops[id] && !(MUTANT == LOG_NOT_CLOSED && len(box[id]) == 0) -> box[id]!number
        :: open_log[id] && !in_tops[id] && MUTANT == LOG_NOT_CLOSED && len(box[id]) == 0 -> batch!number
        :: else
        fi
    };
    if
    :: told
    :: else -> push(); tell()
    fi
}

inline push()
{
    atomic { box[id]!number; pushed[id]++; open_log[id] = true; in_tops[id] = false }
}

inline tell()
{
    if
    :: state == AWAKE || (MUTANT == TELLS_ABSENT && state == ASLEEP)
    :: else ->
        atomic { !own -> rouse() }
    fi
}

inline rouse()
{
    atomic {
        if
        :: state == ASLEEP -> state = AWAKE; signalled = true
        :: state == ABSENT ->
            state = AWAKE;
            if
            :: MUTANT == NO_HOLDER
            :: else -> holders++
            fi;
            run reclaim()
        :: else
        fi
    }
}

inline departs()
{
    atomic {
        !lock -> open_log[id] = false;
        do
        :: len(box[id]) > 0 -> box[id]?number; REACHED(LEAVES_BEHIND); left!number
        :: else -> break
        od
    }
}

inline barrier_at()
{
    atomic {
        !lock && !own -> wanted = 0;
        if
        :: QUEUED -> wanted = (MUTANT == BARRIER_EARLY -> taken : taken + 1)
        :: !QUEUED && done != taken -> wanted = taken
        :: else
        fi
    }
}

inline wait_for_batch()
{
    atomic {
        !own ->
        if
        :: taken < wanted -> hurry = true; signalled = true
        :: else
        fi;
        rouse()
    };
    (done >= wanted)
}

inline push_last()
{
    atomic { last = true; at_notice[0] = pushed[0]; at_notice[1] = pushed[1] };
    hasten()
}

inline hasten()
{
    atomic { !own -> hurry = true; signalled = true; rouse() }
}

inline close_domain()
{
    atomic {
        !lock && !own -> closed = true;
        if
        :: len(batch) > 0 || QUEUED -> REACHED(CLOSED_WITH_WORK); rouse()
        :: else
        fi;
        signalled = true
    };
    drop()
}

inline drop()
{
    atomic {
        assert(!freed && holders > 0);
        holders--;
        if
        :: holders == 0 -> freed = true; assert(len(batch) == 0 && !QUEUED)
        :: else
        fi
    }
}

/* ---- the reclaimer ---------------------------------------------------------------------------------------------- */

inline has_work()
{
    atomic { !lock && !own -> found = hurry || QUEUED }
}

inline take_all()
{
    atomic { !lock && !own -> lock = true; own = true };
    if
    :: MUTANT == LAST_AFTER_BOXES
    :: else -> atomic { behind = last; last = false }
    fi;
    if
    :: MUTANT == LEFT_AFTER_BOXES
    :: else -> take_left()
    fi;
    which = 0;
    do
    :: which < ENQUEUERS -> take_box(); which++
    :: else -> break
    od;
    if
    :: MUTANT == LAST_AFTER_BOXES -> atomic { behind = last; last = false }
    :: else
    fi;
    atomic { taken++; hurry = false };
    mutex_unlock(lock);
    which = 0;
    do
    :: which < ENQUEUERS -> append(); which++
    :: else -> break
    od;
    if
    :: MUTANT == LEFT_AFTER_BOXES -> mutex_lock(lock); take_left(); mutex_unlock(lock)
    :: else
    fi;
    atomic {
        which = 0;
        if
        :: behind -> batch!NOTICE; behind = false
        :: else
        fi;
        if
        :: len(batch) == 0 -> finish()
        :: else
        fi
    };
    mutex_unlock(own)
}

inline take_left()
{
    atomic {
        do
        :: len(left) > 0 -> left?number; batch!number
        :: else -> break
        od
    }
}

inline take_box()
{
    atomic {
        do
        :: len(box[which]) > 0 -> box[which]?number; tops[which]!number; in_tops[which] = true
        :: else -> break
        od
    }
}

/* And closes the log. */
inline append()
{
    atomic {
        if
        :: in_tops[which] -> in_tops[which] = false; open_log[which] = (MUTANT == LOG_NOT_CLOSED)
        :: else
        fi;
        do
        :: len(tops[which]) > 0 -> tops[which]?number; batch!number
        :: else -> break
        od
    }
}

inline wait_for_readers()
{
    need = (inside -> section : 0);
    if
    :: MUTANT == NO_PERIOD
    :: else -> !(inside && section == need)
    fi
}

inline call_ready()
{
    do
    :: len(batch) > 0 ->
        atomic {
            batch?number;
            if
            :: number == NOTICE -> assert(ran[0] >= at_notice[0] && ran[1] >= at_notice[1])
            :: else ->
                assert(!called[number]);
                assert(!(inside && section == saw[number])); /* read after free */
                assert(ran[number / CALLS] == number % CALLS);
                called[number] = true;
                ran[number / CALLS]++
            fi;
            number = 0
        }
    :: len(batch) == 0 -> break
    od;
    atomic { !own -> finish() }
}

inline finish()
{
    done = taken
}

inline rest()
{
    atomic { !lock && !own -> lock = true; own = true };
    atomic {
        signalled = false;
        if
        :: MUTANT == LOOKS_FIRST
        :: else -> state = ASLEEP
        fi
    };
    found = hurry || QUEUED;
    atomic {
        if
        :: MUTANT == LOOKS_FIRST -> state = (found -> AWAKE : ASLEEP)
        :: MUTANT == NO_LOOK
        :: MUTANT != LOOKS_FIRST && MUTANT != NO_LOOK && found -> state = AWAKE
        :: else
        fi
    };
    mutex_unlock(lock);
    do
    :: state == ASLEEP && !closed ->
        mutex_unlock(own);
        if
        :: atomic { signalled && !own -> own = true; signalled = false }
        :: atomic { naps > 0 && !own -> own = true; naps--; break }
        fi
    :: else -> break
    od;
    atomic {
        if
        :: state == ASLEEP -> REACHED(RECLAIMER_ENDS); state = ABSENT
        :: else
        fi;
        found = (state == AWAKE)
    };
    mutex_unlock(own)
}

/* ---- the world -------------------------------------------------------------------------------------------------- */

proctype reclaim()
{
    byte number, which, need;
    bool behind, found;
    do
    :: len(batch) > 0 -> wait_for_readers(); call_ready()
    :: len(batch) == 0 ->
        has_work();
        if
        :: found -> take_all()
        :: !found ->
            rest();
            if
            :: found
            :: !found -> break
            fi
        fi
    od;
    drop()
}

proctype reader()
{
    do
    :: section < SECTIONS -> atomic { section++; inside = true }; inside = false
    :: break
    od
}

proctype enqueuer(byte id)
{
    byte number, wanted, others;
    bool told;
    do
    :: pushed[id] < CALLS -> defer()
    :: pushed[id] < CALLS && pushed[id] > 0 -> departs(); defer()
    :: pushed[id] == CALLS -> break
    od;
    if
    :: id == 0 -> push_last()
    :: id == 1 ->
        others = pushed[0];
        barrier_at();
        if
        :: wanted > 0 -> wait_for_batch()
        :: else
        fi;
        assert(ran[0] >= others && ran[1] == CALLS)
    :: true -> ran[id] == CALLS /* nobody is asked to hurry until they have run, nor is the domain closed */
    :: true
    fi;
    atomic {
        number = 0;
        wanted = 0;
        others = 0;
        told = false;
        finished++
    }
}

init
{
    atomic { run reader(); run enqueuer(0); run enqueuer(1) };
    finished == ENQUEUERS;
    close_domain();
    freed
}
