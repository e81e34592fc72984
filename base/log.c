#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static struct {
    _Atomic enum log_level level;
    void (*sink)(void *ctx, const char *line);
    void *ctx;
} logger = { .level = LOG_WARN };

static const char *const level_names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARN] = "warning",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

void log_set_level(enum log_level level)
{
    logger.level = level;
}

void log_set_sink(void (*sink)(void *ctx, const char *line), void *ctx)
{
    logger.sink = sink;
    logger.ctx = ctx;
}

PRINTF_LIKE(3, 0)
static void log_print(enum log_level level, const char *topic, const char *fmt, va_list ap)
{
    char line[1024];
    int n = snprintf(line, sizeof line, "ireko: %s: %s: ", level_names[level], topic);
    vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
    if (logger.sink)
        logger.sink(logger.ctx, line);
    else
        fprintf(stderr, "%s\n", line);
}

void log_message(enum log_level level, const char *topic, const char *fmt, ...)
{
    if (level > logger.level)
        return;
    va_list ap;
    va_start(ap, fmt);
    log_print(level, topic, fmt, ap);
    va_end(ap);
}

void log_message_limited(atomic_uint *count, enum log_level level, const char *topic,
                         const char *fmt, ...)
{
    if (level > logger.level)
        return;
    /* Stops counting past the limit, so that a guest cannot make it wrap. */
    if (atomic_load_explicit(count, memory_order_relaxed) > LOG_LIMIT)
        return;
    unsigned n = atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
    if (n > LOG_LIMIT)
        return;
    if (n == LOG_LIMIT) {
        log_message(level, topic, "more of the same is not shown");
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    log_print(level, topic, fmt, ap);
    va_end(ap);
}
