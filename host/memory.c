#include "host/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/log.h"

void *memory_reserve(uint64_t size, uint64_t align)
{
    uint8_t *any =
        mmap(NULL, size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (any == MAP_FAILED)
        return NULL;
    uint64_t before = align_up((uintptr_t)any, align) - (uintptr_t)any;
    if (before > 0)
        munmap(any, before);
    munmap(any + before + size, align - before);
    return any + before;
}

static int map_private(const struct memory *m)
{
    void *p = mmap(m->base, m->size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (p == MAP_FAILED)
        return -errno;
#ifdef MADV_HUGEPAGE
    (void)madvise(p, m->size, MADV_HUGEPAGE); /* only advice */
#endif
    return 0;
}

/* Whole ones: what is left at the end is small pages. */
static uint64_t pieces(const struct memory *m)
{
    return m->size / MEMORY_PIECE;
}

static uint64_t words(const struct memory *m)
{
    return pieces(m) / 64 + 1;
}

int memory_create(struct memory *m, uint64_t size, bool share)
{
    *m = (struct memory){ .base = memory_reserve(size, MEMORY_PIECE), .size = size, .fd = -1 };
    if (!m->base)
        return -errno;
    if (share) {
        m->touched = calloc(2 * words(m), sizeof *m->touched);
        if (m->touched && memory_share(m) == 0) {
            m->claimed = m->touched + words(m);
            lock_init(&m->lock, LOCK_MEMORY);
            cond_init(&m->filled);
            return 0;
        }
        free(m->touched);
        m->touched = NULL;
    }
    return map_private(m);
}

void memory_destroy(struct memory *m)
{
    if (m->touched) {
        memory_stop_filling(m);
        pthread_cond_destroy(&m->filled);
        lock_fini(&m->lock);
        close(m->fd);
    }
    if (m->base)
        munmap(m->base, m->size);
    free(m->touched);
    *m = (struct memory){ .fd = -1 };
}

int memory_renew(struct memory *m)
{
    if (!m->touched)
        return map_private(m);
    memory_stop_filling(m);
    for (uint64_t n = 0; n < 2 * words(m); n++)
        atomic_store_explicit(&m->touched[n], 0, memory_order_relaxed);
    return memory_drop(m, m->base, m->size);
}

/* Are we the first? */
static bool claim(struct memory *m, uint64_t piece)
{
    uint64_t bit = 1ull << piece % 64;
    return !(atomic_fetch_or_explicit(&m->touched[piece / 64], bit, memory_order_relaxed) & bit);
}

static void touch_piece(struct memory *m, uint64_t piece)
{
    if (memory_fills(m, piece))
        memory_fill_piece(m, piece);
    else if (claim(m, piece))
        (void)enlarge(m->base + piece * MEMORY_PIECE, MEMORY_PIECE);
}

void memory_touch(void *memory, void *p, size_t n)
{
    struct memory *m = memory;
    uint64_t at = (uint64_t)((uint8_t *)p - m->base);
    uint64_t piece = at / MEMORY_PIECE, end = (at + n - 1) / MEMORY_PIECE + 1;

    if (LIKELY(piece + 1 == end && piece < pieces(m) && memory_is_touched(m, piece)))
        return;
    for (; piece < end && piece < pieces(m); piece++)
        if (!memory_is_touched(m, piece))
            touch_piece(m, piece);
}

/* Of a piece that was taken in parts, the rest stays as it is: to make it large would take the
 * parts back. */
static bool forget_touched(struct memory *m, uint64_t start, uint64_t end)
{
    uint64_t forgotten = 0;
    for (uint64_t n = align_up(start, MEMORY_PIECE) / MEMORY_PIECE; n < end / MEMORY_PIECE; n++) {
        uint64_t bit = memory_fills(m, n) ? 0 : 1ull << n % 64;
        forgotten |=
            bit & atomic_fetch_and_explicit(&m->touched[n / 64], ~bit, memory_order_relaxed);
    }
    return forgotten != 0;
}

bool memory_give_back(struct memory *m, void *p, size_t n)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), at = (uint64_t)((uint8_t *)p - m->base);
    uint64_t start = align_up(at, page), end = align_down(at + n, page);
    if (start >= end)
        return false;
    if (memory_drop(m, m->base + start, end - start) < 0) {
        log_limited(LOG_WARN, "memory", "the host does not take memory back");
        return false;
    }
    return m->touched && forget_touched(m, start, end);
}
