/*
 * qcow2: compressed clusters, which are read and never written.
 *
 * The last one unpacked is kept, because guests read a cluster in pieces. Its entry is its name for
 * good: no new compressed cluster comes to be while the image is open.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "host/qcow2.h"

static int unpack_zlib(const uint8_t *from, size_t length, uint8_t *to, size_t size)
{
    z_stream z = {
        .next_in = (uint8_t *)(uintptr_t)from,
        .avail_in = (uInt)length,
        .next_out = to,
        .avail_out = (uInt)size,
    };
    if (inflateInit2(&z, -MAX_WBITS) != Z_OK) /* deflate without a header */
        return -ENOMEM;
    int end = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    /* What follows in the last sector is not ours. */
    return (end == Z_STREAM_END || end == Z_BUF_ERROR) && z.avail_out == 0 ? 0 : -EIO;
}

static int unpack_zstd(const uint8_t *from, size_t length, uint8_t *to, size_t size)
{
    ZSTD_inBuffer in = { from, length, 0 };
    ZSTD_outBuffer out = { to, size, 0 };
    ZSTD_DStream *z = ZSTD_createDStream();
    if (!z)
        return -ENOMEM;
    while (out.pos < out.size) {
        size_t before_in = in.pos, before_out = out.pos;
        size_t rc = ZSTD_decompressStream(z, &out, &in);
        if (ZSTD_isError(rc) || (in.pos == before_in && out.pos == before_out))
            break;
    }
    ZSTD_freeDStream(z);
    return out.pos == out.size ? 0 : -EIO;
}

static int unpack_cluster(struct qcow2 *q, uint64_t entry, uint8_t *to)
{
    uint64_t length, offset = qcow2_packed_bytes(q, entry, &length);
    if (offset >= q->end || length > 2 * q->cluster_size)
        return qcow2_corrupt(q, "a compressed cluster is not in the file");
    uint8_t *from = malloc(length);
    if (!from)
        return -ENOMEM;
    int rc = file_read(&q->file, offset, from, length);
    if (rc == 0) {
        rc = (q->zstd ? unpack_zstd : unpack_zlib)(from, length, to, q->cluster_size);
        if (rc == -EIO)
            qcow2_corrupt(q, "a compressed cluster cannot be unpacked");
    }
    free(from);
    return rc;
}

int qcow2_unpack(struct qcow2 *q, uint64_t entry, uint64_t skip, uint64_t length, struct cursor *c)
{
    lock_acquire(&q->lock);
    bool there = q->unpacked && q->unpacked_entry == entry;
    if (there)
        cursor_put(c, q->unpacked + skip, length);
    lock_release(&q->lock);
    if (there)
        return 0;
    uint8_t *cluster = malloc(q->cluster_size);
    if (!cluster)
        return -ENOMEM;
    int rc = unpack_cluster(q, entry, cluster);
    if (rc < 0) {
        free(cluster);
        return rc;
    }
    cursor_put(c, cluster + skip, length);
    lock_acquire(&q->lock);
    uint8_t *old = q->unpacked;
    q->unpacked = cluster;
    q->unpacked_entry = entry;
    lock_release(&q->lock);
    free(old);
    return 0;
}
