/*
 * What KVM does not tell about an access that exits: which register, whether it is extended, and
 * the virtual address. It is read off the instruction, which is fetched through the guest's own
 * tables.
 */
#ifndef KVM_ACCESS_H
#define KVM_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

struct kvm_vcpu;

/* A load or store, DDI 0487 C4.1.94. */
struct kvm_access {
    bool single; /* one general register, no write-back: what a syndrome can describe */
    bool write, sign_extend, is_64, ordered;
    unsigned bytes, reg; /* if single */

    /* Its address: a register (31: the stack pointer; 32: PC) plus `offset`, or plus a register. */
    unsigned base;
    int64_t offset;
    bool indexed;
    unsigned index, extend, shift;
};

/* False: not a load or store that we know. */
bool kvm_access_decode(uint32_t word, struct kvm_access *a);

/* The guest's virtual address of it, before the instruction is executed. */
uint64_t kvm_access_address(const struct kvm_vcpu *v, const struct kvm_access *a);

/* The instruction at `va`. -EFAULT: no memory there, or tables of a kind that we do not walk. */
int kvm_fetch(const struct kvm_vcpu *v, uint64_t va, uint32_t *word);

#endif
