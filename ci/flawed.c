/* What a sanitizer must not miss, for the scripts to see that it is at work: loaded into the interpreter and called
 * there, each function commits one error. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static int shared;

static void *write_shared(void *unused)
{
    shared++;
    return unused;
}

/* Two threads write a plain variable, and nothing orders them. */
void flawed_race(void)
{
    pthread_t other;
    if (pthread_create(&other, 0, write_shared, 0) != 0)
        abort();
    shared++;
    pthread_join(other, 0);
}

/* The only pointer to a block goes. */
void flawed_leak(void)
{
    char *volatile block = malloc(100);
    memset(block, 1, 100);
    block = 0;
}

/* Reads behind the end of a block. */
int flawed_overflow(void)
{
    char *volatile block = calloc(1, 100);
    int value = block[100];
    free(block);
    return value;
}

/* Shifts by more than there is. */
int flawed_shift(int by)
{
    return 1 << by;
}
