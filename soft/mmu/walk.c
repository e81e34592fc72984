/*
 * Stage 1 translation of the EL1&0 regime (DDI 0487 D8, shared pseudocode AArch64.S1Walk and
 * AArch64.S1DirectBasePermissions): 4K, 16K and 64K granules, up to 48 bits in and out,
 * hierarchical attributes, hardware update of access flag and dirty state.
 *
 * The tables are guest memory and may change under the walk, which reads each descriptor once.
 * Stage 2 is the VM's memory map: a table outside of it is an exit.
 */
#include "soft/model.h"
#include "soft/vcpu.h"

#define DESC_VALID   (1ull << 0)
#define DESC_TABLE   (1ull << 1)
#define DESC_AP_EL0  (1ull << 6)
#define DESC_AP_RO   (1ull << 7)
#define DESC_AF      (1ull << 10)
#define DESC_NG      (1ull << 11)
#define DESC_GP      (1ull << 50)
#define DESC_DBM     (1ull << 51)
#define DESC_PXN     (1ull << 53)
#define DESC_UXN     (1ull << 54)
#define DESC_PXNT    (1ull << 59)
#define DESC_UXNT    (1ull << 60)
#define DESC_APT_EL0 (1ull << 61)
#define DESC_APT_RO  (1ull << 62)

static void regime_half(struct mmu_half *h, uint64_t tcr, bool upper, bool pauth)
{
    /* TG0 and TG1 encode the granule differently; a reserved value is taken as 4K. */
    static const uint8_t tg0[4] = { 12, 16, 14, 12 }, tg1[4] = { 12, 14, 12, 16 };
    unsigned tsz = (unsigned)(upper ? bits(tcr, 21, 16) : bits(tcr, 5, 0));
    unsigned base_bits;

    h->granule_shift = upper ? tg1[bits(tcr, 31, 30)] : tg0[bits(tcr, 15, 14)];
    h->bad = tsz < 16 || tsz > (h->granule_shift == 16 ? 47 : 48); /* FEAT_TTST */
    h->input_bits = h->bad ? 48 : 64 - tsz;
    h->epd = bit(tcr, upper ? 23 : 7);
    h->tbi = bit(tcr, upper ? 38 : 37);
    h->hpd = bit(tcr, upper ? 42 : 41);
    h->tbid = pauth && bit(tcr, upper ? 52 : 51);
    h->e0pd = bit(tcr, upper ? 56 : 55);
    /* The first table's size decides how its base is aligned. */
    unsigned stride = h->granule_shift - 3;
    unsigned levels = (h->input_bits - h->granule_shift + stride - 1) / stride;
    base_bits = 3 + h->input_bits - ((levels - 1) * stride + h->granule_shift);
    h->base_mask = ones(48) & ~ones(base_bits < 5 ? 5 : base_bits);
}

void mmu_update_bases(struct soft_vcpu *v)
{
    struct mmu_regime *g = &v->regime;
    uint64_t tcr = v->sys[SYSREG_TCR_EL1];

    g->asid = (uint16_t)(v->sys[bit(tcr, 22) ? SYSREG_TTBR1_EL1 : SYSREG_TTBR0_EL1] >> 48);
    if (!bit(tcr, 36)) /* AS */
        g->asid &= 0xff;
    g->half[0].base = v->sys[SYSREG_TTBR0_EL1] & g->half[0].base_mask;
    g->half[1].base = v->sys[SYSREG_TTBR1_EL1] & g->half[1].base_mask;
    tlb_note_asid(v);
}

void mmu_update_regime(struct soft_vcpu *v)
{
    static const uint8_t ips[8] = { 32, 36, 40, 42, 44, 48, 48, 48 };
    struct mmu_regime *g = &v->regime;
    uint64_t sctlr = v->sys[SYSREG_SCTLR_EL1], tcr = v->sys[SYSREG_TCR_EL1];
    unsigned pa_bits = ips[v->sys[SYSREG_ID_AA64MMFR0_EL1] & 7];

    bool pauth = v->cpu.vm->options & MODEL_PAUTH;

    g->on = sctlr & SCTLR_M;
    g->align_check = sctlr & SCTLR_A;
    g->wxn = sctlr & SCTLR_WXN;
    g->epan = sctlr & SCTLR_EPAN;
    g->ha = bit(tcr, 39);
    g->hd = g->ha && bit(tcr, 40);
    g->pa_limit = pa_bits;
    g->pa_bits = ips[bits(tcr, 34, 32)];
    if (g->pa_bits > pa_bits)
        g->pa_bits = pa_bits;
    regime_half(&g->half[0], tcr, false, pauth);
    regime_half(&g->half[1], tcr, true, pauth);
    mmu_update_bases(v);
    st_le64(g->mair, v->sys[SYSREG_MAIR_EL1]);
}

static bool walk_fault(struct mmu_fault *f, unsigned fsc, unsigned level)
{
    *f = (struct mmu_fault){ .fsc = (uint8_t)(fsc | level) };
    return false;
}

/* MMU off: flat, Device-nGnRnE for data, Normal for fetches (D8.2.10). */
static bool walk_flat(struct soft_vcpu *v, const struct mmu_request *q, struct mmu_leaf *leaf,
                      struct mmu_fault *f)
{
    const struct mmu_half *h = &v->regime.half[bit(q->va, 55)];
    uint64_t pa = h->tbi && !(q->access == MMU_EXEC && h->tbid) ? q->va & ones(56) : q->va;

    if (pa >> v->regime.pa_limit)
        return walk_fault(f, FSC_ADDRESS_SIZE, 0);
    if (q->misaligned)
        return walk_fault(f, FSC_ALIGNMENT, 0);
    *leaf = (struct mmu_leaf){
        .pa = pa,
        .shift = 12,
        .attr = q->access == MMU_EXEC ? 0xaa : 0x00,
        .allowed = MMU_READ | MMU_WRITE | MMU_EXEC,
        .global = true,
    };
    return true;
}

/* The descriptor at `pa`, or NULL with a stage 2 fault. */
static uint64_t *walk_descriptor(struct soft_vcpu *v, uint64_t pa, struct mmu_fault *f)
{
    const struct soft_region *r = soft_region_of(v, pa);

    if (UNLIKELY(!r || !(r->flags & HV_MEMORY_READ))) {
        *f = (struct mmu_fault){ .fsc = (r ? FSC_PERMISSION : FSC_TRANSLATION) | 3,
                                 .stage2 = true,
                                 .ipa = pa };
        return NULL;
    }
    return (uint64_t *)(void *)soft_region_host(r, pa);
}

/* What a page allows at `el`, before PAN: the table of D8.4.1.2. */
static unsigned walk_permissions(const struct mmu_regime *g, uint64_t desc, unsigned el)
{
    bool user = desc & DESC_AP_EL0, writable = !(desc & DESC_AP_RO);
    unsigned allowed;

    if (el == 0) {
        allowed = user ? MMU_READ | (writable ? MMU_WRITE : 0) : 0;
        if (!(desc & DESC_UXN))
            allowed |= MMU_EXEC;
    } else {
        allowed = MMU_READ | (writable ? MMU_WRITE : 0);
        if (!(desc & DESC_PXN) && !(user && writable))
            allowed |= MMU_EXEC;
    }
    if (g->wxn && (allowed & MMU_WRITE))
        allowed &= ~(unsigned)MMU_EXEC;
    return allowed;
}

/*
 * Set AF, and clear AP[2] of a clean page that is written, if the descriptor is still what the walk
 * saw. False: it changed, walk again.
 */
static bool walk_update(uint64_t *slot, uint64_t seen, uint64_t wanted)
{
    return seen == wanted || __atomic_compare_exchange_n(slot, &seen, wanted, false,
                                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

enum walk_result { WALK_DONE, WALK_FAULT, WALK_AGAIN };

/* The leaf descriptor `desc`, read from `slot` at `slot_pa` (in v->last_region) at `level`;
 * `tables` holds the table attributes that apply. */
static enum walk_result walk_leaf(struct soft_vcpu *v, const struct mmu_request *q, uint64_t *slot,
                                  uint64_t slot_pa, uint64_t desc, uint64_t tables, unsigned level,
                                  unsigned shift, struct mmu_leaf *leaf, struct mmu_fault *f)
{
    const struct mmu_regime *g = &v->regime;
    uint64_t wanted = desc, effective = desc;
    uint64_t out = desc & ones(48) & ~ones(shift);

    if (out >> g->pa_bits)
        return walk_fault(f, FSC_ADDRESS_SIZE, level), WALK_FAULT;
    if (!(desc & DESC_AF)) {
        if (!g->ha)
            return walk_fault(f, FSC_ACCESS_FLAG, level), WALK_FAULT;
        wanted |= DESC_AF;
    }
    uint8_t attr = g->mair[bits(desc, 4, 2)];
    if (q->misaligned && mmu_is_device(attr)) /* before permissions: D8.15 */
        return walk_fault(f, FSC_ALIGNMENT, 0), WALK_FAULT;
    bool clean = g->hd && (desc & DESC_DBM) && (desc & DESC_AP_RO);
    if (clean)
        effective &= ~DESC_AP_RO;
    if (tables & DESC_APT_RO) {
        effective |= DESC_AP_RO;
        clean = false;
    }
    if (tables & DESC_APT_EL0)
        effective &= ~DESC_AP_EL0;
    if (tables & DESC_UXNT)
        effective |= DESC_UXN;
    if (tables & DESC_PXNT)
        effective |= DESC_PXN;

    unsigned allowed = walk_permissions(g, effective, q->el);
    unsigned user = walk_permissions(g, effective, 0);
    bool guarded = q->el == 1 && ((user & MMU_READ) || (g->epan && (user & MMU_EXEC)));
    if (guarded && q->pan)
        allowed &= ~(unsigned)(MMU_READ | MMU_WRITE);
    if (!q->any && !(allowed & q->access))
        return walk_fault(f, FSC_PERMISSION, level), WALK_FAULT;
    if (clean && q->access == MMU_WRITE && !q->query) {
        wanted &= ~DESC_AP_RO;
        clean = false;
    }
    if (wanted != desc && !(v->last_region->flags & HV_MEMORY_WRITE)) {
        *f = (struct mmu_fault){ .fsc = FSC_PERMISSION | 3, .stage2 = true, .ipa = slot_pa };
        return WALK_FAULT;
    }
    if (!walk_update(slot, desc, wanted))
        return WALK_AGAIN;
    if (!(desc & DESC_NG) && !bit(q->va, 55) && UNLIKELY(tlb_note_global(v)))
        return WALK_AGAIN;

    *leaf = (struct mmu_leaf){
        .pa = out | (q->va & ones(shift)),
        .shift = shift,
        .attr = attr,
        .share = (uint8_t)bits(desc, 9, 8),
        .allowed = clean ? allowed & ~(unsigned)MMU_WRITE : allowed,
        .global = !(desc & DESC_NG),
        .gp = (desc & DESC_GP) && (v->cpu.vm->options & MODEL_BTI),
        .guarded = guarded,
    };
    return WALK_DONE;
}

static enum walk_result walk_tables(struct soft_vcpu *v, const struct mmu_request *q,
                                    struct mmu_leaf *leaf, struct mmu_fault *f)
{
    const struct mmu_half *h = &v->regime.half[bit(q->va, 55)];
    unsigned stride = h->granule_shift - 3;
    unsigned levels = (h->input_bits - h->granule_shift + stride - 1) / stride;
    unsigned level = 4 - levels;
    unsigned top = h->input_bits;
    uint64_t table = h->base, tables = 0;

    if (table >> v->regime.pa_bits)
        return walk_fault(f, FSC_ADDRESS_SIZE, 0), WALK_FAULT;
    for (;; level++) {
        unsigned shift = (3 - level) * stride + h->granule_shift;
        uint64_t slot_pa = table | bits(q->va, top - 1, shift) << 3;
        uint64_t *slot = walk_descriptor(v, slot_pa, f);
        if (!slot)
            return WALK_FAULT;
        uint64_t desc = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
        if (!(desc & DESC_VALID))
            return walk_fault(f, FSC_TRANSLATION, level), WALK_FAULT;
        if (level == 3 || !(desc & DESC_TABLE)) {
            bool block = level == 2 || (level == 1 && h->granule_shift == 12);
            if (level == 3 ? !(desc & DESC_TABLE) : !block)
                return walk_fault(f, FSC_TRANSLATION, level), WALK_FAULT;
            return walk_leaf(v, q, slot, slot_pa, desc, tables, level, shift, leaf, f);
        }
        table = desc & ones(48) & ~ones(h->granule_shift);
        if (table >> v->regime.pa_bits)
            return walk_fault(f, FSC_ADDRESS_SIZE, level), WALK_FAULT;
        if (!h->hpd)
            tables |= desc;
        top = shift;
    }
}

bool mmu_translate(struct soft_vcpu *v, const struct mmu_request *q, struct mmu_leaf *leaf,
                   struct mmu_fault *f)
{
    if (!v->regime.on)
        return walk_flat(v, q, leaf, f);

    bool upper = bit(q->va, 55);
    const struct mmu_half *h = &v->regime.half[upper];
    unsigned top = h->tbi && !(q->access == MMU_EXEC && h->tbid) ? 55 : 63;
    uint64_t sign = bits(q->va, top, h->input_bits);

    if (h->bad || h->epd || (h->e0pd && q->el == 0) ||
        sign != (upper ? ones(top - h->input_bits + 1) : 0))
        return walk_fault(f, FSC_TRANSLATION, 0);
    for (;;) {
        enum walk_result r = walk_tables(v, q, leaf, f);
        if (r != WALK_AGAIN)
            return r == WALK_DONE;
    }
}
