/*
 * Memory that costs nothing until it is used, and memory that is about to be used all over, made at
 * once, of small pages or of large ones. A page fault costs more than to clear the page; and of
 * private memory that is read before it is written there are two for each page, of which the
 * second, with several threads, interrupts all other cores.
 */
#ifndef BASE_POPULATE_H
#define BASE_POPULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/bits.h"

#ifdef __linux__
#include <errno.h>
#ifndef MADV_POPULATE_WRITE /* Linux 5.14 */
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif
#endif

/* What is cleared at once, and mapped by one entry. */
#define LARGE_PAGE ((size_t)2 << 20)

/* `size` zero bytes, whole pages, which cost nothing until they are used; munmap() is due. NULL and
 * errno: there is no memory. */
static inline void *map_zero(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* Pages of 4 KiB with bytes of [p, p + size), which is memory that may be written. False: the host
 * cannot, or has larger pages, so they are made when they are used. Any thread. */
static inline bool populate(void *p, size_t size)
{
#ifdef MADV_POPULATE_WRITE
    uintptr_t start = align_down((uintptr_t)p, 4096), end = align_up((uintptr_t)p + size, 4096);
    return madvise((void *)start, end - start, MADV_POPULATE_WRITE) == 0;
#else
    (void)p;
    (void)size;
    return false;
#endif
}

/* Entries for all of a file's bytes in [p, p + size), which may only be read. Any thread. */
static inline bool populate_read(void *p, size_t size)
{
#ifdef MADV_POPULATE_READ
    uintptr_t start = align_down((uintptr_t)p, 4096), end = align_up((uintptr_t)p + size, 4096);
    return madvise((void *)start, end - start, MADV_POPULATE_READ) == 0;
#else
    (void)p;
    (void)size;
    return false;
#endif
}

/* Large pages for [p, p + size), a multiple of them, of a file without a name: with what it has so
 * far, in all its mappings, which may be in use. False: the host makes none; that it has no memory
 * for one now does not count. Any thread. */
static inline bool enlarge(void *p, size_t size)
{
#ifdef __linux__
    /* one that has nothing yet would be refused */
    for (size_t at = 0; at < size; at += LARGE_PAGE)
        (void)populate((uint8_t *)p + at, 1);
    return madvise(p, size, MADV_COLLAPSE) == 0 || errno != EINVAL;
#else
    (void)p;
    (void)size;
    return false;
#endif
}

#endif
