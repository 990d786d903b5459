/* Faults, one of which -DMUTANT=... plants, and situations, one of which -DPROBE=... asks for. */

#ifndef MUTANT
#define MUTANT 0
#endif
#ifndef PROBE
#define PROBE 0
#endif

/* Each full fence of the table, left out. */
#define WITHOUT_C 1
#define WITHOUT_E 2
#define WITHOUT_F 3
#define WITHOUT_K 4
#define WITHOUT_P 5
#define WITHOUT_Q 6
#define WITHOUT_X 7

#define NO_HEAVY 10
#define NO_SECOND_LOOK 11
#define WAKE_FIRST 12
#define NEED_TOO_SMALL 13
#define NO_HAND_ON 14
#define HALF_HAND_ON 15
#define NO_RESET 16
#define NO_WAKE_AT_DETACH 17
#define PARKED_LATE 18
#define PARKED_FIRST 19
#define IDLE_BEFORE 20
#define NO_DOZE_LOCK 21
#define NO_DOZE_LOOK 22
#define TORN_TAKE 23
#define SIGNAL_ONE 24
#define STALE_NUMBER 25
#define SILENT_QUIESCE 26

#define DOZES 1
#define FOLLOWS 2
#define SERVED 3
#define PARKS 4
#define SKIPS 5
#define RESUMES 6
#define LEFT_FOLLOWERS 7
#define RECYCLED 8
#define ENTERS_AWAITED 9
#define ENDS_AWAITED 10

#define REACHED(situation) assert(PROBE != situation)
#define REACHED_IF(situation, condition) assert(PROBE != situation || !(condition))
