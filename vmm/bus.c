#include "vmm/bus.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bits.h"
#include "base/log.h"

static int bus_insert(struct bus *b, struct bus_window w)
{
    if (b->frozen)
        return -EBUSY;
    if (w.size == 0 || w.base + (w.size - 1) < w.base)
        return -EINVAL;
    if (b->count == BUS_MAX_WINDOWS)
        return -ENOSPC;
    unsigned at = 0;
    while (at < b->count && b->window[at].base < w.base)
        at++;
    if (at > 0 && w.base - b->window[at - 1].base < b->window[at - 1].size)
        return -EINVAL;
    if (at < b->count && b->window[at].base - w.base < w.size)
        return -EINVAL;
    memmove(&b->window[at + 1], &b->window[at], (b->count - at) * sizeof w);
    b->window[at] = w;
    b->count++;
    return 0;
}

int bus_add(struct bus *b, gpa_t base, uint64_t size, const struct bus_ops *ops, void *ctx)
{
    return bus_insert(b, (struct bus_window){ .base = base, .size = size, .ops = ops, .ctx = ctx });
}

int bus_add_device(struct bus *b, gpa_t base, struct device *d)
{
    return bus_insert(b, (struct bus_window){ .base = base, .size = d->ops->size, .device = d });
}

void bus_freeze(struct bus *b)
{
    b->frozen = true;
}

/* The window that holds `a`, by binary search, or NULL. */
static const struct bus_window *bus_find(const struct bus *b, gpa_t a)
{
    unsigned lo = 0, hi = b->count;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        const struct bus_window *w = &b->window[mid];
        if (a - w->base < w->size)
            return w;
        if (a < w->base)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

/* Is this the first miss on `page`? Once the table is full the log says so, and then it is false
 * for ever. Relaxed: the table orders nothing else. */
static bool bus_first_miss(struct bus *b, uint64_t page)
{
    for (unsigned i = 0; i < BUS_MISSES; i++) {
        uint64_t seen = 0;
        if (atomic_compare_exchange_strong_explicit(&b->miss[i], &seen, page + 1,
                                                    memory_order_relaxed, memory_order_relaxed))
            return true;
        if (seen == page + 1)
            return false;
    }
    if (!atomic_exchange_explicit(&b->silent, true, memory_order_relaxed))
        log_warn("bus", "accesses to more pages without a device are not shown");
    return false;
}

static const struct bus_window *bus_target(struct bus *b, gpa_t a, unsigned width, bool write)
{
    assert(b->frozen);
    const struct bus_window *w = bus_find(b, a);
    if (!w) {
        if (bus_first_miss(b, a >> 12))
            log_warn("bus", "the guest %s 0x%" PRIx64 ", where there is no device",
                     write ? "wrote to" : "read from", a);
        return NULL;
    }
    unsigned min = w->device ? w->device->ops->min_width : w->ops->min_width;
    unsigned max = w->device ? w->device->ops->max_width : w->ops->max_width;
    uint64_t offset = a - w->base;
    if (width < min || width > max || offset % width || w->size - offset < width) {
        log_limited(LOG_INFO, "bus",
                    "%s: the guest's %u-byte access at 0x%" PRIx64 " is not allowed",
                    w->device ? w->device->ops->name : w->ops->name, width, offset);
        return NULL;
    }
    return w;
}

uint64_t bus_read(struct bus *b, unsigned cpu, gpa_t a, unsigned width)
{
    const struct bus_window *w = bus_target(b, a, width, false);
    if (!w)
        return 0;
    uint64_t value;
    if (w->device) {
        lock_acquire(&w->device->lock);
        value = w->device->ops->read(w->device, a - w->base, width);
        lock_release(&w->device->lock);
    } else {
        value = w->ops->read(w->ctx, cpu, a - w->base, width);
    }
    return value & ones(width * 8);
}

void bus_write(struct bus *b, unsigned cpu, gpa_t a, unsigned width, uint64_t value)
{
    const struct bus_window *w = bus_target(b, a, width, true);
    if (!w)
        return;
    value &= ones(width * 8);
    if (w->device) {
        lock_acquire(&w->device->lock);
        w->device->ops->write(w->device, a - w->base, width, value);
        lock_release(&w->device->lock);
    } else {
        w->ops->write(w->ctx, cpu, a - w->base, width, value);
    }
}
