/* The interface for other people's extensions, in C11 and C++17: read.h, pointer.h and head.h, which are inline, and
 * here what updaters and threads need, through a table that the rcu package hands out in a capsule.
 *
 *     #include <Python.h>
 *     #include <rcu/api.h>
 *
 *     if (rcu_import() < 0)                          in the module's init function
 *         return NULL;
 *
 *     struct rcu_slot *slot = rcu_this_slot(domain);                   a reader
 *     rcu_enter(slot);
 *     table = rcu_dereference(shared);
 *     ...
 *     rcu_exit(slot);
 *
 *     old = rcu_xchg_pointer(&shared, grown);                          an updater, under its own lock
 *     rcu_call(domain, &old->head, table_free);
 *
 * Each source file that includes this has a pointer of its own to the table, and calls rcu_import(). An extension of
 * several files may share one: all define RCU_API_TABLE as a name of the extension's, before they include this, and
 * all but the one that calls rcu_import() define RCU_API_ELSEWHERE as well.
 *
 * "Section" says whether a function may be called in a read-side section of the domain that it is about; sections of
 * other domains never matter to it, but for deadlocks between domains, which are the caller's affair. "State" says
 * whether the thread needs an attached thread state (the GIL, on builds that have one); where it does not, and there is
 * one, a function that blocks detaches it meanwhile. "Blocks": all may take short locks, of the engine alone. A wait
 * that has something to report, a stall say, attaches a state for that, the thread's own or one for the while, and
 * leaves an exception that is set alone: who waits holds no lock that Python code waits for.
 *
 * A debug build, with RCU_DEBUG defined, checks what it can (debug.h). In others, misuse that it would report is
 * undefined behaviour. */
#ifndef RCU_API_H
#define RCU_API_H

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>

#include <stddef.h>
#include <stdint.h>

#include "debug.h"
#include "head.h"
#include "pointer.h"
#include "read.h"
#include "slot.h"
#include "this_thread.h"
#include "version.h"

#if defined(__cplusplus)
extern "C" {
#endif

/* What became of a wait. */
enum rcu_outcome {
    RCU_DONE = 0,
    RCU_IN_SECTION, /* the calling thread is in a section of the domain: it would wait for itself, and has not waited */
    RCU_IN_CALLBACK, /* the calling thread runs a callback of the domain, which is part of what it would wait for */
    RCU_TIMED_OUT,   /* the time is over; the domain is as before */
    RCU_FINALIZING   /* the interpreter is being taken down: callbacks in Python, which may be ahead, run no more */
};

/* What the capsule holds; for the functions below. */
#define RCU_CAPSULE "rcu._api.table"

struct rcu_api {
    /* These three are the same in all versions. */
    uint32_t abi;        /* RCU_ABI of the package that runs */
    uint32_t size;       /* of its table, in bytes */
    const char *version; /* of it */

    uint64_t slot_size, head_size;
    struct rcu_domain *default_domain;
    struct rcu_domain *(*domain_new)(const char *name);
    void (*domain_free)(struct rcu_domain *domain);
    struct rcu_domain *(*domain_of)(PyObject *domain);
    struct rcu_slot *(*this_slot)(struct rcu_domain *domain);
    int (*unregister_thread)(struct rcu_domain *domain);
    void (*quiesce)(struct rcu_slot *slot);
    int (*synchronize)(struct rcu_domain *domain, uint64_t timeout_ns);
    uint64_t (*start_poll)(struct rcu_domain *domain);
    int (*poll)(struct rcu_domain *domain, uint64_t cookie);
    void (*call)(struct rcu_domain *domain, struct rcu_head *head, rcu_callback func);
    void (*call_checked)(struct rcu_domain *domain, struct rcu_head *head, rcu_callback func);
    int (*retire)(struct rcu_domain *domain, PyObject *object);
    int (*barrier)(struct rcu_domain *domain, uint64_t timeout_ns);
    int (*check)(struct rcu_domain *domain, int outcome, const char *what);
    PyTypeObject *cell_type;
    intptr_t cell_value_at; /* bytes from a cell's begin to what it publishes */
    struct rcu_domain *(*cell_domain)(PyObject *cell);
};

#if !defined(RCU_API_TABLE)
#define RCU_API_TABLE rcu_api_table
static const struct rcu_api *RCU_API_TABLE;
#elif defined(RCU_API_ELSEWHERE)
extern const struct rcu_api *RCU_API_TABLE;
#else
const struct rcu_api *RCU_API_TABLE;
#endif

/* The table, which rcu_import() has found. Of this file. */
static inline const struct rcu_api *rcu_api_of(const char *what)
{
#if defined(RCU_DEBUG)
    if (RCU_API_TABLE == NULL)
        rcu_debug_abort("%s() in a source file that has no table: call rcu_import() first, in the module's init "
                        "function, or share one table by RCU_API_TABLE",
                        what);
#endif
    (void)what;
    return RCU_API_TABLE;
}
#define RCU_API() rcu_api_of(__func__)

/* Imports rcu and finds its table. 0; or -1 with an ImportError set: there is no rcu, it cannot work in this process
 * (the system grants no hook at the end of threads, say; it is not the main interpreter), or it is not the one that
 * this was compiled for; the error names both. Calling it again is harmless.
 * Section: yes. State: needed. Blocks: as an import does. After NumPy's import_array(). */
static inline int rcu_import(void)
{
    const struct rcu_api *api = NULL;
    /* By itself first: PyCapsule_Import() does not say why an import has failed. */
    PyObject *module = PyImport_ImportModule("rcu");
    if (module == NULL)
        return -1;
    Py_DECREF(module);
    module = PyImport_ImportModule("rcu._api");
    if (module != NULL) {
        Py_DECREF(module);
        api = (const struct rcu_api *)PyCapsule_Import(RCU_CAPSULE, 0);
    }
    if (api == NULL) {
        /* An rcu without the capsule is an ImportError like an rcu that is not there. */
        if (PyErr_ExceptionMatches(PyExc_AttributeError) || PyErr_ExceptionMatches(PyExc_ModuleNotFoundError))
            PyErr_SetString(PyExc_ImportError, "the rcu that is installed has no C interface, and this extension was "
                                               "built for rcu " RCU_VERSION "; install that, or a later one");
        return -1;
    }
    if (api->abi != RCU_ABI || api->size < sizeof(struct rcu_api) || api->slot_size != sizeof(struct rcu_slot) ||
        api->head_size != sizeof(struct rcu_head)) {
        PyErr_Format(PyExc_ImportError,
                     "this extension was built for rcu %s (ABI %d, a table of %zu bytes), but rcu %s (ABI %lu, %lu "
                     "bytes) is installed; build it again for that, with the headers of its rcu.get_include(), or "
                     "install the rcu that it was built for",
                     RCU_VERSION, RCU_ABI, sizeof(struct rcu_api), api->version, (unsigned long)api->abi,
                     (unsigned long)api->size);
        return -1;
    }
    if (RCU_API_TABLE != api) /* other threads may be reading it */
        RCU_API_TABLE = api;
    return 0;
}

/* ---- domains ----------------------------------------------------------------------------------------------------- */

/* The domain of rcu.default_domain, which lasts as long as the process. Python code and all extensions share it.
 * Section: yes. State: no. Blocks: no. The domain of the kernel's functions, and of minircu's global(). */
static inline struct rcu_domain *rcu_default_domain(void)
{
    return RCU_API()->default_domain;
}

/* A new domain; NULL: no memory. Reports call it by that name, UTF-8 (other bytes are shown escaped), or by one
 * of their own if it is NULL.
 * Section: yes. State: no. Blocks: no. The kernel's init_srcu_struct(), C++26's std::rcu_domain. */
static inline struct rcu_domain *rcu_domain_new(const char *name)
{
    return RCU_API()->domain_new(name);
}

/* Gives up a domain of rcu_domain_new(), in which nobody reads, waits or enqueues any more, nor will. What has been
 * enqueued is still called, by the domain's own thread, after which the memory is freed. Slots of the domain are no
 * longer anyone's from here on.
 * Section: no. State: no. Blocks: no. The kernel's cleanup_srcu_struct(). */
static inline void rcu_domain_free(struct rcu_domain *domain)
{
    RCU_API()->domain_free(domain);
}

/* The domain of a Python object, an rcu.Domain, which lasts as long as the object, so that C and Python share it. NULL,
 * with a TypeError set: it is none. rcu_domain_free() is not for these.
 * Section: yes. State: needed. Blocks: no. Python's rcu.Domain. */
static inline struct rcu_domain *rcu_domain_of(PyObject *domain)
{
    return RCU_API()->domain_of(domain);
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

/* The calling thread's slot in the domain, which its first call makes; NULL: no memory. From then on it is one load of
 * a thread-local, inline; a thread that reads in more than RCU_AT_HAND domains may call, for a look-up in a small
 * table, as all do on systems other than glibc's. The pointer may be kept until the thread ends or unregisters, or the
 * domain is freed, and is of no use to other threads. At the end of a thread its slots are given back; a section that
 * is open then is ended, which the next wait of some length reports.
 * Section: yes. State: no. Blocks: no. QEMU's and liburcu's rcu_register_thread(), which need not be called here. */
static inline struct rcu_slot *rcu_this_slot(struct rcu_domain *domain)
{
    struct rcu_slot *slot = rcu_slot_at_hand(domain);
    if (RCU_LIKELY(slot != NULL))
        return slot;
    return RCU_API()->this_slot(domain);
}

/* Gives the calling thread's slot back, which its end would do otherwise; without one, nothing happens. RCU_DONE, or
 * RCU_IN_SECTION: nothing has changed.
 * Section: no. State: no. Blocks: no. QEMU's and liburcu's rcu_unregister_thread(). */
static inline int rcu_unregister_thread(struct rcu_domain *domain)
{
    return RCU_API()->unregister_thread(domain);
}

/* Says that the calling thread, whose slot this is, will not read for a while: updaters need not interrupt it. Its next
 * section costs a fence. Nothing happens in a section. Optional, for updaters find idle threads by themselves.
 * Section: yes. State: no. Blocks: no. minircu's quiesce, liburcu's rcu_thread_offline(). */
static inline void rcu_quiesce(struct rcu_slot *slot)
{
    RCU_DEBUG_SLOT(slot);
    RCU_API()->quiesce(slot);
}

/* ---- grace periods ----------------------------------------------------------------------------------------------- */

/* Returns RCU_DONE once every section of the domain that began before the call has ended. RCU_IN_SECTION at once.
 * Signals are not handled meanwhile: who waits for long on the main thread does so in turns of rcu_synchronize_for()
 * and PyErr_CheckSignals().
 * Section: no. State: no. Blocks: yes. The kernel's and liburcu's synchronize_rcu(). */
static inline int rcu_synchronize(struct rcu_domain *domain)
{
    return RCU_API()->synchronize(domain, UINT64_MAX);
}

/* The same for so many nanoseconds at most: RCU_TIMED_OUT then. 0 asks without waiting for any reader.
 * Section: no. State: no. Blocks: yes. Python's Domain.synchronize(timeout). */
static inline int rcu_synchronize_for(struct rcu_domain *domain, uint64_t timeout_ns)
{
    return RCU_API()->synchronize(domain, timeout_ns);
}

/* A cookie for rcu_poll(), which stands for the grace period that a caller of now needs.
 * Section: yes. State: no. Blocks: no. The kernel's start_poll_synchronize_rcu(). */
static inline uint64_t rcu_start_poll(struct rcu_domain *domain)
{
    return RCU_API()->start_poll(domain);
}

/* Not 0 if a grace period that began after rcu_start_poll() of that domain returned the cookie has completed. Asking
 * is enough to complete it. A cookie stays good for ever; for a number that is none, 0 may come back for ever, too.
 * Section: yes; it is then one of those that are waited for. State: no. Blocks: no. The kernel's
 * poll_state_synchronize_rcu(). */
static inline int rcu_poll(struct rcu_domain *domain, uint64_t cookie)
{
    return RCU_API()->poll(domain, cookie);
}

/* ---- deferred work ----------------------------------------------------------------------------------------------- */

/* Has func(head) called after a grace period, by a thread of the domain, outside of sections. `head` is a member of
 * what func frees, so this allocates nothing (but, at a thread's first call, its slot and its outbox, and works without
 * them). It is the domain's until func is called; to enqueue it again before is a mistake that a debug build reports on
 * stderr and ignores. What a thread enqueues is called in that order. Never waits for room: these callbacks count for
 * the domain's backlog_limit, by which Python's updaters are held back, while an updater in C sees to it by itself that
 * rcu_barrier() or rcu_synchronize() is called from time to time.
 *
 * func has no thread state, so it does not touch Python; where it must, it calls PyGILState_Ensure(), unless
 * Py_IsFinalizing(). That makes a thread state for each call, which can take a fraction of a millisecond where there is
 * no GIL: a reference that is to be dropped is better given to rcu_retire(). func may block as little as the domain's
 * other callbacks can wait, and may enqueue again.
 * Section: yes. State: no. Blocks: no. The kernel's and liburcu's call_rcu(), QEMU's call_rcu1(). */
static inline void rcu_call(struct rcu_domain *domain, struct rcu_head *head, rcu_callback func)
{
#if defined(RCU_DEBUG)
    RCU_API()->call_checked(domain, head, func);
#else
    RCU_API()->call(domain, head, func);
#endif
}

/* Drops the caller's reference to a Python object after a grace period: whoever borrowed the object in a section may
 * use it until that ends. 0; or -1: there is no memory, and the reference is the caller's still. In its turn among what
 * the thread enqueues, and without waiting for room, as rcu_call(); by a thread that has a thread state, once for many.
 * What is enqueued after the interpreter's atexit functions have run is not dropped any more.
 * Section: yes. State: no. Blocks: no. Python's Domain.retire(), the kernel's kfree_rcu(), QEMU's g_free_rcu(). */
static inline int rcu_retire(struct rcu_domain *domain, PyObject *object)
{
    return RCU_API()->retire(domain, object);
}

/* Returns RCU_DONE once all that was enqueued in the domain before the call, by any thread, in C or in Python, has been
 * called. RCU_IN_SECTION or RCU_IN_CALLBACK at once. Signals as for rcu_synchronize().
 * Section: no. State: no. Blocks: yes. The kernel's and liburcu's rcu_barrier(), QEMU's drain_call_rcu(). */
static inline int rcu_barrier(struct rcu_domain *domain)
{
    return RCU_API()->barrier(domain, UINT64_MAX);
}

/* The same for so many nanoseconds at most: RCU_TIMED_OUT then, and what was enqueued still is.
 * Section: no. State: no. Blocks: yes. Python's Domain.barrier(timeout). */
static inline int rcu_barrier_for(struct rcu_domain *domain, uint64_t timeout_ns)
{
    return RCU_API()->barrier(domain, timeout_ns);
}

/* Makes an outcome of the functions above an exception: 0 for RCU_DONE; or -1, with rcu.DeadlockError (in a section, in
 * a callback), TimeoutError or rcu.RcuError (finalizing) set, which names the domain and `what` was tried, as in
 * "table_clear()". As PyErr_SetString() does, it replaces an exception that is set.
 * Section: yes. State: needed. Blocks: no. What Python's Domain.synchronize() and barrier() raise. */
static inline int rcu_check(struct rcu_domain *domain, int outcome, const char *what)
{
    return outcome == RCU_DONE ? 0 : RCU_API()->check(domain, outcome, what);
}

/* ---- cells ------------------------------------------------------------------------------------------------------- */

/* Not 0 if the object is an rcu.Cell.
 * Section: yes. State: no. Blocks: no. Python's type(object) is rcu.Cell. */
static inline int rcu_cell_check(PyObject *object)
{
    return Py_TYPE(object) == RCU_API()->cell_type;
}

/* The domain of a cell, whose sections protect what is borrowed from it. It lasts as long as the cell.
 * Section: yes. State: no. Blocks: no. Python's Cell.domain. */
static inline struct rcu_domain *rcu_cell_domain(PyObject *cell)
{
    return RCU_API()->cell_domain(cell);
}

/* What the cell publishes now, without counting a reference: it stays until the section ends in which this was called,
 * of the cell's domain. Who keeps it for longer takes a reference (Py_NewRef) before that. The cell itself is the
 * caller's to keep, until the section ends. What a cell's swap() hands out is its caller's affair, and protected only
 * if that one retires it.
 * Section: in one. State: no, but needed for all that one does with an object. Blocks: no. The kernel's
 * rcu_dereference(), Python's Cell.value. */
static inline PyObject *rcu_cell_borrow(PyObject *cell)
{
    const struct rcu_api *api = RCU_API();
#if defined(RCU_DEBUG)
    if (!rcu_cell_check(cell))
        rcu_debug_abort("rcu_cell_borrow(%p): the object is no rcu.Cell, as rcu_cell_check() tells", (void *)cell);
    rcu_debug_held(rcu_this_slot(api->cell_domain(cell)), "rcu_cell_borrow");
#endif
    /* [V] with itself: whoever sees the object sees what was put into it before it was published. */
    return rcu_dereference(*(PyObject **)(void *)((char *)cell + api->cell_value_at));
}

#if defined(__cplusplus)
}
#endif

#endif
