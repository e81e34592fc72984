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

/* CS and CC. */
static bool reads_carry(const struct jit_insn *n)
{
    return ((n->op == A64_B_cond ? n->i.word : n->i.word >> 12) >> 1 & 7) == 1;
}

/* Of what has no emitter, or is not known by the encoding alone. */
static unsigned special_flags_of(jit_t t, const struct jit_insn *n)
{
    unsigned f = jit_facts[n->op];

    if (UNLIKELY(!jit_emitters[n->op])) /* the interpreter's functions may look, or fault */
        return jit_is_vector_only(t, n) ? 0 : FLAGS_READ;
    if (UNLIKELY(f & FACT_SYSTEM) && jit_is_system_call(t, n))
        return FLAGS_READ;
    if (f & FACT_CONDITION && reads_carry(n))
        f &= ~(unsigned)JIT_FLAGS_NZV;
    if (UNLIKELY(FAULTS_READ(t)) && may_fault(n->i.word))
        f |= FLAGS_READ;
    return f & (FLAGS_READ | FLAGS_WRITE);
}

static inline unsigned flags_of(jit_t t, const struct jit_insn *n, bool faults_read)
{
    unsigned f = jit_facts[n->op];

    if (UNLIKELY(!jit_emitters[n->op] || f & (FACT_SYSTEM | FACT_CONDITION) || faults_read))
        return special_flags_of(t, n);
    return f & (FLAGS_READ | FLAGS_WRITE);
}

unsigned jit_flags_of(jit_t t, const struct jit_insn *n)
{
    return flags_of(t, n, FAULTS_READ(t));
}

/* The instruction at `offset` of the page: the block's, or `other`, decoded as far as needed. What
 * was found out holds as long as these words do, so the block's checksum is theirs as well. NULL:
 * that is as much as a block can note. */
static inline const struct jit_insn *look_at(jit_t t, unsigned offset, struct jit_insn *other)
{
    unsigned n = (offset - t->insn[0].i.offset) / 4, at = offset / 4;
    struct jit_looked *l = &t->jit->looked;
    uint64_t *seen = &l->seen[at / 64], bit = 1ull << at % 64;

    if (n < t->count && t->insn[n].i.offset == offset)
        return &t->insn[n];
    if (LIKELY(!(*seen & bit))) {
        if (l->count == JIT_LOOKED)
            return NULL;
        *seen |= bit;
        l->word[at] = ld_le32(t->page + offset);
        l->at[l->count++] = (uint16_t)offset;
    }
    other->i.word = l->word[at];
    other->i.offset = (uint16_t)offset;
    other->op = (uint16_t)a64_decode(other->i.word);
    return other;
}

/* A look at what follows: at so many more instructions of the page; those that were seen. */
struct look {
    unsigned ahead;
    uint64_t seen[CODE_PAGE_SIZE / 4 / 64];
};

/* What code at `offset` of the page reads of NZCV before it sets it, on any way on. In warm code
 * ways of branches are looked at, too. What was seen reads nothing more: a loop that never reads
 * needs no end. */
static unsigned flags_read(jit_t t, int64_t offset, struct look *l)
{
    unsigned read = 0;

    for (; l->ahead && read != FLAGS_READ; offset += 4) {
        if ((uint64_t)offset >= CODE_PAGE_SIZE)
            return FLAGS_READ;
        uint64_t *seen = &l->seen[offset / 256], bit = 1ull << offset / 4 % 64;
        if (*seen & bit)
            return read;
        *seen |= bit;
        l->ahead--;
        struct jit_insn other;
        const struct jit_insn *look = look_at(t, (unsigned)offset, &other);
        if (!look)
            return FLAGS_READ;
        unsigned f = flags_of(t, look, false);
        read |= f & FLAGS_READ;
        if (f & FLAGS_WRITE)
            return read;
        unsigned facts = jit_facts[look->op];
        if (LIKELY(!(facts & FACTS_OF_BLOCK)))
            continue;
        if (facts & FACT_CONDITIONAL)
            read |= t->warm ? flags_read(t, jit_target(&look->i), l) : FLAGS_READ;
        switch (look->op) {
        case A64_BL:
        case A64_B:
            if (look->op == A64_BL && !t->warm)
                return FLAGS_READ;
            offset = jit_target(&look->i) - 4;
            break;
        case A64_BR:
        case A64_BLR:
        case A64_RET:
            return FLAGS_READ;
        default:
            break;
        }
    }
    return FLAGS_READ;
}

#define AHEAD      8
#define AHEAD_WARM 64

/* The head of this block is looked at (in a loop) as far as it goes. */
static unsigned target_reads(jit_t t, int64_t offset)
{
    struct look l = {
        .ahead = offset == t->insn[0].i.offset ? JIT_BLOCK_MAX
                 : t->warm                     ? AHEAD_WARM
                                               : AHEAD,
    };
    return FAULTS_READ(t) ? FLAGS_READ : flags_read(t, offset, &l);
}

void jit_flags_begin(jit_t t)
{
    t->jit->looked.count = 0;
    memset(t->jit->looked.seen, 0, sizeof t->jit->looked.seen);
}

void jit_flags_analyse(jit_t t)
{
    const struct jit_insn *last = &t->insn[t->count - 1];
    int64_t next = last->i.offset + 4;
    if (last->op == A64_B)
        next = jit_target(&last->i);
    bool falls =
        last->op != A64_BL && last->op != A64_BLR && last->op != A64_BR && last->op != A64_RET;
    unsigned live = falls ? target_reads(t, next) : FLAGS_READ;
    const bool faults_read = FAULTS_READ(t);
    for (struct jit_insn *i = t->insn + t->count; i-- > t->insn;) {
        unsigned f = flags_of(t, i, faults_read), target = 0;
        if (UNLIKELY(jit_facts[i->op] & (FACT_CONDITIONAL | FACT_ENDS))) {
            if (i->op == A64_BL ||
                i->op == A64_BLR) /* what is called is next, if more follows too */
                live = FLAGS_READ;
            if (jit_facts[i->op] & FACT_CONDITIONAL)
                target = target_reads(t, jit_target(&i->i));
        }
        i->flags_live = (uint8_t)live;
        i->target_live = (uint8_t)target;
        live = (f & FLAGS_WRITE ? 0 : live | target) | (f & FLAGS_READ);
    }
    t->read_first = live;
}

void jit_flags_end(jit_t t)
{
    const struct jit_looked *l = &t->jit->looked;

    for (unsigned n = 0; n < l->count; n++)
        t->checksum = jit_checksum_add(t->jit, t->checksum, l->word[l->at[n] / 4]);
}

/* The byte of cpu.jit_flags that LAHF makes. */
static struct x86_mem stored_byte(void)
{
    struct x86_mem m = JIT_CPU(jit_flags);

    m.disp += 1;
    return m;
}

void jit_flags_save(struct x86_buf *b, enum jit_eflags ef)
{
    if (ef == EF_ADD)
        x86_cmc(b);
    x86_lahf(b);
    x86_setcc(b, CC_O, RAX);
    x86_store(b, 2, JIT_CPU(jit_flags), RAX);
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
    jit_flags_save(&t->hot, t->ef);
    t->ef = EF_SUB;
}

void jit_flags_only_carry(jit_t t)
{
    if (!t->carry_stored)
        x86_and8_mi(&t->hot, stored_byte(), 1);
    t->carry_stored = true;
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
    else if (jit_remake_ends(t, t->at)) /* the way on may read them */
        jit_remake(t);
    if (live && t->ef != EF_NONE && !t->ef_stored && !jit_remake_later(t))
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
    if (t->ef == EF_NONE && jit_remake_test(t, cond))
        return (enum x86_cc)cc_sub[cond];
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
