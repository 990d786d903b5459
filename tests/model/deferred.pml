/* Deferred work, function by function, as in rcu/_deferred.pyx: threads that push, append, leave and come back, wait in
 * barriers, and close the domain; and the program's end, which waits for the reclaimer. */

#include "settings.pml"
#include "reclaim.pml"

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

/* ---- the world -------------------------------------------------------------------------------------------------- */

proctype reclaim()
{
    byte number, which, need, tidies;
    bool behind, found;
    do
    :: len(batch) > 0 -> wait_for_readers(); call_ready()
    :: len(batch) == 0 ->
        has_work();
        if
        :: found -> take_all()
        :: !found ->
            tidies_at();
            if
            :: limited && garbage == DUE -> tidy()
            :: !(limited && garbage == DUE) ->
                rest();
                if
                :: found
                :: !found -> break
                fi
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
    :: GARBAGE ->
        ran[0] == CALLS && ran[1] == CALLS;
        if
        :: !limited ->
            limited = true;
            if
            :: garbage != NOTHING && MUTANT != LIMIT_UNTOLD -> look_again()
            :: else
            fi
        :: else
        fi;
        limited && garbage == NOTHING /* nor until all is tidied up, and nobody asks for that */
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
    if
    :: true -> /* the program ends: at_exit of _ends.pyx */
        if
        :: QUEUED || done != taken -> hasten()
        :: else
        fi;
        !busy;
        assert(len(batch) == 0 && !QUEUED)
    :: true
    fi;
    close_domain();
    freed
}
