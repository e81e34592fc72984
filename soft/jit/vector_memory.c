/*
 * Loads and stores of SIMD&FP registers (DDI 0487 C4.1.94), in the way of memory.c.
 *
 * A load clears the rest of its register, so what it loads goes through an xmm register. Loads and
 * stores of structures are translated but for single elements of several registers. Interleaved
 * ones are shuffles of all inputs for each output.
 */
#include "soft/jit/access.h"
#include "soft/jit/vector.h"

/* x = `size` bytes at m, zero above them. Changes RDX. */
static void load(jit_t t, unsigned size, enum x86_xmm x, struct x86_mem m)
{
    struct x86_buf *b = &t->hot;

    if (size <= 2) {
        x86_ext_rm(b, size == 1 ? X86_ZX8 : X86_ZX16, 0, RDX, m);
        x86_movd_to(b, 0, x, RDX);
    } else {
        x86_sse_rm(b, size == 4 ? SSE_MOVSS : size == 8 ? SSE_MOVQ : SSE_MOVDQU, x, m);
    }
}

/* V register = `size` bytes at m. Changes RDX. */
static void load_vector(jit_t t, unsigned size, unsigned v, struct x86_mem m)
{
    enum x86_xmm x = vector_begin(t, v);

    load(t, size, x, m);
    vector_end(t, v, x, size < 4 ? 4 : size);
}

/* Changes RDX or XMM0. */
static void store_vector(jit_t t, unsigned size, unsigned v, struct x86_mem m)
{
    struct x86_buf *b = &t->hot;
    enum x86_xmm copy;

    if (size >= 4 && vector_cached(t, v, &copy)) {
        x86_sse_store(b, size, m, copy);
    } else if (size == 16) {
        enum x86_xmm x = vector_keep(t, v);
        x86_sse_store(b, 16, m, x);
    } else {
        vector_element_general(t, size == 8 ? 3 : size == 4 ? 2 : size - 1, RDX, v, 0);
        x86_store(b, size, m, RDX);
    }
}

static void move_vector(jit_t t, bool load, unsigned size, unsigned v, struct x86_mem m)
{
    if (load)
        load_vector(t, size, v, m);
    else
        store_vector(t, size, v, m);
}

static void slow_paths(jit_t t, uint8_t *misaligned, uint8_t *miss)
{
    uint8_t *const from[] = { misaligned, miss };

    jit_slow_paths(t, from, ARRAY_LEN(from));
}

/* size<31:30> is extended by opc<23>; opc<22> says that it is a load. */
static bool single(jit_t t, const struct insn *i, enum jit_form form)
{
    unsigned size = bit(i->word, 23) ? 16 : 1u << bits(i->word, 31, 30);
    bool load = bit(i->word, 22);
    uint8_t *misaligned;

    if (!vector_enabled(t))
        return false;
    if (form != FORM_REGISTER) {
        move_vector(t, load, size, i->rd, jit_found(t, jit_access_begin(t, i)));
        jit_access_end(t, i);
        return true;
    }
    jit_clobber(t);
    jit_check_base(t, i, &misaligned);
    jit_address(t, i, form);
    uint8_t *miss = jit_look_up_page(t, REG_NONE, i->rn, 0, size, !load);
    move_vector(t, load, size, i->rd, jit_found(t, 0));
    jit_slow_access(t, misaligned, miss);
    return true;
}

bool emit_vldst_offset(jit_t t, const struct insn *i)
{
    return single(t, i, FORM_OFFSET);
}

bool emit_vldst_post(jit_t t, const struct insn *i)
{
    return single(t, i, FORM_POST);
}

bool emit_vldst_pre(jit_t t, const struct insn *i)
{
    return single(t, i, FORM_PRE);
}

bool emit_vldst_reg(jit_t t, const struct insn *i)
{
    return single(t, i, FORM_REGISTER);
}

bool emit_vldr_lit(jit_t t, const struct insn *i)
{
    unsigned size = 4u << bits(i->word, 31, 30);

    if (!vector_enabled(t))
        return false;
    jit_clobber(t);
    jit_mov_va(t, &t->hot, RAX, t->page_va + (uint64_t)i->imm);
    uint8_t *miss = jit_look_up(t, size, false);
    load_vector(t, size, i->rd, jit_found(t, 0));
    slow_paths(t, NULL, miss);
    return true;
}

/* opc<31:30>: S, D, Q; L<22>. */
static bool pair(jit_t t, const struct insn *i)
{
    unsigned size = 4u << bits(i->word, 31, 30);
    bool load = bit(i->word, 22);

    if (!vector_enabled(t) || (load && i->rd == i->ra))
        return false;
    unsigned offset = jit_access_begin(t, i);
    move_vector(t, load, size, i->rd, jit_found(t, offset));
    move_vector(t, load, size, i->ra, jit_found(t, offset + size));
    jit_access_end(t, i);
    return true;
}

bool emit_vpair_offset(jit_t t, const struct insn *i)
{
    return pair(t, i);
}

bool emit_vpair_post(jit_t t, const struct insn *i)
{
    return pair(t, i);
}

bool emit_vpair_pre(jit_t t, const struct insn *i)
{
    return pair(t, i);
}

/* Structures. */

/* Post-indexed forms have bit 23; Rm of 31 stands for the number of bytes. */
static void post_index(jit_t t, const struct insn *i, unsigned bytes)
{
    if (!bit(i->word, 23))
        return;
    struct insn step = { .rn = i->rn, .imm = bytes };
    if (i->rm == 31) {
        jit_write_back(t, &step);
        return;
    }
    enum x86_reg base = jit_copy(t, 1, i->rn, RAX);
    x86_alu_rr(&t->hot, 1, X86_ADD, base, jit_use(t, i->rm, RCX));
    jit_done(t, i->rn, base);
    if (i->rn == REG_SP)
        t->sp_aligned = false;
}

/* The structure is at jit_found(t, 0) afterwards. */
static uint8_t *begin_structure(jit_t t, const struct insn *i, unsigned bytes, bool load,
                                uint8_t **misaligned)
{
    jit_clobber(t);
    jit_check_base(t, i, misaligned);
    jit_copy(t, 1, i->rn, RAX);
    return jit_look_up(t, bytes, !load);
}

/* A structure of several interleaved registers: 8 or 16 bytes of each. */
struct interleaved {
    unsigned registers, each, scale;
    bool load;
};

/* Where byte `at` of output `out` comes from: registers from pieces of memory, or pieces of memory
 * from registers. */
static unsigned source_of(const struct interleaved *s, unsigned out, unsigned at, unsigned *byte)
{
    unsigned low = at & ((1u << s->scale) - 1);

    if (s->load) {
        unsigned p = (((at >> s->scale) * s->registers + out) << s->scale) + low;
        *byte = p % s->each;
        return p / s->each;
    }
    unsigned element = (out * s->each + at) >> s->scale;
    *byte = (element / s->registers << s->scale) + low;
    return element % s->registers;
}

/* XMM4 = output `out` of the inputs in XMM0 to XMM3. Changes XMM5. */
static void gather(jit_t t, const struct interleaved *s, unsigned out)
{
    bool first = true;

    for (unsigned in = 0; in < s->registers; in++) {
        uint8_t order[16];
        uint64_t half[2];
        bool any = false;
        memset(order, 0x80, sizeof order);
        for (unsigned at = 0; at < s->each; at++) {
            unsigned byte;
            if (source_of(s, out, at, &byte) == in) {
                order[at] = (uint8_t)byte;
                any = true;
            }
        }
        if (!any)
            continue;
        enum x86_xmm x = first ? XMM4 : XMM5;
        memcpy(half, order, sizeof half);
        x86_sse_rr(&t->hot, SSE_MOVAPS, x, (enum x86_xmm)in);
        x86_sse_rip(&t->hot, SSE_PSHUFB, x, vector_literal(t, half[0], half[1]));
        if (!first)
            x86_sse_rr(&t->hot, SSE_POR, XMM4, XMM5);
        first = false;
    }
}

static void move_interleaved(jit_t t, const struct insn *i, const struct interleaved *s)
{
    struct x86_buf *b = &t->hot;

    for (unsigned r = 0; r < s->registers; r++) {
        if (s->load)
            x86_sse_rm(b, s->each == 8 ? SSE_MOVQ : SSE_MOVDQU, (enum x86_xmm)r,
                       jit_found(t, r * s->each));
        else
            vector_load(t, (enum x86_xmm)r, i->rd + r);
    }
    for (unsigned r = 0; r < s->registers; r++) {
        gather(t, s, r);
        if (s->load)
            vector_store(t, i->rd + r, XMM4);
        else
            x86_sse_store(b, s->each, jit_found(t, r * s->each), XMM4);
    }
}

/* LD1 to LD4 and ST1 to ST4: opcode<15:12>. */
bool emit_structures(jit_t t, const struct insn *i)
{
    static const uint8_t registers[16] = {
        [0] = 4, [2] = 4, [4] = 3, [6] = 3, [7] = 1, [8] = 2, [10] = 2
    };
    unsigned opcode = (unsigned)bits(i->word, 15, 12), n = registers[opcode];
    unsigned size = bit(i->word, 30) ? 16 : 8;
    bool load = bit(i->word, 22), interleaved = opcode % 4 == 0;
    uint8_t *misaligned;

    if (!vector_enabled(t))
        return false;
    uint8_t *miss = begin_structure(t, i, n * size, load, &misaligned);
    if (interleaved) {
        struct interleaved s = { n, size, (unsigned)bits(i->word, 11, 10), load };
        move_interleaved(t, i, &s);
    } else {
        for (unsigned r = 0; r < n; r++)
            move_vector(t, load, size, i->rd + r, jit_found(t, r * size));
    }
    post_index(t, i, n * size);
    slow_paths(t, misaligned, miss);
    return true;
}

/* One element of one register: opcode<15:14> is its size, but that of 8 bytes is coded as 4 bytes
 * with size<10> = 1. Its index is what Q:S:size has above that. */
bool emit_ld1_single(jit_t t, const struct insn *i)
{
    unsigned scale = (unsigned)bits(i->word, 15, 14);
    unsigned index = (unsigned)(bit(i->word, 30) << 3 | bits(i->word, 12, 10)) >> scale;
    bool load = bit(i->word, 22);
    uint8_t *misaligned;

    if (!vector_enabled(t) || bit(i->word, 13) || bit(i->word, 21))
        return false;
    if (scale == 2 && bit(i->word, 10)) {
        scale = 3;
        index = bit(i->word, 30);
    }
    unsigned size = 1u << scale;
    uint8_t *miss = begin_structure(t, i, size, load, &misaligned);
    if (load) {
        vector_load(t, XMM0, i->rd);
        x86_pinsr_m(&t->hot, size, XMM0, jit_found(t, 0), index);
        vector_store(t, i->rd, XMM0);
    } else {
        vector_element_general(t, scale, RDX, i->rd, index * size);
        x86_store(&t->hot, size, jit_found(t, 0), RDX);
    }
    post_index(t, i, size);
    slow_paths(t, misaligned, miss);
    return true;
}

/* LD1R */
bool emit_ld1_replicate(jit_t t, const struct insn *i)
{
    unsigned scale = (unsigned)bits(i->word, 11, 10);
    uint8_t *misaligned;

    if (!vector_enabled(t) || bit(i->word, 13) || bit(i->word, 21))
        return false;
    uint8_t *miss = begin_structure(t, i, 1u << scale, true, &misaligned);
    load(t, 1u << scale, XMM0, jit_found(t, 0));
    vector_replicate(t, XMM0, scale);
    vector_result(t, i, XMM0);
    post_index(t, i, 1u << scale);
    slow_paths(t, misaligned, miss);
    return true;
}
