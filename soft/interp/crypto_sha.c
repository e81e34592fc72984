/*
 * SHA-1, SHA-256, SHA-512 and the three-way operations of SHA-3. DDI 0487 C7.2, SHAchoose(),
 * SHAmajority(), SHA256hash(); FIPS 180-4.
 */
#include "soft/interp/simd.h"

static uint32_t rol32(uint32_t a, unsigned by)
{
    return a << by | a >> (32 - by);
}

static uint32_t ror32(uint32_t a, unsigned by)
{
    return a >> by | a << (32 - by);
}

static uint64_t ror64(uint64_t a, unsigned by)
{
    return by ? a >> by | a << (64 - by) : a;
}

static uint32_t choose(uint32_t x, uint32_t y, uint32_t z)
{
    return ((y ^ z) & x) ^ z;
}

static uint32_t parity(uint32_t x, uint32_t y, uint32_t z)
{
    return x ^ y ^ z;
}

static uint32_t majority(uint32_t x, uint32_t y, uint32_t z)
{
    return (x & y) | ((x | y) & z);
}

/* Four rounds of SHA-1: d holds A to D, n has E, m the words of the schedule. */
typedef uint32_t sha1_function(uint32_t x, uint32_t y, uint32_t z);

static const struct insn *sha1_rounds(struct cpu *c, const struct insn *i, sha1_function *f)
{
    fp_check(c, i);
    union vreg x = c->v[i->rd];
    const union vreg w = c->v[i->rm];
    uint32_t y = c->v[i->rn].s[0];

    for (unsigned k = 0; k < 4; k++) {
        y += rol32(x.s[0], 5) + f(x.s[1], x.s[2], x.s[3]) + w.s[k];
        x.s[1] = rol32(x.s[1], 30);
        uint32_t last = x.s[3];
        x = (union vreg){ .s = { y, x.s[0], x.s[1], x.s[2] } };
        y = last;
    }
    c->v[i->rd] = x;
    return interp_next(c, i);
}

INSN(SHA1C)
{
    return sha1_rounds(c, i, choose);
}

INSN(SHA1P)
{
    return sha1_rounds(c, i, parity);
}

INSN(SHA1M)
{
    return sha1_rounds(c, i, majority);
}

INSN(SHA1H)
{
    fp_check(c, i);
    return simd_write_scalar(c, i, rol32(c->v[i->rn].s[0], 30));
}

INSN(SHA1SU0)
{
    fp_check(c, i);
    const union vreg d = c->v[i->rd], n = c->v[i->rn], m = c->v[i->rm];
    c->v[i->rd] = (union vreg){ .d = { d.d[1] ^ d.d[0] ^ m.d[0], n.d[0] ^ d.d[1] ^ m.d[1] } };
    return interp_next(c, i);
}

INSN(SHA1SU1)
{
    fp_check(c, i);
    const union vreg d = c->v[i->rd], n = c->v[i->rn];
    union vreg r;
    for (unsigned k = 0; k < 4; k++)
        r.s[k] = rol32(d.s[k] ^ (k < 3 ? n.s[k + 1] : 0), 1);
    r.s[3] ^= rol32(d.s[0] ^ n.s[1], 2);
    c->v[i->rd] = r;
    return interp_next(c, i);
}

/* Four rounds of SHA-256: x holds A to D, y E to H. */
static void sha256_rounds(union vreg *x, union vreg *y, const union vreg *w)
{
    for (unsigned k = 0; k < 4; k++) {
        uint32_t e = y->s[0], a = x->s[0];
        uint32_t t = y->s[3] + (ror32(e, 6) ^ ror32(e, 11) ^ ror32(e, 25)) +
                     choose(e, y->s[1], y->s[2]) + w->s[k];
        uint32_t new_e = x->s[3] + t;
        uint32_t new_a =
            t + (ror32(a, 2) ^ ror32(a, 13) ^ ror32(a, 22)) + majority(a, x->s[1], x->s[2]);
        *x = (union vreg){ .s = { new_a, x->s[0], x->s[1], x->s[2] } };
        *y = (union vreg){ .s = { new_e, y->s[0], y->s[1], y->s[2] } };
    }
}

INSN(SHA256H)
{
    fp_check(c, i);
    union vreg x = c->v[i->rd], y = c->v[i->rn];
    const union vreg w = c->v[i->rm];
    sha256_rounds(&x, &y, &w);
    c->v[i->rd] = x;
    return interp_next(c, i);
}

INSN(SHA256H2)
{
    fp_check(c, i);
    union vreg x = c->v[i->rn], y = c->v[i->rd];
    const union vreg w = c->v[i->rm];
    sha256_rounds(&x, &y, &w);
    c->v[i->rd] = y;
    return interp_next(c, i);
}

INSN(SHA256SU0)
{
    fp_check(c, i);
    const union vreg d = c->v[i->rd], n = c->v[i->rn];
    union vreg r;
    for (unsigned k = 0; k < 4; k++) {
        uint32_t t = k < 3 ? d.s[k + 1] : n.s[0];
        r.s[k] = d.s[k] + (ror32(t, 7) ^ ror32(t, 18) ^ t >> 3);
    }
    c->v[i->rd] = r;
    return interp_next(c, i);
}

INSN(SHA256SU1)
{
    fp_check(c, i);
    const union vreg d = c->v[i->rd], n = c->v[i->rn], m = c->v[i->rm];
    union vreg r;
    for (unsigned k = 0; k < 4; k++) {
        uint32_t t = k < 2 ? m.s[k + 2] : r.s[k - 2];
        uint32_t before = k < 3 ? n.s[k + 1] : m.s[0];
        r.s[k] = d.s[k] + before + (ror32(t, 17) ^ ror32(t, 19) ^ t >> 10);
    }
    c->v[i->rd] = r;
    return interp_next(c, i);
}

/* SHA-512, two rounds. */

static uint64_t big_sigma1(uint64_t a)
{
    return ror64(a, 14) ^ ror64(a, 18) ^ ror64(a, 41);
}

static uint64_t big_sigma0(uint64_t a)
{
    return ror64(a, 28) ^ ror64(a, 34) ^ ror64(a, 39);
}

INSN(SHA512H)
{
    fp_check(c, i);
    const union vreg x = c->v[i->rn], y = c->v[i->rm], w = c->v[i->rd];
    union vreg r;
    r.d[1] = w.d[1] + big_sigma1(y.d[1]) + ((y.d[1] & x.d[0]) ^ (~y.d[1] & x.d[1]));
    uint64_t t = r.d[1] + y.d[0];
    r.d[0] = w.d[0] + big_sigma1(t) + ((t & y.d[1]) ^ (~t & x.d[0]));
    c->v[i->rd] = r;
    return interp_next(c, i);
}

INSN(SHA512H2)
{
    fp_check(c, i);
    const union vreg x = c->v[i->rn], y = c->v[i->rm], w = c->v[i->rd];
    union vreg r;
    r.d[1] =
        w.d[1] + big_sigma0(y.d[0]) + ((x.d[0] & y.d[1]) ^ (x.d[0] & y.d[0]) ^ (y.d[1] & y.d[0]));
    r.d[0] =
        w.d[0] + big_sigma0(r.d[1]) + ((r.d[1] & y.d[0]) ^ (r.d[1] & y.d[1]) ^ (y.d[1] & y.d[0]));
    c->v[i->rd] = r;
    return interp_next(c, i);
}

static uint64_t small_sigma0(uint64_t a)
{
    return ror64(a, 1) ^ ror64(a, 8) ^ a >> 7;
}

static uint64_t small_sigma1(uint64_t a)
{
    return ror64(a, 19) ^ ror64(a, 61) ^ a >> 6;
}

INSN(SHA512SU0)
{
    fp_check(c, i);
    const union vreg w = c->v[i->rd], x = c->v[i->rn];
    c->v[i->rd] =
        (union vreg){ .d = { w.d[0] + small_sigma0(w.d[1]), w.d[1] + small_sigma0(x.d[0]) } };
    return interp_next(c, i);
}

INSN(SHA512SU1)
{
    fp_check(c, i);
    const union vreg x = c->v[i->rn], y = c->v[i->rm], w = c->v[i->rd];
    c->v[i->rd] = (union vreg){ .d = { w.d[0] + small_sigma1(x.d[0]) + y.d[0],
                                       w.d[1] + small_sigma1(x.d[1]) + y.d[1] } };
    return interp_next(c, i);
}

/* SHA-3: one expression of n, m and a on each doubleword. */
#define SHA3_LANES(name, expression)                                                               \
    INSN(name)                                                                                     \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        const union vreg vn = c->v[i->rn], vm = c->v[i->rm], va = c->v[i->ra];                     \
        union vreg r;                                                                              \
        for (unsigned k = 0; k < 2; k++) {                                                         \
            uint64_t n = vn.d[k], m = vm.d[k], a = va.d[k];                                        \
            (void)a;                                                                               \
            r.d[k] = (expression);                                                                 \
        }                                                                                          \
        c->v[i->rd] = r;                                                                           \
        return interp_next(c, i);                                                                  \
    }

SHA3_LANES(EOR3, n ^ m ^ a)
SHA3_LANES(BCAX, n ^ (m & ~a))
SHA3_LANES(RAX1, n ^ ror64(m, 63))
SHA3_LANES(XAR, ror64(n ^ m, (unsigned)bits(i->word, 15, 10)))
