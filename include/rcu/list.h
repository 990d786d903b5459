/* Lists for readers in C, whose links are members of what is listed: a doubly linked list, and a hash list for the
 * buckets of tables. After QEMU's QLIST_*_RCU, liburcu's cds_list_*_rcu and cds_hlist_*_rcu, the kernel's rculist.h.
 *
 * Readers follow `next`, from the head on, inside a section. A traversal meets, in order and once, whatever is in the
 * list all the while; of what is inserted, removed or replaced meanwhile it meets each or not, of an entry and its
 * replacement exactly one. Updaters hold a lock of their own, or there is one only; they may be in a section, and
 * need not. `prev` is theirs: readers never look at it.
 *
 * What is removed keeps its `next`, so that readers who stand on it go on. It may be freed, changed in what readers
 * look at, or inserted again, after a grace period. Its `prev` becomes NULL, which says that it is in no list, as does
 * memory of zeros. So whatever takes a place in a list (remove, replace, insert before or after) returns 1 if it did
 * what it should, and 0, with nothing changed, if that place is in no list: a second removal is no harm, and
 *
 *     if (rcu_list_remove(&entry->links))
 *         rcu_call(domain, &entry->head, free_entry);
 *
 * frees once. An answer and no abort, for two updaters that remove the same entry, one after the other, are common and
 * right; it is the second free that is not. The memory must still be there: what was freed tells nothing.
 *
 * None of these blocks, allocates, or needs a Python thread state. A node wants no init before it is inserted; one that
 * may be asked about, or removed, before that is memory of zeros, or has had its init. */
#ifndef RCU_LIST_H
#define RCU_LIST_H

#include <stddef.h>

#include "atomic.h"
#include "pointer.h"

/* ---- the doubly linked list ---- */

struct rcu_list_node {
    struct rcu_list_node *next;
    struct rcu_list_node *prev; /* updaters'; NULL: in no list */
};

/* A type of its own, so that a list and an entry are not mistaken for each other. */
struct rcu_list {
    struct rcu_list_node root; /* between the last and the first */
};

/* Makes an empty list. By who owns it: before it is published, or when it has no readers. liburcu's and the kernel's
 * INIT_LIST_HEAD(), QEMU's QLIST_INIT(). */
static inline void rcu_list_init(struct rcu_list *list)
{
    list->root.next = list->root.prev = &list->root;
}

/* Makes a node that is in no list. By its owner, before readers can find it. */
static inline void rcu_list_node_init(struct rcu_list_node *node)
{
    node->next = node->prev = NULL;
}

/* Is it in a list? Updaters only. QEMU's QLIST_IS_INSERTED(). */
static inline int rcu_list_inserted(const struct rcu_list_node *node)
{
    return node->prev != NULL;
}

/* The node after this one; NULL: there is none. Readers in a section, and updaters. QEMU's QLIST_NEXT_RCU(), the
 * kernel's list_next_rcu(). */
static inline struct rcu_list_node *rcu_list_next(const struct rcu_list *list, const struct rcu_list_node *node)
{
    /* [V]: if we see a node, we see it as it was when it was published here. */
    struct rcu_list_node *next = rcu_dereference(node->next);
    return next == &list->root ? NULL : next;
}

/* The first node; NULL: there is none. Readers in a section, and updaters. QEMU's QLIST_FIRST_RCU(), the kernel's
 * list_first_or_null_rcu(). */
static inline struct rcu_list_node *rcu_list_first(const struct rcu_list *list)
{
    return rcu_list_next(list, &list->root);
}

/* Has it no node? Readers, in a section or not, and updaters; to readers it is news of a moment that has passed. QEMU's
 * QLIST_EMPTY_RCU(), the kernel's list_empty(). */
static inline int rcu_list_empty(const struct rcu_list *list)
{
    return rcu_list_first(list) == NULL;
}

/* The node before this one; NULL: there is none. Updaters only, for a reader could come to what was removed. The
 * kernel's list_prev_entry(). */
static inline struct rcu_list_node *rcu_list_prev(const struct rcu_list *list, const struct rcu_list_node *node)
{
    return node->prev == &list->root ? NULL : node->prev;
}

/* The last node; NULL: there is none. Updaters only. The kernel's list_last_entry(). */
static inline struct rcu_list_node *rcu_list_last(const struct rcu_list *list)
{
    return rcu_list_prev(list, &list->root);
}

/* Of this file. */
static inline void rcu_list_insert_between(struct rcu_list_node *before, struct rcu_list_node *after,
                                           struct rcu_list_node *node)
{
    node->next = after;
    node->prev = before;
    /* [V]: a reader that finds the node finds its entry filled in, and where to go on; one that does not, goes by. */
    rcu_assign_pointer(before->next, node);
    after->prev = node;
}

/* Publishes a node before all others. Updaters only. QEMU's QLIST_INSERT_HEAD_RCU(), liburcu's cds_list_add_rcu(), the
 * kernel's list_add_rcu(). */
static inline void rcu_list_insert_head(struct rcu_list *list, struct rcu_list_node *node)
{
    rcu_list_insert_between(&list->root, list->root.next, node);
}

/* ... behind all others. liburcu's cds_list_add_tail_rcu(), the kernel's list_add_tail_rcu(). */
static inline void rcu_list_insert_tail(struct rcu_list *list, struct rcu_list_node *node)
{
    rcu_list_insert_between(list->root.prev, &list->root, node);
}

/* ... right before `place`; 0: that is in no list. Updaters only. QEMU's QLIST_INSERT_BEFORE_RCU(). */
static inline int rcu_list_insert_before(struct rcu_list_node *place, struct rcu_list_node *node)
{
    if (RCU_UNLIKELY(!rcu_list_inserted(place)))
        return 0;
    rcu_list_insert_between(place->prev, place, node);
    return 1;
}

/* ... right after `place`; 0: that is in no list. Updaters only. QEMU's QLIST_INSERT_AFTER_RCU(). */
static inline int rcu_list_insert_after(struct rcu_list_node *place, struct rcu_list_node *node)
{
    if (RCU_UNLIKELY(!rcu_list_inserted(place)))
        return 0;
    rcu_list_insert_between(place, place->next, node);
    return 1;
}

/* Takes a node out; 0: it is in no list. It may be freed after a grace period. Updaters only. QEMU's
 * QLIST_REMOVE_RCU(), liburcu's cds_list_del_rcu(), the kernel's list_del_rcu(). */
static inline int rcu_list_remove(struct rcu_list_node *node)
{
    if (RCU_UNLIKELY(!rcu_list_inserted(node)))
        return 0;
    node->next->prev = node->prev;
    /* [V]: it publishes the next node in a new place, to readers that may never look at the old one. */
    rcu_assign_pointer(node->prev->next, node->next);
    node->prev = NULL;
    return 1;
}

/* Puts `with` in the place of `old`, in one step; 0: that is in no list. `old` may be freed after a grace period.
 * Updaters only. liburcu's cds_list_replace_rcu(), the kernel's list_replace_rcu(). */
static inline int rcu_list_replace(struct rcu_list_node *old, struct rcu_list_node *with)
{
    if (RCU_UNLIKELY(!rcu_list_inserted(old)))
        return 0;
    rcu_list_insert_between(old->prev, old->next, with);
    old->prev = NULL;
    return 1;
}

/* ---- the hash list ---- */

/* No tail, and half as large: memory of zeros is a table of empty ones. */
struct rcu_hlist_node {
    struct rcu_hlist_node *next;
    struct rcu_hlist_node **pprev; /* what points here. Updaters'; NULL: in no list */
};

struct rcu_hlist {
    struct rcu_hlist_node *first;
};

/* Makes an empty list. By who owns it, before it is published. liburcu's CDS_INIT_HLIST_HEAD(), the kernel's
 * INIT_HLIST_HEAD(). */
static inline void rcu_hlist_init(struct rcu_hlist *list)
{
    list->first = NULL;
}

/* Makes a node that is in no list. By its owner, before readers can find it. The kernel's INIT_HLIST_NODE(). */
static inline void rcu_hlist_node_init(struct rcu_hlist_node *node)
{
    node->next = NULL;
    node->pprev = NULL;
}

/* Is it in a list? Updaters only. The kernel's !hlist_unhashed(). */
static inline int rcu_hlist_inserted(const struct rcu_hlist_node *node)
{
    return node->pprev != NULL;
}

/* The node after this one; NULL: there is none. Readers in a section, and updaters. The kernel's hlist_next_rcu(). */
static inline struct rcu_hlist_node *rcu_hlist_next(const struct rcu_hlist_node *node)
{
    return rcu_dereference(node->next); /* [V], as in the other list */
}

/* The first node; NULL: there is none. Readers in a section, and updaters. The kernel's hlist_first_rcu(). */
static inline struct rcu_hlist_node *rcu_hlist_first(const struct rcu_hlist *list)
{
    return rcu_dereference(list->first); /* [V] */
}

/* Has it no node? Readers, in a section or not, and updaters; to readers it is news of a moment that has passed. The
 * kernel's hlist_empty(). */
static inline int rcu_hlist_empty(const struct rcu_hlist *list)
{
    return rcu_hlist_first(list) == NULL;
}

/* Of this file. */
static inline void rcu_hlist_insert_at(struct rcu_hlist_node **pprev, struct rcu_hlist_node *next,
                                       struct rcu_hlist_node *node)
{
    node->next = next;
    node->pprev = pprev;
    /* [V]: a reader that finds the node finds its entry filled in, and where to go on. */
    rcu_assign_pointer(*pprev, node);
    if (next != NULL)
        next->pprev = &node->next;
}

/* Publishes a node before all others. Updaters only. liburcu's cds_hlist_add_head_rcu(), the kernel's
 * hlist_add_head_rcu(). */
static inline void rcu_hlist_insert_head(struct rcu_hlist *list, struct rcu_hlist_node *node)
{
    rcu_hlist_insert_at(&list->first, list->first, node);
}

/* ... right before `place`; 0: that is in no list. Updaters only. The kernel's hlist_add_before_rcu(). */
static inline int rcu_hlist_insert_before(struct rcu_hlist_node *place, struct rcu_hlist_node *node)
{
    if (RCU_UNLIKELY(!rcu_hlist_inserted(place)))
        return 0;
    rcu_hlist_insert_at(place->pprev, place, node);
    return 1;
}

/* ... right after `place`; 0: that is in no list. Updaters only. The kernel's hlist_add_behind_rcu(). */
static inline int rcu_hlist_insert_after(struct rcu_hlist_node *place, struct rcu_hlist_node *node)
{
    if (RCU_UNLIKELY(!rcu_hlist_inserted(place)))
        return 0;
    rcu_hlist_insert_at(&place->next, place->next, node);
    return 1;
}

/* Takes a node out; 0: it is in no list. It may be freed after a grace period. Updaters only. liburcu's
 * cds_hlist_del_rcu(), the kernel's hlist_del_rcu(). */
static inline int rcu_hlist_remove(struct rcu_hlist_node *node)
{
    struct rcu_hlist_node *next = node->next;
    if (RCU_UNLIKELY(!rcu_hlist_inserted(node)))
        return 0;
    rcu_assign_pointer(*node->pprev, next); /* [V], as in the other list */
    if (next != NULL)
        next->pprev = node->pprev;
    node->pprev = NULL;
    return 1;
}

/* Puts `with` in the place of `old`, in one step; 0: that is in no list. `old` may be freed after a grace period.
 * Updaters only. The kernel's hlist_replace_rcu(). */
static inline int rcu_hlist_replace(struct rcu_hlist_node *old, struct rcu_hlist_node *with)
{
    if (RCU_UNLIKELY(!rcu_hlist_inserted(old)))
        return 0;
    rcu_hlist_insert_at(old->pprev, old->next, with);
    old->pprev = NULL;
    return 1;
}

/* ---- entries ---- */

/* The entry whose `member` that node is: of C's void *, for the caller knows the type. The kernel's container_of(), and
 * NULL for NULL. Of this file. */
static inline void *rcu_list_entry_at(const void *node, size_t offset)
{
    return node == NULL ? NULL : (void *)((char *)(uintptr_t)node - offset);
}

/* The entry of that type whose `member` the node is; NULL for NULL. Anyone. QEMU's and liburcu's container_of, the
 * kernel's list_entry(). */
#define rcu_list_entry(node, type, member) ((type *)rcu_list_entry_at((node), offsetof(type, member)))
#define rcu_hlist_entry rcu_list_entry

/* For each entry, in order: `pos`, a type *, is NULL when all have been met, and where it was after a break. Readers in
 * a section, and updaters that remove nothing but what they leave the loop with. QEMU's QLIST_FOREACH_RCU(), liburcu's
 * cds_list_for_each_entry_rcu(), the kernel's list_for_each_entry_rcu(). */
#define rcu_list_for_each_entry(pos, list, type, member)                            \
    for ((pos) = rcu_list_entry(rcu_list_first(list), type, member); (pos) != NULL; \
         (pos) = rcu_list_entry(rcu_list_next((list), &(pos)->member), type, member))

/* ... backwards. Updaters only. The kernel's list_for_each_entry_reverse(). */
#define rcu_list_for_each_entry_reverse(pos, list, type, member)                   \
    for ((pos) = rcu_list_entry(rcu_list_last(list), type, member); (pos) != NULL; \
         (pos) = rcu_list_entry(rcu_list_prev((list), &(pos)->member), type, member))

/* ... the same for updaters, which may remove or replace `pos` in the loop, and have it freed: `following`, another
 * type *, is the entry that comes next. QEMU's QLIST_FOREACH_SAFE_RCU(), the kernel's list_for_each_entry_safe(). */
#define rcu_list_for_each_entry_safe(pos, following, list, type, member)                                            \
    for ((pos) = rcu_list_entry(rcu_list_first(list), type, member);                                                \
         (pos) != NULL && (((following) = rcu_list_entry(rcu_list_next((list), &(pos)->member), type, member)), 1); \
         (pos) = (following))

/* As rcu_list_for_each_entry. liburcu's cds_hlist_for_each_entry_rcu_2(), the kernel's hlist_for_each_entry_rcu(). */
#define rcu_hlist_for_each_entry(pos, list, type, member)                             \
    for ((pos) = rcu_hlist_entry(rcu_hlist_first(list), type, member); (pos) != NULL; \
         (pos) = rcu_hlist_entry(rcu_hlist_next(&(pos)->member), type, member))

/* As rcu_list_for_each_entry_safe. The kernel's hlist_for_each_entry_safe(). */
#define rcu_hlist_for_each_entry_safe(pos, following, list, type, member)                                     \
    for ((pos) = rcu_hlist_entry(rcu_hlist_first(list), type, member);                                        \
         (pos) != NULL && (((following) = rcu_hlist_entry(rcu_hlist_next(&(pos)->member), type, member)), 1); \
         (pos) = (following))

#endif
