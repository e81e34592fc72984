/*
 * A mapped file and its flushing thread.
 *
 * A write of the guest to a hole of the file would be a signal when the host's disk is full, so
 * holes are filled when the file is opened. What else can make the mapping fail (the host's storage
 * breaks, somebody makes the file shorter) ends the process, as if the memory were pulled out; the
 * lock keeps other machines away.
 *
 * A read-only file is mapped privately. The guest may write to it all the same, because its driver
 * knows no read-only memory and would not survive a fault; what it writes is a copy.
 */
#include "host/pmem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/log.h"
#include "base/thread.h"
#include "host/disk_os.h"
#include "host/memory.h"
#include "host/thread.h"

struct pmem {
    const char *path;
    bool read_only;
    int fd;
    uint64_t size;
    void *base; /* NULL: nothing is mapped */
    pthread_t thread;
    bool started;

    struct lock lock;
    pthread_cond_t changed;
    struct pmem_flush *first, **last; /* what waits */
    bool busy;                        /* some are being done */
    bool stop;
};

/* ------------------------------------------------------------------ flushing */

static int pmem_sync(const struct pmem *p)
{
    if (p->read_only)
        return 0;
    if (msync(p->base, p->size, MS_SYNC) < 0)
        return -errno;
    return disk_os_sync(p->fd);
}

/* Everything that waits is done by one sync. */
static void *pmem_thread(void *arg)
{
    struct pmem *p = arg;
    thread_name("pmem");
    lock_acquire(&p->lock);
    while (p->first || !p->stop) {
        if (!p->first) {
            lock_wait(&p->lock, &p->changed, UINT64_MAX);
            continue;
        }
        struct pmem_flush *f = p->first;
        p->first = NULL;
        p->last = &p->first;
        p->busy = true;
        lock_release(&p->lock);
        int result = pmem_sync(p);
        if (result < 0)
            log_warn("pmem", "'%s' cannot be brought to stable storage: %s", p->path,
                     strerror(-result));
        while (f) {
            struct pmem_flush *next = f->next;
            f->done(f, result);
            f = next;
        }
        lock_acquire(&p->lock);
        p->busy = false;
        pthread_cond_broadcast(&p->changed);
    }
    lock_release(&p->lock);
    return NULL;
}

void pmem_submit(struct pmem *p, struct pmem_flush *f)
{
    f->next = NULL;
    lock_acquire(&p->lock);
    *p->last = f;
    p->last = &f->next;
    pthread_cond_broadcast(&p->changed);
    lock_release(&p->lock);
}

void pmem_drain(struct pmem *p)
{
    lock_acquire(&p->lock);
    while (p->first || p->busy)
        lock_wait(&p->lock, &p->changed, UINT64_MAX);
    lock_release(&p->lock);
}

/* ------------------------------------------------------------------ opening */

static int pmem_check(struct pmem *p, struct err *e)
{
    struct stat st;
    if (fstat(p->fd, &st) < 0)
        return err_set(e, -errno, "--pmem '%s': cannot look at it: %s", p->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(e, -EINVAL, "--pmem '%s': this is no regular file; give one", p->path);
    p->size = (uint64_t)st.st_size;
    if (p->size == 0 || p->size % PMEM_ALIGN)
        return err_set(e, -EINVAL,
                       "--pmem '%s': its size is no multiple of 2 MiB; make it one: truncate -s "
                       "%%2M '%s'",
                       p->path, p->path);
    if (flock(p->fd, (p->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return err_set(e, -EBUSY,
                       "--pmem '%s': it is in use by another process or given twice; stop that "
                       "process or make a copy",
                       p->path);
    int r = p->read_only ? 0 : memory_fill_holes(p->fd, p->size);
    if (r < 0)
        return err_set(e, r, "--pmem '%s': its holes cannot be filled: %s", p->path, strerror(-r));
    return 0;
}

static int pmem_map(struct pmem *p, struct err *e)
{
    p->base = memory_reserve(p->size, PMEM_ALIGN);
    if (p->base &&
        mmap(p->base, p->size, PROT_READ | PROT_WRITE,
             (p->read_only ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED, p->fd, 0) != MAP_FAILED)
        return 0;
    return err_set(e, -errno, "--pmem '%s': cannot be mapped: %s", p->path, strerror(errno));
}

static int pmem_start(struct pmem *p, struct err *e)
{
    int r = thread_start(&p->thread, pmem_thread, p);
    p->started = r == 0;
    return r == 0 ? 0 : err_set(e, r, "--pmem '%s': no thread: %s", p->path, strerror(-r));
}

int pmem_open(const struct pmem_options *options, struct pmem **out, struct err *e)
{
    struct pmem *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(e, -ENOMEM, "--pmem '%s': no memory", options->path);
    p->path = options->path;
    p->read_only = options->read_only;
    p->last = &p->first;
    lock_init(&p->lock, LOCK_HOST);
    cond_init(&p->changed);
    p->fd = open(p->path, (p->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
    int r = p->fd < 0
                ? err_set(e, -errno, "--pmem '%s': cannot open it: %s", p->path, strerror(errno))
                : pmem_check(p, e);
    if (r == 0)
        r = pmem_map(p, e);
    if (r == 0)
        r = pmem_start(p, e);
    if (r < 0) {
        pmem_close(p);
        return r;
    }
    *out = p;
    return 0;
}

void pmem_close(struct pmem *p)
{
    if (!p)
        return;
    if (p->started) {
        lock_acquire(&p->lock);
        p->stop = true;
        pthread_cond_broadcast(&p->changed);
        lock_release(&p->lock);
        pthread_join(p->thread, NULL);
    }
    if (p->base)
        munmap(p->base, p->size);
    if (p->fd >= 0)
        close(p->fd);
    pthread_cond_destroy(&p->changed);
    lock_fini(&p->lock);
    free(p);
}

void *pmem_base(const struct pmem *p)
{
    return p->base;
}

uint64_t pmem_size(const struct pmem *p)
{
    return p->size;
}
