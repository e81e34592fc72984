/* A guest's FUSE client for the tests of virtio-fs: one request at a time, over the rings. */
#ifndef TESTS_UNIT_FUSE_DRIVER_H
#define TESTS_UNIT_FUSE_DRIVER_H

#include <sched.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "tests/unit/virtio_device.h"

#define FUSE_REQUEST VDEV_BUFFERS
#define FUSE_ANSWER  (VDEV_BUFFERS + 0x40000)
#define FUSE_ROOM    0x20000u
#define FUSE_SECONDS 60

enum fuse_opcode {
    FUSE_LOOKUP = 1,
    FUSE_FORGET = 2,
    FUSE_GETATTR = 3,
    FUSE_SETATTR = 4,
    FUSE_READLINK = 5,
    FUSE_SYMLINK = 6,
    FUSE_MKNOD = 8,
    FUSE_MKDIR = 9,
    FUSE_UNLINK = 10,
    FUSE_RMDIR = 11,
    FUSE_RENAME = 12,
    FUSE_LINK = 13,
    FUSE_OPEN = 14,
    FUSE_READ = 15,
    FUSE_WRITE = 16,
    FUSE_STATFS = 17,
    FUSE_RELEASE = 18,
    FUSE_FSYNC = 20,
    FUSE_SETXATTR = 21,
    FUSE_GETXATTR = 22,
    FUSE_LISTXATTR = 23,
    FUSE_REMOVEXATTR = 24,
    FUSE_FLUSH = 25,
    FUSE_INIT = 26,
    FUSE_OPENDIR = 27,
    FUSE_READDIR = 28,
    FUSE_RELEASEDIR = 29,
    FUSE_FSYNCDIR = 30,
    FUSE_ACCESS = 34,
    FUSE_CREATE = 35,
    FUSE_INTERRUPT = 36,
    FUSE_DESTROY = 38,
    FUSE_BATCH_FORGET = 42,
    FUSE_FALLOCATE = 43,
    FUSE_READDIRPLUS = 44,
    FUSE_RENAME2 = 45,
    FUSE_LSEEK = 46,
    FUSE_COPY_FILE_RANGE = 47,
    FUSE_SYNCFS = 50,
};

/* The request under construction, and the answer to the last one. */
struct fuse {
    struct vdev v;
    uint32_t size; /* of the request */
    uint32_t room; /* of the answer; FUSE_ROOM after each call */
    bool answered;
    uint32_t answer; /* bytes, the header included */
    int error;       /* of Linux, 0 or positive */
    const uint8_t *out;
};

static inline void fuse_bytes(struct fuse *f, const void *bytes, size_t n)
{
    memcpy(f->v.ram + FUSE_REQUEST + f->size, bytes, n);
    f->size += (uint32_t)n;
}

static inline void fuse_u32(struct fuse *f, uint32_t value)
{
    fuse_bytes(f, &value, 4);
}

static inline void fuse_u64(struct fuse *f, uint64_t value)
{
    fuse_bytes(f, &value, 8);
}

static inline void fuse_name(struct fuse *f, const char *name)
{
    fuse_bytes(f, name, strlen(name) + 1);
}

static inline void fuse_begin(struct fuse *f, uint32_t opcode, uint64_t node)
{
    f->size = 0;
    fuse_u32(f, 0);
    fuse_u32(f, opcode);
    fuse_u64(f, 0x1122334455667788);
    fuse_u64(f, node);
    for (int i = 0; i < 4; i++)
        fuse_u32(f, 0);
}

/* Wait for the chain that was offered. */
static inline uint32_t fuse_wait(struct fuse *f, unsigned queue)
{
    uint32_t head, written;
    uint64_t end = clock_monotonic_ns() + FUSE_SECONDS * 1000000000ull;
    while (!vdev_take(&f->v, queue, &head, &written)) {
        if (clock_monotonic_ns() > end) {
            fprintf(stderr, "no answer\n");
            abort();
        }
        sched_yield();
    }
    return written;
}

/* Send `sent` bytes of the request, on `queue`. */
static inline void fuse_send(struct fuse *f, unsigned queue, uint32_t sent)
{
    uint8_t *answer = f->v.ram + FUSE_ANSWER;
    memset(answer, 0xee, 64);
    vdev_desc(&f->v, queue, 0, FUSE_REQUEST, sent, f->room ? VDEV_NEXT : 0, 1);
    vdev_desc(&f->v, queue, 1, FUSE_ANSWER, f->room, VDEV_WRITE, 0);
    vdev_offer(&f->v, queue, 0);
    vdev_notify(&f->v, queue);
    f->answer = fuse_wait(f, queue);
    f->answered = f->answer >= 16;
    f->error = f->answered ? -(int)ld_le32(answer + 4) : -1;
    f->out = answer + 16;
    f->room = FUSE_ROOM;
}

static inline int fuse_end(struct fuse *f)
{
    st_le32(f->v.ram + FUSE_REQUEST, f->size);
    fuse_send(f, 1, f->size);
    return f->error;
}

/* ------------------------------------------------------------------ whole requests */

static inline int fuse_init(struct fuse *f, uint32_t major, uint32_t minor)
{
    fuse_begin(f, FUSE_INIT, 0);
    fuse_u32(f, major);
    fuse_u32(f, minor);
    fuse_u32(f, 0x20000);
    fuse_u32(f, UINT32_MAX);
    return fuse_end(f);
}

/* Operations that take one name and nothing else. */
static inline int fuse_by_name(struct fuse *f, uint32_t opcode, uint64_t node, const char *name)
{
    fuse_begin(f, opcode, node);
    fuse_name(f, name);
    return fuse_end(f);
}

/* The node of `name`, 0 if there is none. */
static inline uint64_t fuse_node(struct fuse *f, uint64_t dir, const char *name)
{
    return fuse_by_name(f, FUSE_LOOKUP, dir, name) == 0 ? ld_le64(f->out) : 0;
}

/* Of struct fuse_attr in the answer at `at`. */
static inline uint64_t fuse_attr_size(const struct fuse *f, unsigned at)
{
    return ld_le64(f->out + at + 8);
}

static inline uint32_t fuse_attr_mode(const struct fuse *f, unsigned at)
{
    return ld_le32(f->out + at + 60);
}

#define FUSE_ENTRY_ATTR 40
#define FUSE_ATTR_ATTR  16

static inline int fuse_getattr(struct fuse *f, uint64_t node)
{
    fuse_begin(f, FUSE_GETATTR, node);
    fuse_u64(f, 0);
    fuse_u64(f, 0);
    return fuse_end(f);
}

struct fuse_change {
    uint32_t valid, mode, uid, gid;
    uint64_t handle, size, mtime;
};

static inline int fuse_setattr(struct fuse *f, uint64_t node, const struct fuse_change *c)
{
    fuse_begin(f, FUSE_SETATTR, node);
    fuse_u64(f, c->valid);
    fuse_u64(f, c->handle);
    fuse_u64(f, c->size);
    fuse_u64(f, 0);
    fuse_u64(f, 0);
    fuse_u64(f, c->mtime);
    fuse_u64(f, 0);
    for (int i = 0; i < 3; i++)
        fuse_u32(f, 0);
    fuse_u32(f, c->mode);
    fuse_u32(f, 0);
    fuse_u32(f, c->uid);
    fuse_u32(f, c->gid);
    fuse_u32(f, 0);
    return fuse_end(f);
}

static inline int fuse_open(struct fuse *f, uint64_t node, uint32_t flags, uint64_t *handle)
{
    fuse_begin(f, FUSE_OPEN, node);
    fuse_u64(f, flags);
    *handle = fuse_end(f) == 0 ? ld_le64(f->out) : 0;
    return f->error;
}

static inline int fuse_release(struct fuse *f, uint64_t handle)
{
    fuse_begin(f, FUSE_RELEASE, 1);
    fuse_u64(f, handle);
    fuse_u64(f, 0);
    fuse_u64(f, 0);
    return fuse_end(f);
}

static inline int fuse_create(struct fuse *f, uint64_t dir, const char *name, uint32_t flags,
                              uint32_t mode, uint64_t *node, uint64_t *handle)
{
    fuse_begin(f, FUSE_CREATE, dir);
    fuse_u32(f, flags);
    fuse_u32(f, mode);
    fuse_u64(f, 022);
    fuse_name(f, name);
    bool made = fuse_end(f) == 0;
    *node = made ? ld_le64(f->out) : 0;
    *handle = made ? ld_le64(f->out + 128) : 0;
    return f->error;
}

static inline int fuse_read(struct fuse *f, uint64_t handle, uint64_t offset, uint32_t size)
{
    fuse_begin(f, FUSE_READ, 1);
    fuse_u64(f, handle);
    fuse_u64(f, offset);
    fuse_u64(f, size);
    fuse_u64(f, 0);
    fuse_u64(f, 0);
    return fuse_end(f);
}

/* The bytes written, or a negative error. `flags` is write_flags. */
static inline int fuse_write(struct fuse *f, uint64_t handle, uint64_t offset, const char *text,
                             uint32_t flags)
{
    uint32_t size = (uint32_t)strlen(text);
    fuse_begin(f, FUSE_WRITE, 1);
    fuse_u64(f, handle);
    fuse_u64(f, offset);
    fuse_u32(f, size);
    fuse_u32(f, flags);
    fuse_u64(f, 0);
    fuse_u64(f, 0);
    fuse_bytes(f, text, size);
    return fuse_end(f) == 0 ? (int)ld_le32(f->out) : -f->error;
}

static inline int fuse_mkdir(struct fuse *f, uint64_t dir, const char *name, uint32_t mode)
{
    fuse_begin(f, FUSE_MKDIR, dir);
    fuse_u32(f, mode);
    fuse_u32(f, 022);
    fuse_name(f, name);
    return fuse_end(f);
}

static inline int fuse_mknod(struct fuse *f, uint64_t dir, const char *name, uint32_t mode)
{
    fuse_begin(f, FUSE_MKNOD, dir);
    fuse_u32(f, mode);
    fuse_u32(f, 0x103);
    fuse_u64(f, 0);
    fuse_name(f, name);
    return fuse_end(f);
}

static inline int fuse_symlink(struct fuse *f, uint64_t dir, const char *name, const char *target)
{
    fuse_begin(f, FUSE_SYMLINK, dir);
    fuse_name(f, name);
    fuse_name(f, target);
    return fuse_end(f);
}

static inline int fuse_link(struct fuse *f, uint64_t node, uint64_t dir, const char *name)
{
    fuse_begin(f, FUSE_LINK, dir);
    fuse_u64(f, node);
    fuse_name(f, name);
    return fuse_end(f);
}

static inline int fuse_rename2(struct fuse *f, uint64_t dir, const char *name, uint64_t newdir,
                               const char *newname, uint32_t flags)
{
    fuse_begin(f, FUSE_RENAME2, dir);
    fuse_u64(f, newdir);
    fuse_u64(f, flags);
    fuse_name(f, name);
    fuse_name(f, newname);
    return fuse_end(f);
}

/* No answer comes; the chain does. */
static inline void fuse_forget(struct fuse *f, uint64_t node, uint64_t lookups)
{
    fuse_begin(f, FUSE_FORGET, node);
    fuse_u64(f, lookups);
    st_le32(f->v.ram + FUSE_REQUEST, f->size);
    f->room = 0;
    fuse_send(f, 0, f->size);
}

#endif
