/* The guest's memory, as the host sees it. */
#ifndef HOST_MEMORY_H
#define HOST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* Keep `size` bytes of addresses at a multiple of `align`, both multiples of the host's page;
 * nothing can be accessed there until it is mapped anew. munmap() is due. NULL and errno if it
 * cannot be. */
void *memory_reserve(uint64_t size, uint64_t align) MUST_CHECK;

/* Give the host back what the whole pages in [p, p + n) cost it; they read as zeroes afterwards,
 * and cost something again when they are written. The range is private, anonymous memory and stays
 * mapped where it is. If the host cannot, only the cost stays. Any thread. */
void memory_give_back(void *p, size_t n);

/* Storage for all `size` bytes of a file, so that a write to its mapping finds some. 0 or negative
 * errno. */
int memory_fill_holes(int fd, uint64_t size) MUST_CHECK;

#endif
