/*
 * A machine for one test: a VM, RAM, a vCPU of the calling thread, and a program of a few words.
 *
 * The RAM holds the program, a table of exception vectors where vector n is `brk #0x100 + n`, and a
 * page of data. Debug exceptions exit, so an exception that the guest takes shows as that BRK.
 * Nothing is mapped below GUEST_RAM: accesses there are MMIO.
 */
#ifndef TESTS_HV_GUEST_H
#define TESTS_HV_GUEST_H

#include <Hypervisor/Hypervisor.h>
#include <Hypervisor/hvx.h>

#include "check.h"

#define GUEST_RAM      0x40000000ull
#define GUEST_RAM_SIZE 0x40000u
#define GUEST_CODE     GUEST_RAM
#define GUEST_VECTORS  (GUEST_RAM + 0x10000)
#define GUEST_DATA     (GUEST_RAM + 0x20000)
#define GUEST_STACK    (GUEST_RAM + 0x30000)
#define GUEST_MMIO     0x09000000ull

/* Vectors as 0x80-byte steps from VBAR_EL1. */
enum { VECTOR_SYNC_EL1 = 4, VECTOR_IRQ_EL1 = 5, VECTOR_FIQ_EL1 = 6 };
#define VECTOR_BRK(vector) (0x100u + (vector))

struct guest {
    uint8_t *ram; /* GUEST_RAM_SIZE bytes */
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;
    bool good; /* everything was created */
};

/* Create the machine, load `count` words at GUEST_CODE, and point the vCPU there: EL1h, everything
 * masked, MMU off, X registers 0. Failures are reported as checks. */
void guest_open(struct guest *g, const uint32_t *code, unsigned count);
/* The same with HVX_NATIVE_DEBUG_PMU. Where the provider does not have it, g->good stays false and
 * there is no vCPU. */
void guest_open_native(struct guest *g, const uint32_t *code, unsigned count);
/* The same with HVX_MEMORY_FILES. */
void guest_open_files(struct guest *g, const uint32_t *code, unsigned count);
void guest_close(struct guest *g);

/* The same with a GIC at these places. guest_create_gic() alone makes the GIC of a VM. */
#define GUEST_GICD      0x08000000ull
#define GUEST_GICR      0x10000000ull
#define GUEST_MSI       0x0a000000ull
#define GUEST_MSI_FIRST 64u
#define GUEST_MSI_COUNT 32u
void guest_open_gic(struct guest *g, const uint32_t *code, unsigned count);
hv_return_t guest_create_gic(void);

#define GUEST_OPEN_GIC(g, code) guest_open_gic(g, code, sizeof(code) / sizeof((code)[0]))
#define GUEST_OPEN(g, code)     guest_open(g, code, sizeof(code) / sizeof((code)[0]))

/* Run until the next exit, which must be of this reason. */
bool guest_run(struct guest *g, hv_exit_reason_t reason);

/* Run until an exception exit of this class; its syndrome, or 0. */
uint64_t guest_run_exception(struct guest *g, unsigned exception_class);

/* Run to `brk #comment`. */
bool guest_run_brk(struct guest *g, unsigned comment);

/* Run until hv_vcpu_run() returned an exception of WFI: the guest's way to say "here". */
bool guest_run_wfi(struct guest *g);

uint64_t guest_reg(struct guest *g, hv_reg_t reg);
void guest_set_reg(struct guest *g, hv_reg_t reg, uint64_t value);
uint64_t guest_sys(struct guest *g, hv_sys_reg_t reg);
void guest_set_sys(struct guest *g, hv_sys_reg_t reg, uint64_t value);

/* Step over the instruction that exited. */
void guest_skip(struct guest *g);

/* RAM on a 16 KiB boundary. NULL is reported as a failed check. */
void *guest_memory(size_t size);

/*
 * Translation tables, 4 KiB granule, three pages at `host`, which the guest sees at `ipa`: the
 * first 2 MiB of RAM at their own address as normal memory, GUEST_MMIO's 2 MiB at GUEST_MMIO_HIGH
 * as device memory. Then the MMU on.
 */
#define GUEST_MMIO_HIGH 0x80000000ull
void guest_write_tables(uint8_t *host, hv_ipa_t ipa);
void guest_mmu_on(hv_vcpu_t vcpu, hv_ipa_t tables);

/* PSTATE for HV_REG_CPSR. */
#define CPSR_EL1H        0x5u
#define CPSR_EL0         0x0u
#define CPSR_F           (1u << 6)
#define CPSR_I           (1u << 7)
#define CPSR_A           (1u << 8)
#define CPSR_D           (1u << 9)
#define CPSR_DAIF        (CPSR_D | CPSR_A | CPSR_I | CPSR_F)
#define CPSR_EL1H_MASKED (CPSR_EL1H | CPSR_DAIF)

/* Fields of a syndrome. */
#define SYNDROME_EC(s)  ((unsigned)((s) >> 26 & 0x3f))
#define SYNDROME_IL(s)  ((unsigned)((s) >> 25 & 1))
#define SYNDROME_ISS(s) ((unsigned)((s) & 0x1ffffff))

enum {
    EC_WFX = 0x01,
    EC_HVC64 = 0x16,
    EC_SMC64 = 0x17,
    EC_SYSREG = 0x18,
    EC_IABORT = 0x20,
    EC_DABORT = 0x24,
    EC_STEP = 0x32,
    EC_WATCHPOINT = 0x34,
    EC_BREAKPOINT = 0x30,
    EC_BRK64 = 0x3c,
};

/* A64 words, DDI 0487 C6. `r` is an X register number. */
#define A64_NOP            0xd503201fu
#define A64_WFE            0xd503205fu
#define A64_WFI            0xd503207fu
#define A64_ISB            0xd5033fdfu
#define A64_DSB_SY         0xd5033f9fu
#define A64_ERET           0xd69f03e0u
#define A64_B_SELF         0x14000000u
#define A64_B(words)       (0x14000000u | ((uint32_t)(words) & 0x3ffffff))
#define A64_BRK(n)         (0xd4200000u | (uint32_t)(n) << 5)
#define A64_SVC(n)         (0xd4000001u | (uint32_t)(n) << 5)
#define A64_HVC(n)         (0xd4000002u | (uint32_t)(n) << 5)
#define A64_SMC(n)         (0xd4000003u | (uint32_t)(n) << 5)
#define A64_MOVZ(r, n)     (0xd2800000u | (uint32_t)(n) << 5 | (r))
#define A64_MOV(d, m)      (0xaa0003e0u | (uint32_t)(m) << 16 | (d))
#define A64_ADD_IMM(r, n)  (0x91000000u | (uint32_t)(n) << 10 | (uint32_t)(r) << 5 | (r))
#define A64_SUBS_IMM(r, n) (0xf1000000u | (uint32_t)(n) << 10 | (uint32_t)(r) << 5 | (r))
#define A64_B_NE(words)    (0x54000001u | ((uint32_t)(words) & 0x7ffff) << 5)
#define A64_LDR_X(t, n)    (0xf9400000u | (uint32_t)(n) << 5 | (t))
#define A64_STR_X(t, n)    (0xf9000000u | (uint32_t)(n) << 5 | (t))
#define A64_STR_W(t, n)    (0xb9000000u | (uint32_t)(n) << 5 | (t))
#define A64_DAIFCLR(n)     (0xd50340ffu | (uint32_t)(n) << 8)
#define A64_DAIFSET(n)     (0xd50340dfu | (uint32_t)(n) << 8)

/* The next number of a sequence that looks random and is always the same (xorshift), from
 * GUEST_RANDOM or any other number but 0 on. */
#define GUEST_RANDOM 88172645463325252u

static inline uint64_t guest_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* A system register of MRS and MSR; the five fields are the arguments that A64_REG() yields. */
#define A64_REG(op0, op1, crn, crm, op2)                                                           \
    ((uint32_t)(op0) << 19 | (uint32_t)(op1) << 16 | (uint32_t)(crn) << 12 |                       \
     (uint32_t)(crm) << 8 | (uint32_t)(op2) << 5)
#define A64_MRS(t, reg) (0xd5200000u | (reg) | (t))
#define A64_MSR(reg, t) (0xd5000000u | (reg) | (t))

#define REG_CNTFRQ_EL0 A64_REG(3, 3, 14, 0, 0)
#define REG_CNTPCT_EL0 A64_REG(3, 3, 14, 0, 1)
#define REG_CNTVCT_EL0 A64_REG(3, 3, 14, 0, 2)
#define REG_CNTV_TVAL  A64_REG(3, 3, 14, 3, 0)
#define REG_CNTV_CTL   A64_REG(3, 3, 14, 3, 1)
#define REG_CNTV_CVAL  A64_REG(3, 3, 14, 3, 2)

#endif
