/* The device tree we write, what is put into /chosen, and what --dtb refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "vmm/devicetree.h"

/* A device that writes a PL011's node. */
static int uart_fdt(const struct device *d, void *fdt, const struct device_place *place)
{
    (void)d;
    assert_int_equal(place->base, MEMMAP_UART);
    assert_int_equal(place->clock_phandle, MACHINE_PHANDLE_CLOCK);
    if (fdt_begin_node(fdt, "serial@9000000") < 0 ||
        fdt_property_string(fdt, "compatible", "arm,pl011") < 0)
        return -1;
    return fdt_end_node(fdt);
}

static const struct device_ops uart_ops = { .name = "uart", .fdt = uart_fdt };
static struct device uart = { .ops = &uart_ops };
static const struct machine_device uart_place = {
    .device = &uart,
    .place = { .base = MEMMAP_UART, .spi = 1, .clock_phandle = MACHINE_PHANDLE_CLOCK },
};

static struct loader_blob build(unsigned cpus, uint64_t memory)
{
    const struct devicetree_config config = {
        .memory = memory,
        .cpus = cpus,
        .pmu = cpus == 2,
        .device = &uart_place,
        .device_count = 1,
    };
    struct loader_blob b = { 0 };
    struct err e;
    assert_int_equal(devicetree_build(&config, &b, &e), 0);
    assert_int_equal(fdt_check_full(b.bytes, b.size), 0);
    return b;
}

static const void *property(const struct loader_blob *b, const char *path, const char *name, int *n)
{
    int node = fdt_path_offset(b->bytes, path);
    assert_true(node >= 0);
    return fdt_getprop(b->bytes, node, name, n);
}

static uint32_t cell(const struct loader_blob *b, const char *path, const char *name, unsigned i)
{
    int n;
    const fdt32_t *p = property(b, path, name, &n);
    assert_non_null(p);
    assert_true(n >= (int)(4 * (i + 1)));
    return fdt32_ld(p + i);
}

static uint64_t wide(const struct loader_blob *b, const char *path, const char *name, unsigned i)
{
    return (uint64_t)cell(b, path, name, 2 * i) << 32 | cell(b, path, name, 2 * i + 1);
}

static void test_pmu(void **state)
{
    (void)state;
    struct loader_blob b = build(2, 64ull << 20);
    int n;
    assert_string_equal(property(&b, "/pmu", "compatible", &n), "arm,armv8-pmuv3");
    assert_int_equal(cell(&b, "/pmu", "interrupts", 0), 1);           /* PPI */
    assert_int_equal(cell(&b, "/pmu", "interrupts", 1), 7);           /* INTID 23 */
    assert_int_equal(cell(&b, "/pmu", "interrupts", 2), 3u << 8 | 4); /* both CPUs, level */
    loader_blob_free(&b);
    b = build(1, 64ull << 20); /* CPUs without */
    assert_true(fdt_path_offset(b.bytes, "/pmu") < 0);
    loader_blob_free(&b);
}

static void test_memory_and_cpus(void **state)
{
    (void)state;
    struct loader_blob b = build(3, 6ull << 30);
    assert_int_equal(wide(&b, "/memory@40000000", "reg", 0), 0x40000000);
    assert_int_equal(wide(&b, "/memory@40000000", "reg", 1), 6ull << 30);
    assert_int_equal(cell(&b, "/cpus/cpu@0", "reg", 0), 0);
    assert_int_equal(cell(&b, "/cpus/cpu@2", "reg", 0), 2);
    assert_string_equal(property(&b, "/cpus/cpu@2", "enable-method", NULL), "psci");
    assert_int_equal(fdt_path_offset(b.bytes, "/cpus/cpu@3"), -FDT_ERR_NOTFOUND);
    assert_string_equal(property(&b, "/psci", "method", NULL), "hvc");
    loader_blob_free(&b);
}

/* Secure 29, physical 30, virtual 27, hypervisor 26, as PPI numbers; level, for each CPU. */
static void test_timer_and_gic(void **state)
{
    static const uint32_t ppi[] = { 13, 14, 11, 10 };
    (void)state;
    struct loader_blob b = build(4, 1ull << 30);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(cell(&b, "/timer", "interrupts", 3 * i), 1);
        assert_int_equal(cell(&b, "/timer", "interrupts", 3 * i + 1), ppi[i]);
        assert_int_equal(cell(&b, "/timer", "interrupts", 3 * i + 2), 0xf04);
    }
    const char *gic = "/interrupt-controller@8000000";
    assert_int_equal(wide(&b, gic, "reg", 0), 0x08000000);
    assert_int_equal(wide(&b, gic, "reg", 2), 0x08010000);
    assert_int_equal(wide(&b, gic, "reg", 3), 0x2000);
    assert_int_equal(cell(&b, gic, "phandle", 0), cell(&b, "/", "interrupt-parent", 0));
    const char *v2m = "/interrupt-controller@8000000/v2m@8020000";
    assert_string_equal(property(&b, v2m, "compatible", NULL), "arm,gic-v2m-frame");
    assert_non_null(property(&b, v2m, "msi-controller", NULL));
    assert_int_equal(wide(&b, v2m, "reg", 0), 0x08020000);
    assert_int_equal(wide(&b, v2m, "reg", 1), 0x1000);
    assert_int_equal(cell(&b, "/apb-pclk", "clock-frequency", 0), 24000000);
    assert_int_equal(cell(&b, "/apb-pclk", "phandle", 0), MACHINE_PHANDLE_CLOCK);
    loader_blob_free(&b);
}

static void test_gicv3(void **state)
{
    struct devicetree_config config = { .memory = 1ull << 30, .cpus = 40, .gicv3 = true };
    const char *gic = "/interrupt-controller@8000000";
    const char *its = "/interrupt-controller@8000000/msi-controller@8080000";
    struct loader_blob b = { 0 }, v2 = build(4, 1ull << 30);
    struct err e;
    (void)state;
    assert_int_equal(devicetree_build(&config, &b, &e), 0);
    assert_true(devicetree_has_gicv3(&b));
    assert_false(devicetree_has_gicv3(&v2));
    assert_int_equal(wide(&b, gic, "reg", 0), 0x08000000);
    assert_int_equal(wide(&b, gic, "reg", 2), 0x080a0000);
    assert_int_equal(wide(&b, gic, "reg", 3), 40 * 0x20000);
    assert_int_equal(cell(&b, "/timer", "interrupts", 2), 4); /* no mask of CPUs */
    assert_int_equal(cell(&b, "/cpus/cpu@207", "reg", 0), 0x207);
    assert_true(fdt_path_offset(b.bytes, its) < 0);
    loader_blob_free(&b);
    config.its = true;
    assert_int_equal(devicetree_build(&config, &b, &e), 0);
    assert_string_equal(property(&b, its, "compatible", NULL), "arm,gic-v3-its");
    assert_non_null(property(&b, its, "msi-controller", NULL));
    assert_int_equal(cell(&b, its, "#msi-cells", 0), 1);
    assert_int_equal(wide(&b, its, "reg", 0), 0x08080000);
    assert_int_equal(wide(&b, its, "reg", 1), 0x20000);
    loader_blob_free(&b);
    loader_blob_free(&v2);
}

static void test_chosen(void **state)
{
    (void)state;
    struct loader_blob b = build(1, 1ull << 30), c = { 0 }, d = { 0 };
    const struct devicetree_chosen chosen = {
        .bootargs = "quiet",
        .initrd = 0x44200000,
        .initrd_size = 0x1234,
        .add_seeds = true,
    };
    struct err e;
    int n;
    assert_int_equal(devicetree_choose(&b, &chosen, &c, &e), 0);
    assert_int_equal(fdt_check_full(c.bytes, c.size), 0);
    assert_string_equal(property(&c, "/chosen", "bootargs", NULL), "quiet");
    assert_int_equal(wide(&c, "/chosen", "linux,initrd-start", 0), 0x44200000);
    assert_int_equal(wide(&c, "/chosen", "linux,initrd-end", 0), 0x44201234);
    assert_string_equal(property(&c, "/chosen", "stdout-path", NULL), "/serial@9000000");
    assert_non_null(property(&c, "/chosen", "kaslr-seed", &n));
    assert_int_equal(n, 8);
    uint8_t before[32];
    const void *seed = property(&c, "/chosen", "rng-seed", &n);
    assert_int_equal(n, 32);
    memcpy(before, seed, 32);
    /* Seeds that are there are not used twice. */
    const struct devicetree_chosen again = { 0 };
    assert_int_equal(devicetree_choose(&c, &again, &d, &e), 0);
    assert_memory_not_equal(before, property(&d, "/chosen", "rng-seed", &n), 32);
    assert_int_equal(n, 32);
    loader_blob_free(&b);
    loader_blob_free(&c);
    loader_blob_free(&d);
}

/* What --dtb says stays when the user said nothing. */
static void test_chosen_leaves_what_is_there(void **state)
{
    (void)state;
    struct loader_blob b = build(1, 1ull << 30), c = { 0 }, d = { 0 };
    struct devicetree_chosen first = { .bootargs = "theirs", .initrd = 1, .initrd_size = 1 };
    struct devicetree_chosen second = { 0 };
    struct err e;
    assert_int_equal(devicetree_choose(&b, &first, &c, &e), 0);
    assert_int_equal(devicetree_choose(&c, &second, &d, &e), 0);
    assert_string_equal(property(&d, "/chosen", "bootargs", NULL), "theirs");
    assert_int_equal(wide(&d, "/chosen", "linux,initrd-end", 0), 2);
    assert_null(property(&d, "/chosen", "kaslr-seed", NULL));
    loader_blob_free(&b);
    loader_blob_free(&c);
    loader_blob_free(&d);
}

static void test_too_long_command_line(void **state)
{
    (void)state;
    struct loader_blob b = build(1, 1ull << 30), c = { 0 };
    char *text = malloc(LOADER_DTB_MAX + 1);
    struct err e;
    memset(text, 'x', LOADER_DTB_MAX);
    text[LOADER_DTB_MAX] = 0;
    const struct devicetree_chosen chosen = { .bootargs = text };
    assert_true(devicetree_choose(&b, &chosen, &c, &e) < 0);
    assert_non_null(strstr(e.text, "--append"));
    free(text);
    loader_blob_free(&b);
}

/* Any truncation and any broken header is refused with a sentence that names the option. */
static void test_malformed_trees(void **state)
{
    (void)state;
    struct loader_blob b = build(2, 1ull << 30);
    struct err e = { 0 };
    assert_int_equal(devicetree_check(&b, "x.dtb", &e), 0);
    for (uint64_t n = 0; n < b.size; n += 7) {
        struct loader_blob cut = { malloc(n + 1), n };
        memcpy(cut.bytes, b.bytes, n);
        assert_true(devicetree_check(&cut, "x.dtb", &e) < 0);
        assert_non_null(strstr(e.text, "--dtb 'x.dtb'"));
        free(cut.bytes);
    }
    for (unsigned at = 0; at < 28; at += 4) {
        fdt32_t saved;
        memcpy(&saved, b.bytes + at, 4);
        memset(b.bytes + at, 0xff, 4);
        if (at != 20) /* a newer version is fine while it says that it is compatible */
            assert_true(devicetree_check(&b, "x.dtb", &e) < 0);
        memcpy(b.bytes + at, &saved, 4);
    }
    loader_blob_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_and_cpus),
        cmocka_unit_test(test_pmu),
        cmocka_unit_test(test_timer_and_gic),
        cmocka_unit_test(test_gicv3),
        cmocka_unit_test(test_chosen),
        cmocka_unit_test(test_chosen_leaves_what_is_there),
        cmocka_unit_test(test_too_long_command_line),
        cmocka_unit_test(test_malformed_trees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
