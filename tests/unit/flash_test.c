/* NOR flash: the commands of Intel's set as drivers use them, what shows a bank and what hides it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "devices/flash.h"
#include "tests/unit/test_device.h"

#define VARS  ((uint64_t)FLASH_BANK_SIZE) /* bank 1 */
#define BLOCK 0x40000u

static struct {
    struct device *d;
    uint8_t *memory;
    bool shown[FLASH_BANKS];
    bool refuse; /* to show */
    unsigned shows, stores;
    uint64_t offset, size; /* of the last store */
    int store_result;
} t;

static bool show(void *ctx, unsigned bank, bool on)
{
    (void)ctx;
    assert_true(bank < FLASH_BANKS);
    assert_int_not_equal(t.shown[bank], on); /* only changes */
    if (t.refuse)
        return false;
    t.shown[bank] = on;
    t.shows++;
    return true;
}

static int store(void *ctx, uint64_t offset, uint64_t size)
{
    (void)ctx;
    assert_true(offset < FLASH_BANK_SIZE && size <= FLASH_BANK_SIZE - offset);
    t.stores++;
    t.offset = offset;
    t.size = size;
    return t.store_result;
}

static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    t.memory = calloc(FLASH_BANKS, FLASH_BANK_SIZE);
    if (!t.memory)
        return -1;
    memset(t.memory + VARS, 0xff, 4 * BLOCK);
    memcpy(t.memory, "code", 4);
    return flash_create(&(struct flash_config){ .memory = { t.memory, t.memory + VARS },
                                                .show = show,
                                                .store = store },
                        &t.d);
}

static int teardown(void **state)
{
    (void)state;
    t.d->ops->destroy(t.d);
    free(t.memory);
    return 0;
}

/* A command for both chips. */
static void command(uint64_t offset, uint32_t c)
{
    wr(t.d, offset, c << 16 | c);
}

static void program(uint64_t offset, uint32_t value)
{
    command(offset, 0x40);
    wr(t.d, offset, value);
}

static void finds_itself(void **state)
{
    (void)state;
    static const struct {
        unsigned word;
        uint8_t value;
    } query[] = { { 0x10, 'Q' },  { 0x11, 'R' }, { 0x12, 'Y' },  { 0x13, 1 },   { 0x14, 0 },
                  { 0x15, 0x31 }, { 0x27, 25 },  { 0x2a, 6 },    { 0x2c, 1 },   { 0x2d, 0xff },
                  { 0x2e, 0 },    { 0x2f, 0 },   { 0x30, 0x02 }, { 0x31, 'P' }, { 0xff, 0 } };
    command(VARS + 4 * 0x55, 0x98);
    for (size_t i = 0; i < ARRAY_LEN(query); i++) {
        uint64_t at = VARS + 4 * query[i].word;
        assert_int_equal(rd(t.d, at), query[i].value << 16 | query[i].value);
        assert_int_equal(test_read(t.d, at, 1), query[i].value);
        assert_int_equal(test_read(t.d, at + 2, 2), query[i].value);
        assert_int_equal(test_read(t.d, at + 1, 1), 0);
    }
    assert_int_equal(test_read(t.d, VARS + 0x40, 8), 0x0052005200510051);
    command(VARS, 0x90);
    assert_int_equal(rd(t.d, VARS), 0x890089);
    assert_int_equal(rd(t.d, VARS + 4), 0x180018);
    assert_int_equal(rd(t.d, VARS + 3 * BLOCK + 8), 0); /* the block is not locked */
    command(0, 0x90);
    assert_int_equal(rd(t.d, 8), 0x10001);
    command(VARS, 0xff);
    assert_int_equal(rd(t.d, VARS), 0xffffffff);
}

/* Programming clears bits and sets none; erasing sets those of one block. */
static void programs_and_erases(void **state)
{
    (void)state;
    program(VARS + 8, 0x12345678);
    assert_int_equal(rd(t.d, VARS), 0x00800080);
    assert_int_equal(t.offset, 8);
    assert_int_equal(t.size, 4);
    program(VARS + 8, 0xffff0000);
    command(VARS, 0xff);
    assert_int_equal(rd(t.d, VARS + 8), 0x12340000);
    assert_int_equal(rd(t.d, VARS + 12), 0xffffffff);

    program(VARS + BLOCK - 4, 0);
    program(VARS + BLOCK, 0);
    command(VARS + 0x1234, 0x20);
    command(VARS + 0x1234, 0xd0);
    assert_int_equal(t.offset, 0);
    assert_int_equal(t.size, BLOCK);
    assert_int_equal(rd(t.d, VARS), 0x00800080);
    command(VARS, 0xff);
    assert_int_equal(rd(t.d, VARS + 8), 0xffffffff);
    assert_int_equal(rd(t.d, VARS + BLOCK - 4), 0xffffffff);
    assert_int_equal(rd(t.d, VARS + BLOCK), 0);
}

/* As EDK2's driver does it: the number of words less one, the words, and a confirmation. */
static void buffers(uint64_t at, unsigned words, uint32_t confirm)
{
    command(at, 0xe8);
    assert_int_equal(rd(t.d, at), 0x00800080);
    command(at, words - 1);
    for (unsigned i = 0; i < words; i++)
        wr(t.d, at + 4 * i, 0xa0000000 + i);
    command(at, confirm);
}

static void programs_by_buffer(void **state)
{
    (void)state;
    buffers(VARS + 0x100, 32, 0xd0);
    assert_int_equal(rd(t.d, VARS), 0x00800080);
    assert_int_equal(t.stores, 1);
    buffers(VARS + 0x188, 2, 0xd0);
    assert_int_equal(t.offset, 0x180);
    command(VARS, 0xff);
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(rd(t.d, VARS + 0x100 + 4 * i), 0xa0000000 + i);
    assert_int_equal(rd(t.d, VARS + 0x184), 0xffffffff);
    assert_int_equal(rd(t.d, VARS + 0x18c), 0xa0000001);
}

static void breaks_off_what_is_wrong(void **state)
{
    (void)state;
    buffers(VARS, 2, 0x11); /* not confirmed */
    assert_int_equal(rd(t.d, VARS), 0x00b000b0);
    command(VARS, 0x50);
    command(VARS, 0xe8);
    command(VARS, 32); /* a word too many */
    assert_int_equal(rd(t.d, VARS), 0x00b000b0);
    command(VARS, 0x50);
    command(VARS, 0xe8);
    command(VARS, 1);
    wr(t.d, VARS + 0x7c, 0);
    wr(t.d, VARS + 0x80, 0); /* the next page */
    assert_int_equal(rd(t.d, VARS), 0x00b000b0);
    command(VARS, 0x50);
    command(VARS, 0x20);
    command(VARS, 0x20);
    assert_int_equal(rd(t.d, VARS), 0x00b000b0);
    command(VARS, 0x50);
    assert_int_equal(rd(t.d, VARS), 0xffffffff);
    assert_int_equal(t.stores, 0);
    command(VARS, 0x70);
    assert_int_equal(rd(t.d, VARS), 0x00800080);
}

static void code_cannot_be_changed(void **state)
{
    (void)state;
    command(0, 0x60);
    command(0, 0xd0); /* unlock: no */
    program(0, 0);
    assert_int_equal(rd(t.d, 0), 0x00920092);
    command(0, 0x50);
    command(0, 0x20);
    command(0, 0xd0);
    assert_int_equal(rd(t.d, 0), 0x00a200a2);
    command(0, 0xff);
    assert_memory_equal(t.memory, "code", 4);
    assert_int_equal(rd(t.d, 0), 0x65646f63);
    assert_int_equal(t.stores, 0);
}

static void failure_to_store_is_told(void **state)
{
    (void)state;
    t.store_result = -ENOSPC;
    program(VARS, 0);
    assert_int_equal(rd(t.d, VARS), 0x00900090);
    command(VARS, 0x50);
    command(VARS, 0x20);
    command(VARS, 0xd0);
    assert_int_equal(rd(t.d, VARS), 0x00a000a0);
}

/* A bank is memory until a command comes, and again when somebody reads after the commands. */
static void shows_and_hides(void **state)
{
    (void)state;
    assert_true(flash_show(t.d, 0));
    assert_true(flash_show(t.d, VARS + 5));
    assert_true(t.shown[0] && t.shown[1]);
    assert_false(flash_show(t.d, 2 * VARS));
    for (unsigned i = 0; i < 10; i++) {
        program(VARS + 4 * i, 0);
        command(VARS, 0xff);
    }
    assert_true(t.shown[0]);
    assert_false(t.shown[1]);
    assert_int_equal(t.shows, 3); /* one change for all of them */
    command(VARS, 0x70);
    assert_false(flash_show(t.d, VARS));
    command(VARS, 0xff);
    t.refuse = true;
    assert_false(flash_show(t.d, VARS));
    assert_int_equal(rd(t.d, VARS + 40), 0xffffffff); /* then the device answers */
    t.refuse = false;
    assert_true(flash_show(t.d, VARS));
    assert_true(flash_show(t.d, VARS));
    command(VARS, 0x90);
    assert_false(t.shown[1]);
    test_reset_device(t.d);
    assert_true(t.shown[1]);
    assert_int_equal(rd(t.d, VARS), 0);
}

/* The last bytes of each bank in every width. */
static void ends(void **state)
{
    (void)state;
    for (unsigned width = 1; width <= 8; width *= 2) {
        for (unsigned bank = 0; bank < FLASH_BANKS; bank++) {
            uint64_t at = (bank + 1) * VARS - width;
            static const uint32_t commands[] = {
                0x40, 0, 0xe8, 0, 0, 0xd0, 0x20, 0xd0, 0x98, 0x90
            };
            for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
                test_write(t.d, at, width, commands[i]);
                (void)test_read(t.d, at, width);
            }
            command(bank * VARS, 0xff);
            command(bank * VARS, 0xff);
            (void)test_read(t.d, at, width);
        }
    }
    assert_int_equal(t.memory[2 * VARS - 1], 0xff);
    assert_int_equal(t.memory[VARS - 1], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(programs_and_erases, setup, teardown),
        cmocka_unit_test_setup_teardown(programs_by_buffer, setup, teardown),
        cmocka_unit_test_setup_teardown(breaks_off_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(code_cannot_be_changed, setup, teardown),
        cmocka_unit_test_setup_teardown(failure_to_store_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(shows_and_hides, setup, teardown),
        cmocka_unit_test_setup_teardown(ends, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
