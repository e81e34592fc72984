/*
 * What a VM has done so far: why its CPUs came out to the monitor, counted here, and what the
 * engine counts inside.
 */
#ifndef VMM_STATS_H
#define VMM_STATS_H

#include <stdint.h>

#include <Hypervisor/Hypervisor.h>
#include <Hypervisor/hvx.h>

#include "vmm/memmap.h"

/* Why a CPU came out. */
enum stats_exit {
    STATS_EXIT_MMIO,
    STATS_EXIT_SYSREG,
    STATS_EXIT_WAIT,     /* WFI, WFE */
    STATS_EXIT_FIRMWARE, /* HVC, SMC */
    STATS_EXIT_TIMER,
    STATS_EXIT_CANCELED,
    STATS_EXIT_OTHER,
    STATS_EXITS,
};

struct stats_cpu {
    uint64_t exits[STATS_EXITS];
    uint64_t cpu_ns; /* processor time of the vCPU's thread */
    struct hvx_vcpu_stats engine;
};

struct stats_vm {
    const char *engine;
    uint64_t now_ns;   /* clock_monotonic_ns() when this was read */
    uint64_t start_ns; /* the same when the first guest instruction was about to run; 0: not yet */
    const char *(*instruction_name)(unsigned kind); /* of engine.left; NULL: none are known */
    unsigned cpus;
    struct stats_cpu cpu[MEMMAP_CPUS_MAX];
};

/* The reason of the exit in `exit`. Pure. */
enum stats_exit stats_exit_of(const hv_vcpu_exit_t *exit);

/* Add the counters of `from` to `to`. Pure. */
void stats_add(struct stats_cpu *to, const struct stats_cpu *from);

#endif
