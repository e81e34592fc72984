/*
 * Branches (DDI 0487 C4.1.93). imm is the target relative to the page. A target inside the page is
 * known when the word is decoded: in such a branch (_near) imm is the place of its slot in the
 * page.
 */
#include "soft/interp/interp.h"

/* `i` ends a run of straight-line code: count it. */
static inline void end_run(struct cpu *c, const struct insn *i)
{
    c->instructions += (uint64_t)(i - c->run) + 1;
}

static inline const struct insn *jump(struct cpu *c, const struct insn *i, uint64_t target)
{
    end_run(c, i);
    return c->run = cpu_jump(c, target);
}

/* The slot of a near branch, or what cpu_jump() would do about an empty budget. */
static inline const struct insn *jump_near(struct cpu *c, const struct insn *i)
{
    const char *page = (const char *)c->page;
    const struct insn *target = (const struct insn *)(const void *)(page + i->imm);

    end_run(c, i);
    if (LIKELY(--c->budget > 0))
        return c->run = target;
    return cpu_jump_slow(c, c->page_va + target->offset);
}

static inline const struct insn *jump_far(struct cpu *c, const struct insn *i)
{
    return jump(c, i, c->page_va + (uint64_t)i->imm);
}

static inline void set_link(struct cpu *c, const struct insn *i)
{
    c->x[REG_LR] = cpu_pc(c, i) + 4;
}

INSN(B)
{
    return jump_far(c, i);
}

static INSN(B_near)
{
    return jump_near(c, i);
}

INSN(BL)
{
    set_link(c, i);
    return jump_far(c, i);
}

static INSN(BL_near)
{
    set_link(c, i);
    return jump_near(c, i);
}

/* A conditional branch on `condition`, of c and i. */
#define CONDITIONAL(name, condition)                                                               \
    INSN(name)                                                                                     \
    {                                                                                              \
        return (condition) ? jump_far(c, i) : interp_next(c, i);                                   \
    }                                                                                              \
    static INSN(name##_near)                                                                       \
    {                                                                                              \
        return (condition) ? jump_near(c, i) : interp_next(c, i);                                  \
    }

CONDITIONAL(CBZ_w, (uint32_t)c->x[i->rn] == 0)
CONDITIONAL(CBZ_x, c->x[i->rn] == 0)
CONDITIONAL(CBNZ_w, (uint32_t)c->x[i->rn] != 0)
CONDITIONAL(CBNZ_x, c->x[i->rn] != 0)
CONDITIONAL(TBZ, !bit(c->x[i->rn], i->a))
CONDITIONAL(TBNZ, bit(c->x[i->rn], i->a))

/* B.cond, a function for each condition. */
#define FLAG(f) ((c->nzcv & PSTATE_##f) != 0)
#define CONDITION(name, condition)                                                                 \
    static CONDITIONAL(name, condition) static CONDITIONAL(name##_not, !(condition))

CONDITION(EQ, FLAG(Z))
CONDITION(CS, FLAG(C))
CONDITION(MI, FLAG(N))
CONDITION(VS, FLAG(V))
CONDITION(HI, FLAG(C) && !FLAG(Z))
CONDITION(GE, FLAG(N) == FLAG(V))
CONDITION(GT, !FLAG(Z) && FLAG(N) == FLAG(V))

INSN(BR)
{
    return jump(c, i, c->x[i->rn]);
}

INSN(BLR)
{
    uint64_t target = c->x[i->rn];

    set_link(c, i);
    return jump(c, i, target);
}

INSN(RET)
{
    return jump(c, i, c->x[i->rn]);
}

/* Not a branch, but a run ends here too; the slot itself is no instruction. */
const struct insn *interp_page_end(struct cpu *c, const struct insn *i)
{
    c->instructions--;
    return jump(c, i, cpu_pc(c, i));
}

/* What becomes of a function when the target is in the page, and of B.cond always. */
static const struct {
    insn_fn *far, *near;
} branch_variants[] = {
    { interp_B, interp_B_near },           { interp_BL, interp_BL_near },
    { interp_CBZ_w, interp_CBZ_w_near },   { interp_CBZ_x, interp_CBZ_x_near },
    { interp_CBNZ_w, interp_CBNZ_w_near }, { interp_CBNZ_x, interp_CBNZ_x_near },
    { interp_TBZ, interp_TBZ_near },       { interp_TBNZ, interp_TBNZ_near },
};

static const struct {
    insn_fn *far, *near;
} condition_variants[16] = {
    { interp_EQ, interp_EQ_near }, { interp_EQ_not, interp_EQ_not_near },
    { interp_CS, interp_CS_near }, { interp_CS_not, interp_CS_not_near },
    { interp_MI, interp_MI_near }, { interp_MI_not, interp_MI_not_near },
    { interp_VS, interp_VS_near }, { interp_VS_not, interp_VS_not_near },
    { interp_HI, interp_HI_near }, { interp_HI_not, interp_HI_not_near },
    { interp_GE, interp_GE_near }, { interp_GE_not, interp_GE_not_near },
    { interp_GT, interp_GT_near }, { interp_GT_not, interp_GT_not_near },
    { interp_B, interp_B_near },   { interp_B, interp_B_near },
};

void branch_specialise(struct insn *i)
{
    bool near = (uint64_t)i->imm < CODE_PAGE_SIZE;

    if (i->word >> 24 == 0x54) {
        i->fn = near ? condition_variants[i->a].near : condition_variants[i->a].far;
    } else if (near) {
        for (size_t n = 0; n < ARRAY_LEN(branch_variants); n++)
            if (i->fn == branch_variants[n].far) {
                i->fn = branch_variants[n].near;
                break;
            }
    }
    if (near)
        i->imm =
            (int64_t)(offsetof(struct code_page, slot) + (size_t)i->imm / 4 * sizeof(struct insn));
}
