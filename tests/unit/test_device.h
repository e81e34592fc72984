/* What the device tests share: a clock that stands still until told, an alarm and a wire that
 * remember, and register access the way the bus does it. */
#ifndef TESTS_UNIT_TEST_DEVICE_H
#define TESTS_UNIT_TEST_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/irq.h"
#include "devices/device.h"

struct test_bench {
    uint64_t monotonic, realtime; /* ns */
    uint64_t deadline;            /* what the alarm was set to */
    bool level;                   /* of the wire */
};

static inline uint64_t test_monotonic(void *ctx)
{
    return ((struct test_bench *)ctx)->monotonic;
}

static inline uint64_t test_realtime(void *ctx)
{
    return ((struct test_bench *)ctx)->realtime;
}

static inline void test_set_alarm(void *ctx, uint64_t deadline_ns)
{
    ((struct test_bench *)ctx)->deadline = deadline_ns;
}

static inline void test_set_wire(void *ctx, unsigned n, bool level)
{
    (void)n;
    ((struct test_bench *)ctx)->level = level;
}

static inline struct clock test_clock(struct test_bench *b)
{
    return (struct clock){ test_monotonic, test_realtime, b };
}

static inline struct alarm test_alarm(struct test_bench *b)
{
    return (struct alarm){ test_set_alarm, b };
}

static inline struct irq_line test_wire(struct test_bench *b)
{
    return (struct irq_line){ test_set_wire, b, 0 };
}

static inline uint64_t test_read(struct device *d, uint64_t offset, unsigned width)
{
    lock_acquire(&d->lock);
    uint64_t v = d->ops->read(d, offset, width);
    lock_release(&d->lock);
    return v;
}

static inline void test_write(struct device *d, uint64_t offset, unsigned width, uint64_t value)
{
    lock_acquire(&d->lock);
    d->ops->write(d, offset, width, value);
    lock_release(&d->lock);
}

static inline void test_reset_device(struct device *d)
{
    lock_acquire(&d->lock);
    d->ops->reset(d);
    lock_release(&d->lock);
}

static inline uint32_t rd(struct device *d, uint64_t offset)
{
    return (uint32_t)test_read(d, offset, 4);
}

static inline void wr(struct device *d, uint64_t offset, uint32_t value)
{
    test_write(d, offset, 4, value);
}

#endif
