/*
 * Flash and fw_cfg, driven by bytes: the input is a list of 16-byte records, each an access to one
 * of them, a write to guest memory, or what else can happen.
 *
 * What must hold: the code never changes; a bank that is shown answers with its contents; what is
 * stored lies in the bank, and the bank changes nowhere else.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/bytes.h"
#include "base/log.h"
#include "devices/flash.h"
#include "devices/fw_cfg.h"

#define RECORD_SIZE 16
#define RAM_BASE    0x40000000ull
#define RAM_SIZE    0x1000u
/* Accesses go to the first so many bytes of a bank, or to the last. */
#define AREA 0x100000u

enum { FLASH_WRITE, FLASH_COMMAND, FLASH_READ, CFG_WRITE, CFG_READ, POKE, SHOW, RESET, KINDS };

struct board {
    struct device *flash, *fw_cfg;
    struct gmem gmem;
    uint8_t ram[RAM_SIZE];
    uint8_t *memory;
    bool shown[FLASH_BANKS];
    uint8_t *copy; /* of bank 1's AREA at its start, as stored */
};

static bool show(void *ctx, unsigned bank, bool on)
{
    struct board *b = ctx;
    assert(bank < FLASH_BANKS && b->shown[bank] != on);
    b->shown[bank] = on;
    return true;
}

static int store(void *ctx, uint64_t offset, uint64_t size)
{
    struct board *b = ctx;
    assert(offset < FLASH_BANK_SIZE && size <= FLASH_BANK_SIZE - offset);
    if (offset < AREA && size <= AREA - offset)
        memcpy(b->copy + offset, b->memory + FLASH_BANK_SIZE + offset, size);
    return (offset >> 12) % 7 ? 0 : -1;
}

static void board_create(struct board *b)
{
    static uint8_t *memory, *copy; /* once: zeroing them for each input would be most of the time */
    if (!memory) {
        memory = calloc(FLASH_BANKS, FLASH_BANK_SIZE);
        copy = calloc(1, AREA);
    }
    *b = (struct board){ .memory = memory, .copy = copy };
    if (!memory || !copy || gmem_add(&b->gmem, RAM_BASE, RAM_SIZE, b->ram) < 0)
        abort();
    const struct flash_config flash = {
        .memory = { memory, memory + FLASH_BANK_SIZE }, .show = show, .store = store, .ctx = b
    };
    const struct fw_cfg_config fw_cfg = { .gmem = &b->gmem, .cpus = 2 };
    if (flash_create(&flash, &b->flash) < 0 || fw_cfg_create(&fw_cfg, &b->fw_cfg) < 0)
        abort();
    fw_cfg_set(b->fw_cfg, FW_CFG_KERNEL, FW_CFG_KERNEL_SIZE, "a kernel of some bytes", 22);
}

static void board_destroy(struct board *b)
{
    b->flash->ops->destroy(b->flash);
    b->fw_cfg->ops->destroy(b->fw_cfg);
}

static uint64_t access_device(struct device *d, bool write, uint64_t offset, unsigned width,
                              uint64_t value)
{
    lock_acquire(&d->lock);
    if (write)
        d->ops->write(d, offset, width, value);
    else
        value = d->ops->read(d, offset, width);
    lock_release(&d->lock);
    return value;
}

static void play(struct board *b, const uint8_t *p)
{
    unsigned kind = p[0] % KINDS, width = 1u << (p[1] & 3), bank = p[2] & 1;
    uint64_t value = ld_le64(p + 8), place = ld_le32(p + 4) % AREA;
    uint64_t offset = bank * (uint64_t)FLASH_BANK_SIZE +
                      align_down(p[2] & 2 ? FLASH_BANK_SIZE - 1 - place : place, width);
    uint64_t reg = align_down(p[3] % b->fw_cfg->ops->size, width);
    switch (kind) {
    case FLASH_WRITE:
    case FLASH_COMMAND:
        if (kind == FLASH_COMMAND)
            value = (value & 0xff) | (value & 0xff) << 16;
        access_device(b->flash, true, offset, width, value);
        break;
    case FLASH_READ:
        value = access_device(b->flash, false, offset, width, 0);
        if (b->shown[bank])
            assert(memcmp(&value, b->memory + offset, width) == 0);
        break;
    case CFG_WRITE:
        access_device(b->fw_cfg, true, reg, width, value);
        break;
    case CFG_READ:
        access_device(b->fw_cfg, false, reg, width, 0);
        break;
    case POKE:
        st_le64(b->ram + align_down(place % RAM_SIZE, 8), value);
        break;
    case SHOW:
        assert(flash_show(b->flash, offset) == b->shown[bank]);
        break;
    case RESET:
        lock_acquire(&b->flash->lock);
        b->flash->ops->reset(b->flash);
        lock_release(&b->flash->lock);
        assert(b->shown[0] && b->shown[1]);
        break;
    }
    assert(b->memory[offset] == 0 || bank == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct board b;
    log_set_level(LOG_ERROR);
    board_create(&b);
    for (; size >= RECORD_SIZE; data += RECORD_SIZE, size -= RECORD_SIZE)
        play(&b, data);
    assert(memcmp(b.copy, b.memory + FLASH_BANK_SIZE, AREA) == 0);
    board_destroy(&b);
    return 0;
}

/* Anything, with a liking for commands, one place, and descriptors of copies. */
size_t fuzz_make_input(uint64_t seed, uint8_t *data)
{
    static const uint8_t commands[] = { 0x10, 0x20, 0x40, 0x50, 0x60, 0x70, 0x90,
                                        0x98, 0xd0, 0xe8, 0xff, 0,    1,    31 };
    uint64_t state = seed;
    size_t count = 1 + fuzz_random(&state) % (FUZZ_INPUT_MAX / RECORD_SIZE - 1);
    for (size_t i = 0; i < count; i++) {
        uint8_t *p = data + i * RECORD_SIZE;
        uint64_t r = fuzz_random(&state), v = fuzz_random(&state);
        st_le64(p, r & 0x0000001f1f030307u);
        if (p[0] == CFG_WRITE && r >> 60 & 1) {
            p[1] = 3; /* a copy, whose descriptor may be anywhere */
            p[3] = 16;
            v = __builtin_bswap64(RAM_BASE + (v & 0xff8));
        } else if (p[0] == POKE && r >> 60 & 1) {
            v = (v & 0x1fff) << 48 | (v & 0x1f) << 24;
        } else if (p[0] <= FLASH_COMMAND && r >> 59 & 3) {
            v = commands[v % ARRAY_LEN(commands)] * 0x10001u;
        }
        st_le64(p + 8, v);
    }
    return count * RECORD_SIZE;
}
