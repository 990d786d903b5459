/* Arrays: each function against what it should do, without memory as well; then readers against an updater. */
#include "crowd.h"

/* The allocator that the test's arrays use: it can fail, and poisons what it gets back. */
static uint64_t versions; /* that there are */
static int exhausted;
static void *allocate(size_t size);
static void release(void *memory);
#define RCU_ARRAY_MALLOC(size) allocate(size)
#define RCU_ARRAY_FREE(memory) release(memory)
#include <rcu/array.h>

struct element {
    uint64_t number, salt, sum;
};

static void *allocate(size_t size)
{
    void *memory = exhausted ? NULL : malloc(size);
    versions += memory != NULL;
    return memory;
}

static void release(void *memory)
{
    struct rcu_array *array = (struct rcu_array *)memory;
    poison(array, RCU_ARRAY_DATA + (size_t)(array->room * array->width));
    free(array);
    versions--;
}

/* ---- what each call does, exactly ---- */

static void expect_sequence(struct rcu_array *const *place, uint64_t first, uint64_t size)
{
    struct rcu_array_view view = rcu_array_read(place);
    const struct element *element;
    CHECK_EQUAL(view.size, size);
    CHECK_EQUAL((uintptr_t)view.data % RCU_ARRAY_ALIGNMENT, 0);
    rcu_array_for_each(element, view, struct element) CHECK_EQUAL(element->number, first++);
}

static void test_calls(void)
{
    struct rcu_array *array = NULL, *old = NULL, *before;
    struct element element = {0, 0, 0};
    struct rcu_array_view view = rcu_array_read(&array);
    CHECK_EQUAL(view.size, 0); /* no array yet */
    array = rcu_array_new(sizeof element, 0);
    CHECK(array != NULL);
    expect_sequence(&array, 0, 0);
    uint64_t growths = 0;
    for (; element.number < 100; element.number++) {
        before = array;
        CHECK_EQUAL(rcu_array_append(&array, &element, &old), 0);
        expect_sequence(&array, 0, element.number + 1);
        CHECK(old == (array == before ? NULL : before));
        CHECK(array->room >= array->size);
        if (old != NULL) {
            expect_sequence(&old, 0, element.number); /* whole, for who still reads it */
            rcu_array_reclaim(&old->head);
            growths++;
        }
    }
    CHECK_EQUAL(growths, 6); /* to 4, 8, ... 128: so appending costs the same, however large it is */
    CHECK_EQUAL(versions, 1);

    /* Without memory nothing changes. */
    exhausted = 1;
    while (array->size < array->room) {
        CHECK_EQUAL(rcu_array_append(&array, &element, &old), 0);
        element.number++;
    }
    before = array;
    CHECK_EQUAL(rcu_array_append(&array, &element, &old), ENOMEM);
    CHECK(array == before && old == NULL);
    CHECK_EQUAL(rcu_array_remove(&array, 0, &old), ENOMEM);
    CHECK(array == before && old == NULL);
    CHECK(rcu_array_new(1, 1) == NULL);
    exhausted = 0;
    expect_sequence(&array, 0, 128);

    /* Nor where there is no such element. */
    CHECK_EQUAL(rcu_array_remove(&array, 128, &old), EINVAL);
    CHECK_EQUAL(rcu_array_remove(&array, UINT64_MAX, &old), EINVAL);
    CHECK(array == before && old == NULL);
    CHECK_EQUAL(rcu_array_remove(&array, 127, &old), 0);
    CHECK(old == before && array != before); /* a copy, for the last one's place is used again */
    expect_sequence(&old, 0, 128);
    rcu_array_free(old);
    expect_sequence(&array, 0, 127);
    CHECK_EQUAL(rcu_array_remove(&array, 0, &old), 0);
    rcu_array_free(old);
    expect_sequence(&array, 1, 126);
    CHECK_EQUAL(rcu_array_remove(&array, 50, &old), 0);
    rcu_array_free(old);
    view = rcu_array_read(&array);
    CHECK_EQUAL(((const struct element *)view.data)[49].number, 50);
    CHECK_EQUAL(((const struct element *)view.data)[50].number, 52);
    CHECK_EQUAL(view.size, 125);
    while (view.size > 0) {
        CHECK_EQUAL(rcu_array_remove(&array, view.size / 2, &old), 0);
        rcu_array_free(old);
        view = rcu_array_read(&array);
    }
    rcu_array_free(array);
    CHECK_EQUAL(versions, 0);

    /* Sizes that no memory has: they are told, not wrapped around. */
    CHECK(rcu_array_new(0, 1) == NULL);
    CHECK(rcu_array_new(SIZE_MAX, 1) == NULL);
    CHECK(rcu_array_new(1, UINT64_MAX) == NULL);
    CHECK(rcu_array_new((size_t)1 << 16, UINT64_C(1) << 48) == NULL);
    CHECK(rcu_array_new(2, (uint64_t)SIZE_MAX / 2 + 1) == NULL);
    array = rcu_array_new(1, 1);
    CHECK(array != NULL);
    array->size = array->room = UINT64_MAX / 2 + 1; /* as if */
    CHECK_EQUAL(rcu_array_append(&array, &element, &old), ENOMEM);
    array->size = array->room = 1;
    rcu_array_free(array);

    /* Pointers are elements as others are, and what is appended may come from the array itself. */
    struct element things[3] = {{7, 0, 0}, {8, 0, 0}, {9, 0, 0}}, *thing = &things[0];
    struct element *const *pointer;
    array = rcu_array_new(sizeof thing, 1);
    CHECK(array != NULL);
    CHECK_EQUAL(rcu_array_append(&array, &thing, &old), 0);
    CHECK_EQUAL(rcu_array_append(&array, rcu_array_read(&array).data, &old), 0);
    CHECK(old != NULL);
    rcu_array_free(old);
    view = rcu_array_read(&array);
    rcu_array_for_each(pointer, view, struct element *) CHECK_EQUAL((*pointer)->number, 7);
    rcu_array_free(array);
    CHECK_EQUAL(versions, 0);
}

/* ---- readers against an updater ---- */

#define LONGEST 64
#define LINGER 16
#define ENOUGH 50

static struct crowd_word words[CROWD];
static struct rcu_array *shared;
static RCU_OWN_LINE uint64_t stop;
static RCU_OWN_LINE uint64_t passes, grew, replaced; /* views that were no longer all when they had been read */

static void pass(uint64_t random)
{
    struct rcu_array_view view = rcu_array_read(&shared), again = view;
    const volatile struct element *elements = (const volatile struct element *)view.data;
    ENSURE_EQUAL(view.size <= LONGEST, 1);
    for (uint64_t i = 0; i < view.size; i++) {
        uint64_t number = elements[i].number, salt = elements[i].salt;
        /* Some linger, so that the array changes under them. */
        for (int turn = 0; random % 256 == i && turn < LINGER && again.data == view.data && again.size == view.size;
             turn++) {
            rcu_thread_yield();
            again = rcu_array_read(&shared);
        }
        ENSURE_EQUAL(number, elements[0].number + i); /* in order, none missing */
        ENSURE_EQUAL(elements[i].sum, number + salt); /* and whole */
        ENSURE_EQUAL(elements[i].salt, salt);
    }
    again = rcu_array_read(&shared);
    if (again.data != view.data)
        rcu_fetch_add(&replaced, 1);
    else if (again.size != view.size)
        rcu_fetch_add(&grew, 1);
}

static void read_on(void *data)
{
    struct crowd_word *mine = (struct crowd_word *)data;
    uint64_t random = 88172645463325252u + (uint64_t)(mine - words);
    while (!rcu_load_relaxed(&stop)) {
        crowd_enter(mine);
        pass(random_next(&random) >> 16);
        crowd_exit(mine);
        rcu_fetch_add(&passes, 1);
    }
}

/* The array is a run of numbers, which begins and ends anywhere. */
static void update(uint64_t number)
{
    struct rcu_array_view view = rcu_array_read(&shared);
    struct rcu_array *old = NULL;
    if (view.size == LONGEST || (view.size > 0 && number % 16 < 2)) {
        ENSURE_EQUAL(rcu_array_remove(&shared, number % 2 == 0 ? 0 : view.size - 1, &old), 0);
    } else if (view.size > LONGEST / 2 && number % 16 == 2) {
        struct rcu_array *fresh = rcu_array_new(sizeof(struct element), 1); /* so that it has to grow again */
        ENSURE_EQUAL(fresh != NULL, 1);
        old = rcu_array_replace(&shared, fresh);
    } else {
        struct element element = {0, number, number};
        if (view.size > 0)
            element.number = ((const struct element *)view.data)[view.size - 1].number + 1;
        element.sum += element.number;
        ENSURE_EQUAL(rcu_array_append(&shared, &element, &old), 0);
    }
    if (old != NULL) {
        crowd_wait(words);
        rcu_array_free(old);
    }
}

void test_arrays(void)
{
    struct thread threads[CROWD];
    uint64_t random = 2463534242u, updates = 0, began = rcu_clock();
    test_calls();
    shared = rcu_array_new(sizeof(struct element), 1);
    CHECK(shared != NULL);
    for (size_t i = 0; i < CROWD; i++)
        spawn(&threads[i], read_on, &words[i]);
    while (updates < rounds / 10 || rcu_load_relaxed(&passes) < rounds / 10 || rcu_load_relaxed(&grew) < ENOUGH ||
           rcu_load_relaxed(&replaced) < ENOUGH) {
        update(random_next(&random) >> 16);
        updates++;
        rcu_thread_yield(); /* for it waits for readers now and then, and hurries in between */
        ENSURE_PATIENCE(began);
    }
    rcu_store_release(&stop, 1);
    for (size_t i = 0; i < CROWD; i++)
        join(&threads[i]);
    CHECK_EQUAL(versions, 1);
    rcu_array_free(shared);
    printf("arrays: %" PRIu64 " passes, %" PRIu64 " updates; %" PRIu64 " views grown and %" PRIu64
           " replaced while they were read\n",
           passes, updates, grew, replaced);
}
