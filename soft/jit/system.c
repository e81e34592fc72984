/*
 * System registers, PSTATE, exceptions, barriers (DDI 0487 C5.2, C6.2).
 *
 * What only keeps a value is a move. A change that may let an interrupt in first looks whether one
 * is waiting, whatever it is; if so the interpreter's function does it all. SVC and ERET do not
 * come back: a thunk changes the state and looks for the code that is next. The GIC's registers of
 * each interrupt are calls of a function that leaves the guest's registers where they are.
 */
#include "soft/gic.h"
#include "soft/jit/vector.h"
#include "soft/model.h"

_Static_assert(offsetof(struct soft_vcpu, gic_lines) == offsetof(struct soft_vcpu, irq) + 2 &&
                   offsetof(struct soft_vcpu, serror) == offsetof(struct soft_vcpu, irq) + 3,
               "interrupts are looked at as four bytes");

/* How a register is moved. */
enum move {
    MOVE_NONE, /* by the interpreter */
    MOVE_SYS,  /* soft_vcpu.sys */
    MOVE_STACK,
    MOVE_DAIF,
    MOVE_SP_SEL,
    MOVE_LEVEL,
    MOVE_FPCR,
    MOVE_COUNT,
};

/* Of those that the interpreter treats specially, at EL1. */
static enum move special_read(int r)
{
    switch (r) {
    case SYSREG_SP_EL0:
        return MOVE_STACK;
    case SYSREG_DAIF:
        return MOVE_DAIF;
    case SYSREG_SPSel:
        return MOVE_SP_SEL;
    case SYSREG_CurrentEL:
        return MOVE_LEVEL;
    case SYSREG_FPCR:
        return MOVE_FPCR;
    case SYSREG_CNTVCT_EL0:
    case SYSREG_CNTVCTSS_EL0:
        return MOVE_COUNT;
    case SYSREG_SCTLR_EL1:
    case SYSREG_ACTLR_EL1:
    case SYSREG_CPACR_EL1:
    case SYSREG_TTBR0_EL1:
    case SYSREG_TTBR1_EL1:
    case SYSREG_TCR_EL1:
    case SYSREG_MAIR_EL1:
    case SYSREG_CNTFRQ_EL0:
    case SYSREG_CNTV_CVAL_EL0:
    case SYSREG_DCZID_EL0:
        return MOVE_SYS;
    default:
        return MOVE_NONE;
    }
}

/* The bit of a register without which EL0 may not read this one, or must not here. */
static bool el0_needs(int r, int *control, unsigned *n)
{
    switch (r) {
    case SYSREG_CTR_EL0:
        *control = SYSREG_SCTLR_EL1, *n = 15; /* UCT */
        return true;
    case SYSREG_DCZID_EL0:
        *control = SYSREG_SCTLR_EL1, *n = 14; /* DZE; else DZP reads as one */
        return true;
    case SYSREG_CNTVCT_EL0:
    case SYSREG_CNTVCTSS_EL0:
        *control = SYSREG_CNTKCTL_EL1, *n = 1; /* EL0VCTEN */
        return true;
    default:
        return false;
    }
}

static enum move move_of(uint32_t word, bool el1, bool write, int *r)
{
    *r = soft_sysreg_find(word >> 5 & 0xffff);
    if (*r < 0)
        return MOVE_NONE;
    const struct sysreg_info *info = &soft_sysreg_table[*r];
    unsigned need = el1 ? (write ? SYSREG_EL1_WRITE : SYSREG_EL1_READ)
                        : (write ? SYSREG_EL0_WRITE : SYSREG_EL0_READ);

    if (!(info->access & need))
        return MOVE_NONE;
    if (info->kind == SYSREG_PLAIN)
        return MOVE_SYS;
    if (info->kind != SYSREG_SPECIAL)
        return MOVE_NONE;
    if (write)
        return el1 && (*r == SYSREG_SP_EL0 || *r == SYSREG_DAIF) ? special_read(*r) : MOVE_NONE;
    enum move m = special_read(*r);
    return el1 || m == MOVE_COUNT || m == MOVE_FPCR || *r == SYSREG_DCZID_EL0 ? m : MOVE_NONE;
}

/* --- the GIC's CPU interface --- */

#define GIC_READ(name)                                                                             \
    static uint64_t read_##name(struct cpu *c, uint64_t unused)                                    \
    {                                                                                              \
        (void)unused;                                                                              \
        return soft_gic_sysreg_read(vcpu_of(c), SYSREG_##name);                                    \
    }
/* Not 0 if an interrupt is to be taken now. */
#define GIC_WRITE(name)                                                                            \
    static uint64_t write_##name(struct cpu *c, uint64_t value)                                    \
    {                                                                                              \
        soft_gic_sysreg_write(vcpu_of(c), SYSREG_##name, value);                                   \
        return soft_interrupt_ready(vcpu_of(c));                                                   \
    }

GIC_READ(ICC_PMR_EL1)
GIC_READ(ICC_IAR1_EL1)
GIC_READ(ICC_HPPIR1_EL1)
GIC_READ(ICC_RPR_EL1)
GIC_WRITE(ICC_PMR_EL1)
GIC_WRITE(ICC_EOIR1_EL1)
GIC_WRITE(ICC_DIR_EL1)
GIC_WRITE(ICC_SGI1R_EL1)

/* The function for this MRS or MSR, or NULL. A VM has its GIC before its first vCPU. */
static jit_helper *gic_helper(jit_t t, uint32_t word, bool write)
{
    static const struct {
        int r;
        jit_helper *read, *write;
    } helpers[] = {
        { SYSREG_ICC_PMR_EL1, read_ICC_PMR_EL1, write_ICC_PMR_EL1 },
        { SYSREG_ICC_IAR1_EL1, read_ICC_IAR1_EL1, NULL },
        { SYSREG_ICC_EOIR1_EL1, NULL, write_ICC_EOIR1_EL1 },
        { SYSREG_ICC_SGI1R_EL1, NULL, write_ICC_SGI1R_EL1 },
        { SYSREG_ICC_DIR_EL1, NULL, write_ICC_DIR_EL1 },
        { SYSREG_ICC_HPPIR1_EL1, read_ICC_HPPIR1_EL1, NULL },
        { SYSREG_ICC_RPR_EL1, read_ICC_RPR_EL1, NULL },
    };
    int r = soft_sysreg_find(word >> 5 & 0xffff);

    if (!(t->mode & JIT_MODE_EL1) || !t->v->cpu.vm->gic)
        return NULL;
    for (size_t n = 0; n < ARRAY_LEN(helpers); n++)
        if (helpers[n].r == r)
            return write ? helpers[n].write : helpers[n].read;
    return NULL;
}

/* Go on behind the instruction, but take an interrupt first: what MSR DAIFClr, #0 does. */
static void take_interrupt(jit_t t, uint8_t *from)
{
    struct jit_insn written = t->insn[t->at];

    t->insn[t->at].i.word = 0xd50340ff;
    t->insn[t->at].op = A64_MSR_imm;
    jit_slow_paths(t, &from, 1);
    t->insn[t->at] = written;
}

static void emit_gic_read(jit_t t, const struct insn *i, jit_helper *function)
{
    jit_clobber(t);
    jit_emit_helper(t, function);
    jit_done(t, i->rd, RAX);
}

static void emit_gic_write(jit_t t, const struct insn *i, jit_helper *function)
{
    jit_clobber(t);
    jit_copy(t, 1, i->rn, RAX);
    jit_emit_helper(t, function);
    x86_test_rr(&t->hot, 0, RAX, RAX);
    take_interrupt(t, x86_jcc(&t->hot, CC_NE));
}

/* --- which are translated --- */

bool jit_is_plain_msr(uint32_t word)
{
    int r;
    return move_of(word, true, true, &r) != MOVE_NONE;
}

/* DC CVAC, CVAU, CVAP, CVADP, CIVAC: there is nothing to clean. */
static bool is_clean(uint32_t word)
{
    unsigned crm = (unsigned)bits(word, 11, 8);

    return (word & ~0xf1fu) == 0xd50b7020 && crm >= 10 && crm <= 14;
}

/* And DC ZVA. */
bool jit_is_plain_sys(uint32_t word)
{
    return (word & ~31u) == 0xd50b7420 || is_clean(word);
}

bool jit_is_system_call(jit_t t, const struct jit_insn *n)
{
    bool el1 = t->mode & JIT_MODE_EL1;
    int r;

    switch (n->op) {
    case A64_MRS:
        return move_of(n->i.word, el1, false, &r) == MOVE_NONE && !gic_helper(t, n->i.word, false);
    case A64_MSR_reg:
        return move_of(n->i.word, el1, true, &r) == MOVE_NONE && !gic_helper(t, n->i.word, true);
    case A64_SYS:
        return !jit_is_plain_sys(n->i.word);
    case A64_MSR_imm:
    case A64_ERET:
        return !el1;
    default:
        return false;
    }
}

static struct x86_mem sysreg_slot(int r)
{
    struct x86_mem m = JIT_VCPU(sys);
    m.disp += r * 8;
    return m;
}

uint8_t *jit_unless_set(jit_t t, int r, unsigned n)
{
    struct x86_mem m = sysreg_slot(r);

    m.disp += (int32_t)(n / 8);
    x86_test8_mi(&t->hot, m, 1u << n % 8);
    return x86_jcc(&t->hot, CC_E);
}

/* To the slow path if a byte is not as `value`, 0 or 1. Changes EFLAGS. */
static uint8_t *unless_byte(jit_t t, struct x86_mem m, unsigned value)
{
    x86_test8_mi(&t->hot, m, 1);
    return x86_jcc(&t->hot, value ? CC_E : CC_NE);
}

/* To the slow path if an interrupt waits. Changes EFLAGS. */
static uint8_t *unless_quiet(jit_t t)
{
    x86_alu_mi(&t->hot, 0, X86_CMP, JIT_VCPU(irq), 0);
    return x86_jcc(&t->hot, CC_NE);
}

static uint64_t read_count(struct cpu *c, uint64_t value)
{
    (void)value;
    return timer_count(vcpu_of(c));
}

bool emit_mrs(jit_t t, const struct insn *i)
{
    int r, control;
    unsigned n;
    bool el1 = t->mode & JIT_MODE_EL1;
    enum move move = move_of(i->word, el1, false, &r);
    uint8_t *slow = NULL;

    jit_helper *gic = gic_helper(t, i->word, false);

    if (gic) {
        emit_gic_read(t, i, gic);
        return true;
    }
    if (move == MOVE_NONE || (move == MOVE_FPCR && !(t->mode & JIT_MODE_FP)))
        return false;
    if (!el1 && el0_needs(r, &control, &n)) {
        jit_clobber(t);
        slow = jit_unless_set(t, control, n);
    }
    enum x86_reg d = jit_def(t, i->rd, RAX);
    switch (move) {
    case MOVE_STACK: /* of EL1h's view */
        jit_clobber(t);
        slow = unless_byte(t, JIT_CPU(sp_sel), 1);
        x86_mov_rm(&t->hot, 1, d, JIT_CPU(sp_el));
        break;
    case MOVE_DAIF:
        x86_mov_rm(&t->hot, 0, d, JIT_CPU(daif));
        break;
    case MOVE_SP_SEL:
        x86_ext_rm(&t->hot, X86_ZX8, 0, d, JIT_CPU(sp_sel));
        break;
    case MOVE_LEVEL:
        x86_mov_ri(&t->hot, d, el1 ? 4 : 0);
        break;
    case MOVE_FPCR:
        x86_mov_rm(&t->hot, 0, d, JIT_CPU(fpcr));
        break;
    case MOVE_COUNT:
        jit_clobber(t);
        jit_emit_helper(t, read_count);
        d = RAX;
        break;
    default:
        x86_mov_rm(&t->hot, 1, d, sysreg_slot(r));
        break;
    }
    jit_done(t, i->rd, d);
    jit_slow_paths(t, &slow, 1);
    return true;
}

bool emit_msr(jit_t t, const struct insn *i)
{
    int r;
    enum move move = move_of(i->word, t->mode & JIT_MODE_EL1, true, &r);
    uint8_t *slow = NULL;
    jit_helper *gic = gic_helper(t, i->word, true);

    if (gic) {
        emit_gic_write(t, i, gic);
        return true;
    }
    switch (move) {
    case MOVE_SYS:
        x86_mov_mr(&t->hot, 1, sysreg_slot(r), jit_use(t, i->rn, RAX));
        return true;
    case MOVE_STACK:
        jit_clobber(t);
        slow = unless_byte(t, JIT_CPU(sp_sel), 1);
        x86_mov_mr(&t->hot, 1, JIT_CPU(sp_el), jit_use(t, i->rn, RAX));
        break;
    case MOVE_DAIF:
        jit_clobber(t);
        slow = unless_quiet(t);
        jit_copy(t, 0, i->rn, RAX);
        x86_alu_ri(&t->hot, 0, X86_AND, RAX, PSTATE_D | PSTATE_A | PSTATE_I | PSTATE_F);
        x86_mov_mr(&t->hot, 0, JIT_CPU(daif), RAX);
        break;
    default:
        return false;
    }
    jit_slow_paths(t, &slow, 1);
    return true;
}

/* op1:op2 of MSR (immediate) */
enum {
    FIELD_UAO = 003,
    FIELD_PAN = 004,
    FIELD_DIT = 032,
    FIELD_DAIFSET = 036,
    FIELD_DAIFCLR = 037
};

bool emit_msr_imm(jit_t t, const struct insn *i)
{
    unsigned field = (unsigned)(bits(i->word, 18, 16) << 3 | bits(i->word, 7, 5));
    unsigned crm = (unsigned)bits(i->word, 11, 8);
    uint8_t *slow = NULL;

    if (!(t->mode & JIT_MODE_EL1))
        return false;
    jit_clobber(t);
    switch (field) {
    case FIELD_UAO:
        x86_mov8_mi(&t->hot, JIT_CPU(uao), crm & 1);
        break;
    case FIELD_DIT:
        x86_mov8_mi(&t->hot, JIT_CPU(dit), crm & 1);
        break;
    case FIELD_PAN:
        if (crm & 1) { /* what it hides leaves the TLB */
            x86_alu_mi(&t->hot, 0, X86_CMP, JIT_VCPU(guarded_count), 0);
            slow = x86_jcc(&t->hot, CC_NE);
        }
        x86_mov8_mi(&t->hot, JIT_CPU(pan), crm & 1);
        break;
    case FIELD_DAIFSET:
        x86_alu_mi(&t->hot, 0, X86_OR, JIT_CPU(daif), (int32_t)(crm << 6));
        break;
    case FIELD_DAIFCLR:
        slow = unless_quiet(t);
        x86_alu_mi(&t->hot, 0, X86_AND, JIT_CPU(daif), (int32_t)~(crm << 6));
        break;
    default:
        return false;
    }
    jit_slow_paths(t, &slow, 1);
    return true;
}

/* Exceptions. */

bool emit_svc(jit_t t, const struct insn *i)
{
    jit_clobber(t);
    jit_mov_va(t, &t->hot, RAX, jit_pc(t, i) + 4);
    x86_mov_ri(&t->hot, RDX, (uint32_t)i->imm);
    x86_jmp_to(&t->hot, t->jit->rw + t->jit->svc);
    t->ended = true;
    return true;
}

bool emit_eret(jit_t t, const struct insn *i)
{
    (void)i;
    if (!(t->mode & JIT_MODE_EL1))
        return false;
    jit_clobber(t);
    x86_jmp_to(&t->hot, t->jit->rw + t->jit->eret);
    t->ended = true;
    return true;
}

/* Hints and barriers. */

bool emit_nop(jit_t t, const struct insn *i)
{
    (void)t, (void)i;
    return true;
}

/* x86 orders all but a store before a later load. */
static void barrier(jit_t t)
{
    x86_lock_or_mi(&t->hot, x86_at(RSP, -8), 0);
}

/* Of loads or of stores alone (CRm<1:0> = 01, 10) it is what x86 does anyway; reserved kinds (00)
 * are full ones. */
bool emit_dmb(jit_t t, const struct insn *i)
{
    unsigned kind = i->word >> 8 & 3;

    jit_clobber(t);
    if (kind != 1 && kind != 2)
        barrier(t);
    return true;
}

/* Of whatever kind, it orders what it waits for before everything after it. Other vCPUs may still
 * have to do what they were asked. */
bool emit_dsb(jit_t t, const struct insn *i)
{
    (void)i;
    jit_clobber(t);
    uint8_t *slow = unless_byte(t, JIT_VCPU(barrier_needed), 0);
    barrier(t);
    jit_slow_paths(t, &slow, 1);
    return true;
}

/* What follows may have been changed: it is not of this block, and exits to changed code are
 * unlinked. */
bool emit_isb(jit_t t, const struct insn *i)
{
    jit_exit_direct(t, jit_pc(t, i) + 4);
    t->ended = true;
    return true;
}

bool emit_clrex(jit_t t, const struct insn *i)
{
    (void)i;
    x86_mov8_mi(&t->hot, JIT_CPU(excl_valid), 0);
    return true;
}

/* Maintenance of data by address: what there is no page for faults; DC ZVA is of 64 bytes. */
bool emit_sys(jit_t t, const struct insn *i)
{
    const bool zero = !is_clean(i->word);
    uint8_t *slow[2] = { NULL, NULL };

    if (!jit_is_plain_sys(i->word))
        return false;
    jit_clobber(t);
    if (!(t->mode & JIT_MODE_EL1))
        slow[0] = jit_unless_set(t, SYSREG_SCTLR_EL1, zero ? 14 : 26); /* DZE, UCI */
    jit_copy(t, 1, i->rn, RAX);
    if (zero)
        x86_alu_ri(&t->hot, 1, X86_AND, RAX, -64);
    slow[1] = jit_look_up(t, zero ? 64 : 1, zero);
    if (zero) {
        x86_sse_rr(&t->hot, SSE_PXOR, XMM0, XMM0);
        for (unsigned n = 0; n < 64; n += 16)
            x86_sse_store(&t->hot, 16, jit_found(t, n), XMM0);
    }
    jit_slow_access(t, slow[0], slow[1]);
    return true;
}
