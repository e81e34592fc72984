/* How a failed access ends: aborts to EL1, and exits that look like stage 2 aborts. None returns.
 * Data accesses are those of the instruction `i`. */
#ifndef SOFT_MMU_ABORT_H
#define SOFT_MMU_ABORT_H

#include "soft/mmu/mmu.h"

/* Stage 1 data abort, or if a table has no memory the exit that this makes. `iss` has WnR, CM. */
_Noreturn void abort_data(struct cpu *c, const struct insn *i, uint64_t va, uint32_t iss,
                          const struct mmu_fault *f);
_Noreturn void abort_alignment(struct cpu *c, const struct insn *i, uint64_t va, bool write);
_Noreturn void abort_fetch(struct cpu *c, uint64_t pc, const struct mmu_fault *f);

/* No memory at `ipa`, or with `mapped` memory without the permission. Where a GIC's register is,
 * the access is carried out. */
_Noreturn void abort_stage2_data(struct cpu *c, const struct insn *i, uint64_t va, uint64_t ipa,
                                 uint32_t iss, bool mapped);
_Noreturn void abort_stage2_fetch(struct cpu *c, uint64_t pc, uint64_t ipa, bool mapped);

/* The host has no memory for a decoded page: the run ends with reason UNKNOWN. */
_Noreturn void abort_no_memory(struct cpu *c, uint64_t pc);

/* ISV, SAS, SSE, SRT, SF and AR of a load or store for ESR_ELx.ISS (DDI 0487 D24.2.40), or 0 when
 * the architecture gives no syndrome for it. */
uint32_t abort_syndrome(uint32_t word);

#endif
