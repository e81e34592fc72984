/* The PL061's pins, registers and interrupts, and the device tree nodes of all three PrimeCells. */
#include "devices/pl061.h"

#include <errno.h>
#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "devices/pl011.h"
#include "devices/pl031.h"
#include "tests/unit/test_device.h"

#define GPIODATA  0x3fc /* all eight pins */
#define GPIODIR   0x400
#define GPIOIS    0x404
#define GPIOIBE   0x408
#define GPIOIEV   0x40c
#define GPIOIE    0x410
#define GPIORIS   0x414
#define GPIOMIS   0x418
#define GPIOIC    0x41c
#define GPIOAFSEL 0x420

static struct device *bench_create(struct test_bench *b)
{
    *b = (struct test_bench){ 0 };
    struct pl061_config c = { test_wire(b) };
    struct device *d;
    assert_int_equal(pl061_create(&c, &d), 0);
    return d;
}

static void test_data_is_masked_by_address(void **state)
{
    (void)state;
    struct test_bench b;
    struct device *d = bench_create(&b);
    wr(d, GPIODIR, 0x0f);
    wr(d, GPIODATA, 0xff); /* outputs only */
    assert_int_equal(rd(d, GPIODATA), 0x0f);
    wr(d, 0x05 << 2, 0x00); /* pins 0 and 2 */
    assert_int_equal(rd(d, GPIODATA), 0x0a);
    assert_int_equal(rd(d, 0x02 << 2), 0x02);
    assert_int_equal(rd(d, 0x000), 0);
    pl061_set_pin(d, 7, true);
    pl061_set_pin(d, 1, false); /* an output does not care */
    pl061_set_pin(d, 8, true);
    assert_int_equal(rd(d, GPIODATA), 0x8a);
    assert_int_equal(rd(d, 0x80 << 2), 0x80);
    assert_int_equal(test_read(d, GPIODATA, 1), 0x8a);
    assert_int_equal(test_read(d, GPIODATA + 1, 1), 0);
    d->ops->destroy(d);
}

static void test_register_masks(void **state)
{
    (void)state;
    static const struct {
        uint16_t offset;
        uint8_t value;
    } regs[] = {
        { GPIODIR, 0xff }, { GPIOIS, 0xff }, { GPIOIBE, 0xff },   { GPIOIEV, 0xff },
        { GPIOIE, 0xff },  { GPIOIC, 0 },    { GPIOAFSEL, 0xff }, { 0x424, 0 },
        { 0xfdc, 0 },      { 0xfe0, 0x61 },  { 0xfe4, 0x10 },     { 0xfe8, 0x04 },
        { 0xfec, 0 },      { 0xff0, 0x0d },  { 0xff4, 0xf0 },     { 0xff8, 0x05 },
        { 0xffc, 0xb1 },
    };
    struct test_bench b;
    struct device *d = bench_create(&b);
    for (unsigned i = 0; i < ARRAY_LEN(regs); i++) {
        if (regs[i].offset < 0xfe0)
            assert_int_equal(rd(d, regs[i].offset), 0);
        wr(d, regs[i].offset, 0xffffffff);
        assert_int_equal(rd(d, regs[i].offset), regs[i].value);
    }
    test_reset_device(d);
    for (uint64_t o = GPIODIR; o <= GPIOAFSEL; o += 4)
        if (o != GPIORIS)
            assert_int_equal(rd(d, o), 0);
    assert_false(b.level);
    d->ops->destroy(d);
}

/* One pulse on a pin: what is pending after it rose, and after it fell. */
static void test_edges(void **state)
{
    (void)state;
    static const struct {
        uint8_t ibe, iev;
        bool rise, fall;
    } cases[] = {
        { 0, 0, false, true }, { 0, 1, true, false }, { 1, 0, true, true }, { 1, 1, true, true }
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct test_bench b;
        struct device *d = bench_create(&b);
        wr(d, GPIOIBE, (uint32_t)cases[i].ibe << PL061_POWER_PIN);
        wr(d, GPIOIEV, (uint32_t)cases[i].iev << PL061_POWER_PIN);
        wr(d, GPIOIE, 1 << PL061_POWER_PIN);
        pl061_set_pin(d, PL061_POWER_PIN, true);
        assert_int_equal(b.level, cases[i].rise);
        wr(d, GPIOIC, 0xff);
        assert_false(b.level);
        pl061_set_pin(d, PL061_POWER_PIN, true); /* no change, no edge */
        assert_false(b.level);
        pl061_set_pin(d, PL061_POWER_PIN, false);
        assert_int_equal(b.level, cases[i].fall);
        assert_int_equal(rd(d, GPIORIS), cases[i].fall ? 8 : 0);
        d->ops->destroy(d);
    }
}

static void test_levels_and_mask(void **state)
{
    (void)state;
    struct test_bench b;
    struct device *d = bench_create(&b);
    wr(d, GPIOIS, 0x03);
    wr(d, GPIOIEV, 0x01); /* pin 0 by high level, pin 1 by low level */
    assert_int_equal(rd(d, GPIORIS), 0x02);
    assert_false(b.level);
    wr(d, GPIOIE, 0x03);
    assert_true(b.level);
    wr(d, GPIOIC, 0xff); /* a level cannot be cleared */
    assert_true(b.level);
    pl061_set_pin(d, 1, true);
    assert_false(b.level);
    pl061_set_pin(d, 0, true);
    assert_int_equal(rd(d, GPIORIS), 0x01);
    assert_int_equal(rd(d, GPIOMIS), 0x01);
    assert_true(b.level);
    wr(d, GPIOIE, 0x02);
    assert_int_equal(rd(d, GPIOMIS), 0);
    assert_false(b.level);
    d->ops->destroy(d);
}

static void test_output_makes_edges(void **state)
{
    (void)state;
    struct test_bench b;
    struct device *d = bench_create(&b);
    wr(d, GPIODIR, 1);
    wr(d, GPIOIEV, 1);
    wr(d, GPIOIE, 1);
    wr(d, GPIODATA, 1);
    assert_true(b.level);
    d->ops->destroy(d);
}

static void test_reset_keeps_inputs(void **state)
{
    (void)state;
    struct test_bench b;
    struct device *d = bench_create(&b);
    pl061_set_pin(d, 5, true);
    test_reset_device(d);
    assert_int_equal(rd(d, GPIODATA), 0x20);
    d->ops->destroy(d);
}

/* Every device's node, read back; and a tree that is too small at every length is an error. */
static int write_tree(struct device **d, unsigned n, void *tree, int size)
{
    int rc = fdt_create(tree, size);
    rc = rc ? rc : fdt_finish_reservemap(tree);
    rc = rc ? rc : fdt_begin_node(tree, "");
    for (unsigned i = 0; i < n && rc == 0; i++) {
        struct device_place place = { 0x9000000 + 0x10000 * i, i + 1, 7 };
        rc = d[i]->ops->fdt(d[i], tree, &place);
        if (rc)
            assert_int_equal(rc, -ENOSPC);
    }
    rc = rc ? rc : fdt_end_node(tree);
    return rc ? rc : fdt_finish(tree);
}

static void test_device_tree(void **state)
{
    (void)state;
    struct test_bench b;
    struct pl011_config uart = { .irq = test_wire(&b) };
    struct pl031_config rtc = { test_wire(&b), test_clock(&b), test_alarm(&b) };
    struct device *d[3];
    uint8_t tree[4096] __attribute__((aligned(8)));
    assert_int_equal(pl011_create(&uart, &d[0]), 0);
    assert_int_equal(pl031_create(&rtc, &d[1]), 0);
    d[2] = bench_create(&b);
    assert_int_equal(write_tree(d, 3, tree, sizeof tree), 0);

    int node = fdt_path_offset(tree, "/serial@9000000");
    assert_true(node > 0);
    assert_int_equal(fdt_node_check_compatible(tree, node, "arm,pl011"), 0);
    assert_int_equal(fdt_node_check_compatible(tree, node, "arm,primecell"), 0);
    assert_string_equal(fdt_stringlist_get(tree, node, "clock-names", 0, NULL), "uartclk");
    assert_string_equal(fdt_stringlist_get(tree, node, "clock-names", 1, NULL), "apb_pclk");
    int n;
    const fdt32_t *cells = fdt_getprop(tree, node, "interrupts", &n);
    assert_int_equal(n, 12);
    assert_int_equal(fdt32_to_cpu(cells[1]), 1);
    assert_int_equal(fdt32_to_cpu(cells[2]), 4);
    cells = fdt_getprop(tree, node, "reg", &n);
    assert_int_equal(n, 16);
    assert_int_equal(fdt32_to_cpu(cells[1]), 0x9000000);
    assert_int_equal(fdt32_to_cpu(cells[3]), 0x1000);
    fdt_getprop(tree, node, "clocks", &n);
    assert_int_equal(n, 8);

    node = fdt_path_offset(tree, "/rtc@9010000");
    assert_int_equal(fdt_node_check_compatible(tree, node, "arm,pl031"), 0);
    assert_string_equal(fdt_stringlist_get(tree, node, "clock-names", 0, NULL), "apb_pclk");

    node = fdt_path_offset(tree, "/gpio@9020000");
    assert_non_null(fdt_getprop(tree, node, "gpio-controller", NULL));
    int key = fdt_path_offset(tree, "/gpio-keys/power-key");
    cells = fdt_getprop(tree, key, "gpios", &n);
    assert_int_equal(n, 12);
    assert_int_equal(fdt_node_offset_by_phandle(tree, fdt32_to_cpu(cells[0])), node);
    assert_int_equal(fdt32_to_cpu(cells[1]), PL061_POWER_PIN);

    int needed = (int)fdt_totalsize(tree);
    for (int size = 64; size < needed; size += 4)
        assert_int_not_equal(write_tree(d, 3, tree, size), 0);
    for (unsigned i = 0; i < 3; i++)
        d[i]->ops->destroy(d[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_is_masked_by_address),
        cmocka_unit_test(test_register_masks),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_levels_and_mask),
        cmocka_unit_test(test_output_makes_edges),
        cmocka_unit_test(test_reset_keeps_inputs),
        cmocka_unit_test(test_device_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
