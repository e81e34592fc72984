/*
 * Code memory: one file without a name, mapped twice, so that no page is ever writable and
 * executable at the same address.
 *
 * Programs run through more code than the host's TLB has entries for pages of 4 KiB, so code lies
 * in pages of 2 MiB where the host can make them: MADV_COLLAPSE (Linux 6.1) puts one in the place
 * of what a piece of 2 MiB has so far, for both mappings, when the piece is begun. One cache serves
 * all vCPUs, so at most two pieces are not full. Where the host cannot, small pages are made some
 * at once (MADV_POPULATE_WRITE, Linux 5.14), as a fault for each takes longer than to clear it.
 * The contents are not copied to where they would be writable and executable meanwhile.
 *
 * Older kernels do it by themselves, later, if they were asked to (MADV_HUGEPAGE) and may
 * (/sys/kernel/mm/transparent_hugepage/shmem_enabled).
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/populate.h"
#include "soft/jit/runtime.h"

#define PIECE ((uint32_t)LARGE_PAGE)

/* So many bytes of small pages are made at once. */
#define CHUNK (64u << 10)

int jit_arena_create(struct jit_cache *c, size_t size)
{
    c->fd = memfd_create("ireko-code", MFD_CLOEXEC);
    if (c->fd < 0)
        return -errno;
    if (ftruncate(c->fd, (off_t)size) != 0)
        return -errno;
    /* both mappings begin at a multiple of a piece */
    size_t half = align_up(size, PIECE);
    c->arena_size = 2 * half + PIECE;
    void *room = mmap(NULL, c->arena_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return -errno;
    c->arena = room;
    uint8_t *start = c->arena + (-(uintptr_t)c->arena & (PIECE - 1));
    c->rw = mmap(start, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, c->fd, 0);
    c->rx = mmap(start + half, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, c->fd, 0);
    if (c->rw == MAP_FAILED || c->rx == MAP_FAILED)
        return -errno;
    c->size = size;
    return 0;
}

void jit_arena_destroy(struct jit_cache *c)
{
    if (c->arena)
        munmap(c->arena, c->arena_size);
    if (c->fd >= 0)
        close(c->fd);
}

void jit_arena_split(struct jit_cache *c, uint32_t at, bool small)
{
    c->hot_end = c->cold_start = at;
    c->cold_end = (uint32_t)c->size;
    c->hot_made = 0;
    c->cold_made = (uint32_t)align_down(at, CHUNK);
    c->small = small;
}

static bool enlarge_first(struct jit_cache *c, uint8_t *at)
{
    if (enlarge(at, PIECE))
        return true;
    (void)madvise(c->rx, c->size, MADV_HUGEPAGE);
    c->small = true;
    return false;
}

/* What begins at `at` is about to be used. Returns where the next begins. */
static uint32_t make(struct jit_cache *c, uint32_t at)
{
    uint32_t piece = (uint32_t)align_down(at, PIECE), next = piece + PIECE;

    if (!c->small && next <= c->size && enlarge_first(c, c->rw + piece))
        return next;
    return at + CHUNK <= c->size && populate(c->rw + at, CHUNK) ? at + CHUNK : UINT32_MAX;
}

/* The same of what will be, most of a piece before: large pages only, as these take long. That the
 * host makes any is known by then. */
static uint32_t make_soon(struct jit_cache *c, uint32_t used, uint32_t made, uint32_t end)
{
    bool soon = used + PIECE / 4 * 3 > made && made < end && made % PIECE == 0;

    if (!soon || c->small || made + PIECE > c->size ||
        !jit_ahead_ask(&c->ahead, enlarge, c->rw + made, PIECE))
        return made;
    return made + PIECE;
}

void jit_arena_extend(struct jit_cache *c)
{
    while (c->hot > c->hot_made)
        c->hot_made = make(c, c->hot_made);
    while (c->cold > c->cold_made)
        c->cold_made = make(c, c->cold_made);
    c->hot_made = make_soon(c, c->hot, c->hot_made, c->hot_end);
    c->cold_made = make_soon(c, c->cold, c->cold_made, c->cold_end);
}
