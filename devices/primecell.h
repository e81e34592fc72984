/* What Arm's PrimeCell peripherals have in common: the identification registers and most of the
 * device tree node. */
#ifndef DEVICES_PRIMECELL_H
#define DEVICES_PRIMECELL_H

#include <stdint.h>

#include "devices/device.h"

#define PRIMECELL_SIZE     0x1000
#define PRIMECELL_ID       0xfe0
#define PRIMECELL_ID_LIMIT 0x1000

/* The byte at `offset`, 0xfe0 to 0xfff: PeriphID0..3 of `periph_id`, then PCellID0..3. */
uint32_t primecell_read_id(uint32_t periph_id, uint64_t offset);

/* Open the node NAME@base with compatible, reg, interrupts, clocks and clock-names; `uart_clock`
 * adds "uartclk". The caller adds what is its own and closes it. 0 or -ENOSPC. */
int primecell_fdt_begin(void *fdt, const char *name, const char *compatible, uint64_t size,
                        const struct device_place *place, int uart_clock);

#endif
