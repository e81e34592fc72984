/*
 * Memory that will be needed soon, made by a thread of its own.
 *
 * Code and tables grow steadily, so it is known what they will take next. To make it takes the host
 * long, a large page most of all; on a host that is a virtual machine itself, whose memory is made
 * when it is first touched, as long as some thousand instructions take to translate. Nothing
 * depends on it: what was asked for may be used at once, and is made by faults then.
 */
#include "base/thread.h"
#include "soft/jit/runtime.h"

static void *ahead_main(void *arg)
{
    struct jit_ahead *a = arg;
    thread_name("hv jit memory");

    lock_acquire(&a->lock);
    for (;;) {
        while (a->count == 0 && !a->stop)
            (void)lock_wait(&a->lock, &a->cond, UINT64_MAX);
        if (a->stop)
            break;
        struct jit_ahead_job job = a->job[a->first];
        a->first = (a->first + 1) % JIT_AHEAD_JOBS;
        a->count--;
        lock_release(&a->lock);
        job.make(job.at, job.size);
        lock_acquire(&a->lock);
    }
    lock_release(&a->lock);
    return NULL;
}

void jit_ahead_init(struct jit_ahead *a)
{
    lock_init(&a->lock, LOCK_MEMORY);
    cond_init(&a->cond);
}

/* As late as something is asked for: many VMs never run so much code. */
static bool is_started(struct jit_ahead *a)
{
    if (!a->started && !a->failed) {
        a->started = pthread_create(&a->thread, NULL, ahead_main, a) == 0;
        a->failed = !a->started;
    }
    return a->started;
}

bool jit_ahead_ask(struct jit_ahead *a, jit_ahead_maker *make, void *at, size_t size)
{
    if (a->off)
        return false;
    lock_acquire(&a->lock);
    bool ok = is_started(a) && a->count < JIT_AHEAD_JOBS;
    if (ok) {
        a->job[(a->first + a->count++) % JIT_AHEAD_JOBS] = (struct jit_ahead_job){ make, at, size };
        pthread_cond_signal(&a->cond);
    }
    lock_release(&a->lock);
    return ok;
}

void jit_ahead_end(struct jit_ahead *a)
{
    if (a->started) {
        lock_acquire(&a->lock);
        a->stop = true;
        pthread_cond_signal(&a->cond);
        lock_release(&a->lock);
        pthread_join(a->thread, NULL);
    }
    pthread_cond_destroy(&a->cond);
    lock_fini(&a->lock);
}
