/*
 * Bindings: Linux, Documentation/devicetree/bindings (arm/cpus.yaml, arm/psci.yaml,
 * arm/pmu.yaml, timer/arm,arch_timer.yaml, interrupt-controller/arm,gic.yaml and arm,gic-v3.yaml,
 * clock/fixed-clock.yaml), and the Devicetree Specification 0.4, chapter 3. A device writes its own
 * node.
 */
#include "vmm/devicetree.h"

#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

#include "gic/gicv3.h"
#include "vmm/psci.h"

/* Bytes that are tried first, and most; libfdt writes all of them. */
#define DEVICETREE_LEAST 0x2000
#define DEVICETREE_MOST  0x10000

/* Interrupt specifiers of a GIC: type, number, flags. */
#define DEVICETREE_PPI        1u
#define DEVICETREE_LEVEL_HIGH 4u

#define DEVICETREE_KASLR_SEED 8
#define DEVICETREE_RNG_SEED   32

#define DEVICETREE_CLOCK_HZ 24000000u

/* Sequential writing; the first error stays and makes the rest do nothing. */
struct devicetree_writer {
    void *fdt;
    int error;
};

static void devicetree_note(struct devicetree_writer *w, int r)
{
    if (w->error == 0 && r < 0)
        w->error = r;
}

static void devicetree_begin(struct devicetree_writer *w, const char *name)
{
    if (w->error == 0)
        devicetree_note(w, fdt_begin_node(w->fdt, name));
}

static void devicetree_end(struct devicetree_writer *w)
{
    if (w->error == 0)
        devicetree_note(w, fdt_end_node(w->fdt));
}

static void devicetree_bytes(struct devicetree_writer *w, const char *name, const void *bytes,
                             size_t n)
{
    if (w->error == 0)
        devicetree_note(w, fdt_property(w->fdt, name, bytes, (int)n));
}

static void devicetree_flag(struct devicetree_writer *w, const char *name)
{
    devicetree_bytes(w, name, "", 0);
}

static void devicetree_text(struct devicetree_writer *w, const char *name, const char *text)
{
    devicetree_bytes(w, name, text, strlen(text) + 1);
}

static void devicetree_cell(struct devicetree_writer *w, const char *name, uint32_t value)
{
    fdt32_t cell = cpu_to_fdt32(value);
    devicetree_bytes(w, name, &cell, sizeof cell);
}

/* Pairs of address and size, two cells each. */
static void devicetree_reg(struct devicetree_writer *w, const uint64_t *values, unsigned n)
{
    fdt64_t reg[4];
    for (unsigned i = 0; i < n; i++)
        reg[i] = cpu_to_fdt64(values[i]);
    devicetree_bytes(w, "reg", reg, n * sizeof reg[0]);
}

static void devicetree_write_cpus(struct devicetree_writer *w, unsigned cpus)
{
    devicetree_begin(w, "cpus");
    devicetree_cell(w, "#address-cells", 1);
    devicetree_cell(w, "#size-cells", 0);
    for (unsigned i = 0; i < cpus; i++) {
        char name[16];
        uint32_t affinity = (uint32_t)psci_affinity(i);
        snprintf(name, sizeof name, "cpu@%x", affinity);
        devicetree_begin(w, name);
        devicetree_text(w, "device_type", "cpu");
        devicetree_text(w, "compatible", "arm,armv8");
        devicetree_cell(w, "reg", affinity);
        devicetree_text(w, "enable-method", "psci");
        devicetree_end(w);
    }
    devicetree_end(w);
}

static void devicetree_write_psci(struct devicetree_writer *w)
{
    static const char compatible[] = "arm,psci-1.0\0arm,psci-0.2";
    devicetree_begin(w, "psci");
    devicetree_bytes(w, "compatible", compatible, sizeof compatible);
    devicetree_text(w, "method", "hvc");
    devicetree_end(w);
}

static void devicetree_write_pmu(struct devicetree_writer *w, const struct devicetree_config *c)
{
    uint32_t cpus = c->gicv3 ? 0 : (1u << c->cpus) - 1;
    const fdt32_t cells[] = {
        cpu_to_fdt32(DEVICETREE_PPI),
        cpu_to_fdt32(MEMMAP_PPI_PMU - 16),
        cpu_to_fdt32(cpus << 8 | DEVICETREE_LEVEL_HIGH),
    };
    devicetree_begin(w, "pmu");
    devicetree_text(w, "compatible", "arm,armv8-pmuv3");
    devicetree_bytes(w, "interrupts", cells, sizeof cells);
    devicetree_end(w);
}

/* The order is fixed: secure, non-secure physical, virtual, hypervisor. PPI numbers count from
 * INTID 16. A GICv2's flags also say which CPUs have the interrupt. */
static void devicetree_write_timer(struct devicetree_writer *w, const struct devicetree_config *c)
{
    uint32_t cpus = c->gicv3 ? 0 : (1u << c->cpus) - 1;
    static const unsigned intid[] = { MEMMAP_PPI_SEC_TIMER, MEMMAP_PPI_PHYS_TIMER,
                                      MEMMAP_PPI_VTIMER, MEMMAP_PPI_HYP_TIMER };
    fdt32_t cells[3 * ARRAY_LEN(intid)];
    for (unsigned i = 0; i < ARRAY_LEN(intid); i++) {
        cells[3 * i] = cpu_to_fdt32(DEVICETREE_PPI);
        cells[3 * i + 1] = cpu_to_fdt32(intid[i] - 16);
        cells[3 * i + 2] = cpu_to_fdt32(cpus << 8 | DEVICETREE_LEVEL_HIGH);
    }
    devicetree_begin(w, "timer");
    devicetree_text(w, "compatible", "arm,armv8-timer");
    devicetree_bytes(w, "interrupts", cells, sizeof cells);
    devicetree_flag(w, "always-on");
    devicetree_end(w);
}

/* The frame says itself which interrupts it has. */
static void devicetree_write_msi(struct devicetree_writer *w)
{
    const uint64_t reg[] = { MEMMAP_GIC_MSI, GICV2_MSI_SIZE };
    char name[40];
    snprintf(name, sizeof name, "v2m@%x", MEMMAP_GIC_MSI);
    devicetree_begin(w, name);
    devicetree_text(w, "compatible", "arm,gic-v2m-frame");
    devicetree_flag(w, "msi-controller");
    devicetree_reg(w, reg, 2);
    devicetree_cell(w, "phandle", MACHINE_PHANDLE_MSI);
    devicetree_end(w);
}

static void devicetree_write_its(struct devicetree_writer *w)
{
    const uint64_t reg[] = { MEMMAP_GIC_ITS, GICV3_ITS_SIZE };
    char name[40];
    snprintf(name, sizeof name, "msi-controller@%x", MEMMAP_GIC_ITS);
    devicetree_begin(w, name);
    devicetree_text(w, "compatible", "arm,gic-v3-its");
    devicetree_flag(w, "msi-controller");
    devicetree_cell(w, "#msi-cells", 1);
    devicetree_reg(w, reg, 2);
    devicetree_cell(w, "phandle", MACHINE_PHANDLE_ITS);
    devicetree_end(w);
}

static void devicetree_write_gic(struct devicetree_writer *w, const struct devicetree_config *c)
{
    const uint64_t v2[] = { MEMMAP_GIC_DIST, GICV2_DIST_SIZE, MEMMAP_GIC_CPU, GICV2_CPU_SIZE };
    const uint64_t v3[] = { MEMMAP_GIC_DIST, GICV3_DIST_SIZE, MEMMAP_GIC_REDIST,
                            (uint64_t)c->cpus * GICV3_REDIST_SIZE };
    char name[40];
    snprintf(name, sizeof name, "interrupt-controller@%x", MEMMAP_GIC_DIST);
    devicetree_begin(w, name);
    devicetree_text(w, "compatible", c->gicv3 ? "arm,gic-v3" : "arm,cortex-a15-gic");
    devicetree_flag(w, "interrupt-controller");
    devicetree_cell(w, "#interrupt-cells", 3);
    devicetree_cell(w, "#address-cells", 2);
    devicetree_cell(w, "#size-cells", 2);
    devicetree_flag(w, "ranges");
    devicetree_reg(w, c->gicv3 ? v3 : v2, 4);
    devicetree_cell(w, "phandle", MACHINE_PHANDLE_GIC);
    devicetree_write_msi(w);
    if (c->its)
        devicetree_write_its(w);
    devicetree_end(w);
}

static void devicetree_write_clock(struct devicetree_writer *w)
{
    devicetree_begin(w, "apb-pclk");
    devicetree_text(w, "compatible", "fixed-clock");
    devicetree_cell(w, "#clock-cells", 0);
    devicetree_cell(w, "clock-frequency", DEVICETREE_CLOCK_HZ);
    devicetree_text(w, "clock-output-names", "clk24mhz");
    devicetree_cell(w, "phandle", MACHINE_PHANDLE_CLOCK);
    devicetree_end(w);
}

static void devicetree_write_memory(struct devicetree_writer *w, uint64_t size)
{
    const uint64_t reg[] = { MEMMAP_RAM, size };
    char name[24];
    snprintf(name, sizeof name, "memory@%x", MEMMAP_RAM);
    devicetree_begin(w, name);
    devicetree_text(w, "device_type", "memory");
    devicetree_reg(w, reg, 2);
    devicetree_end(w);
}

static void devicetree_write(struct devicetree_writer *w, const struct devicetree_config *c)
{
    static const char compatible[] = "ireko,virt\0linux,dummy-virt";
    devicetree_begin(w, "");
    devicetree_bytes(w, "compatible", compatible, sizeof compatible);
    devicetree_text(w, "model", "ireko");
    devicetree_cell(w, "#address-cells", 2);
    devicetree_cell(w, "#size-cells", 2);
    devicetree_cell(w, "interrupt-parent", MACHINE_PHANDLE_GIC);
    devicetree_begin(w, "chosen");
    devicetree_end(w);
    devicetree_write_memory(w, c->memory);
    devicetree_write_cpus(w, c->cpus);
    devicetree_write_psci(w);
    devicetree_write_timer(w, c);
    if (c->pmu)
        devicetree_write_pmu(w, c);
    devicetree_write_gic(w, c);
    devicetree_write_clock(w);
    if (c->pci && w->error == 0)
        devicetree_note(w, pci_host_fdt(c->pci, w->fdt));
    for (unsigned i = 0; i < c->device_count; i++) {
        const struct machine_device *d = &c->device[i];
        if (w->error == 0 && d->device->ops->fdt)
            devicetree_note(w, d->device->ops->fdt(d->device, w->fdt, &d->place));
    }
    devicetree_end(w);
}

/* Within `size` bytes. 0 or a libfdt error. */
static int devicetree_try(const struct devicetree_config *config, uint8_t *bytes, int size)
{
    struct devicetree_writer w = { .fdt = bytes };
    devicetree_note(&w, fdt_create(bytes, size));
    devicetree_note(&w, fdt_finish_reservemap(bytes));
    devicetree_write(&w, config);
    if (w.error == 0)
        devicetree_note(&w, fdt_finish(bytes));
    return w.error;
}

int devicetree_build(const struct devicetree_config *config, struct loader_blob *out, struct err *e)
{
    uint8_t *bytes = NULL;
    int r = -FDT_ERR_NOSPACE;
    for (int size = DEVICETREE_LEAST; r == -FDT_ERR_NOSPACE && size <= DEVICETREE_MOST; size *= 2) {
        free(bytes);
        bytes = malloc((size_t)size);
        if (!bytes)
            return err_set(e, -ENOMEM, "the host has no memory for the device tree");
        r = devicetree_try(config, bytes, size);
    }
    if (r < 0) {
        free(bytes);
        return err_set(e, -EINVAL, "cannot write the device tree: %s", fdt_strerror(r));
    }
    *out = (struct loader_blob){ .bytes = bytes, .size = fdt_totalsize(bytes) };
    return 0;
}

int devicetree_check(const struct loader_blob *tree, const char *path, struct err *e)
{
    int r = tree->size < sizeof(struct fdt_header) ? -FDT_ERR_TRUNCATED
                                                   : fdt_check_full(tree->bytes, tree->size);
    if (r < 0)
        return err_set(e, -EINVAL,
                       "--dtb '%s': not a well-formed device tree (%s); give a .dtb file as dtc "
                       "writes it",
                       path, fdt_strerror(r));
    return 0;
}

bool devicetree_has_gicv3(const struct loader_blob *tree)
{
    return fdt_node_offset_by_compatible(tree->bytes, -1, "arm,gic-v3") >= 0;
}

/* --- /chosen --- */

/* Let the console be the PL011 if nothing else was chosen. 0 or a libfdt error. */
static int devicetree_choose_stdout(void *fdt, int chosen)
{
    char path[128];
    if (fdt_getprop(fdt, chosen, "stdout-path", NULL))
        return 0;
    int uart = fdt_node_offset_by_compatible(fdt, -1, "arm,pl011");
    if (uart < 0 || fdt_get_path(fdt, uart, path, sizeof path) < 0)
        return 0;
    return fdt_setprop_string(fdt, chosen, "stdout-path", path);
}

/* Fresh seeds in place of those that are there, or also where there are none. Without entropy none
 * is better than a known one. 0 or a libfdt error. */
static int devicetree_choose_seeds(void *fdt, int chosen, bool add)
{
    static const struct {
        const char *name;
        int size;
    } seeds[] = { { "kaslr-seed", DEVICETREE_KASLR_SEED }, { "rng-seed", DEVICETREE_RNG_SEED } };
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(seeds); i++) {
        uint8_t seed[DEVICETREE_RNG_SEED];
        if (!add && !fdt_getprop(fdt, chosen, seeds[i].name, NULL))
            continue;
        if (getentropy(seed, (size_t)seeds[i].size) == 0)
            r = fdt_setprop(fdt, chosen, seeds[i].name, seed, seeds[i].size);
        else
            (void)fdt_delprop(fdt, chosen, seeds[i].name);
    }
    return r;
}

/* 0 or a libfdt error. Properties do not move the node's own offset. */
static int devicetree_set_chosen(void *fdt, const struct devicetree_chosen *c)
{
    int chosen = fdt_path_offset(fdt, "/chosen");
    if (chosen == -FDT_ERR_NOTFOUND)
        chosen = fdt_add_subnode(fdt, 0, "chosen");
    if (chosen < 0)
        return chosen;
    int r = 0;
    if (c->bootargs)
        r = fdt_setprop_string(fdt, chosen, "bootargs", c->bootargs);
    if (r == 0 && c->initrd_size > 0)
        r = fdt_setprop_u64(fdt, chosen, "linux,initrd-start", c->initrd);
    if (r == 0 && c->initrd_size > 0)
        r = fdt_setprop_u64(fdt, chosen, "linux,initrd-end", c->initrd + c->initrd_size);
    if (r == 0)
        r = devicetree_choose_stdout(fdt, chosen);
    if (r == 0)
        r = devicetree_choose_seeds(fdt, chosen, c->add_seeds);
    return r;
}

int devicetree_choose(const struct loader_blob *tree, const struct devicetree_chosen *chosen,
                      struct loader_blob *out, struct err *e)
{
    uint64_t room = tree->size + 4096 + (chosen->bootargs ? strlen(chosen->bootargs) : 0);
    if (room > LOADER_DTB_MAX)
        return err_set(
            e, -E2BIG,
            "the device tree and the command line do not fit into 2 MiB; shorten --append "
            "or --dtb");
    uint8_t *bytes = malloc(room);
    if (!bytes)
        return err_set(e, -ENOMEM, "the host has no memory for the device tree");
    int r = fdt_open_into(tree->bytes, bytes, (int)room);
    if (r == 0)
        r = devicetree_set_chosen(bytes, chosen);
    if (r == 0)
        r = fdt_pack(bytes);
    if (r < 0) {
        free(bytes);
        return err_set(e, -EINVAL, "cannot put the command line into the device tree: %s",
                       fdt_strerror(r));
    }
    *out = (struct loader_blob){ .bytes = bytes, .size = fdt_totalsize(bytes) };
    return 0;
}
