/*
 * Memory copy and memory set (FEAT_MOPS, DDI 0487 C6.2 CPYP, CPYFP, SETP and those after them):
 * what is in memory and in registers afterwards, against memmove() and memset(); where a part of it
 * faults, and goes on; and who may not execute them at all.
 */
#include "tests/hv/guest.h"

#include <stdlib.h>
#include <string.h>

#define DATA_SIZE 0x10000u
#define RAM_END   (GUEST_RAM + GUEST_RAM_SIZE)
#define TABLES    (GUEST_RAM + 0x4000)

/* [x0]!, [x1]!, x2!, and of SET the byte in x3; the options are bits 15:12. */
#define CPYFP 0x19010440u
#define CPYP  0x1d010440u
#define STAGE 0x00400000u /* the next of the three, of copies */
#define SETP  0x19c30440u
#define SETM  0x19c34440u
#define SETE  0x19c38440u

#define COPY(first) { first, (first) + STAGE, (first) + 2 * STAGE, A64_BRK(0) }

#define EC_MOPS  0x27u
#define PSTATE_C (1u << 29)

static uint64_t state = GUEST_RANDOM;

static unsigned next(unsigned limit)
{
    return (unsigned)(guest_random(&state) >> 11) % limit;
}

static uint8_t *data_of(struct guest *g)
{
    return g->ram + (GUEST_DATA - GUEST_RAM);
}

/* At a place that had no code before, as nobody tells the CPU of new code. */
static uint64_t put_code(struct guest *g, const uint32_t *words, size_t count)
{
    static unsigned place;
    uint64_t at = 0x1000 + 64 * (place++ % 128);

    memcpy(g->ram + at, words, count * sizeof *words);
    guest_set_reg(g, HV_REG_PC, GUEST_CODE + at);
    return GUEST_CODE + at;
}

static void set_registers(struct guest *g, uint64_t x0, uint64_t x1, uint64_t x2)
{
    guest_set_reg(g, HV_REG_X0, x0);
    guest_set_reg(g, HV_REG_X1, x1);
    guest_set_reg(g, HV_REG_X2, x2);
}

/* A machine with one program of three instructions; its MMU is on if pages are to be found fast. */
static bool open_with(struct guest *g, const uint32_t *words, bool mmu)
{
    guest_open(g, words, 4);
    if (!g->good)
        return false;
    if (mmu) {
        guest_write_tables(g->ram + (TABLES - GUEST_RAM), TABLES);
        guest_mmu_on(g->vcpu, TABLES);
    }
    for (unsigned k = 0; k < DATA_SIZE; k++)
        data_of(g)[k] = (uint8_t)(k * 7 + k / 256);
    return true;
}

/* Random copies in one memory, forwards where that is all the instruction does. */
static void copies(uint32_t first, bool mmu)
{
    const uint32_t words[] = COPY(first);
    uint8_t *want = malloc(DATA_SIZE);
    struct guest g;

    if (!CHECK(want != NULL) || !open_with(&g, words, mmu))
        return;
    memcpy(want, data_of(&g), DATA_SIZE);
    for (unsigned turn = 0; turn < 60; turn++) {
        unsigned size = next(turn % 2 ? 40 : 9000), from = next(DATA_SIZE - size),
                 to = next(DATA_SIZE - size);
        if (turn % 4 == 3 && size) /* overlapping */
            to = (from + next(size)) % (DATA_SIZE - size);
        bool forwards = to <= from || to >= from + size;
        if (first == CPYFP && !forwards)
            continue;
        memmove(want + to, want + from, size);
        guest_set_reg(&g, HV_REG_PC, GUEST_CODE);
        guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H_MASKED | 0xf0000000u);
        set_registers(&g, GUEST_DATA + to, GUEST_DATA + from, size);
        if (!guest_run_brk(&g, 0))
            break;
        CHECK_EQ(guest_reg(&g, HV_REG_X0), GUEST_DATA + to + (forwards ? size : 0));
        CHECK_EQ(guest_reg(&g, HV_REG_X1), GUEST_DATA + from + (forwards ? size : 0));
        CHECK_EQ(guest_reg(&g, HV_REG_X2), 0);
        CHECK_EQ(guest_reg(&g, HV_REG_CPSR) >> 28, 0);
        if (!CHECK(memcmp(want, data_of(&g), DATA_SIZE) == 0))
            break;
    }
    guest_close(&g);
    free(want);
}

static void copies_are_memmove(void)
{
    copies(CPYP, true);
    copies(CPYP | 0xc000, true); /* CPYPN */
    copies(CPYP, false);
}

static void forward_copies_are_memcpy(void)
{
    copies(CPYFP, true);
    copies(CPYFP, false);
}

/* Sizes that take no loop, where pages end, near each other, and where registers are in memory. */
static void every_small_size_is_moved(void)
{
    const uint32_t other = 10u << 16 | 11u << 5 | 9; /* [x9]!, [x10]!, x11! */
    const uint32_t first[] = { CPYP, CPYFP, (CPYP & 0xffe0fc00) | other };
    static const int away[] = { 0x5000, -0x3000, -1, -17, -40, 3, 20, 64 };
    uint8_t *want = malloc(DATA_SIZE);
    struct guest g;

    if (!CHECK(want != NULL) || !open_with(&g, (const uint32_t[])COPY(CPYP), true))
        return;
    for (unsigned k = 0; k < 3; k++) {
        uint64_t pc = put_code(&g, (const uint32_t[])COPY(first[k]), 4);
        memcpy(want, data_of(&g), DATA_SIZE);
        for (unsigned n = 0; n < 2 * 8 * 140; n++) {
            unsigned size = n / 16, from = n % 2 ? 0x4fc0 : 0x4800;
            unsigned to = from + (unsigned)away[n / 2 % 8];
            if (k == 1 && to > from && to < from + size)
                continue;
            memmove(want + to, want + from, size);
            guest_set_reg(&g, HV_REG_PC, pc);
            for (unsigned reg = 0; reg <= 9; reg += 9) {
                guest_set_reg(&g, HV_REG_X0 + reg, GUEST_DATA + to);
                guest_set_reg(&g, HV_REG_X0 + reg + 1, GUEST_DATA + from);
                guest_set_reg(&g, HV_REG_X0 + reg + 2, size);
            }
            if (!guest_run_brk(&g, 0))
                break;
            CHECK_EQ(guest_reg(&g, k == 2 ? HV_REG_X11 : HV_REG_X2), 0);
            if (!CHECK(memcmp(want, data_of(&g), DATA_SIZE) == 0))
                break;
            data_of(&g)[from + n % 64] = want[from + n % 64] = (uint8_t)next(256);
        }
    }
    guest_close(&g);
    free(want);
}

/* In a loop, with a V register that changes each turn and flags that are read behind it: of copies
 * that stay in a page, and of ones that do not. */
static void copies_leave_other_registers_alone(void)
{
    static const uint32_t words[] = {
        0x4ea08421,    /* 0: add v1.4s, v1.4s, v0.4s */
        0xaa0303e0,    /* mov x0, x3 */
        0xaa0403e1,    /* mov x1, x4 */
        0xaa0503e2,    /* mov x2, x5 */
        0xeb1f03ff,    /* cmp xzr, xzr */
        CPYFP,         /* */
        CPYFP + STAGE, /* */
        CPYFP + 2 * STAGE,
        0x9a8820e8, /* csel x8, x7, x8, hs: C = 0 */
        0xf10004c6, /* subs x6, x6, #1 */
        0x54fffec1, /* b.ne 0 */
        A64_BRK(0),
    };
    struct guest g;

    guest_open(&g, words, sizeof words / sizeof words[0]);
    if (!g.good)
        return;
    guest_write_tables(g.ram + (TABLES - GUEST_RAM), TABLES);
    guest_mmu_on(g.vcpu, TABLES);
    guest_set_sys(&g, HV_SYS_REG_CPACR_EL1, 3 << 20);
    for (unsigned n = 0; n < 200; n++)
        data_of(&g)[0xf80 + n] = (uint8_t)(n + 1);
    for (unsigned k = 0; k < 2; k++) {
        const uint32_t one[4] = { 1, 2, 3, 4 };
        hv_simd_fp_uchar16_t v;
        memcpy(&v, one, sizeof v);
        CHECK_EQ(hv_vcpu_set_simd_fp_reg(g.vcpu, HV_SIMD_FP_REG_Q0, v), HV_SUCCESS);
        memset(&v, 0, sizeof v);
        CHECK_EQ(hv_vcpu_set_simd_fp_reg(g.vcpu, HV_SIMD_FP_REG_Q1, v), HV_SUCCESS);
        guest_set_reg(&g, HV_REG_X3, GUEST_DATA + 0x3000);
        guest_set_reg(&g, HV_REG_X4, GUEST_DATA + 0xf80);
        guest_set_reg(&g, HV_REG_X5, k ? 150 : 100);
        guest_set_reg(&g, HV_REG_X6, 5000);
        guest_set_reg(&g, HV_REG_X7, 1000);
        guest_set_reg(&g, HV_REG_X8, 7);
        guest_set_reg(&g, HV_REG_PC, GUEST_CODE);
        CHECK(guest_run_brk(&g, 0));
        uint32_t sum[4];
        CHECK_EQ(hv_vcpu_get_simd_fp_reg(g.vcpu, HV_SIMD_FP_REG_Q1, &v), HV_SUCCESS);
        memcpy(sum, &v, sizeof v);
        for (unsigned n = 0; n < 4; n++)
            CHECK_EQ(sum[n], 5000 * (n + 1));
        CHECK_EQ(guest_reg(&g, HV_REG_X8), 7);
        CHECK_EQ(guest_reg(&g, HV_REG_X0), GUEST_DATA + 0x3000 + (k ? 150 : 100));
        CHECK(memcmp(data_of(&g) + 0x3000, data_of(&g) + 0xf80, k ? 150 : 100) == 0);
    }
    guest_close(&g);
}

static void sets_are_memset(void)
{
    static const uint32_t words[] = { SETP, SETM, SETE, A64_BRK(0) };
    static const uint32_t zero[] = { SETP | 31u << 16, SETM | 31u << 16, SETE | 31u << 16,
                                     A64_BRK(0) };
    uint8_t *want = malloc(DATA_SIZE);
    struct guest g;

    if (!CHECK(want != NULL) || !open_with(&g, words, true))
        return;
    memcpy(want, data_of(&g), DATA_SIZE);
    uint64_t pc = put_code(&g, words, 4), pc_of_zero = put_code(&g, zero, 4);
    for (unsigned turn = 0; turn < 400; turn++) {
        unsigned size = next(turn % 4 ? 90 : 20000), to = next(DATA_SIZE - size);
        bool zeroes = turn % 8 == 7;
        uint8_t value = (uint8_t)(zeroes ? 0 : next(256));
        memset(want + to, value, size);
        guest_set_reg(&g, HV_REG_PC, zeroes ? pc_of_zero : pc);
        set_registers(&g, GUEST_DATA + to, 0, size);
        guest_set_reg(&g, HV_REG_X3, 0xabcd00u | (zeroes ? 5 : value));
        if (!guest_run_brk(&g, 0))
            break;
        CHECK_EQ(guest_reg(&g, HV_REG_X0), GUEST_DATA + to + size);
        CHECK_EQ(guest_reg(&g, HV_REG_X2), 0);
        if (!CHECK(memcmp(want, data_of(&g), DATA_SIZE) == 0))
            break;
    }
    guest_close(&g);
    free(want);
}

/* Where the memory ends the instruction leaves, its registers say how far it was, and it goes on.
 */
static void a_fault_in_the_middle_loses_nothing(void)
{
    static const uint32_t words[] = { SETP, SETM, SETE, A64_BRK(0) };
    struct guest g;

    if (!open_with(&g, words, true))
        return;
    set_registers(&g, RAM_END - 5000, 0, 5300);
    guest_set_reg(&g, HV_REG_X3, 0x5a);
    CHECK(guest_run_exception(&g, EC_DABORT) != 0);
    CHECK_EQ(g.exit->exception.virtual_address, RAM_END);
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE + 4);
    CHECK_EQ(guest_reg(&g, HV_REG_X2), (uint64_t)-300);
    CHECK_EQ(g.ram[GUEST_RAM_SIZE - 5001] == 0x5a, false);
    CHECK_EQ(g.ram[GUEST_RAM_SIZE - 5000], 0x5a);
    CHECK_EQ(g.ram[GUEST_RAM_SIZE - 1], 0x5a);
    guest_set_reg(&g, HV_REG_X0, GUEST_DATA + 300);
    CHECK(guest_run_brk(&g, 0));
    CHECK_EQ(data_of(&g)[0], 0x5a);
    CHECK_EQ(data_of(&g)[299], 0x5a);
    CHECK_EQ(guest_reg(&g, HV_REG_X2), 0);
    guest_close(&g);
}

/* A copy whose source ends, backwards: what is left is at the beginning. */
static void a_backward_copy_goes_on(void)
{
    const uint32_t words[] = COPY(CPYP);
    struct guest g;

    if (!open_with(&g, words, true))
        return;
    set_registers(&g, GUEST_RAM + 100, GUEST_RAM - 200, 3000); /* reads below the memory at last */
    guest_set_reg(&g, HV_REG_PC, GUEST_DATA + 0x8000);
    memcpy(data_of(&g) + 0x8000, words, sizeof words);
    CHECK(guest_run_brk(&g, VECTOR_BRK(VECTOR_SYNC_EL1)));
    CHECK_EQ(SYNDROME_EC(guest_sys(&g, HV_SYS_REG_ESR_EL1)), EC_DABORT + 1);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ESR_EL1) & 1u << 6, 0); /* a read */
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_FAR_EL1), GUEST_RAM - 1);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ELR_EL1), GUEST_DATA + 0x8004);
    CHECK_EQ(guest_reg(&g, HV_REG_X2), 200);
    CHECK_EQ(guest_reg(&g, HV_REG_X0), GUEST_RAM + 100);
    CHECK_EQ(guest_reg(&g, HV_REG_X1), GUEST_RAM - 200);
    guest_close(&g);
}

/* ESR_EL1 of the exception that a program takes at its first instruction. */
static uint64_t syndrome_of(struct guest *g, uint32_t word, uint32_t pstate)
{
    uint64_t at = put_code(g, &word, 1);
    bool el0 = (pstate & 0xf) == 0;

    guest_set_reg(g, HV_REG_CPSR, pstate);
    CHECK(guest_run_brk(g, VECTOR_BRK(el0 ? VECTOR_SYNC_EL1 + 4 : VECTOR_SYNC_EL1)));
    CHECK_EQ(guest_sys(g, HV_SYS_REG_ELR_EL1), at);
    return guest_sys(g, HV_SYS_REG_ESR_EL1);
}

/* C = 1 is the other option's. */
static void registers_of_the_other_option_are_told_apart(void)
{
    const uint32_t words[] = COPY(CPYP);
    struct guest g;

    if (!open_with(&g, words, false))
        return;
    uint64_t s = syndrome_of(&g, SETE | 0x3000, CPSR_EL1H_MASKED | PSTATE_C); /* SETETN */
    CHECK_EQ(SYNDROME_EC(s), EC_MOPS);
    CHECK_EQ(SYNDROME_ISS(s), 1u << 24 | 3u << 19 | 1u << 18 | 1u << 17 | 1u << 16 | 3u << 5 | 2);
    s = syndrome_of(&g, (CPYP + STAGE) | 0x9000, CPSR_EL1H_MASKED | PSTATE_C);
    CHECK_EQ(SYNDROME_EC(s), EC_MOPS);
    CHECK_EQ(SYNDROME_ISS(s), 9u << 19 | 1u << 17 | 1u << 16 | 1u << 5 | 2);
    guest_close(&g);
}

/* EL0 needs SCTLR_EL1.MSCEn; registers have to differ. */
static void who_may_not_gets_an_undefined_instruction(void)
{
    static const uint32_t bad[] = {
        0x19000440, /* cpyfp [x0]!, [x0]!, x2! */ 0x1d020440, /* cpyp [x0]!, [x2]!, x2! */
        0x1d0107e0, /* size is register 31 */ 0x1d1f0440,     /* source is register 31 */
        0x19c20440,                                           /* setp [x0]!, x2!, x2 */
    };
    const uint32_t words[] = COPY(CPYP);
    struct guest g;

    if (!open_with(&g, words, false))
        return;
    for (unsigned k = 0; k < sizeof bad / sizeof bad[0]; k++)
        CHECK_EQ(SYNDROME_EC(syndrome_of(&g, bad[k], CPSR_EL1H_MASKED)), 0);
    CHECK_EQ(SYNDROME_EC(syndrome_of(&g, CPYP, CPSR_EL0)), 0);
    guest_set_sys(&g, HV_SYS_REG_SCTLR_EL1, guest_sys(&g, HV_SYS_REG_SCTLR_EL1) | 1ull << 33);
    const uint32_t allowed[] = { CPYP, A64_BRK(7) };
    put_code(&g, allowed, 2);
    set_registers(&g, GUEST_DATA, GUEST_DATA + 100, 10);
    guest_set_reg(&g, HV_REG_CPSR, CPSR_EL0);
    CHECK(guest_run_brk(&g, 7));
    CHECK_EQ(guest_reg(&g, HV_REG_X2), (uint64_t)-10);
    guest_close(&g);
}

/* At EL0, by another address of the memory: as long as the bit is set. */
static void el0_copies_while_it_may(void)
{
    const uint64_t away = 0x200000;
    static const uint32_t words[] = {
        0x39400025, /* ldrb w5, [x1] */
        0x39000005, /* strb w5, [x0] */
        CPYP,       CPYP + STAGE, CPYP + 2 * STAGE, A64_BRK(0),
    };
    struct guest g;

    if (!open_with(&g, words, true))
        return;
    uint64_t pc = put_code(&g, words, sizeof words / sizeof words[0]);
    uint64_t *level2 = (uint64_t *)(void *)(g.ram + (TABLES - GUEST_RAM) + 0x1000);
    level2[1] = level2[0] | 1u << 6; /* AP[1] */
    uint64_t sctlr = guest_sys(&g, HV_SYS_REG_SCTLR_EL1);
    for (unsigned turn = 0; turn < 8; turn++) {
        bool may = turn % 4 != 3;
        guest_set_sys(&g, HV_SYS_REG_SCTLR_EL1, sctlr | (may ? 1ull << 33 : 0));
        guest_set_reg(&g, HV_REG_CPSR, CPSR_EL0);
        guest_set_reg(&g, HV_REG_PC, pc + away);
        memset(data_of(&g), (int)turn, 200);
        set_registers(&g, GUEST_DATA + away + 300, GUEST_DATA + away, 200);
        CHECK(guest_run_brk(&g, may ? 0 : VECTOR_BRK(VECTOR_SYNC_EL1 + 4)));
        CHECK_EQ(guest_reg(&g, HV_REG_X2), may ? 0 : 200);
        CHECK_EQ(data_of(&g)[499], may ? turn : turn - 1);
        if (!may)
            CHECK_EQ(SYNDROME_EC(guest_sys(&g, HV_SYS_REG_ESR_EL1)), 0);
    }
    guest_close(&g);
}

/* Sizes have 63 bits, and of CPYP 55. */
static void sizes_are_limited(void)
{
    static const uint32_t first[] = { CPYFP, CPYP, SETP };
    const uint32_t words[] = COPY(CPYP);
    struct guest g;

    if (!open_with(&g, words, false))
        return;
    for (unsigned k = 0; k < 3; k++) {
        const uint32_t code[] = { first[k], A64_BRK(1) };
        uint64_t most = first[k] == CPYP ? (1ull << 55) - 1 : INT64_MAX;
        put_code(&g, code, 2);
        set_registers(&g, 0x1000, 0x2000, 1ull << 63 | 5);
        CHECK(guest_run_brk(&g, 1));
        CHECK_EQ(guest_reg(&g, HV_REG_X0), 0x1000 + most);
        CHECK_EQ(guest_reg(&g, HV_REG_X2), -most);
    }
    guest_close(&g);
}

int main(void)
{
    RUN(copies_are_memmove);
    RUN(forward_copies_are_memcpy);
    RUN(every_small_size_is_moved);
    RUN(copies_leave_other_registers_alone);
    RUN(sets_are_memset);
    RUN(a_fault_in_the_middle_loses_nothing);
    RUN(a_backward_copy_goes_on);
    RUN(registers_of_the_other_option_are_told_apart);
    RUN(who_may_not_gets_an_undefined_instruction);
    RUN(el0_copies_while_it_may);
    RUN(sizes_are_limited);
    return check_finish();
}
