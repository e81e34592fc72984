/*
 * FUSE: from a chain to the function that serves it, and back. The table has a line for each
 * operation: how long its arguments are, how many names follow, who does it.
 */
#include "devices/virtio/fs_call.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum {
    IN_LEN = 0,
    IN_OPCODE = 4,
    IN_UNIQUE = 8,
    IN_NODE = 16,

    FUSE_MAJOR = 7,
    FUSE_MINOR = 38,
    FUSE_MINOR_OLDEST = 31, /* Linux 5.4, the first with virtio-fs */
};

/* INIT's flags (Linux, fuse.h) that we want. POSIX and BSD locks are not among them: so they hold
 * within the guest. Nor is the write-back cache, with which a guest would not see what the host
 * writes. */
enum {
    INIT_ASYNC_READ = 1 << 0,
    INIT_ATOMIC_O_TRUNC = 1 << 3,
    INIT_BIG_WRITES = 1 << 5,
    INIT_AUTO_INVAL_DATA = 1 << 12,
    INIT_DO_READDIRPLUS = 1 << 13,
    INIT_READDIRPLUS_AUTO = 1 << 14,
    INIT_ASYNC_DIO = 1 << 15,
    INIT_PARALLEL_DIROPS = 1 << 18,
    INIT_MAX_PAGES = 1 << 22,
    INIT_CACHE_SYMLINKS = 1 << 23,
    INIT_HANDLE_KILLPRIV_V2 = 1 << 28,
    INIT_WANTED = INIT_ASYNC_READ | INIT_ATOMIC_O_TRUNC | INIT_BIG_WRITES | INIT_AUTO_INVAL_DATA |
                  INIT_DO_READDIRPLUS | INIT_READDIRPLUS_AUTO | INIT_ASYNC_DIO |
                  INIT_PARALLEL_DIROPS | INIT_MAX_PAGES | INIT_CACHE_SYMLINKS |
                  INIT_HANDLE_KILLPRIV_V2,
};

/* ------------------------------------------------------------------ the session */

static int fs_init(struct fs_call *c)
{
    uint32_t major = ld_le32(c->in), minor = ld_le32(c->in + 4);
    uint32_t readahead = ld_le32(c->in + 8), flags = ld_le32(c->in + 12);
    if (major < FUSE_MAJOR || (major == FUSE_MAJOR && minor < FUSE_MINOR_OLDEST))
        return -EPROTO;
    share_reset(c->share);
    uint8_t *out = fs_out(c, 64);
    st_le32(out, FUSE_MAJOR);
    st_le32(out + 4, minor < FUSE_MINOR ? minor : FUSE_MINOR);
    st_le32(out + 8, readahead);
    st_le32(out + 12, flags & INIT_WANTED);
    st_le16(out + 16, 64); /* max_background */
    st_le16(out + 18, 48); /* congestion_threshold */
    st_le32(out + 20, FS_TRANSFER_MAX);
    st_le32(out + 24, 1); /* time_gran: nanoseconds */
    st_le16(out + 28, FS_TRANSFER_MAX / 4096);
    return 0;
}

static int fs_destroy_session(struct fs_call *c)
{
    share_reset(c->share);
    return 0;
}

static int fs_forget(struct fs_call *c)
{
    share_forget(c->share, c->node, ld_le64(c->in));
    return 0;
}

static int fs_batch_forget(struct fs_call *c)
{
    uint32_t count = ld_le32(c->in);
    for (size_t at = 0; count > 0 && c->data_size - at >= 16; count--, at += 16)
        share_forget(c->share, ld_le64(c->data + at), ld_le64(c->data + at + 8));
    return 0;
}

/* Nothing here waits for ever, so there is nothing to interrupt. */
static int fs_interrupt(struct fs_call *c)
{
    (void)c;
    return 0;
}

/* ------------------------------------------------------------------ the table */

enum {
    NOW = 1,   /* may be answered at once */
    QUIET = 2, /* has no answer */
    BULK = 4,  /* its data is not copied */
};

static const struct fs_row {
    uint16_t in;   /* bytes of arguments */
    uint8_t names; /* how many follow */
    uint8_t how;
    fs_op *run;
} fs_rows[] = {
    [1] = { 0, 1, NOW, fs_lookup },
    [2] = { 8, 0, QUIET, fs_forget },
    [3] = { 16, 0, NOW, fs_getattr },
    [4] = { 88, 0, 0, fs_setattr },
    [5] = { 0, 0, 0, fs_readlink },
    [6] = { 0, 2, 0, fs_symlink },
    [8] = { 16, 1, 0, fs_mknod },
    [9] = { 8, 1, 0, fs_mkdir },
    [10] = { 0, 1, 0, fs_unlink },
    [11] = { 0, 1, 0, fs_rmdir },
    [12] = { 8, 2, 0, fs_rename },
    [13] = { 8, 1, 0, fs_link },
    [14] = { 8, 0, NOW, fs_open },
    [15] = { 40, 0, NOW, fs_read },
    [16] = { 40, 0, BULK, fs_write },
    [17] = { 0, 0, 0, fs_statfs },
    [18] = { 24, 0, NOW, fs_release },
    [20] = { 16, 0, 0, fs_fsync },
    [21] = { 8, 1, 0, fs_setxattr },
    [22] = { 8, 1, NOW, fs_getxattr },
    [23] = { 8, 0, 0, fs_listxattr },
    [24] = { 0, 1, 0, fs_removexattr },
    [25] = { 24, 0, 0, fs_flush },
    [26] = { 16, 0, 0, fs_init },
    [27] = { 8, 0, 0, fs_opendir },
    [28] = { 40, 0, 0, fs_readdir },
    [29] = { 24, 0, NOW, fs_release },
    [30] = { 16, 0, 0, fs_fsync },
    [34] = { 8, 0, 0, fs_access },
    [35] = { 16, 1, 0, fs_create },
    [36] = { 8, 0, QUIET | NOW, fs_interrupt },
    [38] = { 0, 0, 0, fs_destroy_session },
    [42] = { 8, 0, QUIET, fs_batch_forget },
    [43] = { 32, 0, 0, fs_fallocate },
    [44] = { 40, 0, 0, fs_readdirplus },
    [45] = { 16, 2, 0, fs_rename2 },
    [46] = { 24, 0, 0, fs_lseek },
    [47] = { 56, 0, 0, fs_copy_file_range },
    [50] = { 8, 0, 0, fs_syncfs },
};

static const struct fs_row *row_of(uint32_t opcode)
{
    return opcode < ARRAY_LEN(fs_rows) && fs_rows[opcode].run ? &fs_rows[opcode] : NULL;
}

/* ------------------------------------------------------------------ requests */

/* Split `size` bytes that follow the header. */
static int call_parse(struct fs_call *c, const struct fs_row *row, const uint8_t *bytes,
                      size_t size)
{
    if (size < row->in)
        return -EINVAL;
    c->in = bytes;
    size_t at = row->in;
    for (unsigned i = 0; i < row->names; i++) {
        size_t n = strnlen((const char *)bytes + at, size - at);
        if (n == size - at)
            return -EINVAL; /* no end */
        c->name[i] = (const char *)bytes + at;
        at += n + 1;
    }
    c->data = bytes + at;
    c->data_size = size - at;
    return 0;
}

/* Copy what follows the header and serve it. */
static int call_run(struct fs_call *c, const struct fs_row *row, uint64_t size)
{
    uint8_t small[512], *bytes = small;
    size_t most = row->names + FS_COPY_MAX + SHARE_NAME_MAX + row->in;
    if (row->how & BULK)
        size = size < row->in ? size : row->in;
    if (size > most)
        return -E2BIG;
    if (size > sizeof small && !(bytes = malloc(size)))
        return -ENOMEM;
    int rc = -EINVAL;
    if (virtq_chain_read(c->chain, FUSE_IN_HEADER, bytes, size))
        rc = call_parse(c, row, bytes, size);
    if (rc == 0)
        rc = row->run(c);
    if (bytes != small)
        free(bytes);
    return rc;
}

/* The header of the answer, and what of it is not there yet: its length. */
static int64_t call_answer(struct fs_call *c, int rc, uint64_t unique)
{
    uint8_t out[FUSE_OUT_HEADER + sizeof c->out];
    if (rc == 0 && !c->written && c->out_size > c->room)
        rc = -EINVAL;
    uint64_t body = rc < 0 ? 0 : c->out_size;
    size_t copied = c->written ? 0 : (size_t)body;
    st_le32(out, (uint32_t)(FUSE_OUT_HEADER + body));
    st_le32(out + 4, (uint32_t)-fs_errno(rc));
    st_le64(out + 8, unique);
    memcpy(out + FUSE_OUT_HEADER, c->out, copied);
    if (!virtq_chain_write(c->chain, 0, out, FUSE_OUT_HEADER + copied))
        return 0;
    return (int64_t)(FUSE_OUT_HEADER + body);
}

int64_t fs_serve(struct share *share, const struct virtq_chain *chain, bool now)
{
    uint8_t header[FUSE_IN_HEADER];
    struct fs_call c = { .share = share, .chain = chain, .now = now };
    /* What is no request has no answer, either. */
    if (!virtq_chain_read(chain, 0, header, sizeof header))
        return 0;
    const struct fs_row *row = row_of(ld_le32(header + IN_OPCODE));
    bool quiet = row && (row->how & QUIET);
    if (now && row && !(row->how & NOW))
        return -EAGAIN;
    if (!quiet && chain->writable_bytes < FUSE_OUT_HEADER)
        return 0;
    c.node = ld_le64(header + IN_NODE);
    c.room = quiet ? 0 : chain->writable_bytes - FUSE_OUT_HEADER;
    uint32_t length = ld_le32(header + IN_LEN);
    int rc = row ? 0 : -ENOSYS;
    if (length < FUSE_IN_HEADER || length > chain->readable_bytes)
        rc = -EINVAL;
    if (rc == 0)
        rc = call_run(&c, row, length - FUSE_IN_HEADER);
    if (now && rc == -EAGAIN)
        return -EAGAIN;
    return quiet ? 0 : call_answer(&c, rc, ld_le64(header + IN_UNIQUE));
}

/* ------------------------------------------------------------------ answers */

uint8_t *fs_out(struct fs_call *c, size_t n)
{
    assert(n <= sizeof c->out - c->out_size);
    uint8_t *p = c->out + c->out_size;
    memset(p, 0, n);
    c->out_size += n;
    return p;
}

int fs_replied(struct fs_call *c, uint64_t n)
{
    c->written = true;
    c->out_size = n;
    return 0;
}

int fs_reply(struct fs_call *c, const void *bytes, size_t n)
{
    if (!virtq_chain_write(c->chain, FUSE_OUT_HEADER, bytes, n))
        return -EINVAL;
    return fs_replied(c, n);
}

int fs_pieces(const struct virtq_chain *chain, bool writable, uint64_t offset, uint64_t n,
              struct iovec out[VIRTQ_MAX_IOV])
{
    const struct iovec *v = chain->iov + (writable ? chain->readable : 0);
    int count = writable ? chain->writable : chain->readable, pieces = 0;
    for (int i = 0; i < count && n > 0; i++) {
        if (offset >= v[i].iov_len) {
            offset -= v[i].iov_len;
            continue;
        }
        uint64_t length = v[i].iov_len - offset < n ? v[i].iov_len - offset : n;
        out[pieces++] = (struct iovec){ (uint8_t *)v[i].iov_base + offset, length };
        offset = 0;
        n -= length;
    }
    return pieces;
}

void fs_put_attr(uint8_t *p, const struct share_attr *a)
{
    st_le64(p, a->ino);
    st_le64(p + 8, a->size);
    st_le64(p + 16, a->blocks);
    st_le64(p + 24, (uint64_t)a->atime.tv_sec);
    st_le64(p + 32, (uint64_t)a->mtime.tv_sec);
    st_le64(p + 40, (uint64_t)a->ctime.tv_sec);
    st_le32(p + 48, (uint32_t)a->atime.tv_nsec);
    st_le32(p + 52, (uint32_t)a->mtime.tv_nsec);
    st_le32(p + 56, (uint32_t)a->ctime.tv_nsec);
    st_le32(p + 60, a->mode);
    st_le32(p + 64, a->nlink);
    st_le32(p + 68, a->uid);
    st_le32(p + 72, a->gid);
    st_le32(p + 76, a->rdev);
    st_le32(p + 80, a->blksize);
    st_le32(p + 84, 0);
}

void fs_put_entry(uint8_t *p, const struct share_entry *entry)
{
    st_le64(p, entry->node);
    st_le64(p + 8, 0);
    st_le64(p + 16, FS_TTL); /* the name's */
    st_le64(p + 24, FS_TTL); /* the attributes' */
    st_le64(p + 32, 0);
    fs_put_attr(p + FUSE_ENTRY - FUSE_ATTR, &entry->attr);
}

/* Hosts number their errors differently; the protocol has Linux's numbers. */
int fs_errno(int error)
{
    static const struct {
        int host, linux_number;
    } table[] = {
        { EPERM, 1 },      { ENOENT, 2 },      { EINTR, 4 },         { EIO, 5 },
        { ENXIO, 6 },      { E2BIG, 7 },       { EBADF, 9 },         { EAGAIN, 11 },
        { ENOMEM, 12 },    { EACCES, 13 },     { EFAULT, 14 },       { EBUSY, 16 },
        { EEXIST, 17 },    { EXDEV, 18 },      { ENODEV, 19 },       { ENOTDIR, 20 },
        { EISDIR, 21 },    { EINVAL, 22 },     { ENFILE, 23 },       { EMFILE, 24 },
        { ENOTTY, 25 },    { ETXTBSY, 26 },    { EFBIG, 27 },        { ENOSPC, 28 },
        { ESPIPE, 29 },    { EROFS, 30 },      { EMLINK, 31 },       { EPIPE, 32 },
        { ERANGE, 34 },    { EDEADLK, 35 },    { ENAMETOOLONG, 36 }, { ENOSYS, 38 },
        { ENOTEMPTY, 39 }, { ELOOP, 40 },      { ENODATA, 61 },      { EPROTO, 71 },
        { EOVERFLOW, 75 }, { EOPNOTSUPP, 95 }, { ENOTSUP, 95 },      { ETIMEDOUT, 110 },
        { ESTALE, 116 },   { EDQUOT, 122 },
#ifdef ENOATTR
        { ENOATTR, 61 },
#endif
    };
    if (error == 0)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].host == -error)
            return table[i].linux_number;
    return 5; /* EIO */
}
