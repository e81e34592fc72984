/*
 * Disks on a host that misbehaves: short transfers, interrupted calls, no holes, failing flushes.
 * The host's part of disks (host/disk_os.h) and preadv/pwritev are the test's own here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/disk.h"
#include "host/disk_os.h"
#include "tests/harness/quiet.h"

#define SIZE (512u << 10)

static struct {
    char path[32];
    struct disk *disk;
    unsigned calls;       /* of preadv and pwritev */
    size_t most;          /* bytes that one of them moves */
    int fail_at, fail_as; /* the fail_at-th call fails with errno fail_as */
    int sync_result, zero_result, discard_result;
    unsigned syncs;
    int result;
} t;

/* ------------------------------------------------------------------ the host */

int disk_os_device_size(int fd, uint64_t *size)
{
    (void)fd;
    (void)size;
    return -ENOTTY;
}

int disk_os_direct(int fd)
{
    (void)fd;
    return -EINVAL;
}

int disk_os_read_now(int fd, const struct iovec *iov, int count, uint64_t offset, uint64_t length)
{
    (void)fd;
    (void)iov;
    (void)count;
    (void)offset;
    (void)length;
    return -EAGAIN;
}

int disk_os_sync(int fd)
{
    (void)fd;
    t.syncs++;
    return t.sync_result;
}

int disk_os_discard(int fd, uint64_t offset, uint64_t length)
{
    (void)fd;
    (void)offset;
    (void)length;
    return t.discard_result;
}

int disk_os_zero(int fd, uint64_t offset, uint64_t length)
{
    (void)fd;
    (void)offset;
    (void)length;
    return t.zero_result;
}

/* How many bytes of the first piece this call may move; 0: it fails, errno is set. */
static size_t allowed(const struct iovec *v)
{
    if (++t.calls == (unsigned)t.fail_at) {
        errno = t.fail_as;
        return 0;
    }
    return v->iov_len < t.most ? v->iov_len : t.most;
}

ssize_t preadv(int fd, const struct iovec *v, int count, off_t offset)
{
    assert_true(count > 0);
    size_t n = allowed(v);
    return n ? pread(fd, v->iov_base, n, offset) : -1;
}

ssize_t pwritev(int fd, const struct iovec *v, int count, off_t offset)
{
    assert_true(count > 0);
    size_t n = allowed(v);
    return n ? pwrite(fd, v->iov_base, n, offset) : -1;
}

/* ------------------------------------------------------------------ tests */

static int setup(void **state)
{
    (void)state;
    struct err e;
    memset(&t, 0, sizeof t);
    t.most = SIZE;
    quiet();
    strcpy(t.path, "/tmp/ireko-disk-XXXXXX");
    int fd = mkstemp(t.path);
    uint8_t *bytes = malloc(SIZE);
    memset(bytes, 0x77, SIZE);
    ssize_t n = write(fd, bytes, SIZE);
    free(bytes);
    close(fd);
    if (n != SIZE || disk_open(&(struct disk_options){ .path = t.path }, &t.disk, &e) < 0)
        return -1;
    t.calls = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    disk_close(t.disk);
    unlink(t.path);
    return 0;
}

static void done(struct disk_request *r, int result)
{
    (void)r;
    t.result = result;
}

static int run(enum disk_op op, uint64_t offset, uint64_t length, struct iovec *v, int count)
{
    struct disk_request r = {
        .op = op, .offset = offset, .length = length, .iov = v, .iov_count = count, .done = done
    };
    disk_submit(t.disk, &r);
    disk_drain(t.disk);
    return t.result;
}

static void short_transfers(void **state)
{
    (void)state;
    static uint8_t out[5000], in[5000];
    for (unsigned i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)(i * 11);
    struct iovec w[] = { { out, 1 }, { out + 1, 0 }, { out + 1, 1999 }, { out + 2000, 3000 } };
    struct iovec r[] = { { in, 3000 }, { in + 3000, 0 }, { in + 3000, 2000 } };
    t.most = 700;
    t.fail_at = 3;
    t.fail_as = EINTR;
    assert_int_equal(run(DISK_WRITE, 1000, sizeof out, w, 4), 0);
    assert_int_equal(t.calls, 1 + 3 + 5 + 1);
    assert_int_equal(run(DISK_READ, 1000, sizeof in, r, 3), 0);
    assert_memory_equal(in, out, sizeof out);
}

static void errors(void **state)
{
    (void)state;
    static uint8_t bytes[4096];
    struct iovec v = { bytes, sizeof bytes };
    t.most = 512;
    t.fail_at = 4;
    t.fail_as = ENOSPC;
    assert_int_equal(run(DISK_WRITE, 0, sizeof bytes, &v, 1), -ENOSPC);
    assert_int_equal(t.calls, 4);
    t.fail_at = 6;
    t.fail_as = EIO;
    assert_int_equal(run(DISK_READ, 0, sizeof bytes, &v, 1), -EIO);
    assert_int_equal(run(DISK_READ, 0, sizeof bytes, &v, 1), 0);
}

static void zeroes_by_writing(void **state)
{
    (void)state;
    static uint8_t in[SIZE];
    struct iovec v = { in, sizeof in };
    t.zero_result = -EOPNOTSUPP;
    assert_int_equal(run(DISK_WRITE_ZEROES, 1024, 200 << 10, NULL, 0), 0);
    assert_int_equal(run(DISK_READ, 0, SIZE, &v, 1), 0);
    for (unsigned i = 0; i < SIZE; i++)
        assert_int_equal(in[i], i >= 1024 && i < 1024 + (200u << 10) ? 0 : 0x77);
    t.zero_result = -EIO;
    assert_int_equal(run(DISK_WRITE_ZEROES, 1024, 512, NULL, 0), -EIO);
}

static void discard_is_a_hint(void **state)
{
    (void)state;
    t.discard_result = -EOPNOTSUPP;
    assert_int_equal(run(DISK_DISCARD, 0, 512, NULL, 0), 0);
    t.discard_result = -EIO;
    assert_int_equal(run(DISK_DISCARD, 0, 512, NULL, 0), -EIO);
}

/* After a failed fsync() the kernel forgets what it could not write, and the next one succeeds. */
static void failed_flush_stays(void **state)
{
    (void)state;
    assert_int_equal(run(DISK_FLUSH, 0, 0, NULL, 0), 0);
    t.sync_result = -EIO;
    assert_int_equal(run(DISK_FLUSH, 0, 0, NULL, 0), -EIO);
    t.sync_result = 0;
    assert_int_equal(run(DISK_FLUSH, 0, 0, NULL, 0), -EIO);
    assert_int_equal(t.syncs, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(short_transfers, setup, teardown),
        cmocka_unit_test_setup_teardown(errors, setup, teardown),
        cmocka_unit_test_setup_teardown(zeroes_by_writing, setup, teardown),
        cmocka_unit_test_setup_teardown(discard_is_a_hint, setup, teardown),
        cmocka_unit_test_setup_teardown(failed_flush_stays, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
