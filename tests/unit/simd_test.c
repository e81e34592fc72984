/*
 * Advanced SIMD and cryptography, one instruction at a time. Expected values come from the rules of
 * DDI 0487 C7.2 for the instruction, of FIPS 180-4 and of FIPS 197, not from a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "soft/cpu.h"
#include "soft/fp/fp.h"
#include "soft/interp/a64_ops.h"

#define QC FPSR_QC

struct value {
    uint64_t high, low;
};

struct simd_case {
    const char *text; /* V0 is the destination, V1 and V2 the sources */
    uint32_t word;
    struct value d, n, m, result;
    uint32_t flags;
};

/* clang-format off */
#define ONES 0xffffffffffffffff
#define B01  0x0101010101010101
#define B7F  0x7f7f7f7f7f7f7f7f
#define B80  0x8080808080808080
#define SEQ_HIGH 0x0f0e0d0c0b0a0908
#define SEQ_LOW  0x0706050403020100

static const struct simd_case simd_cases[] = {
    /* Saturation; Q of 0 and scalar forms clear the rest. */
    { "sqadd v0.8b, v1.8b, v2.8b", 0x0e220c20, { ONES, ONES }, { B7F, 0x7f80017f00ff7f80 }, { B01, 0x01ff017f00ff0080 }, { 0, 0x7f80027f00fe7f80 }, QC },
    { "uqadd v0.16b, v1.16b, v2.16b", 0x6e220c20, { 0, 0 }, { ONES, 0x01 }, { 0, 0x02 }, { ONES, 0x03 }, 0 },
    { "sqadd b0, b1, b2", 0x5e220c20, { ONES, ONES }, { B7F, B7F }, { B01, B01 }, { 0, 0x7f }, QC },
    { "sqsub h0, h1, h2", 0x5e622c20, { ONES, ONES }, { 0, 0x8000 }, { 0, 1 }, { 0, 0x8000 }, QC },
    { "uqsub v0.4s, v1.4s, v2.4s", 0x6ea22c20, { 0, 0 }, { 0x0000000500000001, 3 }, { 0x0000000100000005, 3 }, { 0x0000000400000000, 0 }, QC },
    { "sqabs v0.16b, v1.16b", 0x4e207820, { 0, 0 }, { 0x80ff7f0100000000, 0 }, { 0, 0 }, { 0x7f017f0100000000, 0 }, QC },
    { "sqneg d0, d1", 0x7ee07820, { ONES, 0 }, { 0, 1ull << 63 }, { 0, 0 }, { 0, INT64_MAX }, QC },
    { "sqdmulh v0.8h, v1.8h, v2.8h", 0x4e62b420, { 0, 0 }, { 0x8000400000000000, 0 }, { 0x8000400000000000, 0 }, { 0x7fff200000000000, 0 }, QC },
    { "sqrdmulh v0.4s, v1.4s, v2.4s", 0x6ea2b420, { 0, 0 }, { 0x0000000100000001, 0 }, { 0x400000003fffffff, 0 }, { 0x0000000100000000, 0 }, 0 },
    /* The accumulator takes part before saturation: -1 + 2^15 squared fits. */
    { "sqrdmlah v0.8h, v1.8h, v2.8h", 0x6e428420, { 0, 0xffff0001 }, { 0, 0x80008000 }, { 0, 0x80008000 }, { 0, 0x7fff7fff }, QC },
    /* Shifts by register: the low byte counts, and is signed. */
    { "sqshl v0.8b, v1.8b, v2.8b", 0x0e224c20, { 0, 0 }, { 0, 0x40408080ff010001 }, { 0, 0x0100f8ff80077f07 }, { 0, 0x7f40ffc0ff7f007f }, QC },
    { "srshl v0.2d, v1.2d, v2.2d", 0x4ee25420, { 0, 0 }, { 3, ONES }, { 0xff, 0x12345600000000c0 }, { 2, 0 }, 0 },
    { "uqshl b0, b1, b2", 0x7e224c20, { 0, 0 }, { 0, 0x81 }, { 0, 1 }, { 0, 0xff }, QC },
    /* Narrowing: into the lower half, or the upper one beside it. */
    { "sqxtun v0.8b, v1.8h", 0x2e212820, { ONES, ONES }, { 0xffff00ff01007fff, 0x0001000000808000 }, { 0, 0 }, { 0, 0x00ffffff01008000 }, QC },
    { "sqxtun2 v0.16b, v1.8h", 0x6e212820, { 1, 2 }, { 0x000000ff00000000, 0 }, { 0, 0 }, { 0x00ff000000000000, 2 }, 0 },
    { "shrn v0.8b, v1.8h, #4", 0x0f0c8420, { ONES, 0 }, { 0xffff0ff0123400f0, 0 }, { 0, 0 }, { 0, 0xffff230f00000000 }, 0 },
    { "rshrn2 v0.8h, v1.4s, #16", 0x4f108c20, { 0, 7 }, { 0x000180000001ffff, 0x00007fffffff8000 }, { 0, 0 }, { 0x0002000200000000, 7 }, 0 },
    { "sqrshrun b0, h1, #1", 0x7f0f8c20, { ONES, ONES }, { 0, 0x01ff }, { 0, 0 }, { 0, 0xff }, QC },
    { "sshr d0, d1, #64", 0x5f400420, { ONES, 0 }, { 0, 1ull << 63 }, { 0, 0 }, { 0, ONES }, 0 },
    { "ushr v0.2d, v1.2d, #64", 0x6f400420, { 1, 1 }, { ONES, ONES }, { 0, 0 }, { 0, 0 }, 0 },
    { "sri v0.16b, v1.16b, #4", 0x6f0c4420, { 0x12, 0x34 }, { 0xab, 0xcd }, { 0, 0 }, { 0x1a, 0x3c }, 0 },
    { "sli v0.16b, v1.16b, #4", 0x6f0c5420, { 0x12, 0x34 }, { 0xab, 0xcd }, { 0, 0 }, { 0xb2, 0xd4 }, 0 },
    /* Comparisons. */
    { "cmtst v0.8b, v1.8b, v2.8b", 0x0e228c20, { ONES, ONES }, { 0, 0x0102030400ff8001 }, { 0, 0x01010101ffff7f01 }, { 0, 0xff00ff0000ff00ff }, 0 },
    { "cmeq v0.16b, v1.16b, v2.16b", 0x6e228c20, { 0, 0 }, { SEQ_HIGH, SEQ_LOW }, { SEQ_HIGH, ONES }, { ONES, 0 }, 0 },
    { "cmhi d0, d1, d2", 0x7ee23420, { ONES, 0 }, { 0, ONES }, { 0, 1 }, { 0, ONES }, 0 },
    /* Pairs and across lanes. */
    { "umaxp v0.16b, v1.16b, v2.16b", 0x6e22a420, { 0, 0 }, { SEQ_HIGH, SEQ_LOW }, { 0xff00000000000000, 0x80 }, { 0xff00000000000080, 0x0f0d0b0907050301 }, 0 },
    { "addp v0.2d, v1.2d, v2.2d", 0x4ee2bc20, { 0, 0 }, { 1, 2 }, { ONES, 1 }, { 0, 3 }, 0 },
    { "addp d0, v1.2d", 0x5ef1b820, { ONES, 0 }, { 1, 2 }, { 0, 0 }, { 0, 3 }, 0 },
    { "addv b0, v1.16b", 0x4e31b820, { ONES, ONES }, { B01, B80 }, { 0, 0 }, { 0, 8 }, 0 },
    { "uaddlv h0, v1.16b", 0x6e303820, { ONES, ONES }, { B01, B80 }, { 0, 0 }, { 0, 0x408 }, 0 },
    { "smaxv h0, v1.8h", 0x4e70a820, { ONES, ONES }, { 0x8000ffff00017fff, B80 }, { 0, 0 }, { 0, 0x7fff }, 0 },
    { "cnt v0.8b, v1.8b", 0x0e205820, { ONES, ONES }, { ONES, 0xff00010380aa5501 }, { 0, 0 }, { 0, 0x0800010201040401 }, 0 },
    /* Permutations. */
    { "rev64 v0.8h, v1.8h", 0x4e600820, { 0, 0 }, { SEQ_HIGH, SEQ_LOW }, { 0, 0 }, { 0x09080b0a0d0c0f0e, 0x0100030205040706 }, 0 },
    { "ext v0.16b, v1.16b, v2.16b, #3", 0x6e021820, { 0, 0 }, { SEQ_HIGH, SEQ_LOW }, { 0, 0xaabbcc }, { 0xaabbcc0f0e0d0c0b, 0x0a09080706050403 }, 0 },
    { "tbl v0.16b, {v31.16b, v0.16b}, v2.16b", 0x4e0223e0, { SEQ_HIGH, SEQ_LOW }, { 0, 0 }, { 0x201f1e1d1c1b1a19, 0x18171615141312ff }, { 0x000f0e0d0c0b0a09, 0x0807060504030200 }, 0 },
    { "tbx v0.8b, {v1.16b}, v2.8b", 0x0e021020, { ONES, B80 }, { SEQ_HIGH, SEQ_LOW }, { 0, 0x0f10ff0000000001 }, { 0, 0x0f80800000000001 }, 0 },
    { "zip1 v0.16b, v1.16b, v2.16b", 0x4e023820, { 0, 0 }, { SEQ_HIGH, SEQ_LOW }, { 0, ONES }, { 0xff07ff06ff05ff04, 0xff03ff02ff01ff00 }, 0 },
    { "uzp2 v0.4h, v1.4h, v2.4h", 0x0e425820, { ONES, 0 }, { 0, SEQ_LOW }, { 0, SEQ_HIGH }, { 0, 0x0f0e0b0a07060302 }, 0 },
    { "trn1 v0.2d, v1.2d, v2.2d", 0x4ec22820, { 0, 0 }, { 1, 2 }, { 3, 4 }, { 4, 2 }, 0 },
    { "dup v0.8b, v1.b[15]", 0x0e1f0420, { ONES, 0 }, { SEQ_HIGH, SEQ_LOW }, { 0, 0 }, { 0, 0x0f0f0f0f0f0f0f0f }, 0 },
    { "mov v0.s[3], v1.s[0]", 0x6e1c0420, { 0x1111111122222222, 3 }, { 0, 0x99999999 }, { 0, 0 }, { 0x9999999922222222, 3 }, 0 },
    /* Modified immediates. */
    { "movi v0.2d, #0xff00ff00ff00ff00", 0x6f05e540, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0xff00ff00ff00ff00, 0xff00ff00ff00ff00 }, 0 },
    { "mvni v0.4s, #0x12, msl #8", 0x6f00c640, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0xffffed00ffffed00, 0xffffed00ffffed00 }, 0 },
    { "orr v0.4h, #0xab, lsl #8", 0x0f05b560, { ONES, 1 }, { 0, 0 }, { 0, 0 }, { 0, 0xab00ab00ab00ab01 }, 0 },
    { "fmov v0.2d, #-1.0", 0x6f07f600, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0xbff0000000000000, 0xbff0000000000000 }, 0 },
    { "fmov h0, #31.0", 0x1ee7f000, { ONES, ONES }, { 0, 0 }, { 0, 0 }, { 0, 0x4fc0 }, 0 },
    /* Multiplication: (x^63 + 1)^2, (x + 1)^2 = x^2 + 1, bytes with sign, elements. */
    { "pmull v0.1q, v1.1d, v2.1d", 0x0ee2e020, { 0, 0 }, { 0, 0x8000000000000001 }, { 0, 0x8000000000000001 }, { 0x4000000000000000, 1 }, 0 },
    { "pmull2 v0.8h, v1.16b, v2.16b", 0x4e22e020, { 0, 0 }, { 0x03ff, 0 }, { 0x0303, 0 }, { 0, 0x00050101 }, 0 },
    { "sdot v0.4s, v1.16b, v2.4b[1]", 0x4fa2e020, { 1, 0 }, { 0x01020304, 0 }, { 0, 0x01ff017f00000000 }, { 1 + 1 - 2 + 3 + 4 * 127, 0 }, 0 },
    { "sqdmull s0, h1, v2.h[7]", 0x5f72b820, { ONES, ONES }, { 0, 0x8000 }, { 0x8000000000000000, 0 }, { 0, 0x7fffffff }, QC },
    { "umlal2 v0.2d, v1.4s, v2.s[3]", 0x6fa22820, { 1, 2 }, { 0xffffffff00000003, 0 }, { 0xffffffff00000000, 0 }, { 0xfffffffe00000002, 0x2ffffffff }, 0 },
    { "raddhn v0.8b, v1.8h, v2.8h", 0x2e224020, { ONES, 0 }, { 0, 0x00000000ff7f0180 }, { 0, 0x0000000000010000 }, { 0, 0x0002 }, 0 },
    { "smull v0.8h, v1.8b, v2.8b", 0x0e22c020, { 0, 0 }, { 0, 0x80ff }, { 0, 0x8002 }, { 0, 0x4000fffe }, 0 },
    /* Floating point. */
    { "fmla s0, s1, v2.s[3]", 0x5fa21820, { ONES, 0x3f800000 }, { 0, 0x40000000 }, { 0x4040000000000000, 0 }, { 0, 0x40e00000 }, 0 },
    { "fcmeq v0.4s, v1.4s, v2.4s", 0x4e22e420, { 0, 0 }, { 0x7fc0000000000000, 0x8000000000000001 }, { 0x7fc0000000000000, 0x0000000000000001 }, { 0x00000000ffffffff, ONES }, 0 },
    /* (d) + i * n.imaginary * m: 1 + 2i times 3 + 5i gives -10 + 6i of it. */
    { "fcmla v0.4s, v1.4s, v2.4s, #90", 0x6e82cc20, { 0, 0 }, { 0, 0x400000003f800000 }, { 0, 0x40a0000040400000 }, { 0, 0x40c00000c1200000 }, 0 },
    { "fmlal2 v0.4s, v1.4h, v2.4h", 0x6e22cc20, { 0, 0x3f800000 }, { 0x4000, 0 }, { 0x4200, 0 }, { 0, 0x40e00000 }, 0 },
    { "fcvtn2 v0.8h, v1.4s", 0x4e216820, { 0, 5 }, { 0x3f800000bf800000, 0x7fc0000047800000 }, { 0, 0 }, { 0x3c00bc007e007c00, 5 }, FPSR_OFC | FPSR_IXC },
    { "fcvtxn s0, d1", 0x7e616820, { ONES, ONES }, { 0, 0x3ff0000000000001 }, { 0, 0 }, { 0, 0x3f800001 }, FPSR_IXC },
    { "fmaxnmv s0, v1.4s", 0x6e30c820, { ONES, ONES }, { 0x7fc000003f800000, 0x40000000ff800000 }, { 0, 0 }, { 0, 0x40000000 }, 0 },
    /* FIPS 197 appendix B, round 1. */
    { "aese v0.16b, v1.16b", 0x4e284820, { 0x0848f8e92a8dc69a, 0x2be2f4a0bee33d19 }, { 0, 0 }, { 0, 0 }, { 0xe598271ef11141b8, 0xae52b4e0305dbfd4 }, 0 },
    { "aesmc v0.16b, v1.16b", 0x4e286820, { 0, 0 }, { 0xe598271ef11141b8, 0xae52b4e0305dbfd4 }, { 0, 0 }, { 0x4c2606287ad3f848, 0x9a19cbe0e5816604 }, 0 },
    { "aesd v0.16b, v1.16b", 0x4e285820, { 0xe598271ef11141b8, 0xae52b4e0305dbfd4 }, { 0, 0 }, { 0, 0 }, { 0x0848f8e92a8dc69a, 0x2be2f4a0bee33d19 }, 0 },
    { "aesimc v0.16b, v1.16b", 0x4e287820, { 0, 0 }, { 0x4c2606287ad3f848, 0x9a19cbe0e5816604 }, { 0, 0 }, { 0xe598271ef11141b8, 0xae52b4e0305dbfd4 }, 0 },
    { "eor3 v0.16b, v1.16b, v2.16b, v3.16b", 0xce020c20, { 0, 0 }, { 1, 2 }, { 4, 8 }, { 5 ^ B80, 10 ^ B80 }, 0 },
    { "bcax v0.16b, v1.16b, v2.16b, v3.16b", 0xce220c20, { 0, 0 }, { 1, 2 }, { ONES, 0x80 }, { B7F ^ 1, 2 }, 0 },
    { "rax1 v0.2d, v1.2d, v2.2d", 0xce628c20, { 0, 0 }, { 1, 0 }, { 1ull << 63, 1 }, { 0, 2 }, 0 },
    { "xar v0.2d, v1.2d, v2.2d, #63", 0xce82fc20, { 0, 0 }, { 1, 0 }, { 1ull << 63, 1 }, { 3, 2 }, 0 },
};
/* clang-format on */

static struct cpu *cpu_create(void)
{
    struct cpu *c = calloc(1, sizeof *c);

    assert_non_null(c);
    c->fp_enabled = true;
    c->v[3] = (union vreg){ .d = { B80, B80 } };
    c->v[31] = (union vreg){ .d = { SEQ_LOW, SEQ_HIGH } };
    return c;
}

/* What an instruction goes on with. */
static const struct insn *stop(struct cpu *c, const struct insn *i)
{
    (void)c;
    return i;
}

static void execute(struct cpu *c, uint32_t word)
{
    struct insn i[2] = { { .word = word }, { .fn = stop } };
    enum a64_op op = a64_decode(word);

    assert_int_not_equal(op, A64_UNDEFINED);
    a64_ops[op].format(&i[0]);
    assert_ptr_equal(a64_ops[op].fn(c, &i[0]), &i[1]);
}

static union vreg vector(struct value v)
{
    return (union vreg){ .d = { v.low, v.high } };
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(simd_cases); k++) {
        const struct simd_case *t = &simd_cases[k];
        struct cpu *c = cpu_create();
        c->v[0] = vector(t->d);
        c->v[1] = vector(t->n);
        c->v[2] = vector(t->m);
        execute(c, t->word);
        if (c->v[0].d[0] != t->result.low || c->v[0].d[1] != t->result.high || c->fpsr != t->flags)
            fail_msg("%s: %016llx:%016llx flags 0x%x", t->text, (unsigned long long)c->v[0].d[1],
                     (unsigned long long)c->v[0].d[0], c->fpsr);
        free(c);
    }
}

/* Encodings that the manual calls reserved. */
static void test_reserved(void **state)
{
    static const uint32_t words[] = {
        0x0ee28420, /* add v0.1d */
        0x4ee29c20, /* mul v0.2d */
        0x0e62dc20, /* fmulx v0.1d */
        0x6e629c20, /* pmul v0.8h */
        0x0ee03820, /* saddlv of 1d */
        0x0eb1b820, /* addv s0, v1.2s */
        0x2e024820, /* ext v0.8b, #9 */
        0x0e080420, /* dup v0.1d */
        0x4e000420, /* dup of no size */
        0x0f400420, /* sshr v0.1d */
        0x0f408420, /* shrn from 128-bit elements */
        0x4fc28020, /* by element, size of no operation */
        0x2f00f400, /* fmov v0.1d */
        0x1ea22820, /* fadd of type 2 */
        0x0c408c00, /* ld2 {v0.1d, v1.1d} */
        0x0d00c400, /* ld1r as a store */
        0x5e226020, /* sha256su1 with a size */
    };

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(words); k++)
        if (a64_decode(words[k]) != A64_UNDEFINED)
            fail_msg("0x%08x", words[k]);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint32_t rol32(uint32_t a, unsigned by)
{
    return a << by | a >> (32 - by);
}

static uint64_t ror64(uint64_t a, unsigned by)
{
    return a >> by | a << (64 - by);
}

/* FIPS 180-4 6.1.2: four rounds of each kind on random states. */
static void test_sha1(void **state)
{
    static const uint32_t word[3] = { 0x5e020020, 0x5e021020, 0x5e022020 }; /* sha1c, p, m */
    uint64_t seed = 1;

    (void)state;
    for (unsigned k = 0; k < 300; k++) {
        struct cpu *c = cpu_create();
        uint32_t s[5], w[4];
        for (unsigned r = 0; r < 5; r++)
            s[r] = (uint32_t)next_random(&seed);
        for (unsigned r = 0; r < 4; r++)
            w[r] = (uint32_t)next_random(&seed);
        c->v[0] = (union vreg){ .s = { s[0], s[1], s[2], s[3] } };
        c->v[1] = (union vreg){ .s = { s[4] } };
        c->v[2] = (union vreg){ .s = { w[0], w[1], w[2], w[3] } };
        execute(c, word[k % 3]);
        for (unsigned r = 0; r < 4; r++) {
            uint32_t ch = (s[1] & s[2]) ^ (~s[1] & s[3]), pa = s[1] ^ s[2] ^ s[3];
            uint32_t ma = (s[1] & s[2]) ^ (s[1] & s[3]) ^ (s[2] & s[3]);
            uint32_t f = k % 3 == 0 ? ch : k % 3 == 1 ? pa : ma;
            uint32_t t = rol32(s[0], 5) + f + s[4] + w[r];
            s[4] = s[3];
            s[3] = s[2];
            s[2] = rol32(s[1], 30);
            s[1] = s[0];
            s[0] = t;
        }
        assert_memory_equal(c->v[0].s, s, 16);
        free(c);
    }
}

/* SHA1SU0 and SHA1SU1: W(t) = ROL(W(t-3) ^ W(t-8) ^ W(t-14) ^ W(t-16), 1). */
static void test_sha1_schedule(void **state)
{
    uint64_t seed = 2;
    uint32_t w[20];
    struct cpu *c = cpu_create();

    (void)state;
    for (unsigned k = 0; k < 16; k++)
        w[k] = (uint32_t)next_random(&seed);
    memcpy(c->v[0].s, w, 16);
    memcpy(c->v[1].s, w + 4, 16);
    memcpy(c->v[2].s, w + 8, 16);
    execute(c, 0x5e023020);
    memcpy(c->v[1].s, w + 12, 16);
    execute(c, 0x5e281820);
    for (unsigned k = 16; k < 20; k++)
        w[k] = rol32(w[k - 3] ^ w[k - 8] ^ w[k - 14] ^ w[k - 16], 1);
    assert_memory_equal(c->v[0].s, w + 16, 16);
    free(c);
}

/* FIPS 180-4 6.2.2. */
static void test_sha256(void **state)
{
    uint64_t seed = 3;

    (void)state;
    for (unsigned k = 0; k < 100; k++) {
        struct cpu *c = cpu_create();
        uint32_t s[8], w[4];
        for (unsigned r = 0; r < 8; r++)
            s[r] = (uint32_t)next_random(&seed);
        for (unsigned r = 0; r < 4; r++)
            w[r] = (uint32_t)next_random(&seed);
        union vreg abcd, efgh;
        memcpy(abcd.s, s, 16);
        memcpy(efgh.s, s + 4, 16);
        memcpy(c->v[2].s, w, 16);
        c->v[0] = abcd;
        c->v[1] = efgh;
        execute(c, 0x5e024020);
        union vreg h = c->v[0];
        c->v[0] = efgh;
        c->v[1] = abcd;
        execute(c, 0x5e025020);
        for (unsigned r = 0; r < 4; r++) {
            uint32_t t1 = s[7] + (rol32(s[4], 26) ^ rol32(s[4], 21) ^ rol32(s[4], 7)) +
                          ((s[4] & s[5]) ^ (~s[4] & s[6])) + w[r];
            uint32_t t2 = (rol32(s[0], 30) ^ rol32(s[0], 19) ^ rol32(s[0], 10)) +
                          ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
            memmove(s + 1, s, 28);
            s[4] += t1;
            s[0] = t1 + t2;
        }
        assert_memory_equal(h.s, s, 16);
        assert_memory_equal(c->v[0].s, s + 4, 16);
        free(c);
    }
}

static void test_sha256_schedule(void **state)
{
    uint64_t seed = 4;
    uint32_t w[20];
    struct cpu *c = cpu_create();

    (void)state;
    for (unsigned k = 0; k < 16; k++)
        w[k] = (uint32_t)next_random(&seed);
    memcpy(c->v[0].s, w, 16);
    memcpy(c->v[1].s, w + 4, 16);
    execute(c, 0x5e282820);
    memcpy(c->v[1].s, w + 8, 16);
    memcpy(c->v[2].s, w + 12, 16);
    execute(c, 0x5e026020);
    for (unsigned k = 16; k < 20; k++) {
        uint32_t a = w[k - 15], b = w[k - 2];
        w[k] = w[k - 16] + (rol32(a, 25) ^ rol32(a, 14) ^ a >> 3) + w[k - 7] +
               (rol32(b, 15) ^ rol32(b, 13) ^ b >> 10);
    }
    assert_memory_equal(c->v[0].s, w + 16, 16);
    free(c);
}

/* FIPS 180-4 6.4.2: two rounds, as the instructions' descriptions combine them. */
static void test_sha512(void **state)
{
    uint64_t seed = 5;

    (void)state;
    for (unsigned k = 0; k < 100; k++) {
        struct cpu *c = cpu_create();
        uint64_t s[8], w[2];
        for (unsigned r = 0; r < 8; r++)
            s[r] = next_random(&seed);
        for (unsigned r = 0; r < 2; r++)
            w[r] = next_random(&seed);
        c->v[0] = (union vreg){ .d = { s[6] + w[1], s[7] + w[0] } };
        c->v[1] = (union vreg){ .d = { s[5], s[6] } };
        c->v[2] = (union vreg){ .d = { s[3], s[4] } };
        execute(c, 0xce628020);
        union vreg t = c->v[0];
        c->v[1] = (union vreg){ .d = { s[2], s[3] } };
        c->v[2] = (union vreg){ .d = { s[0], s[1] } };
        execute(c, 0xce628420);
        union vreg ef = { .d = { s[2] + t.d[0], s[3] + t.d[1] } };
        for (unsigned r = 0; r < 2; r++) {
            uint64_t t1 = s[7] + (ror64(s[4], 14) ^ ror64(s[4], 18) ^ ror64(s[4], 41)) +
                          ((s[4] & s[5]) ^ (~s[4] & s[6])) + w[r];
            uint64_t t2 = (ror64(s[0], 28) ^ ror64(s[0], 34) ^ ror64(s[0], 39)) +
                          ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
            memmove(s + 1, s, 56);
            s[4] += t1;
            s[0] = t1 + t2;
        }
        assert_memory_equal(c->v[0].d, s, 16);
        assert_memory_equal(ef.d, s + 4, 16);
        free(c);
    }
}

static void test_sha512_schedule(void **state)
{
    uint64_t seed = 6;
    uint64_t w[18];
    struct cpu *c = cpu_create();

    (void)state;
    for (unsigned k = 0; k < 16; k++)
        w[k] = next_random(&seed);
    memcpy(c->v[0].d, w, 16);
    memcpy(c->v[1].d, w + 2, 16);
    execute(c, 0xcec08020);
    memcpy(c->v[1].d, w + 14, 16);
    memcpy(c->v[2].d, w + 9, 16);
    execute(c, 0xce628820);
    for (unsigned k = 16; k < 18; k++) {
        uint64_t a = w[k - 15], b = w[k - 2];
        w[k] = w[k - 16] + (ror64(a, 1) ^ ror64(a, 8) ^ a >> 7) + w[k - 7] +
               (ror64(b, 19) ^ ror64(b, 61) ^ b >> 6);
    }
    assert_memory_equal(c->v[0].d, w + 16, 16);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),  cmocka_unit_test(test_reserved),
        cmocka_unit_test(test_sha1),   cmocka_unit_test(test_sha1_schedule),
        cmocka_unit_test(test_sha256), cmocka_unit_test(test_sha256_schedule),
        cmocka_unit_test(test_sha512), cmocka_unit_test(test_sha512_schedule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
