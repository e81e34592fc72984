/*
 * Loads and stores (DDI 0487 C4.1.94): the software TLB's hit inline, all else by the slow path,
 * which executes the instruction in the interpreter.
 *
 * An entry is found by the page's low bits; its tag is the whole page address. The exclusive or of
 * tag and address is the offset in the page if they agree and huge if not, so one comparison with
 * 4096 - size finds out both that the page is the right one and that the access does not leave it.
 *
 * A register is written only after the access, and the base only after that, so a fault finds
 * everything as it was.
 */
#include <assert.h>

#include "base/bytes.h"
#include "soft/jit/access.h"
#include "soft/jit/x86_sse.h"

void jit_check_base(jit_t t, const struct insn *i, uint8_t **slow)
{
    *slow = NULL;
    if (i->rn != REG_SP || !(t->mode & JIT_MODE_SP_CHECK) || t->sp_aligned)
        return;
    x86_test_ri(&t->hot, 0, jit_use(t, REG_SP, RAX), 15);
    *slow = x86_jcc(&t->hot, CC_NE);
    t->sp_aligned = true;
}

/* The address in RAX is a stream's: nothing is looked up. */
static uint8_t *look_up_stream(jit_t t)
{
    t->look_up.found = RAX;
    t->look_up.add = jit_stream_found(t);
    t->look_up.disp = 0;
    return NULL;
}

/* What a turn of a loop misses, the look-ups before the next one are to find in the TLB. */
static bool has_streams(jit_t t)
{
    return t->loop.inside && t->loop.streams;
}

/* A look-up in the TLB of the address in `at`: most of what is emitted, so it is copied. */
static void make_look_up(struct jit *j, enum x86_reg at, bool write)
{
    struct jit_look_up *l = &j->look_up[write][at];
    uint8_t code[sizeof l->code + X86_BEHIND];
    struct x86_buf buf = { .p = code, .sites = &j->relocs.sites }, *b = &buf;
    size_t tag = write ? offsetof(struct tlb_entry, wr) : offsetof(struct tlb_entry, rd);

    jit_tlb_index(j, b, RCX, at);
    x86_mov_rm(b, 1, RDX, jit_tlb_field(tag));
    x86_alu_rr(b, 1, X86_XOR, RDX, at);
    x86_alu_ri(b, 1, X86_CMP, RDX, 4096);
    l->limit = (uint8_t)(b->p - 4 - code);
    l->jump = (uint8_t)(x86_jcc(b, CC_A) - code);
    x86_mov_rm(b, 1, RCX, jit_tlb_field(offsetof(struct tlb_entry, add)));
    l->size = (uint8_t)(b->p - code);
    assert(l->size <= sizeof l->code);
    memcpy(l->code, code, sizeof l->code);
}

void jit_look_ups_make(struct jit *j)
{
    for (unsigned at = 0; at < ARRAY_LEN(j->look_up[0]); at++) {
        make_look_up(j, (enum x86_reg)at, false);
        make_look_up(j, (enum x86_reg)at, true);
    }
}

/* In the TLB: the address is in register `at`. */
static uint8_t *look_up(jit_t t, struct x86_buf *b, enum x86_reg at, unsigned size, bool write)
{
    const struct jit_look_up *l = &t->jit->look_up[write][at];
    uint8_t *p = b->p, *jump = p + l->jump;

    jit_looks_up(t, x86_at(at, 0), size, write, 0);
    memcpy(p, l->code, sizeof l->code);
    st_le32(p + l->limit, 4096 - size);
    x86_note_site(b, jump);
    t->look_up.end = b->p = p + l->size;
    return jump;
}

/* Among the regions first: the TLB is looked into in the cold part. */
static uint8_t *look_up_wide(jit_t t, enum x86_reg at, unsigned size, bool write)
{
    struct x86_buf *b = &t->hot;
    int32_t wide = (int32_t)offsetof(struct tlb, wide);
    size_t tag = write ? offsetof(struct tlb_wide, wr) : offsetof(struct tlb_wide, rd);

    _Static_assert(sizeof(struct tlb_wide) == 1u << JIT_TLB_SHIFT, "the index is a shift");
    if (t->jit->host.bmi2) {
        x86_rorx(b, 0, RCX, at, TLB_WIDE_SHIFT - JIT_TLB_SHIFT);
    } else {
        x86_mov_rr(b, 0, RCX, at);
        x86_shift_ri(b, 0, X86_SHR, RCX, TLB_WIDE_SHIFT - JIT_TLB_SHIFT);
    }
    x86_alu_ri(b, 0, X86_AND, RCX, (TLB_WIDES - 1) << JIT_TLB_SHIFT);
    x86_mov_rm(b, 1, RDX, x86_indexed(JIT_TLB, RCX, 0, wide + (int32_t)tag));
    x86_alu_rr(b, 1, X86_XOR, RDX, at);
    x86_alu_ri(b, 1, X86_CMP, RDX, (int32_t)((1u << TLB_WIDE_SHIFT) - size));
    x86_patch(x86_jcc(b, CC_A), t->cold.p);
    x86_mov_rm(b, 1, RCX,
               x86_indexed(JIT_TLB, RCX, 0, wide + (int32_t)offsetof(struct tlb_wide, add)));
    uint8_t *slow = look_up(t, &t->cold, at, size, write);
    x86_jmp_to(&t->cold, b->p);
    t->look_up.end = b->p;
    return slow;
}

uint8_t *jit_look_up(jit_t t, unsigned size, bool write)
{
    if (t->loop.streaming)
        return look_up_stream(t);
    return look_up(t, &t->hot, RAX, size, write);
}

uint8_t *jit_look_up_page(jit_t t, unsigned rn, unsigned base, int32_t disp, unsigned size,
                          bool write)
{
    if (t->loop.streaming)
        return look_up_stream(t);
    unsigned site = jit_site(t->page_pa + t->insn[t->at].i.offset);
    bool wide = jit_is_site(t->jit->wide, site) && !has_streams(t);
    int place = wide             ? -1
                : has_streams(t) ? jit_stream_place(t)
                                 : jit_place_of(t, base, size, site);
    enum x86_reg at = rn == REG_NONE ? RAX : jit_use(t, rn, RAX);

    if (place >= 0)
        return jit_look_up_place(t, at, disp, (unsigned)place, size, write);
    if (disp)
        x86_lea(&t->hot, 1, RAX, x86_at(at, disp));
    at = disp ? RAX : at;
    return wide ? look_up_wide(t, at, size, write) : look_up(t, &t->hot, at, size, write);
}

struct x86_mem jit_found(jit_t t, unsigned offset)
{
    return x86_indexed(t->look_up.found, t->look_up.add, 0, t->look_up.disp + (int32_t)offset);
}

void jit_found_physical(jit_t t)
{
    struct x86_buf *b = &t->hot;

    if (t->jit->host.bmi2)
        x86_rorx(b, 0, RAX, RAX, 12 - JIT_TLB_SHIFT);
    else
        x86_shift_ri(b, 0, X86_SHR, RAX, 12 - JIT_TLB_SHIFT);
    x86_alu_rm(b, 0, X86_AND, RAX, x86_at(JIT_TLB, offsetof(struct tlb, mask)));
    x86_mov_rm(
        b, 1, RAX,
        x86_indexed(JIT_TLB, RAX, 0, offsetof(struct tlb, e) + offsetof(struct tlb_entry, pa)));
    x86_alu_ri(b, 1, X86_AND, RAX, -4096);
    x86_alu_rr(b, 1, X86_OR, RAX, RDX);
}

/* RAX = base + imm, or base for post-indexed forms. */
static void address_imm(jit_t t, const struct insn *i, bool post)
{
    int64_t imm = post ? 0 : i->imm;

    if (t->pinned[i->rn] != X86_NONE && imm) {
        x86_lea(&t->hot, 1, RAX, x86_at((enum x86_reg)t->pinned[i->rn], (int32_t)imm));
    } else {
        jit_copy(t, 1, i->rn, RAX);
        if (imm)
            x86_lea(&t->hot, 1, RAX, x86_at(RAX, (int32_t)imm));
    }
}

/* RAX = base + extended register. Leaves EFLAGS alone where they hold flags, of up to 8 bytes. */
static void address_reg(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;

    enum x86_reg index = RAX;
    if (i->imm == (int64_t)ones(64) || i->rm == REG_ZR) {
        index = i->a > 3 ? jit_copy(t, 1, i->rm, RAX) : jit_use(t, i->rm, RAX);
    } else if (i->b) { /* SXTW */
        x86_ext_rr(b, X86_SX32, 1, RAX, jit_use(t, i->rm, RAX));
    } else {
        jit_copy(t, 0, i->rm, RAX); /* UXTW */
    }
    unsigned scale = i->a;
    if (scale > 3) { /* of 16 bytes: more than an address can have */
        x86_shift_ri(b, 1, X86_SHL, RAX, scale);
        scale = 0;
    }
    if (t->pinned[i->rn] != X86_NONE) {
        x86_lea(b, 1, RAX, x86_indexed((enum x86_reg)t->pinned[i->rn], index, scale, 0));
    } else if (index == RAX && scale == 0 && t->ef == EF_NONE) {
        x86_alu_rm(b, 1, X86_ADD, RAX, jit_slot(i->rn));
    } else {
        enum x86_reg base = jit_use(t, i->rn, RCX);
        x86_lea(b, 1, RAX, x86_indexed(base, index, scale, 0));
    }
}

/* What a load does with the bytes. */
enum extension { ZERO, SIGN_W, SIGN_X };

void jit_write_back(jit_t t, const struct insn *i)
{
    enum x86_reg pinned = (enum x86_reg)t->pinned[i->rn];

    if (t->pinned[i->rn] != X86_NONE) {
        x86_lea(&t->hot, 1, pinned, x86_at(pinned, (int32_t)i->imm));
    } else if (t->ef != EF_NONE) { /* no look-up has changed them */
        x86_lea(&t->hot, 1, RAX, x86_at(jit_copy(t, 1, i->rn, RAX), (int32_t)i->imm));
        x86_mov_mr(&t->hot, 1, jit_slot(i->rn), RAX);
    } else {
        x86_alu_mi(&t->hot, 1, X86_ADD, jit_slot(i->rn), (int32_t)i->imm);
    }
    if (i->rn == REG_SP && i->imm % 16)
        t->sp_aligned = false;
}

void jit_address(jit_t t, const struct insn *i, enum jit_form form)
{
    if (form == FORM_REGISTER)
        address_reg(t, i);
    else
        address_imm(t, i, form == FORM_POST);
}

static void load_extended(jit_t t, unsigned size, enum extension e, enum x86_reg d,
                          struct x86_mem m)
{
    unsigned w = e == SIGN_X;

    switch (size) {
    case 1:
        x86_ext_rm(&t->hot, e == ZERO ? X86_ZX8 : X86_SX8, w, d, m);
        break;
    case 2:
        x86_ext_rm(&t->hot, e == ZERO ? X86_ZX16 : X86_SX16, w, d, m);
        break;
    case 4:
        if (e == SIGN_X)
            x86_ext_rm(&t->hot, X86_SX32, 1, d, m);
        else
            x86_mov_rm(&t->hot, 0, d, m);
        break;
    default:
        x86_mov_rm(&t->hot, 1, d, m);
        break;
    }
}

static void load_found(jit_t t, unsigned reg, unsigned offset, unsigned size, enum extension e)
{
    enum x86_reg d = jit_def(t, reg, RDX);

    load_extended(t, size, e, d, jit_found(t, offset));
    jit_done(t, reg, d);
}

static bool load(jit_t t, const struct insn *i, enum jit_form form, unsigned size, enum extension e)
{
    if (jit_writes_back(form) && i->rd == i->rn)
        return false;
    load_found(t, i->rd, jit_access_begin(t, i), size, e);
    jit_access_end(t, i);
    return true;
}

static bool store(jit_t t, const struct insn *i, unsigned size)
{
    unsigned offset = jit_access_begin(t, i);

    x86_store(&t->hot, size, jit_found(t, offset), jit_use(t, i->rd, RDX));
    jit_access_end(t, i);
    return true;
}

static enum extension extension_of(unsigned opc)
{
    return opc == 1 ? ZERO : opc == 2 ? SIGN_X : SIGN_W;
}

/* The size and the extension are in the word (C4.1.94): size<31:30>, opc<23:22>. */
static bool single(jit_t t, const struct insn *i, enum jit_form form)
{
    unsigned size = 1u << bits(i->word, 31, 30), opc = (unsigned)bits(i->word, 23, 22);

    if (opc == 0)
        return store(t, i, size);
    return load(t, i, form, size, extension_of(opc));
}

bool emit_ldst_offset(jit_t t, const struct insn *i)
{
    return single(t, i, FORM_OFFSET);
}

bool emit_ldst_post(jit_t t, const struct insn *i)
{
    return single(t, i, FORM_POST);
}

bool emit_ldst_pre(jit_t t, const struct insn *i)
{
    return single(t, i, FORM_PRE);
}

bool emit_ldst_reg(jit_t t, const struct insn *i)
{
    unsigned size = 1u << bits(i->word, 31, 30), opc = (unsigned)bits(i->word, 23, 22);
    uint8_t *misaligned;

    if (!t->loop.streaming || i->rn == REG_SP) /* else nothing is looked up, so EFLAGS stay */
        jit_clobber(t);
    jit_check_base(t, i, &misaligned);
    jit_address(t, i, FORM_REGISTER);
    uint8_t *miss = jit_look_up_page(t, REG_NONE, i->rn, 0, size, opc == 0);
    if (opc == 0)
        x86_store(&t->hot, size, jit_found(t, 0), jit_use(t, i->rd, RDX));
    else
        load_found(t, i->rd, 0, size, extension_of(opc));
    jit_slow_access(t, misaligned, miss);
    return true;
}

/* A literal lies in the page of the code, or near; data of the same address all the same. */
bool emit_ldr_lit(jit_t t, const struct insn *i)
{
    unsigned opc = (unsigned)bits(i->word, 31, 30);
    unsigned size = opc == 1 ? 8 : 4;

    jit_clobber(t);
    jit_mov_va(t, &t->hot, RAX, t->page_va + (uint64_t)i->imm);
    uint8_t *miss = jit_look_up(t, size, false);
    enum x86_reg d = jit_def(t, i->rd, RAX);
    load_extended(t, size, opc == 2 ? SIGN_X : ZERO, d, jit_found(t, 0));
    jit_done(t, i->rd, d);
    jit_slow_access(t, NULL, miss);
    return true;
}

/* Pairs: one look-up for both halves. What loads the base, which was found, is last. */

/* Registers that lie next to each other in memory, and have no host register: an xmm register takes
 * both at once. */
static bool are_neighbours(jit_t t, const struct insn *i)
{
    return !t->jit->knobs.unjoined && i->ra == i->rd + 1 && i->ra < REG_SP &&
           t->pinned[i->rd] == X86_NONE && t->pinned[i->ra] == X86_NONE;
}

/* Does LDP move them so? From two stores of 8 bytes the host would not forward what a load of 16
 * wants, and a function that is left soon after it was entered finds in its frame what STP put
 * there just now. */
static bool load_together(jit_t t, const struct insn *i)
{
    return are_neighbours(t, i) && i->rn != REG_SP && i->rn != 29;
}

/* Were both loaded by one instruction of the block, so that the host, too, has them together? */
static bool came_together(jit_t t, const struct insn *i)
{
    uint32_t both = 1u << i->rd | 1u << i->ra;

    for (unsigned n = t->at; n-- > 0;) {
        const struct jit_insn *before = &t->insn[n];
        struct jit_uses u = jit_uses_of(t, before);
        if (!u.known)
            return false;
        if (u.writes & both)
            return (before->i.word & 0xfe400000) == 0xa8400000 && before->i.rd == i->rd &&
                   before->i.ra == i->ra && load_together(t, &before->i);
    }
    return false;
}

/* LDP of two X registers, and STP. */
static void move_together(jit_t t, const struct insn *i, bool loads)
{
    struct x86_mem slot = jit_slot(i->rd);
    unsigned offset = jit_access_begin(t, i);

    x86_sse_rm(&t->hot, SSE_MOVDQU, XMM0, loads ? jit_found(t, offset) : slot);
    x86_sse_store(&t->hot, 16, loads ? slot : jit_found(t, offset), XMM0);
    jit_access_end(t, i);
}

static bool load_pair(jit_t t, const struct insn *i, enum jit_form form, unsigned size, bool sign)
{
    enum extension e = sign ? SIGN_X : ZERO;

    if (i->rd == i->ra || (jit_writes_back(form) && (i->rd == i->rn || i->ra == i->rn)))
        return false;
    if (size == 8 && load_together(t, i)) {
        move_together(t, i, true);
        return true;
    }
    unsigned offset = jit_access_begin(t, i);
    bool swap = i->rd == i->rn;
    if (swap)
        load_found(t, i->ra, offset + size, size, e);
    load_found(t, i->rd, offset, size, e);
    if (!swap)
        load_found(t, i->ra, offset + size, size, e);
    jit_access_end(t, i);
    return true;
}

static bool store_pair(jit_t t, const struct insn *i, unsigned size)
{
    if (size == 8 && are_neighbours(t, i) && came_together(t, i)) {
        move_together(t, i, false);
        return true;
    }
    unsigned offset = jit_access_begin(t, i);

    x86_store(&t->hot, size, jit_found(t, offset), jit_use(t, i->rd, RDX));
    x86_store(&t->hot, size, jit_found(t, offset + size), jit_use(t, i->ra, RDX));
    jit_access_end(t, i);
    return true;
}

/* opc<31:30>: 00 W, 01 LDPSW, 10 X; L<22>. */
static bool pair(jit_t t, const struct insn *i, enum jit_form form)
{
    unsigned opc = (unsigned)bits(i->word, 31, 30), size = opc == 2 ? 8 : 4;

    if (jit_pair_moved(t, i))
        return true;
    return bit(i->word, 22) ? load_pair(t, i, form, size, opc == 1) : store_pair(t, i, size);
}

bool emit_pair_offset(jit_t t, const struct insn *i)
{
    return pair(t, i, FORM_OFFSET);
}

bool emit_pair_post(jit_t t, const struct insn *i)
{
    return pair(t, i, FORM_POST);
}

bool emit_pair_pre(jit_t t, const struct insn *i)
{
    return pair(t, i, FORM_PRE);
}

/* LDAR, STLR and LDAPR: x86 orders loads as acquire and stores as release; a barrier keeps a
 * store-release before a later load-acquire. A misaligned one faults: the slow path's. */

static uint8_t *check_aligned(jit_t t, unsigned size)
{
    x86_test_ri(&t->hot, 0, RAX, (int32_t)size - 1);
    return x86_jcc(&t->hot, CC_NE);
}

bool emit_ldar(jit_t t, const struct insn *i)
{
    unsigned size = 1u << bits(i->word, 31, 30);

    if (i->rn == REG_SP)
        return false;
    jit_clobber(t);
    jit_copy(t, 1, i->rn, RAX);
    uint8_t *misaligned = size > 1 ? check_aligned(t, size) : NULL;
    uint8_t *miss = jit_look_up(t, size, false);
    enum x86_reg d = jit_def(t, i->rd, RAX);
    load_extended(t, size, ZERO, d, jit_found(t, 0));
    jit_done(t, i->rd, d);
    jit_slow_access(t, misaligned, miss);
    return true;
}

bool emit_stlr(jit_t t, const struct insn *i)
{
    unsigned size = 1u << bits(i->word, 31, 30);

    if (i->rn == REG_SP)
        return false;
    jit_clobber(t);
    jit_copy(t, 1, i->rn, RAX);
    uint8_t *misaligned = size > 1 ? check_aligned(t, size) : NULL;
    uint8_t *miss = jit_look_up(t, size, true);
    jit_copy(t, 1, i->rd, RDX);
    x86_xchg_mr(&t->hot, size, jit_found(t, 0), RDX);
    jit_slow_access(t, misaligned, miss);
    return true;
}
