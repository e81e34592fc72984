/*
 * The device tree: the one we write, and the one that --dtb brings.
 *
 * Trees are blobs in memory of malloc().
 */
#ifndef VMM_DEVICETREE_H
#define VMM_DEVICETREE_H

#include <stdbool.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/gmem.h"
#include "vmm/loader.h"
#include "vmm/machine.h"

struct devicetree_config {
    uint64_t memory; /* bytes at MEMMAP_RAM */
    unsigned cpus;
    bool pmu; /* the CPUs have performance monitors */
    bool gicv3;
    bool its;                   /* with gicv3 */
    const struct pci_host *pci; /* or NULL */
    const struct machine_device *device;
    unsigned device_count;
};

/* Write the tree of the machine, without what /chosen says about one boot. */
int devicetree_build(const struct devicetree_config *config, struct loader_blob *out,
                     struct err *e) MUST_CHECK;

/* Is the file that --dtb named a whole, well-formed tree? */
int devicetree_check(const struct loader_blob *tree, const char *path, struct err *e) MUST_CHECK;

/* Is the interrupt controller of a checked tree a GICv3? */
bool devicetree_has_gicv3(const struct loader_blob *tree);

struct devicetree_chosen {
    const char *bootargs; /* or NULL: leave what is there */
    gpa_t initrd;
    uint64_t initrd_size; /* 0: leave what is there */
    bool add_seeds;       /* fresh kaslr-seed and rng-seed, also where there are none yet */
};

/* A copy of `tree` whose /chosen has `chosen` in it, and stdout-path if there is a PL011 and no
 * other choice. At most LOADER_DTB_MAX bytes. */
int devicetree_choose(const struct loader_blob *tree, const struct devicetree_chosen *chosen,
                      struct loader_blob *out, struct err *e) MUST_CHECK;

#endif
