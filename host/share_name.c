/*
 * Shared folders: names. Each call takes one name in one folder, checks it, and hands it to a
 * system call that works below the folder's descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "host/share_node.h"
#include "host/share_os.h"

/* What may be in the mode of something new or changed: no set-user-ID and set-group-ID on files. */
#define MODE_MASK     01777u
#define MODE_MASK_DIR 03777u

/* Take the folder `id` if `name` may be used in it, and changes be made if `change`. */
static int dir_get(struct share *s, uint64_t id, const char *name, bool change,
                   struct share_node **out)
{
    int rc = share_check_name(name);
    if (rc == 0 && change && s->read_only)
        rc = -EROFS;
    if (rc < 0)
        return rc;
    struct share_node *n = share_node_get(s, id);
    if (!n)
        return -ESTALE;
    if (!S_ISDIR(n->type)) {
        share_node_put(s, n);
        return -ENOTDIR;
    }
    *out = n;
    return 0;
}

static int enter(struct share *s, const struct share_node *dir, const char *name, bool now,
                 struct share_entry *out)
{
    int fd = share_os_lookup(dir->fd, name, now);
    return fd < 0 ? fd : share_node_enter(s, fd, out);
}

int share_lookup(struct share *s, uint64_t dir, const char *name, bool now, struct share_entry *out)
{
    struct share_node *d;
    if (now && !s->local)
        return -EAGAIN;
    int rc = dir_get(s, dir, name, false, &d);
    if (rc < 0)
        return rc;
    rc = now && d->dev != s->dev ? -EAGAIN : enter(s, d, name, now, out);
    share_node_put(s, d);
    return rc;
}

/* The guest has applied its umask to `mode`, so the process's must not count. A file system without
 * modes (FAT) keeps what it has; that is no reason to fail. */
static void fix_mode(int fd, bool name_descriptor, uint32_t mode)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || (st.st_mode & MODE_MASK) == mode)
        return;
    mode |= st.st_mode & S_ISGID; /* a folder's, from the one that it is in */
    int ignored = name_descriptor ? share_os_chmod(fd, mode) : fchmod(fd, mode);
    (void)ignored;
}

/* Look up what was made just now. */
static int enter_new(struct share *s, const struct share_node *dir, const char *name, bool has_mode,
                     uint32_t mode, struct share_entry *out)
{
    int fd = share_os_lookup(dir->fd, name, false);
    if (fd < 0)
        return fd;
    if (has_mode)
        fix_mode(fd, true, mode);
    return share_node_enter(s, fd, out);
}

/* ------------------------------------------------------------------ regular files */

static int access_mode(unsigned flags)
{
    return !(flags & SHARE_WRITE) ? O_RDONLY : flags & SHARE_READ ? O_RDWR : O_WRONLY;
}

/* Make the file and open it: its descriptor. */
static int create(const struct share_node *dir, const char *name, unsigned flags, uint32_t mode)
{
    int fd = share_os_create(dir->fd, name, access_mode(flags), mode);
    if (fd >= 0)
        fix_mode(fd, false, mode);
    return fd;
}

/* The node of the open file `fd`, and a handle for it, which takes it over. */
static int enter_open(struct share *s, int fd, unsigned flags, struct share_entry *out,
                      uint64_t *handle)
{
    int name = share_os_name_of(fd);
    int rc = name < 0 ? name : share_node_enter(s, name, out);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    struct share_node *n = share_node_get(s, out->node);
    if (!n) { /* forgotten already, by a guest that guesses numbers */
        close(fd);
        return -ESTALE;
    }
    rc = share_handle_enter(s, n, fd, NULL, flags, handle);
    share_node_put(s, n);
    if (rc < 0)
        share_forget(s, out->node, 1);
    return rc;
}

/* The name is there already: open what it is. */
static int open_existing(struct share *s, const struct share_node *dir, const char *name,
                         unsigned flags, struct share_entry *out, uint64_t *handle)
{
    bool unchanged;
    int rc = enter(s, dir, name, false, out);
    if (rc < 0)
        return rc;
    rc = share_open_file(s, out->node, flags, false, handle, &unchanged);
    if (rc < 0)
        share_forget(s, out->node, 1);
    return rc;
}

int share_create(struct share *s, uint64_t dir, const char *name, unsigned flags, uint32_t mode,
                 struct share_entry *out, uint64_t *handle)
{
    struct share_node *d;
    int rc = dir_get(s, dir, name, true, &d);
    if (rc < 0)
        return rc;
    /* Always as a new file first: no FIFO or device that is there gets opened. */
    int fd = create(d, name, flags, mode & MODE_MASK);
    if (fd >= 0)
        rc = enter_open(s, fd, flags, out, handle);
    else if (fd == -EEXIST && !(flags & SHARE_EXCLUSIVE))
        rc = open_existing(s, d, name, flags, out, handle);
    else
        rc = fd;
    share_node_put(s, d);
    return rc;
}

/* ------------------------------------------------------------------ other things */

int share_mknod(struct share *s, uint64_t dir, const char *name, uint32_t mode,
                struct share_entry *out)
{
    struct share_node *d;
    mode_t type = mode & S_IFMT;
    if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
        return -EPERM;
    int rc = dir_get(s, dir, name, true, &d);
    if (rc < 0)
        return rc;
    mode &= MODE_MASK;
    if (type == S_IFREG) {
        int fd = create(d, name, SHARE_WRITE, mode);
        rc = fd < 0 ? fd : 0;
        if (fd >= 0)
            close(fd);
    } else {
        rc = share_os_mknod(d->fd, name, type | mode);
    }
    if (rc == 0)
        rc = enter_new(s, d, name, true, mode, out);
    share_node_put(s, d);
    return rc;
}

int share_mkdir(struct share *s, uint64_t dir, const char *name, uint32_t mode,
                struct share_entry *out)
{
    struct share_node *d;
    int rc = dir_get(s, dir, name, true, &d);
    if (rc < 0)
        return rc;
    mode &= MODE_MASK;
    rc = mkdirat(d->fd, name, mode) < 0 ? -errno : enter_new(s, d, name, true, mode, out);
    share_node_put(s, d);
    return rc;
}

int share_symlink(struct share *s, uint64_t dir, const char *name, const char *target,
                  struct share_entry *out)
{
    struct share_node *d;
    if (strnlen(target, SHARE_TARGET_MAX + 1) > SHARE_TARGET_MAX)
        return -ENAMETOOLONG;
    int rc = dir_get(s, dir, name, true, &d);
    if (rc < 0)
        return rc;
    rc = symlinkat(target, d->fd, name) < 0 ? -errno : enter_new(s, d, name, false, 0, out);
    share_node_put(s, d);
    return rc;
}

int share_link(struct share *s, uint64_t node, uint64_t dir, const char *name,
               struct share_entry *out)
{
    struct share_node *d;
    int rc = dir_get(s, dir, name, true, &d);
    if (rc < 0)
        return rc;
    struct share_node *n = share_node_get(s, node);
    if (!n)
        rc = -ESTALE;
    else if (S_ISDIR(n->type))
        rc = -EPERM;
    else
        rc = share_os_link(n->fd, d->fd, name);
    if (n)
        share_node_put(s, n);
    if (rc == 0)
        rc = enter_new(s, d, name, false, 0, out);
    share_node_put(s, d);
    return rc;
}

static int unlink_name(struct share *s, uint64_t dir, const char *name, int flags)
{
    struct share_node *d;
    int rc = dir_get(s, dir, name, true, &d);
    if (rc < 0)
        return rc;
    rc = unlinkat(d->fd, name, flags) < 0 ? -errno : 0;
    share_node_put(s, d);
    return rc;
}

int share_unlink(struct share *s, uint64_t dir, const char *name)
{
    return unlink_name(s, dir, name, 0);
}

int share_rmdir(struct share *s, uint64_t dir, const char *name)
{
    return unlink_name(s, dir, name, AT_REMOVEDIR);
}

int share_rename(struct share *s, uint64_t dir, const char *name, uint64_t newdir,
                 const char *newname, unsigned flags)
{
    struct share_node *from, *to;
    if (flags != 0 && flags != SHARE_RENAME_NOREPLACE && flags != SHARE_RENAME_EXCHANGE)
        return -EINVAL;
    int rc = dir_get(s, dir, name, true, &from);
    if (rc < 0)
        return rc;
    rc = dir_get(s, newdir, newname, true, &to);
    if (rc == 0) {
        rc = share_os_rename(from->fd, name, to->fd, newname, flags);
        share_node_put(s, to);
    }
    share_node_put(s, from);
    return rc;
}
