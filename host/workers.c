#include "host/workers.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/lock.h"
#include "base/thread.h"
#include "host/thread.h"

#define WORKERS_MAX 8

struct workers {
    pthread_t thread[WORKERS_MAX];
    unsigned threads;

    struct lock lock; /* LOCK_HOST; guards what follows */
    pthread_cond_t wake, idle;
    struct work *first, **last;
    unsigned waiting;   /* threads that have nothing to do */
    unsigned in_flight; /* submitted, and run() has not returned yet */
    bool stop;
};

static void *workers_thread(void *arg)
{
    struct workers *w = arg;
    thread_name("worker");
    lock_acquire(&w->lock);
    while (w->first || !w->stop) {
        struct work *work = w->first;
        if (!work) {
            w->waiting++;
            lock_wait(&w->lock, &w->wake, UINT64_MAX);
            w->waiting--;
            continue;
        }
        w->first = work->next;
        if (!w->first)
            w->last = &w->first;
        lock_release(&w->lock);
        work->run(work);
        lock_acquire(&w->lock);
        if (--w->in_flight == 0)
            pthread_cond_broadcast(&w->idle);
    }
    lock_release(&w->lock);
    return NULL;
}

int workers_create(unsigned count, struct workers **out)
{
    struct workers *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->last = &w->first;
    lock_init(&w->lock, LOCK_HOST);
    cond_init(&w->wake);
    cond_init(&w->idle);
    int rc = 0;
    while (rc == 0 && w->threads < count && w->threads < WORKERS_MAX) {
        rc = thread_start(&w->thread[w->threads], workers_thread, w);
        w->threads += rc == 0;
    }
    if (w->threads == 0) {
        workers_destroy(w);
        return rc;
    }
    *out = w;
    return 0;
}

void workers_destroy(struct workers *w)
{
    if (!w)
        return;
    lock_acquire(&w->lock);
    w->stop = true;
    pthread_cond_broadcast(&w->wake);
    lock_release(&w->lock);
    while (w->threads > 0)
        pthread_join(w->thread[--w->threads], NULL);
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->idle);
    lock_fini(&w->lock);
    free(w);
}

void workers_submit(struct workers *w, struct work *work)
{
    work->next = NULL;
    lock_acquire(&w->lock);
    *w->last = work;
    w->last = &work->next;
    w->in_flight++;
    if (w->waiting > 0)
        pthread_cond_signal(&w->wake);
    lock_release(&w->lock);
}

void workers_drain(struct workers *w)
{
    lock_acquire(&w->lock);
    while (w->in_flight > 0)
        lock_wait(&w->lock, &w->idle, UINT64_MAX);
    lock_release(&w->lock);
}
