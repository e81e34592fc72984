/*
 * The kernel loader, given any file: it loads it inside RAM, or it leaves one sentence.
 *
 * The last byte of an input chooses the size of RAM; the rest is the file.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "vmm/loader.h"

#define RAM_BASE 0x40000000ull
#define RAM_MAX  (8u << 20)

/* The file that the loader reads, one for the process. */
static const char *fuzz_file(int *fd)
{
    static char path[64];
    static int file = -1;
    if (file < 0) {
        char name[] = "/tmp/ireko-fuzz-XXXXXX";
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

static void load(const char *path, uint64_t ram_size)
{
    uint8_t *ram = malloc(ram_size);
    struct gmem m = { .count = 0 };
    struct loader_image image = { 0 };
    struct loader_places places;
    struct err e = { "" };
    if (!ram || gmem_add(&m, RAM_BASE, ram_size, ram) < 0)
        abort();
    int rc = loader_load_kernel(&m, RAM_BASE, ram_size, path, &image, &e);
    if (rc == 0) {
        assert(image.base >= RAM_BASE && image.base <= image.end);
        assert(image.end <= RAM_BASE + ram_size);
        rc = loader_place(&image, RAM_BASE, ram_size, 4096, 8192, &places, &e);
        if (rc == 0) {
            assert(places.dtb >= image.end || places.dtb + 4096 <= image.base);
            assert(gmem_contains(&m, places.dtb, 4096));
            assert(gmem_contains(&m, places.initrd, 8192));
        }
    }
    if (rc < 0)
        assert(e.text[0] && !strchr(e.text, '\n'));
    free(ram);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd;
    const char *path = fuzz_file(&fd);
    if (size == 0)
        return 0;
    uint64_t ram_size = (1u + data[size - 1] % 8) * (RAM_MAX / 8);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size - 1, 0) != (ssize_t)(size - 1) ||
        lseek(fd, 0, SEEK_SET) < 0)
        abort();
    load(path, ram_size);
    return 0;
}

/* ------------------------------------------------------------------ made-up inputs */

/* A size or an address: mostly plausible, at times on an edge, at times anything. */
static uint64_t random_size(uint64_t *state)
{
    static const uint64_t edges[] = {
        0,
        1,
        63,
        64,
        0x80000,
        0x200000,
        0x1fffff,
        RAM_BASE,
        RAM_BASE + RAM_MAX,
        1ull << 48,
        UINT64_MAX,
        UINT64_MAX - 1,
        UINT64_MAX >> 1,
        0xffffffff,
    };
    uint64_t r = fuzz_random(state);
    switch (r >> 61) {
    case 0:
        return fuzz_random(state);
    case 1:
    case 2:
        return edges[r % (sizeof edges / sizeof edges[0])];
    default:
        return r % 2048;
    }
}

static void make_image(uint64_t *state, uint8_t *p)
{
    st_le64(p + 8, random_size(state));
    st_le64(p + 16, random_size(state));
    st_le64(p + 24, fuzz_random(state) & 0xe);
    st_le32(p + 56, 0x644d5241); /* "ARM\x64" */
    if (fuzz_random(state) & 1) {
        memcpy(p, "MZ", 2);
        st_le32(p + 60, (uint32_t)random_size(state));
        memcpy(p + 64, "PE\0", 4);
        st_le16(p + 70, (uint16_t)random_size(state));
        st_le16(p + 84, (uint16_t)random_size(state));
    }
}

static void make_elf(uint64_t *state, uint8_t *p)
{
    static const uint8_t ident[7] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
    memcpy(p, ident, sizeof ident);
    st_le16(p + 16, (uint16_t)(2 + fuzz_random(state) % 2));
    st_le16(p + 18, 183);
    st_le64(p + 24, random_size(state));
    st_le64(p + 32, fuzz_random(state) & 7 ? 64 : random_size(state));
    st_le16(p + 54, 56);
    st_le16(p + 56, (uint16_t)(1 + fuzz_random(state) % 6));
    for (uint8_t *h = p + 64; h < p + 64 + 6 * 56; h += 56) {
        st_le32(h, 1);
        st_le64(h + 8, random_size(state));
        st_le64(h + 16, random_size(state));
        st_le64(h + 24, RAM_BASE + (fuzz_random(state) & 0x3fffff));
        st_le64(h + 32, fuzz_random(state) % 1024);
        st_le64(h + 40, random_size(state) | 1024);
        if ((fuzz_random(state) & 3) == 0)
            st_le64(h + 24, random_size(state));
    }
}

static void make_zboot(uint64_t *state, uint8_t *p)
{
    memcpy(p, "MZ\0\0zimg", 8);
    st_le32(p + 8, (uint32_t)random_size(state));
    st_le32(p + 12, (uint32_t)random_size(state));
    memcpy(p + 24, fuzz_random(state) & 1 ? "gzip" : "zstd", 5);
}

static void make_packed(uint64_t *state, uint8_t *p)
{
    static const uint8_t gzip[10] = { 0x1f, 0x8b, 8 };
    static const uint8_t zstd[4] = { 0x28, 0xb5, 0x2f, 0xfd };
    if (fuzz_random(state) & 1)
        memcpy(p, gzip, sizeof gzip);
    else
        memcpy(p, zstd, sizeof zstd);
}

size_t fuzz_make_input(uint64_t seed, uint8_t *data)
{
    static void (*const formats[])(uint64_t *state, uint8_t *p) = { make_image, make_elf,
                                                                    make_zboot, make_packed };
    uint64_t state = seed;
    for (size_t i = 0; i < FUZZ_INPUT_MAX; i += 8)
        st_le64(data + i, fuzz_random(&state));
    formats[fuzz_random(&state) % 4](&state, data);
    return 1 + fuzz_random(&state) % FUZZ_INPUT_MAX;
}
