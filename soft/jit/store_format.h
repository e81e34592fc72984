/*
 * The file of kept translations: a header, and what each run added, its records and a table of all
 * that the file has. The header leads to the youngest table and is written last, so that a process
 * that ends in the middle leaves a file that has what it had. Besides the header nothing ever
 * changes, as others have it mapped.
 */
#ifndef SOFT_JIT_STORE_FORMAT_H
#define SOFT_JIT_STORE_FORMAT_H

#include <stdio.h>

#include "base/bytes.h"
#include "soft/jit/store.h"

#define STORE_MAGIC "ireko-3"

struct store_header {
    char magic[8];
    uint64_t key;
    uint64_t size;  /* of what counts; bytes behind it are of a process that did not finish */
    uint64_t table; /* where it is */
    uint32_t slots; /* a power of two */
    uint32_t zero;
    uint64_t checksum; /* of what is before it */
    uint8_t more[16];
};

/* In the table, by the hash's low bits, or the next ones that were free. */
struct store_slot {
    uint32_t hash; /* its low bits, which do for a larger table, too */
    uint32_t at;   /* where the record is, in STORE_ALIGN; 0: nothing */
};

#define STORE_PROBES 64 /* slots that are looked at for one hash */

_Static_assert(sizeof(struct store_header) % STORE_ALIGN == 0, "records are aligned");
_Static_assert(sizeof(struct store_record) % STORE_ALIGN == 0, "what is behind it is aligned");

static inline uint64_t store_sum_step(uint64_t sum, const uint8_t *p)
{
    sum = (sum ^ ld_le64(p)) * 0x9e3779b97f4a7c15ull;
    return sum ^ sum >> 32;
}

/* Of whole words of 64 bits. Four sums, as each waits for its multiplication. */
static inline uint64_t store_sum(uint64_t key, const void *data, size_t size)
{
    const uint8_t *p = data, *end = p + align_down(size, 8);
    uint64_t a = key, b = ~key, c = key << 1, d = key >> 1;

    for (; end - p >= 32; p += 32) {
        a = store_sum_step(a, p);
        b = store_sum_step(b, p + 8);
        c = store_sum_step(c, p + 16);
        d = store_sum_step(d, p + 24);
    }
    if (end - p >= 8)
        a = store_sum_step(a, p);
    if (end - p >= 16)
        b = store_sum_step(b, p + 8);
    if (end - p >= 24)
        c = store_sum_step(c, p + 16);
    a = (a ^ b) * 0xff51afd7ed558ccdull;
    a = (a ^ c) * 0xff51afd7ed558ccdull;
    a = (a ^ d) * 0xff51afd7ed558ccdull;
    return a ^ a >> 29 ^ size;
}

static inline uint64_t store_sum_record(uint64_t key, const struct store_record *r)
{
    return store_sum(key, &r->hash, sizeof *r - sizeof r->checksum + r->size);
}

static inline uint64_t store_sum_header(uint64_t key, const struct store_header *h)
{
    return store_sum(key, h, offsetof(struct store_header, checksum));
}

/* Names. Those of files that are being written have the process behind. */

#define STORE_PREFIX "code-"
#define STORE_DIGITS 16

struct store_name {
    char text[64];
};

static inline struct store_name store_name_of(uint64_t key)
{
    struct store_name name;
    snprintf(name.text, sizeof name.text, STORE_PREFIX "%016llx", (unsigned long long)key);
    return name;
}

/* The file for `key`, opened with `flags`, if it is ours alone; or a negative errno. */
int store_file_descriptor(int folder, uint64_t key, int flags);
/* Map it. */
int store_file_map(struct store_file *f, int fd, uint64_t key);
/* The record at `at`, if all of it is in the file. */
const struct store_record *store_record_at(const struct store_file *f, size_t at);

#endif
