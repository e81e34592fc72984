/*
 * Shared folders: what each host has for a file without its path; one implementation per host.
 *
 * A *name descriptor* names a file and gives no rights to its contents (O_PATH on Linux). Symbolic
 * links have one, too. All return 0 or a descriptor, or negative errno.
 */
#ifndef HOST_SHARE_OS_H
#define HOST_SHARE_OS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "base/compiler.h"

/* Is all there that the following need? 0 or negative errno. */
int share_os_check(void) MUST_CHECK;
/* Does the file system behind `fd` keep what is in use in memory, so that asking for it does not
 * wait for a network? */
bool share_os_is_local(int fd);

/* A name descriptor of `name` below the folder `dir`; one component, links are not followed. With
 * `now` -EAGAIN if that had to wait for storage. */
int share_os_lookup(int dir, const char *name, bool now) MUST_CHECK;
/* Make and open the regular file `name`, which must not be there. */
int share_os_create(int dir, const char *name, int flags, mode_t mode) MUST_CHECK;
/* Open the regular file or folder that `fd` names, for what `flags` (O_*) says. */
int share_os_reopen(int fd, int flags) MUST_CHECK;
/* A name descriptor of the open file `fd`. */
int share_os_name_of(int fd) MUST_CHECK;

/* On name descriptors. */
int share_os_readlink(int fd, char *target, size_t size) MUST_CHECK;
int share_os_chmod(int fd, mode_t mode) MUST_CHECK;
int share_os_utimens(int fd, const struct timespec times[2]) MUST_CHECK;
int share_os_link(int fd, int dir, const char *name) MUST_CHECK;
int share_os_getxattr(int fd, const char *name, void *value, size_t size) MUST_CHECK;
int share_os_listxattr(int fd, char *list, size_t size) MUST_CHECK;
int share_os_setxattr(int fd, const char *name, const void *value, size_t size,
                      unsigned flags) MUST_CHECK;
int share_os_removexattr(int fd, const char *name) MUST_CHECK;

/* `dir` and `newdir` are name descriptors of folders. */
int share_os_rename(int dir, const char *name, int newdir, const char *newname,
                    unsigned flags) MUST_CHECK;
int share_os_mknod(int dir, const char *name, mode_t mode) MUST_CHECK;

/* On open files. */
int64_t share_os_read_now(int fd, const struct iovec *iov, int count, uint64_t offset) MUST_CHECK;
int64_t share_os_append(int fd, const struct iovec *iov, int count, uint64_t offset) MUST_CHECK;
int share_os_sync(int fd, bool data_only) MUST_CHECK;
int share_os_sync_all(int fd) MUST_CHECK;
int share_os_fallocate(int fd, unsigned mode, uint64_t offset, uint64_t length) MUST_CHECK;
int64_t share_os_copy(int from, uint64_t from_offset, int to, uint64_t to_offset,
                      uint64_t length) MUST_CHECK;

/* The times of `st`, whose names differ. */
struct share_times {
    struct timespec atime, mtime, ctime;
};
struct share_times share_os_times(const struct stat *st);

#endif
