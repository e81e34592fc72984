/*
 * Files in guest memory: they lie behind RAM, each at a multiple of MEMMAP_PMEM_ALIGN, and stay as
 * they are over a reset. No node of the device tree tells of them, only their virtio-pmem devices.
 */
#include <Hypervisor/Hypervisor.h>

#include "base/bits.h"
#include "vmm/hvcall.h"
#include "vmm/internal.h"

gpa_t vm_memory_end(const struct vm *vm)
{
    unsigned n = vm->pmem_count;
    return n == 0 ? MEMMAP_RAM + vm->config.memory
                  : vm->pmem_base[n - 1] + pmem_size(vm->pmem[n - 1]);
}

int vm_open_pmem(struct vm *vm, struct err *e)
{
    for (unsigned i = 0; i < vm->config.pmem_count; i++) {
        gpa_t base = align_up(vm_memory_end(vm), MEMMAP_PMEM_ALIGN);
        int r = pmem_open(&vm->config.pmem[i], &vm->pmem[i], e);
        if (r < 0)
            return r;
        vm->pmem_base[i] = base;
        vm->pmem_count = i + 1;
    }
    return 0;
}

int vm_map_pmem(struct vm *vm, struct err *e)
{
    for (unsigned i = 0; i < vm->pmem_count; i++) {
        struct pmem *p = vm->pmem[i];
        int r = hvcall_check(e,
                             hv_vm_map(pmem_base(p), vm->pmem_base[i], pmem_size(p),
                                       HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC),
                             "giving a file of --pmem to the guest");
        if (r < 0)
            return r;
        vm->pmem_mapped = i + 1;
        r = gmem_add(&vm->gmem, vm->pmem_base[i], pmem_size(p), pmem_base(p));
        if (r < 0)
            return err_set(e, r, "--pmem: the guest has no room for so many");
    }
    return 0;
}

void vm_close_pmem(struct vm *vm)
{
    while (vm->pmem_mapped > 0) {
        unsigned i = --vm->pmem_mapped;
        hv_vm_unmap(vm->pmem_base[i], pmem_size(vm->pmem[i]));
    }
    while (vm->pmem_count > 0)
        pmem_close(vm->pmem[--vm->pmem_count]);
}
