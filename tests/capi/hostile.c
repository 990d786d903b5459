/* An extension that uses api.h as nobody should, for test_capi_misuse.py. Domains are Python's, or addresses. */
#include <Python.h>

#include <rcu/api.h>

static struct rcu_domain *domain_of(PyObject *object)
{
    return PyLong_Check(object) ? (struct rcu_domain *)PyLong_AsVoidPtr(object) : rcu_domain_of(object);
}

static PyObject *new_domain(PyObject *Py_UNUSED(module), PyObject *name)
{
    return PyLong_FromVoidPtr(rcu_domain_new(PyBytes_AsString(name)));
}

static PyObject *free_domain(PyObject *Py_UNUSED(module), PyObject *domain)
{
    rcu_domain_free(domain_of(domain));
    Py_RETURN_NONE;
}

static PyObject *poll(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *domain;
    unsigned long long cookie;
    if (!PyArg_ParseTuple(arguments, "OK", &domain, &cookie))
        return NULL;
    return PyBool_FromLong(rcu_poll(domain_of(domain), cookie));
}

static PyObject *start_poll(PyObject *Py_UNUSED(module), PyObject *domain)
{
    return PyLong_FromUnsignedLongLong(rcu_start_poll(domain_of(domain)));
}

/* All that follow begin with a KeyError that nobody has handled. */

static PyObject *check(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *object;
    int outcome;
    if (!PyArg_ParseTuple(arguments, "Oi", &object, &outcome))
        return NULL;
    struct rcu_domain *domain = domain_of(object);
    PyErr_SetString(PyExc_KeyError, "before");
    rcu_check(domain, outcome, "check()");
    return NULL;
}

static PyObject *domain_of_none(PyObject *Py_UNUSED(module), PyObject *object)
{
    PyErr_SetString(PyExc_KeyError, "before");
    rcu_domain_of(object);
    return NULL;
}

static PyObject *synchronize(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    PyObject *object;
    unsigned long long timeout_ns;
    if (!PyArg_ParseTuple(arguments, "OK", &object, &timeout_ns))
        return NULL;
    struct rcu_domain *domain = domain_of(object);
    PyErr_SetString(PyExc_KeyError, "before");
    int outcome = rcu_synchronize_for(domain, timeout_ns);
    if (outcome != RCU_TIMED_OUT)
        PyErr_Format(PyExc_AssertionError, "outcome %d", outcome);
    return NULL;
}

static PyMethodDef methods[] = {
    {"new_domain", new_domain, METH_O, NULL},
    {"free_domain", free_domain, METH_O, NULL},
    {"poll", poll, METH_VARARGS, NULL},
    {"start_poll", start_poll, METH_O, NULL},
    {"check", check, METH_VARARGS, NULL},
    {"domain_of_none", domain_of_none, METH_O, NULL},
    {"synchronize", synchronize, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "hostile", NULL, -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_hostile(void)
{
    if (rcu_import() < 0)
        return NULL;
    PyObject *module = PyModule_Create(&definition);
#if defined(Py_GIL_DISABLED)
    if (module != NULL)
        PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED);
#endif
    return module;
}
