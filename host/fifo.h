/* A queue of bytes that grows as needed. No lock of its own. */
#ifndef HOST_FIFO_H
#define HOST_FIFO_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* Zero is an empty queue. */
struct fifo {
    uint8_t *data;
    size_t start, used, capacity; /* the bytes are data[start .. start + used) */
};

/* Append. 0, or -ENOMEM with nothing appended. */
int fifo_put(struct fifo *f, const uint8_t *bytes, size_t n) MUST_CHECK;

/* Take the oldest `n` (at most used) bytes off. */
void fifo_drop(struct fifo *f, size_t n);

static inline const uint8_t *fifo_front(const struct fifo *f)
{
    return f->data + f->start;
}

void fifo_fini(struct fifo *f);

#endif
