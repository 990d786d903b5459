/* Lists: each function against an array that says what the order should be; then readers against an updater. */
#include "crowd.h"

#include <rcu/list.h>

#define ENTRIES 12
#define GONE ENTRIES /* no entry's number */

struct entry {
    uint64_t number, twice;
    struct rcu_list_node links;
    struct rcu_hlist_node hashed;
    uint64_t stays;
    uint64_t removed; /* atomic: 1 once readers no longer find it */
};

/* ---- what each call does, exactly ---- */

static struct entry entries[ENTRIES];
static struct rcu_list list;
static struct rcu_hlist hash;
/* What should be listed, in order. */
static size_t order[ENTRIES], listed;

static size_t place_of(size_t entry)
{
    size_t i = 0;
    while (i < listed && order[i] != entry)
        i++;
    return i == listed ? GONE : i;
}

static void put(size_t place, size_t entry)
{
    memmove(&order[place + 1], &order[place], (listed - place) * sizeof *order);
    order[place] = entry;
    listed++;
}

static void take(size_t place)
{
    listed--;
    memmove(&order[place], &order[place + 1], (listed - place) * sizeof *order);
}

static void expect_order(void)
{
    const struct entry *entry;
    size_t i = 0;
    rcu_list_for_each_entry(entry, &list, struct entry, links)
    {
        ENSURE_EQUAL(i < listed, 1);
        ENSURE_EQUAL(entry->number, order[i++]);
    }
    ENSURE_EQUAL(entry == NULL, 1);
    ENSURE_EQUAL(i, listed);
    rcu_list_for_each_entry_reverse(entry, &list, struct entry, links)
    {
        ENSURE_EQUAL(i > 0, 1);
        ENSURE_EQUAL(entry->number, order[--i]);
    }
    ENSURE_EQUAL(i, 0);
    rcu_hlist_for_each_entry(entry, &hash, struct entry, hashed)
    {
        ENSURE_EQUAL(i < listed, 1);
        ENSURE_EQUAL(*entry->hashed.pprev == &entry->hashed, 1);
        ENSURE_EQUAL(entry->number, order[i++]);
    }
    ENSURE_EQUAL(i, listed);
    ENSURE_EQUAL(rcu_list_empty(&list), listed == 0);
    ENSURE_EQUAL(rcu_hlist_empty(&hash), listed == 0);
    for (i = 0; i < ENTRIES; i++) {
        int is_listed = place_of(i) != GONE;
        ENSURE_EQUAL(rcu_list_inserted(&entries[i].links), is_listed);
        ENSURE_EQUAL(rcu_hlist_inserted(&entries[i].hashed), is_listed);
    }
}

static void insert_head(size_t entry)
{
    rcu_list_insert_head(&list, &entries[entry].links);
    rcu_hlist_insert_head(&hash, &entries[entry].hashed);
    put(0, entry);
}

static void insert_tail(size_t entry)
{
    rcu_list_insert_tail(&list, &entries[entry].links);
    if (listed == 0)
        rcu_hlist_insert_head(&hash, &entries[entry].hashed);
    else
        ENSURE_EQUAL(rcu_hlist_insert_after(&entries[order[listed - 1]].hashed, &entries[entry].hashed), 1);
    put(listed, entry);
}

/* Those that take a place do what they should if it is listed, and else nothing. */
static void insert_before(size_t other, size_t entry)
{
    size_t place = place_of(other);
    uint64_t found = place != GONE;
    ENSURE_EQUAL(rcu_list_insert_before(&entries[other].links, &entries[entry].links), found);
    ENSURE_EQUAL(rcu_hlist_insert_before(&entries[other].hashed, &entries[entry].hashed), found);
    if (found)
        put(place, entry);
}

static void insert_after(size_t other, size_t entry)
{
    size_t place = place_of(other);
    uint64_t found = place != GONE;
    ENSURE_EQUAL(rcu_list_insert_after(&entries[other].links, &entries[entry].links), found);
    ENSURE_EQUAL(rcu_hlist_insert_after(&entries[other].hashed, &entries[entry].hashed), found);
    if (found)
        put(place + 1, entry);
}

static void replace(size_t other, size_t entry)
{
    size_t place = place_of(other);
    uint64_t found = place != GONE;
    ENSURE_EQUAL(rcu_list_replace(&entries[other].links, &entries[entry].links), found);
    ENSURE_EQUAL(rcu_hlist_replace(&entries[other].hashed, &entries[entry].hashed), found);
    if (found)
        order[place] = entry;
}

static void take_out(size_t entry)
{
    size_t place = place_of(entry);
    uint64_t found = place != GONE;
    struct rcu_list_node *next = entries[entry].links.next;
    struct rcu_hlist_node *hashed = entries[entry].hashed.next;
    ENSURE_EQUAL(rcu_list_remove(&entries[entry].links), found);
    ENSURE_EQUAL(rcu_hlist_remove(&entries[entry].hashed), found);
    /* Whoever stands on it goes on. */
    ENSURE_EQUAL(entries[entry].links.next == next, 1);
    ENSURE_EQUAL(entries[entry].hashed.next == hashed, 1);
    if (found)
        take(place);
}

static void test_calls(void)
{
    uint64_t random = 362436069u;
    rcu_list_init(&list);
    rcu_hlist_init(&hash);
    memset(entries, 0, sizeof entries); /* memory of zeros is in no list */
    listed = 0;
    for (size_t i = 0; i < ENTRIES; i++) {
        entries[i].number = i;
        if (i % 2 == 0) {
            rcu_list_node_init(&entries[i].links);
            rcu_hlist_node_init(&entries[i].hashed);
        }
    }
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t number = random_next(&random) >> 16;
        size_t one = number % ENTRIES, other = number / ENTRIES % ENTRIES;
        /* No entry is listed twice; half of the time it is taken out then, so that all lengths occur. */
        if (place_of(one) != GONE || number % 7 == 0) {
            if (number % 2 == 0)
                take_out(one);
        } else if (other != one) {
            void (*const calls[])(size_t, size_t) = {insert_before, insert_after, replace};
            uint64_t call = number / ENTRIES / ENTRIES % 5;
            if (call < 3)
                calls[call](other, one);
            else if (call == 3)
                insert_head(one);
            else
                insert_tail(one);
        }
        expect_order();
    }
    CHECK(rounds > 0);
}

/* What is done twice, one after the other, in the words of who does it. */
static void test_twice(void)
{
    struct entry first = {1, 2, {NULL, NULL}, {NULL, NULL}, 0, 0}, second = first, third = first;
    struct rcu_list one;
    rcu_list_init(&one);
    CHECK(rcu_list_empty(&one) && rcu_list_first(&one) == NULL && rcu_list_last(&one) == NULL);
    CHECK_EQUAL(rcu_list_remove(&first.links), 0); /* never inserted */
    rcu_list_insert_tail(&one, &first.links);
    rcu_list_insert_tail(&one, &second.links);
    CHECK_EQUAL(rcu_list_remove(&first.links), 1);
    CHECK_EQUAL(rcu_list_remove(&first.links), 0);
    CHECK_EQUAL(rcu_list_replace(&first.links, &third.links), 0);
    CHECK_EQUAL(rcu_list_insert_after(&first.links, &third.links), 0);
    CHECK_EQUAL(rcu_list_insert_before(&first.links, &third.links), 0);
    CHECK(rcu_list_first(&one) == &second.links && rcu_list_last(&one) == &second.links);
    CHECK(rcu_list_next(&one, &first.links) == &second.links);
    CHECK(rcu_list_next(&one, &second.links) == NULL && rcu_list_prev(&one, &second.links) == NULL);
    CHECK_EQUAL(rcu_list_replace(&second.links, &first.links), 1);
    CHECK_EQUAL(rcu_list_replace(&second.links, &third.links), 0);
    CHECK_EQUAL(rcu_list_remove(&second.links), 0);
    CHECK_EQUAL(rcu_list_remove(&first.links), 1);
    CHECK(rcu_list_empty(&one));

    struct rcu_hlist other = {NULL};
    CHECK_EQUAL(rcu_hlist_remove(&first.hashed), 0);
    rcu_hlist_insert_head(&other, &first.hashed);
    CHECK_EQUAL(rcu_hlist_remove(&first.hashed), 1);
    CHECK_EQUAL(rcu_hlist_remove(&first.hashed), 0);
    CHECK_EQUAL(rcu_hlist_replace(&first.hashed, &second.hashed), 0);
    CHECK_EQUAL(rcu_hlist_insert_after(&first.hashed, &second.hashed), 0);
    CHECK_EQUAL(rcu_hlist_insert_before(&first.hashed, &second.hashed), 0);
    CHECK(rcu_hlist_empty(&other));

    /* An updater frees as it goes. */
    struct entry *entry, *following;
    for (uint64_t i = 0; i < 4; i++) {
        entry = (struct entry *)calloc(1, sizeof *entry);
        CHECK(entry != NULL);
        rcu_list_insert_head(&one, &entry->links);
        rcu_hlist_insert_head(&other, &entry->hashed);
    }
    rcu_hlist_for_each_entry_safe(entry, following, &other, struct entry, hashed)
    {
        CHECK_EQUAL(rcu_hlist_remove(&entry->hashed), 1);
        entry->hashed.next = NULL;
    }
    rcu_list_for_each_entry_safe(entry, following, &one, struct entry, links)
    {
        CHECK_EQUAL(rcu_list_remove(&entry->links), 1);
        free(entry);
    }
    CHECK(rcu_list_empty(&one) && rcu_hlist_empty(&other));
}

/* ---- readers against an updater ---- */

/* Numbers are below SPAN and ascend; every STEPth stays, or is replaced by one of the same number. */
#define SPAN 64
#define STEP 8
#define BUCKETS 4
#define LINGER 16
#define ENOUGH 50

static struct crowd_word words[CROWD];
static struct rcu_hlist table[BUCKETS];
static RCU_OWN_LINE uint64_t stop;
static RCU_OWN_LINE uint64_t passes, overtaken; /* entries that were removed under a reader, which then went on */

static struct entry *new_entry(uint64_t number)
{
    struct entry *entry = (struct entry *)malloc(sizeof *entry);
    ENSURE_EQUAL(entry != NULL, 1);
    poison(entry, sizeof *entry);
    entry->number = number;
    entry->twice = 2 * number;
    entry->stays = number % STEP == 0;
    rcu_store_relaxed(&entry->removed, 0);
    return entry;
}

static uint64_t look(const struct entry *entry, uint64_t random)
{
    uint64_t number = *(const volatile uint64_t *)&entry->number;
    ENSURE_EQUAL(number < SPAN, 1);
    /* Some linger, so that entries are removed under them. */
    for (int turn = 0; random % 64 == 0 && turn < LINGER && !rcu_load_relaxed(&entry->removed); turn++)
        rcu_thread_yield();
    ENSURE_EQUAL(*(const volatile uint64_t *)&entry->twice, 2 * number);
    return number;
}

static uint64_t pass(uint64_t *random)
{
    const struct entry *entry;
    uint64_t after = 0, stayed = 0, gone = 0;
    rcu_list_for_each_entry(entry, &list, struct entry, links)
    {
        uint64_t number = look(entry, random_next(random) >> 16);
        ENSURE_EQUAL(number >= after, 1);
        after = number + 1;
        stayed += entry->stays;
        gone += rcu_load_relaxed(&entry->removed);
    }
    ENSURE_EQUAL(stayed, SPAN / STEP);
    /* One that stays is always found. */
    uint64_t wanted = (random_next(random) >> 16) % (SPAN / STEP) * STEP;
    rcu_hlist_for_each_entry(entry, &table[wanted / STEP % BUCKETS], struct entry, hashed)
    {
        if (look(entry, random_next(random) >> 16) == wanted)
            break;
        gone += rcu_load_relaxed(&entry->removed);
    }
    ENSURE_EQUAL(entry != NULL, 1);
    return gone;
}

static void read_on(void *data)
{
    struct crowd_word *mine = (struct crowd_word *)data;
    uint64_t random = 88172645463325252u + (uint64_t)(mine - words);
    while (!rcu_load_relaxed(&stop)) {
        crowd_enter(mine);
        uint64_t gone = pass(&random);
        crowd_exit(mine);
        rcu_fetch_add(&passes, 1);
        rcu_fetch_add(&overtaken, gone);
    }
}

/* The entry of that number, and if there is none, the one that it comes before; NULL: it comes last. */
static struct entry *find(uint64_t number)
{
    struct entry *entry;
    rcu_list_for_each_entry(entry, &list, struct entry, links) if (entry->number >= number) break;
    return entry;
}

static void bury(struct entry *entry)
{
    rcu_store_relaxed(&entry->removed, 1);
    crowd_wait(words);
    poison(entry, sizeof *entry);
    free(entry);
}

static void update(uint64_t number)
{
    struct entry *found = find(number), *entry;
    int is_there = found != NULL && found->number == number;
    if (is_there && number % STEP != 0) {
        ENSURE_EQUAL(rcu_list_remove(&found->links), 1);
        ENSURE_EQUAL(rcu_hlist_remove(&found->hashed), 1);
        ENSURE_EQUAL(rcu_list_remove(&found->links), 0);
        bury(found);
        return;
    }
    entry = new_entry(number);
    if (is_there) {
        ENSURE_EQUAL(rcu_list_replace(&found->links, &entry->links), 1);
        ENSURE_EQUAL(rcu_hlist_replace(&found->hashed, &entry->hashed), 1);
        bury(found);
        return;
    }
    rcu_hlist_insert_head(&table[number / STEP % BUCKETS], &entry->hashed);
    if (found == NULL)
        rcu_list_insert_tail(&list, &entry->links);
    else
        ENSURE_EQUAL(rcu_list_insert_before(&found->links, &entry->links), 1);
}

void test_lists(void)
{
    struct thread threads[CROWD];
    struct entry *entry, *following;
    uint64_t random = 2463534242u, updates = 0, began = rcu_clock();
    test_calls();
    test_twice();
    rcu_list_init(&list);
    for (uint64_t number = 0; number < SPAN; number += STEP)
        update(number);
    for (size_t i = 0; i < CROWD; i++)
        spawn(&threads[i], read_on, &words[i]);
    while (updates < rounds / 10 || rcu_load_relaxed(&passes) < rounds / 10 || rcu_load_relaxed(&overtaken) < ENOUGH) {
        update((random_next(&random) >> 16) % SPAN);
        updates++;
        rcu_thread_yield(); /* for it waits for readers now and then, and hurries in between */
        ENSURE_PATIENCE(began);
    }
    rcu_store_release(&stop, 1);
    for (size_t i = 0; i < CROWD; i++)
        join(&threads[i]);
    rcu_list_for_each_entry_safe(entry, following, &list, struct entry, links)
    {
        CHECK_EQUAL(rcu_list_remove(&entry->links), 1);
        CHECK_EQUAL(rcu_hlist_remove(&entry->hashed), 1);
        free(entry);
    }
    CHECK(rcu_list_empty(&list));
    for (size_t i = 0; i < BUCKETS; i++)
        CHECK(rcu_hlist_empty(&table[i]));
    printf("lists: %" PRIu64 " calls against an array; %" PRIu64 " passes, %" PRIu64 " updates, %" PRIu64
           " entries removed under a reader\n",
           rounds, passes, updates, overtaken);
}
