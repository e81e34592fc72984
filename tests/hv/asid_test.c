/*
 * Two vCPUs, and pages that belong to an ASID: what one says of it the other must have done when
 * the DSB is over, if it can use the page then.
 *
 * Programs and flags are in the upper half of the address space, which is global. The page is in
 * the lower half. A fills its TLB with the page, says so, is busy for some microseconds in which it
 * looks at nothing, and reads the page if B is done by then. B gives the page's address other
 * memory as soon as A says so. There are many rounds, as translations are to be there already.
 */
#include "guest.h"

#include <pthread.h>
#include <string.h>

#define ROUNDS 60
#define BUSY   3000

#define UPPER(pa) (0xffffff8000000000ull + (pa))

#define B_CODE    (GUEST_CODE + 0x8000)
#define READY     (GUEST_DATA + 0x3000)
#define GO        (GUEST_DATA + 0x3100)
#define LOW_TABLE (GUEST_DATA + 0x4000) /* and the next two */
#define MEMORY    (GUEST_DATA + 0x8000) /* two pages */
#define PAGE      (GUEST_RAM + 0x100000)
#define PAGE_DESC (LOW_TABLE + 0x2000 + 0x100 * 8)

#define DESC_NG (1u << 11)

#define TTBR0                  A64_REG(3, 0, 2, 0, 0)
#define A64_DMB_ISH            0xd5033bbfu
#define A64_DSB_ISH            0xd5033b9fu
#define A64_SDIV_13            0x9ace0dadu /* sdiv x13, x13, x14 */
#define A64_TLBI_VAE1IS        0xd508832fu /* x15 */
#define A64_CMP_7_6            0xeb0600ffu
#define A64_CMP_0_8            0xeb08001fu
#define A64_COUNT_EQ_9         0x9a891529u /* cinc x9, x9, eq */
#define A64_EOR_10_10_4        0xca04014au
#define A64_CLEAR_AT_5         0xf90000bfu /* str xzr, [x5] */
#define A64_TLBI_OPERAND(asid) ((uint64_t)(asid) << 48 | PAGE >> 12)

/* X1 is the page, X2 and X3 the flags, which hold the number of the round, X6; X4 changes the
 * descriptor, which X5 points at; A counts in X9 how often it found old memory, and has in X11 and
 * X12 TTBR0_EL1 for reading and for the time between. */
struct member {
    uint64_t pc, ttbr[2], operand;
    hv_return_t result;
    uint64_t syndrome, wrong;
};

static void *run(void *arg)
{
    struct member *m = arg;
    const uint64_t tcr = 25u | 25u << 16 | 1u << 8 | 1u << 10 | 3u << 12 | 1u << 24 | 1u << 26 |
                         3u << 28 | 2ull << 30 | 2ull << 32;
    const struct {
        hv_reg_t reg;
        uint64_t value;
    } start[] = {
        { HV_REG_PC, UPPER(m->pc) },
        { HV_REG_CPSR, CPSR_EL1H_MASKED },
        { HV_REG_X1, PAGE },
        { HV_REG_X2, UPPER(READY) },
        { HV_REG_X3, UPPER(GO) },
        { HV_REG_X4, 0x1000 },
        { HV_REG_X5, UPPER(PAGE_DESC) },
        { HV_REG_X6, ROUNDS },
        { HV_REG_X11, m->ttbr[0] },
        { HV_REG_X12, m->ttbr[1] },
        { HV_REG_X13, INT64_MAX },
        { HV_REG_X14, 1 },
        { HV_REG_X15, m->operand },
    };
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;

    m->result = hv_vcpu_create(&vcpu, &exit, NULL);
    if (m->result != HV_SUCCESS)
        return NULL;
    hv_vcpu_set_trap_debug_exceptions(vcpu, true); /* a fault shows as its vector's BRK */
    hv_vcpu_set_sys_reg(vcpu, HV_SYS_REG_VBAR_EL1, UPPER(GUEST_VECTORS));
    hv_vcpu_set_sys_reg(vcpu, HV_SYS_REG_MPIDR_EL1, 0x80000000u | (m->pc != GUEST_CODE));
    guest_mmu_on(vcpu, GUEST_DATA);
    hv_vcpu_set_sys_reg(vcpu, HV_SYS_REG_TCR_EL1, tcr);
    hv_vcpu_set_sys_reg(vcpu, HV_SYS_REG_TTBR1_EL1, GUEST_DATA);
    hv_vcpu_set_sys_reg(vcpu, HV_SYS_REG_TTBR0_EL1, m->ttbr[0]);
    for (unsigned n = 0; n < sizeof start / sizeof start[0]; n++)
        hv_vcpu_set_reg(vcpu, start[n].reg, start[n].value);
    do
        m->result = hv_vcpu_run(vcpu);
    while (m->result == HV_SUCCESS && exit->reason == HV_EXIT_REASON_CANCELED && check_cancels());
    m->syndrome = exit->exception.syndrome;
    hv_vcpu_get_reg(vcpu, HV_REG_X9, &m->wrong);
    hv_vcpu_destroy(vcpu);
    return NULL;
}

/* `switches`: A changes TTBR0_EL1 around its work. */
static void write_a(uint8_t *code, bool switches)
{
    const uint32_t there = switches ? A64_MSR(TTBR0, 11) : A64_NOP;
    const uint32_t away = switches ? A64_MSR(TTBR0, 12) : A64_NOP;
    const uint32_t head[] = { there, A64_ISB, A64_LDR_X(0, 1), A64_MOV(8, 0),
                              away,  A64_ISB, A64_DMB_ISH,     A64_STR_X(6, 2) };
    const uint32_t tail[] = {
        A64_LDR_X(7, 3), A64_CMP_7_6,     A64_B_NE(-(BUSY + 2)), A64_DMB_ISH,    there,
        A64_ISB,         A64_LDR_X(0, 1), A64_CMP_0_8,           A64_COUNT_EQ_9,
    };
    const uint32_t end[] = { A64_SUBS_IMM(6, 1),
                             A64_B_NE(-(int)(sizeof head / 4 + BUSY + sizeof tail / 4 + 1)),
                             A64_HVC(0) };
    const uint32_t busy = A64_SDIV_13;

    memcpy(code, head, sizeof head);
    code += sizeof head;
    for (unsigned n = 0; n < BUSY; n++)
        memcpy(code + 4 * n, &busy, 4);
    code += 4 * BUSY;
    memcpy(code, tail, sizeof tail);
    memcpy(code + sizeof tail, end, sizeof end);
}

static const uint32_t b[] = {
    A64_LDR_X(10, 5), A64_EOR_10_10_4, A64_LDR_X(7, 2),    A64_CMP_7_6,      A64_B_NE(-2),
    A64_CLEAR_AT_5,                                                          /* break */
    A64_DSB_ISH,      A64_TLBI_VAE1IS, A64_DSB_ISH,        A64_STR_X(10, 5), /* make */
    A64_DSB_ISH,      A64_STR_X(6, 3), A64_SUBS_IMM(6, 1), A64_B_NE(-13),    A64_HVC(0),
};

/* B maintains ASID 1; A reads with `reads`, and has `rests` meanwhile. */
static void check_page(uint32_t attributes, unsigned reads, unsigned rests)
{
    const uint64_t low[] = { (LOW_TABLE + 0x1000) | 3, (LOW_TABLE + 0x2000) | 3,
                             MEMORY | 1u << 10 | 3u << 8 | attributes | 3 };
    struct member m[2] = {
        { .pc = GUEST_CODE,
          .ttbr = { LOW_TABLE | (uint64_t)reads << 48, LOW_TABLE | (uint64_t)rests << 48 } },
        { .pc = B_CODE, .ttbr = { LOW_TABLE | 3ull << 48 }, .operand = A64_TLBI_OPERAND(1) },
    };
    uint8_t *ram = guest_memory(GUEST_RAM_SIZE);
    pthread_t thread[2];

    write_a(ram, reads != rests);
    memcpy(ram + (B_CODE - GUEST_RAM), b, sizeof b);
    for (unsigned n = 0; n < 16; n++) {
        uint32_t word = A64_BRK(VECTOR_BRK(n));
        memcpy(ram + (GUEST_VECTORS - GUEST_RAM) + 0x80 * n, &word, sizeof word);
    }
    guest_write_tables(ram + (GUEST_DATA - GUEST_RAM), GUEST_DATA);
    memcpy(ram + (LOW_TABLE - GUEST_RAM) + 8, &low[0], 8);
    memcpy(ram + (LOW_TABLE - GUEST_RAM) + 0x1000, &low[1], 8);
    memcpy(ram + (PAGE_DESC - GUEST_RAM), &low[2], 8);
    memset(ram + (MEMORY - GUEST_RAM), 0x11, 0x1000);
    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(hv_vm_map(ram, GUEST_RAM, GUEST_RAM_SIZE,
                       HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC));
    for (unsigned n = 0; n < 2; n++)
        pthread_create(&thread[n], NULL, run, &m[n]);
    for (unsigned n = 0; n < 2; n++) {
        pthread_join(thread[n], NULL);
        CHECK_OK(m[n].result);
        CHECK_EQ(SYNDROME_EC(m[n].syndrome), EC_HVC64);
    }
    CHECK_EQ(m[0].wrong, 0);
    CHECK_OK(hv_vm_destroy());
    hv_vm_deallocate(ram, GUEST_RAM_SIZE);
}

static void who_runs_with_the_asid_is_waited_for(void)
{
    check_page(DESC_NG, 1, 1);
}

static void who_comes_back_to_the_asid_has_heard(void)
{
    check_page(DESC_NG, 1, 2);
}

static void a_global_page_is_of_every_asid(void)
{
    check_page(0, 2, 2);
}

int main(void)
{
    RUN(who_runs_with_the_asid_is_waited_for);
    RUN(who_comes_back_to_the_asid_has_heard);
    RUN(a_global_page_is_of_every_asid);
    return check_finish();
}
