#include "host/memory.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/bits.h"

void *memory_reserve(uint64_t size, uint64_t align)
{
    uint8_t *any =
        mmap(NULL, size + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (any == MAP_FAILED)
        return NULL;
    uint64_t before = align_up((uintptr_t)any, align) - (uintptr_t)any;
    if (before > 0)
        munmap(any, before);
    munmap(any + before + size, align - before);
    return any + before;
}
