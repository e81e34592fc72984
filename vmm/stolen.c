/*
 * Stolen time (DEN 0057): each CPU finds at an address that the call PV_TIME_ST tells, in memory
 * that it can only read, how long the host ran others when it wanted to execute. Where the
 * hypervisor does not tell that, as on a Mac, there is neither memory nor call.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <Hypervisor/hvx.h>

#include "vmm/hvcall.h"
#include "vmm/internal.h"

/* Revision and attributes, which are 0, and then the time. */
#define STOLEN_TIME_OFFSET 8

_Static_assert(MEMMAP_CPUS_MAX *VM_STOLEN_SIZE <= MEMMAP_PAGE, "one page has all");

int vm_map_stolen(struct vm *vm, struct err *e)
{
    if (hvx_is_mac())
        return 0;
    void *p = aligned_alloc(MEMMAP_PAGE, MEMMAP_PAGE);
    if (!p)
        return err_set(e, -ENOMEM, "the host has no memory for the CPUs' stolen time");
    memset(p, 0, MEMMAP_PAGE);
    int r = hvcall_check(e, hv_vm_map(p, MEMMAP_STOLEN, MEMMAP_PAGE, HV_MEMORY_READ),
                         "giving memory to the guest");
    if (r < 0)
        free(p);
    else
        vm->stolen = p;
    return r;
}

void vm_unmap_stolen(struct vm *vm)
{
    if (!vm->stolen)
        return;
    hv_vm_unmap(MEMMAP_STOLEN, MEMMAP_PAGE);
    free(vm->stolen);
    vm->stolen = NULL;
}

bool vm_publish_stolen(struct vm *vm, unsigned cpu, hv_vcpu_t handle)
{
    if (!vm->stolen)
        return false;
    char *place = (char *)vm->stolen + cpu * VM_STOLEN_SIZE + STOLEN_TIME_OFFSET;
    return hvx_vcpu_publish_stolen_time(handle, (uint64_t *)(void *)place) == HV_SUCCESS;
}
