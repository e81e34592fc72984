/* The bytes are kept in one piece, so that they can be handed to write(2); they move to the front
 * only when the end is reached, which costs less than one copy per byte. */
#include "host/fifo.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIFO_MIN_CAPACITY 4096

static int fifo_make_room(struct fifo *f, size_t n)
{
    if (n <= f->capacity - f->start - f->used)
        return 0;
    /* Moving is only cheap while the queue fills no more than half of the array. */
    if (n <= f->capacity / 2 && f->used <= f->capacity / 2) {
        memmove(f->data, f->data + f->start, f->used);
        f->start = 0;
        return 0;
    }
    size_t capacity = f->capacity ? f->capacity : FIFO_MIN_CAPACITY;
    while (capacity - f->used < n) {
        if (capacity > SIZE_MAX / 2)
            return -ENOMEM;
        capacity *= 2;
    }
    if (capacity == f->capacity)
        capacity *= 2;
    uint8_t *data = malloc(capacity);
    if (!data)
        return -ENOMEM;
    if (f->used)
        memcpy(data, f->data + f->start, f->used);
    free(f->data);
    f->data = data;
    f->start = 0;
    f->capacity = capacity;
    return 0;
}

int fifo_put(struct fifo *f, const uint8_t *bytes, size_t n)
{
    if (n == 0)
        return 0;
    int r = fifo_make_room(f, n);
    if (r < 0)
        return r;
    memcpy(f->data + f->start + f->used, bytes, n);
    f->used += n;
    return 0;
}

void fifo_drop(struct fifo *f, size_t n)
{
    assert(n <= f->used);
    f->start += n;
    f->used -= n;
    if (f->used == 0)
        f->start = 0;
}

void fifo_fini(struct fifo *f)
{
    free(f->data);
    *f = (struct fifo){ 0 };
}
