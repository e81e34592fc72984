/*
 * What the ITS's commands do (IHI 0069H section 5.3), and the walks of its tables:
 *
 *   device table       by DeviceID, flat or in two levels   V, ITT address, bits of EventID - 1
 *   translation table  by EventID, one for each device      V, collection, INTID
 *   collection table   by collection, flat or in two levels V, CPU
 */
#include "base/bits.h"
#include "base/bytes.h"
#include "gic/gicv3_state.h"

#define ENTRY_SIZE  8u
#define ENTRY_VALID (1ull << 63)

#define ITT_ADDRESS 0x000fffffffffff00ull /* of MAPD and of a device's entry */
#define LEVEL1_MASK 0x000ffffffffff000ull

static bool entry_read(const struct gicv3 *g, uint64_t address, uint64_t *entry)
{
    uint8_t bytes[ENTRY_SIZE];

    if (gicv3_guest_read(g, address, bytes, sizeof bytes) < 0)
        return false;
    *entry = ld_le64(bytes);
    return true;
}

static void entry_write(const struct gicv3 *g, uint64_t address, uint64_t entry)
{
    uint8_t bytes[ENTRY_SIZE];

    st_le64(bytes, entry);
    (void)gicv3_guest_write(g, address, bytes, sizeof bytes); /* no memory: not mapped */
}

/* --- tables --- */

/* Where the entry `id` of a table is. False if the table has none. */
static bool table_find(const struct gicv3 *g, unsigned table, uint64_t id, uint64_t *address)
{
    uint64_t baser = g->its.baser[table], level1;
    uint64_t page = 4096ull << 2 * bits(baser, 9, 8), size = (bits(baser, 7, 0) + 1) * page;
    uint64_t base = baser & 0x0000fffffffff000ull;

    if (!(baser & ITS_BASER_VALID) || id >> ITS_ID_BITS)
        return false;
    if (page == 65536) /* <15:12> are bits 51 to 48 */
        base = (base & ~0xffffull) | bits(base, 15, 12) << 48;
    if (baser & ITS_BASER_INDIRECT) {
        uint64_t n = id / (page / ENTRY_SIZE) * ENTRY_SIZE;

        if (n >= size || !entry_read(g, base + n, &level1) || !(level1 & ENTRY_VALID))
            return false;
        base = level1 & LEVEL1_MASK & ~(page - 1);
        id %= page / ENTRY_SIZE;
    } else if (id * ENTRY_SIZE >= size) {
        return false;
    }
    *address = base + id * ENTRY_SIZE;
    return true;
}

static bool collection_cpu(const struct gicv3 *g, uint64_t collection, unsigned *cpu)
{
    uint64_t address, entry;

    if (!table_find(g, ITS_COLLECTIONS, collection, &address) || !entry_read(g, address, &entry) ||
        !(entry & ENTRY_VALID) || (entry & 0xffff) >= GICV3_MAX_CPUS)
        return false;
    *cpu = (unsigned)(entry & 0xffff);
    return true;
}

/* Where the translation of an event of a mapped device is. */
static bool event_find(const struct gicv3 *g, uint64_t device, uint64_t event, uint64_t *address)
{
    uint64_t entry;

    if (!table_find(g, ITS_DEVICES, device, address) || !entry_read(g, *address, &entry) ||
        !(entry & ENTRY_VALID) || event >> (bits(entry, 4, 0) + 1) || event >> ITS_ID_BITS)
        return false;
    *address = (entry & ITT_ADDRESS) + event * ENTRY_SIZE;
    return true;
}

struct translation {
    uint64_t address; /* of its entry */
    unsigned intid, collection;
};

static bool event_translate(const struct gicv3 *g, uint64_t device, uint64_t event,
                            struct translation *t)
{
    uint64_t entry;

    if (!event_find(g, device, event, &t->address) || !entry_read(g, t->address, &entry) ||
        !(entry & ENTRY_VALID) || !lpi_exists(entry & 0xffff))
        return false;
    t->intid = entry & 0xffff;
    t->collection = (unsigned)bits(entry, 31, 16);
    return true;
}

/* --- commands --- */

/* Fields that commands share. */
#define COMMAND_DEVICE(c)     bits((c)[0], 63, 32)
#define COMMAND_EVENT(c)      bits((c)[1], 31, 0)
#define COMMAND_COLLECTION(c) bits((c)[2], 15, 0)
#define COMMAND_VALID(c)      bit((c)[2], 63)

static bool command_cpu(uint64_t word, unsigned *cpu)
{
    uint64_t n = bits(word, 50, 16); /* RDbase */

    *cpu = (unsigned)n;
    return n < GICV3_MAX_CPUS;
}

static unsigned its_mapd(struct gicv3 *g, const uint64_t *c)
{
    uint64_t address;

    if (table_find(g, ITS_DEVICES, COMMAND_DEVICE(c), &address) && bits(c[1], 4, 0) < ITS_ID_BITS)
        entry_write(g, address,
                    COMMAND_VALID(c) ? ENTRY_VALID | (c[2] & ITT_ADDRESS) | bits(c[1], 4, 0) : 0);
    return 0;
}

static unsigned its_mapc(struct gicv3 *g, const uint64_t *c)
{
    uint64_t address;
    unsigned cpu;

    if (!table_find(g, ITS_COLLECTIONS, COMMAND_COLLECTION(c), &address))
        return 0;
    if (!COMMAND_VALID(c))
        entry_write(g, address, 0);
    else if (command_cpu(c[2], &cpu))
        entry_write(g, address, ENTRY_VALID | cpu);
    return 0;
}

/* An event has an entry if its device is mapped; its collection may be mapped later. */
static unsigned its_map_event(struct gicv3 *g, const uint64_t *c, uint64_t intid)
{
    uint64_t address, collection;

    if (lpi_exists(intid) && event_find(g, COMMAND_DEVICE(c), COMMAND_EVENT(c), &address) &&
        table_find(g, ITS_COLLECTIONS, COMMAND_COLLECTION(c), &collection))
        entry_write(g, address, ENTRY_VALID | COMMAND_COLLECTION(c) << 16 | intid);
    return 0;
}

static unsigned its_mapti(struct gicv3 *g, const uint64_t *c)
{
    return its_map_event(g, c, bits(c[1], 63, 32));
}

static unsigned its_mapi(struct gicv3 *g, const uint64_t *c)
{
    return its_map_event(g, c, COMMAND_EVENT(c));
}

static unsigned its_movi(struct gicv3 *g, const uint64_t *c)
{
    struct translation t;
    unsigned from, to;

    if (!event_translate(g, COMMAND_DEVICE(c), COMMAND_EVENT(c), &t) ||
        !collection_cpu(g, t.collection, &from) || !collection_cpu(g, COMMAND_COLLECTION(c), &to))
        return 0;
    entry_write(g, t.address, ENTRY_VALID | COMMAND_COLLECTION(c) << 16 | t.intid);
    lpi_move(g, t.intid, from, to);
    return 0;
}

static unsigned its_movall(struct gicv3 *g, const uint64_t *c)
{
    unsigned from, to;

    return command_cpu(c[2], &from) && command_cpu(c[3], &to) ? lpi_move_all(g, from, to) : 0;
}

static unsigned its_int(struct gicv3 *g, const uint64_t *c)
{
    its_message(g, (uint32_t)COMMAND_DEVICE(c), (uint32_t)COMMAND_EVENT(c));
    return 0;
}

static unsigned its_clear(struct gicv3 *g, const uint64_t *c)
{
    struct translation t;

    if (event_translate(g, COMMAND_DEVICE(c), COMMAND_EVENT(c), &t))
        lpi_clear(g, t.intid);
    return 0;
}

static unsigned its_discard(struct gicv3 *g, const uint64_t *c)
{
    struct translation t;

    if (event_translate(g, COMMAND_DEVICE(c), COMMAND_EVENT(c), &t)) {
        lpi_clear(g, t.intid);
        entry_write(g, t.address, 0);
    }
    return 0;
}

static unsigned its_inv(struct gicv3 *g, const uint64_t *c)
{
    struct translation t;

    if (event_translate(g, COMMAND_DEVICE(c), COMMAND_EVENT(c), &t))
        lpi_reload(g, t.intid);
    return 0;
}

static unsigned its_invall(struct gicv3 *g, const uint64_t *c)
{
    unsigned cpu;

    return collection_cpu(g, COMMAND_COLLECTION(c), &cpu) ? lpi_reload_all(g, cpu) : 0;
}

/* Every command is complete when it is done. */
static unsigned its_sync(struct gicv3 *g, const uint64_t *c)
{
    (void)g, (void)c;
    return 0;
}

unsigned its_command(struct gicv3 *g, const uint64_t command[4])
{
    static unsigned (*const commands[])(struct gicv3 *g, const uint64_t *command) = {
        [0x01] = its_movi, [0x03] = its_int,    [0x04] = its_clear,  [0x05] = its_sync,
        [0x08] = its_mapd, [0x09] = its_mapc,   [0x0a] = its_mapti,  [0x0b] = its_mapi,
        [0x0c] = its_inv,  [0x0d] = its_invall, [0x0e] = its_movall, [0x0f] = its_discard,
    };
    unsigned n = command[0] & 0xff;

    return n < sizeof commands / sizeof commands[0] && commands[n] ? commands[n](g, command) : 0;
}

void its_message(struct gicv3 *g, uint32_t device, uint32_t event)
{
    struct translation t;
    unsigned cpu;

    if (g->its.enabled && event_translate(g, device, event, &t) &&
        collection_cpu(g, t.collection, &cpu))
        lpi_pend(g, cpu, t.intid);
}
