/* A hash table of objects by identity, which protects nobody: one thread at a time inserts, and readers beside it find
 * what was inserted before, and all that was there when the table was made. A full one is copied into one twice as
 * large; who replaces it by that sees to it that no reader is left in the old one when it is freed.
 *
 * Its references are borrowed: who owns the table owns what is in it. */
#ifndef IDENTITY_TABLE_H
#define IDENTITY_TABLE_H

#include <Python.h>
#include <rcu/api.h>

#define TABLE_LEAST 8 /* entries */

struct entry {
    PyObject *key; /* NULL: free; then the entries end here that a search passes by */
    PyObject *value;
};

struct table {
    struct rcu_head head; /* for rcu_call(), once the table has been replaced */
    size_t used;          /* of the entries; for who inserts */
    size_t mask;          /* one less than there are entries, a power of two */
    struct entry entries[];
};

/* How many there have been in this process, to see that none is left behind. */
static uint64_t tables_made, tables_freed;

static inline size_t table_begin(const struct table *table, const PyObject *key)
{
    /* Fibonacci hashing (Knuth): the middle bits of the product depend on all that tell addresses apart. */
    return (size_t)(((uint64_t)(uintptr_t)key * 0x9E3779B97F4A7C15u) >> 32) & table->mask;
}

/* The key's value; NULL: it is not in the table, or not yet. Readers. */
static inline PyObject *table_find(const struct table *table, const PyObject *key)
{
    for (size_t i = table_begin(table, key);; i = (i + 1) & table->mask) {
        const struct entry *entry = &table->entries[i];
        /* Whoever sees the key sees its value. */
        const PyObject *found = rcu_dereference(entry->key);
        if (found == key)
            return rcu_dereference(entry->value);
        if (found == NULL)
            return NULL;
    }
}

/* The entry of the key, or the free one where it would be. Who inserts. */
static inline struct entry *table_place(struct table *table, const PyObject *key)
{
    size_t i = table_begin(table, key);
    while (table->entries[i].key != NULL && table->entries[i].key != key)
        i = (i + 1) & table->mask;
    return &table->entries[i];
}

/* Fills a free entry. Half of them stay free, so that searches are short. */
static inline void table_insert(struct table *table, struct entry *place, PyObject *key, PyObject *value)
{
    place->value = value;
    rcu_assign_pointer(place->key, key);
    table->used++;
}

static inline int table_is_full(const struct table *table)
{
    return table->used > table->mask / 2;
}

/* A table twice as large with all that is in the old one, which may be NULL; NULL: no memory. */
static inline struct table *table_grown(const struct table *old)
{
    size_t count = old == NULL ? TABLE_LEAST : 2 * (old->mask + 1);
    /* Not PyMem_Malloc() or PyObject_Malloc(): it is freed where there is no thread state. */
    struct table *table = (struct table *)PyMem_RawCalloc(1, sizeof(struct table) + count * sizeof(struct entry));
    if (table == NULL)
        return NULL;
    rcu_fetch_add(&tables_made, 1);
    table->mask = count - 1;
    for (size_t i = 0; old != NULL && i <= old->mask; i++) {
        const struct entry *entry = &old->entries[i];
        if (entry->key != NULL)
            table_insert(table, table_place(table, entry->key), entry->key, entry->value);
    }
    return table;
}

static inline void table_free(struct table *table)
{
    if (table != NULL)
        rcu_fetch_add(&tables_freed, 1);
    PyMem_RawFree(table);
}

#endif
