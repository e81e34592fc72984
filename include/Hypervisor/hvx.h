/*
 * What a monitor needs beyond Apple's API: which engine runs the guest, statistics, and a clock
 * that works the same on every host. On macOS the inline fallbacks at the end stand in, so programs
 * build unchanged.
 */
#ifndef HYPERVISOR_HVX_H
#define HYPERVISOR_HVX_H

#include <Hypervisor/Hypervisor.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Counters of one vCPU since it was created. A counter that the engine does not keep is 0. */
struct hvx_vcpu_stats {
    uint64_t instructions; /* guest instructions executed (approximate: whole runs of straight-line
                              code) */
    uint64_t exits;        /* returns from hv_vcpu_run */
    uint64_t tlb_misses;   /* software TLB misses */
    uint64_t pages_decoded;
    uint64_t exceptions; /* taken by the guest to EL1 */
};

#if defined(__APPLE__) && defined(__arm64__)

#include <mach/mach_time.h>

static inline hv_return_t hvx_set_engine(const char *engine)
{
    return engine ? HV_UNSUPPORTED : HV_SUCCESS;
}
static inline const char *hvx_engine(void)
{
    return "hvf";
}
static inline hv_return_t hvx_vcpu_get_stats(hv_vcpu_t vcpu, struct hvx_vcpu_stats *stats)
{
    (void)vcpu;
    *stats = (struct hvx_vcpu_stats){ 0 };
    return HV_UNSUPPORTED;
}
static inline uint64_t hvx_absolute_time(void)
{
    return mach_absolute_time();
}

#else

/* Choose the engine of the next hv_vm_create: "interp", "jit", "check", "kvm", or NULL for the best
 * there is. HV_UNSUPPORTED if this build or host has no such engine. */
hv_return_t hvx_set_engine(const char *engine);

/* The engine that runs (or would run) the VM: "interp", "kvm", ... */
const char *hvx_engine(void);

/* Owner thread of the vCPU. */
hv_return_t hvx_vcpu_get_stats(hv_vcpu_t vcpu, struct hvx_vcpu_stats *stats);

/* What mach_absolute_time() is to a guest: 24 MHz ticks. A guest's CNTVCT_EL0 is this minus its
 * vtimer offset. */
uint64_t hvx_absolute_time(void);

#endif

/* Ticks per second of hvx_absolute_time() and of every guest's CNTFRQ_EL0. */
#define HVX_COUNTER_HZ 24000000u

#ifdef __cplusplus
}
#endif

#endif
