/*
 * What the SIMD and FP files of this folder share: fields, elements, and loops over elements.
 *
 * Every class of Advanced SIMD encodings has its scalar forms under the same bits with bit 28 set,
 * so one function serves both: it works on simd_elements() elements and clears the rest of the
 * register. Operations that compilers turn into host vector code are loops over all 16 bytes
 * (SIMD_LANES); the others call a function per element (simd_map2 and its family), with elements
 * zero-extended to 64 bits and `esize` their width.
 */
#ifndef SOFT_INTERP_SIMD_H
#define SOFT_INTERP_SIMD_H

#include "soft/fp/fp.h"
#include "soft/interp/interp.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static inline bool simd_q(const struct insn *i)
{
    return bit(i->word, 30);
}

static inline bool simd_u(const struct insn *i)
{
    return bit(i->word, 29);
}

static inline bool simd_scalar(const struct insn *i)
{
    return bit(i->word, 28);
}

/* log2 of the element's bytes, in most classes. */
static inline unsigned simd_size(const struct insn *i)
{
    return i->word >> 22 & 3;
}

/* How many elements of 1 << size bytes the instruction works on. */
static inline unsigned simd_elements(const struct insn *i, unsigned size)
{
    return simd_scalar(i) ? 1 : (simd_q(i) ? 16u : 8u) >> size;
}

static inline uint64_t simd_get(const union vreg *v, unsigned size, unsigned k)
{
    switch (size) {
    case 0:
        return v->b[k];
    case 1:
        return v->h[k];
    case 2:
        return v->s[k];
    default:
        return v->d[k];
    }
}

static inline void simd_set(union vreg *v, unsigned size, unsigned k, uint64_t value)
{
    switch (size) {
    case 0:
        v->b[k] = (uint8_t)value;
        break;
    case 1:
        v->h[k] = (uint16_t)value;
        break;
    case 2:
        v->s[k] = (uint32_t)value;
        break;
    default:
        v->d[k] = value;
        break;
    }
}

/* Write a result of 16 bytes, or of 8 when Q is 0. */
static inline const struct insn *simd_write(struct cpu *c, const struct insn *i, union vreg r)
{
    if (!simd_q(i))
        r.d[1] = 0;
    c->v[i->rd] = r;
    return interp_next(c, i);
}

/* Write a scalar to SIMD&FP register `rd`: the rest becomes zero. */
static inline const struct insn *simd_write_scalar(struct cpu *c, const struct insn *i,
                                                   uint64_t value)
{
    c->v[i->rd] = (union vreg){ .d = { value, 0 } };
    return interp_next(c, i);
}

/* The same for functions that gave the address of an FP environment away: their frame is in use to
 * their end, so they cannot go on from here. */
static inline const struct insn *simd_write_fp(struct cpu *c, const struct insn *i, uint64_t value)
{
    c->v[i->rd] = (union vreg){ .d = { value, 0 } };
    return i + 1;
}

/* Operands of a loop over lanes: a and b are the elements of n and m, acc that of the destination,
 * and the expression becomes the element of the result. */
#define SIMD_LANE_LOOP(member, expression)                                                         \
    for (unsigned k = 0; k < ARRAY_LEN(r.member); k++) {                                           \
        __auto_type a = n.member[k];                                                               \
        __auto_type b = m.member[k];                                                               \
        __auto_type acc = d.member[k];                                                             \
        (void)a, (void)b, (void)acc;                                                               \
        r.member[k] = (__typeof__(r.member[0]))(expression);                                       \
    }

/* The same for elements of 1 << log2_size bytes; the members are of four sizes. */
#define SIMD_LANE_SWITCH(log2_size, m8, m16, m32, m64, expression)                                 \
    switch (log2_size) {                                                                           \
    case 0:                                                                                        \
        SIMD_LANE_LOOP(m8, expression)                                                             \
        break;                                                                                     \
    case 1:                                                                                        \
        SIMD_LANE_LOOP(m16, expression)                                                            \
        break;                                                                                     \
    case 2:                                                                                        \
        SIMD_LANE_LOOP(m32, expression)                                                            \
        break;                                                                                     \
    default:                                                                                       \
        SIMD_LANE_LOOP(m64, expression)                                                            \
        break;                                                                                     \
    }

/* Define an instruction on elements of any size: an expression of unsigned a, b and acc ... */
#define SIMD_LANES(name, expression)                                                               \
    INSN(name)                                                                                     \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        const union vreg n = c->v[i->rn], m = c->v[i->rm], d = c->v[i->rd];                        \
        union vreg r;                                                                              \
        SIMD_LANE_SWITCH(simd_size(i), b, h, s, d, expression)                                     \
        return simd_write_lanes(c, i, r);                                                          \
    }

/* ... and of signed ones. */
#define SIMD_SIGNED_LANES(name, expression)                                                        \
    INSN(name)                                                                                     \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        const union vreg n = c->v[i->rn], m = c->v[i->rm], d = c->v[i->rd];                        \
        union vreg r;                                                                              \
        SIMD_LANE_SWITCH(simd_size(i), sb, sh, ss, sd, expression)                                 \
        return simd_write_lanes(c, i, r);                                                          \
    }

/* The result of SIMD_LANES: scalar forms that use it have 64-bit elements only. */
static inline const struct insn *simd_write_lanes(struct cpu *c, const struct insn *i, union vreg r)
{
    if (simd_scalar(i) || !simd_q(i))
        r.d[1] = 0;
    c->v[i->rd] = r;
    return interp_next(c, i);
}

/* Write 64 bits to the lower half and zero to the upper one; or only the upper half when Q is 1, as
 * the second instruction of a narrowing pair does. */
static inline const struct insn *simd_write_half(struct cpu *c, const struct insn *i,
                                                 uint64_t value)
{
    if (simd_q(i) && !simd_scalar(i))
        c->v[i->rd].d[1] = value;
    else
        c->v[i->rd] = (union vreg){ .d = { value, 0 } };
    return interp_next(c, i);
}

/* Call an inline function with the element size as a constant. */
#define SIMD_BY_SIZE(size, function, ...)                                                          \
    switch (size) {                                                                                \
    case 0:                                                                                        \
        return function(0, __VA_ARGS__);                                                           \
    case 1:                                                                                        \
        return function(1, __VA_ARGS__);                                                           \
    case 2:                                                                                        \
        return function(2, __VA_ARGS__);                                                           \
    default:                                                                                       \
        return function(3, __VA_ARGS__);                                                           \
    }

/* Functions of one element. They may set FPSR.QC. */
typedef uint64_t simd_op1(struct cpu *c, unsigned esize, uint64_t a);
typedef uint64_t simd_op2(struct cpu *c, unsigned esize, uint64_t a, uint64_t b);
typedef uint64_t simd_op3(struct cpu *c, unsigned esize, uint64_t acc, uint64_t a, uint64_t b);

ALWAYS_INLINE const struct insn *simd_map1_size(unsigned size, struct cpu *c, const struct insn *i,
                                                simd_op1 *op)
{
    const union vreg *n = &c->v[i->rn];
    union vreg r = { .d = { 0, 0 } };
    for (unsigned k = 0; k < simd_elements(i, size); k++)
        simd_set(&r, size, k, op(c, 8u << size, simd_get(n, size, k)));
    c->v[i->rd] = r;
    return interp_next(c, i);
}

ALWAYS_INLINE const struct insn *simd_map1(struct cpu *c, const struct insn *i, unsigned size,
                                           simd_op1 *op)
{
    fp_check(c, i);
    SIMD_BY_SIZE(size, simd_map1_size, c, i, op);
}

ALWAYS_INLINE const struct insn *simd_map2_size(unsigned size, struct cpu *c, const struct insn *i,
                                                simd_op2 *op)
{
    const union vreg *n = &c->v[i->rn], *m = &c->v[i->rm];
    union vreg r = { .d = { 0, 0 } };
    for (unsigned k = 0; k < simd_elements(i, size); k++)
        simd_set(&r, size, k, op(c, 8u << size, simd_get(n, size, k), simd_get(m, size, k)));
    c->v[i->rd] = r;
    return interp_next(c, i);
}

ALWAYS_INLINE const struct insn *simd_map2(struct cpu *c, const struct insn *i, unsigned size,
                                           simd_op2 *op)
{
    fp_check(c, i);
    SIMD_BY_SIZE(size, simd_map2_size, c, i, op);
}

ALWAYS_INLINE const struct insn *simd_map3_size(unsigned size, struct cpu *c, const struct insn *i,
                                                simd_op3 *op)
{
    const union vreg *n = &c->v[i->rn], *m = &c->v[i->rm], *d = &c->v[i->rd];
    union vreg r = { .d = { 0, 0 } };
    for (unsigned k = 0; k < simd_elements(i, size); k++)
        simd_set(
            &r, size, k,
            op(c, 8u << size, simd_get(d, size, k), simd_get(n, size, k), simd_get(m, size, k)));
    c->v[i->rd] = r;
    return interp_next(c, i);
}

ALWAYS_INLINE const struct insn *simd_map3(struct cpu *c, const struct insn *i, unsigned size,
                                           simd_op3 *op)
{
    fp_check(c, i);
    SIMD_BY_SIZE(size, simd_map3_size, c, i, op);
}

/* Narrowing: elements of twice the size become elements of 1 << size bytes. `esize` is the narrow
 * width. A Q of 1 writes the upper half and leaves the lower one. */
ALWAYS_INLINE const struct insn *simd_narrow(struct cpu *c, const struct insn *i, unsigned size,
                                             simd_op1 *op)
{
    fp_check(c, i);
    const union vreg *n = &c->v[i->rn];
    union vreg r = { .d = { 0, 0 } };
    for (unsigned k = 0; k < (simd_scalar(i) ? 1 : 8u >> size); k++)
        simd_set(&r, size, k, op(c, 8u << size, simd_get(n, size + 1, k)));
    return simd_write_half(c, i, r.d[0]);
}

/* Saturate a value to `esize` (8 to 64) bits, setting FPSR.QC: SatQ(). */
static inline uint64_t simd_sat_signed(struct cpu *c, unsigned esize, __int128 value)
{
    __int128 max = ((__int128)1 << (esize - 1)) - 1;

    if (value > max) {
        value = max;
        c->fpsr |= FPSR_QC;
    } else if (value < -max - 1) {
        value = -max - 1;
        c->fpsr |= FPSR_QC;
    }
    return (uint64_t)value & ones(esize);
}

static inline uint64_t simd_sat_unsigned(struct cpu *c, unsigned esize, __int128 value)
{
    if (value < 0) {
        value = 0;
        c->fpsr |= FPSR_QC;
    } else if (value > (__int128)ones(esize)) {
        value = (__int128)ones(esize);
        c->fpsr |= FPSR_QC;
    }
    return (uint64_t)value;
}

/* An element as a signed number. */
static inline int64_t simd_signed(unsigned esize, uint64_t a)
{
    return sign_extend(a, esize);
}

/* The immediate shifts: immh:immb has the element size in its highest one, and counts the shift
 * from there, up for left and down for right. */
static inline unsigned simd_imm_size(const struct insn *i)
{
    return 31 - (unsigned)__builtin_clz((unsigned)bits(i->word, 22, 19));
}

static inline unsigned simd_imm_right(const struct insn *i)
{
    return (16u << simd_imm_size(i)) - (unsigned)bits(i->word, 22, 16);
}

static inline unsigned simd_imm_left(const struct insn *i)
{
    return (unsigned)bits(i->word, 22, 16) - (8u << simd_imm_size(i));
}

/* simd_copy.c: the immediate of MOVI, MVNI, ORR, BIC; of vector FMOV; of scalar FMOV. */
uint64_t simd_modified_immediate(const struct insn *i);
uint64_t simd_fp_immediate(const struct insn *i);
uint64_t simd_fp_scalar_immediate(const struct insn *i);

/* simd_mul.c: the element of Vm that a by-element instruction names, in every place. */
union vreg simd_by_element(const struct cpu *c, const struct insn *i, unsigned size);

/* simd_sat.c: saturating multiplications that more than one encoding class has. */
simd_op2 simd_sqdmulh, simd_sqrdmulh;
simd_op3 simd_sqrdmlah, simd_sqrdmlsh;

/* The FP environment of the CPU. */
static inline struct fp_env simd_fp_env(struct cpu *c)
{
    return (struct fp_env){ .fpcr = c->fpcr, .fpsr = &c->fpsr };
}

#endif
