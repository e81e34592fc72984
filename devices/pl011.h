/*
 * PL011 UART (Arm PrimeCell UART TRM, DDI 0183G): registers complete, transmission immediate.
 */
#ifndef DEVICES_PL011_H
#define DEVICES_PL011_H

#include <stddef.h>

#include "base/clock.h"
#include "base/irq.h"
#include "devices/device.h"

struct pl011_config {
    struct irq_line irq;
    struct clock clock;
    struct alarm
        alarm; /* for the receive timeout; whoever owns it calls pl011_alarm() at the deadline */
    /* The guest sent bytes. Called with the device's lock held; must not block for long. May be
     * NULL. */
    void (*send)(void *ctx, const uint8_t *bytes, size_t n);
    /* There is room again after pl011_receive() took less than it was given. Lock held. May be
     * NULL. */
    void (*room)(void *ctx);
    void *ctx;
};

int pl011_create(const struct pl011_config *config, struct device **out) MUST_CHECK;

/* Bytes arrive from the host. Returns how many fitted (the rest is the caller's to keep until
 * `room`). Any thread. */
size_t pl011_receive(struct device *d, const uint8_t *bytes, size_t n);

/* The deadline set through config.alarm came. Any thread. */
void pl011_alarm(struct device *d);

#endif
