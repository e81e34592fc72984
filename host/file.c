/*
 * Files that hold images. Opening refuses what cannot be one and locks against a second writer;
 * transfers go on after interruptions and short counts, and when the file is read past the host's
 * page cache (cache=none), whatever is not aligned goes through a buffer that is.
 */
#include "host/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "host/disk.h"
#include "host/disk_os.h"

/* Zeroes written at a time where the host has no better way; the aligned buffer. */
#define CHUNK (64u << 10)

/* ------------------------------------------------------------------ transfers */

/* One system call; EINTR is tried again. */
static ssize_t file_call(const struct file *f, bool write, const struct iovec *v, int n,
                         uint64_t offset)
{
    for (;;) {
        ssize_t done =
            write ? pwritev(f->fd, v, n, (off_t)offset) : preadv(f->fd, v, n, (off_t)offset);
        if (done >= 0)
            return done;
        if (errno != EINTR)
            return -errno;
    }
}

/* Transfer until all is done or the file ends; how many bytes. */
static int64_t file_transfer(const struct file *f, bool write, uint64_t offset, uint64_t length,
                             struct cursor *c)
{
    uint64_t done = 0;
    while (done < length) {
        struct iovec batch[CURSOR_BATCH];
        int n = cursor_batch(c, batch, CURSOR_BATCH, length - done);
        ssize_t now = file_call(f, write, batch, n, offset + done);
        if (now < 0)
            return now;
        if (now == 0)
            break;
        cursor_advance(c, (uint64_t)now);
        done += (uint64_t)now;
    }
    return (int64_t)done;
}

static int64_t file_one(const struct file *f, bool write, uint64_t offset, void *buffer,
                        size_t length)
{
    const struct iovec v = { buffer, length };
    return file_transfer(f, write, offset, length, &(struct cursor){ .iov = &v, .count = 1 });
}

/* Part of a transfer through the aligned buffer: [offset, offset + length) lies in a window of at
 * most CHUNK bytes. How many bytes there were. */
static int64_t file_window(const struct file *f, bool write, uint64_t offset, uint64_t length,
                           struct cursor *c, uint8_t *buffer)
{
    uint64_t start = offset & ~(uint64_t)(FILE_ALIGN - 1);
    uint64_t skip = offset - start;
    uint64_t window = (skip + length + FILE_ALIGN - 1) & ~(uint64_t)(FILE_ALIGN - 1);
    int64_t got = 0;
    if (!write || window != length) {
        got = file_one(f, false, start, buffer, window);
        if (got < 0)
            return got;
        memset(buffer + got, 0, window - (uint64_t)got);
    }
    if (write) {
        cursor_get(c, buffer + skip, length);
        got = file_one(f, true, start, buffer, window);
        return got < 0 ? got : (int64_t)length;
    }
    uint64_t there = (uint64_t)got < skip ? 0 : (uint64_t)got - skip;
    if (there > length)
        there = length;
    cursor_put(c, buffer + skip, there);
    return (int64_t)there;
}

static int64_t file_bounce(struct file *f, bool write, uint64_t offset, uint64_t length,
                           struct cursor *c)
{
    void *buffer;
    uint64_t done = 0;
    int64_t now = 0;
    if (posix_memalign(&buffer, FILE_ALIGN, CHUNK) != 0)
        return -ENOMEM;
    if (write)
        pthread_rwlock_wrlock(&f->blocks);
    while (done < length) {
        uint64_t n = CHUNK - (offset + done) % FILE_ALIGN;
        if (n > length - done)
            n = length - done;
        now = file_window(f, write, offset + done, n, c, buffer);
        if (now <= 0)
            break;
        done += (uint64_t)now;
    }
    if (write)
        pthread_rwlock_unlock(&f->blocks);
    free(buffer);
    return now < 0 ? now : (int64_t)done;
}

static bool file_is_aligned(uint64_t offset, uint64_t length, const struct cursor *c)
{
    uint64_t bits = offset | length;
    size_t skip = c->skip;
    for (int i = 0; i < c->count && length > 0; i++) {
        uint64_t n = c->iov[i].iov_len - skip < length ? c->iov[i].iov_len - skip : length;
        bits |= ((uintptr_t)c->iov[i].iov_base + skip) | n;
        length -= n;
        skip = 0;
    }
    return bits % FILE_ALIGN == 0;
}

int64_t file_readv(struct file *f, uint64_t offset, uint64_t length, struct cursor *c)
{
    if (f->direct && !file_is_aligned(offset, length, c))
        return file_bounce(f, false, offset, length, c);
    return file_transfer(f, false, offset, length, c);
}

int file_writev(struct file *f, uint64_t offset, uint64_t length, struct cursor *c)
{
    int64_t done;
    if (!f->direct) {
        done = file_transfer(f, true, offset, length, c);
    } else if (!file_is_aligned(offset, length, c)) {
        done = file_bounce(f, true, offset, length, c);
    } else {
        pthread_rwlock_rdlock(&f->blocks);
        done = file_transfer(f, true, offset, length, c);
        pthread_rwlock_unlock(&f->blocks);
    }
    if (done < 0)
        return (int)done;
    return (uint64_t)done == length ? 0 : -EIO;
}

int file_read(struct file *f, uint64_t offset, void *buffer, size_t length)
{
    const struct iovec v = { buffer, length };
    int64_t done = file_readv(f, offset, length, &(struct cursor){ .iov = &v, .count = 1 });
    if (done < 0)
        return (int)done;
    memset((uint8_t *)buffer + done, 0, length - (size_t)done);
    return 0;
}

int file_write(struct file *f, uint64_t offset, const void *buffer, size_t length)
{
    const struct iovec v = { (void *)(uintptr_t)buffer, length };
    return file_writev(f, offset, length, &(struct cursor){ .iov = &v, .count = 1 });
}

int file_sync(struct file *f)
{
    return f->no_sync ? 0 : disk_os_sync(f->fd);
}

int file_zero(struct file *f, uint64_t offset, uint64_t length)
{
    static const uint8_t zeroes[CHUNK] __attribute__((aligned(FILE_ALIGN)));
    int rc = disk_os_zero(f->fd, offset, length);
    if (rc != -EOPNOTSUPP)
        return rc;
    for (rc = 0; rc == 0 && length > 0;) {
        uint64_t now = length < CHUNK ? length : CHUNK;
        rc = file_write(f, offset, zeroes, now);
        offset += now;
        length -= now;
    }
    return rc;
}

/* ------------------------------------------------------------------ opening */

static int open_failed(struct err *e, const struct disk_options *o, int code)
{
    switch (code) {
    case ENOENT:
        if (o->format == DISK_FORMAT_QCOW2)
            return err_set(
                e, -code,
                "--disk '%s': there is no such file; create it: qemu-img create -f qcow2 "
                "'%s' 4G",
                o->path, o->path);
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
static int file_lock(const struct file *f, const struct disk_options *o, struct err *e)
{
    while (flock(f->fd, (f->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) < 0) {
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

static int file_go_direct(struct file *f, const struct disk_options *o, struct err *e)
{
    int rc = disk_os_direct(f->fd);
    if (rc < 0)
        return err_set(e, rc,
                       "--disk '%s': its file system cannot be used without the host's cache; "
                       "leave ',cache=none' out",
                       o->path);
    f->direct = true;
    return 0;
}

/* Find out what is at the path, before it is opened: opening a device may have effects. */
static int file_check_kind(const struct disk_options *o, struct stat *st, struct err *e)
{
    if (stat(o->path, st) < 0)
        return open_failed(e, o, errno);
    if (S_ISDIR(st->st_mode))
        return err_set(e, -EISDIR, "--disk '%s': this is a directory; give a file or block device",
                       o->path);
    if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
        return err_set(e, -EINVAL,
                       "--disk '%s': this is neither a regular file nor a block device; give one",
                       o->path);
    return 0;
}

static int file_prepare(struct file *f, const struct disk_options *o, struct err *e)
{
    struct stat st;
    if (fstat(f->fd, &st) < 0)
        return open_failed(e, o, errno);
    int rc = file_lock(f, o, e);
    if (rc < 0)
        return rc;
    f->size = (uint64_t)st.st_size;
    f->device = S_ISBLK(st.st_mode);
    f->no_sync = o->cache == DISK_CACHE_UNSAFE;
    if (f->device)
        rc = disk_os_device_size(f->fd, &f->size);
    if (rc < 0)
        return err_set(e, rc, "--disk '%s': cannot tell its size (%s)", o->path, strerror(-rc));
    return o->cache == DISK_CACHE_NONE ? file_go_direct(f, o, e) : 0;
}

int file_open(struct file *f, const struct disk_options *o, struct err *e)
{
    struct stat st;
    *f = (struct file){ .fd = -1, .read_only = o->read_only };
    int rc = file_check_kind(o, &st, e);
    if (rc < 0)
        return rc;
    /* O_EXCL: the kernel refuses a block device that is mounted. O_NONBLOCK: opening a FIFO that
     * took the file's place must not hang. */
    int flags = (o->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK;
    if (S_ISBLK(st.st_mode) && !o->read_only)
        flags |= O_EXCL;
    f->fd = open(o->path, flags);
    if (f->fd < 0)
        return open_failed(e, o, errno);
    rc = file_prepare(f, o, e);
    if (rc < 0) {
        close(f->fd);
        f->fd = -1;
        return rc;
    }
    pthread_rwlock_init(&f->blocks, NULL);
    return 0;
}

void file_close(struct file *f)
{
    if (f->fd < 0)
        return;
    pthread_rwlock_destroy(&f->blocks);
    close(f->fd);
    f->fd = -1;
}
