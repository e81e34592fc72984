/* Firmware calls, without a CPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/psci.h"

#define NOT_SUPPORTED UINT64_MAX

static uint8_t ram[0x1000];

struct fixture {
    struct psci_platform platform;
    struct gmem gmem;
    enum psci_state state[4];
    uint64_t entry, context;
    unsigned started;
};

static int fake_cpu_on(void *ctx, unsigned cpu, uint64_t entry, uint64_t context)
{
    struct fixture *f = ctx;
    if (f->state[cpu] != PSCI_STATE_OFF)
        return f->state[cpu] == PSCI_STATE_ON ? PSCI_ALREADY_ON : PSCI_ON_PENDING;
    f->state[cpu] = PSCI_STATE_ON_PENDING;
    f->entry = entry;
    f->context = context;
    f->started = cpu;
    return PSCI_SUCCESS;
}

static enum psci_state fake_cpu_state(void *ctx, unsigned cpu)
{
    return ((struct fixture *)ctx)->state[cpu];
}

static void fake_clock(void *ctx, uint64_t *realtime_ns, uint64_t *count)
{
    (void)ctx;
    *realtime_ns = 0x123456789abcdef0;
    *count = 0x0fedcba987654321;
}

static struct fixture f;

static int set_up(void **state)
{
    (void)state;
    f = (struct fixture){ .state = { PSCI_STATE_ON, PSCI_STATE_OFF, PSCI_STATE_OFF,
                                     PSCI_STATE_ON_PENDING } };
    f.platform = (struct psci_platform){
        .cpus = 4,
        .gmem = &f.gmem,
        .cpu_on = fake_cpu_on,
        .cpu_state = fake_cpu_state,
        .clock = fake_clock,
        .ctx = &f,
    };
    return gmem_add(&f.gmem, 0x40000000, sizeof ram, ram);
}

static enum psci_action call(uint64_t x[4], uint64_t id, uint64_t a, uint64_t b, uint64_t c)
{
    x[0] = id;
    x[1] = a;
    x[2] = b;
    x[3] = c;
    return psci_call(&f.platform, x);
}

/* x0 after a call that returns. */
static uint64_t answer(uint64_t id, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t x[4];
    assert_int_equal(call(x, id, a, b, c), PSCI_RETURN);
    return x[0];
}

static void test_versions(void **state)
{
    (void)state;
    assert_int_equal(answer(0x84000000, 0, 0, 0), 0x10001);
    assert_int_equal(answer(0x80000000, 0, 0, 0), 0x10001);
    assert_int_equal(answer(0x84000050, 0, 0, 0), 0x10000);
    assert_int_equal(answer(0x84000006, 0, 0, 0), 2);
}

static void test_features_name_what_is_there(void **state)
{
    static const uint32_t there[] = { 0x80000000, 0x84000000, 0x84000001, 0xc4000001, 0x84000002,
                                      0x84000003, 0xc4000003, 0x84000004, 0xc4000004, 0x84000006,
                                      0x84000008, 0x84000009, 0x8400000a, 0x84000012, 0xc4000012 };
    static const uint32_t missing[] = { 0x84000005, 0x84000007, 0xc4000008, 0xc4000002, 0x8400000b,
                                        0x8400000e, 0x00000000, 0xffffffff, 0x86000002 };
    (void)state;
    for (size_t i = 0; i < sizeof there / sizeof there[0]; i++)
        assert_int_equal(answer(0x8400000a, there[i], 0, 0), 0);
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++)
        assert_true(answer(0x8400000a, missing[i], 0, 0) == NOT_SUPPORTED);
    assert_int_equal(answer(0x80000001, 0x80000000, 0, 0), 0);
    assert_true(answer(0x80000001, 0x80008000, 0, 0) == NOT_SUPPORTED);
    assert_int_equal(answer(0x84000051, 0xc4000053, 0, 0), 0);
}

static void test_unknown_is_not_supported(void **state)
{
    (void)state;
    static const uint64_t ids[] = { 0,          0x84000005, 0x86000002, 0x8600ff00,
                                    0xc5000020, 0xffffffff, UINT64_MAX };
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        assert_true(answer(ids[i], 0, 0, 0) == NOT_SUPPORTED);
}

/* KVM's identity, one service, and the time against either counter, high words first. */
static void test_clock(void **state)
{
    (void)state;
    static const uint32_t uid[4] = { 0xb66fb428, 0xe911c52e, 0x564bcaa9, 0x743a004d };
    uint64_t x[4];
    assert_int_equal(call(x, 0x8600ff01, 0, 0, 0), PSCI_RETURN);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(x[i], uid[i]);
    assert_int_equal(call(x, 0x86000000, 9, 9, 9), PSCI_RETURN);
    assert_int_equal(x[0], 3);
    assert_int_equal(x[1] | x[2] | x[3], 0);
    for (uint64_t counter = 0; counter < 2; counter++) {
        assert_int_equal(call(x, 0x86000001, counter, 0, 0), PSCI_RETURN);
        assert_int_equal(x[0], 0x12345678);
        assert_int_equal(x[1], 0x9abcdef0);
        assert_int_equal(x[2], 0x0fedcba9);
        assert_int_equal(x[3], 0x87654321);
    }
    assert_true(answer(0x86000001, 2, 0, 0) == NOT_SUPPORTED);
}

/* Stolen time: a call with an address, or none and nothing says that there is one. */
static void test_stolen_time(void **state)
{
    (void)state;
    assert_true(answer(0x80000001, 0xc5000020, 0, 0) == NOT_SUPPORTED);
    assert_true(answer(0xc5000020, 0xc5000021, 0, 0) == NOT_SUPPORTED);
    assert_true(answer(0xc5000021, 0, 0, 0) == NOT_SUPPORTED);
    f.platform.stolen = 0x9040040;
    assert_int_equal(answer(0x80000001, 0xc5000020, 0, 0), 0);
    assert_int_equal(answer(0xc5000020, 0xc5000020, 0, 0), 0);
    assert_int_equal(answer(0xc5000020, 0xc5000021, 0, 0), 0);
    assert_true(answer(0xc5000020, 0xc5000022, 0, 0) == NOT_SUPPORTED);
    assert_int_equal(answer(0xc5000021, 0, 0, 0), 0x9040040);
    assert_true(answer(0x85000021, 0, 0, 0) == NOT_SUPPORTED);
}

static void test_cpu_on(void **state)
{
    (void)state;
    assert_int_equal(answer(0xc4000003, 1, 0x40000100, 0x1234567890), 0);
    assert_int_equal(f.started, 1);
    assert_int_equal(f.entry, 0x40000100);
    assert_int_equal(f.context, 0x1234567890);
    assert_int_equal((int64_t)answer(0xc4000003, 1, 0x40000100, 0), PSCI_ON_PENDING);
    assert_int_equal((int64_t)answer(0xc4000003, 0, 0x40000100, 0), PSCI_ALREADY_ON);
    assert_int_equal((int64_t)answer(0xc4000003, 4, 0x40000100, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal((int64_t)answer(0xc4000003, 1ull << 32, 0x40000100, 0),
                     PSCI_INVALID_PARAMETERS);
    assert_int_equal((int64_t)answer(0xc4000003, 0x80000001, 0x40000100, 0),
                     PSCI_INVALID_PARAMETERS);
    assert_int_equal((int64_t)answer(0xc4000003, 2, 0x40000102, 0), PSCI_INVALID_ADDRESS);
    assert_int_equal((int64_t)answer(0xc4000003, 2, 0x40001000, 0), PSCI_INVALID_ADDRESS);
    assert_int_equal((int64_t)answer(0xc4000003, 2, 0x9000000, 0), PSCI_INVALID_ADDRESS);
    /* The 32-bit form sees 32 bits. */
    assert_int_equal(answer(0x84000003, 0xff00000002, 0xff40000ffc, 0xff00000005), 0);
    assert_int_equal(f.started, 2);
    assert_int_equal(f.entry, 0x40000ffc);
    assert_int_equal(f.context, 5);
}

static void test_affinity_info(void **state)
{
    (void)state;
    assert_int_equal(answer(0xc4000004, 0, 0, 0), PSCI_STATE_ON);
    assert_int_equal(answer(0xc4000004, 1, 0, 0), PSCI_STATE_OFF);
    assert_int_equal(answer(0x84000004, 3, 0, 0), PSCI_STATE_ON_PENDING);
    assert_int_equal((int64_t)answer(0xc4000004, 4, 0, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(answer(0xc4000004, 3, 1, 0), PSCI_STATE_ON); /* the cluster of CPU 0 */
    assert_int_equal((int64_t)answer(0xc4000004, 0x100, 1, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(answer(0xc4000004, 0x100, 2, 0), PSCI_STATE_ON);
    assert_int_equal(answer(0xc4000004, 0x10000, 3, 0), PSCI_STATE_ON);
    assert_int_equal((int64_t)answer(0xc4000004, 1ull << 32, 3, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal((int64_t)answer(0xc4000004, 0, 4, 0), PSCI_INVALID_PARAMETERS);
    f.state[0] = PSCI_STATE_OFF;
    assert_int_equal(answer(0xc4000004, 0, 1, 0), PSCI_STATE_ON_PENDING);
}

static void test_actions(void **state)
{
    (void)state;
    uint64_t x[4];
    assert_int_equal(call(x, 0x84000002, 0, 0, 0), PSCI_CPU_OFF);
    assert_int_equal(call(x, 0x84000008, 0, 0, 0), PSCI_SYSTEM_OFF);
    assert_int_equal(call(x, 0x84000009, 0, 0, 0), PSCI_SYSTEM_RESET);
    assert_int_equal(call(x, 0xc4000012, 0, 0, 0), PSCI_SYSTEM_RESET);
    assert_int_equal((int64_t)answer(0xc4000012, 1, 0, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(call(x, 0xc4000001, 0, 0, 0), PSCI_SUSPEND);
    assert_int_equal(x[0], PSCI_SUCCESS);
}

static void test_trng(void **state)
{
    (void)state;
    uint64_t x[4], any[3] = { 0 };
    assert_int_equal((int64_t)answer(0xc4000053, 0, 0, 0), -2);
    assert_int_equal((int64_t)answer(0xc4000053, 193, 0, 0), -2);
    assert_int_equal((int64_t)answer(0x84000053, 97, 0, 0), -2);
    for (unsigned i = 0; i < 64; i++) {
        call(x, 0xc4000053, 192, 0, 0);
        assert_int_equal(x[0], 0);
        for (unsigned j = 0; j < 3; j++)
            any[j] |= x[j + 1];
    }
    for (unsigned j = 0; j < 3; j++)
        assert_true(any[j] == UINT64_MAX);
    call(x, 0xc4000053, 65, 7, 7);
    assert_int_equal(x[1], 0);
    assert_true(x[2] <= 1);
    call(x, 0x84000053, 96, 0, 0);
    assert_true(x[1] <= UINT32_MAX && x[2] <= UINT32_MAX && x[3] <= UINT32_MAX);
}

static void test_trng_uuid(void **state)
{
    (void)state;
    uint64_t x[4];
    assert_int_equal(call(x, 0x84000052, 0, 0, 0), PSCI_RETURN);
    assert_int_equal(x[0], 0x643a1f5e); /* first byte lowest; must not look like an error */
    assert_int_equal(x[3], 0x316f6b65);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup(fn, set_up)
    const struct CMUnitTest tests[] = {
        T(test_versions),
        T(test_features_name_what_is_there),
        T(test_unknown_is_not_supported),
        T(test_clock),
        T(test_stolen_time),
        T(test_cpu_on),
        T(test_affinity_info),
        T(test_actions),
        T(test_trng),
        T(test_trng_uuid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
