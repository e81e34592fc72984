/*
 * FUSE, as it is on the wire (protocol 7.31 and later; Linux, include/uapi/linux/fuse.h): a request
 * is a header, arguments of a fixed size for its opcode, names that end with a zero byte, and data;
 * an answer is a header and what the opcode has. For the files of virtio/fs*.c only.
 *
 * Arguments and names are copied before they are looked at. What read and write move goes straight
 * between the file and the guest's buffers.
 */
#ifndef DEVICES_VIRTIO_FS_CALL_H
#define DEVICES_VIRTIO_FS_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "devices/virtio/queue.h"
#include "host/share.h"

enum {
    FUSE_IN_HEADER = 40,  /* len, opcode, unique, nodeid, uid, gid, pid, ... */
    FUSE_OUT_HEADER = 16, /* len, error, unique */
    FUSE_ENTRY = 128,     /* struct fuse_entry_out */
    FUSE_ATTR = 88,       /* struct fuse_attr */
};

/* The largest data of a READ or WRITE, and of everything that is copied. */
#define FS_TRANSFER_MAX (1u << 20)
#define FS_COPY_MAX     (64u << 10)
/* For how long the guest may go by names and attributes that it was told, in seconds. */
#define FS_TTL 1

/* One request. */
struct fs_call {
    struct share *share;
    const struct virtq_chain *chain;
    bool now; /* -EAGAIN if it had to wait */
    uint64_t node;
    const uint8_t *in; /* the fixed arguments */
    const char *name[2];
    const uint8_t *data; /* behind the names */
    size_t data_size;

    uint64_t room;     /* bytes of the guest's buffer behind the header */
    uint8_t out[192];  /* the answer behind the header, if it is short */
    uint64_t out_size; /* of `out`; what fs_reply() wrote counts instead */
    bool written;      /* the answer is in the guest's buffer */
};

/* Serves a request: 0 or negative errno. */
typedef int fs_op(struct fs_call *c);

/* Answer the request in `chain`: the bytes written to it. With `now` only if that needs no waiting,
 * else -EAGAIN and nothing happened. Any thread. */
int64_t fs_serve(struct share *share, const struct virtq_chain *chain, bool now) MUST_CHECK;

/* Put `n` bytes into the answer, and return where. */
uint8_t *fs_out(struct fs_call *c, size_t n);
/* Make `n` bytes, at most `room`, the answer. */
int fs_reply(struct fs_call *c, const void *bytes, size_t n) MUST_CHECK;
/* `n` bytes of the answer were written by somebody else. */
int fs_replied(struct fs_call *c, uint64_t n) MUST_CHECK;
/* At most `n` bytes at `offset` of the chain's readable or writable part, as pieces of `out`. */
int fs_pieces(const struct virtq_chain *chain, bool writable, uint64_t offset, uint64_t n,
              struct iovec out[VIRTQ_MAX_IOV]) MUST_CHECK;

/* struct fuse_entry_out, struct fuse_attr. */
void fs_put_entry(uint8_t *p, const struct share_entry *entry);
void fs_put_attr(uint8_t *p, const struct share_attr *attr);
/* The error number of Linux for a negative errno of this host. */
int fs_errno(int error);

/* fs_name.c */
fs_op fs_lookup, fs_symlink, fs_mknod, fs_mkdir, fs_unlink, fs_rmdir, fs_rename, fs_rename2,
    fs_link, fs_create;
/* fs_attr.c */
fs_op fs_getattr, fs_setattr, fs_readlink, fs_statfs, fs_access, fs_getxattr, fs_listxattr,
    fs_setxattr, fs_removexattr, fs_syncfs;
/* fs_file.c */
fs_op fs_open, fs_read, fs_write, fs_release, fs_flush, fs_fsync, fs_fallocate, fs_lseek,
    fs_copy_file_range, fs_opendir, fs_readdir, fs_readdirplus;

/* SHARE_* for the open flags of a Linux guest. */
unsigned fs_open_flags(uint32_t flags);
/* struct fuse_open_out. */
void fs_put_open(uint8_t *p, uint64_t handle, uint32_t flags);

#endif
