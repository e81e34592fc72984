/*
 * The ITS and LPIs of a GICv3 (IHI 0069H chapter 5), one CPU and several: devices and events
 * mapped, messages from a device (by INT) and from a CPU (by GITS_TRANSLATER, as device 0),
 * interrupts moved, masked, cleared and discarded, tables flat and in two levels, pending tables
 * read and written.
 *
 * CPU 0 runs the tests; another one only takes what comes.
 */
#include "gickit.h"

#define GITS       0x08080000ul
#define TRANSLATER (GITS + 0x10040)

enum {
    GITS_TYPER = 0x08,
    GITS_CBASER = 0x80,
    GITS_CWRITER = 0x88,
    GITS_CREADR = 0x90,
    GITS_BASER0 = 0x100,
    GITS_BASER1 = 0x108,
    GICR_PROPBASER = 0x70,
    GICR_PENDBASER = 0x78,
};

#define IS_VALID (1ul << 63)
#define INDIRECT (1ul << 62)
#define PTZ      (1ul << 62)

/* Tables, in memory that is nobody's. */
#define QUEUE       (TARGET + 0x000000)
#define QUEUE_SIZE  0x10000u
#define DEVICES     (TARGET + 0x010000)
#define COLLECTIONS (TARGET + 0x020000)
#define CONFIG      (TARGET + 0x030000)
#define LEVEL2      (TARGET + 0x040000)
#define ITT         (TARGET + 0x050000)
#define PENDING     (TARGET + 0x100000) /* 64 KiB for each CPU */

#define LPI 8192u

enum { DEVICE_CPU = 0, DISK = 5, NIC = 77 };

static uint32_t written;

static volatile uint64_t *word(uint64_t address)
{
    return (volatile uint64_t *)address;
}

/* --- commands --- */

static void put(uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3)
{
    volatile uint64_t *at = word(QUEUE + written);

    at[0] = w0, at[1] = w1, at[2] = w2, at[3] = w3;
    written = (written + 32) % QUEUE_SIZE;
}

static void go(void)
{
    DO("dsb sy");
    *word(GITS + GITS_CWRITER) = written;
    while (*word(GITS + GITS_CREADR) != written)
        ;
}

static void movi(uint64_t device, uint64_t event, uint64_t collection)
{
    put(device << 32 | 0x01, event, collection, 0);
}

static void interrupt(uint64_t device, uint64_t event)
{
    put(device << 32 | 0x03, event, 0, 0);
    go();
}

static void clear(uint64_t device, uint64_t event)
{
    put(device << 32 | 0x04, event, 0, 0);
    go();
}

static void mapd(uint64_t device, uint64_t event_bits, uint64_t itt)
{
    put(device << 32 | 0x08, event_bits - 1, itt | IS_VALID, 0);
    go();
}

static void mapc(uint64_t collection, uint64_t cpu)
{
    put(0x09, 0, collection | cpu << 16 | IS_VALID, 0);
    go();
}

static void mapti(uint64_t device, uint64_t event, uint64_t intid, uint64_t collection)
{
    put(device << 32 | 0x0a, intid << 32 | event, collection, 0);
    go();
}

static void inv(uint64_t device, uint64_t event)
{
    put(device << 32 | 0x0c, event, 0, 0);
    go();
}

static void invall(uint64_t collection)
{
    put(0x0d, 0, collection, 0);
    go();
}

static void sync_cpu(uint64_t cpu)
{
    put(0x05, 0, cpu << 16, 0);
    go();
}

/* --- set-up --- */

static volatile uint8_t *config(unsigned intid)
{
    return (volatile uint8_t *)CONFIG + intid - LPI;
}

static uint64_t redistributor(unsigned cpu)
{
    return GICR + cpu * GICR_STRIDE;
}

static void fill(uint64_t from, uint64_t size, uint64_t value)
{
    for (uint64_t at = from; at < from + size; at += 8)
        *word(at) = value;
}

static void lpis_on(unsigned cpu, uint64_t pending)
{
    *word(redistributor(cpu) + GICR_PROPBASER) = CONFIG | 15;
    *word(redistributor(cpu) + GICR_PENDBASER) = pending;
    wr(redistributor(cpu), 1);
}

static void open_its(uint64_t flags)
{
    wr(GITS, 0);
    fill(DEVICES, 0x20000, 0);
    *word(GITS + GITS_CBASER) = QUEUE | (QUEUE_SIZE / 4096 - 1) | IS_VALID;
    *word(GITS + GITS_BASER0) = DEVICES | flags | IS_VALID | 15;
    *word(GITS + GITS_BASER1) = COLLECTIONS | flags | IS_VALID | 15;
    written = 0;
    wr(GITS, 1);
}

/* Events 0 to 3 of three devices, to CPU 0. */
static void map_all(void)
{
    static const unsigned devices[] = { DEVICE_CPU, DISK, NIC };

    mapc(0, 0);
    for (unsigned d = 0; d < COUNT(devices); d++) {
        mapd(devices[d], 4, ITT + 0x1000 * d);
        for (unsigned e = 0; e < 4; e++)
            mapti(devices[d], e, LPI + 10 * d + e, 0);
    }
    sync_cpu(0);
}

static unsigned take(void)
{
    unsigned intid = gic_ack();

    if (intid != SPURIOUS)
        gic_eoi(intid);
    return intid;
}

/* --- tests --- */

static void test_registers(void)
{
    check("GITS_TYPER", "physical LPIs, entries of 8 bytes, 16 bits of ID",
          *word(GITS + GITS_TYPER), 0x1f0001ef71);
    check("GITS_CTLR", "off and quiescent", rd(GITS), 1u << 31);
    check("GITS_BASER0", "devices", *word(GITS + GITS_BASER0) >> 48 & 0x71f, 0x107);
    check("GITS_BASER1", "collections", *word(GITS + GITS_BASER1) >> 48 & 0x71f, 0x407);
    check("GITS_BASER2", "is none", *word(GITS + GITS_BASER1 + 8), 0);
    check("GICD_TYPER", "LPIS", rd(GICD + TYPER) >> 17 & 1, 1);
    check("GICR_TYPER", "PLPIS", rd(GICR + 8) & 1, 1);
    check("GICR_CTLR", "off, and can be switched off again", rd(GICR), 2);
}

static void test_messages(void)
{
    unsigned errors = 0;

    interrupt(DISK, 2);
    check("INT", "is an IRQ", irq_line(), 1);
    check("INT", "ICC_HPPIR1 names it", gic_highest(), LPI + 12);
    check("INT", "taken", gic_ack(), LPI + 12);
    check("INT", "at its priority", gic_running(), 0xa0);
    check("INT", "once", irq_line(), 0);
    gic_eoi(LPI + 12);
    check("INT", "ended", gic_running(), 0xff);
    for (unsigned e = 0; e < 4; e++) {
        wr(TRANSLATER, e);
        if (take() != LPI + e)
            errors++;
        wr(TRANSLATER, e);
        wr(TRANSLATER, e);
        if (take() != LPI + e || take() != SPURIOUS)
            errors++;
    }
    check("GITS_TRANSLATER", "each event once until it is taken", errors, 0);
    *(volatile uint16_t *)TRANSLATER = 3;
    check("GITS_TRANSLATER", "by half-word", take(), LPI + 3);
    wr8(TRANSLATER, 3);
    wr(TRANSLATER, 4);
    wr(TRANSLATER, UINT32_MAX);
    interrupt(NIC + 1, 0);
    interrupt(1u << 16, 0);
    interrupt(DISK, 16);
    check("not mapped", "nothing", take(), SPURIOUS);
    check("GITS_TRANSLATER", "reads as zero", rd(TRANSLATER), 0);
}

static void test_mask(void)
{
    *config(LPI + 20) = 0xa0;
    inv(NIC, 0);
    interrupt(NIC, 0);
    check("disabled", "not taken", take(), SPURIOUS);
    *config(LPI + 20) = 0xa1;
    inv(NIC, 0);
    check("enabled by INV", "taken", take(), LPI + 20);
    *config(LPI + 20) = *config(LPI + 21) = 0;
    interrupt(NIC, 0);
    interrupt(NIC, 1);
    *config(LPI + 20) = 0x81;
    *config(LPI + 21) = 0x41;
    invall(0);
    check("enabled by INVALL", "the more urgent first", take(), LPI + 21);
    check("enabled by INVALL", "the other", take(), LPI + 20);
    interrupt(NIC, 0);
    gic_mask(0x80);
    check("priority mask", "does not let it through", take(), SPURIOUS);
    gic_mask(0x88);
    check("priority mask", "lets it through", gic_ack(), LPI + 20);
    interrupt(NIC, 1);
    check("preemption", "by the more urgent", gic_ack(), LPI + 21);
    check("preemption", "running", gic_running(), 0x40);
    gic_eoi(LPI + 21);
    gic_eoi(LPI + 20);
    gic_mask(0xf8);
    gic_split_end(true);
    interrupt(NIC, 0);
    gic_eoi(gic_ack());
    interrupt(NIC, 0);
    check("EOImode 1", "the priority drop is all", gic_ack(), LPI + 20);
    gic_dir(LPI + 20);
    check("EOImode 1", "DIR does nothing", gic_running(), 0x80);
    gic_eoi(LPI + 20);
    gic_split_end(false);
    *config(LPI + 20) = *config(LPI + 21) = 0xa1;
}

static void test_clear_and_discard(void)
{
    interrupt(DISK, 0);
    clear(DISK, 0);
    check("CLEAR", "no longer pending", take(), SPURIOUS);
    interrupt(DISK, 0);
    put((uint64_t)DISK << 32 | 0x0f, 0, 0, 0);
    go();
    check("DISCARD", "no longer pending", take(), SPURIOUS);
    interrupt(DISK, 0);
    check("DISCARD", "no longer mapped", take(), SPURIOUS);
    mapti(DISK, 0, LPI + 10, 0);
    interrupt(DISK, 0);
    check("MAPTI", "mapped again", take(), LPI + 10);
    mapd(NIC, 14, ITT + 0x10000);
    put((uint64_t)NIC << 32 | 0x0b, LPI + 30, 0, 0); /* MAPI */
    go();
    interrupt(NIC, LPI + 30);
    check("MAPI", "the event is the interrupt", take(), LPI + 30);
    put((uint64_t)NIC << 32 | 0x08, 0, 0, 0);
    go();
    interrupt(NIC, LPI + 30);
    check("MAPD", "not valid: unmapped", take(), SPURIOUS);
    map_all();
}

static void test_pending_table(void)
{
    for (unsigned e = 0; e < 4; e++)
        interrupt(DISK, e);
    wr(GICR, 0);
    DO("dsb sy");
    check("EnableLPIs 0", "nothing is signalled", irq_line(), 0);
    check("EnableLPIs 0", "the table has what was pending",
          *(volatile uint32_t *)(PENDING + LPI / 8), 15u << 10);
    *(volatile uint32_t *)(PENDING + LPI / 8) = 1u << 11 | 1u << 31;
    lpis_on(0, PENDING);
    check("EnableLPIs 1", "the table's is pending", take(), LPI + 11);
    check("EnableLPIs 1", "all of it", take(), LPI + 31);
    check("EnableLPIs 1", "and no more", take(), SPURIOUS);
}

/* A queue that goes around, with a message in each command. */
static void test_many(void)
{
    unsigned errors = 0;

    for (unsigned i = 0; i < 3 * QUEUE_SIZE / 32 + 7; i++) {
        interrupt(DISK, i % 4);
        if (take() != LPI + 10 + i % 4)
            errors++;
    }
    check("queue", "goes around", errors, 0);
    for (unsigned n = 0; n < 256; n++)
        if (n != 0x01 && n != 0x04 && n != 0x08 && n != 0x09 && n != 0x0f)
            put(n | ~0xfful, ~0ul, ~0ul, ~0ul);
    go();
    interrupt(DISK, 1);
    check("queue", "passes over what is no command", take(), LPI + 11);
}

static void test_two_levels(void)
{
    unsigned errors = 0;

    open_its(INDIRECT);
    fill(LEVEL2, 0x4000, 0);
    mapd(1000, 4, ITT);
    interrupt(1000, 0);
    *word(DEVICES + 1000 / 512 * 8) = LEVEL2 | IS_VALID;
    *word(COLLECTIONS) = (LEVEL2 + 0x1000) | IS_VALID;
    mapd(1000, 4, ITT);
    mapc(3, 0);
    for (unsigned e = 0; e < 16; e++)
        mapti(1000, e, LPI + 100 + e, 3);
    for (unsigned e = 0; e < 16; e++) {
        interrupt(1000, e);
        if (take() != LPI + 100 + e)
            errors++;
    }
    check("two levels", "each event", errors, 0);
    mapd(100, 4, ITT); /* in a page that is not there */
    mapti(100, 0, LPI, 3);
    interrupt(100, 0);
    check("two levels", "no second level: nothing", take(), SPURIOUS);
    open_its(0);
    map_all();
}

/* --- with another CPU --- */

static volatile unsigned second_ready, second_taken, second_wrong;

static void second(void)
{
    gic_open_cpu();
    second_ready = 1;
    DO("dsb sy");
    for (;;) {
        unsigned intid = gic_ack();

        if (intid == SPURIOUS) {
            DO("wfi"); /* an SGI is to stop */
            continue;
        }
        if (intid == 0)
            break;
        if (intid < LPI + 10 || intid > LPI + 13)
            second_wrong++;
        gic_eoi(intid);
        DO("dmb sy");
        second_taken++;
        DO("dsb sy\n sev");
    }
}

static void wait_for(unsigned count)
{
    while (second_taken != count)
        DO("wfe");
    DO("dmb sy");
}

static void test_second(void)
{
    enum { ROUNDS = 500 };

    second_start(second);
    while (!second_ready)
        ;
    fill(PENDING + 0x10000, 0x10000, 0);
    lpis_on(1, (PENDING + 0x10000) | PTZ);
    mapc(1, 1);

    interrupt(DISK, 0);
    check("MOVI", "pending here", irq_line(), 1);
    movi(DISK, 0, 1);
    sync_cpu(0);
    wait_for(1);
    check("MOVI", "what was pending is taken there", irq_line(), 0);
    for (unsigned e = 1; e < 4; e++)
        movi(DISK, e, 1);
    go();
    for (unsigned i = 0; i < ROUNDS; i++) {
        interrupt(DISK, i % 4);
        wait_for(2 + i);
    }
    check("MOVI", "and each one that follows, once", second_taken, 1 + ROUNDS);
    check("MOVI", "none of it here", take(), SPURIOUS);

    for (unsigned e = 0; e < 4; e++)
        movi(DISK, e, 0);
    go();
    for (unsigned e = 0; e < 4; e++)
        interrupt(DISK, e);
    put(0x0e, 0, 0ul << 16, 1ul << 16); /* MOVALL */
    go();
    wait_for(1 + ROUNDS + 4);
    check("MOVALL", "all that was pending is taken there", take(), SPURIOUS);
    mapc(0, 1);
    interrupt(DISK, 2);
    wait_for(1 + ROUNDS + 5);
    check("MAPC", "the collection is the other CPU's", take(), SPURIOUS);
    mapc(0, 0);
    interrupt(DISK, 2);
    check("MAPC", "and this one's again", take(), LPI + 12);
    gic_send(0, 2);
    check("both", "nothing but the disk's went there", second_wrong, 0);
}

void test(void)
{
    gic_open();
    test_registers();
    fill(CONFIG, 0xe000, 0xa1a1a1a1a1a1a1a1);
    fill(PENDING, 0x10000, 0);
    lpis_on(0, PENDING | PTZ);
    open_its(0);
    map_all();
    test_messages();
    test_mask();
    test_clear_and_discard();
    test_pending_table();
    test_many();
    test_two_levels();
    if (kit_cpu_count() > 1)
        test_second();
}
