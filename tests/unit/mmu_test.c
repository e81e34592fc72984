/* Stage 1 translation, permissions, hardware updates and TLB maintenance (DDI 0487 D8). */
#include "soft/mmu/abort.h"
#include "tests/unit/soft_fixture.h"

/* Descriptor bits. */
#define PAGE   3ull
#define BLOCK  1ull
#define TABLE  3ull
#define AF     (1ull << 10)
#define NG     (1ull << 11)
#define AP_EL0 (1ull << 6)
#define AP_RO  (1ull << 7)
#define DBM    (1ull << 51)
#define PXN    (1ull << 53)
#define UXN    (1ull << 54)

#define TABLES (RAM_BASE + 0x100000)
#define TARGET (RAM_BASE + 0x200000)

/* TCR_EL1: TG0, TG1, IPS of 40 bits, EPD1. */
#define TCR_TG0(n) ((uint64_t)(n) << 14)
#define TCR_IPS40  (2ull << 32)
#define TCR_EPD0   (1ull << 7)
#define TCR_EPD1   (1ull << 23)
#define TCR_TBI0   (1ull << 37)
#define TCR_HA     (1ull << 39)
#define TCR_HD     (1ull << 40)
#define TCR_HPD0   (1ull << 41)
#define TCR_E0PD0  (1ull << 55)
#define TCR_AS     (1ull << 36)

static void put(struct fixture *f, uint64_t pa, uint64_t desc)
{
    st_le64(f->ram + (pa - RAM_BASE), desc);
}

static uint64_t get(struct fixture *f, uint64_t pa)
{
    return ld_le64(f->ram + (pa - RAM_BASE));
}

static void set(struct fixture *f, enum sysreg r, uint64_t value)
{
    soft_sysreg_write(f->v, r, value);
}

/* Translation on, with TTBR0 at TABLES; MAIR 0 is device, 1 is normal memory. */
static void mmu_on(struct fixture *f, uint64_t tcr)
{
    set(f, SYSREG_MAIR_EL1, 0xff00);
    set(f, SYSREG_TCR_EL1, tcr);
    set(f, SYSREG_TTBR0_EL1, TABLES);
    set(f, SYSREG_TTBR1_EL1, TABLES);
    set(f, SYSREG_SCTLR_EL1, IREKO_V1_SCTLR | SCTLR_M);
}

#define NORMAL (1ull << 2)

/* The fault status, or -1 and the physical address. */
static int translate(struct fixture *f, uint64_t va, unsigned access, unsigned el, uint64_t *pa)
{
    struct mmu_request q = { .va = va, .access = access, .el = el, .pan = f->c->pan };
    struct mmu_leaf leaf;
    struct mmu_fault fault;

    if (!mmu_translate(f->v, &q, &leaf, &fault))
        return fault.stage2 ? 0x100 | fault.fsc : fault.fsc;
    if (pa)
        *pa = leaf.pa;
    return -1;
}

/* Tables for one page or block of each granule and level: index 1 of every level. */
static const struct {
    unsigned tg0, tsz;
    unsigned granule;
    unsigned levels; /* tables walked */
    unsigned shift;  /* of the leaf */
} shapes[] = {
    { 0, 16, 12, 4, 12 }, { 0, 16, 12, 3, 21 }, { 0, 16, 12, 2, 30 }, { 0, 25, 12, 3, 12 },
    { 0, 25, 12, 2, 21 }, { 0, 39, 12, 2, 12 }, { 2, 17, 14, 3, 14 }, { 2, 17, 14, 2, 25 },
    { 2, 28, 14, 2, 14 }, { 1, 22, 16, 2, 16 }, { 1, 22, 16, 1, 29 }, { 1, 16, 16, 3, 16 },
};

/* Build shape `n` with `leaf` attributes; the virtual address that it maps to TARGET's leaf. */
static uint64_t build(struct fixture *f, unsigned n, uint64_t leaf)
{
    unsigned granule = shapes[n].granule, stride = granule - 3;
    unsigned shift = shapes[n].shift + (shapes[n].levels - 1) * stride;
    uint64_t table = TABLES, va = 0;

    for (unsigned level = 0; level < shapes[n].levels; level++, shift -= stride) {
        bool last = level + 1 == shapes[n].levels;
        uint64_t next = table + (1ull << granule);
        va |= 1ull << shift;
        if (last)
            put(f, table + 8,
                align_down(TARGET, 1ull << shift) | leaf | (shift == granule ? PAGE : BLOCK));
        else
            put(f, table + 8, next | TABLE);
        table = next;
    }
    return va;
}

static void every_granule_and_level_translates(void **state)
{
    struct fixture *f = *state;

    for (unsigned n = 0; n < ARRAY_LEN(shapes); n++) {
        uint64_t mask = ones(shapes[n].shift), pa = 0;
        memset(f->ram, 0, RAM_SIZE);
        uint64_t va = build(f, n, AF | NORMAL);
        mmu_on(f, TCR_TG0(shapes[n].tg0) | TCR_IPS40 | shapes[n].tsz);
        assert_int_equal(translate(f, va + (0x123456789abull & mask), MMU_READ, 1, &pa), -1);
        assert_int_equal(pa, (TARGET & ~mask) | (0x123456789abull & mask));
        /* The neighbour below has no descriptor, at the leaf's level. */
        unsigned level = 3 - (shapes[n].shift - shapes[n].granule) / (shapes[n].granule - 3);
        assert_int_equal(translate(f, va - 1, MMU_READ, 1, NULL), FSC_TRANSLATION | level);
    }
}

static void each_level_faults_with_its_number(void **state)
{
    struct fixture *f = *state;
    uint64_t va = build(f, 0, AF | NORMAL);

    mmu_on(f, TCR_IPS40 | 16);
    for (int level = 3; level >= 0; level--) {
        uint64_t slot = TABLES + (uint64_t)level * 4096 + 8, seen = get(f, slot);
        put(f, slot, 0);
        assert_int_equal(translate(f, va, MMU_READ, 1, NULL), FSC_TRANSLATION | level);
        put(f, slot, (1ull << 44) | (level == 3 ? PAGE | AF : TABLE));
        assert_int_equal(translate(f, va, MMU_READ, 1, NULL), FSC_ADDRESS_SIZE | level);
        put(f, slot, seen);
    }
    /* A block where none may be, and a reserved level 3 descriptor. */
    put(f, TABLES + 8, BLOCK | AF);
    assert_int_equal(translate(f, va, MMU_READ, 1, NULL), FSC_TRANSLATION | 0);
    put(f, TABLES + 8, (TABLES + 4096) | TABLE);
    put(f, TABLES + 3 * 4096 + 8, TARGET | BLOCK | AF);
    assert_int_equal(translate(f, va, MMU_READ, 1, NULL), FSC_TRANSLATION | 3);
}

static void a_table_without_memory_is_a_stage_2_fault(void **state)
{
    struct fixture *f = *state;
    uint64_t va = build(f, 0, AF | NORMAL);

    mmu_on(f, TCR_IPS40 | 16);
    put(f, TABLES + 8, 0x10000000ull | TABLE);
    assert_int_equal(translate(f, va, MMU_READ, 1, NULL), 0x100 | FSC_TRANSLATION | 3);
}

static void addresses_outside_the_halves_fault(void **state)
{
    struct fixture *f = *state;
    uint64_t va = build(f, 0, AF | NORMAL | AP_EL0), pa;

    mmu_on(f, TCR_IPS40 | 16);
    assert_int_equal(translate(f, va | 1ull << 50, MMU_READ, 1, NULL), FSC_TRANSLATION | 0);
    assert_int_equal(translate(f, va | 0x5aull << 56, MMU_READ, 1, NULL), FSC_TRANSLATION | 0);
    set(f, SYSREG_TCR_EL1, TCR_IPS40 | TCR_TBI0 | 16);
    assert_int_equal(translate(f, va | 0x5aull << 56, MMU_READ, 1, &pa), -1);
    assert_int_equal(pa, TARGET);
    set(f, SYSREG_TCR_EL1, TCR_IPS40 | TCR_E0PD0 | 16);
    assert_int_equal(translate(f, va, MMU_READ, 1, NULL), -1);
    assert_int_equal(translate(f, va, MMU_READ, 0, NULL), FSC_TRANSLATION | 0);
    set(f, SYSREG_TCR_EL1, TCR_IPS40 | TCR_EPD0 | 16);
    assert_int_equal(translate(f, va, MMU_READ, 1, NULL), FSC_TRANSLATION | 0);
    /* The upper half with 48 bits, by TTBR1. */
    set(f, SYSREG_TCR_EL1, TCR_IPS40 | 16 | 16 << 16 | 2ull << 30);
    assert_int_equal(translate(f, va | 0xffffull << 48, MMU_READ, 1, &pa), -1);
    assert_int_equal(pa, TARGET);
}

/* D8.4.1: which of read, write, execute each attribute leaves at EL1 and EL0. */
static void permissions_follow_the_table(void **state)
{
    static const struct {
        uint64_t attributes;
        uint64_t sctlr;
        bool pan;
        unsigned el1, el0;
    } cases[] = {
        { 0, 0, false, 7, 4 },
        { AP_RO, 0, false, 5, 4 },
        { AP_EL0, 0, false, 3, 7 },
        { AP_EL0 | AP_RO, 0, false, 5, 5 },
        { PXN, 0, false, 3, 4 },
        { UXN, 0, false, 7, 0 },
        { AP_EL0 | UXN, 0, false, 3, 3 },
        { AP_EL0 | AP_RO | PXN | UXN, 0, false, 1, 1 },
        { AP_EL0 | UXN, 0, true, 0, 3 },
        { AP_EL0 | AP_RO, 0, true, 4, 5 },
        { 0, 0, true, 7, 4 },
        { 0, SCTLR_EPAN, true, 4, 4 },
        { UXN, SCTLR_EPAN, true, 7, 0 },
        { 0, SCTLR_WXN, false, 3, 4 },
        { AP_EL0, SCTLR_WXN, false, 3, 3 },
        { AP_EL0 | AP_RO, SCTLR_WXN, false, 5, 5 },
    };
    struct fixture *f = *state;

    for (unsigned n = 0; n < ARRAY_LEN(cases); n++) {
        uint64_t va = build(f, 0, AF | NORMAL | cases[n].attributes);
        mmu_on(f, TCR_IPS40 | 16);
        set(f, SYSREG_SCTLR_EL1, IREKO_V1_SCTLR | SCTLR_M | cases[n].sctlr);
        f->c->pan = cases[n].pan;
        for (unsigned el = 0; el < 2; el++)
            for (unsigned access = 1; access <= 4; access <<= 1) {
                bool may = (el ? cases[n].el1 : cases[n].el0) & access;
                int got = translate(f, va, access, el, NULL);
                if (got != (may ? -1 : (FSC_PERMISSION | 3)))
                    fail_msg("case %u EL%u access %u: %#x", n, el, access, (unsigned)got);
            }
    }
}

static void table_attributes_restrict_unless_disabled(void **state)
{
    struct fixture *f = *state;
    uint64_t va = build(f, 0, AF | NORMAL | AP_EL0), table = get(f, TABLES + 8);

    mmu_on(f, TCR_IPS40 | 16);
    put(f, TABLES + 8, table | 1ull << 62); /* APTable: read-only */
    assert_int_equal(translate(f, va, MMU_WRITE, 0, NULL), FSC_PERMISSION | 3);
    put(f, TABLES + 8, table | 1ull << 61); /* no EL0 */
    assert_int_equal(translate(f, va, MMU_READ, 0, NULL), FSC_PERMISSION | 3);
    put(f, TABLES + 8, table | 1ull << 60); /* UXNTable */
    assert_int_equal(translate(f, va, MMU_EXEC, 0, NULL), FSC_PERMISSION | 3);
    put(f, TABLES + 8, table | 7ull << 60);
    set(f, SYSREG_TCR_EL1, TCR_IPS40 | TCR_HPD0 | 16);
    assert_int_equal(translate(f, va, MMU_WRITE, 0, NULL), -1);
    assert_int_equal(translate(f, va, MMU_EXEC, 0, NULL), -1);
}

static void hardware_sets_access_flag_and_dirty_state(void **state)
{
    struct fixture *f = *state;
    uint64_t va = build(f, 0, NORMAL | AP_RO | DBM), slot = TABLES + 3 * 4096 + 8;

    mmu_on(f, TCR_IPS40 | 16);
    assert_int_equal(translate(f, va, MMU_READ, 1, NULL), FSC_ACCESS_FLAG | 3);
    set(f, SYSREG_TCR_EL1, TCR_IPS40 | TCR_HA | 16);
    assert_int_equal(translate(f, va, MMU_WRITE, 1, NULL), FSC_PERMISSION | 3);
    assert_int_equal(translate(f, va, MMU_READ, 1, NULL), -1);
    assert_int_equal(get(f, slot) & AF, AF);
    assert_int_equal(get(f, slot) & AP_RO, AP_RO);
    set(f, SYSREG_TCR_EL1, TCR_IPS40 | TCR_HA | TCR_HD | 16);
    assert_int_equal(translate(f, va, MMU_WRITE, 1, NULL), -1);
    assert_int_equal(get(f, slot) & AP_RO, 0);
}

/* A program that loads through the TLB before and after its page moves. */
#define CODE_VA RAM_BASE

/* 4K granule, 39 bits: code mapped flat, and one page of data at 1 << 30 | n << 12. */
static uint64_t *data_descriptors(struct fixture *f)
{
    memset(f->ram, 0, RAM_SIZE);
    put(f, TABLES + 8, RAM_BASE | BLOCK | AF | NORMAL); /* level 1: 0x4000_0000, 1 GiB flat */
    put(f, TABLES + 16, (TABLES + 4096) | TABLE);
    put(f, TABLES + 4096, (TABLES + 8192) | TABLE);
    mmu_on(f, TCR_IPS40 | 25 | TCR_AS);
    return (uint64_t *)(void *)(f->ram + (TABLES + 8192 - RAM_BASE));
}

#define DATA_VA 0x80000000ull

static void tlb_keeps_and_tlbi_drops(void **state)
{
    struct fixture *f = *state;
    uint64_t *desc = data_descriptors(f);

    st_le64(f->ram + 0x200000, 11);
    st_le64(f->ram + 0x201000, 22);
    desc[0] = TARGET | PAGE | AF | NORMAL;
    f->c->x[1] = DATA_VA;
    RUN(f, CODE_VA, A64_LDR(0, 1), A64_BRK(0));
    assert_int_equal(f->c->x[0], 11);
    desc[0] = (TARGET + 4096) | PAGE | AF | NORMAL;
    RUN(f, CODE_VA, A64_LDR(0, 1), A64_BRK(0));
    assert_int_equal(f->c->x[0], 11);
    f->c->x[2] = (DATA_VA >> 12) + 1; /* another page: this one stays */
    RUN(f, CODE_VA, A64_TLBI_VAE1(2), A64_LDR(0, 1), A64_BRK(0));
    assert_int_equal(f->c->x[0], 11);
    f->c->x[2] = DATA_VA >> 12;
    RUN(f, CODE_VA, A64_TLBI_VAE1(2), A64_LDR(0, 1), A64_BRK(0));
    assert_int_equal(f->c->x[0], 22);
    desc[0] = TARGET | PAGE | AF | NORMAL;
    RUN(f, CODE_VA, A64_TLBI_VMALLE1, A64_LDR(0, 1), A64_BRK(0));
    assert_int_equal(f->c->x[0], 11);
}

static void pages_of_another_asid_are_not_seen(void **state)
{
    struct fixture *f = *state;
    uint64_t *desc = data_descriptors(f);

    st_le64(f->ram + 0x200000, 11);
    st_le64(f->ram + 0x201000, 22);
    f->c->x[1] = DATA_VA;
    desc[0] = TARGET | PAGE | AF | NORMAL | NG;
    set(f, SYSREG_TTBR0_EL1, TABLES | 1ull << 48);
    RUN(f, CODE_VA, A64_LDR(0, 1), A64_BRK(0));
    assert_int_equal(f->c->x[0], 11);
    desc[0] = (TARGET + 4096) | PAGE | AF | NORMAL | NG;
    set(f, SYSREG_TTBR0_EL1, TABLES | 2ull << 48);
    RUN(f, CODE_VA, A64_LDR(0, 1), A64_BRK(0));
    assert_int_equal(f->c->x[0], 22);
    desc[0] = TARGET | PAGE | AF | NORMAL | NG;
    f->c->x[2] = 2ull << 48;
    RUN(f, CODE_VA, A64_TLBI_ASIDE1(2), A64_LDR(0, 1), A64_BRK(0));
    assert_int_equal(f->c->x[0], 11);
}

static const struct mmu_bank *bank_of_asid(struct fixture *f, uint64_t asid)
{
    set(f, SYSREG_TTBR0_EL1, TABLES | asid << 48);
    f->v->user->empty = false; /* as if something was filled */
    return f->v->user;
}

/* What is never used costs nothing, and what was flushed is used again. */
static void banks_are_set_up_when_there_is_no_empty_one(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(f->v->bank_count, 1);
    for (unsigned n = 0; n < SOFT_EL0_BANKS; n++) {
        assert_ptr_equal(bank_of_asid(f, n + 1), &f->v->bank[n]);
        tlb_flush_asid(f->v, (int)n + 1);
        assert_ptr_equal(bank_of_asid(f, n + 101), &f->v->bank[n]);
        assert_int_equal(f->v->bank_count, n + 1);
    }
    assert_ptr_equal(bank_of_asid(f, 200), &f->v->bank[0]);
    assert_int_equal(f->v->bank_count, SOFT_EL0_BANKS);
}

static void invalidating_one_page_drops_the_whole_block(void **state)
{
    struct fixture *f = *state;

    data_descriptors(f);
    put(f, TABLES + 4096, TARGET | BLOCK | AF | NORMAL);
    st_le64(f->ram + 0x200000, 11);
    st_le64(f->ram + 0x000000 + 0x300000, 33);
    f->c->x[1] = DATA_VA;
    RUN(f, CODE_VA, A64_LDR(0, 1), A64_BRK(0));
    assert_int_equal(f->c->x[0], 11);
    put(f, TABLES + 4096, 0);
    f->c->x[2] = (DATA_VA + 0x100000) >> 12; /* elsewhere in the block */
    set(f, SYSREG_VBAR_EL1, RAM_BASE + 0x8000);
    st_le32(f->ram + 0x8200, A64_BRK(7));
    assert_int_equal(RUN(f, CODE_VA, A64_TLBI_VAE1(2), A64_LDR(0, 1), A64_BRK(0)) & 0xffff, 7);
    assert_int_equal(f->v->sys[SYSREG_ESR_EL1], 0x96000000u | FSC_TRANSLATION | 2);
    assert_int_equal(f->v->sys[SYSREG_FAR_EL1], DATA_VA);
}

static void setting_pan_takes_user_pages_away(void **state)
{
    struct fixture *f = *state;
    uint64_t *desc = data_descriptors(f);

    desc[0] = TARGET | PAGE | AF | NORMAL | NG | AP_EL0;
    f->c->x[1] = DATA_VA;
    set(f, SYSREG_VBAR_EL1, RAM_BASE + 0x8000);
    st_le32(f->ram + 0x8200, A64_BRK(7));
    assert_int_equal(RUN(f, CODE_VA, A64_LDR(0, 1), A64_BRK(1)) & 0xffff, 1);
    /* msr pan, #1 */
    assert_int_equal(RUN(f, CODE_VA, 0xd500419fu, A64_STR(0, 1), A64_BRK(1)) & 0xffff, 7);
    assert_int_equal(f->v->sys[SYSREG_ESR_EL1], 0x96000000u | 0x40 | FSC_PERMISSION | 3);
}

static void address_translation_reports_in_par(void **state)
{
    struct fixture *f = *state;
    uint64_t *desc = data_descriptors(f);

    desc[0] = TARGET | PAGE | AF | NORMAL | 3 << 8;
    f->c->x[1] = DATA_VA + 0x123;
    RUN(f, CODE_VA, A64_AT_S1E1R(1), A64_BRK(0));
    assert_int_equal(f->v->sys[SYSREG_PAR_EL1], 0xffull << 56 | TARGET | 1u << 11 | 3 << 7);
    RUN(f, CODE_VA, A64_AT_S1E0W(1), A64_BRK(0));
    assert_int_equal(f->v->sys[SYSREG_PAR_EL1], 1u << 11 | (FSC_PERMISSION | 3) << 1 | 1);
}

static void syndromes_of_single_register_accesses(void **state)
{
    static const struct {
        uint32_t word;
        unsigned sas;
        bool sse;
        unsigned srt;
        bool sf;
    } valid[] = {
        { 0x39000023, 0, false, 3, false },  /* strb w3, [x1] */
        { 0x79400024, 1, false, 4, false },  /* ldrh w4, [x1] */
        { 0xb9400025, 2, false, 5, false },  /* ldr w5, [x1] */
        { 0xf9400026, 3, false, 6, true },   /* ldr x6, [x1] */
        { 0xb9800027, 2, true, 7, true },    /* ldrsw x7, [x1] */
        { 0x39c00028, 0, true, 8, false },   /* ldrsb w8, [x1] */
        { 0x3980003f, 0, true, 31, true },   /* ldrsb xzr, [x1] */
        { 0xb840002a, 2, false, 10, false }, /* ldur w10, [x1] */
        { 0xb862682b, 2, false, 11, false }, /* ldr w11, [x1, x2] */
        { 0xb840082c, 2, false, 12, false }, /* ldtr w12, [x1] */
        { 0x88dffc2d, 2, false, 13, false }, /* ldar w13, [x1] */
        { 0xc89ffc2e, 3, false, 14, true },  /* stlr x14, [x1] */
        { 0xb8bfc02f, 2, false, 15, false }, /* ldapr w15, [x1] */
    };
    static const uint32_t none[] = {
        0xb8404420, /* ldr w0, [x1], #4 */
        0xb8404c20, /* ldr w0, [x1, #4]! */
        0x29400820, /* ldp w0, w2, [x1] */
        0x3dc00020, /* ldr q0, [x1] */
        0xbd400020, /* ldr s0, [x1] */
        0xb8220020, /* ldadd w2, w0, [x1] */
        0x885f7c20, /* ldxr w0, [x1] */
        0x88a27c20, /* cas w2, w0, [x1] */
        0xd50b7421, /* dc zva, x1 */
        0x0c407020, /* ld1 {v0.8b}, [x1] */
    };
    struct fixture *f = *state;

    f->c->x[1] = 0x09000000;
    f->c->x[2] = 0;
    f->v->sys[SYSREG_CPACR_EL1] = 3 << 20;
    cpu_update_context(f->c);
    for (unsigned n = 0; n < ARRAY_LEN(valid); n++) {
        uint64_t s = RUN(f, RAM_BASE, valid[n].word, A64_BRK(0));
        assert_int_equal(SYNDROME_EC(s), EC_DABORT_LOWER);
        assert_int_equal(bit(s, 24), 1);
        assert_int_equal(bits(s, 23, 22), valid[n].sas);
        assert_int_equal(bit(s, 21), valid[n].sse);
        assert_int_equal(bits(s, 20, 16), valid[n].srt);
        assert_int_equal(bit(s, 15), valid[n].sf);
        assert_int_equal(f->exit.exception.physical_address, 0x09000000);
        assert_int_equal(f->c->pc, RAM_BASE);
    }
    for (unsigned n = 0; n < ARRAY_LEN(none); n++) {
        assert_int_equal(abort_syndrome(none[n]), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_granule_and_level_translates),
        TEST(each_level_faults_with_its_number),
        TEST(a_table_without_memory_is_a_stage_2_fault),
        TEST(addresses_outside_the_halves_fault),
        TEST(permissions_follow_the_table),
        TEST(table_attributes_restrict_unless_disabled),
        TEST(hardware_sets_access_flag_and_dirty_state),
        TEST(tlb_keeps_and_tlbi_drops),
        TEST(pages_of_another_asid_are_not_seen),
        TEST(banks_are_set_up_when_there_is_no_empty_one),
        TEST(invalidating_one_page_drops_the_whole_block),
        TEST(setting_pan_takes_user_pages_away),
        TEST(address_translation_reports_in_par),
        TEST(syndromes_of_single_register_accesses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
