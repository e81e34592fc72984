/* The guest's memory, as the host sees it. */
#ifndef HOST_MEMORY_H
#define HOST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* Give the host back what the whole pages in [p, p + n) cost it; they read as zeroes afterwards,
 * and cost something again when they are written. The range is private, anonymous memory and stays
 * mapped where it is. If the host cannot, only the cost stays. Any thread. */
void memory_give_back(void *p, size_t n);

/* Storage for all `size` bytes of a file, so that a write to its mapping finds some. 0 or negative
 * errno. */
int memory_fill_holes(int fd, uint64_t size) MUST_CHECK;

#endif
