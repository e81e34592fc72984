/*
 * A folder of the host that a guest works in: operations on files that the guest names by numbers
 * which it was given, never by paths.
 *
 * A file that the guest knows is a *node*, one that it has open a *handle*. A node holds a
 * descriptor of its file, so it stays that file whatever becomes of its name. A name is looked up
 * alone, below the descriptor of its folder, and no symbolic link is followed: nothing outside of
 * the folder has a name. The guest follows symbolic links itself, among its own files.
 *
 * Whose files: those of the user who runs ireko belong to one user of the guest (root, unless the
 * options say otherwise), all others to nobody (65534). What the guest makes belongs to the user
 * who runs ireko. Set-user-ID bits are not kept, as the program under them would be the guest's and
 * the rights the user's.
 *
 * Errors are negative errno of this host. -ESTALE: no such node; -EBADF: no such handle; -ENFILE:
 * the guest knows or has open as many files as it may. Any thread; a call may block, except where
 * `now` says that it must not: then it fails with -EAGAIN if it had to.
 */
#ifndef HOST_SHARE_H
#define HOST_SHARE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <time.h>

#include "base/compiler.h"
#include "base/err.h"

#define SHARE_ROOT       1u /* the node of the folder itself */
#define SHARE_TAG_MAX    36 /* bytes of a tag */
#define SHARE_NAME_MAX   255
#define SHARE_TARGET_MAX 4095 /* bytes of a symbolic link */
#define SHARE_NOBODY     65534u

struct share;
struct work;

struct share_options {
    const char *path;
    const char *tag; /* what the guest mounts; for the device */
    bool read_only;
    uint32_t uid, gid; /* in the guest, of what is this user's and this user's group's */
};

struct share_attr {
    uint64_t ino, size, blocks; /* blocks of 512 bytes */
    struct timespec atime, mtime, ctime;
    uint32_t mode, nlink, uid, gid, rdev, blksize;
};

struct share_entry {
    uint64_t node; /* counts as one lookup, which share_forget() gives back */
    struct share_attr attr;
};

/* How to open a file. */
enum share_open_flags {
    SHARE_READ = 1,
    SHARE_WRITE = 2,
    SHARE_TRUNCATE = 4,
    SHARE_APPEND = 8,    /* writes go to the file's end, whatever it is by then */
    SHARE_EXCLUSIVE = 16 /* share_create(): the name must be free */
};

/* Open the folder. `shares` is how many of them there will be: they share the descriptors that the
 * process may have. One sentence in `e` that names --share PATH. */
int share_open(const struct share_options *options, unsigned shares, struct share **out,
               struct err *e) MUST_CHECK;
void share_close(struct share *s);
bool share_read_only(const struct share *s);

/* The folder's own workers. */
void share_submit(struct share *s, struct work *work);
void share_drain(struct share *s);

/* Forget all nodes and close all handles. What a call under way uses stays until it returns. */
void share_reset(struct share *s);
/* Of tests: how many nodes and handles there are, the root included. */
unsigned share_used(struct share *s);

/* ------------------------------------------------------------------ names (share_name.c) */

int share_lookup(struct share *s, uint64_t dir, const char *name, bool now,
                 struct share_entry *out) MUST_CHECK;
void share_forget(struct share *s, uint64_t node, uint64_t lookups);
/* The regular file is open when this returns; `*handle` as from share_open_file(). */
int share_create(struct share *s, uint64_t dir, const char *name, unsigned flags, uint32_t mode,
                 struct share_entry *out, uint64_t *handle) MUST_CHECK;
/* Regular files, FIFOs and sockets; other kinds are -EPERM. */
int share_mknod(struct share *s, uint64_t dir, const char *name, uint32_t mode,
                struct share_entry *out) MUST_CHECK;
int share_mkdir(struct share *s, uint64_t dir, const char *name, uint32_t mode,
                struct share_entry *out) MUST_CHECK;
int share_symlink(struct share *s, uint64_t dir, const char *name, const char *target,
                  struct share_entry *out) MUST_CHECK;
int share_link(struct share *s, uint64_t node, uint64_t dir, const char *name,
               struct share_entry *out) MUST_CHECK;
int share_unlink(struct share *s, uint64_t dir, const char *name) MUST_CHECK;
int share_rmdir(struct share *s, uint64_t dir, const char *name) MUST_CHECK;

enum share_rename_flags { SHARE_RENAME_NOREPLACE = 1, SHARE_RENAME_EXCHANGE = 2 };
int share_rename(struct share *s, uint64_t dir, const char *name, uint64_t newdir,
                 const char *newname, unsigned flags) MUST_CHECK;

/* ------------------------------------------------------------------ attributes (share_attr.c) */

/* What share_setattr() is to change. */
enum share_set { SHARE_SET_MODE = 1, SHARE_SET_UID = 2, SHARE_SET_GID = 4, SHARE_SET_SIZE = 8 };
struct share_change {
    unsigned set; /* enum share_set */
    uint32_t mode, uid, gid;
    uint64_t size;
    struct timespec time[2]; /* atime, mtime; tv_nsec may be UTIME_NOW or UTIME_OMIT */
};

int share_getattr(struct share *s, uint64_t node, bool now, struct share_attr *out) MUST_CHECK;
/* `handle` is open for writing, or 0. */
int share_setattr(struct share *s, uint64_t node, uint64_t handle,
                  const struct share_change *change, struct share_attr *out) MUST_CHECK;
/* May this user do `mask` (R_OK, W_OK, X_OK)? */
int share_access(struct share *s, uint64_t node, int mask) MUST_CHECK;
/* The length, of at most `size` bytes; not terminated. */
int share_readlink(struct share *s, uint64_t node, char *target, size_t size) MUST_CHECK;

/* Attributes named "user.*"; others are -EOPNOTSUPP. As the calls of Linux: a `size` of 0 asks for
 * the length. */
int share_getxattr(struct share *s, uint64_t node, const char *name, void *value,
                   size_t size) MUST_CHECK;
int share_listxattr(struct share *s, uint64_t node, char *list, size_t size) MUST_CHECK;
/* `flags`: 1 the name must be new, 2 it must be there. */
int share_setxattr(struct share *s, uint64_t node, const char *name, const void *value, size_t size,
                   unsigned flags) MUST_CHECK;
int share_removexattr(struct share *s, uint64_t node, const char *name) MUST_CHECK;

struct share_statfs {
    uint64_t blocks, bfree, bavail, files, ffree;
    uint32_t bsize, frsize;
};
int share_statfs(struct share *s, struct share_statfs *out) MUST_CHECK;
/* Everything in the folder is on stable storage. */
int share_sync(struct share *s) MUST_CHECK;

/* ------------------------------------------------------------------ open files (share_file.c) */

/* `*unchanged`: nobody wrote to the file since the last share_open_file(), as far as its times
 * tell; and none of the guest's handles did. */
int share_open_file(struct share *s, uint64_t node, unsigned flags, bool now, uint64_t *handle,
                    bool *unchanged) MUST_CHECK;
/* -EBADF if there is none. Takes files and folders. */
int share_release(struct share *s, uint64_t handle, bool now) MUST_CHECK;

/* Returns the bytes moved; 0 at the end of the file. At most IOV_MAX pieces. */
int64_t share_read(struct share *s, uint64_t handle, uint64_t offset, const struct iovec *iov,
                   int count, bool now) MUST_CHECK;
/* `cached`: the guest has these bytes for a while, so that SHARE_APPEND is no matter. */
int64_t share_write(struct share *s, uint64_t handle, uint64_t offset, const struct iovec *iov,
                    int count, bool cached) MUST_CHECK;
/* What the host says when a file is closed. */
int share_flush(struct share *s, uint64_t handle) MUST_CHECK;
/* Files and folders. */
int share_fsync(struct share *s, uint64_t handle, bool data_only) MUST_CHECK;

/* As Linux numbers them. */
enum share_fallocate_mode {
    SHARE_KEEP_SIZE = 1,
    SHARE_PUNCH_HOLE = 2,
    SHARE_ZERO_RANGE = 16,
};
int share_fallocate(struct share *s, uint64_t handle, unsigned mode, uint64_t offset,
                    uint64_t length) MUST_CHECK;
/* The next data or hole at or behind `offset`. */
int64_t share_seek(struct share *s, uint64_t handle, uint64_t offset, bool hole) MUST_CHECK;
/* Returns the bytes copied. -ENOSYS where the host has no such call. */
int64_t share_copy(struct share *s, uint64_t from, uint64_t from_offset, uint64_t to,
                   uint64_t to_offset, uint64_t length) MUST_CHECK;

/* ------------------------------------------------------------------ folders (share_dir.c) */

struct share_dirent {
    uint64_t ino;
    uint64_t next; /* the offset behind it */
    uint32_t type; /* DT_* */
    const char *name;
};

int share_open_dir(struct share *s, uint64_t node, uint64_t *handle) MUST_CHECK;
/* Call `each` with the entries from `offset` on until it returns false; that entry is not used. */
int share_read_dir(struct share *s, uint64_t handle, uint64_t offset,
                   bool (*each)(void *ctx, const struct share_dirent *d), void *ctx) MUST_CHECK;
#endif
