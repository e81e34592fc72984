/*
 * What a disk is made of: a raw file, a qcow2 file, an overlay on another image. `struct disk`
 * (disk.h) puts worker threads in front of one.
 *
 * Ranges lie within `size`; a cursor has at least `length` bytes and is used up to there. Calls
 * come from any number of threads at once; what overlapping ones do to each other is the guest's
 * business, as long as the image stays whole. 0 or negative errno.
 */
#ifndef HOST_IMAGE_H
#define HOST_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "host/cursor.h"
#include "host/disk.h"

struct image;

struct image_ops {
    int (*read)(struct image *image, uint64_t offset, uint64_t length, struct cursor *c);
    int (*write)(struct image *image, uint64_t offset, uint64_t length, struct cursor *c);
    /* The range reads as zeroes afterwards; gives its storage back if that is possible. */
    int (*zero)(struct image *image, uint64_t offset, uint64_t length);
    /* Give the storage back; what the range reads as is open. */
    int (*discard)(struct image *image, uint64_t offset, uint64_t length);
    /* All writes that were complete when this was called are on stable storage. */
    int (*flush)(struct image *image);
    /* read() of all of it without waiting for the host's storage, or -EAGAIN. NULL: never. */
    int (*read_now)(struct image *image, uint64_t offset, uint64_t length, struct cursor *c);
    /* write() of all of it, if it is a copy into the host's page cache, or -EAGAIN. It waits only
     * as long as that has no room. NULL: never. */
    int (*write_now)(struct image *image, uint64_t offset, uint64_t length, struct cursor *c);
    /* Writes out what is left and frees the image. */
    void (*close)(struct image *image);
};

struct image {
    const struct image_ops *ops;
    uint64_t size; /* bytes, a multiple of 512 */
    bool read_only;
};

/* Open what the options say, overlay included. One sentence that names `--disk PATH`. */
int image_open(const struct disk_options *options, struct image **out, struct err *e) MUST_CHECK;

/* The kinds of image. An overlay takes the image below over, also when it fails. */
int image_raw_open(const struct disk_options *options, struct image **out,
                   struct err *e) MUST_CHECK;
int image_qcow2_open(const struct disk_options *options, struct image **out,
                     struct err *e) MUST_CHECK;
int image_overlay_open(struct image *base, const struct disk_options *options, struct image **out,
                       struct err *e) MUST_CHECK;

#endif
