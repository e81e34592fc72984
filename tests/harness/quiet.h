/* For tests that provoke lines of the log: nobody has to read them. */
#ifndef TESTS_HARNESS_QUIET_H
#define TESTS_HARNESS_QUIET_H

#include <stddef.h>

#include "base/log.h"

static inline void quiet_line(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

static inline void quiet(void)
{
    log_set_sink(quiet_line, NULL);
}

#endif
