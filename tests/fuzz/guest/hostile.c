/*
 * A guest that means harm: it writes random values to every register of every device in every
 * width, with instructions that describe themselves to a hypervisor and with some that do not,
 * builds random virtqueues, and plays with timers, interrupts, system registers and firmware calls,
 * for as long as the command line says; then it powers off.
 *
 * Options, on the kernel command line: hostile.seconds=N hostile.seed=N.
 *
 * Bare metal at EL1, MMU off, interrupts masked but for moments. Random values keep away from the
 * first 16 MiB of memory, where the program lives, so that a disk does not overwrite it and it
 * comes to its end.
 */
#include <stdbool.h>
#include <stdint.h>

#define RAM_FIRST   0x40000000ul
#define RAM_END     0x48000000ul /* the test gives 128 MiB */
#define WINDOW      0x42000000ul /* virtqueues and their buffers */
#define DESC        (WINDOW + 0x0000)
#define AVAIL       (WINDOW + 0x2000)
#define USED        (WINDOW + 0x4000)
#define BUFFERS     (WINDOW + 0x10000)
#define WINDOW_SIZE 0x100000ul

#define UART        0x09000000ul
#define GITS        0x08080000ul
#define GICR        0x080a0000ul
#define GICR_STEP   0x20000ul
#define VIRTIO      0x0a000000ul
#define VIRTIO_STEP 0x200ul
#define ECAM        0x3f000000ul
#define PCI_MEMORY  0x10000000ul

#define PSCI_SYSTEM_OFF 0x84000008ul
#define PSCI_CPU_ON     0xc4000003ul

unsigned long hostile_hvc(unsigned long function, unsigned long x1, unsigned long x2,
                          unsigned long x3);
extern char hostile_second_entry[];
void hostile_main(const char *dtb);
void hostile_second(unsigned long seed);

/* Both CPUs see these; the MMU is off, so nothing is cached. */
static struct {
    volatile bool second_runs, stop, second_stopped;
    volatile uint64_t second_accesses;
    uint64_t deadline;
} shared;

struct hostile {
    uint64_t random;
    uint64_t accesses;
    uint32_t *code; /* two instructions of this CPU's own */
};

/* Each CPU's two instructions: the second is RET. */
static _Alignas(64) uint32_t code[2][16] = { { 0, 0xd65f03c0 }, { 0, 0xd65f03c0 } };

static const struct {
    uint64_t base;
    uint32_t size, hot; /* most accesses go to the first `hot` bytes */
} areas[] = {
    { 0x08000000, 0x10000, 0x1000 },  { 0x08010000, 0x2000, 0x100 },
    { 0x09000000, 0x1000, 0x4c },     { 0x09010000, 0x1000, 0x20 },
    { 0x09030000, 0x1000, 0x424 },    { 0x0a000000, 0x200, 0x140 },
    { 0x0a000200, 0x200, 0x140 },     { 0x0a000400, 0x3c00, 0x200 }, /* the empty slots */
    { 0x08020000, 0x20000, 0x100 },   { 0x00000000, 0x8000000, 0x100 },
    { 0x080a0000, 0x80000, 0x80 },    { 0x080b0000, 0x1000, 0xd00 }, /* GICv3: of each CPU */
    { 0x08080000, 0x10000, 0x110 },   { 0x08090000, 0x1000, 0x80 },  /* an ITS */
    { 0x3f000000, 0x1000, 0xb0 },     { 0x3f008000, 0x1000, 0xb0 },  /* PCI: configuration */
    { 0x3f0f0000, 0x10000, 0xb0 },    { 0x10000000, 0x20000, 0x38 }, /* and BARs */
    { 0x04000000, 0x4000000, 0x100 }, { 0x09020000, 0x18, 0x18 },    /* flash, fw_cfg */
    { 0x10004000, 0x2000, 0x60 },     { 0x3e000000, 0x2000000, 0x100 },
    { 0x3ffff000, 0x1000, 0x1000 },   { RAM_END, 0x1000, 0x1000 },
};

#define AREAS (sizeof areas / sizeof areas[0])

static uint64_t next_random(struct hostile *h)
{
    h->random ^= h->random << 13;
    h->random ^= h->random >> 7;
    h->random ^= h->random << 17;
    return h->random * 0x2545f4914f6cdd1dul;
}

/* A value that is no address of the program. Mostly few bits: registers are made of fields. */
static uint64_t next_value(struct hostile *h)
{
    uint64_t r = next_random(h), v = next_random(h);
    switch (r & 7) {
    case 0:
        v = 0;
        break;
    case 1:
        v = ~0ul;
        break;
    case 2:
        v = 1ul << (v & 63);
        break;
    case 3:
        v &= 0xff;
        break;
    case 4:
        v = WINDOW + (v % WINDOW_SIZE & ~0xful);
        break;
    default:
        break;
    }
    if ((v & 0xff000000) == RAM_FIRST)
        v ^= 0x80000000;
    return v;
}

static uint64_t counter(void)
{
    uint64_t v;
    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(v));
    return v;
}

static uint64_t frequency(void)
{
    uint64_t v;
    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(v));
    return v;
}

static uint32_t read32(uint64_t a)
{
    uint32_t v;
    __asm__ volatile("ldr %w0, [%1]" : "=r"(v) : "r"(a) : "memory");
    return v;
}

static void write32(uint64_t a, uint32_t v)
{
    __asm__ volatile("str %w0, [%1]" : : "r"(v), "r"(a) : "memory");
}

/* One instruction on `a`. What it reads is of no interest; what faults is stepped over. */
#define DO(instruction) __asm__ volatile(instruction : "+r"(v), "+r"(a), "+r"(w) : : "memory")

static void access(uint64_t a, uint64_t v, unsigned how)
{
    uint64_t w = v;
    switch (how) {
    case 0:
        DO("strb %w0, [%1]");
        break;
    case 1:
        DO("strh %w0, [%1]");
        break;
    case 2:
    case 3:
    case 4:
        DO("str %w0, [%1]");
        break;
    case 5:
        DO("str %0, [%1]");
        break;
    case 6:
        DO("ldrb %w0, [%1]");
        break;
    case 7:
        DO("ldrsh %w0, [%1]");
        break;
    case 8:
        DO("ldr %w0, [%1]");
        break;
    case 9:
        DO("ldrsw %0, [%1]");
        break;
    case 10:
        DO("ldr %0, [%1]");
        break;
    case 11:
        DO("str xzr, [%1]");
        break;
    case 12:
        DO("stp %w0, %w2, [%1]");
        break;
    case 13:
        DO("ldr %w0, [%1], #4");
        break;
    case 14:
        DO("str q0, [%1]");
        break;
    default:
        DO("ldaxr %w0, [%1]\n stlxr %w2, %w0, [%1]");
        break;
    }
}

static void random_access(struct hostile *h)
{
    uint64_t r = next_random(h);
    unsigned i = (unsigned)(r % AREAS);
    uint32_t range = r >> 8 & 3 ? areas[i].hot : areas[i].size;
    uint64_t offset = (r >> 16) % range;
    if (r >> 56 & 7)
        offset &= ~3ul;
    access(areas[i].base + offset, next_value(h), (unsigned)(r >> 10 & 15));
    h->accesses++;
}

static void memory16(uint64_t a, uint16_t v)
{
    *(volatile uint16_t *)a = v;
}

static void memory32(uint64_t a, uint32_t v)
{
    *(volatile uint32_t *)a = v;
}

/* Where a descriptor points: a buffer, the edge of memory, a device, nowhere. */
static uint64_t next_address(struct hostile *h)
{
    uint64_t r = next_random(h);
    switch (r >> 60) {
    case 0:
        return next_value(h);
    case 1:
        return RAM_END - (r & 0xfff);
    case 2:
        return areas[r % AREAS].base;
    case 3:
        return WINDOW + (r & 0xffff & ~0xful); /* the queue itself */
    default:
        return BUFFERS + (r & 0x7fff0);
    }
}

static void random_descriptor(struct hostile *h, unsigned i)
{
    static const uint32_t lengths[] = { 0,   1,   15,   16,    16,         16,
                                        512, 512, 4096, 65536, 0x80000000, 0xffffffff };
    uint64_t r = next_random(h), at = DESC + 16 * i, a = next_address(h);
    uint32_t length = r & 1 ? lengths[(r >> 8) % 12] : (uint32_t)(r >> 8 & 0x1fff);
    memory32(at, (uint32_t)a);
    memory32(at + 4, (uint32_t)(a >> 32));
    memory32(at + 8, length);
    memory16(at + 12, (uint16_t)(r >> 32 & (r >> 40 & 1 ? 3 : 7)));
    memory16(at + 14, (uint16_t)(r >> 48 & (r >> 41 & 1 ? 0xff : 7)));
}

/* A well-formed request in descriptors 0 to 2, mostly. */
static void request(struct hostile *h)
{
    static const uint8_t types[] = { 0, 1, 4, 8, 11, 13, 0, 99 };
    uint64_t r = next_random(h);
    uint32_t type = types[r & 7];
    memory32(BUFFERS, type);
    memory32(BUFFERS + 4, 0);
    memory32(BUFFERS + 8, (uint32_t)(r >> 8 & 0x3fff));
    memory32(BUFFERS + 12, r >> 60 ? 0 : (uint32_t)r);
    const uint32_t chain[3][3] = {
        { BUFFERS, 16, 1 },
        { BUFFERS + 0x1000, (uint32_t)(512 * (r >> 32 & 0x7f)), type % 2 ? 1 : 3 },
        { BUFFERS + 0x20, 1, 2 },
    };
    for (unsigned i = 0; i < 3; i++) {
        memory32(DESC + 16 * i, chain[i][0]);
        memory32(DESC + 16 * i + 4, 0);
        memory32(DESC + 16 * i + 8, chain[i][1]);
        memory16(DESC + 16 * i + 12, (uint16_t)chain[i][2]);
        memory16(DESC + 16 * i + 14, (uint16_t)(i + 1));
    }
}

/* The devices with a queue: which of the features of each are tried, and how many of its queues,
 * from which on. A balloon is not inflated: random page numbers would at times be the program's. */
static const struct virtio_slot {
    uint32_t slot, features, queues, first;
} virtio_slots[] = {
    { 0, 0x70006a64, 1, 0 },  /* disks */
    { 1, 0x70006a64, 1, 0 },  /* the second one */
    { 31, 0x30000000, 1, 0 }, /* rng */
    { 30, 0x30018023, 2, 0 }, /* net */
    { 29, 0x30000024, 2, 2 }, /* balloon */
    { 28, 0x30000001, 2, 0 }, /* vsock */
    { 27, 0x30000000, 2, 0 }, /* a shared folder */
    { 26, 0x30000007, 4, 0 }, /* consoles */
    { 25, 0x30000000, 1, 0 }, /* clock */
};

#define VIRTIO_SLOTS (sizeof virtio_slots / sizeof virtio_slots[0])

/* The registers of a virtio-mmio device in the order of the specification (virtio 1.2, 3.1). */
static void start_queue(struct hostile *h, const struct virtio_slot *slot, uint32_t queue)
{
    uint64_t base = VIRTIO + slot->slot * VIRTIO_STEP;
    uint64_t r = next_random(h);
    const struct {
        uint16_t offset;
        uint32_t value;
    } steps[] = {
        { 0x070, 0 },
        { 0x070, 1 },
        { 0x070, 3 },
        { 0x024, 0 },
        { 0x020, (uint32_t)(r >> 32) & slot->features },
        { 0x024, 1 },
        { 0x020, 1 },
        { 0x070, 11 },
        { 0x030, queue },
        { 0x038, 1u << (r & 7) },
        { 0x080, DESC },
        { 0x084, 0 },
        { 0x090, AVAIL },
        { 0x094, 0 },
        { 0x0a0, USED },
        { 0x0a4, 0 },
        { 0x044, 1 },
        { 0x070, 15 },
    };
    for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++)
        write32(base + steps[i].offset, steps[i].value);
}

static void random_queue(struct hostile *h)
{
    const struct virtio_slot *slot = &virtio_slots[next_random(h) % VIRTIO_SLOTS];
    uint64_t base = VIRTIO + slot->slot * VIRTIO_STEP;
    uint32_t queue = slot->first + ((uint32_t)next_random(h) & (slot->queues - 1));
    start_queue(h, slot, queue);
    for (uint16_t index = 1; index < 16; index++) {
        uint64_t r = next_random(h);
        for (unsigned i = 0; i < 32; i++)
            if (r >> i & 1)
                random_descriptor(h, i);
        bool fair = r >> 32 & 3;
        if (fair)
            request(h);
        for (unsigned i = 0; i < 128; i++)
            memory16(AVAIL + 4 + 2 * i, fair ? 0 : (uint16_t)next_random(h) & 63);
        memory16(AVAIL, (uint16_t)(r >> 40 & 1));
        memory16(AVAIL + 2, r >> 48 & 15 ? index : (uint16_t)(r >> 50));
        write32(base + 0x050, queue);
        if (read32(base + 0x070) & 0x40) /* DEVICE_NEEDS_RESET */
            start_queue(h, slot, queue);
        h->accesses += 2;
    }
}

static void write8(uint64_t a, uint8_t v)
{
    __asm__ volatile("strb %w0, [%1]" : : "r"(v), "r"(a) : "memory");
}

static void write16(uint64_t a, uint16_t v)
{
    __asm__ volatile("strh %w0, [%1]" : : "r"(v), "r"(a) : "memory");
}

static void write64(uint64_t a, uint64_t v)
{
    __asm__ volatile("str %0, [%1]" : : "r"(v), "r"(a) : "memory");
}

static uint64_t read64(uint64_t a)
{
    uint64_t v;
    __asm__ volatile("ldr %0, [%1]" : "=r"(v) : "r"(a) : "memory");
    return v;
}

/* An ITS's tables and queue anywhere in the window, full of what may be valid, and commands. Where
 * there is no ITS the writes go nowhere. */
static void random_its(struct hostile *h)
{
    uint64_t r = next_random(h), redistributor = GICR + (r & 1) * GICR_STEP;

    for (uint64_t a = WINDOW; a < WINDOW + 0x20000; a += 8) {
        uint64_t v = next_random(h), to = WINDOW + (v >> 20 & 0x3ffff);
        *(volatile uint64_t *)a = v & 7 ? 1ul << 63 | to | (v & 0xff) : next_value(h);
    }
    write32(redistributor, 0);
    write64(redistributor + 0x70, (WINDOW + (r & 0xff000)) | (r >> 20 & 31));
    write64(redistributor + 0x78, (WINDOW + (r & 0xf0000)) | (r & 4 ? 1ul << 62 : 0));
    write32(redistributor, 1);
    write32(GITS, 0);
    write64(GITS + 0x80, 1ul << 63 | WINDOW | (r >> 30 & 15));
    write64(GITS + 0x100, (r >> 40 & 3) << 62 | (WINDOW + (r >> 36 & 0x1f000)) | (r >> 50 & 0x3ff));
    write64(GITS + 0x108, (r >> 42 & 3) << 62 | (WINDOW + (r >> 8 & 0x1f000)) | (r >> 30 & 0x3ff));
    write32(GITS, 1);
    for (unsigned i = 0; i < 4096; i += 32) {
        uint64_t v = next_random(h);
        *(volatile uint64_t *)(WINDOW + i) = (v & 15) | (v >> 32 & 0xff) << 32;
        *(volatile uint64_t *)(WINDOW + i + 8) = (v >> 8 & 0xffff) << 32 | (v >> 24 & 0x1f);
        *(volatile uint64_t *)(WINDOW + i + 16) =
            (v >> 40 & 1) << 63 | (WINDOW + (v >> 44 & 0xff00)) | (v >> 60);
        *(volatile uint64_t *)(WINDOW + i + 24) = (v >> 50 & 1) << 16;
    }
    write32(GITS + 0x88, 4096 - 32);
    for (unsigned i = 0; i < 16; i++) {
        write32(GITS + 0x10040, (uint32_t)next_random(h) & 0x1f);
        (void)read64(GITS + 0x90);
    }
    h->accesses += 48;
}

/* The same devices as functions of a PCI bus, their BARs beside each other: vectors of which some
 * have an address, a queue, and what may come of it. Where there is no bus the writes go nowhere.
 */
static void random_pci(struct hostile *h)
{
    uint64_t r = next_random(h);
    const struct virtio_slot *slot = &virtio_slots[r & 3];
    uint64_t config = ECAM + slot->slot * 0x8000ul, bar = PCI_MEMORY + (r & 3) * 0x8000ul;
    uint32_t queue = (uint32_t)(r >> 2) & (slot->queues - 1);
    write32(config + 0x10, (uint32_t)bar);
    write32(config + 0x04, 6 | (uint32_t)(r >> 3 & 1) << 10);
    write16(config + 0x42, r >> 4 & 3 ? 1u << 15 : (uint16_t)next_random(h));
    for (unsigned i = 0; i < 3; i++) {
        write64(bar + 0x4000 + 16 * i, r >> 6 & 3 ? 0x08020040 : next_value(h));
        write64(bar + 0x4008 + 16 * i, 96 + (r >> (8 + 8 * i) & 0x3f));
    }
    write8(bar + 0x14, 0);
    write8(bar + 0x14, 3);
    write32(bar + 0x08, 0);
    write32(bar + 0x0c, (uint32_t)next_random(h) & slot->features);
    write32(bar + 0x08, 1);
    write32(bar + 0x0c, 1);
    write8(bar + 0x14, 11);
    write16(bar + 0x10, (uint16_t)(r >> 32 & 3));
    write16(bar + 0x16, (uint16_t)queue);
    write16(bar + 0x18, (uint16_t)(1u << (r >> 34 & 7)));
    write16(bar + 0x1a, (uint16_t)(r >> 37 & 3));
    write64(bar + 0x20, DESC);
    write64(bar + 0x28, AVAIL);
    write64(bar + 0x30, USED);
    write16(bar + 0x1c, 1);
    write8(bar + 0x14, 15);
    request(h);
    for (uint16_t index = 1; index < 8; index++) {
        if (r >> (40 + index) & 1)
            random_descriptor(h, (unsigned)index & 3);
        memory16(AVAIL + 4 + 2 * (index - 1), 0);
        memory16(AVAIL + 2, index);
        write16(bar + 0x3000 + 4 * queue, (uint16_t)queue);
        (void)read32(bar + 0x1000);
    }
    h->accesses += 14;
}

static void random_timer(struct hostile *h)
{
    uint64_t r = next_random(h);
    __asm__ volatile("msr cntv_cval_el0, %0" : : "r"(counter() + (r >> 40)));
    __asm__ volatile("msr cntv_ctl_el0, %0" : : "r"(r & 3));
    __asm__ volatile("msr cntp_tval_el0, %0" : : "r"(r >> 48));
    __asm__ volatile("msr cntp_ctl_el0, %0" : : "r"(r >> 2 & 3));
}

/* Any system register read; written are only those that cannot end the program: the GIC's and the
 * performance monitors'. The instruction is made on the spot (DDI 0487 C6.2, MRS). */
static void random_system_register(struct hostile *h)
{
    uint64_t r = next_random(h), v = next_value(h);
    uint32_t instruction = 0xd5300000 | (uint32_t)(r & 0xfffe0); /* mrs x0, ... */
    if (r >> 62 == 0)
        instruction =
            0xd5180000 | 12u << 12 | (8 + (uint32_t)(r >> 20) % 5) << 8 | (uint32_t)(r & 0xe0);
    else if (r >> 62 == 1)
        instruction =
            0xd51b0000 | 9u << 12 | (12 + (uint32_t)(r >> 20) % 3) << 8 | (uint32_t)(r & 0xe0);
    *(volatile uint32_t *)h->code = instruction;
    __asm__ volatile("dc cvau, %0\n dsb ish\n ic ivau, %0\n dsb ish\n isb"
                     :
                     : "r"(h->code)
                     : "memory");
    register uint64_t x0 __asm__("x0") = v;
    __asm__ volatile("blr %1" : "+r"(x0) : "r"(h->code) : "x30", "memory");
}

/* Firmware calls that come back: no CPU_OFF, CPU_SUSPEND, CPU_ON or SYSTEM_*. */
static void random_call(struct hostile *h)
{
    static const uint32_t functions[] = {
        0x84000000, 0x84000004, 0xc4000004, 0x84000005, 0x84000006, 0x84000007,
        0x8400000a, 0x84000050, 0x84000051, 0x84000053, 0xc4000053, 0x80000000,
        0x80000001, 0x80008000, 0x8600ff01, 0xdeadbeef,
    };
    uint64_t r = next_random(h);
    hostile_hvc(functions[r & 15], next_value(h), next_value(h),
                r >> 4 & 1 ? next_value(h) : r >> 60);
}

/* Let one interrupt in: the vector comes back with interrupts masked. */
static void open_for_a_moment(void)
{
    __asm__ volatile("msr daifclr, #3\n isb\n nop\n msr daifset, #3" : : : "memory");
}

static void run(struct hostile *h)
{
    while (!shared.stop && counter() < shared.deadline) {
        for (unsigned i = 0; i < 64; i++)
            random_access(h);
        uint64_t r = next_random(h);
        if ((r & 3) == 0)
            random_queue(h);
        if ((r & 0xc) == 0)
            random_timer(h);
        if ((r & 0xfc00) == 0)
            random_its(h);
        if ((r & 0xf0000) == 0)
            random_pci(h);
        if ((r & 0x30) == 0)
            open_for_a_moment();
        if ((r & 0xc0) == 0)
            random_system_register(h);
        if ((r & 0x300) == 0)
            random_call(h);
    }
}

void hostile_second(unsigned long seed)
{
    struct hostile h = { .random = seed, .code = code[1] };
    shared.second_runs = true;
    run(&h);
    shared.second_accesses = h.accesses;
    __asm__ volatile("dsb sy");
    shared.second_stopped = true;
    for (;;)
        __asm__ volatile("wfe");
}

static void print(const char *text)
{
    for (; *text; text++)
        write32(UART, (uint8_t)*text);
}

static void print_number(uint64_t n)
{
    char digits[21];
    unsigned at = sizeof digits - 1;
    digits[at] = 0;
    do
        digits[--at] = (char)('0' + n % 10);
    while (n /= 10);
    print(digits + at);
}

/* The number behind `name` in the device tree's command line; `otherwise` if it is not there. */
static uint64_t option(const char *dtb, const char *name, uint64_t otherwise)
{
    for (const char *p = dtb; p < dtb + 0x10000; p++) {
        unsigned n = 0;
        while (name[n] && p[n] == name[n])
            n++;
        if (name[n])
            continue;
        uint64_t value = 0;
        for (p += n; *p >= '0' && *p <= '9'; p++)
            value = value * 10 + (uint64_t)(*p - '0');
        return value;
    }
    return otherwise;
}

void hostile_main(const char *dtb)
{
    struct hostile h = { .random = option(dtb, "hostile.seed=", 1) | 1, .code = code[0] };
    uint64_t seconds = option(dtb, "hostile.seconds=", 3);
    write32(UART + 0x030, 0x301);
    print("hostile: begins\n");
    shared.deadline = counter() + seconds * frequency();
    bool second =
        hostile_hvc(PSCI_CPU_ON, 1, (uint64_t)hostile_second_entry, h.random ^ 0x5555) == 0;
    run(&h);
    shared.stop = true;
    while (second && shared.second_runs && !shared.second_stopped)
        ;
    /* The serial port as it should be, whatever we did to it. */
    write32(UART + 0x02c, 0x70);
    write32(UART + 0x030, 0x301);
    print("\nhostile: done, accesses: ");
    print_number(h.accesses + shared.second_accesses);
    print("\n");
    hostile_hvc(PSCI_SYSTEM_OFF, 0, 0, 0);
    for (;;)
        ;
}
