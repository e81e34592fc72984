/*
 * A mutex with a rank. A thread may only take a lock of a higher rank than every lock it holds, so
 * no two threads can wait for each other. Debug builds (LOCK_CHECK) check this on every lock;
 * release builds pay nothing.
 * Most are held for less than it takes to sleep and be woken, so with glibc who finds one taken
 * looks some times before it sleeps.
 *
 * The order is the enum: vm, then device, then gic, then vcpu, then host, then code, then memory.
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

enum lock_rank { LOCK_VM = 1, LOCK_DEVICE, LOCK_GIC, LOCK_VCPU, LOCK_HOST, LOCK_CODE, LOCK_MEMORY };

struct lock {
    pthread_mutex_t mutex;
    enum lock_rank rank;
};

void lock_init(struct lock *l, enum lock_rank rank);
void lock_fini(struct lock *l);
void lock_acquire(struct lock *l);
void lock_release(struct lock *l);
/* Acquire it if nobody has it. */
bool lock_try(struct lock *l) MUST_CHECK;

/* Wait on `c` with `l` held. Returns 0, or ETIMEDOUT when `deadline_ns` (CLOCK_MONOTONIC, see
 * cond_init()) passed; UINT64_MAX waits for ever. */
int lock_wait(struct lock *l, pthread_cond_t *c, uint64_t deadline_ns);

/* A condition variable whose deadlines are host-monotonic nanoseconds. */
void cond_init(pthread_cond_t *c);

#endif
