/* The two barriers that make the read side free, and the table of every order that the engine relies on.
 *
 * A reader announces itself with a plain store and then loads what it came for. Nothing orders the two on the
 * processor: the LIGHT barrier between them only binds the compiler. The updater pays for both sides: its HEAVY
 * barrier returns after every running thread of the process has executed a full fence at some point between
 * call and return. So for each reader either the fence came after its announcement, and the updater sees the
 * reader; or it came before, and then the reader's later loads see what the updater had published.
 *
 * Where the system has no such call, or refuses it (a kernel without membarrier, a seccomp filter), or has no more
 * than its name (Wine), the process takes the FENCE flavor, once, at import: every slot is sent through the slow
 * halves of enter and exit, which fence by themselves, and the updater's side is one full fence. See slot.h for how
 * a slot is sent there.
 *
 * Labels stand at both ends of each pair, and in a litmus test (tests/litmus/) that shows what happens without it.
 * "->" reads "is ordered before".
 *
 *   label  where                                    orders                                     partner
 *   [A]    rcu_enter, LIGHT (fence flavor: [F])     busy store -> the section's loads          [E]
 *   [B]    rcu_exit, and what replaces its: RELEASE the section's accesses -> idle store       [G]
 *   [C]    rcu_exit, LIGHT (fence flavor: full)     idle store -> load of gp_seq               [E]
 *   [D]    leader, full, after gp_seq moved         gp_seq -> the leader's looks at slots      [F] [Q]
 *   [E]    leader, HEAVY                            gp_seq, parked -> the looks that count     [A] [C]
 *   [F]    enter_parked, full                       busy store -> the section's loads          [D]
 *   [G]    leader, ACQUIRE load of seq              seq -> parked, and the end of the period   [B]
 *   [H]    push, append: COMPARE-EXCHANGE           the callback, all before it -> its place   [T]
 *   [I]    tell, full                               push -> load of the reclaimer's state      [S]
 *   [J]    wait_to_write, full                      waiting -> the look at the lock            [L]
 *   [K]    leader, full, after awaited = 1          awaited -> the second look                 [X] [Q]
 *   [L]    stop_writing, full                       the lock is free -> load of waiting        [J]
 *   [M]    array's size: RELEASE, ACQUIRE           an element -> the size that counts it      itself
 *   [N]    a cell's lock: RELEASE, COMP.-EXCH.      what a writer did -> what the next does    itself
 *   [P]    caller, full, before it reads gp_seq     its publications -> gp_seq                 [X] [Q]
 *   [Q]    enter_slow, full                         busy store, gp_seq -> awaited, the loads   [D] [K] [P]
 *   [S]    rest, full                               state = asleep -> the looks at the queue  [I]
 *   [T]    take, close: EXCHANGE                    its place -> the period, the callback      [H]
 *   [V]    published pointer: RELEASE, ACQUIRE      what was published -> the pointer          itself
 *   [W]    run: RELEASE, read with ACQUIRE          counted as enqueued -> counted as run     itself
 *   [X]    rejoin, full                             sequence store, gp_seq -> awaited, loads   [K] [P]
 *   [Z]    gp_done: RELEASE, read with ACQUIRE      all of a period -> what its waiters do     itself
 *
 * [B] also stands at the stores that replace an exit's before a leader has seen it: rejoin, quiesce, enter_slow.
 *
 * [D] cannot be left to the addition that moves gp_seq: a sequentially consistent read-modify-write is ordered with
 * its like, and is no fence for the accesses around it. [P] needs a full fence at its partners, after the load of
 * gp_seq: the caller only read that word, and what it read older than happens before nothing.
 *
 * In C terms: LIGHT is rcu_compiler_barrier(), full is rcu_full_barrier(), HEAVY is rcu_heavy_barrier(). The
 * system's file supplies the last:
 *
 *   RCU_HEAVY_FLAVOR            its name, as rcu.flavor tells it
 *   int rcu_heavy_prepare(void) 0, or why this process cannot have it; once per process, and again in a fork child
 *   int rcu_heavy_barrier(void) 0, or the error; a full fence of the caller as well */
#ifndef RCU_BARRIER_H
#define RCU_BARRIER_H

#if defined(RCU_NO_HEAVY_BARRIER)
#include "barrier_fence.h"
#elif defined(__linux__)
#include "barrier_linux.h"
#elif defined(_WIN32)
#include "barrier_windows.h"
#else
#include "barrier_fence.h"
#endif

#define RCU_FENCE_FLAVOR "fence"

#endif
