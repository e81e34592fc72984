/*
 * The knob `track`: code that changes without the guest telling is seen all the same, as on CPUs
 * whose instruction caches are coherent.
 *
 * A page that some vCPU has translated code of gets no entry for writing in any TLB. Stores to it
 * take the slow path, which notes them; when the instruction is done, blocks of the page that
 * memory no longer agrees with are retired, and other vCPUs are asked to do the same. The VM's map
 * of such pages has a bit for many pages of large memory: then some stores are slow in vain.
 *
 * A vCPU that fills an entry first says that the page may be written and then looks whether it has
 * code; one that is about to translate says so first and then looks whether the page may be
 * written. So one of them sees the other.
 *
 * Devices write to memory without asking anybody; for what they change the guest has to use IC.
 */
#include "soft/jit/runtime.h"
#include "soft/vcpu.h"

static bool page_bit(const _Atomic uint64_t *map, uint64_t pa)
{
    uint64_t page = (pa >> 12) % JIT_TRACK_BITS;
    return atomic_load(&map[page / 64]) >> page % 64 & 1;
}

static bool page_bit_set(_Atomic uint64_t *map, uint64_t pa)
{
    uint64_t page = (pa >> 12) % JIT_TRACK_BITS, bit = 1ull << page % 64;
    return page_bit(map, pa) || (atomic_fetch_or(&map[page / 64], bit) & bit);
}

bool jit_track_code(struct soft_vcpu *v, uint64_t pa)
{
    struct jit_track *t = v->cpu.vm->track;

    if (page_bit_set(t->code, pa))
        return false;
    if (!page_bit(t->written, pa))
        return true;
    const struct request r = { .kind = REQUEST_WRITE_PROTECT, .address = pa & ~4095ull };
    soft_request(v, &r, true);
    soft_barrier(v);
    return true;
}

bool jit_track_may_write(struct soft_vcpu *v, uint64_t pa)
{
    struct jit_track *t = v->cpu.vm->track;

    (void)page_bit_set(t->written, pa);
    return !page_bit(t->code, pa);
}

void jit_track_write(struct soft_vcpu *v, uint64_t pa)
{
    struct jit_hot *h = &v->hot;
    uint64_t page = pa & ~4095ull;

    if (!page_bit(v->cpu.vm->track->code, pa))
        return;
    for (unsigned n = 0; n < h->written_count && n < JIT_WRITTEN; n++)
        if (h->written[n] == page)
            return;
    if (h->written_count < JIT_WRITTEN)
        h->written[h->written_count] = page;
    h->written_count++;
}

void jit_track_settle(struct soft_vcpu *v)
{
    struct jit_hot *h = &v->hot;
    unsigned count = h->written_count;

    h->written_count = 0;
    if (count > JIT_WRITTEN) {
        const struct request r = { .kind = REQUEST_CODE_ALL };
        soft_request(v, &r, true);
        return;
    }
    for (unsigned n = 0; n < count; n++) {
        const struct request r = { .kind = REQUEST_CODE_PAGE, .address = h->written[n] };
        soft_request(v, &r, true);
    }
}
