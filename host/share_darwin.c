/*
 * Shared folders on macOS. There is no O_PATH: a name descriptor is open for reading, so a file
 * that the user may not read has none. What needs other rights opens the file again by the path
 * that the kernel has for the descriptor (F_GETPATH), through no symbolic link, and looks whether
 * it is the same file. Sockets and devices have no name descriptors.
 */
#include "host/share_os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/param.h>
#include <unistd.h>

/* APFS blocks. */
#define HOLE_ALIGN 4096

enum { KEEP_SIZE = 1, PUNCH_HOLE = 2 };

static int result(long rc)
{
    return rc < 0 ? -errno : (int)rc;
}

int share_os_check(void)
{
    return 0;
}

bool share_os_is_local(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && (fs.f_flags & MNT_LOCAL);
}

int share_os_lookup(int dir, const char *name, bool now)
{
    struct stat st;
    if (now)
        return -EAGAIN; /* there is no call that asks the cache only */
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode) &&
        !S_ISFIFO(st.st_mode))
        return -EACCES;
    return result(openat(dir, name, O_RDONLY | O_SYMLINK | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

int share_os_create(int dir, const char *name, int flags, mode_t mode)
{
    return result(
        openat(dir, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, mode));
}

/* Is what `other` is open on the file of `fd`? Else it is closed. */
static int check_same(int other, int fd)
{
    struct stat a, b;
    if (fstat(other, &a) == 0 && fstat(fd, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino)
        return other;
    close(other);
    return -ESTALE;
}

int share_os_reopen(int fd, int flags)
{
    char path[MAXPATHLEN];
    if (flags & O_DIRECTORY)
        return result(openat(fd, ".", flags | O_CLOEXEC));
    if ((flags & (O_ACCMODE | O_TRUNC)) == O_RDONLY)
        return result(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (fcntl(fd, F_GETPATH, path) < 0)
        return -errno;
    int other = open(path, flags | O_NOFOLLOW_ANY | O_NOCTTY | O_CLOEXEC);
    return other < 0 ? -errno : check_same(other, fd);
}

int share_os_name_of(int fd)
{
    return result(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

int share_os_readlink(int fd, char *target, size_t size)
{
    return result(freadlink(fd, target, size));
}

int share_os_chmod(int fd, mode_t mode)
{
    return result(fchmod(fd, mode));
}

int share_os_utimens(int fd, const struct timespec times[2])
{
    return result(futimens(fd, times));
}

int share_os_link(int fd, int dir, const char *name)
{
    char path[MAXPATHLEN];
    struct stat a, b;
    if (fcntl(fd, F_GETPATH, path) < 0 || linkat(AT_FDCWD, path, dir, name, 0) < 0)
        return -errno;
    if (fstat(fd, &a) == 0 && fstatat(dir, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
        a.st_dev == b.st_dev && a.st_ino == b.st_ino)
        return 0;
    unlinkat(dir, name, 0);
    return -ESTALE;
}

/* macOS has no name spaces in the names of attributes, so the guest's are not kept. */
int share_os_getxattr(int fd, const char *name, void *value, size_t size)
{
    (void)fd;
    (void)name;
    (void)value;
    (void)size;
    return -EOPNOTSUPP;
}

int share_os_listxattr(int fd, char *list, size_t size)
{
    (void)fd;
    (void)list;
    (void)size;
    return 0;
}

int share_os_setxattr(int fd, const char *name, const void *value, size_t size, unsigned flags)
{
    (void)flags;
    return share_os_getxattr(fd, name, (void *)(uintptr_t)value, size);
}

int share_os_removexattr(int fd, const char *name)
{
    return share_os_getxattr(fd, name, NULL, 0);
}

int share_os_rename(int dir, const char *name, int newdir, const char *newname, unsigned flags)
{
    unsigned how = (flags & 1 ? RENAME_EXCL : 0) | (flags & 2 ? RENAME_SWAP : 0);
    return result(renameatx_np(dir, name, newdir, newname, how));
}

int share_os_mknod(int dir, const char *name, mode_t mode)
{
    return S_ISFIFO(mode) ? result(mkfifoat(dir, name, mode & 07777)) : -EOPNOTSUPP;
}

int64_t share_os_read_now(int fd, const struct iovec *iov, int count, uint64_t offset)
{
    (void)fd;
    (void)iov;
    (void)count;
    (void)offset;
    return -EAGAIN;
}

int64_t share_os_append(int fd, const struct iovec *iov, int count, uint64_t offset)
{
    ssize_t n = pwritev(fd, iov, count, (off_t)offset);
    return n < 0 ? -errno : n;
}

int share_os_sync(int fd, bool data_only)
{
    (void)data_only;
    if (fcntl(fd, F_FULLFSYNC) == 0)
        return 0;
    return result(fsync(fd)); /* file systems without F_FULLFSYNC */
}

int share_os_sync_all(int fd)
{
    (void)fd;
    sync();
    return 0;
}

int share_os_fallocate(int fd, unsigned mode, uint64_t offset, uint64_t length)
{
    fpunchhole_t hole = { .fp_offset = (off_t)offset, .fp_length = (off_t)length };
    if (mode != (PUNCH_HOLE | KEEP_SIZE) || offset % HOLE_ALIGN || length % HOLE_ALIGN)
        return -EOPNOTSUPP;
    return result(fcntl(fd, F_PUNCHHOLE, &hole));
}

int64_t share_os_copy(int from, uint64_t from_offset, int to, uint64_t to_offset, uint64_t length)
{
    (void)from;
    (void)from_offset;
    (void)to;
    (void)to_offset;
    (void)length;
    return -ENOSYS;
}

struct share_times share_os_times(const struct stat *st)
{
    return (struct share_times){ st->st_atimespec, st->st_mtimespec, st->st_ctimespec };
}
