/*
 * Kernels, initrds and device trees: from files to guest memory.
 *
 * Everything here runs before the first vCPU does (and again after a guest reset). A byte is read
 * once; what is checked and used is the copy, so nobody can change it under us. All sizes and
 * addresses are bytes. On failure one sentence in `e` that names the option and the path.
 */
#ifndef VMM_LOADER_H
#define VMM_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/gmem.h"

/* The most a device tree blob may take (Linux, Documentation/arch/arm64/booting.rst). */
#define LOADER_DTB_MAX (2u << 20)

/* A kernel in guest memory. */
struct loader_image {
    gpa_t entry;     /* where the first vCPU starts, with the device tree's address in x0 */
    gpa_t base, end; /* [base, end) belongs to it, BSS and early page tables included */
    bool is_linux;   /* it carries the arm64 Linux Image header */
};

/* Load the kernel at `path` into the RAM [ram_base, ram_base + ram_size). The format is told by its
 * magic: arm64 Image (plain or EFI), gzip or zstd of one, EFI zboot, ELF64. */
int loader_load_kernel(const struct gmem *m, gpa_t ram_base, uint64_t ram_size, const char *path,
                       struct loader_image *out, struct err *e) MUST_CHECK;

/* A whole file in memory, read once. */
struct loader_blob {
    uint8_t *bytes;
    uint64_t size;
};

/* Read the file that `option` ("--initrd") names; pipes will do. An empty file or one of more than
 * `limit` bytes is an error. Free with loader_blob_free(). */
int loader_read_file(const char *path, const char *option, uint64_t limit, struct loader_blob *out,
                     struct err *e) MUST_CHECK;
void loader_blob_free(struct loader_blob *b);

/* A file for guest memory, whose place depends on its size. A pipe has been read, a file is read
 * when it is loaded. */
struct loader_file {
    const char *path, *option;
    uint64_t size;
    int fd; /* or -1 */
    struct loader_blob read;
};

/* Arguments and errors as of loader_read_file(); loader_close_file() is due in either case. */
int loader_open_file(const char *path, const char *option, uint64_t limit, struct loader_file *out,
                     struct err *e) MUST_CHECK;
int loader_load_file(const struct loader_file *f, const struct gmem *m, gpa_t gpa,
                     struct err *e) MUST_CHECK;
void loader_close_file(struct loader_file *f);

/* Where the rest goes. */
struct loader_places {
    gpa_t dtb;    /* 2 MiB aligned; `dtb_size` bytes are free there */
    gpa_t initrd; /* 4 KiB aligned; 0 when initrd_size is 0 */
};

/* Choose addresses for the device tree and the initrd next to `kernel`: the device tree at 64 MiB
 * into RAM or, when the kernel reaches further or RAM is small, right behind the kernel; the initrd
 * behind the device tree. Pure. Reserve LOADER_DTB_MAX for a tree whose size is not known yet. */
int loader_place(const struct loader_image *kernel, gpa_t ram_base, uint64_t ram_size,
                 uint64_t dtb_size, uint64_t initrd_size, struct loader_places *out,
                 struct err *e) MUST_CHECK;

#endif
