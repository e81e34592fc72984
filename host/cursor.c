/* Lists of memory pieces, taken from the front. */
#include "host/cursor.h"

#include <assert.h>
#include <string.h>

int cursor_batch(const struct cursor *c, struct iovec *batch, int most, uint64_t limit)
{
    int n = 0;
    size_t skip = c->skip;
    for (int i = 0; i < c->count && n < most && limit > 0; i++) {
        size_t length = c->iov[i].iov_len - skip;
        if (length > limit)
            length = limit;
        if (length > 0)
            batch[n++] = (struct iovec){ (uint8_t *)c->iov[i].iov_base + skip, length };
        limit -= length;
        skip = 0;
    }
    return n;
}

void cursor_advance(struct cursor *c, uint64_t n)
{
    n += c->skip;
    while (c->count > 0 && n >= c->iov->iov_len) {
        n -= c->iov->iov_len;
        c->iov++;
        c->count--;
    }
    c->skip = n;
}

/* The memory at the cursor and how much of it, at most `n`. */
static uint8_t *cursor_piece(struct cursor *c, uint64_t n, size_t *length)
{
    struct iovec v;
    int found = cursor_batch(c, &v, 1, n);
    assert(found == 1);
    *length = v.iov_len;
    return v.iov_base;
}

void cursor_put(struct cursor *c, const void *from, uint64_t n)
{
    for (size_t now; n > 0; n -= now, from = (const uint8_t *)from + now) {
        uint8_t *piece = cursor_piece(c, n, &now);
        memcpy(piece, from, now);
        cursor_advance(c, now);
    }
}

void cursor_get(struct cursor *c, void *to, uint64_t n)
{
    for (size_t now; n > 0; n -= now, to = (uint8_t *)to + now) {
        const uint8_t *piece = cursor_piece(c, n, &now);
        memcpy(to, piece, now);
        cursor_advance(c, now);
    }
}

void cursor_zero(struct cursor *c, uint64_t n)
{
    for (size_t now; n > 0; n -= now) {
        uint8_t *piece = cursor_piece(c, n, &now);
        memset(piece, 0, now);
        cursor_advance(c, now);
    }
}
