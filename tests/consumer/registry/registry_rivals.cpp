// The table of registry.cpp behind each of several ways to protect its readers, for measuring: the same look-ups, in
// loops without a thread state, each protected by itself.
#include "names.hpp"

#include <cstring>
#include <new>
#include <thread>
#include <vector>

namespace
{

using registry::table;
using registry::version;

// What readers write is on lines of its own, which spares all but RCU the loss of what they only read. So many bytes
// processors hand each other, the neighbour that is fetched along included.
constexpr std::size_t line = 128;

// A reader-writer lock whose readers share a count, in one word; writers, one at a time, go first.
class shared_count
{
  public:
    void lock_shared()
    {
        while ((word_.fetch_add(1) & writer) != 0) {
            word_.fetch_sub(1);
            while ((word_.load() & writer) != 0)
                std::this_thread::yield();
        }
    }

    void unlock_shared()
    {
        word_.fetch_sub(1);
    }

    void lock()
    {
        word_.fetch_or(writer);
        while (word_.load() != writer)
            std::this_thread::yield();
    }

    void unlock()
    {
        word_.fetch_and(~writer);
    }

  private:
    static constexpr std::uint64_t writer = std::uint64_t{1} << 63;
    std::atomic<std::uint64_t> word_{0};
};

struct store {
    alignas(line) version *current = new version(table());
    alignas(line) registry::mutex mutex;
    alignas(line) shared_count lock;
    alignas(line) std::vector<PyTypeObject *> types;

    ~store()
    {
        delete current;
    }

    version *replace(version *next)
    {
        version *const old = current;
        rcu_assign_pointer(current, next);
        return old;
    }
};

// ---- the ways: how a look-up is protected, and how an old version is replaced and freed -----------------------------

struct by_nothing { // nobody may update beside readers
    static const version *enter(store &all, rcu_slot *)
    {
        return rcu_dereference(all.current);
    }
    static void leave(store &, rcu_slot *)
    {
    }
    static void update(store &all, version *next)
    {
        delete all.replace(next);
    }
};

struct by_slot : by_nothing {
    static const version *enter(store &all, rcu_slot *slot)
    {
        rcu_enter(slot);
        return rcu_dereference(all.current);
    }
    static void leave(store &, rcu_slot *slot)
    {
        rcu_exit(slot);
    }
    static void update(store &all, version *next)
    {
        rcu_call(rcu_default_domain(), all.replace(next), version::reclaim);
    }
};

struct by_rcu : by_slot { // as a section of names.hpp
    static const version *enter(store &all, rcu_slot *&slot)
    {
        slot = rcu_this_slot(rcu_default_domain());
        return by_slot::enter(all, slot);
    }
};

struct by_mutex {
    static const version *enter(store &all, rcu_slot *)
    {
        all.mutex.lock();
        return all.current;
    }
    static void leave(store &all, rcu_slot *)
    {
        all.mutex.unlock();
    }
    static void update(store &all, version *next)
    {
        all.mutex.lock();
        version *const old = all.replace(next);
        all.mutex.unlock();
        delete old;
    }
};

struct by_lock {
    static const version *enter(store &all, rcu_slot *)
    {
        all.lock.lock_shared();
        return all.current;
    }
    static void leave(store &all, rcu_slot *)
    {
        all.lock.unlock_shared();
    }
    static void update(store &all, version *next)
    {
        all.lock.lock();
        version *const old = all.replace(next);
        all.lock.unlock();
        delete old;
    }
};

// So many turns through all types; how many had a name, and the right one: its length is the type's number plus one.
template <typename Way> std::size_t look_up(store &all, rcu_slot *slot, std::size_t turns)
{
    std::size_t found = 0;
    for (std::size_t i = 0; turns > 0; --turns) {
        const version *const now = Way::enter(all, slot);
        const auto entry = now->names.find(all.types[i]);
        found += entry != now->names.end() && entry->second.size() == i + 1;
        Way::leave(all, slot);
        i = i + 1 < all.types.size() ? i + 1 : 0;
    }
    return found;
}

struct way {
    const char *name;
    std::size_t (*look_up)(store &all, rcu_slot *slot, std::size_t turns);
    void (*update)(store &all, version *next);
};

const way ways[] = {
    {"nothing", look_up<by_nothing>, by_nothing::update}, {"rcu", look_up<by_slot>, by_slot::update},
    {"rcu_this_slot", look_up<by_rcu>, by_rcu::update},   {"PyMutex", look_up<by_mutex>, by_mutex::update},
    {"lock", look_up<by_lock>, by_lock::update},
};

// ---- the type -------------------------------------------------------------------------------------------------------

struct Rival {
    PyObject head;
    store *all;
    PyObject *types; // a tuple
    const way *how;
};

Rival *of(PyObject *self)
{
    return reinterpret_cast<Rival *>(self);
}

PyObject *rival_look_up(PyObject *self, PyObject *count)
{
    const std::size_t turns = PyLong_AsSize_t(count);
    if (turns == static_cast<std::size_t>(-1) && PyErr_Occurred() != nullptr)
        return nullptr;
    rcu_slot *const slot = rcu_this_slot(rcu_default_domain());
    if (slot == nullptr)
        return PyErr_NoMemory();
    PyThreadState *const state = PyEval_SaveThread();
    const std::size_t found = of(self)->how->look_up(*of(self)->all, slot, turns);
    PyEval_RestoreThread(state);
    return PyLong_FromSize_t(found);
}

// Sets the names of all types anew, one version for each. One thread at a time.
PyObject *rival_update(PyObject *self, PyObject *)
{
    store &all = *of(self)->all;
    try {
        for (std::size_t i = 0; i < all.types.size(); ++i) {
            auto next = std::make_unique<version>(all.current->names);
            next->names.insert_or_assign(all.types[i], std::string(i + 1, 'n'));
            of(self)->how->update(all, next.release());
        }
    } catch (const std::bad_alloc &) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

PyObject *rival_new(PyTypeObject *type, PyObject *arguments, PyObject *)
{
    const char *name;
    PyObject *types;
    if (!PyArg_ParseTuple(arguments, "sO!:Rival", &name, &PyTuple_Type, &types))
        return nullptr;
    for (const way &how : ways) {
        if (std::strcmp(how.name, name) != 0)
            continue;
        PyObject *self = type->tp_alloc(type, 0);
        if (self == nullptr)
            return nullptr;
        of(self)->types = Py_NewRef(types);
        of(self)->how = &how;
        try {
            of(self)->all = new store();
            for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(types); ++i)
                of(self)->all->types.push_back(reinterpret_cast<PyTypeObject *>(PyTuple_GET_ITEM(types, i)));
        } catch (const std::bad_alloc &) {
            Py_DECREF(self);
            return PyErr_NoMemory();
        }
        return self;
    }
    return PyErr_Format(PyExc_ValueError, "Rival() of way %s, which is none of WAYS", name);
}

void rival_dealloc(PyObject *self)
{
    PyTypeObject *const type = Py_TYPE(self);
    delete of(self)->all;
    Py_XDECREF(of(self)->types);
    type->tp_free(self);
    Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"look_up", rival_look_up, METH_O, "So many look-ups; how many had the right name."},
    {"update", rival_update, METH_NOARGS, "Sets the names of all types, each in a version of its own."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void *>(rival_new)},
    {Py_tp_methods, methods},
    {Py_tp_dealloc, reinterpret_cast<void *>(rival_dealloc)},
    {0, nullptr},
};

PyType_Spec spec = {
    "registry_rivals.Rival", sizeof(Rival), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots,
};

PyObject *versions_alive(PyObject *, PyObject *)
{
    const long freed = version::freed;
    return PyLong_FromLong(version::made - freed);
}

PyMethodDef functions[] = {
    {"versions_alive", versions_alive, METH_NOARGS, "Versions that have not been freed yet."},
    {nullptr, nullptr, 0, nullptr},
};

int execute(PyObject *module)
{
    if (rcu_import() < 0)
        return -1;
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, nullptr);
    PyObject *names = PyTuple_New(sizeof ways / sizeof ways[0]);
    int error =
        type == nullptr || names == nullptr ? -1 : PyModule_AddType(module, reinterpret_cast<PyTypeObject *>(type));
    Py_ssize_t i = 0;
    for (const way &how : ways) {
        PyObject *name = error == 0 ? PyUnicode_FromString(how.name) : nullptr;
        error = name == nullptr ? -1 : PyTuple_SetItem(names, i++, name);
    }
    if (error == 0)
        error = PyModule_AddObjectRef(module, "WAYS", names);
    Py_XDECREF(type);
    Py_XDECREF(names);
    return error;
}

PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, reinterpret_cast<void *>(execute)},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "registry_rivals", nullptr, 0, functions, module_slots, nullptr, nullptr, nullptr,
};

} // namespace

PyMODINIT_FUNC PyInit_registry_rivals()
{
    return PyModuleDef_Init(&definition);
}
