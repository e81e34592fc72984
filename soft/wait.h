/*
 * WFI and WFE: soft/wait.c. With a GIC in the VM (soft/gic.c) they wait within hv_vcpu_run, without
 * one the VMM does.
 */
#ifndef SOFT_WAIT_H
#define SOFT_WAIT_H

#include <stdbool.h>
#include <stdint.h>

struct soft_vcpu;

/* Between two looks at what another thread is about to change. */
static inline void wait_pause(void)
{
#ifdef __x86_64__
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

/* The vCPU begins and ends to execute guest code. Its own thread. */
void soft_enter_guest(struct soft_vcpu *v);
void soft_leave_guest(struct soft_vcpu *v);

/* WFI: wait for an interrupt, even a masked one, a cancel, or the counter's `deadline`
 * (UINT64_MAX: none). WFE also ends with an event, when the monitor is cleared, or after a moment.
 * For VMs with a GIC. */
void soft_wait_interrupt(struct soft_vcpu *v, uint64_t deadline);
void soft_wait_event(struct soft_vcpu *v, uint64_t deadline);

/* The part of WFE before it sleeps: true if it is over. */
bool soft_spin_event(struct soft_vcpu *v);

/* The part of WFI before it exits in VMs without a GIC, where the VMM waits; and the next run
 * begins: how long was that? */
void soft_look_interrupt(struct soft_vcpu *v, uint64_t deadline);
void soft_waited(struct soft_vcpu *v);

/* SEV: every vCPU's event register. */
void soft_send_event(struct soft_vcpu *v);

/* End a wait; it looks again at what it waits for. Any thread, locks up to LOCK_VCPU. */
void soft_wake(struct soft_vcpu *v);

#endif
