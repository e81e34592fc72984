/*
 * A file that keeps what a non-volatile memory holds: read once, then written as the memory
 * changes. What was written outlives the process at once, and a fall of the host after
 * nvram_sync().
 */
#ifndef HOST_NVRAM_H
#define HOST_NVRAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

struct nvram {
    int fd;
    uint8_t *memory; /* the caller's, of: */
    uint64_t size;
    atomic_bool dirty; /* written and not synced */
};

/* Open the file that `option` ("--firmware") names, or make an empty one, lock it, and read it to
 * `memory`, of `size` bytes that are zero; a shorter file leaves the rest. One sentence in `e`. */
int nvram_open(struct nvram *n, const char *path, const char *option, void *memory, uint64_t size,
               struct err *e) MUST_CHECK;
/* Bytes of the memory changed. 0 or negative errno. */
int nvram_write(struct nvram *n, uint64_t offset, uint64_t size) MUST_CHECK;
/* What is written is on stable storage when it returns 0. Any thread. */
int nvram_sync(struct nvram *n) MUST_CHECK;
/* Syncs. */
void nvram_close(struct nvram *n);

#endif
