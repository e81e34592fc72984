/* Files of kept translations: what was written is found again, and a file that is damaged, cut off,
 * for another key or not ours alone is not used. */
#include "soft/jit/store.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/compiler.h"
#include "tests/unit/store_folder.h"

#define FILE_ "code-1234567890abcdef"
#define COUNT 500

static size_t size_of(uint32_t n)
{
    return 8 + n % 50 * 8;
}

static void begin(struct store_writer *w, struct folder *folder, bool anew)
{
    assert_int_equal(store_writer_begin(w, folder->fd, KEY, anew, 0), 0);
}

/* A record; its bytes are `fill`. */
static bool add_record(struct store_writer *w, uint64_t hash, uint64_t name, size_t size,
                       uint8_t fill)
{
    struct store_record *r = store_writer_room(w, size);

    if (!r)
        return false;
    r->hash = hash;
    r->name = name;
    memset(r + 1, fill, size);
    store_writer_add(w, r);
    return true;
}

/* Of number n. */
static void add(struct store_writer *w, uint32_t n, uint8_t fill)
{
    assert_true(add_record(w, hash_of(n), n, size_of(n), fill));
}

static void write_records(struct folder *folder, uint32_t from, uint32_t end, uint8_t fill)
{
    struct store_writer w;

    begin(&w, folder, false);
    for (uint32_t n = from; n < end; n++)
        add(&w, n, fill);
    assert_int_equal(store_writer_end(&w), 0);
}

/* The first byte of a record, or -1: it is not there; -2: it is damaged. */
static int look(const struct store_file *f, uint32_t n)
{
    const struct store_record *r;
    uint32_t probe = 0;
    int found = -1;

    while ((r = store_file_find(f, hash_of(n), &probe))) {
        assert_int_equal(found, -1); /* one of a name */
        assert_true((const uint8_t *)(r + 1) + r->size <= f->map + f->size);
        found = store_record_is_sound(f, r) ? *(const uint8_t *)(r + 1) : -2;
        if (found >= 0)
            assert_int_equal(r->size, size_of(n));
    }
    return found;
}

static void test_written_is_found(void **state)
{
    struct folder *folder = *state;
    struct store_file f;
    struct stat st;

    assert_int_equal(store_file_open(&f, folder->fd, KEY), -ENOENT);
    assert_null(f.map);
    assert_int_equal(look(&f, 0), -1);
    write_records(folder, 0, COUNT, 7);
    assert_int_equal(fstatat(folder->fd, FILE_, &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
    for (uint32_t n = 0; n < COUNT; n++)
        assert_int_equal(look(&f, n), 7);
    assert_int_equal(look(&f, COUNT), -1);

    /* who has the old file keeps it; the new one has both, the younger ones first */
    write_records(folder, COUNT / 2, 2 * COUNT, 9);
    assert_int_equal(look(&f, COUNT / 2), 7);
    store_file_close(&f);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
    for (uint32_t n = 0; n < 2 * COUNT; n++)
        assert_int_equal(look(&f, n), n < COUNT / 2 ? 7 : 9);
    store_file_close(&f);
}

/* Nothing is no file; and the table grows. */
static void test_few_and_many(void **state)
{
    struct folder *folder = *state;
    struct store_writer w;
    struct store_file f;

    begin(&w, folder, false);
    assert_int_equal(store_writer_end(&w), 0);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), -ENOENT);
    for (uint32_t n = 0, end = 1; n < 20000; n = end, end = n * 5)
        write_records(folder, n, end, 2);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
    for (uint32_t n = 0; n < 20000; n++)
        assert_int_equal(look(&f, n), 2);
    store_file_close(&f);
}

#define LARGE (128u << 10)

static void test_too_much(void **state)
{
    struct folder *folder = *state;
    struct store_writer w;
    struct store_file f;
    struct stat st;
    const uint32_t half = 9 * 128; /* 144 MiB */

    for (uint32_t from = 0; from < 2 * half; from += half) {
        assert_int_equal(store_writer_begin(&w, folder->fd, KEY, false, half * LARGE), 0);
        for (uint32_t n = from; n < from + half; n++)
            assert_true(add_record(&w, hash_of(n), n, LARGE, 1));
        assert_int_equal(store_writer_end(&w), 0);
    }
    assert_int_equal(fstatat(folder->fd, FILE_, &st, 0), 0);
    assert_true(st.st_size < (9 * 16 + 1) << 20);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
    uint32_t probe = 0;
    assert_null(store_file_find(&f, hash_of(0), &probe)); /* the old ones went, all of them */
    probe = 0;
    assert_non_null(store_file_find(&f, hash_of(half), &probe));
    store_file_close(&f);

    /* more than was expected is left out, as is what is too large */
    begin(&w, folder, false);
    assert_false(add_record(&w, 1, 1, 1 << 20, 1));
    uint32_t added = 0;
    while (added < half && add_record(&w, hash_of(added), added, LARGE, 1))
        added++;
    assert_in_range(added, 600, half - 1);
    assert_int_equal(store_writer_end(&w), 0);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
    probe = 0;
    assert_non_null(store_file_find(&f, hash_of(added - 1), &probe));
    store_file_close(&f);
}

static void patch(struct folder *folder, off_t at, uint8_t flip)
{
    uint8_t byte;
    int fd = openat(folder->fd, FILE_, O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= flip;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* Each byte: of the header the file is not used; of the table and of records what is found is
 * right. */
static void test_damage(void **state)
{
    struct folder *folder = *state;
    struct store_file f;
    struct stat st;
    unsigned refused = 0, lost = 0;

    write_records(folder, 0, 20, 7);
    assert_int_equal(fstatat(folder->fd, FILE_, &st, 0), 0);
    for (off_t at = 0; at < st.st_size; at++) {
        uint8_t flip = (uint8_t)(1u << at % 8);
        patch(folder, at, flip);
        int err = store_file_open(&f, folder->fd, KEY);
        assert_true(err == 0 || (err == -EBADMSG && at < 64));
        refused += err != 0;
        for (uint32_t n = 0; err == 0 && n < 20; n++) {
            int found = look(&f, n);
            assert_true(found == 7 || found < 0);
            lost += found < 0;
        }
        store_file_close(&f);
        patch(folder, at, flip);
    }
    assert_int_equal(refused, 48); /* all but the header's end */
    assert_true(lost > 1000);
}

/* A new file can take the place of a damaged one. */
static void test_repair(void **state)
{
    struct folder *folder = *state;
    struct store_writer w;
    struct store_file f, old;
    struct stat st;

    write_records(folder, 0, COUNT, 7);
    assert_int_equal(fstatat(folder->fd, FILE_, &st, 0), 0);
    patch(folder, st.st_size / 2, 1);
    assert_int_equal(store_file_open(&old, folder->fd, KEY), 0);
    begin(&w, folder, true);
    add(&w, COUNT, 9);
    assert_int_equal(store_writer_end(&w), 0);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
    for (uint32_t n = 0; n < COUNT; n++)
        assert_int_equal(look(&f, n), -1);
    assert_int_equal(look(&f, COUNT), 9);
    assert_int_equal(look(&old, 0), 7); /* who has the old one keeps it */
    store_file_close(&old);
    store_file_close(&f);
}

/* What a process that ended in the middle left is overwritten and cut off. */
static void test_unfinished(void **state)
{
    struct folder *folder = *state;
    struct store_file f;
    struct stat st, after;
    static const uint8_t left[100000] = { 1, 2, 3 };

    write_records(folder, 0, COUNT, 7);
    assert_int_equal(fstatat(folder->fd, FILE_, &st, 0), 0);
    int fd = openat(folder->fd, FILE_, O_RDWR | O_APPEND);
    assert_int_equal(write(fd, left, sizeof left), sizeof left);
    close(fd);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
    assert_int_equal(f.size, st.st_size);
    assert_int_equal(look(&f, 1), 7);
    store_file_close(&f);
    write_records(folder, COUNT, COUNT + 1, 9);
    assert_int_equal(fstatat(folder->fd, FILE_, &after, 0), 0);
    assert_true(after.st_size < st.st_size + (off_t)sizeof left);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
    assert_int_equal(f.size, after.st_size);
    for (uint32_t n = 0; n < COUNT; n++)
        assert_int_equal(look(&f, n), 7);
    assert_int_equal(look(&f, COUNT), 9);
    store_file_close(&f);
}

/* One adds at a time; another one, and one whose file is no longer the one, leave it. */
static void test_two_writers(void **state)
{
    struct folder *folder = *state;
    struct store_writer one, other;
    struct store_file f;

    write_records(folder, 0, 1, 7);
    begin(&one, folder, false);
    add(&one, 1, 8);
    assert_int_equal(store_writer_begin(&other, folder->fd, KEY, false, 0), -EBUSY);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
    assert_int_equal(look(&f, 0), 7);
    assert_int_equal(look(&f, 1), -1);
    assert_int_equal(store_writer_end(&one), 0);
    assert_int_equal(look(&f, 1), -1); /* this one's file is what it was */
    store_file_close(&f);
    write_records(folder, 2, 3, 9);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
    for (uint32_t n = 0; n < 3; n++)
        assert_int_equal(look(&f, n), 7 + (int)n);
    store_file_close(&f);
}

static void test_cut_off(void **state)
{
    struct folder *folder = *state;
    struct store_file f;
    struct stat st;

    write_records(folder, 0, COUNT, 7);
    assert_int_equal(fstatat(folder->fd, FILE_, &st, 0), 0);
    int fd = openat(folder->fd, FILE_, O_RDWR);
    for (off_t size = st.st_size - 1; size > 0; size /= 2) {
        assert_int_equal(ftruncate(fd, size), 0);
        assert_int_equal(store_file_open(&f, folder->fd, KEY), -EBADMSG);
    }
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), -EBADMSG);
    close(fd);
}

/* Another build, host or set of switches has another key. */
static void test_other_key(void **state)
{
    struct folder *folder = *state;
    struct store_file f;

    write_records(folder, 0, COUNT, 7);
    assert_int_equal(store_file_open(&f, folder->fd, KEY + 1), -ENOENT);
    assert_int_equal(renameat(folder->fd, FILE_, folder->fd, "code-1234567890abcdf0"), 0);
    assert_int_equal(store_file_open(&f, folder->fd, KEY + 1), -EBADMSG);
}

static void test_not_ours(void **state)
{
    struct folder *folder = *state;
    struct store_file f;

    assert_int_equal(store_folder_check(folder->fd), 0);
    for (mode_t bit = 1; bit < 0100; bit <<= 1) {
        assert_int_equal(fchmod(folder->fd, 0700 | bit), 0);
        assert_int_equal(store_folder_check(folder->fd), -EPERM);
    }
    assert_int_equal(fchmod(folder->fd, 0700), 0);
    write_records(folder, 0, 1, 7);
    for (mode_t bit = 1; bit < 0100; bit <<= 1) {
        assert_int_equal(fchmodat(folder->fd, FILE_, 0600 | bit, 0), 0);
        assert_int_equal(store_file_open(&f, folder->fd, KEY), -EPERM);
    }
    assert_int_equal(fchmodat(folder->fd, FILE_, 0600, 0), 0);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
    store_file_close(&f);

    /* another name for it, and one that leads elsewhere */
    assert_int_equal(linkat(folder->fd, FILE_, folder->fd, "other", 0), 0);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), -EPERM);
    assert_int_equal(unlinkat(folder->fd, FILE_, 0), 0);
    assert_int_equal(symlinkat("other", folder->fd, FILE_), 0);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), -ELOOP);
    assert_int_equal(unlinkat(folder->fd, FILE_, 0), 0);
    assert_int_equal(mkfifoat(folder->fd, FILE_, 0600), 0);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), -EPERM);

    if (geteuid() == 0) { /* others' can only be made by root */
        assert_int_equal(unlinkat(folder->fd, FILE_, 0), 0);
        write_records(folder, 0, 1, 7);
        assert_int_equal(fchownat(folder->fd, FILE_, 65534, 65534, 0), 0);
        assert_int_equal(store_file_open(&f, folder->fd, KEY), -EPERM);
        assert_int_equal(fchown(folder->fd, 65534, 65534), 0);
        assert_int_equal(store_folder_check(folder->fd), -EPERM);
    }
}

/* There are eight files at most; the oldest go. What has no name of ours stays. */
static void test_many_files(void **state)
{
    struct folder *folder = *state;
    struct stat st;

    static const char *const others[] = { "code-review", "code-000000000000000g",
                                          "code-0000000000000000.c", "code-00000000000000000" };

    for (unsigned n = 0; n < 12 + ARRAY_LEN(others); n++) {
        char name[64];
        snprintf(name, sizeof name, n % 2 ? "code-%016x" : "code-%016x.123", n);
        if (n >= 12)
            strcpy(name, others[n - 12]);
        int fd = openat(folder->fd, name, O_WRONLY | O_CREAT, 0600);
        assert_true(fd >= 0);
        struct timespec times[2] = { { .tv_sec = 1000 - n }, { .tv_sec = 1000 - n } };
        assert_int_equal(futimens(fd, times), 0);
        close(fd);
    }
    write_records(folder, 0, 1, 7);
    assert_int_equal(fstatat(folder->fd, FILE_, &st, 0), 0);
    assert_int_equal(fstatat(folder->fd, "code-0000000000000006.123", &st, 0), 0);
    assert_int_equal(fstatat(folder->fd, "code-0000000000000007", &st, 0), -1);
    assert_int_equal(fstatat(folder->fd, "code-000000000000000b", &st, 0), -1);
    for (unsigned n = 0; n < ARRAY_LEN(others); n++)
        assert_int_equal(fstatat(folder->fd, others[n], &st, 0), 0);
}

static unsigned files_in(const struct folder *folder)
{
    DIR *dir = opendir(folder->path);
    unsigned files = 0;

    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir));)
        files += entry->d_name[0] != '.';
    closedir(dir);
    return files;
}

/* No room: the old file stays, and nothing else does. Here every byte of the new one may be the
 * last. */
static void test_full(void **state)
{
    struct folder *folder = *state;
    struct rlimit old, limit;
    struct store_writer w;
    struct store_file f;
    struct stat st, after;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = old;
    signal(SIGXFSZ, SIG_IGN);
    for (unsigned anew = 0; anew < 2; anew++) {
        write_records(folder, 0, 20, 7);
        assert_int_equal(fstatat(folder->fd, FILE_, &st, 0), 0);
        for (off_t size = anew ? 0 : st.st_size, n = 0; n < 80; size += 37, n++) {
            begin(&w, folder, anew);
            for (uint32_t k = 0; k < 20; k++)
                add(&w, k, 9);
            limit.rlim_cur = (rlim_t)size;
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
            assert_int_equal(store_writer_end(&w), -EFBIG);
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
            assert_int_equal(files_in(folder), 1);
            assert_int_equal(fstatat(folder->fd, FILE_, &after, 0), 0);
            assert_int_equal(after.st_size, st.st_size);
        }
        assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
        assert_int_equal(look(&f, 0), 7);
        store_file_close(&f);
    }
    begin(&w, folder, false);
    add(&w, 0, 9);
    assert_int_equal(store_writer_end(&w), 0);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
    assert_int_equal(look(&f, 0), 9);
    store_file_close(&f);
    signal(SIGXFSZ, SIG_DFL);
}

/* A folder that can only be read is read. */
static void test_read_only(void **state)
{
    struct folder *folder = *state;
    struct store_writer w;
    struct store_file f;
    bool root = geteuid() == 0; /* who can write everywhere */

    write_records(folder, 0, 1, 7);
    if (root) {
        assert_int_equal(fchownat(folder->fd, FILE_, 65534, 65534, 0), 0);
        assert_int_equal(fchown(folder->fd, 65534, 65534), 0);
        assert_int_equal(seteuid(65534), 0);
    }
    assert_int_equal(fchmodat(folder->fd, FILE_, 0400, 0), 0);
    assert_int_equal(fchmod(folder->fd, 0500), 0);
    assert_int_equal(store_writer_begin(&w, folder->fd, KEY, false, 0), -EACCES);
    assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
    assert_int_equal(look(&f, 0), 7);
    store_file_close(&f);
    assert_int_equal(fchmod(folder->fd, 0700), 0);
    if (root)
        assert_int_equal(seteuid(0), 0);
}

/* What a guest can bring about: very many records with one hash. Few are kept, in no time. */
static void test_one_hash(void **state)
{
    struct folder *folder = *state;
    struct store_writer w;
    struct store_file f;
    uint32_t probe = 0;
    unsigned found = 0;
    const uint32_t half = 500000;

    for (uint32_t from = 0; from < 2 * half; from += half) {
        begin(&w, folder, false);
        for (uint32_t n = from; n < from + half; n++) /* each with each: hours */
            assert_true(add_record(&w, 5, n, 8, 1));
        assert_int_equal(store_writer_end(&w), 0);
    }
    assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
    for (const struct store_record *r; (r = store_file_find(&f, 5, &probe)); found++)
        assert_true(r->name >= 2 * half - 64); /* the younger ones */
    assert_int_equal(found, 64);
    store_file_close(&f);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_written_is_found), TEST(test_few_and_many), TEST(test_too_much),
        TEST(test_damage),           TEST(test_repair),       TEST(test_unfinished),
        TEST(test_two_writers),      TEST(test_cut_off),      TEST(test_other_key),
        TEST(test_not_ours),         TEST(test_many_files),   TEST(test_full),
        TEST(test_read_only),        TEST(test_one_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
