/*
 * PL031 real time clock (Arm DDI 0224C): seconds since 1970 plus what the guest loaded, and a match
 * register with an interrupt.
 *
 * The counter follows the host's wall clock, so a guest's clock is right after the host slept. It
 * runs from reset: on a real machine firmware has started it, and we have none. Time is kept in 64
 * bits inside and the guest sees the low 32, so a match in the past means one turn of the counter
 * later, as on the hardware.
 */
#include "devices/pl031.h"

#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>

#include "devices/primecell.h"

#define RTCDR   0x00 /* data: the counter */
#define RTCMR   0x04 /* match */
#define RTCLR   0x08 /* load */
#define RTCCR   0x0c /* control */
#define RTCIMSC 0x10 /* interrupt mask */
#define RTCRIS  0x14 /* raw interrupt status */
#define RTCMIS  0x18 /* masked interrupt status */
#define RTCICR  0x1c /* interrupt clear */

#define PL031_PERIPH_ID 0x00041031
#define NS_PER_S        1000000000ull

struct pl031 {
    struct device device;
    struct pl031_config config;
    uint64_t offset; /* what the guest's counter is ahead of the host's, seconds, modulo 2^64 */
    uint64_t due;    /* when the counter, in 64 bits, will match; ALARM_OFF: never */
    uint32_t match;
    uint32_t load;
    bool mask;
    bool raw;
};

static struct pl031 *pl031_of(struct device *d)
{
    return CONTAINER_OF(d, struct pl031, device);
}

static uint64_t pl031_count(const struct pl031 *p)
{
    return clock_realtime(&p->config.clock) / NS_PER_S + p->offset;
}

static void pl031_update_irq(struct pl031 *p)
{
    irq_line_set(&p->config.irq, p->raw && p->mask);
}

/* Ask for a call when the counter comes to `due`. */
static void pl031_arm(struct pl031 *p)
{
    uint64_t realtime = clock_realtime(&p->config.clock);
    uint64_t seconds = p->due - (realtime / NS_PER_S + p->offset);
    alarm_set(&p->config.alarm,
              clock_now(&p->config.clock) + seconds * NS_PER_S - realtime % NS_PER_S);
}

/* The counter or the match register changed. */
static void pl031_restart(struct pl031 *p)
{
    uint64_t count = pl031_count(p);
    uint32_t left = p->match - (uint32_t)count;
    p->due = count + left;
    if (left > 0) {
        pl031_arm(p);
        return;
    }
    p->due = ALARM_OFF;
    alarm_set(&p->config.alarm, ALARM_OFF);
    p->raw = true;
    pl031_update_irq(p);
}

void pl031_alarm(struct device *d)
{
    struct pl031 *p = pl031_of(d);
    lock_acquire(&d->lock);
    if (p->due != ALARM_OFF) {
        if (pl031_count(p) < p->due) { /* the host's wall clock was set back */
            pl031_arm(p);
        } else {
            p->due = ALARM_OFF;
            p->raw = true;
            pl031_update_irq(p);
        }
    }
    lock_release(&d->lock);
}

static uint64_t pl031_read(struct device *d, uint64_t offset, unsigned width)
{
    const struct pl031 *p = pl031_of(d);
    (void)width;
    switch (offset) {
    case RTCDR:
        return (uint32_t)pl031_count(p);
    case RTCMR:
        return p->match;
    case RTCLR:
        return p->load;
    case RTCCR:
        return 1;
    case RTCIMSC:
        return p->mask;
    case RTCRIS:
        return p->raw;
    case RTCMIS:
        return p->raw && p->mask;
    default:
        return offset >= PRIMECELL_ID && offset < PRIMECELL_ID_LIMIT
                   ? primecell_read_id(PL031_PERIPH_ID, offset)
                   : 0;
    }
}

static void pl031_write(struct device *d, uint64_t offset, unsigned width, uint64_t value)
{
    struct pl031 *p = pl031_of(d);
    if (width != 4)
        return;
    switch (offset) {
    case RTCMR:
        p->match = (uint32_t)value;
        pl031_restart(p);
        break;
    case RTCLR:
        p->load = (uint32_t)value;
        p->offset += (uint32_t)value - pl031_count(p);
        pl031_restart(p);
        break;
    case RTCIMSC:
        p->mask = value & 1;
        pl031_update_irq(p);
        break;
    case RTCICR:
        if (value & 1)
            p->raw = false;
        pl031_update_irq(p);
        break;
    default: /* RTCCR: once started, only a reset stops the counter */
        break;
    }
}

static void pl031_reset(struct device *d)
{
    struct pl031 *p = pl031_of(d);
    p->offset = 0;
    p->due = ALARM_OFF;
    p->match = 0;
    p->load = 0;
    p->mask = false;
    p->raw = false;
    alarm_set(&p->config.alarm, ALARM_OFF);
    pl031_update_irq(p);
}

static int pl031_fdt(const struct device *d, void *fdt, const struct device_place *place)
{
    int rc = primecell_fdt_begin(fdt, "rtc", "arm,pl031", d->ops->size, place, 0);
    return rc ? rc : fdt_end_node(fdt) ? -ENOSPC : 0;
}

static void pl031_destroy(struct device *d)
{
    struct pl031 *p = pl031_of(d);
    alarm_set(&p->config.alarm, ALARM_OFF);
    lock_fini(&d->lock);
    free(p);
}

static const struct device_ops pl031_ops = {
    .name = "pl031",
    .size = PRIMECELL_SIZE,
    .min_width = 1, /* EDK2 reads the identification by bytes */
    .max_width = 4,
    .read = pl031_read,
    .write = pl031_write,
    .reset = pl031_reset,
    .fdt = pl031_fdt,
    .destroy = pl031_destroy,
};

int pl031_create(const struct pl031_config *config, struct device **out)
{
    struct pl031 *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->device.ops = &pl031_ops;
    lock_init(&p->device.lock, LOCK_DEVICE);
    p->config = *config;
    p->due = ALARM_OFF;
    *out = &p->device;
    return 0;
}
