/* The virtual timer (DDI 0487 D12.2) and VTIMER_ACTIVATED. */
#include "tests/unit/soft_fixture.h"

#define CODE      RAM_BASE
#define CNTV_CTL  0xdf19
#define CNTV_CVAL 0xdf1a
#define CNTV_TVAL 0xdf18
#define CNTVCT    0xdf02

static void the_counter_runs_and_has_an_offset(void **state)
{
    struct fixture *f = *state;
    uint64_t before = soft_ticks();

    RUN(f, CODE, A64_MRS(0, CNTVCT), A64_MRS(1, 0xdf00), A64_BRK(0));
    assert_in_range(f->c->x[0], before, soft_ticks());
    assert_int_equal(f->c->x[1], HVX_COUNTER_HZ);
    hv_backend_soft.set_vtimer_offset(f->handle, before);
    RUN(f, CODE, A64_MRS(0, CNTVCT), A64_BRK(0));
    assert_in_range(f->c->x[0], 0, HVX_COUNTER_HZ * 60ull);
}

static void tval_counts_down_from_what_was_written(void **state)
{
    struct fixture *f = *state;

    f->c->x[0] = (uint32_t)-1000;
    RUN(f, CODE, A64_MSR(CNTV_TVAL, 0), A64_MRS(1, CNTV_CVAL), A64_MRS(2, CNTV_TVAL), A64_BRK(0));
    assert_true(f->c->x[1] < soft_ticks());
    assert_true((int32_t)f->c->x[2] <= -1000);
    assert_int_equal(f->c->x[2] >> 32, 0);
}

static void istatus_needs_enable_and_the_time(void **state)
{
    struct fixture *f = *state;

    hv_backend_soft.set_vtimer_mask(f->handle, true);
    f->v->sys[SYSREG_CNTV_CVAL_EL0] = 0;
    for (uint64_t ctl = 0; ctl < 4; ctl++) {
        f->c->x[0] = ctl | 4; /* ISTATUS is read-only */
        RUN(f, CODE, A64_MSR(CNTV_CTL, 0), A64_MRS(1, CNTV_CTL), A64_BRK(0));
        assert_int_equal(f->c->x[1], ctl | (ctl & 1 ? 4 : 0));
    }
    f->v->sys[SYSREG_CNTV_CVAL_EL0] = UINT64_MAX;
    f->c->x[0] = 1;
    RUN(f, CODE, A64_MSR(CNTV_CTL, 0), A64_MRS(1, CNTV_CTL), A64_BRK(0));
    assert_int_equal(f->c->x[1], 1);
}

/* A loop ends when the timer fires, once: the exit masks it. */
static void expiry_ends_the_run_and_masks(void **state)
{
    struct fixture *f = *state;

    st_le32(f->ram, 0x14000000); /* b . */
    f->c->pc = CODE;
    f->v->sys[SYSREG_CNTV_CVAL_EL0] = soft_ticks() + HVX_COUNTER_HZ / 200;
    f->v->sys[SYSREG_CNTV_CTL_EL0] = 1;
    assert_int_equal(hv_backend_soft.vcpu_run(f->handle), 0);
    assert_int_equal(f->exit.reason, HV_EXIT_REASON_VTIMER_ACTIVATED);
    assert_true(hv_backend_soft.get_vtimer_mask(f->handle));
    assert_true(soft_ticks() >= f->v->sys[SYSREG_CNTV_CVAL_EL0]);
    assert_int_equal(f->c->pc, CODE);
    RUN(f, CODE, A64_BRK(0)); /* masked: no exit */
    hv_backend_soft.set_vtimer_mask(f->handle, false);
    assert_int_equal(hv_backend_soft.vcpu_run(f->handle), 0);
    assert_int_equal(f->exit.reason, HV_EXIT_REASON_VTIMER_ACTIVATED);
    /* The guest's own mask counts, too. */
    hv_backend_soft.set_vtimer_mask(f->handle, false);
    f->v->sys[SYSREG_CNTV_CTL_EL0] = 3;
    RUN(f, CODE, A64_BRK(0));
    assert_false(hv_backend_soft.get_vtimer_mask(f->handle));
}

/* An exception whose vector raises it again takes no branch; the timer still gets through. */
static void exceptions_in_a_circle_do_not_hide_the_timer(void **state)
{
    struct fixture *f = *state;

    soft_sysreg_write(f->v, SYSREG_VBAR_EL1, RAM_BASE + 0x8000);
    st_le32(f->ram + 0x8200, 0); /* udf #0 */
    f->c->pc = RAM_BASE + 0x8200;
    f->v->sys[SYSREG_CNTV_CVAL_EL0] = soft_ticks() + HVX_COUNTER_HZ / 200;
    f->v->sys[SYSREG_CNTV_CTL_EL0] = 1;
    assert_int_equal(hv_backend_soft.vcpu_run(f->handle), 0);
    assert_int_equal(f->exit.reason, HV_EXIT_REASON_VTIMER_ACTIVATED);
}

static void waits_are_exits_that_say_which(void **state)
{
    static const struct {
        uint32_t word, iss;
    } waits[] = {
        { 0xd503207f, 0x1e00000 },              /* wfi */
        { 0xd503205f, 0x1e00001 },              /* wfe */
        { 0xd5031023, 0x1e00002 | 3 << 5 | 4 }, /* wfit x3 */
        { 0xd5031003, 0x1e00003 | 3 << 5 | 4 }, /* wfet x3 */
    };
    struct fixture *f = *state;

    for (unsigned n = 0; n < ARRAY_LEN(waits); n++) {
        uint64_t s = RUN(f, CODE, waits[n].word);
        assert_int_equal(SYNDROME_EC(s), EC_WFX);
        assert_int_equal(s & 0x1ffffff, waits[n].iss);
        assert_int_equal(f->c->pc, CODE);
    }
    /* SEVL, and the next WFE goes through. */
    assert_int_equal(RUN(f, CODE, 0xd50320bf, 0xd503205f, A64_BRK(9)) & 0xffff, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_counter_runs_and_has_an_offset),
        TEST(tval_counts_down_from_what_was_written),
        TEST(istatus_needs_enable_and_the_time),
        TEST(expiry_ends_the_run_and_masks),
        TEST(exceptions_in_a_circle_do_not_hide_the_timer),
        TEST(waits_are_exits_that_say_which),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
