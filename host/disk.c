/*
 * The worker threads of a disk. They take requests in the order they came and finish them in any;
 * a flush covers what was complete before it was submitted, which is all that its submitter may
 * rely on. Each disk has its own, so a stalled one stalls only itself.
 *
 * Two changes of threads for each request are lost time for a guest that waits for it. So its vCPU
 * does itself what needs no waiting: reads of what the host has in memory, and writes into the
 * host's memory, as long as these show that it does wait. They earn credit by being over when the
 * next request comes; with some, the next few are done at once; then one by a worker has to show it
 * again. The host may hold a writer back: a slow one costs the credit of many.
 */
#include "host/disk.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/thread.h"
#include "host/image.h"
#include "host/thread.h"
#include "host/throttle.h"

/* Requests of one disk that are under way on the host at once. */
#define WORKERS 4

/* Requests in a row that were over before the next came, and writes that may then be done at once.
 */
#define CREDIT_TRIES  4
#define CREDIT_WRITES 16
#define CREDIT_SLOW   (-64)
#define SLOW_NS       20000000u

struct disk {
    struct image *image;
    bool write_through;
    atomic_int sync_error; /* a failed flush: what it was about is lost, so no later one succeeds */
    bool limited;
    atomic_uint running; /* submitted, and not about to be answered */
    atomic_int credit;
    pthread_t worker[WORKERS];
    unsigned workers;

    struct lock lock; /* LOCK_HOST; guards what follows */
    pthread_cond_t wake, idle;
    struct disk_request *first, **last;
    unsigned in_flight; /* submitted, and done() has not returned yet */
    unsigned hurry;     /* limits do not count */
    bool stop;
    struct throttle requests, bytes;
};

/* ------------------------------------------------------------------ one request */

static int disk_flush(struct disk *d)
{
    if (d->image->read_only)
        return 0;
    int failed = atomic_load(&d->sync_error);
    if (failed == 0) {
        failed = d->image->ops->flush(d->image);
        if (failed < 0)
            atomic_store(&d->sync_error, failed);
    }
    return failed;
}

static int disk_run(struct disk *d, const struct disk_request *r)
{
    struct image *image = d->image;
    struct cursor c = { .iov = r->iov, .count = r->iov_count };
    int rc = 0;
    switch (r->op) {
    case DISK_READ:
        return image->ops->read(image, r->offset, r->length, &c);
    case DISK_WRITE:
        return image->ops->write(image, r->offset, r->length, &c);
    case DISK_FLUSH:
        return disk_flush(d);
    case DISK_DISCARD:
        rc = image->ops->discard(image, r->offset, r->length);
        return rc == -EOPNOTSUPP ? 0 : rc; /* it is only a hint */
    case DISK_WRITE_ZEROES:
        return image->ops->zero(image, r->offset, r->length);
    }
    return -EINVAL;
}

/* ------------------------------------------------------------------ what is done at once */

static void disk_count_start(struct disk *d)
{
    if (atomic_fetch_add(&d->running, 1) > 0)
        atomic_store(&d->credit, 0);
}

/* To be called before the guest learns of it. */
static void disk_count_end(struct disk *d)
{
    if (atomic_fetch_sub(&d->running, 1) > 1)
        return;
    int credit = atomic_load(&d->credit) + 1;
    atomic_store(&d->credit, credit < CREDIT_TRIES ? credit : CREDIT_TRIES + CREDIT_WRITES);
}

static int disk_write_now(struct disk *d, const struct disk_request *r, struct cursor *c)
{
    struct image *image = d->image;
    int credit = atomic_load(&d->credit);
    if (!image->ops->write_now || d->write_through || credit <= CREDIT_TRIES ||
        atomic_load(&d->running) > 0)
        return -EAGAIN;
    uint64_t start = clock_monotonic_ns();
    int rc = image->ops->write_now(image, r->offset, r->length, c);
    if (rc < 0)
        return -EAGAIN; /* a worker tries again, and tells */
    bool slow = clock_monotonic_ns() - start > SLOW_NS;
    /* After the last one the next request has to be over in time again. */
    credit = credit - 1 > CREDIT_TRIES ? credit - 1 : CREDIT_TRIES - 1;
    atomic_store(&d->credit, slow ? CREDIT_SLOW : credit);
    return 0;
}

int disk_run_now(struct disk *d, const struct disk_request *r)
{
    struct cursor c = { .iov = r->iov, .count = r->iov_count };
    assert(r->offset <= d->image->size && r->length <= d->image->size - r->offset);
    assert(r->op == DISK_READ || (r->op == DISK_WRITE && !d->image->read_only));
    if (d->limited)
        return -EAGAIN;
    if (r->op == DISK_WRITE)
        return disk_write_now(d, r, &c);
    if (!d->image->ops->read_now)
        return -EAGAIN;
    return d->image->ops->read_now(d->image, r->offset, r->length, &c);
}

/* ------------------------------------------------------------------ the workers */

/* Take the first request; the lock is held. NULL if there is none, or none may start before
 * `*until`. */
static struct disk_request *disk_take(struct disk *d, uint64_t *until)
{
    struct disk_request *r = d->first;
    *until = UINT64_MAX;
    if (!r)
        return NULL;
    if (d->limited && r->op != DISK_FLUSH) {
        uint64_t now = clock_monotonic_ns();
        uint64_t next = d->requests.next > d->bytes.next ? d->requests.next : d->bytes.next;
        if (next > now && !d->hurry && !d->stop) {
            *until = next;
            return NULL;
        }
        throttle_charge(&d->requests, 1, now);
        if (r->op == DISK_READ || r->op == DISK_WRITE)
            throttle_charge(&d->bytes, r->length, now);
    }
    d->first = r->next;
    if (!d->first)
        d->last = &d->first;
    return r;
}

static void *disk_worker(void *arg)
{
    struct disk *d = arg;
    thread_name("disk");
    lock_acquire(&d->lock);
    for (;;) {
        uint64_t until;
        struct disk_request *r = disk_take(d, &until);
        if (!r && !d->first && d->stop)
            break;
        if (!r) {
            lock_wait(&d->lock, &d->wake, until);
            continue;
        }
        lock_release(&d->lock);

        int rc = disk_run(d, r);
        if (rc < 0)
            log_limited(LOG_ERROR, "disk", "request failed on the host: %s", strerror(-rc));
        disk_count_end(d);
        r->done(r, rc);

        lock_acquire(&d->lock);
        if (--d->in_flight == 0)
            pthread_cond_broadcast(&d->idle);
    }
    lock_release(&d->lock);
    return NULL;
}

static int disk_start_workers(struct disk *d)
{
    int rc = 0;
    while (rc == 0 && d->workers < WORKERS) {
        rc = thread_start(&d->worker[d->workers], disk_worker, d);
        d->workers += rc == 0;
    }
    return d->workers > 0 ? 0 : rc;
}

void disk_submit(struct disk *d, struct disk_request *r)
{
    uint64_t size = d->image->size;
    assert(r->op == DISK_FLUSH || (r->offset <= size && r->length <= size - r->offset));
    assert(r->op == DISK_READ || r->op == DISK_FLUSH || !d->image->read_only);
    r->next = NULL;
    disk_count_start(d);
    lock_acquire(&d->lock);
    *d->last = r;
    d->last = &r->next;
    d->in_flight++;
    lock_release(&d->lock);
    pthread_cond_signal(&d->wake); /* now, so that who wakes does not wait for the lock */
}

void disk_hurry(struct disk *d, bool hurry)
{
    lock_acquire(&d->lock);
    d->hurry += hurry ? 1 : -1u;
    pthread_cond_broadcast(&d->wake);
    lock_release(&d->lock);
}

void disk_drain(struct disk *d)
{
    disk_hurry(d, true);
    lock_acquire(&d->lock);
    while (d->in_flight > 0)
        lock_wait(&d->lock, &d->idle, UINT64_MAX);
    lock_release(&d->lock);
    disk_hurry(d, false);
}

/* ------------------------------------------------------------------ opening and closing */

static void disk_free(struct disk *d)
{
    lock_acquire(&d->lock);
    d->stop = true;
    pthread_cond_broadcast(&d->wake);
    lock_release(&d->lock);
    while (d->workers > 0)
        pthread_join(d->worker[--d->workers], NULL);
    if (d->image)
        d->image->ops->close(d->image);
    pthread_cond_destroy(&d->wake);
    pthread_cond_destroy(&d->idle);
    lock_fini(&d->lock);
    free(d);
}

int disk_open(const struct disk_options *options, struct disk **out, struct err *e)
{
    struct disk *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(e, -ENOMEM, "--disk '%s': no memory", options->path);
    d->write_through = options->cache == DISK_CACHE_WRITETHROUGH;
    d->requests.rate = options->iops;
    d->bytes.rate = options->bps;
    d->limited = options->iops || options->bps;
    d->last = &d->first;
    lock_init(&d->lock, LOCK_HOST);
    cond_init(&d->wake);
    cond_init(&d->idle);
    int rc = image_open(options, &d->image, e);
    if (rc == 0) {
        rc = disk_start_workers(d);
        if (rc < 0)
            err_set(e, rc, "--disk '%s': cannot start its threads (%s)", options->path,
                    strerror(-rc));
    }
    if (rc < 0) {
        disk_free(d);
        return rc;
    }
    *out = d;
    return 0;
}

void disk_close(struct disk *d)
{
    if (d)
        disk_free(d);
}

uint64_t disk_size(const struct disk *d)
{
    return d->image->size;
}

bool disk_read_only(const struct disk *d)
{
    return d->image->read_only;
}

bool disk_write_through(const struct disk *d)
{
    return d->write_through;
}
