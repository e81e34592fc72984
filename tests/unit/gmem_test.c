/* The door to guest memory, at its edges. */
#include "base/gmem.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"

#define RAM 0x40000000ull

/* Two regions that touch, and one apart. */
struct bench {
    struct gmem m;
    uint8_t a[64] __attribute__((aligned(8))), b[64] __attribute__((aligned(8))), c[16];
};

static void bench_init(struct bench *b)
{
    memset(b, 0, sizeof *b);
    assert_int_equal(gmem_add(&b->m, RAM + 64, 64, b->b), 0); /* not in order */
    assert_int_equal(gmem_add(&b->m, RAM, 64, b->a), 0);
    assert_int_equal(gmem_add(&b->m, UINT64_MAX - 15, 16, b->c), 0); /* ends at the very top */
}

static void test_add(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    static const struct {
        gpa_t base;
        uint64_t size;
    } bad[] = {
        { 0x1000, 0 },     { RAM, 64 },       { RAM + 63, 1 },
        { RAM - 1, 2 },    { RAM + 127, 1 },  { UINT64_MAX, 1 },
        { UINT64_MAX, 2 }, { 0, UINT64_MAX }, { UINT64_MAX - 16, 2 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(gmem_add(&b.m, bad[i].base, bad[i].size, b.a), -EINVAL);
    for (unsigned i = b.m.count; i < GMEM_MAX_REGIONS; i++)
        assert_int_equal(gmem_add(&b.m, 0x1000 * i, 16, b.a), 0);
    assert_int_equal(gmem_add(&b.m, 0x100000, 16, b.a), -ENOSPC);
    for (unsigned i = 1; i < b.m.count; i++)
        assert_true(b.m.region[i - 1].base < b.m.region[i].base);
}

static void test_ranges(void **state)
{
    (void)state;
    static const struct {
        gpa_t a;
        uint64_t n;
        bool in;
    } cases[] = {
        { RAM, 0, true },
        { RAM, 1, true },
        { RAM, 128, true },
        { RAM, 129, false },
        { RAM + 128, 0, true },
        { RAM + 127, 1, true },
        { RAM + 128, 1, false },
        { RAM - 1, 1, false },
        { RAM - 1, 2, false },
        { 0, 1, false },
        { 0, 0, true },
        { RAM + 60, 8, true },
        { RAM, UINT64_MAX, false },
        { RAM + 1, UINT64_MAX, false },
        { UINT64_MAX, 1, true },
        { UINT64_MAX - 15, 16, true },
        { UINT64_MAX, 2, false },
        { UINT64_MAX - 15, UINT64_MAX, false },
    };
    struct bench b;
    bench_init(&b);
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(gmem_contains(&b.m, cases[i].a, cases[i].n), cases[i].in);
}

static void test_copies_across_regions(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    uint8_t in[16], out[16] = { 0 };
    for (unsigned i = 0; i < 16; i++)
        in[i] = (uint8_t)(i + 1);
    assert_int_equal(gmem_write(&b.m, RAM + 56, in, 16), 0);
    assert_memory_equal(b.a + 56, in, 8);
    assert_memory_equal(b.b, in + 8, 8);
    assert_int_equal(gmem_read(&b.m, RAM + 56, out, 16), 0);
    assert_memory_equal(in, out, 16);
    assert_int_equal(gmem_fill(&b.m, RAM + 60, 0xee, 8), 0);
    assert_int_equal(b.a[63], 0xee);
    assert_int_equal(b.b[3], 0xee);
    assert_int_equal(b.b[4], 13);
}

static void test_all_or_nothing(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    uint8_t bytes[16], before[64];
    memset(bytes, 0x55, sizeof bytes);
    memcpy(before, b.b, sizeof before);
    assert_int_equal(gmem_write(&b.m, RAM + 120, bytes, 16), -EFAULT);
    assert_int_equal(gmem_fill(&b.m, RAM + 120, 1, 9), -EFAULT);
    assert_memory_equal(b.b, before, sizeof before);
    assert_int_equal(gmem_read(&b.m, RAM + 120, bytes, 16), -EFAULT);
    assert_int_equal(bytes[0], 0x55);
}

static void test_iov(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    struct iovec v[2];
    assert_int_equal(gmem_iov(&b.m, RAM + 32, 64, v, 2), 2);
    assert_ptr_equal(v[0].iov_base, b.a + 32);
    assert_int_equal(v[0].iov_len, 32);
    assert_ptr_equal(v[1].iov_base, b.b);
    assert_int_equal(v[1].iov_len, 32);
    assert_int_equal(gmem_iov(&b.m, RAM + 32, 64, v, 1), -E2BIG);
    assert_int_equal(gmem_iov(&b.m, RAM + 64, 65, v, 2), -EFAULT);
    assert_int_equal(gmem_iov(&b.m, 0, 0, v, 0), 0);
}

static void test_ring_indices(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b);
    uint16_t value;
    assert_int_equal(gmem_store16(&b.m, RAM + 62, 0xbeef), 0);
    assert_int_equal(b.a[62], 0xef);
    assert_int_equal(b.a[63], 0xbe);
    assert_int_equal(gmem_load16(&b.m, RAM + 62, &value), 0);
    assert_int_equal(value, 0xbeef);
    assert_int_equal(gmem_load16(&b.m, RAM + 63, &value), -EFAULT);
    assert_int_equal(gmem_load16(&b.m, RAM + 128, &value), -EFAULT);
    assert_int_equal(gmem_store16(&b.m, RAM + 1, 0), -EFAULT);
    assert_int_equal(gmem_store16(&b.m, 0, 0), -EFAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_copies_across_regions),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_iov),
        cmocka_unit_test(test_ring_indices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
