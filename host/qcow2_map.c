/*
 * qcow2: from offsets of the guest to clusters of the file, and the change of that.
 *
 * L1 has an entry for each L2 table, an L2 table one for each cluster. An entry without
 * QCOW2_COPIED is shared with a snapshot: its table or cluster is replaced by a copy, not changed.
 */
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "host/qcow2.h"

static uint64_t entries_per_table(const struct qcow2 *q)
{
    return q->cluster_size / 8;
}

static uint64_t l1_index(const struct qcow2 *q, uint64_t offset)
{
    return offset / (q->cluster_size * entries_per_table(q));
}

static uint64_t l2_index(const struct qcow2 *q, uint64_t offset)
{
    return offset / q->cluster_size % entries_per_table(q);
}

int qcow2_kind_of(const struct qcow2 *q, uint64_t entry, enum qcow2_kind *kind)
{
    uint64_t host = entry & QCOW2_OFFSET;
    if (entry & QCOW2_PACKED) {
        *kind = QCOW2_COMPRESSED;
        return 0;
    }
    if (host % q->cluster_size || host >= q->end || ((entry & QCOW2_ZERO) && q->version < 3))
        return -EIO;
    *kind = entry & QCOW2_ZERO ? QCOW2_ZEROES : host ? QCOW2_DATA : QCOW2_HOLE;
    return 0;
}

/* A compressed entry has the offset in its low bits and above it how many more sectors of 512 bytes
 * the data reaches into. */
static unsigned packed_shift(const struct qcow2 *q)
{
    return 62 - (q->cluster_bits - 8);
}

uint64_t qcow2_packed_bytes(const struct qcow2 *q, uint64_t entry, uint64_t *length)
{
    uint64_t offset = entry & ((1ull << packed_shift(q)) - 1);
    uint64_t more = (entry & (QCOW2_PACKED - 1)) >> packed_shift(q);
    *length = (more + 1) * 512 - offset % 512;
    return offset;
}

uint64_t qcow2_packed_clusters(const struct qcow2 *q, uint64_t entry, uint64_t *count)
{
    uint64_t length, offset = qcow2_packed_bytes(q, entry, &length);
    uint64_t first = offset >> q->cluster_bits;
    *count = ((offset + length - 1) >> q->cluster_bits) - first + 1;
    return first;
}

/* ------------------------------------------------------------------ lookup */

/* The L2 table for `offset`, or NULL if there is none. */
static int l2_table(struct qcow2 *q, uint64_t offset, struct qcow2_table **t)
{
    uint64_t at = q->l1[l1_index(q, offset)] & QCOW2_OFFSET;
    *t = NULL;
    if (at == 0)
        return 0;
    if (at % q->cluster_size || at >= q->end)
        return qcow2_corrupt(q, "an L2 table is not in the file");
    return qcow2_table_get(q, at, false, t);
}

bool qcow2_map_there(struct qcow2 *q, uint64_t offset)
{
    uint64_t at = q->l1[l1_index(q, offset)] & QCOW2_OFFSET;
    return at == 0 || qcow2_table_there(q, at);
}

/* Does the entry go on where `count` clusters from `first` on end? */
static bool is_next(const struct qcow2 *q, uint64_t first, uint64_t entry, uint64_t count,
                    enum qcow2_kind kind)
{
    enum qcow2_kind own;
    if (kind == QCOW2_COMPRESSED || qcow2_kind_of(q, entry, &own) < 0 || own != kind)
        return false;
    return kind != QCOW2_DATA || entry == first + count * q->cluster_size;
}

int qcow2_map(struct qcow2 *q, uint64_t offset, uint64_t length, struct qcow2_map *map)
{
    uint64_t within = offset % q->cluster_size, index = l2_index(q, offset), count = 1;
    struct qcow2_table *t;
    int rc = l2_table(q, offset, &t);
    if (rc < 0)
        return rc;
    uint64_t most = entries_per_table(q) - index;
    uint64_t wanted = (within + length + q->cluster_size - 1) / q->cluster_size;
    if (wanted < most)
        most = wanted;
    *map = (struct qcow2_map){ .kind = QCOW2_HOLE };
    if (!t) {
        count = most;
    } else {
        uint64_t entry = ld_be64(t->data + index * 8);
        if (qcow2_kind_of(q, entry, &map->kind) < 0)
            return qcow2_corrupt(q, "a cluster is not in the file");
        map->entry = entry;
        map->host = (entry & QCOW2_OFFSET) + within;
        map->writable = (entry & QCOW2_COPIED) && (q->l1[l1_index(q, offset)] & QCOW2_COPIED);
        while (count < most &&
               is_next(q, entry, ld_be64(t->data + (index + count) * 8), count, map->kind))
            count++;
    }
    map->length = count * q->cluster_size - within;
    if (map->length > length)
        map->length = length;
    return 0;
}

/* ------------------------------------------------------------------ changes */

int qcow2_map_own(struct qcow2 *q, uint64_t offset)
{
    uint64_t index = l1_index(q, offset), cluster, count;
    struct qcow2_table *old, *t;
    bool fresh;
    if (q->l1[index] & QCOW2_COPIED)
        return l2_table(q, offset, &t);
    int rc = qcow2_alloc(q, 1, &cluster, &count, &fresh);
    if (rc == 0)
        rc = l2_table(q, offset, &old);
    if (rc == 0)
        rc = qcow2_table_new(q, cluster << q->cluster_bits, false, &t);
    if (rc < 0)
        return rc;
    if (old) {
        memcpy(t->data, old->data, q->cluster_size);
        qcow2_drop(q, (q->l1[index] & QCOW2_OFFSET) >> q->cluster_bits);
    }
    q->l1[index] = (cluster << q->cluster_bits) | QCOW2_COPIED;
    qcow2_span_add(&q->l1_dirty, (uint32_t)index);
    return 0;
}

/* What the entry referred to has one user less. */
static void entry_drop(struct qcow2 *q, uint64_t entry)
{
    if (entry & QCOW2_PACKED) {
        uint64_t count, first = qcow2_packed_clusters(q, entry, &count);
        for (uint64_t i = 0; i < count; i++)
            qcow2_drop(q, first + i);
    } else if (entry & QCOW2_OFFSET) {
        qcow2_drop(q, (entry & QCOW2_OFFSET) >> q->cluster_bits);
    }
}

int qcow2_map_set(struct qcow2 *q, uint64_t offset, uint64_t count, uint64_t entry)
{
    struct qcow2_table *t;
    uint64_t index = l2_index(q, offset);
    int rc = l2_table(q, offset, &t);
    if (rc < 0)
        return rc;
    if (!t)
        return -EIO;
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *p = t->data + (index + i) * 8;
        entry_drop(q, ld_be64(p));
        st_be64(p, entry & QCOW2_OFFSET ? entry + i * q->cluster_size : entry);
    }
    qcow2_table_changed(q, t);
    return 0;
}
