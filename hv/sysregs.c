/*
 * Which values of hv_sys_reg_t exist, and what they need: the API answers HV_BAD_ARGUMENT for
 * others, and HV_UNSUPPORTED where the VM has no EL2 or no GIC.
 */
#include <stddef.h>

#include "hv/process.h"

struct sys_reg {
    hv_sys_reg_t reg;
    enum hv_sys_reg_needs needs;
};

/* By value, for the search. The breakpoint and watchpoint registers are not in it. */
/* clang-format off */
static const struct sys_reg sys_regs[] = {
    { HV_SYS_REG_MDCCINT_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_MDSCR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_MIDR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_MPIDR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_ID_AA64PFR0_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_ID_AA64PFR1_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_ID_AA64ZFR0_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_ID_AA64SMFR0_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_ID_AA64DFR0_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_ID_AA64DFR1_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_ID_AA64ISAR0_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_ID_AA64ISAR1_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_ID_AA64MMFR0_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_ID_AA64MMFR1_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_ID_AA64MMFR2_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_SCTLR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_ACTLR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_CPACR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_SMPRI_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_SMCR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_TTBR0_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_TTBR1_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_TCR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_APIAKEYLO_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_APIAKEYHI_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_APIBKEYLO_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_APIBKEYHI_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_APDAKEYLO_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_APDAKEYHI_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_APDBKEYLO_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_APDBKEYHI_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_APGAKEYLO_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_APGAKEYHI_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_SPSR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_ELR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_SP_EL0, HV_NEEDS_NOTHING },
    { HV_SYS_REG_AFSR0_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_AFSR1_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_ESR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_FAR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_PAR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_MAIR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_AMAIR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_VBAR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_CONTEXTIDR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_TPIDR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_SCXTNUM_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_CNTKCTL_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_CSSELR_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_TPIDR_EL0, HV_NEEDS_NOTHING },
    { HV_SYS_REG_TPIDRRO_EL0, HV_NEEDS_NOTHING },
    { HV_SYS_REG_TPIDR2_EL0, HV_NEEDS_NOTHING },
    { HV_SYS_REG_SCXTNUM_EL0, HV_NEEDS_NOTHING },
    { HV_SYS_REG_CNTP_TVAL_EL0, HV_NEEDS_GIC },
    { HV_SYS_REG_CNTP_CTL_EL0, HV_NEEDS_GIC },
    { HV_SYS_REG_CNTP_CVAL_EL0, HV_NEEDS_GIC },
    { HV_SYS_REG_CNTV_CTL_EL0, HV_NEEDS_NOTHING },
    { HV_SYS_REG_CNTV_CVAL_EL0, HV_NEEDS_NOTHING },
    { HV_SYS_REG_VPIDR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_VMPIDR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_SCTLR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_HCR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_MDCR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_CPTR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_TTBR0_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_TTBR1_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_TCR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_VTTBR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_VTCR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_SPSR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_ELR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_SP_EL1, HV_NEEDS_NOTHING },
    { HV_SYS_REG_ESR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_FAR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_HPFAR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_MAIR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_VBAR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_TPIDR_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_CNTVOFF_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_CNTHCTL_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_CNTHP_TVAL_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_CNTHP_CTL_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_CNTHP_CVAL_EL2, HV_NEEDS_EL2 },
    { HV_SYS_REG_SP_EL2, HV_NEEDS_EL2 },
};
/* clang-format on */

/* DBGBVRn, DBGBCRn, DBGWVRn and DBGWCRn: op0 2, CRn 0, CRm n, op2 4 to 7. */
static bool is_debug_pair(hv_sys_reg_t reg)
{
    return ((unsigned)reg & ~0x7bu) == HV_SYS_REG_DBGBVR0_EL1;
}

enum hv_sys_reg_needs hv_sys_reg_needs(hv_sys_reg_t reg)
{
    size_t low = 0, high = sizeof sys_regs / sizeof sys_regs[0];

    if (is_debug_pair(reg))
        return HV_NEEDS_NOTHING;
    while (low < high) {
        size_t middle = (low + high) / 2;

        if (sys_regs[middle].reg == reg)
            return sys_regs[middle].needs;
        if (sys_regs[middle].reg < reg)
            low = middle + 1;
        else
            high = middle;
    }
    return HV_NEEDS_UNKNOWN;
}

double hv_sys_reg_since(hv_sys_reg_t reg)
{
    switch (reg) {
    case HV_SYS_REG_ID_AA64ZFR0_EL1:
    case HV_SYS_REG_ID_AA64SMFR0_EL1:
    case HV_SYS_REG_SMPRI_EL1:
    case HV_SYS_REG_SMCR_EL1:
    case HV_SYS_REG_SCXTNUM_EL1:
    case HV_SYS_REG_SCXTNUM_EL0:
    case HV_SYS_REG_TPIDR2_EL0:
        return 15.2;
    case HV_SYS_REG_ACTLR_EL1:
        return 15.0;
    default: {
        enum hv_sys_reg_needs needs = hv_sys_reg_needs(reg);

        return needs == HV_NEEDS_EL2 || needs == HV_NEEDS_GIC ? 15.0 : 11.0;
    }
    }
}
