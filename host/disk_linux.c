/* Disks on Linux: fallocate(2) works on files and, since 4.9, on block devices. */
#include "host/disk_os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

int disk_os_device_size(int fd, uint64_t *size)
{
    return ioctl(fd, BLKGETSIZE64, size) < 0 ? -errno : 0;
}

int disk_os_sync(int fd)
{
    return fdatasync(fd) < 0 ? -errno : 0;
}

int disk_os_direct(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_DIRECT) < 0 ? -errno : 0;
}

int disk_os_read_now(int fd, const struct iovec *iov, int count, uint64_t offset, uint64_t length)
{
    ssize_t n = preadv2(fd, iov, count, (off_t)offset, RWF_NOWAIT);
    return n >= 0 && (uint64_t)n == length ? 0 : -EAGAIN;
}

static int disk_fallocate(int fd, int mode, uint64_t offset, uint64_t length)
{
    while (fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length) < 0) {
        /* EINVAL: a block device whose sectors are larger than the guest's. */
        if (errno == ENOSYS || errno == ENODEV || errno == EINVAL)
            return -EOPNOTSUPP;
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

int disk_os_discard(int fd, uint64_t offset, uint64_t length)
{
    return disk_fallocate(fd, FALLOC_FL_PUNCH_HOLE, offset, length);
}

int disk_os_zero(int fd, uint64_t offset, uint64_t length)
{
    return disk_fallocate(fd, FALLOC_FL_ZERO_RANGE, offset, length);
}
