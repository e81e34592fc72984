/*
 * System registers: the enum and table that soft/sysregs.def spells out, and what CPU `ireko-v1`
 * shows in its identification registers.
 */
#ifndef SOFT_SYSREG_H
#define SOFT_SYSREG_H

#include <stdbool.h>
#include <stdint.h>

struct soft_vcpu;

enum sysreg {
#define SYSREG(name, op0, op1, crn, crm, op2, access, kind, reset) SYSREG_##name,
#include "soft/sysregs.def"
#undef SYSREG
    SYSREG_COUNT
};

enum sysreg_access {
    SYSREG_EL0_READ = 1,
    SYSREG_EL0_WRITE = 2,
    SYSREG_EL1_READ = 4,
    SYSREG_EL1_WRITE = 8,
    SYSREG_EL1_PAUTH = 16, /* both, on a CPU with pointer authentication */
};

enum sysreg_kind {
    SYSREG_PLAIN,
    SYSREG_SPECIAL,
    SYSREG_DEBUG,
    SYSREG_GIC,
    SYSREG_TRAP,
    SYSREG_OPTION,
};

struct sysreg_info {
    const char *name;
    uint16_t encoding; /* as hv_sys_reg_t: op0:op1:CRn:CRm:op2 */
    uint8_t access;    /* enum sysreg_access */
    uint8_t kind;      /* enum sysreg_kind */
    uint64_t reset;
};

extern const struct sysreg_info soft_sysreg_table[SYSREG_COUNT];

#define SYSREG_ENCODE(op0, op1, crn, crm, op2)                                                     \
    ((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))

/* The register with this encoding (op0 2 or 3), or -1. */
int soft_sysreg_find(unsigned encoding);

/* Reset values, of the CPU model that the VM has. */
void soft_sysreg_reset(struct soft_vcpu *v);

/* ID_AA64MMFR0_EL1.PARange for physical addresses of so many bits. */
unsigned soft_sysreg_pa_range(unsigned bits);

/* Read and write with every effect that the register has; permission was checked. */
uint64_t soft_sysreg_read(struct soft_vcpu *v, enum sysreg r);
void soft_sysreg_write(struct soft_vcpu *v, enum sysreg r, uint64_t value);

/* CCSIDR_EL1 for a value of CSSELR_EL1. */
uint64_t soft_sysreg_ccsidr(unsigned csselr);

/*
 * ireko-v1, but for its features (soft/features.def). Implementer 0 (software) keeps errata lists
 * from matching.
 */
#define IREKO_V1_MIDR 0x000f0010ull /* architecture 0xf, part 0x001 */

/* DIC=0 IDC=1 CWG=ERG=64 bytes, data lines of 64 bytes, PIPT. Instruction lines are as long as they
 * may be, since a guest has to do IC IVAU for each line of new code. */
#define IREKO_V1_CTR       0x9444c009ull
#define IREKO_V1_CODE_LINE 2048u
/* separate L1, unified L2, coherent at both points of unification */
#define IREKO_V1_CLIDR 0x0000000002000023ull

/* The RES1 bits, MMU and caches off. */
#define IREKO_V1_SCTLR 0x30d00800ull

/* SCTLR_EL1 (D19.2.118). */
enum {
    SCTLR_M = 1u << 0,
    SCTLR_A = 1u << 1,
    SCTLR_UMA = 1u << 9,
    SCTLR_DZE = 1u << 14,
    SCTLR_UCT = 1u << 15,
    SCTLR_NTWI = 1u << 16,
    SCTLR_NTWE = 1u << 18,
    SCTLR_WXN = 1u << 19,
    SCTLR_TSCXT = 1u << 20,
    SCTLR_SPAN = 1u << 23,
    SCTLR_UCI = 1u << 26,
};
#define SCTLR_MSCEN (1ull << 33)
#define SCTLR_DSSBS (1ull << 44)
#define SCTLR_EPAN  (1ull << 57)

#endif
