/* What system_reg.c and system_op.c share: accesses that somebody else has to see. */
#ifndef SOFT_INTERP_SYSTEM_H
#define SOFT_INTERP_SYSTEM_H

#include "soft/cpu.h"

/* ESR_ELx.ISS of a trapped MSR, MRS or system instruction. */
uint32_t system_iss(const struct insn *i);

/* Exit with EC 0x18, PC at the instruction; NULL for the caller to return. */
const struct insn *system_exit(struct cpu *c, const struct insn *i);

/* EL1 has forbidden it to EL0: EC 0x18 to EL1. */
_Noreturn void system_trap_el1(struct cpu *c, const struct insn *i);

#endif
