/*
 * qcow2 images: random requests against a copy in memory, for every kind of image that qemu-img
 * makes; qemu-img is the judge of what is left in the file. And files that are no good images.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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

#include "base/bytes.h"
#include "base/log.h"
#include "host/disk.h"
#include "host/qcow2.h"

#define SIZE (3u << 20)

static struct {
    char folder[40], image[64], raw[64];
    struct disk *disk;
    uint8_t *model; /* what the guest must see */
    struct err e;
    char logged[256];
    unsigned now[DISK_WRITE + 1]; /* requests that were done at once */
} t;

static void keep_line(void *ctx, const char *line)
{
    (void)ctx;
    snprintf(t.logged, sizeof t.logged, "%s", line);
}

/* Run a command in the folder of the images; its exit status. */
static int shell(const char *format, ...) PRINTF_LIKE(1, 2);
static int shell(const char *format, ...)
{
    char command[512], all[640];
    va_list ap;
    va_start(ap, format);
    vsnprintf(command, sizeof command, format, ap);
    va_end(ap);
    snprintf(all, sizeof all, "cd %s && { %s; } >log 2>&1", t.folder, command);
    int rc = system(all);
    return rc;
}

static void qemu(const char *format, ...) PRINTF_LIKE(1, 2);
static void qemu(const char *format, ...)
{
    char arguments[400];
    va_list ap;
    va_start(ap, format);
    vsnprintf(arguments, sizeof arguments, format, ap);
    va_end(ap);
    if (shell("qemu-img %s", arguments) != 0)
        fail_msg("qemu-img %s", arguments);
}

static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    log_set_sink(keep_line, NULL);
    /* In memory, if there is such a place: every flush waits for a disk otherwise. */
    snprintf(t.folder, sizeof t.folder, "%s/ireko-qcow2-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(t.folder))
        return -1;
    snprintf(t.image, sizeof t.image, "%s/image", t.folder);
    snprintf(t.raw, sizeof t.raw, "%s/raw", t.folder);
    t.model = calloc(1, SIZE);
    return t.model ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    disk_close(t.disk);
    free(t.model);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", t.folder);
    return system(command) == 0 ? 0 : -1;
}

static void need_qemu_img(void)
{
    if (shell("command -v qemu-img") != 0)
        skip();
}

static int open_with(struct disk_options options)
{
    if (!options.path)
        options.path = t.image;
    options.format = DISK_FORMAT_QCOW2;
    return disk_open(&options, &t.disk, &t.e);
}

static void open_image(void)
{
    if (open_with((struct disk_options){ .cache = DISK_CACHE_WRITEBACK }) < 0)
        fail_msg("%s", t.e.text);
    assert_int_equal(disk_size(t.disk), SIZE);
}

static void close_image(void)
{
    disk_close(t.disk);
    t.disk = NULL;
}

struct call {
    struct disk_request r;
    int result;
};

static void call_done(struct disk_request *r, int result)
{
    CONTAINER_OF(r, struct call, r)->result = result;
}

static int run(enum disk_op op, uint64_t offset, uint64_t length, uint8_t *bytes)
{
    uint64_t first = bytes ? length / 3 : 0;
    const struct iovec v[] = { { bytes, first }, { bytes + first, length - first } };
    struct call c = { .r = { .op = op,
                             .offset = offset,
                             .length = length,
                             .iov = v,
                             .iov_count = bytes ? 2 : 0,
                             .done = call_done } };
    if ((op == DISK_READ || op == DISK_WRITE) && disk_run_now(t.disk, &c.r) == 0) {
        t.now[op]++;
        return 0;
    }
    disk_submit(t.disk, &c.r);
    disk_drain(t.disk);
    return c.result;
}

static void read_all(void)
{
    static uint8_t in[SIZE];
    assert_int_equal(run(DISK_READ, 0, SIZE, in), 0);
    for (unsigned i = 0; i < SIZE; i += 512)
        if (memcmp(in + i, t.model + i, 512) != 0)
            fail_msg("sector %u is not what it should be", i / 512);
}

static void random_requests(unsigned seed, unsigned count)
{
    static uint8_t bytes[256 << 10];
    for (unsigned i = 0; i < count; i++) {
        uint64_t offset = (uint64_t)(rand_r(&seed) % (SIZE / 512)) * 512;
        uint64_t length = (uint64_t)(1 + rand_r(&seed) % (rand_r(&seed) % 4 ? 64 : 500)) * 512;
        if (length > SIZE - offset)
            length = SIZE - offset;
        switch (rand_r(&seed) % 8) {
        case 0:
        case 1:
        case 2:
            for (unsigned k = 0; k < length; k++)
                bytes[k] = (uint8_t)rand_r(&seed);
            memcpy(t.model + offset, bytes, length);
            assert_int_equal(run(DISK_WRITE, offset, length, bytes), 0);
            break;
        case 3:
            memset(t.model + offset, 0, length);
            assert_int_equal(run(DISK_WRITE_ZEROES, offset, length, NULL), 0);
            break;
        case 4: /* what it reads as is open, but sectors are not shared */
            assert_int_equal(run(DISK_DISCARD, offset, length, NULL), 0);
            assert_int_equal(run(DISK_READ, offset, length, bytes), 0);
            memcpy(t.model + offset, bytes, length);
            break;
        case 5:
            if (rand_r(&seed) % 4 == 0)
                assert_int_equal(run(DISK_FLUSH, 0, 0, NULL), 0);
            break;
        default:
            assert_int_equal(run(DISK_READ, offset, length, bytes), 0);
            assert_memory_equal(bytes, t.model + offset, length);
        }
    }
}

/* The contents that images start with: two thirds, with holes. */
static void write_raw(void)
{
    for (unsigned i = 0; i < SIZE; i++)
        t.model[i] = i / 70000 % 3 ? (uint8_t)(i / 100 * 7) : 0;
    int fd = open(t.raw, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, t.model, SIZE), SIZE);
    close(fd);
}

static void judge(void)
{
    static uint8_t out[SIZE];
    qemu("check -f qcow2 image");
    qemu("convert -f qcow2 -O raw image out");
    char path[80];
    snprintf(path, sizeof path, "%s/out", t.folder);
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, out, SIZE), SIZE);
    close(fd);
    assert_memory_equal(out, t.model, SIZE);
}

static const struct {
    const char *make; /* arguments of qemu-img that make `image`, some from `raw` */
    bool filled, backing;
} kinds[] = {
    { "create -f qcow2 image 3M", false, false },
    { "create -f qcow2 -o compat=0.10 image 3M", false, false },
    { "create -f qcow2 -o cluster_size=512 image 3M", false, false },
    { "create -f qcow2 -o cluster_size=512,refcount_bits=64 image 3M", false, false },
    { "create -f qcow2 -o cluster_size=2M image 3M", false, false },
    { "create -f qcow2 -o refcount_bits=1 image 3M", false, false },
    { "create -f qcow2 -o refcount_bits=2,cluster_size=4K image 3M", false, false },
    { "create -f qcow2 -o refcount_bits=8 image 3M", false, false },
    { "create -f qcow2 -o refcount_bits=32,lazy_refcounts=on image 3M", false, false },
    { "create -f qcow2 -o preallocation=metadata image 3M", false, false },
    { "convert -f raw -O qcow2 raw image", true, false },
    { "convert -f raw -O qcow2 -c raw image", true, false },
    { "convert -f raw -O qcow2 -c -o compat=0.10,cluster_size=4K raw image", true, false },
    { "convert -f raw -O qcow2 -c -o compression_type=zstd raw image", true, false },
    { "create -f qcow2 -F raw -b raw image", true, true },
    { "create -f qcow2 -F raw -b raw -o compat=0.10 image", true, true },
    { "create -f qcow2 -F raw -b raw -o cluster_size=1K image", true, true },
};

static void every_kind(void **state)
{
    (void)state;
    need_qemu_img();
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        memset(t.model, 0, SIZE);
        if (kinds[i].filled)
            write_raw();
        qemu("%s", kinds[i].make);
        for (unsigned round = 0; round < 2; round++) {
            struct disk_options options = {
                .backing = kinds[i].backing,
                .cache = round == 1 ? DISK_CACHE_NONE : DISK_CACHE_WRITEBACK,
            };
            int rc = open_with(options);
            if (rc < 0 && strstr(t.e.text, "leave ',cache=none' out")) {
                options.cache = DISK_CACHE_UNSAFE;
                rc = open_with(options);
            }
            if (rc < 0)
                fail_msg("%s", t.e.text);
            read_all();
            random_requests(100 * i + round, 150);
            read_all();
            close_image();
            judge();
        }
        assert_string_equal(t.logged, "");
    }
    assert_true(t.now[DISK_READ] > 100 && t.now[DISK_WRITE] > 100);
}

/* Clusters of a snapshot are not written to. */
static void snapshots(void **state)
{
    (void)state;
    need_qemu_img();
    write_raw();
    uint8_t *then = malloc(SIZE);
    memcpy(then, t.model, SIZE);
    qemu("convert -f raw -O qcow2 -o cluster_size=4K raw image");
    qemu("snapshot -c one image");
    open_image();
    random_requests(1, 400);
    read_all();
    close_image();
    judge();
    qemu("snapshot -a one image");
    memcpy(t.model, then, SIZE);
    judge();
    open_image();
    random_requests(2, 200);
    close_image();
    judge();
    free(then);
}

/* Many requests at once that share clusters, with flushes between them. */
static void many_at_once(void **state)
{
    (void)state;
    need_qemu_img();
    enum { COUNT = 384, LENGTH = SIZE / COUNT };
    static struct call calls[COUNT], flushes[COUNT / 16];
    static struct iovec v[COUNT];
    for (unsigned round = 0; round < 8; round++) {
        qemu("create -f qcow2 -o cluster_size=%s image 3M", round % 2 ? "64K" : "512");
        open_image();
        for (unsigned i = 0; i < SIZE; i++)
            t.model[i] = (uint8_t)(i / 512 * 13 + i + round);
        for (unsigned i = 0; i < COUNT; i++) {
            unsigned n = i * 89 % COUNT; /* each of them once */
            v[i] = (struct iovec){ t.model + (size_t)n * LENGTH, LENGTH };
            calls[i].r = (struct disk_request){ .op = DISK_WRITE,
                                                .offset = (uint64_t)n * LENGTH,
                                                .length = LENGTH,
                                                .iov = &v[i],
                                                .iov_count = 1,
                                                .done = call_done };
            calls[i].result = 1;
            disk_submit(t.disk, &calls[i].r);
            if (i % 16 == 0) {
                flushes[i / 16].r = (struct disk_request){ .op = DISK_FLUSH, .done = call_done };
                disk_submit(t.disk, &flushes[i / 16].r);
            }
        }
        disk_drain(t.disk);
        for (unsigned i = 0; i < COUNT; i++)
            assert_int_equal(calls[i].result | flushes[i / 16].result, 0);
        read_all();
        close_image();
        judge();
    }
}

/* A discard gives the host its storage back, and the file does not grow without end. */
static void storage_is_reused(void **state)
{
    (void)state;
    need_qemu_img();
    struct stat st;
    static uint8_t bytes[SIZE];
    memset(bytes, 0x55, SIZE);
    qemu("create -f qcow2 image 3M");
    open_image();
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(run(DISK_WRITE, 0, SIZE, bytes), 0);
        assert_int_equal(run(DISK_FLUSH, 0, 0, NULL), 0);
        assert_int_equal(run(DISK_DISCARD, 0, SIZE, NULL), 0);
        assert_int_equal(run(DISK_FLUSH, 0, 0, NULL), 0);
    }
    assert_int_equal(stat(t.image, &st), 0);
    assert_true(st.st_size < 3 * SIZE);
    assert_true(st.st_blocks * 512 < SIZE / 2);
    read_all();
    close_image();
    judge();
}

/* The table of refcounts grows with the file: one of 64-bit counts for clusters of 512 bytes, which
 * qemu-img makes, is for 2 MiB. */
static void small_refcount_table(void **state)
{
    (void)state;
    need_qemu_img();
    static uint8_t bytes[1 << 20];
    qemu("create -f qcow2 -o cluster_size=512,refcount_bits=64 image 24M");
    assert_int_equal(open_with((struct disk_options){ .read_only = false }), 0);
    for (unsigned i = 0; i < 24; i++) {
        memset(bytes, (int)i + 1, sizeof bytes);
        assert_int_equal(run(DISK_WRITE, (uint64_t)i << 20, sizeof bytes, bytes), 0);
    }
    close_image();
    qemu("check -f qcow2 image");
    assert_int_equal(open_with((struct disk_options){ .read_only = true }), 0);
    for (unsigned i = 0; i < 24; i++) {
        assert_int_equal(run(DISK_READ, (uint64_t)i << 20, sizeof bytes, bytes), 0);
        for (unsigned k = 0; k < sizeof bytes; k += 512)
            assert_int_equal(bytes[k], i + 1);
    }
}

/* ------------------------------------------------------------------ files that need care */

static void poke(uint64_t offset, const void *bytes, size_t n)
{
    int fd = open(t.image, O_WRONLY);
    assert_int_equal(pwrite(fd, bytes, n, (off_t)offset), n);
    close(fd);
}

static void poke32(uint64_t offset, uint32_t value)
{
    uint8_t bytes[4];
    st_be32(bytes, value);
    poke(offset, bytes, sizeof bytes);
}

static void poke64(uint64_t offset, uint64_t value)
{
    uint8_t bytes[8];
    st_be64(bytes, value);
    poke(offset, bytes, sizeof bytes);
}

static uint64_t peek64(uint64_t offset)
{
    uint8_t bytes[8];
    int fd = open(t.image, O_RDONLY);
    assert_int_equal(pread(fd, bytes, sizeof bytes, (off_t)offset), sizeof bytes);
    close(fd);
    return ld_be64(bytes);
}

static void refused(struct disk_options options, const char *part)
{
    t.disk = NULL;
    if (open_with(options) >= 0)
        fail_msg("opened, not refused with '%s'", part);
    assert_null(t.disk);
    if (!strstr(t.e.text, "--disk '") || !strstr(t.e.text, part))
        fail_msg("wanted '%s', got '%s'", part, t.e.text);
}

/* The smallest image, with clusters of 512 bytes: header, L1, refcount table, refcount block. */
enum { L1 = 512, REFS = 1024, BLOCK = 1536, FIRST_FREE = 2048 };

static void make_small(void)
{
    uint8_t h[FIRST_FREE] = { 'Q', 'F', 'I', 0xfb };
    st_be32(h + 4, 3);
    st_be32(h + 20, 9);
    st_be64(h + 24, 4 * 512);
    st_be32(h + 36, 1); /* L1 */
    st_be64(h + 40, L1);
    st_be64(h + 48, REFS);
    st_be32(h + 56, 1);
    st_be32(h + 96, 4);
    st_be32(h + 100, 104);
    st_be64(h + REFS, BLOCK);
    for (unsigned i = 0; i < 5; i++) /* and an L2 table, which is not there yet */
        st_be16(h + BLOCK + 2 * i, 1);
    int fd = open(t.image, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, h, sizeof h), sizeof h);
    close(fd);
}

static void bad_headers(void **state)
{
    (void)state;
    static const struct {
        unsigned offset, size;
        uint64_t value;
        const char *says;
    } cases[] = {
        { 0, 4, 0, "not a qcow2 image; leave ',format=qcow2' out" },
        { 4, 4, 1, "a version other than 2 and 3" },
        { 4, 4, 4, "a version other than 2 and 3" },
        { 20, 4, 8, "clusters have no possible size" },
        { 20, 4, 22, "clusters have no possible size" },
        { 20, 4, 0xffffffff, "clusters have no possible size" },
        { 24, 8, 0, "not a multiple of 512" },
        { 24, 8, 1000, "not a multiple of 512" },
        { 24, 8, UINT64_MAX - 511, "L1 table does not fit" },
        { 24, 8, 64 * 512 + 512, "L1 table does not fit" },
        { 32, 4, 1, "encryption" },
        { 36, 4, 0xffffffff, "L1 table does not fit" },
        { 36, 4, 100000, "not in the file" },
        { 40, 8, 0, "not in the file" },
        { 40, 8, 700, "not aligned" },
        { 40, 8, 1ull << 60, "not in the file" },
        { 48, 8, 0, "not in the file" },
        { 48, 8, 4096, "not in the file" },
        { 56, 4, 0, "refcount table has no possible size" },
        { 56, 4, 0xffffffff, "refcount table has no possible size" },
        { 56, 4, 100, "not in the file" },
        { 60, 4, 100000, "too many snapshots" },
        { 72, 8, 4, "data in another file" },
        { 72, 8, 16, "subclusters" },
        { 72, 8, 1ull << 63, "a feature of later versions" },
        { 96, 4, 7, "possible width" },
        { 100, 4, 96, "header has no possible length" },
        { 100, 4, 1024, "header has no possible length" },
        { 104, 4, 0x12345678, "no possible" },
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        make_small();
        if (cases[i].size == 4)
            poke32(cases[i].offset, (uint32_t)cases[i].value);
        else
            poke64(cases[i].offset, cases[i].value);
        if (cases[i].offset == 104)
            poke32(108, 0x7fffffff); /* the length of an extension */
        refused((struct disk_options){ .read_only = true },
                cases[i].offset == 104 ? "a header extension is too long" : cases[i].says);
    }
    make_small();
    poke64(72, 8);
    poke32(100, 112);
    poke(104, "\x02", 1);
    refused((struct disk_options){ .read_only = true }, "a compression other than");
    make_small();
    poke32(104, 0x0537be77);
    refused((struct disk_options){ .read_only = true }, "encryption");
    assert_int_equal(truncate(t.image, 0), 0);
    refused((struct disk_options){ .read_only = true }, "not a qcow2 image");
    unlink(t.image);
    refused((struct disk_options){ .read_only = true }, "qemu-img create");
}

static void marked_corrupt(void **state)
{
    (void)state;
    uint8_t bytes[512];
    make_small();
    poke64(72, 2);
    refused((struct disk_options){ .read_only = false }, "qemu-img check -r all");
    assert_int_equal(open_with((struct disk_options){ .read_only = true }), 0);
    assert_int_equal(run(DISK_READ, 0, 512, bytes), 0);
}

/* Tables that lie: the request fails and the user hears of it once; nothing else happens. */
static void corrupt_tables(void **state)
{
    (void)state;
    static const struct {
        uint64_t l1, entry;
        const char *says;
        bool reads; /* but writing does not */
    } cases[] = {
        { 1ull << 50 | QCOW2_COPIED, 0, "an L2 table is not in the file", false },
        { FIRST_FREE | QCOW2_COPIED, 1ull << 40 | QCOW2_COPIED, "a cluster is not in the file",
          false },
        { FIRST_FREE | QCOW2_COPIED, QCOW2_PACKED | 1ull << 30, "a compressed cluster is not in",
          false },
        { FIRST_FREE | QCOW2_COPIED, QCOW2_PACKED | 100, "a compressed cluster cannot be", false },
        { 0, 0, "a table has a refcount of 0", true },
    };
    uint8_t bytes[512] = { 1 };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        make_small();
        poke(FIRST_FREE, (uint8_t[512]){ 0 }, 512);
        poke64(L1, cases[i].l1);
        poke64(FIRST_FREE, cases[i].entry);
        if (cases[i].reads)
            poke(BLOCK, (uint8_t[8]){ 0 }, 8); /* nothing is in use */
        assert_int_equal(open_with((struct disk_options){ .read_only = false }), 0);
        t.logged[0] = 0;
        assert_int_equal(run(DISK_READ, 0, 512, bytes), cases[i].reads ? 0 : -EIO);
        assert_int_equal(run(DISK_WRITE, 0, 512, bytes), i == 2 || i == 3 ? 0 : -EIO);
        close_image();
        if (i != 2 && i != 3 && !strstr(t.logged, "request failed"))
            fail_msg("no word of it: '%s'", t.logged);
        if (cases[i].reads)
            assert_int_equal(peek64(72), QCOW2_CORRUPT_BIT);
    }
}

/* The dirty bit: refcounts that were not written are made anew, once. */
static void dirty_bit(void **state)
{
    (void)state;
    need_qemu_img();
    write_raw();
    qemu("convert -f raw -O qcow2 -o lazy_refcounts=on,cluster_size=4K raw image");
    qemu("snapshot -c one image");
    uint64_t refs = peek64(48), block = peek64(refs);
    static const uint8_t lost[4096];
    poke(block + 64, lost, sizeof lost - 64);
    poke64(72, 1);
    assert_int_not_equal(shell("qemu-img check -f qcow2 image"), 0);
    assert_int_equal(open_with((struct disk_options){ .read_only = true }), 0);
    read_all(); /* needs no refcounts */
    close_image();
    assert_int_equal(peek64(72), 1);
    open_image();
    assert_int_equal(peek64(72), 0);
    read_all();
    random_requests(3, 100);
    close_image();
    judge();
    poke64(72, 1);
    poke64(peek64(40) & QCOW2_OFFSET, 1ull << 50);
    refused((struct disk_options){ .read_only = false }, "its tables are corrupt");
    assert_int_equal(peek64(72), 1);
}

/* Who dies leaves the bit, and at worst leaks; they are free again after the next start, in place.
 */
static void leaks(void **state)
{
    struct stat before, after;
    uint8_t bytes[4096] = { 1 };
    (void)state;
    need_qemu_img();
    write_raw();
    qemu("convert -f raw -O qcow2 -o cluster_size=4K raw image");
    qemu("snapshot -c one image");
    open_image();
    read_all();
    assert_int_equal(peek64(72), 0);
    assert_int_equal(run(DISK_WRITE, 0, sizeof bytes, bytes), 0);
    memcpy(t.model, bytes, sizeof bytes);
    assert_int_equal(run(DISK_FLUSH, 0, 0, NULL), 0);
    assert_int_equal(peek64(72), QCOW2_DIRTY_BIT);
    assert_int_equal(shell("cp image killed"), 0);
    close_image();
    assert_int_equal(peek64(72), 0);
    assert_int_equal(shell("mv killed image"), 0);
    assert_int_equal(stat(t.image, &before), 0);
    uint64_t block = peek64(peek64(48)), end = (uint64_t)before.st_size / 4096;
    poke(block + (end + 7) * 2, (uint8_t[2]){ 0, 1 }, 2); /* one that nobody uses */
    poke(block, (uint8_t[2]){ 0, 5 }, 2);                 /* and too many users of one */
    assert_int_not_equal(shell("qemu-img check -f qcow2 image"), 0);
    open_image();
    assert_int_equal(peek64(72), 0);
    read_all();
    close_image();
    assert_int_equal(stat(t.image, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    judge();
}

static void backing_files(void **state)
{
    (void)state;
    need_qemu_img();
    write_raw();
    qemu("create -f qcow2 -F raw -b raw middle");
    qemu("create -f qcow2 -F qcow2 -b middle image");
    refused((struct disk_options){ .read_only = true },
            "it is a change of 'middle'; add ',backing'");
    open_with((struct disk_options){ .backing = true });
    assert_non_null(t.disk);
    read_all();
    random_requests(4, 100);
    close_image();
    judge();
    qemu("rebase -u -f qcow2 -F qcow2 -b image image"); /* itself */
    refused((struct disk_options){ .backing = true }, "in use");
    refused((struct disk_options){ .backing = true, .read_only = true }, "more than 16");
    qemu("rebase -u -f qcow2 -F raw -b gone image");
    refused((struct disk_options){ .backing = true }, "gone': there is no such file");
    qemu("create -f qcow2 -F raw -b raw image");
    uint8_t none[4] = { 0 };
    uint8_t name[32];
    int fd = open(t.image, O_RDONLY);
    assert_int_equal(pread(fd, name, sizeof name, 112), sizeof name);
    close(fd);
    assert_int_equal(ld_be32(name), 0xe2792aca);
    poke(112, none, sizeof none); /* the extension with the format */
    refused((struct disk_options){ .backing = true }, "rebase -u -F FORMAT");
}

/* An overlay on a qcow2 image writes nothing to it. */
static void overlay(void **state)
{
    (void)state;
    need_qemu_img();
    write_raw();
    qemu("convert -f raw -O qcow2 -c raw image");
    assert_int_equal(shell("cp image before"), 0);
    assert_int_equal(open_with((struct disk_options){ .overlay = true }), 0);
    read_all();
    random_requests(5, 200);
    read_all();
    close_image();
    assert_int_equal(shell("cmp image before"), 0);
}

/* Whenever the process dies: each sector is as it was flushed or as it was written later, and
 * qemu-img finds no error but clusters that leak. */
static void dies_at_any_time(void **state)
{
    (void)state;
    need_qemu_img();
    static uint8_t in[SIZE];
    uint8_t *flushed = malloc(SIZE);
    for (unsigned i = 0; i < 12; i++) {
        memset(t.model, 0, SIZE);
        if (i % 2)
            write_raw();
        qemu("%s", i % 2 ? "convert -f raw -O qcow2 -c -o cluster_size=4K raw image"
                         : "create -f qcow2 -o cluster_size=4K image 3M");
        open_image();
        random_requests(10 + i, 60);
        assert_int_equal(run(DISK_FLUSH, 0, 0, NULL), 0);
        memcpy(flushed, t.model, SIZE);
        for (unsigned k = 0; k < 2 * i; k++) { /* new data, one request for each sector */
            uint64_t at = (uint64_t)(i * 1009 + k * 577) % (SIZE / 512) * 512;
            memset(t.model + at, (int)k + 1, 512);
            assert_int_equal(run(DISK_WRITE, at, 512, t.model + at), 0);
        }
        assert_int_equal(shell("cp image copy"), 0); /* as a dead process leaves it */
        close_image();
        assert_int_equal(shell("mv copy image"), 0);
        int checked = shell("qemu-img check -f qcow2 image");
        if (checked != 0 && checked != 3 << 8) /* 3: leaks */
            fail_msg("qemu-img check: %d", checked);
        open_image();
        assert_int_equal(run(DISK_READ, 0, SIZE, in), 0);
        for (unsigned at = 0; at < SIZE; at += 512)
            if (memcmp(in + at, flushed + at, 512) != 0 && memcmp(in + at, t.model + at, 512) != 0)
                fail_msg("sector %u is lost", at / 512);
        close_image();
    }
    free(flushed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(snapshots, setup, teardown),
        cmocka_unit_test_setup_teardown(many_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(storage_is_reused, setup, teardown),
        cmocka_unit_test_setup_teardown(small_refcount_table, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_headers, setup, teardown),
        cmocka_unit_test_setup_teardown(marked_corrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(corrupt_tables, setup, teardown),
        cmocka_unit_test_setup_teardown(dirty_bit, setup, teardown),
        cmocka_unit_test_setup_teardown(leaks, setup, teardown),
        cmocka_unit_test_setup_teardown(backing_files, setup, teardown),
        cmocka_unit_test_setup_teardown(overlay, setup, teardown),
        cmocka_unit_test_setup_teardown(dies_at_any_time, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
