/*
 * PL061 general purpose input/output (Arm DDI 0190C): eight pins, each an input or an output, each
 * a source of interrupts by level or by edge.
 *
 * The data register is masked by the address: bits <9:2> of the offset say which pins an access
 * touches, so a guest changes one pin without reading the others first.
 */
#include "devices/pl061.h"

#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>

#include "devices/primecell.h"

#define GPIODATA_LIMIT 0x400
#define GPIODIR        0x400 /* 1: output */
#define GPIOIS         0x404 /* 1: level-sensitive */
#define GPIOIBE        0x408 /* 1: both edges */
#define GPIOIEV        0x40c /* 1: rising edge or high level */
#define GPIOIE         0x410 /* 1: interrupt enabled */
#define GPIORIS        0x414
#define GPIOMIS        0x418
#define GPIOIC         0x41c
#define GPIOAFSEL      0x420 /* 1: the pin's other function, of which our pins have none */

#define PL061_PERIPH_ID 0x00041061

/* The guest's name for the controller in its device tree; one for each interrupt. */
#define PL061_PHANDLE 0x6100u
#define KEY_POWER     116 /* Linux input event code */

struct pl061 {
    struct device device;
    struct pl061_config config;
    uint8_t input;  /* what the outside drives */
    uint8_t output; /* what the guest wrote */
    uint8_t dir, is, ibe, iev, ie, afsel;
    uint8_t edges; /* seen and not cleared */
};

static struct pl061 *pl061_of(struct device *d)
{
    return CONTAINER_OF(d, struct pl061, device);
}

static uint8_t pl061_pins(const struct pl061 *p)
{
    return (uint8_t)((p->output & p->dir) | (p->input & ~p->dir));
}

static uint8_t pl061_raw(const struct pl061 *p)
{
    uint8_t at_level = (uint8_t)~(pl061_pins(p) ^ p->iev);
    return (uint8_t)((at_level & p->is) | (p->edges & ~p->is));
}

static void pl061_update_irq(struct pl061 *p)
{
    irq_line_set(&p->config.irq, pl061_raw(p) & p->ie);
}

/* Pins may have changed since they were `before`: note the edges that were asked for. */
static void pl061_note_edges(struct pl061 *p, uint8_t before)
{
    uint8_t now = pl061_pins(p);
    uint8_t rose = (uint8_t)(now & ~before), fell = (uint8_t)(before & ~now);
    uint8_t wanted_rise = p->iev | p->ibe, wanted_fall = (uint8_t)(~p->iev | p->ibe);
    p->edges |= (uint8_t)(((rose & wanted_rise) | (fell & wanted_fall)) & ~p->is);
    pl061_update_irq(p);
}

void pl061_set_pin(struct device *d, unsigned pin, bool level)
{
    struct pl061 *p = pl061_of(d);
    if (pin > 7)
        return;
    lock_acquire(&d->lock);
    uint8_t before = pl061_pins(p);
    p->input = (uint8_t)((p->input & ~(1u << pin)) | (unsigned)level << pin);
    pl061_note_edges(p, before);
    lock_release(&d->lock);
}

static uint64_t pl061_read(struct device *d, uint64_t offset, unsigned width)
{
    const struct pl061 *p = pl061_of(d);
    (void)width;
    if (offset % 4)
        return 0;
    if (offset < GPIODATA_LIMIT)
        return pl061_pins(p) & offset >> 2;
    switch (offset) {
    case GPIODIR:
        return p->dir;
    case GPIOIS:
        return p->is;
    case GPIOIBE:
        return p->ibe;
    case GPIOIEV:
        return p->iev;
    case GPIOIE:
        return p->ie;
    case GPIORIS:
        return pl061_raw(p);
    case GPIOMIS:
        return pl061_raw(p) & p->ie;
    case GPIOAFSEL:
        return p->afsel;
    default:
        return offset >= PRIMECELL_ID && offset < PRIMECELL_ID_LIMIT
                   ? primecell_read_id(PL061_PERIPH_ID, offset)
                   : 0;
    }
}

static void pl061_write(struct device *d, uint64_t offset, unsigned width, uint64_t value)
{
    struct pl061 *p = pl061_of(d);
    uint8_t v = (uint8_t)value;
    uint8_t before = pl061_pins(p);
    (void)width;
    if (offset % 4)
        return;
    if (offset < GPIODATA_LIMIT) {
        uint8_t mask = (uint8_t)(offset >> 2) & p->dir;
        p->output = (uint8_t)((p->output & ~mask) | (v & mask));
        pl061_note_edges(p, before);
        return;
    }
    switch (offset) {
    case GPIODIR:
        p->dir = v;
        break;
    case GPIOIS:
        p->is = v;
        break;
    case GPIOIBE:
        p->ibe = v;
        break;
    case GPIOIEV:
        p->iev = v;
        break;
    case GPIOIE:
        p->ie = v;
        break;
    case GPIOIC:
        p->edges &= (uint8_t)~v;
        break;
    case GPIOAFSEL:
        p->afsel = v;
        break;
    default:
        return;
    }
    pl061_note_edges(p, before);
}

static void pl061_reset(struct device *d)
{
    struct pl061 *p = pl061_of(d);
    p->output = 0;
    p->dir = p->is = p->ibe = p->iev = p->ie = p->afsel = 0;
    p->edges = 0;
    pl061_update_irq(p);
}

/* The controller, then the "gpio-keys" node whose power key hangs on one of its pins. */
static int pl061_fdt(const struct device *d, void *fdt, const struct device_place *place)
{
    uint32_t phandle = PL061_PHANDLE + place->spi;
    const fdt32_t key[] = { cpu_to_fdt32(phandle), cpu_to_fdt32(PL061_POWER_PIN), 0 };
    int rc = primecell_fdt_begin(fdt, "gpio", "arm,pl061", d->ops->size, place, 0);
    rc = rc ? rc : fdt_property(fdt, "gpio-controller", NULL, 0);
    rc = rc ? rc : fdt_property_u32(fdt, "#gpio-cells", 2);
    rc = rc ? rc : fdt_property(fdt, "interrupt-controller", NULL, 0);
    rc = rc ? rc : fdt_property_u32(fdt, "#interrupt-cells", 2);
    rc = rc ? rc : fdt_property_u32(fdt, "#address-cells", 0);
    rc = rc ? rc : fdt_property_u32(fdt, "phandle", phandle);
    rc = rc ? rc : fdt_end_node(fdt);
    rc = rc ? rc : fdt_begin_node(fdt, "gpio-keys");
    rc = rc ? rc : fdt_property_string(fdt, "compatible", "gpio-keys");
    rc = rc ? rc : fdt_begin_node(fdt, "power-key");
    rc = rc ? rc : fdt_property_string(fdt, "label", "Power");
    rc = rc ? rc : fdt_property_u32(fdt, "linux,code", KEY_POWER);
    rc = rc ? rc : fdt_property(fdt, "gpios", key, sizeof key);
    rc = rc ? rc : fdt_end_node(fdt);
    rc = rc ? rc : fdt_end_node(fdt);
    return rc ? -ENOSPC : 0;
}

static void pl061_destroy(struct device *d)
{
    struct pl061 *p = pl061_of(d);
    lock_fini(&d->lock);
    free(p);
}

static const struct device_ops pl061_ops = {
    .name = "pl061",
    .size = PRIMECELL_SIZE,
    .min_width = 1,
    .max_width = 4,
    .read = pl061_read,
    .write = pl061_write,
    .reset = pl061_reset,
    .fdt = pl061_fdt,
    .destroy = pl061_destroy,
};

int pl061_create(const struct pl061_config *config, struct device **out)
{
    struct pl061 *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->device.ops = &pl061_ops;
    lock_init(&p->device.lock, LOCK_DEVICE);
    p->config = *config;
    *out = &p->device;
    return 0;
}
