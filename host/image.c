/* From the options of a disk to the image, or stack of images, behind it. */
#include "host/image.h"

#include <errno.h>

int image_open(const struct disk_options *options, struct image **out, struct err *e)
{
    struct disk_options lower = *options;
    struct image *image;
    if (options->overlay)
        lower.read_only = true;
    int rc = options->format == DISK_FORMAT_QCOW2 ? image_qcow2_open(&lower, &image, e)
                                                  : image_raw_open(&lower, &image, e);
    if (rc < 0 || !options->overlay) {
        *out = rc < 0 ? NULL : image;
        return rc;
    }
    return image_overlay_open(image, options, out, e);
}
