/*
 * Code memory: one file without a name, mapped twice, so that no page is ever writable and
 * executable at the same address.
 *
 * Programs run through more code than the host's TLB has entries for pages of 4 KiB, so code lies
 * in pages of 2 MiB where the host can make them: MADV_COLLAPSE (Linux 6.1) puts one in the place
 * of what a piece of 2 MiB has so far, for both mappings. This is done when a piece is begun, as
 * clearing it at once takes a third of the time that faults for its small pages would take. Only
 * the first piece of each part waits until some of it is in use, so that a start costs nothing.
 * The contents are not copied to where they would be writable and executable meanwhile.
 *
 * Older kernels do it by themselves, later, if they were asked to (MADV_HUGEPAGE) and may
 * (/sys/kernel/mm/transparent_hugepage/shmem_enabled).
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "soft/jit/runtime.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PIECE (2u << 20)

/* Of the first piece, before it is worth a large page. */
#define FIRST_USE (PIECE / 8)

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
    j->hot_large = FIRST_USE;
    j->cold_large = at + FIRST_USE;
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

void jit_arena_enlarge(struct jit *j)
{
    if (j->hot > j->hot_large)
        j->hot_large = enlarge(j, j->hot);
    if (j->cold > j->cold_large)
        j->cold_large = enlarge(j, j->cold);
}
