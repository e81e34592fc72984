/* Shared folders: attributes, of files and of the folder's file system. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "host/share_node.h"
#include "host/share_os.h"

#define XATTR_PREFIX     "user."
#define XATTR_LIST_MAX   65536
#define XATTR_HOST_FLAGS 3u

static int node_get(struct share *s, uint64_t id, bool change, struct share_node **out)
{
    if (change && s->read_only)
        return -EROFS;
    *out = share_node_get(s, id);
    return *out ? 0 : -ESTALE;
}

static int node_attr(const struct share *s, const struct share_node *n, struct share_attr *out)
{
    struct stat st;
    if (fstat(n->fd, &st) < 0)
        return -errno;
    share_fill_attr(s, &st, out);
    return 0;
}

int share_getattr(struct share *s, uint64_t node, bool now, struct share_attr *out)
{
    struct share_node *n;
    int rc = node_get(s, node, false, &n);
    if (rc < 0)
        return rc;
    rc = now && (!s->local || n->dev != s->dev) ? -EAGAIN : node_attr(s, n, out);
    share_node_put(s, n);
    return rc;
}

/* ------------------------------------------------------------------ changes */

/* Owners cannot be changed, so what is asked for must be what is there. */
static int check_owner(const struct share *s, const struct share_node *n,
                       const struct share_change *c)
{
    struct share_attr a;
    int rc = node_attr(s, n, &a);
    if (rc < 0)
        return rc;
    return ((c->set & SHARE_SET_UID) && c->uid != a.uid) ||
                   ((c->set & SHARE_SET_GID) && c->gid != a.gid)
               ? -EPERM
               : 0;
}

static int truncate_fd(int fd, uint64_t size)
{
    struct stat st;
    if (ftruncate(fd, (off_t)size) < 0 || fstat(fd, &st) < 0)
        return -errno;
    if ((st.st_mode & (S_ISUID | S_ISGID)) && fchmod(fd, st.st_mode & 01777) < 0)
        return -errno;
    return 0;
}

static int set_size(struct share *s, struct share_node *n, uint64_t handle, uint64_t size)
{
    if (!S_ISREG(n->type))
        return S_ISDIR(n->type) ? -EISDIR : -EINVAL;
    if (size > INT64_MAX)
        return -EFBIG;
    share_node_changed(s, n);
    struct share_handle *h = handle ? share_handle_get(s, handle, SHARE_WRITE) : NULL;
    if (h && h->node == n) {
        int rc = truncate_fd(h->fd, size);
        share_handle_put(s, h);
        return rc;
    }
    if (h)
        share_handle_put(s, h);
    int fd = share_os_reopen(n->fd, O_WRONLY);
    if (fd < 0)
        return fd;
    int rc = truncate_fd(fd, size);
    close(fd);
    return rc;
}

static int change_node(struct share *s, struct share_node *n, uint64_t handle,
                       const struct share_change *c)
{
    int rc = 0;
    if (c->set & (SHARE_SET_UID | SHARE_SET_GID))
        rc = check_owner(s, n, c);
    if (rc == 0 && (c->set & SHARE_SET_MODE))
        rc = share_os_chmod(n->fd, c->mode & (S_ISDIR(n->type) ? 03777 : 01777));
    if (rc == 0 && (c->set & SHARE_SET_SIZE))
        rc = set_size(s, n, handle, c->size);
    if (rc == 0 && (c->time[0].tv_nsec != UTIME_OMIT || c->time[1].tv_nsec != UTIME_OMIT))
        rc = share_os_utimens(n->fd, c->time);
    return rc;
}

int share_setattr(struct share *s, uint64_t node, uint64_t handle,
                  const struct share_change *change, struct share_attr *out)
{
    struct share_node *n;
    int rc = node_get(s, node, true, &n);
    if (rc < 0)
        return rc;
    rc = change_node(s, n, handle, change);
    if (rc == 0)
        rc = node_attr(s, n, out);
    share_node_put(s, n);
    return rc;
}

int share_access(struct share *s, uint64_t node, int mask)
{
    struct share_node *n;
    struct stat st;
    int rc = node_get(s, node, mask & W_OK, &n);
    if (rc < 0)
        return rc;
    rc = fstat(n->fd, &st) < 0 ? -errno : 0;
    share_node_put(s, n);
    if (rc < 0)
        return rc;
    unsigned shift = st.st_uid == s->uid ? 6 : st.st_gid == s->gid ? 3 : 0;
    unsigned allowed =
        s->uid == 0 ? 6 | ((st.st_mode & 0111) || S_ISDIR(st.st_mode)) : st.st_mode >> shift;
    return mask & 7 & ~(int)allowed ? -EACCES : 0;
}

int share_readlink(struct share *s, uint64_t node, char *target, size_t size)
{
    struct share_node *n;
    int rc = node_get(s, node, false, &n);
    if (rc < 0)
        return rc;
    rc = S_ISLNK(n->type) ? share_os_readlink(n->fd, target, size) : -EINVAL;
    share_node_put(s, n);
    return rc;
}

/* ------------------------------------------------------------------ extended attributes */

/* Only of files and folders, and only the user's: what else there is means something to the host.
 */
static int xattr_node(struct share *s, uint64_t id, const char *name, bool change,
                      struct share_node **out)
{
    if (name && strnlen(name, SHARE_NAME_MAX + 1) > SHARE_NAME_MAX)
        return -ERANGE;
    if (name && strncmp(name, XATTR_PREFIX, strlen(XATTR_PREFIX)) != 0)
        return -EOPNOTSUPP;
    int rc = node_get(s, id, change, out);
    if (rc == 0 && !S_ISREG((*out)->type) && !S_ISDIR((*out)->type)) {
        share_node_put(s, *out);
        rc = -EOPNOTSUPP;
    }
    return rc;
}

int share_getxattr(struct share *s, uint64_t node, const char *name, void *value, size_t size)
{
    struct share_node *n;
    int rc = xattr_node(s, node, name, false, &n);
    if (rc < 0)
        return rc;
    rc = share_os_getxattr(n->fd, name, value, size);
    share_node_put(s, n);
    return rc;
}

/* Leave the names that the guest may see: the new length. */
static int keep_user_names(char *list, size_t length)
{
    size_t kept = 0;
    for (size_t at = 0; at < length;) {
        size_t n = strnlen(list + at, length - at) + 1;
        if (strncmp(list + at, XATTR_PREFIX, strlen(XATTR_PREFIX)) == 0 && at + n <= length) {
            memmove(list + kept, list + at, n);
            kept += n;
        }
        at += n;
    }
    return (int)kept;
}

int share_listxattr(struct share *s, uint64_t node, char *list, size_t size)
{
    struct share_node *n;
    int rc = xattr_node(s, node, NULL, false, &n);
    if (rc == -EOPNOTSUPP)
        return 0;
    if (rc < 0)
        return rc;
    char *all = malloc(XATTR_LIST_MAX);
    rc = all ? share_os_listxattr(n->fd, all, XATTR_LIST_MAX) : -ENOMEM;
    share_node_put(s, n);
    if (rc > 0)
        rc = keep_user_names(all, (size_t)rc);
    if (rc > 0 && size > 0) {
        if ((size_t)rc <= size)
            memcpy(list, all, (size_t)rc);
        else
            rc = -ERANGE;
    }
    free(all);
    return rc;
}

int share_setxattr(struct share *s, uint64_t node, const char *name, const void *value, size_t size,
                   unsigned flags)
{
    struct share_node *n;
    if (flags & ~XATTR_HOST_FLAGS)
        return -EINVAL;
    int rc = xattr_node(s, node, name, true, &n);
    if (rc < 0)
        return rc;
    rc = share_os_setxattr(n->fd, name, value, size, flags);
    share_node_put(s, n);
    return rc;
}

int share_removexattr(struct share *s, uint64_t node, const char *name)
{
    struct share_node *n;
    int rc = xattr_node(s, node, name, true, &n);
    if (rc < 0)
        return rc;
    rc = share_os_removexattr(n->fd, name);
    share_node_put(s, n);
    return rc;
}

/* ------------------------------------------------------------------ the file system */

int share_statfs(struct share *s, struct share_statfs *out)
{
    struct statvfs st;
    if (fstatvfs(s->root, &st) < 0)
        return -errno;
    *out = (struct share_statfs){
        .blocks = st.f_blocks,
        .bfree = st.f_bfree,
        .bavail = st.f_bavail,
        .files = st.f_files,
        .ffree = st.f_ffree,
        .bsize = (uint32_t)st.f_bsize,
        .frsize = (uint32_t)st.f_frsize,
    };
    return 0;
}

int share_sync(struct share *s)
{
    return share_os_sync_all(s->root);
}
