#include "vmm/machine.h"

#include <errno.h>
#include <string.h>

#include <Hypervisor/hvx.h>

#include "devices/pl011.h"
#include "devices/pl031.h"
#include "devices/pl061.h"
#include "gic/gicv3.h"

/* How long the power key stays down: longer than the 5 ms for which Linux' gpio-keys waits until
 * the contact is quiet, even on a slow software CPU. */
#define MACHINE_KEY_NS 200000000ull

/* --- the GICv2's windows --- */

static uint64_t machine_gic_dist_read(void *ctx, unsigned cpu, uint64_t offset, unsigned width)
{
    return gicv2_dist_read(ctx, cpu, offset, width);
}

static void machine_gic_dist_write(void *ctx, unsigned cpu, uint64_t offset, unsigned width,
                                   uint64_t value)
{
    gicv2_dist_write(ctx, cpu, offset, width, value);
}

static uint64_t machine_gic_cpu_read(void *ctx, unsigned cpu, uint64_t offset, unsigned width)
{
    return gicv2_cpu_read(ctx, cpu, offset, width);
}

static void machine_gic_cpu_write(void *ctx, unsigned cpu, uint64_t offset, unsigned width,
                                  uint64_t value)
{
    gicv2_cpu_write(ctx, cpu, offset, width, value);
}

static uint64_t machine_gic_msi_read(void *ctx, unsigned cpu, uint64_t offset, unsigned width)
{
    (void)cpu;
    return gicv2_msi_read(ctx, offset, width);
}

static void machine_gic_msi_write(void *ctx, unsigned cpu, uint64_t offset, unsigned width,
                                  uint64_t value)
{
    (void)cpu;
    gicv2_msi_write(ctx, offset, width, value);
}

static const struct bus_ops machine_gic_dist = {
    .name = "gic distributor",
    .min_width = 1,
    .max_width = 4,
    .read = machine_gic_dist_read,
    .write = machine_gic_dist_write,
};

static const struct bus_ops machine_gic_cpu = {
    .name = "gic cpu interface",
    .min_width = 1,
    .max_width = 4,
    .read = machine_gic_cpu_read,
    .write = machine_gic_cpu_write,
};

static const struct bus_ops machine_gic_msi = {
    .name = "gic message frame",
    .min_width = 1,
    .max_width = 4,
    .read = machine_gic_msi_read,
    .write = machine_gic_msi_write,
};

static int machine_add_gic(struct machine *m, const struct machine_config *c, struct err *e)
{
    const struct gicv2_config config = {
        .cpus = c->vm->cpus,
        .spis = MEMMAP_SPI_COUNT,
        .msi_base = 32 + MEMMAP_SPI_MSI,
        .msi_count = MEMMAP_SPI_MSIS,
        .signal = c->signal,
        .ctx = c->ctx,
    };
    int r = gicv2_create(&config, &m->gic);
    if (r == 0)
        r = bus_add(&m->bus, MEMMAP_GIC_DIST, GICV2_DIST_SIZE, &machine_gic_dist, m->gic);
    if (r == 0)
        r = bus_add(&m->bus, MEMMAP_GIC_CPU, GICV2_CPU_SIZE, &machine_gic_cpu, m->gic);
    if (r == 0)
        r = bus_add(&m->bus, MEMMAP_GIC_MSI, GICV2_MSI_SIZE, &machine_gic_msi, m->gic);
    if (r < 0)
        return err_set(e, r, "cannot create the interrupt controller: %s", strerror(-r));
    return 0;
}

/* --- devices --- */

static void machine_spi_set(void *ctx, unsigned n, bool level)
{
    const struct machine *m = ctx;
    if (m->gic)
        gicv2_set_spi(m->gic, n, level);
    else if (HVX_SINCE(15.0))
        (void)hv_gic_set_spi(GICV3_SPI_BASE + n, level); /* what fails is a VM that never runs */
}

struct irq_line machine_spi(struct machine *m, unsigned spi)
{
    return (struct irq_line){ .set = machine_spi_set, .ctx = m, .n = spi };
}

void machine_own_device(struct machine *m, struct device *d, struct device_place place)
{
    m->device[m->device_count++] = (struct machine_device){ .device = d, .place = place };
}

int machine_add_device(struct machine *m, struct device *d, gpa_t base, unsigned spi, struct err *e)
{
    machine_own_device(
        m, d,
        (struct device_place){ .base = base, .spi = spi, .clock_phandle = MACHINE_PHANDLE_CLOCK });
    int r = bus_add_device(&m->bus, base, d);
    if (r < 0)
        return err_set(e, r, "cannot place %s in the machine: %s", d->ops->name, strerror(-r));
    return 0;
}

int machine_device_error(struct err *e, int r, const char *name)
{
    return err_set(e, r, "cannot create the %s device: %s", name, strerror(-r));
}

static struct alarm machine_alarm(const struct machine_config *c, struct machine *m,
                                  void (*fire)(void *arg), int *r)
{
    struct alarm a = { 0 };
    if (*r == 0 && c->vm->alarm_create)
        *r = c->vm->alarm_create(c->vm->alarm_ctx, fire, m, &a);
    return a;
}

static void machine_uart_fire(void *arg)
{
    const struct machine *m = arg;
    pl011_alarm(m->uart);
}

static void machine_rtc_fire(void *arg)
{
    const struct machine *m = arg;
    pl031_alarm(m->rtc);
}

static void machine_power_key_fire(void *arg)
{
    const struct machine *m = arg;
    pl061_set_pin(m->gpio, PL061_POWER_PIN, false);
}

static int machine_add_uart(struct machine *m, const struct machine_config *c, struct err *e)
{
    int r = 0;
    const struct vm_serial *serial = &c->vm->serial;
    const struct pl011_config config = {
        .irq = machine_spi(m, MEMMAP_SPI_UART),
        .clock = clock_host,
        .alarm = machine_alarm(c, m, machine_uart_fire, &r),
        .send = serial->send,
        .room = serial->room,
        .ctx = serial->ctx,
    };
    if (r == 0)
        r = pl011_create(&config, &m->uart);
    if (r < 0)
        return machine_device_error(e, r, "serial port");
    return machine_add_device(m, m->uart, MEMMAP_UART, MEMMAP_SPI_UART, e);
}

static int machine_add_rtc(struct machine *m, const struct machine_config *c, struct err *e)
{
    int r = 0;
    const struct pl031_config config = {
        .irq = machine_spi(m, MEMMAP_SPI_RTC),
        .clock = clock_host,
        .alarm = machine_alarm(c, m, machine_rtc_fire, &r),
    };
    if (r == 0)
        r = pl031_create(&config, &m->rtc);
    if (r < 0)
        return machine_device_error(e, r, "real time clock");
    return machine_add_device(m, m->rtc, MEMMAP_RTC, MEMMAP_SPI_RTC, e);
}

static int machine_add_gpio(struct machine *m, const struct machine_config *c, struct err *e)
{
    int r = 0;
    const struct pl061_config config = { .irq = machine_spi(m, MEMMAP_SPI_GPIO) };
    m->power_key = machine_alarm(c, m, machine_power_key_fire, &r);
    if (r == 0)
        r = pl061_create(&config, &m->gpio);
    if (r < 0)
        return machine_device_error(e, r, "power key");
    return machine_add_device(m, m->gpio, MEMMAP_GPIO, MEMMAP_SPI_GPIO, e);
}

int machine_init(struct machine *m, const struct machine_config *config, struct err *e)
{
    int r = config->gicv3 ? 0 : machine_add_gic(m, config, e);
    if (r == 0)
        r = machine_add_uart(m, config, e);
    if (r == 0)
        r = machine_add_rtc(m, config, e);
    if (r == 0)
        r = machine_add_gpio(m, config, e);
    if (r == 0 && config->vm->firmware)
        r = machine_add_firmware(m, config, e);
    if (r == 0 && config->vm->transport == VM_TRANSPORT_PCI)
        r = machine_add_pci_host(m, config, e);
    if (r == 0)
        r = machine_add_virtio(m, config, e);
    bus_freeze(&m->bus);
    return r;
}

void machine_reset(struct machine *m)
{
    for (unsigned i = 0; i < m->disk_count; i++)
        disk_drain(m->disk[i]);
    for (unsigned i = 0; i < m->device_count; i++) {
        struct device *d = m->device[i].device;
        lock_acquire(&d->lock);
        d->ops->reset(d);
        lock_release(&d->lock);
    }
    if (m->gic)
        gicv2_reset(m->gic);
    else if (HVX_SINCE(15.0))
        (void)hv_gic_reset();
}

void machine_power_key(struct machine *m)
{
    pl061_set_pin(m->gpio, PL061_POWER_PIN, true);
    if (m->power_key.set)
        alarm_set(&m->power_key, clock_monotonic_ns() + MACHINE_KEY_NS);
    else
        pl061_set_pin(m->gpio, PL061_POWER_PIN, false);
}

void machine_fini(struct machine *m)
{
    while (m->device_count > 0) {
        struct device *d = m->device[--m->device_count].device;
        d->ops->destroy(d);
    }
    machine_close_virtio(m);
    machine_close_firmware(m);
    gicv2_destroy(m->gic);
    m->gic = NULL;
}
