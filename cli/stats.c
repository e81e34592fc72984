/*
 * --stats and Ctrl-A s: one row for each counter, one column for each CPU and one for their sum.
 * More CPUs than fit next to each other make more tables. A group of rows that the engine does not
 * count is left out, with a word at the end.
 */
#include "cli/stats.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"

#define LABEL   32
#define CELL    12
#define COLUMNS 4 /* next to each other: LABEL + COLUMNS * CELL is 80 */

enum unit { UNIT_COUNT, UNIT_NS, UNIT_BYTES, UNIT_BYTES_EACH, UNIT_TITLE };

struct row {
    const char *label;
    unsigned needs; /* HVX_STATS_*, or 0: ours */
    enum unit unit;
    size_t value;   /* offset in struct stats_cpu */
    size_t divisor; /* 0, or that of what it is divided by */
};

#define EXITS(reason) offsetof(struct stats_cpu, exits) + (reason) * sizeof(uint64_t)
#define ENGINE(field) offsetof(struct stats_cpu, engine.field)

/* clang-format off */
static const struct row rows[] = {
    { "processor time", 0, UNIT_NS, offsetof(struct stats_cpu, cpu_ns), 0 },
    { "guest instructions", HVX_STATS_INSTRUCTIONS, UNIT_COUNT, ENGINE(instructions), 0 },
    { "exceptions taken by the guest", HVX_STATS_EVENTS, UNIT_COUNT, ENGINE(exceptions), 0 },
    { "pages of code decoded", HVX_STATS_EVENTS, UNIT_COUNT, ENGINE(pages_decoded), 0 },

    { "Exits to the monitor", 0, UNIT_TITLE, 0, 0 },
    { "device memory", 0, UNIT_COUNT, EXITS(STATS_EXIT_MMIO), 0 },
    { "system registers", 0, UNIT_COUNT, EXITS(STATS_EXIT_SYSREG), 0 },
    { "WFI and WFE", 0, UNIT_COUNT, EXITS(STATS_EXIT_WAIT), 0 },
    { "firmware calls: HVC and SMC", 0, UNIT_COUNT, EXITS(STATS_EXIT_FIRMWARE), 0 },
    { "virtual timer", 0, UNIT_COUNT, EXITS(STATS_EXIT_TIMER), 0 },
    { "canceled by the monitor", 0, UNIT_COUNT, EXITS(STATS_EXIT_CANCELED), 0 },
    { "other", 0, UNIT_COUNT, EXITS(STATS_EXIT_OTHER), 0 },

    { "Software TLB", HVX_STATS_EVENTS, UNIT_TITLE, 0, 0 },
    { "misses found in the 2nd level", HVX_STATS_EVENTS, UNIT_COUNT, ENGINE(tlb_refills), 0 },
    { "walks of the guest's tables", HVX_STATS_EVENTS, UNIT_COUNT, ENGINE(tlb_misses), 0 },
    { "windows", HVX_STATS_EVENTS, UNIT_COUNT, ENGINE(windows), 0 },
    { "  pages mapped for them", HVX_STATS_EVENTS, UNIT_COUNT, ENGINE(window_pages), 0 },
    { "  time", HVX_STATS_EVENTS, UNIT_NS, ENGINE(window_ns), 0 },

    { "Translation", HVX_STATS_TRANSLATION, UNIT_TITLE, 0, 0 },
    { "blocks", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(translation.blocks), 0 },
    { "copies for other addresses", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(translation.cloned), 0 },
    { "copies from earlier runs", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(translation.loaded), 0 },
    { "guest instructions in them", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(translation.instructions), 0 },
    { "time", HVX_STATS_TRANSLATION, UNIT_NS, ENGINE(translation.ns), 0 },
    { "  for a guest instruction", HVX_STATS_TRANSLATION, UNIT_NS, ENGINE(translation.ns), ENGINE(translation.instructions) },
    { "hot host code", HVX_STATS_TRANSLATION, UNIT_BYTES, ENGINE(translation.hot_bytes), 0 },
    { "  for a byte of the guest's", HVX_STATS_TRANSLATION, UNIT_BYTES_EACH, ENGINE(translation.hot_bytes), ENGINE(translation.instructions) },
    { "cold host code", HVX_STATS_TRANSLATION, UNIT_BYTES, ENGINE(translation.cold_bytes), 0 },
    { "code memory in use", HVX_STATS_TRANSLATION, UNIT_BYTES, ENGINE(translation.cache_used), 0 },
    { "code memory", HVX_STATS_TRANSLATION, UNIT_BYTES, ENGINE(translation.cache_size), 0 },
    { "times it was emptied", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(translation.resets), 0 },
    { "links between blocks", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(translation.links), 0 },
    { "blocks whose code changed", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(translation.retired), 0 },

    { "Translated code called C for", HVX_STATS_TRANSLATION, UNIT_TITLE, 0, 0 },
    { "jumps not linked yet", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(calls.link), 0 },
    { "indirect jumps not known", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(calls.lookup), 0 },
    { "misses of the TLB's 1st level", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(calls.refill), 0 },
    { "slow paths", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(calls.slow), 0 },
    { "instructions not translated", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(calls.interp), 0 },
    { "the same, vectors only", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(calls.vector), 0 },
    { "parts of instructions", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(calls.helper), 0 },
    { "system calls of the guest", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(calls.svc), 0 },
    { "returns from exceptions", HVX_STATS_TRANSLATION, UNIT_COUNT, ENGINE(calls.eret), 0 },
};
/* clang-format on */

struct table {
    void (*line)(void *ctx, const char *text);
    void *ctx;
    char text[LABEL + COLUMNS * CELL + 1];
    size_t used;
};

static void PRINTF_LIKE(2, 3) add(struct table *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(t->text + t->used, sizeof t->text - t->used, fmt, ap);
    va_end(ap);
    t->used += (size_t)n;
    if (t->used >= sizeof t->text)
        t->used = sizeof t->text - 1;
}

static void end_line(struct table *t)
{
    t->line(t->ctx, t->text);
    t->used = 0;
    t->text[0] = '\0';
}

/* 1234567: "1 234 567"; too wide for a cell: "123.4 M". */
static void format_count(char *out, size_t size, uint64_t n)
{
    static const char units[] = "MGTPE";
    char digits[24];
    size_t k = 0;
    if (n >= 100000000) {
        double x = (double)n / 1e6;
        unsigned u = 0;
        for (; x >= 100000 && units[u + 1]; u++)
            x /= 1000;
        snprintf(out, size, "%.1f %c", x, units[u]);
        return;
    }
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    for (int i = 0; i < length && k + 2 < size; i++) {
        if (i && (length - i) % 3 == 0)
            out[k++] = ' ';
        out[k++] = digits[i];
    }
    out[k] = '\0';
}

static void format_scaled(char *out, size_t size, double x, double step, const char *const *units)
{
    while (x >= step && units[1]) {
        x /= step;
        units++;
    }
    if (x > 0)
        snprintf(out, size, "%.*f %s", x >= 100 ? 0 : x >= 10 ? 1 : 2, x, *units);
    else
        snprintf(out, size, "0");
}

static void format_value(char *out, size_t size, enum unit unit, double x)
{
    static const char *const times[] = { "ns", "us", "ms", "s", NULL };
    static const char *const sizes[] = { "B", "KiB", "MiB", "GiB", NULL };
    if (unit == UNIT_BYTES_EACH) /* an instruction of the guest has 4 */
        snprintf(out, size, "%.2f", x / 4);
    else if (unit == UNIT_NS)
        format_scaled(out, size, x, 1000, times);
    else
        format_scaled(out, size, x, 1024, sizes);
}

static uint64_t counter(const struct stats_cpu *c, size_t offset)
{
    uint64_t n;
    memcpy(&n, (const char *)c + offset, sizeof n);
    return n;
}

static void add_cell(struct table *t, const struct row *row, const struct stats_cpu *c)
{
    char text[32] = "-";
    uint64_t n = counter(c, row->value), by = row->divisor ? counter(c, row->divisor) : 1;
    if (row->unit == UNIT_COUNT)
        format_count(text, sizeof text, n);
    else if (by)
        format_value(text, sizeof text, row->unit, (double)n / (double)by);
    add(t, "%*s", CELL, text);
}

static void print_row(struct table *t, const struct row *row, const struct stats_cpu *const *column,
                      unsigned columns)
{
    if (row->unit == UNIT_TITLE) {
        end_line(t);
        add(t, "%s", row->label);
    } else {
        add(t, "  %-*s", LABEL - 2, row->label);
        for (unsigned n = 0; n < columns; n++)
            add_cell(t, row, column[n]);
    }
    end_line(t);
}

/* CPUs `first` to `end` - 1, and their sum behind the last one if there are several. */
static void print_table(struct table *t, const struct stats_vm *s, const struct stats_cpu *sum,
                        unsigned first, unsigned end)
{
    const struct stats_cpu *column[COLUMNS];
    unsigned columns = 0;
    if (s->cpus > 1)
        add(t, "%-*s", LABEL, "");
    for (unsigned n = first; n < end; n++) {
        char name[32] = "all";
        column[columns++] = n < s->cpus ? &s->cpu[n] : sum;
        if (n < s->cpus)
            snprintf(name, sizeof name, "CPU %u", n);
        if (s->cpus > 1)
            add(t, "%*s", CELL, name);
    }
    if (s->cpus > 1)
        end_line(t);
    for (size_t r = 0; r < ARRAY_LEN(rows); r++)
        if (!(rows[r].needs & ~sum->engine.kept))
            print_row(t, &rows[r], column, columns);
    end_line(t);
}

static void print_summary(struct table *t, const struct stats_vm *s, uint64_t started)
{
    add(t, "Virtual machine: %u CPU%s, engine %s; ", s->cpus, s->cpus == 1 ? "" : "s", s->engine);
    if (s->start_ns)
        add(t, "started in %.1f ms, %.1f s ago", (double)(s->start_ns - started) / 1e6,
            (double)(s->now_ns - s->start_ns) / 1e9);
    else
        add(t, "has not started");
    end_line(t);
}

#define MOST 20 /* of the instructions by name */

/* The instructions that translated code leaves to the interpreter most often. */
static void print_left(struct table *t, const struct stats_vm *s, const struct stats_cpu *sum)
{
    const uint64_t *left = sum->engine.left;
    bool printed[HVX_STATS_KINDS] = { false };

    for (unsigned lines = 0; s->instruction_name && lines < MOST; lines++) {
        unsigned best = HVX_STATS_KINDS;
        for (unsigned n = 0; n < HVX_STATS_KINDS; n++)
            if (!printed[n] && left[n] && (best == HVX_STATS_KINDS || left[n] > left[best]))
                best = n;
        if (best == HVX_STATS_KINDS)
            break;
        if (!lines) {
            add(t, "Instructions left to the interpreter, of all CPUs");
            end_line(t);
        }
        const char *name = s->instruction_name(best);
        char number[32];
        format_count(number, sizeof number, left[best]);
        add(t, "  %-*s%*s", LABEL - 2, name ? name : "?", CELL, number);
        end_line(t);
        printed[best] = true;
    }
}

static void print_unknown(struct table *t, unsigned kept)
{
    if (!(kept & HVX_STATS_EVENTS))
        add(t, "This engine counts nothing of what happens inside of the guest.");
    else if (!(kept & HVX_STATS_INSTRUCTIONS))
        add(t, "Hits of the TLB are not counted; instructions are with IREKO_JIT=count.");
    else
        add(t, "Hits of the TLB are not counted.");
    end_line(t);
}

void stats_print(const struct stats_vm *s, uint64_t started,
                 void (*line)(void *ctx, const char *text), void *ctx)
{
    struct table t = { .line = line, .ctx = ctx };
    struct stats_cpu sum = { .cpu_ns = 0 };
    unsigned columns = s->cpus > 1 ? s->cpus + 1 : 1;
    for (unsigned n = 0; n < s->cpus; n++)
        stats_add(&sum, &s->cpu[n]);
    print_summary(&t, s, started);
    for (unsigned n = 0; n < columns; n += COLUMNS)
        print_table(&t, s, &sum, n, n + COLUMNS < columns ? n + COLUMNS : columns);
    print_left(&t, s, &sum);
    print_unknown(&t, sum.engine.kept);
}
