/* The reclaimer, function by function, as in rcu/_reclaim.pyx and rcu/_queue.pyx: it starts, takes, waits, calls, rests,
 * wakes by itself to tidy up, and ends. deferred.pml has who defers.
 *
 * Memory is sequentially consistent here: what processors reorder is the litmus tests' business. The grace period is
 * the engine's, so it is only what it promises: a section that was open at the need has ended. Stacks are queues, for
 * nobody sees the order in which they are turned round. What is done under a lock, and meets nobody who does without
 * it, is one step. Left out: the backlog, the window in which a batch grows, the other reclaimer, which has one queue
 * of this one's three and tidies up nothing, forks, and heads that are no logs. */

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

/* What callbacks leave behind. A limit, once there is one, has it tidied up at some time, which has come when it is
 * DUE. */
#define NOTHING 0
#define SOME 1
#define DUE 2
byte garbage;
bool limited = GARBAGE > 1;
bool busy; /* the program's end waits */

#define mutex_lock(mutex) atomic { !mutex -> assert(!freed); mutex = true }
#define mutex_unlock(mutex) atomic { assert(mutex); mutex = false }

#define QUEUED (last || len(left) + len(box[0]) + len(box[1]) > 0)

/* ---- telling the reclaimer -------------------------------------------------------------------------------------- */

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
        :: state == ASLEEP -> state = AWAKE; be_busy(true); signalled = true
        :: state == ABSENT ->
            state = AWAKE;
            be_busy(true);
            if
            :: MUTANT == NO_HOLDER
            :: else -> holders++
            fi;
            run reclaim()
        :: else
        fi
    }
}

inline be_busy(is_busy)
{
    busy = is_busy
}

inline hasten()
{
    atomic { !own -> hurry = true; signalled = true; rouse() }
}

inline look_again()
{
    atomic { !lock && !own -> rouse() }
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
                ran[number / CALLS]++;
                garbage = (GARBAGE && garbage == NOTHING -> SOME : garbage)
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

/* A look at the clock is also a time to which it may have come. */
inline tidies_at()
{
    if
    :: limited && garbage == SOME -> garbage = DUE
    :: true
    fi
}

inline tidy()
{
    atomic { assert(!lock && !own); garbage = NOTHING }
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
    atomic {
        if
        :: state == ASLEEP -> be_busy(false)
        :: else
        fi
    };
    do
    :: state == ASLEEP && !closed ->
        atomic { tidies_at(); tidies = (limited && MUTANT != DUE_UNSEEN -> garbage : NOTHING) };
        if
        :: tidies == DUE ->
            atomic {
                state = AWAKE;
                if
                :: MUTANT == TIDIES_UNCOUNTED
                :: else -> be_busy(true)
                fi;
                REACHED(WAKES_TO_TIDY)
            }
        :: tidies != DUE ->
            mutex_unlock(own);
            if
            :: atomic { signalled && !own -> own = true; signalled = false }
            :: atomic { tidies == SOME && !own -> own = true; garbage = (garbage == SOME -> DUE : garbage) }
            :: atomic {
                    naps > 0 && (tidies == NOTHING || MUTANT == ENDS_WITH_GARBAGE) && !own -> own = true;
                    naps--;
                    break
                }
            fi
        fi
    :: else -> break
    od;
    atomic {
        if
        :: state == ASLEEP -> REACHED(RECLAIMER_ENDS); state = ABSENT
        :: else
        fi;
        found = (state == AWAKE);
        tidies = NOTHING;
        assert(busy == found)
    };
    mutex_unlock(own)
}
