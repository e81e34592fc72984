/*
 * qcow2: the dirty bit, and refcounts anew.
 *
 * The bit says that the refcounts may differ from the tables, because a process died. All tables
 * are walked and references are counted. Where counts are only too high, as our own order of writes
 * leaves them (qcow2.h), they are lowered in place: clusters that leaked are free again. Otherwise
 * (lazy refcounts of another program) a refcount table with all its blocks is written behind the
 * end of the file; then one write of the header switches to it. What was wrong before is not looked
 * at, so it cannot do harm.
 *
 * We keep refcounts exact, also where lazy ones are allowed; the bit is set before the first change
 * of the tables, for the next one who opens the image, and cleared when it is closed. Version 2 has
 * no such bit: there leaks stay until `qemu-img check -r leaks`.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "host/qcow2.h"

/* Memory for the counts, in clusters: 256 MiB. */
#define COUNTS_MOST (64u << 20)
/* L2 tables in all L1 tables together: more than 2 PiB have with the usual clusters. */
#define TABLES_MOST (4u << 20)
#define L1_MOST     (4u << 20)

struct count {
    struct qcow2 *q;
    uint32_t *counts; /* of each cluster of the file */
    uint64_t clusters;
    uint64_t *table; /* an L2 table, as in the file */
    uint32_t tables; /* walked so far */
};

static int count_range(struct count *k, uint64_t first, uint64_t n)
{
    if (first > k->clusters || n > k->clusters - first)
        return -EIO;
    for (uint64_t i = 0; i < n; i++)
        k->counts[first + i]++;
    return 0;
}

static int count_bytes(struct count *k, uint64_t offset, uint64_t bytes)
{
    const struct qcow2 *q = k->q;
    if (offset % q->cluster_size || bytes > (uint64_t)k->clusters << q->cluster_bits)
        return -EIO;
    return count_range(k, offset >> q->cluster_bits,
                       (bytes + q->cluster_size - 1) >> q->cluster_bits);
}

static int count_entry(struct count *k, uint64_t entry)
{
    struct qcow2 *q = k->q;
    enum qcow2_kind kind;
    int rc = qcow2_kind_of(q, entry, &kind);
    if (rc == 0 && kind == QCOW2_COMPRESSED) {
        uint64_t n, first = qcow2_packed_clusters(q, entry, &n);
        rc = count_range(k, first, n);
    } else if (rc == 0 && (entry & QCOW2_OFFSET)) {
        rc = count_range(k, (entry & QCOW2_OFFSET) >> q->cluster_bits, 1);
    }
    return rc;
}

static int count_l2(struct count *k, uint64_t offset)
{
    struct qcow2 *q = k->q;
    if (++k->tables > TABLES_MOST)
        return -EFBIG;
    int rc = count_bytes(k, offset, q->cluster_size);
    if (rc == 0)
        rc = file_read(&q->file, offset, k->table, q->cluster_size);
    for (uint64_t i = 0; rc == 0 && i < q->cluster_size / 8; i++)
        rc = count_entry(k, ld_be64(&k->table[i]));
    return rc;
}

/* An L1 table in the file and everything below. */
static int count_l1(struct count *k, uint64_t offset, uint32_t entries)
{
    if (entries > L1_MOST)
        return -EFBIG;
    int rc = count_bytes(k, offset, (uint64_t)entries * 8);
    uint8_t *l1 = rc == 0 ? malloc((size_t)entries * 8 + 1) : NULL;
    if (rc == 0 && !l1)
        rc = -ENOMEM;
    if (rc == 0)
        rc = file_read(&k->q->file, offset, l1, (size_t)entries * 8);
    for (uint32_t i = 0; rc == 0 && i < entries; i++) {
        uint64_t at = ld_be64(l1 + (size_t)i * 8) & QCOW2_OFFSET;
        if (at)
            rc = count_l2(k, at);
    }
    free(l1);
    return rc;
}

/* The snapshot table is a list of entries of any length, each aligned to 8 bytes. */
static int count_snapshots(struct count *k)
{
    struct qcow2 *q = k->q;
    uint64_t at = q->snapshots_offset;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < q->snapshots; i++) {
        uint8_t s[40];
        rc = file_read(&q->file, at, s, sizeof s);
        if (rc == 0)
            rc = count_l1(k, ld_be64(s), ld_be32(s + 8));
        at += sizeof s + ld_be32(s + 36) + ld_be16(s + 12) + ld_be16(s + 14);
        at = (at + 7) & ~7ull;
    }
    if (rc == 0 && q->snapshots)
        rc = count_bytes(k, q->snapshots_offset, at - q->snapshots_offset);
    return rc;
}

static int count_all(struct count *k)
{
    struct qcow2 *q = k->q;
    int rc = count_range(k, 0, 1);
    if (rc == 0)
        rc = count_l1(k, q->l1_offset, q->l1_size);
    return rc == 0 ? count_snapshots(k) : rc;
}

/* ------------------------------------------------------------------ the new table */

/* Write the blocks, and fill in the table. Its `tables` clusters and the blocks follow the end. */
static int write_blocks(struct count *k, uint64_t *refs, uint64_t tables, uint64_t blocks,
                        uint8_t *cluster)
{
    struct qcow2 *q = k->q;
    uint64_t per_block = qcow2_refs_per_block(q), all = k->clusters + tables + blocks;
    uint64_t most = q->refs_order == 6 ? UINT64_MAX : (1ull << (1u << q->refs_order)) - 1;
    int rc = 0;
    for (uint64_t b = 0; rc == 0 && b < blocks; b++) {
        memset(cluster, 0, q->cluster_size);
        for (uint64_t i = 0; i < per_block && b * per_block + i < all; i++) {
            uint64_t n = b * per_block + i;
            uint64_t count = n < k->clusters ? k->counts[n] : 1;
            if (count > most)
                return -EIO;
            qcow2_ref_store(q, cluster, i, count);
        }
        refs[b] = (k->clusters + tables + b) << q->cluster_bits;
        rc = file_write(&q->file, refs[b], cluster, q->cluster_size);
    }
    return rc;
}

static int write_table(struct qcow2 *q, const uint64_t *refs, uint64_t offset, uint64_t entries,
                       uint8_t *cluster)
{
    int rc = 0;
    for (uint64_t i = 0; rc == 0 && i < entries; i += q->cluster_size / 8) {
        for (uint64_t n = 0; n < q->cluster_size / 8; n++)
            st_be64(cluster + n * 8, refs[i + n]);
        rc = file_write(&q->file, offset + i * 8, cluster, q->cluster_size);
    }
    return rc;
}

/* ------------------------------------------------------------------ counts that are too high */

/* Count the refcount table and its blocks, or with -1 take that back. */
static void count_refs(struct count *k, uint32_t by)
{
    const struct qcow2 *q = k->q;
    uint64_t table = (uint64_t)q->refs_size * 8 >> q->cluster_bits;
    for (uint64_t i = 0; i < table; i++)
        k->counts[(q->refs_offset >> q->cluster_bits) + i] += by;
    for (uint32_t i = 0; i < q->refs_size; i++)
        if (q->refs[i])
            k->counts[q->refs[i] >> q->cluster_bits] += by;
}

/* Are the table and its blocks in the file? */
static bool refs_are_there(const struct count *k)
{
    const struct qcow2 *q = k->q;
    uint64_t table = (uint64_t)q->refs_size * 8 >> q->cluster_bits;
    if (table > k->clusters || q->refs_offset >> q->cluster_bits > k->clusters - table)
        return false;
    for (uint32_t i = 0; i < q->refs_size; i++)
        if (q->refs[i] % q->cluster_size || q->refs[i] >> q->cluster_bits >= k->clusters)
            return false;
    return true;
}

/* They are, and were counted: does nothing else use their clusters? */
static bool refs_are_alone(const struct count *k)
{
    const struct qcow2 *q = k->q;
    uint64_t table = (uint64_t)q->refs_size * 8 >> q->cluster_bits;
    for (uint64_t i = 0; i < table; i++)
        if (k->counts[(q->refs_offset >> q->cluster_bits) + i] != 1)
            return false;
    for (uint32_t i = 0; i < q->refs_size; i++)
        if (q->refs[i] && k->counts[q->refs[i] >> q->cluster_bits] != 1)
            return false;
    return true;
}

/* Compare the counts of block `b`, or lower those that are too high. 1: one is too low. */
static int lower_block(struct count *k, uint64_t b, bool write)
{
    struct qcow2 *q = k->q;
    uint64_t per_block = qcow2_refs_per_block(q), first = b * per_block;
    uint8_t *block = (uint8_t *)k->table;
    bool changed = false;
    if (q->refs[b] == 0)
        memset(block, 0, q->cluster_size);
    else if (file_read(&q->file, q->refs[b], block, q->cluster_size) < 0)
        return -EIO;
    for (uint64_t i = 0; i < per_block; i++) {
        uint64_t is = qcow2_ref_load(q, block, i);
        uint64_t want = first + i < k->clusters ? k->counts[first + i] : 0;
        if (is < want)
            return 1;
        if (is > want) {
            qcow2_ref_store(q, block, i, want);
            changed = true;
        }
    }
    return write && changed ? file_write(&q->file, q->refs[b], block, q->cluster_size) : 0;
}

/* Free what leaked. 1: that does not suffice; nothing was changed. */
static int lower(struct count *k)
{
    struct qcow2 *q = k->q;
    if (!refs_are_there(k) || k->clusters > q->refs_size * qcow2_refs_per_block(q))
        return 1;
    count_refs(k, 1);
    int rc = refs_are_alone(k) ? 0 : 1;
    for (unsigned write = 0; write < 2; write++)
        for (uint64_t b = 0; rc == 0 && b < q->refs_size; b++)
            rc = lower_block(k, b, write);
    if (rc == 1)
        count_refs(k, -1u);
    return rc;
}

/* ------------------------------------------------------------------ the dirty bit */

int qcow2_mark(struct qcow2 *q, bool dirty)
{
    uint8_t features[8];
    if (q->version < 3 || !(q->incompatible & QCOW2_DIRTY_BIT) == !dirty)
        return 0;
    uint64_t now = q->incompatible ^ QCOW2_DIRTY_BIT;
    st_be64(features, now);
    int rc = file_sync(&q->file);
    if (rc == 0)
        rc = qcow2_write_header(q, QCOW2_HEADER_INCOMPATIBLE, features, sizeof features);
    if (rc == 0)
        rc = file_sync(&q->file);
    if (rc == 0)
        q->incompatible = now;
    return rc;
}

/* The new table counts and is the only one from here on. */
static int switch_table(struct qcow2 *q, uint64_t *refs, uint64_t offset, uint64_t tables)
{
    uint8_t header[12];
    int rc = file_sync(&q->file);
    st_be64(header, offset);
    st_be32(header + 8, (uint32_t)tables);
    if (rc == 0)
        rc = qcow2_write_header(q, QCOW2_HEADER_REFS_OFFSET, header, sizeof header);
    if (rc == 0)
        rc = file_sync(&q->file);
    if (rc < 0)
        return rc;
    free(q->refs);
    q->refs = refs;
    q->refs_size = (uint32_t)(tables * q->cluster_size / 8);
    q->refs_offset = offset;
    return 0;
}

static int rebuild(struct count *k)
{
    struct qcow2 *q = k->q;
    uint64_t per_block = qcow2_refs_per_block(q), per_table = q->cluster_size / 8;
    uint64_t tables = 1, blocks = 1, all;
    for (;;) {
        all = k->clusters + tables + blocks;
        if (blocks * per_block >= all && tables * per_table >= blocks)
            break;
        blocks = (all + per_block - 1) / per_block;
        tables = (blocks + per_table - 1) / per_table;
    }
    if (q->file.device || tables * per_table > UINT32_MAX)
        return -ENOSPC;
    uint64_t *refs = calloc(tables * per_table, sizeof *refs);
    uint8_t *cluster = malloc(q->cluster_size);
    uint64_t offset = k->clusters << q->cluster_bits;
    int rc = refs && cluster ? write_blocks(k, refs, tables, blocks, cluster) : -ENOMEM;
    if (rc == 0)
        rc = write_table(q, refs, offset, tables * per_table, cluster);
    free(cluster);
    if (rc == 0)
        rc = switch_table(q, refs, offset, tables);
    if (q->refs != refs)
        free(refs);
    if (rc == 0)
        q->end = all << q->cluster_bits;
    return rc;
}

int qcow2_repair(struct qcow2 *q, const struct disk_options *o, struct err *e)
{
    struct count k = { .q = q, .clusters = q->end >> q->cluster_bits };
    int rc = -EFBIG;
    if (k.clusters <= COUNTS_MOST) {
        k.counts = calloc(k.clusters, sizeof *k.counts);
        k.table = malloc(q->cluster_size);
        rc = k.counts && k.table ? count_all(&k) : -ENOMEM;
    }
    if (rc == 0)
        rc = lower(&k);
    if (rc == 1)
        rc = rebuild(&k);
    if (rc == 0)
        rc = qcow2_mark(q, false);
    free(k.counts);
    free(k.table);
    if (rc < 0)
        return err_set(e, rc,
                       "--disk '%s': it was not closed properly and cannot be repaired here (%s); "
                       "repair it: qemu-img check -r all '%s'",
                       o->path, rc == -EIO ? "its tables are corrupt" : strerror(-rc), o->path);
    log_info("disk", "'%s' was not closed properly; its refcounts were checked", o->path);
    return 0;
}
