/* Tests the headers on their own: one line for each part, then the number of checks and the flavor. Ends at the
 * first check that fails, with what was expected and what was found.
 *
 *   RCU_FLAVOR=fence   takes the fence flavor where the system has a better one, as in the package
 *   RCU_ROUNDS=N       how often a race is tried */
#include "check.h"

uint64_t checks;
uint64_t rounds = 100000;
static uint64_t heavy_barriers;

#if defined(RCU_TEST_STAND_IN)
/* Wine's FlushProcessWriteBuffers may be a stub. Behind it, this does what that of Windows does, by the system call
 * of the Linux below, so that the rest can be tested there. */
static long linux_membarrier(long command)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(324L), "D"(command), "S"(0L), "d"(0L) : "rcx", "r11", "memory");
    return result;
}

static int stand_in_prepare(int refused)
{
    CHECK_EQUAL(refused, ERROR_CALL_NOT_IMPLEMENTED);
    return linux_membarrier(16) != 0 || linux_membarrier(8) != 0;
}
#endif

void updater_barrier(int fence)
{
    if (fence) {
        rcu_full_barrier();
        return;
    }
    ENSURE_EQUAL(rcu_heavy_barrier(), 0);
#if defined(RCU_TEST_STAND_IN)
    ENSURE_EQUAL(linux_membarrier(8), 0);
#endif
    heavy_barriers++; /* by the main thread only */
}

/* 1: the fence flavor, as the package chooses it. */
static int choose_flavor(void)
{
    const char *wanted = getenv("RCU_FLAVOR");
    if (wanted != NULL && strcmp(wanted, "fence") == 0)
        return 1;
#if defined(__linux__) && !defined(RCU_NO_HEAVY_BARRIER)
    CHECK(rcu_heavy_barrier() != 0); /* an error is told: the process has not registered yet */
#endif
    int refused = rcu_heavy_prepare();
#if defined(RCU_NO_HEAVY_BARRIER)
    CHECK_EQUAL(refused, RCU_HEAVY_MISSING);
    CHECK_EQUAL(rcu_heavy_barrier(), RCU_HEAVY_MISSING);
    CHECK_EQUAL(strcmp(RCU_HEAVY_FLAVOR, RCU_FENCE_FLAVOR), 0);
#endif
    CHECK_EQUAL(rcu_heavy_prepare(), refused); /* as a fork child asks again */
#if defined(RCU_TEST_STAND_IN)
    refused = stand_in_prepare(refused);
#endif
    if (refused != 0)
        printf("barrier: the heavy one is refused (error %d)\n", refused);
    else
        updater_barrier(0);
    return refused != 0;
}

int main(void)
{
    const char *wanted = getenv("RCU_ROUNDS");
    if (wanted != NULL)
        rounds = strtoull(wanted, NULL, 10);
    CHECK(rounds >= 1000); /* fewer show nothing */
    int fence = choose_flavor();
    test_layout();
    test_atomics();
    test_pointers();
    test_threads();
    test_thread_ends();
    test_forks();
    test_sections();
    test_litmus(fence);
    if (!fence)
        test_readers(0);
    test_readers(1);
    test_lists();
    test_arrays();
    printf("barriers: %" PRIu64 " heavy\n", heavy_barriers);
    if (!fence)
        CHECK(heavy_barriers > rounds);
    printf("checks: %" PRIu64 "\n", checks);
    printf("flavor: %s\n", fence ? RCU_FENCE_FLAVOR : RCU_HEAVY_FLAVOR);
    return EXIT_SUCCESS;
}
