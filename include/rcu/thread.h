/* What the engine needs of the system's threads: a lock, a condition, a clock, a hook at thread exit and one
 * around fork. None of it knows Python: it works in threads without a thread state, and at their very end.
 *
 *   rcu_mutex, rcu_cond       _init, _lock, _trylock, _unlock; _wait (until a rcu_clock time), _signal, _broadcast
 *   rcu_clock()               nanoseconds, monotonic, of any origin; RCU_NEVER is later than all of them
 *   rcu_thread_ident()        as threading.get_ident()
 *   rcu_thread_native_id()    as threading.get_native_id()
 *   rcu_thread_yield()        lets others run first
 *   rcu_thread_start(run, data, name)  0, or an error: run(data) on a thread that nobody joins; run is declared
 *                                   rcu_thread_result RCU_THREAD_CALL, and the name has at most 15 characters
 *   rcu_exit_key_create(key, hook)  0, or an error; hook is declared RCU_EXIT_CALL
 *   rcu_thread_watch(key, data)     0, or an error: hook(data) is called when the calling thread ends
 *   rcu_thread_watched(key)         the data that the calling thread is watched with, or NULL
 *   rcu_at_fork(before, parent, child)  0, or an error; a system without fork has nothing to do */
#ifndef RCU_THREAD_H
#define RCU_THREAD_H

#include <stdint.h>

#define RCU_NEVER UINT64_MAX
#define RCU_NS_PER_SECOND UINT64_C(1000000000)

#if defined(_WIN32)
#include "thread_windows.h"
#else
#include "thread_posix.h"
#endif

#endif
