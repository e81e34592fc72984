/* What disks need from the operating system beyond POSIX; one implementation per host. */
#ifndef HOST_DISK_OS_H
#define HOST_DISK_OS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/compiler.h"

/* The size in bytes of the block device behind `fd`. */
int disk_os_device_size(int fd, uint64_t *size) MUST_CHECK;

/* Everything written is on stable storage when this returns 0. */
int disk_os_sync(int fd) MUST_CHECK;

/* From now on transfers go past the host's page cache. */
int disk_os_direct(int fd) MUST_CHECK;

/* Read all `length` bytes that the pieces have, if the host has them in memory; else -EAGAIN, and
 * the pieces may have changed. Never waits for storage. */
int disk_os_read_now(int fd, const struct iovec *iov, int count, uint64_t offset,
                     uint64_t length) MUST_CHECK;

/* Give the range's storage back; it may read as anything afterwards. -EOPNOTSUPP if the host
 * cannot.
 */
int disk_os_discard(int fd, uint64_t offset, uint64_t length) MUST_CHECK;

/* Make the range read as zeroes without writing them. -EOPNOTSUPP if the host cannot. */
int disk_os_zero(int fd, uint64_t offset, uint64_t length) MUST_CHECK;

#endif
