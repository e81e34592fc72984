/* See access.h. Section numbers are of DDI 0487 J. */
#include "kvm/access.h"

#include <string.h>

#include "base/bits.h"
#include "kvm/kvm.h"

#define BASE_PC 32u

/* size <31:30> and opc <23:22> of a single access (C4.1.94.32): what it does to its register. */
static void decode_single(uint32_t word, struct kvm_access *a)
{
    unsigned size = (unsigned)bits(word, 31, 30), opc = (unsigned)bits(word, 23, 22);

    a->single = !bit(word, 26) && !(size == 3 && opc >= 2); /* not SIMD, no prefetch */
    a->write = bit(word, 26) ? opc % 2 == 0 : opc == 0;
    a->sign_extend = opc >= 2;
    a->is_64 = opc == 2 || (opc < 2 && size == 3);
    a->bytes = 1u << size;
    a->reg = (unsigned)bits(word, 4, 0);
}

/* log2 of the size of what one register of it holds. */
static unsigned scale_of(uint32_t word)
{
    return (unsigned)bits(word, 31, 30) + (bit(word, 26) ? 4u * (unsigned)bit(word, 23) : 0);
}

static void decode_unsigned(uint32_t word, struct kvm_access *a)
{
    decode_single(word, a);
    a->offset = (int64_t)(bits(word, 21, 10) << scale_of(word));
}

/* <11:10>: unscaled, post-indexed, unprivileged, pre-indexed. */
static void decode_signed(uint32_t word, struct kvm_access *a)
{
    unsigned mode = (unsigned)bits(word, 11, 10);

    decode_single(word, a);
    a->single = a->single && mode % 2 == 0;
    a->offset = mode == 1 ? 0 : sign_extend(bits(word, 20, 12), 9);
}

static void decode_indexed(uint32_t word, struct kvm_access *a)
{
    decode_single(word, a);
    a->indexed = true;
    a->index = (unsigned)bits(word, 20, 16);
    a->extend = (unsigned)bits(word, 15, 13);
    a->shift = bit(word, 12) ? scale_of(word) : 0;
}

/* LDAPR has a syndrome; the other atomics have none. */
static void decode_atomic(uint32_t word, struct kvm_access *a)
{
    decode_single(word, a);
    a->single = (word & 0x00bffc00) == 0x00bfc000;
    a->is_64 = a->bytes == 8;
    a->sign_extend = false;
    a->ordered = true;
    a->write = !a->single;
}

static void decode_ordered_unscaled(uint32_t word, struct kvm_access *a)
{
    decode_single(word, a);
    a->ordered = true;
    a->offset = sign_extend(bits(word, 20, 12), 9);
}

/* opc <31:30>: W, X, SW, prefetch; SIMD: S, D, Q. */
static void decode_literal(uint32_t word, struct kvm_access *a)
{
    unsigned opc = (unsigned)bits(word, 31, 30);

    a->single = !bit(word, 26) && opc != 3;
    a->sign_extend = opc == 2;
    a->is_64 = opc != 0;
    a->bytes = opc == 1 ? 8 : 4;
    a->reg = (unsigned)bits(word, 4, 0);
    a->base = BASE_PC;
    a->offset = sign_extend(bits(word, 23, 5), 19) * 4;
}

/* mode <24:23>: no-allocate, post-indexed, offset, pre-indexed. */
static void decode_pair(uint32_t word, struct kvm_access *a)
{
    unsigned opc = (unsigned)bits(word, 31, 30);
    unsigned scale = 2 + (bit(word, 26) ? opc : opc >> 1);

    a->write = !bit(word, 22);
    a->offset =
        bits(word, 24, 23) == 1 ? 0 : sign_extend(bits(word, 21, 15), 7) * (int64_t)(1 << scale);
}

/* Exclusives, LDAR, STLR, compare and swap. o2 <23>, L <22>, o1 <21>, o0 <15>. */
static void decode_exclusive(uint32_t word, struct kvm_access *a)
{
    a->single = bit(word, 23) && !bit(word, 21);
    a->write = !bit(word, 22);
    a->bytes = 1u << bits(word, 31, 30);
    a->is_64 = a->bytes == 8;
    a->ordered = true;
    a->reg = (unsigned)bits(word, 4, 0);
}

static void decode_structure(uint32_t word, struct kvm_access *a)
{
    a->write = !bit(word, 22);
}

static const struct {
    uint32_t mask, value;
    void (*decode)(uint32_t word, struct kvm_access *a);
} classes[] = {
    { 0x3b000000, 0x39000000, decode_unsigned },
    { 0x3b200000, 0x38000000, decode_signed },
    { 0x3b200c00, 0x38200800, decode_indexed },
    { 0x3b200c00, 0x38200000, decode_atomic },
    { 0x3f200c00, 0x19000000, decode_ordered_unscaled },
    { 0x3b000000, 0x18000000, decode_literal },
    { 0x3a000000, 0x28000000, decode_pair },
    { 0x3f000000, 0x08000000, decode_exclusive },
    { 0xbe000000, 0x0c000000, decode_structure },
};

bool kvm_access_decode(uint32_t word, struct kvm_access *a)
{
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if ((word & classes[i].mask) == classes[i].value) {
            *a = (struct kvm_access){ .base = (unsigned)bits(word, 9, 5) };
            classes[i].decode(word, a);
            return true;
        }
    return false;
}

/* --- the address --- */

static uint64_t stack_pointer(const struct kvm_vcpu *v)
{
    bool own = (kvm_reg(v, HV_REG_CPSR) & 5) == 5; /* EL1 with SPSel 1 */

    return kvm_sys(v, own ? HV_SYS_REG_SP_EL1 : HV_SYS_REG_SP_EL0);
}

static uint64_t x(const struct kvm_vcpu *v, unsigned n)
{
    return n == 31 ? 0 : kvm_reg(v, (hv_reg_t)(HV_REG_X0 + n));
}

uint64_t kvm_access_address(const struct kvm_vcpu *v, const struct kvm_access *a)
{
    uint64_t base = a->base == BASE_PC ? kvm_reg(v, HV_REG_PC)
                    : a->base == 31    ? stack_pointer(v)
                                       : x(v, a->base);

    if (!a->indexed)
        return base + (uint64_t)a->offset;

    uint64_t index = x(v, a->index);

    if (a->extend == 2) /* UXTW */
        index = (uint32_t)index;
    else if (a->extend == 6) /* SXTW */
        index = (uint64_t)sign_extend(index & UINT32_MAX, 32);
    return base + (index << a->shift);
}
