/* What the torture of lists and arrays reads and updates: a list and a table of the same items, and an array.
 *
 * Items are numbered below RCU_SPAN, and the list ascends. Every RCU_STEPth number is always there, though its item may
 * be replaced, so that a traversal that is cut short or goes astray misses one. The array is a run of numbers without a
 * gap, which begins and ends anywhere. What is freed is poisoned first. */
#ifndef RCU_TORTURE_LISTS_H
#define RCU_TORTURE_LISTS_H

#include "rcu/array.h"
#include "rcu/head.h"
#include "rcu/list.h"
#include "rcu/thread.h"
#include "thing.h"

#define RCU_SPAN 64
#define RCU_STEP 8
#define RCU_BUCKETS 4
#define RCU_LONGEST 64 /* of the array */
#define RCU_LINGER 64  /* turns, at most, that a reader waits for an update under it */

struct rcu_lists {
    struct rcu_list list;
    struct rcu_hlist table[RCU_BUCKETS];
    struct rcu_array *array;
    rcu_mutex lock;     /* updaters' */
    uint64_t removed;   /* items and arrays. Under the lock */
    uint64_t reclaimed; /* of them. Counted by callbacks */
};

struct rcu_item {
    uint64_t number, stamp; /* the latter is no other item's */
    uint64_t words[RCU_THING_WORDS];
    struct rcu_list_node links;
    struct rcu_hlist_node hashed;
    uint64_t gone; /* relaxed: 1 once no reader finds it any more */
    struct rcu_head head;
    struct rcu_lists *lists;
};

/* An element of the array, which never is empty: so a version's callback finds whose it was. */
struct rcu_sample {
    uint64_t number, salt, sum;
    struct rcu_lists *lists;
};

enum rcu_fault {
    RCU_FAULT_NONE,
    RCU_FAULT_FREED,   /* an item or an element was not whole */
    RCU_FAULT_ORDER,   /* the list does not ascend */
    RCU_FAULT_MISSING, /* a number that is always there was not met, or met twice */
    RCU_FAULT_GAP,     /* an element is not the one before and one */
    RCU_FAULT_LENGTH   /* the array was empty, too long, or of one version and shrank */
};

/* What a traversal found, and counts. */
struct rcu_pass {
    uint64_t fault;    /* an enum rcu_fault; the first */
    uint64_t found;    /* where: a number */
    uint64_t stood;    /* on items that were removed meanwhile, and went on */
    uint64_t grown;    /* arrays that were appended to meanwhile */
    uint64_t replaced; /* arrays that a new version took the place of */
};

static inline struct rcu_hlist *rcu_lists_bucket(struct rcu_lists *lists, uint64_t number)
{
    return &lists->table[number / RCU_STEP % RCU_BUCKETS];
}

static inline struct rcu_item *rcu_item_make(struct rcu_lists *lists, uint64_t number, uint64_t stamp)
{
    struct rcu_item *item = (struct rcu_item *)malloc(sizeof(struct rcu_item));
    if (item != NULL) {
        memset(item, RCU_POISON, sizeof(struct rcu_item)); /* what is published too early is seen */
        item->number = number;
        item->stamp = stamp;
        for (uint64_t i = 0; i < RCU_THING_WORDS; i++)
            item->words[i] = stamp ^ i;
        item->lists = lists;
        rcu_store_relaxed(&item->gone, 0);
    }
    return item;
}

/* ---- readers, in a section ---- */

static inline void rcu_pass_fault(struct rcu_pass *pass, enum rcu_fault fault, uint64_t found)
{
    if (pass->fault == RCU_FAULT_NONE) {
        pass->found = found;
        pass->fault = fault;
    }
}

/* Its number. With `linger`, not before it is removed, or that took too long. */
static inline uint64_t rcu_item_look(const struct rcu_item *item, struct rcu_pass *pass, int linger)
{
    uint64_t number = *(const volatile uint64_t *)&item->number;
    uint64_t stamp = *(const volatile uint64_t *)&item->stamp;
    for (int turn = 0; linger && turn < RCU_LINGER && rcu_load_relaxed(&item->gone) == 0; turn++)
        rcu_thread_yield();
    for (uint64_t i = 0; i < RCU_THING_WORDS; i++)
        if (((const volatile uint64_t *)item->words)[i] != (stamp ^ i))
            rcu_pass_fault(pass, RCU_FAULT_FREED, number);
    if (number >= RCU_SPAN || *(const volatile uint64_t *)&item->number != number)
        rcu_pass_fault(pass, RCU_FAULT_FREED, number);
    pass->stood += rcu_load_relaxed(&item->gone) == 1;
    return number;
}

static inline void rcu_lists_pass_list(struct rcu_lists *lists, struct rcu_pass *pass, uint64_t chance)
{
    const struct rcu_item *item;
    uint64_t least = 0, always = 0;
    rcu_list_for_each_entry(item, &lists->list, struct rcu_item, links)
    {
        uint64_t number = rcu_item_look(item, pass, chance % 1024 == least);
        if (number < least)
            rcu_pass_fault(pass, RCU_FAULT_ORDER, number);
        if (pass->fault != RCU_FAULT_NONE)
            return;
        least = number + 1;
        always += number % RCU_STEP == 0;
    }
    if (always != RCU_SPAN / RCU_STEP)
        rcu_pass_fault(pass, RCU_FAULT_MISSING, always);
}

static inline void rcu_lists_pass_table(struct rcu_lists *lists, struct rcu_pass *pass, uint64_t chance)
{
    const struct rcu_item *item;
    uint64_t wanted = chance % (RCU_SPAN / RCU_STEP) * RCU_STEP;
    int linger = chance / RCU_SPAN % 64 == 0, always = 0;
    rcu_hlist_for_each_entry(item, rcu_lists_bucket(lists, wanted), struct rcu_item, hashed)
    {
        always += rcu_item_look(item, pass, linger) == wanted;
        if (pass->fault != RCU_FAULT_NONE)
            return;
    }
    if (always != 1)
        rcu_pass_fault(pass, RCU_FAULT_MISSING, wanted);
}

static inline void rcu_lists_pass_array(struct rcu_lists *lists, struct rcu_pass *pass, uint64_t chance)
{
    struct rcu_array_view view = rcu_array_read(&lists->array), again = view;
    const volatile struct rcu_sample *samples = (const volatile struct rcu_sample *)view.data;
    if (view.size == 0 || view.size > RCU_LONGEST) {
        rcu_pass_fault(pass, RCU_FAULT_LENGTH, view.size);
        return;
    }
    for (uint64_t i = 0; i < view.size; i++) {
        uint64_t number = samples[i].number, salt = samples[i].salt;
        int linger = chance % 256 == i;
        for (int turn = 0; linger && turn < RCU_LINGER && again.data == view.data && again.size == view.size; turn++) {
            rcu_thread_yield();
            again = rcu_array_read(&lists->array);
        }
        if (number != samples[0].number + i)
            rcu_pass_fault(pass, RCU_FAULT_GAP, number);
        if (samples[i].salt != salt || samples[i].sum != number + salt)
            rcu_pass_fault(pass, RCU_FAULT_FREED, number);
        if (pass->fault != RCU_FAULT_NONE)
            return;
    }
    again = rcu_array_read(&lists->array);
    pass->replaced += again.data != view.data;
    pass->grown += again.data == view.data && again.size > view.size;
    if (again.data == view.data && again.size < view.size)
        rcu_pass_fault(pass, RCU_FAULT_LENGTH, again.size);
}

/* All of them. */
static inline void rcu_lists_pass(struct rcu_lists *lists, struct rcu_pass *pass, uint64_t chance)
{
    rcu_lists_pass_list(lists, pass, chance);
    rcu_lists_pass_table(lists, pass, chance >> 16);
    rcu_lists_pass_array(lists, pass, chance >> 32);
}

/* The item of that number, and if there is none, the one that it comes before; NULL: it comes last. Updaters' as well,
 * under the lock. */
static inline struct rcu_item *rcu_lists_find(struct rcu_lists *lists, uint64_t number)
{
    struct rcu_item *item;
    rcu_list_for_each_entry(item, &lists->list, struct rcu_item, links) if (item->number >= number) break;
    return item;
}

/* ---- updaters, under the lock ---- */

static inline void rcu_lists_insert(struct rcu_lists *lists, struct rcu_item *item, struct rcu_item *following,
                                    uint64_t chance)
{
    struct rcu_hlist *bucket = rcu_lists_bucket(lists, item->number);
    struct rcu_hlist_node *first = rcu_hlist_first(bucket);
    struct rcu_list_node *before;
    int done = 1;
    if (following == NULL) {
        rcu_list_insert_tail(&lists->list, &item->links);
    } else {
        before = rcu_list_prev(&lists->list, &following->links);
        if (before == NULL)
            rcu_list_insert_head(&lists->list, &item->links);
        else if (chance % 2 == 0)
            done = rcu_list_insert_before(&following->links, &item->links);
        else
            done = rcu_list_insert_after(before, &item->links);
    }
    if (first == NULL || chance / 2 % 3 == 0)
        rcu_hlist_insert_head(bucket, &item->hashed);
    else if (chance / 2 % 3 == 1)
        done &= rcu_hlist_insert_before(first, &item->hashed);
    else
        done &= rcu_hlist_insert_after(first, &item->hashed);
    if (!done)
        abort(); /* the places are listed: we hold the lock */
}

/* Takes an item out, or puts another in its place; 0: another updater was first. */
static inline int rcu_lists_take_out(struct rcu_lists *lists, struct rcu_item *item, struct rcu_item *with)
{
    int first = with == NULL ? rcu_list_remove(&item->links) : rcu_list_replace(&item->links, &with->links);
    int second = with == NULL ? rcu_hlist_remove(&item->hashed) : rcu_hlist_replace(&item->hashed, &with->hashed);
    if (first != second || rcu_list_remove(&item->links) || rcu_hlist_remove(&item->hashed))
        abort();
    if (first) {
        rcu_store_relaxed(&item->gone, 1);
        lists->removed++;
    }
    return first;
}

/* Changes the array; `*old` is the version that was replaced, or NULL. 0, or an error. */
static inline int rcu_lists_change_array(struct rcu_lists *lists, uint64_t chance, struct rcu_array **old)
{
    struct rcu_array_view view = rcu_array_read(&lists->array);
    const struct rcu_sample *last = (const struct rcu_sample *)view.data + view.size - 1;
    struct rcu_sample sample = {last->number + 1, chance, last->number + 1 + chance, lists};
    struct rcu_array *fresh;
    int error;
    if (view.size == RCU_LONGEST || (view.size > 1 && chance % 16 < 2)) {
        error = rcu_array_remove(&lists->array, chance % 2 == 0 ? 0 : view.size - 1, old);
    } else if (view.size > RCU_LONGEST / 2 && chance % 16 == 2) {
        *old = NULL;
        fresh = rcu_array_new(sizeof(struct rcu_sample), 1); /* so that it has to grow again */
        error = fresh == NULL ? ENOMEM : rcu_array_append(&fresh, &sample, old);
        if (error == 0)
            *old = rcu_array_replace(&lists->array, fresh);
    } else {
        error = rcu_array_append(&lists->array, &sample, old);
    }
    lists->removed += *old != NULL;
    return error;
}

/* ---- after a grace period ---- */

static inline void rcu_item_reclaim(struct rcu_head *head)
{
    struct rcu_item *item = (struct rcu_item *)(void *)((char *)head - offsetof(struct rcu_item, head));
    struct rcu_lists *lists = item->lists;
    memset(item, RCU_POISON, sizeof(struct rcu_item));
    free(item);
    rcu_fetch_add(&lists->reclaimed, 1);
}

static inline void rcu_version_reclaim(struct rcu_head *head)
{
    struct rcu_array *array = (struct rcu_array *)(void *)head; /* its first member */
    struct rcu_lists *lists = ((struct rcu_sample *)(void *)rcu_array_element(array, 0))->lists;
    memset(rcu_array_element(array, 0), RCU_POISON, (size_t)(array->room * array->width));
    rcu_array_reclaim(head);
    rcu_fetch_add(&lists->reclaimed, 1);
}

/* ---- begin and end ---- */

/* 0, or an error. */
static inline int rcu_lists_init(struct rcu_lists *lists)
{
    struct rcu_sample sample = {0, 0, 0, lists};
    struct rcu_array *old;
    memset(lists, 0, sizeof(struct rcu_lists));
    rcu_list_init(&lists->list);
    rcu_mutex_init(&lists->lock);
    lists->array = rcu_array_new(sizeof(struct rcu_sample), 1);
    return lists->array == NULL ? ENOMEM : rcu_array_append(&lists->array, &sample, &old);
}

/* Nobody reads or updates any more, and all callbacks have run. */
static inline void rcu_lists_free(struct rcu_lists *lists)
{
    struct rcu_item *item, *following;
    rcu_list_for_each_entry_safe(item, following, &lists->list, struct rcu_item, links) free(item);
    if (lists->array != NULL)
        rcu_array_free(lists->array);
    rcu_mutex_destroy(&lists->lock);
    free(lists);
}

#endif
