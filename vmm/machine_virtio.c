/*
 * The paravirtual devices of the machine, and their host ends.
 *
 * Disks fill the slots, of virtio-mmio or of the PCI bus, from the first one on, so that the n-th
 * --disk is slot n; everything else fills them from the last one down, in the order of
 * machine_add_virtio().
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "devices/virtio/balloon.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/console.h"
#include "devices/virtio/fs.h"
#include "devices/virtio/device.h"
#include "devices/virtio/net.h"
#include "devices/virtio/pmem.h"
#include "devices/virtio/rng.h"
#include "devices/virtio/rtc.h"
#include "devices/virtio/vsock.h"
#include "host/net_mac.h"
#include "vmm/machine.h"

static int virtio_place(struct machine *m, struct device *d, unsigned slot, struct err *e)
{
    if (m->has_pci)
        return machine_add_pci(m, d, slot, e);
    return machine_add_device(m, d, MEMMAP_VIRTIO + slot * MEMMAP_VIRTIO_STRIDE,
                              MEMMAP_SPI_VIRTIO + slot, e);
}

/* The device is there because of `option`, or without any if that is NULL. */
static int virtio_place_asked(struct machine *m, struct device *d, unsigned slot,
                              const char *option, const char *value, struct err *e)
{
    int r = virtio_place(m, d, slot, e);
    if (r == 0 && option)
        m->asked[m->asked_count++] = (struct machine_asked){ d, option, value };
    return r;
}

void machine_warn_unused(const struct machine *m)
{
    for (unsigned i = 0; i < m->asked_count; i++) {
        const struct machine_asked *a = &m->asked[i];
        const char *name = virtio_device_unused(a->device);
        if (name)
            log_warn("vm",
                     "%s%s%s%s: the guest never used it; its kernel needs a driver for %s over %s",
                     a->option, a->value ? " '" : "", a->value ? a->value : "", a->value ? "'" : "",
                     name, m->has_pci ? "virtio-pci" : "virtio-mmio");
    }
}

/* The next slot from the end, for what is no disk; -ENOSPC if the disks have it. */
static int virtio_take_slot(struct machine *m, unsigned *slot, struct err *e)
{
    *slot = MEMMAP_VIRTIO_SLOTS - 1 - m->virtio_used;
    if (m->virtio_used + m->disk_count >= MEMMAP_VIRTIO_SLOTS)
        return err_set(e, -ENOSPC, "the machine has room for %u virtio devices; leave some away",
                       MEMMAP_VIRTIO_SLOTS);
    m->virtio_used++;
    return 0;
}

static int virtio_add_rng(struct machine *m, const struct machine_config *c, struct err *e)
{
    unsigned slot;
    struct device *d;
    int r = virtio_take_slot(m, &slot, e);
    if (r < 0)
        return r;
    const struct virtio_rng_config config = {
        .irq = machine_spi(m, MEMMAP_SPI_VIRTIO + slot),
        .gmem = c->gmem,
    };
    r = virtio_rng_create(&config, &d);
    if (r < 0)
        return machine_device_error(e, r, "random number");
    return virtio_place(m, d, slot, e);
}

static int virtio_add_disk(struct machine *m, const struct machine_config *c, unsigned n,
                           struct err *e)
{
    int r = disk_open(&c->vm->disk[n], &m->disk[n], e);
    if (r < 0)
        return r;
    m->disk_count = n + 1;
    struct virtio_blk_config config = {
        .irq = machine_spi(m, MEMMAP_SPI_VIRTIO + n),
        .gmem = c->gmem,
        .disk = m->disk[n],
        .queues = c->vm->cpus,
    };
    snprintf(config.serial, sizeof config.serial, "ireko-disk%u", n);
    struct device *d;
    r = virtio_blk_create(&config, &d);
    if (r < 0)
        return machine_device_error(e, r, "disk");
    return virtio_place_asked(m, d, n, "--disk", c->vm->disk[n].path, e);
}

/* What the machine is told apart by: its first disk, or its kernel. */
static const char *virtio_identity(const struct vm_config *c)
{
    return c->disk_count > 0 ? c->disk[0].path
           : c->kernel       ? c->kernel
           : c->firmware     ? c->firmware
                             : "";
}

static int virtio_add_net(struct machine *m, const struct machine_config *c, unsigned n,
                          unsigned slot, struct err *e)
{
    struct net_spec spec;
    struct device *d;
    int r = net_spec_parse(c->vm->net[n], &spec, e);
    /* Without anything to boot there will be no guest, only its device tree. */
    if (r == 0 && vm_config_boots(c->vm))
        r = net_open(&spec, &m->net[n], e);
    if (r < 0 && c->vm->net_optional) {
        log_warn("net", "no network: %s", e->text);
        return 0;
    }
    if (r < 0)
        return r;
    m->net_count = n + 1;
    struct virtio_net_config config = {
        .irq = machine_spi(m, MEMMAP_SPI_VIRTIO + slot),
        .gmem = c->gmem,
        .net = m->net[n],
        .mtu = spec.kind == NET_USER ? spec.mtu : 0,
    };
    if (spec.has_mac)
        memcpy(config.mac, spec.mac, sizeof config.mac);
    else
        net_mac(virtio_identity(c->vm), n, config.mac);
    r = virtio_net_create(&config, &d);
    if (r < 0)
        return machine_device_error(e, r, "network");
    return virtio_place_asked(m, d, slot, c->vm->net_optional ? NULL : "--net", c->vm->net[n], e);
}

/* Slots for `count` devices of a kind. They go upwards, so that the guest's first is the user's, in
 * the order of the tree and in that of the PCI bus. */
static int virtio_take_slots(struct machine *m, unsigned count, unsigned *first, struct err *e)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < count; i++)
        r = virtio_take_slot(m, first, e);
    return r;
}

static int virtio_add_nets(struct machine *m, const struct machine_config *c, struct err *e)
{
    unsigned first = 0;
    int r = virtio_take_slots(m, c->vm->net_count, &first, e);
    for (unsigned i = 0; r == 0 && i < c->vm->net_count; i++)
        r = virtio_add_net(m, c, i, first + i, e);
    return r;
}

static int virtio_add_balloon(struct machine *m, const struct machine_config *c, struct err *e)
{
    unsigned slot;
    struct device *d;
    int r = virtio_take_slot(m, &slot, e);
    if (r < 0)
        return r;
    const struct virtio_balloon_config config = {
        .irq = machine_spi(m, MEMMAP_SPI_VIRTIO + slot),
        .gmem = c->gmem,
        .ram = c->ram,
        .pages = (uint32_t)(c->vm->balloon / BALLOON_PAGE),
        .give_back = c->give_back,
        .ctx = c->ctx,
    };
    r = virtio_balloon_create(&config, &d);
    if (r < 0)
        return machine_device_error(e, r, "balloon");
    return virtio_place_asked(m, d, slot, config.pages ? "--balloon" : NULL, NULL, e);
}

static int virtio_add_rtc(struct machine *m, const struct machine_config *c, struct err *e)
{
    unsigned slot;
    struct device *d;
    int r = virtio_take_slot(m, &slot, e);
    if (r < 0)
        return r;
    const struct virtio_rtc_config config = {
        .irq = machine_spi(m, MEMMAP_SPI_VIRTIO + slot),
        .gmem = c->gmem,
        .clock = c->clock,
        .ctx = c->ctx,
    };
    r = virtio_rtc_create(&config, &d);
    if (r < 0)
        return machine_device_error(e, r, "clock");
    return virtio_place(m, d, slot, e);
}

static int virtio_add_vsock(struct machine *m, const struct machine_config *c, struct err *e)
{
    unsigned slot;
    struct device *d;
    int r = virtio_take_slot(m, &slot, e);
    if (r == 0 && vm_config_boots(c->vm)) /* as for networks */
        r = vsock_open(c->vm->vsock.path, c->vm->vsock.cid, &m->vsock, e);
    if (r < 0)
        return r;
    const struct virtio_vsock_config config = {
        .irq = machine_spi(m, MEMMAP_SPI_VIRTIO + slot),
        .gmem = c->gmem,
        .vsock = m->vsock,
        .cid = c->vm->vsock.cid,
    };
    r = virtio_vsock_create(&config, &d);
    if (r < 0)
        return machine_device_error(e, r, "vsock");
    return virtio_place_asked(m, d, slot, "--vsock", c->vm->vsock.path, e);
}

static int virtio_add_share(struct machine *m, const struct machine_config *c, unsigned n,
                            struct err *e)
{
    const struct share_options *options = &c->vm->share[n];
    unsigned slot;
    struct device *d;
    int r = share_open(options, c->vm->share_count, &m->share[n], e);
    if (r < 0)
        return r;
    m->share_count = n + 1;
    r = virtio_take_slot(m, &slot, e);
    if (r < 0)
        return r;
    const struct virtio_fs_config config = {
        .irq = machine_spi(m, MEMMAP_SPI_VIRTIO + slot),
        .gmem = c->gmem,
        .share = m->share[n],
        .tag = options->tag,
    };
    r = virtio_fs_create(&config, &d);
    if (r < 0)
        return machine_device_error(e, r, "shared folder");
    return virtio_place_asked(m, d, slot, "--share", options->path, e);
}

static int virtio_add_pmem(struct machine *m, const struct machine_config *c, unsigned n,
                           unsigned slot, struct err *e)
{
    struct device *d;
    const struct virtio_pmem_config config = {
        .irq = machine_spi(m, MEMMAP_SPI_VIRTIO + slot),
        .gmem = c->gmem,
        .pmem = c->pmem ? c->pmem[n] : NULL,
        .base = c->pmem ? c->pmem_base[n] : 0,
    };
    int r = virtio_pmem_create(&config, &d);
    if (r < 0)
        return machine_device_error(e, r, "persistent memory");
    return virtio_place_asked(m, d, slot, "--pmem", c->vm->pmem[n].path, e);
}

static int virtio_add_pmems(struct machine *m, const struct machine_config *c, struct err *e)
{
    unsigned first = 0;
    int r = virtio_take_slots(m, c->vm->pmem_count, &first, e);
    for (unsigned i = 0; r == 0 && i < c->vm->pmem_count; i++)
        r = virtio_add_pmem(m, c, i, first + i, e);
    return r;
}

_Static_assert(VM_MAX_CONSOLES == CONSOLE_MAX_PORTS, "each console is a port");

static int virtio_add_console(struct machine *m, const struct machine_config *c, struct err *e)
{
    unsigned slot;
    int r = virtio_take_slot(m, &slot, e);
    if (r < 0)
        return r;
    struct virtio_console_config config = {
        .irq = machine_spi(m, MEMMAP_SPI_VIRTIO + slot),
        .gmem = c->gmem,
        .ports = c->vm->console_count,
    };
    for (unsigned i = 0; i < config.ports; i++) {
        const struct vm_console *from = &c->vm->console[i];
        config.port[i] = (struct virtio_console_port){ .send = from->host.send,
                                                       .room = from->host.room,
                                                       .ctx = from->host.ctx };
        snprintf(config.port[i].name, sizeof config.port[i].name, "%s", from->name);
    }
    r = virtio_console_create(&config, &m->console);
    if (r < 0)
        return machine_device_error(e, r, "console");
    return virtio_place_asked(m, m->console, slot, "--console", NULL, e);
}

int machine_add_virtio(struct machine *m, const struct machine_config *config, struct err *e)
{
    int r = 0;
    m->net_optional = config->vm->net_optional;
    for (unsigned i = 0; r == 0 && i < config->vm->disk_count; i++)
        r = virtio_add_disk(m, config, i, e);
    if (r == 0)
        r = virtio_add_rng(m, config, e);
    if (r == 0)
        r = virtio_add_nets(m, config, e);
    if (r == 0)
        r = virtio_add_balloon(m, config, e);
    if (r == 0 && config->vm->vsock.path[0])
        r = virtio_add_vsock(m, config, e);
    for (unsigned i = 0; r == 0 && i < config->vm->share_count; i++)
        r = virtio_add_share(m, config, i, e);
    if (r == 0 && config->vm->console_count > 0)
        r = virtio_add_console(m, config, e);
    if (r == 0)
        r = virtio_add_pmems(m, config, e);
    if (r == 0)
        r = virtio_add_rtc(m, config, e);
    return r;
}

int machine_ready(struct machine *m, struct err *e)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < m->net_count; i++)
        if (m->net[i])
            r = net_ready(m->net[i], e);
    if (r < 0 && m->net_optional) {
        log_warn("net", "no network: %s", e->text);
        return 0;
    }
    return r;
}

void machine_close_virtio(struct machine *m)
{
    vsock_close(m->vsock);
    m->vsock = NULL;
    while (m->share_count > 0)
        share_close(m->share[--m->share_count]);
    while (m->net_count > 0)
        net_close(m->net[--m->net_count]);
    while (m->disk_count > 0)
        disk_close(m->disk[--m->disk_count]);
}
