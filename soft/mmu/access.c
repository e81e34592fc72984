/*
 * The slow paths of memory: what the inline accessors of soft/cpu.h call when the TLB has no entry,
 * when an access crosses a page, is misaligned where that matters, goes to device memory, or needs
 * the address for an atomic operation.
 *
 * An access that stage 1 refuses is an abort to EL1. One that stage 1 allows but that has no
 * memory, or not the permission, in the VM's map is an exit with the syndrome of a stage 2 abort
 * (soft/mmu/abort.c).
 */
#include "soft/mmu/abort.h"
#include "soft/vcpu.h"

/* One access, as its faults describe it. */
struct access {
    struct cpu *c;
    const struct insn *i;
    uint64_t va;
    unsigned size;
    unsigned kind; /* MMU_READ or MMU_WRITE */
    bool unprivileged;
    bool misaligned; /* device memory is an obstacle */
};

static struct access access_begin(struct cpu *c, const struct insn *i, uint64_t va, unsigned size,
                                  unsigned kind, unsigned flags)
{
    return (struct access){
        .c = c,
        .i = i,
        .va = va,
        .size = size,
        .kind = kind,
        .unprivileged = (flags & MEM_UNPRIV) && c->el == 1 && !c->uao,
    };
}

/* Alignment that does not depend on the memory's type (D8.2, CheckAlignment). */
static void access_check_alignment(struct access *a, uint64_t va, unsigned size, unsigned flags)
{
    bool misaligned = va & (size - 1);

    if (misaligned && ((flags & MEM_ALIGNED) || vcpu_of(a->c)->regime.align_check))
        abort_alignment(a->c, a->i, va, a->kind == MMU_WRITE);
    a->misaligned = misaligned || (flags & MEM_NO_DEVICE);
}

/* Watchpoints, whose pages never have a TLB entry: after every fault of stage 1 (D1.3.5). */
static void access_check_watch(const struct access *a)
{
    if (UNLIKELY(vcpu_of(a->c)->debug.watches))
        debug_check_watch(a->c, a->i,
                          &(struct debug_access){ .va = a->va,
                                                  .size = a->size,
                                                  .write = a->kind == MMU_WRITE,
                                                  .unprivileged = a->unprivileged });
}

/* Where no memory is, the monitor may have a device. An abort of stage 2 comes before a watchpoint
 * (D1.3.5), which hides devices from it; a guest whose debug is native has no such stage to see. */
static _Noreturn void access_leave(const struct access *a, uint64_t va, uint64_t pa, bool mapped)
{
    if (!mapped && a->c->vm->native_debug_pmu)
        access_check_watch(a);
    abort_stage2_data(a->c, a->i, va, pa, a->kind == MMU_WRITE ? ISS_WNR : 0, mapped);
}

/* A page that may be written, but through exclusive_hold(); no longer, if it is not watched now. */
static bool access_is_watched(const struct soft_vcpu *v, const struct tlb_entry *e, uint64_t va)
{
    return (e->pa & TLB_WATCHED) && (e->rd ^ va) < 4096 && !v->hot.track &&
           exclusive_watches(v->cpu.vm->exclusives, e->pa);
}

/* `host` is where `va` is, in region `r`: an entry of the TLB, if it may have one. */
static void access_fill(struct soft_vcpu *v, struct mmu_bank *bank, uint64_t va,
                        const struct mmu_leaf *leaf, const struct soft_region *r, uint8_t *host)
{
    unsigned allowed = leaf->allowed;

    if (mmu_is_device(leaf->attr) || v->regime.align_check ||
        (v->debug.watches && debug_watches_in(v, va)))
        return;
    if (!(r->flags & HV_MEMORY_READ))
        allowed &= ~(unsigned)MMU_READ;
    if (!(r->flags & HV_MEMORY_WRITE))
        allowed &= ~(unsigned)MMU_WRITE;
    tlb_fill(v, bank, va, leaf, host - (va & 4095), allowed);
    if (!v->debug.watches)
        tlb_fill_wide(v, bank, va, leaf, r, allowed);
}

/*
 * The host address of `va`, which may be used up to the end of its 4 KiB page. Fills the TLB.
 */
static uint8_t *access_host(const struct access *a, uint64_t va, uint64_t *pa)
{
    struct cpu *c = a->c;
    struct soft_vcpu *v = vcpu_of(c);
    struct mmu_bank *bank = a->unprivileged || c->el == 0 ? v->user : &v->kernel;
    const struct tlb_entry *e = tlb_find(v, bank, va, a->kind == MMU_WRITE);

    if (!e && access_is_watched(v, tlb_entry_of(&bank->tlb, va), va))
        e = tlb_entry_of(&bank->tlb, va);
    if (e) {
        *pa = (e->pa & ~4095ull) | (va & 4095);
        return (uint8_t *)(e->add + va); /* NOLINT: the TLB's arithmetic */
    }

    struct mmu_request q = {
        .va = va,
        .access = a->kind,
        .el = a->unprivileged ? 0 : c->el,
        .pan = c->pan,
        .misaligned = a->misaligned,
    };
    struct mmu_leaf leaf;
    struct mmu_fault f;
    v->stats.tlb_misses++;
    if (!mmu_translate(v, &q, &leaf, &f))
        abort_data(c, a->i, va, a->kind == MMU_WRITE ? ISS_WNR : 0, &f);
    unsigned wanted = a->kind == MMU_WRITE ? HV_MEMORY_WRITE : HV_MEMORY_READ;
    const struct soft_region *r = soft_region_of(v, leaf.pa);
    if (!r || !(r->flags & wanted))
        access_leave(a, va, leaf.pa, r != NULL);
    uint8_t *host = soft_region_host(r, leaf.pa);
    *pa = leaf.pa;
    if (UNLIKELY(v->hot.track) && a->kind == MMU_WRITE)
        jit_track_write(v, leaf.pa);
    access_fill(v, bank, va, &leaf, r, host);
    return host;
}

/* Bytes of [va, va + size) before the next 4 KiB page; all of them if it does not cross. */
static unsigned access_head(uint64_t va, unsigned size)
{
    unsigned left = 4096 - (unsigned)(va & 4095);
    return left < size ? left : size;
}

static uint64_t load_host(const uint8_t *p, unsigned size)
{
    switch (size) {
    case 1:
        return *p;
    case 2:
        return ld_le16(p);
    case 4:
        return ld_le32(p);
    default:
        return ld_le64(p);
    }
}

static void store_host(uint8_t *p, unsigned size, uint64_t value)
{
    switch (size) {
    case 1:
        *p = (uint8_t)value;
        break;
    case 2:
        st_le16(p, (uint16_t)value);
        break;
    case 4:
        st_le32(p, (uint32_t)value);
        break;
    default:
        st_le64(p, value);
        break;
    }
}

uint64_t mem_load_slow(struct cpu *c, const struct insn *i, uint64_t va, unsigned size,
                       unsigned flags)
{
    struct access a = access_begin(c, i, va, size, MMU_READ, flags);
    uint64_t pa, value = 0;

    access_check_alignment(&a, va, size, flags);
    unsigned head = access_head(va, size);
    const uint8_t *first = access_host(&a, va, &pa);
    if (head == size) {
        access_check_watch(&a);
        return load_host(first, size);
    }
    const uint8_t *second = access_host(&a, va + head, &pa);
    access_check_watch(&a);
    memcpy(&value, first, head);
    memcpy((uint8_t *)&value + head, second, size - head);
    return value;
}

/* The engine check takes the interpreter's stores back. */
static void note_store(struct cpu *c, void *host, unsigned size)
{
    if (UNLIKELY(vcpu_of(c)->check))
        check_note_store(vcpu_of(c)->check, host, size);
}

void mem_store_slow(struct cpu *c, const struct insn *i, uint64_t va, unsigned size, uint64_t value,
                    unsigned flags)
{
    struct access a = access_begin(c, i, va, size, MMU_WRITE, flags);
    uint64_t pa;

    access_check_alignment(&a, va, size, flags);
    unsigned head = access_head(va, size);
    uint8_t *first = access_host(&a, va, &pa);
    if (head == size) {
        access_check_watch(&a);
        note_store(c, first, size);
        struct exclusive_set *held = exclusive_hold(vcpu_of(c), pa, size);
        store_host(first, size, value);
        exclusive_release(held);
        return;
    }
    uint64_t second_pa;
    uint8_t *second = access_host(&a, va + head, &second_pa);
    access_check_watch(&a);
    note_store(c, first, head);
    note_store(c, second, size - head);
    struct exclusive_set *held = exclusive_hold(vcpu_of(c), pa, head);
    memcpy(first, &value, head);
    exclusive_release(held);
    held = exclusive_hold(vcpu_of(c), second_pa, size - head);
    memcpy(second, (uint8_t *)&value + head, size - head);
    exclusive_release(held);
}

void *mem_atomic(struct cpu *c, const struct insn *i, uint64_t va, unsigned size)
{
    struct access a = access_begin(c, i, va, size, MMU_READ, MEM_ALIGNED);
    uint64_t pa;

    access_check_alignment(&a, va, size, MEM_ALIGNED);
    access_host(&a, va, &pa); /* a fault that reading has too is a read's (WnR = 0) */
    access_check_watch(&a);
    a.kind = MMU_WRITE;
    void *host = access_host(&a, va, &pa);
    access_check_watch(&a);
    note_store(c, host, size);
    c->excl_held = exclusive_hold(vcpu_of(c), pa, size);
    return host;
}

void mem_atomic_end(struct cpu *c)
{
    exclusive_release(c->excl_held);
}

static void *exclusive_host(struct cpu *c, const struct insn *i, uint64_t va, unsigned size,
                            unsigned kind, uint64_t *pa)
{
    struct access a = access_begin(c, i, va, size, kind, MEM_ALIGNED);

    access_check_alignment(&a, va, size, MEM_ALIGNED);
    void *host = access_host(&a, va, pa);
    access_check_watch(&a);
    return host;
}

const void *mem_load_exclusive(struct cpu *c, const struct insn *i, uint64_t va, unsigned size,
                               uint64_t *pa)
{
    return exclusive_host(c, i, va, size, MMU_READ, pa);
}

void *mem_store_exclusive(struct cpu *c, const struct insn *i, uint64_t va, unsigned size,
                          uint64_t *pa)
{
    void *host = exclusive_host(c, i, va, size, MMU_WRITE, pa);

    note_store(c, host, size);
    return host;
}

void mem_probe(struct cpu *c, const struct insn *i, uint64_t va, unsigned size, unsigned element,
               bool write, unsigned flags)
{
    struct access a = access_begin(c, i, va, size, write ? MMU_WRITE : MMU_READ, flags);
    unsigned head = access_head(va, size);
    uint64_t pa;

    access_check_alignment(&a, va, element, flags);
    access_host(&a, va, &pa);
    if (head < size)
        access_host(&a, va + head, &pa);
    access_check_watch(&a);
}

const uint8_t *mmu_fetch_query(struct cpu *c, uint64_t va, uint64_t *pa)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct mmu_request q = { .va = va, .access = MMU_EXEC, .el = c->el };
    struct mmu_leaf leaf;
    struct mmu_fault f;

    if (!mmu_translate(v, &q, &leaf, &f))
        return NULL;
    const struct soft_region *r = soft_region_of(v, leaf.pa);
    if (!r || !(r->flags & HV_MEMORY_EXEC))
        return NULL;
    tlb_note_fetch(v, c->el ? &v->kernel : v->user, va, &leaf);
    *pa = align_down(leaf.pa, CODE_PAGE_SIZE);
    return soft_region_host(r, *pa);
}

static const uint8_t *fetch_host(struct cpu *c, uint64_t pc, struct mmu_leaf *leaf, uint64_t *pa)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct mmu_request q = { .va = pc, .access = MMU_EXEC, .el = c->el };
    struct mmu_fault f;

    if (!mmu_translate(v, &q, leaf, &f))
        abort_fetch(c, pc, &f);
    const struct soft_region *r = soft_region_of(v, leaf->pa);
    if (!r || !(r->flags & HV_MEMORY_EXEC))
        abort_stage2_fetch(c, pc, leaf->pa, r != NULL);
    *pa = align_down(leaf->pa, CODE_PAGE_SIZE);
    return soft_region_host(r, *pa);
}

const uint8_t *mmu_fetch_host(struct cpu *c, uint64_t pc, uint64_t *pa)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct mmu_leaf leaf;
    const uint8_t *host = fetch_host(c, pc, &leaf, pa);

    tlb_note_fetch(v, c->el ? &v->kernel : v->user, pc, &leaf);
    return host;
}

struct code_page *mmu_fetch(struct cpu *c, uint64_t pc)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct mmu_leaf leaf;
    uint64_t pa;
    const uint8_t *host = fetch_host(c, pc, &leaf, &pa);
    struct code_page *page = code_get(v, pa, host);
    if (!page)
        abort_no_memory(c, pc);
    if (!(v->slow & SLOW_BREAK) || !debug_breaks_in(v, pc))
        tlb_fill_fetch(v, c->el ? &v->kernel : v->user, pc, &leaf, page);
    return page;
}

bool mmu_maintain(struct cpu *c, const struct insn *i, uint64_t va, enum mmu_maintenance kind,
                  uint64_t *pa)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct mmu_bank *bank = c->el ? &v->kernel : v->user;
    const bool write = kind == MMU_INVALIDATE;
    /* EL0 needs to be able to read what it maintains (D8.4.2); EL1 only a translation, but to be
     * able to write what it would throw away (C5.3, DC IVAC). PAN is for neither, but for what the
     * TLB gets to know of a page. */
    struct mmu_request q = {
        .va = va,
        .access = write ? MMU_WRITE : MMU_READ,
        .el = c->el,
        .pan = c->pan && !write,
        .any = c->el == 1 && !write,
        .query = true,
    };
    const struct tlb_entry *e = write ? NULL : tlb_find(v, bank, va, false);
    struct mmu_leaf leaf;
    struct mmu_fault f;

    if (e) {
        *pa = (e->pa & ~4095ull) | (va & 4095);
        return true;
    }
    if (!mmu_translate(v, &q, &leaf, &f))
        abort_data(c, i, va, ISS_CM | ISS_WNR, &f);
    const struct soft_region *r = soft_region_of(v, leaf.pa);
    if (!r && kind != MMU_INVALIDATE_CODE)
        abort_stage2_data(c, i, va, leaf.pa, ISS_CM | ISS_WNR, false);
    if (r && !write)
        access_fill(v, bank, va, &leaf, r, soft_region_host(r, leaf.pa));
    *pa = leaf.pa;
    return r != NULL;
}

void mmu_address_translate(struct cpu *c, const struct insn *i, uint64_t va, unsigned el,
                           bool write, bool pan)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct mmu_request q = {
        .va = va, .access = write ? MMU_WRITE : MMU_READ, .el = el, .pan = pan, .query = true
    };
    struct mmu_leaf leaf;
    struct mmu_fault f;
    uint64_t par;

    if (mmu_translate(v, &q, &leaf, &f)) {
        unsigned share =
            mmu_is_device(leaf.attr) || leaf.attr == MMU_NON_CACHEABLE ? 2 : leaf.share;
        par = (uint64_t)leaf.attr << 56 | (leaf.pa & ones(48) & ~4095ull) | 1u << 11 | share << 7;
    } else if (f.stage2) {
        abort_data(c, i, va, 0, &f);
    } else {
        par = 1u << 11 | (uint64_t)f.fsc << 1 | 1;
    }
    v->sys[SYSREG_PAR_EL1] = par;
}
