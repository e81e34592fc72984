/*
 * The arm64 Image and what comes wrapped around it in a PE program.
 *
 * Image header: Linux, Documentation/arch/arm64/booting.rst, section 4. An EFI-capable Image is a
 * PE program too ("MZ" is a harmless instruction), so the header decides, not the "MZ". EFI zboot
 * (drivers/firmware/efi/libstub/zboot-header.S) is a small PE program around a compressed Image.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/bytes.h"
#include "vmm/loader_formats.h"

enum {
    IMAGE_TEXT_OFFSET = 8,
    IMAGE_SIZE = 16,
    IMAGE_FLAGS = 24,
    IMAGE_MAGIC = 56,
    IMAGE_HEADER_SIZE = 64,

    ZBOOT_MAGIC = 4,
    ZBOOT_PAYLOAD_OFFSET = 8,
    ZBOOT_PAYLOAD_SIZE = 12,
    ZBOOT_TYPE = 24,
    ZBOOT_TYPE_SIZE = 32,

    PE_POINTER = 60,
    PE_MACHINE = 4,
    PE_SECTION_COUNT = 6,
    PE_OPTIONAL_SIZE = 20,
    PE_HEADER_SIZE = 24,
    PE_SECTION_SIZE = 40,
    PE_SECTION_RAW_SIZE = 16,
    PE_SECTION_RAW_OFFSET = 20,
};

#define IMAGE_MAGIC_VALUE 0x644d5241 /* "ARM\x64" */
#define IMAGE_FLAG_BE     1

/* Before Linux 3.17 image_size was zero and text_offset not to be trusted: the base is 512 KiB, and
 * the BSS is anyone's guess. */
#define OLD_TEXT_OFFSET 0x80000
#define OLD_BSS         (16u << 20)

bool loader_image_header(const uint8_t *bytes, uint64_t size, struct loader_image_header *h)
{
    if (size < IMAGE_HEADER_SIZE || ld_le32(bytes + IMAGE_MAGIC) != IMAGE_MAGIC_VALUE)
        return false;
    uint64_t image_size = ld_le64(bytes + IMAGE_SIZE);
    *h = (struct loader_image_header){
        .text_offset = image_size ? ld_le64(bytes + IMAGE_TEXT_OFFSET) : OLD_TEXT_OFFSET,
        .image_size = image_size ? image_size : size + OLD_BSS,
        .big_endian = ld_le64(bytes + IMAGE_FLAGS) & IMAGE_FLAG_BE,
    };
    if (h->image_size < size)
        h->image_size = size;
    return true;
}

/* Check an Image of `size` bytes, of which the first `have` are at `bytes`, and choose its place.
 */
static int image_place(const struct loader_job *j, const uint8_t *bytes, uint64_t have,
                       uint64_t size, struct loader_image *out)
{
    struct loader_image_header h;
    if (!loader_image_header(bytes, size, &h))
        return loader_fail(j, -ENOEXEC, "the Image header is missing; give another kernel");
    if (h.big_endian)
        return loader_fail(j, -ENOEXEC,
                           "this is a big-endian kernel; give one built without "
                           "CONFIG_CPU_BIG_ENDIAN");
    if (loader_pe_truncated(bytes, have, size))
        return loader_fail(j, -ENOEXEC, "the file is truncated; get it again");
    gpa_t base;
    int rc = loader_choose_base(j, h.text_offset, h.image_size, &base);
    if (rc < 0)
        return rc;
    *out = (struct loader_image){
        .entry = base, .base = base, .end = base + h.image_size, .is_linux = true
    };
    return 0;
}

int loader_load_image(const struct loader_job *j, const uint8_t *bytes, uint64_t size,
                      struct loader_image *out)
{
    int rc = image_place(j, bytes, size, size, out);
    if (rc == 0 && gmem_write(j->m, out->base, bytes, size) < 0)
        return loader_fail(j, -EFAULT, "there is no RAM at 0x%llx", (unsigned long long)out->base);
    return rc;
}

int loader_read_image(const struct loader_job *j, int fd, const uint8_t *head, uint64_t have,
                      uint64_t size, struct loader_image *out)
{
    int rc = image_place(j, head, have, size, out);
    if (rc < 0)
        return rc;
    rc = gmem_write(j->m, out->base, head, have);
    if (rc == 0)
        rc = loader_read_guest(j->m, out->base + have, fd, have, size - have);
    if (rc < 0)
        return loader_fail(j, rc, "cannot read it (%s)", strerror(-rc));
    return 0;
}

/* ------------------------------------------------------------------ EFI zboot */

bool loader_is_zboot(const uint8_t *bytes, uint64_t size)
{
    return size >= ZBOOT_TYPE + ZBOOT_TYPE_SIZE && memcmp(bytes, "MZ", 2) == 0 &&
           memcmp(bytes + ZBOOT_MAGIC, "zimg", 4) == 0;
}

int loader_zboot_payload(const struct loader_job *j, const uint8_t *bytes, uint64_t size,
                         const uint8_t **payload, uint64_t *payload_size)
{
    uint64_t offset = ld_le32(bytes + ZBOOT_PAYLOAD_OFFSET);
    uint64_t length = ld_le32(bytes + ZBOOT_PAYLOAD_SIZE);
    char type[ZBOOT_TYPE_SIZE + 1] = { 0 };
    memcpy(type, bytes + ZBOOT_TYPE, ZBOOT_TYPE_SIZE);

    if (strcmp(type, "gzip") != 0 && strncmp(type, "zstd", 4) != 0)
        return loader_fail(j, -ENOEXEC,
                           "this EFI zboot kernel is compressed with '%.8s'; give one "
                           "that uses gzip or zstd",
                           type);
    if (offset > size || length > size - offset)
        return loader_fail(j, -ENOEXEC, "the file is truncated; get it again");
    *payload = bytes + offset;
    *payload_size = length;
    return 0;
}

/* ------------------------------------------------------------------ PE */

/* The offset of the PE header, or 0. */
static uint64_t pe_header(const uint8_t *bytes, uint64_t size)
{
    if (size < PE_POINTER + 4 || memcmp(bytes, "MZ", 2) != 0)
        return 0;
    uint64_t at = ld_le32(bytes + PE_POINTER);
    if (at > size || size - at < PE_HEADER_SIZE || memcmp(bytes + at, "PE\0\0", 4) != 0)
        return 0;
    return at;
}

unsigned loader_pe_machine(const uint8_t *bytes, uint64_t size)
{
    uint64_t at = pe_header(bytes, size);
    return at ? ld_le16(bytes + at + PE_MACHINE) : 0;
}

bool loader_pe_truncated(const uint8_t *bytes, uint64_t have, uint64_t size)
{
    uint64_t at = pe_header(bytes, have);
    if (at == 0)
        return false;
    unsigned count = ld_le16(bytes + at + PE_SECTION_COUNT);
    uint64_t section = at + PE_HEADER_SIZE + ld_le16(bytes + at + PE_OPTIONAL_SIZE);
    for (unsigned i = 0; i < count; i++, section += PE_SECTION_SIZE) {
        if (section + PE_SECTION_SIZE > have)
            return true;
        uint64_t end = (uint64_t)ld_le32(bytes + section + PE_SECTION_RAW_OFFSET) +
                       ld_le32(bytes + section + PE_SECTION_RAW_SIZE);
        if (end > size)
            return true;
    }
    return false;
}
