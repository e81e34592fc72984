/*
 * For tests of files of kept translations: a folder of the test's own, as its state.
 */
#ifndef TESTS_UNIT_STORE_FOLDER_H
#define TESTS_UNIT_STORE_FOLDER_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define KEY 0x1234567890abcdefull

struct folder {
    char path[64];
    int fd;
};

static int setup(void **state)
{
    struct folder *f = calloc(1, sizeof *f);

    assert_non_null(f);
    strcpy(f->path, "/tmp/ireko-store-XXXXXX");
    assert_non_null(mkdtemp(f->path));
    f->fd = open(f->path, O_RDONLY | O_DIRECTORY);
    assert_true(f->fd >= 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct folder *f = *state;
    char command[128];

    close(f->fd);
    snprintf(command, sizeof command, "rm -rf %s", f->path);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

/* Of record number n. */
static uint64_t hash_of(uint32_t n)
{
    return n * 0x9e3779b97f4a7c15ull;
}

#endif
