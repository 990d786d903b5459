/* The read side against a small updater: what it frees, no reader may still see.
 *
 * The slow halves and the updater are written here, after the engine's but smaller: one updater, which polls. The
 * labels are those of barrier.h. */
#include "check.h"

#define READERS 2
#define WORDS 8
#define POISON UINT64_C(0xDBDBDBDBDBDBDBDB)
/* Of everything that must happen, at least. */
#define ENOUGH 50

/* Written before it is published and after its last reader; the same number in each word. */
struct object {
    uint64_t words[WORDS];
};

static RCU_OWN_LINE struct rcu_slot slots[READERS];
static struct rcu_domain domain;
static const uint64_t never = RCU_SEQ_NEVER;
static RCU_OWN_LINE struct object *shared;
static RCU_OWN_LINE uint64_t stop;
static RCU_OWN_LINE uint64_t allocated;

/* Of one reader; its own until it ends. Those that the updater looks at meanwhile are stored atomically. */
struct told {
    uint64_t sections, overlaps; /* sections that saw a publication happen, and their own object last */
    uint64_t enters, enters_parked, exits;
};
static RCU_OWN_LINE struct told told[READERS][2];

static void add(uint64_t *word)
{
    rcu_store_relaxed(word, *word + 1);
}

static struct told *of(const struct rcu_slot *slot)
{
    return &told[slot->index][0];
}

static void enter_slow(struct rcu_slot *slot)
{
    add(&of(slot)->enters);
    rcu_store_relaxed(&slot->seq, rcu_load_relaxed(&slot->domain->gp_seq) | RCU_SEQ_BUSY);
    rcu_full_barrier(); /* [Q] */
}

static void enter_parked(struct rcu_slot *slot)
{
    add(&of(slot)->enters_parked);
    rcu_full_barrier(); /* [F] */
    if (!slot->fence)
        rcu_store_relaxed(&slot->parked, 0);
}

static void exit_slow(struct rcu_slot *slot)
{
    add(&of(slot)->exits);
    if (slot->fence)
        rcu_full_barrier();                                                 /* [C] of the fence flavor */
    rcu_store_release(&slot->seq, rcu_load_relaxed(&slot->domain->gp_seq)); /* [B] */
    rcu_full_barrier();                                                     /* [X] */
}

static const struct rcu_slow slow = {enter_slow, enter_parked, exit_slow};

static void attach(size_t index, int fence)
{
    struct rcu_slot *slot = &slots[index];
    memset(slot, 0, sizeof *slot);
    slot->seq = RCU_SEQ_QUIESCED;
    slot->parked = (uint64_t)fence;
    slot->fence = (uint64_t)fence;
    slot->gp = fence ? &never : &domain.gp_seq;
    slot->slow = &slow;
    slot->domain = &domain;
    slot->index = index;
    memset(of(slot), 0, sizeof(struct told));
}

/* ---- what each call does to a slot, exactly ---- */

static void expect(const struct rcu_slot *slot, uint64_t seq, uint64_t nest, uint64_t enters, uint64_t parked,
                   uint64_t exits)
{
    CHECK_EQUAL(slot->seq, seq);
    CHECK_EQUAL(slot->nest, nest);
    CHECK_EQUAL(rcu_held(slot), seq & RCU_SEQ_BUSY);
    CHECK_EQUAL(of(slot)->enters, enters);
    CHECK_EQUAL(of(slot)->enters_parked, parked);
    CHECK_EQUAL(of(slot)->exits, exits);
}

void test_sections(void)
{
    struct rcu_slot *slot = &slots[0];
    domain.gp_seq = RCU_SEQ_FIRST;
    attach(0, 0);
    expect(slot, RCU_SEQ_QUIESCED, 0, 0, 0, 0);
    rcu_enter(slot);
    expect(slot, RCU_SEQ_FIRST | RCU_SEQ_BUSY, 0, 1, 0, 0);
    rcu_enter(slot);
    rcu_enter(slot);
    expect(slot, RCU_SEQ_FIRST | RCU_SEQ_BUSY, 2, 1, 0, 0);
    domain.gp_seq += RCU_SEQ_STEP;
    rcu_exit(slot);
    rcu_exit(slot);
    expect(slot, RCU_SEQ_FIRST | RCU_SEQ_BUSY, 0, 1, 0, 0); /* only the outermost one looks at gp_seq */
    rcu_exit(slot);
    expect(slot, RCU_SEQ_FIRST + RCU_SEQ_STEP, 0, 1, 0, 1);
    rcu_enter(slot);
    expect(slot, (RCU_SEQ_FIRST + RCU_SEQ_STEP) | RCU_SEQ_BUSY, 0, 1, 0, 1);
    rcu_exit(slot);
    expect(slot, RCU_SEQ_FIRST + RCU_SEQ_STEP, 0, 1, 0, 1); /* nothing new: no slow half */
    slot->parked = 1;
    rcu_enter(slot);
    expect(slot, (RCU_SEQ_FIRST + RCU_SEQ_STEP) | RCU_SEQ_BUSY, 0, 1, 1, 1);
    CHECK_EQUAL(slot->parked, 0);
    rcu_exit(slot);
    attach(0, 1);
    rcu_enter(slot);
    rcu_exit(slot);
    expect(slot, RCU_SEQ_FIRST + RCU_SEQ_STEP, 0, 1, 0, 1);
    rcu_enter(slot);
    rcu_exit(slot);
    rcu_enter(slot);
    rcu_exit(slot);
    expect(slot, RCU_SEQ_FIRST + RCU_SEQ_STEP, 0, 1, 2, 3); /* the fence flavor: each takes its slow half */
    CHECK_EQUAL(slot->parked, 1);
    printf("sections: each call changes what it should, and takes its slow half when it should\n");
}

/* ---- the updater ---- */

static struct object *new_object(void)
{
    struct object *object = (struct object *)malloc(sizeof *object);
    ENSURE_EQUAL(object != NULL, 1);
    allocated++;
    for (size_t i = 0; i < WORDS; i++)
        object->words[i] = allocated;
    return object;
}

static void destroy(struct object *object)
{
    /* Volatile, as a compiler drops what is stored into something that is then freed. */
    volatile uint64_t *words = object->words;
    for (size_t i = 0; i < WORDS; i++)
        words[i] = POISON;
    free(object);
}

struct updates {
    uint64_t updates, waits, skips, parked;
};

static int is_surely_ready(const struct rcu_slot *slot, uint64_t n)
{
    uint64_t seq = rcu_load_acquire(&slot->seq); /* [G] */
    if (seq == RCU_SEQ_QUIESCED || (seq & ~RCU_SEQ_BUSY) >= n)
        return 1;
    return (seq & RCU_SEQ_BUSY) == 0 && rcu_load_relaxed(&slot->parked) != 0;
}

static int is_ready(const struct rcu_slot *slot, uint64_t n)
{
    uint64_t seq = rcu_load_acquire(&slot->seq); /* [G] */
    return (seq & RCU_SEQ_BUSY) == 0 || (seq & ~RCU_SEQ_BUSY) >= n;
}

static void synchronize(struct updates *counts, int fence)
{
    rcu_full_barrier(); /* [P] */
    uint64_t n = rcu_fetch_add(&domain.gp_seq, RCU_SEQ_STEP) + RCU_SEQ_STEP;
    rcu_full_barrier(); /* [D] */
    int ready = 1;
    for (size_t i = 0; i < READERS; i++)
        ready = ready && is_surely_ready(&slots[i], n);
    if (ready) {
        counts->skips++;
    } else {
        for (size_t i = 0; i < READERS; i++) {
            uint64_t seq = rcu_load_relaxed(&slots[i].seq);
            if (!fence && (seq & RCU_SEQ_BUSY) == 0 && seq != RCU_SEQ_QUIESCED && seq + RCU_SEQ_STEP < n) {
                rcu_store_relaxed(&slots[i].parked, 1);
                counts->parked++;
            }
        }
        updater_barrier(fence); /* [E] */
        int waited = 0;
        uint64_t began = rcu_clock();
        for (size_t i = 0; i < READERS; i++) {
            while (!is_ready(&slots[i], n)) {
                waited = 1;
                rcu_thread_yield();
                ENSURE_PATIENCE(began);
            }
        }
        counts->waits += (uint64_t)waited;
    }
    rcu_store_release(&domain.gp_done, n);
    counts->updates++;
}

/* ---- the readers ---- */

static void look(struct rcu_slot *slot, uint64_t random)
{
    rcu_enter(slot);
    const struct object *object = rcu_dereference(shared);
    const volatile uint64_t *words = object->words;
    uint64_t first = words[0];
    ENSURE_EQUAL(first == POISON, 0);
    if (random % 16 == 0) {
        rcu_enter(slot);
        rcu_exit(slot);
        ENSURE_EQUAL(rcu_held(slot), 1);
    }
    if (random % 64 == 0)
        rcu_thread_yield();
    else
        spin(random % 256);
    int overlap = rcu_dereference(shared) != object;
    for (size_t i = 0; i < WORDS; i++)
        ENSURE_EQUAL(words[i], first);
    rcu_exit(slot);
    ENSURE_EQUAL(rcu_held(slot), 0);
    add(&of(slot)->sections);
    if (overlap)
        add(&of(slot)->overlaps);
}

static void quiesce(struct rcu_slot *slot)
{
    rcu_store_release(&slot->seq, RCU_SEQ_QUIESCED); /* [B] */
    rcu_full_barrier();                              /* [X] */
}

/* Idle over some grace periods, which parks the slot. */
static void rest(void)
{
    uint64_t end = rcu_load_relaxed(&domain.gp_done) + 4 * RCU_SEQ_STEP;
    while (rcu_load_relaxed(&domain.gp_done) < end && !rcu_load_relaxed(&stop))
        rcu_thread_yield();
}

static void read_on(void *data)
{
    struct rcu_slot *slot = (struct rcu_slot *)data;
    uint64_t random = 88172645463325252u + slot->index;
    while (!rcu_load_relaxed(&stop)) {
        uint64_t number = random_next(&random) >> 16;
        look(slot, number);
        if (number % 509 == 0)
            quiesce(slot);
        if (number % 503 == 0)
            rest();
    }
    quiesce(slot);
}

static int enough(int fence, const struct updates *counts)
{
    for (size_t i = 0; i < READERS; i++) {
        const struct told *of_one = of(&slots[i]);
        if (rcu_load_relaxed(&of_one->sections) < rounds / 10 || rcu_load_relaxed(&of_one->overlaps) < ENOUGH ||
            rcu_load_relaxed(&of_one->enters) < ENOUGH || rcu_load_relaxed(&of_one->enters_parked) < ENOUGH ||
            rcu_load_relaxed(&of_one->exits) < ENOUGH)
            return 0;
    }
    return counts->updates >= rounds / 10 && counts->waits >= ENOUGH && counts->skips >= ENOUGH &&
           (fence || counts->parked >= ENOUGH);
}

void test_readers(int fence)
{
    struct thread threads[READERS];
    struct updates counts = {0, 0, 0, 0};
    domain.gp_seq = domain.gp_done = RCU_SEQ_FIRST;
    shared = new_object();
    stop = 0;
    for (size_t i = 0; i < READERS; i++) {
        attach(i, fence);
        spawn(&threads[i], read_on, &slots[i]);
    }
    uint64_t began = rcu_clock();
    while (!enough(fence, &counts)) {
        struct object *old = rcu_xchg_pointer(&shared, new_object());
        synchronize(&counts, fence);
        destroy(old);
        ENSURE_PATIENCE(began);
    }
    rcu_store_release(&stop, 1);
    for (size_t i = 0; i < READERS; i++)
        join(&threads[i]);
    destroy(shared);
    struct told sum = {0, 0, 0, 0, 0};
    for (size_t i = 0; i < READERS; i++) {
        sum.sections += of(&slots[i])->sections;
        sum.overlaps += of(&slots[i])->overlaps;
        sum.enters += of(&slots[i])->enters;
        sum.enters_parked += of(&slots[i])->enters_parked;
        sum.exits += of(&slots[i])->exits;
    }
    CHECK(sum.sections > 0 && sum.overlaps > 0 && counts.waits > 0);
    if (fence) /* an enter is one slow half or the other; so is each exit */
        CHECK_EQUAL(sum.enters + sum.enters_parked, sum.sections);
    printf("readers (%s): %" PRIu64 " sections, %" PRIu64 " over a publication, slow halves %" PRIu64 " + %" PRIu64
           " + %" PRIu64 "; %" PRIu64 " updates, %" PRIu64 " waited, %" PRIu64 " skipped the barrier\n",
           fence ? RCU_FENCE_FLAVOR : RCU_HEAVY_FLAVOR, sum.sections, sum.overlaps, sum.enters, sum.enters_parked,
           sum.exits, counts.updates, counts.waits, counts.skips);
}
