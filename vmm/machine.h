/*
 * The machine around the CPUs: interrupt controller, devices, and the bus they sit on.
 *
 * Explicit calls in a fixed order, no registration magic: machine.c reads top to bottom as a list
 * of what the guest has.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include "base/gmem.h"
#include "devices/device.h"
#include "devices/pci/host.h"
#include "gic/gicv2.h"
#include "host/disk.h"
#include "host/net.h"
#include "host/share.h"
#include "host/vsock.h"
#include "vmm/bus.h"
#include "vmm/memmap.h"
#include "vmm/vm.h"

#define MACHINE_MAX_DEVICES (5 + MEMMAP_VIRTIO_SLOTS)

struct machine_device {
    struct device *device;
    struct device_place place;
};

/* A virtio device that the user asked for by an option. */
struct machine_asked {
    const struct device *device;
    const char *option, *value; /* the value may be NULL */
};

struct machine {
    struct bus bus;
    struct gicv2 *gic;                                 /* NULL: the GICv3 of hv_gic_create() */
    struct machine_device device[MACHINE_MAX_DEVICES]; /* in the order of the device tree */
    unsigned device_count;
    struct device *uart, *rtc, *gpio; /* also in device[] */
    struct device *console;           /* virtio; or NULL */
    unsigned virtio_used;             /* slots that are taken from the end */
    struct machine_asked asked[MEMMAP_VIRTIO_SLOTS];
    unsigned asked_count;
    struct pci_host pci; /* only with: */
    bool has_pci;
    struct disk *disk[VM_MAX_DISKS];
    unsigned disk_count;
    struct net *net[VM_MAX_NETS];
    unsigned net_count;
    struct vsock *vsock;
    struct share *share[VM_MAX_SHARES];
    unsigned share_count;
    struct machine_firmware *firmware; /* or NULL; machine_firmware.c */
    bool net_optional;                 /* as in struct vm_config */
    struct alarm power_key;            /* releases the key */
};

struct machine_config {
    const struct vm_config *vm;
    bool gicv3;              /* hv_gic_create() made one; else the machine has a GICv2 of its own */
    const struct gmem *gmem; /* outlives the machine */
    const struct gmem *ram;  /* what of it is RAM; outlives the machine */
    /* The files of vm->pmem, and where the guest has them; NULL without a kernel. */
    struct pmem *const *pmem;
    const gpa_t *pmem_base;
    /* With GICv2: the IRQ or FIQ input of `cpu` changed; see gic/gicv2.h. */
    void (*signal)(void *ctx, unsigned cpu, bool irq, bool fiq);
    /* The host's time and the guest's counter at one moment. Any thread. */
    void (*clock)(void *ctx, uint64_t *realtime_ns, uint64_t *count);
    /* Give RAM back to the host. Any thread. */
    void (*give_back)(void *ctx, void *p, size_t n);
    void *ctx;
};

/* The phandles that the tree gives its parts; devices refer to the clock's. */
enum {
    MACHINE_PHANDLE_GIC = 1,
    MACHINE_PHANDLE_CLOCK = 2,
    MACHINE_PHANDLE_MSI = 3,
    MACHINE_PHANDLE_ITS = 4
};

/* Fill the zeroed `m`, which must not move afterwards. One sentence in `e` on failure; machine_fini
 * is due in either case. */
int machine_init(struct machine *m, const struct machine_config *config, struct err *e) MUST_CHECK;

/* For the files machine*.c: a wire, and taking over a device at its place. From then on
 * machine_fini() destroys it. */
struct irq_line machine_spi(struct machine *m, unsigned spi);
int machine_add_device(struct machine *m, struct device *d, gpa_t base, unsigned spi,
                       struct err *e) MUST_CHECK;
/* Take over a device that has no place on the bus of its own. */
void machine_own_device(struct machine *m, struct device *d, struct device_place place);
int machine_device_error(struct err *e, int r, const char *name);

/* The PCI host bridge, and a virtio device in a slot of it, which is taken over. */
int machine_add_pci_host(struct machine *m, const struct machine_config *config,
                         struct err *e) MUST_CHECK;
int machine_add_pci(struct machine *m, struct device *d, unsigned slot, struct err *e) MUST_CHECK;

/* The flash, fw_cfg, and what is in them. */
int machine_add_firmware(struct machine *m, const struct machine_config *config,
                         struct err *e) MUST_CHECK;
/* Before each start of the guest: what fw_cfg has is read again. */
int machine_load_firmware(struct machine *m, const struct vm_config *config,
                          struct err *e) MUST_CHECK;
/* The guest could not read or execute at `a`. True: it was flash that was hidden, try again. */
bool machine_show_flash(struct machine *m, gpa_t a);
/* The devices are destroyed. */
void machine_close_firmware(struct machine *m);

/* Create the virtio devices that the configuration asks for. */
int machine_add_virtio(struct machine *m, const struct machine_config *config,
                       struct err *e) MUST_CHECK;
/* The guest has ended: name the devices that the user asked for and no driver ever used. */
void machine_warn_unused(const struct machine *m);
/* Close their host ends; the devices are destroyed. */
void machine_close_virtio(struct machine *m);

/* Wait until the host's side of everything works. Before the machine runs. */
int machine_ready(struct machine *m, struct err *e) MUST_CHECK;

/* Back to power-on. No vCPU runs. */
void machine_reset(struct machine *m);

/* Press the power key for a moment. Any thread. */
void machine_power_key(struct machine *m);

/* Stops host activity and frees. Accepts a half-built machine. */
void machine_fini(struct machine *m);

#endif
