/*
 * The performance monitors: PMUv3p1 (DDI 0487 D13) with six event counters, in VMs that have
 * HVX_NATIVE_DEBUG_PMU.
 *
 * Counters are brought up to date only when somebody looks or the exception level changes: the
 * differences of what the CPU keeps count of anyway. Events that it does not (branches, memory
 * accesses) make it execute one instruction at a time while they are counted. Nothing costs
 * anything while no counter is enabled. Overflow is noticed when the branch budget runs out, so the
 * interrupt comes up to CPU_BUDGET taken branches late.
 */
#ifndef SOFT_PMU_H
#define SOFT_PMU_H

#include <stdbool.h>
#include <stdint.h>

#include "soft/sysreg.h"

struct soft_vcpu;

#define PMU_COUNTERS 6

/* What counters count. PMU_CYCLES are nanoseconds of the host's CLOCK_MONOTONIC inside of the
 * guest: a CPU of 1 GHz whose clock stops in WFI and while the monitor works. */
enum pmu_source {
    PMU_NOTHING,
    PMU_INSTRUCTIONS,
    PMU_CYCLES,
    PMU_EXCEPTIONS,
    PMU_RETURNS,
    PMU_TLB_MISSES,
    PMU_BRANCHES,
    PMU_TAKEN_BRANCHES,
    PMU_ACCESSES,
    PMU_SOURCES
};

struct pmu {
    bool active;   /* some counter counts */
    bool irq_told; /* the level that the VMM has seen */
    uint64_t returns, branches, taken, accesses;
    uint64_t seen[PMU_SOURCES]; /* sources, when they were last added to the counters */
};

/* Bring the counters up to date: before the exception level changes, too. */
void pmu_sync_active(struct soft_vcpu *v);

/* hv_vcpu_run begins and ends. */
void pmu_enter(struct soft_vcpu *v);
void pmu_leave(struct soft_vcpu *v);

/* One instruction was executed with SLOW_COUNT; `taken`: it changed the PC. */
void pmu_count(struct soft_vcpu *v, uint32_t word, bool taken);

/* The level of the overflow interrupt. */
bool pmu_irq(const struct soft_vcpu *v);

uint64_t pmu_read(struct soft_vcpu *v, enum sysreg r);
void pmu_write(struct soft_vcpu *v, enum sysreg r, uint64_t value);

/* Does PMUSERENR_EL0 let EL0 use the register? */
bool pmu_el0_may(const struct soft_vcpu *v, enum sysreg r, bool write);

#endif
