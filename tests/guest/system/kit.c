/* The kit of the system-level guests: output, translation tables, more CPUs. See kit.h. */
#include "kit.h"

#define UART     ((volatile uint32_t *)0x09000000)
#define POOL     0x40400000ul /* tables */
#define POOL_END 0x41000000ul

extern char kit_probe[], kit_data[], kit_end[], kit_start[], kit_start_other[], kit_vectors[];

static _Alignas(16) char stacks[KIT_CPUS][0x2000];
struct cpu kit_cpus[KIT_CPUS] = { { .stack = (uint64_t)stacks[1] } };
struct space kit_low;
static uint64_t pool;
static unsigned points;
static void (*entry[KIT_CPUS])(void);

int64_t hvc(uint64_t function, uint64_t a, uint64_t b, uint64_t c)
{
    register uint64_t x0 __asm__("x0") = function;
    register uint64_t x1 __asm__("x1") = a;
    register uint64_t x2 __asm__("x2") = b;
    register uint64_t x3 __asm__("x3") = c;
    __asm__ volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"memory");
    return (int64_t)x0;
}

static void put_char(char c)
{
    while (UART[6] & 1 << 5) /* FR.TXFF */
        ;
    UART[0] = (uint32_t)c;
}

static void put_text(const char *s)
{
    while (*s)
        put_char(*s++);
}

static void put_hex(uint64_t v)
{
    put_text("0x");
    for (int shift = 60; shift >= 0; shift -= 4)
        put_char("0123456789abcdef"[v >> shift & 15]);
}

static void put_decimal(unsigned v)
{
    if (v >= 10)
        put_decimal(v / 10);
    put_char((char)('0' + v % 10));
}

void note(const char *text, uint64_t value)
{
    put_text("# ");
    put_text(text);
    put_char(' ');
    put_hex(value);
    put_char('\n');
}

bool check(const char *area, const char *name, uint64_t got, uint64_t want)
{
    put_text(got == want ? "ok " : "not ok ");
    put_decimal(++points);
    put_text(" - ");
    put_text(area);
    put_text(": ");
    put_text(name);
    put_char('\n');
    if (got != want) {
        note("got ", got);
        note("want", want);
    }
    return got == want;
}

struct taken *run(const void *code, uint64_t spsr, uint64_t x0, uint64_t x1)
{
    struct cpu *cpu = (struct cpu *)READ(tpidr_el1);
    const uint64_t x[4] = { x0, x1, 0x2222, 0x3333 };

    kit_run(code, spsr, x);
    return &cpu->taken;
}

/* Tables. */

static uint64_t table_new(uint64_t size)
{
    uint64_t at = (pool + size - 1) & -size;

    pool = at + size;
    if (pool > POOL_END) {
        put_text("Bail out! no room for tables\n");
        hvc(SYSTEM_OFF, 0, 0, 0);
    }
    for (uint64_t p = at; p < pool; p += 8)
        *(volatile uint64_t *)p = 0;
    return at;
}

struct space space_new(unsigned granule, unsigned bits)
{
    return (struct space){ table_new(1ul << granule), granule, bits };
}

volatile uint64_t *slot(const struct space *s, uint64_t va, unsigned level)
{
    unsigned stride = s->granule - 3;
    unsigned first = 4 - (s->bits - s->granule + stride - 1) / stride, top = s->bits;
    uint64_t table = s->root & 0xffffffffffff;

    for (unsigned l = first;; l++) {
        unsigned shift = (3 - l) * stride + s->granule;
        volatile uint64_t *d = (uint64_t *)table + ((va & ((1ul << top) - 1)) >> shift);
        if (l == level)
            return d;
        if ((*d & TABLE) != TABLE)
            *d = table_new(1ul << s->granule) | TABLE;
        table = *d & 0xffffffffffff & -(1ul << s->granule);
        top = shift;
    }
}

void flush(void)
{
    DO("dsb ish\n tlbi vmalle1is\n dsb ish\n isb");
}

void map(const struct space *s, uint64_t va, unsigned level, uint64_t descriptor)
{
    *slot(s, va, level) = descriptor;
    flush();
}

static void map_kit(const struct space *s)
{
    uint64_t text = (uint64_t)kit_start, probe = (uint64_t)kit_probe, data = (uint64_t)kit_data;

    for (uint64_t p = text; p < 0x40200000; p += 4096)
        *slot(s, p, 3) = p | PAGE | NORMAL |
                         (p < probe  ? AP_RO | UXN
                          : p < data ? AP_RO | AP_EL0
                                     : XN);
    for (uint64_t p = 0x40200000; p < 0x44000000; p += 0x200000)
        *slot(s, p, 2) = p | BLOCK | NORMAL | XN;
    *slot(s, 0x08000000, 2) = 0x08000000 | BLOCK | AF | XN;
    *slot(s, 0x09000000, 2) = 0x09000000 | BLOCK | AF | XN;
}

static void mmu_on(void)
{
    WRITE(mair_el1, 0x0444ff00ul);
    WRITE(tcr_el1, (KIT_TCR & ~TCR_T0SZ(63)) | TCR_T0SZ(64 - kit_low.bits));
    WRITE(ttbr0_el1, kit_low.root);
    WRITE(ttbr1_el1, kit_low.root);
    DO("dsb sy\n tlbi vmalle1\n dsb sy\n isb");
    WRITE(sctlr_el1, KIT_SCTLR);
}

void kit_reset(void)
{
    kit_reset_bits(48);
}

void kit_reset_bits(unsigned bits)
{
    WRITE(sctlr_el1, KIT_SCTLR & ~1ul);
    pool = POOL;
    kit_low = space_new(12, bits);
    map_kit(&kit_low);
    mmu_on();
}

unsigned kit_cpu_count(void)
{
    unsigned n = 1;

    while (n < KIT_CPUS && hvc(AFFINITY_INFO, n, 0, 0) >= 0)
        n++;
    return n;
}

int64_t cpu_on(unsigned n, unsigned context, void (*f)(void))
{
    entry[context] = f;
    kit_cpus[context].stack = (uint64_t)stacks[context + 1];
    DO("dsb sy");
    return hvc(CPU_ON, n, (uint64_t)kit_start_other, (uint64_t)&kit_cpus[context]);
}

void cpu_start(unsigned n, void (*f)(void))
{
    cpu_on(n, n, f);
}

void second_start(void (*f)(void))
{
    cpu_start(1, f);
}

void kit_main_other(struct cpu *cpu)
{
    mmu_on();
    entry[cpu - kit_cpus]();
    hvc(CPU_OFF, 0, 0, 0);
}

void kit_main(void)
{
    kit_reset();
    test();
    put_text("1..");
    put_decimal(points);
    put_char('\n');
    hvc(SYSTEM_OFF, 0, 0, 0);
}
