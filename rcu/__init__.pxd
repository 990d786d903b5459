# cython: language_level=3
"""What ``from rcu cimport ...`` gives: include/rcu/ for Cython, all of it ``nogil`` and ``noexcept`` but what takes a
Python object. What each function does, and where it may be called, is said in the headers.

A module that uses any of it calls ``rcu_import()`` once, at its top.
"""

from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

cdef extern from "rcu/api.h":
    int rcu_import() except -1

# ---- read.h, head.h, slot.h: sections, on a slot of the calling thread --------------------------------------------

cdef extern from "rcu/api.h" nogil:
    struct rcu_domain:
        pass
    struct rcu_slot:
        pass
    struct rcu_head:
        pass
    ctypedef void (*rcu_callback)(rcu_head *head) noexcept nogil

    void rcu_enter(rcu_slot *slot) noexcept
    void rcu_exit(rcu_slot *slot) noexcept
    bint rcu_held(const rcu_slot *slot) noexcept

# ---- pointer.h: published pointers. Macros, for pointers of any type: cast what they return -----------------------

    void *rcu_dereference(const void *pointer) noexcept
    void rcu_assign_pointer(void *pointer, void *value) noexcept
    void *rcu_xchg_pointer(void *place, void *value) noexcept
    bint rcu_cmpxchg_pointer(void *place, void *expected, void *value) noexcept

# ---- api.h --------------------------------------------------------------------------------------------------------

    enum rcu_outcome:
        RCU_DONE
        RCU_IN_SECTION
        RCU_IN_CALLBACK
        RCU_TIMED_OUT
        RCU_FINALIZING

    rcu_domain *rcu_default_domain() noexcept
    rcu_domain *rcu_domain_new(const char *name) noexcept
    void rcu_domain_free(rcu_domain *domain) noexcept
    rcu_slot *rcu_this_slot(rcu_domain *domain) noexcept
    int rcu_unregister_thread(rcu_domain *domain) noexcept
    void rcu_quiesce(rcu_slot *slot) noexcept
    int rcu_synchronize(rcu_domain *domain) noexcept
    int rcu_synchronize_for(rcu_domain *domain, uint64_t timeout_ns) noexcept
    uint64_t rcu_start_poll(rcu_domain *domain) noexcept
    bint rcu_poll(rcu_domain *domain, uint64_t cookie) noexcept
    void rcu_call(rcu_domain *domain, rcu_head *head, rcu_callback func) noexcept
    int rcu_retire(rcu_domain *domain, PyObject *obj) noexcept
    int rcu_barrier(rcu_domain *domain) noexcept
    int rcu_barrier_for(rcu_domain *domain, uint64_t timeout_ns) noexcept

cdef extern from "rcu/api.h":
    rcu_domain *rcu_domain_of(object domain) except NULL
    int rcu_check(rcu_domain *domain, int outcome, const char *what) except -1  # raises what became of a wait
    bint rcu_cell_check(object obj) noexcept
    rcu_domain *rcu_cell_domain(object cell) noexcept
    PyObject *rcu_cell_borrow(object cell) noexcept

# ---- list.h: lists for readers in C. The loops and container_of are macros that Cython has no words for: use first and
# next, and let the node be the first member of its structure --------------------------------------------------------

cdef extern from "rcu/list.h" nogil:
    struct rcu_list_node:
        pass
    struct rcu_list:
        pass
    void rcu_list_init(rcu_list *list) noexcept
    void rcu_list_node_init(rcu_list_node *node) noexcept
    bint rcu_list_inserted(const rcu_list_node *node) noexcept
    bint rcu_list_empty(const rcu_list *list) noexcept
    rcu_list_node *rcu_list_first(const rcu_list *list) noexcept
    rcu_list_node *rcu_list_next(const rcu_list *list, const rcu_list_node *node) noexcept
    rcu_list_node *rcu_list_last(const rcu_list *list) noexcept
    rcu_list_node *rcu_list_prev(const rcu_list *list, const rcu_list_node *node) noexcept
    void rcu_list_insert_head(rcu_list *list, rcu_list_node *node) noexcept
    void rcu_list_insert_tail(rcu_list *list, rcu_list_node *node) noexcept
    bint rcu_list_insert_before(rcu_list_node *place, rcu_list_node *node) noexcept
    bint rcu_list_insert_after(rcu_list_node *place, rcu_list_node *node) noexcept
    bint rcu_list_remove(rcu_list_node *node) noexcept
    bint rcu_list_replace(rcu_list_node *old, rcu_list_node *with_new) noexcept

    struct rcu_hlist_node:
        pass
    struct rcu_hlist:
        pass
    void rcu_hlist_init(rcu_hlist *list) noexcept
    void rcu_hlist_node_init(rcu_hlist_node *node) noexcept
    bint rcu_hlist_inserted(const rcu_hlist_node *node) noexcept
    bint rcu_hlist_empty(const rcu_hlist *list) noexcept
    rcu_hlist_node *rcu_hlist_first(const rcu_hlist *list) noexcept
    rcu_hlist_node *rcu_hlist_next(const rcu_hlist_node *node) noexcept
    void rcu_hlist_insert_head(rcu_hlist *list, rcu_hlist_node *node) noexcept
    bint rcu_hlist_insert_before(rcu_hlist_node *place, rcu_hlist_node *node) noexcept
    bint rcu_hlist_insert_after(rcu_hlist_node *place, rcu_hlist_node *node) noexcept
    bint rcu_hlist_remove(rcu_hlist_node *node) noexcept
    bint rcu_hlist_replace(rcu_hlist_node *old, rcu_hlist_node *with_new) noexcept

# ---- array.h: the resizable array ---------------------------------------------------------------------------------

cdef extern from "rcu/array.h" nogil:
    struct rcu_array:
        rcu_head head
    struct rcu_array_view:
        const void *data
        uint64_t size
    rcu_array *rcu_array_new(size_t width, uint64_t room) noexcept
    void rcu_array_free(rcu_array *array) noexcept
    void rcu_array_reclaim(rcu_head *head) noexcept
    rcu_array_view rcu_array_read(rcu_array **place) noexcept
    rcu_array *rcu_array_replace(rcu_array **place, rcu_array *with_new) noexcept
    int rcu_array_append(rcu_array **place, const void *element, rcu_array **old) noexcept
    int rcu_array_remove(rcu_array **place, uint64_t index, rcu_array **old) noexcept
