/*
 * An overlay: what is written goes to a temporary file, and everything else is read from the image
 * below, which is only read.
 *
 * A bit for each sector says where it is. So there is nothing to copy when part of a block is
 * written, and nothing to lock: a write first fills the file and then sets its bits. Memory of the
 * bitmap that no one touched costs nothing. The file has no name; the host frees it with the
 * process, however that ends.
 */
#include "host/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/file.h"

#define SECTOR 512u
#define WORD   64u

struct overlay {
    struct image image; /* first */
    struct image *base;
    struct file file;
    _Atomic uint64_t *written; /* a bit for each sector */
};

static struct overlay *overlay_of(struct image *image)
{
    return CONTAINER_OF(image, struct overlay, image);
}

static bool overlay_has(const struct overlay *o, uint64_t sector)
{
    return atomic_load_explicit(&o->written[sector / WORD], memory_order_acquire) >>
               (sector % WORD) &
           1;
}

static void overlay_mark(struct overlay *o, uint64_t offset, uint64_t length)
{
    uint64_t sector = offset / SECTOR, end = (offset + length) / SECTOR;
    while (sector < end) {
        uint64_t n = WORD - sector % WORD;
        if (n > end - sector)
            n = end - sector;
        uint64_t bits = (n == WORD ? ~0ull : (1ull << n) - 1) << (sector % WORD);
        atomic_fetch_or_explicit(&o->written[sector / WORD], bits, memory_order_release);
        sector += n;
    }
}

static int overlay_read(struct image *image, uint64_t offset, uint64_t length, struct cursor *c)
{
    struct overlay *o = overlay_of(image);
    uint64_t end = offset + length;
    while (offset < end) {
        bool ours = overlay_has(o, offset / SECTOR);
        uint64_t n = SECTOR;
        while (offset + n < end && overlay_has(o, (offset + n) / SECTOR) == ours)
            n += SECTOR;
        int rc = 0;
        if (ours) {
            int64_t done = file_readv(&o->file, offset, n, c);
            rc = done < 0 ? (int)done : (uint64_t)done == n ? 0 : -EIO;
        } else {
            rc = o->base->ops->read(o->base, offset, n, c);
        }
        if (rc < 0)
            return rc;
        offset += n;
    }
    return 0;
}

static int overlay_write(struct image *image, uint64_t offset, uint64_t length, struct cursor *c)
{
    struct overlay *o = overlay_of(image);
    int rc = file_writev(&o->file, offset, length, c);
    if (rc == 0)
        overlay_mark(o, offset, length);
    return rc;
}

static int overlay_zero(struct image *image, uint64_t offset, uint64_t length)
{
    struct overlay *o = overlay_of(image);
    int rc = file_zero(&o->file, offset, length);
    if (rc == 0)
        overlay_mark(o, offset, length);
    return rc;
}

/* Nothing here outlives the process. */
static int overlay_flush(struct image *image)
{
    (void)image;
    return 0;
}

static void overlay_close(struct image *image)
{
    struct overlay *o = overlay_of(image);
    o->base->ops->close(o->base);
    file_close(&o->file);
    free((void *)(uintptr_t)o->written);
    free(o);
}

static const struct image_ops overlay_ops = {
    .read = overlay_read,
    .write = overlay_write,
    .zero = overlay_zero,
    .discard = overlay_zero,
    .flush = overlay_flush,
    .close = overlay_close,
};

/* A file without a name, of the base's size. */
static int overlay_make_file(struct overlay *o, const struct disk_options *options, struct err *e)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    if (!folder || !folder[0])
        folder = "/var/tmp"; /* on a disk, where /tmp may be memory */
    int n = snprintf(path, sizeof path, "%s/ireko-overlay-XXXXXX", folder);
    int code = ENAMETOOLONG;
    if (n > 0 && (size_t)n < sizeof path) {
        o->file.fd = mkostemp(path, O_CLOEXEC);
        code = errno;
    }
    if (o->file.fd < 0)
        return err_set(e, -code,
                       "--disk '%s': cannot make a temporary file in %s (%s); set TMPDIR to a "
                       "folder that has room",
                       options->path, folder, strerror(code));
    pthread_rwlock_init(&o->file.blocks, NULL);
    unlink(path);
    if (ftruncate(o->file.fd, (off_t)o->base->size) < 0) {
        code = errno;
        return err_set(e, -code,
                       "--disk '%s': %s cannot have a file of its size (%s); set TMPDIR to another "
                       "folder",
                       options->path, folder, strerror(code));
    }
    return 0;
}

int image_overlay_open(struct image *base, const struct disk_options *options, struct image **out,
                       struct err *e)
{
    struct overlay *o = calloc(1, sizeof *o);
    int rc = -ENOMEM;
    uint64_t words = (base->size / SECTOR + WORD - 1) / WORD;
    if (o) {
        o->file.fd = -1;
        o->base = base;
        o->written = calloc(words, sizeof o->written[0]);
    }
    if (!o || !o->written)
        err_set(e, rc, "--disk '%s': no memory for an overlay of its size", options->path);
    else
        rc = overlay_make_file(o, options, e);
    if (rc < 0) {
        if (o) {
            file_close(&o->file);
            free((void *)(uintptr_t)o->written);
        }
        free(o);
        base->ops->close(base);
        return rc;
    }
    o->image = (struct image){ .ops = &overlay_ops, .size = base->size };
    *out = &o->image;
    return 0;
}
