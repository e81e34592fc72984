/* The file behind a non-volatile memory: made, read, written, refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/nvram.h"

#define SIZE 4096u

static char folder[64], path[128];
static uint8_t memory[SIZE], other[SIZE];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/ireko-nvram-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/vars", folder);
    memset(memory, 0, SIZE);
    memset(other, 0, SIZE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static int open_it(struct nvram *n, uint8_t *to, struct err *e)
{
    return nvram_open(n, path, "--firmware", to, SIZE, e);
}

static void keeps_what_is_written(void **state)
{
    (void)state;
    struct nvram n, again;
    struct err e;
    assert_int_equal(open_it(&n, memory, &e), 0); /* made */
    memcpy(memory + 100, "abc", 3);
    memset(memory + SIZE - 8, 7, 8);
    assert_int_equal(nvram_write(&n, 100, 3), 0);
    assert_int_equal(nvram_write(&n, SIZE - 8, 8), 0);
    assert_int_equal(nvram_sync(&n), 0);
    assert_false(atomic_load(&n.dirty));
    nvram_close(&n);
    assert_int_equal(open_it(&again, other, &e), 0);
    assert_memory_equal(other, memory, SIZE);
    nvram_close(&again);
}

static void short_files_leave_the_rest(void **state)
{
    (void)state;
    struct nvram n;
    struct err e;
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs("short", f);
    fclose(f);
    assert_int_equal(open_it(&n, memory, &e), 0);
    assert_memory_equal(memory, "short\0\0", 7);
    nvram_close(&n);
}

static void refuses(void **state)
{
    (void)state;
    struct nvram n, second;
    struct err e;
    assert_int_equal(open_it(&n, memory, &e), 0);
    assert_int_equal(open_it(&second, other, &e), -EBUSY);
    assert_non_null(strstr(e.text, "--firmware vars="));
    nvram_close(&n);
    assert_int_equal(truncate(path, SIZE + 1), 0);
    assert_int_equal(open_it(&n, memory, &e), -E2BIG);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(open_it(&n, memory, &e), -EINVAL);
    assert_int_equal(nvram_open(&n, folder, "--firmware", memory, SIZE, &e), -EISDIR);
    assert_int_equal(nvram_open(&n, "/nonexistent/vars", "--firmware", memory, SIZE, &e), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keeps_what_is_written, setup, teardown),
        cmocka_unit_test_setup_teardown(short_files_leave_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
