/*
 * Firmware calls by HVC or SMC: PSCI 1.1 (DEN 0022), SMCCC 1.1 (DEN 0028), the entropy source TRNG
 * 1.0 (DEN 0098), and of KVM's services the clock (Linux, Documentation/virt/kvm/arm/ptp_kvm.rst).
 *
 * Pure: what a call does to other CPUs and to the VM goes through `struct psci_platform` and the
 * returned action, so that the calls can be tested without a CPU.
 */
#ifndef VMM_PSCI_H
#define VMM_PSCI_H

#include <stdint.h>

#include "base/gmem.h"

#define PSCI_SUCCESS            0
#define PSCI_NOT_SUPPORTED      (-1)
#define PSCI_INVALID_PARAMETERS (-2)
#define PSCI_DENIED             (-3)
#define PSCI_ALREADY_ON         (-4)
#define PSCI_ON_PENDING         (-5)
#define PSCI_INVALID_ADDRESS    (-9)

/* AFFINITY_INFO's answers. */
enum psci_state { PSCI_STATE_ON = 0, PSCI_STATE_OFF = 1, PSCI_STATE_ON_PENDING = 2 };

/* What the caller does after the call. */
enum psci_action {
    PSCI_RETURN,  /* x[0..3] go back to the guest */
    PSCI_SUSPEND, /* the same, after waiting as WFI does */
    PSCI_CPU_OFF, /* this CPU stops */
    PSCI_SYSTEM_OFF,
    PSCI_SYSTEM_RESET,
};

/* The affinity fields of CPU `cpu`'s MPIDR_EL1. */
uint64_t psci_affinity(unsigned cpu);

struct psci_platform {
    unsigned cpus; /* their affinities are psci_affinity()'s */
    const struct gmem *gmem;
    /* Start `cpu` at `entry` with `context` in x0: 0, PSCI_ALREADY_ON or PSCI_ON_PENDING. */
    int (*cpu_on)(void *ctx, unsigned cpu, uint64_t entry, uint64_t context);
    enum psci_state (*cpu_state)(void *ctx, unsigned cpu);
    /* The host's time in nanoseconds since 1970 UTC, and the guest's counter, at one moment. */
    void (*clock)(void *ctx, uint64_t *realtime_ns, uint64_t *count);
    uint64_t stolen; /* address of the calling CPU's stolen time (DEN 0057 3.2.2), or 0 */
    void *ctx;
};

/* The call in x[0] with arguments in x[1..3]; the answer replaces them. x[1..3] that the answer
 * does not define may change as well (DEN 0028 1.1, 2.6). */
enum psci_action psci_call(const struct psci_platform *p, uint64_t x[4]);

#endif
