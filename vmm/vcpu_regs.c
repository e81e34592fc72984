/*
 * A vCPU's registers: reading and writing them, and what they are when a CPU is powered on.
 */
#include <inttypes.h>

#include <Hypervisor/hvx.h>

#include "base/log.h"
#include "vmm/hvcall.h"
#include "vmm/internal.h"

/* EL1h, all of DAIF masked. */
#define VCPU_CPSR_RESET 0x3c5u

/* SCTLR_EL1 with its RES1 bits only: MMU and caches off (DDI 0487 D24.2.118, PSCI 6.4.3). */
#define VCPU_SCTLR_RESET 0x30d00800u

#define VCPU_MPIDR_RES1 (1ull << 31)

static void vcpu_check(const struct vcpu *v, hv_return_t r, const char *what, unsigned reg)
{
    if (r != HV_SUCCESS)
        log_limited(LOG_ERROR, "vcpu", "CPU %u: %s register 0x%x failed: %s", v->index, what, reg,
                    hvcall_text(r));
}

uint64_t vcpu_get_reg(const struct vcpu *v, hv_reg_t reg)
{
    uint64_t value = 0;
    vcpu_check(v, hv_vcpu_get_reg(v->handle, reg, &value), "reading", reg);
    return value;
}

void vcpu_set_reg(const struct vcpu *v, hv_reg_t reg, uint64_t value)
{
    vcpu_check(v, hv_vcpu_set_reg(v->handle, reg, value), "writing", reg);
}

uint64_t vcpu_get_x(const struct vcpu *v, unsigned n)
{
    return n < 31 ? vcpu_get_reg(v, (hv_reg_t)(HV_REG_X0 + n)) : 0;
}

void vcpu_set_x(const struct vcpu *v, unsigned n, uint64_t value)
{
    if (n < 31)
        vcpu_set_reg(v, (hv_reg_t)(HV_REG_X0 + n), value);
}

uint64_t vcpu_get_sys(const struct vcpu *v, uint16_t reg)
{
    uint64_t value = 0;
    vcpu_check(v, hv_vcpu_get_sys_reg(v->handle, (hv_sys_reg_t)reg, &value), "reading system", reg);
    return value;
}

void vcpu_set_sys(const struct vcpu *v, uint16_t reg, uint64_t value)
{
    vcpu_check(v, hv_vcpu_set_sys_reg(v->handle, (hv_sys_reg_t)reg, value), "writing system", reg);
}

/* For what a host may keep to itself. */
static void vcpu_offer_sys(const struct vcpu *v, uint16_t reg, uint64_t value)
{
    hv_return_t r = hv_vcpu_set_sys_reg(v->handle, (hv_sys_reg_t)reg, value);
    if (r != HV_UNSUPPORTED)
        vcpu_check(v, r, "writing system", reg);
}

void vcpu_advance(const struct vcpu *v)
{
    vcpu_set_reg(v, HV_REG_PC, vcpu_get_reg(v, HV_REG_PC) + 4);
}

void vcpu_dump(const struct vcpu *v)
{
    log_warn("vcpu", "CPU %u: pc 0x%016" PRIx64 " pstate 0x%08" PRIx64, v->index,
             vcpu_get_reg(v, HV_REG_PC), vcpu_get_reg(v, HV_REG_CPSR));
    log_warn("vcpu", "syndrome 0x%" PRIx64 " virtual address 0x%" PRIx64 " physical 0x%" PRIx64,
             v->exit->exception.syndrome, v->exit->exception.virtual_address,
             v->exit->exception.physical_address);
    log_warn("vcpu", "esr_el1 0x%" PRIx64 " elr_el1 0x%" PRIx64 " far_el1 0x%" PRIx64,
             vcpu_get_sys(v, HV_SYS_REG_ESR_EL1), vcpu_get_sys(v, HV_SYS_REG_ELR_EL1),
             vcpu_get_sys(v, HV_SYS_REG_FAR_EL1));
    for (unsigned i = 0; i < 32; i += 4)
        log_warn("vcpu", "x%-2u 0x%016" PRIx64 " 0x%016" PRIx64 " 0x%016" PRIx64 " 0x%016" PRIx64,
                 i, vcpu_get_x(v, i), vcpu_get_x(v, i + 1), vcpu_get_x(v, i + 2),
                 i + 3 < 31 ? vcpu_get_x(v, i + 3) : vcpu_get_sys(v, HV_SYS_REG_SP_EL1));
}

/* --- power-on --- */

static const uint16_t vcpu_zeroed[] = {
    HV_SYS_REG_CPACR_EL1,    HV_SYS_REG_TTBR0_EL1,      HV_SYS_REG_TTBR1_EL1,
    HV_SYS_REG_TCR_EL1,      HV_SYS_REG_MAIR_EL1,       HV_SYS_REG_AMAIR_EL1,
    HV_SYS_REG_VBAR_EL1,     HV_SYS_REG_CONTEXTIDR_EL1, HV_SYS_REG_TPIDR_EL1,
    HV_SYS_REG_TPIDR_EL0,    HV_SYS_REG_TPIDRRO_EL0,    HV_SYS_REG_SP_EL0,
    HV_SYS_REG_SP_EL1,       HV_SYS_REG_ELR_EL1,        HV_SYS_REG_SPSR_EL1,
    HV_SYS_REG_ESR_EL1,      HV_SYS_REG_FAR_EL1,        HV_SYS_REG_AFSR0_EL1,
    HV_SYS_REG_AFSR1_EL1,    HV_SYS_REG_PAR_EL1,        HV_SYS_REG_CNTKCTL_EL1,
    HV_SYS_REG_CNTV_CTL_EL0, HV_SYS_REG_CNTV_CVAL_EL0,  HV_SYS_REG_MDSCR_EL1,
    HV_SYS_REG_CSSELR_EL1,
};

/* The GICv3's CPU interface, which is not part of hv_gic_reset(). */
HVX_NEEDS(15.0) static void vcpu_zero_interface(const struct vcpu *v)
{
    static const hv_gic_icc_reg_t zeroed[] = {
        HV_GIC_ICC_REG_IGRPEN0_EL1, HV_GIC_ICC_REG_IGRPEN1_EL1, HV_GIC_ICC_REG_PMR_EL1,
        HV_GIC_ICC_REG_BPR0_EL1,    HV_GIC_ICC_REG_BPR1_EL1,    HV_GIC_ICC_REG_CTLR_EL1,
        HV_GIC_ICC_REG_AP0R0_EL1,   HV_GIC_ICC_REG_AP1R0_EL1,
    };
    for (size_t i = 0; i < ARRAY_LEN(zeroed); i++)
        vcpu_check(v, hv_gic_set_icc_reg(v->handle, zeroed[i], 0), "writing GIC", zeroed[i]);
    vcpu_offer_sys(v, HV_SYS_REG_CNTP_CTL_EL0, 0);
    vcpu_offer_sys(v, HV_SYS_REG_CNTP_CVAL_EL0, 0);
}

void vcpu_reset_interface(const struct vcpu *v)
{
    if (!v->vm->gicv3)
        return;
    if (HVX_SINCE(15.0))
        vcpu_zero_interface(v);
}

/* Everything we rely on, since a vCPU's first state is not documented and a vCPU that was off keeps
 * its old life's (PSCI 6.4). */
void vcpu_reset_registers(struct vcpu *v, uint64_t entry, uint64_t context)
{
    for (unsigned i = 1; i < 31; i++)
        vcpu_set_x(v, i, 0);
    vcpu_set_x(v, 0, context);
    for (size_t i = 0; i < ARRAY_LEN(vcpu_zeroed); i++)
        vcpu_set_sys(v, vcpu_zeroed[i], 0);
    vcpu_set_sys(v, HV_SYS_REG_SCTLR_EL1, VCPU_SCTLR_RESET);
    vcpu_set_reg(v, HV_REG_FPCR, 0);
    vcpu_set_reg(v, HV_REG_FPSR, 0);
    vcpu_set_reg(v, HV_REG_CPSR, VCPU_CPSR_RESET);
    vcpu_set_reg(v, HV_REG_PC, entry);
    sysreg_reset(&v->sys);
    vcpu_reset_interface(v);
}

/* Give a field of 4 bits of an identification register another value. A host that does not let us
 * change it shows the guest its own. */
static void vcpu_set_id_field(const struct vcpu *v, uint16_t reg, unsigned lsb, uint64_t value)
{
    uint64_t is = vcpu_get_sys(v, reg);
    uint64_t wanted = (is & ~(0xfull << lsb)) | value << lsb;
    if (wanted != is)
        vcpu_offer_sys(v, reg, wanted);
}

/* Identity that the guest must see: its number, GIC system registers with GICv3 only, no PMU if it
 * would be ours. */
void vcpu_set_identity(struct vcpu *v)
{
    vcpu_set_sys(v, HV_SYS_REG_MPIDR_EL1, VCPU_MPIDR_RES1 | psci_affinity(v->index));
    vcpu_set_id_field(v, HV_SYS_REG_ID_AA64PFR0_EL1, 24, v->vm->gicv3); /* GIC */
    if (!v->vm->pmu)
        vcpu_set_id_field(v, HV_SYS_REG_ID_AA64DFR0_EL1, 8, 0); /* PMUVer */
}
