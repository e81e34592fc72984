/*
 * Shared folders: reading folders. An open folder has one position on the host, so only one call at
 * a time reads it; Linux asks for nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "host/share_node.h"
#include "host/share_os.h"

int share_open_dir(struct share *s, uint64_t node, uint64_t *handle)
{
    struct share_node *n = share_node_get(s, node);
    if (!n)
        return -ESTALE;
    int rc = -ENOTDIR;
    if (S_ISDIR(n->type))
        rc = share_os_reopen(n->fd, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
    if (rc >= 0) {
        int fd = rc;
        DIR *dir = fdopendir(fd);
        rc = dir ? share_handle_enter(s, n, fd, dir, SHARE_READ, handle) : -errno;
        if (!dir)
            close(fd);
    }
    share_node_put(s, n);
    return rc;
}

static struct share_handle *dir_get(struct share *s, uint64_t handle)
{
    struct share_handle *h = share_handle_get(s, handle, 0);
    if (h && !h->dir) {
        share_handle_put(s, h);
        h = NULL;
    }
    return h;
}

/* Have `h` alone, or let the next one have it. */
static void dir_busy(struct share *s, struct share_handle *h, bool busy)
{
    lock_acquire(&s->lock);
    while (busy && h->busy)
        lock_wait(&s->lock, &s->not_busy, UINT64_MAX);
    h->busy = busy;
    if (!busy)
        pthread_cond_broadcast(&s->not_busy);
    lock_release(&s->lock);
}

static void dir_seek(struct share_handle *h, uint64_t offset)
{
    if (offset == h->dir_offset)
        return;
    if (offset == 0)
        rewinddir(h->dir);
    else
        seekdir(h->dir, (long)offset);
    h->dir_offset = offset;
    h->dir_next = NULL;
}

static int dir_read(struct share_handle *h, bool (*each)(void *ctx, const struct share_dirent *d),
                    void *ctx)
{
    for (;;) {
        errno = 0;
        const struct dirent *e = h->dir_next ? h->dir_next : readdir(h->dir);
        if (!e)
            return -errno;
        const struct share_dirent d = {
            .ino = e->d_ino,
            .next = (uint64_t)telldir(h->dir),
            .type = e->d_type,
            .name = e->d_name,
        };
        h->dir_next = e; /* valid until the next readdir() */
        if (!each(ctx, &d))
            return 0;
        h->dir_next = NULL;
        h->dir_offset = d.next;
    }
}

int share_read_dir(struct share *s, uint64_t handle, uint64_t offset,
                   bool (*each)(void *ctx, const struct share_dirent *d), void *ctx)
{
    struct share_handle *h = dir_get(s, handle);
    if (!h)
        return -EBADF;
    dir_busy(s, h, true);
    dir_seek(h, offset);
    int rc = dir_read(h, each, ctx);
    dir_busy(s, h, false);
    share_handle_put(s, h);
    return rc;
}
