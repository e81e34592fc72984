/*
 * The log: one line a message on stderr, with a level and a topic. The only process-wide state of
 * base/.
 *
 * Anything that a guest can cause is logged through log_limited(), which lets the first `LOG_LIMIT`
 * messages of a call site through and then says once that it goes silent.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>

#include "base/compiler.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* How many messages of one call site of log_limited() are printed. */
#define LOG_LIMIT 8

/* Print messages up to and including `level`; LOG_WARN at start. */
void log_set_level(enum log_level level);

/* Called with each finished line (no newline) instead of printing to stderr; NULL goes back to
 * stderr. */
void log_set_sink(void (*sink)(void *ctx, const char *line), void *ctx);

void log_message(enum log_level level, const char *topic, const char *fmt, ...) PRINTF_LIKE(3, 4);
void log_message_limited(atomic_uint *count, enum log_level level, const char *topic,
                         const char *fmt, ...) PRINTF_LIKE(4, 5);

#define log_error(topic, ...) log_message(LOG_ERROR, topic, __VA_ARGS__)
#define log_warn(topic, ...)  log_message(LOG_WARN, topic, __VA_ARGS__)
#define log_info(topic, ...)  log_message(LOG_INFO, topic, __VA_ARGS__)
#define log_debug(topic, ...) log_message(LOG_DEBUG, topic, __VA_ARGS__)

#define log_limited(level, topic, ...)                                                             \
    do {                                                                                           \
        static atomic_uint log_count;                                                              \
        log_message_limited(&log_count, level, topic, __VA_ARGS__);                                \
    } while (0)

#endif
