/* Files in memory: what is mapped, what reaches the file, who may open it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/pmem.h"

static char path[] = "/tmp/ireko-pmem-XXXXXX";

static int setup(void **state)
{
    (void)state;
    strcpy(path, "/tmp/ireko-pmem-XXXXXX");
    int fd = mkstemp(path);
    if (fd < 0 || ftruncate(fd, 2 * PMEM_ALIGN) < 0 || pwrite(fd, "first", 5, 0) != 5)
        return -1;
    return close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static struct pmem *must_open(bool read_only)
{
    struct pmem *p;
    struct err e = { "" };
    const struct pmem_options options = { path, read_only };
    if (pmem_open(&options, &p, &e) < 0)
        fail_msg("%s", e.text);
    return p;
}

/* What the file has at `offset`. */
static void file_has(const char *text, off_t offset)
{
    char got[32] = "";
    int fd = open(path, O_RDONLY);
    assert_int_equal(pread(fd, got, strlen(text), offset), strlen(text));
    assert_string_equal(got, text);
    close(fd);
}

static atomic_int flushed;

static void on_flushed(struct pmem_flush *f, int result)
{
    (void)f;
    assert_int_equal(result, 0);
    atomic_fetch_add(&flushed, 1);
}

static void file_is_memory(void **state)
{
    (void)state;
    struct pmem *p = must_open(false);
    struct pmem_flush flush[8] = { 0 };
    uint8_t *m = pmem_base(p);
    struct stat st;
    assert_int_equal((uintptr_t)m % PMEM_ALIGN, 0);
    assert_int_equal(pmem_size(p), 2 * PMEM_ALIGN);
    assert_memory_equal(m, "first", 5);
    memcpy(m + PMEM_ALIGN + 5, "second", 6);
    atomic_store(&flushed, 0);
    for (unsigned i = 0; i < 8; i++) {
        flush[i].done = on_flushed;
        pmem_submit(p, &flush[i]);
    }
    pmem_drain(p);
    assert_int_equal(atomic_load(&flushed), 8);
    file_has("second", PMEM_ALIGN + 5);
    assert_int_equal(stat(path, &st), 0);
#ifdef __linux__
    assert_true((uint64_t)st.st_blocks * 512 >= 2 * PMEM_ALIGN); /* no holes */
#endif
    pmem_close(p);
}

/* Its own copy, and others may read it, too. */
static void read_only(void **state)
{
    (void)state;
    struct pmem *p = must_open(true), *q = must_open(true);
    struct pmem_flush flush = { .done = on_flushed };
    memcpy(pmem_base(p), "wrong", 5);
    atomic_store(&flushed, 0);
    pmem_submit(p, &flush);
    pmem_close(p); /* does what was submitted */
    assert_int_equal(atomic_load(&flushed), 1);
    assert_memory_equal(pmem_base(q), "first", 5);
    file_has("first", 0);
    pmem_close(q);
}

static void refused(const char *what, const char *says)
{
    struct pmem *p = NULL;
    struct err e = { "" };
    const struct pmem_options options = { what, false };
    assert_true(pmem_open(&options, &p, &e) < 0);
    assert_null(p);
    if (!strstr(e.text, says) || !strstr(e.text, "--pmem"))
        fail_msg("'%s' is not in '%s'", says, e.text);
}

static void refusals(void **state)
{
    (void)state;
    struct pmem *p = must_open(false);
    refused(path, "in use");
    pmem_close(p);
    refused("/nonexistent/x", "cannot open it");
    refused("/tmp", "--pmem '/tmp'");
    refused("/dev/null", "no regular file");
    assert_int_equal(truncate(path, PMEM_ALIGN + 4096), 0);
    refused(path, "multiple of 2 MiB");
    assert_int_equal(truncate(path, 0), 0);
    refused(path, "multiple of 2 MiB");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(file_is_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(read_only, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
