/* PL031 real time clock (Arm PrimeCell RTC TRM, DDI 0224C), with alarm. */
#ifndef DEVICES_PL031_H
#define DEVICES_PL031_H

#include "base/clock.h"
#include "base/irq.h"
#include "devices/device.h"

struct pl031_config {
    struct irq_line irq;
    struct clock clock;
    struct alarm alarm; /* whoever owns it calls pl031_alarm() at the deadline */
};

int pl031_create(const struct pl031_config *config, struct device **out) MUST_CHECK;

/* The deadline set through config.alarm came. Any thread. */
void pl031_alarm(struct device *d);

#endif
