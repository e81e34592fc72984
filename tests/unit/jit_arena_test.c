/* Code memory: two mappings of the same bytes, never writable and executable at once, that keep
 * what they hold when pieces of it become large pages. */
#include "soft/jit/runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#define MIB (1u << 20)

/* Sum up the mappings of code memory; none may be writable and executable. */
static uint64_t mapped(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char line[512], rights[8];
    unsigned long start, end;
    uint64_t total = 0;

    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        if (!strstr(line, "ireko-code"))
            continue;
        assert_int_equal(sscanf(line, "%lx-%lx %7s", &start, &end, rights), 3);
        assert_false(rights[1] == 'w' && rights[2] == 'x');
        total += end - start;
    }
    fclose(f);
    return total;
}

static uint8_t pattern(uint32_t at)
{
    return (uint8_t)(at * 2654435761u >> 24);
}

static void put(struct jit_cache *c, uint32_t *next, uint32_t end)
{
    uint32_t at = *next;

    *next = end;
    jit_arena_extend(c);
    for (; at < end; at++)
        c->rw[at] = pattern(at);
}

static void check(const struct jit_cache *c, uint32_t from, uint32_t end)
{
    for (uint32_t at = from; at < end; at++)
        assert_int_equal(c->rx[at], pattern(at));
}

/* Fill both parts in steps, as translation does. */
static void fill(struct jit_cache *c, uint32_t step)
{
    c->hot = 0;
    c->cold = c->hot_end;
    while (c->hot < c->hot_end || c->cold < c->cold_end) {
        put(c, &c->hot, c->hot + step < c->hot_end ? c->hot + step : c->hot_end);
        put(c, &c->cold, c->cold + step < c->cold_end ? c->cold + step : c->cold_end);
    }
    check(c, 0, (uint32_t)c->size);
}

static void fill_size(size_t size, uint32_t step, bool small)
{
    struct jit_cache *c = calloc(1, sizeof *c);

    assert_non_null(c);
    assert_int_equal(jit_arena_create(c, size), 0);
    jit_arena_split(c, (uint32_t)(size / 8 * 5), small);
    assert_int_equal(mapped(), 2 * size);
    fill(c, step);
    assert_int_equal(mapped(), 2 * size);
    fill(c, step + 8); /* after a reset */
    jit_arena_destroy(c);
    assert_int_equal(mapped(), 0);
    free(c);
}

static void test_contents(void **state)
{
    (void)state;
    fill_size(32 * MIB, 4096, false);
    fill_size(32 * MIB, 4096, true);
    fill_size(5 * MIB, 1000, false);
    fill_size(1 * MIB, 512, false);
}

/* Bytes of code memory that the host has. */
static size_t resident(const struct jit_cache *c)
{
    size_t pages = c->size / 4096, count = 0;
    unsigned char *in = malloc(pages);

    assert_non_null(in);
    assert_int_equal(mincore(c->rw, c->size, in), 0);
    for (size_t n = 0; n < pages; n++)
        count += in[n] & 1;
    free(in);
    return count * 4096;
}

/* There is little memory that is not used: less than a piece, or what is made at once, of each
 * part. */
static void begin(bool small, size_t slack)
{
    struct jit_cache *c = calloc(1, sizeof *c);

    assert_non_null(c);
    assert_int_equal(jit_arena_create(c, 16 * MIB), 0);
    jit_arena_split(c, 10 * MIB, small);
    c->cold = c->hot_end;
    assert_int_equal(resident(c), 0);
    for (unsigned n = 1; n <= 8 * MIB / 4096; n++) {
        put(c, &c->hot, n * 4096);
        if (n <= 5 * MIB / 4096)
            put(c, &c->cold, c->hot_end + n * 4096);
        assert_in_range(resident(c), c->hot + c->cold - c->hot_end,
                        c->hot + c->cold - c->hot_end + 2 * slack);
    }
    jit_arena_destroy(c);
    free(c);
}

static void test_beginning(void **state)
{
    (void)state;
    begin(false, 2 * MIB);
    begin(true, 128 * 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents),
        cmocka_unit_test(test_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
