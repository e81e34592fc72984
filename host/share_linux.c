/*
 * Shared folders on Linux. A name descriptor is one of O_PATH; what has no call that takes one goes
 * through its link in /proc/self/fd, which leads to the file itself and not to a path.
 *
 * openat2(2) refuses to leave the folder by any way there is. Kernels without it (before 5.6, and
 * some sandboxes) get openat(2) with O_NOFOLLOW, which for a single component, checked by
 * share_check_name(), is as good.
 */
#include "host/share_os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CONFINED (RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)

/* "/proc/self/fd/N" */
struct link {
    char path[32];
};

static struct link link_of(int fd)
{
    struct link l;
    snprintf(l.path, sizeof l.path, "/proc/self/fd/%d", fd);
    return l;
}

static int result(long rc)
{
    return rc < 0 ? -errno : (int)rc;
}

int share_os_check(void)
{
    return result(access("/proc/self/fd", X_OK));
}

bool share_os_is_local(int fd)
{
    static const uint32_t local[] = {
        0xef53,     /* ext4 */
        0x58465342, /* xfs */
        0x9123683e, /* btrfs */
        0xf2f52010, /* f2fs */
        0x01021994, /* tmpfs */
    };
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(local); i++)
        if ((uint32_t)fs.f_type == local[i])
            return true;
    return false;
}

static int open_below(int dir, const char *name, int flags, mode_t mode, uint64_t resolve)
{
    const struct open_how how = { .flags = (uint64_t)flags | O_NOFOLLOW | O_CLOEXEC,
                                  .mode = mode,
                                  .resolve = resolve | CONFINED };
    int fd = result(syscall(SYS_openat2, dir, name, &how, sizeof how));
    if (fd == -ENOSYS && !(resolve & RESOLVE_CACHED))
        fd = result(openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC, mode));
    return fd;
}

int share_os_lookup(int dir, const char *name, bool now)
{
    if (!now)
        return open_below(dir, name, O_PATH, 0, 0);
    int fd = open_below(dir, name, O_PATH, 0, RESOLVE_CACHED | RESOLVE_NO_XDEV);
    /* Kernels before 5.12 have no RESOLVE_CACHED. What is mounted here may wait for a network. */
    return fd == -EINVAL || fd == -ENOSYS || fd == -EXDEV ? -EAGAIN : fd;
}

int share_os_create(int dir, const char *name, int flags, mode_t mode)
{
    return open_below(dir, name, flags | O_CREAT | O_EXCL | O_NOCTTY, mode, 0);
}

int share_os_reopen(int fd, int flags)
{
    return result(open(link_of(fd).path, flags | O_CLOEXEC | O_NOCTTY));
}

int share_os_name_of(int fd)
{
    return share_os_reopen(fd, O_PATH);
}

int share_os_readlink(int fd, char *target, size_t size)
{
    return result(readlinkat(fd, "", target, size));
}

int share_os_chmod(int fd, mode_t mode)
{
    return result(chmod(link_of(fd).path, mode));
}

int share_os_utimens(int fd, const struct timespec times[2])
{
    return result(utimensat(AT_FDCWD, link_of(fd).path, times, 0));
}

int share_os_link(int fd, int dir, const char *name)
{
    return result(linkat(AT_FDCWD, link_of(fd).path, dir, name, AT_SYMLINK_FOLLOW));
}

int share_os_getxattr(int fd, const char *name, void *value, size_t size)
{
    return result(getxattr(link_of(fd).path, name, value, size));
}

int share_os_listxattr(int fd, char *list, size_t size)
{
    return result(listxattr(link_of(fd).path, list, size));
}

int share_os_setxattr(int fd, const char *name, const void *value, size_t size, unsigned flags)
{
    return result(setxattr(link_of(fd).path, name, value, size, (int)flags));
}

int share_os_removexattr(int fd, const char *name)
{
    return result(removexattr(link_of(fd).path, name));
}

int share_os_rename(int dir, const char *name, int newdir, const char *newname, unsigned flags)
{
    return result(renameat2(dir, name, newdir, newname, flags));
}

int share_os_mknod(int dir, const char *name, mode_t mode)
{
    return result(mknodat(dir, name, mode, 0));
}

int64_t share_os_read_now(int fd, const struct iovec *iov, int count, uint64_t offset)
{
    ssize_t n = preadv2(fd, iov, count, (off_t)offset, RWF_NOWAIT);
    return n < 0 ? -EAGAIN : n;
}

int64_t share_os_append(int fd, const struct iovec *iov, int count, uint64_t offset)
{
    ssize_t n = pwritev2(fd, iov, count, (off_t)offset, RWF_APPEND);
    if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
        n = pwritev(fd, iov, count, (off_t)offset);
    return n < 0 ? -errno : n;
}

int share_os_sync(int fd, bool data_only)
{
    return result(data_only ? fdatasync(fd) : fsync(fd));
}

int share_os_sync_all(int fd)
{
    return result(syncfs(fd));
}

int share_os_fallocate(int fd, unsigned mode, uint64_t offset, uint64_t length)
{
    return result(fallocate(fd, (int)mode, (off_t)offset, (off_t)length));
}

int64_t share_os_copy(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length)
{
    off_t in = (off_t)from_offset, out = (off_t)to_offset;
    ssize_t n = copy_file_range(from, &in, to, &out, length, 0);
    return n < 0 ? -errno : n;
}

struct share_times share_os_times(const struct stat *st)
{
    return (struct share_times){ st->st_atim, st->st_mtim, st->st_ctim };
}
