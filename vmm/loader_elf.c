/*
 * ELF64 kernels (ELF 1.2 with the AArch64 supplement, IHI 0056): every PT_LOAD goes to its physical
 * address.
 *
 * Linux's vmlinux is linked at virtual addresses and says so in p_paddr too. Such a file, and any
 * position-independent one, is moved as a whole to where an Image would go; the bits of its lowest
 * address below 2 MiB are its text_offset.
 */
#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "base/bytes.h"
#include "vmm/loader_formats.h"

enum {
    ELF_CLASS = 4,
    ELF_DATA = 5,
    ELF_TYPE = 16,
    ELF_MACHINE = 18,
    ELF_ENTRY = 24,
    ELF_PHOFF = 32,
    ELF_PHENTSIZE = 54,
    ELF_PHNUM = 56,
    ELF_HEADER_SIZE = 64,

    PH_TYPE = 0,
    PH_OFFSET = 8,
    PH_VADDR = 16,
    PH_PADDR = 24,
    PH_FILESZ = 32,
    PH_MEMSZ = 40,
    PH_SIZE = 56,

    CLASS_64 = 2,
    DATA_LSB = 1,
    TYPE_EXEC = 2,
    TYPE_DYN = 3,
    MACHINE_386 = 3,
    MACHINE_ARM = 40,
    MACHINE_X86_64 = 62,
    MACHINE_AARCH64 = 183,
    PT_LOAD = 1,
};

/* Addresses from here on are virtual: the physical ones have at most 48 bits. */
#define FIRST_VIRTUAL (1ull << 48)

struct elf_segment {
    uint64_t offset, vaddr, paddr, filesz, memsz;
};

struct elf_file {
    const struct loader_job *job;
    const uint8_t *bytes;
    uint64_t size;
    uint64_t entry;
    uint64_t phoff;
    unsigned phnum;
    bool movable;
    uint64_t lowest, highest; /* physical addresses, [lowest, highest) */
    struct elf_segment first; /* the one at `lowest` */
};

static int elf_check_header(struct elf_file *f)
{
    const struct loader_job *j = f->job;
    const uint8_t *b = f->bytes;
    if (f->size < ELF_HEADER_SIZE)
        return loader_fail(j, -ENOEXEC, "the file is truncated; get it again");
    unsigned machine = ld_le16(b + ELF_MACHINE);
    if (b[ELF_DATA] != DATA_LSB)
        return loader_fail(j, -ENOEXEC,
                           "this is a big-endian ELF file; give a little-endian arm64 "
                           "kernel");
    if (machine == MACHINE_386 || machine == MACHINE_X86_64)
        return loader_fail(j, -ENOEXEC, "this is an x86 kernel; give one built for arm64");
    if (machine == MACHINE_ARM || b[ELF_CLASS] != CLASS_64)
        return loader_fail(j, -ENOEXEC, "this is a 32-bit ELF file; give an arm64 kernel");
    if (machine != MACHINE_AARCH64)
        return loader_fail(j, -ENOEXEC,
                           "this ELF file is for another machine (number %u); give an "
                           "arm64 kernel",
                           machine);
    unsigned type = ld_le16(b + ELF_TYPE);
    if (type != TYPE_EXEC && type != TYPE_DYN)
        return loader_fail(j, -ENOEXEC, "this is an object file or module; give the linked kernel");
    f->movable = type == TYPE_DYN;
    f->entry = ld_le64(b + ELF_ENTRY);
    f->phoff = ld_le64(b + ELF_PHOFF);
    f->phnum = ld_le16(b + ELF_PHNUM);
    if (f->phnum == 0)
        return loader_fail(j, -ENOEXEC,
                           "this ELF file has no program headers; give the linked "
                           "kernel");
    if (ld_le16(b + ELF_PHENTSIZE) != PH_SIZE || f->phoff > f->size ||
        (uint64_t)f->phnum * PH_SIZE > f->size - f->phoff)
        return loader_fail(j, -ENOEXEC,
                           "the ELF program headers are damaged or cut off; get the "
                           "file again");
    return 0;
}

/* Segment `i` of the file; false when it is nothing to load. */
static bool elf_segment(const struct elf_file *f, unsigned i, struct elf_segment *s)
{
    const uint8_t *p = f->bytes + f->phoff + (uint64_t)i * PH_SIZE;
    *s = (struct elf_segment){
        .offset = ld_le64(p + PH_OFFSET),
        .vaddr = ld_le64(p + PH_VADDR),
        .paddr = ld_le64(p + PH_PADDR),
        .filesz = ld_le64(p + PH_FILESZ),
        .memsz = ld_le64(p + PH_MEMSZ),
    };
    return ld_le32(p + PH_TYPE) == PT_LOAD && s->memsz > 0;
}

static int elf_check_segments(struct elf_file *f)
{
    const struct loader_job *j = f->job;
    f->lowest = UINT64_MAX;
    for (unsigned i = 0; i < f->phnum; i++) {
        struct elf_segment s;
        if (!elf_segment(f, i, &s))
            continue;
        if (s.offset > f->size || s.filesz > f->size - s.offset)
            return loader_fail(j, -ENOEXEC, "the file is truncated; get it again");
        if (s.filesz > s.memsz || s.paddr + s.memsz < s.paddr || s.vaddr + s.memsz < s.vaddr)
            return loader_fail(j, -ENOEXEC,
                               "ELF segment %u has impossible sizes; get the file "
                               "again",
                               i);
        if (s.paddr < f->lowest) {
            f->lowest = s.paddr;
            f->first = s;
        }
        if (s.paddr + s.memsz > f->highest)
            f->highest = s.paddr + s.memsz;
    }
    if (f->lowest >= f->highest)
        return loader_fail(j, -ENOEXEC,
                           "this ELF file has nothing to load; give the linked "
                           "kernel");
    if (f->lowest >= FIRST_VIRTUAL)
        f->movable = true;
    return 0;
}

/* e_entry is a virtual address; some files give a physical one. */
static int elf_find_entry(const struct elf_file *f, uint64_t *paddr)
{
    for (int physical = 0; physical < 2; physical++) {
        for (unsigned i = 0; i < f->phnum; i++) {
            struct elf_segment s;
            if (!elf_segment(f, i, &s))
                continue;
            uint64_t offset = f->entry - (physical ? s.paddr : s.vaddr);
            if (offset < s.memsz) {
                *paddr = s.paddr + offset;
                return 0;
            }
        }
    }
    return loader_fail(f->job, -ENOEXEC,
                       "the entry point 0x%llx is in no segment; relink the "
                       "kernel",
                       (unsigned long long)f->entry);
}

/* The memory from the lowest address on that the kernel will use: BSS, and for Linux what its Image
 * header claims. */
static int elf_span(const struct elf_file *f, uint64_t *span, bool *is_linux)
{
    struct loader_image_header h;
    *span = f->highest - f->lowest;
    *is_linux = loader_image_header(f->bytes + f->first.offset, f->first.filesz, &h);
    if (!*is_linux)
        return 0;
    if (h.big_endian)
        return loader_fail(f->job, -ENOEXEC,
                           "this is a big-endian kernel; give one built without "
                           "CONFIG_CPU_BIG_ENDIAN");
    if (h.image_size > *span)
        *span = h.image_size;
    return 0;
}

static int elf_copy(const struct elf_file *f, uint64_t move)
{
    for (unsigned i = 0; i < f->phnum; i++) {
        struct elf_segment s;
        if (!elf_segment(f, i, &s))
            continue;
        gpa_t at = s.paddr + move;
        if (gmem_write(f->job->m, at, f->bytes + s.offset, s.filesz) < 0 ||
            gmem_fill(f->job->m, at + s.filesz, 0, s.memsz - s.filesz) < 0)
            return loader_fail(f->job, -EFAULT,
                               "there is no RAM at 0x%llx; give more with "
                               "--memory",
                               (unsigned long long)at);
    }
    return 0;
}

int loader_load_elf(const struct loader_job *j, const uint8_t *bytes, uint64_t size,
                    struct loader_image *out)
{
    struct elf_file f = { .job = j, .bytes = bytes, .size = size };
    uint64_t entry = 0, span = 0;
    bool is_linux = false;
    int rc = elf_check_header(&f);
    if (rc == 0)
        rc = elf_check_segments(&f);
    if (rc == 0)
        rc = elf_find_entry(&f, &entry);
    if (rc == 0)
        rc = elf_span(&f, &span, &is_linux);
    if (rc < 0)
        return rc;

    gpa_t base = f.lowest;
    bool inside = base >= j->ram_base && base - j->ram_base <= j->ram_size &&
                  span <= j->ram_size - (base - j->ram_base);
    if (!inside && !f.movable)
        return loader_fail(j, -E2BIG,
                           "it is linked for 0x%llx, where there is no room in RAM; "
                           "link it for 0x%llx or give more --memory",
                           (unsigned long long)base,
                           (unsigned long long)(j->ram_base + LOADER_KERNEL_OFFSET));
    if (!inside)
        rc = loader_choose_base(j, f.lowest % LOADER_KERNEL_ALIGN, span, &base);
    if (rc == 0)
        rc = elf_copy(&f, base - f.lowest);
    if (rc < 0)
        return rc;
    *out = (struct loader_image){
        .entry = entry - f.lowest + base, .base = base, .end = base + span, .is_linux = is_linux
    };
    return 0;
}
