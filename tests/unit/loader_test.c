/* The kernel loader: every format it takes, every kind of file it must refuse, and placement. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "base/bytes.h"
#include "vmm/loader.h"

#define RAM      0x40000000ull
#define RAM_SIZE (32ull << 20)
#define MIB      (1ull << 20)

struct fixture {
    struct gmem m;
    uint8_t *ram;
    char path[32];
    struct err e;
    struct loader_image image;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->ram = calloc(1, RAM_SIZE);
    strcpy(f->path, "/tmp/ireko-loader-XXXXXX");
    close(mkstemp(f->path));
    *state = f;
    return gmem_add(&f->m, RAM, RAM_SIZE, f->ram);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    unlink(f->path);
    free(f->ram);
    free(f);
    return 0;
}

static int load(struct fixture *f, const void *bytes, size_t size)
{
    FILE *file = fopen(f->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    f->e.text[0] = 0;
    return loader_load_kernel(&f->m, RAM, RAM_SIZE, f->path, &f->image, &f->e);
}

/* The load fails with one sentence that names the option and the path and contains `part`. */
static void load_fails(struct fixture *f, const void *bytes, size_t size, const char *part)
{
    char start[64];
    snprintf(start, sizeof start, "--kernel '%s': ", f->path);
    assert_true(load(f, bytes, size) < 0);
    if (strncmp(f->e.text, start, strlen(start)) != 0 || !strstr(f->e.text, part))
        fail_msg("wanted '%s', got '%s'", part, f->e.text);
    assert_null(strchr(f->e.text, '\n'));
}

/* An Image of `size` bytes with recognisable contents. */
static uint8_t *make_image(size_t size, uint64_t text_offset, uint64_t image_size, uint64_t flags)
{
    uint8_t *b = malloc(size);
    for (size_t i = 0; i < size; i++)
        b[i] = (uint8_t)(i * 7 + (i >> 8));
    st_le64(b + 8, text_offset);
    st_le64(b + 16, image_size);
    st_le64(b + 24, flags);
    st_le32(b + 56, 0x644d5241);
    st_le32(b + 60, 0);
    return b;
}

static void assert_loaded(const struct fixture *f, gpa_t base, const uint8_t *bytes, size_t size)
{
    assert_int_equal(f->image.base, base);
    assert_memory_equal(f->ram + (base - RAM), bytes, size);
}

/* ------------------------------------------------------------------ Image */

static void image_places(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint64_t text_offset, image_size;
        gpa_t base, end;
    } cases[] = {
        { 0x80000, 0x200000, RAM + 0x80000, RAM + 0x280000 },     /* Linux up to 5.7 */
        { 0, 0x200000, RAM + 2 * MIB, RAM + 4 * MIB },            /* Linux since 5.8 */
        { 0x1000, 0x200000, RAM + 0x201000, RAM + 0x401000 },     /* randomised text_offset */
        { 0x100000, 0x1000, RAM + 0x100000, RAM + 0x110000 },     /* image_size below file size */
        { 0, RAM_SIZE - 2 * MIB, RAM + 2 * MIB, RAM + RAM_SIZE }, /* fits to the last byte */
        { 0, 0, RAM + 0x80000, RAM + 0x80000 + 0x10000 + 16 * MIB }, /* before 3.17 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t *b = make_image(0x10000, cases[i].text_offset, cases[i].image_size, 0xa);
        assert_int_equal(load(f, b, 0x10000), 0);
        assert_loaded(f, cases[i].base, b, 0x10000);
        assert_int_equal(f->image.entry, cases[i].base);
        assert_int_equal(f->image.end, cases[i].end);
        assert_true(f->image.is_linux);
        free(b);
    }
}

/* A large file is read in parts by several threads. Numbers tell pages that are swapped. */
static void image_in_parts(void **state)
{
    struct fixture *f = *state;
    const size_t sizes[] = { 7 * MIB + 3, 9 * MIB + 4097, 27 * MIB + 1 };
    for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
        uint8_t *b = make_image(sizes[i], 0, sizes[i], 0);
        for (size_t at = 4096; at + 4 <= sizes[i]; at += 4096)
            st_le32(b + at, (uint32_t)at);
        memset(f->ram, 0xee, RAM_SIZE);
        assert_int_equal(load(f, b, sizes[i]), 0);
        assert_loaded(f, f->image.base, b, sizes[i]);
        assert_int_equal(f->ram[f->image.base - RAM + sizes[i]], 0xee);
        free(b);
    }
}

static void image_refused(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint64_t text_offset, image_size, flags;
        const char *part;
    } cases[] = {
        { 0, 0x200000, 1, "big-endian" },
        { 0, RAM_SIZE - 2 * MIB + 1, 0, "--memory" },
        { 0, UINT64_MAX, 0, "--memory" },
        { UINT64_MAX, 0x200000, 0, "--memory" },
        { UINT64_MAX - RAM, 0x200000, 0, "--memory" },
        { RAM_SIZE, 0x10000, 0, "--memory" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t *b = make_image(0x10000, cases[i].text_offset, cases[i].image_size, cases[i].flags);
        load_fails(f, b, 0x10000, cases[i].part);
        free(b);
    }
}

/* Make the image a PE program with one section that ends at `end`. */
static void add_pe(uint8_t *b, unsigned machine, uint32_t end)
{
    memcpy(b, "MZ", 2);
    st_le32(b + 60, 64);
    memcpy(b + 64, "PE\0\0", 4);
    st_le16(b + 68, (uint16_t)machine);
    st_le16(b + 70, 1);
    st_le16(b + 84, 0);
    st_le32(b + 88 + 16, end - 0x1000);
    st_le32(b + 88 + 20, 0x1000);
}

static void image_efi(void **state)
{
    struct fixture *f = *state;
    uint8_t *b = make_image(0x10000, 0, 0x20000, 0xa);
    add_pe(b, 0xaa64, 0x10000);
    assert_int_equal(load(f, b, 0x10000), 0);
    assert_loaded(f, RAM + 2 * MIB, b, 0x10000);
    load_fails(f, b, 0xffff, "truncated");
    load_fails(f, b, 100, "truncated");
    st_le32(b + 56, 0);
    load_fails(f, b, 0x10000, "EFI program");
    add_pe(b, 0x8664, 0x10000);
    load_fails(f, b, 0x10000, "x86");
    add_pe(b, 0x5064, 0x10000);
    load_fails(f, b, 0x10000, "another machine");
    free(b);
}

/* ------------------------------------------------------------------ compressed */

static uint8_t *gzip(const uint8_t *bytes, size_t size, size_t *out)
{
    z_stream z = { 0 };
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    *out = deflateBound(&z, size);
    uint8_t *to = malloc(*out), *from = malloc(size);
    memcpy(from, bytes, size);
    z.next_in = from;
    z.avail_in = (unsigned)size;
    z.next_out = to;
    z.avail_out = (unsigned)*out;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    *out = z.total_out;
    deflateEnd(&z);
    free(from);
    return to;
}

static uint8_t *zstd(const uint8_t *bytes, size_t size, size_t *out)
{
    size_t room = ZSTD_compressBound(size);
    uint8_t *to = malloc(room);
    *out = ZSTD_compress(to, room, bytes, size, 1);
    assert_false(ZSTD_isError(*out));
    return to;
}

typedef uint8_t *compress_fn(const uint8_t *, size_t, size_t *);

static void compressed(struct fixture *f, compress_fn *pack)
{
    size_t size = 0x90000, n, twice_n;
    uint8_t *b = make_image(size, 0, 0x100000, 0xa);
    uint8_t *packed = pack(b, size, &n);
    assert_int_equal(load(f, packed, n), 0);
    assert_loaded(f, RAM + 2 * MIB, b, size);
    assert_int_equal(f->image.end, RAM + 3 * MIB);

    load_fails(f, packed, n - n / 4, "truncated");
    load_fails(f, packed, 12, "truncated");
    for (size_t i = n / 2; i < n / 2 + 64; i++)
        packed[i] ^= 0x55;
    load_fails(f, packed, n, "damaged");
    free(packed);

    /* Wrapped too often. */
    packed = pack(b, size, &n);
    for (int i = 0; i < 4; i++) {
        uint8_t *twice = pack(packed, n, &twice_n);
        free(packed);
        packed = twice;
        n = twice_n;
    }
    load_fails(f, packed, n, "again and again");
    free(packed);
    free(b);

    /* A bomb: RAM's size plus one byte, all zero. */
    b = calloc(1, RAM_SIZE + 1);
    packed = pack(b, RAM_SIZE + 1, &n);
    load_fails(f, packed, n, "larger than the 32 MiB of RAM");
    free(packed);
    /* Exactly RAM's size is unpacked, and then is no kernel. */
    packed = pack(b, RAM_SIZE, &n);
    load_fails(f, packed, n, "no arm64 kernel");
    free(packed);
    free(b);
}

static void gzip_image(void **state)
{
    compressed(*state, gzip);
}

static void zstd_image(void **state)
{
    compressed(*state, zstd);
}

static void zboot(void **state)
{
    struct fixture *f = *state;
    size_t size = 0x40000, n;
    uint8_t *image = make_image(size, 0, 0x80000, 0xa);
    uint8_t *packed = gzip(image, size, &n);
    uint8_t *b = calloc(1, 0x1000 + n);
    add_pe(b, 0xaa64, (uint32_t)(0x1000 + n));
    memcpy(b + 4, "zimg", 4);
    st_le32(b + 8, 0x1000);
    st_le32(b + 12, (uint32_t)n);
    strcpy((char *)b + 24, "gzip");
    memcpy(b + 0x1000, packed, n);
    assert_int_equal(load(f, b, 0x1000 + n), 0);
    assert_loaded(f, RAM + 2 * MIB, image, size);

    load_fails(f, b, 0x1000 + n - 1, "truncated");
    st_le32(b + 12, UINT32_MAX);
    load_fails(f, b, 0x1000 + n, "truncated");
    st_le32(b + 8, 0); /* its own payload */
    st_le32(b + 12, (uint32_t)n);
    load_fails(f, b, 0x1000 + n, "again and again");
    memcpy(b + 24, "lzma", 5);
    load_fails(f, b, 0x1000 + n, "'lzma'");
    memcpy(b + 24, "\n\033[2J", 6); /* the terminal's, if it were printed */
    load_fails(f, b, 0x1000 + n, "'??[2J'");
    free(b);
    free(packed);
    free(image);
}

/* ------------------------------------------------------------------ ELF */

#define ELF_FILE 0x3000

/* Two segments: one of 0x1000 bytes at `paddr`, and 0x800 bytes of file with 0x4000 of memory 64
 * KiB on. */
static void make_elf(uint8_t *b, uint64_t vaddr, uint64_t paddr, uint64_t entry)
{
    memset(b, 0, ELF_FILE);
    memcpy(b, "\177ELF\2\1\1", 7);
    st_le16(b + 16, 2);
    st_le16(b + 18, 183);
    st_le64(b + 24, entry);
    st_le64(b + 32, 64);
    st_le16(b + 54, 56);
    st_le16(b + 56, 2);
    for (int i = 0; i < 2; i++) {
        uint8_t *p = b + 64 + i * 56;
        st_le32(p, 1);
        st_le64(p + 8, i ? 0x2000 : 0x1000);
        st_le64(p + 16, vaddr + (i ? 0x10000 : 0));
        st_le64(p + 24, paddr + (i ? 0x10000 : 0));
        st_le64(p + 32, i ? 0x800 : 0x1000);
        st_le64(p + 40, i ? 0x4000 : 0x1000);
    }
    for (int i = 0x1000; i < ELF_FILE; i++)
        b[i] = (uint8_t)(i * 3);
}

static void assert_elf(const struct fixture *f, const uint8_t *b, gpa_t base, uint64_t entry_offset)
{
    assert_loaded(f, base, b + 0x1000, 0x1000);
    assert_memory_equal(f->ram + (base - RAM) + 0x10000, b + 0x2000, 0x800);
    for (int i = 0x800; i < 0x4000; i++)
        assert_int_equal(f->ram[base - RAM + 0x10000 + (uint64_t)i], 0);
    assert_int_equal(f->image.entry, base + entry_offset);
    assert_int_equal(f->image.end, base + 0x14000);
}

static void elf(void **state)
{
    struct fixture *f = *state;
    uint8_t b[ELF_FILE];
    memset(f->ram, 0xff, RAM_SIZE);

    make_elf(b, RAM + 0x80000, RAM + 0x80000, RAM + 0x80010);
    assert_int_equal(load(f, b, sizeof b), 0);
    assert_elf(f, b, RAM + 0x80000, 0x10);
    assert_false(f->image.is_linux);

    /* Virtual entry, physical addresses. */
    make_elf(b, 0xffff800080000000, RAM + 4 * MIB, 0xffff800080010004);
    assert_int_equal(load(f, b, sizeof b), 0);
    assert_elf(f, b, RAM + 4 * MIB, 0x10004);

    /* vmlinux: virtual all over. */
    make_elf(b, 0xffff800080000000, 0xffff800080000000, 0xffff800080000000);
    assert_int_equal(load(f, b, sizeof b), 0);
    assert_elf(f, b, RAM + 2 * MIB, 0);
    make_elf(b, 0xffff800010080000, 0xffff800010080000, 0xffff800010080008);
    assert_int_equal(load(f, b, sizeof b), 0);
    assert_elf(f, b, RAM + 0x80000, 8);

    /* With an Image header inside, the header's image_size counts. */
    st_le64(b + 0x1000 + 16, 0x300000);
    st_le64(b + 0x1000 + 24, 0xa);
    st_le32(b + 0x1000 + 56, 0x644d5241);
    assert_int_equal(load(f, b, sizeof b), 0);
    assert_true(f->image.is_linux);
    assert_int_equal(f->image.end, RAM + 0x380000);

    /* Position independent. */
    make_elf(b, 0, 0, 0x20);
    st_le16(b + 16, 3);
    assert_int_equal(load(f, b, sizeof b), 0);
    assert_elf(f, b, RAM + 2 * MIB, 0x20);

    /* The last byte of RAM. */
    make_elf(b, RAM + RAM_SIZE - 0x14000, RAM + RAM_SIZE - 0x14000, RAM + RAM_SIZE - 0x14000);
    assert_int_equal(load(f, b, sizeof b), 0);
    assert_elf(f, b, RAM + RAM_SIZE - 0x14000, 0);
}

static void elf_refused(void **state)
{
    struct fixture *f = *state;
    uint8_t b[ELF_FILE];
    static const struct {
        unsigned offset, width;
        uint64_t value;
        const char *part;
    } cases[] = {
        { 18, 2, 62, "x86" },
        { 18, 2, 3, "x86" },
        { 18, 2, 40, "32-bit" },
        { 18, 2, 243, "another machine" },
        { 4, 1, 1, "32-bit" },
        { 5, 1, 2, "big-endian" },
        { 16, 2, 1, "object file" },
        { 56, 2, 0, "program headers" },
        { 56, 2, 0xffff, "damaged or cut off" },
        { 54, 2, 32, "damaged or cut off" },
        { 32, 8, UINT64_MAX, "damaged or cut off" },
        { 24, 8, 0, "entry point" },
        { 64 + 8, 8, UINT64_MAX, "truncated" },
        { 64 + 32, 8, UINT64_MAX, "truncated" },
        { 64 + 40, 8, 1, "impossible" },
        { 64 + 40, 8, UINT64_MAX, "impossible" },
        { 64 + 56 + 40, 8, RAM_SIZE, "--memory" },
        { 64 + 24, 8, 0, "linked for 0x0" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make_elf(b, RAM + 0x80000, RAM + 0x80000, RAM + 0x80010);
        uint8_t value[8];
        st_le64(value, cases[i].value);
        memcpy(b + cases[i].offset, value, cases[i].width);
        load_fails(f, b, sizeof b, cases[i].part);
    }
    make_elf(b, RAM + 0x80000, RAM + 0x80000, RAM + 0x80010);
    load_fails(f, b, 63, "truncated");
    load_fails(f, b, 100, "cut off");
    load_fails(f, b, 0x2100, "truncated");
    st_le32(b + 64, 0);
    st_le32(b + 64 + 56, 0);
    load_fails(f, b, sizeof b, "nothing to load");
}

/* ------------------------------------------------------------------ what is no kernel */

static void foreign(void **state)
{
    struct fixture *f = *state;
    static const struct {
        unsigned offset;
        const char *magic;
        const char *part;
    } cases[] = {
        { 0x202, "HdrS", "x86" },
        { 0x24, "\x18\x28\x6f\x01", "32-bit Arm" },
        { 0x38, "RSC\x05", "RISC-V" },
        { 0,
          "\xfd"
          "7zXZ",
          "xz -dk" },
        { 0, "\x89LZO", "lzop" },
        { 0, "BZh9", "bzip2" },
        { 0, "\xd0\x0d\xfe\xed", "device tree" },
        { 0, "070701", "--initrd" },
        { 0, "#!/bin/sh", "script" },
        { 0, "hello", "no arm64 kernel" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t b[4096] = { 0 };
        memcpy(b + cases[i].offset, cases[i].magic, strlen(cases[i].magic));
        load_fails(f, b, sizeof b, cases[i].part);
    }
    load_fails(f, "", 0, "empty");
    load_fails(f, "M", 1, "no arm64 kernel");
    load_fails(f, "\x1f\x8b", 2, "truncated");
}

static void bad_paths(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(loader_load_kernel(&f->m, RAM, RAM_SIZE, "/nonexistent/k", &f->image, &f->e),
                     -ENOENT);
    assert_string_equal(f->e.text, "--kernel '/nonexistent/k': cannot open it (No such file or "
                                   "directory); check the path");
    assert_int_equal(loader_load_kernel(&f->m, RAM, RAM_SIZE, "/tmp", &f->image, &f->e), -EISDIR);
    assert_string_equal(f->e.text, "--kernel '/tmp': this is a directory; give a file");
}

/* Open, load at `gpa`, close; `*size` is the file's. */
static int load_file(struct fixture *f, const char *path, uint64_t limit, gpa_t gpa, uint64_t *size)
{
    struct loader_file file;
    int rc = loader_open_file(path, "--initrd", limit, &file, &f->e);
    *size = file.size;
    if (rc == 0)
        rc = loader_load_file(&file, &f->m, gpa, &f->e);
    loader_close_file(&file);
    return rc;
}

/* What a shell gives for <(command). */
static void pipes(void **state)
{
    struct fixture *f = *state;
    int ends[2];
    char path[32];
    uint64_t size = 0;
    assert_int_equal(pipe(ends), 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    assert_int_equal(write(ends[1], "hello", 5), 5);
    close(ends[1]);
    assert_int_equal(load_file(f, path, 5, RAM, &size), 0);
    assert_int_equal(size, 5);
    assert_memory_equal(f->ram, "hello", 5);
    close(ends[0]);
}

static void blobs(void **state)
{
    struct fixture *f = *state;
    uint8_t *b = malloc(3 * MIB);
    uint64_t size = 0;
    for (size_t i = 0; i < 3 * MIB; i++)
        b[i] = (uint8_t)(i >> 4);
    load_fails(f, b, 3 * MIB, "no arm64 kernel"); /* writes the file */
    assert_int_equal(load_file(f, f->path, 3 * MIB, RAM + MIB, &size), 0);
    assert_int_equal(size, 3 * MIB);
    assert_memory_equal(f->ram + MIB, b, 3 * MIB);
    assert_int_equal(load_file(f, f->path, 3 * MIB - 1, RAM, &size), -E2BIG);
    assert_non_null(strstr(f->e.text, "--initrd '"));
    assert_int_equal(load_file(f, f->path, 3 * MIB, RAM + RAM_SIZE - MIB, &size), -EFAULT);
    /* A device never ends. */
    assert_int_equal(load_file(f, "/dev/zero", 3 * MIB, RAM, &size), -EINVAL);
    free(b);
}

/* Somebody writes to the file between the look at its size and the reading. */
static void shrinking_files(void **state)
{
    struct fixture *f = *state;
    struct loader_file file;
    uint8_t *b = calloc(1, MIB);
    load_fails(f, b, MIB, "no arm64 kernel"); /* writes the file */
    assert_int_equal(loader_open_file(f->path, "--initrd", MIB, &file, &f->e), 0);
    assert_int_equal(truncate(f->path, MIB / 2), 0);
    assert_int_equal(loader_load_file(&file, &f->m, RAM, &f->e), -ENODATA);
    assert_non_null(strstr(f->e.text, "--initrd '"));
    loader_close_file(&file);
    free(b);
}

/* ------------------------------------------------------------------ damage */

/* A small generator of our own: the same numbers on every host. */
static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

/* Damage a few bytes, mostly in the header, and sometimes cut the end off. Returns the length. */
static size_t damage(uint8_t *b, size_t size, uint32_t *random)
{
    for (uint32_t i = next_random(random) % 6 + 1; i > 0; i--) {
        size_t at = next_random(random) % (next_random(random) % 4 ? 256 : size);
        if (next_random(random) % 3)
            b[at] = (uint8_t)next_random(random);
        else
            memset(b + at, next_random(random) % 2 ? 0xff : 0, size - at < 8 ? size - at : 8);
    }
    return next_random(random) % 4 ? size : next_random(random) % size + 1;
}

/* Whatever is in the file: one sentence, or a kernel inside RAM. */
static void damaged(void **state)
{
    struct fixture *f = *state;
    uint32_t random = 1;
    size_t sizes[4] = { 0x4000, 0x4000, 0, ELF_FILE };
    uint8_t elf_bytes[ELF_FILE];
    make_elf(elf_bytes, 0xffff800080000000, 0xffff800080000000, 0xffff800080000000);
    uint8_t *efi = make_image(sizes[0], 0, 0x8000, 0xa);
    add_pe(efi, 0xaa64, (uint32_t)sizes[0]);
    uint8_t *plain = make_image(sizes[1], 0x80000, 0x8000, 0xa);
    uint8_t *packed = gzip(plain, sizes[1], &sizes[2]);
    const uint8_t *files[4] = { efi, plain, packed, elf_bytes };

    for (unsigned i = 0; i < 400; i++) {
        size_t size = sizes[i % 4];
        uint8_t *b = malloc(size);
        memcpy(b, files[i % 4], size);
        if (load(f, b, damage(b, size, &random)) < 0) {
            assert_int_equal(strncmp(f->e.text, "--kernel '", 10), 0);
            assert_null(strchr(f->e.text, '\n'));
        } else {
            assert_in_range(f->image.base, RAM, RAM + RAM_SIZE - 1);
            assert_in_range(f->image.end, f->image.base + 1, RAM + RAM_SIZE);
            assert_in_range(f->image.entry, f->image.base, f->image.end - 1);
        }
        free(b);
    }
    free(efi);
    free(plain);
    free(packed);
}

/* ------------------------------------------------------------------ placement */

static void places(void **state)
{
    (void)state;
    static const struct {
        uint64_t kernel_end, ram, initrd_size;
        gpa_t dtb, initrd; /* dtb 0: does not fit */
    } cases[] = {
        { 40 * MIB, 1024 * MIB, 0, 64 * MIB, 0 },
        { 40 * MIB, 1024 * MIB, 10 * MIB, 64 * MIB, 66 * MIB },
        { 64 * MIB, 1024 * MIB, 1, 64 * MIB, 66 * MIB },
        { 64 * MIB + 1, 1024 * MIB, 1, 66 * MIB, 68 * MIB },   /* a large kernel */
        { 20 * MIB + 1, 64 * MIB, 0, 22 * MIB, 0 },            /* small RAM */
        { 20 * MIB, 66 * MIB, 0, 64 * MIB, 0 },                /* to the last byte */
        { 20 * MIB, 66 * MIB, 1, 20 * MIB, 22 * MIB },         /* the initrd moves both */
        { 20 * MIB, 128 * MIB, 62 * MIB, 64 * MIB, 66 * MIB }, /* to the last byte */
        { 20 * MIB, 128 * MIB, 106 * MIB, 20 * MIB, 22 * MIB },
        { 20 * MIB, 128 * MIB, 106 * MIB + 1, 0, 0 },
        { 20 * MIB, 128 * MIB, UINT64_MAX, 0, 0 },
        { 63 * MIB, 64 * MIB, 0, 0, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct loader_image kernel = { .base = RAM, .end = RAM + cases[i].kernel_end };
        struct loader_places p = { 0 };
        struct err e = { 0 };
        int rc =
            loader_place(&kernel, RAM, cases[i].ram, LOADER_DTB_MAX, cases[i].initrd_size, &p, &e);
        if (cases[i].dtb == 0) {
            assert_int_equal(rc, -E2BIG);
            assert_non_null(strstr(e.text, "--memory"));
            continue;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(p.dtb, RAM + cases[i].dtb);
        assert_int_equal(p.initrd, cases[i].initrd ? RAM + cases[i].initrd : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(image_places, setup, teardown),
        cmocka_unit_test_setup_teardown(image_in_parts, setup, teardown),
        cmocka_unit_test_setup_teardown(image_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(image_efi, setup, teardown),
        cmocka_unit_test_setup_teardown(gzip_image, setup, teardown),
        cmocka_unit_test_setup_teardown(zstd_image, setup, teardown),
        cmocka_unit_test_setup_teardown(zboot, setup, teardown),
        cmocka_unit_test_setup_teardown(elf, setup, teardown),
        cmocka_unit_test_setup_teardown(elf_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(pipes, setup, teardown),
        cmocka_unit_test_setup_teardown(shrinking_files, setup, teardown),
        cmocka_unit_test_setup_teardown(blobs, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged, setup, teardown),
        cmocka_unit_test(places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
