/* The guest's memory, as the host sees it. */
#ifndef HOST_MEMORY_H
#define HOST_MEMORY_H

#include <stddef.h>

/* Give the host back what the whole pages in [p, p + n) cost it; they read as zeroes afterwards,
 * and cost something again when they are written. The range is private, anonymous memory and stays
 * mapped where it is. If the host cannot, only the cost stays. Any thread. */
void memory_give_back(void *p, size_t n);

#endif
