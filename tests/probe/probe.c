/* include/rcu/api.h as Python can call it, for tests: with a thread state, without the one that there is, and on a
 * thread that never had one. Domains and slots are numbers here. */
#include <Python.h>

#include <rcu/api.h>
#include <rcu/thread.h>

#include <pthread.h>

enum how { ATTACHED, DETACHED, FOREIGN };

/* Nanoseconds after which a wait that would be for itself is given up. */
#define PATIENCE (10 * RCU_NS_PER_SECOND)

/* ---- what can be done on any thread ---- */

struct job {
    struct rcu_domain *domain;
    uint64_t number;
    uint64_t result;
    void (*run)(struct job *job);
};

static void *job_main(void *data)
{
    struct job *job = (struct job *)data;
    job->run(job);
    return NULL;
}

/* (how, domain, number=0) */
static PyObject *do_job(PyObject *arguments, void (*run)(struct job *job))
{
    int how;
    unsigned long long domain, number = 0;
    pthread_t thread;
    if (!PyArg_ParseTuple(arguments, "iK|K", &how, &domain, &number))
        return NULL;
    struct job job = {(struct rcu_domain *)(uintptr_t)domain, number, 0, run};
    int error = 0;
    if (how == ATTACHED) {
        run(&job);
    } else {
        Py_BEGIN_ALLOW_THREADS if (how == DETACHED)
        {
            run(&job);
        }
        else
        {
            error = pthread_create(&thread, NULL, job_main, &job);
            if (error == 0)
                pthread_join(thread, NULL);
        }
        Py_END_ALLOW_THREADS
    }
    if (error != 0)
        return PyErr_Format(PyExc_OSError, "no thread: error %d", error);
    return PyLong_FromUnsignedLongLong(job.result);
}

#define JOB(name, ...)                                           \
    static void run_##name(struct job *job)                      \
    {                                                            \
        __VA_ARGS__                                              \
    }                                                            \
    static PyObject *name(PyObject *module, PyObject *arguments) \
    {                                                            \
        (void)module;                                            \
        return do_job(arguments, run_##name);                    \
    }

static uint64_t called;   /* callbacks */
static uint64_t disorder; /* those that came before an older one */
static uint64_t last_number;
static uint64_t unsafe; /* those that were called in a section, or with a thread state */

struct counted {
    struct rcu_head head;
    uint64_t number;
};

static void count(struct rcu_head *head)
{
    struct counted *counted = (struct counted *)(void *)head;
    if (counted->number != 1 && counted->number != last_number + 1)
        rcu_fetch_add(&disorder, 1);
    last_number = counted->number;
    if (PyThreadState_GetUnchecked() != NULL || rcu_held(rcu_this_slot(rcu_default_domain())))
        rcu_fetch_add(&unsafe, 1);
    free(counted);
    rcu_fetch_add(&called, 1);
}

static void enqueue_counted(struct rcu_domain *domain, uint64_t number)
{
    struct counted *counted = (struct counted *)malloc(sizeof *counted);
    if (counted == NULL)
        abort();
    counted->number = number;
    rcu_call(domain, &counted->head, count);
}

JOB(synchronize, job->result = (uint64_t)rcu_synchronize(job->domain);)
JOB(synchronize_for, job->result = (uint64_t)rcu_synchronize_for(job->domain, job->number);)
JOB(barrier, job->result = (uint64_t)rcu_barrier(job->domain);)
JOB(barrier_for, job->result = (uint64_t)rcu_barrier_for(job->domain, job->number);)
JOB(start_poll, job->result = rcu_start_poll(job->domain);)
JOB(poll, job->result = (uint64_t)rcu_poll(job->domain, job->number);)
JOB(this_slot, job->result = (uint64_t)(uintptr_t)rcu_this_slot(job->domain);)
JOB(unregister_thread, job->result = (uint64_t)rcu_unregister_thread(job->domain);)
JOB(quiesce, rcu_quiesce(rcu_this_slot(job->domain));)
JOB(domain_free, rcu_domain_free(job->domain);)
JOB(call, for (uint64_t i = 1; i <= job->number; i++) enqueue_counted(job->domain, i);)
JOB(section, struct rcu_slot *slot = rcu_this_slot(job->domain); rcu_enter(slot); rcu_enter(slot); rcu_exit(slot);
    job->result = (uint64_t)rcu_held(slot); rcu_exit(slot); job->result += 2 * (uint64_t)rcu_held(slot);)
JOB(waits_in_a_section, struct rcu_slot *slot = rcu_this_slot(job->domain); rcu_enter(slot);
    job->result = (uint64_t)rcu_synchronize_for(job->domain, PATIENCE);
    job->result = job->result * 8 + (uint64_t)rcu_barrier_for(job->domain, PATIENCE);
    job->result = job->result * 8 + (uint64_t)rcu_unregister_thread(job->domain); rcu_exit(slot);)

/* ---- what a callback can do ---- */

static uint64_t outcome_in_callback;
static struct rcu_domain *waits_for;

static void wait_in_callback(struct rcu_head *head)
{
    outcome_in_callback = 100 + (uint64_t)rcu_barrier_for(waits_for, PATIENCE);
    outcome_in_callback = 100 * outcome_in_callback + (uint64_t)rcu_synchronize_for(waits_for, PATIENCE);
    free(head);
}

/* (domain, the domain that the callback waits for) */
static PyObject *call_waiter(PyObject *module, PyObject *arguments)
{
    unsigned long long domain, other;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "KK", &domain, &other))
        return NULL;
    struct rcu_head *head = (struct rcu_head *)malloc(sizeof *head);
    waits_for = (struct rcu_domain *)(uintptr_t)other;
    rcu_call((struct rcu_domain *)(uintptr_t)domain, head, wait_in_callback);
    Py_RETURN_NONE;
}

/* ---- misuse, for debug builds ---- */

static struct rcu_head once;

static void count_once(struct rcu_head *head)
{
    (void)head;
    rcu_fetch_add(&called, 1);
}

JOB(call_once, rcu_call(job->domain, &once, count_once);)
JOB(enter, rcu_enter((struct rcu_slot *)(uintptr_t)job->number);)
JOB(leave, rcu_exit((struct rcu_slot *)(uintptr_t)job->number);)
JOB(held, job->result = (uint64_t)rcu_held((struct rcu_slot *)(uintptr_t)job->number);)

/* ---- references ---- */

/* (how, domain, object): retires a new reference */
static void run_retire(struct job *job)
{
    job->result = (uint64_t)rcu_retire(job->domain, (PyObject *)(uintptr_t)job->number);
}

static PyObject *retire(PyObject *module, PyObject *arguments)
{
    PyObject *how, *domain, *object;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OOO", &how, &domain, &object))
        return NULL;
    PyObject *address = PyLong_FromVoidPtr(Py_NewRef(object));
    PyObject *job = PyTuple_Pack(3, how, domain, address);
    PyObject *done = do_job(job, run_retire);
    Py_DECREF(job);
    Py_DECREF(address);
    return done;
}

/* ---- with an exception set, which nobody has handled ---- */

/* (domain, timeout_ns): the exception, or another if the wait came to anything but its end */
static PyObject *synchronize_raising(PyObject *module, PyObject *arguments)
{
    unsigned long long domain, timeout_ns;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "KK", &domain, &timeout_ns))
        return NULL;
    PyErr_SetString(PyExc_KeyError, "before");
    int outcome = rcu_synchronize_for((struct rcu_domain *)(uintptr_t)domain, timeout_ns);
    if (outcome != RCU_TIMED_OUT)
        PyErr_Format(PyExc_AssertionError, "outcome %d", outcome);
    return NULL;
}

/* (domain, outcome) */
static PyObject *check_raising(PyObject *module, PyObject *arguments)
{
    unsigned long long domain;
    int outcome;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "Ki", &domain, &outcome))
        return NULL;
    PyErr_SetString(PyExc_KeyError, "before");
    rcu_check((struct rcu_domain *)(uintptr_t)domain, outcome, "check()");
    return NULL;
}

static PyObject *domain_of_raising(PyObject *module, PyObject *object)
{
    (void)module;
    PyErr_SetString(PyExc_KeyError, "before");
    rcu_domain_of(object);
    return NULL;
}

/* ---- Python objects ---- */

static PyObject *domain_of(PyObject *module, PyObject *object)
{
    (void)module;
    struct rcu_domain *domain = rcu_domain_of(object);
    return domain == NULL ? NULL : PyLong_FromVoidPtr(domain);
}

static PyObject *default_domain(PyObject *module, PyObject *nothing)
{
    (void)module;
    (void)nothing;
    return PyLong_FromVoidPtr(rcu_default_domain());
}

/* (how, name of bytes or None) */
static PyObject *domain_new(PyObject *module, PyObject *arguments)
{
    int how;
    PyObject *bytes;
    struct rcu_domain *domain;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "iO", &how, &bytes))
        return NULL;
    const char *name = bytes == Py_None ? NULL : PyBytes_AsString(bytes);
    if (how == ATTACHED) {
        domain = rcu_domain_new(name);
    } else {
        Py_BEGIN_ALLOW_THREADS domain = rcu_domain_new(name);
        Py_END_ALLOW_THREADS
    }
    return PyLong_FromVoidPtr(domain);
}

static PyObject *check(PyObject *module, PyObject *arguments)
{
    unsigned long long domain;
    int outcome;
    const char *what;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "Kis", &domain, &outcome, &what))
        return NULL;
    if (rcu_check((struct rcu_domain *)(uintptr_t)domain, outcome, what) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *cell_check(PyObject *module, PyObject *object)
{
    (void)module;
    return PyBool_FromLong(rcu_cell_check(object));
}

static PyObject *cell_domain(PyObject *module, PyObject *cell)
{
    (void)module;
    return PyLong_FromVoidPtr(rcu_cell_domain(cell));
}

static PyObject *borrow_outside(PyObject *module, PyObject *cell)
{
    (void)module;
    return Py_NewRef(rcu_cell_borrow(cell));
}

/* What a cell publishes in the test below: it tells whether it is alive. */
enum { ALIVE = 0x600D, DEAD = 0xDEAD };

typedef struct {
    PyObject_HEAD uint64_t state;
} Witness;

static uint64_t witnesses; /* alive */

static PyObject *witness_new(PyTypeObject *type, PyObject *arguments, PyObject *names)
{
    (void)arguments;
    (void)names;
    Witness *self = (Witness *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->state = ALIVE;
        rcu_fetch_add(&witnesses, 1);
    }
    return (PyObject *)self;
}

static void witness_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (PyType_IS_GC(type))
        PyObject_GC_UnTrack(self);
    rcu_store_relaxed(&((Witness *)self)->state, DEAD);
    rcu_fetch_sub(&witnesses, 1);
    type->tp_free(self);
    Py_DECREF(type);
}

static int witness_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

/* (cell, looks, sections): how often what was borrowed was another at the end of the section, and how often it was dead
 * there, which must never be. */
static PyObject *borrow_many(PyObject *module, PyObject *arguments)
{
    PyObject *cell;
    unsigned long long n, changed = 0, dead = 0;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OK", &cell, &n))
        return NULL;
    struct rcu_slot *slot = rcu_this_slot(rcu_cell_domain(cell));
    if (slot == NULL)
        return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS for (unsigned long long i = 0; i < n; i++)
    {
        rcu_enter(slot);
        Witness *borrowed = (Witness *)rcu_cell_borrow(cell);
        for (int look = 0; look < 100; look++)
            dead += rcu_load_relaxed(&borrowed->state) != ALIVE;
        changed += (Witness *)rcu_cell_borrow(cell) != borrowed;
        dead += rcu_load_relaxed(&borrowed->state) != ALIVE;
        rcu_exit(slot);
    }
    Py_END_ALLOW_THREADS return Py_BuildValue("KK", changed, dead);
}

static PyObject *numbers(PyObject *module, PyObject *nothing)
{
    (void)module;
    (void)nothing;
    return Py_BuildValue("{sKsKsKsKsK}", "called", (unsigned long long)rcu_load_acquire(&called), "disorder",
                         (unsigned long long)rcu_load_relaxed(&disorder), "unsafe",
                         (unsigned long long)rcu_load_relaxed(&unsafe), "in_callback",
                         (unsigned long long)outcome_in_callback, "witnesses",
                         (unsigned long long)rcu_load_relaxed(&witnesses));
}

static PyObject *import_again(PyObject *module, PyObject *nothing)
{
    (void)module;
    (void)nothing;
    return rcu_import() < 0 ? NULL : Py_NewRef(Py_None);
}

#define METHOD(name, flags) {#name, name, flags, NULL}
static PyMethodDef methods[] = {
    METHOD(synchronize, METH_VARARGS),
    METHOD(synchronize_for, METH_VARARGS),
    METHOD(barrier, METH_VARARGS),
    METHOD(barrier_for, METH_VARARGS),
    METHOD(start_poll, METH_VARARGS),
    METHOD(poll, METH_VARARGS),
    METHOD(this_slot, METH_VARARGS),
    METHOD(unregister_thread, METH_VARARGS),
    METHOD(quiesce, METH_VARARGS),
    METHOD(domain_free, METH_VARARGS),
    METHOD(call, METH_VARARGS),
    METHOD(section, METH_VARARGS),
    METHOD(waits_in_a_section, METH_VARARGS),
    METHOD(call_waiter, METH_VARARGS),
    METHOD(call_once, METH_VARARGS),
    METHOD(enter, METH_VARARGS),
    METHOD(leave, METH_VARARGS),
    METHOD(held, METH_VARARGS),
    METHOD(retire, METH_VARARGS),
    METHOD(synchronize_raising, METH_VARARGS),
    METHOD(check_raising, METH_VARARGS),
    METHOD(domain_of_raising, METH_O),
    METHOD(domain_of, METH_O),
    METHOD(default_domain, METH_NOARGS),
    METHOD(domain_new, METH_VARARGS),
    METHOD(check, METH_VARARGS),
    METHOD(cell_check, METH_O),
    METHOD(cell_domain, METH_O),
    METHOD(borrow_outside, METH_O),
    METHOD(borrow_many, METH_VARARGS),
    METHOD(numbers, METH_NOARGS),
    METHOD(import_again, METH_NOARGS),
    {NULL, NULL, 0, NULL},
};

static PyType_Slot witness_slots[] = {
    {Py_tp_new, (void *)(intptr_t)witness_new},
    {Py_tp_dealloc, (void *)(intptr_t)witness_dealloc},
    {Py_tp_traverse, (void *)(intptr_t)witness_traverse},
    {0, NULL},
};

static PyType_Spec witness_spec = {"probe.Witness", sizeof(Witness), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
                                   witness_slots};

static int execute(PyObject *module)
{
#if !defined(PROBE_DOES_NOT_IMPORT)
    if (rcu_import() < 0)
        return -1;
#endif
    PyObject *witness = PyType_FromSpec(&witness_spec);
    return PyModule_Add(module, "Witness", witness);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)(intptr_t)execute},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "probe", NULL, 0, methods, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_probe(void);
PyMODINIT_FUNC PyInit_probe(void)
{
    return PyModuleDef_Init(&definition);
}
