/*
 * qcow2: reference counts, and the allocation of clusters.
 *
 * A two-level table has a count for each cluster of the file. Clusters are taken first-fit; when
 * the count says free but the cluster is one of the tables, the image is corrupt and is not written
 * to any more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "host/qcow2.h"

/* Counts looked at for one allocation; then it is at the end of the file. A bound, because the
 * counts are the file's. */
#define SCAN_MOST (1u << 20)
/* Entries of the refcount table: 8 MiB. */
#define REFS_MOST (1u << 20)

uint64_t qcow2_refs_per_block(const struct qcow2 *q)
{
    return q->cluster_size * 8 >> q->refs_order;
}

uint64_t qcow2_ref_load(const struct qcow2 *q, const uint8_t *block, uint64_t index)
{
    unsigned width = 1u << q->refs_order;
    switch (q->refs_order) {
    case 3:
        return block[index];
    case 4:
        return ld_be16(block + index * 2);
    case 5:
        return ld_be32(block + index * 4);
    case 6:
        return ld_be64(block + index * 8);
    default: /* less than a byte: from the lowest bits up */
        return block[index * width / 8] >> index * width % 8 & ((1u << width) - 1);
    }
}

void qcow2_ref_store(const struct qcow2 *q, uint8_t *block, uint64_t index, uint64_t value)
{
    unsigned width = 1u << q->refs_order;
    switch (q->refs_order) {
    case 3:
        block[index] = (uint8_t)value;
        break;
    case 4:
        st_be16(block + index * 2, (uint16_t)value);
        break;
    case 5:
        st_be32(block + index * 4, (uint32_t)value);
        break;
    case 6:
        st_be64(block + index * 8, value);
        break;
    default: {
        uint8_t *byte = block + index * width / 8;
        unsigned shift = index * width % 8, mask = (1u << width) - 1;
        *byte = (uint8_t)((*byte & ~(mask << shift)) | (value & mask) << shift);
        break;
    }
    }
}

/* The counts are wrong: every further change could destroy something. Mark the image, too. */
static int refs_corrupt(struct qcow2 *q, const char *what)
{
    uint8_t features[8];
    q->failed = qcow2_corrupt(q, what);
    if (q->version >= 3) {
        q->incompatible |= QCOW2_CORRUPT_BIT;
        st_be64(features, q->incompatible);
        (void)!qcow2_write_header(q, QCOW2_HEADER_INCOMPATIBLE, features, sizeof features);
    }
    return q->failed;
}

/* The block of `cluster`, or NULL if there is none: then all its counts are 0. */
static int refs_block(struct qcow2 *q, uint64_t cluster, struct qcow2_table **out)
{
    uint64_t index = cluster / qcow2_refs_per_block(q);
    *out = NULL;
    if (index >= q->refs_size || q->refs[index] == 0)
        return 0;
    uint64_t offset = q->refs[index];
    if (offset % q->cluster_size || offset >= q->end)
        return refs_corrupt(q, "a refcount block is not in the file");
    return qcow2_table_get(q, offset, true, out);
}

int qcow2_unref(struct qcow2 *q, uint64_t cluster, bool *free)
{
    struct qcow2_table *t;
    uint64_t index = cluster % qcow2_refs_per_block(q);
    int rc = refs_block(q, cluster, &t);
    if (rc < 0)
        return rc;
    uint64_t count = t ? qcow2_ref_load(q, t->data, index) : 0;
    if (count == 0)
        return refs_corrupt(q, "a cluster in use has a refcount of 0");
    qcow2_ref_store(q, t->data, index, count - 1);
    qcow2_table_changed(q, t);
    *free = count == 1;
    if (*free && cluster < q->hint)
        q->hint = cluster;
    return 0;
}

/* ------------------------------------------------------------------ allocation */

static bool in_table(const struct qcow2 *q, uint64_t cluster, uint64_t offset, uint64_t bytes)
{
    uint64_t at = cluster << q->cluster_bits;
    return at + q->cluster_size > offset && at < offset + bytes;
}

/* Is the cluster one of the image's own? Then its count of 0 is wrong. */
static bool refs_is_table(const struct qcow2 *q, uint64_t cluster)
{
    uint64_t at = cluster << q->cluster_bits;
    if (cluster == 0 || in_table(q, cluster, q->l1_offset, (uint64_t)q->l1_size * 8) ||
        in_table(q, cluster, q->refs_offset, (uint64_t)q->refs_size * 8) ||
        (q->snapshots && in_table(q, cluster, q->snapshots_offset, 1)))
        return true;
    for (uint32_t i = 0; i < q->refs_size; i++)
        if (q->refs[i] == at)
            return true;
    for (uint32_t i = 0; i < q->l1_size; i++)
        if ((q->l1[i] & QCOW2_OFFSET) == at)
            return true;
    return false;
}

/* The file ends here at the earliest. */
static int refs_extend(struct qcow2 *q, uint64_t end_cluster)
{
    uint64_t end = end_cluster << q->cluster_bits;
    if (end <= q->end)
        return 0;
    if (q->file.device || end > QCOW2_OFFSET)
        return -ENOSPC;
    q->end = end;
    return 0;
}

/* Make the block for `index`, in the first of the clusters that it counts. */
static int refs_make_block(struct qcow2 *q, uint64_t index)
{
    uint64_t cluster = index * qcow2_refs_per_block(q);
    struct qcow2_table *t;
    if (refs_is_table(q, cluster))
        return refs_corrupt(q, "a table has no refcount");
    int rc = refs_extend(q, cluster + 1);
    if (rc == 0)
        rc = qcow2_table_new(q, cluster << q->cluster_bits, true, &t);
    if (rc < 0)
        return rc;
    qcow2_ref_store(q, t->data, 0, 1);
    q->refs[index] = cluster << q->cluster_bits;
    qcow2_span_add(&q->refs_dirty, (uint32_t)index);
    return 0;
}

/* A new area at the end of the file: the larger table, then the blocks that count the area. */
struct refs_area {
    uint64_t first;  /* cluster */
    uint64_t tables; /* clusters of the table */
    uint64_t blocks;
    uint32_t size; /* entries of the table */
};

static int refs_plan(const struct qcow2 *q, struct refs_area *a)
{
    uint64_t per_block = qcow2_refs_per_block(q), entries = q->cluster_size / 8;
    uint64_t counted = q->refs_size * per_block, end = q->end >> q->cluster_bits;
    uint64_t size = 2 * (uint64_t)q->refs_size;
    a->first = counted > end ? counted : end;
    a->first = (a->first + per_block - 1) / per_block * per_block; /* of a block of its own */
    for (;; size *= 2) {
        a->tables = (size + entries - 1) / entries;
        a->blocks = (a->tables + per_block - 2) / (per_block - 1);
        size = a->tables * entries;
        if (size > REFS_MOST)
            return -EFBIG;
        if ((a->first + a->tables + a->blocks + per_block - 1) / per_block <= size)
            break;
    }
    a->size = (uint32_t)size;
    return 0;
}

static int refs_write_area(struct qcow2 *q, const struct refs_area *a, uint64_t *refs,
                           uint8_t *cluster)
{
    uint64_t per_block = qcow2_refs_per_block(q), left = a->tables + a->blocks;
    int rc = 0;
    for (uint64_t b = 0; rc == 0 && b < a->blocks; b++) {
        uint64_t offset = (a->first + a->tables + b) << q->cluster_bits;
        memset(cluster, 0, q->cluster_size);
        for (uint64_t i = 0; i < per_block && left > 0; i++, left--)
            qcow2_ref_store(q, cluster, i, 1);
        rc = file_write(&q->file, offset, cluster, q->cluster_size);
        refs[a->first / per_block + b] = offset;
    }
    for (uint64_t t = 0; rc == 0 && t < a->tables; t++) {
        for (uint64_t i = 0; i < q->cluster_size / 8; i++)
            st_be64(cluster + i * 8, refs[t * (q->cluster_size / 8) + i]);
        rc = file_write(&q->file, (a->first + t) << q->cluster_bits, cluster, q->cluster_size);
    }
    return rc;
}

/* Make the refcount table larger. Everything that it refers to has to be on disk. */
static int refs_grow(struct qcow2 *q)
{
    struct refs_area a = { 0 };
    uint8_t header[12];
    int rc = qcow2_sync(q);
    if (rc == 0)
        rc = qcow2_mark(q, true);
    if (rc == 0)
        rc = refs_plan(q, &a);
    if (rc == 0)
        rc = refs_extend(q, a.first + a.tables + a.blocks);
    if (rc < 0)
        return rc;
    uint64_t *refs = calloc(a.size, sizeof *refs);
    uint8_t *cluster = malloc(q->cluster_size);
    rc = refs && cluster ? 0 : -ENOMEM;
    if (rc == 0) {
        memcpy(refs, q->refs, q->refs_size * sizeof *refs);
        rc = refs_write_area(q, &a, refs, cluster);
    }
    free(cluster);
    if (rc == 0)
        rc = file_sync(&q->file);
    if (rc == 0) {
        st_be64(header, a.first << q->cluster_bits);
        st_be32(header + 8, (uint32_t)a.tables);
        rc = qcow2_write_header(q, QCOW2_HEADER_REFS_OFFSET, header, sizeof header);
    }
    if (rc == 0) {
        rc = file_sync(&q->file);
        q->failed = rc;
    }
    if (rc < 0) {
        free(refs);
        return rc;
    }
    for (uint64_t i = 0; i < (uint64_t)q->refs_size * 8 / q->cluster_size; i++)
        qcow2_drop(q, (q->refs_offset >> q->cluster_bits) + i);
    free(q->refs);
    q->refs = refs;
    q->refs_size = a.size;
    q->refs_offset = a.first << q->cluster_bits;
    return -EAGAIN;
}

/* Is `cluster` free? Makes the block that counts it if need be. */
static int refs_is_free(struct qcow2 *q, uint64_t cluster, struct qcow2_table **t, bool *free)
{
    uint64_t index = cluster / qcow2_refs_per_block(q);
    if (index >= q->refs_size)
        return refs_grow(q);
    int rc = refs_block(q, cluster, t);
    if (rc == 0 && !*t) {
        rc = refs_make_block(q, index);
        if (rc == 0)
            rc = refs_block(q, cluster, t);
    }
    if (rc < 0)
        return rc;
    *free = qcow2_ref_load(q, (*t)->data, cluster % qcow2_refs_per_block(q)) == 0;
    return 0;
}

/* The first free cluster. */
static int refs_find(struct qcow2 *q, uint64_t *found)
{
    uint64_t end = q->end >> q->cluster_bits;
    bool free = false;
    struct qcow2_table *t;
    for (unsigned i = 0; i < SCAN_MOST; i++) {
        int rc = refs_is_free(q, q->hint, &t, &free);
        if (rc < 0)
            return rc;
        if (free) {
            *found = q->hint;
            return 0;
        }
        q->hint++;
        if (i == SCAN_MOST / 2 && q->hint < end && !q->file.device)
            q->hint = end;
    }
    return q->file.device ? -EAGAIN : refs_corrupt(q, "clusters behind its end are in use");
}

int qcow2_alloc(struct qcow2 *q, uint64_t most, uint64_t *cluster, uint64_t *count, bool *fresh)
{
    uint64_t first = 0, n = 0, old_end = q->end >> q->cluster_bits;
    int rc = refs_find(q, &first);
    while (rc == 0 && n < most) {
        bool free = false;
        struct qcow2_table *t;
        rc = refs_is_free(q, first + n, &t, &free);
        if (rc < 0 || !free)
            break;
        if (refs_is_table(q, first + n)) {
            rc = refs_corrupt(q, "a table has a refcount of 0");
            break;
        }
        rc = refs_extend(q, first + n + 1);
        if (rc < 0)
            break;
        qcow2_ref_store(q, t->data, (first + n) % qcow2_refs_per_block(q), 1);
        qcow2_table_changed(q, t);
        n++;
    }
    if (n == 0)
        return rc < 0 ? rc : -EAGAIN;
    *cluster = first;
    *count = n;
    *fresh = first >= old_end && !q->file.device;
    q->hint = first + n;
    return 0;
}
