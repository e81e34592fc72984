/*
 * A virtual CPU and the thread that runs it.
 *
 * Apple binds a vCPU to the thread that created it, and has no reset; so a guest's life from
 * power-on to power-off or reset is one life of these threads: vcpu_start() makes thread and vCPU,
 * vcpu_join() ends both.
 *
 * What belongs to whom: fields under "owner" are the thread's alone while it runs. Fields under
 * "lock" are guarded by `lock` (LOCK_VCPU). Others talk to a vCPU only by vcpu_set_lines() and
 * vcpu_kick(), and PSCI's vcpu_power_on().
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <Hypervisor/Hypervisor.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"
#include "base/lock.h"
#include "vmm/psci.h"
#include "vmm/stats.h"
#include "vmm/sysreg.h"

struct vm;

struct vcpu {
    struct vm *vm;
    unsigned index; /* MPIDR_EL1.Aff0 */
    pthread_t thread;
    struct alarm alarm; /* kicks this vCPU when its physical timer fires */

    /* owner */
    hv_vcpu_t handle;
    hv_vcpu_exit_t *exit;
    struct sysreg_cpu sys;
    bool vtimer_masked;   /* PPI 27 is high and Apple's vtimer mask is set */
    bool ptimer_level;    /* what PPI 30 is at */
    bool pmu_level;       /* what PPI 23 is at */
    bool steals;          /* the host tells what time it steals */
    uint64_t alarm_count; /* counter value the alarm is set to, or UINT64_MAX */
    uint64_t exits[STATS_EXITS];
    struct stats_cpu past; /* counters of earlier lives, but for `exits` */

    /* lock */
    struct lock lock;
    pthread_cond_t wake;
    bool ready;    /* the thread has its vCPU, or failed */
    bool alive;    /* it has its vCPU */
    bool asked;    /* somebody waits for a new `told` */
    bool in_guest; /* between the last look at the lines and the return of hv_vcpu_run */
    bool kicked;   /* look at everything again before waiting or running */
    bool irq, fiq; /* the GIC's outputs */
    enum psci_state power;
    uint64_t entry, context; /* of the next start: PC and X0 */
    struct stats_cpu told;   /* the counters when somebody asked, or when the thread ended */
};

/* Fills the zeroed `v`; vcpu_fini is due in either case. 0 or a negative errno. */
int vcpu_init(struct vcpu *v, struct vm *vm, unsigned index) MUST_CHECK;
void vcpu_fini(struct vcpu *v);

/* Start the thread and wait until it has its vCPU. The vCPU runs at once when it was powered on
 * before (vcpu_power_on()), else it waits for that. */
int vcpu_start(struct vcpu *v, struct err *e) MUST_CHECK;

/* Wait for the thread to end; it ends when the VM has a request (vm_request()) and it was kicked.
 */
void vcpu_join(struct vcpu *v);

/* Make the vCPU look at its lines and at the VM's requests soon. Any thread, locks up to LOCK_GIC.
 */
void vcpu_kick(struct vcpu *v);

/* The GIC's outputs to this vCPU. Any thread, locks up to LOCK_GIC. */
void vcpu_set_lines(struct vcpu *v, bool irq, bool fiq);

/* Ask for the counters (which makes the vCPU come out for a moment), and read them: the newest
 * there are when the vCPU has not told them by `deadline` (CLOCK_MONOTONIC, ns). Any thread but a
 * vCPU's, no lock held. */
void vcpu_ask_stats(struct vcpu *v);
void vcpu_read_stats(struct vcpu *v, uint64_t deadline, struct stats_cpu *out);

/* PSCI CPU_ON and AFFINITY_INFO. Any thread. */
int vcpu_power_on(struct vcpu *v, uint64_t entry, uint64_t context);
enum psci_state vcpu_power_state(struct vcpu *v);

/* Registers, for the owner thread while the vCPU does not run. Register 31 is XZR: it reads as zero
 * and swallows writes (Apple's index 31 is PC). Failures, which a right program does not see, are
 * logged and read as zero. */
uint64_t vcpu_get_x(const struct vcpu *v, unsigned n);
void vcpu_set_x(const struct vcpu *v, unsigned n, uint64_t value);
uint64_t vcpu_get_reg(const struct vcpu *v, hv_reg_t reg);
void vcpu_set_reg(const struct vcpu *v, hv_reg_t reg, uint64_t value);
uint64_t vcpu_get_sys(const struct vcpu *v, uint16_t reg);
void vcpu_set_sys(const struct vcpu *v, uint16_t reg, uint64_t value);

/* As at power-on, but PC and X0; only the GICv3's CPU interface; what the guest must see of itself.
 */
void vcpu_reset_registers(struct vcpu *v, uint64_t entry, uint64_t context);
void vcpu_reset_interface(const struct vcpu *v);
void vcpu_set_identity(struct vcpu *v);

/* Step over the instruction at PC. */
void vcpu_advance(const struct vcpu *v);

/* Log the state that explains why a guest stopped. */
void vcpu_dump(const struct vcpu *v);

#endif
