/* A configuration is a choice of these, by -D. See runs.txt. */

#ifndef READERS
#define READERS 1 /* at most 2 */
#endif
#ifndef UPDATERS
#define UPDATERS 1 /* at most 3 */
#endif
#ifndef SLOTS
#define SLOTS READERS /* fewer than readers: they take turns, on recycled slots */
#endif
#ifndef UPDATES
#define UPDATES 1 /* of each updater: publish, wait, free */
#endif
#ifndef DEPTH
#define DEPTH 3 /* stores that a thread's queue holds */
#endif
#ifndef QUIESCE
#define QUIESCE 1 /* readers quiesce */
#endif
#ifndef CHURN
#define CHURN 0 /* readers detach and attach again */
#endif
#ifndef ENDS
#define ENDS 0 /* readers' threads end, also in a section */
#endif
#ifndef NAPS
#define NAPS 0 /* time-outs of each updater; its wait goes on after one */
#endif
#ifndef GIVES_UP
#define GIVES_UP 0 /* or it gives up */
#endif
#ifndef POLLS
#define POLLS 0 /* of each updater, before it waits */
#endif
#ifndef FENCE_FLAVOR
#define FENCE_FLAVOR 0 /* 1: the fence flavor */
#endif
#ifndef LONG_IDLE
#define LONG_IDLE 0 /* 1: the readers have been idle for a period: the next one parks them */
#endif
#ifndef DEFERRED
#define DEFERRED 0 /* 1: deferred.pml, with what follows down to SECTIONS; else all but that */
#endif
#ifndef ENQUEUERS
#define ENQUEUERS 2 /* two */
#endif
#ifndef CALLS
#define CALLS 2 /* of each enqueuer */
#endif
#ifndef GARBAGE
#define GARBAGE 0 /* 1: callbacks leave some behind, and a limit comes later; 2: it is there */
#endif
#ifndef SECTIONS
#define SECTIONS 1 /* one after the other */
#endif
#ifndef WRITERS
#define WRITERS 0 /* 1: writers.pml, with UPDATERS as its threads and UPDATES as their turns */
#endif
#ifndef LOCKS
#define LOCKS 2 /* that share the bench; at most 2 */
#endif
#ifndef FORKED
#define FORKED 0 /* 1: in a fork child, where locks are as threads that are not there have left them */
#endif
#ifndef LIVENESS
#define LIVENESS 0 /* 1: ask for no starvation, not for no deadlock */
#endif

/* -DMUTANT=... plants a fault. Those of the acquires, of the releases and of [D] (an addition on x86, which is a fence
 * there) cannot be seen on this machine: the litmus tests show them. */
#ifndef MUTANT
#define MUTANT 0
#endif

/* Each other full fence of the table, left out. [E] of the fence flavor comes after a lock is left, which is one. */
#define WITHOUT_C 1
#define WITHOUT_E 2
#define WITHOUT_F 3
#define WITHOUT_K 4
#define WITHOUT_P 5
#define WITHOUT_Q 6
#define WITHOUT_X 7
#define WITHOUT_J 8
#define WITHOUT_L 9

#define NO_HEAVY 10 /* no heavy barrier */
#define NO_SECOND_LOOK 11 /* after awaited is set, nobody looks whether the reader is ready by now */
#define WAKE_FIRST 12 /* rejoin says so before it has */
#define NEED_TOO_SMALL 13 /* a caller is content with the period under way */
#define NO_HAND_ON 14 /* who leaves the lead looks for no successor */
#define HALF_HAND_ON 15 /* or only among those who need the period under way */
#define NO_RESET 16 /* a recycled slot stays as it was */
#define NO_WAKE_AT_DETACH 17 /* a thread that ends in a section wakes nobody */
#define PARKED_LATE 18 /* parked is set after the heavy barrier */
#define PARKED_FIRST 19 /* parked is loaded before seq */
#define IDLE_BEFORE 20 /* who was idle before the heavy barrier is not looked at again */
#define NO_DOZE_LOCK 21 /* the last reader signals without the doze lock */
#define NO_DOZE_LOOK 22 /* the leader sleeps without a look at the count */
#define TORN_TAKE 23 /* awaited is taken by a load and a store */
#define SIGNAL_ONE 24 /* the end of a period wakes one follower */
#define POLL_SPINS 25 /* a poll goes on until its period is over */
#define STALE_LOOK 26 /* a section begins with an old number, and the leader looks anew when it is woken */

/* Of deferred work. */
#define LOG_NOT_CLOSED 30 /* a log that was taken goes on being appended to */
#define TELLS_ABSENT 31 /* who pushes wakes no reclaimer that sleeps */
#define NO_HOLDER 32 /* a reclaimer does not keep its domain */
#define BARRIER_EARLY 33 /* a barrier waits for the batch in hand, whatever is queued */
#define LAST_AFTER_BOXES 34 /* what comes last is taken last */
#define LEFT_AFTER_BOXES 35 /* what was left behind comes after what was deferred since */
#define NO_PERIOD 36 /* a batch does not wait for its grace period */
#define LOOKS_FIRST 37 /* the reclaimer looks at the queue, and then says that it sleeps */
#define NO_LOOK 38 /* the reclaimer does not look again before it sleeps */
#define DUE_UNSEEN 39 /* a reclaimer that sleeps is not woken by garbage that is due */
#define ENDS_WITH_GARBAGE 40 /* or ends, for there was no work, with some left */
#define TIDIES_UNCOUNTED 41 /* or wakes for it uncounted: the program's end does not wait */
#define LIMIT_UNTOLD 42 /* who sets a limit tells no reclaimer */

/* Of the lock of those who write. */
#define TORN_LOCK 50 /* a lock is taken by a load and a store */
#define NOT_COUNTED 51 /* who waits does not say so */
#define SAID_LATE 52 /* or says so when it has looked */
#define NO_BENCH_LOCK 53 /* who frees the lock wakes without the bench's lock */
#define SIGNAL_ALWAYS 54 /* and wakes one, whatever it sleeps for */
#define NO_BROADCAST 55 /* or none, where some sleep for another lock */
#define EQUAL_COUNTS 56 /* or one, where as many are said to wait for the lock as sleep */
#define NO_LAST_LOOK 57 /* who is woken as its time is up gives up without a look */
#define LEFT_FOR_EVER 58 /* nobody takes over the lock of a thread that is not there */
#define LEFT_TO_MANY 59 /* or all may who have seen that */
#define SURVIVOR_LEFT 60 /* the thread that has forked counts as not there */

/* These do no harm; the model says so, too. */
#define STALE_NUMBER 27 /* only the former: sections may be waited for in vain, once */

/* -DPROBE=... asks for a situation, which is then reported as a violated assertion. */
#ifndef PROBE
#define PROBE 0
#endif

#define DOZES 1 /* a leader sleeps */
#define FOLLOWS 2 /* an updater sleeps until another's period is over */
#define SERVED 3 /* and is served without having led */
#define PARKS 4 /* a leader parks a slot */
#define SKIPS 5 /* a period needs no barrier because of a parked slot */
#define RESUMES 6 /* a leader's time is up, and another updater goes on with its period */
#define LEFT_FOLLOWERS 7 /* and when it leaves, others are asleep */
#define RECYCLED 8 /* a slot changes hands while a period waits for readers */
#define ENTERS_AWAITED 9 /* a section joins the newer period as it begins */
#define ENDS_AWAITED 10 /* a thread ends in a section that is waited for */
#define APPENDS_TAKEN 11 /* a log grows that has been taken, and not closed yet */
#define LEAVES_BEHIND 12 /* a thread leaves with work queued */
#define CLOSED_WITH_WORK 13 /* a domain is closed with work pending */
#define RECLAIMER_ENDS 14 /* a reclaimer ends, for it has been idle, or its domain closed */
#define WAKES_TO_TIDY 15 /* a reclaimer wakes because garbage is due */
#define BARGES 16 /* who is woken finds that another has come before it */
#define SHARES_BENCH 17 /* threads sleep for different locks, and one of these is freed */
#define TAKES_OVER 18 /* a lock is taken whose holder is not there */

#define REACHED(situation) assert(PROBE != situation)
#define REACHED_IF(situation, condition) assert(PROBE != situation || !(condition))
