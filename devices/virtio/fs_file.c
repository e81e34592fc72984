/* FUSE: operations on what is open, files and folders. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "devices/virtio/fs_call.h"

/* open(2)'s flags as Linux numbers them on arm64. */
enum {
    LINUX_O_ACCMODE = 3,
    LINUX_O_WRONLY = 1,
    LINUX_O_RDWR = 2,
    LINUX_O_EXCL = 0200,
    LINUX_O_TRUNC = 01000,
    LINUX_O_APPEND = 02000,
};

enum {
    FOPEN_KEEP_CACHE = 1 << 1,
    FOPEN_NOFLUSH = 1 << 5,
    WRITE_CACHE = 1 << 0, /* of struct fuse_write_in */
    FSYNC_DATA = 1 << 0,
    SEEK_LINUX_DATA = 3,
    SEEK_LINUX_HOLE = 4,
};

unsigned fs_open_flags(uint32_t flags)
{
    static const unsigned access[] = { SHARE_READ, SHARE_WRITE, SHARE_READ | SHARE_WRITE, 0 };
    return access[flags & LINUX_O_ACCMODE] | (flags & LINUX_O_TRUNC ? SHARE_TRUNCATE : 0u) |
           (flags & LINUX_O_APPEND ? SHARE_APPEND : 0u) |
           (flags & LINUX_O_EXCL ? SHARE_EXCLUSIVE : 0u);
}

void fs_put_open(uint8_t *p, uint64_t handle, uint32_t flags)
{
    st_le64(p, handle);
    st_le32(p + 8, flags);
    st_le32(p + 12, 0);
}

/* ------------------------------------------------------------------ files */

/* flags, open_flags. What the guest has of the file it may keep if the file is the same; and where
 * nothing is written, closing it needs no FLUSH. */
int fs_open(struct fs_call *c)
{
    uint64_t handle;
    bool unchanged;
    unsigned flags = fs_open_flags(ld_le32(c->in));
    if (c->room < 16)
        return -EINVAL;
    int rc = share_open_file(c->share, c->node, flags, c->now, &handle, &unchanged);
    if (rc < 0)
        return rc;
    fs_put_open(fs_out(c, 16), handle,
                (unchanged ? FOPEN_KEEP_CACHE : 0u) | (flags & SHARE_WRITE ? 0u : FOPEN_NOFLUSH));
    return 0;
}

/* fh, flags, release_flags, lock_owner */
int fs_release(struct fs_call *c)
{
    return share_release(c->share, ld_le64(c->in), c->now);
}

/* fh, offset, size, read_flags, lock_owner, flags */
int fs_read(struct fs_call *c)
{
    struct iovec iov[VIRTQ_MAX_IOV];
    uint64_t size = ld_le32(c->in + 16);
    size = size < FS_TRANSFER_MAX ? size : FS_TRANSFER_MAX;
    size = size < c->room ? size : c->room;
    int pieces = fs_pieces(c->chain, true, FUSE_OUT_HEADER, size, iov);
    int64_t n = share_read(c->share, ld_le64(c->in), ld_le64(c->in + 8), iov, pieces, c->now);
    return n < 0 ? (int)n : fs_replied(c, (uint64_t)n);
}

/* fh, offset, size, write_flags, lock_owner, flags; then the data */
int fs_write(struct fs_call *c)
{
    struct iovec iov[VIRTQ_MAX_IOV];
    uint64_t size = ld_le32(c->in + 16);
    uint64_t before = FUSE_IN_HEADER + 40;
    if (size > FS_TRANSFER_MAX || size > c->chain->readable_bytes - before)
        return -EINVAL;
    int pieces = fs_pieces(c->chain, false, before, size, iov);
    int64_t n = share_write(c->share, ld_le64(c->in), ld_le64(c->in + 8), iov, pieces,
                            ld_le32(c->in + 20) & WRITE_CACHE);
    if (n < 0)
        return (int)n;
    st_le32(fs_out(c, 8), (uint32_t)n);
    return 0;
}

/* fh */
int fs_flush(struct fs_call *c)
{
    return share_flush(c->share, ld_le64(c->in));
}

/* fh, fsync_flags */
int fs_fsync(struct fs_call *c)
{
    return share_fsync(c->share, ld_le64(c->in), ld_le32(c->in + 8) & FSYNC_DATA);
}

/* fh, offset, length, mode */
int fs_fallocate(struct fs_call *c)
{
    return share_fallocate(c->share, ld_le64(c->in), ld_le32(c->in + 24), ld_le64(c->in + 8),
                           ld_le64(c->in + 16));
}

/* fh, offset, whence; the others are the guest's own */
int fs_lseek(struct fs_call *c)
{
    uint32_t whence = ld_le32(c->in + 16);
    if (whence != SEEK_LINUX_DATA && whence != SEEK_LINUX_HOLE)
        return -EINVAL;
    int64_t at =
        share_seek(c->share, ld_le64(c->in), ld_le64(c->in + 8), whence == SEEK_LINUX_HOLE);
    if (at < 0)
        return (int)at;
    st_le64(fs_out(c, 8), (uint64_t)at);
    return 0;
}

/* fh_in, off_in, nodeid_out, fh_out, off_out, len, flags */
int fs_copy_file_range(struct fs_call *c)
{
    const uint8_t *in = c->in;
    if (ld_le64(in + 48) != 0)
        return -EINVAL;
    int64_t n = share_copy(c->share, ld_le64(in), ld_le64(in + 8), ld_le64(in + 24),
                           ld_le64(in + 32), ld_le64(in + 40));
    if (n < 0)
        return (int)n;
    st_le32(fs_out(c, 8), (uint32_t)n);
    return 0;
}

/* ------------------------------------------------------------------ folders */

/* flags */
int fs_opendir(struct fs_call *c)
{
    uint64_t handle;
    if (c->room < 16)
        return -EINVAL;
    int rc = share_open_dir(c->share, c->node, &handle);
    if (rc == 0)
        fs_put_open(fs_out(c, 16), handle, 0);
    return rc;
}

/* struct fuse_dirent without the name: ino, off, namelen, type. */
enum { DIRENT = 24 };

struct dir_reader {
    struct fs_call *call;
    bool plus; /* a struct fuse_entry_out before each */
    uint8_t *bytes;
    size_t used, size;
};

/* What a name leads to; node 0 for those without: "." and "..", and what is gone by now. */
static void put_plus(struct dir_reader *r, uint8_t *p, const char *name)
{
    struct share_entry entry;
    memset(p, 0, FUSE_ENTRY);
    if (share_lookup(r->call->share, r->call->node, name, false, &entry) == 0)
        fs_put_entry(p, &entry);
}

static bool put_dirent(void *ctx, const struct share_dirent *d)
{
    struct dir_reader *r = ctx;
    size_t length = strlen(d->name), before = r->plus ? FUSE_ENTRY : 0;
    size_t size = before + ((DIRENT + length + 7) & ~(size_t)7);
    if (size > r->size - r->used)
        return false;
    uint8_t *p = r->bytes + r->used;
    r->used += size;
    if (r->plus)
        put_plus(r, p, d->name);
    memset(p + before, 0, size - before);
    st_le64(p + before, d->ino);
    st_le64(p + before + 8, d->next);
    st_le32(p + before + 16, (uint32_t)length);
    st_le32(p + before + 20, d->type);
    memcpy(p + before + DIRENT, d->name, length);
    return true;
}

/* fh, offset, size */
static int read_dir(struct fs_call *c, bool plus)
{
    uint64_t size = ld_le32(c->in + 16);
    size = size < FS_COPY_MAX ? size : FS_COPY_MAX;
    size = size < c->room ? size : c->room;
    struct dir_reader r = { .call = c, .plus = plus, .bytes = malloc(size + 1), .size = size };
    if (!r.bytes)
        return -ENOMEM;
    int rc = share_read_dir(c->share, ld_le64(c->in), ld_le64(c->in + 8), put_dirent, &r);
    /* Entries that were read before an error are the answer; it comes again with the next call. */
    if (r.used > 0 || rc == 0)
        rc = fs_reply(c, r.bytes, r.used);
    free(r.bytes);
    return rc;
}

int fs_readdir(struct fs_call *c)
{
    return read_dir(c, false);
}

int fs_readdirplus(struct fs_call *c)
{
    return read_dir(c, true);
}
