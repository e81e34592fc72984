/*
 * Debug exceptions as the manual's chapter D2 has them, each rule with its section: breakpoints
 * (D2.9), watchpoints (D2.10), software step (D2.12), and who gets the exception
 * (D2.4).
 */
#include <string.h>

#include "guest.h"

#define MDSCR_SS  1u
#define MDSCR_KDE (1u << 13)
#define MDSCR_MDE (1u << 15)
#define CPSR_SS   (1u << 21)

#define SYNDROME(ec, iss) ((uint64_t)(ec) << 26 | 1u << 25 | (iss))
#define ISS_DEBUG         0x22u
#define ISS_WNR           (1u << 6)

/* DBGBCR<n>_EL1 and DBGWCR<n>_EL1. */
#define ENABLE      1u
#define PXC(n)      ((uint32_t)(n) << 1)
#define LSC(n)      ((uint32_t)(n) << 3)
#define BREAK_BAS   (0xfu << 5)
#define BAS(n)      ((uint32_t)(n) << 5)
#define HMC         (1u << 13)
#define SSC(n)      ((uint32_t)(n) << 14)
#define LBN(n)      ((uint32_t)(n) << 16)
#define TYPE(n)     ((uint32_t)(n) << 20)
#define LINKED      (1u << 20)
#define MASK(n)     ((uint32_t)(n) << 24)
#define BREAK_BOTH  (ENABLE | PXC(3) | BREAK_BAS)
#define WATCH_BOTH  (ENABLE | PXC(3) | LSC(3))
#define WATCH_EIGHT (WATCH_BOTH | BAS(0xff))

#define BREAK_VALUE(n)   ((hv_sys_reg_t)(HV_SYS_REG_DBGBVR0_EL1 + 8 * (n)))
#define BREAK_CONTROL(n) ((hv_sys_reg_t)(HV_SYS_REG_DBGBCR0_EL1 + 8 * (n)))
#define WATCH_VALUE(n)   ((hv_sys_reg_t)(HV_SYS_REG_DBGWVR0_EL1 + 8 * (n)))
#define WATCH_CONTROL(n) ((hv_sys_reg_t)(HV_SYS_REG_DBGWCR0_EL1 + 8 * (n)))

/* One run; the syndrome of the exception that ended it. */
static uint64_t run(struct guest *g)
{
    return guest_run(g, HV_EXIT_REASON_EXCEPTION) ? g->exit->exception.syndrome : 0;
}

static void numbers_of_both(unsigned *breaks, unsigned *watches, unsigned *contexts)
{
    hv_vcpu_config_t config = hv_vcpu_config_create();
    uint64_t dfr0 = 0;

    CHECK_OK(hv_vcpu_config_get_feature_reg(config, HV_FEATURE_REG_ID_AA64DFR0_EL1, &dfr0));
    *breaks = (unsigned)(dfr0 >> 12 & 15) + 1;
    *watches = (unsigned)(dfr0 >> 20 & 15) + 1;
    *contexts = (unsigned)(dfr0 >> 28 & 15) + 1;
    os_release(config);
}

/* --- breakpoints --- */

static const struct {
    const char *name;
    uint32_t control;
    bool el1, el0;
} breakpoints[] = {
    { "D2.9: PMC 0b01 is EL1", ENABLE | PXC(1) | BREAK_BAS, true, false },
    { "D2.9: PMC 0b10 is EL0", ENABLE | PXC(2) | BREAK_BAS, false, true },
    { "D2.9: PMC 0b11 is both", BREAK_BOTH, true, true },
    { "D2.9: SSC 0b01 is Non-secure state", BREAK_BOTH | SSC(1), true, true },
    { "D2.9: SSC 0b10 is Secure state", BREAK_BOTH | SSC(2), false, false },
    { "D2.9: HMC adds EL2", BREAK_BOTH | HMC | SSC(1), true, true },
    { "D2.9: E 0", PXC(3) | BREAK_BAS, false, false },
    { "D2.9: a linked context breakpoint alone", BREAK_BOTH | TYPE(3), false, false },
};

static void breakpoint_rules(void)
{
    static const uint32_t code[] = { A64_NOP, A64_NOP, A64_BRK(1) };

    for (unsigned i = 0; i < 2 * sizeof breakpoints / sizeof breakpoints[0]; i++) {
        bool el0 = i & 1, hit = el0 ? breakpoints[i / 2].el0 : breakpoints[i / 2].el1;
        struct guest g;

        check_start("%s, at EL%d", breakpoints[i / 2].name, !el0);
        GUEST_OPEN(&g, code);
        guest_set_sys(&g, BREAK_VALUE(0), GUEST_CODE + 4);
        guest_set_sys(&g, BREAK_CONTROL(0), breakpoints[i / 2].control);
        guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, MDSCR_MDE);
        guest_set_reg(&g, HV_REG_CPSR, el0 ? CPSR_EL0 : CPSR_EL1H_MASKED);
        CHECK_EQ(run(&g), hit ? SYNDROME(EC_BREAKPOINT, ISS_DEBUG) : SYNDROME(EC_BRK64, 1));
        CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE + (hit ? 4 : 8));
        guest_close(&g);
        check_end();
    }
}

static void every_breakpoint_of_DFR0_works(void)
{
    static const uint32_t code[] = { A64_NOP, A64_NOP, A64_BRK(1) };
    unsigned breaks, watches, contexts;

    numbers_of_both(&breaks, &watches, &contexts);
    for (unsigned n = 0; n < breaks; n++) {
        struct guest g;

        GUEST_OPEN(&g, code);
        guest_set_sys(&g, BREAK_VALUE(n), GUEST_CODE + 4);
        guest_set_sys(&g, BREAK_CONTROL(n), BREAK_BOTH);
        guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, MDSCR_MDE);
        CHECK_EQ(run(&g), SYNDROME(EC_BREAKPOINT, ISS_DEBUG));
        /* Off, and on the way it went. */
        guest_set_sys(&g, BREAK_CONTROL(n), 0);
        CHECK_EQ(run(&g), SYNDROME(EC_BRK64, 1));
        guest_close(&g);
    }
}

static void D2_2_without_MDE_there_are_none(void)
{
    static const uint32_t code[] = { A64_LDR_X(0, 1), A64_BRK(1) };
    struct guest g;

    GUEST_OPEN(&g, code);
    guest_set_reg(&g, HV_REG_X1, GUEST_DATA);
    guest_set_sys(&g, BREAK_VALUE(0), GUEST_CODE);
    guest_set_sys(&g, BREAK_CONTROL(0), BREAK_BOTH);
    guest_set_sys(&g, WATCH_VALUE(0), GUEST_DATA);
    guest_set_sys(&g, WATCH_CONTROL(0), WATCH_EIGHT);
    CHECK_EQ(run(&g), SYNDROME(EC_BRK64, 1));
    guest_close(&g);
}

/* A breakpoint in a page that was executed before, reached by a branch from another page and in a
 * loop inside its own. */
static void a_breakpoint_in_warm_code_is_hit_by_branches(void)
{
    static const uint32_t code[] = { A64_MOVZ(0, 3), A64_B(0xfff), A64_BRK(1) };
    static const uint32_t far[] = { A64_NOP, A64_SUBS_IMM(0, 1), A64_B_NE(-1), A64_B(-0x1001) };
    struct guest g;

    GUEST_OPEN(&g, code);
    memcpy(g.ram + 0x4000, far, sizeof far);
    CHECK_EQ(run(&g), SYNDROME(EC_BRK64, 1));
    guest_set_sys(&g, BREAK_VALUE(1), GUEST_CODE + 0x4004);
    guest_set_sys(&g, BREAK_CONTROL(1), BREAK_BOTH);
    guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, MDSCR_MDE);
    guest_set_reg(&g, HV_REG_PC, GUEST_CODE);
    for (unsigned n = 3; n > 0; n--) {
        CHECK_EQ(run(&g), SYNDROME(EC_BREAKPOINT, ISS_DEBUG));
        CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE + 0x4004);
        CHECK_EQ(guest_reg(&g, HV_REG_X0), n);
        guest_set_reg(&g, HV_REG_X0, n - 1); /* what the instruction would do */
        guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H_MASKED | (n == 1 ? 1u << 30 : 0));
        guest_skip(&g);
    }
    CHECK_EQ(run(&g), SYNDROME(EC_BRK64, 1));
    guest_close(&g);
}

static void D2_9_a_linked_breakpoint_needs_its_context(void)
{
    static const uint32_t code[] = { A64_NOP, A64_NOP, A64_BRK(1) };
    unsigned breaks, watches, contexts;

    numbers_of_both(&breaks, &watches, &contexts);
    for (unsigned equal = 0; equal < 2; equal++) {
        unsigned n = breaks - contexts;
        struct guest g;

        GUEST_OPEN(&g, code);
        guest_set_sys(&g, BREAK_VALUE(0), GUEST_CODE + 4);
        guest_set_sys(&g, BREAK_CONTROL(0), BREAK_BOTH | TYPE(1) | LBN(n));
        guest_set_sys(&g, BREAK_VALUE(n), 0x1234);
        guest_set_sys(&g, BREAK_CONTROL(n), BREAK_BOTH | TYPE(3));
        guest_set_sys(&g, HV_SYS_REG_CONTEXTIDR_EL1, 0x1233 + equal);
        guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, MDSCR_MDE);
        CHECK_EQ(run(&g), equal ? SYNDROME(EC_BREAKPOINT, ISS_DEBUG) : SYNDROME(EC_BRK64, 1));
        guest_close(&g);
    }
}

static void D2_9_a_context_breakpoint_is_everywhere(void)
{
    static const uint32_t code[] = { A64_NOP, A64_MSR(A64_REG(3, 0, 13, 0, 1), 1), A64_ISB,
                                     A64_BRK(1) };
    unsigned breaks, watches, contexts;
    struct guest g;

    if (check_skip_on_kvm("a host that QEMU emulates does it otherwise"))
        return;
    numbers_of_both(&breaks, &watches, &contexts);
    GUEST_OPEN(&g, code);
    guest_set_reg(&g, HV_REG_X1, 77);
    guest_set_sys(&g, BREAK_VALUE(breaks - 1), 77);
    guest_set_sys(&g, BREAK_CONTROL(breaks - 1), BREAK_BOTH | TYPE(2));
    guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, MDSCR_MDE);
    CHECK_EQ(run(&g), SYNDROME(EC_BREAKPOINT, ISS_DEBUG));
    CHECK(guest_reg(&g, HV_REG_PC) >= GUEST_CODE + 8);
    CHECK(guest_reg(&g, HV_REG_PC) <= GUEST_CODE + 12); /* at the latest after the ISB */
    guest_close(&g);
}

/* --- watchpoints --- */

/* Engine kvm is tested on an Arm machine that QEMU emulates, whose CPU does these otherwise. */
static bool skip_on_emulated_host(const char *name)
{
    static const char *const names[] = {
        "D2.10: the second register of STP",
        "D2.10: DC IVAC is a store",
        "D2.12: MSR of SCTLR_EL1",
        "D2.12: an abort ends at the vector",
    };

    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return check_skip_on_kvm("a host that QEMU emulates does it otherwise");
    return false;
}

#define LDRB(offset) (0x39400020u | (offset) << 10) /* ldrb w0, [x1, #offset] */
#define LDP          0xa9400820u                    /* ldp x0, x2, [x1] */
#define STP          0xa9000820u                    /* stp x0, x2, [x1] */
#define STP_Q        0xad000420u                    /* stp q0, q1, [x1] */
#define LD1          0x4c407020u                    /* ld1 {v0.16b}, [x1] */
#define CAS          0xc8a07c22u                    /* cas x0, x2, [x1] */
#define LDADD        0xf8200022u                    /* ldadd x0, x2, [x1] */
#define LDXR         0xc85f7c20u                    /* ldxr x0, [x1] */
#define LDTR         0xf8400820u                    /* ldtr x0, [x1] */
#define LDUR_MINUS4  0xf85fc020u                    /* ldur x0, [x1, #-4] */
#define DC_ZVA       0xd50b7421u                    /* dc zva, x1 */
#define DC_CVAC      0xd50b7a21u                    /* dc cvac, x1 */
#define DC_IVAC      0xd5087621u                    /* dc ivac, x1 */
#define PRFM         0xf9800020u                    /* prfm pldl1keep, [x1] */
#define MISS         (-1)

/* x1 is GUEST_DATA + 0x100, and so is the watched address but for what `value` adds. */
static const struct {
    const char *name;
    uint32_t control, word;
    int value, far; /* MISS, or the distance of FAR from GUEST_DATA + 0x100 */
    uint32_t iss;
} watchpoints[] = {
    { "D2.10: a load", WATCH_EIGHT, A64_LDR_X(0, 1), 0, 0, 0 },
    { "D2.10: a store", WATCH_EIGHT, A64_STR_X(0, 1), 0, 0, ISS_WNR },
    { "D2.10: LSC 0b01 and a load", ENABLE | PXC(3) | LSC(1) | BAS(0xff), A64_LDR_X(0, 1), 0, 0,
      0 },
    { "D2.10: LSC 0b01 and a store", ENABLE | PXC(3) | LSC(1) | BAS(0xff), A64_STR_X(0, 1), 0, MISS,
      0 },
    { "D2.10: LSC 0b10 and a load", ENABLE | PXC(3) | LSC(2) | BAS(0xff), A64_LDR_X(0, 1), 0, MISS,
      0 },
    { "D2.10: LSC 0b10 and a store", ENABLE | PXC(3) | LSC(2) | BAS(0xff), A64_STR_X(0, 1), 0, 0,
      ISS_WNR },
    { "D2.10: BAS of the byte", WATCH_BOTH | BAS(0x08), LDRB(3), 0, 3, 0 },
    { "D2.10: BAS of the byte below", WATCH_BOTH | BAS(0x04), LDRB(3), 0, MISS, 0 },
    { "D2.10: BAS of the byte above", WATCH_BOTH | BAS(0x10), LDRB(3), 0, MISS, 0 },
    { "D2.10: BAS of four bytes at an address of a word", WATCH_BOTH | BAS(0x0f), LDRB(7), 4, 7,
      0 },
    { "D2.10: the word above such an address", WATCH_BOTH | BAS(0x0f), LDRB(3), 4, MISS, 0 },
    { "D2.10: an access that only ends in the watched bytes", WATCH_BOTH | BAS(0x01), LDUR_MINUS4,
      0, 0, 0 },
    { "D2.10: MASK of 256 bytes", WATCH_EIGHT | MASK(8), LDRB(0xff), 0, 0xff, 0 },
    { "D2.10: beyond a MASK of 128 bytes", WATCH_EIGHT | MASK(7), LDRB(0x80), 0, MISS, 0 },
    { "D2.10: MASK of 2 GiB", WATCH_EIGHT | MASK(31), A64_LDR_X(0, 1), -0x20100, 0, 0 },
    { "D2.10: PAC 0b10 is EL0, a load at EL1", ENABLE | PXC(2) | LSC(3) | BAS(0xff),
      A64_LDR_X(0, 1), 0, MISS, 0 },
    { "D2.10: PAC 0b01 is EL1, a load at EL1", ENABLE | PXC(1) | LSC(3) | BAS(0xff),
      A64_LDR_X(0, 1), 0, 0, 0 },
    { "D2.10: SSC 0b10 is Secure state", WATCH_EIGHT | SSC(2), A64_LDR_X(0, 1), 0, MISS, 0 },
    { "D2.10: the first register of LDP", WATCH_EIGHT, LDP, 0, 0, 0 },
    { "D2.10: the second register of LDP", WATCH_EIGHT, LDP, 8, 8, 0 },
    { "D2.10: the second register of STP", WATCH_EIGHT, STP, 8, 8, ISS_WNR },
    { "D2.10: the last bytes of STP of Q", WATCH_BOTH | BAS(0x80), STP_Q, 24, 31, ISS_WNR },
    { "D2.10: LD1", WATCH_EIGHT, LD1, 8, 8, 0 },
    { "D2.10: LDXR", WATCH_EIGHT, LDXR, 0, 0, 0 },
    { "D2.10: an atomic that reads is a read", WATCH_EIGHT, LDADD, 0, 0, 0 },
    { "D2.10: an atomic and LSC 0b10", ENABLE | PXC(3) | LSC(2) | BAS(0xff), LDADD, 0, 0, ISS_WNR },
    { "D2.10: CAS and LSC 0b10", ENABLE | PXC(3) | LSC(2) | BAS(0xff), CAS, 0, 0, ISS_WNR },
    { "D2.10: DC ZVA is a store of its line", WATCH_EIGHT, DC_ZVA, 0x38, 0x38, ISS_WNR },
    { "D2.10: DC CVAC is no access", WATCH_EIGHT, DC_CVAC, 0, MISS, 0 },
    { "D2.10: DC IVAC is a store", WATCH_EIGHT, DC_IVAC, 0, 0, ISS_WNR | 1u << 8 },
    { "D2.10: a prefetch is no access", WATCH_EIGHT, PRFM, 0, MISS, 0 },
    { "D2.10: another line of the page", WATCH_EIGHT, A64_STR_X(0, 1), 0x40, MISS, 0 },
};

static void open_watched(struct guest *g, uint32_t word)
{
    const uint32_t code[] = { word, A64_BRK(1) };

    GUEST_OPEN(g, code);
    guest_write_tables(g->ram + 0x8000, GUEST_RAM + 0x8000);
    guest_mmu_on(g->vcpu, GUEST_RAM + 0x8000);
    guest_set_reg(g, HV_REG_X1, GUEST_DATA + 0x100);
    /* The page is warm. */
    CHECK_EQ(run(g), SYNDROME(EC_BRK64, 1));
    memset(g->ram + 0x20000, 0, 0x1000);
    guest_set_reg(g, HV_REG_PC, GUEST_CODE);
    guest_set_reg(g, HV_REG_X0, 0x55);
    guest_set_sys(g, HV_SYS_REG_MDSCR_EL1, MDSCR_MDE);
}

static void watchpoint_rules(void)
{
    for (unsigned i = 0; i < sizeof watchpoints / sizeof watchpoints[0]; i++) {
        const uint64_t base = GUEST_DATA + 0x100;
        bool hit = watchpoints[i].far != MISS;
        static const uint8_t zero[0x1000];
        struct guest g;

        check_start("%s", watchpoints[i].name);
        if (skip_on_emulated_host(watchpoints[i].name)) {
            check_end();
            continue;
        }
        open_watched(&g, watchpoints[i].word);
        guest_set_sys(&g, WATCH_VALUE(0), base + (uint64_t)(int64_t)watchpoints[i].value);
        guest_set_sys(&g, WATCH_CONTROL(0), watchpoints[i].control);
        CHECK_EQ(run(&g), hit ? SYNDROME(EC_WATCHPOINT, ISS_DEBUG | watchpoints[i].iss)
                              : SYNDROME(EC_BRK64, 1));
        CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE + (hit ? 0 : 4));
        if (hit) {
            CHECK_EQ(g.exit->exception.virtual_address, base + (unsigned)watchpoints[i].far);
            CHECK_EQ(guest_reg(&g, HV_REG_X0), 0x55); /* nothing happened */
            CHECK(memcmp(g.ram + 0x20000, zero, sizeof zero) == 0);
            guest_set_sys(&g, WATCH_CONTROL(0), 0);
            CHECK_EQ(run(&g), SYNDROME(EC_BRK64, 1));
        }
        guest_close(&g);
        check_end();
    }
}

static void D2_10_LDTR_is_an_access_of_EL0(void)
{
    static const uint32_t code[] = { LDTR, A64_BRK(1) };

    if (check_skip_on_kvm("a host that QEMU emulates does it otherwise"))
        return;
    for (unsigned pac = 1; pac <= 2; pac++) {
        struct guest g;

        GUEST_OPEN(&g, code);
        guest_set_reg(&g, HV_REG_X1, GUEST_DATA);
        guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, MDSCR_MDE);
        guest_set_sys(&g, WATCH_VALUE(0), GUEST_DATA);
        guest_set_sys(&g, WATCH_CONTROL(0), ENABLE | PXC(pac) | LSC(3) | BAS(0xff));
        CHECK_EQ(run(&g), pac == 2 ? SYNDROME(EC_WATCHPOINT, ISS_DEBUG) : SYNDROME(EC_BRK64, 1));
        guest_close(&g);
    }
}

static void every_watchpoint_of_DFR0_works(void)
{
    unsigned breaks, watches, contexts;

    numbers_of_both(&breaks, &watches, &contexts);
    for (unsigned n = 0; n < watches; n++) {
        struct guest g;

        open_watched(&g, A64_STR_X(0, 1));
        guest_set_sys(&g, WATCH_VALUE(n), GUEST_DATA + 0x100);
        guest_set_sys(&g, WATCH_CONTROL(n), WATCH_EIGHT);
        CHECK_EQ(run(&g), SYNDROME(EC_WATCHPOINT, ISS_DEBUG | ISS_WNR));
        guest_close(&g);
    }
}

static void D2_10_a_linked_watchpoint_needs_its_context(void)
{
    unsigned breaks, watches, contexts;

    numbers_of_both(&breaks, &watches, &contexts);
    for (unsigned equal = 0; equal < 2; equal++) {
        unsigned n = breaks - contexts;
        struct guest g;

        open_watched(&g, A64_STR_X(0, 1));
        guest_set_sys(&g, WATCH_VALUE(0), GUEST_DATA + 0x100);
        guest_set_sys(&g, WATCH_CONTROL(0), WATCH_EIGHT | LINKED | LBN(n));
        guest_set_sys(&g, BREAK_VALUE(n), 0x1234);
        guest_set_sys(&g, BREAK_CONTROL(n), BREAK_BOTH | TYPE(3));
        guest_set_sys(&g, HV_SYS_REG_CONTEXTIDR_EL1, 0x1233 + equal);
        CHECK_EQ(run(&g),
                 equal ? SYNDROME(EC_WATCHPOINT, ISS_DEBUG | ISS_WNR) : SYNDROME(EC_BRK64, 1));
        guest_close(&g);
    }
}

/* --- the guest's own exceptions --- */

/* Debug exceptions stay in the guest, whose vectors say HVC. */
static void open_own(struct guest *g, const uint32_t *code, unsigned count, uint32_t mdscr,
                     uint32_t cpsr)
{
    guest_open(g, code, count);
    for (unsigned n = 0; n < 16; n++) {
        uint32_t word = A64_HVC(n);

        memcpy(g->ram + (GUEST_VECTORS - GUEST_RAM) + 0x80 * n, &word, sizeof word);
    }
    CHECK_OK(hv_vcpu_set_trap_debug_exceptions(g->vcpu, false));
    guest_set_sys(g, HV_SYS_REG_MDSCR_EL1, mdscr);
    guest_set_reg(g, HV_REG_CPSR, cpsr);
    guest_set_reg(g, HV_REG_X1, GUEST_DATA);
}

static const struct {
    const char *name;
    uint32_t mdscr, cpsr;
    bool hit;
} targets[] = {
    { "D2.4: from EL0", MDSCR_MDE, CPSR_EL0, true },
    { "D2.4: from EL0, PSTATE.D does not count", MDSCR_MDE, CPSR_EL0 | CPSR_D, true },
    { "D2.4: from EL1 without KDE", MDSCR_MDE, CPSR_EL1H, false },
    { "D2.4: from EL1 with KDE", MDSCR_MDE | MDSCR_KDE, CPSR_EL1H, true },
    { "D2.4: from EL1 with KDE, masked by PSTATE.D", MDSCR_MDE | MDSCR_KDE, CPSR_EL1H | CPSR_D,
      false },
};

static void own_exceptions(void)
{
    static const uint32_t code[] = { A64_LDR_X(0, 1), A64_SVC(7) };

    for (unsigned i = 0; i < 2 * sizeof targets / sizeof targets[0]; i++) {
        bool watch = i & 1, hit = targets[i / 2].hit;
        uint32_t el1 = targets[i / 2].cpsr & CPSR_EL1H ? 1 : 0;
        uint32_t class = (watch ? EC_WATCHPOINT : EC_BREAKPOINT) + el1;
        struct guest g;

        check_start("%s, a %spoint", targets[i / 2].name, watch ? "watch" : "break");
        open_own(&g, code, 2, targets[i / 2].mdscr, targets[i / 2].cpsr);
        guest_set_sys(&g, watch ? WATCH_VALUE(0) : BREAK_VALUE(0), watch ? GUEST_DATA : GUEST_CODE);
        guest_set_sys(&g, watch ? WATCH_CONTROL(0) : BREAK_CONTROL(0),
                      watch ? WATCH_EIGHT : BREAK_BOTH);
        CHECK_EQ(run(&g) & 0xffff, el1 ? 4 : 8);
        CHECK_EQ(guest_sys(&g, HV_SYS_REG_ESR_EL1),
                 hit ? SYNDROME(class, ISS_DEBUG) : SYNDROME(0x15, 7));
        CHECK_EQ(guest_sys(&g, HV_SYS_REG_ELR_EL1), GUEST_CODE + (hit ? 0 : 8));
        if (hit && watch)
            CHECK_EQ(guest_sys(&g, HV_SYS_REG_FAR_EL1), GUEST_DATA);
        guest_close(&g);
        check_end();
    }
}

/* --- HVX_NATIVE_DEBUG_PMU --- */

#define OSLAR      A64_REG(2, 0, 1, 0, 4)
#define OSLSR      A64_REG(2, 0, 1, 1, 4)
#define CLAIMSET   A64_REG(2, 0, 7, 8, 6)
#define CLAIMCLR   A64_REG(2, 0, 7, 9, 6)
#define PMCR       A64_REG(3, 3, 9, 12, 0)
#define PMOVSSET   A64_REG(3, 3, 9, 14, 3)
#define PMOVSCLR   A64_REG(3, 3, 9, 12, 3)
#define PMINTENSET A64_REG(3, 0, 9, 14, 1)
#define DFR0       A64_REG(3, 0, 0, 5, 0)

#define OPEN_NATIVE(g, code)                                                                       \
    do {                                                                                           \
        guest_open_native(g, code, sizeof(code) / sizeof((code)[0]));                              \
        if (!(g)->good) {                                                                          \
            guest_close(g);                                                                        \
            check_skip("this provider has no HVX_NATIVE_DEBUG_PMU");                               \
            return;                                                                                \
        }                                                                                          \
    } while (0)

static void hvx_vm_enable_has_its_time(void)
{
    static const uint32_t code[] = { A64_MRS(0, DFR0), A64_BRK(1) };
    struct guest g;

    CHECK_EQ(hvx_vm_enable(HVX_NATIVE_DEBUG_PMU) == HV_SUCCESS, false); /* no VM */
    GUEST_OPEN(&g, code);
    bool level = true;
    CHECK_EQ(hvx_vcpu_get_pmu_irq(g.vcpu, &level), HV_UNSUPPORTED);
    CHECK_EQ(level, false);
    CHECK_EQ(hvx_vm_enable(HVX_NATIVE_DEBUG_PMU) == HV_SUCCESS, false); /* there is a vCPU */
    guest_close(&g);
    CHECK_OK(hv_vm_create(NULL));
    CHECK_EQ(hvx_vm_enable(0x80000000u), HV_UNSUPPORTED);
    CHECK_OK(hv_vm_destroy());
    /* A new VM has none of it. */
    GUEST_OPEN(&g, code);
    CHECK(guest_run_brk(&g, 1));
    CHECK_EQ(guest_reg(&g, HV_REG_X0) >> 8 & 15, 0);
    guest_close(&g);
}

static void H8_2_the_OS_lock_holds_debug_exceptions_back(void)
{
    static const uint32_t code[] = { A64_MRS(4, OSLSR), A64_LDR_X(0, 1), A64_MSR(OSLAR, 3),
                                     A64_MRS(5, OSLSR), A64_LDR_X(0, 1), A64_HVC(9) };
    const uint32_t vector = A64_HVC(4);
    struct guest g;

    OPEN_NATIVE(&g, code);
    memcpy(g.ram + (GUEST_VECTORS - GUEST_RAM) + 0x200, &vector, sizeof vector);
    CHECK_OK(hv_vcpu_set_trap_debug_exceptions(g.vcpu, false));
    guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, MDSCR_MDE | MDSCR_KDE);
    guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H);
    guest_set_reg(&g, HV_REG_X1, GUEST_DATA);
    guest_set_sys(&g, WATCH_VALUE(0), GUEST_DATA);
    guest_set_sys(&g, WATCH_CONTROL(0), WATCH_EIGHT);
    CHECK_EQ(run(&g) & 0xffff, 4);
    CHECK_EQ(guest_reg(&g, HV_REG_X4), 0xa); /* OSLK is set at reset */
    CHECK_EQ(guest_reg(&g, HV_REG_X5), 0x8);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ELR_EL1), GUEST_CODE + 16);
    guest_close(&g);
}

static void H8_2_claim_tags_are_set_and_cleared(void)
{
    static const uint32_t code[] = { A64_MRS(3, CLAIMSET), A64_MSR(CLAIMSET, 1),
                                     A64_MSR(CLAIMCLR, 2), A64_MRS(4, CLAIMCLR), A64_BRK(1) };
    struct guest g;

    OPEN_NATIVE(&g, code);
    guest_set_reg(&g, HV_REG_X1, 0xf0f);
    guest_set_reg(&g, HV_REG_X2, 3);
    CHECK(guest_run_brk(&g, 1));
    CHECK_EQ(guest_reg(&g, HV_REG_X3), 0xff);
    CHECK_EQ(guest_reg(&g, HV_REG_X4), 0xc);
    guest_close(&g);
}

/* A device is memory to the guest, which knows no stage 2; the contract's order is the manual's. */
static void a_watchpoint_sees_devices(void)
{
    static const uint32_t code[] = { A64_STR_W(0, 1), A64_LDR_X(0, 1), A64_BRK(1) };
    struct guest g;

    OPEN_NATIVE(&g, code);
    guest_set_reg(&g, HV_REG_X1, GUEST_MMIO);
    guest_set_sys(&g, WATCH_VALUE(0), GUEST_MMIO);
    guest_set_sys(&g, WATCH_CONTROL(0), WATCH_BOTH | BAS(0xf0)); /* the upper four bytes */
    guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, MDSCR_MDE);
    CHECK(guest_run_exception(&g, EC_DABORT) != 0);
    guest_skip(&g);
    CHECK_EQ(run(&g), SYNDROME(EC_WATCHPOINT, ISS_DEBUG));
    CHECK_EQ(g.exit->exception.virtual_address, GUEST_MMIO + 4);
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE + 4);
    guest_set_sys(&g, WATCH_CONTROL(0), 0);
    CHECK(guest_run_exception(&g, EC_DABORT) != 0);
    guest_skip(&g);
    CHECK(guest_run_brk(&g, 1));
    guest_close(&g);
}

static void D1_3_5_an_abort_of_stage_2_comes_before_a_watchpoint(void)
{
    static const uint32_t code[] = { A64_LDR_X(0, 1), A64_BRK(1) };
    struct guest g;

    GUEST_OPEN(&g, code);
    guest_set_reg(&g, HV_REG_X1, GUEST_MMIO);
    guest_set_sys(&g, WATCH_VALUE(0), GUEST_MMIO);
    guest_set_sys(&g, WATCH_CONTROL(0), WATCH_EIGHT);
    guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, MDSCR_MDE);
    CHECK(guest_run_exception(&g, EC_DABORT) != 0);
    guest_close(&g);
}

/* The interrupt's level is the monitor's to pass on: a run ends when it rises, once. */
static void a_rising_overflow_interrupt_ends_the_run(void)
{
    static const uint32_t code[] = {
        A64_MSR(PMCR, 1), A64_MSR(PMINTENSET, 1), A64_MSR(PMOVSSET, 1), A64_NOP,
        A64_HVC(1),       A64_MSR(PMOVSCLR, 1),   A64_HVC(2),           A64_MRS(0, DFR0),
        A64_BRK(3)
    };
    struct guest g;
    bool level = true;

    OPEN_NATIVE(&g, code);
    guest_set_reg(&g, HV_REG_X1, 1);
    CHECK_OK(hvx_vcpu_get_pmu_irq(g.vcpu, &level));
    CHECK_EQ(level, false);
    CHECK_EQ(hvx_vcpu_get_pmu_irq(g.vcpu, NULL), HV_BAD_ARGUMENT);
    CHECK(guest_run(&g, HV_EXIT_REASON_CANCELED));
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE + 12);
    CHECK_OK(hvx_vcpu_get_pmu_irq(g.vcpu, &level));
    CHECK_EQ(level, true);
    CHECK_EQ(run(&g) & 0xffff, 1);
    CHECK_EQ(run(&g) & 0xffff, 2);
    CHECK_OK(hvx_vcpu_get_pmu_irq(g.vcpu, &level));
    CHECK_EQ(level, false);
    CHECK(guest_run_brk(&g, 3));
    CHECK_EQ(guest_reg(&g, HV_REG_X0) >> 8 & 15, 4);
    guest_close(&g);
}

/* --- software step --- */

#define ISS_STEP (1u << 24 | ISS_DEBUG)
#define ISS_EX   (1u << 6)
#define VECTOR   (GUEST_VECTORS + 0x200)

/* x1 is GUEST_DATA, x2 MMIO, x3 GUEST_CODE + 0x8000; ELR_EL1 is GUEST_CODE + 0x40, at EL0. */
static const struct {
    const char *name;
    uint32_t word;
    uint64_t pc; /* of the step exception */
    uint32_t iss;
} steps[] = {
    { "D2.12: NOP", A64_NOP, GUEST_CODE + 4, ISS_STEP },
    { "D2.12: a branch", A64_B(4), GUEST_CODE + 16, ISS_STEP },
    { "D2.12: a branch to itself", A64_B_SELF, GUEST_CODE, ISS_STEP },
    { "D2.12: a branch that is not taken", A64_B_NE(4), GUEST_CODE + 4, ISS_STEP },
    { "D2.12: a branch to another page", 0xd61f0060 /* br x3 */, GUEST_CODE + 0x8000, ISS_STEP },
    { "D1.3.5: the step comes before the fetch of a bad target", 0xd61f0040 /* br x2 */, GUEST_MMIO,
      ISS_STEP },
    { "D1.3.5: the step comes before the alignment of the target", 0xd61f0080 /* br x4 */,
      GUEST_CODE + 0x42, ISS_STEP },
    { "D2.12: a load", A64_LDR_X(0, 1), GUEST_CODE + 4, ISS_STEP },
    { "D2.12: a store", A64_STR_X(0, 1), GUEST_CODE + 4, ISS_STEP },
    { "D2.12: a load-exclusive sets EX", LDXR, GUEST_CODE + 4, ISS_STEP | ISS_EX },
    { "D2.12: MSR", A64_MSR(A64_REG(3, 0, 13, 0, 4), 1), GUEST_CODE + 4, ISS_STEP },
    { "D2.12: MSR of SCTLR_EL1", A64_MSR(A64_REG(3, 0, 1, 0, 0), 5), GUEST_CODE + 4, ISS_STEP },
    { "D2.12: ISB", A64_ISB, GUEST_CODE + 4, ISS_STEP },
    { "D2.12: ERET", A64_ERET, GUEST_CODE + 0x40, ISS_STEP },
    { "D2.12: SVC ends at the vector", A64_SVC(1), VECTOR, ISS_STEP },
    { "D2.12: an undefined instruction ends at the vector", 0, VECTOR, ISS_DEBUG },
    { "D2.12: an abort ends at the vector", 0xf9400080 /* ldr x0, [x4] */, VECTOR, ISS_DEBUG },
};

static void step_rules(void)
{
    for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct guest g;

        check_start("%s", steps[i].name);
        if (skip_on_emulated_host(steps[i].name)) {
            check_end();
            continue;
        }
        guest_open(&g, &steps[i].word, 1);
        guest_set_reg(&g, HV_REG_X1, GUEST_DATA);
        guest_set_reg(&g, HV_REG_X2, GUEST_MMIO);
        guest_set_reg(&g, HV_REG_X3, GUEST_CODE + 0x8000);
        guest_set_reg(&g, HV_REG_X4, GUEST_CODE + 0x42);
        guest_set_reg(&g, HV_REG_X5, guest_sys(&g, HV_SYS_REG_SCTLR_EL1));
        guest_set_sys(&g, HV_SYS_REG_ELR_EL1, GUEST_CODE + 0x40);
        guest_set_sys(&g, HV_SYS_REG_SPSR_EL1, CPSR_EL0);
        guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, MDSCR_SS);
        guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H_MASKED | CPSR_SS | 1u << 30 /* Z */);
        uint64_t syndrome = run(&g);
        /* After an exception it is open whether ISV is 1. */
        if (steps[i].pc == VECTOR)
            syndrome = (syndrome & ~(1ull << 24)) | (steps[i].iss & 1u << 24);
        CHECK_EQ(syndrome, SYNDROME(EC_STEP, steps[i].iss));
        CHECK_EQ(guest_reg(&g, HV_REG_PC), steps[i].pc);
        CHECK_EQ(guest_reg(&g, HV_REG_CPSR) & CPSR_SS, 0);
        guest_close(&g);
        check_end();
    }
}

/* D2.12, "SPSR_ELx.SS": an instruction that raised an exception is stepped again, one that asked
 * for it is done. */
static void D2_12_an_exception_keeps_or_ends_the_step(void)
{
    static const uint32_t words[] = { 0, A64_SVC(1), 0xf9400080 };

    if (check_skip_on_kvm("KVM has PSTATE.SS set at every step"))
        return;
    for (unsigned i = 0; i < 3; i++) {
        struct guest g;

        guest_open(&g, &words[i], 1);
        guest_set_reg(&g, HV_REG_X4, GUEST_CODE + 0x42);
        guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, MDSCR_SS);
        guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H_MASKED | CPSR_SS);
        run(&g);
        CHECK_EQ(guest_sys(&g, HV_SYS_REG_SPSR_EL1) & CPSR_SS, i == 1 ? 0 : CPSR_SS);
        guest_close(&g);
    }
}

static void D2_12_a_fetch_that_faults_keeps_the_step(void)
{
    static const uint32_t code[] = { A64_NOP };
    struct guest g;

    GUEST_OPEN(&g, code);
    guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, MDSCR_SS);
    guest_set_reg(&g, HV_REG_PC, GUEST_CODE + 2);
    guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H_MASKED | CPSR_SS);
    CHECK_EQ(run(&g) >> 26, EC_STEP);
    CHECK_EQ(guest_reg(&g, HV_REG_PC), VECTOR);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ESR_EL1) >> 26, 0x22);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_SPSR_EL1) & CPSR_SS, CPSR_SS);
    guest_close(&g);
}

/* HVC leaves first; the step exception is pending behind it. */
static void D2_12_a_stepped_HVC_is_done(void)
{
    static const uint32_t code[] = { A64_HVC(5), A64_NOP };
    struct guest g;

    GUEST_OPEN(&g, code);
    guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, MDSCR_SS);
    guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H_MASKED | CPSR_SS);
    CHECK_EQ(run(&g), SYNDROME(EC_HVC64, 5));
    CHECK_EQ(run(&g) >> 26, EC_STEP);
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE + 4);
    guest_close(&g);
}

/* An ERET from where debug exceptions are enabled cannot set PSTATE.SS, one from where they are not
 * can: DebugExceptionReturnSS(). */
static void D2_12_ERET_sets_PSTATE_SS_only_from_disabled_code(void)
{
    static const uint32_t code[] = { A64_ERET, A64_MOVZ(0, 1), A64_MOVZ(0, 2) };

    for (unsigned masked = 0; masked < 2; masked++) {
        struct guest g;

        open_own(&g, code, 3, MDSCR_KDE, CPSR_EL1H | (masked ? CPSR_D : 0));
        guest_set_sys(&g, HV_SYS_REG_ELR_EL1, GUEST_CODE + 4);
        guest_set_sys(&g, HV_SYS_REG_SPSR_EL1, CPSR_EL1H | CPSR_SS);
        if (!masked) /* step the ERET itself, too, or it would never be executed */
            guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H | CPSR_SS);
        guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, MDSCR_KDE | MDSCR_SS);
        CHECK_EQ(run(&g) & 0xffff, 4);
        CHECK_EQ(guest_sys(&g, HV_SYS_REG_ESR_EL1) >> 26, EC_STEP + 1);
        CHECK_EQ(guest_sys(&g, HV_SYS_REG_ELR_EL1), GUEST_CODE + (masked ? 8 : 4));
        CHECK_EQ(guest_reg(&g, HV_REG_X0), masked);
        guest_close(&g);
    }
}

/* PSTATE.D cleared by the code itself: the step exception follows at once. */
static void D2_12_clearing_PSTATE_D_makes_the_step_pending(void)
{
    static const uint32_t code[] = { A64_DAIFCLR(8), A64_MOVZ(0, 1), A64_MOVZ(0, 2) };
    struct guest g;

    open_own(&g, code, 3, MDSCR_KDE | MDSCR_SS, CPSR_EL1H_MASKED);
    CHECK_EQ(run(&g) & 0xffff, 4);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ESR_EL1), SYNDROME(EC_STEP + 1, ISS_DEBUG));
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ELR_EL1), GUEST_CODE + 4);
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 0);
    guest_close(&g);
}

static void D1_3_5_the_step_comes_before_a_breakpoint(void)
{
    static const uint32_t code[] = { A64_NOP, A64_NOP };
    struct guest g;

    GUEST_OPEN(&g, code);
    guest_set_sys(&g, BREAK_VALUE(0), GUEST_CODE + 4);
    guest_set_sys(&g, BREAK_CONTROL(0), BREAK_BOTH);
    guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, MDSCR_SS | MDSCR_MDE);
    guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H_MASKED | CPSR_SS);
    CHECK_EQ(run(&g) >> 26, EC_STEP);
    guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H_MASKED | CPSR_SS);
    CHECK_EQ(run(&g) >> 26, EC_BREAKPOINT);
    CHECK_EQ(guest_reg(&g, HV_REG_CPSR) & CPSR_SS, CPSR_SS); /* it is still to be stepped */
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE + 4);
    guest_close(&g);
}

int main(void)
{
    breakpoint_rules();
    RUN(every_breakpoint_of_DFR0_works);
    RUN(D2_2_without_MDE_there_are_none);
    RUN(a_breakpoint_in_warm_code_is_hit_by_branches);
    RUN(D2_9_a_linked_breakpoint_needs_its_context);
    RUN(D2_9_a_context_breakpoint_is_everywhere);
    watchpoint_rules();
    RUN(D2_10_LDTR_is_an_access_of_EL0);
    RUN(every_watchpoint_of_DFR0_works);
    RUN(D2_10_a_linked_watchpoint_needs_its_context);
    own_exceptions();
    RUN(hvx_vm_enable_has_its_time);
    RUN(H8_2_the_OS_lock_holds_debug_exceptions_back);
    RUN(H8_2_claim_tags_are_set_and_cleared);
    RUN(a_watchpoint_sees_devices);
    RUN(D1_3_5_an_abort_of_stage_2_comes_before_a_watchpoint);
    RUN_CANCEL(a_rising_overflow_interrupt_ends_the_run);
    step_rules();
    RUN(D2_12_an_exception_keeps_or_ends_the_step);
    RUN(D2_12_a_fetch_that_faults_keeps_the_step);
    RUN(D2_12_a_stepped_HVC_is_done);
    RUN(D2_12_ERET_sets_PSTATE_SS_only_from_disabled_code);
    RUN(D2_12_clearing_PSTATE_D_makes_the_step_pending);
    RUN(D1_3_5_the_step_comes_before_a_breakpoint);
    return check_finish();
}
