/*
 * The interrupt controller inside the VM, which hv_gic_create() asks for: a GICv3 (gic/gicv3.h)
 * whose registers are served within hv_vcpu_run, and the timers and the PMU wired to it.
 */
#ifndef SOFT_GIC_H
#define SOFT_GIC_H

#include <stdbool.h>
#include <stdint.h>

#include "soft/sysreg.h"

struct cpu;
struct hv_backend_gic;
struct insn;
struct soft_gic;
struct soft_vcpu;
struct soft_vm;

/* What hv_backend_soft.gic is. */
extern const struct hv_backend_gic soft_gic_backend;

/* A VM with no GIC has a NULL; all below but destroy, attach and detach are for VMs with one. */
void soft_gic_destroy(struct soft_gic *gic);

/* The vCPU begins and ends; attach it when others can find it, detach it while they still can. */
void soft_gic_attach(struct soft_vcpu *v);
void soft_gic_detach(struct soft_vcpu *v);

/* MPIDR_EL1 was changed by the VMM. */
void soft_gic_set_affinity(struct soft_vcpu *v);

/* Carry out the load or store `i` of `ipa` if that is one of the GIC's registers. `iss` has its
 * syndrome (abort_syndrome()). False: it is not. */
bool soft_gic_access(struct cpu *c, const struct insn *i, uint64_t ipa, uint32_t iss);

/* Registers of kind SYSREG_GIC. */
uint64_t soft_gic_sysreg_read(struct soft_vcpu *v, enum sysreg r);
void soft_gic_sysreg_write(struct soft_vcpu *v, enum sysreg r, uint64_t value);

/* Bring PPI 27, 30 and 23 to the levels of the timers and of the PMU. */
void soft_gic_sync_inputs(struct soft_vcpu *v);

/* Host counter value at which a timer will raise its line; UINT64_MAX for never, or if all that are
 * armed have. */
uint64_t soft_gic_deadline(const struct soft_vcpu *v, uint64_t now);

#endif
