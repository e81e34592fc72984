/*
 * A file in the guest's memory: mapped as a whole, so that the guest reads and writes the host's
 * page cache, and brought to stable storage by a thread when the guest asks for it.
 */
#ifndef HOST_PMEM_H
#define HOST_PMEM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

/* Of size and address, for Linux' memory hot-plug and for huge pages. */
#define PMEM_ALIGN (2ull << 20)

struct pmem_options {
    const char *path;
    bool read_only; /* what the guest writes stays in memory, and is lost */
};

struct pmem;

/* One wish to have everything that was written before on stable storage. The caller's until `done`
 * was called, on the thread, with no lock held; 0 or negative errno. */
struct pmem_flush {
    void (*done)(struct pmem_flush *f, int result);
    struct pmem_flush *next; /* pmem's own */
};

/* Open, check, lock and map. One sentence in `e` that names `--pmem PATH`. */
int pmem_open(const struct pmem_options *options, struct pmem **out, struct err *e) MUST_CHECK;
/* Finishes what was submitted; then nothing is mapped any more. NULL is allowed. */
void pmem_close(struct pmem *p);

void *pmem_base(const struct pmem *p);    /* aligned to PMEM_ALIGN */
uint64_t pmem_size(const struct pmem *p); /* bytes, a multiple of PMEM_ALIGN */

/* Never blocks. Any thread, locks up to LOCK_DEVICE held. */
void pmem_submit(struct pmem *p, struct pmem_flush *f);

/* Wait until all that was submitted is done. */
void pmem_drain(struct pmem *p);

#endif
