/*
 * Taking exceptions to EL1 and returning from them (DDI 0487 D1.3, and the shared pseudocode
 * AArch64.TakeException, SetPSTATEFromPSR, AArch64.ExceptionReturn), and PSTATE as a whole.
 *
 * EL2 and EL3 do not exist in a VM; what the hardware would take there is an exit, soft/run.c.
 */
#include "soft/model.h"
#include "soft/vcpu.h"

/* SPSR_EL1 beyond NZCV and DAIF. */
#define SPSR_DIT    (1u << 24)
#define SPSR_UAO    (1u << 23)
#define SPSR_PAN    (1u << 22)
#define SPSR_SS     (1u << 21)
#define SPSR_IL     (1u << 20)
#define SPSR_SSBS   (1u << 12)
#define SPSR_BTYPE  10 /* <11:10> */
#define SPSR_DAIF   (PSTATE_D | PSTATE_A | PSTATE_I | PSTATE_F)
#define SPSR_NZCV   (PSTATE_N | PSTATE_Z | PSTATE_C | PSTATE_V)
#define SPSR_M      0x1fu /* <4:0> */
#define SPSR_M_EL0T 0x0u
#define SPSR_M_EL1T 0x4u
#define SPSR_M_EL1H 0x5u

/* Offsets in the vector table (D1.3.1.5); each kind has four slots of 0x80. */
enum { VECTOR_SYNC = 0x000, VECTOR_IRQ = 0x080, VECTOR_FIQ = 0x100, VECTOR_SERROR = 0x180 };

static void cpu_stack_put_away(struct cpu *c)
{
    c->sp_el[c->el == 1 && c->sp_sel] = c->x[REG_SP];
}

static void cpu_stack_take(struct cpu *c)
{
    c->x[REG_SP] = c->sp_el[c->el == 1 && c->sp_sel];
}

void cpu_set_sp_sel(struct cpu *c, bool sel)
{
    cpu_stack_put_away(c);
    c->sp_sel = sel;
    cpu_stack_take(c);
}

void cpu_set_pan(struct cpu *c, bool pan)
{
    c->pan = pan;
    if (pan && c->vcpu->guarded_count)
        tlb_flush_guarded(c->vcpu);
}

void cpu_update_context(struct cpu *c)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct mmu_bank *b = c->el ? &v->kernel : v->user;
    unsigned fpen = (unsigned)bits(v->sys[SYSREG_CPACR_EL1], 21, 20);

    c->tlb = v->hot.empty ? v->hot.empty : &b->tlb;
    c->fetch = b->fetch;
    c->fp_enabled = fpen == 3 || (fpen == 1 && c->el == 1);
    c->sp_check = bit(v->sys[SYSREG_SCTLR_EL1], c->el ? 3 : 4);
    jit_update_context(c);
}

uint32_t cpu_pstate(const struct cpu *c)
{
    uint32_t p = c->nzcv | c->daif | (uint32_t)c->btype << SPSR_BTYPE;

    p |= c->dit ? SPSR_DIT : 0;
    p |= c->uao ? SPSR_UAO : 0;
    p |= c->pan ? SPSR_PAN : 0;
    p |= c->ss ? SPSR_SS : 0;
    p |= c->il ? SPSR_IL : 0;
    p |= c->ssbs ? SPSR_SSBS : 0;
    return p | (c->el ? SPSR_M_EL1T | c->sp_sel : SPSR_M_EL0T);
}

static bool cpu_mode_is_legal(uint32_t spsr)
{
    uint32_t mode = spsr & SPSR_M;

    return mode == SPSR_M_EL0T || mode == SPSR_M_EL1T || mode == SPSR_M_EL1H;
}

/*
 * SetPSTATEFromPSR(): a mode that does not exist (AArch32, EL2, EL3, EL0h) is an illegal return,
 * which keeps the mode and sets IL.
 */
void cpu_set_pstate(struct cpu *c, uint32_t spsr)
{
    uint32_t mode = spsr & SPSR_M;
    bool legal = cpu_mode_is_legal(spsr);

    cpu_stack_put_away(c);
    c->nzcv = spsr & SPSR_NZCV;
    c->daif = spsr & SPSR_DAIF;
    c->il = !legal || (spsr & SPSR_IL);
    c->btype = c->vm->options & MODEL_BTI ? spsr >> SPSR_BTYPE & 3 : BTYPE_NONE;
    c->dit = spsr & SPSR_DIT;
    c->uao = spsr & SPSR_UAO;
    c->ssbs = spsr & SPSR_SSBS;
    c->ss = spsr & SPSR_SS;
    if (legal) {
        c->el = mode >> 2;
        c->sp_sel = mode != SPSR_M_EL1T; /* reads as 1 after an exception from EL0 */
    }
    cpu_stack_take(c);
    cpu_set_pan(c, spsr & SPSR_PAN);
    cpu_update_context(c);
}

void exc_enter(struct cpu *c, unsigned offset, uint64_t return_pc)
{
    struct soft_vcpu *v = vcpu_of(c);
    uint64_t sctlr = v->sys[SYSREG_SCTLR_EL1];

    cpu_end_run(c, return_pc);
    if (v->pmu.active)
        pmu_sync_active(v);
    v->sys[SYSREG_SPSR_EL1] = cpu_pstate(c);
    v->sys[SYSREG_ELR_EL1] = return_pc;
    v->stats.exceptions++;
    v->debug.last = LAST_NOT_STEPPED;
    c->budget--; /* exceptions in a circle must not keep the timer from being looked at */
    if (c->el == 0)
        offset += 0x400;
    else if (c->sp_sel)
        offset += 0x200;

    cpu_stack_put_away(c);
    c->el = 1;
    c->sp_sel = true;
    cpu_stack_take(c);
    c->daif = SPSR_DAIF;
    c->il = c->ss = c->uao = false;
    c->btype = 0;
    c->ssbs = sctlr & SCTLR_DSSBS;
    c->excl_valid = false;
    if (!(sctlr & SCTLR_SPAN))
        cpu_set_pan(c, true);
    cpu_update_context(c);
    c->pc = (v->sys[SYSREG_VBAR_EL1] & ~0x7ffull) + offset;
}

/* Classes come in pairs, from a lower exception level and from the same one. */
static enum exc_class exc_class_here(const struct cpu *c, enum exc_class ec)
{
    switch (ec) {
    case EC_IABORT_LOWER:
    case EC_DABORT_LOWER:
    case EC_BREAKPOINT_LOWER:
    case EC_STEP_LOWER:
    case EC_WATCHPOINT_LOWER:
        return ec + (c->el == 1);
    default:
        return ec;
    }
}

void exc_enter_sync(struct cpu *c, enum exc_class ec, uint32_t iss, uint64_t return_pc)
{
    struct soft_vcpu *v = vcpu_of(c);

    v->sys[SYSREG_ESR_EL1] = (uint32_t)exc_class_here(c, ec) << 26 | ESR_IL | iss;
    c->ss = v->stepping && ec != EC_SVC64;
    exc_enter(c, VECTOR_SYNC, return_pc);
}

void exc_sync(struct cpu *c, enum exc_class ec, uint32_t iss, uint64_t return_pc)
{
    exc_enter_sync(c, ec, iss, return_pc);
    soft_unwind(c);
}

void exc_abort(struct cpu *c, enum exc_class ec, uint32_t iss, uint64_t far_value,
               uint64_t return_pc)
{
    vcpu_of(c)->sys[SYSREG_FAR_EL1] = far_value;
    exc_sync(c, ec, iss, return_pc);
}

void exc_undefined(struct cpu *c, const struct insn *i)
{
    exc_sync(c, EC_UNKNOWN, 0, cpu_pc(c, i));
}

void exc_fp_access(struct cpu *c, const struct insn *i)
{
    exc_sync(c, EC_FP_ACCESS, 1u << 24 | 0xeu << 20, cpu_pc(c, i)); /* CV, COND = always */
}

void exc_interrupt(struct soft_vcpu *v)
{
    struct cpu *c = &v->cpu;

    if (v->serror && !(c->daif & PSTATE_A)) {
        v->serror = false;
        v->sys[SYSREG_ESR_EL1] = 0x2fu << 26 | ESR_IL;
        exc_enter(c, VECTOR_SERROR, c->pc);
    } else if (soft_line(v, HV_INTERRUPT_TYPE_FIQ) && !(c->daif & PSTATE_F)) {
        exc_enter(c, VECTOR_FIQ, c->pc);
    } else if (soft_line(v, HV_INTERRUPT_TYPE_IRQ) && !(c->daif & PSTATE_I)) {
        exc_enter(c, VECTOR_IRQ, c->pc);
    }
}

void exc_return(struct cpu *c)
{
    struct soft_vcpu *v = vcpu_of(c);
    uint32_t spsr = (uint32_t)v->sys[SYSREG_SPSR_EL1];
    bool step = debug_return_step(v, spsr, cpu_mode_is_legal(spsr) ? spsr >> 2 & 3 : c->el);

    v->debug.last = LAST_NOT_STEPPED;
    if (v->pmu.active)
        pmu_sync_active(v);
    v->pmu.returns++;
    cpu_set_pstate(c, spsr);
    c->ss = step;
    c->excl_valid = false;
    c->pc = v->sys[SYSREG_ELR_EL1];
}
