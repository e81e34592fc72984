/*
 * Guest memory that goes back to the host, where the guest's mapping holds it: on a Mac pages that
 * stage 2 maps are not the host's to take. So they are unmapped, given back and mapped again. The
 * guest has said that nobody uses them; if it uses them meanwhile, it finds no memory there.
 */
#include "base/bits.h"
#include "base/log.h"
#include "host/memory.h"
#include "vmm/hvcall.h"
#include "vmm/internal.h"

/* The unit of hv_vm_map(). */
#define MEMORY_PAGE 0x4000u

void vm_give_back(void *ctx, void *p, size_t n)
{
    struct vm *vm = ctx;
    uint64_t from = (uint64_t)((uint8_t *)p - (uint8_t *)vm->ram);
    uint64_t start = align_up(from, MEMORY_PAGE), end = align_down(from + n, MEMORY_PAGE);

    if (start >= end)
        return;
    uint8_t *host = (uint8_t *)vm->ram + start;
    if (hv_vm_unmap(MEMMAP_RAM + start, end - start) != HV_SUCCESS) {
        log_limited(LOG_WARN, "memory", "the host does not take memory back");
        return;
    }
    memory_give_back(host, end - start);
    hv_return_t r = hv_vm_map(host, MEMMAP_RAM + start, end - start,
                              HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC);
    if (r != HV_SUCCESS)
        vm_fail(vm, "giving memory to the guest again failed: %s", hvcall_text(r));
}
