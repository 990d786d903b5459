/* IdentityMap: values by the identity of their keys, which any number of threads look up without waiting while others
 * set. After NumPy's identity hash, which keeps each table that it has outgrown until the whole dies, for nothing tells
 * it when the last reader has left. Here rcu_call() frees them.
 *
 * What has been set stays until the map dies, keys included. A value can be replaced: the old one is an object, so it
 * goes by rcu_retire(). */
#include <Python.h>
#include <rcu/api.h>

#include "table.h"

/* Slots are void *, to which ISO C converts no function. */
#define FUNCTION(name) ((void *)(uintptr_t)(name))

typedef struct {
    PyObject ob_base;
    struct table *table; /* published; NULL: nothing has been set */
    PyMutex setting;     /* by who sets */
} IdentityMap;

/* Called on a thread of rcu's, which has no thread state. */
static void free_old_table(struct rcu_head *head)
{
    table_free((struct table *)head); /* its first member */
}

/* ---- readers ----------------------------------------------------------------------------------------------------- */

PyDoc_STRVAR(get_doc,
             "get($self, key, default=None, /)\n--\n\nThe value of the key, this very object; or the default.");

static PyObject *map_get(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    IdentityMap *map = (IdentityMap *)self;
    if (count < 1 || count > 2)
        return PyErr_Format(PyExc_TypeError, "get() takes a key and a default, not %zd arguments", count);
    struct rcu_slot *slot = rcu_this_slot(rcu_default_domain());
    if (slot == NULL)
        return PyErr_NoMemory();

    rcu_enter(slot);
    const struct table *table = rcu_dereference(map->table);
    PyObject *value = table == NULL ? NULL : table_find(table, args[0]);
    /* In the section: the map's own reference stays until it has ended. */
    Py_XINCREF(value);
    rcu_exit(slot);

    if (value == NULL)
        value = Py_NewRef(count == 2 ? args[1] : Py_None);
    return value;
}

/* ---- updaters ---------------------------------------------------------------------------------------------------- */

/* Under the lock. 0, and *old is the value that was replaced, or NULL; or -1: no memory. */
static int put(IdentityMap *map, PyObject *key, PyObject *value, PyObject **old)
{
    struct table *table = map->table;
    if (table == NULL || table_is_full(table)) {
        struct table *grown = table_grown(table);
        if (grown == NULL)
            return -1;
        rcu_assign_pointer(map->table, grown);
        if (table != NULL)
            rcu_call(rcu_default_domain(), &table->head, free_old_table);
        table = grown;
    }
    struct entry *place = table_place(table, key);
    if (place->key == NULL)
        table_insert(table, place, Py_NewRef(key), Py_NewRef(value));
    else
        *old = rcu_xchg_pointer(&place->value, Py_NewRef(value));
    return 0;
}

PyDoc_STRVAR(set_doc, "set($self, key, value, /)\n--\n\nSets the value of the key, both of which the map then holds.");

static PyObject *map_set(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    IdentityMap *map = (IdentityMap *)self;
    PyObject *old = NULL;
    if (count != 2)
        return PyErr_Format(PyExc_TypeError, "set() takes a key and a value, not %zd arguments", count);
    PyMutex_Lock(&map->setting);
    int error = put(map, args[0], args[1], &old);
    PyMutex_Unlock(&map->setting);
    if (error < 0)
        return PyErr_NoMemory();
    if (old != NULL && rcu_retire(rcu_default_domain(), old) < 0)
        return PyErr_NoMemory(); /* `old` is lost, rather than taken from under a reader */
    Py_RETURN_NONE;
}

static Py_ssize_t map_length(PyObject *self)
{
    IdentityMap *map = (IdentityMap *)self;
    PyMutex_Lock(&map->setting);
    Py_ssize_t length = map->table == NULL ? 0 : (Py_ssize_t)map->table->used;
    PyMutex_Unlock(&map->setting);
    return length;
}

/* ---- the type ---------------------------------------------------------------------------------------------------- */

/* The collector stops the other threads meanwhile, none of them within put(), which does not detach. */
static int map_traverse(PyObject *self, visitproc visit, void *arg)
{
    const struct table *table = ((IdentityMap *)self)->table;
    for (size_t i = 0; table != NULL && i <= table->mask; i++) {
        Py_VISIT(table->entries[i].key);
        Py_VISIT(table->entries[i].value);
    }
    Py_VISIT(Py_TYPE(self));
    return 0;
}

/* A reader has a reference to the map: there is none, so nothing has to wait. What the map has outgrown is rcu's. */
static int map_clear(PyObject *self)
{
    IdentityMap *map = (IdentityMap *)self;
    struct table *table = map->table;
    map->table = NULL;
    for (size_t i = 0; table != NULL && i <= table->mask; i++) {
        Py_XDECREF(table->entries[i].key);
        Py_XDECREF(table->entries[i].value);
    }
    table_free(table);
    return 0;
}

static void map_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    map_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef map_methods[] = {
    {"get", (PyCFunction)(void (*)(void))map_get, METH_FASTCALL, get_doc},
    {"set", (PyCFunction)(void (*)(void))map_set, METH_FASTCALL, set_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot map_slots[] = {
    {Py_tp_doc, (void *)"IdentityMap()\n--\n\nValues by the identity of their keys, for many readers."},
    {Py_tp_methods, map_methods},
    {Py_mp_length, FUNCTION(map_length)},
    {Py_tp_traverse, FUNCTION(map_traverse)},
    {Py_tp_clear, FUNCTION(map_clear)},
    {Py_tp_dealloc, FUNCTION(map_dealloc)},
    {0, NULL},
};

static PyType_Spec map_spec = {
    .name = "identity.IdentityMap",
    .basicsize = sizeof(IdentityMap),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = map_slots,
};

/* ---- the module -------------------------------------------------------------------------------------------------- */

static PyObject *made(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    return PyLong_FromUnsignedLongLong(rcu_load_relaxed(&tables_made));
}

static PyObject *alive(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    uint64_t freed = rcu_load_acquire(&tables_freed);
    return PyLong_FromUnsignedLongLong(rcu_load_relaxed(&tables_made) - freed);
}

static PyMethodDef functions[] = {
    {"tables_made", made, METH_NOARGS, "Tables that there have been, of all maps."},
    {"tables_alive", alive, METH_NOARGS, "Tables that have not been freed yet."},
    {NULL, NULL, 0, NULL},
};

static int execute(PyObject *module)
{
    if (rcu_import() < 0)
        return -1;
    PyObject *type = PyType_FromModuleAndSpec(module, &map_spec, NULL);
    int error = type == NULL ? -1 : PyModule_AddType(module, (PyTypeObject *)type);
    Py_XDECREF(type);
    return error;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, FUNCTION(execute)},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,  .m_name = "identity", .m_doc = "A map by identity whose readers never wait.",
    .m_methods = functions, .m_slots = slots,
};

PyMODINIT_FUNC PyInit_identity(void)
{
    return PyModuleDef_Init(&definition);
}
