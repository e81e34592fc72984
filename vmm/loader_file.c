/*
 * The loader's files: opened and checked, read once, to a blob or straight to guest memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "vmm/loader_formats.h"

/* A large file is read by this many threads, each at least so many bytes. Parts begin at large
 * pages of the host, or two threads would clear the same one. */
#define READ_PARTS      4u
#define READ_PART_MIN   ((size_t)4 << 20)
#define READ_PART_ALIGN ((size_t)2 << 20)

void loader_close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* Make room for more bytes: double, but never more than `limit` + 1, one byte beyond what will be
 * accepted. */
static int blob_grow(struct loader_blob *b, uint64_t *capacity, uint64_t limit)
{
    uint64_t want = *capacity * 2;
    if (want > limit + 1)
        want = limit + 1;
    uint8_t *bytes = realloc(b->bytes, want);
    if (!bytes)
        return -ENOMEM;
    b->bytes = bytes;
    *capacity = want;
    return 0;
}

/* Read to the end of file or one byte beyond `limit`. */
static int blob_fill(struct loader_blob *b, int fd, uint64_t capacity, uint64_t limit)
{
    for (;;) {
        int rc = b->bytes && b->size < capacity ? 0 : blob_grow(b, &capacity, limit);
        if (rc < 0)
            return rc;
        ssize_t n = read(fd, b->bytes + b->size, capacity - b->size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        b->size += (uint64_t)n;
        if (n == 0 || b->size > limit)
            return 0;
    }
}

int loader_open(const char *path, const char *option, struct stat *st, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, st) < 0) {
        int code = errno;
        loader_close_fd(&fd);
        return err_set(e, -code, "%s '%s': cannot open it (%s); check the path", option, path,
                       strerror(code));
    }
    if (S_ISREG(st->st_mode) || S_ISFIFO(st->st_mode))
        return fd;
    loader_close_fd(&fd);
    if (S_ISDIR(st->st_mode))
        return err_set(e, -EISDIR, "%s '%s': this is a directory; give a file", option, path);
    return err_set(e, -EINVAL, "%s '%s': this is a device or socket; give a file", option, path);
}

int loader_read_all(int fd, const struct stat *st, const char *path, const char *option,
                    uint64_t limit, struct loader_blob *out, struct err *e)
{
    struct loader_blob b = { 0 };
    uint64_t capacity = 1u << 20; /* doubled by the first blob_grow() */
    if (S_ISREG(st->st_mode) && st->st_size > 0 && (uint64_t)st->st_size <= limit)
        capacity = (uint64_t)st->st_size / 2 + 1;
    int rc = blob_fill(&b, fd, capacity, limit);
    if (rc < 0)
        rc = err_set(e, rc, "%s '%s': cannot read it (%s)", option, path, strerror(-rc));
    else if (b.size == 0)
        rc = err_set(e, -EINVAL, "%s '%s': the file is empty; give another one", option, path);
    else if (b.size > limit)
        rc = err_set(e, -E2BIG,
                     "%s '%s': the file is larger than the %llu KiB there is room for; give a "
                     "smaller one or more --memory",
                     option, path, (unsigned long long)(limit >> 10));
    if (rc < 0) {
        loader_blob_free(&b);
        return rc;
    }
    *out = b;
    return 0;
}

int loader_read_file(const char *path, const char *option, uint64_t limit, struct loader_blob *out,
                     struct err *e)
{
    struct stat st;
    CLEANUP(loader_close_fd) int fd = loader_open(path, option, &st, e);
    return fd < 0 ? fd : loader_read_all(fd, &st, path, option, limit, out, e);
}

void loader_blob_free(struct loader_blob *b)
{
    free(b->bytes);
    *b = (struct loader_blob){ 0 };
}

static int read_piece(const struct gmem *m, int fd, uint64_t offset, const struct iovec *v)
{
    gmem_touch(m, v);
    for (size_t done = 0; done < v->iov_len;) {
        ssize_t n =
            pread(fd, (uint8_t *)v->iov_base + done, v->iov_len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENODATA;
        done += (size_t)n;
    }
    return 0;
}

/* A part of a read that a thread of its own does. */
struct read_part {
    pthread_t thread;
    bool started;
    const struct gmem *m;
    int fd, rc;
    uint64_t offset;
    struct iovec v;
};

static void *read_part_main(void *opaque)
{
    struct read_part *p = opaque;
    p->rc = read_piece(p->m, p->fd, p->offset, &p->v);
    return NULL;
}

/* read_piece() by several threads: most of the time goes into clearing fresh pages of the guest's
 * RAM and copying, which no core does as fast as memory could. Without threads one does it all. */
static int read_wide(const struct gmem *m, int fd, uint64_t offset, const struct iovec *v)
{
    struct read_part parts[READ_PARTS];
    unsigned n = 0;
    int rc = 0;
    for (size_t at = 0; at < v->iov_len; n++) {
        uint8_t *base = (uint8_t *)v->iov_base + at;
        size_t rest = v->iov_len - at, size = rest / (READ_PARTS - n);
        size = size < READ_PART_MIN ? READ_PART_MIN : size;
        size = align_up((uintptr_t)base + size, READ_PART_ALIGN) - (uintptr_t)base;
        size = size < rest && n + 1 < READ_PARTS ? size : rest;
        parts[n] =
            (struct read_part){ .m = m, .fd = fd, .offset = offset + at, .v = { base, size } };
        at += size;
    }
    for (unsigned i = 1; i < n; i++)
        parts[i].started = pthread_create(&parts[i].thread, NULL, read_part_main, &parts[i]) == 0;
    for (unsigned i = 0; i < n; i++) {
        if (parts[i].started)
            pthread_join(parts[i].thread, NULL);
        else
            read_part_main(&parts[i]);
        if (rc == 0)
            rc = parts[i].rc;
    }
    return rc;
}

int loader_read_guest(const struct gmem *m, gpa_t gpa, int fd, uint64_t offset, uint64_t size)
{
    struct iovec v[GMEM_MAX_REGIONS];
    int rc = 0, pieces = gmem_iov(m, gpa, size, v, GMEM_MAX_REGIONS);
    for (int n = 0; n < pieces && rc == 0; n++) {
        if (m->fill_later)
            rc = m->fill_later(m->ctx, fd, offset, v[n].iov_base, v[n].iov_len);
        if (!m->fill_later || rc < 0)
            rc = read_wide(m, fd, offset, &v[n]);
        offset += v[n].iov_len;
    }
    return pieces < 0 ? pieces : rc;
}

int loader_open_file(const char *path, const char *option, uint64_t limit, struct loader_file *out,
                     struct err *e)
{
    struct stat st;
    int fd = loader_open(path, option, &st, e);
    *out = (struct loader_file){ .path = path, .option = option, .fd = -1 };
    if (fd < 0)
        return fd;
    if (S_ISREG(st.st_mode) && st.st_size > 0 && (uint64_t)st.st_size <= limit) {
        out->fd = fd;
        out->size = (uint64_t)st.st_size;
        return 0;
    }
    int rc = loader_read_all(fd, &st, path, option, limit, &out->read, e);
    out->size = out->read.size;
    loader_close_fd(&fd);
    return rc;
}

int loader_load_file(const struct loader_file *f, const struct gmem *m, gpa_t gpa, struct err *e)
{
    int rc = f->fd < 0 ? gmem_write(m, gpa, f->read.bytes, f->size)
                       : loader_read_guest(m, gpa, f->fd, 0, f->size);
    if (rc == -EFAULT)
        return err_set(e, rc, "%s '%s': there is no RAM at 0x%llx; give more with --memory",
                       f->option, f->path, (unsigned long long)gpa);
    if (rc < 0)
        return err_set(e, rc, "%s '%s': cannot read it (%s)", f->option, f->path, strerror(-rc));
    return 0;
}

void loader_close_file(struct loader_file *f)
{
    loader_close_fd(&f->fd);
    f->fd = -1;
    loader_blob_free(&f->read);
}
