/* Trapped system registers against a fake counter and fake native registers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "vmm/sysreg.h"

#define CNTPCT    SYSREG(3, 3, 14, 0, 1)
#define CNTFRQ    SYSREG(3, 3, 14, 0, 0)
#define CNTVCT    SYSREG(3, 3, 14, 0, 2)
#define CNTP_TVAL SYSREG(3, 3, 14, 2, 0)
#define CNTP_CTL  SYSREG(3, 3, 14, 2, 1)
#define CNTP_CVAL SYSREG(3, 3, 14, 2, 2)
#define CNTV_TVAL SYSREG(3, 3, 14, 3, 0)
#define OSLAR     SYSREG(2, 0, 1, 0, 4)
#define OSLSR     SYSREG(2, 0, 1, 1, 4)
#define OSDLR     SYSREG(2, 0, 1, 3, 4)

struct fixture {
    struct sysreg_cpu cpu;
    struct sysreg_log log;
    uint64_t now;
    uint64_t native[0x10000];
    unsigned lines;
    char line[256];
};

static uint64_t fake_now(void *ctx)
{
    return ((struct fixture *)ctx)->now;
}

static uint64_t fake_native_read(void *ctx, uint16_t encoding)
{
    return ((struct fixture *)ctx)->native[encoding];
}

static void fake_native_write(void *ctx, uint16_t encoding, uint64_t value)
{
    ((struct fixture *)ctx)->native[encoding] = value;
}

static void keep_line(void *ctx, const char *line)
{
    struct fixture *f = ctx;
    f->lines++;
    strncpy(f->line, line, sizeof f->line - 1);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->cpu = (struct sysreg_cpu){
        .now = fake_now,
        .native_read = fake_native_read,
        .native_write = fake_native_write,
        .ctx = f,
        .log = &f->log,
    };
    sysreg_reset(&f->cpu);
    log_set_sink(keep_line, f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    log_set_sink(NULL, NULL);
    free(*state);
    return 0;
}

static void test_counters(void **state)
{
    struct fixture *f = *state;
    f->now = 0x123456789a;
    assert_int_equal(sysreg_read(&f->cpu, CNTPCT), f->now);
    assert_int_equal(sysreg_read(&f->cpu, CNTVCT), f->now);
    assert_int_equal(sysreg_read(&f->cpu, CNTFRQ), 24000000);
    sysreg_write(&f->cpu, CNTPCT, 0); /* read-only */
    assert_int_equal(sysreg_read(&f->cpu, CNTPCT), f->now);
    assert_int_equal(f->lines, 0);
}

static void test_physical_timer(void **state)
{
    struct fixture *f = *state;
    f->now = 1000;
    sysreg_write(&f->cpu, CNTP_CVAL, 2000);
    assert_int_equal(sysreg_read(&f->cpu, CNTP_CTL), 0);
    assert_int_equal(sysreg_read(&f->cpu, CNTP_TVAL), 1000);
    sysreg_write(&f->cpu, CNTP_CTL, 0xff); /* ISTATUS is read-only, the rest is reserved */
    assert_int_equal(sysreg_read(&f->cpu, CNTP_CTL), TIMER_ENABLE | TIMER_IMASK);
    f->now = 1999;
    assert_int_equal(sysreg_read(&f->cpu, CNTP_CTL), TIMER_ENABLE | TIMER_IMASK);
    f->now = 2000;
    assert_int_equal(sysreg_read(&f->cpu, CNTP_CTL), TIMER_ENABLE | TIMER_IMASK | TIMER_ISTATUS);
    assert_false(sysreg_ptimer_level(&f->cpu, f->now));
    sysreg_write(&f->cpu, CNTP_CTL, TIMER_ENABLE);
    assert_true(sysreg_ptimer_level(&f->cpu, f->now));
    assert_false(sysreg_ptimer_level(&f->cpu, 1999));
    sysreg_write(&f->cpu, CNTP_CTL, 0);
    assert_false(sysreg_ptimer_level(&f->cpu, f->now));
    assert_int_equal(sysreg_read(&f->cpu, CNTP_CTL), 0);
}

static void test_timer_value_is_signed(void **state)
{
    struct fixture *f = *state;
    f->now = 5000;
    sysreg_write(&f->cpu, CNTP_TVAL, 100);
    assert_int_equal(sysreg_read(&f->cpu, CNTP_CVAL), 5100);
    sysreg_write(&f->cpu, CNTP_TVAL, 0xffffffff); /* -1 */
    assert_int_equal(sysreg_read(&f->cpu, CNTP_CVAL), 4999);
    assert_int_equal(sysreg_read(&f->cpu, CNTP_TVAL), 0xffffffff);
    sysreg_write(&f->cpu, CNTV_TVAL, 7);
    assert_int_equal(f->native[SYSREG_CNTV_CVAL], 5007);
    assert_int_equal(sysreg_read(&f->cpu, CNTV_TVAL), 7);
}

static void test_native_registers_are_forwarded(void **state)
{
    struct fixture *f = *state;
    uint16_t dbgbvr5 = SYSREG(2, 0, 0, 5, 4), mdscr = SYSREG(2, 0, 0, 2, 2);
    sysreg_write(&f->cpu, dbgbvr5, 0x55);
    sysreg_write(&f->cpu, mdscr, 0x66);
    assert_int_equal(f->native[dbgbvr5], 0x55);
    assert_int_equal(f->native[mdscr], 0x66);
    assert_int_equal(sysreg_read(&f->cpu, dbgbvr5), 0x55);
    assert_int_equal(f->lines, 0);
}

static void test_os_lock(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(sysreg_read(&f->cpu, OSLSR), 0xa);
    sysreg_write(&f->cpu, OSLAR, 0);
    assert_int_equal(sysreg_read(&f->cpu, OSLSR), 0x8);
    sysreg_write(&f->cpu, OSDLR, 1);
    assert_int_equal(sysreg_read(&f->cpu, OSDLR), 1);
    sysreg_reset(&f->cpu);
    assert_int_equal(sysreg_read(&f->cpu, OSLSR), 0xa);
    assert_int_equal(sysreg_read(&f->cpu, OSDLR), 0);
}

/* Registers that a guest may touch and that do nothing here, silently. */
static void test_known_zero_registers(void **state)
{
    static const uint16_t quiet[] = {
        SYSREG(3, 3, 9, 12, 0),                          /* PMCR_EL0 */
        SYSREG(3, 3, 9, 14, 0),                          /* PMUSERENR_EL0 */
        SYSREG(3, 3, 14, 11, 6),                         /* PMEVCNTR30_EL0 */
        SYSREG(3, 3, 14, 15, 7),                         /* PMCCFILTR_EL0 */
        SYSREG(3, 0, 10, 4, 3),                          /* LORC_EL1 */
        SYSREG(3, 0, 12, 12, 5),                         /* ICC_SRE_EL1 */
        SYSREG(3, 0, 12, 9, 3),                          /* ICC_AP1R3_EL1 */
        SYSREG(2, 0, 0, 2, 0),                           /* MDCCINT_EL1 */
        SYSREG(3, 0, 0, 3, 7),                           /* reserved ID register */
        SYSREG(3, 0, 0, 7, 7),   SYSREG(1, 0, 7, 14, 2), /* DC CISW */
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof quiet / sizeof quiet[0]; i++) {
        sysreg_write(&f->cpu, quiet[i], UINT64_MAX);
        assert_int_equal(sysreg_read(&f->cpu, quiet[i]), 0);
    }
    assert_int_equal(f->lines, 0);
}

static void test_unknown_is_logged_once(void **state)
{
    struct fixture *f = *state;
    uint16_t apple = SYSREG(3, 1, 15, 2, 0);
    assert_int_equal(sysreg_read(&f->cpu, apple), 0);
    assert_non_null(strstr(f->line, "S3_1_C15_C2_0"));
    sysreg_write(&f->cpu, apple, 1);
    assert_int_equal(sysreg_read(&f->cpu, apple), 0);
    assert_int_equal(f->lines, 1);
    sysreg_write(&f->cpu, SYSREG(3, 7, 15, 15, 7), 1);
    assert_non_null(strstr(f->line, "S3_7_C15_C15_7"));
    assert_int_equal(f->lines, 2);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_counters),
        T(test_physical_timer),
        T(test_timer_value_is_signed),
        T(test_native_registers_are_forwarded),
        T(test_os_lock),
        T(test_known_zero_registers),
        T(test_unknown_is_logged_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
