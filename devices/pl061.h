/* PL061 GPIO (Arm PrimeCell GPIO TRM, DDI 0190C). Pin 3 is the power key of the machine
 * ("gpio-keys" node). */
#ifndef DEVICES_PL061_H
#define DEVICES_PL061_H

#include <stdbool.h>

#include "base/irq.h"
#include "devices/device.h"

#define PL061_POWER_PIN 3

struct pl061_config {
    struct irq_line irq;
};

int pl061_create(const struct pl061_config *config, struct device **out) MUST_CHECK;

/* Drive an input pin, 0 to 7. Any thread. */
void pl061_set_pin(struct device *d, unsigned pin, bool level);

#endif
