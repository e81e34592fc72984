/*
 * qcow2: requests.
 *
 * A request goes through its range in runs of clusters that are mapped alike. Data is moved without
 * the lock; the clusters it is about are in q->busy meanwhile, so that none is freed, and perhaps
 * used for a table, under a transfer. A write to clusters that cannot be written in place takes new
 * ones, fills them up with the old contents around the data, and then changes the mapping.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "host/disk_os.h"
#include "host/qcow2.h"

/* Old contents copied at a time. */
#define CHUNK (64u << 10)

/* ------------------------------------------------------------------ ranges of clusters */

static struct qcow2_range range_of(const struct qcow2 *q, uint64_t offset, uint64_t length,
                                   bool alone)
{
    return (struct qcow2_range){
        .first = offset >> q->cluster_bits,
        .last = (offset + length - 1) >> q->cluster_bits,
        .alone = alone,
    };
}

static bool range_is_free(const struct qcow2 *q, const struct qcow2_range *r)
{
    for (const struct qcow2_range *b = q->busy; b; b = b->next)
        if (b->first <= r->last && r->first <= b->last && (b->alone || r->alone))
            return false;
    return true;
}

static void range_enter(struct qcow2 *q, struct qcow2_range *r)
{
    r->next = q->busy;
    q->busy = r;
}

static void range_leave(struct qcow2 *q, struct qcow2_range *r)
{
    struct qcow2_range **p = &q->busy;
    while (*p != r)
        p = &(*p)->next;
    *p = r->next;
    pthread_cond_broadcast(&q->changed);
}

static void qcow2_wait(struct qcow2 *q)
{
    lock_wait(&q->lock, &q->changed, UINT64_MAX);
}

/* Returns once `r`, which is alone, may be entered and tables may change: 1, or 0 if the lock was
 * released, or negative errno. */
static int range_may_change(struct qcow2 *q, const struct qcow2_range *r)
{
    if (q->failed < 0)
        return q->failed;
    if (q->syncing || !range_is_free(q, r)) {
        qcow2_wait(q);
        return 0;
    }
    if (qcow2_is_full(q)) {
        int rc = qcow2_sync(q);
        return rc < 0 ? rc : 0;
    }
    return 1;
}

/* ------------------------------------------------------------------ reading */

static int read_hole(struct qcow2 *q, uint64_t offset, uint64_t length, struct cursor *c)
{
    uint64_t there = 0;
    if (q->backing && offset < q->backing->size)
        there = length < q->backing->size - offset ? length : q->backing->size - offset;
    if (there > 0) {
        int rc = q->backing->ops->read(q->backing, offset, there, c);
        if (rc < 0)
            return rc;
    }
    cursor_zero(c, length - there);
    return 0;
}

static int read_data(struct qcow2 *q, uint64_t host, uint64_t length, struct cursor *c)
{
    int64_t done = file_readv(&q->file, host, length, c);
    if (done < 0)
        return (int)done;
    cursor_zero(c, length - (uint64_t)done); /* the end of the file is a hole, too */
    return 0;
}

/* Read what nobody changes: the range is in q->busy. */
static int read_runs(struct qcow2 *q, uint64_t offset, uint64_t length, struct cursor *c)
{
    while (length > 0) {
        struct qcow2_map map;
        lock_acquire(&q->lock);
        int rc = qcow2_map(q, offset, length, &map);
        lock_release(&q->lock);
        if (rc == 0 && map.kind == QCOW2_HOLE)
            rc = read_hole(q, offset, map.length, c);
        else if (rc == 0 && map.kind == QCOW2_DATA)
            rc = read_data(q, map.host, map.length, c);
        else if (rc == 0 && map.kind == QCOW2_COMPRESSED)
            rc = qcow2_unpack(q, map.entry, offset % q->cluster_size, map.length, c);
        else if (rc == 0)
            cursor_zero(c, map.length);
        if (rc < 0)
            return rc;
        offset += map.length;
        length -= map.length;
    }
    return 0;
}

static int qcow2_read(struct image *image, uint64_t offset, uint64_t length, struct cursor *c)
{
    struct qcow2 *q = qcow2_of(image);
    if (length == 0)
        return 0;
    struct qcow2_range r = range_of(q, offset, length, false);
    lock_acquire(&q->lock);
    while (!range_is_free(q, &r))
        qcow2_wait(q);
    range_enter(q, &r);
    lock_release(&q->lock);
    int rc = read_runs(q, offset, length, c);
    lock_acquire(&q->lock);
    range_leave(q, &r);
    lock_release(&q->lock);
    return rc;
}

/* ------------------------------------------------------------------ writing */

/* Does all of the range read as zeroes, as far as the tables tell? The lock is held. */
static int reads_zero(struct qcow2 *q, uint64_t offset, uint64_t length, bool *zero)
{
    for (*zero = true; *zero && length > 0;) {
        struct qcow2_map map;
        int rc = qcow2_map(q, offset, length, &map);
        if (rc < 0)
            return rc;
        *zero = map.kind == QCOW2_ZEROES ||
                (map.kind == QCOW2_HOLE && (!q->backing || offset >= q->backing->size));
        offset += map.length;
        length -= map.length;
    }
    return 0;
}

/* Put the old contents of a range, less than a cluster, to `host`. */
static int copy_old(struct qcow2 *q, uint64_t offset, uint64_t length, uint64_t host, bool fresh)
{
    bool zero;
    if (length == 0)
        return 0;
    lock_acquire(&q->lock);
    int rc = reads_zero(q, offset, length, &zero);
    lock_release(&q->lock);
    if (rc < 0)
        return rc;
    if (zero)
        return fresh ? 0 : file_zero(&q->file, host, length);
    uint8_t *buffer = malloc(length < CHUNK ? length : CHUNK);
    if (!buffer)
        return -ENOMEM;
    while (rc == 0 && length > 0) {
        uint64_t now = length < CHUNK ? length : CHUNK;
        const struct iovec v = { buffer, now };
        rc = read_runs(q, offset, now, &(struct cursor){ .iov = &v, .count = 1 });
        if (rc == 0)
            rc = file_write(&q->file, host, buffer, now);
        offset += now;
        host += now;
        length -= now;
    }
    free(buffer);
    return rc;
}

/* Fill new clusters, the first of which is at `host`: the data, and the old contents around it. */
static int fill_new(struct qcow2 *q, uint64_t offset, uint64_t length, struct cursor *c,
                    uint64_t host, bool fresh)
{
    uint64_t before = offset % q->cluster_size, end = offset + length;
    uint64_t after = (q->cluster_size - end % q->cluster_size) % q->cluster_size;
    if (after > q->image.size - end)
        after = q->image.size - end;
    int rc = copy_old(q, offset - before, before, host, fresh);
    if (rc == 0)
        rc = copy_old(q, end, after, host + before + length, fresh);
    if (rc == 0)
        rc = file_writev(&q->file, host + before, length, c);
    return rc;
}

/* Write to clusters that are ours. The lock is held on entry and exit, not meanwhile. */
static int write_in_place(struct qcow2 *q, uint64_t offset, const struct qcow2_map *map,
                          struct cursor *c)
{
    struct qcow2_range r = range_of(q, offset, map->length, false);
    range_enter(q, &r);
    lock_release(&q->lock);
    int rc = file_writev(&q->file, map->host, map->length, c);
    lock_acquire(&q->lock);
    range_leave(q, &r);
    return rc;
}

/* Write the beginning of the range to new clusters; *done bytes. The same with the lock. */
static int write_new(struct qcow2 *q, uint64_t offset, uint64_t length, struct cursor *c,
                     uint64_t *done)
{
    struct qcow2_range r = range_of(q, offset, length, true);
    uint64_t cluster, count;
    bool fresh;
    int rc = range_may_change(q, &r);
    if (rc <= 0)
        return rc < 0 ? rc : -EAGAIN;
    rc = qcow2_map_own(q, offset);
    if (rc == 0)
        rc = qcow2_alloc(q, r.last - r.first + 1, &cluster, &count, &fresh);
    if (rc < 0)
        return rc;
    r.last = r.first + count - 1;
    uint64_t host = cluster << q->cluster_bits;
    uint64_t most = count * q->cluster_size - offset % q->cluster_size;
    if (length > most)
        length = most;
    range_enter(q, &r);
    lock_release(&q->lock);
    rc = fill_new(q, offset, length, c, host, fresh);
    lock_acquire(&q->lock);
    while (q->syncing)
        qcow2_wait(q);
    if (rc == 0)
        rc = qcow2_map_set(q, offset, count, host | QCOW2_COPIED);
    if (rc < 0)
        for (uint64_t i = 0; i < count; i++)
            qcow2_drop(q, cluster + i);
    range_leave(q, &r);
    *done = length;
    return rc;
}

/* Write the beginning of the range; *done bytes. -EAGAIN: nothing was done, look again. */
static int write_run(struct qcow2 *q, uint64_t offset, uint64_t length, struct cursor *c,
                     uint64_t *done)
{
    struct qcow2_map map;
    int rc = qcow2_map(q, offset, length, &map);
    if (rc < 0)
        return rc;
    if (q->failed < 0)
        return q->failed;
    if (map.kind != QCOW2_DATA || !map.writable)
        return write_new(q, offset, map.length, c, done);
    struct qcow2_range r = range_of(q, offset, map.length, false);
    if (!range_is_free(q, &r)) {
        qcow2_wait(q);
        return -EAGAIN;
    }
    *done = map.length;
    return write_in_place(q, offset, &map, c);
}

static int qcow2_write(struct image *image, uint64_t offset, uint64_t length, struct cursor *c)
{
    struct qcow2 *q = qcow2_of(image);
    int rc = 0;
    lock_acquire(&q->lock);
    while (rc == 0 && length > 0) {
        uint64_t done = 0;
        rc = write_run(q, offset, length, c, &done);
        if (rc == -EAGAIN)
            rc = 0;
        offset += done;
        length -= done;
    }
    lock_release(&q->lock);
    return rc;
}

/* ------------------------------------------------------------------ what needs no waiting */

/* Is the range one run of clusters, whose place is known, and that nobody has for himself? The lock
 * is held. */
static bool map_now(struct qcow2 *q, uint64_t offset, uint64_t length, struct qcow2_map *map)
{
    if (length == 0 || q->failed < 0 || !qcow2_map_there(q, offset))
        return false;
    struct qcow2_range r = range_of(q, offset, length, false);
    return range_is_free(q, &r) && qcow2_map(q, offset, length, map) == 0 && map->length == length;
}

static int qcow2_read_now(struct image *image, uint64_t offset, uint64_t length, struct cursor *c)
{
    struct qcow2 *q = qcow2_of(image);
    struct qcow2_map map;
    struct iovec v[CURSOR_BATCH];
    int rc = -EAGAIN;
    if (q->file.direct || !lock_try(&q->lock))
        return -EAGAIN;
    bool known = map_now(q, offset, length, &map);
    if (known && map.kind == QCOW2_DATA) {
        int n = cursor_batch(c, v, CURSOR_BATCH, length);
        rc = disk_os_read_now(q->file.fd, v, n, map.host, length);
    } else if (known && (map.kind == QCOW2_ZEROES || (map.kind == QCOW2_HOLE && !q->backing))) {
        cursor_zero(c, length);
        rc = 0;
    }
    lock_release(&q->lock);
    return rc;
}

static int qcow2_write_now(struct image *image, uint64_t offset, uint64_t length, struct cursor *c)
{
    struct qcow2 *q = qcow2_of(image);
    struct qcow2_map map;
    int rc = -EAGAIN;
    if (q->file.direct || !lock_try(&q->lock))
        return -EAGAIN;
    if (map_now(q, offset, length, &map) && map.kind == QCOW2_DATA && map.writable)
        rc = write_in_place(q, offset, &map, c);
    lock_release(&q->lock);
    return rc;
}

/* ------------------------------------------------------------------ zeroes and discards */

static int write_zero_bytes(struct qcow2 *q, uint64_t offset, uint64_t length)
{
    static uint8_t zeroes[CHUNK] __attribute__((aligned(FILE_ALIGN)));
    bool zero;
    lock_acquire(&q->lock);
    int rc = reads_zero(q, offset, length, &zero);
    lock_release(&q->lock);
    while (rc == 0 && !zero && length > 0) {
        uint64_t now = length < CHUNK ? length : CHUNK;
        const struct iovec v = { zeroes, now };
        rc = qcow2_write(&q->image, offset, now, &(struct cursor){ .iov = &v, .count = 1 });
        offset += now;
        length -= now;
    }
    return rc;
}

/* Change whole clusters from `offset` on, as many as are mapped alike, to `entry`, which has no
 * data. -EAGAIN as above. The lock is held. */
static int clear_run(struct qcow2 *q, uint64_t offset, uint64_t length, uint64_t entry,
                     uint64_t *done)
{
    struct qcow2_map map;
    int rc = qcow2_map(q, offset, length, &map);
    if (rc < 0)
        return rc;
    if ((map.kind == QCOW2_HOLE && entry == 0) || (map.kind == QCOW2_ZEROES && entry)) {
        *done = map.length;
        return 0;
    }
    struct qcow2_range r = range_of(q, offset, map.length, true);
    rc = range_may_change(q, &r);
    if (rc <= 0)
        return rc < 0 ? rc : -EAGAIN;
    rc = qcow2_map_own(q, offset);
    if (rc == 0)
        rc = qcow2_map_set(q, offset, map.length >> q->cluster_bits, entry);
    *done = map.length;
    return rc;
}

/* Change the whole clusters in a range. */
static int clear_clusters(struct qcow2 *q, uint64_t offset, uint64_t end, uint64_t entry)
{
    int rc = 0;
    lock_acquire(&q->lock);
    while (rc == 0 && offset < end) {
        uint64_t done = 0;
        rc = clear_run(q, offset, end - offset, entry, &done);
        if (rc == -EAGAIN)
            rc = 0;
        else
            offset += done;
    }
    lock_release(&q->lock);
    return rc;
}

/* The whole clusters of a range. The last cluster of an image may be cut. */
static void whole_clusters(const struct qcow2 *q, uint64_t offset, uint64_t length, uint64_t *first,
                           uint64_t *end)
{
    *first = (offset + q->cluster_size - 1) & ~(q->cluster_size - 1);
    *end = (offset + length) & ~(q->cluster_size - 1);
    if (*end < *first)
        *end = *first = offset;
}

/* Version 2 has no entry for zeroes, but holes are as good where nothing is below. */
static bool can_clear(const struct qcow2 *q, uint64_t *entry)
{
    *entry = q->backing ? QCOW2_ZERO : 0;
    return !q->backing || q->version >= 3;
}

static int qcow2_zero(struct image *image, uint64_t offset, uint64_t length)
{
    struct qcow2 *q = qcow2_of(image);
    uint64_t first, end, entry;
    whole_clusters(q, offset, length, &first, &end);
    if (!can_clear(q, &entry))
        end = first = offset;
    int rc = first > offset ? write_zero_bytes(q, offset, first - offset) : 0;
    if (rc == 0)
        rc = clear_clusters(q, first, end, entry);
    if (rc == 0 && end < offset + length)
        rc = write_zero_bytes(q, end, offset + length - end);
    return rc;
}

static int qcow2_discard(struct image *image, uint64_t offset, uint64_t length)
{
    struct qcow2 *q = qcow2_of(image);
    uint64_t first, end, entry;
    whole_clusters(q, offset, length, &first, &end);
    return can_clear(q, &entry) ? clear_clusters(q, first, end, entry) : -EOPNOTSUPP;
}

/* ------------------------------------------------------------------ flush and close */

static int qcow2_flush(struct image *image)
{
    struct qcow2 *q = qcow2_of(image);
    lock_acquire(&q->lock);
    while (q->syncing)
        qcow2_wait(q);
    bool dirty = qcow2_is_dirty(q);
    int rc = dirty || q->failed < 0 ? qcow2_sync(q) : 0;
    lock_release(&q->lock);
    return dirty || rc < 0 ? rc : file_sync(&q->file);
}

/* Dropped clusters become free in one sync and their counts go to disk with the next. */
static int qcow2_finish(struct qcow2 *q)
{
    int rc = 0;
    lock_acquire(&q->lock);
    while (rc == 0 && qcow2_is_dirty(q))
        rc = qcow2_sync(q);
    if (rc == 0 && q->failed == 0 && !q->image.read_only)
        rc = qcow2_mark(q, false);
    lock_release(&q->lock);
    return rc;
}

static void qcow2_close(struct image *image)
{
    struct qcow2 *q = qcow2_of(image);
    int rc = qcow2_finish(q);
    if (rc < 0)
        log_error("disk", "the tables of a qcow2 image could not be written (%s)", strerror(-rc));
    if (q->backing)
        q->backing->ops->close(q->backing);
    for (unsigned i = 0; i < QCOW2_TABLES; i++)
        free(q->table[i].data);
    free(q->l1);
    free(q->refs);
    free(q->dropped);
    free(q->unpacked);
    pthread_cond_destroy(&q->changed);
    lock_fini(&q->lock);
    file_close(&q->file);
    free(q);
}

const struct image_ops qcow2_ops = {
    .read = qcow2_read,
    .write = qcow2_write,
    .zero = qcow2_zero,
    .discard = qcow2_discard,
    .flush = qcow2_flush,
    .read_now = qcow2_read_now,
    .write_now = qcow2_write_now,
    .close = qcow2_close,
};
