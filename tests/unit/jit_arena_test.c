/* Code memory: two mappings of the same bytes, never writable and executable at once, that keep
 * what they hold when pieces of it become large pages. */
#include "soft/jit/runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "base/populate.h"

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

/* `late`: nothing is made ahead. */
static struct jit_cache *begin(size_t size, bool small, bool late)
{
    struct jit_cache *c = calloc(1, sizeof *c);

    assert_non_null(c);
    assert_int_equal(jit_arena_create(c, size), 0);
    jit_arena_split(c, (uint32_t)(size / 8 * 5), small);
    jit_ahead_init(&c->ahead);
    c->ahead.off = late;
    c->cold = c->hot_end;
    return c;
}

static void end(struct jit_cache *c)
{
    jit_ahead_end(&c->ahead);
    jit_arena_destroy(c);
    free(c);
}

static void fill_size(size_t size, uint32_t step, bool small, bool late)
{
    struct jit_cache *c = begin(size, small, late);

    assert_int_equal(mapped(), 2 * size);
    fill(c, step);
    assert_int_equal(mapped(), 2 * size);
    fill(c, step + 8); /* after a reset */
    end(c);
    assert_int_equal(mapped(), 0);
}

static void test_contents(void **state)
{
    (void)state;
    fill_size(32 * MIB, 4096, false, false);
    fill_size(32 * MIB, 4096, false, true);
    fill_size(32 * MIB, 4096, true, false);
    fill_size(5 * MIB, 1000, false, false);
    fill_size(1 * MIB, 512, false, false);
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
static void use_little(bool small, size_t slack)
{
    struct jit_cache *c = begin(16 * MIB, small, true);

    assert_int_equal(resident(c), 0);
    for (unsigned n = 1; n <= 8 * MIB / 4096; n++) {
        put(c, &c->hot, n * 4096);
        if (n <= 5 * MIB / 4096)
            put(c, &c->cold, c->hot_end + n * 4096);
        assert_in_range(resident(c), c->hot + c->cold - c->hot_end,
                        c->hot + c->cold - c->hot_end + 2 * slack);
    }
    end(c);
}

static void test_beginning(void **state)
{
    (void)state;
    use_little(false, 2 * MIB);
    use_little(true, 128 * 1024);
}

/* The next large page is there before it is needed, but not the one behind it. */
static void test_ahead(void **state)
{
    struct jit_cache *c = begin(16 * MIB, false, false);

    (void)state;
    c->cold += 4096; /* the first pieces are made together */
    put(c, &c->hot, MIB / 2);
    assert_false(c->ahead.started);
    put(c, &c->hot, MIB / 2 + 4096);
    if (c->small) {
        assert_false(c->ahead.started); /* the host makes none */
    } else {
        for (unsigned n = 0; n < 10000 && resident(c) < 6 * MIB; n++)
            usleep(1000);
        assert_int_equal(resident(c), 6 * MIB);
        assert_int_equal(c->hot_made, 4 * MIB);
    }
    check(c, 0, MIB / 2 + 4096);
    end(c);
}

/* A table grows by what it has, but by 64 KiB at least and 256 at most, and to its end. */
static void test_table(void **state)
{
    static const uint32_t kib[] = { 64, 128, 256, 512, 768, 1000, 1000 };
    struct jit_cache *c = begin(16 * MIB, true, true);
    struct jit_room room = { .mapped = 1000 };
    void *table = map_zero(room.mapped * 1024);

    (void)state;
    assert_non_null(table);
    for (unsigned n = 0; n < ARRAY_LEN(kib); n++) {
        assert_int_equal(jit_table_grow(c, table, room.made, 1, &room, 1024), n < 6);
        assert_int_equal(room.made, kib[n]);
    }
    munmap(table, room.mapped * 1024);
    end(c);
}

/* One thing after the other; what is asked for when there are too many is not taken. */
static bool count_up(void *at, size_t size)
{
    atomic_fetch_add((_Atomic size_t *)at, size);
    return true;
}

static void test_asking(void **state)
{
    struct jit_ahead a = { .count = 0 };
    _Atomic size_t sum = 0;
    size_t asked = 0;

    (void)state;
    jit_ahead_init(&a);
    for (unsigned n = 0; n < 1000; n++)
        asked += jit_ahead_ask(&a, count_up, &sum, 1);
    assert_in_range(asked, JIT_AHEAD_JOBS, 1000);
    for (unsigned n = 0; n < 10000 && atomic_load(&sum) != asked; n++)
        usleep(1000);
    assert_int_equal(atomic_load(&sum), asked);
    jit_ahead_end(&a);

    a = (struct jit_ahead){ .off = true };
    jit_ahead_init(&a);
    assert_false(jit_ahead_ask(&a, count_up, &sum, 1));
    jit_ahead_end(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents), cmocka_unit_test(test_beginning),
        cmocka_unit_test(test_ahead),    cmocka_unit_test(test_table),
        cmocka_unit_test(test_asking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
