/*
 * Stage 2 aborts: what the syndrome says for each kind of access to a hole in guest memory, and
 * what the permissions of a mapping mean.
 */
#include "guest.h"

#include <string.h>

#define TARGET (GUEST_MMIO + 0x18)

/* Fields of a data abort's ISS, DDI 0487 D24.2.40. */
#define ISS_ISV    (1u << 24)
#define ISS_SSE    (1u << 21)
#define ISS_SF     (1u << 15)
#define ISS_AR     (1u << 14)
#define ISS_FNV    (1u << 10)
#define ISS_S1PTW  (1u << 7)
#define ISS_WNR    (1u << 6)
#define ISS_SAS(s) ((s) >> 22 & 3)
#define ISS_SRT(s) ((s) >> 16 & 31)

enum { BYTE, HALF, WORD, DOUBLE };        /* SAS */
enum { TRANSLATION = 1, PERMISSION = 3 }; /* fault status <5:2> */

struct access {
    const char *name;
    uint32_t word; /* the address in X1 */
    unsigned sas;
    unsigned rt;
    uint32_t flags; /* of SSE, SF, AR, WNR */
};

/* Single accesses without write-back: the syndrome describes them. */
static const struct access single[] = {
    { "ldrb w2", 0x39400022, BYTE, 2, 0 },
    { "ldrh w2", 0x79400022, HALF, 2, 0 },
    { "ldr w2", 0xb9400022, WORD, 2, 0 },
    { "ldr x2", 0xf9400022, DOUBLE, 2, ISS_SF },
    { "ldrsb w2", 0x39c00022, BYTE, 2, ISS_SSE },
    { "ldrsh w2", 0x79c00022, HALF, 2, ISS_SSE },
    { "ldrsb x2", 0x39800022, BYTE, 2, ISS_SSE | ISS_SF },
    { "ldrsh x2", 0x79800022, HALF, 2, ISS_SSE | ISS_SF },
    { "ldrsw x2", 0xb9800022, WORD, 2, ISS_SSE | ISS_SF },
    { "ldr wzr", 0xb940003f, WORD, 31, 0 },
    { "ldr xzr", 0xf940003f, DOUBLE, 31, ISS_SF },
    { "ldr x30", 0xf940003e, DOUBLE, 30, ISS_SF },
    { "ldr w0", 0xb9400020, WORD, 0, 0 },
    { "strb w2", 0x39000022, BYTE, 2, ISS_WNR },
    { "strh w2", 0x79000022, HALF, 2, ISS_WNR },
    { "str w2", 0xb9000022, WORD, 2, ISS_WNR },
    { "str x2", 0xf9000022, DOUBLE, 2, ISS_SF | ISS_WNR },
    { "strb wzr", 0x3900003f, BYTE, 31, ISS_WNR },
    { "strh wzr", 0x7900003f, HALF, 31, ISS_WNR },
    { "str wzr", 0xb900003f, WORD, 31, ISS_WNR },
    { "str xzr", 0xf900003f, DOUBLE, 31, ISS_SF | ISS_WNR },
    { "ldr w2, [x1, x3]", 0xb8636822, WORD, 2, 0 },
    { "str w2, [x1, w3, sxtw #2]", 0xb823d822, WORD, 2, ISS_WNR },
    { "ldur w2", 0xb8400022, WORD, 2, 0 },
    { "stur x2", 0xf8000022, DOUBLE, 2, ISS_SF | ISS_WNR },
    { "ldtr w2", 0xb8400822, WORD, 2, 0 },
    { "ldar w2", 0x88dffc22, WORD, 2, ISS_AR },
    { "stlr x2", 0xc89ffc22, DOUBLE, 2, ISS_SF | ISS_AR | ISS_WNR },
    { "ldarb w2", 0x08dffc22, BYTE, 2, ISS_AR },
    { "stlrh w2", 0x489ffc22, HALF, 2, ISS_AR | ISS_WNR },
};

/* Others: no valid syndrome, only the direction. */
static const struct access opaque[] = {
    { "ldp x2, x3", 0xa9400c22, 0, 0, 0 },
    { "stp x2, x3", 0xa9000c22, 0, 0, ISS_WNR },
    { "ldp w2, w3", 0x29400c22, 0, 0, 0 },
    { "ldr x2, [x1], #8", 0xf8408422, 0, 0, 0 },
    { "ldr x2, [x1, #0]!", 0xf8400c22, 0, 0, 0 },
    { "str w2, [x1], #4", 0xb8004422, 0, 0, ISS_WNR },
    { "str w2, [x1, #0]!", 0xb8000c22, 0, 0, ISS_WNR },
    { "ldr s0", 0xbd400020, 0, 0, 0 },
    { "ldr d0", 0xfd400020, 0, 0, 0 },
    { "str d0", 0xfd000020, 0, 0, ISS_WNR },
    { "ldxr w2", 0x885f7c22, 0, 0, 0 },
    { "ld1 {v0.16b}", 0x4c407020, 0, 0, 0 },
};

/* At GUEST_CODE: the word, then a BRK. X1 points at TARGET, X2 holds a pattern. */
static void open_access(struct guest *g, uint32_t word)
{
    const uint32_t code[] = { word, A64_BRK(0xd0) };

    GUEST_OPEN(g, code);
    guest_set_reg(g, HV_REG_X1, TARGET);
    guest_set_reg(g, HV_REG_X2, 0x1122334455667788ull);
}

static void check_hole(struct guest *g, uint64_t syndrome)
{
    CHECK_EQ(SYNDROME_IL(syndrome), 1);
    CHECK_EQ(syndrome >> 32, 0);
    CHECK_EQ(syndrome >> 2 & 15, TRANSLATION);
    CHECK_EQ(syndrome & (ISS_FNV | ISS_S1PTW), 0);
    CHECK_EQ(g->exit->exception.virtual_address, TARGET);
    CHECK_EQ(g->exit->exception.physical_address, TARGET);
    CHECK_EQ(guest_reg(g, HV_REG_PC), GUEST_CODE);
}

static void single_access(const struct access *t)
{
    struct guest g;

    open_access(&g, t->word);

    uint64_t syndrome = guest_run_exception(&g, EC_DABORT);

    check_hole(&g, syndrome);
    CHECK_EQ(syndrome & ISS_ISV, ISS_ISV);
    CHECK_EQ(ISS_SAS(syndrome), t->sas);
    CHECK_EQ(ISS_SRT(syndrome), t->rt);
    CHECK_EQ(syndrome & (ISS_SSE | ISS_SF | ISS_AR | ISS_WNR), t->flags);
    CHECK_EQ(guest_reg(&g, HV_REG_X2), 0x1122334455667788ull);
    guest_skip(&g);
    CHECK(guest_run_brk(&g, 0xd0));
    guest_close(&g);
}

static void opaque_access(const struct access *t)
{
    struct guest g;

    open_access(&g, t->word);

    uint64_t syndrome = guest_run_exception(&g, EC_DABORT);

    check_hole(&g, syndrome);
    CHECK_EQ(syndrome & ISS_ISV, 0);
    CHECK_EQ(syndrome & ISS_WNR, t->flags);
    CHECK_EQ(guest_reg(&g, HV_REG_X1), TARGET); /* no write-back yet */
    guest_close(&g);
}

static void access_may_be_repeated_after_mapping(void)
{
    struct guest g;
    uint8_t *page;

    open_access(&g, A64_LDR_X(0, 1));
    CHECK(guest_run_exception(&g, EC_DABORT) != 0);
    page = guest_memory(0x4000);
    memset(page, 0xa5, 0x4000);
    CHECK_OK(hv_vm_map(page, GUEST_MMIO, 0x4000, HV_MEMORY_READ));
    CHECK(guest_run_brk(&g, 0xd0));
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 0xa5a5a5a5a5a5a5a5ull);
    CHECK_OK(hv_vm_unmap(GUEST_MMIO, 0x4000));
    hv_vm_deallocate(page, 0x4000);
    guest_close(&g);
}

static void unmapped_memory_aborts_again(void)
{
    static const uint32_t code[] = { A64_LDR_X(0, 1), A64_HVC(0), A64_B(-2) };
    struct guest g;
    uint8_t *page = guest_memory(0x4000);

    GUEST_OPEN(&g, code);
    guest_set_reg(&g, HV_REG_X1, TARGET);
    CHECK_OK(hv_vm_map(page, GUEST_MMIO, 0x4000, HV_MEMORY_READ));
    CHECK(guest_run_exception(&g, EC_HVC64) != 0);
    CHECK(guest_run_exception(&g, EC_HVC64) != 0);
    CHECK_OK(hv_vm_unmap(GUEST_MMIO, 0x4000));
    CHECK_EQ(guest_run_exception(&g, EC_DABORT) >> 2 & 15, TRANSLATION);
    CHECK_EQ(g.exit->exception.physical_address, TARGET);
    hv_vm_deallocate(page, 0x4000);
    guest_close(&g);
}

static void write_protection_is_a_permission_fault(void)
{
    static const uint32_t code[] = { A64_STR_W(2, 1), A64_HVC(0), A64_B(-2) };
    struct guest g;
    uint64_t syndrome;
    uint32_t stored;

    GUEST_OPEN(&g, code);
    guest_set_reg(&g, HV_REG_X1, GUEST_DATA + 0x44);
    guest_set_reg(&g, HV_REG_X2, 0x11223344);
    CHECK(guest_run_exception(&g, EC_HVC64) != 0);
    CHECK_OK(hv_vm_protect(GUEST_DATA, 0x4000, HV_MEMORY_READ));
    guest_set_reg(&g, HV_REG_X2, 0x55667788);
    syndrome = guest_run_exception(&g, EC_DABORT);
    CHECK_EQ(syndrome >> 2 & 15, PERMISSION);
    CHECK_EQ(syndrome & ISS_WNR, ISS_WNR);
    CHECK_EQ(g.exit->exception.physical_address, GUEST_DATA + 0x44);
    memcpy(&stored, g.ram + (GUEST_DATA - GUEST_RAM) + 0x44, 4);
    CHECK_EQ(stored, 0x11223344);
    CHECK_OK(hv_vm_protect(GUEST_DATA, 0x4000, HV_MEMORY_READ | HV_MEMORY_WRITE));
    CHECK(guest_run_exception(&g, EC_HVC64) != 0);
    memcpy(&stored, g.ram + (GUEST_DATA - GUEST_RAM) + 0x44, 4);
    CHECK_EQ(stored, 0x55667788);
    guest_close(&g);
}

static void reading_without_permission_is_a_permission_fault(void)
{
    struct guest g;
    uint64_t syndrome;

    open_access(&g, A64_LDR_X(0, 1));
    guest_set_reg(&g, HV_REG_X1, GUEST_DATA);
    CHECK_OK(hv_vm_protect(GUEST_DATA, 0x4000, 0));
    syndrome = guest_run_exception(&g, EC_DABORT);
    CHECK_EQ(syndrome >> 2 & 15, PERMISSION);
    CHECK_EQ(syndrome & ISS_WNR, 0);
    guest_close(&g);
}

static void host_writes_through_its_own_pointer(void)
{
    struct guest g;

    open_access(&g, A64_LDR_X(0, 1));
    guest_set_reg(&g, HV_REG_X1, GUEST_DATA);
    CHECK_OK(hv_vm_protect(GUEST_DATA, 0x4000, HV_MEMORY_READ));
    memset(g.ram + (GUEST_DATA - GUEST_RAM), 0x3c, 8);
    CHECK(guest_run_brk(&g, 0xd0));
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 0x3c3c3c3c3c3c3c3cull);
    guest_close(&g);
}

static void mmu_on(struct guest *g)
{
    guest_write_tables(g->ram + (GUEST_DATA - GUEST_RAM), GUEST_DATA);
    guest_mmu_on(g->vcpu, GUEST_DATA);
}

/* Both ways: every width, at offsets that are not aligned, and across a page. */
static void host_and_guest_see_the_same_memory(void)
{
    static const struct {
        uint32_t load, store;
        unsigned size;
    } widths[] = {
        { 0x39400022, 0x39000062, 1 }, /* ldrb w2, [x1]; strb w2, [x3] */
        { 0x79400022, 0x79000062, 2 },
        { 0xb9400022, 0xb9000062, 4 },
        { 0xf9400022, 0xf9000062, 8 },
    };
    static const uint32_t offsets[] = { 0, 1, 3, 0xff8, 0xffd, 0xfff, 0x3ffc, 0x3fff };

    for (unsigned w = 0; w < 4; w++) {
        const uint32_t code[] = { widths[w].load, widths[w].store, A64_BRK(0), A64_B(-3) };
        uint64_t mask = ~0ull >> (64 - 8 * widths[w].size);
        struct guest g;

        GUEST_OPEN(&g, code);
        mmu_on(&g); /* else everything is Device memory, which wants alignment */
        for (unsigned i = 0; g.good && i < sizeof offsets / sizeof offsets[0]; i++) {
            uint8_t *from = g.ram + (GUEST_STACK - 0x4000 - GUEST_RAM) + offsets[i];
            uint8_t *to = from + 0x6000;
            uint64_t value = 0xf1e2d3c4b5a69788ull + i, got = 0;

            memcpy(from, &value, 8);
            guest_set_reg(&g, HV_REG_PC, GUEST_CODE);
            guest_set_reg(&g, HV_REG_X1, GUEST_RAM + (uint64_t)(from - g.ram));
            guest_set_reg(&g, HV_REG_X3, GUEST_RAM + (uint64_t)(to - g.ram));
            CHECK(guest_run_brk(&g, 0));
            CHECK_EQ(guest_reg(&g, HV_REG_X2), value & mask);
            memcpy(&got, to, 8);
            CHECK_EQ(got & mask, value & mask);
            memset(to, 0, 16);
        }
        guest_close(&g);
    }
}

static void fetch_from_a_hole_is_an_instruction_abort(void)
{
    static const uint32_t code[] = { 0xd61f0020 /* br x1 */ };
    struct guest g;
    uint64_t syndrome;

    if (check_skip_on_kvm("KVM gives the guest the abort itself"))
        return;
    GUEST_OPEN(&g, code);
    guest_set_reg(&g, HV_REG_X1, GUEST_MMIO + 0x40);
    syndrome = guest_run_exception(&g, EC_IABORT);
    CHECK_EQ(syndrome >> 2 & 15, TRANSLATION);
    CHECK_EQ(g.exit->exception.virtual_address, GUEST_MMIO + 0x40);
    CHECK_EQ(g.exit->exception.physical_address, GUEST_MMIO + 0x40);
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_MMIO + 0x40);
    guest_close(&g);
}

static void fetch_without_exec_is_a_permission_fault(void)
{
    static const uint32_t code[] = { 0xd61f0020 /* br x1 */ };
    struct guest g;
    uint64_t syndrome;

    if (check_skip_on_kvm("KVM cannot refuse execution"))
        return;
    GUEST_OPEN(&g, code);
    guest_set_reg(&g, HV_REG_X1, GUEST_DATA + 0x100);
    CHECK_OK(hv_vm_protect(GUEST_DATA, 0x4000, HV_MEMORY_READ | HV_MEMORY_WRITE));
    syndrome = guest_run_exception(&g, EC_IABORT);
    CHECK_EQ(syndrome >> 2 & 15, PERMISSION);
    CHECK_EQ(g.exit->exception.physical_address, GUEST_DATA + 0x100);
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_DATA + 0x100);
    guest_close(&g);
}

static void exec_can_be_taken_away_and_given_back(void)
{
    static const uint32_t code[] = { 0xd63f0020 /* blr x1 */, A64_HVC(0), A64_B(-2) };
    const uint32_t callee[] = { 0xd65f03c0 /* ret */ };
    struct guest g;

    if (check_skip_on_kvm("KVM cannot refuse execution"))
        return;
    GUEST_OPEN(&g, code);
    memcpy(g.ram + (GUEST_DATA - GUEST_RAM), callee, sizeof callee);
    guest_set_reg(&g, HV_REG_X1, GUEST_DATA);
    CHECK(guest_run_exception(&g, EC_HVC64) != 0);
    CHECK_OK(hv_vm_protect(GUEST_DATA, 0x4000, HV_MEMORY_READ));
    CHECK(guest_run_exception(&g, EC_IABORT) != 0);
    CHECK_OK(hv_vm_protect(GUEST_DATA, 0x4000, HV_MEMORY_READ | HV_MEMORY_EXEC));
    CHECK(guest_run_exception(&g, EC_HVC64) != 0);
    guest_close(&g);
}

static void abort_gives_both_addresses_with_the_mmu_on(void)
{
    struct guest g;

    open_access(&g, 0xb9400022 /* ldr w2, [x1] */);
    mmu_on(&g);
    guest_set_reg(&g, HV_REG_X1, GUEST_MMIO_HIGH + (TARGET - GUEST_MMIO));

    uint64_t syndrome = guest_run_exception(&g, EC_DABORT);

    CHECK_EQ(syndrome & ISS_ISV, ISS_ISV);
    CHECK_EQ(g.exit->exception.virtual_address, GUEST_MMIO_HIGH + (TARGET - GUEST_MMIO));
    CHECK_EQ(g.exit->exception.physical_address, TARGET);
    guest_close(&g);
}

static void stage_1_fault_goes_to_the_guest(void)
{
    struct guest g;

    open_access(&g, 0xb9400022 /* ldr w2, [x1] */);
    mmu_on(&g);
    guest_set_reg(&g, HV_REG_X1, 0xc0001234ull);
    CHECK(guest_run_brk(&g, VECTOR_BRK(VECTOR_SYNC_EL1)));
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ESR_EL1), 0x25u << 26 | 1u << 25 | 0x05); /* level 1 */
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_FAR_EL1), 0xc0001234ull);
    guest_close(&g);
}

static void table_walk_into_a_hole_says_s1ptw(void)
{
    struct guest g;

    if (check_skip_on_kvm("KVM gives the guest the abort itself"))
        return;
    open_access(&g, 0xb9400022 /* ldr w2, [x1] */);
    mmu_on(&g);

    uint64_t *level1 = (uint64_t *)(void *)(g.ram + (GUEST_DATA - GUEST_RAM));

    level1[3] = GUEST_MMIO | 3; /* a next-level table that is not there */
    guest_set_reg(&g, HV_REG_X1, 0xc0001230ull);

    uint64_t syndrome = guest_run_exception(&g, EC_DABORT);

    CHECK_EQ(syndrome & ISS_S1PTW, ISS_S1PTW);
    CHECK_EQ(syndrome & ISS_ISV, 0);
    CHECK_EQ(g.exit->exception.virtual_address, 0xc0001230ull);
    CHECK_EQ(g.exit->exception.physical_address & ~0xfffull, GUEST_MMIO);
    guest_close(&g);
}

static void access_across_the_end_of_ram_aborts(void)
{
    struct guest g;

    open_access(&g, 0xf9400022 /* ldr x2, [x1] */);
    mmu_on(&g); /* an unaligned access is allowed to normal memory only */
    guest_set_reg(&g, HV_REG_X1, GUEST_RAM + GUEST_RAM_SIZE - 4);
    CHECK(guest_run_exception(&g, EC_DABORT) != 0);
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE);
    CHECK_EQ(guest_reg(&g, HV_REG_X2), 0x1122334455667788ull);
    guest_close(&g);
}

static void address_beyond_the_width_aborts(void)
{
    struct guest g;

    open_access(&g, 0xb9400022 /* ldr w2, [x1] */);
    guest_set_reg(&g, HV_REG_X1, 0x0000f00000000000ull);
    CHECK(guest_run(&g, HV_EXIT_REASON_EXCEPTION));

    /* Stage 1 may refuse it (the guest's vector) or stage 2 (an exit); it must not succeed. */
    unsigned ec = SYNDROME_EC(g.exit->exception.syndrome);

    CHECK(ec == EC_DABORT ||
          (ec == EC_BRK64 && (g.exit->exception.syndrome & 0xffff) == VECTOR_BRK(VECTOR_SYNC_EL1)));
    guest_close(&g);
}

int main(void)
{
    for (unsigned i = 0; i < sizeof single / sizeof single[0]; i++) {
        check_start("abort: %s", single[i].name);
        single_access(&single[i]);
        check_end();
    }
    for (unsigned i = 0; i < sizeof opaque / sizeof opaque[0]; i++) {
        check_start("abort without ISV: %s", opaque[i].name);
        opaque_access(&opaque[i]);
        check_end();
    }
    RUN(access_may_be_repeated_after_mapping);
    RUN(unmapped_memory_aborts_again);
    RUN(write_protection_is_a_permission_fault);
    RUN(reading_without_permission_is_a_permission_fault);
    RUN(host_writes_through_its_own_pointer);
    RUN(host_and_guest_see_the_same_memory);
    RUN(fetch_from_a_hole_is_an_instruction_abort);
    RUN(fetch_without_exec_is_a_permission_fault);
    RUN(exec_can_be_taken_away_and_given_back);
    RUN(abort_gives_both_addresses_with_the_mmu_on);
    RUN(stage_1_fault_goes_to_the_guest);
    RUN(table_walk_into_a_hole_says_s1ptw);
    RUN(access_across_the_end_of_ram_aborts);
    RUN(address_beyond_the_width_aborts);
    return check_finish();
}
