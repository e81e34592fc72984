/* FUSE: operations on attributes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "devices/virtio/fs_call.h"

/* struct fuse_setattr_in's `valid`. */
enum {
    FATTR_MODE = 1 << 0,
    FATTR_UID = 1 << 1,
    FATTR_GID = 1 << 2,
    FATTR_SIZE = 1 << 3,
    FATTR_ATIME = 1 << 4,
    FATTR_MTIME = 1 << 5,
    FATTR_FH = 1 << 6,
    FATTR_ATIME_NOW = 1 << 7,
    FATTR_MTIME_NOW = 1 << 8,
};

static int answer_attr(struct fs_call *c, int rc, const struct share_attr *attr)
{
    if (rc < 0)
        return rc;
    uint8_t *out = fs_out(c, 16 + FUSE_ATTR);
    st_le64(out, FS_TTL);
    fs_put_attr(out + 16, attr);
    return 0;
}

/* flags, fh: the node says it all */
int fs_getattr(struct fs_call *c)
{
    struct share_attr attr;
    int rc = share_getattr(c->share, c->node, c->now, &attr);
    return answer_attr(c, rc, &attr);
}

static struct timespec set_time(uint32_t valid, uint32_t given, uint32_t now, uint64_t sec,
                                uint32_t nsec)
{
    if (!(valid & given))
        return (struct timespec){ .tv_nsec = UTIME_OMIT };
    if (valid & now)
        return (struct timespec){ .tv_nsec = UTIME_NOW };
    return (struct timespec){ .tv_sec = (time_t)sec, .tv_nsec = (long)(nsec % 1000000000u) };
}

/* valid, fh, size, lock_owner, atime, mtime, ctime, their nanoseconds, mode, uid, gid */
int fs_setattr(struct fs_call *c)
{
    struct share_attr attr;
    const uint8_t *in = c->in;
    uint32_t valid = ld_le32(in);
    const struct share_change change = {
        .set = (valid & FATTR_MODE ? SHARE_SET_MODE : 0u) |
               (valid & FATTR_UID ? SHARE_SET_UID : 0u) | (valid & FATTR_GID ? SHARE_SET_GID : 0u) |
               (valid & FATTR_SIZE ? SHARE_SET_SIZE : 0u),
        .size = ld_le64(in + 16),
        .mode = ld_le32(in + 68),
        .uid = ld_le32(in + 76),
        .gid = ld_le32(in + 80),
        .time = { set_time(valid, FATTR_ATIME, FATTR_ATIME_NOW, ld_le64(in + 32), ld_le32(in + 56)),
                  set_time(valid, FATTR_MTIME, FATTR_MTIME_NOW, ld_le64(in + 40),
                           ld_le32(in + 60)) },
    };
    int rc =
        share_setattr(c->share, c->node, valid & FATTR_FH ? ld_le64(in + 8) : 0, &change, &attr);
    return answer_attr(c, rc, &attr);
}

int fs_readlink(struct fs_call *c)
{
    char target[SHARE_TARGET_MAX + 1];
    size_t room = c->room < sizeof target ? (size_t)c->room : sizeof target;
    int n = room == 0 ? -EINVAL : share_readlink(c->share, c->node, target, room);
    return n < 0 ? n : fs_reply(c, target, (size_t)n);
}

/* mask, as access(2) has it on every host */
int fs_access(struct fs_call *c)
{
    return share_access(c->share, c->node, (int)(ld_le32(c->in) & 7));
}

int fs_statfs(struct fs_call *c)
{
    struct share_statfs st;
    int rc = share_statfs(c->share, &st);
    if (rc < 0)
        return rc;
    uint8_t *out = fs_out(c, 80);
    st_le64(out, st.blocks);
    st_le64(out + 8, st.bfree);
    st_le64(out + 16, st.bavail);
    st_le64(out + 24, st.files);
    st_le64(out + 32, st.ffree);
    st_le32(out + 40, st.bsize);
    st_le32(out + 44, SHARE_NAME_MAX);
    st_le32(out + 48, st.frsize);
    return 0;
}

int fs_syncfs(struct fs_call *c)
{
    return share_sync(c->share);
}

/* ------------------------------------------------------------------ extended attributes */

/* Ask `get` for a value of at most `size` bytes, or for its length if that is 0. */
static int answer_xattr(struct fs_call *c, uint32_t size,
                        int (*get)(struct fs_call *c, void *value, size_t size))
{
    if (size == 0) {
        int n = get(c, NULL, 0);
        if (n >= 0)
            st_le32(fs_out(c, 8), (uint32_t)n);
        return n < 0 ? n : 0;
    }
    size = size < FS_COPY_MAX ? size : FS_COPY_MAX;
    void *value = malloc(size);
    int n = value ? get(c, value, size) : -ENOMEM;
    if (n >= 0)
        n = (uint64_t)n <= c->room ? fs_reply(c, value, (size_t)n) : -ERANGE;
    free(value);
    return n;
}

static int get_value(struct fs_call *c, void *value, size_t size)
{
    return share_getxattr(c->share, c->node, c->name[0], value, size);
}

static int get_list(struct fs_call *c, void *value, size_t size)
{
    return share_listxattr(c->share, c->node, value, size);
}

/* size. Linux asks for attributes that are not the user's at many occasions. */
int fs_getxattr(struct fs_call *c)
{
    if (c->now && strncmp(c->name[0], "user.", 5) == 0)
        return -EAGAIN;
    return answer_xattr(c, ld_le32(c->in), get_value);
}

/* size */
int fs_listxattr(struct fs_call *c)
{
    return answer_xattr(c, ld_le32(c->in), get_list);
}

/* size, flags; the value follows the name */
int fs_setxattr(struct fs_call *c)
{
    uint32_t size = ld_le32(c->in);
    if (size > c->data_size)
        return -EINVAL;
    return share_setxattr(c->share, c->node, c->name[0], c->data, size, ld_le32(c->in + 4));
}

int fs_removexattr(struct fs_call *c)
{
    return share_removexattr(c->share, c->node, c->name[0]);
}
