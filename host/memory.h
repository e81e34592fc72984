/*
 * The guest's memory, as the host sees it.
 *
 * It may be the mapping of a file without a name, so that somebody else in the process can map
 * pages of it a second time. On Linux nobody makes large pages of such memory by itself, as it does
 * of private memory, unless the machine is set up so. Therefore a piece of 2 MiB becomes one when
 * it is used first, and who uses memory first says so (memory_touch()). It costs what a fault in
 * private memory does: the time goes into clearing.
 */
#ifndef HOST_MEMORY_H
#define HOST_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/lock.h"
#include "base/populate.h"

/* Of large pages of the host. */
#define MEMORY_PIECE ((uint64_t)LARGE_PAGE)

/* Of a file, for memory: see memory_fill_later(). */
struct memory_fill {
    uint8_t *start;
    uint64_t size;
    int fd;
    uint64_t offset;
    _Atomic int error;
};

#define MEMORY_FILLS 2u

struct memory {
    uint8_t *base; /* a multiple of MEMORY_PIECE; NULL: there is none */
    uint64_t size;
    int fd; /* of the file behind it, from its first byte on; -1: it is private */
    /* With a file: bit n of piece n, that it was made a large page, or cannot be. */
    _Atomic uint64_t *touched;

    /* While files are read into it. */
    _Atomic uint64_t *claimed; /* bit n: somebody fills piece n, or has */
    struct memory_fill fill[MEMORY_FILLS];
    _Atomic unsigned fill_count;
    struct lock lock;      /* LOCK_MEMORY; for `filled` */
    pthread_cond_t filled; /* a piece was */
    pthread_t thread;
    bool started;
    _Atomic bool stop;
    void (*failed)(void *ctx, void *start, int error);
    void *failed_ctx;
};

/* Zeroed memory of `size` bytes, a multiple of the host's page. With `share` it has a file behind
 * it if the host can make large pages of that. 0 or a negative errno; memory_destroy() is due in
 * any case. */
int memory_create(struct memory *m, uint64_t size, bool share) MUST_CHECK;
void memory_destroy(struct memory *m);

/* It is zero again, at the same addresses, and costs nothing. Nobody may use it meanwhile. 0 or a
 * negative errno. */
int memory_renew(struct memory *m) MUST_CHECK;

/* [p, p + n) will be used; only with a file. Any thread; `m` is a struct memory. Where a file is
 * read into it, it waits for that, at most until a piece is read. */
void memory_touch(void *m, void *p, size_t n);

/*
 * Have `size` bytes from `offset` of the file `fd` at `p` when they are touched first; they have
 * not been used. Then, once for all of them, start a thread that reads what nobody touches. Only
 * with a file behind `m`, which is a struct memory, and while nobody else uses it. -ENOTSUP, or
 * another negative errno: read it yourself. `failed` is called by the thread, without a lock, after
 * all: what should be at `start` could not be read.
 */
int memory_fill_later(void *m, int fd, uint64_t offset, void *p, size_t size) MUST_CHECK;
void memory_start_filling(struct memory *m, void (*failed)(void *ctx, void *start, int error),
                          void *ctx);
/* No more is read, and the thread has ended. Nobody uses the memory. memory_renew() and
 * memory_destroy() do it, too. */
void memory_stop_filling(struct memory *m);

/* Give the host back what the whole pages in [p, p + n) cost it; they read as zeroes afterwards,
 * and cost something again when they are written. The range stays mapped where it is. If the host
 * cannot, only the cost stays. True: there are pieces in it that have to be touched again. Any
 * thread. */
bool memory_give_back(struct memory *m, void *p, size_t n);

/* Keep `size` bytes of addresses at a multiple of `align`, both multiples of the host's page;
 * nothing can be accessed there until it is mapped anew. munmap() is due. NULL and errno if it
 * cannot be. */
void *memory_reserve(uint64_t size, uint64_t align) MUST_CHECK;

/* Storage for all `size` bytes of a file, so that a write to its mapping finds some. 0 or negative
 * errno. */
int memory_fill_holes(int fd, uint64_t size) MUST_CHECK;

static inline bool memory_is_touched(const struct memory *m, uint64_t piece)
{
    return atomic_load_explicit(&m->touched[piece / 64], memory_order_acquire) >> piece % 64 & 1;
}

/* filling.c, for memory.c: is a part of a file to be in the piece, and if so, fill it or wait until
 * it is filled. */
bool memory_fills(const struct memory *m, uint64_t piece);
void memory_fill_piece(struct memory *m, uint64_t piece);

/* What differs by host, for memory.c. memory_share(): a file behind all of `m`, in place of what is
 * there; -ENOTSUP: it would be slower. memory_drop() does what memory_give_back() says of whole
 * pages. 0 or a negative errno. */
int memory_share(struct memory *m) MUST_CHECK;
int memory_drop(const struct memory *m, void *p, size_t n) MUST_CHECK;

#endif
