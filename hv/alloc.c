/* hv_vm_allocate(): zeroed memory on a 16 KiB boundary, which mmap does not promise here. */
#include <Hypervisor/Hypervisor.h>

#include <sys/mman.h>

#include "hv/process.h"

hv_return_t hv_vm_allocate(void **uvap, size_t size, hv_allocate_flags_t flags)
{
    if (!uvap || size == 0 || size % HV_PAGE_SIZE || size > SIZE_MAX - HV_PAGE_SIZE ||
        flags != HV_ALLOCATE_DEFAULT)
        return HV_BAD_ARGUMENT;

    /* One page more than asked for, then both ends cut off. */
    uint8_t *raw = mmap(NULL, size + HV_PAGE_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (raw == MAP_FAILED)
        return HV_NO_RESOURCES;

    size_t head = -(uintptr_t)raw % HV_PAGE_SIZE;
    size_t tail = HV_PAGE_SIZE - head;

    if (head)
        munmap(raw, head);
    munmap(raw + head + size, tail);
    *uvap = raw + head;
    return HV_SUCCESS;
}

hv_return_t hv_vm_deallocate(void *uva, size_t size)
{
    if (!uva || (uintptr_t)uva % HV_PAGE_SIZE || size == 0 || size % HV_PAGE_SIZE)
        return HV_BAD_ARGUMENT;
    return munmap(uva, size) == 0 ? HV_SUCCESS : HV_BAD_ARGUMENT;
}
