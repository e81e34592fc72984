/*
 * Raw images: byte n of the disk is byte n of the file.
 *
 * An image is never probed for a format: what a guest wrote to its first sector must not change
 * what we do with the file. So a file that begins as a qcow2 image does is neither taken for one
 * nor given to the guest as it is, unless the user says which.
 */
#include "host/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/disk_os.h"
#include "host/file.h"

#define SECTOR 512

struct raw {
    struct image image; /* first */
    struct file file;
};

static struct raw *raw_of(struct image *image)
{
    return CONTAINER_OF(image, struct raw, image);
}

static int raw_read(struct image *image, uint64_t offset, uint64_t length, struct cursor *c)
{
    int64_t done = file_readv(&raw_of(image)->file, offset, length, c);
    if (done < 0)
        return (int)done;
    return (uint64_t)done == length ? 0 : -EIO; /* someone cut the file */
}

static int raw_write(struct image *image, uint64_t offset, uint64_t length, struct cursor *c)
{
    return file_writev(&raw_of(image)->file, offset, length, c);
}

static int raw_zero(struct image *image, uint64_t offset, uint64_t length)
{
    return file_zero(&raw_of(image)->file, offset, length);
}

static int raw_discard(struct image *image, uint64_t offset, uint64_t length)
{
    return disk_os_discard(raw_of(image)->file.fd, offset, length);
}

static int raw_flush(struct image *image)
{
    return file_sync(&raw_of(image)->file);
}

static int raw_read_now(struct image *image, uint64_t offset, uint64_t length, struct cursor *c)
{
    const struct file *f = &raw_of(image)->file;
    struct iovec v[CURSOR_BATCH];
    int n = cursor_batch(c, v, ARRAY_LEN(v), length);
    return f->direct ? -EAGAIN : disk_os_read_now(f->fd, v, n, offset, length);
}

static int raw_write_now(struct image *image, uint64_t offset, uint64_t length, struct cursor *c)
{
    struct file *f = &raw_of(image)->file;
    return f->direct ? -EAGAIN : file_writev(f, offset, length, c);
}

static void raw_close(struct image *image)
{
    struct raw *r = raw_of(image);
    file_close(&r->file);
    free(r);
}

static const struct image_ops raw_ops = {
    .read = raw_read,
    .write = raw_write,
    .zero = raw_zero,
    .discard = raw_discard,
    .flush = raw_flush,
    .read_now = raw_read_now,
    .write_now = raw_write_now,
    .close = raw_close,
};

static int raw_check(struct file *f, const struct disk_options *o, struct err *e)
{
    static const uint8_t qcow2_magic[4] = { 'Q', 'F', 'I', 0xfb };
    uint8_t magic[sizeof qcow2_magic];
    if (f->size == 0)
        return err_set(e, -EINVAL, "--disk '%s': it is empty; give it a size: truncate -s 4G '%s'",
                       o->path, o->path);
    uint64_t unit = f->direct ? FILE_ALIGN : SECTOR;
    if (f->size % unit)
        return err_set(e, -EINVAL,
                       "--disk '%s': its size of %llu bytes is not a multiple of %llu%s; pad it: "
                       "truncate -s %%%llu '%s'",
                       o->path, (unsigned long long)f->size, (unsigned long long)unit,
                       f->direct ? ", as cache=none needs it" : "", (unsigned long long)unit,
                       o->path);
    if (o->format == DISK_FORMAT_RAW)
        return 0;
    int rc = file_read(f, 0, magic, sizeof magic);
    if (rc < 0)
        return err_set(e, rc, "--disk '%s': cannot read it (%s)", o->path, strerror(-rc));
    if (memcmp(magic, qcow2_magic, sizeof magic) == 0)
        return err_set(e, -EINVAL,
                       "--disk '%s': it begins like a qcow2 image; add ',format=qcow2', or "
                       "',format=raw' to give the guest the file as it is",
                       o->path);
    return 0;
}

int image_raw_open(const struct disk_options *o, struct image **out, struct err *e)
{
    struct raw *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(e, -ENOMEM, "--disk '%s': no memory", o->path);
    int rc = file_open(&r->file, o, e);
    if (rc == 0)
        rc = raw_check(&r->file, o, e);
    if (rc < 0) {
        file_close(&r->file);
        free(r);
        return rc;
    }
    r->image = (struct image){
        .ops = &raw_ops,
        .size = r->file.size,
        .read_only = o->read_only,
    };
    *out = &r->image;
    return 0;
}
