/*
 * RAM: made, given to the guest, renewed, and given back to the host.
 *
 * A Mac does not take pages that stage 2 maps. So they are unmapped, given back and mapped again.
 * The guest has said that nobody uses them; if it uses them meanwhile, it finds no memory there.
 */
#include <errno.h>
#include <string.h>

#include <Hypervisor/hvx.h>

#include "base/bits.h"
#include "base/log.h"
#include "vmm/hvcall.h"
#include "vmm/internal.h"

/* The unit of hv_vm_map(). */
#define MEMORY_PAGE 0x4000u

#define MEMORY_FLAGS (HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC)

static int memory_refused(const struct vm *vm, int code, struct err *e)
{
    return err_set(e, code, "--memory %lluM: the host does not give that much: %s",
                   (unsigned long long)(vm->config.memory >> 20), strerror(-code));
}

static int map_ram(struct vm *vm, struct err *e)
{
    struct memory *m = &vm->ram;
    const struct hvx_memory file = { .fd = m->fd, .touch = memory_touch, .ctx = m };
    hv_return_t r = m->fd < 0 ? hv_vm_map(m->base, MEMMAP_RAM, m->size, MEMORY_FLAGS)
                              : hvx_vm_map_file(m->base, MEMMAP_RAM, m->size, MEMORY_FLAGS, &file);
    vm->ram_mapped = r == HV_SUCCESS;
    return hvcall_check(e, r, "giving memory to the guest");
}

int vm_make_ram(struct vm *vm, struct err *e)
{
    bool share = hvx_vm_enable(HVX_MEMORY_FILES) == HV_SUCCESS;
    int r = memory_create(&vm->ram, vm->config.memory, share);
    if (r < 0)
        return memory_refused(vm, r, e);
    r = gmem_add(&vm->ram_gmem, MEMMAP_RAM, vm->ram.size, vm->ram.base);
    if (r == 0)
        r = gmem_add(&vm->gmem, MEMMAP_RAM, vm->ram.size, vm->ram.base);
    if (r < 0)
        return r;
    if (vm->ram.fd >= 0) {
        vm->gmem.touch = memory_touch;
        vm->gmem.fill_later = memory_fill_later;
        vm->gmem.ctx = &vm->ram;
    }
    return map_ram(vm, e);
}

void vm_unmap_ram(struct vm *vm)
{
    if (vm->ram_mapped)
        hv_vm_unmap(MEMMAP_RAM, vm->ram.size);
    vm->ram_mapped = false;
}

static void loading_failed(void *ctx, void *start, int error)
{
    struct vm *vm = ctx;
    bool initrd = MEMMAP_RAM + (uint64_t)((uint8_t *)start - vm->ram.base) >= vm->kernel.end;
    vm_fail(vm, "%s '%s': cannot read it (%s)", initrd ? "--initrd" : "--kernel",
            initrd ? vm->config.initrd : vm->config.kernel, strerror(-error));
}

void vm_finish_loading(struct vm *vm)
{
    memory_start_filling(&vm->ram, loading_failed, vm);
}

int vm_renew_ram(struct vm *vm, struct err *e)
{
    vm_unmap_ram(vm);
    int r = memory_renew(&vm->ram);
    return r < 0 ? memory_refused(vm, r, e) : map_ram(vm, e);
}

/* On a Mac. */
static void give_back_unmapped(struct vm *vm, void *p, size_t n)
{
    uint64_t from = (uint64_t)((uint8_t *)p - vm->ram.base);
    uint64_t start = align_up(from, MEMORY_PAGE), end = align_down(from + n, MEMORY_PAGE);

    if (start >= end)
        return;
    uint8_t *host = vm->ram.base + start;
    if (hv_vm_unmap(MEMMAP_RAM + start, end - start) != HV_SUCCESS) {
        log_limited(LOG_WARN, "memory", "the host does not take memory back");
        return;
    }
    (void)memory_give_back(&vm->ram, host, end - start);
    hv_return_t r = hv_vm_map(host, MEMMAP_RAM + start, end - start, MEMORY_FLAGS);
    if (r != HV_SUCCESS)
        vm_fail(vm, "giving memory to the guest again failed: %s", hvcall_text(r));
}

void vm_give_back(void *ctx, void *p, size_t n)
{
    struct vm *vm = ctx;
    if (hvx_is_mac())
        give_back_unmapped(vm, p, n);
    else if (memory_give_back(&vm->ram, p, n))
        (void)hvx_vm_touch_again();
}
