/*
 * The VM's guest memory, as the back end drives it: ranges are page-aligned, do not wrap, and
 * calls are serialised; vCPUs may be in the guest meanwhile, but not on the calling thread.
 */
#ifndef SOFT_VM_H
#define SOFT_VM_H

#include <stdint.h>

#include "base/compiler.h"

struct soft_vm;

/* `options` of enum model_option. */
int soft_vm_create(unsigned ipa_bits, unsigned options, struct soft_vm **out) MUST_CHECK;
void soft_vm_destroy(struct soft_vm *vm); /* no vCPU is left */

/* `flags` of HV_MEMORY_*. `memory`: what is behind it, or NULL. -EEXIST if the range overlaps a
 * mapped one. */
struct hvx_memory;
int soft_vm_map(struct soft_vm *vm, void *host, uint64_t ipa, uint64_t size, unsigned flags,
                const struct hvx_memory *memory) MUST_CHECK;
/* -ENOENT unless the whole range is mapped. When these return no vCPU uses the old state. */
int soft_vm_unmap(struct soft_vm *vm, uint64_t ipa, uint64_t size) MUST_CHECK;
int soft_vm_protect(struct soft_vm *vm, uint64_t ipa, uint64_t size, unsigned flags) MUST_CHECK;

#endif
