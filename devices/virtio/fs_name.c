/* FUSE: operations on names. */
#include <errno.h>

#include "base/bytes.h"
#include "devices/virtio/fs_call.h"

/* What a new name leads to is the answer. */
static int answer_entry(struct fs_call *c, int rc, const struct share_entry *entry)
{
    if (rc < 0)
        return rc;
    /* An answer that does not fit is not read, so its lookup does not count. */
    if (c->room < FUSE_ENTRY) {
        share_forget(c->share, entry->node, 1);
        return -EINVAL;
    }
    fs_put_entry(fs_out(c, FUSE_ENTRY), entry);
    return 0;
}

int fs_lookup(struct fs_call *c)
{
    struct share_entry entry;
    int rc = share_lookup(c->share, c->node, c->name[0], c->now, &entry);
    if (rc == -ENOENT) { /* node 0: that there is none may be kept as well */
        entry = (struct share_entry){ 0 };
        rc = 0;
    }
    return answer_entry(c, rc, &entry);
}

int fs_symlink(struct fs_call *c)
{
    struct share_entry entry;
    int rc = share_symlink(c->share, c->node, c->name[0], c->name[1], &entry);
    return answer_entry(c, rc, &entry);
}

/* mode, rdev, umask, which the guest has applied already */
int fs_mknod(struct fs_call *c)
{
    struct share_entry entry;
    int rc = share_mknod(c->share, c->node, c->name[0], ld_le32(c->in), &entry);
    return answer_entry(c, rc, &entry);
}

/* mode, umask */
int fs_mkdir(struct fs_call *c)
{
    struct share_entry entry;
    int rc = share_mkdir(c->share, c->node, c->name[0], ld_le32(c->in), &entry);
    return answer_entry(c, rc, &entry);
}

int fs_unlink(struct fs_call *c)
{
    return share_unlink(c->share, c->node, c->name[0]);
}

int fs_rmdir(struct fs_call *c)
{
    return share_rmdir(c->share, c->node, c->name[0]);
}

/* newdir */
int fs_rename(struct fs_call *c)
{
    return share_rename(c->share, c->node, c->name[0], ld_le64(c->in), c->name[1], 0);
}

/* newdir, flags */
int fs_rename2(struct fs_call *c)
{
    return share_rename(c->share, c->node, c->name[0], ld_le64(c->in), c->name[1],
                        ld_le32(c->in + 8));
}

/* oldnodeid */
int fs_link(struct fs_call *c)
{
    struct share_entry entry;
    int rc = share_link(c->share, ld_le64(c->in), c->node, c->name[0], &entry);
    return answer_entry(c, rc, &entry);
}

/* flags, mode, umask, open_flags */
int fs_create(struct fs_call *c)
{
    struct share_entry entry;
    uint64_t handle;
    if (c->room < FUSE_ENTRY + 16)
        return -EINVAL;
    int rc = share_create(c->share, c->node, c->name[0], fs_open_flags(ld_le32(c->in)),
                          ld_le32(c->in + 4), &entry, &handle);
    rc = answer_entry(c, rc, &entry);
    if (rc == 0)
        fs_put_open(fs_out(c, 16), handle, 0);
    return rc;
}
