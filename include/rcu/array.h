/* An array for readers in C that updaters append to: QEMU's resizable array (docs/devel/rcu.rst). The size is stored
 * with the elements, so that readers see both of one version: a new element is written behind the last one, then the
 * size that counts it. Where there is no room, and to remove an element, a new version is made and published, and the
 * old one is handed to the caller, for after a grace period.
 *
 *     struct rcu_array *points = rcu_array_new(sizeof(struct point), 8);
 *
 *     struct rcu_array_view view = rcu_array_read(&points);        in a section
 *     const struct point *point;
 *     rcu_array_for_each(point, view, struct point)
 *         ...
 *
 *     error = rcu_array_append(&points, &point, &old);             under the updaters' lock
 *     if (old != NULL)
 *         rcu_call(domain, &old->head, rcu_array_reclaim);
 *
 * Elements are of any size, the same for all, copied by memcpy; the first is aligned to 16 bytes. The one type that has
 * to be told is that of the reader's pointer, so functions do, and the compiler sees them through. Pointers are
 * elements as others are; what they point at is published with them. An element that readers can find does not change,
 * unless it is itself atomic.
 *
 * Updaters hold a lock of their own, or there is one only; they may be in a section, and need not. None of these
 * functions blocks, but for what the allocator does, and none needs a Python thread state. A file that wants another
 * allocator defines RCU_ARRAY_MALLOC and RCU_ARRAY_FREE before it includes this. */
#ifndef RCU_ARRAY_H
#define RCU_ARRAY_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "atomic.h"
#include "head.h"
#include "pointer.h"

#ifndef RCU_ARRAY_MALLOC
#define RCU_ARRAY_MALLOC(size) malloc(size)
#define RCU_ARRAY_FREE(memory) free(memory)
#endif

#define RCU_ARRAY_ALIGNMENT 16
#define RCU_ARRAY_LEAST 4 /* elements that there is room for, once one has been appended */

/* One version. Its elements follow. */
struct rcu_array {
    struct rcu_head head; /* the caller's, when the version has been replaced: for rcu_call */
    uint64_t size;        /* elements that readers may look at; grows */
    uint64_t room;        /* there is for so many */
    uint64_t width;       /* bytes of one */
};

/* What a reader sees, until its section ends: `size` elements from `data` on. */
struct rcu_array_view {
    const void *data;
    uint64_t size;
};

/* Bytes from a version's begin to its first element. */
#define RCU_ARRAY_DATA \
    ((sizeof(struct rcu_array) + RCU_ARRAY_ALIGNMENT - 1) / RCU_ARRAY_ALIGNMENT * RCU_ARRAY_ALIGNMENT)

/* Where the element of that number is, or will be. Of this file. */
static inline char *rcu_array_element(struct rcu_array *array, uint64_t index)
{
    return (char *)array + RCU_ARRAY_DATA + (size_t)(index * array->width);
}

/* An empty array with room for so many elements of `width` bytes; NULL: there is no memory for it, or none can be so
 * large, or `width` is 0. Anyone. */
static inline struct rcu_array *rcu_array_new(size_t width, uint64_t room)
{
    struct rcu_array *array;
    if (width == 0 || room > ((size_t)PTRDIFF_MAX - RCU_ARRAY_DATA) / width)
        return NULL;
    array = (struct rcu_array *)RCU_ARRAY_MALLOC(RCU_ARRAY_DATA + (size_t)room * width);
    if (array != NULL) {
        array->head.next = NULL;
        array->head.func = NULL;
        array->size = 0;
        array->room = room;
        array->width = width;
    }
    return array;
}

/* Frees one that no reader can have: it was never published, or a grace period has passed since it was replaced. */
static inline void rcu_array_free(struct rcu_array *array)
{
    RCU_ARRAY_FREE(array);
}

/* The same as a callback for rcu_call(domain, &old->head, rcu_array_reclaim). */
static inline void rcu_array_reclaim(struct rcu_head *head)
{
    rcu_array_free(rcu_head_entry(head, struct rcu_array, head));
}

/* The elements that there are now, at *place; none if that is NULL. Readers in a section, and updaters. Two views of
 * one section may be of two versions. QEMU's atomic_rcu_read() of the array, then of its size. */
static inline struct rcu_array_view rcu_array_read(struct rcu_array *const *place)
{
    struct rcu_array_view view = {NULL, 0};
    /* [V]: if we see a new version, we see the size and the elements that were copied into it. */
    struct rcu_array *array = rcu_dereference(*place);
    if (array != NULL) {
        /* [M] with itself: if we see the size that counts an element, we see the element; if not, we do not look. */
        view.size = rcu_load_acquire(&array->size);
        view.data = (const char *)array + RCU_ARRAY_DATA;
    }
    return view;
}

/* For each element of a view, in order: `pos` is a type const *. Readers, in the section in which they made the view,
 * and updaters. */
#define rcu_array_for_each(pos, view, type) \
    for ((pos) = (type const *)(view).data; (pos) != (type const *)(view).data + (view).size; ++(pos))

/* Publishes another version, made by the caller, in the place of the one that is there, which it returns: hand that to
 * rcu_call, or free it after a grace period. Updaters only. QEMU's atomic_rcu_set() of the array. */
static inline struct rcu_array *rcu_array_replace(struct rcu_array **place, struct rcu_array *with)
{
    struct rcu_array *old = *place;
    rcu_assign_pointer(*place, with); /* [V] */
    return old;
}

/* Appends the element that is there: in place, or in a new version with twice the room. *old is NULL, or the version
 * that was replaced: hand it to rcu_call, or free it after a grace period. 0, or ENOMEM: nothing has changed, and *old
 * is NULL. Updaters only. */
static inline int rcu_array_append(struct rcu_array **place, const void *element, struct rcu_array **old)
{
    struct rcu_array *array = *place, *grown;
    uint64_t size = array->size, room;
    *old = NULL;
    if (size < array->room) {
        memcpy(rcu_array_element(array, size), element, (size_t)array->width);
        /* [M]: whoever sees the new size sees the element. */
        rcu_store_release(&array->size, size + 1);
        return 0;
    }
    room = size > UINT64_MAX / 2 ? UINT64_MAX : size < RCU_ARRAY_LEAST / 2 ? RCU_ARRAY_LEAST : 2 * size;
    grown = rcu_array_new((size_t)array->width, room);
    if (grown == NULL)
        return ENOMEM;
    memcpy(rcu_array_element(grown, 0), rcu_array_element(array, 0), (size_t)(size * array->width));
    memcpy(rcu_array_element(grown, size), element, (size_t)array->width);
    grown->size = size + 1;
    *old = rcu_array_replace(place, grown);
    return 0;
}

/* Removes the element of that number, in a new version; those behind it move up. Always a copy: were the last one just
 * no longer counted, the next to be appended would overwrite it under who still reads it. *old is the version that was
 * replaced, as above. 0, or ENOMEM, or EINVAL if there is no such element: nothing has changed, and *old is NULL.
 * Updaters only. */
static inline int rcu_array_remove(struct rcu_array **place, uint64_t index, struct rcu_array **old)
{
    struct rcu_array *array = *place, *copy;
    uint64_t size = array->size;
    *old = NULL;
    if (index >= size)
        return EINVAL;
    copy = rcu_array_new((size_t)array->width, array->room);
    if (copy == NULL)
        return ENOMEM;
    memcpy(rcu_array_element(copy, 0), rcu_array_element(array, 0), (size_t)(index * array->width));
    memcpy(rcu_array_element(copy, index), rcu_array_element(array, index + 1),
           (size_t)((size - index - 1) * array->width));
    copy->size = size - 1;
    *old = rcu_array_replace(place, copy);
    return 0;
}

#endif
