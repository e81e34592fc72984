/*
 * Atomic instructions (FEAT_LSE, DDI 0487 C3.2.12): each is one atomic operation of the host,
 * always sequentially consistent, which satisfies every acquire and release variant. The memory is
 * checked for writing even when a comparison fails, as the architecture allows.
 */
#include "soft/interp/interp.h"
#include "soft/interp/atomic128.h"

/* `operation` on a type makes the old value of p, the memory, and v, the operand. */
#define ATOMIC(name, operation)                                                                    \
    INSN(name)                                                                                     \
    {                                                                                              \
        uint64_t old, v = c->x[i->rm];                                                             \
        void *p = mem_atomic(c, i, interp_base(c, i), i->a);                                       \
        switch (i->a) {                                                                            \
        case 1:                                                                                    \
            old = operation(8, p, v);                                                              \
            break;                                                                                 \
        case 2:                                                                                    \
            old = operation(16, p, v);                                                             \
            break;                                                                                 \
        case 4:                                                                                    \
            old = operation(32, p, v);                                                             \
            break;                                                                                 \
        default:                                                                                   \
            old = operation(64, p, v);                                                             \
            break;                                                                                 \
        }                                                                                          \
        mem_atomic_end(c);                                                                         \
        c->x[i->rd] = old;                                                                         \
        return i + 1;                                                                              \
    }

#define FETCH(builtin, width, p, v)                                                                \
    __atomic_##builtin((uint##width##_t *)(p), (uint##width##_t)(v), __ATOMIC_SEQ_CST)
#define FETCH_ADD(width, p, v) FETCH(fetch_add, width, p, v)
#define FETCH_CLR(width, p, v) FETCH(fetch_and, width, p, ~(v))
#define FETCH_EOR(width, p, v) FETCH(fetch_xor, width, p, v)
#define FETCH_SET(width, p, v) FETCH(fetch_or, width, p, v)
#define EXCHANGE(width, p, v)  FETCH(exchange_n, width, p, v)

ATOMIC(LDADD, FETCH_ADD)
ATOMIC(LDCLR, FETCH_CLR)
ATOMIC(LDEOR, FETCH_EOR)
ATOMIC(LDSET, FETCH_SET)
ATOMIC(SWP, EXCHANGE)

/* No host instruction finds a minimum or maximum: store the one that `keep` chooses. */
#define FETCH_BEST(name, type, width, keep)                                                        \
    static uint##width##_t name##width(void *p, uint##width##_t operand)                           \
    {                                                                                              \
        uint##width##_t old = __atomic_load_n((uint##width##_t *)p, __ATOMIC_RELAXED), best;       \
        do {                                                                                       \
            type##width##_t m = (type##width##_t)old, v = (type##width##_t)operand;                \
            best = (uint##width##_t)((keep) ? m : v);                                              \
        } while (!__atomic_compare_exchange_n((uint##width##_t *)p, &old, best, false,             \
                                              __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));                \
        return old;                                                                                \
    }

#define FETCH_BESTS(name, type, keep)                                                              \
    FETCH_BEST(name, type, 8, keep)                                                                \
    FETCH_BEST(name, type, 16, keep)                                                               \
    FETCH_BEST(name, type, 32, keep)                                                               \
    FETCH_BEST(name, type, 64, keep)

FETCH_BESTS(fetch_smax, int, m > v)
FETCH_BESTS(fetch_smin, int, m < v)
FETCH_BESTS(fetch_umax, uint, m > v)
FETCH_BESTS(fetch_umin, uint, m < v)

#define FETCH_SMAX(width, p, v) fetch_smax##width(p, (uint##width##_t)(v))
#define FETCH_SMIN(width, p, v) fetch_smin##width(p, (uint##width##_t)(v))
#define FETCH_UMAX(width, p, v) fetch_umax##width(p, (uint##width##_t)(v))
#define FETCH_UMIN(width, p, v) fetch_umin##width(p, (uint##width##_t)(v))

ATOMIC(LDSMAX, FETCH_SMAX)
ATOMIC(LDSMIN, FETCH_SMIN)
ATOMIC(LDUMAX, FETCH_UMAX)
ATOMIC(LDUMIN, FETCH_UMIN)

/* Compare and swap. */

#define CAS_BODY(width, p, expected, desired)                                                      \
    ({                                                                                             \
        uint##width##_t old_ = (uint##width##_t)(expected);                                        \
        __atomic_compare_exchange_n((uint##width##_t *)(p), &old_, (uint##width##_t)(desired),     \
                                    false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                    \
        old_;                                                                                      \
    })

static uint64_t cas(void *p, unsigned size, uint64_t expected, uint64_t desired)
{
    switch (size) {
    case 1:
        return CAS_BODY(8, p, expected, desired);
    case 2:
        return CAS_BODY(16, p, expected, desired);
    case 4:
        return CAS_BODY(32, p, expected, desired);
    default:
        return CAS_BODY(64, p, expected, desired);
    }
}

INSN(CAS)
{
    void *p = mem_atomic(c, i, interp_base(c, i), i->a);

    c->x[i->b] = cas(p, i->a, c->x[i->rm], c->x[i->rd]);
    mem_atomic_end(c);
    return i + 1;
}

INSN(CASP)
{
    uint64_t expected[2] = { c->x[i->rm], c->x[i->imm] };
    uint64_t desired[2] = { c->x[i->rd], c->x[i->ra] };
    void *p = mem_atomic(c, i, interp_base(c, i), 2u * i->a);

    if (i->a == 8) {
        atomic128_cas(p, expected, desired);
    } else {
        uint64_t old = cas(p, 8, (uint32_t)expected[0] | expected[1] << 32,
                           (uint32_t)desired[0] | desired[1] << 32);
        expected[0] = (uint32_t)old;
        expected[1] = old >> 32;
    }
    mem_atomic_end(c);
    c->x[i->rm] = expected[0];
    c->x[i->b] = expected[1];
    return i + 1;
}
