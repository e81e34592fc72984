/*
 * A disk image on the host: a raw file or block device, locked against a second writer, with its
 * own worker thread, so that no vCPU ever waits for the host's storage.
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
    /* Called once on the disk's worker thread, no lock held; 0 or negative errno. */
    void (*done)(struct disk_request *r, int result);
    struct disk_request *next; /* the disk's own */
};

struct disk_options {
    const char *path;
    bool read_only;
};

/* Opens and locks. On failure one sentence in `e` that names `--disk PATH`. */
int disk_open(const struct disk_options *options, struct disk **out, struct err *e) MUST_CHECK;
/* Finishes what was submitted, then closes. */
void disk_close(struct disk *d);

uint64_t disk_size(const struct disk *d); /* bytes */
bool disk_read_only(const struct disk *d);

/* Never blocks. Requests of one disk complete in any order; a flush covers every write completed
 * before it was submitted. Any thread. */
void disk_submit(struct disk *d, struct disk_request *r);

/* Wait until nothing is in flight. */
void disk_drain(struct disk *d);

#endif
