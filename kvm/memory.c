/*
 * Guest memory: the API's ranges, which may be cut anywhere, on KVM's slots, which can only be made
 * and removed as a whole. A change therefore removes the slots it touches and makes new ones; no
 * vCPU is in the guest meanwhile, or it would meet a hole.
 *
 * KVM has two kinds of slot: for reading and writing, and for reading (writes exit). It cannot
 * refuse execution. What the guest may not read has no slot.
 */
#include <errno.h>
#include <string.h>

#include "kvm/kvm.h"

static int slot_take(struct kvm_vm *vm, uint32_t *slot)
{
    for (unsigned i = 0; i < KVM_MAX_REGIONS; i++)
        if (!(vm->slots[i / 64] >> i % 64 & 1)) {
            vm->slots[i / 64] |= 1ull << i % 64;
            *slot = i;
            return 0;
        }
    return -ENOSPC;
}

static int slot_set(struct kvm_vm *vm, const struct kvm_region *r, uint64_t size)
{
    const struct kvm_userspace_memory_region slot = {
        .slot = r->slot,
        .flags = size && !(r->flags & HV_MEMORY_WRITE) ? KVM_MEM_READONLY : 0,
        .guest_phys_addr = r->ipa,
        .memory_size = size,
        .userspace_addr = (uintptr_t)r->host,
    };

    return kvm_call(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot);
}

static int region_show(struct kvm_vm *vm, struct kvm_region *r)
{
    r->slot = KVM_NO_SLOT;
    if (!(r->flags & (HV_MEMORY_READ | HV_MEMORY_EXEC)))
        return 0;
    int err = slot_take(vm, &r->slot);
    if (!err)
        err = slot_set(vm, r, r->size);
    if (err && r->slot != KVM_NO_SLOT) {
        vm->slots[r->slot / 64] &= ~(1ull << r->slot % 64);
        r->slot = KVM_NO_SLOT;
    }
    return err;
}

static void region_hide(struct kvm_vm *vm, struct kvm_region *r)
{
    if (r->slot == KVM_NO_SLOT)
        return;
    (void)slot_set(vm, r, 0);
    vm->slots[r->slot / 64] &= ~(1ull << r->slot % 64);
    r->slot = KVM_NO_SLOT;
}

/* The first region that ends behind `ipa`. */
static unsigned region_at(const struct kvm_vm *vm, uint64_t ipa)
{
    unsigned low = 0, high = vm->regions;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (vm->region[middle].ipa + vm->region[middle].size <= ipa)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void region_insert(struct kvm_vm *vm, unsigned at, const struct kvm_region *r)
{
    memmove(&vm->region[at + 1], &vm->region[at], (vm->regions - at) * sizeof *r);
    vm->region[at] = *r;
    vm->regions++;
}

static void region_remove(struct kvm_vm *vm, unsigned at)
{
    vm->regions--;
    memmove(&vm->region[at], &vm->region[at + 1], (vm->regions - at) * sizeof vm->region[0]);
}

static int map_locked(struct kvm_vm *vm, struct kvm_region *added)
{
    unsigned at = region_at(vm, added->ipa);

    if (at < vm->regions && vm->region[at].ipa < added->ipa + added->size)
        return -EEXIST;
    if (vm->regions == KVM_MAX_REGIONS)
        return -ENOSPC;
    int err = region_show(vm, added);
    if (!err)
        region_insert(vm, at, added);
    return err;
}

int kvm_vm_map(struct hv_backend_vm *vm, void *host, hv_ipa_t ipa, size_t size,
               hv_memory_flags_t flags)
{
    struct kvm_vm *m = kvm_vm_of(vm);
    struct kvm_region added = { .ipa = ipa, .size = size, .host = host, .flags = flags };

    lock_acquire(&m->map_lock);
    int err = map_locked(m, &added);
    lock_release(&m->map_lock);
    return err;
}

/* Is every byte mapped? */
static bool covers(const struct kvm_vm *vm, uint64_t ipa, uint64_t end)
{
    for (unsigned i = region_at(vm, ipa); ipa < end; i++) {
        if (i == vm->regions || vm->region[i].ipa > ipa)
            return false;
        ipa = vm->region[i].ipa + vm->region[i].size;
    }
    return true;
}

/* Cut the region in two at `ipa` if that is inside of one. The pieces have no slot. */
static int split_at(struct kvm_vm *vm, uint64_t ipa)
{
    unsigned at = region_at(vm, ipa);

    if (at == vm->regions || vm->region[at].ipa >= ipa)
        return 0;
    if (vm->regions == KVM_MAX_REGIONS)
        return -ENOSPC;
    region_hide(vm, &vm->region[at]);

    struct kvm_region upper = vm->region[at];
    uint64_t lower_size = ipa - upper.ipa;

    vm->region[at].size = lower_size;
    upper.ipa += lower_size;
    upper.host += lower_size;
    upper.size -= lower_size;
    region_insert(vm, at + 1, &upper);
    return 0;
}

/* Slots for the regions that a cut has left without. */
static int show_all(struct kvm_vm *vm)
{
    int err = 0;

    for (unsigned i = 0; i < vm->regions; i++)
        if (vm->region[i].slot == KVM_NO_SLOT) {
            int here = region_show(vm, &vm->region[i]);

            err = err ? err : here;
        }
    return err;
}

static int change_locked(struct kvm_vm *vm, uint64_t ipa, uint64_t end, bool keep,
                         hv_memory_flags_t flags)
{
    if (!covers(vm, ipa, end))
        return -ENOENT;

    int err = split_at(vm, ipa);
    if (!err)
        err = split_at(vm, end);
    for (unsigned i = region_at(vm, ipa); !err && i < vm->regions && vm->region[i].ipa < end;) {
        region_hide(vm, &vm->region[i]);
        vm->region[i].flags = flags;
        if (keep)
            i++;
        else
            region_remove(vm, i);
    }

    int shown = show_all(vm);

    return err ? err : shown;
}

static int change(struct kvm_vm *vm, uint64_t ipa, uint64_t size, bool keep,
                  hv_memory_flags_t flags)
{
    kvm_vm_pause(vm);
    lock_acquire(&vm->map_lock);
    int err = change_locked(vm, ipa, ipa + size, keep, flags);
    lock_release(&vm->map_lock);
    kvm_vm_resume(vm);
    return err;
}

int kvm_vm_unmap(struct hv_backend_vm *vm, hv_ipa_t ipa, size_t size)
{
    return change(kvm_vm_of(vm), ipa, size, false, 0);
}

int kvm_vm_protect(struct hv_backend_vm *vm, hv_ipa_t ipa, size_t size, hv_memory_flags_t flags)
{
    return change(kvm_vm_of(vm), ipa, size, true, flags);
}

int kvm_memory_read(struct kvm_vm *vm, uint64_t ipa, void *to, size_t size)
{
    int err = -EFAULT;

    lock_acquire(&vm->map_lock);
    unsigned at = region_at(vm, ipa);
    if (at < vm->regions && vm->region[at].ipa <= ipa &&
        size <= vm->region[at].size - (ipa - vm->region[at].ipa)) {
        memcpy(to, vm->region[at].host + (ipa - vm->region[at].ipa), size);
        err = 0;
    }
    lock_release(&vm->map_lock);
    return err;
}

bool kvm_memory_is_mapped(struct kvm_vm *vm, uint64_t ipa)
{
    lock_acquire(&vm->map_lock);
    unsigned at = region_at(vm, ipa);
    bool mapped = at < vm->regions && vm->region[at].ipa <= ipa;
    lock_release(&vm->map_lock);
    return mapped;
}
