/* Why a CPU came out, sums of counters, and the table that people see. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "cli/stats.h"

static const struct {
    hv_vcpu_exit_t exit;
    enum stats_exit reason;
} exits[] = {
    { { .reason = HV_EXIT_REASON_CANCELED }, STATS_EXIT_CANCELED },
    { { .reason = HV_EXIT_REASON_VTIMER_ACTIVATED }, STATS_EXIT_TIMER },
    { { .reason = HV_EXIT_REASON_UNKNOWN }, STATS_EXIT_OTHER },
    { { .reason = HV_EXIT_REASON_EXCEPTION, .exception.syndrome = 0x01u << 26 }, STATS_EXIT_WAIT },
    { { .reason = HV_EXIT_REASON_EXCEPTION, .exception.syndrome = 0x16u << 26 },
      STATS_EXIT_FIRMWARE },
    { { .reason = HV_EXIT_REASON_EXCEPTION, .exception.syndrome = 0x17u << 26 },
      STATS_EXIT_FIRMWARE },
    { { .reason = HV_EXIT_REASON_EXCEPTION, .exception.syndrome = 0x18u << 26 | 0x300000 },
      STATS_EXIT_SYSREG },
    { { .reason = HV_EXIT_REASON_EXCEPTION, .exception.syndrome = 0x24u << 26 | 0x1c00045 },
      STATS_EXIT_MMIO },
    { { .reason = HV_EXIT_REASON_EXCEPTION, .exception.syndrome = 0x20u << 26 }, STATS_EXIT_OTHER },
};

static void test_reasons(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(exits); i++)
        assert_int_equal(stats_exit_of(&exits[i].exit), exits[i].reason);
}

/* Every counter has a value of its own, so none can be forgotten or taken for another. */
static void test_sums(void **state)
{
    (void)state;
    static uint64_t numbers[sizeof(struct stats_cpu) / 8], sums[ARRAY_LEN(numbers)];
    static struct stats_cpu one, sum;
    _Static_assert(sizeof numbers == sizeof one, "the structure is made of counters");
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        numbers[i] = 100 + i;
    memcpy(&one, numbers, sizeof one);
    one.engine.kept = HVX_STATS_EVENTS;
    stats_add(&sum, &one);
    assert_int_equal(sum.engine.kept, HVX_STATS_EVENTS);
    stats_add(&sum, &one);
    assert_int_equal(sum.engine.kept, HVX_STATS_EVENTS);
    sum.engine.kept = one.engine.kept = 0;
    memcpy(sums, &sum, sizeof sums);
    size_t kept = offsetof(struct stats_cpu, engine.kept) / 8;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        assert_int_equal(sums[i], i == kept ? 0 : 2 * (100 + i));
}

static void collect(void *ctx, const char *text)
{
    fprintf(ctx, "%s\n", text);
}

/* The table as one text; the caller frees it. */
static char *print(const struct stats_vm *s)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    assert_non_null(f);
    stats_print(s, 1000000, collect, f);
    fclose(f);
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        assert_in_range(strcspn(line, "\n"), 0, 80);
    return text;
}

#define CHECK_ROW(text, row) assert_non_null(strstr(text, "\n" row "\n"))

static void test_one_cpu(void **state)
{
    (void)state;
    struct stats_vm *s = calloc(1, sizeof *s);
    assert_non_null(s);
    *s = (struct stats_vm){ .engine = "jit", .cpus = 1, .now_ns = 4301500000, .start_ns = 6500000 };
    s->cpu[0] = (struct stats_cpu){
        .cpu_ns = 1500000,
        .exits = { [STATS_EXIT_MMIO] = 1234567, [STATS_EXIT_OTHER] = 999 },
        .engine = { .kept = HVX_STATS_EVENTS | HVX_STATS_TRANSLATION,
                    .instructions = 5,
                    .exceptions = 99999999,
                    .tlb_refills = 100000000,
                    .translation = { .blocks = 10,
                                     .instructions = 100,
                                     .ns = 12345,
                                     .hot_bytes = 2100,
                                     .cache_size = 128 << 20 } },
    };
    char *text = print(s);
    assert_memory_equal(text, "Virtual machine: 1 CPU, engine jit; started in 5.5 ms, 4.3 s ago\n",
                        65);
    CHECK_ROW(text, "  processor time                     1.50 ms");
    CHECK_ROW(text, "  device memory                    1 234 567");
    CHECK_ROW(text, "  other                                  999");
    CHECK_ROW(text, "  exceptions taken by the guest   99 999 999");
    CHECK_ROW(text, "  misses found in the 2nd level      100.0 M");
    CHECK_ROW(text, "  time                               12.3 us");
    CHECK_ROW(text, "    for a guest instruction           123 ns");
    CHECK_ROW(text, "  hot host code                     2.05 KiB");
    CHECK_ROW(text, "    for a byte of the guest's           5.25");
    CHECK_ROW(text, "  code memory                        128 MiB");
    assert_null(strstr(text, "guest instructions  "));
    assert_null(strstr(text, "CPU 0"));
    CHECK_ROW(text, "Hits of the TLB are not counted; instructions are with IREKO_JIT=count.");
    assert_null(strstr(text, "left to the interpreter"));
    free(text);
    free(s);
}

static const char *name_of(unsigned kind)
{
    return kind == 7 ? "SEVEN" : kind == 900 ? "NINE_HUNDRED" : NULL;
}

/* By name, the most frequent one first; those that never were are not shown. */
static void test_instructions(void **state)
{
    (void)state;
    struct stats_vm *s = calloc(1, sizeof *s);
    assert_non_null(s);
    *s = (struct stats_vm){ .engine = "jit", .cpus = 1, .instruction_name = name_of };
    s->cpu[0].engine.kept = HVX_STATS_EVENTS | HVX_STATS_TRANSLATION;
    s->cpu[0].engine.left[7] = 12;
    s->cpu[0].engine.left[900] = 3456;
    char *text = print(s);
    assert_non_null(strstr(text, "\n  NINE_HUNDRED                         3 456\n"
                                 "  SEVEN                                   12\n"
                                 "Hits of the TLB"));
    free(text);
    free(s);
}

/* Nothing translated yet has no quotients; an engine that counts nothing has only our rows. */
static void test_unknown(void **state)
{
    (void)state;
    struct stats_vm *s = calloc(1, sizeof *s);
    assert_non_null(s);
    *s = (struct stats_vm){ .engine = "jit", .cpus = 1 };
    s->cpu[0].engine.kept = HVX_STATS_EVENTS | HVX_STATS_TRANSLATION;
    char *text = print(s);
    assert_non_null(strstr(text, "; has not started\n"));
    CHECK_ROW(text, "    for a guest instruction                -");
    free(text);

    s->engine = "kvm";
    s->cpu[0].engine.kept = 0;
    text = print(s);
    CHECK_ROW(text, "  WFI and WFE                              0");
    assert_null(strstr(text, "Software TLB"));
    assert_null(strstr(text, "Translation"));
    CHECK_ROW(text, "This engine counts nothing of what happens inside of the guest.");
    free(text);
    free(s);
}

static void test_many_cpus(void **state)
{
    (void)state;
    struct stats_vm *s = calloc(1, sizeof *s);
    assert_non_null(s);
    *s = (struct stats_vm){ .engine = "interp", .cpus = 4, .now_ns = 2000000, .start_ns = 1000000 };
    for (unsigned n = 0; n < s->cpus; n++) {
        s->cpu[n].exits[STATS_EXIT_WAIT] = n + 1;
        s->cpu[n].engine.kept = HVX_STATS_EVENTS | HVX_STATS_INSTRUCTIONS;
    }
    char *text = print(s);
    assert_non_null(strstr(text, "       CPU 0       CPU 1       CPU 2       CPU 3\n"));
    CHECK_ROW(text,
              "  WFI and WFE                              1           2           3           4");
    CHECK_ROW(text, "                                         all");
    CHECK_ROW(text, "  WFI and WFE                             10");
    CHECK_ROW(text, "Hits of the TLB are not counted.");
    free(text);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reasons),   cmocka_unit_test(test_sums),
        cmocka_unit_test(test_one_cpu),   cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_many_cpus), cmocka_unit_test(test_instructions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
