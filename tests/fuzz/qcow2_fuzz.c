/*
 * qcow2 images, given any file and any requests: they work or fail, and so they do when what they
 * left behind is opened again.
 *
 * An input is: how to open (bit 0: to write), the number of requests, three bytes for each (what,
 * where and how much of 64 clusters), and the file.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "host/image.h"
#include "tests/harness/quiet.h"

#define REQUESTS_MOST 16
#define LENGTH_MOST   (64u << 10)

/* The file of the image, one for the process. */
static const char *fuzz_file(int *fd)
{
    static char path[64];
    static int file = -1;
    if (file < 0) {
        const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
        char name[64];
        snprintf(name, sizeof name, "%s/ireko-fuzz-XXXXXX", folder);
        file = mkstemp(name);
        if (file < 0) {
            perror(name);
            exit(1);
        }
        unlink(name);
        snprintf(path, sizeof path, "/dev/fd/%d", file);
    }
    *fd = file;
    return path;
}

static struct image *open_image(const char *path, bool read_only)
{
    struct image *image = NULL;
    struct err e = { "" };
    const struct disk_options options = {
        .path = path,
        .read_only = read_only,
        .format = DISK_FORMAT_QCOW2,
        .cache = DISK_CACHE_UNSAFE,
    };
    int rc = image_open(&options, &image, &e);
    assert(rc == 0 || (e.text[0] && !strchr(e.text, '\n')));
    assert(rc < 0 || (image->size > 0 && image->size % 512 == 0));
    return rc == 0 ? image : NULL;
}

static int transfer(struct image *image, bool write, uint64_t offset, uint64_t length,
                    uint8_t *bytes)
{
    const struct iovec v[] = { { bytes, length / 2 }, { bytes + length / 2, length - length / 2 } };
    struct cursor c = { .iov = v, .count = 2 };
    return (write ? image->ops->write : image->ops->read)(image, offset, length, &c);
}

static void request(struct image *image, const uint8_t *r)
{
    uint64_t unit = (image->size / 64 + 511) / 512 * 512;
    uint64_t offset = r[1] % 64 * unit, length = (r[2] + 1u) * 512;
    if (offset >= image->size)
        offset = image->size - 512;
    if (length > LENGTH_MOST)
        length = LENGTH_MOST;
    if (length > image->size - offset)
        length = image->size - offset;
    uint8_t *bytes = malloc(length);
    if (!bytes)
        abort();
    memset(bytes, r[0] ^ r[2], length);
    switch (image->read_only ? 0 : r[0] % 5) {
    case 0:
        (void)transfer(image, false, offset, length, bytes);
        break;
    case 1:
        (void)transfer(image, true, offset, length, bytes);
        break;
    case 2:
        (void)image->ops->zero(image, offset, length);
        break;
    case 3:
        (void)image->ops->discard(image, offset, length);
        break;
    default:
        (void)image->ops->flush(image);
        break;
    }
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd;
    const char *path = fuzz_file(&fd);
    quiet();
    if (size < 2 || size < 2 + 3u * (data[1] % REQUESTS_MOST))
        return 0;
    unsigned requests = data[1] % REQUESTS_MOST;
    const uint8_t *file = data + 2 + 3 * requests;
    size -= 2 + 3 * requests;
    if (ftruncate(fd, 0) < 0 || pwrite(fd, file, size, 0) != (ssize_t)size)
        abort();
    for (int round = 0; round < 2; round++) {
        struct image *image = open_image(path, !(data[0] & 1) || round);
        if (!image)
            return 0;
        for (unsigned i = 0; i < requests; i++)
            request(image, data + 2 + 3 * i);
        image->ops->close(image);
    }
    return 0;
}

/* ------------------------------------------------------------------ made-up inputs */

/* A header that is good but for a few fields, and tables of likely entries. */
size_t fuzz_make_input(uint64_t seed, uint8_t *data)
{
    uint64_t state = seed;
    unsigned requests = 1 + (unsigned)(fuzz_random(&state) % (REQUESTS_MOST - 1));
    data[0] = fuzz_random(&state) % 8 != 0;
    data[1] = (uint8_t)requests;
    for (unsigned i = 0; i < 3 * requests; i++)
        data[2 + i] = (uint8_t)fuzz_random(&state);
    uint8_t *h = data + 2 + 3 * requests;
    memset(h, 0, 2048);
    memcpy(h, "QFI\xfb", 4);
    st_be32(h + 4, 2 + (uint32_t)(fuzz_random(&state) % 2));
    st_be32(h + 20, 9);
    st_be64(h + 24, 512 * (1 + fuzz_random(&state) % 64));
    st_be32(h + 36, 1);
    st_be64(h + 40, 512);
    st_be64(h + 48, 1024);
    st_be32(h + 56, 1);
    st_be64(h + 72, fuzz_random(&state) % 4 == 0);
    st_be32(h + 96, (uint32_t)(fuzz_random(&state) % 7));
    st_be32(h + 100, 104);
    for (unsigned i = fuzz_random(&state) % 3; i > 0; i--)
        h[fuzz_random(&state) % 112] = (uint8_t)fuzz_random(&state);
    st_be64(h + 512, 2048 | (fuzz_random(&state) & (1ull << 63)));
    st_be64(h + 1024, fuzz_random(&state) % 8 ? 1536 : fuzz_random(&state) % 8 * 512);
    for (unsigned i = 0; i < 512; i++)
        h[1536 + i] = fuzz_random(&state) % 4 == 0;
    for (unsigned i = 0; i < 64; i++) {
        uint64_t r = fuzz_random(&state), entry = fuzz_random(&state) % 8 * 512;
        entry |= r & (3ull << 62 | 1) & (r << 3 | 1ull << 63);
        st_be64(h + 2048 + 8 * i, r % 16 ? entry : fuzz_random(&state));
    }
    size_t size = (size_t)(h - data) + 2560 + fuzz_random(&state) % 1024;
    for (uint8_t *p = h + 2560; p < data + size; p++)
        *p = (uint8_t)fuzz_random(&state);
    return size;
}
