/* PCI without a device's meaning: the configuration space's rules, the host bridge's areas, MSI-X.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "base/bytes.h"
#include "devices/pci/host.h"
#include "devices/pci/msix.h"

#define MEMORY   0x10000000ull
#define BAR_SIZE 0x1000u

/* ------------------------------------------------------------------ two functions in a bridge */

static struct {
    struct pci_host host;
    struct pci_function function[2];
    struct device device[2];
    uint64_t offset, value; /* of the last access to a BAR */
    unsigned index, width;
} t;

static uint64_t bar_read(struct device *d, uint64_t offset, unsigned width)
{
    t.index = (unsigned)(d - t.device);
    t.offset = offset;
    t.width = width;
    return 0x1122334455667788u;
}

static void bar_write(struct device *d, uint64_t offset, unsigned width, uint64_t value)
{
    (void)bar_read(d, offset, width);
    t.value = value;
}

static const struct device_ops bar_ops = {
    .name = "fake",
    .size = BAR_SIZE,
    .min_width = 1,
    .max_width = 8,
    .read = bar_read,
    .write = bar_write,
};

static const struct pci_identity identity = {
    .vendor = 0x1af4,
    .device = 0x1044,
    .subsystem = 0x1100,
    .revision = 1,
    .class_code = 0x020000,
    .bar_size = BAR_SIZE,
};

/* Slots 3 and 31. */
static int setup(void **state)
{
    (void)state;
    static const unsigned slot[] = { 3, 31 };
    memset(&t, 0, sizeof t);
    t.host.place = (struct pci_host_place){ .ecam = 0x3f000000,
                                            .ecam_size = 0x1000000,
                                            .memory = MEMORY,
                                            .memory_size = 0x2eff0000,
                                            .io = 0x3eff0000,
                                            .io_size = 0x10000,
                                            .spi = 16,
                                            .gic_phandle = 1,
                                            .msi_phandle = 3 };
    for (unsigned i = 0; i < 2; i++) {
        t.device[i].ops = &bar_ops;
        lock_init(&t.device[i].lock, LOCK_DEVICE);
        t.function[i].device = &t.device[i];
        pci_config_init(&t.function[i].config, &identity);
        pci_host_add(&t.host, slot[i], &t.function[i]);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++)
        lock_fini(&t.device[i].lock);
    return 0;
}

static uint64_t ecam(unsigned bus, unsigned slot, unsigned function, unsigned offset)
{
    return (uint64_t)bus << 20 | slot << 15 | function << 12 | offset;
}

static uint32_t get(unsigned offset, unsigned width)
{
    return (uint32_t)pci_host_ecam_read(&t.host, ecam(0, 3, 0, offset), width);
}

static void put(unsigned offset, unsigned width, uint32_t value)
{
    pci_host_ecam_write(&t.host, ecam(0, 3, 0, offset), width, value);
}

/* What only reads stays, bit by bit; what software may write is there. */
static void header(void **state)
{
    static const struct {
        unsigned offset;
        uint32_t initial, ones;
    } words[] = {
        { 0x00, 0x10441af4, 0x10441af4 }, /* device, vendor */
        { 0x04, 0x00100000, 0x00100546 }, /* status: capabilities; command */
        { 0x08, 0x02000001, 0x02000001 }, /* class, revision */
        { 0x0c, 0x00000000, 0x000000ff }, /* header type 0; cache line */
        { 0x10, 0x00000000, 0xfffff000 }, /* BAR 0 says its size */
        { 0x14, 0, 0 },
        { 0x18, 0, 0 },
        { 0x24, 0, 0 },
        { 0x2c, 0x11001af4, 0x11001af4 }, /* subsystem */
        { 0x30, 0, 0 },                   /* no ROM */
        { 0x34, 0, 0 },
        { 0x3c, 0x00000100, 0x000001ff }, /* INTA; line */
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        assert_int_equal(get(words[i].offset, 4), words[i].initial);
        put(words[i].offset, 4, UINT32_MAX);
        assert_int_equal(get(words[i].offset, 4), words[i].ones);
    }
    pci_config_reset(&t.function[0].config);
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        assert_int_equal(get(words[i].offset, 4), words[i].initial);
    put(PCI_INTERRUPT_LINE, 1, 0x5a);
    assert_int_equal(get(PCI_INTERRUPT_LINE, 1), 0x5a);
    assert_int_equal(get(PCI_INTERRUPT_PIN, 1), 1);
    assert_int_equal(get(PCI_DEVICE, 2), 0x1044);
}

static void capabilities_are_a_list(void **state)
{
    (void)state;
    struct pci_config *c = &t.function[0].config;
    const uint8_t body[3] = { 1, 2, 3 }, writable[3] = { 0, 0xf0, 0 };
    unsigned first = pci_config_add(c, 0x09, body, writable, 3);
    unsigned second = pci_config_add(c, 0x11, body, NULL, 3);
    assert_int_equal(get(PCI_CAPABILITIES, 1), first);
    assert_int_equal(get(first, 2), second << 8 | 0x09);
    assert_int_equal(get(second, 2), 0x11);
    assert_int_equal(first % 4 + second % 4, 0);
    put(first, 4, UINT32_MAX);
    put(second, 4, UINT32_MAX);
    assert_int_equal(get(first, 4), 0x01u << 16 | second << 8 | 9 | 0xf2000000);
    assert_int_equal(get(second + 2, 2), 0x0201);
}

/* Buses, devices and functions that are not there; the extended space is there and empty. */
static void nobody_answers_with_ones(void **state)
{
    static const uint64_t nowhere[] = { 0x000000,           0x010000, 0x019000, 0x01f000,
                                        0x100000 + 0x18000, 0xf00000, 0xffffff0 };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(nowhere); i++) {
        pci_host_ecam_write(&t.host, nowhere[i], 4, 0);
        assert_int_equal(pci_host_ecam_read(&t.host, nowhere[i], 4), UINT32_MAX);
        assert_int_equal(pci_host_ecam_read(&t.host, nowhere[i], 2), UINT16_MAX);
        assert_int_equal(pci_host_ecam_read(&t.host, nowhere[i], 1), UINT8_MAX);
    }
    assert_int_equal(get(0x100, 4), 0);
    put(0x100, 4, UINT32_MAX);
    put(0xffc, 4, UINT32_MAX);
    assert_int_equal(get(0x100, 4), 0);
    assert_int_equal(get(0xffc, 4), 0);
    assert_int_equal(pci_host_ecam_read(&t.host, ecam(0, 31, 0, 0), 4), 0x10441af4);
}

static void bars_are_where_software_puts_them(void **state)
{
    (void)state;
    put(PCI_BAR0, 4, MEMORY + 0x5123);
    assert_int_equal(pci_host_memory_read(&t.host, 0x5000, 4), UINT32_MAX); /* memory is off */
    put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_int_equal(pci_host_memory_read(&t.host, 0x5ff8, 8), 0x1122334455667788u);
    assert_int_equal(t.offset, 0xff8);
    assert_int_equal(t.width, 8);
    pci_host_memory_write(&t.host, 0x5010, 2, 0xabcd);
    assert_int_equal(t.offset, 0x10);
    assert_int_equal(t.value, 0xabcd);
    assert_int_equal(t.index, 0);
    t.offset = 77;
    assert_int_equal(pci_host_memory_read(&t.host, 0x4ff8, 8), UINT64_MAX);
    assert_int_equal(pci_host_memory_read(&t.host, 0x6000, 1), UINT8_MAX);
    assert_int_equal(pci_host_memory_read(&t.host, 0x5ffc, 8), UINT64_MAX); /* half of it */
    pci_host_memory_write(&t.host, 0x6000, 4, 1);
    assert_int_equal(t.offset, 77);

    put(PCI_BAR0, 4, MEMORY + 0x8000); /* it moves */
    assert_int_equal(pci_host_memory_read(&t.host, 0x5000, 4), UINT32_MAX);
    assert_int_equal(pci_host_memory_read(&t.host, 0x8004, 1), 0x1122334455667788u);
    assert_int_equal(t.offset, 4);
}

static void bars_on_each_other_are_the_first_ones(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t at = ecam(0, i == 0 ? 31 : 3, 0, 0);
        pci_host_ecam_write(&t.host, at + PCI_BAR0, 4, MEMORY);
        pci_host_ecam_write(&t.host, at + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
        (void)pci_host_memory_read(&t.host, 0, 4);
        assert_int_equal(t.index, i == 0 ? 1 : 0);
    }
    put(PCI_COMMAND, 2, 0);
    (void)pci_host_memory_read(&t.host, 0, 4);
    assert_int_equal(t.index, 1);
    /* At the very end of addresses and at their start nothing wraps. */
    put(PCI_BAR0, 4, UINT32_MAX);
    put(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    t.host.place.memory = 0;
    (void)pci_host_memory_read(&t.host, 0xfffff000, 4);
    assert_int_equal(t.index, 0);
    assert_int_equal(pci_host_memory_read(&t.host, 0x100000000, 4), UINT32_MAX);
    assert_int_equal(pci_host_memory_read(&t.host, 0, 4), UINT32_MAX);
}

static const fdt32_t *fdt_cells(const void *fdt, const char *name, int count)
{
    int n, node = fdt_path_offset(fdt, "/pcie@3f000000");
    const fdt32_t *cells = fdt_getprop(fdt, node, name, &n);
    assert_non_null(cells);
    assert_int_equal(n, 4 * count);
    return cells;
}

static void build_tree(uint8_t *fdt, int size)
{
    assert_int_equal(fdt_create(fdt, size), 0);
    assert_int_equal(fdt_finish_reservemap(fdt), 0);
    assert_int_equal(fdt_begin_node(fdt, ""), 0);
    assert_int_equal(pci_host_fdt(&t.host, fdt), 0);
    assert_int_equal(fdt_end_node(fdt), 0);
    assert_int_equal(fdt_finish(fdt), 0);
}

/* Each slot that is taken has INTA on a wire of its own; messages go to a frame or an ITS. */
static void node(void **state)
{
    (void)state;
    uint8_t fdt[4096];
    build_tree(fdt, sizeof fdt);
    const fdt32_t *map = fdt_cells(fdt, "interrupt-map", 20);
    assert_int_equal(fdt32_to_cpu(map[0]), 3 << 11);
    assert_int_equal(fdt32_to_cpu(map[8]), 16 + 3);
    assert_int_equal(fdt32_to_cpu(map[10]), 31 << 11);
    assert_int_equal(fdt32_to_cpu(map[18]), 16 + 31);
    assert_int_equal(fdt32_to_cpu(fdt_cells(fdt, "bus-range", 2)[1]), 15);
    assert_int_equal(fdt32_to_cpu(fdt_cells(fdt, "ranges", 14)[11]), MEMORY);
    assert_int_equal(fdt32_to_cpu(fdt_cells(fdt, "msi-parent", 1)[0]), 3);
    t.host.place.its = true;
    build_tree(fdt, sizeof fdt);
    assert_int_equal(fdt32_to_cpu(fdt_cells(fdt, "msi-map", 4)[1]), 3);
}

/* ------------------------------------------------------------------ MSI-X */

static struct {
    struct msix m;
    unsigned sent;
    uint32_t requester, data;
    uint64_t address;
} x;

static void send(void *ctx, uint32_t requester, uint64_t address, uint32_t data)
{
    assert_ptr_equal(ctx, &x);
    x.sent++;
    x.requester = requester;
    x.address = address;
    x.data = data;
}

static void msix_start(unsigned count)
{
    memset(&x, 0, sizeof x);
    msix_init(&x.m, count, &(struct msix_bus){ send, &x }, 0x18);
}

static void msix_messages(void **state)
{
    (void)state;
    msix_start(3);
    msix_table_write(&x.m, 0x10, 8, 0x123408020040);
    msix_table_write(&x.m, 0x18, 4, 97);
    msix_table_write(&x.m, 0x1c, 4, 0);
    msix_notify(&x.m, 1);
    assert_int_equal(x.sent, 0); /* off */
    assert_int_equal(x.m.pending, 0);
    msix_set_control(&x.m, MSIX_CONTROL_ENABLE);
    msix_notify(&x.m, 1);
    assert_int_equal(x.sent, 1);
    assert_int_equal(x.requester, 0x18);
    assert_int_equal(x.address, 0x123408020040);
    assert_int_equal(x.data, 97);
    msix_notify(&x.m, 3);
    msix_notify(&x.m, 0xffff);
    assert_int_equal(x.sent, 1);
}

/* PCI 3.0, 6.8.2.9: what is masked waits, once, and is sent when it is masked no more. */
static void msix_masks(void **state)
{
    (void)state;
    msix_start(2);
    msix_set_control(&x.m, MSIX_CONTROL_ENABLE);
    msix_notify(&x.m, 0); /* entries come up masked */
    msix_notify(&x.m, 0);
    assert_int_equal(x.sent, 0);
    assert_int_equal(msix_pending_read(&x.m, 0, 8), 1);
    msix_table_write(&x.m, 0x08, 8, 5);
    assert_int_equal(x.sent, 1);
    assert_int_equal(x.data, 5);
    assert_int_equal(msix_pending_read(&x.m, 0, 4), 0);

    msix_set_control(&x.m, MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK);
    msix_notify(&x.m, 0);
    msix_notify(&x.m, 1);
    assert_int_equal(msix_pending_read(&x.m, 0, 4), 3);
    msix_set_control(&x.m, MSIX_CONTROL_ENABLE); /* 1 is masked by itself */
    assert_int_equal(x.sent, 2);
    assert_int_equal(msix_pending_read(&x.m, 0, 4), 2);
    msix_set_control(&x.m, 0);
    assert_int_equal(msix_pending_read(&x.m, 0, 4), 0);
    msix_reset(&x.m);
    assert_int_equal(msix_table_read(&x.m, 0x08, 8), 1ull << 32);
}

static void msix_table_has_its_size(void **state)
{
    (void)state;
    msix_start(2);
    for (uint64_t offset = 0; offset < 0x1000; offset++) {
        for (unsigned width = 1; width <= 8; width *= 2)
            msix_table_write(&x.m, offset, width, UINT64_MAX);
    }
    assert_int_equal(msix_table_read(&x.m, 0x18, 8), 0x1ffffffff); /* reserved bits of control */
    assert_int_equal(msix_table_read(&x.m, 0x20, 8), 0);
    assert_int_equal(msix_table_read(&x.m, 0x04, 8), 0);
    assert_int_equal(msix_table_read(&x.m, 0x00, 2), 0);
    assert_int_equal(x.m.table[0x20], 0);
    assert_int_equal(msix_pending_read(&x.m, 8, 4), 0);
    assert_int_equal(x.sent, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(header, setup, teardown),
        cmocka_unit_test_setup_teardown(capabilities_are_a_list, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_answers_with_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(bars_are_where_software_puts_them, setup, teardown),
        cmocka_unit_test_setup_teardown(bars_on_each_other_are_the_first_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(node, setup, teardown),
        cmocka_unit_test(msix_messages),
        cmocka_unit_test(msix_masks),
        cmocka_unit_test(msix_table_has_its_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
