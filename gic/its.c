/*
 * The ITS's registers (IHI 0069H section 12.19) and its command queue (section 5.3): GITS_* at 0,
 * the translation register's frame at 0x10000. The commands are in its_command.c.
 */
#include "gic/its.h"

#include "base/bits.h"
#include "base/bytes.h"
#include "gic/gicv3_state.h"

enum {
    GITS_CTLR = 0x0000,
    GITS_IIDR = 0x0004,
    GITS_TYPER = 0x0008,
    GITS_CBASER = 0x0080,
    GITS_CWRITER = 0x0088,
    GITS_CREADR = 0x0090,
    GITS_BASER = 0x0100,
    GITS_BASER_END = GITS_BASER + 8 * ITS_TABLES,
    GITS_PIDR2 = 0xffe8,
    GITS_TRANSLATER = 0x10040,
};

#define GITS_CTLR_ENABLED   (1u << 0)
#define GITS_CTLR_QUIESCENT (1u << 31)

/* Physical LPIs, entries of 8 bytes, 16 bits of every ID; collections are in memory, and name their
 * redistributor by GICR_TYPER.Processor_Number. */
#define GITS_TYPER_VALUE                                                                           \
    (1ull | 7ull << 4 | (ITS_ID_BITS - 1ull) << 8 | (ITS_ID_BITS - 1ull) << 13 |                   \
     (ITS_ID_BITS - 1ull) << 32 | 1ull << 36)

#define CBASER_MASK    0xb8effffffffffcffull
#define CBASER_VALID   (1ull << 63)
#define CBASER_ADDRESS 0x000ffffffffff000ull

/* A command, and a step of one that concerns many interrupts, cost 1. This is twice the longest
 * queue, and a millisecond or so. */
#define ITS_SHARE 65536u

/* Type and entry size of each table. */
static const uint64_t its_baser_fixed[ITS_TABLES] = {
    [ITS_DEVICES] = 1ull << 56 | 7ull << 48,
    [ITS_COLLECTIONS] = 4ull << 56 | 7ull << 48,
};

void its_reset(struct its *s)
{
    *s = (struct its){ 0 };
}

static uint32_t its_queue_size(const struct its *s)
{
    return ((uint32_t)bits(s->cbaser, 7, 0) + 1) * 4096;
}

static void its_run(struct gicv3 *g)
{
    struct its *s = &g->its;
    uint64_t queue = s->cbaser & CBASER_ADDRESS;
    unsigned cost = 0;

    if (!s->enabled || !(s->cbaser & CBASER_VALID))
        return;
    while (s->creadr != s->cwriter && cost < ITS_SHARE) {
        uint8_t bytes[ITS_COMMAND_SIZE];
        uint64_t command[4];

        cost++;
        if (gicv3_guest_read(g, queue + s->creadr, bytes, sizeof bytes) == 0) {
            for (unsigned i = 0; i < 4; i++)
                command[i] = ld_le64(bytes + 8 * i);
            cost += its_command(g, command);
        }
        s->creadr = (s->creadr + ITS_COMMAND_SIZE) % its_queue_size(s);
    }
}

/* The 64-bit register at the 8-byte aligned `offset`. */
static uint64_t its_read_long(const struct its *s, uint64_t offset)
{
    switch (offset) {
    case GITS_CTLR:
        return (uint64_t)GICV3_IIDR << 32 | (s->enabled ? GITS_CTLR_ENABLED : GITS_CTLR_QUIESCENT);
    case GITS_TYPER:
        return GITS_TYPER_VALUE;
    case GITS_CBASER:
        return s->cbaser;
    case GITS_CWRITER:
        return s->cwriter;
    case GITS_CREADR:
        return s->creadr;
    case GITS_PIDR2:
        return GICV3_PIDR2;
    default:
        if (offset >= GITS_BASER && offset < GITS_BASER_END)
            return s->baser[(offset - GITS_BASER) / 8] | its_baser_fixed[(offset - GITS_BASER) / 8];
        return 0;
    }
}

/* Page sizes of 4, 16 and 64 KiB; the reserved value is the last. */
static uint64_t its_baser_value(uint64_t value)
{
    if (bits(value, 9, 8) == 3)
        value &= ~(1ull << 8);
    return value & ITS_BASER_MASK;
}

/* Tables and the queue's place are constant while the ITS is enabled. */
static void its_write_long(struct its *s, uint64_t offset, uint64_t value)
{
    switch (offset) {
    case GITS_CTLR:
        s->enabled = value & GITS_CTLR_ENABLED;
        break;
    case GITS_CBASER:
        if (s->enabled)
            break;
        s->cbaser = value & CBASER_MASK;
        s->creadr = 0;
        s->cwriter = 0;
        break;
    case GITS_CWRITER:
        value = value & 0xfffe0;
        if (value < its_queue_size(s))
            s->cwriter = (uint32_t)value;
        break;
    default:
        if (offset >= GITS_BASER && offset < GITS_BASER_END && !s->enabled)
            s->baser[(offset - GITS_BASER) / 8] = its_baser_value(value);
        break;
    }
}

uint64_t gicv3_its_read(struct gicv3 *g, uint64_t offset, unsigned width)
{
    if (width < 4 || offset % width)
        return 0;
    lock_acquire(&g->lock);
    its_run(g);
    gicv3_update(g);
    uint64_t value = its_read_long(&g->its, offset & ~7ull);
    lock_release(&g->lock);
    return width == 8 ? value : (uint32_t)(value >> 8 * (offset % 8));
}

void gicv3_its_write(struct gicv3 *g, uint64_t offset, unsigned width, uint64_t value)
{
    unsigned place = 8 * (offset % 8);

    if (offset == GITS_TRANSLATER && (width == 2 || width == 4)) {
        gicv3_its_message(g, GICV3_ITS_CPU_DEVICE, (uint32_t)value);
        return;
    }
    if (width < 4 || offset % width)
        return;
    lock_acquire(&g->lock);
    if (width == 4) { /* the other half stays as it is */
        uint64_t before = its_read_long(&g->its, offset & ~7ull);
        value = (before & ~(0xffffffffull << place)) | (value & 0xffffffff) << place;
    }
    its_write_long(&g->its, offset & ~7ull, value);
    its_run(g);
    gicv3_update(g);
    lock_release(&g->lock);
}

void gicv3_its_message(struct gicv3 *g, uint32_t device, uint32_t event)
{
    lock_acquire(&g->lock);
    its_message(g, device, event);
    gicv3_update(g);
    lock_release(&g->lock);
}

uint8_t *its_save(const struct its *s, uint8_t *p)
{
    const uint64_t words[ITS_SAVE_SIZE / 8] = { s->enabled, s->cbaser,   s->cwriter,
                                                s->creadr,  s->baser[0], s->baser[1] };

    for (unsigned i = 0; i < ITS_SAVE_SIZE / 8; i++, p += 8)
        st_le64(p, words[i]);
    return p;
}

const uint8_t *its_restore(struct its *s, const uint8_t *p)
{
    its_reset(s);
    its_write_long(s, GITS_CBASER, ld_le64(p + 8));
    its_write_long(s, GITS_CWRITER, ld_le64(p + 24)); /* what holds for one holds for the other */
    s->creadr = s->cwriter;
    its_write_long(s, GITS_CWRITER, ld_le64(p + 16));
    its_write_long(s, GITS_BASER, ld_le64(p + 32));
    its_write_long(s, GITS_BASER + 8, ld_le64(p + 40));
    s->enabled = p[0] & 1;
    return p + ITS_SAVE_SIZE;
}
