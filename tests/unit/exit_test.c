/* Syndromes as the manual writes them, one line a case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <Hypervisor/Hypervisor.h>

#include "base/compiler.h"
#include "vmm/exit.h"
#include "vmm/sysreg.h"

#define ISV    (1u << 24)
#define SAS(n) ((uint32_t)(n) << 22)
#define SSE    (1u << 21)
#define SRT(n) ((uint32_t)(n) << 16)
#define SF     (1u << 15)
#define WNR    (1u << 6)
#define DABT   (0x24u << 26 | 1u << 25)
#define FSC_L3 7u

static const struct {
    uint32_t syndrome;
    struct exit_mmio mmio;
} accesses[] = {
    { DABT | ISV | SAS(0) | SRT(0) | FSC_L3, { .width = 1, .reg = 0 } },
    { DABT | ISV | SAS(1) | SRT(5) | WNR | FSC_L3, { .write = true, .width = 2, .reg = 5 } },
    { DABT | ISV | SAS(2) | SRT(30) | FSC_L3, { .width = 4, .reg = 30 } },
    { DABT | ISV | SAS(3) | SRT(31) | SF | WNR | FSC_L3,
      { .write = true, .width = 8, .reg = 31, .wide = true } },
    { DABT | ISV | SAS(1) | SSE | SF | SRT(7) | FSC_L3,
      { .width = 2, .reg = 7, .sign_extend = true, .wide = true } },
    { DABT | ISV | SAS(0) | SSE | SRT(7) | FSC_L3, { .width = 1, .reg = 7, .sign_extend = true } },
};

static void test_mmio_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(accesses); i++) {
        struct exit_mmio m;
        const struct exit_mmio *want = &accesses[i].mmio;
        assert_true(exit_decode_mmio(accesses[i].syndrome, &m));
        assert_int_equal(m.write, want->write);
        assert_int_equal(m.width, want->width);
        assert_int_equal(m.reg, want->reg);
        assert_int_equal(m.sign_extend, want->sign_extend);
        assert_int_equal(m.wide, want->wide);
    }
}

static void test_mmio_without_isv_is_refused(void **state)
{
    (void)state;
    struct exit_mmio m;
    assert_false(exit_decode_mmio(DABT | SAS(2) | SRT(3) | FSC_L3, &m));
}

static const struct {
    struct exit_mmio mmio;
    uint64_t raw, loaded;
} loads[] = {
    { { .width = 1 }, 0xffffffffffffff80, 0x80 },
    { { .width = 2 }, 0x12348000, 0x8000 },
    { { .width = 4 }, 0xffffffff80000000, 0x80000000 },
    { { .width = 4, .wide = true }, 0xffffffff80000000, 0x80000000 },
    { { .width = 8, .wide = true }, 0xffffffff80000000, 0xffffffff80000000 },
    { { .width = 1, .sign_extend = true }, 0x80, 0xffffff80 },
    { { .width = 1, .sign_extend = true }, 0x7f, 0x7f },
    { { .width = 1, .sign_extend = true, .wide = true }, 0x80, 0xffffffffffffff80 },
    { { .width = 2, .sign_extend = true }, 0x18000, 0xffff8000 },
    { { .width = 2, .sign_extend = true, .wide = true }, 0x8001, 0xffffffffffff8001 },
    { { .width = 4, .sign_extend = true, .wide = true }, 0x80000000, 0xffffffff80000000 },
};

static void test_load_extension(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(loads); i++)
        assert_int_equal(exit_extend(&loads[i].mmio, loads[i].raw), loads[i].loaded);
}

/* EC 0x18: op0 <21:20>, op2 <19:17>, op1 <16:14>, CRn <13:10>, Rt <9:5>, CRm <4:1>, read <0>. */
static uint32_t sysreg_iss(unsigned op0, unsigned op1, unsigned crn, unsigned crm, unsigned op2,
                           unsigned rt, bool read)
{
    return 0x18u << 26 | 1u << 25 | op0 << 20 | op2 << 17 | op1 << 14 | crn << 10 | rt << 5 |
           crm << 1 | read;
}

static void test_sysreg_fields(void **state)
{
    (void)state;
    struct exit_sysreg s = exit_decode_sysreg(sysreg_iss(3, 3, 14, 2, 1, 9, false));
    assert_int_equal(s.encoding, SYSREG(3, 3, 14, 2, 1));
    assert_int_equal(s.reg, 9);
    assert_false(s.read);
    s = exit_decode_sysreg(sysreg_iss(2, 0, 1, 3, 4, 31, true));
    assert_int_equal(s.encoding, SYSREG(2, 0, 1, 3, 4));
    assert_int_equal(s.reg, 31);
    assert_true(s.read);
}

/* The packing is Apple's. */
static void test_sysreg_packing(void **state)
{
    (void)state;
    assert_int_equal(SYSREG_CNTV_CTL, HV_SYS_REG_CNTV_CTL_EL0);
    assert_int_equal(SYSREG_CNTV_CVAL, HV_SYS_REG_CNTV_CVAL_EL0);
    assert_int_equal(SYSREG(2, 0, 0, 2, 2), HV_SYS_REG_MDSCR_EL1);
    assert_int_equal(SYSREG(3, 0, 0, 0, 5), HV_SYS_REG_MPIDR_EL1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mmio_fields),    cmocka_unit_test(test_mmio_without_isv_is_refused),
        cmocka_unit_test(test_load_extension), cmocka_unit_test(test_sysreg_fields),
        cmocka_unit_test(test_sysreg_packing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
