#include "devices/primecell.h"

#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

uint32_t primecell_read_id(uint32_t periph_id, uint64_t offset)
{
    static const uint32_t cell_id = 0xb105f00d;
    unsigned n = (unsigned)(offset - PRIMECELL_ID) / 4;
    return (n < 4 ? periph_id >> 8 * n : cell_id >> 8 * (n - 4)) & 0xff;
}

/* A string list property: `first`, then "arm,primecell" and the like, each with its NUL. */
static int primecell_fdt_strings(void *fdt, const char *name, const char *first, const char *second)
{
    char list[64];
    int n = snprintf(list, sizeof list, "%s%c%s", first, 0, second);
    return fdt_property(fdt, name, list, n + 1);
}

int primecell_fdt_begin(void *fdt, const char *name, const char *compatible, uint64_t size,
                        const struct device_place *place, int uart_clock)
{
    char node[64];
    snprintf(node, sizeof node, "%s@%" PRIx64, name, place->base);
    const fdt64_t reg[] = { cpu_to_fdt64(place->base), cpu_to_fdt64(size) };
    /* A shared interrupt, level-triggered, active high. */
    const fdt32_t interrupt[] = { cpu_to_fdt32(0), cpu_to_fdt32(place->spi), cpu_to_fdt32(4) };
    const fdt32_t clock[] = { cpu_to_fdt32(place->clock_phandle),
                              cpu_to_fdt32(place->clock_phandle) };
    int rc = fdt_begin_node(fdt, node);
    rc = rc ? rc : primecell_fdt_strings(fdt, "compatible", compatible, "arm,primecell");
    rc = rc ? rc : fdt_property(fdt, "reg", reg, sizeof reg);
    rc = rc ? rc : fdt_property(fdt, "interrupts", interrupt, sizeof interrupt);
    rc = rc ? rc : fdt_property(fdt, "clocks", clock, uart_clock ? sizeof clock : 4);
    if (rc == 0 && uart_clock)
        rc = primecell_fdt_strings(fdt, "clock-names", "uartclk", "apb_pclk");
    else if (rc == 0)
        rc = fdt_property_string(fdt, "clock-names", "apb_pclk");
    return rc ? -ENOSPC : 0;
}
