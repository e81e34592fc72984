/*
 * Exceptions and exits. A synchronous exception goes to the guest's EL1 (DDI 0487 D1.3); an exit
 * returns from hv_vcpu_run with the syndrome that Apple's framework would report.
 */
#ifndef SOFT_EXC_H
#define SOFT_EXC_H

#include "soft/cpu.h"

/* Exception classes, ESR_ELx.EC (DDI 0487 D24.2.40). */
enum exc_class {
    EC_UNKNOWN = 0x00,
    EC_WFX = 0x01,
    EC_FP_ACCESS = 0x07,
    EC_BRANCH_TARGET = 0x0d,
    EC_ILLEGAL_STATE = 0x0e,
    EC_SVC64 = 0x15,
    EC_HVC64 = 0x16,
    EC_SMC64 = 0x17,
    EC_SYSREG = 0x18,
    EC_IABORT_LOWER = 0x20,
    EC_IABORT_SAME = 0x21,
    EC_PC_ALIGNMENT = 0x22,
    EC_DABORT_LOWER = 0x24,
    EC_DABORT_SAME = 0x25,
    EC_SP_ALIGNMENT = 0x26,
    EC_MOPS = 0x27, /* memory copy and memory set */
    EC_FP_TRAP = 0x2c,
    EC_BREAKPOINT_LOWER = 0x30,
    EC_STEP_LOWER = 0x32,
    EC_WATCHPOINT_LOWER = 0x34,
    EC_BRK64 = 0x3c,
};

#define ESR_IL (1u << 25)

/* Undefined instruction: EC 0, ISS 0, ELR at `i`. */
_Noreturn void exc_undefined(struct cpu *c, const struct insn *i);

/* Take a synchronous exception to EL1 with ELR = `return_pc`, out of any depth. */
_Noreturn void exc_sync(struct cpu *c, enum exc_class ec, uint32_t iss, uint64_t return_pc);

/* FP and SIMD instructions call this first: traps when CPACR_EL1.FPEN says so. `fp_enabled` is kept
 * by the writers of CPACR_EL1 and by exception level changes. */
_Noreturn void exc_fp_access(struct cpu *c, const struct insn *i);

static inline void fp_check(struct cpu *c, const struct insn *i)
{
    if (UNLIKELY(!c->fp_enabled))
        exc_fp_access(c, i);
}

#endif
