/*
 * The VM's memory map. vCPUs read it without a lock, on every TLB miss; so a map is never changed,
 * but replaced: the writer publishes a new one, has every vCPU adopt it, and frees the old one when
 * no vCPU that is in the guest can still use it.
 */
#include "soft/vm.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "soft/vcpu.h"

/* More pieces than any VMM makes; bounds what a VMM can make us allocate. */
#define SOFT_MAX_REGIONS 65536

const struct soft_region *soft_map_find_slow(const struct soft_map *map, uint64_t ipa)
{
    unsigned lo = 0, hi = map->count;
    while (lo < hi) {
        unsigned mid = lo + (hi - lo) / 2;
        const struct soft_region *r = &map->region[mid];
        if (ipa < r->ipa)
            hi = mid;
        else if (ipa - r->ipa >= r->size)
            lo = mid + 1;
        else
            return r;
    }
    return NULL;
}

void soft_map_adopt(struct soft_vcpu *v)
{
    if (v->map) { /* else there is nothing to forget */
        tlb_flush_all(v);
        window_destroy(v);
        code_drop_all(v);
        jit_forget_all(v);
        v->last_region = NULL;
    }
    v->map = atomic_load(&v->cpu.vm->map);
    jit_adopt_map(v);
}

static struct soft_map *map_new(unsigned regions)
{
    if (regions > SOFT_MAX_REGIONS)
        return NULL;
    return calloc(1, sizeof(struct soft_map) + regions * sizeof(struct soft_region));
}

static void map_append(struct soft_map *m, const struct soft_region *r)
{
    if (r->size)
        m->region[m->count++] = *r;
}

/* The vCPU uses the current map, or will take it before it enters the guest. */
static bool map_is_adopted(struct soft_vcpu *v)
{
    return !atomic_load(&v->in_guest) || !(atomic_load(&v->cpu.attention) & ATTENTION_MAP);
}

/*
 * Replace the map and wait until the old one is not in use. The caller, if it is a vCPU's thread,
 * is not in the guest.
 */
static void map_publish(struct soft_vm *vm, struct soft_map *map)
{
    struct soft_map *old = atomic_load(&vm->map);

    map->number = old->number + 1;
    atomic_store(&vm->map, map);
    lock_acquire(&vm->lock);
    for (unsigned n = 0; n < vm->vcpu_end; n++)
        if (vm->vcpu[n])
            soft_kick(vm->vcpu[n], ATTENTION_MAP);
    for (;;) {
        bool all = true;
        for (unsigned n = 0; n < vm->vcpu_end; n++)
            if (vm->vcpu[n] && !map_is_adopted(vm->vcpu[n]))
                all = false;
        if (all)
            break;
        lock_release(&vm->lock);
        sched_yield();
        lock_acquire(&vm->lock);
    }
    lock_release(&vm->lock);
    free(old);
}

int soft_vm_map(struct soft_vm *vm, void *host, uint64_t ipa, uint64_t size, unsigned flags,
                const struct hvx_memory *memory)
{
    const struct soft_map *old = atomic_load(&vm->map);
    const struct soft_region added = {
        .ipa = ipa,
        .size = size,
        .host = host,
        .flags = flags,
        .fd = memory ? memory->fd : -1,
        .offset = memory ? memory->offset : 0,
        .touch = memory ? memory->touch : NULL,
        .ctx = memory ? memory->ctx : NULL,
    };
    struct soft_map *map = map_new(old->count + 1);
    unsigned n = 0;

    if (!map)
        return -ENOMEM;
    for (; n < old->count && old->region[n].ipa < ipa; n++)
        map_append(map, &old->region[n]);
    if ((n > 0 && ipa - old->region[n - 1].ipa < old->region[n - 1].size) ||
        (n < old->count && old->region[n].ipa - ipa < size)) {
        free(map);
        return -EEXIST;
    }
    map_append(map, &added);
    for (; n < old->count; n++)
        map_append(map, &old->region[n]);
    map_publish(vm, map);
    return 0;
}

/* Is every byte of the range mapped? */
static bool map_covers(const struct soft_map *map, uint64_t ipa, uint64_t size)
{
    while (size > 0) {
        const struct soft_region *r = soft_map_find_slow(map, ipa);
        if (!r)
            return false;
        uint64_t here = r->size - (ipa - r->ipa);
        if (here >= size)
            return true;
        ipa += here;
        size -= here;
    }
    return true;
}

/* The part of `r` in [from, to). */
static struct soft_region region_part(const struct soft_region *r, uint64_t from, uint64_t to)
{
    uint64_t lo = r->ipa > from ? r->ipa : from;
    uint64_t end = r->ipa + r->size;
    uint64_t hi = end < to ? end : to;
    struct soft_region part = *r;

    part.ipa = lo;
    part.size = lo < hi ? hi - lo : 0;
    part.host = r->host + (lo - r->ipa);
    part.offset = r->offset + (lo - r->ipa);
    return part;
}

/* Give [ipa, ipa + size) other flags, or none at all. */
static int map_change(struct soft_vm *vm, uint64_t ipa, uint64_t size, bool keep, unsigned flags)
{
    const struct soft_map *old = atomic_load(&vm->map);

    if (!map_covers(old, ipa, size))
        return -ENOENT;
    struct soft_map *map = map_new(old->count + 2);
    if (!map)
        return -ENOMEM;
    for (unsigned n = 0; n < old->count; n++) {
        const struct soft_region *r = &old->region[n];
        struct soft_region below = region_part(r, r->ipa, ipa);
        struct soft_region inside = region_part(r, ipa, ipa + size);
        struct soft_region above = region_part(r, ipa + size, r->ipa + r->size);

        map_append(map, &below);
        if (keep) {
            inside.flags = flags;
            map_append(map, &inside);
        }
        map_append(map, &above);
    }
    map_publish(vm, map);
    return 0;
}

int soft_vm_unmap(struct soft_vm *vm, uint64_t ipa, uint64_t size)
{
    return map_change(vm, ipa, size, false, 0);
}

int soft_vm_protect(struct soft_vm *vm, uint64_t ipa, uint64_t size, unsigned flags)
{
    return map_change(vm, ipa, size, true, flags);
}

int soft_vm_create(unsigned ipa_bits, unsigned options, struct soft_vm **out)
{
    struct soft_vm *vm = calloc(1, sizeof *vm);
    struct soft_map *map = map_new(0);
    struct jit_track *track = calloc(1, sizeof *track);

    if (vm)
        vm->exclusives = exclusives_create();
    if (!vm || !map || !track || !vm->exclusives) {
        if (vm)
            exclusives_destroy(vm->exclusives);
        free(vm);
        free(map);
        free(track);
        return -ENOMEM;
    }
    lock_init(&vm->lock, LOCK_VCPU);
    lock_init(&vm->check_lock, LOCK_VCPU);
    vm->ipa_bits = ipa_bits;
    vm->options = options;
    vm->track = track;
    load_init(&vm->load);
    map->number = 1;
    atomic_store(&vm->map, map);
    *out = vm;
    return 0;
}

void soft_vm_destroy(struct soft_vm *vm)
{
    if (!vm)
        return;
    ticker_stop(vm);
    jit_cache_close(vm->cache);
    soft_gic_destroy(vm->gic);
    exclusives_destroy(vm->exclusives);
    free(vm->track);
    free(atomic_load(&vm->map));
    lock_fini(&vm->lock);
    lock_fini(&vm->check_lock);
    free(vm);
}
