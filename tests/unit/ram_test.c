/* The guest's memory on the host: large pages of a file, what giving back takes, renewal, and files
 * that are read into it. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/memory.h"
#include "tests/harness/quiet.h"

#define PIECE MEMORY_PIECE
#define PAGE  0x4000u
/* Four whole pieces, and a part of one. */
#define SIZE (4 * PIECE + PAGE)

static struct memory m;

static int make(bool share)
{
    quiet();
    return memory_create(&m, SIZE, share);
}

static int make_private(void **state)
{
    (void)state;
    return make(false);
}

static int make_shared(void **state)
{
    (void)state;
    return make(true);
}

static int destroy(void **state)
{
    (void)state;
    memory_destroy(&m);
    return 0;
}

static bool is_byte(const uint8_t *p, size_t n, uint8_t byte)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != byte)
            return false;
    return true;
}

/* Bytes that the file has memory for. */
static uint64_t cost(void)
{
    struct stat st;
    assert_int_equal(fstat(m.fd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

/* cmocka's skip() counts as a failure, so who cannot run says so and returns. */
static bool cannot(const char *why)
{
    print_message("# skipped: %s\n", why);
    return true;
}

#ifndef MADV_REMOVE /* then all memory is private */
#define MADV_REMOVE MADV_DONTNEED
#endif

/* QEMU's emulation of a CPU for programs (7.2) says that it took any advice, and ignores some. */
static bool is_ignored(void)
{
    bool shared = m.fd >= 0;
    uint8_t *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
                      (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    p[0] = 1;
    bool advised = madvise(p, PAGE, shared ? MADV_REMOVE : MADV_DONTNEED) == 0 && p[0] == 0;
    munmap(p, PAGE);
    return !advised && cannot("madvise() does nothing here");
}

static bool is_private(void)
{
    return m.fd < 0 && cannot("the host makes no large pages of a file");
}

/* The host may have no large page at the moment. */
static bool is_small(void)
{
    if (is_private())
        return true;
    memory_touch(&m, m.base, 4 * PIECE);
    return cost() != 4 * PIECE && cannot("the host has no large pages");
}

static void memory_is_zero_and_aligned(void **state)
{
    (void)state;
    assert_int_equal((uintptr_t)m.base % PIECE, 0);
    assert_true(is_byte(m.base, SIZE, 0));
}

/* Whole pages of the host inside of the range, and no other. */
static void what_was_given_back_is_zero(void **state)
{
    (void)state;
    if (is_ignored())
        return;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    memset(m.base, 0xaa, SIZE);
    (void)memory_give_back(&m, m.base + PIECE + 1, 2 * page);
    assert_true(is_byte(m.base, PIECE + page, 0xaa));
    assert_true(is_byte(m.base + PIECE + page, page, 0));
    assert_true(is_byte(m.base + PIECE + 2 * page, page, 0xaa));
    (void)memory_give_back(&m, m.base + PIECE + 1, page - 1);
    (void)memory_give_back(&m, m.base, SIZE);
    assert_true(is_byte(m.base, SIZE, 0));
}

static void renewed_memory_is_zero_at_its_place(void **state)
{
    (void)state;
    if (is_ignored())
        return;
    const uint8_t *base = m.base;
    memset(m.base, 0xaa, SIZE);
    assert_int_equal(memory_renew(&m), 0);
    assert_ptr_equal(m.base, base);
    assert_true(is_byte(m.base, SIZE, 0));
}

static void only_shared_memory_has_a_file(void **state)
{
    (void)state;
    assert_int_equal(m.fd, -1);
    assert_false(memory_give_back(&m, m.base, SIZE));
}

static void pages_can_be_mapped_twice(void **state)
{
    (void)state;
    if (is_ignored())
        return;
    if (is_private())
        return;
    uint8_t *again = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd, (off_t)PIECE);
    assert_ptr_not_equal(again, MAP_FAILED);
    memory_touch(&m, m.base + PIECE, 1);
    m.base[PIECE] = 1;
    assert_int_equal(again[0], 1);
    again[1] = 2;
    assert_int_equal(m.base[PIECE + 1], 2);
    assert_true(memory_give_back(&m, m.base + PIECE, PIECE));
    assert_true(is_byte(again, PAGE, 0));
    munmap(again, PAGE);
}

/* A piece as a whole, once; the part of one at the end stays in small pages. */
static void touched_pieces_become_large(void **state)
{
    (void)state;
    if (is_small())
        return;
    assert_int_equal(memory_renew(&m), 0);
    assert_int_equal(cost(), 0);
    memory_touch(&m, m.base + 2 * PIECE + 5, 1);
    assert_int_equal(cost(), PIECE);
    memory_touch(&m, m.base + 2 * PIECE, PIECE);
    assert_int_equal(cost(), PIECE);
    memory_touch(&m, m.base + PIECE - 1, 2 * PIECE + 2);
    assert_int_equal(cost(), 4 * PIECE);
    memory_touch(&m, m.base + 4 * PIECE, PAGE);
    assert_int_equal(cost(), 4 * PIECE);
    assert_true(is_byte(m.base, SIZE, 0));
}

static void touching_keeps_what_is_there(void **state)
{
    (void)state;
    if (is_private())
        return;
    memset(m.base + 3 * PIECE + 0x5000, 0x55, 0x2000);
    memory_touch(&m, m.base + 3 * PIECE, 1);
    assert_true(is_byte(m.base + 3 * PIECE, 0x5000, 0));
    assert_true(is_byte(m.base + 3 * PIECE + 0x5000, 0x2000, 0x55));
    assert_true(is_byte(m.base + 3 * PIECE + 0x7000, PIECE - 0x7000, 0));
}

/* Whole pieces are touched again; of one that was taken in parts, nothing comes back by that. */
static void what_was_given_back_costs_nothing(void **state)
{
    (void)state;
    if (is_small())
        return;
    assert_true(memory_give_back(&m, m.base + PIECE - 0x10000, 2 * PIECE));
    assert_int_equal(cost(), 2 * PIECE);
    memory_touch(&m, m.base + PIECE, 1);
    assert_int_equal(cost(), 3 * PIECE);
    memory_touch(&m, m.base, 4 * PIECE);
    assert_int_equal(cost(), 3 * PIECE);
    assert_false(memory_give_back(&m, m.base + 0x10000, 0x10000));
    assert_int_equal(cost(), 3 * PIECE - 0x10000);
    assert_int_equal(memory_renew(&m), 0);
    assert_int_equal(cost(), 0);
}

/* --- files that are read into it --- */

/* Of the file, and where it comes to lie: from the middle of a piece to that of another. */
#define FILE_SIZE (2 * PIECE + 0x3000)
#define FILE_SKIP 0x1000u
#define PLACE     (m.base + PIECE / 2)

static FILE *file;
static _Atomic int failed; /* how reading ended */

/* Byte `n` of it. */
static uint8_t file_byte(uint64_t n)
{
    return (uint8_t)(n % 251 + 1);
}

static int make_with_file(void **state)
{
    if (make_shared(state) != 0)
        return -1;
    atomic_store(&failed, 0);
    file = tmpfile();
    for (uint64_t n = 0; file && n < FILE_SKIP + FILE_SIZE; n++)
        putc(file_byte(n), file);
    return file && fflush(file) == 0 ? 0 : -1;
}

static int destroy_with_file(void **state)
{
    fclose(file);
    return destroy(state);
}

static void note_failure(void *ctx, void *start, int error)
{
    assert_ptr_equal(ctx, &m);
    assert_ptr_equal(start, PLACE);
    atomic_store(&failed, error);
}

static bool read_later(void)
{
    if (is_private())
        return false;
    assert_int_equal(memory_renew(&m), 0);
    assert_int_equal(memory_fill_later(&m, fileno(file), FILE_SKIP, PLACE, FILE_SIZE), 0);
    return true;
}

/* Memory in [start, end) from its beginning is what the file has there, or zero. */
static bool is_file(uint64_t start, uint64_t end)
{
    for (uint64_t n = start; n < end; n++) {
        uint64_t at = n - PIECE / 2;
        if (m.base[n] != (n >= PIECE / 2 && at < FILE_SIZE ? file_byte(FILE_SKIP + at) : 0))
            return false;
    }
    return true;
}

static void a_touched_piece_has_its_part_of_the_file(void **state)
{
    (void)state;
    if (!read_later())
        return;
    memory_touch(&m, m.base + PIECE + 7, 1);
    assert_true(is_file(PIECE, 2 * PIECE));
    assert_true(is_byte(m.base, PIECE, 0)); /* nobody has asked for the rest */
    memory_touch(&m, m.base, 4 * PIECE);
    assert_true(is_file(0, 4 * PIECE));
}

static void *touch_all(void *unused)
{
    (void)unused;
    for (uint64_t n = 0; n < 4; n++)
        memory_touch(&m, m.base + n * PIECE, 1);
    return is_file(0, 4 * PIECE) ? &m : NULL;
}

/* Also while others read. */
static void all_of_the_file_is_read(void **state)
{
    (void)state;
    pthread_t thread[3];
    void *good;
    if (!read_later())
        return;
    memory_start_filling(&m, note_failure, &m);
    for (unsigned n = 0; n < 3; n++)
        assert_int_equal(pthread_create(&thread[n], NULL, touch_all, NULL), 0);
    for (unsigned n = 0; n < 3; n++) {
        pthread_join(thread[n], &good);
        assert_non_null(good);
    }
    memory_stop_filling(&m);
    assert_int_equal(atomic_load(&failed), 0);
}

/* What was given back afterwards is zero, and stays so. */
static void what_was_read_can_be_given_back(void **state)
{
    (void)state;
    if (is_ignored())
        return;
    if (!read_later())
        return;
    memory_touch(&m, m.base, 4 * PIECE);
    memory_stop_filling(&m);
    (void)memory_give_back(&m, m.base, SIZE);
    memory_touch(&m, m.base, 4 * PIECE);
    assert_true(is_byte(m.base, SIZE, 0));
}

static void renewal_ends_reading(void **state)
{
    (void)state;
    if (is_ignored())
        return;
    if (!read_later())
        return;
    memory_start_filling(&m, note_failure, &m);
    assert_int_equal(memory_renew(&m), 0);
    memory_touch(&m, m.base, 4 * PIECE);
    assert_true(is_byte(m.base, SIZE, 0));
}

static void a_file_that_became_shorter_is_told(void **state)
{
    (void)state;
    if (!read_later())
        return;
    assert_int_equal(ftruncate(fileno(file), FILE_SKIP + PIECE), 0);
    memory_start_filling(&m, note_failure, &m);
    for (unsigned n = 0; n < 60000 && atomic_load(&failed) == 0; n++)
        usleep(1000);
    assert_int_equal(atomic_load(&failed), -ENODATA);
    assert_true(is_file(0, PIECE));
}

static void what_cannot_be_read_later_is_refused(void **state)
{
    (void)state;
    if (!read_later())
        return;
    int fd = fileno(file);
    assert_int_equal(memory_fill_later(&m, fd, 0, m.base + 4 * PIECE - 1, 2), -ENOTSUP);
    assert_int_equal(memory_fill_later(&m, fd, 0, m.base, 0), -ENOTSUP);
    assert_int_equal(memory_fill_later(&m, -1, 0, m.base, 1), -EBADF);
    assert_int_equal(memory_fill_later(&m, fd, 0, m.base + 3 * PIECE, PIECE), 0);
    assert_int_equal(memory_fill_later(&m, fd, 0, m.base, 1), -ENOTSUP);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, make_with_file, destroy_with_file)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(memory_is_zero_and_aligned, make_private, destroy),
        cmocka_unit_test_setup_teardown(what_was_given_back_is_zero, make_private, destroy),
        cmocka_unit_test_setup_teardown(renewed_memory_is_zero_at_its_place, make_private, destroy),
        cmocka_unit_test_setup_teardown(only_shared_memory_has_a_file, make_private, destroy),
        cmocka_unit_test_setup_teardown(memory_is_zero_and_aligned, make_shared, destroy),
        cmocka_unit_test_setup_teardown(what_was_given_back_is_zero, make_shared, destroy),
        cmocka_unit_test_setup_teardown(renewed_memory_is_zero_at_its_place, make_shared, destroy),
        cmocka_unit_test_setup_teardown(pages_can_be_mapped_twice, make_shared, destroy),
        cmocka_unit_test_setup_teardown(touched_pieces_become_large, make_shared, destroy),
        cmocka_unit_test_setup_teardown(touching_keeps_what_is_there, make_shared, destroy),
        cmocka_unit_test_setup_teardown(what_was_given_back_costs_nothing, make_shared, destroy),
        WITH_FILE(a_touched_piece_has_its_part_of_the_file),
        WITH_FILE(all_of_the_file_is_read),
        WITH_FILE(what_was_read_can_be_given_back),
        WITH_FILE(renewal_ends_reading),
        WITH_FILE(a_file_that_became_shorter_is_told),
        WITH_FILE(what_cannot_be_read_later_is_refused),
    };
    return cmocka_run_group_tests_name("guest memory on the host", tests, NULL, NULL);
}
