/* The table of identity.c behind each of several ways to protect its readers, for measuring: the same look-ups, in
 * loops without a thread state, each protected by itself. What is found is borrowed, and counted by nobody. */
#include <Python.h>
#include <rcu/api.h>

#include <sched.h>
#include <stdatomic.h>

#include "table.h"

#define LINE 128 /* bytes that processors hand each other, the neighbour that is fetched along included */
#define WRITER ((uint64_t)1 << 63)

typedef struct {
    PyObject ob_base;
    PyObject *keys; /* a tuple; each is its own value */
    const struct way *way;
    _Atomic size_t added;
    struct table *outgrown; /* a list by their heads; see keep() */
    PyMutex adding;
    /* What readers write is on lines of its own, which spares all but RCU the loss of what they only read. */
    char before_table[LINE];
    struct table *table;
    _Atomic(struct table *) counted_table; /* the same, for who needs a total order of this and the count */
    char before_mutex[LINE];
    PyMutex mutex;
    char before_word[LINE];
    _Atomic uint64_t word; /* how many read, and WRITER */
    char behind[LINE];
} Store;

struct way {
    const char *name;
    size_t (*look_up)(Store *store, struct rcu_slot *slot, size_t count, size_t turns);
    void (*lock)(Store *store);
    void (*unlock)(Store *store);
    void (*reclaim)(Store *store, struct table *old);
};

/* ---- a reader-writer lock whose readers share a word; writers go first ------------------------------------------- */

static inline void lock_shared(Store *store)
{
    while ((atomic_fetch_add(&store->word, 1) & WRITER) != 0) {
        atomic_fetch_sub(&store->word, 1);
        while ((atomic_load(&store->word) & WRITER) != 0)
            sched_yield();
    }
}

static inline void unlock_shared(Store *store)
{
    atomic_fetch_sub(&store->word, 1);
}

static void lock_alone(Store *store)
{
    atomic_fetch_or(&store->word, WRITER);
    while (atomic_load(&store->word) != WRITER)
        sched_yield();
}

static void unlock_alone(Store *store)
{
    atomic_fetch_and(&store->word, ~WRITER);
}

/* ---- the others -------------------------------------------------------------------------------------------------- */

static void lock_mutex(Store *store)
{
    PyMutex_Lock(&store->mutex);
}

static void unlock_mutex(Store *store)
{
    PyMutex_Unlock(&store->mutex);
}

static void no_lock(Store *store)
{
    (void)store;
}

static void free_now(Store *store, struct table *old)
{
    (void)store;
    table_free(old);
}

static void free_old_table(struct rcu_head *head)
{
    table_free((struct table *)head);
}

static void free_after_grace_period(Store *store, struct table *old)
{
    (void)store;
    rcu_call(rcu_default_domain(), &old->head, free_old_table);
}

/* As multidict does: readers are counted, and what has been outgrown waits until an updater happens to find none. */
static void keep(Store *store, struct table *old)
{
    old->head.next = store->outgrown == NULL ? NULL : &store->outgrown->head;
    store->outgrown = old;
}

static void free_outgrown(Store *store)
{
    while (store->outgrown != NULL) {
        struct table *old = store->outgrown;
        store->outgrown = (struct table *)old->head.next;
        table_free(old);
    }
}

/* ---- look-ups ---------------------------------------------------------------------------------------------------- */

/* So many turns through the first `count` keys; how many had the right value. */
#define LOOK_UPS(name, enter, table, leave)                                             \
    static size_t name(Store *store, struct rcu_slot *slot, size_t count, size_t turns) \
    {                                                                                   \
        size_t found = 0;                                                               \
        (void)slot;                                                                     \
        for (size_t i = 0; turns > 0; turns--) {                                        \
            const PyObject *key = PyTuple_GET_ITEM(store->keys, i);                     \
            enter;                                                                      \
            found += table_find(table, key) == key;                                     \
            leave;                                                                      \
            i = i + 1 < count ? i + 1 : 0;                                              \
        }                                                                               \
        return found;                                                                   \
    }

LOOK_UPS(look_up_bare, (void)0, store->table, (void)0)
LOOK_UPS(look_up_by_slot, rcu_enter(slot), rcu_dereference(store->table), rcu_exit(slot))
LOOK_UPS(look_up_by_rcu, slot = rcu_this_slot(rcu_default_domain());
         rcu_enter(slot), rcu_dereference(store->table), rcu_exit(slot))
LOOK_UPS(look_up_by_mutex, PyMutex_Lock(&store->mutex), store->table, PyMutex_Unlock(&store->mutex))
LOOK_UPS(look_up_by_lock, lock_shared(store), store->table, unlock_shared(store))
LOOK_UPS(look_up_counted, atomic_fetch_add(&store->word, 1), atomic_load(&store->counted_table),
         atomic_fetch_sub(&store->word, 1))

static const struct way ways[] = {
    {"nothing", look_up_bare, no_lock, no_lock, free_now}, /* nobody may add beside readers */
    {"rcu", look_up_by_slot, no_lock, no_lock, free_after_grace_period},
    {"rcu_this_slot", look_up_by_rcu, no_lock, no_lock, free_after_grace_period},
    {"PyMutex", look_up_by_mutex, lock_mutex, unlock_mutex, free_now},
    {"lock", look_up_by_lock, lock_alone, unlock_alone, free_now},
    {"count", look_up_counted, no_lock, no_lock, keep},
};

/* ---- the type ---------------------------------------------------------------------------------------------------- */

/* Under the lock of those who add. 0, or -1: no memory. */
static int add(Store *store, PyObject *key)
{
    struct table *table = store->table, *old = NULL;
    if (table == NULL || table_is_full(table)) {
        struct table *grown = table_grown(table);
        if (grown == NULL)
            return -1;
        old = table;
        table = grown;
    }
    store->way->lock(store);
    table_insert(table, table_place(table, key), key, key);
    if (table != store->table) {
        rcu_assign_pointer(store->table, table);
        atomic_store(&store->counted_table, table);
    }
    store->way->unlock(store);
    if (old != NULL)
        store->way->reclaim(store, old);
    if (store->outgrown != NULL && atomic_load(&store->word) == 0)
        free_outgrown(store);
    return 0;
}

static PyObject *store_add(PyObject *self, PyObject *count)
{
    Store *store = (Store *)self;
    size_t wanted = PyLong_AsSize_t(count), there = (size_t)PyTuple_GET_SIZE(store->keys);
    int error = 0;
    if (wanted == (size_t)-1 && PyErr_Occurred())
        return NULL;
    Py_BEGIN_ALLOW_THREADS PyMutex_Lock(&store->adding);
    for (; error == 0 && wanted > 0 && store->added < there; wanted--) {
        error = add(store, PyTuple_GET_ITEM(store->keys, store->added));
        store->added += error == 0;
    }
    PyMutex_Unlock(&store->adding);
    Py_END_ALLOW_THREADS if (error != 0) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

/* Among keys that have been added: without one, there is no table. */
static PyObject *store_look_up(PyObject *self, PyObject *arguments)
{
    Store *store = (Store *)self;
    Py_ssize_t count, turns;
    size_t found;
    if (!PyArg_ParseTuple(arguments, "nn:look_up", &count, &turns))
        return NULL;
    Py_ssize_t added = (Py_ssize_t)store->added;
    if (count < 1 || count > added || turns < 0)
        return PyErr_Format(PyExc_ValueError, "look_up(%zd, %zd) among %zd keys that were added", count, turns, added);
    struct rcu_slot *slot = rcu_this_slot(rcu_default_domain());
    if (slot == NULL)
        return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS found = store->way->look_up(store, slot, (size_t)count, (size_t)turns);
    Py_END_ALLOW_THREADS return PyLong_FromSize_t(found);
}

static PyObject *store_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    const char *name;
    PyObject *keys;
    (void)keywords;
    if (!PyArg_ParseTuple(arguments, "sO!:Store", &name, &PyTuple_Type, &keys))
        return NULL;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (strcmp(ways[i].name, name) == 0) {
            Store *store = (Store *)type->tp_alloc(type, 0);
            if (store != NULL) {
                store->keys = Py_NewRef(keys);
                store->way = &ways[i];
            }
            return (PyObject *)store;
        }
    return PyErr_Format(PyExc_ValueError, "Store() of way %s, which is none of WAYS", name);
}

static void store_dealloc(PyObject *self)
{
    Store *store = (Store *)self;
    PyTypeObject *type = Py_TYPE(self);
    free_outgrown(store);
    table_free(store->table);
    Py_XDECREF(store->keys);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef store_methods[] = {
    {"add", store_add, METH_O, "Adds so many keys more."},
    {"look_up", store_look_up, METH_VARARGS, "look_up(count, turns): how many had the right value."},
    {NULL, NULL, 0, NULL},
};

#define FUNCTION(name) ((void *)(uintptr_t)(name))

static PyType_Slot store_slots[] = {
    {Py_tp_methods, store_methods},
    {Py_tp_new, FUNCTION(store_new)},
    {Py_tp_dealloc, FUNCTION(store_dealloc)},
    {0, NULL},
};

static PyType_Spec store_spec = {
    .name = "rivals.Store",
    .basicsize = sizeof(Store),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = store_slots,
};

/* ---- the module -------------------------------------------------------------------------------------------------- */

static PyObject *tables(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    uint64_t freed = rcu_load_acquire(&tables_freed), made = rcu_load_relaxed(&tables_made);
    return Py_BuildValue("KK", (unsigned long long)made, (unsigned long long)(made - freed));
}

static PyMethodDef functions[] = {
    {"tables", tables, METH_NOARGS, "Tables that there have been, and that there are."},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module)
{
    if (rcu_import() < 0)
        return -1;
    PyObject *type = PyType_FromModuleAndSpec(module, &store_spec, NULL);
    PyObject *names = PyTuple_New(sizeof(ways) / sizeof(ways[0]));
    int error = type == NULL || names == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
    for (size_t i = 0; error == 0 && i < sizeof(ways) / sizeof(ways[0]); i++) {
        PyObject *name = PyUnicode_FromString(ways[i].name);
        error = name == NULL ? -1 : PyTuple_SetItem(names, (Py_ssize_t)i, name);
    }
    if (error == 0)
        error = PyModule_AddObjectRef(module, "WAYS", names);
    Py_XDECREF(type);
    Py_XDECREF(names);
    return error;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, FUNCTION(execute)},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "rivals",
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit_rivals(void)
{
    return PyModuleDef_Init(&definition);
}
