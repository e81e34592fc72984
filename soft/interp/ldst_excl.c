/*
 * Exclusive and ordered accesses (DDI 0487 B2.3, B2.12). A load-exclusive remembers the physical
 * address and the value; a store-exclusive succeeds when the global monitor agrees and an atomic
 * compare-and-exchange still finds that value there. All of these fault on a misaligned address (no
 * FEAT_LSE2).
 *
 * Ordering: every access of the host's generated code is at least a relaxed atomic one; fences make
 * the rest. A store-release is also ordered with later load-acquires, hence the full fence.
 * docs/memory-model.md has it all.
 */
#include "soft/exclusive.h"
#include "soft/interp/atomic128.h"
#include "soft/interp/interp.h"

static inline uint64_t load_ordered(struct cpu *c, const struct insn *i, uint64_t va, unsigned size)
{
    uint64_t v;

    if (UNLIKELY(va & (size - 1)))
        return mem_load_slow(c, i, va, size, MEM_ALIGNED);
    switch (size) {
    case 1:
        v = mem_ld8(c, i, va);
        break;
    case 2:
        v = mem_ld16(c, i, va);
        break;
    case 4:
        v = mem_ld32(c, i, va);
        break;
    default:
        v = mem_ld64(c, i, va);
        break;
    }
    atomic_thread_fence(memory_order_acquire);
    return v;
}

static inline void store_ordered(struct cpu *c, const struct insn *i, uint64_t va, unsigned size,
                                 uint64_t v)
{
    atomic_thread_fence(memory_order_release);
    if (UNLIKELY(va & (size - 1))) {
        mem_store_slow(c, i, va, size, v, MEM_ALIGNED);
        return;
    }
    switch (size) {
    case 1:
        mem_st8(c, i, va, (uint8_t)v);
        break;
    case 2:
        mem_st16(c, i, va, (uint16_t)v);
        break;
    case 4:
        mem_st32(c, i, va, (uint32_t)v);
        break;
    default:
        mem_st64(c, i, va, v);
        break;
    }
    atomic_thread_fence(memory_order_seq_cst);
}

/* LDAR, LDLAR and LDAPR; the last may be weaker, but need not. */
INSN(LDAR)
{
    c->x[i->rd] = load_ordered(c, i, interp_base(c, i), i->a);
    return i + 1;
}

INSN(LDAPUR)
{
    c->x[i->rd] = load_ordered(c, i, interp_base(c, i) + (uint64_t)i->imm, i->a);
    return i + 1;
}

INSN(LDAPURS)
{
    uint64_t v = load_ordered(c, i, interp_base(c, i) + (uint64_t)i->imm, i->a);

    c->x[i->rd] = (uint64_t)sign_extend(v, i->a * 8) & ones(i->b);
    return i + 1;
}

/* STLR and STLLR. */
INSN(STLR)
{
    store_ordered(c, i, interp_base(c, i), i->a, c->x[i->rd]);
    return i + 1;
}

INSN(STLUR)
{
    store_ordered(c, i, interp_base(c, i) + (uint64_t)i->imm, i->a, c->x[i->rd]);
    return i + 1;
}

/* Exclusives. */

static uint64_t load_atomic(const void *host, unsigned size)
{
    switch (size) {
    case 1:
        return __atomic_load_n((const uint8_t *)host, __ATOMIC_ACQUIRE);
    case 2:
        return __atomic_load_n((const uint16_t *)host, __ATOMIC_ACQUIRE);
    case 4:
        return __atomic_load_n((const uint32_t *)host, __ATOMIC_ACQUIRE);
    default:
        return __atomic_load_n((const uint64_t *)host, __ATOMIC_ACQUIRE);
    }
}

#define COMPARE_EXCHANGE(type, host, expected, desired)                                            \
    __atomic_compare_exchange_n((type *)(host), &(type){ (type)(expected) }, (type)(desired),      \
                                false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

static bool cas_atomic(void *host, unsigned size, uint64_t expected, uint64_t desired)
{
    switch (size) {
    case 1:
        return COMPARE_EXCHANGE(uint8_t, host, expected, desired);
    case 2:
        return COMPARE_EXCHANGE(uint16_t, host, expected, desired);
    case 4:
        return COMPARE_EXCHANGE(uint32_t, host, expected, desired);
    default:
        return COMPARE_EXCHANGE(uint64_t, host, expected, desired);
    }
}

/* 16 bytes need not be read at once: a store-exclusive that succeeds proves that they could have
 * been. */
void interp_load_exclusive(struct cpu *c, const void *host, uint64_t pa, unsigned size)
{
    c->excl_watched = exclusive_load(c->vcpu, pa);
    c->excl_value[0] = load_atomic(host, size < 8 ? size : 8);
    c->excl_value[1] = size == 16 ? load_atomic((const char *)host + 8, 8) : 0;
    c->excl_valid = true;
    c->excl_pa = pa;
    c->excl_size = (uint8_t)size;
}

bool interp_store_exclusive(struct cpu *c, void *host, uint64_t pa, const uint64_t desired[2])
{
    struct exclusive_set *held;
    bool done = false;

    if (pa == c->excl_pa && exclusive_store(c->vcpu, pa, c->excl_watched, &held)) {
        done = c->excl_size == 16 ? atomic128_cas(host, c->excl_value, desired)
                                  : cas_atomic(host, c->excl_size, c->excl_value[0], desired[0]);
        exclusive_release(held);
    }
    c->excl_valid = false;
    return done;
}

static void load_exclusive(struct cpu *c, const struct insn *i, unsigned size)
{
    uint64_t pa;
    const void *host = mem_load_exclusive(c, i, interp_base(c, i), size, &pa);

    interp_load_exclusive(c, host, pa, size);
}

/* Without a monitor for such a store no memory is looked at. */
static bool store_exclusive(struct cpu *c, const struct insn *i, unsigned size,
                            const uint64_t desired[2])
{
    uint64_t va = interp_base(c, i), pa;

    if (!c->excl_valid || c->excl_size != size) {
        c->excl_valid = false;
        return false;
    }
    void *host = mem_store_exclusive(c, i, va, size, &pa);
    return interp_store_exclusive(c, host, pa, desired);
}

INSN(LDXR)
{
    load_exclusive(c, i, i->a);
    c->x[i->rd] = c->excl_value[0];
    return i + 1;
}

INSN(LDXP)
{
    load_exclusive(c, i, 2u * i->a);
    uint64_t low = c->excl_value[0], high = c->excl_value[1];
    c->x[i->rd] = i->a == 8 ? low : (uint32_t)low;
    c->x[i->ra] = i->a == 8 ? high : low >> 32;
    return i + 1;
}

INSN(STXR)
{
    const uint64_t desired[2] = { c->x[i->rd] };

    c->x[i->rm] = !store_exclusive(c, i, i->a, desired);
    return i + 1;
}

INSN(STXP)
{
    uint64_t low = c->x[i->rd], high = c->x[i->ra];
    const uint64_t both[2] = { low, high }, one[2] = { (uint32_t)low | high << 32 };

    c->x[i->rm] = !store_exclusive(c, i, 2u * i->a, i->a == 8 ? both : one);
    return i + 1;
}
