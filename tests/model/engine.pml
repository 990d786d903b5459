/* The grace-period engine, function by function, as in rcu/_grace.pyx and include/rcu/read.h; slots.pml has the rest.
 *
 * What is an argument or a local variable there is here a variable of the process: me, the thread; slot, its slot;
 * mine, what it stored last in that slot's seq; id, the updater; need, its period; late, whether its time is up. A
 * function sets what it returns: last, over, ready, outcome.
 *
 * Left out: nesting, which touches the thread's own line only; visitors, give_way, crowded and the yield, which decide
 * who runs next, and here everybody may; counts and ages; the order of the slots in the list; more than one domain;
 * forks. */

#define DETACHED 0
#define QUIESCED 2
#define FIRST 4
#define STEP 2
#define BUSY 1
#define NUMBER(seq) ((seq) & 254)
#define GROUP(number) (((number) / STEP) % 2)

#define DONE 0
#define STARTED 1
#define WAITING 2

#define COMPLETED 0
#define TIME_IS_UP 1

byte gp_seq = FIRST + STEP * LONG_IDLE;
byte gp_done = FIRST + STEP * LONG_IDLE;
byte unready;
bool registry, lock, doze_lock;
byte phase = DONE;
bool led;
byte followers[2];
bool listed[SLOTS];

/* Of the model's own, for the properties. */
byte leader;          /* whose period it is: a thread */
byte freed[UPDATERS]; /* the updater's objects below this number are freed */
bool skipped;         /* somebody has completed a period without a barrier, for a slot was parked */
byte before[SLOTS];   /* a mutant's look from before the heavy barrier */
byte recycled;        /* the period in which a slot was given back */
byte left_by;         /* whose time-out has left the period without a leader: a thread + 1 */

/* ---- readers -------------------------------------------------------------------------------------------------- */

inline rcu_enter()
{
    if
    :: mine <= QUIESCED -> enter_slow()
    :: mine > QUIESCED ->
        atomic { mine = mine | BUSY; store(SEQ(slot), mine) };
        /* [A] */
        if
        :: LOAD(PARKED(slot), 0) == 0
        :: else -> enter_parked()
        fi
    fi
}

inline rcu_exit()
{
    atomic { mine = NUMBER(mine); store(SEQ(slot), mine) }; /* [B] */
    /* [C] */
    if
    :: gp_seq == mine && !FENCE_FLAVOR
    :: gp_seq != mine || FENCE_FLAVOR -> exit_slow()
    fi
}

inline enter_slow()
{
    atomic {
        mine = (MUTANT == STALE_NUMBER || MUTANT == STALE_LOOK -> FIRST : gp_seq) | BUSY;
        store(SEQ(slot), mine)
    };
    if
    :: full_barrier(Q) && memory[AWAITED(slot)] == 0
    :: atomic { full_barrier(Q) && memory[AWAITED(slot)] != 0 -> REACHED(ENTERS_AWAITED) }; rejoin()
    fi
}

inline rejoin()
{
    if
    :: MUTANT == WAKE_FIRST -> wake()
    :: else
    fi;
    atomic { mine = gp_seq | (mine & BUSY); store(SEQ(slot), mine) }; /* [B] */
    full_barrier(X);
    if
    :: MUTANT == WAKE_FIRST
    :: else -> wake()
    fi
}

inline enter_parked()
{
    atomic {
        full_barrier(F);
        if
        :: !FENCE_FLAVOR -> store(PARKED(slot), 0)
        :: else
        fi
    }
}

inline exit_slow()
{
    if
    :: !FENCE_FLAVOR
    :: FENCE_FLAVOR -> full_barrier(C)
    fi;
    if
    :: FENCE_FLAVOR && gp_seq == mine
    :: !FENCE_FLAVOR || gp_seq != mine -> rejoin()
    fi
}

inline quiesce()
{
    if
    :: mine == QUIESCED
    :: mine != QUIESCED ->
        atomic { mine = QUIESCED; store(SEQ(slot), mine) } /* [B] */
    fi
}

/* ---- callers -------------------------------------------------------------------------------------------------- */

inline needed()
{
    atomic {
        full_barrier(P);
        need = (MUTANT == NEED_TOO_SMALL -> gp_done : gp_seq) + STEP;
        assert(gp_done <= gp_seq)
    }
}

inline is_over()
{
    over = (gp_done >= need) /* [Z] */
}

inline poll(may_interrupt)
{
    is_over();
    if
    :: over
    :: else ->
        if /* rcu_mutex_trylock */
        :: DRAINED && lock
        :: atomic { DRAINED && !lock -> lock = true };
            do
            :: gp_done < need && !led ->
                lead();
                drive(may_interrupt);
                led = false;
                if
                :: phase != DONE && MUTANT != POLL_SPINS -> break
                :: else
                fi
            :: else -> break
            od;
            hand_on();
            mutex_unlock(lock)
        fi;
        is_over()
    fi
}

inline lead()
{
    atomic { assert(!led); led = true; leader = me }
}

inline wait()
{
    atomic { outcome = COMPLETED; has_led = false };
    mutex_lock(lock);
    do
    :: gp_done >= need -> break
    :: else ->
        if
        :: led ->
            atomic { followers[GROUP(need)]++; REACHED(FOLLOWS) };
            cond_wait(CHANGED(GROUP(need)), lock);
            followers[GROUP(need)]--
        :: else ->
            lead();
            has_led = true;
            drive(true);
            if
            :: phase == WAITING ->
                doze();
                if
                :: MUTANT == STALE_LOOK -> phase = STARTED
                :: else -> settle()
                fi
            :: else
            fi;
            atomic { assert(leader == me); led = false }
        fi;
        if
        :: gp_done >= need
        :: else ->
            look_at_clock();
            if
            :: late -> outcome = TIME_IS_UP; break
            :: else
            fi
        fi
    od;
    atomic {
        late = false;
        REACHED_IF(SERVED, outcome == COMPLETED && !has_led);
        REACHED_IF(LEFT_FOLLOWERS, outcome == TIME_IS_UP && !led && followers[0] + followers[1] > 0);
        left_by = (PROBE == RESUMES && outcome == TIME_IS_UP && phase == WAITING && !led -> me + 1 : left_by);
        has_led = false
    };
    hand_on();
    mutex_unlock(lock)
}

/* ---- the leader, under the lock ------------------------------------------------------------------------------- */

inline drive(may_interrupt)
{
    if
    :: phase == DONE -> start()
    :: else
    fi;
    if
    :: phase == STARTED ->
        nobody_to_wait_for();
        if
        :: ready -> REACHED_IF(SKIPS, skipped); complete()
        :: else ->
            if
            :: may_interrupt -> interrupt(); count()
            :: else
            fi
        fi
    :: else -> REACHED_IF(RESUMES, left_by != 0 && left_by != me + 1)
    fi;
    settle()
}

inline start()
{
    atomic { DRAINED -> no_flag_is_left(); gp_seq = gp_seq + STEP; phase = STARTED; left_by = 0 } /* [D] */
}

inline nobody_to_wait_for()
{
    atomic { ready = true; skipped = false };
    for (i : 0 .. SLOTS - 1) {
        if
        :: ready && listed[i] -> is_surely_ready(i)
        :: else
        fi
    };
    i = 0
}

inline is_surely_ready(which)
{
    if
    :: MUTANT == PARKED_FIRST -> before[which] = memory[PARKED(which)]
    :: else
    fi;
    look = memory[SEQ(which)]; /* [G] */
    if
    :: look == QUIESCED || NUMBER(look) >= gp_seq
    :: else ->
        atomic {
            ready = !(look & BUSY) && (MUTANT == PARKED_FIRST -> before[which] : memory[PARKED(which)]);
            skipped = (PROBE == SKIPS && !FENCE_FLAVOR && ready)
        }
    fi;
    atomic { before[which] = 0; look = 0 }
}

inline interrupt()
{
    if
    :: MUTANT == PARKED_LATE
    :: else -> park()
    fi;
    mutex_unlock(lock);
    heavy_barrier(); /* [E] */
    if
    :: MUTANT == PARKED_LATE -> park()
    :: else
    fi;
    mutex_lock(lock)
}

/* The loop of interrupt. */
inline park()
{
    for (i : 0 .. SLOTS - 1) {
        atomic {
            look = memory[SEQ(i)];
            before[i] = (MUTANT == IDLE_BEFORE -> !(look & BUSY) : 0);
            if
            :: listed[i] && !(look & BUSY) && look != QUIESCED && look + STEP < gp_seq ->
                store(PARKED(i), 1);
                REACHED(PARKS)
            :: else
            fi;
            look = 0
        }
    };
    i = 0
}

/* Not the updaters: that it lets their stores wait leaves them more to do, not less. */
inline heavy_barrier()
{
    full_barrier(E);
    if
    :: FENCE_FLAVOR || MUTANT == NO_HEAVY
    :: else ->
#if READERS == 1
        interrupted(0)
#else
        if
        :: true -> interrupted(0); interrupted(1)
        :: true -> interrupted(1); interrupted(0)
        fi
#endif
    fi
}

inline count()
{
    unready = 1;
    for (i : 0 .. SLOTS - 1) {
        if
        :: listed[i] ->
            is_ready(i);
            if
            :: ready
            :: else ->
                atomic { DRAINED -> unready++; store(AWAITED(i), 1) };
                full_barrier(K);
                is_ready(i);
                if
                :: ready && MUTANT != NO_SECOND_LOOK -> take_awaited(i); last = false
                :: else
                fi
            fi
        :: else
        fi
    };
    i = 0;
    ready = false;
    atomic { DRAINED -> phase = WAITING; assert(unready > 0); unready-- }
}

inline is_ready(which)
{
    atomic {
        look = memory[SEQ(which)]; /* [G] */
        ready = (!(look & BUSY) || NUMBER(look) >= gp_seq || before[which]);
        before[which] = 0;
        look = 0
    }
}

inline doze()
{
    mutex_unlock(lock);
    mutex_lock(doze_lock);
    if
    :: unready == 0 && MUTANT != NO_DOZE_LOOK
    :: unready != 0 || MUTANT == NO_DOZE_LOOK -> REACHED(DOZES); cond_wait(DOZE, doze_lock)
    fi;
    mutex_unlock(doze_lock);
    mutex_lock(lock)
}

inline settle()
{
    if
    :: atomic { phase == WAITING && unready == 0 -> complete() }
    :: else
    fi
}

inline complete()
{
    atomic {
        assert(gp_done < gp_seq);
        no_flag_is_left();
        gp_done = gp_seq; /* [Z] */
        phase = DONE;

        if
        :: MUTANT == SIGNAL_ONE -> cond_signal(CHANGED(GROUP(gp_seq)))
        :: else -> cond_broadcast(CHANGED(GROUP(gp_seq)))
        fi
    }
}

inline hand_on()
{
    atomic {
        if
        :: led || MUTANT == NO_HAND_ON
        :: else ->
            if
            :: phase == DONE || (followers[GROUP(gp_seq)] == 0 && MUTANT != HALF_HAND_ON) ->
                cond_signal(CHANGED(GROUP(gp_seq + STEP)))
            :: else -> cond_signal(CHANGED(GROUP(gp_seq)))
            fi
        fi
    }
}

/* ---- reports: what one of them does to a period --------------------------------------------------------------- */

inline stalled()
{
    mutex_lock(lock);
    if
    :: led
    :: else -> settle(); hand_on()
    fi;
    mutex_unlock(lock)
}

/* ---- properties ----------------------------------------------------------------------------------------------- */

/* Where no period waits for readers. */
inline no_flag_is_left()
{
    for (i : 0 .. SLOTS - 1) { assert(memory[AWAITED(i)] == 0) };
    i = 0
}
