/*
 * Known answers: what ciphers and signatures are made of, with loops that the JIT has most to do
 * with. A number of eight words times one of many, Montgomery multiplication, and ChaCha20 (RFC
 * 8439), whose results are computed here in another way. Other tests compare with the interpreter
 * over a few turns; these have hundreds, in several pages.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/hv/guest.h"

#define TABLES (GUEST_RAM + 0x4000)
#define FROM   (GUEST_DATA + 0xfb8) /* what is read: it ends in another page */
#define TO     (GUEST_STACK + 0x7f0)

/* x6 to x13 times the x1 words at x0, to x2: each turn adds a row and is done with one word. */
static const uint32_t row_code[] = {
    0xf8408404, /* ldr x4, [x0], #8 */
    0x9b047cce, /* mul x14, x6, x4 */
    0x9b047cef, /* mul x15, x7, x4 */
    0x9b047d10, /* mul x16, x8, x4 */
    0x9b047d31, /* mul x17, x9, x4 */
    0xab0e0273, /* adds x19, x19, x14 */
    0x9b047d4e, /* mul x14, x10, x4 */
    0xba0f0294, /* adcs x20, x20, x15 */
    0x9b047d6f, /* mul x15, x11, x4 */
    0xba1002b5, /* adcs x21, x21, x16 */
    0x9b047d90, /* mul x16, x12, x4 */
    0xba1102d6, /* adcs x22, x22, x17 */
    0x9b047db1, /* mul x17, x13, x4 */
    0xba0e02f7, /* adcs x23, x23, x14 */
    0x9bc47cce, /* umulh x14, x6, x4 */
    0xba0f0318, /* adcs x24, x24, x15 */
    0x9bc47cef, /* umulh x15, x7, x4 */
    0xba100339, /* adcs x25, x25, x16 */
    0x9bc47d10, /* umulh x16, x8, x4 */
    0xba11035a, /* adcs x26, x26, x17 */
    0x9bc47d31, /* umulh x17, x9, x4 */
    0x9a1f00bc, /* adc x28, x5, xzr */
    0xf8008453, /* str x19, [x2], #8 */
    0xab0e0293, /* adds x19, x20, x14 */
    0x9bc47d4e, /* umulh x14, x10, x4 */
    0xba0f02b4, /* adcs x20, x21, x15 */
    0x9bc47d6f, /* umulh x15, x11, x4 */
    0xba1002d5, /* adcs x21, x22, x16 */
    0x9bc47d90, /* umulh x16, x12, x4 */
    0xba1102f6, /* adcs x22, x23, x17 */
    0x9bc47db1, /* umulh x17, x13, x4 */
    0xcb02001b, /* sub x27, x0, x2 */
    0xba0e0317, /* adcs x23, x24, x14 */
    0xba0f0338, /* adcs x24, x25, x15 */
    0xd1000421, /* sub x1, x1, #0x1 */
    0xba100359, /* adcs x25, x26, x16 */
    0xba11039a, /* adcs x26, x28, x17 */
    0x9a1f03e5, /* adc x5, xzr, xzr */
    0xb5fffb41, /* cbnz x1, row */
    0xa9005053, /* stp x19, x20, [x2] */
    0xa9015855, /* stp x21, x22, [x2, #16] */
    0xa9026057, /* stp x23, x24, [x2, #32] */
    0xa9036859, /* stp x25, x26, [x2, #48] */
    0xd42000e0, /* brk #7 */
};

/* x6 to x9 times the x1 bytes at x0, divided by 2 to so many bits, modulo x10 to x13; x3 is minus
 * the modulus' lowest word's inverse. The factors of the modulus go to x2, behind them the result.
 */
static const uint32_t montgomery_code[] = {
    0xf8408404, /* ldr x4, [x0], #8 */
    0x9b047cce, /* mul x14, x6, x4 */
    0x9bc47ccf, /* umulh x15, x6, x4 */
    0x9b047cf0, /* mul x16, x7, x4 */
    0x9bc47cf1, /* umulh x17, x7, x4 */
    0xab0e0273, /* adds x19, x19, x14 */
    0x9b047d0e, /* mul x14, x8, x4 */
    0xba100294, /* adcs x20, x20, x16 */
    0x9bc47d10, /* umulh x16, x8, x4 */
    0xba0e02b5, /* adcs x21, x21, x14 */
    0x9b047d2e, /* mul x14, x9, x4 */
    0xba0e02d6, /* adcs x22, x22, x14 */
    0x9bc47d2e, /* umulh x14, x9, x4 */
    0x9a1f02f7, /* adc x23, x23, xzr */
    0x9b037e65, /* mul x5, x19, x3 */
    0xab0f0294, /* adds x20, x20, x15 */
    0x9b057d4f, /* mul x15, x10, x5 */
    0xba1102b5, /* adcs x21, x21, x17 */
    0x9b057d71, /* mul x17, x11, x5 */
    0xba1002d6, /* adcs x22, x22, x16 */
    0xba0e02f7, /* adcs x23, x23, x14 */
    0x9bc57d4e, /* umulh x14, x10, x5 */
    0x9a1f03f8, /* adc x24, xzr, xzr */
    0xf8008445, /* str x5, [x2], #8 */
    0xab0f027f, /* cmn x19, x15 */
    0x9bc57d6f, /* umulh x15, x11, x5 */
    0xba110294, /* adcs x20, x20, x17 */
    0x9b057d90, /* mul x16, x12, x5 */
    0xba1002b5, /* adcs x21, x21, x16 */
    0x9bc57d90, /* umulh x16, x12, x5 */
    0x9b057db1, /* mul x17, x13, x5 */
    0xba1102d6, /* adcs x22, x22, x17 */
    0x9bc57db1, /* umulh x17, x13, x5 */
    0xba1f02f7, /* adcs x23, x23, xzr */
    0x9a1f0318, /* adc x24, x24, xzr */
    0xab0e0293, /* adds x19, x20, x14 */
    0xba0f02b4, /* adcs x20, x21, x15 */
    0xba1002d5, /* adcs x21, x22, x16 */
    0xd1002021, /* sub x1, x1, #0x8 */
    0xba1102f6, /* adcs x22, x23, x17 */
    0x9a1f0317, /* adc x23, x24, xzr */
    0xb5fffae1, /* cbnz x1, turn */
    0xa9005053, /* stp x19, x20, [x2] */
    0xa9015855, /* stp x21, x22, [x2, #16] */
    0xf9001057, /* str x23, [x2, #32] */
    0xd42000e0, /* brk #7 */
};

/* x1 blocks from x0 to x2 with the state in v16 to v19; v20 counts. */
static const uint32_t chacha_code[] = {
    0x4eb01e00, /* mov v0.16b, v16.16b */
    0x4eb11e21, /* mov v1.16b, v17.16b */
    0x4eb21e42, /* mov v2.16b, v18.16b */
    0x4eb31e63, /* mov v3.16b, v19.16b */
    0xd2800143, /* mov x3, #0xa */
    0x4ea18400, /* add v0.4s, v0.4s, v1.4s */
    0x6e201c63, /* eor v3.16b, v3.16b, v0.16b */
    0x6e600863, /* rev32 v3.8h, v3.8h */
    0x4ea38442, /* add v2.4s, v2.4s, v3.4s */
    0x6e221c24, /* eor v4.16b, v1.16b, v2.16b */
    0x6f2c0481, /* ushr v1.4s, v4.4s, #20 */
    0x6f2c5481, /* sli v1.4s, v4.4s, #12 */
    0x4ea18400, /* add v0.4s, v0.4s, v1.4s */
    0x6e201c64, /* eor v4.16b, v3.16b, v0.16b */
    0x6f280483, /* ushr v3.4s, v4.4s, #24 */
    0x6f285483, /* sli v3.4s, v4.4s, #8 */
    0x4ea38442, /* add v2.4s, v2.4s, v3.4s */
    0x6e221c24, /* eor v4.16b, v1.16b, v2.16b */
    0x6f270481, /* ushr v1.4s, v4.4s, #25 */
    0x6f275481, /* sli v1.4s, v4.4s, #7 */
    0x6e012021, /* ext v1.16b, v1.16b, v1.16b, #4 */
    0x6e024042, /* ext v2.16b, v2.16b, v2.16b, #8 */
    0x6e036063, /* ext v3.16b, v3.16b, v3.16b, #12 */
    0x4ea18400, /* add v0.4s, v0.4s, v1.4s */
    0x6e201c63, /* eor v3.16b, v3.16b, v0.16b */
    0x6e600863, /* rev32 v3.8h, v3.8h */
    0x4ea38442, /* add v2.4s, v2.4s, v3.4s */
    0x6e221c24, /* eor v4.16b, v1.16b, v2.16b */
    0x4f2c5481, /* shl v1.4s, v4.4s, #12 */
    0x6f2c4481, /* sri v1.4s, v4.4s, #20 */
    0x4ea18400, /* add v0.4s, v0.4s, v1.4s */
    0x6e201c64, /* eor v4.16b, v3.16b, v0.16b */
    0x4f285483, /* shl v3.4s, v4.4s, #8 */
    0x6f284483, /* sri v3.4s, v4.4s, #24 */
    0x4ea38442, /* add v2.4s, v2.4s, v3.4s */
    0x6e221c24, /* eor v4.16b, v1.16b, v2.16b */
    0x4f275481, /* shl v1.4s, v4.4s, #7 */
    0x6f274481, /* sri v1.4s, v4.4s, #25 */
    0x6e016021, /* ext v1.16b, v1.16b, v1.16b, #12 */
    0x6e024042, /* ext v2.16b, v2.16b, v2.16b, #8 */
    0x6e032063, /* ext v3.16b, v3.16b, v3.16b, #4 */
    0xf1000463, /* subs x3, x3, #0x1 */
    0x54fffb61, /* b.ne round */
    0x4eb08400, /* add v0.4s, v0.4s, v16.4s */
    0x4eb18421, /* add v1.4s, v1.4s, v17.4s */
    0x4eb28442, /* add v2.4s, v2.4s, v18.4s */
    0x4eb38463, /* add v3.4s, v3.4s, v19.4s */
    0xacc11404, /* ldp q4, q5, [x0], #32 */
    0xacc11c06, /* ldp q6, q7, [x0], #32 */
    0x6e241c00, /* eor v0.16b, v0.16b, v4.16b */
    0x6e251c21, /* eor v1.16b, v1.16b, v5.16b */
    0x6e261c42, /* eor v2.16b, v2.16b, v6.16b */
    0x6e271c63, /* eor v3.16b, v3.16b, v7.16b */
    0xac810440, /* stp q0, q1, [x2], #32 */
    0xac810c42, /* stp q2, q3, [x2], #32 */
    0x4eb48673, /* add v19.4s, v19.4s, v20.4s */
    0xd1000421, /* sub x1, x1, #0x1 */
    0xb5fff8e1, /* cbnz x1, block */
    0xd42000e0, /* brk #7 */
};

static uint64_t state = GUEST_RANDOM;

static uint64_t word(void)
{
    uint64_t high = guest_random(&state) >> 32;

    return high << 32 | guest_random(&state) >> 32;
}

static void load(const struct guest *g, uint64_t at, void *to, size_t bytes)
{
    memcpy(to, g->ram + (at - GUEST_RAM), bytes);
}

static void store(struct guest *g, uint64_t at, const void *from, size_t bytes)
{
    memcpy(g->ram + (at - GUEST_RAM), from, bytes);
}

static void open_guest(struct guest *g, const uint32_t *code, unsigned count)
{
    CHECK_OK(hvx_set_engine(getenv("IREKO_ENGINE")));
    guest_open(g, code, count);
    guest_write_tables(g->ram + (TABLES - GUEST_RAM), TABLES);
    guest_mmu_on(g->vcpu, TABLES);
    guest_set_sys(g, HV_SYS_REG_CPACR_EL1, 3u << 20);
    guest_set_reg(g, HV_REG_X0, FROM);
    guest_set_reg(g, HV_REG_X2, TO);
}

/* sum[0 to count] += n[0 to count - 1] * factor, with whatever carry there is. */
static void add_product(uint64_t *sum, const uint64_t *n, unsigned count, uint64_t factor)
{
    unsigned __int128 carry = 0;

    for (unsigned k = 0; k < count; k++) {
        carry += (unsigned __int128)n[k] * factor + sum[k];
        sum[k] = (uint64_t)carry;
        carry >>= 64;
    }
    for (unsigned k = count; carry; k++) {
        carry += sum[k];
        sum[k] = (uint64_t)carry;
        carry >>= 64;
    }
}

#define ROWS 350

static void a_long_product(void)
{
    uint64_t a[8], b[ROWS], want[ROWS + 9] = { 0 }, got[ROWS + 8];
    struct guest g;

    open_guest(&g, row_code, sizeof row_code / 4);
    for (unsigned n = 0; n < 8; n++) {
        a[n] = n == 3 ? ~0ull : word();
        guest_set_reg(&g, HV_REG_X0 + 6 + n, a[n]);
    }
    for (unsigned n = 0; n < ROWS; n++) {
        b[n] = n % 5 ? word() : ~0ull;
        add_product(want + n, a, 8, b[n]);
    }
    store(&g, FROM, b, sizeof b);
    guest_set_reg(&g, HV_REG_X0 + 1, ROWS);
    CHECK(guest_run_brk(&g, 7));
    load(&g, TO, got, sizeof got);
    CHECK(memcmp(got, want, sizeof got) == 0);
    guest_close(&g);
}

/* -1 / n, modulo 2 to the 64, by Newton's method. */
static uint64_t minus_inverse(uint64_t n)
{
    uint64_t inverse = n;

    for (unsigned k = 0; k < 6; k++)
        inverse *= 2 - n * inverse;
    return -inverse;
}

static void montgomery_multiplication(void)
{
    uint64_t a[4], n[4], b[ROWS], sum[ROWS + 6] = { 0 }, factors[ROWS], got[ROWS + 5];
    struct guest g;

    open_guest(&g, montgomery_code, sizeof montgomery_code / 4);
    for (unsigned k = 0; k < 4; k++) {
        a[k] = word();
        n[k] = word() | (k == 0) | (uint64_t)(k == 3) << 63;
        guest_set_reg(&g, HV_REG_X0 + 6 + k, a[k]);
        guest_set_reg(&g, HV_REG_X0 + 10 + k, n[k]);
    }
    for (unsigned k = 0; k < ROWS; k++) {
        b[k] = k % 7 ? word() : ~0ull;
        add_product(sum + k, a, 4, b[k]);
        factors[k] = sum[k] * minus_inverse(n[0]);
        add_product(sum + k, n, 4, factors[k]);
        CHECK_EQ(sum[k], 0);
    }
    store(&g, FROM, b, sizeof b);
    guest_set_reg(&g, HV_REG_X0 + 1, sizeof b);
    guest_set_reg(&g, HV_REG_X0 + 3, minus_inverse(n[0]));
    CHECK(guest_run_brk(&g, 7));
    load(&g, TO, got, sizeof got);
    CHECK(memcmp(got, factors, sizeof factors) == 0);
    CHECK(memcmp(got + ROWS, sum + ROWS, 5 * sizeof got[0]) == 0);
    guest_close(&g);
}

#define BLOCKS 70

static void quarter_round(uint32_t *x, unsigned a, unsigned b, unsigned c, unsigned d)
{
    static const uint8_t left[4] = { 16, 12, 8, 7 };

    for (unsigned k = 0; k < 4; k++) {
        unsigned from = k % 2 ? c : a, by = k % 2 ? d : b, to = k % 2 ? b : d;
        x[from] += x[by];
        x[to] ^= x[from];
        x[to] = x[to] << left[k] | x[to] >> (32 - left[k]);
    }
}

static void chacha_block(const uint32_t *in, uint32_t *out)
{
    memcpy(out, in, 64);
    for (unsigned round = 0; round < 20; round++)
        for (unsigned k = 0; k < 4; k++) {
            unsigned turn = round % 2;
            quarter_round(out, k, 4 + (k + turn) % 4, 8 + (k + 2 * turn) % 4,
                          12 + (k + 3 * turn) % 4);
        }
    for (unsigned k = 0; k < 16; k++)
        out[k] += in[k];
}

static void set_vector(const struct guest *g, unsigned v, const uint32_t *words)
{
    hv_simd_fp_uchar16_t value;

    memcpy(&value, words, sizeof value);
    CHECK_OK(hv_vcpu_set_simd_fp_reg(g->vcpu, (hv_simd_fp_reg_t)(HV_SIMD_FP_REG_Q0 + v), value));
}

static void chacha20(void)
{
    /* RFC 8439, 2.3.2: the key is 0, 1, 2, ... */
    static const uint32_t answer[16] = {
        0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033,
        0x9aaa2204, 0x4e6cd4c3, 0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9,
        0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2,
    };
    static const uint32_t one[4] = { 1 };
    uint32_t in[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 };
    uint32_t text[BLOCKS][16] = { { 0 } }, got[BLOCKS][16], key[16];
    struct guest g;

    open_guest(&g, chacha_code, sizeof chacha_code / 4);
    for (unsigned n = 0; n < 8; n++)
        in[4 + n] = n * 0x04040404 + 0x03020100;
    in[12] = 1;
    in[13] = 0x09000000;
    in[14] = 0x4a000000;
    for (unsigned n = 0; n < 4; n++)
        set_vector(&g, 16 + n, in + 4 * n);
    set_vector(&g, 20, one);
    for (unsigned n = 16; n < BLOCKS * 16; n++)
        text[n / 16][n % 16] = (uint32_t)word();
    store(&g, FROM, text, sizeof text);
    guest_set_reg(&g, HV_REG_X0 + 1, BLOCKS);
    CHECK(guest_run_brk(&g, 7));
    load(&g, TO, got, sizeof got);
    CHECK(memcmp(got[0], answer, sizeof answer) == 0);
    for (unsigned n = 0; n < BLOCKS; n++, in[12]++) {
        chacha_block(in, key);
        for (unsigned k = 0; k < 16; k++)
            CHECK_EQ(got[n][k], key[k] ^ text[n][k]);
    }
    guest_close(&g);
}

int main(void)
{
    RUN(a_long_product);
    RUN(montgomery_multiplication);
    RUN(chacha20);
    return check_finish();
}
