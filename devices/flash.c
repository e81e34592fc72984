/*
 * NOR flash with the command set of Intel's StrataFlash (CFI command set 1; JESD68.01 and Intel's
 * "Common Flash Interface and Command Sets", AP-646): on each bank two chips of 16 bits beside each
 * other, so a word of 32 bits has a half for each, and commands and answers are there twice.
 *
 * Programming clears bits, as in NOR cells; erasing sets those of a block. Both are done at once,
 * so the status is always ready.
 */
#include "devices/flash.h"

#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/bytes.h"

#define BLOCK_SIZE  0x40000u /* of a bank: two of the chips' */
#define BUFFER_SIZE 128u     /* of the two write buffers */

enum command {
    CMD_NONE = 0x00,
    CMD_PROGRAM_OLD = 0x10,
    CMD_ERASE = 0x20,
    CMD_PROGRAM = 0x40,
    CMD_CLEAR_STATUS = 0x50,
    CMD_LOCK = 0x60,
    CMD_READ_STATUS = 0x70,
    CMD_READ_ID = 0x90,
    CMD_READ_QUERY = 0x98,
    CMD_CONFIRM = 0xd0,
    CMD_BUFFER = 0xe8,
    CMD_READ_ARRAY = 0xff,
};

enum { STATUS_READY = 0x80, STATUS_ERASE_ERROR = 0x20, STATUS_PROGRAM_ERROR = 0x10 };
enum { STATUS_LOCKED = 0x02, STATUS_SEQUENCE_ERROR = 0x30 };

enum mode { MODE_ARRAY, MODE_STATUS, MODE_ID, MODE_QUERY };

/* What the next write is, after the command that waits for it. */
enum phase { PHASE_COMMAND, PHASE_ARGUMENT, PHASE_DATA, PHASE_CONFIRM };

struct bank {
    uint8_t *memory;
    bool locked, shown;
    enum mode mode;
    enum phase phase;
    uint8_t command; /* in a phase but the first */
    uint8_t status;  /* errors; ready comes on top */
    uint32_t page;   /* that the buffer is for; UINT32_MAX: the first word will tell */
    unsigned words;  /* still to come */
    uint8_t buffer[BUFFER_SIZE];
};

struct flash {
    struct device device; /* first */
    struct flash_config config;
    struct bank bank[FLASH_BANKS];
};

static struct flash *flash_of(struct device *d)
{
    return CONTAINER_OF(d, struct flash, device);
}

/* ------------------------------------------------------------------ answers */

/* The query table of one chip from word 0x10 on (AP-646, tables 1 to 5): 32 MiB, 256 blocks of 128
 * KiB, a buffer of 64 bytes. */
static const uint8_t query[] = {
    'Q',  'R',  'Y',  0x01, 0x00,                     /* command set: Intel's */
    0x31, 0x00,                                       /* where its extension is */
    0,    0,    0,    0,                              /* no other command set */
    0x45, 0x55, 0x00, 0x00,                           /* volts */
    0x07, 0x07, 0x0a, 0x00,                           /* typical times, as powers of 2 */
    0x04, 0x04, 0x04, 0x00,                           /* and how much longer they may be */
    25,                                               /* log2 of the size */
    0x02, 0x00,                                       /* 8 or 16 bits */
    6,    0,                                          /* log2 of the buffer */
    1,                                                /* kind of block: */
    0xff, 0x00, 0x00, 0x02, 'P',  'R', 'I', '1', '0', /* word 0x31: nothing optional */
    0,    0,    0,    0,    0,    0,   0,   0,   0,
};

enum { QUERY_FIRST = 0x10 };

/* Manufacturer, device, and whether the block is locked. */
static uint16_t flash_id(const struct bank *b, uint32_t word)
{
    switch (word % (BLOCK_SIZE / 4)) {
    case 0:
        return 0x89;
    case 1:
        return 0x18;
    case 2:
        return b->locked;
    default:
        return 0;
    }
}

static uint16_t flash_query(uint32_t word)
{
    uint32_t at = (word & 0xff) - QUERY_FIRST;
    return at < sizeof query ? query[at] : 0;
}

static uint16_t flash_answer(const struct bank *b, uint32_t offset)
{
    switch (b->mode) {
    case MODE_ID:
        return flash_id(b, offset / 4);
    case MODE_QUERY:
        return flash_query(offset / 4);
    default:
        return STATUS_READY | b->status;
    }
}

static uint64_t flash_read(struct device *d, uint64_t offset, unsigned width)
{
    const struct bank *b = &flash_of(d)->bank[offset / FLASH_BANK_SIZE];
    uint32_t at = (uint32_t)(offset % FLASH_BANK_SIZE);
    uint8_t word[8] = { 0 };
    if (b->mode == MODE_ARRAY) {
        memcpy(word, b->memory + at, width);
        return ld_le64(word);
    }
    for (unsigned i = 0; i < 8; i += 2)
        st_le16(word + i, flash_answer(b, (at & ~7u) + i));
    return bits(ld_le64(word), 63, 8 * (at & 7)) & ones(8 * width);
}

/* ------------------------------------------------------------------ changes */

static void flash_store(struct flash *f, struct bank *b, uint32_t offset, uint32_t size,
                        uint8_t error)
{
    if (f->config.store(f->config.ctx, offset, size) < 0)
        b->status |= error;
}

/* Clear the bits that are zero in `bytes`. */
static void flash_program(struct flash *f, struct bank *b, uint32_t offset, const uint8_t *bytes,
                          unsigned n)
{
    if (b->locked) {
        b->status |= STATUS_PROGRAM_ERROR | STATUS_LOCKED;
        return;
    }
    for (unsigned i = 0; i < n; i++)
        b->memory[offset + i] &= bytes[i];
    flash_store(f, b, offset, n, STATUS_PROGRAM_ERROR);
}

static void flash_erase(struct flash *f, struct bank *b, uint32_t offset)
{
    uint32_t block = (uint32_t)align_down(offset, BLOCK_SIZE);
    if (b->locked) {
        b->status |= STATUS_ERASE_ERROR | STATUS_LOCKED;
        return;
    }
    memset(b->memory + block, 0xff, BLOCK_SIZE);
    flash_store(f, b, block, BLOCK_SIZE, STATUS_ERASE_ERROR);
}

/* ------------------------------------------------------------------ commands */

/* The first write of a sequence; all but those that read end in the status. */
static void flash_command(struct bank *b, uint8_t command)
{
    b->phase = PHASE_COMMAND;
    b->command = command;
    b->mode = MODE_STATUS;
    switch (command) {
    case CMD_PROGRAM:
    case CMD_PROGRAM_OLD:
    case CMD_ERASE:
    case CMD_LOCK:
    case CMD_BUFFER:
        b->phase = PHASE_ARGUMENT;
        break;
    case CMD_READ_STATUS:
        break;
    case CMD_READ_ID:
        b->mode = MODE_ID;
        break;
    case CMD_READ_QUERY:
        b->mode = MODE_QUERY;
        break;
    case CMD_CLEAR_STATUS:
        b->status = 0;
        b->mode = MODE_ARRAY;
        break;
    default: /* 0xff, and what other command sets reset with */
        b->mode = MODE_ARRAY;
        break;
    }
}

static void flash_give_up(struct bank *b)
{
    b->status |= STATUS_SEQUENCE_ERROR;
    b->phase = PHASE_COMMAND;
}

/* How many words will come: the count is what each chip is told, less one. */
static void flash_begin_buffer(struct bank *b, uint64_t value)
{
    b->words = (unsigned)(value & 0xffff) + 1;
    b->page = UINT32_MAX;
    memset(b->buffer, 0xff, sizeof b->buffer);
    b->phase = PHASE_DATA;
    if (b->words > BUFFER_SIZE / 4)
        flash_give_up(b);
}

static void flash_fill_buffer(struct bank *b, uint32_t offset, const uint8_t *bytes, unsigned width)
{
    if (b->page == UINT32_MAX)
        b->page = (uint32_t)align_down(offset, BUFFER_SIZE);
    if (offset - b->page > BUFFER_SIZE - width) {
        flash_give_up(b);
        return;
    }
    memcpy(b->buffer + (offset - b->page), bytes, width);
    if (--b->words == 0)
        b->phase = PHASE_CONFIRM;
}

/* The second write of a sequence. */
static void flash_argument(struct flash *f, struct bank *b, uint32_t offset, const uint8_t *bytes,
                           unsigned width)
{
    b->phase = PHASE_COMMAND;
    switch (b->command) {
    case CMD_BUFFER:
        flash_begin_buffer(b, ld_le64(bytes));
        break;
    case CMD_ERASE:
        if (bytes[0] == CMD_CONFIRM)
            flash_erase(f, b, offset);
        else
            flash_give_up(b);
        break;
    case CMD_LOCK: /* blocks of bank 1 cannot be locked, those of bank 0 not unlocked */
        break;
    default:
        flash_program(f, b, offset, bytes, width);
        break;
    }
}

static void flash_update_view(struct flash *f, struct bank *b, bool show)
{
    bool array = b->mode == MODE_ARRAY;
    if (b->shown == array || (array && !show))
        return;
    b->shown = f->config.show(f->config.ctx, (unsigned)(b - f->bank), array) && array;
}

static void flash_write(struct device *d, uint64_t offset, unsigned width, uint64_t value)
{
    struct flash *f = flash_of(d);
    struct bank *b = &f->bank[offset / FLASH_BANK_SIZE];
    uint32_t at = (uint32_t)(offset % FLASH_BANK_SIZE);
    uint8_t bytes[8];
    st_le64(bytes, value);
    switch (b->phase) {
    case PHASE_COMMAND:
        flash_command(b, bytes[0]);
        break;
    case PHASE_ARGUMENT:
        flash_argument(f, b, at, bytes, width);
        break;
    case PHASE_DATA:
        flash_fill_buffer(b, at, bytes, width);
        break;
    case PHASE_CONFIRM:
        b->phase = PHASE_COMMAND;
        if (bytes[0] == CMD_CONFIRM)
            flash_program(f, b, b->page, b->buffer, BUFFER_SIZE);
        else
            flash_give_up(b);
        break;
    }
    flash_update_view(f, b, false);
}

/* ------------------------------------------------------------------ the device */

bool flash_show(struct device *d, uint64_t offset)
{
    struct flash *f = flash_of(d);
    if (offset >= FLASH_BANKS * FLASH_BANK_SIZE)
        return false;
    struct bank *b = &f->bank[offset / FLASH_BANK_SIZE];
    lock_acquire(&d->lock);
    flash_update_view(f, b, true);
    bool shown = b->shown;
    lock_release(&d->lock);
    return shown;
}

static void flash_reset(struct device *d)
{
    struct flash *f = flash_of(d);
    for (unsigned i = 0; i < FLASH_BANKS; i++) {
        struct bank *b = &f->bank[i];
        b->mode = MODE_ARRAY;
        b->phase = PHASE_COMMAND;
        b->status = 0;
        flash_update_view(f, b, true);
    }
}

/* Linux, bindings/mtd/mtd-physmap.yaml. */
static int flash_fdt(const struct device *d, void *fdt, const struct device_place *place)
{
    (void)d;
    char name[32];
    fdt32_t reg[4 * FLASH_BANKS];
    snprintf(name, sizeof name, "flash@%llx", (unsigned long long)place->base);
    for (unsigned i = 0; i < FLASH_BANKS; i++) {
        uint64_t base = place->base + (uint64_t)i * FLASH_BANK_SIZE;
        reg[4 * i] = cpu_to_fdt32((uint32_t)(base >> 32));
        reg[4 * i + 1] = cpu_to_fdt32((uint32_t)base);
        reg[4 * i + 2] = 0;
        reg[4 * i + 3] = cpu_to_fdt32(FLASH_BANK_SIZE);
    }
    if (fdt_begin_node(fdt, name) || fdt_property_string(fdt, "compatible", "cfi-flash") ||
        fdt_property(fdt, "reg", reg, sizeof reg) || fdt_property_u32(fdt, "bank-width", 4) ||
        fdt_end_node(fdt))
        return -ENOSPC;
    return 0;
}

static void flash_destroy(struct device *d)
{
    lock_fini(&d->lock);
    free(flash_of(d));
}

static const struct device_ops flash_ops = {
    .name = "flash",
    .size = FLASH_BANKS * FLASH_BANK_SIZE,
    .min_width = 1,
    .max_width = 8,
    .read = flash_read,
    .write = flash_write,
    .reset = flash_reset,
    .fdt = flash_fdt,
    .destroy = flash_destroy,
};

int flash_create(const struct flash_config *config, struct device **out)
{
    struct flash *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    f->device.ops = &flash_ops;
    lock_init(&f->device.lock, LOCK_DEVICE);
    f->config = *config;
    for (unsigned i = 0; i < FLASH_BANKS; i++) {
        f->bank[i].memory = config->memory[i];
        f->bank[i].locked = i == 0;
    }
    *out = &f->device;
    return 0;
}
