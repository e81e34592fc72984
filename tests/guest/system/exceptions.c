/*
 * Exceptions from EL0 and EL1: vector, syndrome, return address and state (DDI 0487 D1.3), legal
 * and illegal exception returns (D1.3), alignment of PC and SP (D1.3), FP traps, and what EL1
 * denies EL0 through SCTLR_EL1, CPACR_EL1 and CNTKCTL_EL1 (D19.2, D1.3).
 */
#include "kit.h"

#define GICD(offset) (*(volatile uint32_t *)(0x08000000ul + (offset)))
#define GICC(offset) (*(volatile uint32_t *)(0x08010000ul + (offset)))

PROBE(nothing, "nop");
PROBE(svc, "svc #0x1234");
PROBE(brk, "brk #0x4321");
PROBE(udf, "udf #7");
PROBE(hlt, "hlt #1");
PROBE(drps, ".inst 0xd6bf03e0");
PROBE(dcps1, "dcps1 #1");
PROBE(hvc0, "hvc #0");
PROBE(smc0, "smc #0");
PROBE(eret0, "eret");
PROBE(eretaa, ".inst 0xd69f0bff");
PROBE(unallocated, ".inst 0x00010000");
PROBE(fadd, "fadd d0, d1, d2");
PROBE(ldr_q, "ldr q0, [x0]");
PROBE(fpcr, "mrs x0, fpcr");
PROBE(fpsr, "msr fpsr, x0");
PROBE(dup, "dup v0.2d, x1");
PROBE(jump, "br x0");
PROBE(sp_load, "mov sp, x0\n ldr x1, [sp]");
PROBE(sp_store_pair, "mov sp, x0\n stp x1, x2, [sp, #-16]!");
PROBE(sp_atomic, "mov sp, x0\n ldadd x1, x2, [sp]");
PROBE(sp_exclusive, "mov sp, x0\n ldxr x1, [sp]");
PROBE(sp_prefetch, "mov sp, x0\n prfm pldl1keep, [sp]");
PROBE(sp_add, "mov sp, x0\n add x1, sp, #8");
PROBE(sp_vector, "mov sp, x0\n ldr d0, [sp]");
PROBE(wfi, "wfi");
PROBE(wfe, "sevl\n wfe\n wfe");
PROBE(wfit, ".inst 0xd5031025" /* wfit x5 */);
PROBE(wfet, "sevl\n wfe\n .inst 0xd5031006" /* wfet x6 */);
PROBE(ctr, "mrs x3, ctr_el0");
PROBE(dczid, "mrs x3, dczid_el0");
/* Nobody else reads these flags. */
PROBE(nzcv, "subs xzr, xzr, xzr\n mrs x3, nzcv\n adds x1, x0, x0");
PROBE(stacks, "msr spsel, #0\n mov sp, x0\n msr spsel, #1\n mrs x3, sp_el0\n msr sp_el0, x1\n"
              " msr spsel, #0\n mov x2, sp\n msr spsel, #1\n mrs x0, spsel\n mrs x1, currentel");
PROBE(masks, "msr daifclr, #15\n msr daifset, #2\n mrs x1, daif\n msr daifclr, #2\n"
             " msr daifset, #13\n mrs x2, daif\n mov x3, #-1\n msr daif, x3\n mrs x3, daif");
PROBE(daif_read, "mrs x3, daif");
PROBE(daif_write, "msr daif, x3");
PROBE(daif_set, "msr daifset, #2");
PROBE(daif_clear, "msr daifclr, #2");
PROBE(dc_zva, "dc zva, x0");
PROBE(dc_cvau, "dc cvau, x0");
PROBE(dc_cvac, "dc cvac, x0");
PROBE(dc_civac, "dc civac, x0");
PROBE(dc_cvap, "dc cvap, x0");
PROBE(dc_ivac, "dc ivac, x0");
PROBE(dc_csw, "dc csw, x0");
PROBE(ic_ivau, "ic ivau, x0");
PROBE(ic_iallu, "ic iallu");
PROBE(tlbi, "tlbi vmalle1");
PROBE(at, "at s1e1r, x0");
PROBE(sctlr, "mrs x3, sctlr_el1");
PROBE(ctr_write, "msr s3_3_c0_c0_1, x3");
PROBE(id_register, "mrs x3, id_aa64isar0_el1");
PROBE(sp_select, "msr spsel, #1");
PROBE(pan_set, "msr pan, #1");
PROBE(uao_set, "msr uao, #1");
PROBE(tpidrro, "msr tpidrro_el0, x3");
PROBE(cntvct, "mrs x3, cntvct_el0");
PROBE(cntpct, "mrs x3, cntpct_el0");
PROBE(cntfrq, "mrs x3, cntfrq_el0");
PROBE(cntv_ctl, "mrs x3, cntv_ctl_el0");
PROBE(cntv_cval, "msr cntv_cval_el0, x3");
PROBE(cntp_ctl, "mrs x3, cntp_ctl_el0");
PROBE(cntp_tval, "mrs x3, cntp_tval_el0");
PROBE(sp_el0_read, "mrs x3, sp_el0");
PROBE(sp_el0_write, "mov x3, sp\n msr sp_el0, x3");
PROBE(sp_el1_read, "mrs x3, s3_4_c4_c1_0");
PROBE(current_el, "mrs x3, currentel");
PROBE(current_el_write, "msr s3_0_c4_c2_2, x3");
PROBE(spsr, "mrs x3, spsr_el1");
PROBE(elr, "mrs x3, elr_el1");
PROBE(hcr_el2, "mrs x3, hcr_el2");
PROBE(vbar_el2, "msr vbar_el2, x3");
PROBE(sctlr_el12, "mrs x3, s3_5_c1_c0_0");
PROBE(sctlr_el3, "mrs x3, sctlr_el3");
PROBE(tlbi_el2, "tlbi alle1");
PROBE(tlbi_ipa, "tlbi ipas2e1, x0");
PROBE(at_el2, "at s1e2r, x0");
PROBE(at_s12, "at s12e1r, x0");
PROBE(cntkctl, "mrs x3, cntkctl_el1");

/* ISS of EC 0x18: a trapped MRS (read), MSR or system instruction (D24.2.40). */
#define TRAP(op0, op1, crn, crm, op2, rt, read)                                                    \
    ESR(0x18,                                                                                      \
        (op0) << 20 | (op2) << 17 | (op1) << 14 | (crn) << 10 | (rt) << 5 | (crm) << 1 | (read))
#define UNDEFINED ESR(0, 0)
#define FP_TRAP   ESR(7, 1 << 24 | 0xe << 20)
#define WFX(iss)  ESR(1, 1 << 24 | 0xe << 20 | (iss))
#define FPEN(n)   ((uint64_t)(n) << 20)

/* What ESR says, and how far behind the probe's start ELR is. */
struct exception_case {
    const char *name;
    const uint32_t *code;
    uint64_t spsr, esr, after;
};

static const struct exception_case always[] = {
    { "SVC from EL0 (C6.2)", svc, EL0, ESR(0x15, 0x1234), 4 },
    { "SVC from EL1h", svc, EL1, ESR(0x15, 0x1234), 4 },
    { "SVC from EL1t", svc, EL1T, ESR(0x15, 0x1234), 4 },
    { "BRK from EL0 (C6.2)", brk, EL0, ESR(0x3c, 0x4321), 0 },
    { "BRK from EL1", brk, EL1, ESR(0x3c, 0x4321), 0 },
    { "UDF from EL0 (C6.2)", udf, EL0, UNDEFINED, 0 },
    { "UDF from EL1h", udf, EL1, UNDEFINED, 0 },
    { "UDF from EL1t", udf, EL1T, UNDEFINED, 0 },
    { "an unallocated word", unallocated, EL1, UNDEFINED, 0 },
    { "HLT without an external debugger", hlt, EL1, UNDEFINED, 0 },
    { "DRPS outside Debug state", drps, EL1, UNDEFINED, 0 },
    { "DCPS1 outside Debug state", dcps1, EL1, UNDEFINED, 0 },
    { "HVC at EL0", hvc0, EL0, UNDEFINED, 0 },
    { "SMC at EL0", smc0, EL0, UNDEFINED, 0 },
    { "ERET at EL0", eret0, EL0, UNDEFINED, 0 },
    { "MRS SCTLR_EL1 at EL0", sctlr, EL0, UNDEFINED, 0 },
    { "MSR to read-only CTR_EL0", ctr_write, EL1, UNDEFINED, 0 },
    { "MSR TPIDRRO_EL0 at EL0", tpidrro, EL0, UNDEFINED, 0 },
    { "MSR SPSel at EL0", sp_select, EL0, UNDEFINED, 0 },
    { "MSR PAN at EL0", pan_set, EL0, UNDEFINED, 0 },
    { "MSR UAO at EL0", uao_set, EL0, UNDEFINED, 0 },
    { "MRS CNTKCTL_EL1 at EL0", cntkctl, EL0, UNDEFINED, 0 },
    { "TLBI at EL0", tlbi, EL0, UNDEFINED, 0 },
    { "AT at EL0", at, EL0, UNDEFINED, 0 },
    { "IC IALLU at EL0", ic_iallu, EL0, UNDEFINED, 0 },
    { "DC IVAC at EL0", dc_ivac, EL0, UNDEFINED, 0 },
    { "MRS SP_EL0 at EL1t: it is the stack pointer (C5.2)", sp_el0_read, EL1T, UNDEFINED, 0 },
    { "MSR SP_EL0 at EL1t", sp_el0_write, EL1T, UNDEFINED, 4 },
    { "MRS SP_EL0 at EL1h", sp_el0_read, EL1, SVC0, 8 },
    { "MRS SP_EL0 at EL0", sp_el0_read, EL0, UNDEFINED, 0 },
    { "MRS SP_EL1 at EL1", sp_el1_read, EL1, UNDEFINED, 0 },
    { "MRS CurrentEL at EL0", current_el, EL0, UNDEFINED, 0 },
    { "MSR CurrentEL", current_el_write, EL1, UNDEFINED, 0 },
    { "MRS SPSR_EL1 at EL0", spsr, EL0, UNDEFINED, 0 },
    { "MRS ELR_EL1 at EL0", elr, EL0, UNDEFINED, 0 },
    { "MRS HCR_EL2 without EL2", hcr_el2, EL1, UNDEFINED, 0 },
    { "MSR VBAR_EL2 without EL2", vbar_el2, EL1, UNDEFINED, 0 },
    { "MRS SCTLR_EL12 without EL2", sctlr_el12, EL1, UNDEFINED, 0 },
    { "MRS SCTLR_EL3 without EL3", sctlr_el3, EL1, UNDEFINED, 0 },
    { "TLBI ALLE1 without EL2", tlbi_el2, EL1, UNDEFINED, 0 },
    { "TLBI IPAS2E1 without EL2", tlbi_ipa, EL1, UNDEFINED, 0 },
    { "AT S1E2R without EL2", at_el2, EL1, UNDEFINED, 0 },
    { "AT S12E1R without EL2", at_s12, EL1, UNDEFINED, 0 },
    { "DC CSW at EL0", dc_csw, EL0, UNDEFINED, 0 },
};

/* With register `which` at `value`. */
enum which { SCTLR, CPACR, CNTKCTL };
static const struct control_case {
    struct exception_case e;
    enum which which;
    uint64_t value;
} controlled[] = {
    { { "FPEN=0, FADD at EL0 (D19.2)", fadd, EL0, FP_TRAP, 0 }, CPACR, FPEN(0) },
    { { "FPEN=0, FADD at EL1", fadd, EL1, FP_TRAP, 0 }, CPACR, FPEN(0) },
    { { "FPEN=1, FADD at EL0", fadd, EL0, FP_TRAP, 0 }, CPACR, FPEN(1) },
    { { "FPEN=1, FADD at EL1", fadd, EL1, SVC0, 8 }, CPACR, FPEN(1) },
    { { "FPEN=2, FADD at EL1", fadd, EL1, FP_TRAP, 0 }, CPACR, FPEN(2) },
    { { "FPEN=3, FADD at EL0", fadd, EL0, SVC0, 8 }, CPACR, FPEN(3) },
    { { "FPEN=0, LDR Q before its address is looked at", ldr_q, EL1, FP_TRAP, 0 }, CPACR, FPEN(0) },
    { { "FPEN=0, DUP", dup, EL1, FP_TRAP, 0 }, CPACR, FPEN(0) },
    { { "FPEN=0, MRS FPCR", fpcr, EL1, FP_TRAP, 0 }, CPACR, FPEN(0) },
    { { "FPEN=1, MSR FPSR at EL0", fpsr, EL0, FP_TRAP, 0 }, CPACR, FPEN(1) },
    { { "FPEN=0, SP alignment comes after", sp_vector, EL1, FP_TRAP, 4 }, CPACR, FPEN(0) },

    { { "UCT=0, CTR_EL0", ctr, EL0, TRAP(3, 3, 0, 0, 1, 3, 1), 0 }, SCTLR, 0 },
    { { "UCT=1, CTR_EL0", ctr, EL0, SVC0, 8 }, SCTLR, SCTLR_UCT },
    { { "UCT=0, DCZID_EL0 is always there", dczid, EL0, SVC0, 8 }, SCTLR, 0 },
    { { "UMA=0, MRS DAIF", daif_read, EL0, TRAP(3, 3, 4, 2, 1, 3, 1), 0 }, SCTLR, 0 },
    { { "UMA=0, MSR DAIF", daif_write, EL0, TRAP(3, 3, 4, 2, 1, 3, 0), 0 }, SCTLR, 0 },
    { { "UMA=0, MSR DAIFSet", daif_set, EL0, TRAP(0, 3, 4, 2, 6, 31, 0), 0 }, SCTLR, 0 },
    { { "UMA=0, MSR DAIFClr", daif_clear, EL0, TRAP(0, 3, 4, 2, 7, 31, 0), 0 }, SCTLR, 0 },
    { { "UMA=1, MSR DAIFSet", daif_set, EL0, SVC0, 8 }, SCTLR, SCTLR_UMA },
    { { "DZE=0, DC ZVA", dc_zva, EL0, TRAP(1, 3, 7, 4, 1, 0, 0), 0 }, SCTLR, 0 },
    { { "UCI=0, DC CVAU", dc_cvau, EL0, TRAP(1, 3, 7, 11, 1, 0, 0), 0 }, SCTLR, 0 },
    { { "UCI=0, DC CVAC", dc_cvac, EL0, TRAP(1, 3, 7, 10, 1, 0, 0), 0 }, SCTLR, 0 },
    { { "UCI=0, DC CIVAC", dc_civac, EL0, TRAP(1, 3, 7, 14, 1, 0, 0), 0 }, SCTLR, 0 },
    { { "UCI=0, DC CVAP", dc_cvap, EL0, TRAP(1, 3, 7, 12, 1, 0, 0), 0 }, SCTLR, 0 },
    { { "UCI=0, IC IVAU", ic_ivau, EL0, TRAP(1, 3, 7, 5, 1, 0, 0), 0 }, SCTLR, 0 },
    { { "UCI=1, IC IVAU", ic_ivau, EL0, SVC0, 8 }, SCTLR, SCTLR_UCI },
    { { "nTWI=0, WFI", wfi, EL0, WFX(0), 0 }, SCTLR, 0 },
    { { "nTWE=0, WFE without an event", wfe, EL0, WFX(1), 8 }, SCTLR, 0 },
    { { "nTWI=0, WFIT", wfit, EL0, WFX(5 << 5 | 1 << 2 | 2), 0 }, SCTLR, 0 },
    { { "nTWE=0, WFET", wfet, EL0, WFX(6 << 5 | 1 << 2 | 3), 8 }, SCTLR, 0 },

    { { "EL0VCTEN=0, CNTVCT_EL0", cntvct, EL0, TRAP(3, 3, 14, 0, 2, 3, 1), 0 }, CNTKCTL, 1 },
    { { "EL0VCTEN=1, CNTVCT_EL0", cntvct, EL0, SVC0, 8 }, CNTKCTL, 2 },
    { { "EL0PCTEN=0, CNTPCT_EL0", cntpct, EL0, TRAP(3, 3, 14, 0, 1, 3, 1), 0 }, CNTKCTL, 2 },
    { { "EL0PCTEN=1, CNTPCT_EL0", cntpct, EL0, SVC0, 8 }, CNTKCTL, 1 },
    { { "neither, CNTFRQ_EL0", cntfrq, EL0, TRAP(3, 3, 14, 0, 0, 3, 1), 0 }, CNTKCTL, 0 },
    { { "EL0PCTEN=1, CNTFRQ_EL0", cntfrq, EL0, SVC0, 8 }, CNTKCTL, 1 },
    { { "EL0VTEN=0, CNTV_CTL_EL0", cntv_ctl, EL0, TRAP(3, 3, 14, 3, 1, 3, 1), 0 }, CNTKCTL, 3 },
    { { "EL0VTEN=0, MSR CNTV_CVAL_EL0", cntv_cval, EL0, TRAP(3, 3, 14, 3, 2, 3, 0), 0 },
      CNTKCTL,
      3 },
    { { "EL0VTEN=1, CNTV_CTL_EL0", cntv_ctl, EL0, SVC0, 8 }, CNTKCTL, 1 << 8 },
    { { "EL0PTEN=0, CNTP_CTL_EL0", cntp_ctl, EL0, TRAP(3, 3, 14, 2, 1, 3, 1), 0 }, CNTKCTL, 3 },
    { { "EL0PTEN=0, CNTP_TVAL_EL0", cntp_tval, EL0, TRAP(3, 3, 14, 2, 0, 3, 1), 0 }, CNTKCTL, 3 },
    { { "EL0PTEN=1, CNTP_CTL_EL0", cntp_ctl, EL0, SVC0, 8 }, CNTKCTL, 1 << 9 },
};

static void check_case(const char *area, const struct exception_case *e, uint64_t x0)
{
    const struct taken *t = run(e->code, e->spsr, x0, 0);
    uint64_t want = (e->spsr & 15) == 0 ? SYNC_LOWER : e->spsr & 1 ? SYNC_SPX : SYNC_SP0;

    check(area, e->name, t->esr, e->esr);
    if (t->elr != (uint64_t)e->code + e->after)
        check(e->name, "ELR_EL1", t->elr, (uint64_t)e->code + e->after);
    if (t->vector != want)
        check(e->name, "vector", t->vector, want);
    if ((t->spsr & 0xf) != (e->spsr & 0xf))
        check(e->name, "SPSR_EL1.M", t->spsr, e->spsr);
    if (t->daif != 0x3c0 || t->spsel != 1)
        check(e->name, "DAIF and SPSel in the handler", t->daif | t->spsel, 0x3c1);
}

static void check_controlled(const struct control_case *c)
{
    static const char *const names[] = { "SCTLR_EL1", "CPACR_EL1", "CNTKCTL_EL1" };

    if (c->which == SCTLR)
        WRITE(sctlr_el1, KIT_SCTLR | c->value);
    else if (c->which == CPACR)
        WRITE(cpacr_el1, c->value);
    else
        WRITE(cntkctl_el1, c->value);
    check_case(names[c->which], &c->e, (uint64_t)nothing);
    WRITE(sctlr_el1, KIT_SCTLR);
    WRITE(cpacr_el1, FPEN(3));
    WRITE(cntkctl_el1, 0);
}

/* Interrupts: a software interrupt to this CPU, group 1 by IRQ or group 0 by FIQ. */
static void interrupt_pend(bool fiq)
{
    GICD(0x000) = 3;
    GICD(0x080) = fiq ? 0 : ~0u;   /* IGROUPR0 */
    GICD(0x100) = 1;               /* ISENABLER0 */
    GICC(0x004) = 0xff;            /* PMR */
    GICC(0x000) = fiq ? 0x9 : 0x7; /* FIQEn, AckCtl, both groups */
    GICD(0xf00) = 2u << 24;        /* SGIR: to itself */
    DO("dsb sy\n isb");
}

static void interrupt_end(void)
{
    GICC(0x010) = GICC(0x00c);
    GICD(0x000) = 0;
    DO("dsb sy\n isb");
}

PROBE(around, "1: add x0, x0, #1\n cbnz x0, 1b");
PROBE(unmask, "msr daifclr, #3\n nop");
PROBE(unmask_all, "msr daif, x0\n nop");
PROBE(masked, "mov x0, #100\n 1: subs x0, x0, #1\n b.ne 1b");

static void interrupts(void)
{
    static const struct {
        const char *name;
        uint64_t spsr, vector;
    } from[] = { { "from EL1t", EL1T, 0 }, { "from EL1h", EL1, 4 }, { "from EL0", EL0, 8 } };

    for (unsigned fiq = 0; fiq < 2; fiq++)
        for (unsigned i = 0; i < COUNT(from); i++) {
            const char *kind = fiq ? "FIQ (D1.3)" : "IRQ (D1.3)";
            uint64_t open = from[i].spsr & ~(fiq ? SPSR_F : (uint64_t)SPSR_I);
            interrupt_pend(fiq);
            check(kind, "masked", run(masked, from[i].spsr, 0, 0)->vector, from[i].vector);
            const struct taken *t = run(around, open, 1, 0);
            check(kind, from[i].name, t->vector, from[i].vector + (fiq ? VECTOR_FIQ : VECTOR_IRQ));
            check(kind, "at once: ELR_EL1", t->elr, (uint64_t)around);
            check(kind, "SPSR_EL1", t->spsr & 0x3cf, open);
            interrupt_end();
        }
    interrupt_pend(false);
    check("IRQ", "right after DAIFClr", run(unmask, EL1, 0, 0)->elr, (uint64_t)unmask + 4);
    check("IRQ", "right after MSR DAIF", run(unmask_all, EL1, 0, 0)->elr, (uint64_t)unmask_all + 4);
    check("IRQ", "ISR_EL1", READ(isr_el1), 1 << 7);
    interrupt_end();
    check("IRQ", "ISR_EL1, acknowledged", READ(isr_el1), 0);
}

/* Illegal returns: M names what is not there; the Illegal Execution state is entered (D1.3). */
static void returns(void)
{
    static const struct {
        const char *name;
        uint64_t m;
    } illegal[] = {
        { "to EL2h", 0x9 },         { "to EL2t", 0x8 }, { "to EL3h", 0xd },
        { "to EL0h", 0x1 },         { "to M=2", 0x2 },  { "to AArch32 user mode", 0x10 },
        { "to AArch32 svc", 0x13 },
    };
    const char *area = "illegal return (D1.3)";

    for (unsigned i = 0; i < COUNT(illegal); i++) {
        const struct taken *t = run(nothing, (EL1 & ~0xful) | illegal[i].m | 0xful << 28, 0, 0);
        check(area, illegal[i].name, t->esr, ESR(0x0e, 0));
        check(area, "ELR_EL1", t->elr, (uint64_t)nothing);
        check(area, "vector", t->vector, SYNC_SPX);
        check(area, "SPSR_EL1 has IL, and the flags", t->spsr & 0xf01003cf, 0xf01003c5);
    }
    const struct taken *t = run(nothing, EL0 | SPSR_IL, 0, 0);
    check("legal return with IL", "to EL0", t->esr, ESR(0x0e, 0));
    check("legal return with IL", "vector", t->vector, SYNC_LOWER);
    t = run((const char *)nothing + 2, EL1 | SPSR_IL, 0, 0);
    check("legal return with IL", "PC alignment goes first (D1.3)", t->esr, ESR(0x22, 0));
    t = run((const void *)V, EL1 | SPSR_IL, 0, 0);
    check("legal return with IL", "an instruction abort goes first", t->esr,
          ESR(0x21, TRANSLATION | 0));
    t = run(nothing, EL0 | 0xaul << 28 | 1 << 12 | 1 << 24, 0, 0);
    check("legal return", "flags, SSBS and DIT get to EL0 and back", t->spsr & 0xf1001000,
          0xa1001000);
}

static void alignment(void)
{
    static const struct exception_case sp[] = {
        { "LDR [sp] (D1.3)", sp_load, EL1, ESR(0x26, 0), 4 },
        { "LDR [sp] at EL0", sp_load, EL0, ESR(0x26, 0), 4 },
        { "STP [sp, #-16]!", sp_store_pair, EL1, ESR(0x26, 0), 4 },
        { "LDADD [sp]", sp_atomic, EL1, ESR(0x26, 0), 4 },
        { "LDXR [sp]", sp_exclusive, EL0, ESR(0x26, 0), 4 },
        { "LDR d0, [sp]", sp_vector, EL1, ESR(0x26, 0), 4 },
        { "PRFM [sp] is not checked", sp_prefetch, EL1, SVC0, 12 },
        { "ADD from sp is not checked", sp_add, EL1, SVC0, 12 },
    };
    const uint64_t bad = TARGET + 8;

    for (unsigned i = 0; i < COUNT(sp); i++)
        check_case("SP alignment", &sp[i], bad);
    WRITE(sctlr_el1, KIT_SCTLR & ~SCTLR_SA);
    check("SCTLR_EL1.SA=0", "LDR [sp]", run(sp_load, EL1, bad, 0)->esr, SVC0);
    check("SCTLR_EL1.SA=0", "LDR [sp] at EL1t", run(sp_load, EL1T, bad, 0)->esr, SVC0);
    WRITE(sctlr_el1, KIT_SCTLR);
    check("SP alignment", "LDR [sp] at EL1t", run(sp_load, EL1T, bad, 0)->esr, ESR(0x26, 0));
    WRITE(sctlr_el1, KIT_SCTLR & ~SCTLR_SA0);
    check("SCTLR_EL1.SA0=0", "LDR [sp] at EL0 aborts by itself", run(sp_load, EL0, bad, 0)->esr,
          ESR(0x24, PERMISSION | 2));
    WRITE(sctlr_el1, KIT_SCTLR);

    for (uint64_t n = 1; n < 4; n++) {
        const struct taken *t = run(jump, n & 1 ? EL0 : EL1, (uint64_t)nothing + n, 0);
        check("PC alignment (D1.3)", "BR", t->esr, ESR(0x22, 0));
        check("PC alignment", "FAR_EL1", t->far, (uint64_t)nothing + n);
        check("PC alignment", "ELR_EL1", t->elr, (uint64_t)nothing + n);
    }
    check("PC alignment", "goes before translation", run(jump, EL1, V + 2, 0)->esr, ESR(0x22, 0));
}

/* PSTATE.PAN and UAO at the exception (D1.3). */
static void state(void)
{
    WRITE(sctlr_el1, KIT_SCTLR & ~SCTLR_SPAN);
    check("SPAN=0", "PAN is set by an exception", run(svc, EL1, 0, 0)->pan, SPSR_PAN);
    check("SPAN=0", "SPSR_EL1.PAN is what it was", run(svc, EL1, 0, 0)->spsr & SPSR_PAN, 0);
    WRITE(sctlr_el1, KIT_SCTLR | SCTLR_SPAN);
    check("SPAN=1", "PAN stays clear", run(svc, EL1, 0, 0)->pan, 0);
    check("SPAN=1", "PAN stays set", run(svc, EL1 | SPSR_PAN, 0, 0)->pan, SPSR_PAN);
    check("UAO", "SPSR_EL1", run(svc, EL1 | SPSR_UAO, 0, 0)->spsr & SPSR_UAO, SPSR_UAO);
    check("UAO", "clear in the handler", READ(s3_0_c4_c2_4), 0);
    WRITE(sctlr_el1, KIT_SCTLR);
    run(svc, EL1 | 1 << 12, 0, 0);
    check("SSBS", "DSSBS=0, clear in the handler", READ(s3_3_c4_c2_6), 0);
    WRITE(sctlr_el1, KIT_SCTLR | 1ul << 44);
    run(svc, EL1, 0, 0);
    check("SSBS", "DSSBS=1, set in the handler", READ(s3_3_c4_c2_6), 1 << 12);
    WRITE(sctlr_el1, KIT_SCTLR);
}

void test(void)
{
    for (unsigned i = 0; i < COUNT(always); i++)
        check_case("always", &always[i], (uint64_t)nothing);
    for (unsigned i = 0; i < COUNT(controlled); i++)
        check_controlled(&controlled[i]);
    bool pauth = READ(id_aa64isar1_el1) & 0xff0;
    if (!pauth)
        check("EL1", "ERETAA without FEAT_PAuth", run(eretaa, EL1, 0, 0)->esr, UNDEFINED);
    check("EL0", "ERETAA", run(eretaa, EL0, 0, 0)->esr, UNDEFINED);
    /* FEAT_IDST (D19.2, ID_AA64MMFR2_EL1.IDS) */
    bool idst = READ(id_aa64mmfr2_el1) >> 36 & 15;
    check("EL0", "MRS of an ID register", run(id_register, EL0, 0, 0)->esr,
          idst ? TRAP(3, 0, 0, 6, 0, 3, 1) : UNDEFINED);
    check("PSTATE", "MRS NZCV", run(nzcv, EL1, 1, 0)->x[3], 3ul << 29);
    const struct taken *t = run(stacks, EL1, 0x1230, 0x4560);
    check("PSTATE", "MRS SP_EL0", t->x[3], 0x1230);
    check("PSTATE", "MSR SP_EL0", t->x[2], 0x4560);
    check("PSTATE", "SPSel", t->x[0], 1);
    check("PSTATE", "CurrentEL", t->x[1], 1 << 2);
    t = run(masks, EL1, 0, 0);
    check("PSTATE", "DAIFSet", t->x[1], 1 << 7);
    check("PSTATE", "DAIFClr", t->x[2], 13 << 6);
    check("PSTATE", "DAIF", t->x[3], 15 << 6);
    interrupts();
    returns();
    alignment();
    state();
}
