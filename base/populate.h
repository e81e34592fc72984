/*
 * Memory that costs nothing until it is used, and memory that is about to be used all over, made at
 * once. A page fault costs more than to clear the page; and of private memory that is read before
 * it is written there are two for each page, of which the second, with several threads, interrupts
 * all other cores.
 */
#ifndef BASE_POPULATE_H
#define BASE_POPULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/bits.h"

#if defined(__linux__) && !defined(MADV_POPULATE_WRITE)
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

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

#endif
