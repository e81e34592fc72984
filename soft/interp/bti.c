/*
 * Branch target identification (FEAT_BTI, DDI 0487 D8.4.5 and C6.2.44; shared pseudocode
 * BranchTargetCheck, BTypeCompatible). Only CPUs with the option `bti` decode BR and BLR to these
 * functions; all other instructions know nothing of it.
 *
 * PSTATE.BTYPE is not 0 only between an indirect branch and its target, so the branch checks the
 * target by itself. What comes between (an interrupt, an exit, an exception return) leaves BTYPE
 * set, and run_loop() checks.
 */
#include "soft/interp/interp.h"
#include "soft/model.h"
#include "soft/vcpu.h"

/* Is `pc`, of which something is being executed, in a guarded page? */
static bool is_guarded(struct cpu *c, uint64_t pc)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct mmu_bank *b = c->el ? &v->kernel : v->user;
    unsigned n = (pc >> CODE_PAGE_SHIFT) % FETCH_ENTRIES;

    if (b->fetch[n].va != align_down(pc, CODE_PAGE_SIZE))
        mmu_fetch(c, pc);
    return b->fetch_gp[n];
}

/* May a branch of this type go to `word`? */
static bool is_landing_pad(const struct cpu *c, uint32_t word, unsigned btype)
{
    if ((word & 0xffffff3f) == 0xd503241f) { /* BTI: <7> jumps, <6> calls */
        bool jumps = bit(word, 7), calls = bit(word, 6);
        return (jumps && btype != BTYPE_CALL) || (calls && btype != BTYPE_JUMP);
    }
    if ((word & 0xffffffbf) == 0xd503233f) /* PACIASP, PACIBSP; SCTLR_EL1.BT0 or BT1 */
        return btype != BTYPE_JUMP || !bit(c->vcpu->sys[SYSREG_SCTLR_EL1], c->el ? 36 : 35);
    return (word & 0xffe0001f) == 0xd4200000 || (word & 0xffe0001f) == 0xd4400000; /* BRK, HLT */
}

void interp_check_target(struct cpu *c, const struct insn *i)
{
    uint64_t pc = cpu_pc(c, i);

    if (is_guarded(c, pc)) {
        uint32_t word = i->fn == interp_decode_slot ? ld_le32(c->page->host + i->offset) : i->word;
        if (!is_landing_pad(c, word, c->btype))
            exc_sync(c, EC_BRANCH_TARGET, c->btype, pc);
    }
    c->btype = BTYPE_NONE;
}

/* A jump through X16 or X17, or out of a page that is not guarded, may go where calls go. */
unsigned interp_branch_type(struct cpu *c, const struct insn *i)
{
    if (!(c->vm->options & MODEL_BTI))
        return BTYPE_NONE;
    return i->rn == 16 || i->rn == 17 || !is_guarded(c, cpu_pc(c, i)) ? BTYPE_ANY : BTYPE_JUMP;
}

const struct insn *interp_branch_indirect(struct cpu *c, const struct insn *i, uint64_t target,
                                          unsigned btype)
{
    c->instructions += (uint64_t)(i - c->run) + 1;
    if (c->vm->options & MODEL_BTI)
        c->btype = (uint8_t)btype;
    const struct insn *next = c->run = cpu_jump(c, target);
    if (next && c->btype)
        interp_check_target(c, next);
    return next;
}

static INSN(BR_bti)
{
    return interp_branch_indirect(c, i, c->x[i->rn], interp_branch_type(c, i));
}

static INSN(BLR_bti)
{
    uint64_t target = c->x[i->rn];

    c->x[REG_LR] = cpu_pc(c, i) + 4;
    return interp_branch_indirect(c, i, target, BTYPE_CALL);
}

insn_fn *interp_with_bti(insn_fn *fn)
{
    return fn == interp_BR ? interp_BR_bti : fn == interp_BLR ? interp_BLR_bti : fn;
}
