/*
 * Translated bit fields, shifts by a register and instructions with one source (DDI 0487 C4.1.92,
 * C4.1.95). The commonest forms of UBFM and SBFM are one x86 instruction: a shift, or a widening
 * move, which leaves EFLAGS alone. The others are two shifts, up to the top and down again.
 */
#include "soft/jit/operand.h"

#include "base/bits.h"
#include "soft/jit/vector.h"

/* SBFM, BFM, UBFM: `length` bits at `from` of the source go to `to` of the result; one of the two
 * is 0. */
struct field {
    unsigned width, length, from, to;
};

static struct field field_of(const struct insn *i)
{
    unsigned width = operand_width(i) ? 64 : 32;
    unsigned immr = (unsigned)bits(i->word, 21, 16), imms = (unsigned)bits(i->word, 15, 10);

    if (imms >= immr)
        return (struct field){ width, imms - immr + 1, immr, 0 };
    return (struct field){ width, imms + 1, 0, width - immr };
}

/* Only the field's low bits matter and they are all that is left when it is at the top. */
static bool field_is_shift(struct field f)
{
    return f.from + f.length == f.width || f.to + f.length == f.width;
}

/* A field of 8, 16 or 32 bits at bit 0 of the source; of memory, at any byte. */
static bool field_is_widening(struct field f, struct operand n)
{
    bool whole = f.length == 8 || f.length == 16 || (f.length == 32 && f.width == 64);

    return whole && (f.from == 0 || (n.kind == OPERAND_SLOT && f.from % 8 == 0));
}

static void emit_widening(jit_t t, struct field f, bool is_signed, enum x86_reg d, struct operand n)
{
    unsigned w = is_signed && f.width == 64;
    enum x86_extend how = f.length == 8    ? is_signed ? X86_SX8 : X86_ZX8
                          : f.length == 16 ? is_signed ? X86_SX16 : X86_ZX16
                                           : X86_SX32;
    struct x86_mem m = jit_slot(n.slot);

    m.disp += (int32_t)(f.from / 8);
    if (f.length == 32 && !is_signed) {
        if (n.kind == OPERAND_SLOT)
            x86_mov_rm(&t->hot, 0, d, m);
        else
            x86_mov_rr(&t->hot, 0, d, n.host);
    } else if (n.kind == OPERAND_SLOT) {
        x86_ext_rm(&t->hot, how, w, d, m);
    } else {
        x86_ext_rr(&t->hot, how, w, d, n.host);
    }
}

static void shift(jit_t t, unsigned w, enum x86_shift op, enum x86_reg d, unsigned count)
{
    if (count)
        x86_shift_ri(&t->hot, w, op, d, count);
}

/* d = a field of n that takes two shifts, or a shift and a mask, zero around it: a rotation to
 * another register and a mask of 32 bits, if d is another one and that will do. */
static bool emit_rotated(jit_t t, struct field f, enum x86_reg d, struct operand n)
{
    unsigned w = f.width == 64, count = f.from ? f.from : f.width - f.to;

    if (!t->jit->host.bmi2 || operand_is_host(n, d) || f.from + f.to == 0 || f.length == 32 ||
        f.to + f.length > 32 || field_is_shift(f))
        return false;
    if (n.kind == OPERAND_SLOT)
        x86_rorx_rm(&t->hot, w, d, jit_slot(n.slot), count);
    else
        x86_rorx(&t->hot, w, d, n.host, count);
    x86_alu_ri(&t->hot, 0, X86_AND, d, (int32_t)(ones(f.length) << f.to));
    return true;
}

/* d = the field of n at its place, zero or sign around it. Changes EFLAGS. */
static void emit_field(jit_t t, struct field f, bool is_signed, enum x86_reg d, struct operand n)
{
    unsigned w = f.width == 64, up = f.width - f.length - f.from;

    if (!is_signed && emit_rotated(t, f, d, n))
        return;
    operand_load(t, w, d, n);
    if (f.to && f.to + f.length == f.width) {
        shift(t, w, X86_SHL, d, f.to);
        return;
    }
    if (!is_signed && f.length < 32) {
        shift(t, w, X86_SHR, d, f.from);
        if (f.from + f.length < f.width)
            x86_alu_ri(&t->hot, 0, X86_AND, d, (int32_t)ones(f.length));
        shift(t, w, X86_SHL, d, f.to);
        return;
    }
    shift(t, w, X86_SHL, d, up);
    shift(t, w, is_signed ? X86_SAR : X86_SHR, d, f.width - f.length - f.to);
}

/* UBFM and SBFM */
bool emit_bitfield(jit_t t, const struct insn *i)
{
    struct field f = field_of(i);
    bool is_signed = bits(i->word, 30, 29) == 0;
    struct operand n = operand_guest(t, i->rn);
    unsigned w = f.width == 64;

    if (i->rd == REG_NONE)
        return true;
    if (n.kind == OPERAND_CONSTANT || f.length == f.width) {
        enum x86_reg d = jit_copy(t, w, i->rn, jit_def(t, i->rd, RAX));
        jit_done(t, i->rd, d);
        return true;
    }
    if (field_is_widening(f, n) && f.to == 0) {
        enum x86_reg d = jit_def(t, i->rd, RAX);
        emit_widening(t, f, is_signed, d, n);
        jit_done(t, i->rd, d);
        return true;
    }
    if (f.to == 1 && field_is_shift(f)) {
        enum x86_reg s = jit_use(t, i->rn, RAX), d = jit_def(t, i->rd, RAX);
        x86_lea(&t->hot, w, d, x86_indexed(s, s, 0, 0));
        jit_done(t, i->rd, d);
        return true;
    }
    if (t->jit->host.bmi2 && field_is_shift(f) && jit_flags_held(t)) {
        enum x86_shift op = f.to ? X86_SHL : is_signed ? X86_SAR : X86_SHR;
        enum x86_reg s = jit_use(t, i->rn, RAX), d = jit_def(t, i->rd, RAX);
        x86_mov_ri(&t->hot, RCX, f.to ? f.to : f.from);
        x86_shiftx(&t->hot, w, op, d, s, RCX);
        jit_done(t, i->rd, d);
        return true;
    }
    jit_clobber(t);
    enum x86_reg d = jit_def(t, i->rd, RAX);

    if (field_is_widening(f, n) && !field_is_shift(f)) {
        emit_widening(t, f, is_signed, d, n);
        shift(t, w, X86_SHL, d, f.to);
    } else {
        emit_field(t, f, is_signed, d, n);
    }
    jit_done(t, i->rd, d);
    return true;
}

/* op d, mask, of 64 bits if w. Changes RDX. */
static void apply_mask(jit_t t, unsigned w, enum x86_alu op, enum x86_reg d, uint64_t mask)
{
    if (!w || (int64_t)mask == (int32_t)mask) {
        x86_alu_ri(&t->hot, w, op, d, (int32_t)mask);
    } else {
        x86_mov_ri(&t->hot, RDX, mask);
        x86_alu_rr(&t->hot, 1, op, d, RDX);
    }
}

/* BFM: into the old value of rd. */
bool emit_insert(jit_t t, const struct insn *i)
{
    struct field f = field_of(i);
    unsigned w = f.width == 64;
    struct operand n = operand_guest(t, i->rn);

    if (i->rd == REG_NONE)
        return true;
    jit_clobber(t);
    enum x86_reg d = jit_def(t, i->rd, RAX);

    if (n.kind != OPERAND_CONSTANT) {
        if (field_is_widening(f, n) && !field_is_shift(f)) {
            emit_widening(t, f, false, RCX, n);
            shift(t, w, X86_SHL, RCX, f.to);
        } else {
            emit_field(t, f, false, RCX, n);
        }
    }
    operand_load(t, w, d, operand_guest(t, i->rd));
    apply_mask(t, w, X86_AND, d, ~(ones(f.length) << f.to));
    if (n.kind != OPERAND_CONSTANT)
        x86_alu_rr(&t->hot, w, X86_OR, d, RCX);
    jit_done(t, i->rd, d);
    return true;
}

/* rd = s rotated right. */
static void emit_rotate(jit_t t, const struct insn *i, unsigned s, unsigned count)
{
    unsigned w = operand_width(i);

    if (t->jit->host.bmi2) {
        enum x86_reg from = jit_use(t, s, RAX), d = jit_def(t, i->rd, RAX);

        x86_rorx(&t->hot, w, d, from, count);
        jit_done(t, i->rd, d);
        return;
    }
    jit_clobber(t);
    enum x86_reg d = jit_def(t, i->rd, RAX);

    operand_load(t, w, d, operand_guest(t, s));
    x86_shift_ri(&t->hot, w, X86_ROR, d, count);
    jit_done(t, i->rd, d);
}

bool emit_extr(jit_t t, const struct insn *i)
{
    unsigned w = operand_width(i);

    if (i->rd == REG_NONE)
        return true;
    if (i->a == 0) {
        enum x86_reg d = jit_copy(t, w, i->rm, jit_def(t, i->rd, RAX));
        jit_done(t, i->rd, d);
    } else if (i->rn == i->rm) {
        emit_rotate(t, i, i->rn, i->a);
    } else if (t->jit->host.bmi2 && jit_flags_held(t)) {
        unsigned width = w ? 64 : 32;

        x86_mov_ri(&t->hot, RCX, i->a);
        x86_shiftx(&t->hot, w, X86_SHR, RAX, jit_use(t, i->rm, RAX), RCX);
        x86_mov_ri(&t->hot, RCX, width - i->a);
        x86_shiftx(&t->hot, w, X86_SHL, RCX, jit_use(t, i->rn, RDX), RCX);
        enum x86_reg d = jit_def(t, i->rd, RAX);
        x86_lea(&t->hot, w, d, x86_indexed(RAX, RCX, 0, 0));
        jit_done(t, i->rd, d);
    } else {
        enum x86_reg d = jit_def(t, i->rd, RAX);

        jit_clobber(t);
        if (i->rd == i->rn && d != RAX) {
            x86_shld_ri(&t->hot, w, d, jit_use(t, i->rm, RCX), (w ? 64 : 32) - i->a);
            return true;
        }
        operand_load(t, w, d, operand_guest(t, i->rm));
        x86_shrd_ri(&t->hot, w, d, jit_use(t, i->rn, RCX), i->a);
        jit_done(t, i->rd, d);
    }
    return true;
}

/* LSLV, LSRV, ASRV, RORV: x86 takes the count modulo the width as well. */
bool emit_shift_register(jit_t t, const struct insn *i)
{
    static const enum x86_shift ops[4] = { X86_SHL, X86_SHR, X86_SAR, X86_ROR };
    enum x86_shift op = ops[bits(i->word, 11, 10)];
    unsigned w = operand_width(i);

    if (i->rd == REG_NONE)
        return true;
    if (op != X86_ROR && t->jit->host.bmi2) {
        enum x86_reg n = jit_use(t, i->rn, RAX), m = jit_use(t, i->rm, RCX);
        enum x86_reg d = jit_def(t, i->rd, RAX);

        x86_shiftx(&t->hot, w, op, d, n, m);
        jit_done(t, i->rd, d);
        return true;
    }
    jit_clobber(t);
    operand_load(t, 0, RCX, operand_guest(t, i->rm));
    enum x86_reg d = jit_def(t, i->rd, RAX);

    operand_load(t, w, d, operand_guest(t, i->rn));
    x86_shift_rcl(&t->hot, w, op, d);
    jit_done(t, i->rd, d);
    return true;
}

/* d = leading zeros of s. Without LZCNT: the index of the highest bit set, or what gives the width
 * if there is none. Changes RCX and EFLAGS. */
static void count_leading_zeros(jit_t t, unsigned w, enum x86_reg d, enum x86_reg s)
{
    int32_t width = w ? 64 : 32;

    if (t->jit->host.lzcnt) {
        x86_lzcnt(&t->hot, w, d, s);
        return;
    }
    x86_mov_ri(&t->hot, RCX, (uint64_t)(2 * width - 1));
    x86_bsr(&t->hot, w, d, s);
    x86_cmov_rr(&t->hot, w, CC_E, d, RCX);
    x86_alu_ri(&t->hot, w, X86_XOR, d, width - 1);
}

bool emit_clz(jit_t t, const struct insn *i)
{
    if (i->rd == REG_NONE)
        return true;
    jit_clobber(t);
    enum x86_reg n = jit_use(t, i->rn, RAX), d = jit_def(t, i->rd, RAX);

    count_leading_zeros(t, operand_width(i), d, n);
    jit_done(t, i->rd, d);
    return true;
}

/* Bits equal to the sign become zero; the sign itself does not count. */
bool emit_cls(jit_t t, const struct insn *i)
{
    unsigned w = operand_width(i);

    if (i->rd == REG_NONE)
        return true;
    jit_clobber(t);
    jit_copy(t, w, i->rn, RAX);
    x86_mov_rr(&t->hot, w, RDX, RAX);
    x86_shift_ri(&t->hot, w, X86_SAR, RDX, 1);
    x86_alu_rr(&t->hot, w, X86_XOR, RAX, RDX);
    enum x86_reg d = jit_def(t, i->rd, RDX);

    count_leading_zeros(t, w, d, RAX);
    x86_lea(&t->hot, w, d, x86_at(d, -1));
    jit_done(t, i->rd, d);
    return true;
}

/* RAX: neighbouring groups of `count` bits change places; `low` is the mask of the lower ones.
 * Changes RCX, RDX and EFLAGS. */
static void swap_halves(jit_t t, unsigned w, unsigned count, uint64_t low)
{
    x86_mov_ri(&t->hot, RDX, w ? low : (uint32_t)low);
    x86_mov_rr(&t->hot, w, RCX, RAX);
    x86_shift_ri(&t->hot, w, X86_SHR, RCX, count);
    x86_alu_rr(&t->hot, w, X86_AND, RAX, RDX);
    x86_alu_rr(&t->hot, w, X86_AND, RCX, RDX);
    x86_shift_ri(&t->hot, w, X86_SHL, RAX, count);
    x86_alu_rr(&t->hot, w, X86_OR, RAX, RCX);
}

/* d = trailing zeros of s. Without TZCNT: the index of the lowest bit set, or the width. Changes
 * RCX and EFLAGS. */
static void count_trailing_zeros(jit_t t, unsigned w, enum x86_reg d, enum x86_reg s)
{
    if (t->jit->host.bmi1) {
        x86_tzcnt(&t->hot, w, d, s);
        return;
    }
    x86_mov_ri(&t->hot, RCX, w ? 64 : 32);
    x86_bsf(&t->hot, w, d, s);
    x86_cmov_rr(&t->hot, w, CC_E, d, RCX);
}

/* The CLZ of what the RBIT at t->at makes, if up to there nobody looks at either result; or NULL.
 */
static struct jit_insn *clz_of_rbit(jit_t t)
{
    const struct jit_insn *rbit = &t->insn[t->at];
    enum a64_op clz = rbit->op == A64_RBIT_x ? A64_CLZ_x : A64_CLZ_w;

    for (unsigned n = t->at + 1; n < t->count && n < t->at + 4; n++) {
        struct jit_insn *next = &t->insn[n];
        if (next->op == clz && next->i.rn == rbit->i.rd)
            return next->i.rd < REG_SP ? next : NULL;
        struct jit_uses u = jit_uses_of(t, next);
        if (!u.known || !u.plain || (u.reads | u.writes) >> rbit->i.rd & 1)
            return NULL;
    }
    return NULL;
}

/* With CLZ of the result it counts trailing zeros, which is how C libraries find a byte. Bits of
 * bytes are turned round by a matrix where the host has GFNI. */
bool emit_rbit(jit_t t, const struct insn *i)
{
    const uint64_t reversed = 0x8040201008040201;
    struct x86_buf *b = &t->hot;
    unsigned w = operand_width(i);
    struct jit_insn *clz = i->rd < REG_SP ? clz_of_rbit(t) : NULL;

    if (i->rd == REG_NONE)
        return true;
    jit_clobber(t);
    if (clz && clz->i.rd == i->rd) {
        enum x86_reg n = jit_use(t, i->rn, RAX), d = jit_def(t, i->rd, RAX);
        count_trailing_zeros(t, w, d, n);
        jit_done(t, i->rd, d);
        clz->done = true;
        return true;
    }
    jit_copy(t, w, i->rn, RAX);
    if (clz == &t->insn[t->at + 1]) {
        enum x86_reg d = jit_def(t, clz->i.rd, RDX);
        count_trailing_zeros(t, w, d, RAX);
        jit_done(t, clz->i.rd, d);
        clz->done = true;
    }
    if (t->jit->host.gfni) {
        x86_movd_to(b, w, XMM0, RAX);
        x86_sse_rip_imm(b, SSE_GF2P8AFFINEQB, XMM0, vector_literal(t, reversed, reversed), 0);
        x86_movd_from(b, w, RAX, XMM0);
        x86_bswap(b, w, RAX);
    } else {
        x86_bswap(b, w, RAX);
        swap_halves(t, w, 4, 0x0f0f0f0f0f0f0f0f);
        swap_halves(t, w, 2, 0x3333333333333333);
        swap_halves(t, w, 1, 0x5555555555555555);
    }
    jit_done(t, i->rd, RAX);
    return true;
}

/* REV_w and REV_x */
bool emit_rev(jit_t t, const struct insn *i)
{
    unsigned w = operand_width(i);

    if (i->rd == REG_NONE)
        return true;
    enum x86_reg d = jit_def(t, i->rd, RAX);

    operand_load(t, w, d, operand_guest(t, i->rn));
    x86_bswap(&t->hot, w, d);
    jit_done(t, i->rd, d);
    return true;
}

/* REV16 of a W register and REV32: all bytes turned round, then the two halves exchanged. */
bool emit_rev_halves(jit_t t, const struct insn *i)
{
    unsigned w = operand_width(i), half = w ? 32 : 16;

    if (i->rd == REG_NONE)
        return true;
    if (!t->jit->host.bmi2)
        jit_clobber(t);
    enum x86_reg d = jit_def(t, i->rd, RAX);

    operand_load(t, w, d, operand_guest(t, i->rn));
    x86_bswap(&t->hot, w, d);
    if (t->jit->host.bmi2)
        x86_rorx(&t->hot, w, d, d, half);
    else
        x86_shift_ri(&t->hot, w, X86_ROR, d, half);
    jit_done(t, i->rd, d);
    return true;
}

/* REV16_x */
bool emit_rev16(jit_t t, const struct insn *i)
{
    if (i->rd == REG_NONE)
        return true;
    jit_clobber(t);
    jit_copy(t, 1, i->rn, RAX);
    swap_halves(t, 1, 8, 0x00ff00ff00ff00ff);
    jit_done(t, i->rd, RAX);
    return true;
}
