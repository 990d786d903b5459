/* The words: sizes, atomic accesses, published pointers. */
#include "check.h"

#define THREADS 4

void test_layout(void)
{
    CHECK_EQUAL(sizeof(struct rcu_slot), RCU_SLOT_SIZE);
    CHECK_EQUAL(offsetof(struct rcu_slot, key), RCU_SLOT_SIZE / 2); /* the reader's line, then the registry's */
    CHECK_EQUAL(offsetof(struct rcu_slot, reserved) + 2 * sizeof(uint64_t), RCU_SLOT_SIZE);
    static RCU_OWN_LINE struct rcu_slot slots[2];
    CHECK_EQUAL((uintptr_t)&slots[0] % RCU_SLOT_SIZE, 0);
    CHECK_EQUAL((uintptr_t)&slots[1] % RCU_SLOT_SIZE, 0);
    /* Each hot word of a domain has lines of its own. */
    const size_t hot[] = {offsetof(struct rcu_domain, gp_seq), offsetof(struct rcu_domain, gp_done),
                          offsetof(struct rcu_domain, unready), offsetof(struct rcu_domain, lock)};
    size_t before = 0;
    for (size_t i = 0; i < sizeof hot / sizeof *hot; i++) {
        CHECK_EQUAL(hot[i] % RCU_SLOT_SIZE, 0);
        CHECK(hot[i] >= before + RCU_SLOT_SIZE);
        before = hot[i];
    }
    /* What the read side takes for granted of the numbers. */
    CHECK(RCU_SEQ_DETACHED < RCU_SEQ_QUIESCED && RCU_SEQ_QUIESCED < RCU_SEQ_FIRST);
    CHECK_EQUAL((RCU_SEQ_FIRST | RCU_SEQ_STEP | RCU_SEQ_QUIESCED) & RCU_SEQ_BUSY, 0);
    CHECK(RCU_SEQ_NEVER < RCU_SEQ_FIRST);
    printf("layout: slot of %zu bytes, domain of %zu\n", sizeof(struct rcu_slot), sizeof(struct rcu_domain));
}

static RCU_OWN_LINE uint64_t total, token, turns;
static RCU_OWN_LINE uint64_t gate; /* 1: all threads are there */
static uint64_t turn_of_each[THREADS];
/* What is exchanged is neither lost nor doubled: all that is put in comes out, but for the last. */
static RCU_OWN_LINE uint64_t cell;
static uint64_t put, got, additions;
/* How often the token was away: threads did meet. */
static RCU_OWN_LINE uint64_t missed;
#define ENOUGH_MISSED (rounds / 1000)

static void add_many(void *rank)
{
    uint64_t mine_put = 0, mine_got = 0, i = 0, began = rcu_clock();
    await_word(&gate, 1);
    while (++i <= rounds || rcu_load_relaxed(&missed) < ENOUGH_MISSED) {
        mine_put += i;
        mine_got += rcu_exchange(&cell, i);
        rcu_fetch_add(&total, 3);
        rcu_fetch_sub(&total, 1);
        /* One token: whoever exchanges it for 0 has it alone, and orders its plain accesses by it. */
        if (rcu_exchange(&token, 0) != 0) {
            turns++;
            turn_of_each[(size_t)(uintptr_t)rank]++;
            ENSURE_EQUAL(rcu_exchange(&token, 1), 0);
        } else {
            rcu_fetch_add(&missed, 1);
        }
        ENSURE_PATIENCE(began);
    }
    rcu_fetch_add(&additions, i - 1);
    rcu_fetch_add(&put, mine_put);
    rcu_fetch_add(&got, mine_got);
}

/* Message passing: what was written before a release is seen after an acquire. */
static RCU_OWN_LINE uint64_t message;
static RCU_OWN_LINE uint64_t posted;

static void send(void *unused)
{
    (void)unused;
    for (uint64_t i = 1; i <= rounds; i++) {
        rcu_store_relaxed(&message, i);
        rcu_store_release(&posted, i);
    }
}

static void receive(void)
{
    uint64_t began = rcu_clock(), last = 0;
    while (last != rounds) {
        uint64_t seen = rcu_load_acquire(&posted);
        if (seen == last) {
            rcu_thread_yield();
            ENSURE_PATIENCE(began);
            continue;
        }
        ENSURE_EQUAL(seen > last, 1);
        ENSURE_EQUAL(rcu_load_relaxed(&message) >= seen, 1);
        last = seen;
    }
    CHECK_EQUAL(rcu_load_relaxed(&message), rounds);
}

void test_atomics(void)
{
    const uint64_t high = UINT64_C(0xFEDCBA9876543210);
    uint64_t word = 5;
    CHECK_EQUAL(rcu_load_relaxed(&word), 5);
    CHECK_EQUAL(rcu_load_acquire(&word), 5);
    rcu_store_relaxed(&word, high);
    CHECK_EQUAL(word, high);
    rcu_store_release(&word, 7);
    CHECK_EQUAL(word, 7);
    CHECK_EQUAL(rcu_exchange(&word, high), 7);
    CHECK_EQUAL(rcu_exchange(&word, UINT64_MAX), high);
    CHECK_EQUAL(rcu_fetch_add(&word, 2), UINT64_MAX);
    CHECK_EQUAL(rcu_fetch_sub(&word, 3), 1);
    CHECK_EQUAL(word, UINT64_MAX - 1);
    rcu_compiler_barrier();
    rcu_full_barrier();
    CHECK(RCU_LIKELY(word != 0) && !RCU_UNLIKELY(word == 0));

    struct thread threads[THREADS], sender;
    token = 1;
    for (size_t i = 0; i < THREADS; i++)
        spawn(&threads[i], add_many, (void *)(uintptr_t)i);
    rcu_store_release(&gate, 1);
    for (size_t i = 0; i < THREADS; i++)
        join(&threads[i]);
    CHECK(additions >= THREADS * rounds);
    CHECK_EQUAL(total, 2 * additions);
    CHECK_EQUAL(token, 1);
    CHECK_EQUAL(got + cell, put);
    uint64_t sum = 0;
    for (size_t i = 0; i < THREADS; i++)
        sum += turn_of_each[i];
    CHECK_EQUAL(turns, sum);
    CHECK_EQUAL(turns + missed, additions);
    CHECK(turns > 0 && missed >= ENOUGH_MISSED);

    spawn(&sender, send, NULL);
    receive();
    join(&sender);
    printf("atomics: %d threads, %" PRIu64 " turns, %" PRIu64 " missed, %" PRIu64 " messages\n", THREADS, turns, missed,
           rounds);
}

/* A stack of nodes, pushed with compare-exchange and taken whole with exchange. */
struct node {
    struct node *next;
    uint64_t value, twice;
};
static RCU_OWN_LINE struct node *top;
static RCU_OWN_LINE uint64_t takes;
#define CHUNKS 50

static void push_many(void *nodes)
{
    uint64_t began = rcu_clock();
    for (uint64_t i = 0; i < rounds; i++) {
        /* Each chunk waits until something has been taken since the one before, so that both ends are at work. */
        while (i % (rounds / CHUNKS) == 0 && rcu_load_acquire(&takes) < i / (rounds / CHUNKS)) {
            rcu_thread_yield();
            ENSURE_PATIENCE(began);
        }
        struct node *node = (struct node *)nodes + i;
        node->value = i + 1;
        node->twice = 2 * (i + 1);
        node->next = rcu_dereference(top);
        while (!rcu_cmpxchg_pointer(&top, &node->next, node))
            ;
    }
}

void test_pointers(void)
{
    int one = 1, other = 2;
    int *p = NULL, *expected = &other;
    CHECK(rcu_dereference(p) == NULL);
    rcu_assign_pointer(p, &one);
    CHECK(rcu_dereference(p) == &one);
    CHECK_EQUAL(*rcu_dereference(p), 1); /* of the pointer's own type */
    CHECK_EQUAL(rcu_cmpxchg_pointer(&p, &expected, &other), 0);
    CHECK(expected == &one && p == &one); /* a failure tells what it found, and changes nothing */
    CHECK_EQUAL(rcu_cmpxchg_pointer(&p, &expected, &other), 1);
    CHECK(expected == &one && p == &other);
    CHECK(rcu_xchg_pointer(&p, &one) == &other);
    CHECK(p == &one);

    struct thread threads[2];
    struct node *nodes[2];
    for (size_t i = 0; i < 2; i++) {
        nodes[i] = (struct node *)calloc((size_t)rounds, sizeof(struct node));
        CHECK(nodes[i] != NULL);
        spawn(&threads[i], push_many, nodes[i]);
    }
    uint64_t count = 0, sum = 0, began = rcu_clock();
    while (count < 2 * rounds) {
        struct node *all = rcu_xchg_pointer(&top, (struct node *)NULL);
        if (all != NULL)
            rcu_store_release(&takes, takes + 1);
        else
            rcu_thread_yield();
        for (; all != NULL; all = all->next) {
            ENSURE_EQUAL(all->twice, 2 * all->value);
            sum += all->value;
            count++;
        }
        ENSURE_PATIENCE(began);
    }
    for (size_t i = 0; i < 2; i++) {
        join(&threads[i]);
        free(nodes[i]);
    }
    CHECK_EQUAL(count, 2 * rounds);
    CHECK_EQUAL(sum, rounds * (rounds + 1));
    CHECK(takes >= CHUNKS);
    printf("pointers: %" PRIu64 " nodes published, taken in %" PRIu64 " exchanges\n", count, takes);
}
