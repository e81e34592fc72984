/*
 * A disk of the guest on the host: an image (image.h), locked against a second writer, with worker
 * threads of its own, so that no vCPU waits for the host's storage.
 */
#ifndef HOST_DISK_H
#define HOST_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/compiler.h"
#include "base/err.h"

struct disk;

enum disk_op { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD, DISK_WRITE_ZEROES };

/* One request. The caller owns it and everything it points to until `done` was called. */
struct disk_request {
    enum disk_op op;
    uint64_t offset; /* bytes */
    uint64_t length; /* bytes; for reads and writes the sum of the iovec */
    const struct iovec *iov;
    int iov_count;
    /* Called once on a worker thread, no lock held; 0 or negative errno. */
    void (*done)(struct disk_request *r, int result);
    struct disk_request *next; /* the disk's own */
};

/* Unless the user says so a disk is raw; it is never probed. */
enum disk_format { DISK_FORMAT_DEFAULT, DISK_FORMAT_RAW, DISK_FORMAT_QCOW2 };

enum disk_cache {
    DISK_CACHE_WRITEBACK,    /* the guest has a write cache, and flushes it */
    DISK_CACHE_WRITETHROUGH, /* a write is on stable storage when it completes */
    DISK_CACHE_NONE,         /* writeback, past the host's page cache */
    DISK_CACHE_UNSAFE,       /* a flush does not wait for storage */
};

struct disk_options {
    const char *path;
    bool read_only;
    bool overlay; /* changes go to a temporary file; the image is only read */
    bool backing; /* the image may name others that it is a change of, and they are read */
    enum disk_format format;
    enum disk_cache cache;
    uint64_t iops;  /* most requests a second that move data, or 0 */
    uint64_t bps;   /* most bytes a second, or 0 */
    unsigned depth; /* 0; the image code's own: how many images are above this one */
};

/* Opens and locks. On failure one sentence in `e` that names `--disk PATH`. */
int disk_open(const struct disk_options *options, struct disk **out, struct err *e) MUST_CHECK;
/* Finishes what was submitted, then closes. */
void disk_close(struct disk *d);

uint64_t disk_size(const struct disk *d); /* bytes */
bool disk_read_only(const struct disk *d);
/* There is no write cache that the guest could flush or turn on. */
bool disk_write_through(const struct disk *d);

/* Never blocks. Requests of one disk complete in any order; a flush covers every write completed
 * before it was submitted. Any thread. */
void disk_submit(struct disk *d, struct disk_request *r);

/* Do a read or write here and now, if that needs no waiting: 0, or -EAGAIN, and it has to be
 * submitted. `done` is not called. Any thread. */
int disk_run_now(struct disk *d, const struct disk_request *r) MUST_CHECK;

/* While `hurry` is set limits do not hold requests back. Calls nest. Any thread. */
void disk_hurry(struct disk *d, bool hurry);

/* Wait until nothing is in flight. */
void disk_drain(struct disk *d);

#endif
