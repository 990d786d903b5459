// Registry: what types are called, or are converted by, as bindings for C++ keep it: read at each call, and hardly ever
// changed. After the type maps of pybind11 and nanobind, which lock theirs.
#include "names.hpp"

#include <new>

namespace
{

struct Registry {
    PyObject head;
    registry::names names; // of types that the registry holds until it dies
};

Registry *of(PyObject *self)
{
    return reinterpret_cast<Registry *>(self);
}

PyObject *registry_find(PyObject *self, PyObject *type)
{
    if (!PyType_Check(type))
        return PyErr_Format(PyExc_TypeError, "find() takes a type, not %R", type);
    const registry::section inside;
    if (!inside)
        return PyErr_NoMemory();
    const std::string *name = of(self)->names.find(reinterpret_cast<PyTypeObject *>(type));
    if (name == nullptr)
        Py_RETURN_NONE;
    return PyUnicode_FromStringAndSize(name->data(), static_cast<Py_ssize_t>(name->size()));
}

PyObject *registry_register(PyObject *self, PyObject *arguments)
{
    PyTypeObject *type;
    const char *name;
    if (!PyArg_ParseTuple(arguments, "O!s:register", &PyType_Type, &type, &name))
        return nullptr;
    try {
        if (of(self)->names.set(type, name))
            Py_INCREF(type);
    } catch (const std::bad_alloc &) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

Py_ssize_t registry_length(PyObject *self)
{
    const registry::section inside;
    if (!inside) {
        PyErr_NoMemory();
        return -1;
    }
    return static_cast<Py_ssize_t>(of(self)->names.now().size());
}

// The collector stops the other threads, none of them where it has a type in the table and not the reference to it.
int registry_traverse(PyObject *self, visitproc visit, void *arg)
{
    for (const auto &entry : of(self)->names.now())
        Py_VISIT(entry.first);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

// No tp_clear: a type that refers to its registry goes first, for types can be cleared.
void registry_dealloc(PyObject *self)
{
    PyTypeObject *const type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    // A reader has a reference to the registry: there is none.
    for (const auto &entry : of(self)->names.now())
        Py_DECREF(entry.first);
    of(self)->names.~names();
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject *registry_new(PyTypeObject *type, PyObject *, PyObject *)
{
    PyObject *self = type->tp_alloc(type, 0);
    if (self == nullptr)
        return nullptr;
    try {
        new (&of(self)->names) registry::names();
    } catch (const std::bad_alloc &) {
        PyObject_GC_UnTrack(self);
        type->tp_free(self);
        Py_DECREF(type);
        return PyErr_NoMemory();
    }
    return self;
}

PyMethodDef methods[] = {
    {"find", registry_find, METH_O, "find($self, type, /)\n--\n\nThe name of the type, or None."},
    {"register", registry_register, METH_VARARGS, "register($self, type, name, /)\n--\n\nSets the name of a type."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char *>("Registry()\n--\n\nNames of types, for many readers.")},
    {Py_tp_new, reinterpret_cast<void *>(registry_new)},
    {Py_tp_methods, methods},
    {Py_mp_length, reinterpret_cast<void *>(registry_length)},
    {Py_tp_traverse, reinterpret_cast<void *>(registry_traverse)},
    {Py_tp_dealloc, reinterpret_cast<void *>(registry_dealloc)},
    {0, nullptr},
};

PyType_Spec spec = {
    "registry.Registry", sizeof(Registry), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, slots,
};

PyObject *versions_made(PyObject *, PyObject *)
{
    return PyLong_FromLong(registry::version::made);
}

PyObject *versions_alive(PyObject *, PyObject *)
{
    const long freed = registry::version::freed;
    return PyLong_FromLong(registry::version::made - freed);
}

PyMethodDef functions[] = {
    {"versions_made", versions_made, METH_NOARGS, "Versions that there have been, of all registries."},
    {"versions_alive", versions_alive, METH_NOARGS, "Versions that have not been freed yet."},
    {nullptr, nullptr, 0, nullptr},
};

int execute(PyObject *module)
{
    if (rcu_import() < 0)
        return -1;
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, nullptr);
    if (type == nullptr)
        return -1;
    const int error = PyModule_AddType(module, reinterpret_cast<PyTypeObject *>(type));
    Py_DECREF(type);
    return error;
}

PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, reinterpret_cast<void *>(execute)},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "registry", "Names of types.", 0, functions, module_slots, nullptr, nullptr, nullptr,
};

} // namespace

PyMODINIT_FUNC PyInit_registry()
{
    return PyModuleDef_Init(&definition);
}
