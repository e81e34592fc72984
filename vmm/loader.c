/*
 * The loader's front: tell a file's format by magic, unwrap it until a kernel is left, and choose
 * the places of the device tree and the initrd.
 *
 * The rules for addresses are those of Linux's Documentation/arch/arm64/booting.rst: the kernel at
 * a 2 MiB boundary plus text_offset, the device tree 8-byte aligned and at most 2 MiB, and the
 * initrd in the same 32 GiB window as the kernel, which holds for anything right behind it.
 */
#include "vmm/loader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "vmm/loader_formats.h"

/* A kernel file may be this large (an ELF with debug information), whatever the RAM. */
#define KERNEL_FILE_MAX (1ull << 30)
/* How often a kernel may be wrapped: zboot, then gzip, then Image. */
#define MAX_WRAPPERS 3
/* Where we like the device tree, from the start of RAM. */
#define DTB_OFFSET   (64ull << 20)
#define INITRD_ALIGN 4096u

int loader_fail(const struct loader_job *j, int code, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return err_set(j->e, code, "--kernel '%s': %s", j->path, text);
}

int loader_choose_base(const struct loader_job *j, uint64_t text_offset, uint64_t size, gpa_t *base)
{
    if (text_offset <= j->ram_size && size <= j->ram_size) {
        gpa_t at = align_up(j->ram_base, LOADER_KERNEL_ALIGN) + text_offset;
        if (at - j->ram_base < LOADER_KERNEL_OFFSET)
            at += LOADER_KERNEL_ALIGN;
        if (at - j->ram_base <= j->ram_size - size) {
            *base = at;
            return 0;
        }
    }
    return loader_fail(j, -E2BIG,
                       "the kernel needs %llu MiB of memory and does not fit into %llu "
                       "MiB of RAM; give more with --memory",
                       (unsigned long long)(size >> 20) + 1,
                       (unsigned long long)(j->ram_size >> 20));
}

/* ------------------------------------------------------------------ formats */

/* What is certainly no kernel for us, and what to do about it. */
struct foreign_format {
    unsigned offset, length;
    const char *magic;
    const char *sentence;
};

#define X86_KERNEL "this is an x86 kernel; give one built for arm64"
/* clang-format off */
static const struct foreign_format foreign_formats[] = {
    { 0x202, 4, "HdrS",                     X86_KERNEL },
    { 0x24,  4, "\x18\x28\x6f\x01",         "this is a 32-bit Arm kernel; give one built for arm64" },
    { 0x38,  4, "RSC\x05",                  "this is a RISC-V kernel; give one built for arm64" },
    { 0,     6, "\xfd" "7zXZ",              "it is compressed with xz; decompress it first: xz -dk" },
    { 0,     4, "\x04\x22\x4d\x18",         "it is compressed with lz4; decompress it first: lz4 -d" },
    { 0,     4, "\x02\x21\x4c\x18",         "it is compressed with lz4; decompress it first: lz4 -d" },
    { 0,     4, "\x89LZO",                  "it is compressed with lzo; decompress it first: lzop -d" },
    { 0,     3, "BZh",                      "it is compressed with bzip2; decompress it first: bzip2 -dk" },
    { 0,     3, "\x5d\x00\x00",             "it is compressed with lzma; decompress it first: xz -dk --format=lzma" },
    { 0,     4, "\x27\x05\x19\x56",         "this is a U-Boot uImage; extract the kernel first: dumpimage" },
    { 0,     4, "\xd0\x0d\xfe\xed",         "this is a device tree or a FIT image; give the kernel itself" },
    { 0,     6, "070701",                   "this is a cpio archive; perhaps it belongs to --initrd" },
    { 0,     2, "#!",                       "this is a script, not a kernel" },
};
/* clang-format on */

static bool has_magic(const uint8_t *bytes, uint64_t size, unsigned offset, const char *magic,
                      unsigned length)
{
    return offset + length <= size && memcmp(bytes + offset, magic, length) == 0;
}

/* No format we load: say what it is, as well as we can. */
static int explain_foreign(const struct loader_job *j, const uint8_t *bytes, uint64_t size)
{
    for (unsigned i = 0; i < ARRAY_LEN(foreign_formats); i++) {
        const struct foreign_format *f = &foreign_formats[i];
        if (has_magic(bytes, size, f->offset, f->magic, f->length))
            return loader_fail(j, -ENOEXEC, "%s", f->sentence);
    }
    switch (loader_pe_machine(bytes, size)) {
    case 0:
        break;
    case 0x14c:
    case 0x8664:
        return loader_fail(j, -ENOEXEC, "%s", X86_KERNEL);
    case 0xaa64:
        return loader_fail(j, -ENOEXEC,
                           "this is an EFI program, not a bare kernel; if it is a "
                           "unified kernel image, extract it: objcopy -O binary "
                           "-j .linux");
    default:
        return loader_fail(j, -ENOEXEC,
                           "this EFI program is for another machine; give a kernel "
                           "built for arm64");
    }
    return loader_fail(j, -ENOEXEC,
                       "this is no arm64 kernel (or a truncated one); give an Image, "
                       "Image.gz, EFI zboot or ELF file");
}

enum format { FORMAT_GZIP, FORMAT_ZSTD, FORMAT_ZBOOT, FORMAT_ELF, FORMAT_IMAGE, FORMAT_FOREIGN };

static enum format tell_format(const uint8_t *bytes, uint64_t size)
{
    struct loader_image_header header;
    if (has_magic(bytes, size, 0, "\x1f\x8b", 2))
        return FORMAT_GZIP;
    if (has_magic(bytes, size, 0, "\x28\xb5\x2f\xfd", 4))
        return FORMAT_ZSTD;
    if (loader_is_zboot(bytes, size))
        return FORMAT_ZBOOT;
    if (has_magic(bytes, size, 0, "\177ELF", 4))
        return FORMAT_ELF;
    return loader_image_header(bytes, size, &header) ? FORMAT_IMAGE : FORMAT_FOREIGN;
}

/* Load what is at `bytes`, unwrapping at most `wrappers` more layers. */
static int load_any(const struct loader_job *j, const uint8_t *bytes, uint64_t size, int wrappers,
                    struct loader_image *out)
{
    CLEANUP(loader_blob_free) struct loader_blob inner = { 0 };
    const uint8_t *payload;
    uint64_t payload_size;
    int rc = -ENOEXEC;
    if (wrappers < 0)
        return loader_fail(j, rc, "it is compressed again and again; unpack it first");
    switch (tell_format(bytes, size)) {
    case FORMAT_GZIP:
        rc = loader_gunzip(j, bytes, size, &inner);
        break;
    case FORMAT_ZSTD:
        rc = loader_unzstd(j, bytes, size, &inner);
        break;
    case FORMAT_ZBOOT:
        rc = loader_zboot_payload(j, bytes, size, &payload, &payload_size);
        return rc < 0 ? rc : load_any(j, payload, payload_size, wrappers - 1, out);
    case FORMAT_ELF:
        return loader_load_elf(j, bytes, size, out);
    case FORMAT_IMAGE:
        return loader_load_image(j, bytes, size, out);
    case FORMAT_FOREIGN:
        return explain_foreign(j, bytes, size);
    }
    return rc < 0 ? rc : load_any(j, inner.bytes, inner.size, wrappers - 1, out);
}

/* Where the first bytes of an Image tell all that is to be checked. */
#define HEAD_SIZE 8192

/* The usual kernel, an Image in a file, goes straight to guest memory: that is the copy. True:
 * `*rc` is the result. False: the file wants to be looked at as a whole. */
static bool load_directly(const struct loader_job *j, int fd, uint64_t size,
                          struct loader_image *out, int *rc)
{
    uint8_t head[HEAD_SIZE];
    ssize_t n = pread(fd, head, sizeof head, 0);
    if (n <= 0 || (uint64_t)n != (size < sizeof head ? size : sizeof head) ||
        tell_format(head, (uint64_t)n) != FORMAT_IMAGE ||
        loader_pe_truncated(head, (uint64_t)n, size))
        return false;
    *rc = loader_read_image(j, fd, head, (uint64_t)n, size, out);
    return true;
}

int loader_load_kernel(const struct gmem *m, gpa_t ram_base, uint64_t ram_size, const char *path,
                       struct loader_image *out, struct err *e)
{
    const struct loader_job job = {
        .m = m, .ram_base = ram_base, .ram_size = ram_size, .path = path, .e = e
    };
    CLEANUP(loader_blob_free) struct loader_blob file = { 0 };
    struct loader_image image = { 0 };
    struct stat st;
    CLEANUP(loader_close_fd) int fd = loader_open(path, "--kernel", &st, e);
    if (fd < 0)
        return fd;
    int rc = 0;
    if (!S_ISREG(st.st_mode) || !load_directly(&job, fd, (uint64_t)st.st_size, &image, &rc)) {
        rc = loader_read_all(fd, &st, path, "--kernel", KERNEL_FILE_MAX, &file, e);
        if (rc == 0)
            rc = load_any(&job, file.bytes, file.size, MAX_WRAPPERS, &image);
    }
    if (rc == 0)
        *out = image;
    return rc;
}

/* ------------------------------------------------------------------ places */

/* Does `size` at `at` end at or before `end`? */
static bool fits_before(gpa_t at, uint64_t size, gpa_t end)
{
    return at <= end && size <= end - at;
}

int loader_place(const struct loader_image *kernel, gpa_t ram_base, uint64_t ram_size,
                 uint64_t dtb_size, uint64_t initrd_size, struct loader_places *out, struct err *e)
{
    const gpa_t ram_end = ram_base + ram_size;
    const gpa_t behind_kernel = align_up(kernel->end, LOADER_KERNEL_ALIGN);
    const gpa_t liked = ram_base + DTB_OFFSET;
    const gpa_t candidates[] = { behind_kernel > liked ? behind_kernel : liked, behind_kernel };

    for (unsigned i = 0; i < ARRAY_LEN(candidates); i++) {
        gpa_t dtb = candidates[i];
        if (!fits_before(dtb, dtb_size, ram_end))
            continue;
        gpa_t initrd = align_up(dtb + dtb_size, INITRD_ALIGN);
        if (initrd_size > 0 && !fits_before(initrd, initrd_size, ram_end))
            continue;
        *out = (struct loader_places){ .dtb = dtb, .initrd = initrd_size > 0 ? initrd : 0 };
        return 0;
    }
    if (initrd_size > 0)
        return err_set(e, -E2BIG,
                       "--initrd: its %llu KiB do not fit behind the kernel in %llu MiB of RAM; "
                       "give more with --memory",
                       (unsigned long long)((initrd_size + 1023) >> 10),
                       (unsigned long long)(ram_size >> 20));
    return err_set(e, -E2BIG,
                   "--memory: there is no room for the device tree behind the kernel in %llu MiB "
                   "of RAM; give more",
                   (unsigned long long)(ram_size >> 20));
}
