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

int jit_arena_create(struct jit *j, size_t size)
{
    j->fd = memfd_create("ireko-code", MFD_CLOEXEC);
    if (j->fd < 0)
        return -errno;
    if (ftruncate(j->fd, (off_t)size) != 0)
        return -errno;
    /* both mappings begin at a multiple of a piece */
    size_t half = align_up(size, PIECE);
    j->arena_size = 2 * half + PIECE;
    void *room = mmap(NULL, j->arena_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return -errno;
    j->arena = room;
    uint8_t *start = j->arena + (-(uintptr_t)j->arena & (PIECE - 1));
    j->rw = mmap(start, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, j->fd, 0);
    j->rx = mmap(start + half, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, j->fd, 0);
    if (j->rw == MAP_FAILED || j->rx == MAP_FAILED)
        return -errno;
    j->size = size;
    return 0;
}

void jit_arena_destroy(struct jit *j)
{
    if (j->arena)
        munmap(j->arena, j->arena_size);
    if (j->fd >= 0)
        close(j->fd);
}

void jit_arena_split(struct jit *j, uint32_t at)
{
    j->hot_end = at;
    j->cold_end = (uint32_t)j->size;
    j->hot_large = SMALL;
    j->cold_large = at + SMALL;
    j->hot_made = 0;
    j->cold_made = (uint32_t)align_down(at, CHUNK);
    if (j->knobs.small)
        j->hot_large = j->cold_large = UINT32_MAX;
}

/* The piece with the byte before `end` becomes a large page, if it can. Returns where the next one
 * begins. One that has nothing yet would be refused. */
static uint32_t enlarge(struct jit *j, uint32_t end)
{
    uint32_t piece = (uint32_t)align_down(end - 1, PIECE);

    if (piece + PIECE > j->size)
        return UINT32_MAX;
    if (madvise(j->rx + piece, PIECE, MADV_COLLAPSE) != 0 && errno == EINVAL)
        (void)madvise(j->rx + piece, PIECE, MADV_HUGEPAGE);
    return piece + PIECE;
}

/* Small pages for the bytes from `at` on. Returns where the next ones begin; nowhere if the kernel
 * cannot, or at the end. */
static uint32_t make(struct jit *j, uint32_t at)
{
    if (at + CHUNK > j->size || !populate(j->rw + at, CHUNK))
        return UINT32_MAX;
    return at + CHUNK;
}

void jit_arena_extend(struct jit *j)
{
    if (j->hot > j->hot_large)
        j->hot_made = j->hot_large = enlarge(j, j->hot);
    if (j->cold > j->cold_large)
        j->cold_made = j->cold_large = enlarge(j, j->cold);
    if (j->hot + CHUNK / 2 > j->hot_made)
        j->hot_made = make(j, j->hot_made);
    if (j->cold + CHUNK / 2 > j->cold_made)
        j->cold_made = make(j, j->cold_made);
}
