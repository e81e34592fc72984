/* Files of kept translations under stress: processes that are killed at any time, many at once, and
 * limits of a process. What is found is right, always. */
#include "soft/jit/store.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/store_folder.h"

#define RECORDS 2000 /* that there can be */
#define PART    150  /* that one process adds at a time */

static uint32_t next(uint32_t *dice)
{
    return *dice = *dice * 1664525 + 1013904223;
}

/* Number n has its number as its bytes, so many times as it says itself. 0, or an error that is one
 * of those that other processes bring about. */
static int add_some(int folder, uint32_t *dice)
{
    struct store_writer w;
    int err = store_writer_begin(&w, folder, KEY, next(dice) >> 28 == 0, 0);

    if (err)
        return err;
    for (uint32_t k = 0; k < PART; k++) {
        uint32_t n = (next(dice) >> 8) % RECORDS, words = 2 + next(dice) % 1000 * 2;
        struct store_record *r = store_writer_room(&w, words * sizeof n);
        if (!r)
            break;
        r->hash = hash_of(n);
        r->name = n;
        for (uint32_t at = 0; at < words; at++)
            ((uint32_t *)(void *)(r + 1))[at] = n;
        store_writer_add(&w, r);
    }
    return store_writer_end(&w);
}

/* How many records there are, all of them right. */
static unsigned look(int folder)
{
    struct store_file f;
    unsigned count = 0;
    int err = store_file_open(&f, folder, KEY);

    assert_true(err == 0 || err == -ENOENT);
    for (uint32_t n = 0; n < RECORDS; n++) {
        const struct store_record *r;
        uint32_t probe = 0;
        while ((r = store_file_find(&f, hash_of(n), &probe))) {
            const uint32_t *word = (const void *)(r + 1);
            assert_true(store_record_is_sound(&f, r));
            assert_int_equal(r->name, n);
            for (size_t at = 0; at < r->size / sizeof n; at++)
                assert_int_equal(word[at], n);
            count++;
        }
    }
    store_file_close(&f);
    return count;
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

/* A process that adds for as long as it lives. */
static pid_t start(int folder, uint32_t seed)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (pid == 0)
        (void)add_some(folder, &seed);
    return pid;
}

#define PROCESSES 4
#define KILLS     100

/* Whoever is killed, wherever it is, there is no file, or one whose records are right. */
static void test_killed(void **state)
{
    struct folder *folder = *state;
    pid_t pid[PROCESSES];
    uint32_t dice = 1;
    unsigned found = 0;

    for (unsigned n = 0; n < PROCESSES; n++)
        pid[n] = start(folder->fd, n);
    for (unsigned k = 0; k < KILLS || !found; k++) {
        unsigned n = next(&dice) >> 30;
        usleep(next(&dice) >> 20);
        assert_int_equal(kill(pid[n], SIGKILL), 0);
        assert_int_equal(waitpid(pid[n], NULL, 0), pid[n]);
        found = look(folder->fd);
        pid[n] = start(folder->fd, k + PROCESSES);
    }
    for (unsigned n = 0; n < PROCESSES; n++) {
        assert_int_equal(kill(pid[n], SIGKILL), 0);
        assert_int_equal(waitpid(pid[n], NULL, 0), pid[n]);
    }
    assert_int_equal(add_some(folder->fd, &dice), 0);
    assert_true(look(folder->fd) > PART / 2);
    assert_in_range(files_in(folder), 1, 8);
}

/* A process may write files of so many bytes only: more would be SIGXFSZ, which ends it. */
static void test_limit(void **state)
{
    static const char name[] = "code-1234567890abcdef";
    struct folder *folder = *state;
    uint32_t dice = 1;
    struct stat st;

    for (rlim_t limit = 0; limit < 200000; limit = limit * 2 + 1) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            const struct rlimit r = { limit, limit };
            _exit(setrlimit(RLIMIT_FSIZE, &r) != 0 || add_some(folder->fd, &dice) > 0);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        if (fstatat(folder->fd, name, &st, 0) == 0)
            assert_in_range(st.st_size, 1, limit);
        assert_true(look(folder->fd) > 0 || limit < 20000);
        assert_in_range(files_in(folder), 0, 1);
    }
}

/* Many large files of other builds do not stay. */
static void test_bytes(void **state)
{
    struct folder *folder = *state;
    uint32_t dice = 1;
    struct stat st;
    char name[64];

    for (unsigned n = 0; n < 5; n++) {
        const struct timespec times[2] = { { .tv_sec = 1000 + n }, { .tv_sec = 1000 + n } };
        snprintf(name, sizeof name, "code-%016x", n);
        int fd = openat(folder->fd, name, O_WRONLY | O_CREAT, 0600);
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, STORE_LIMIT / 4 * 3), 0); /* no bytes of the disk */
        assert_int_equal(futimens(fd, times), 0);
        close(fd);
    }
    assert_int_equal(add_some(folder->fd, &dice), 0);
    for (unsigned n = 0; n < 5; n++) {
        snprintf(name, sizeof name, "code-%016x", n);
        assert_int_equal(fstatat(folder->fd, name, &st, 0) == 0, n >= 3);
    }
    assert_int_equal(files_in(folder), 3);

    /* one that is used is young */
    assert_int_equal(
        renameat(folder->fd, "code-1234567890abcdef", folder->fd, "code-0000000000000009"), 0);
    assert_int_equal(add_some(folder->fd, &dice), 0);
    snprintf(name, sizeof name, "code-%016llx", (unsigned long long)KEY);
    const struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
    assert_int_equal(utimensat(folder->fd, name, old, 0), 0);
    struct store_file f;
    assert_int_equal(store_file_open(&f, folder->fd, KEY), 0);
    store_file_close(&f);
    assert_int_equal(fstatat(folder->fd, name, &st, 0), 0);
    assert_true(st.st_mtim.tv_sec > 1000);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = { TEST(test_killed), TEST(test_bytes), TEST(test_limit) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
