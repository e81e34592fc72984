/*
 * Memory that files are read into while the guest runs already. A piece is filled by whoever
 * touches it first, and others who touch it wait; a thread goes over all pieces, so that the files
 * are soon read and closed, whatever the guest does.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/thread.h"
#include "host/memory.h"
#include "host/thread.h"

bool memory_fills(const struct memory *m, uint64_t piece)
{
    const uint8_t *start = m->base + piece * MEMORY_PIECE;
    unsigned count = atomic_load_explicit(&m->fill_count, memory_order_acquire);

    for (unsigned n = 0; n < count; n++)
        if (m->fill[n].start < start + MEMORY_PIECE && m->fill[n].start + m->fill[n].size > start)
            return true;
    return false;
}

static int read_whole(int fd, uint64_t offset, uint8_t *p, size_t size)
{
    while (size > 0) {
        ssize_t n = pread(fd, p, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -ENODATA;
        p += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

/* What of the file belongs in [start, end). The first error stays. */
static void fill(const struct memory_fill *f, uint8_t *start, uint8_t *end, _Atomic int *error)
{
    uint8_t *from = f->start > start ? f->start : start;
    uint8_t *to = f->start + f->size < end ? f->start + f->size : end;
    int r = from < to ? read_whole(f->fd, f->offset + (uint64_t)(from - f->start), from,
                                   (size_t)(to - from))
                      : 0;
    int none = 0;

    if (r < 0)
        atomic_compare_exchange_strong(error, &none, r);
}

void memory_fill_piece(struct memory *m, uint64_t piece)
{
    uint64_t bit = 1ull << piece % 64;
    uint8_t *start = m->base + piece * MEMORY_PIECE;
    unsigned count = atomic_load_explicit(&m->fill_count, memory_order_acquire);

    if (atomic_fetch_or(&m->claimed[piece / 64], bit) & bit) {
        lock_acquire(&m->lock);
        while (!memory_is_touched(m, piece) && atomic_load(&m->fill_count) > 0)
            lock_wait(&m->lock, &m->filled, UINT64_MAX);
        lock_release(&m->lock);
        return;
    }
    (void)enlarge(start, MEMORY_PIECE);
    for (unsigned n = 0; n < count; n++)
        fill(&m->fill[n], start, start + MEMORY_PIECE, &m->fill[n].error);
    lock_acquire(&m->lock);
    atomic_fetch_or_explicit(&m->touched[piece / 64], bit, memory_order_release);
    pthread_cond_broadcast(&m->filled);
    lock_release(&m->lock);
}

int memory_fill_later(void *memory, int fd, uint64_t offset, void *p, size_t size)
{
    struct memory *m = memory;
    unsigned n = atomic_load(&m->fill_count);

    /* the last part of a piece is not touched */
    if (n == MEMORY_FILLS || size == 0 ||
        (uint8_t *)p + size > m->base + align_down(m->size, MEMORY_PIECE))
        return -ENOTSUP;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return -errno;
    uint64_t at = (uint64_t)((uint8_t *)p - m->base);
    for (uint64_t i = at / MEMORY_PIECE; i <= (at + size - 1) / MEMORY_PIECE; i++)
        atomic_fetch_and(&m->touched[i / 64], ~(1ull << i % 64));
    m->fill[n] = (struct memory_fill){ .start = p, .size = size, .fd = own, .offset = offset };
    atomic_store_explicit(&m->fill_count, n + 1, memory_order_release);
    return 0;
}

/* Nobody fills any more. */
static void finish(struct memory *m)
{
    unsigned count = atomic_load(&m->fill_count);

    lock_acquire(&m->lock);
    atomic_store(&m->fill_count, 0);
    pthread_cond_broadcast(&m->filled);
    lock_release(&m->lock);
    for (unsigned n = 0; n < count; n++)
        close(m->fill[n].fd);
}

/* Take pieces of all files, in order, until there are none. */
static void *filling_main(void *opaque)
{
    struct memory *m = opaque;
    unsigned count = atomic_load(&m->fill_count);

    for (uint64_t piece = 0; piece < m->size / MEMORY_PIECE; piece++) {
        if (atomic_load(&m->stop))
            return NULL;
        if (memory_fills(m, piece))
            memory_touch(m, m->base + piece * MEMORY_PIECE, 1);
    }
    finish(m);
    for (unsigned n = 0; n < count; n++)
        if (atomic_load(&m->fill[n].error) < 0)
            m->failed(m->failed_ctx, m->fill[n].start, atomic_load(&m->fill[n].error));
    return NULL;
}

static void *filling_thread(void *m)
{
    thread_name("loader");
    return filling_main(m);
}

void memory_start_filling(struct memory *m, void (*failed)(void *ctx, void *start, int error),
                          void *ctx)
{
    if (atomic_load(&m->fill_count) == 0)
        return;
    m->failed = failed;
    m->failed_ctx = ctx;
    atomic_store(&m->stop, false);
    m->started = thread_start(&m->thread, filling_thread, m) == 0;
    if (!m->started)
        filling_main(m);
}

void memory_stop_filling(struct memory *m)
{
    atomic_store(&m->stop, true);
    if (m->started)
        pthread_join(m->thread, NULL);
    m->started = false;
    finish(m);
}
