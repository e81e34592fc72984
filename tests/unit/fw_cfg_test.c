/* fw_cfg: items by register and by copy to guest memory, and the ends of both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "devices/fw_cfg.h"
#include "tests/unit/test_device.h"

#define RAM      0x40000000ull
#define RAM_SIZE 0x1000u

enum { DATA = 0, SELECTOR = 8, DMA = 16 };
enum { READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };

static struct {
    struct device *d;
    struct gmem gmem;
    uint8_t ram[RAM_SIZE];
} t;

static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    if (gmem_add(&t.gmem, RAM, RAM_SIZE, t.ram) < 0)
        return -1;
    return fw_cfg_create(&(struct fw_cfg_config){ .gmem = &t.gmem, .cpus = 3 }, &t.d);
}

static int teardown(void **state)
{
    (void)state;
    t.d->ops->destroy(t.d);
    return 0;
}

static void select_item(uint16_t key)
{
    test_write(t.d, SELECTOR, 2, __builtin_bswap16(key));
}

/* Where the descriptor is; the copy's control word afterwards. */
static uint32_t dma_at(uint64_t at, uint32_t control, uint32_t length, uint64_t address)
{
    uint8_t *p = t.ram + (at - RAM);
    st_be32(p, control);
    st_be32(p + 4, length);
    st_be64(p + 8, address);
    test_write(t.d, DMA, 8, __builtin_bswap64(at));
    return ld_be32(p);
}

static uint32_t dma(uint32_t control, uint32_t length, uint64_t address)
{
    return dma_at(RAM + 0x800, control, length, address);
}

static void says_who_it_is(void **state)
{
    (void)state;
    assert_true(test_read(t.d, DMA, 8) == 0x47464320554d4551); /* "QEMU CFG" */
    assert_int_equal(rd(t.d, DMA + 4), 0x47464320);
    select_item(FW_CFG_SIGNATURE);
    assert_int_equal(rd(t.d, DATA), 0x554d4551);
    assert_int_equal(rd(t.d, DATA), 0); /* behind the end */
    select_item(FW_CFG_ID);
    assert_int_equal(rd(t.d, DATA), 3);
    select_item(FW_CFG_CPUS);
    assert_int_equal(test_read(t.d, DATA, 2), 3);
    select_item(FW_CFG_DIRECTORY);
    assert_int_equal(rd(t.d, DATA), 0);
    select_item(0xffff);
    assert_true(test_read(t.d, DATA, 8) == 0);
}

static void items_by_register(void **state)
{
    (void)state;
    fw_cfg_set(t.d, FW_CFG_KERNEL, FW_CFG_KERNEL_SIZE, "0123456789", 10);
    select_item(FW_CFG_KERNEL_SIZE);
    assert_int_equal(rd(t.d, DATA), 10);
    select_item(FW_CFG_KERNEL);
    assert_int_equal(test_read(t.d, DATA, 1), '0');
    assert_int_equal(test_read(t.d, DATA, 2), '1' | '2' << 8);
    assert_int_equal(rd(t.d, DATA), 0x36353433);
    assert_true(test_read(t.d, DATA, 8) == 0x393837);
    select_item(FW_CFG_KERNEL);
    test_write(t.d, DATA, 4, 0); /* nothing is written */
    assert_int_equal(test_read(t.d, DATA, 1), '0');
    test_reset_device(t.d);
    assert_int_equal(test_read(t.d, DATA, 1), 'Q');
    fw_cfg_set(t.d, FW_CFG_KERNEL, FW_CFG_KERNEL_SIZE, NULL, 0);
    select_item(FW_CFG_KERNEL);
    assert_int_equal(rd(t.d, DATA), 0);
}

static void copies(void **state)
{
    (void)state;
    fw_cfg_set(t.d, FW_CFG_INITRD, FW_CFG_INITRD_SIZE, "0123456789", 10);
    memset(t.ram, 0xee, 0x100);
    assert_int_equal(dma(FW_CFG_INITRD << 16 | SELECT | READ, 4, RAM), 0);
    assert_int_equal(dma(SKIP, 2, 0), 0);
    assert_int_equal(dma(READ, 6, RAM + 4), 0); /* two of them are behind the end */
    assert_memory_equal(t.ram, "01236789\0\0\xee", 11);
    assert_int_equal(dma(READ, 3, RAM + 16), 0);
    assert_memory_equal(t.ram + 16, "\0\0\0\xee", 4);
    assert_int_equal(dma(FW_CFG_INITRD << 16 | SELECT, 0, 0), 0);
    assert_int_equal(test_read(t.d, DATA, 1), '0');
    /* by halves of the address */
    st_be32(t.ram + 0x800, FW_CFG_INITRD << 16 | SELECT | READ);
    wr(t.d, DMA, 0);
    wr(t.d, DMA + 4, __builtin_bswap32((uint32_t)RAM + 0x800));
    assert_int_equal(ld_be32(t.ram + 0x800), 0);
}

static void copies_go_to_memory_only(void **state)
{
    (void)state;
    static const struct {
        uint32_t length;
        uint64_t address;
    } bad[] = { { 4, 0 },          { 4, RAM - 1 },       { 4, RAM + RAM_SIZE - 3 },
                { 4, UINT64_MAX }, { UINT32_MAX, RAM },  { UINT32_MAX, UINT64_MAX - 5 },
                { 1, 0x09000000 }, { 0x80000000u, RAM }, { 4, RAM + RAM_SIZE } };
    fw_cfg_set(t.d, FW_CFG_INITRD, FW_CFG_INITRD_SIZE, "0123456789", 10);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        memset(t.ram, 0xee, RAM_SIZE);
        assert_int_equal(dma(FW_CFG_INITRD << 16 | SELECT | READ, bad[i].length, bad[i].address),
                         1);
        assert_int_equal(t.ram[0], 0xee);
        assert_int_equal(t.ram[RAM_SIZE - 1], 0xee);
        assert_int_equal(test_read(t.d, DATA, 1), '0'); /* nothing was skipped */
    }
    assert_int_equal(dma(WRITE, 1, RAM), 1);
    /* descriptors that are not in memory, not wholly, or in the copy's way */
    test_write(t.d, DMA, 8, 0);
    test_write(t.d, DMA, 8, UINT64_MAX);
    test_write(t.d, DMA, 8, __builtin_bswap64(RAM + RAM_SIZE - 8));
    assert_int_equal(dma_at(RAM, FW_CFG_INITRD << 16 | SELECT | READ, 16, RAM), 0);
    /* any number of bytes may be skipped */
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(dma(SKIP, UINT32_MAX, 0), 0);
    assert_int_equal(rd(t.d, DATA), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_who_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(items_by_register, setup, teardown),
        cmocka_unit_test_setup_teardown(copies, setup, teardown),
        cmocka_unit_test_setup_teardown(copies_go_to_memory_only, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
