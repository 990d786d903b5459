/* The world around the engine: readers that go on as they like, and updaters that publish, wait and free.
 *
 * ci/model.sh runs it, in the configurations listed there: how many there are of each, and what they do. */

#include "settings.pml"
#include "machine.pml"
#include "engine.pml"
#include "slots.pml"

/* A section sees one object, of whichever updater, and uses it last thing before it ends. */
inline dereference()
{
    atomic {
        if
        :: whose = 0
#if UPDATERS > 1
        :: whose = 1
#endif
#if UPDATERS > 2
        :: whose = 2
#endif
        fi;
        object = memory[POINTER(whose)]
    }
}

inline use()
{
    atomic { assert(object >= freed[whose]); object = 0; whose = 0 }
}

byte finished; /* updaters */

proctype reader(byte me)
{
    byte slot, mine, object, whose, where, what;
    bool last;
#if SLOTS == READERS
    atomic { slot = me; mine = memory[SEQ(me)] };
    goto attached;
#endif
end:
    attach();
attached:
    do
    :: rcu_enter(); dereference(); use(); rcu_exit()
#if QUIESCE
    :: quiesce()
#endif
#if CHURN
    :: detach(); goto end
#endif
#if ENDS
    :: on_thread_exit(); break
    :: rcu_enter(); dereference(); use(); on_thread_exit(); break
#endif
    :: break
    od
}

inline publish()
{
    atomic { version++; store(POINTER(id), version) }
}

/* Frees what the last publication has taken out of sight. */
inline free()
{
    freed[id] = version
}

proctype updater(byte me; byte id)
{
    byte version, need, look, i, where, what, naps = NAPS, polls = POLLS;
    bool last, over, ready, late, has_led, outcome;
    do
    :: version == UPDATES -> break
    :: else ->
        publish();
        needed();
        over = false;
#if POLLS
        do
        :: polls > 0 && !over -> polls--; if :: poll(true) :: poll(false) fi
        :: else -> break
        od;
#endif
        if
        :: over
        :: else ->
            do
            :: wait();
                if
                :: outcome == COMPLETED -> break
                :: else ->
#if GIVES_UP
                    if
                    :: goto gives_up
                    :: stalled()
                    fi
#else
                    stalled()
#endif
                fi
            od
        fi;
        free()
    od;
gives_up:
    finished++
}

#if LIVENESS
/* Every caller of wait is served, though readers go on for ever: under weak fairness, which lets nobody stand still for
 * ever who can go on, but promises no mutex to who waits for it; so readers attach and detach elsewhere. */
ltl served { <> (finished == UPDATERS) }
#endif

init
{
    byte i;
    atomic {
        for (i : 0 .. THREADS - 1) { run store_buffer(i) };
#if SLOTS == READERS
        for (i : 0 .. SLOTS - 1) {
            listed[i] = true;
            memory[PARKED(i)] = FENCE_FLAVOR;
            memory[SEQ(i)] = FIRST
        };
#endif
        for (i : 0 .. READERS - 1) { run reader(i) };
        for (i : 0 .. UPDATERS - 1) { run updater(READERS + i, i) }
    }
}
