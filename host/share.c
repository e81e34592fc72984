/* Opening a shared folder, and what its other files have in common. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host/share_node.h"
#include "host/share_os.h"
#include "host/workers.h"

/* Calls of one folder that are under way on the host at once. */
#define WORKERS 4
/* Descriptors that are not for shared folders, and the most that one folder gets: each pins a file
 * in the host's memory. */
#define FDS_RESERVED 512
#define FDS_MAX      (1u << 20)
/* What macOS lets a process ask for if it says that there is no limit. */
#define FDS_UNLIMITED 10240

/* How many files each of `shares` folders may hold. The process gets as many descriptors as its
 * hard limit allows: the soft one is for programs that use select(). */
static unsigned fd_budget(unsigned shares)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    struct rlimit raised = limit;
    raised.rlim_cur = limit.rlim_max == RLIM_INFINITY ? FDS_UNLIMITED : limit.rlim_max;
    if (limit.rlim_cur < raised.rlim_cur && setrlimit(RLIMIT_NOFILE, &raised) == 0)
        limit = raised;
    rlim_t reserved = limit.rlim_cur < 2 * FDS_RESERVED ? limit.rlim_cur / 2 : FDS_RESERVED;
    rlim_t each = (limit.rlim_cur - reserved) / (shares ? shares : 1);
    return each < FDS_MAX ? (unsigned)each : FDS_MAX;
}

static int open_root(struct share *s, const char *path, struct err *e)
{
    s->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
    if (s->root < 0 && errno == ENOTDIR)
        return err_set(e, -ENOTDIR, "--share '%s': that is not a folder", path);
    if (s->root < 0)
        return err_set(e, -errno, "--share '%s': %s", path,
                       errno == ENOENT ? "there is no such folder" : strerror(errno));
    int rc = share_os_check();
    if (rc < 0)
        return err_set(e, rc, "--share '%s': it needs /proc, which is not mounted", path);
    int fd = share_os_name_of(s->root);
    if (fd < 0)
        return err_set(e, fd, "--share '%s': %s", path, strerror(-fd));
    rc = share_nodes_init(s, fd);
    if (rc < 0) {
        close(fd);
        return err_set(e, rc, "--share '%s': %s", path, strerror(-rc));
    }
    s->local = share_os_is_local(s->root);
    return 0;
}

int share_open(const struct share_options *options, unsigned shares, struct share **out,
               struct err *e)
{
    struct share *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, -ENOMEM, "--share '%s': no memory", options->path);
    s->root = -1;
    s->read_only = options->read_only;
    s->uid = geteuid();
    s->gid = getegid();
    s->guest_uid = options->uid;
    s->guest_gid = options->gid;
    s->limit = fd_budget(shares);
    lock_init(&s->lock, LOCK_HOST);
    cond_init(&s->not_busy);
    int rc = open_root(s, options->path, e);
    if (rc == 0) {
        rc = workers_create(WORKERS, &s->workers);
        if (rc < 0)
            err_set(e, rc, "--share '%s': cannot start its threads (%s)", options->path,
                    strerror(-rc));
    }
    if (rc < 0) {
        share_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void share_close(struct share *s)
{
    if (!s)
        return;
    workers_destroy(s->workers);
    share_nodes_fini(s);
    if (s->root >= 0)
        close(s->root);
    pthread_cond_destroy(&s->not_busy);
    lock_fini(&s->lock);
    free(s);
}

bool share_read_only(const struct share *s)
{
    return s->read_only;
}

void share_submit(struct share *s, struct work *work)
{
    workers_submit(s->workers, work);
}

void share_drain(struct share *s)
{
    workers_drain(s->workers);
}

/* ------------------------------------------------------------------ for the others */

int share_check_name(const char *name)
{
    size_t n = strnlen(name, SHARE_NAME_MAX + 1);
    if (n > SHARE_NAME_MAX)
        return -ENAMETOOLONG;
    if (n == 0 || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EINVAL;
    return 0;
}

/* Files of other file systems that are mounted in the folder: their numbers are made different from
 * those of the folder's own. */
static uint64_t inode_number(const struct share *s, const struct stat *st)
{
    uint64_t ino = st->st_ino;
    return st->st_dev == s->dev ? ino
                                : ino ^ ((uint64_t)st->st_dev * 0x9e3779b97f4a7c15u | 1) << 32;
}

void share_fill_attr(const struct share *s, const struct stat *st, struct share_attr *out)
{
    struct share_times times = share_os_times(st);
    *out = (struct share_attr){
        .ino = inode_number(s, st),
        .size = (uint64_t)st->st_size,
        .blocks = (uint64_t)st->st_blocks,
        .atime = times.atime,
        .mtime = times.mtime,
        .ctime = times.ctime,
        .mode = st->st_mode,
        .nlink = (uint32_t)st->st_nlink,
        .uid = st->st_uid == s->uid ? s->guest_uid : SHARE_NOBODY,
        .gid = st->st_gid == s->gid ? s->guest_gid : SHARE_NOBODY,
        .rdev = (uint32_t)st->st_rdev,
        .blksize = (uint32_t)st->st_blksize,
    };
}
