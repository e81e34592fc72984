/*
 * Raw disk images: opening and locking, and one worker thread per disk that takes requests in the
 * order they came.
 *
 * One thread keeps a flush behind every write that was submitted before it, and a guest's disk is
 * one stream of requests anyway. An image is never probed for a format: what the guest wrote to its
 * first sector must not change what we do with the file.
 */
#include "host/disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"
#include "host/disk_os.h"

#define SECTOR 512
/* Pieces handed to one preadv() or pwritev(). */
#define BATCH 64
/* Zeroes written at a time where the host has no better way. */
#define ZEROES (64u << 10)

struct disk {
    int fd;
    uint64_t size;
    bool read_only;
    int sync_error; /* a failed flush: what it was about is lost, so no later one may succeed */
    pthread_t thread;

    struct lock lock; /* LOCK_HOST; guards what follows */
    pthread_cond_t wake, idle;
    struct disk_request *first, **last;
    unsigned in_flight; /* submitted, and done() has not returned yet */
    bool stop;
};

/* ------------------------------------------------------------------ one request */

/* Where a transfer is in its list of pieces. */
struct cursor {
    const struct iovec *iov;
    int count;
    size_t skip; /* bytes of iov[0] that are done */
};

static int cursor_batch(const struct cursor *c, struct iovec batch[BATCH])
{
    int n = c->count < BATCH ? c->count : BATCH;
    memcpy(batch, c->iov, (size_t)n * sizeof batch[0]);
    if (n > 0) {
        batch[0].iov_base = (uint8_t *)batch[0].iov_base + c->skip;
        batch[0].iov_len -= c->skip;
    }
    return n;
}

static void cursor_advance(struct cursor *c, size_t n)
{
    n += c->skip;
    while (c->count > 0 && n >= c->iov->iov_len) {
        n -= c->iov->iov_len;
        c->iov++;
        c->count--;
    }
    c->skip = n;
}

static int disk_transfer(const struct disk *d, const struct disk_request *r)
{
    struct cursor c = { .iov = r->iov, .count = r->iov_count };
    uint64_t offset = r->offset;
    cursor_advance(&c, 0); /* past empty pieces */
    while (c.count > 0) {
        struct iovec batch[BATCH];
        int n = cursor_batch(&c, batch);
        ssize_t done = r->op == DISK_READ ? preadv(d->fd, batch, n, (off_t)offset)
                                          : pwritev(d->fd, batch, n, (off_t)offset);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        if (done == 0)
            return -EIO; /* someone cut the file */
        offset += (uint64_t)done;
        cursor_advance(&c, (size_t)done);
    }
    return 0;
}

static int disk_write_zeroes(const struct disk *d, uint64_t offset, uint64_t length)
{
    static const uint8_t zeroes[ZEROES];
    int rc = disk_os_zero(d->fd, offset, length);
    if (rc != -EOPNOTSUPP)
        return rc;
    while (length > 0) {
        ssize_t done = pwrite(d->fd, zeroes, length < ZEROES ? length : ZEROES, (off_t)offset);
        if (done < 0 && errno != EINTR)
            return -errno;
        if (done > 0) {
            offset += (uint64_t)done;
            length -= (uint64_t)done;
        }
    }
    return 0;
}

static int disk_run(struct disk *d, const struct disk_request *r)
{
    int rc = 0;
    switch (r->op) {
    case DISK_READ:
    case DISK_WRITE:
        return disk_transfer(d, r);
    case DISK_FLUSH:
        if (d->sync_error == 0 && !d->read_only)
            d->sync_error = disk_os_sync(d->fd);
        return d->sync_error;
    case DISK_DISCARD:
        rc = disk_os_discard(d->fd, r->offset, r->length);
        return rc == -EOPNOTSUPP ? 0 : rc; /* it is only a hint */
    case DISK_WRITE_ZEROES:
        return disk_write_zeroes(d, r->offset, r->length);
    }
    return -EINVAL;
}

/* ------------------------------------------------------------------ the worker */

static void *disk_worker(void *arg)
{
    struct disk *d = arg;
    lock_acquire(&d->lock);
    for (;;) {
        while (!d->first && !d->stop)
            lock_wait(&d->lock, &d->wake, UINT64_MAX);
        struct disk_request *r = d->first;
        if (!r)
            break;
        d->first = r->next;
        if (!d->first)
            d->last = &d->first;
        lock_release(&d->lock);

        int rc = disk_run(d, r);
        if (rc < 0)
            log_limited(LOG_ERROR, "disk", "request failed on the host: %s", strerror(-rc));
        r->done(r, rc);

        lock_acquire(&d->lock);
        if (--d->in_flight == 0)
            pthread_cond_broadcast(&d->idle);
    }
    lock_release(&d->lock);
    return NULL;
}

/* Signals are for the threads that expect them. */
static int disk_start_worker(struct disk *d)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&d->thread, NULL, disk_worker, d);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -rc;
}

void disk_submit(struct disk *d, struct disk_request *r)
{
    assert(r->op == DISK_FLUSH || (r->offset <= d->size && r->length <= d->size - r->offset));
    assert(r->op == DISK_READ || r->op == DISK_FLUSH || !d->read_only);
    r->next = NULL;
    lock_acquire(&d->lock);
    *d->last = r;
    d->last = &r->next;
    d->in_flight++;
    pthread_cond_signal(&d->wake);
    lock_release(&d->lock);
}

void disk_drain(struct disk *d)
{
    lock_acquire(&d->lock);
    while (d->in_flight > 0)
        lock_wait(&d->lock, &d->idle, UINT64_MAX);
    lock_release(&d->lock);
}

/* ------------------------------------------------------------------ opening */

static int open_failed(struct err *e, const struct disk_options *o, int code)
{
    switch (code) {
    case ENOENT:
        return err_set(e, -code,
                       "--disk '%s': there is no such file; create it: truncate -s 4G '%s'",
                       o->path, o->path);
    case EACCES:
    case EPERM:
    case EROFS:
        if (!o->read_only)
            return err_set(e, -code,
                           "--disk '%s': it cannot be written (%s); change its permissions or add "
                           "',ro'",
                           o->path, strerror(code));
        break;
    case EBUSY:
        return err_set(e, -code, "--disk '%s': this device is mounted or in use; unmount it first",
                       o->path);
    default:
        break;
    }
    return err_set(e, -code, "--disk '%s': cannot open it (%s)", o->path, strerror(code));
}

/* A second writer would destroy the guest's file system; readers may share. */
static int disk_lock(const struct disk *d, const struct disk_options *o, struct err *e)
{
    while (flock(d->fd, (d->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0) {
        int code = errno;
        if (code == EINTR)
            continue;
        if (code == EWOULDBLOCK)
            return err_set(e, -EBUSY,
                           "--disk '%s': it is in use by another process or given twice; stop that "
                           "process or make a copy",
                           o->path);
        log_warn("disk", "'%s' cannot be locked (%s); make sure that nothing else writes to it",
                 o->path, strerror(code));
        break;
    }
    return 0;
}

static int disk_check_size(const struct disk *d, const struct disk_options *o, struct err *e)
{
    if (d->size == 0)
        return err_set(e, -EINVAL, "--disk '%s': it is empty; give it a size: truncate -s 4G '%s'",
                       o->path, o->path);
    if (d->size % SECTOR)
        return err_set(e, -EINVAL,
                       "--disk '%s': its size of %llu bytes is not a multiple of 512; pad it: "
                       "truncate -s %%512 '%s'",
                       o->path, (unsigned long long)d->size, o->path);
    return 0;
}

/* Open, check and lock the file of `d`, whose fd is -1. */
static int disk_open_file(struct disk *d, const struct disk_options *o, struct err *e)
{
    struct stat st;
    /* O_EXCL: the kernel refuses a block device that is mounted. O_NONBLOCK: opening a FIFO must
     * not hang. */
    int flags = (o->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
    if (stat(o->path, &st) < 0)
        return open_failed(e, o, errno);
    if (S_ISDIR(st.st_mode))
        return err_set(e, -EISDIR, "--disk '%s': this is a directory; give a file or block device",
                       o->path);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return err_set(e, -EINVAL,
                       "--disk '%s': this is neither a regular file nor a block device; give one",
                       o->path);
    if (S_ISBLK(st.st_mode) && !o->read_only)
        flags |= O_EXCL;
    d->fd = open(o->path, flags);
    if (d->fd < 0 || fstat(d->fd, &st) < 0)
        return open_failed(e, o, errno);
    int rc = disk_lock(d, o, e);
    if (rc < 0)
        return rc;
    if (S_ISBLK(st.st_mode)) {
        rc = disk_os_device_size(d->fd, &d->size);
        if (rc < 0)
            return err_set(e, rc, "--disk '%s': cannot tell its size (%s)", o->path, strerror(-rc));
    } else {
        d->size = (uint64_t)st.st_size;
    }
    return disk_check_size(d, o, e);
}

int disk_open(const struct disk_options *options, struct disk **out, struct err *e)
{
    struct disk *d = calloc(1, sizeof *d);
    if (!d)
        return err_set(e, -ENOMEM, "--disk '%s': no memory", options->path);
    d->fd = -1;
    d->read_only = options->read_only;
    d->last = &d->first;
    lock_init(&d->lock, LOCK_HOST);
    cond_init(&d->wake);
    cond_init(&d->idle);
    int rc = disk_open_file(d, options, e);
    if (rc == 0) {
        rc = disk_start_worker(d);
        if (rc < 0)
            err_set(e, rc, "--disk '%s': cannot start its thread (%s)", options->path,
                    strerror(-rc));
    }
    if (rc < 0) {
        if (d->fd >= 0)
            close(d->fd);
        pthread_cond_destroy(&d->wake);
        pthread_cond_destroy(&d->idle);
        lock_fini(&d->lock);
        free(d);
        return rc;
    }
    *out = d;
    return 0;
}

void disk_close(struct disk *d)
{
    if (!d)
        return;
    lock_acquire(&d->lock);
    d->stop = true;
    pthread_cond_signal(&d->wake);
    lock_release(&d->lock);
    pthread_join(d->thread, NULL);
    close(d->fd);
    pthread_cond_destroy(&d->wake);
    pthread_cond_destroy(&d->idle);
    lock_fini(&d->lock);
    free(d);
}

uint64_t disk_size(const struct disk *d)
{
    return d->size;
}

bool disk_read_only(const struct disk *d)
{
    return d->read_only;
}
