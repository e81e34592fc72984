/*
 * Two vCPUs that share memory: atomics, ordering, and the maintenance that one broadcasts and the
 * other must have seen when the DSB is over.
 *
 * Program A starts at GUEST_CODE, B at GUEST_CODE + B_OFFSET, both with the MMU on and the same
 * registers: X1 the subject, X2 and X3 two flags that start at 0, X4 a value, X5 a second address,
 * X6 a count. Each ends with an HVC.
 */
#include "guest.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define B_OFFSET 0x1000u
#define PAGES    0x4000u /* the unit of mapping */

#define FLAG_READY (GUEST_DATA + 0x3000)
#define FLAG_GO    (GUEST_DATA + 0x3100)
#define SUBJECT    (GUEST_DATA + 0x3200)

/* X registers by their use. */
enum { SEEN = 0, WHERE = 1, READY = 2, GO = 3, VALUE = 4, OTHER = 5, COUNT = 6, TEMP = 7 };

#define SPIN_WHILE_ZERO(r) A64_LDR_X(TEMP, r), 0xb4ffffe7u /* cbz x7, .-4 */
#define SET_FLAG(r)        A64_MOVZ(TEMP, 1), A64_DMB_ISH, A64_STR_X(TEMP, r)
#define A64_DMB_ISH        0xd5033bbfu
#define A64_DSB_ISH        0xd5033b9fu
#define A64_TLBI_VMALLE1IS 0xd508831fu
#define A64_DC_CVAU_X1     0xd50b7b21u
#define A64_IC_IVAU_X1     0xd50b7521u
#define A64_BLR_X1         0xd63f0020u

struct pair {
    uint8_t *ram;
    uint64_t where, value, other, count;
    struct {
        hv_return_t result;
        hv_exit_reason_t reason;
        uint64_t syndrome, x[8];
        uint64_t blocks; /* that it translated: hvx_vcpu_get_stats() */
    } end[2];
};

struct member {
    struct pair *pair;
    unsigned which;
};

static void *pair_member(void *arg)
{
    const struct member *m = arg;
    struct pair *p = m->pair;
    const uint64_t x[8] = { 0, p->where, FLAG_READY, FLAG_GO, p->value, p->other, p->count, 0 };
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;

    p->end[m->which].result = hv_vcpu_create(&vcpu, &exit, NULL);
    if (p->end[m->which].result != HV_SUCCESS)
        return NULL;
    hv_vcpu_set_trap_debug_exceptions(vcpu, true); /* a fault shows as its vector's BRK */
    hv_vcpu_set_sys_reg(vcpu, HV_SYS_REG_VBAR_EL1, GUEST_VECTORS);
    hv_vcpu_set_sys_reg(vcpu, HV_SYS_REG_MPIDR_EL1, 0x80000000u | m->which);
    guest_mmu_on(vcpu, GUEST_DATA);
    hv_vcpu_set_reg(vcpu, HV_REG_CPSR, CPSR_EL1H_MASKED);
    hv_vcpu_set_reg(vcpu, HV_REG_PC, GUEST_CODE + m->which * B_OFFSET);
    for (unsigned i = 0; i < 8; i++)
        hv_vcpu_set_reg(vcpu, (hv_reg_t)(HV_REG_X0 + i), x[i]);
    do
        p->end[m->which].result = hv_vcpu_run(vcpu);
    while (p->end[m->which].result == HV_SUCCESS && exit->reason == HV_EXIT_REASON_CANCELED &&
           check_cancels());
    p->end[m->which].reason = exit->reason;
    p->end[m->which].syndrome = exit->exception.syndrome;
    for (unsigned i = 0; i < 8; i++)
        hv_vcpu_get_reg(vcpu, (hv_reg_t)(HV_REG_X0 + i), &p->end[m->which].x[i]);
    struct hvx_vcpu_stats stats;
    if (hvx_vcpu_get_stats(vcpu, &stats) == HV_SUCCESS)
        p->end[m->which].blocks = stats.translation.blocks;
    hv_vcpu_destroy(vcpu);
    return NULL;
}

static void pair_open(struct pair *p, const uint32_t *a, size_t a_size, const uint32_t *b,
                      size_t b_size)
{
    *p = (struct pair){ .where = SUBJECT };
    p->ram = guest_memory(GUEST_RAM_SIZE);
    memcpy(p->ram, a, a_size);
    memcpy(p->ram + B_OFFSET, b, b_size);
    for (unsigned i = 0; i < 16; i++) {
        uint32_t word = A64_BRK(VECTOR_BRK(i));

        memcpy(p->ram + (GUEST_VECTORS - GUEST_RAM) + 0x80 * i, &word, sizeof word);
    }
    guest_write_tables(p->ram + (GUEST_DATA - GUEST_RAM), GUEST_DATA);
    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(hv_vm_map(p->ram, GUEST_RAM, GUEST_RAM_SIZE,
                       HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC));
}

#define PAIR_OPEN(p, a, b) pair_open(p, a, sizeof(a), b, sizeof(b))

static void pair_run(struct pair *p)
{
    pthread_t thread[2];
    struct member m[2] = { { p, 0 }, { p, 1 } };

    for (unsigned i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, pair_member, &m[i]);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    for (unsigned i = 0; i < 2; i++) {
        CHECK_OK(p->end[i].result);
        CHECK_EQ(p->end[i].reason, HV_EXIT_REASON_EXCEPTION);
        CHECK_EQ(SYNDROME_EC(p->end[i].syndrome), EC_HVC64);
    }
}

static void pair_close(struct pair *p)
{
    CHECK_OK(hv_vm_destroy());
    hv_vm_deallocate(p->ram, GUEST_RAM_SIZE);
}

static uint64_t pair_subject(const struct pair *p)
{
    uint64_t value;

    memcpy(&value, p->ram + (SUBJECT - GUEST_RAM), sizeof value);
    return value;
}

/* Both run `code` with a count; the subject must have been changed by each of them. */
static void check_increments(const uint32_t *code, size_t size)
{
    struct pair p;

    pair_open(&p, code, size, code, size);
    p.value = 1;
    p.count = 20000;
    pair_run(&p);
    CHECK_EQ(pair_subject(&p), 40000);
    pair_close(&p);
}

static void exclusive_increments_are_atomic(void)
{
    static const uint32_t code[] = {
        0xc85f7c20, /* ldxr x0, [x1] */
        A64_ADD_IMM(SEEN, 1),
        0xc8077c20, /* stxr w7, x0, [x1] */
        0x35ffffa7, /* cbnz w7, .-12 */
        A64_SUBS_IMM(COUNT, 1),
        A64_B_NE(-5),
        A64_HVC(0),
    };

    check_increments(code, sizeof code);
}

static void ldadd_is_atomic(void)
{
    static const uint32_t code[] = {
        0xf8240020, /* ldadd x4, x0, [x1] */
        A64_SUBS_IMM(COUNT, 1),
        A64_B_NE(-2),
        A64_HVC(0),
    };

    check_increments(code, sizeof code);
}

static void compare_and_swap_is_atomic(void)
{
    static const uint32_t code[] = {
        A64_LDR_X(SEEN, WHERE),
        0x91000407, /* add x7, x0, #1 */
        0xaa0003e5, /* mov x5, x0 */
        0xc8e0fc27, /* casal x0, x7, [x1] */
        0xeb05001f, /* cmp x0, x5 */
        A64_B_NE(-5),
        A64_SUBS_IMM(COUNT, 1),
        A64_B_NE(-7),
        A64_HVC(0),
    };

    check_increments(code, sizeof code);
}

/* A stores a value, then a flag; whoever sees the flag sees the value. */
static void barriers_order_stores_and_loads(void)
{
    static const uint32_t a[] = { A64_STR_X(VALUE, WHERE), SET_FLAG(GO), A64_HVC(0) };
    static const uint32_t b[] = { SPIN_WHILE_ZERO(GO), A64_DMB_ISH, A64_LDR_X(SEEN, WHERE),
                                  A64_HVC(0) };

    for (unsigned round = 0; round < 10; round++) {
        struct pair p;

        PAIR_OPEN(&p, a, b);
        p.value = 0x1122334455667788ull;
        pair_run(&p);
        CHECK_EQ(p.end[1].x[SEEN], 0x1122334455667788ull);
        pair_close(&p);
    }
}

/* B gives a virtual address another page: after its DSB, A must not use the old one. */
static void tlb_maintenance_reaches_the_other_vcpu(void)
{
    static const uint32_t a[] = {
        A64_LDR_X(SEEN, WHERE), /* into the TLB */
        SET_FLAG(READY),        SPIN_WHILE_ZERO(GO), A64_LDR_X(SEEN, WHERE), A64_HVC(0),
    };
    static const uint32_t b[] = {
        SPIN_WHILE_ZERO(READY),
        0xf90000bf, /* str xzr, [x5]: break */
        A64_DSB_ISH,
        A64_TLBI_VMALLE1IS,
        A64_DSB_ISH,
        A64_STR_X(VALUE, OTHER), /* make */
        A64_DSB_ISH,
        SET_FLAG(GO),
        A64_HVC(0),
    };
    /* Two blocks of 2 MiB, of which the first 16 KiB exist. */
    const uint64_t first = GUEST_RAM + 0x400000, second = GUEST_RAM + 0x600000;
    const uint64_t attributes = 1u << 10 | 3u << 8 | 1; /* AF, inner shareable, block, MAIR 0 */

    for (unsigned round = 0; round < 10; round++) {
        struct pair p;
        uint8_t *memory = guest_memory(2 * PAGES);
        uint64_t entry = first | attributes;

        memset(memory, 0x11, PAGES);
        memset(memory + PAGES, 0x22, PAGES);
        PAIR_OPEN(&p, a, b);
        CHECK_OK(hv_vm_map(memory, first, PAGES, HV_MEMORY_READ));
        CHECK_OK(hv_vm_map(memory + PAGES, second, PAGES, HV_MEMORY_READ));
        memcpy(p.ram + (GUEST_DATA - GUEST_RAM) + 0x1008, &entry, sizeof entry);
        p.where = GUEST_RAM + 0x200000; /* the second entry of the level 2 table */
        p.other = GUEST_DATA + 0x1008;
        p.value = second | attributes;
        pair_run(&p);
        CHECK_EQ(p.end[0].x[SEEN], 0x2222222222222222ull);
        pair_close(&p);
        hv_vm_deallocate(memory, 2 * PAGES);
    }
}

/* B changes a function that A has called; A must run the new one. */
static void change_a_function(const uint32_t *b, size_t b_size)
{
    static const uint32_t a[] = {
        A64_BLR_X1, SET_FLAG(READY), SPIN_WHILE_ZERO(GO), A64_ISB, A64_BLR_X1, A64_HVC(0),
    };
    static const uint32_t function[] = { A64_MOVZ(SEEN, 1), 0xd65f03c0 /* ret */ };

    for (unsigned round = 0; round < 10; round++) {
        struct pair p;

        pair_open(&p, a, sizeof a, b, b_size);
        memcpy(p.ram + (SUBJECT - GUEST_RAM), function, sizeof function);
        p.value = A64_MOVZ(SEEN, 2);
        pair_run(&p);
        CHECK_EQ(p.end[0].x[SEEN], 2);
        pair_close(&p);
    }
}

/* After its DSB and A's ISB. */
static void code_maintenance_reaches_the_other_vcpu(void)
{
    static const uint32_t b[] = {
        SPIN_WHILE_ZERO(READY), A64_STR_W(VALUE, WHERE),
        A64_DC_CVAU_X1,         A64_DSB_ISH,
        A64_IC_IVAU_X1,         A64_DSB_ISH,
        SET_FLAG(GO),           A64_HVC(0),
    };

    change_a_function(b, sizeof b);
}

/* A goes both ways of a function, then B one. */
static void linked_translations_serve_the_other_vcpu(void)
{
    static const uint32_t a[] = { A64_BLR_X1, A64_BLR_X1, SET_FLAG(GO), SPIN_WHILE_ZERO(READY),
                                  A64_HVC(0) };
    static const uint32_t b[] = { SPIN_WHILE_ZERO(GO), A64_BLR_X1, SET_FLAG(READY), A64_HVC(0) };
    static const uint32_t function[] = {
        0xb4000060 | SEEN, /* cbz .+12 */
        0xb5000080 | SEEN, /* cbnz .+16 */
        A64_BRK(9),           A64_ADD_IMM(SEEN, 5), 0xd65f03c0 /* ret */,
        A64_ADD_IMM(SEEN, 6), 0xd65f03c0 /* ret */,
    };
    struct pair p;

    PAIR_OPEN(&p, a, b);
    memcpy(p.ram + (SUBJECT - GUEST_RAM), function, sizeof function);
    pair_run(&p);
    CHECK_EQ(p.end[0].x[SEEN], 11);
    CHECK_EQ(p.end[1].x[SEEN], 5);
    pair_close(&p);
}

/* A calls a function of many blocks, then B does. */
static void a_translation_serves_the_other_vcpu(void)
{
    static const uint32_t a[] = { A64_BLR_X1, SET_FLAG(GO), SPIN_WHILE_ZERO(READY), A64_HVC(0) };
    static const uint32_t b[] = { SPIN_WHILE_ZERO(GO), A64_BLR_X1, SET_FLAG(READY), A64_HVC(0) };
    static const uint32_t end[] = { A64_ADD_IMM(SEEN, 5), 0xd65f03c0 /* ret */ };
    const char *engine = getenv("IREKO_ENGINE");
    const uint32_t isb = A64_ISB;
    struct pair p;

    PAIR_OPEN(&p, a, b);
    uint8_t *function = p.ram + (SUBJECT - GUEST_RAM);
    for (unsigned n = 0; n < 64; n++)
        memcpy(function + n * sizeof isb, &isb, sizeof isb);
    memcpy(function + 64 * sizeof isb, end, sizeof end);
    pair_run(&p);
    CHECK_EQ(p.end[0].x[SEEN], 5);
    CHECK_EQ(p.end[1].x[SEEN], 5);
    if (engine && strcmp(engine, "jit") == 0 && !getenv("IREKO_JIT")) {
        CHECK(p.end[0].blocks > 64);
        CHECK(p.end[1].blocks < 32);
    }
    pair_close(&p);
}

/* Without maintenance: a net that only the JIT has. */
static void tracked_changes_reach_the_other_vcpu(void)
{
    static const uint32_t b[] = {
        SPIN_WHILE_ZERO(READY),
        A64_STR_W(VALUE, WHERE),
        SET_FLAG(GO),
        A64_HVC(0),
    };
    const char *engine = getenv("IREKO_ENGINE"), *knobs = getenv("IREKO_JIT");

    if (!engine || strcmp(engine, "jit") != 0 || knobs)
        return;
    setenv("IREKO_JIT", "track", 1);
    change_a_function(b, sizeof b);
    unsetenv("IREKO_JIT");
}

int main(void)
{
    RUN(exclusive_increments_are_atomic);
    RUN(ldadd_is_atomic);
    RUN(compare_and_swap_is_atomic);
    RUN(barriers_order_stores_and_loads);
    RUN(tlb_maintenance_reaches_the_other_vcpu);
    RUN(code_maintenance_reaches_the_other_vcpu);
    RUN(a_translation_serves_the_other_vcpu);
    RUN(linked_translations_serve_the_other_vcpu);
    RUN(tracked_changes_reach_the_other_vcpu);
    return check_finish();
}
