/* Where a transfer is in the list of memory pieces that it fills or empties. */
#ifndef HOST_CURSOR_H
#define HOST_CURSOR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct cursor {
    const struct iovec *iov; /* the first piece that is not done */
    int count;
    size_t skip; /* bytes of it that are done */
};

/* Pieces handed to one preadv() or pwritev(): 1 MiB of single pages. */
#define CURSOR_BATCH 256

/* The next pieces, at most `most` and `limit` bytes of them, into `batch`; how many. */
int cursor_batch(const struct cursor *c, struct iovec *batch, int most, uint64_t limit);
void cursor_advance(struct cursor *c, uint64_t n);

/* Each goes on by `n` bytes, which must be there: copy to the pieces, from them, zero them. */
void cursor_put(struct cursor *c, const void *from, uint64_t n);
void cursor_get(struct cursor *c, void *to, uint64_t n);
void cursor_zero(struct cursor *c, uint64_t n);

#endif
