/*
 * A walk of the guest's stage 1 tables for a fetch (DDI 0487 D8.2): 4, 16 and 64 KiB granules, up
 * to 52 bits of virtual address. Permissions do not matter: the guest has just executed from there.
 * The tables may change meanwhile; then the guest gets what its own race deserves.
 */
#include <errno.h>

#include "base/bits.h"
#include "kvm/access.h"
#include "kvm/kvm.h"

#define SCTLR_M 1u

/* Of a descriptor, without what depends on the granule. Guest memory lies below 48 bits. */
#define DESCRIPTOR_ADDRESS 0x0000fffffffff000ull

/* log2 of the granule by TCR_EL1.TG0 and TG1; 0 is reserved. */
static const uint8_t granule0[4] = { 12, 16, 14, 0 };
static const uint8_t granule1[4] = { 0, 14, 12, 16 };

struct tables {
    uint64_t base;
    int level;
    unsigned va_bits, shift, stride;
};

static int find_tables(const struct kvm_vcpu *v, uint64_t va, struct tables *t)
{
    uint64_t tcr = kvm_sys(v, HV_SYS_REG_TCR_EL1);
    bool upper = bit(va, 55);
    unsigned size = (unsigned)(upper ? bits(tcr, 21, 16) : bits(tcr, 5, 0));

    t->shift = upper ? granule1[bits(tcr, 31, 30)] : granule0[bits(tcr, 15, 14)];
    if (t->shift == 0 || size < 12 || size > 48)
        return -EFAULT;
    t->va_bits = 64 - size;
    t->stride = t->shift - 3;
    t->level = 4 - (int)((t->va_bits - t->shift + t->stride - 1) / t->stride);
    t->base =
        kvm_sys(v, upper ? HV_SYS_REG_TTBR1_EL1 : HV_SYS_REG_TTBR0_EL1) & 0x0000fffffffffffeull;
    return 0;
}

static int walk(const struct kvm_vcpu *v, uint64_t va, uint64_t *ipa)
{
    struct tables t;

    if (find_tables(v, va, &t) < 0)
        return -EFAULT;
    for (; t.level <= 3; t.level++) {
        unsigned low = t.shift + t.stride * (unsigned)(3 - t.level);
        unsigned high = low + t.stride < t.va_bits ? low + t.stride : t.va_bits;
        uint64_t descriptor;

        if (kvm_memory_read(v->vm, t.base + 8 * bits(va, high - 1, low), &descriptor, 8) < 0 ||
            !bit(descriptor, 0))
            return -EFAULT;
        if (bit(descriptor, 1) && t.level < 3) {
            t.base = descriptor & DESCRIPTOR_ADDRESS & ~((1ull << t.shift) - 1);
            continue;
        }
        if (bit(descriptor, 1) != (t.level == 3))
            return -EFAULT;
        *ipa = (descriptor & DESCRIPTOR_ADDRESS & ~((1ull << low) - 1)) | bits(va, low - 1, 0);
        return 0;
    }
    return -EFAULT;
}

int kvm_fetch(const struct kvm_vcpu *v, uint64_t va, uint32_t *word)
{
    uint64_t ipa = va;

    if (kvm_sys(v, HV_SYS_REG_SCTLR_EL1) & SCTLR_M && walk(v, va, &ipa) < 0)
        return -EFAULT;
    return kvm_memory_read(v->vm, ipa, word, sizeof *word);
}
