/* What the loader's files share: one kernel being loaded, and one function per format. */
#ifndef VMM_LOADER_FORMATS_H
#define VMM_LOADER_FORMATS_H

#include "vmm/loader.h"

struct stat;

/* Kernels start this far into RAM, or further when their own rules say so. */
#define LOADER_KERNEL_OFFSET 0x80000
/* The alignment that arm64 Linux wants its base, less text_offset, to have. */
#define LOADER_KERNEL_ALIGN (2u << 20)

struct loader_job {
    const struct gmem *m;
    gpa_t ram_base;
    uint64_t ram_size;
    const char *path;
    struct err *e;
};

/* The sentence "--kernel 'PATH': ..." and `code`. */
int loader_fail(const struct loader_job *j, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* A file or pipe for reading: a descriptor, or a negative errno and the sentence. */
int loader_open(const char *path, const char *option, struct stat *st, struct err *e) MUST_CHECK;
void loader_close_fd(const int *fd);
/* loader_read_file(), from a descriptor. */
int loader_read_all(int fd, const struct stat *st, const char *path, const char *option,
                    uint64_t limit, struct loader_blob *out, struct err *e) MUST_CHECK;

/* Read `size` bytes of a file from `offset` on into guest memory. Negative errno: -EFAULT where
 * there is none, -ENODATA when the file has become shorter. */
int loader_read_guest(const struct gmem *m, gpa_t gpa, int fd, uint64_t offset,
                      uint64_t size) MUST_CHECK;

/* The lowest good base for a kernel that wants to lie `text_offset` behind a 2 MiB boundary, and
 * whether [base, base + size) is inside RAM: 0 or -E2BIG with a sentence. */
int loader_choose_base(const struct loader_job *j, uint64_t text_offset, uint64_t size,
                       gpa_t *base) MUST_CHECK;

/* arm64 Image. The fields of its header: */
struct loader_image_header {
    uint64_t text_offset;
    uint64_t image_size; /* bytes in memory, never less than the file's size */
    bool big_endian;
};

/* Is there an Image header at `bytes`? Fills `*h` when so. */
bool loader_image_header(const uint8_t *bytes, uint64_t size, struct loader_image_header *h);
int loader_load_image(const struct loader_job *j, const uint8_t *bytes, uint64_t size,
                      struct loader_image *out) MUST_CHECK;
/* The same of a file of `size` bytes, the first `have` of which are at `head` (at least its
 * header). Only the pages that the kernel comes to lie on are touched. */
int loader_read_image(const struct loader_job *j, int fd, const uint8_t *head, uint64_t have,
                      uint64_t size, struct loader_image *out) MUST_CHECK;
/* ELF64 for AArch64. */
int loader_load_elf(const struct loader_job *j, const uint8_t *bytes, uint64_t size,
                    struct loader_image *out) MUST_CHECK;

/* The compressed kernel inside an EFI zboot program. */
bool loader_is_zboot(const uint8_t *bytes, uint64_t size);
int loader_zboot_payload(const struct loader_job *j, const uint8_t *bytes, uint64_t size,
                         const uint8_t **payload, uint64_t *payload_size) MUST_CHECK;

/* Does a PE program's section table reach beyond its file, or itself beyond the first `have` bytes
 * of it? */
bool loader_pe_truncated(const uint8_t *bytes, uint64_t have, uint64_t size);
/* The PE Machine field, or 0 when this is no PE program. */
unsigned loader_pe_machine(const uint8_t *bytes, uint64_t size);

/* Decompressors. The result is at most RAM's size. */
int loader_gunzip(const struct loader_job *j, const uint8_t *bytes, uint64_t size,
                  struct loader_blob *out) MUST_CHECK;
int loader_unzstd(const struct loader_job *j, const uint8_t *bytes, uint64_t size,
                  struct loader_blob *out) MUST_CHECK;

#endif
