/* Disks on the host: requests, locking, and the files that cannot be disks. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "host/disk.h"
#include "tests/harness/quiet.h"

#define SIZE (1u << 20)

struct fixture {
    char path[32];
    struct disk *disk;
    struct err e;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    quiet();
    strcpy(f->path, "/tmp/ireko-disk-XXXXXX");
    int fd = mkstemp(f->path);
    uint8_t *bytes = malloc(SIZE);
    for (unsigned i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i ^ (i >> 8));
    ssize_t n = write(fd, bytes, SIZE);
    free(bytes);
    close(fd);
    *state = f;
    return n == SIZE ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    disk_close(f->disk);
    unlink(f->path);
    free(f);
    return 0;
}

static int open_disk(struct fixture *f, bool read_only)
{
    return disk_open(&(struct disk_options){ .path = f->path, .read_only = read_only }, &f->disk,
                     &f->e);
}

static int open_with(struct fixture *f, struct disk_options options)
{
    options.path = f->path;
    return disk_open(&options, &f->disk, &f->e);
}

static void open_fails(struct fixture *f, const char *path, bool read_only, const char *part)
{
    struct disk *d = NULL;
    char start[64];
    snprintf(start, sizeof start, "--disk '%s': ", path);
    assert_true(
        disk_open(&(struct disk_options){ .path = path, .read_only = read_only }, &d, &f->e) < 0);
    assert_null(d);
    if (strncmp(f->e.text, start, strlen(start)) != 0 || !strstr(f->e.text, part))
        fail_msg("wanted '%s', got '%s'", part, f->e.text);
}

/* A request and the answer to it. */
struct call {
    struct disk_request r;
    int result;
    unsigned calls;
};

static void call_done(struct disk_request *r, int result)
{
    struct call *c = CONTAINER_OF(r, struct call, r);
    c->result = result;
    __atomic_fetch_add(&c->calls, 1, __ATOMIC_RELEASE);
}

static int run(struct disk *d, enum disk_op op, uint64_t offset, uint64_t length,
               const struct iovec *iov, int count)
{
    struct call c = { .r = { .op = op,
                             .offset = offset,
                             .length = length,
                             .iov = iov,
                             .iov_count = count,
                             .done = call_done } };
    disk_submit(d, &c.r);
    disk_drain(d);
    assert_int_equal(c.calls, 1);
    return c.result;
}

static uint8_t byte_at(unsigned i)
{
    return (uint8_t)(i ^ (i >> 8));
}

static void read_pieces(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_disk(f, false), 0);
    assert_int_equal(disk_size(f->disk), SIZE);
    assert_false(disk_read_only(f->disk));
    /* More pieces than one preadv() takes, some of them empty. */
    enum { PIECES = 200 };
    static uint8_t buffer[PIECES * 24];
    struct iovec v[PIECES];
    size_t at = 0;
    for (unsigned i = 0; i < PIECES; i++) {
        v[i] = (struct iovec){ .iov_base = buffer + at, .iov_len = i % 24 };
        at += i % 24;
    }
    assert_int_equal(run(f->disk, DISK_READ, 1234, at, v, PIECES), 0);
    for (unsigned i = 0; i < at; i++)
        assert_int_equal(buffer[i], byte_at(1234 + i));
    assert_int_equal(run(f->disk, DISK_READ, SIZE, 0, NULL, 0), 0);
}

static void write_and_read(void **state)
{
    struct fixture *f = *state;
    uint8_t out[1024], in[1024] = { 0 };
    memset(out, 0xa5, sizeof out);
    assert_int_equal(open_disk(f, false), 0);
    struct iovec v[] = { { out, 512 }, { out + 512, 512 } };
    struct iovec w = { in, sizeof in };
    assert_int_equal(run(f->disk, DISK_WRITE, SIZE - 1024, 1024, v, 2), 0);
    assert_int_equal(run(f->disk, DISK_FLUSH, 0, 0, NULL, 0), 0);
    assert_int_equal(run(f->disk, DISK_READ, SIZE - 1024, 1024, &w, 1), 0);
    assert_memory_equal(in, out, 1024);
    disk_close(f->disk);
    f->disk = NULL;
    /* It is in the file, and the file has not grown. */
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_size, SIZE);
    int fd = open(f->path, O_RDONLY);
    memset(in, 0, sizeof in);
    assert_int_equal(pread(fd, in, 1024, SIZE - 1024), 1024);
    close(fd);
    assert_memory_equal(in, out, 1024);
}

static void zeroes_and_discard(void **state)
{
    struct fixture *f = *state;
    static uint8_t in[256 << 10];
    struct iovec v = { in, sizeof in };
    assert_int_equal(open_disk(f, false), 0);
    assert_int_equal(run(f->disk, DISK_WRITE_ZEROES, 512, 200 << 10, NULL, 0), 0);
    assert_int_equal(run(f->disk, DISK_READ, 0, sizeof in, &v, 1), 0);
    for (unsigned i = 0; i < sizeof in; i++) {
        bool zero = i >= 512 && i < 512 + (200u << 10);
        assert_int_equal(in[i], zero ? 0 : byte_at(i));
    }
    assert_int_equal(run(f->disk, DISK_DISCARD, 512 << 10, 64 << 10, NULL, 0), 0);
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_size, SIZE);
}

static void many_at_once(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 300 };
    static struct call calls[COUNT];
    static uint8_t buffer[COUNT][512];
    static struct iovec v[COUNT];
    assert_int_equal(open_disk(f, false), 0);
    for (unsigned i = 0; i < COUNT; i++) {
        v[i] = (struct iovec){ buffer[i], 512 };
        calls[i] = (struct call){ .r = { .op = DISK_READ,
                                         .offset = i * 512,
                                         .length = 512,
                                         .iov = &v[i],
                                         .iov_count = 1,
                                         .done = call_done } };
        disk_submit(f->disk, &calls[i].r);
    }
    disk_close(f->disk); /* finishes them */
    f->disk = NULL;
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(calls[i].calls, 1);
        assert_int_equal(calls[i].result, 0);
        assert_int_equal(buffer[i][7], byte_at(i * 512 + 7));
    }
}

/* done() may submit the next request. */
struct chain {
    struct disk_request r;
    struct disk *disk;
    unsigned left;
};

static void chain_done(struct disk_request *r, int result)
{
    struct chain *c = CONTAINER_OF(r, struct chain, r);
    assert_int_equal(result, 0);
    if (--c->left > 0)
        disk_submit(c->disk, r);
}

static void submit_from_done(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_disk(f, false), 0);
    struct chain c = { .r = { .op = DISK_FLUSH, .done = chain_done }, .disk = f->disk, .left = 5 };
    disk_submit(f->disk, &c.r);
    disk_drain(f->disk);
    assert_int_equal(c.left, 0);
}

static void cut_under_us(void **state)
{
    struct fixture *f = *state;
    uint8_t in[512];
    struct iovec v = { in, sizeof in };
    assert_int_equal(open_disk(f, false), 0);
    assert_int_equal(truncate(f->path, 4096), 0);
    assert_int_equal(run(f->disk, DISK_READ, 0, 512, &v, 1), 0);
    assert_int_equal(run(f->disk, DISK_READ, 8192, 512, &v, 1), -EIO);
}

static void locking(void **state)
{
    struct fixture *f = *state;
    struct disk *second = NULL;
    const struct disk_options ro = { .path = f->path, .read_only = true };
    assert_int_equal(open_disk(f, false), 0);
    open_fails(f, f->path, false, "in use");
    open_fails(f, f->path, true, "in use");
    disk_close(f->disk);
    /* Readers share. */
    assert_int_equal(open_disk(f, true), 0);
    assert_true(disk_read_only(f->disk));
    assert_int_equal(disk_open(&ro, &second, &f->e), 0);
    disk_close(second);
    open_fails(f, f->path, false, "in use");
    /* A child that a program of ours starts does not keep the lock. */
    pid_t child = fork();
    if (child == 0)
        execlp("sleep", "sleep", "600", (char *)NULL);
    disk_close(f->disk);
    f->disk = NULL;
    for (int i = 0; i < 3000 && open_disk(f, false) < 0; i++)
        usleep(10000); /* until the child's exec */
    assert_non_null(f->disk);
    assert_int_equal(waitpid(child, NULL, WNOHANG), 0); /* it still runs */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void unusable(void **state)
{
    struct fixture *f = *state;
    char fifo[48];
    open_fails(f, "/nonexistent", false, "truncate -s");
    open_fails(f, "/tmp", false, "directory");
    open_fails(f, "/dev/null", false, "neither");
    snprintf(fifo, sizeof fifo, "%s.fifo", f->path);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    open_fails(f, fifo, true, "neither");
    unlink(fifo);
    assert_int_equal(truncate(f->path, 0), 0);
    open_fails(f, f->path, false, "empty");
    assert_int_equal(truncate(f->path, 1000), 0);
    open_fails(f, f->path, false, "truncate -s %512");
    assert_int_equal(truncate(f->path, 512), 0);
    assert_int_equal(open_disk(f, false), 0);
}

/* Random reads and writes against a copy in memory: pieces, sector-aligned, at odd addresses. */
static void compare_with_model(struct disk *d, uint8_t *model)
{
    static uint8_t buffer[(64u << 10) + 64];
    unsigned seed = 7;
    for (unsigned i = 0; i < 400; i++) {
        uint64_t offset = (uint64_t)(rand_r(&seed) % (SIZE / 512)) * 512;
        uint64_t length = (uint64_t)(1 + rand_r(&seed) % 100) * 512;
        if (length > SIZE - offset)
            length = SIZE - offset;
        uint8_t *at = buffer + rand_r(&seed) % 2 * 48;
        uint64_t first = (uint64_t)rand_r(&seed) % length;
        struct iovec v[] = { { at, first }, { at + first, length - first } };
        switch (rand_r(&seed) % 4) {
        case 0:
            for (unsigned k = 0; k < length; k++)
                at[k] = (uint8_t)rand_r(&seed);
            memcpy(model + offset, at, length);
            assert_int_equal(run(d, DISK_WRITE, offset, length, v, 2), 0);
            break;
        case 1:
            memset(model + offset, 0, length);
            assert_int_equal(run(d, DISK_WRITE_ZEROES, offset, length, NULL, 0), 0);
            break;
        default:
            assert_int_equal(run(d, DISK_READ, offset, length, v, 2), 0);
            assert_memory_equal(at, model + offset, length);
        }
    }
}

static uint8_t *original(void)
{
    uint8_t *bytes = malloc(SIZE);
    for (unsigned i = 0; i < SIZE; i++)
        bytes[i] = byte_at(i);
    return bytes;
}

static void file_has(const struct fixture *f, const uint8_t *bytes)
{
    uint8_t *there = malloc(SIZE);
    int fd = open(f->path, O_RDONLY);
    assert_int_equal(pread(fd, there, SIZE, 0), SIZE);
    close(fd);
    assert_memory_equal(there, bytes, SIZE);
    free(there);
}

static void cache_modes(void **state)
{
    struct fixture *f = *state;
    uint8_t *model = original();
    for (int cache = DISK_CACHE_WRITEBACK; cache <= DISK_CACHE_UNSAFE; cache++) {
        int rc = open_with(f, (struct disk_options){ .cache = (enum disk_cache)cache });
        if (rc < 0 && cache == DISK_CACHE_NONE) {
            assert_non_null(strstr(f->e.text, "leave ',cache=none' out")); /* tmpfs, perhaps */
            continue;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(disk_write_through(f->disk), cache == DISK_CACHE_WRITETHROUGH);
        compare_with_model(f->disk, model);
        assert_int_equal(run(f->disk, DISK_FLUSH, 0, 0, NULL, 0), 0);
        disk_close(f->disk);
        f->disk = NULL;
        file_has(f, model);
    }
    free(model);
}

/* What is not a multiple of a page cannot be read past the host's cache. */
static void odd_size_uncached(void **state)
{
    struct fixture *f = *state;
    const struct disk_options uncached = { .cache = DISK_CACHE_NONE };
    assert_int_equal(truncate(f->path, SIZE - 512), 0);
    assert_true(open_with(f, uncached) < 0);
    assert_non_null(strstr(f->e.text, "cache=none"));
}

static void overlay(void **state)
{
    struct fixture *f = *state;
    uint8_t *bytes = original(), *model = original();
    const struct disk_options options = { .overlay = true };
    assert_int_equal(open_with(f, options), 0);
    assert_false(disk_read_only(f->disk));
    assert_int_equal(disk_size(f->disk), SIZE);
    struct disk *second; /* the file is only read, so others may read it */
    assert_int_equal(
        disk_open(&(struct disk_options){ .path = f->path, .read_only = true }, &second, &f->e), 0);
    disk_close(second);
    compare_with_model(f->disk, model);
    memset(model + 4096, 0, 65536);
    assert_int_equal(run(f->disk, DISK_DISCARD, 4096, 65536, NULL, 0), 0);
    assert_int_equal(run(f->disk, DISK_FLUSH, 0, 0, NULL, 0), 0);
    compare_with_model(f->disk, model);
    disk_close(f->disk);
    f->disk = NULL;
    file_has(f, bytes);
    setenv("TMPDIR", "/nonexistent", 1);
    assert_true(open_with(f, options) < 0);
    unsetenv("TMPDIR");
    assert_non_null(strstr(f->e.text, "set TMPDIR"));
    free(model);
    free(bytes);
}

static uint64_t run_reads(struct disk *d, unsigned count, uint64_t length)
{
    static uint8_t buffer[SIZE];
    struct iovec v = { buffer, length };
    uint64_t start = clock_monotonic_ns();
    for (unsigned i = 0; i < count; i++) {
        struct call c = {
            .r = { .op = DISK_READ, .length = length, .iov = &v, .iov_count = 1, .done = call_done }
        };
        disk_submit(d, &c.r);
        while (__atomic_load_n(&c.calls, __ATOMIC_ACQUIRE) == 0)
            usleep(500);
    }
    return (clock_monotonic_ns() - start) / 1000000; /* ms */
}

/* 100 ms are free; whatever is more than that takes its time, or less if there is a hurry. */
static void limits(void **state)
{
    struct fixture *f = *state;
    const struct disk_options requests = { .iops = 100 }, bytes = { .bps = SIZE };
    assert_int_equal(open_with(f, requests), 0);
    assert_in_range(run_reads(f->disk, 30, 512), 150, 60000);
    assert_int_equal(disk_run_now(f->disk, &(struct disk_request){ .op = DISK_READ }), -EAGAIN);
    disk_close(f->disk);
    assert_int_equal(open_with(f, bytes), 0);
    assert_in_range(run_reads(f->disk, 5, SIZE / 16), 100, 60000);
    struct call last = { .r = { .op = DISK_WRITE_ZEROES, .length = 512, .done = call_done } };
    run_reads(f->disk, 1, SIZE);
    disk_submit(f->disk, &last.r); /* has to wait for a second */
    uint64_t start = clock_monotonic_ns();
    disk_drain(f->disk);
    assert_int_equal(last.calls, 1);
    assert_true(clock_monotonic_ns() - start < 700000000);
}

static int write_now(struct disk *d, uint64_t offset, const struct iovec *iov)
{
    return disk_run_now(d, &(struct disk_request){ .op = DISK_WRITE,
                                                   .offset = offset,
                                                   .length = iov->iov_len,
                                                   .iov = iov,
                                                   .iov_count = 1,
                                                   .done = call_done });
}

/* Writes that are over when the next request comes earn some that are done at once. */
static void writes_at_once(void **state)
{
    struct fixture *f = *state;
    uint8_t out[512], in[512];
    const struct iovec v = { out, sizeof out }, w = { in, sizeof in };
    memset(out, 0x5a, sizeof out);
    assert_int_equal(open_disk(f, false), 0);
    unsigned earned = 0;
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(write_now(f->disk, 0, &v), -EAGAIN);
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(run(f->disk, DISK_WRITE, 0, sizeof out, &v, 1), 0);
        unsigned now = 0;
        while (write_now(f->disk, 4096 + 512ull * now, &v) == 0)
            now++;
        /* A slow host has it end early. */
        earned = now > earned ? now : earned;
        for (unsigned i = 0; i < now; i++) {
            assert_int_equal(run(f->disk, DISK_READ, 4096 + 512ull * i, sizeof in, &w, 1), 0);
            assert_memory_equal(in, out, sizeof out);
        }
        disk_close(f->disk);
        assert_int_equal(open_disk(f, false), 0);
    }
    assert_in_range(earned, 1, 16);
    disk_close(f->disk);
    /* A limit and write-through have it wait. */
    const struct disk_options waits[] = { { .cache = DISK_CACHE_WRITETHROUGH }, { .iops = 1000 } };
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(open_with(f, waits[i]), 0);
        for (unsigned k = 0; k < 6; k++)
            assert_int_equal(run(f->disk, DISK_WRITE, 0, sizeof out, &v, 1), 0);
        assert_int_equal(write_now(f->disk, 0, &v), -EAGAIN);
        disk_close(f->disk);
    }
    f->disk = NULL;
}

/* A request that comes before the last one is over takes what was earned. */
static void no_waiting_no_credit(void **state)
{
    struct fixture *f = *state;
    uint8_t *out = calloc(1, SIZE);
    const struct iovec all = { out, SIZE }, v = { out, 512 };
    assert_int_equal(open_disk(f, false), 0);
    bool taken = false;
    for (unsigned tries = 0; !taken && tries < 1000; tries++) {
        struct call pair[2] = { 0 };
        for (unsigned i = 0; i < 4; i++)
            assert_int_equal(run(f->disk, DISK_FLUSH, 0, 0, NULL, 0), 0);
        for (unsigned i = 0; i < 2; i++) {
            pair[i].r = (struct disk_request){
                .op = DISK_WRITE, .length = SIZE, .iov = &all, .iov_count = 1, .done = call_done
            };
            disk_submit(f->disk, &pair[i].r);
        }
        disk_drain(f->disk);
        taken = write_now(f->disk, 0, &v) == -EAGAIN;
    }
    assert_true(taken);
    free(out);
}

/* No guest may choose the format of its disk, and no user may overlook it. */
static void looks_like_qcow2(void **state)
{
    struct fixture *f = *state;
    uint8_t *model = original();
    int fd = open(f->path, O_WRONLY);
    assert_int_equal(pwrite(fd, "QFI\xfb", 4, 0), 4);
    close(fd);
    memcpy(model, "QFI\xfb", 4);
    open_fails(f, f->path, false, "format=qcow2");
    open_fails(f, f->path, true, "format=raw");
    assert_int_equal(open_with(f, (struct disk_options){ .format = DISK_FORMAT_RAW }), 0);
    compare_with_model(f->disk, model);
    free(model);
}

static void not_writable(void **state)
{
    struct fixture *f = *state;
    if (geteuid() == 0) {
        /* root may write anything but what the kernel keeps read-only */
        if (access("/sys/kernel/notes", R_OK) < 0)
            skip();
        open_fails(f, "/sys/kernel/notes", false, "',ro'");
        return;
    }
    assert_int_equal(chmod(f->path, 0444), 0);
    open_fails(f, f->path, false, "',ro'");
    assert_int_equal(open_disk(f, true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(read_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(write_and_read, setup, teardown),
        cmocka_unit_test_setup_teardown(zeroes_and_discard, setup, teardown),
        cmocka_unit_test_setup_teardown(many_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(submit_from_done, setup, teardown),
        cmocka_unit_test_setup_teardown(cut_under_us, setup, teardown),
        cmocka_unit_test_setup_teardown(locking, setup, teardown),
        cmocka_unit_test_setup_teardown(unusable, setup, teardown),
        cmocka_unit_test_setup_teardown(not_writable, setup, teardown),
        cmocka_unit_test_setup_teardown(cache_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_size_uncached, setup, teardown),
        cmocka_unit_test_setup_teardown(overlay, setup, teardown),
        cmocka_unit_test_setup_teardown(limits, setup, teardown),
        cmocka_unit_test_setup_teardown(writes_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(no_waiting_no_credit, setup, teardown),
        cmocka_unit_test_setup_teardown(looks_like_qcow2, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
