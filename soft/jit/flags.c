/*
 * NZCV in EFLAGS and in cpu.jit_flags, and who reads it.
 *
 * x86 and A64 agree on N, Z and V, and on C after an addition; after a subtraction C is the
 * opposite. What is stored is always in the way of a subtraction, since comparisons are most of
 * what there is; so is EFLAGS afterwards. Where only the carry is read, only that is stored: long
 * sums are chains of additions with carry, and SETcc is all that it takes.
 */
#include "soft/jit/translate.h"

#define FAULTS_READ(t) ((t)->jit->knobs.strict)

/* Loads and stores, bits 27 and 25 (DDI 0487 C4.1), and what may let an interrupt in. */
static bool may_fault(uint32_t word)
{
    return (word & 0x0a000000) == 0x08000000 || (word & 0xffc00000) == 0xd5000000;
}

/* Data processing and branches that know flags: words with (word & mask) == value; `set` is the bit
 * or bits that make it set flags as well. */
static const struct {
    uint32_t mask, value, set;
    unsigned flags;
} flag_words[] = {
    { 0xff00001e, 0x54000002, 0, JIT_FLAG_C },          /* B.CS, B.CC */
    { 0x1fe0e000, 0x1a802000, 0, JIT_FLAG_C },          /* CSEL and its kin of these conditions */
    { 0x1fe0fc00, 0x1a000000, 0x20000000, JIT_FLAG_C }, /* ADC, SBC */
    { 0x1f800000, 0x11000000, 0x20000000, 0 },          /* ADD, SUB immediate */
    { 0x1f000000, 0x0b000000, 0x20000000, 0 },          /* of registers */
    { 0x1f800000, 0x12000000, 0x60000000, 0 },          /* AND immediate */
    { 0x1f000000, 0x0a000000, 0x60000000, 0 },          /* AND, BIC of registers */
    { 0x1fe00410, 0x1a400000, 0, FLAGS_READ | FLAGS_WRITE }, /* CCMP, CCMN */
    { 0x1fe00000, 0x1a800000, 0, FLAGS_READ },               /* CSEL and its kin */
    { 0xff000010, 0x54000000, 0, FLAGS_READ },               /* B.cond */
    { 0xff00001f, 0xd4000001, 0, FLAGS_READ },               /* SVC: SPSR_EL1 */
    { 0xffffffff, 0xd69f03e0, 0, FLAGS_WRITE },              /* ERET */
    { 0xffffffe0, 0xd53b4200, 0, FLAGS_READ },  /* MRS of NZCV, by the interpreter's function */
    { 0xff200c00, 0x1e200c00, 0, FLAGS_READ },  /* FCSEL */
    { 0xff20fc07, 0x1e202000, 0, FLAGS_WRITE }, /* FCMP, FCMPE */
    { 0xff200c00, 0x1e200400, 0, FLAGS_READ | FLAGS_WRITE }, /* FCCMP, FCCMPE */
};

/* By bits 28:24: those that `flag_words` has any of. */
#define FLAG_CLASSES                                                                               \
    (1u << 0x0a | 1u << 0x0b | 1u << 0x11 | 1u << 0x12 | 1u << 0x14 | 1u << 0x15 | 1u << 0x16 |    \
     1u << 0x1a | 1u << 0x1e)

static unsigned flags_of_word(uint32_t word)
{
    if (!(FLAG_CLASSES >> (word >> 24 & 0x1f) & 1))
        return 0;
    for (size_t n = 0; n < ARRAY_LEN(flag_words); n++)
        if ((word & flag_words[n].mask) == flag_words[n].value) {
            uint32_t set = flag_words[n].set;
            return flag_words[n].flags | (set && (word & set) == set ? FLAGS_WRITE : 0);
        }
    return 0;
}

unsigned jit_flags_of(jit_t t, const struct jit_insn *n)
{
    if (jit_emitters[n->op] && !jit_is_system_call(t, n))
        return flags_of_word(n->i.word) | (FAULTS_READ(t) && may_fault(n->i.word) ? FLAGS_READ : 0);
    return jit_is_vector_only(t, n)
               ? 0
               : FLAGS_READ; /* the interpreter's functions may look, or fault */
}

/* Offset in the page of a conditional branch's target. */
static int64_t target_of(const struct insn *i, enum a64_op op)
{
    unsigned top = op == A64_TBZ || op == A64_TBNZ ? 18 : 23;
    return i->offset + sign_extend(bits(i->word, top, 5) << 2, top - 2);
}

/* A look at what follows: at so many more instructions of the page; those that were seen. */
struct look {
    unsigned ahead;
    uint64_t seen[CODE_PAGE_SIZE / 4 / 64];
};

/* Does code at `offset` of the page set NZCV before it reads it, on every way on? In warm code ways
 * of branches are looked at, too. What was seen does, or there would be an answer already: a loop
 * that never reads it needs no end. */
static bool kills_flags(jit_t t, int64_t offset, struct look *l)
{
    for (; l->ahead; offset += 4) {
        if (offset < 0 || offset >= CODE_PAGE_SIZE)
            return false;
        uint64_t *seen = &l->seen[offset / 4 / 64], mask = 1ull << offset / 4 % 64;
        if (*seen & mask)
            return true;
        *seen |= mask;
        l->ahead--;
        struct jit_insn look = { .i.word = ld_le32(t->page + offset) };
        look.op = (uint16_t)a64_decode(look.i.word);
        unsigned f = jit_flags_of(t, &look);
        if (f & FLAGS_READ)
            return false;
        if (f & FLAGS_WRITE)
            return true;
        switch (look.op) {
        case A64_BL:
        case A64_B:
            if (look.op == A64_BL && !t->warm)
                return false;
            offset += sign_extend(bits(look.i.word, 25, 0) << 2, 28) - 4;
            break;
        case A64_CBZ_w:
        case A64_CBZ_x:
        case A64_CBNZ_w:
        case A64_CBNZ_x:
        case A64_TBZ:
        case A64_TBNZ:
            look.i.offset = (uint16_t)offset;
            if (!t->warm || !kills_flags(t, target_of(&look.i, (enum a64_op)look.op), l))
                return false;
            break;
        case A64_BR:
        case A64_BLR:
        case A64_RET:
            return false;
        default:
            break;
        }
    }
    return false;
}

#define AHEAD      8
#define AHEAD_WARM 64

/* The head of this block is looked at (in a loop) as far as it goes. */
static bool target_kills_flags(jit_t t, int64_t offset)
{
    struct look l = {
        .ahead = offset == t->insn[0].i.offset ? JIT_BLOCK_MAX
                 : t->warm                     ? AHEAD_WARM
                                               : AHEAD,
    };
    return !FAULTS_READ(t) && kills_flags(t, offset, &l);
}

static bool is_conditional(enum a64_op op)
{
    return op == A64_B_cond || op == A64_CBZ_w || op == A64_CBZ_x || op == A64_CBNZ_w ||
           op == A64_CBNZ_x || op == A64_TBZ || op == A64_TBNZ;
}

bool jit_loops(const struct jit_insn *n, const struct jit_insn *head)
{
    if (n->op == A64_B)
        return n->i.offset + sign_extend(bits(n->i.word, 25, 0) << 2, 28) == head->i.offset;
    return is_conditional((enum a64_op)n->op) &&
           target_of(&n->i, (enum a64_op)n->op) == head->i.offset;
}

void jit_flags_analyse(jit_t t)
{
    const struct jit_insn *last = &t->insn[t->count - 1];
    int64_t next = last->i.offset + 4;
    if (last->op == A64_B)
        next = last->i.offset + sign_extend(bits(last->i.word, 25, 0) << 2, 28);
    bool falls =
        last->op != A64_BL && last->op != A64_BLR && last->op != A64_BR && last->op != A64_RET;
    unsigned live = falls && target_kills_flags(t, next) ? 0 : FLAGS_READ;

    for (unsigned n = t->count; n-- > 0;) {
        struct jit_insn *i = &t->insn[n];
        unsigned f = jit_flags_of(t, i);
        i->flags_live = (uint8_t)live;
        i->target_live = is_conditional((enum a64_op)i->op) &&
                         !target_kills_flags(t, target_of(&i->i, (enum a64_op)i->op));
        live |= i->target_live ? FLAGS_READ : 0;
        if (f & FLAGS_WRITE)
            live = 0;
        live |= f & FLAGS_READ;
    }
}

/* The byte of cpu.jit_flags that LAHF makes. */
static struct x86_mem stored_byte(void)
{
    struct x86_mem m = JIT_CPU(jit_flags);

    m.disp += 1;
    return m;
}

void jit_flags_store(jit_t t, unsigned live)
{
    if (t->ef == EF_NONE || t->ef_stored)
        return;
    t->ef_stored = true;
    t->carry_stored = live == JIT_FLAG_C;
    if (t->carry_stored) {
        x86_setcc_m(&t->hot, t->ef == EF_ADD ? CC_AE : CC_B, stored_byte());
        return;
    }
    if (t->ef == EF_ADD)
        x86_cmc(&t->hot);
    t->ef = EF_SUB;
    x86_lahf(&t->hot);
    x86_setcc(&t->hot, CC_O, RAX);
    x86_store(&t->hot, 2, JIT_CPU(jit_flags), RAX);
}

/* Flags that are live before the instruction being emitted are read by it or by a later one. */
static unsigned live_before(jit_t t)
{
    return t->at == 0 ? FLAGS_READ : t->insn[t->at - 1].flags_live;
}

void jit_clobber(jit_t t)
{
    unsigned live = live_before(t);

    if (!live)
        t->remake.how = REMAKE_NONE;
    else if (t->ef != EF_NONE && !t->ef_stored && !jit_remake_later(t))
        jit_flags_store(t, live);
    t->ef = EF_NONE;
}

bool jit_flags_held(jit_t t)
{
    return t->ef != EF_NONE && live_before(t);
}

void jit_carry(jit_t t, bool inverted)
{
    if (t->ef != EF_NONE) {
        if (inverted == (t->ef == EF_ADD))
            x86_cmc(&t->hot);
    } else if (t->carry_stored && !inverted) {
        x86_cmp8_mi(&t->hot, stored_byte(), 1); /* below it if C is set */
    } else {
        x86_ext_rm(&t->hot, X86_ZX8, 0, RAX, stored_byte());
        x86_shift_ri(&t->hot, 0, X86_SHR, RAX, 1);
        if (!inverted)
            x86_cmc(&t->hot);
    }
}

/* The host's condition when EFLAGS are as after a subtraction, by the guest's condition. */
static const uint8_t cc_sub[14] = {
    CC_E, CC_NE, CC_AE, CC_B, CC_S, CC_NS, CC_O, CC_NO, CC_A, CC_BE, CC_GE, CC_L, CC_G, CC_LE,
};

/* From memory: the high byte has N 7, Z 6, not C 0; the low one V 0. A test of these bits leaves
 * ZF, so the answer is CC_E (all clear) or CC_NE. */
static const struct {
    uint8_t high, bits;
} stored[10] = {
    { 1, 0x40 }, { 1, 0x40 }, { 1, 0x01 }, { 1, 0x01 }, { 1, 0x80 },
    { 1, 0x80 }, { 0, 0x01 }, { 0, 0x01 }, { 1, 0x41 }, { 1, 0x41 },
};

enum x86_cc jit_condition(jit_t t, unsigned cond)
{
    if (t->ef == EF_NONE)
        jit_remake(t);
    if (t->ef == EF_ADD && (cond == 8 || cond == 9)) {
        x86_cmc(&t->hot);
        t->ef = EF_SUB;
    }
    if (t->ef == EF_ADD && (cond == 2 || cond == 3))
        return cond == 2 ? CC_B : CC_AE;
    if (t->ef != EF_NONE)
        return (enum x86_cc)cc_sub[cond];
    if (cond < 10) {
        struct x86_mem m = stored[cond].high ? stored_byte() : JIT_CPU(jit_flags);
        x86_test8_mi(&t->hot, m, stored[cond].bits);
        bool set = cond == 0 || cond == 3 || cond == 4 || cond == 6 || cond == 9;
        return set ? CC_NE : CC_E;
    }
    x86_ext_rm(&t->hot, X86_ZX16, 0, RAX, JIT_CPU(jit_flags));
    x86_add_al(&t->hot, 0x7f); /* OF = V: only 1 + 0x7f overflows */
    x86_sahf(&t->hot);
    t->ef = EF_SUB;
    t->ef_stored = true;
    return (enum x86_cc)cc_sub[cond];
}
