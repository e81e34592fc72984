/*
 * Indirect branches after code changed, or a page of it became another one: they find what is there
 * now, and an address that nothing can be at is no way out. And calls, which NZCV pass in both
 * directions.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/hv/guest.h"

/* The last place of a jump table, which an address of ones would have as well. */
#define LAST (GUEST_RAM + 0x1fffc)

#define A64_RET    0xd65f03c0u
#define A64_BR(r)  (0xd61f0000u | (uint32_t)(r) << 5)
#define A64_BLR(r) (0xd63f0000u | (uint32_t)(r) << 5)

static void no_address_is_found(void)
{
    static const uint32_t code[] = {
        A64_BLR(1),                              /* to LAST */
        A64_BLR(1),                              /* found */
        A64_STR_W(2, 1),                         /* which is another instruction then */
        0xd50b7b21,                              /* dc cvau, x1 */
        A64_DSB_SY,      0xd50b7521,             /* ic ivau, x1 */
        A64_DSB_SY,      A64_ISB,    0x92800003, /* mov x3, #-1 */
        A64_BR(3),
    };
    const uint32_t ret = A64_RET;
    struct guest g;

    CHECK_OK(hvx_set_engine(getenv("IREKO_ENGINE")));
    GUEST_OPEN(&g, code);
    memcpy(g.ram + (LAST - GUEST_RAM), &ret, 4);
    guest_set_reg(&g, HV_REG_X1, LAST);
    guest_set_reg(&g, HV_REG_X2, A64_BR(30));
    guest_run_brk(&g, VECTOR_BRK(VECTOR_SYNC_EL1));
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ELR_EL1), UINT64_MAX);
    guest_close(&g);
}

#define TABLES (GUEST_RAM + 0x4000)
#define LEAVES (GUEST_RAM + 0x8000)
#define OTHER  0x50000000ull /* its page is one of two */
#define FIRST  (GUEST_RAM + 0x11000)
#define SECOND (GUEST_RAM + 0x12000)
#define EIGHTH 8u /* of the program: add x0, x0, #64; ret */

static const uint32_t program[] = {
    A64_BLR(5),             /* the first word of the page, */
    A64_BLR(6),             /* the last but one, */
    A64_BLR(7),             /* the last */
    A64_BRK(7), 0xd5088722, /* tlbi vae1, x2 */
    A64_DSB_SY, A64_ISB,    A64_BRK(8), A64_ADD_IMM(0, 64), A64_RET,
};

static void write_page(struct guest *g, uint64_t at, unsigned add, uint32_t last)
{
    const uint32_t first[] = { A64_ADD_IMM(0, add), A64_RET };
    const uint32_t end[] = { A64_ADD_IMM(0, 4 * add), last };
    uint8_t *page = g->ram + (at - GUEST_RAM);

    memcpy(page, first, sizeof first);
    memcpy(page + 4096 - sizeof end, end, sizeof end);
}

static void lead_to(struct guest *g, uint64_t page)
{
    uint64_t *level2 = (uint64_t *)(void *)(g->ram + (TABLES - GUEST_RAM)) + 512;
    uint64_t *leaf = (uint64_t *)(void *)(g->ram + (LEAVES - GUEST_RAM));

    level2[OTHER >> 21 & 511] = LEAVES | 3;
    leaf[0] = page | 1u << 10 | 3u << 8 | 3;
}

static uint64_t run(struct guest *g, unsigned word, unsigned brk)
{
    guest_set_reg(g, HV_REG_PC, GUEST_CODE + word * 4);
    guest_set_reg(g, HV_REG_X0, 0);
    guest_run_brk(g, brk);
    return guest_reg(g, HV_REG_X0);
}

static void a_page_becomes_another(void)
{
    struct guest g;

    CHECK_OK(hvx_set_engine(getenv("IREKO_ENGINE")));
    GUEST_OPEN(&g, program);
    write_page(&g, FIRST, 1, A64_RET);
    write_page(&g, SECOND, 2, A64_BR(8));
    guest_write_tables(g.ram + (TABLES - GUEST_RAM), TABLES);
    lead_to(&g, FIRST);
    guest_mmu_on(g.vcpu, TABLES);
    guest_set_reg(&g, HV_REG_X2, OTHER >> 12);
    guest_set_reg(&g, HV_REG_X5, OTHER);
    guest_set_reg(&g, HV_REG_X6, OTHER + 4088);
    guest_set_reg(&g, HV_REG_X7, OTHER + 4092);
    guest_set_reg(&g, HV_REG_X8, GUEST_CODE + EIGHTH * 4);
    for (unsigned n = 0; n < 6; n++) {
        for (unsigned turn = 0; turn < 3; turn++)
            CHECK_EQ(run(&g, 0, 7), n % 2 ? 2 + 8 + 64 + 64 : 1 + 4);
        lead_to(&g, n % 2 ? FIRST : SECOND);
        run(&g, 4, 8);
    }
    guest_close(&g);
}

#define TURNS 400
#define SAME  18u /* its place in the program below */

/* Each comparison is followed by a load, which may need EFLAGS for itself, and then by a call. */
static void flags_pass_calls(void)
{
    static const uint32_t code[] = {
        0xf101903f, /* turn: cmp x1, #100 */
        0xf9400043, /* ldr x3, [x2] */
        0x9400000c, /* bl above */
        0x9a842484, /* cinc x4, x4, lo */
        0xf100c827, /* subs x7, x1, #50 */
        0xf9400043, /* ldr x3, [x2] */
        0xd63f00c0, /* blr x6 */
        0x54000048, /* b.hi over */
        0x910004a5, /* add x5, x5, #1 */
        0xf1000421, /* over: subs x1, x1, #1 */
        0xf9400043, /* ldr x3, [x2] */
        0x94000003, /* bl above */
        0xb5fffe81, /* cbnz x1, turn */
        0xd42000e0, /* brk #7 */
        0x9a809400, /* above: cinc x0, x0, hi */
        0xf103203f, /* cmp x1, #200 */
        0xf9400043, /* ldr x3, [x2] */
        0xd65f03c0, /* ret */
        0xf9400043, /* same: ldr x3, [x2] */
        0xd65f03c0, /* ret */
    };
    struct guest g;

    CHECK_OK(hvx_set_engine(getenv("IREKO_ENGINE")));
    GUEST_OPEN(&g, code);
    guest_write_tables(g.ram + (TABLES - GUEST_RAM), TABLES);
    guest_mmu_on(g.vcpu, TABLES);
    guest_set_reg(&g, HV_REG_X1, TURNS);
    guest_set_reg(&g, HV_REG_X2, GUEST_DATA);
    guest_set_reg(&g, HV_REG_X6, GUEST_CODE + SAME * 4);
    CHECK(guest_run_brk(&g, 7));
    CHECK_EQ(guest_reg(&g, HV_REG_X0), TURNS - 100 + TURNS - 1);
    CHECK_EQ(guest_reg(&g, HV_REG_X4), 199);
    CHECK_EQ(guest_reg(&g, HV_REG_X5), 50);
    guest_close(&g);
}

int main(void)
{
    RUN(no_address_is_found);
    RUN(a_page_becomes_another);
    RUN(flags_pass_calls);
    return check_finish();
}
