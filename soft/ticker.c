/*
 * A thread that makes running vCPUs look at their timers. The interpreter looks after so many
 * branches; translated code counts nothing, so somebody has to ask for attention. While no vCPU
 * runs the thread sleeps for good.
 *
 * It asks once a millisecond while the vCPUs run code that is not warm yet, which is found by what
 * they are at when they are asked (soft/jit/runtime.c). Each time takes a core from one of them for
 * some 20 us, so when all that was found lately was warm, it asks when a timer is due, or after
 * four milliseconds. A vCPU that sets a timer to an earlier time wakes the thread, if that would be
 * late by more than one.
 */
#include <time.h>

#include "base/thread.h"
#include "soft/vcpu.h"

#define TICK (HVX_COUNTER_HZ / 1000)

/* Between two looks at most, once so many found warm code only. */
#define TICK_LONG   (4 * TICK)
#define LOOKS_QUIET 16

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

/* When to look next, if the last time was at `last`. */
static uint64_t next_look(struct soft_vm *vm, uint64_t last)
{
    struct ticker *t = &vm->ticker;
    bool quiet = t->quiet >= LOOKS_QUIET && !atomic_load(&t->warming) && !vm->check;
    uint64_t at = last + (quiet ? TICK_LONG : TICK);

    lock_acquire(&vm->lock);
    for (unsigned n = 0; quiet && n < vm->vcpu_end; n++) {
        uint64_t due = vm->vcpu[n] ? atomic_load(&vm->vcpu[n]->timer_due) : UINT64_MAX;
        if (due > last && due < at)
            at = due;
    }
    lock_release(&vm->lock);
    return at > last + TICK ? at : last + TICK;
}

/* Sleep until then. */
static void ticker_sleep(struct soft_vm *vm)
{
    struct ticker *t = &vm->ticker;
    uint64_t last = soft_ticks(), at;
    bool again = true;

    while (again) {
        do { /* who sets a timer looks at `next` afterwards */
            at = next_look(vm, last);
            atomic_store(&t->next, at);
        } while (next_look(vm, last) < at);
        lock_acquire(&t->lock);
        while (!t->stop && !t->hurry && soft_ticks() < at)
            (void)lock_wait(&t->lock, &t->cond, timer_deadline_ns(at));
        again = t->hurry && !t->stop;
        t->hurry = false;
        lock_release(&t->lock);
    }
}

static void *ticker_main(void *arg)
{
    struct soft_vm *vm = arg;
    struct ticker *t = &vm->ticker;
    thread_name("hv ticker");

    for (;;) {
        ticker_sleep(vm);
        t->quiet = atomic_exchange(&t->warming, false) ? 0 : t->quiet + 1;
        bool idle = all_idle(vm);
        lock_acquire(&t->lock);
        while (idle && atomic_load(&t->idle) && !t->stop)
            (void)lock_wait(&t->lock, &t->cond, UINT64_MAX);
        bool stop = t->stop;
        lock_release(&t->lock);
        if (stop)
            return NULL;
        if (idle) /* what runs next may be new */
            t->quiet = 0;
    }
}

void ticker_hurry(struct soft_vm *vm, uint64_t due)
{
    struct ticker *t = &vm->ticker;
    uint64_t next = atomic_load(&t->next);

    if (next < TICK || due >= next - TICK)
        return;
    lock_acquire(&t->lock);
    t->hurry = true;
    pthread_cond_signal(&t->cond);
    lock_release(&t->lock);
}

void ticker_note_warming(struct soft_vm *vm)
{
    if (!atomic_exchange(&vm->ticker.warming, true))
        ticker_hurry(vm, soft_ticks());
}

int ticker_start(struct soft_vm *vm)
{
    struct ticker *t = &vm->ticker;

    if (t->started)
        return 0;
    lock_init(&t->lock, LOCK_HOST);
    cond_init(&t->cond);
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
