/*
 * Shared folders: files that are open. Only regular files are opened, which the type of their node
 * tells: a FIFO would wait for its other end, and a device is the host's.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "host/share_node.h"
#include "host/share_os.h"

/* The most that one share_copy() copies, so that it does not keep a worker for long. */
#define COPY_MAX (64ull << 20)
/* The longest read that is done at once, in bytes. */
#define READ_NOW_MAX (256u << 10)
/* A file that changed so short a time ago may change again and have the same times. */
#define STAMP_AGE_NS 100000000

static bool range_is_good(uint64_t offset, uint64_t length)
{
    return offset <= INT64_MAX && length <= INT64_MAX - offset;
}

/* ------------------------------------------------------------------ opening */

static int open_flags(unsigned flags)
{
    int mode = !(flags & SHARE_WRITE) ? O_RDONLY : flags & SHARE_READ ? O_RDWR : O_WRONLY;
    return mode | (flags & SHARE_TRUNCATE ? O_TRUNC : 0);
}

/* The user's rights must not run what the guest writes (share.h). */
static int drop_set_id(int fd, const struct stat *st)
{
    if (!(st->st_mode & (S_ISUID | S_ISGID)))
        return 0;
    return fchmod(fd, st->st_mode & 01777) < 0 ? -errno : 0;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Is the file as it was at the last time? And remember how it is. */
static bool stamp_check(struct share *s, struct share_node *n, const struct stat *st)
{
    struct share_times times = share_os_times(st);
    int64_t now = (int64_t)clock_realtime(&clock_host);
    int64_t changed = (int64_t)times.ctime.tv_sec * 1000000000 + times.ctime.tv_nsec;
    lock_acquire(&s->lock);
    bool same = n->stamp.valid && n->stamp.size == st->st_size &&
                same_time(&n->stamp.mtime, &times.mtime) &&
                same_time(&n->stamp.ctime, &times.ctime);
    n->stamp = (struct share_stamp){ .valid = changed < now - STAMP_AGE_NS,
                                     .mtime = times.mtime,
                                     .ctime = times.ctime,
                                     .size = st->st_size };
    lock_release(&s->lock);
    return same;
}

/* `fd` was opened; it is closed if this fails. */
static int open_finish(struct share *s, struct share_node *n, int fd, unsigned flags,
                       uint64_t *handle, bool *unchanged)
{
    struct stat st;
    int rc = fstat(fd, &st) < 0 ? -errno : 0;
    if (rc == 0 && (flags & SHARE_WRITE))
        rc = drop_set_id(fd, &st);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    *unchanged = stamp_check(s, n, &st);
    return share_handle_enter(s, n, fd, NULL, flags, handle);
}

static int open_node(struct share *s, struct share_node *n, unsigned flags, bool now,
                     uint64_t *handle, bool *unchanged)
{
    if (S_ISDIR(n->type))
        return -EISDIR;
    if (S_ISLNK(n->type))
        return -ELOOP;
    if (!S_ISREG(n->type))
        return -EACCES;
    if (flags & SHARE_TRUNCATE)
        share_node_changed(s, n);
    int fd = share_os_reopen(n->fd, open_flags(flags) | (now ? O_NONBLOCK : 0));
    return fd < 0 ? fd : open_finish(s, n, fd, flags, handle, unchanged);
}

int share_open_file(struct share *s, uint64_t node, unsigned flags, bool now, uint64_t *handle,
                    bool *unchanged)
{
    if (!(flags & (SHARE_READ | SHARE_WRITE)))
        return -EINVAL;
    if (s->read_only && (flags & (SHARE_WRITE | SHARE_TRUNCATE)))
        return -EROFS;
    if (flags & SHARE_TRUNCATE)
        flags |= SHARE_WRITE;
    struct share_node *n = share_node_get(s, node);
    if (!n)
        return -ESTALE;
    int rc = -EAGAIN;
    if (!now || (s->local && n->dev == s->dev && !(flags & SHARE_WRITE)))
        rc = open_node(s, n, flags, now, handle, unchanged);
    share_node_put(s, n);
    return rc;
}

/* ------------------------------------------------------------------ data */

/* A handle of a file. */
static struct share_handle *file_get(struct share *s, uint64_t handle, unsigned want)
{
    struct share_handle *h = share_handle_get(s, handle, want);
    if (h && h->dir) {
        share_handle_put(s, h);
        h = NULL;
    }
    return h;
}

/* What the host has in memory, if that is all up to the end of the file or of the pieces. */
static int64_t read_now(int fd, uint64_t offset, const struct iovec *iov, int count)
{
    uint64_t size = 0;
    struct stat st;
    for (int i = 0; i < count; i++)
        size += iov[i].iov_len;
    if (size > READ_NOW_MAX)
        return -EAGAIN;
    int64_t n = share_os_read_now(fd, iov, count, offset);
    if (n < 0 || (uint64_t)n == size)
        return n;
    return fstat(fd, &st) == 0 && (uint64_t)st.st_size <= offset + (uint64_t)n ? n : -EAGAIN;
}

int64_t share_read(struct share *s, uint64_t handle, uint64_t offset, const struct iovec *iov,
                   int count, bool now)
{
    int64_t n;
    if (!range_is_good(offset, 0))
        return -EINVAL;
    struct share_handle *h = file_get(s, handle, SHARE_READ);
    if (!h)
        return -EBADF;
    if (now) {
        n = read_now(h->fd, offset, iov, count);
    } else {
        do
            n = preadv(h->fd, iov, count, (off_t)offset);
        while (n < 0 && errno == EINTR);
        n = n < 0 ? -errno : n;
    }
    share_handle_put(s, h);
    return n;
}

int64_t share_write(struct share *s, uint64_t handle, uint64_t offset, const struct iovec *iov,
                    int count, bool cached)
{
    int64_t n;
    if (!range_is_good(offset, 0))
        return -EFBIG;
    struct share_handle *h = file_get(s, handle, SHARE_WRITE);
    if (!h)
        return -EBADF;
    share_node_changed(s, h->node);
    if ((h->flags & SHARE_APPEND) && !cached) {
        n = share_os_append(h->fd, iov, count, offset);
    } else {
        do
            n = pwritev(h->fd, iov, count, (off_t)offset);
        while (n < 0 && errno == EINTR);
        n = n < 0 ? -errno : n;
    }
    share_handle_put(s, h);
    return n;
}

int share_flush(struct share *s, uint64_t handle)
{
    struct share_handle *h = file_get(s, handle, 0);
    if (!h)
        return -EBADF;
    int copy = h->flags & SHARE_WRITE ? fcntl(h->fd, F_DUPFD_CLOEXEC, 0) : -1;
    int rc = copy >= 0 && close(copy) < 0 && errno != EINTR ? -errno : 0;
    share_handle_put(s, h);
    return rc;
}

int share_fsync(struct share *s, uint64_t handle, bool data_only)
{
    struct share_handle *h = share_handle_get(s, handle, 0);
    if (!h)
        return -EBADF;
    int rc = share_os_sync(h->fd, data_only);
    share_handle_put(s, h);
    return rc;
}

int share_fallocate(struct share *s, uint64_t handle, unsigned mode, uint64_t offset,
                    uint64_t length)
{
    if (!range_is_good(offset, length) || length == 0)
        return -EINVAL;
    if (mode & ~(unsigned)(SHARE_KEEP_SIZE | SHARE_PUNCH_HOLE | SHARE_ZERO_RANGE))
        return -EOPNOTSUPP;
    struct share_handle *h = file_get(s, handle, SHARE_WRITE);
    if (!h)
        return -EBADF;
    share_node_changed(s, h->node);
    int rc = share_os_fallocate(h->fd, mode, offset, length);
    share_handle_put(s, h);
    return rc;
}

int64_t share_seek(struct share *s, uint64_t handle, uint64_t offset, bool hole)
{
    if (!range_is_good(offset, 0))
        return -ENXIO;
    struct share_handle *h = file_get(s, handle, 0);
    if (!h)
        return -EBADF;
    off_t at = lseek(h->fd, (off_t)offset, hole ? SEEK_HOLE : SEEK_DATA);
    int64_t result = at < 0 ? -errno : at;
    share_handle_put(s, h);
    return result;
}

int64_t share_copy(struct share *s, uint64_t from, uint64_t from_offset, uint64_t to,
                   uint64_t to_offset, uint64_t length)
{
    if (!range_is_good(from_offset, 0) || !range_is_good(to_offset, 0))
        return -EINVAL;
    struct share_handle *in = file_get(s, from, SHARE_READ);
    struct share_handle *out = file_get(s, to, SHARE_WRITE);
    int64_t n = -EBADF;
    if (in && out) {
        share_node_changed(s, out->node);
        n = share_os_copy(in->fd, from_offset, out->fd, to_offset,
                          length < COPY_MAX ? length : COPY_MAX);
    }
    if (in)
        share_handle_put(s, in);
    if (out)
        share_handle_put(s, out);
    return n;
}
