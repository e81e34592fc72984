/*
 * Loads and stores of pairs (DDI 0487 C4.1.94, "load/store register pair"). Nothing changes if
 * either half would fault: loads come before the first register is written, and a store that leaves
 * its page is checked as a whole first.
 */
#include "soft/interp/interp.h"

/* Every form of an instruction from `access`, which moves i->rd and i->ra; `check` comes first. */
#define FORMS(name, check, access)                                                                 \
    INSN(name##_off)                                                                               \
    {                                                                                              \
        check(c, i);                                                                               \
        access(c, i, interp_base(c, i) + (uint64_t)i->imm);                                        \
        return interp_next(c, i);                                                                  \
    }                                                                                              \
    INSN(name##_post)                                                                              \
    {                                                                                              \
        check(c, i);                                                                               \
        uint64_t va = interp_base(c, i);                                                           \
        access(c, i, va);                                                                          \
        c->x[i->rn] = va + (uint64_t)i->imm;                                                       \
        return interp_next(c, i);                                                                  \
    }                                                                                              \
    INSN(name##_pre)                                                                               \
    {                                                                                              \
        check(c, i);                                                                               \
        uint64_t va = interp_base(c, i) + (uint64_t)i->imm;                                        \
        access(c, i, va);                                                                          \
        c->x[i->rn] = va;                                                                          \
        return interp_next(c, i);                                                                  \
    }

static inline void no_check(struct cpu *c, const struct insn *i)
{
    (void)c;
    (void)i;
}

static inline void load_w(struct cpu *c, const struct insn *i, uint64_t va)
{
    uint64_t first, second;

    interp_ld32_pair(c, i, va, &first, &second);
    c->x[i->rd] = first;
    c->x[i->ra] = second;
}

static inline void load_sw(struct cpu *c, const struct insn *i, uint64_t va)
{
    uint64_t first, second;

    interp_ld32_pair(c, i, va, &first, &second);
    c->x[i->rd] = (uint64_t)(int32_t)first;
    c->x[i->ra] = (uint64_t)(int32_t)second;
}

static inline void load_x(struct cpu *c, const struct insn *i, uint64_t va)
{
    uint64_t first, second;

    interp_ld64_pair(c, i, va, &first, &second);
    c->x[i->rd] = first;
    c->x[i->ra] = second;
}

static inline void store_w(struct cpu *c, const struct insn *i, uint64_t va)
{
    interp_st32_pair(c, i, va, c->x[i->rd], c->x[i->ra]);
}

static inline void store_x(struct cpu *c, const struct insn *i, uint64_t va)
{
    interp_st64_pair(c, i, va, c->x[i->rd], c->x[i->ra]);
}

FORMS(LDP_w, no_check, load_w)
FORMS(LDPSW, no_check, load_sw)
FORMS(LDP_x, no_check, load_x)
FORMS(STP_w, no_check, store_w)
FORMS(STP_x, no_check, store_x)

/* SIMD&FP registers. */

static inline void set_v(struct cpu *c, unsigned reg, uint64_t low, uint64_t high)
{
    c->v[reg].d[0] = low;
    c->v[reg].d[1] = high;
}

static inline void vload_s(struct cpu *c, const struct insn *i, uint64_t va)
{
    uint64_t first, second;

    interp_ld32_pair(c, i, va, &first, &second);
    set_v(c, i->rd, first, 0);
    set_v(c, i->ra, second, 0);
}

static inline void vload_d(struct cpu *c, const struct insn *i, uint64_t va)
{
    uint64_t first, second;

    interp_ld64_pair(c, i, va, &first, &second);
    set_v(c, i->rd, first, 0);
    set_v(c, i->ra, second, 0);
}

static inline void vload_q(struct cpu *c, const struct insn *i, uint64_t va)
{
    uint64_t first[2], second[2];

    if (!interp_readable(c, va, 32))
        mem_probe(c, i, va, 32, 16, false, 0);
    interp_ld64_pair(c, i, va, &first[0], &first[1]);
    interp_ld64_pair(c, i, va + 16, &second[0], &second[1]);
    set_v(c, i->rd, first[0], first[1]);
    set_v(c, i->ra, second[0], second[1]);
}

static inline void vstore_s(struct cpu *c, const struct insn *i, uint64_t va)
{
    interp_st32_pair(c, i, va, c->v[i->rd].s[0], c->v[i->ra].s[0]);
}

static inline void vstore_d(struct cpu *c, const struct insn *i, uint64_t va)
{
    interp_st64_pair(c, i, va, c->v[i->rd].d[0], c->v[i->ra].d[0]);
}

static inline void vstore_q(struct cpu *c, const struct insn *i, uint64_t va)
{
    if (!interp_writable(c, va, 32))
        mem_probe(c, i, va, 32, 16, true, 0);
    interp_st64_pair(c, i, va, c->v[i->rd].d[0], c->v[i->rd].d[1]);
    interp_st64_pair(c, i, va + 16, c->v[i->ra].d[0], c->v[i->ra].d[1]);
}

FORMS(LDP_s, fp_check, vload_s)
FORMS(LDP_d, fp_check, vload_d)
FORMS(LDP_q, fp_check, vload_q)
FORMS(STP_s, fp_check, vstore_s)
FORMS(STP_d, fp_check, vstore_d)
FORMS(STP_q, fp_check, vstore_q)
