/*
 * Code memory: one file without a name, mapped twice, so that no page is ever writable and
 * executable at the same address.
 *
 * Programs run through more code than the host's TLB has entries for pages of 4 KiB, so code lies
 * in pages of 2 MiB where the host can make them: MADV_COLLAPSE (Linux 6.1) puts one in the place
 * of what a piece of 2 MiB has so far, for both mappings, when the piece is begun. But clearing
 * memory that is never used costs as much as clearing what is, much on a host that is a virtual
 * machine itself, and each vCPU has an arena of two parts. So the first pieces of each part have
 * small pages, which are made some at once (MADV_POPULATE_WRITE, Linux 5.14), as a fault for each
 * takes longer than to clear it.
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

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PIECE (2u << 20)

/* Of each part in small pages, which are made so many bytes at once. */
#define SMALL (8u << 20)
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
    c->hot_end = at;
    c->cold_end = (uint32_t)c->size;
    c->hot_large = SMALL;
    c->cold_large = at + SMALL;
    c->hot_made = 0;
    c->cold_made = (uint32_t)align_down(at, CHUNK);
    if (small)
        c->hot_large = c->cold_large = UINT32_MAX;
}

/* The piece with the byte at `at` becomes a large page, if it can. Returns where the next one
 * begins. One that has nothing yet would be refused. */
static uint32_t enlarge(struct jit_cache *c, uint32_t at)
{
    uint32_t piece = (uint32_t)align_down(at, PIECE);

    if (piece + PIECE > c->size)
        return UINT32_MAX;
    *(volatile uint8_t *)(c->rw + at) = 0;
    if (madvise(c->rx + piece, PIECE, MADV_COLLAPSE) != 0 && errno == EINVAL)
        (void)madvise(c->rx + piece, PIECE, MADV_HUGEPAGE);
    return piece + PIECE;
}

/* Small pages for the bytes from `at` on. Returns where the next ones begin; nowhere if the kernel
 * cannot, or at the end. */
static uint32_t make(struct jit_cache *c, uint32_t at)
{
    if (at + CHUNK > c->size || !populate(c->rw + at, CHUNK))
        return UINT32_MAX;
    return at + CHUNK;
}

static void extend(struct jit_cache *c, uint32_t end, uint32_t *made, uint32_t *large)
{
    while (end > *made && *made < *large)
        *made = make(c, *made);
    while (end > *large)
        *made = *large = enlarge(c, *large);
}

void jit_arena_extend(struct jit_cache *c)
{
    extend(c, c->hot, &c->hot_made, &c->hot_large);
    extend(c, c->cold, &c->cold_made, &c->cold_large);
}
