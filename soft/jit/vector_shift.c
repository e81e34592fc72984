/*
 * Shifts by immediates, narrowing and widening (DDI 0487 C4.1.96, "Advanced SIMD shift by
 * immediate"). immh:immb has the element size in its highest one, and counts the shift from there.
 *
 * x86 shifts no bytes: 16-bit elements are shifted, and what came from the neighbour is masked off.
 * It has no arithmetic shift of 64 bits either: (x >> n ^ sign) - sign, where sign is the place
 * that the sign bit is in afterwards.
 */
#include "soft/interp/simd.h"
#include "soft/jit/vector.h"

static const enum x86_sse_shift left[4] = { SSE_SLL_W, SSE_SLL_W, SSE_SLL_D, SSE_SLL_Q };
static const enum x86_sse_shift right[4] = { SSE_SRL_W, SSE_SRL_W, SSE_SRL_D, SSE_SRL_Q };

/* `value` in each element of 64 bits. */
static uint64_t every(uint64_t value, unsigned scale)
{
    static const uint64_t at[4] = { 0x0101010101010101, 0x0001000100010001, 0x0000000100000001, 1 };

    return (value & ones(8u << scale)) * at[scale];
}

static void mask(jit_t t, enum x86_xmm x, uint64_t value, unsigned scale)
{
    uint64_t all = every(value, scale);

    x86_sse_rip(&t->hot, SSE_PAND, x, vector_literal(t, all, all));
}

/* A matrix of bits by which GFNI makes each byte anew: bit k of the result is bit from[k] of the
 * byte, or zero where that is 8. */
static const uint8_t *matrix(jit_t t, const uint8_t from[8])
{
    uint64_t rows = 0;

    for (unsigned k = 0; k < 8; k++)
        if (from[k] < 8)
            rows |= 1ull << (8 * (7 - k) + from[k]);
    return vector_literal(t, rows, rows);
}

enum byte_shift { LEFT, RIGHT, RIGHT_SIGNED };

/* By GFNI, if it is bytes and the host has that. */
static bool shift_bytes(jit_t t, enum x86_xmm x, unsigned scale, enum byte_shift how, unsigned n)
{
    uint8_t from[8];

    if (scale != 0 || !t->jit->host.gfni)
        return false;
    for (unsigned k = 0; k < 8; k++)
        if (how == LEFT)
            from[k] = (uint8_t)(k < n ? 8 : k - n);
        else
            from[k] = (uint8_t)(k + n < 8 ? k + n : how == RIGHT ? 8 : 7);
    x86_sse_rip_imm(&t->hot, SSE_GF2P8AFFINEQB, x, matrix(t, from), 0);
    return true;
}

static void shift_left(jit_t t, enum x86_xmm x, unsigned scale, unsigned n)
{
    if (shift_bytes(t, x, scale, LEFT, n))
        return;
    x86_sse_shift(&t->hot, left[scale], x, n);
    if (scale == 0)
        mask(t, x, 0xffu << n, 0);
}

void vector_shift_left(jit_t t, enum x86_xmm x, unsigned scale, unsigned n)
{
    shift_left(t, x, scale, n);
}

static void shift_right(jit_t t, enum x86_xmm x, unsigned scale, unsigned n)
{
    if (shift_bytes(t, x, scale, RIGHT, n))
        return;
    x86_sse_shift(&t->hot, right[scale], x, n);
    if (scale == 0)
        mask(t, x, 0xffu >> n, 0);
}

static void shift_right_signed(jit_t t, enum x86_xmm x, unsigned scale, unsigned n)
{
    struct x86_buf *b = &t->hot;
    unsigned width = 8u << scale;

    if (n == width)
        n--;
    if (shift_bytes(t, x, scale, RIGHT_SIGNED, n))
        return;
    if (scale == 1 || scale == 2) {
        x86_sse_shift(b, scale == 1 ? SSE_SRA_W : SSE_SRA_D, x, n);
        return;
    }
    uint64_t sign = every(1ull << (width - 1 - n), scale);
    const uint8_t *literal = vector_literal(t, sign, sign);
    shift_right(t, x, scale, n);
    x86_sse_rip(b, SSE_PXOR, x, literal);
    x86_sse_rip(b, scale ? SSE_PSUBQ : SSE_PSUBB, x, literal);
}

void vector_shift_right(jit_t t, enum x86_xmm x, unsigned scale, unsigned n, bool is_signed)
{
    if (is_signed)
        shift_right_signed(t, x, scale, n);
    else
        shift_right(t, x, scale, n);
}

bool emit_shl(jit_t t, const struct insn *i)
{
    unsigned scale = simd_imm_size(i), n = simd_imm_left(i);

    if (!vector_enabled(t))
        return false;
    if (vector_rotation(t, i))
        return true;
    if (scale) {
        vector_result_shift(t, i, left[scale], i->rn, n);
    } else {
        vector_load(t, XMM0, i->rn);
        shift_left(t, XMM0, scale, n);
        vector_result(t, i, XMM0);
    }
    return true;
}

/* SSHR, USHR (U<29>), and with bit 12 SSRA, USRA. */
bool emit_shr(jit_t t, const struct insn *i)
{
    unsigned scale = simd_imm_size(i), n = simd_imm_right(i);

    if (!vector_enabled(t))
        return false;
    if (vector_rotation(t, i))
        return true;
    if (scale && bit(i->word, 29) && !bit(i->word, 12)) {
        vector_result_shift(t, i, right[scale], i->rn, n);
        return true;
    }
    vector_load(t, XMM0, i->rn);
    vector_shift_right(t, XMM0, scale, n, !bit(i->word, 29));
    if (bit(i->word, 12))
        vector_result_of(t, i, vector_add[scale], XMM0, vector_use(t, i->rd, XMM1));
    else
        vector_result(t, i, XMM0);
    return true;
}

/* The same rounded: SRSHR, URSHR, SRSRA, URSRA. The highest bit that is lost is added. */
bool emit_rshr(jit_t t, const struct insn *i)
{
    unsigned scale = simd_imm_size(i), n = simd_imm_right(i);

    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rn);
    x86_sse_rr(&t->hot, SSE_MOVAPS, XMM1, XMM0);
    vector_shift_right(t, XMM0, scale, n, !bit(i->word, 29));
    shift_right(t, XMM1, scale, n - 1);
    mask(t, XMM1, 1, scale);
    x86_sse_rr(&t->hot, vector_add[scale], XMM0, XMM1);
    if (bit(i->word, 12))
        vector_op(t, vector_add[scale], XMM0, i->rd);
    vector_result(t, i, XMM0);
    return true;
}

/* The shifted bits into the destination, which keeps the others. */
static void insert(jit_t t, const struct insn *i, uint64_t kept, unsigned scale)
{
    vector_load(t, XMM1, i->rd);
    mask(t, XMM1, kept, scale);
    x86_sse_rr(&t->hot, SSE_POR, XMM0, XMM1);
    vector_result(t, i, XMM0);
}

bool emit_sli(jit_t t, const struct insn *i)
{
    unsigned scale = simd_imm_size(i), n = simd_imm_left(i);

    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rn);
    shift_left(t, XMM0, scale, n);
    insert(t, i, ones(n), scale);
    return true;
}

bool emit_sri(jit_t t, const struct insn *i)
{
    unsigned scale = simd_imm_size(i), n = simd_imm_right(i);

    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rn);
    shift_right(t, XMM0, scale, n);
    insert(t, i, ~ones((8u << scale) - n), scale);
    return true;
}

/* Of elements of twice the size, in XMM0, the low halves: where they are to be, with zero
 * elsewhere.
 */
static const uint8_t *low_halves(jit_t t, unsigned scale, bool upper)
{
    uint64_t from = 0;

    for (unsigned k = 0; k < 8; k++)
        from |= (uint64_t)((k >> scale << (scale + 1)) + (k & ((1u << scale) - 1))) << (8 * k);
    return upper ? vector_literal(t, ~0ull, from) : vector_literal(t, from, ~0ull);
}

/* The low halves of the elements of twice the size: to the lower half, or with Q the upper one. */
static void narrow(jit_t t, const struct insn *i, unsigned scale)
{
    struct x86_buf *b = &t->hot;
    bool upper = bit(i->word, 30);
    const uint8_t *order = low_halves(t, scale, upper);

    if (!upper) {
        enum x86_xmm d = vector_begin(t, i->rd);
        if (t->jit->host.avx) {
            x86_avx_rip(b, SSE_PSHUFB, d, XMM0, order);
        } else {
            x86_sse_rip(b, SSE_PSHUFB, XMM0, order);
            x86_sse_rr(b, SSE_MOVAPS, d, XMM0);
        }
        vector_end(t, i->rd, d, 8);
        return;
    }
    x86_sse_rip(b, SSE_PSHUFB, XMM0, order);
    vector_load_low(t, XMM1, i->rd, 8);
    x86_sse_rr(b, SSE_POR, XMM0, XMM1);
    vector_store(t, i->rd, XMM0);
}

void vector_narrow_high(jit_t t, const struct insn *i, unsigned scale, unsigned n, bool rounds)
{
    uint64_t half = every(1ull << (n - 1), scale + 1);

    if (rounds)
        x86_sse_rip(&t->hot, vector_add[scale + 1], XMM0, vector_literal(t, half, half));
    x86_sse_shift(&t->hot, right[scale + 1], XMM0, n);
    narrow(t, i, scale);
}

bool emit_xtn(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rn);
    narrow(t, i, (unsigned)bits(i->word, 23, 22));
    return true;
}

bool emit_shrn(jit_t t, const struct insn *i)
{
    unsigned scale = simd_imm_size(i);

    if (!vector_enabled(t))
        return false;
    if (t->jit->host.avx) {
        enum x86_xmm n = vector_use(t, i->rn, XMM0);
        x86_avx_shift(&t->hot, right[scale + 1], XMM0, n, simd_imm_right(i));
        narrow(t, i, scale);
    } else {
        vector_load(t, XMM0, i->rn);
        vector_narrow_high(t, i, scale, simd_imm_right(i), false);
    }
    return true;
}

/* Widened, of the lower half, or with Q of the upper one, and shifted. */
static bool widen(jit_t t, const struct insn *i, unsigned scale, bool is_unsigned, unsigned n)
{
    static const enum x86_sse ops[2][3] = { { SSE_PMOVSXBW, SSE_PMOVSXWD, SSE_PMOVSXDQ },
                                            { SSE_PMOVZXBW, SSE_PMOVZXWD, SSE_PMOVZXDQ } };

    if (!vector_enabled(t))
        return false;
    vector_widen(t, ops[is_unsigned][scale], XMM0, i->rn, bit(i->word, 30));
    if (n)
        x86_sse_shift(&t->hot, left[scale + 1], XMM0, n);
    vector_store(t, i->rd, XMM0);
    return true;
}

/* SSHLL, USHLL (U<29>) */
bool emit_shll(jit_t t, const struct insn *i)
{
    return widen(t, i, simd_imm_size(i), bit(i->word, 29), simd_imm_left(i));
}

/* SHLL: by the width of an element. */
bool emit_shll_width(jit_t t, const struct insn *i)
{
    unsigned scale = (unsigned)bits(i->word, 23, 22);

    return widen(t, i, scale, true, 8u << scale);
}
