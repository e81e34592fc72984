/* The counters of a VM as a table for people. */
#ifndef CLI_STATS_H
#define CLI_STATS_H

#include <stdint.h>

#include "vmm/stats.h"

/* Give the table to `line`, one line at a time without its '\n', at most 80 columns each. `started`
 * is clock_monotonic_ns() when the program began. */
void stats_print(const struct stats_vm *s, uint64_t started,
                 void (*line)(void *ctx, const char *text), void *ctx);

#endif
