/* Disks on macOS: fsync() there does not reach the platter, F_FULLFSYNC does; holes must be aligned
 * to the file system's blocks. */
#include "host/disk_os.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/disk.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* APFS blocks. */
#define HOLE_ALIGN 4096

int disk_os_device_size(int fd, uint64_t *size)
{
    uint64_t count;
    uint32_t block;
    if (ioctl(fd, DKIOCGETBLOCKCOUNT, &count) < 0 || ioctl(fd, DKIOCGETBLOCKSIZE, &block) < 0)
        return -errno;
    *size = count * block;
    return 0;
}

int disk_os_sync(int fd)
{
    if (fcntl(fd, F_FULLFSYNC) == 0)
        return 0;
    return fsync(fd) < 0 ? -errno : 0; /* file systems without F_FULLFSYNC */
}

int disk_os_direct(int fd)
{
    return fcntl(fd, F_NOCACHE, 1) < 0 ? -errno : 0;
}

/* There is no call that reads only what is cached. */
int disk_os_read_now(int fd, const struct iovec *iov, int count, uint64_t offset, uint64_t length)
{
    (void)fd;
    (void)iov;
    (void)count;
    (void)offset;
    (void)length;
    return -EAGAIN;
}

static int disk_punch(int fd, uint64_t offset, uint64_t length)
{
    fpunchhole_t hole = { .fp_offset = (off_t)offset, .fp_length = (off_t)length };
    if (offset % HOLE_ALIGN || length % HOLE_ALIGN)
        return -EOPNOTSUPP;
    if (fcntl(fd, F_PUNCHHOLE, &hole) == 0)
        return 0;
    return errno == ENOTSUP || errno == ENOTTY || errno == EINVAL ? -EOPNOTSUPP : -errno;
}

int disk_os_discard(int fd, uint64_t offset, uint64_t length)
{
    return disk_punch(fd, offset, length);
}

int disk_os_zero(int fd, uint64_t offset, uint64_t length)
{
    return disk_punch(fd, offset, length);
}
