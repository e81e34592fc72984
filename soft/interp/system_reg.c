/*
 * MRS and MSR (DDI 0487 C4.1.93, D19): who may, and who else has to see it. Values and effects are
 * soft/sysreg.c's.
 */
#include "soft/interp/interp.h"
#include "soft/interp/system.h"
#include "soft/model.h"
#include "soft/vcpu.h"

/* CNTKCTL_EL1 (D19.12.8). */
enum {
    CNTKCTL_EL0PCTEN = 1 << 0,
    CNTKCTL_EL0VCTEN = 1 << 1,
    CNTKCTL_EL0VTEN = 1 << 8,
    CNTKCTL_EL0PTEN = 1 << 9,
};

uint32_t system_iss(const struct insn *i)
{
    uint32_t w = i->word;

    return (uint32_t)(bits(w, 20, 19) << 20 | bits(w, 7, 5) << 17 | bits(w, 18, 16) << 14 |
                      bits(w, 15, 12) << 10 | bits(w, 4, 0) << 5 | bits(w, 11, 8) << 1 |
                      bit(w, 21));
}

/*
 * Registers that are not in the table, but the monitor's as on a Mac: implementation-defined ones
 * (CRn 11 and 15), reads of the identification space, counters that this PMU has not. Any other
 * does not exist.
 */
static bool is_of_monitor(const struct insn *i, bool write)
{
    unsigned op1 = (unsigned)bits(i->word, 18, 16), crn = (unsigned)bits(i->word, 15, 12);

    if (!bit(i->word, 19)) /* op0 2: debug */
        return false;
    return crn == 11 || crn == 15 || (op1 == 0 && crn == 0 && !write) ||
           (op1 == 3 && crn == 14 && bit(i->word, 11)); /* PMEVCNTRn_EL0, PMEVTYPERn_EL0 */
}

const struct insn *system_exit(struct cpu *c, const struct insn *i)
{
    soft_exit_exception(vcpu_of(c), (uint64_t)EC_SYSREG << 26 | ESR_IL | system_iss(i), 0, 0,
                        cpu_pc(c, i));
    return NULL;
}

void system_trap_el1(struct cpu *c, const struct insn *i)
{
    exc_sync(c, EC_SYSREG, system_iss(i), cpu_pc(c, i));
}

/* Does EL1 let EL0 use this register, which EL0 may have? */
static bool el0_may(const struct soft_vcpu *v, int r, bool write)
{
    uint64_t sctlr = v->sys[SYSREG_SCTLR_EL1], kctl = v->sys[SYSREG_CNTKCTL_EL1];

    switch (r) {
    case SYSREG_CTR_EL0:
        return sctlr & SCTLR_UCT;
    case SYSREG_DAIF:
        return sctlr & SCTLR_UMA;
    case SYSREG_SCXTNUM_EL0:
        return !(sctlr & SCTLR_TSCXT);
    case SYSREG_CNTFRQ_EL0:
        return kctl & (CNTKCTL_EL0PCTEN | CNTKCTL_EL0VCTEN);
    case SYSREG_CNTPCT_EL0:
    case SYSREG_CNTPCTSS_EL0:
        return kctl & CNTKCTL_EL0PCTEN;
    case SYSREG_CNTVCT_EL0:
    case SYSREG_CNTVCTSS_EL0:
        return kctl & CNTKCTL_EL0VCTEN;
    case SYSREG_CNTV_TVAL_EL0:
    case SYSREG_CNTV_CTL_EL0:
    case SYSREG_CNTV_CVAL_EL0:
        return kctl & CNTKCTL_EL0VTEN;
    case SYSREG_CNTP_TVAL_EL0:
    case SYSREG_CNTP_CTL_EL0:
    case SYSREG_CNTP_CVAL_EL0:
        return kctl & CNTKCTL_EL0PTEN;
    default:
        if (soft_sysreg_table[r].kind == SYSREG_OPTION)
            return v->cpu.vm->native_debug_pmu && pmu_el0_may(v, (enum sysreg)r, write);
        return soft_sysreg_table[r].kind != SYSREG_TRAP;
    }
}

/*
 * Nobody may have it here. EL0's reads of the feature identification space (D19.1.2: op0 3, op1 0,
 * 1 or 3, CRn 0, CRm 0 to 7) say which register it was: FEAT_IDST.
 */
static _Noreturn void register_refused(struct cpu *c, const struct insn *i, bool write)
{
    unsigned op1 = (unsigned)bits(i->word, 18, 16);

    if (c->el == 0 && !write && bits(i->word, 20, 19) == 3 && (op1 < 2 || op1 == 3) &&
        bits(i->word, 15, 11) == 0)
        system_trap_el1(c, i);
    exc_undefined(c, i);
}

/*
 * The register of `i`, when the access goes ahead here. -1: it has become an exit. An exception
 * does not return.
 */
static int register_of(struct cpu *c, const struct insn *i, bool write)
{
    struct soft_vcpu *v = vcpu_of(c);
    int r = soft_sysreg_find(i->word >> 5 & 0xffff);

    if (r < 0) {
        if (c->el == 0 || !is_of_monitor(i, write))
            register_refused(c, i, write);
        system_exit(c, i);
        return -1;
    }
    const struct sysreg_info *info = &soft_sysreg_table[r];
    unsigned need = c->el ? (write ? SYSREG_EL1_WRITE : SYSREG_EL1_READ)
                          : (write ? SYSREG_EL0_WRITE : SYSREG_EL0_READ);
    if (c->el == 1 && (c->vm->options & MODEL_PAUTH))
        need |= SYSREG_EL1_PAUTH;
    if (!(info->access & need) || (r == SYSREG_SP_EL0 && !c->sp_sel) ||
        (info->kind == SYSREG_DEBUG && debug_is_beyond((enum sysreg)r)))
        register_refused(c, i, write);
    if (c->el == 0 && !el0_may(v, r, write))
        system_trap_el1(c, i);
    if (info->kind == SYSREG_TRAP || (info->kind == SYSREG_GIC && !c->vm->gic) ||
        (info->kind == SYSREG_DEBUG && v->trap_debug_regs) ||
        (info->kind == SYSREG_OPTION && !c->vm->native_debug_pmu)) {
        system_exit(c, i);
        return -1;
    }
    if (r == SYSREG_FPCR || r == SYSREG_FPSR)
        fp_check(c, i);
    return r;
}

INSN(MRS)
{
    int r = register_of(c, i, false);
    if (r < 0)
        return NULL;
    if (soft_sysreg_table[r].kind == SYSREG_OPTION)
        cpu_count_run(c, i);
    c->x[i->rd] = soft_sysreg_read(vcpu_of(c), (enum sysreg)r);
    return i + 1;
}

/* After a write that may let an interrupt in, or software step. */
static const struct insn *next_unmasked(struct cpu *c, const struct insn *i)
{
    if (UNLIKELY(soft_interrupt_ready(vcpu_of(c)) || debug_is_stepping(vcpu_of(c))))
        return soft_resume(c, cpu_pc(c, i) + 4);
    return i + 1;
}

INSN(MSR_reg)
{
    int r = register_of(c, i, true);
    if (r < 0)
        return NULL;
    if (soft_sysreg_table[r].kind == SYSREG_OPTION)
        cpu_count_run(c, i);
    soft_sysreg_write(vcpu_of(c), (enum sysreg)r, c->x[i->rn]);
    switch (r) {
    case SYSREG_SCTLR_EL1:
    case SYSREG_TCR_EL1:
    case SYSREG_MAIR_EL1:
    case SYSREG_TTBR0_EL1:
    case SYSREG_TTBR1_EL1:
        return soft_resume(c, cpu_pc(c, i) + 4);
    case SYSREG_DAIF:
        return next_unmasked(c, i);
    default:
        if (soft_sysreg_table[r].kind == SYSREG_GIC)
            return next_unmasked(c, i);
        if (soft_sysreg_table[r].kind == SYSREG_DEBUG || soft_sysreg_table[r].kind == SYSREG_OPTION)
            return soft_resume(c, cpu_pc(c, i) + 4);
        return i + 1;
    }
}

/* op1:op2 of MSR (immediate), C5.2. */
enum {
    FIELD_UAO = 3,
    FIELD_PAN = 4,
    FIELD_SPSEL = 5,
    FIELD_SSBS = 3 << 3 | 1,
    FIELD_DIT = 3 << 3 | 2,
    FIELD_DAIFSET = 3 << 3 | 6,
    FIELD_DAIFCLR = 3 << 3 | 7,
};

INSN(MSR_imm)
{
    unsigned field = (unsigned)(bits(i->word, 18, 16) << 3 | bits(i->word, 7, 5));
    uint32_t crm = (uint32_t)bits(i->word, 11, 8);
    bool daif = field == FIELD_DAIFSET || field == FIELD_DAIFCLR;

    if (c->el == 0) {
        if (!daif && field != FIELD_SSBS && field != FIELD_DIT)
            exc_undefined(c, i);
        if (daif && !(vcpu_of(c)->sys[SYSREG_SCTLR_EL1] & SCTLR_UMA))
            system_trap_el1(c, i);
    }
    switch (field) {
    case FIELD_UAO:
        c->uao = crm & 1;
        return i + 1;
    case FIELD_PAN:
        cpu_set_pan(c, crm & 1);
        return i + 1;
    case FIELD_SPSEL:
        cpu_set_sp_sel(c, crm & 1);
        return i + 1;
    case FIELD_SSBS:
        c->ssbs = crm & 1;
        return i + 1;
    case FIELD_DIT:
        c->dit = crm & 1;
        return i + 1;
    case FIELD_DAIFSET:
        c->daif |= crm << 6;
        return i + 1;
    case FIELD_DAIFCLR:
        c->daif &= ~(crm << 6);
        return next_unmasked(c, i);
    default:
        exc_undefined(c, i);
    }
}
