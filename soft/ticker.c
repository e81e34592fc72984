/*
 * A thread that makes running vCPUs look at their timers. The interpreter looks after so many
 * branches; translated code counts nothing, so somebody has to ask for attention. While no vCPU
 * runs the thread sleeps for good.
 */
#include <errno.h>
#include <time.h>

#include "soft/vcpu.h"

#define TICK_NS 1000000

/* Kick all that execute guest code now; were there any? */
static bool tick(struct soft_vm *vm)
{
    bool any = false;

    lock_acquire(&vm->lock);
    for (unsigned n = 0; n < vm->vcpu_end; n++) {
        struct soft_vcpu *v = vm->vcpu[n];
        if (v && atomic_load(&v->in_guest)) {
            cpu_attend(&v->cpu, ATTENTION_LOOK);
            any = true;
        }
    }
    lock_release(&vm->lock);
    return any;
}

/* Is there nobody to kick? Then `idle` is set, and whoever enters the guest from now on clears it.
 */
static bool all_idle(struct soft_vm *vm)
{
    if (tick(vm))
        return false;
    atomic_store(&vm->ticker.idle, true);
    if (!tick(vm))
        return true;
    atomic_store(&vm->ticker.idle, false);
    return false;
}

static void *ticker_main(void *arg)
{
    struct soft_vm *vm = arg;
    struct ticker *t = &vm->ticker;
    const struct timespec period = { .tv_nsec = TICK_NS };

    for (unsigned n = 0;; n++) {
        nanosleep(&period, NULL);
        if (n % LOAD_PERIOD == 0)
            load_sample(&vm->load);
        bool idle = all_idle(vm);
        lock_acquire(&t->lock);
        while (idle && atomic_load(&t->idle) && !t->stop)
            pthread_cond_wait(&t->cond, &t->lock.mutex);
        bool stop = t->stop;
        lock_release(&t->lock);
        if (stop)
            return NULL;
    }
}

int ticker_start(struct soft_vm *vm)
{
    struct ticker *t = &vm->ticker;

    if (t->started)
        return 0;
    lock_init(&t->lock, LOCK_HOST);
    pthread_cond_init(&t->cond, NULL);
    int err = pthread_create(&t->thread, NULL, ticker_main, vm);
    t->started = err == 0;
    return -err;
}

void ticker_stop(struct soft_vm *vm)
{
    struct ticker *t = &vm->ticker;

    if (!t->started)
        return;
    lock_acquire(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->cond);
    lock_release(&t->lock);
    pthread_join(t->thread, NULL);
    pthread_cond_destroy(&t->cond);
    lock_fini(&t->lock);
}

void ticker_wake(struct soft_vm *vm)
{
    struct ticker *t = &vm->ticker;

    if (!atomic_load(&t->idle))
        return;
    lock_acquire(&t->lock);
    atomic_store(&t->idle, false);
    pthread_cond_signal(&t->cond);
    lock_release(&t->lock);
}
