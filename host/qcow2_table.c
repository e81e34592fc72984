/*
 * qcow2: tables in memory, and their way to disk.
 *
 * L2 tables and refcount blocks are kept as they are in the file, the least recently used one goes
 * first, changed ones stay. qcow2_sync() writes those in the order that qcow2.h tells.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "host/disk_os.h"
#include "host/qcow2.h"

/* Dropped clusters that wait for a flush. */
#define DROPPED_MOST (64u << 10)

/* ------------------------------------------------------------------ the tables */

static struct qcow2_table *table_find(struct qcow2 *q, uint64_t offset)
{
    for (unsigned i = 0; i < QCOW2_TABLES; i++)
        if (q->table[i].offset == offset)
            return &q->table[i];
    return NULL;
}

bool qcow2_table_there(struct qcow2 *q, uint64_t offset)
{
    return table_find(q, offset) != NULL;
}

/* A slot whose table is not needed. */
static struct qcow2_table *table_slot(struct qcow2 *q)
{
    struct qcow2_table *oldest = NULL;
    for (unsigned i = 0; i < QCOW2_TABLES; i++) {
        struct qcow2_table *t = &q->table[i];
        if (!t->dirty && (!oldest || t->used < oldest->used))
            oldest = t;
    }
    if (!oldest)
        return NULL;
    oldest->offset = 0;
    if (!oldest->data &&
        posix_memalign((void **)&oldest->data, FILE_ALIGN,
                       q->cluster_size < FILE_ALIGN ? FILE_ALIGN : q->cluster_size) != 0) {
        oldest->data = NULL;
        return NULL;
    }
    return oldest;
}

int qcow2_table_get(struct qcow2 *q, uint64_t offset, bool refs, struct qcow2_table **out)
{
    struct qcow2_table *t = table_find(q, offset);
    if (!t) {
        t = table_slot(q);
        if (!t)
            return -ENOMEM;
        int rc = file_read(&q->file, offset, t->data, q->cluster_size);
        if (rc < 0)
            return rc;
        t->offset = offset;
        t->refs = refs;
    }
    t->used = ++q->uses;
    *out = t;
    return 0;
}

int qcow2_table_new(struct qcow2 *q, uint64_t offset, bool refs, struct qcow2_table **out)
{
    struct qcow2_table *t = table_find(q, offset); /* of what the cluster was before */
    if (!t)
        t = table_slot(q);
    if (!t)
        return -ENOMEM;
    memset(t->data, 0, q->cluster_size);
    t->offset = offset;
    t->refs = refs;
    t->used = ++q->uses;
    qcow2_table_changed(q, t);
    *out = t;
    return 0;
}

void qcow2_table_changed(struct qcow2 *q, struct qcow2_table *t)
{
    q->dirty += !t->dirty;
    t->dirty = true;
}

void qcow2_span_add(struct qcow2_span *span, uint32_t index)
{
    if (span->first == span->end)
        *span = (struct qcow2_span){ index, index + 1 };
    else if (index < span->first)
        span->first = index;
    else if (index >= span->end)
        span->end = index + 1;
}

/* Without memory for the list the cluster stays counted, which costs nothing but its place. */
void qcow2_drop(struct qcow2 *q, uint64_t cluster)
{
    if (q->dropped_count == q->dropped_room) {
        size_t room = q->dropped_room ? 2 * q->dropped_room : 64;
        uint64_t *more = realloc(q->dropped, room * sizeof *more);
        if (!more)
            return;
        q->dropped = more;
        q->dropped_room = room;
    }
    q->dropped[q->dropped_count++] = cluster;
}

bool qcow2_is_dirty(const struct qcow2 *q)
{
    return q->dirty > 0 || q->dropped_count > 0 || q->l1_dirty.first < q->l1_dirty.end ||
           q->refs_dirty.first < q->refs_dirty.end;
}

bool qcow2_is_full(const struct qcow2 *q)
{
    return q->dirty >= QCOW2_DIRTY || q->dropped_count >= DROPPED_MOST;
}

/* ------------------------------------------------------------------ to disk */

/* Everything below runs with `syncing` set: tables that were changed stay as they are, so the lock
 * is free while one is written. */

static int sync_tables(struct qcow2 *q, bool refs, bool *written)
{
    for (unsigned i = 0; i < QCOW2_TABLES; i++) {
        struct qcow2_table *t = &q->table[i];
        if (!t->dirty || t->refs != refs)
            continue;
        lock_release(&q->lock);
        int rc = file_write(&q->file, t->offset, t->data, q->cluster_size);
        lock_acquire(&q->lock);
        if (rc < 0)
            return rc;
        t->dirty = false;
        q->dirty--;
        *written = true;
    }
    return 0;
}

/* Write entries of an array whose place in the file is `offset`. */
static int sync_span(struct qcow2 *q, const uint64_t *array, uint64_t offset,
                     struct qcow2_span *span, bool *written)
{
    uint32_t n = span->end - span->first;
    if (n == 0)
        return 0;
    uint8_t *bytes = malloc((size_t)n * 8);
    if (!bytes)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        st_be64(bytes + (size_t)i * 8, array[span->first + i]);
    lock_release(&q->lock);
    int rc = file_write(&q->file, offset + (uint64_t)span->first * 8, bytes, (size_t)n * 8);
    lock_acquire(&q->lock);
    free(bytes);
    if (rc == 0)
        *span = (struct qcow2_span){ 0, 0 };
    *written = true;
    return rc;
}

/* Counts on disk may be too high from now on. */
static int sync_mark(struct qcow2 *q)
{
    lock_release(&q->lock);
    int rc = qcow2_mark(q, true);
    lock_acquire(&q->lock);
    return rc;
}

/* What was written comes before all that will be. After a failure nobody knows what is on disk. */
static int sync_barrier(struct qcow2 *q)
{
    lock_release(&q->lock);
    int rc = file_sync(&q->file);
    lock_acquire(&q->lock);
    if (rc < 0)
        q->failed = rc;
    return rc;
}

/* Free what was dropped, as far as there is room for the changes, and give its storage back. */
static int sync_dropped(struct qcow2 *q)
{
    uint64_t first = 0, count = 0;
    int rc = 0;
    size_t i = 0;
    for (; i < q->dropped_count && q->dirty < QCOW2_DIRTY; i++) {
        uint64_t cluster = q->dropped[i];
        bool free = false;
        rc = qcow2_unref(q, cluster, &free);
        if (rc < 0)
            break;
        if (free && count > 0 && cluster == first + count) {
            count++;
        } else if (free) {
            if (count > 0)
                (void)!disk_os_discard(q->file.fd, first * q->cluster_size,
                                       count * q->cluster_size);
            first = cluster;
            count = 1;
        }
    }
    if (count > 0)
        (void)!disk_os_discard(q->file.fd, first * q->cluster_size, count * q->cluster_size);
    if (i < q->dropped_count && i > 0)
        memmove(q->dropped, q->dropped + i, (q->dropped_count - i) * sizeof q->dropped[0]);
    q->dropped_count -= i;
    return rc;
}

static int sync_steps(struct qcow2 *q)
{
    bool written = true; /* data, at least */
    int rc = sync_mark(q);
    if (rc == 0)
        rc = sync_tables(q, true, &written);
    if (rc == 0)
        rc = sync_barrier(q);
    written = false;
    if (rc == 0)
        rc = sync_span(q, q->refs, q->refs_offset, &q->refs_dirty, &written);
    if (rc == 0 && written)
        rc = sync_barrier(q);
    written = false;
    if (rc == 0)
        rc = sync_tables(q, false, &written);
    if (rc == 0 && written)
        rc = sync_barrier(q);
    written = false;
    if (rc == 0)
        rc = sync_span(q, q->l1, q->l1_offset, &q->l1_dirty, &written);
    if (rc == 0 && written)
        rc = sync_barrier(q);
    return rc < 0 ? rc : sync_dropped(q);
}

int qcow2_sync(struct qcow2 *q)
{
    while (q->syncing)
        lock_wait(&q->lock, &q->changed, UINT64_MAX);
    if (q->failed < 0)
        return q->failed;
    if (!qcow2_is_dirty(q))
        return 0;
    q->syncing = true;
    int rc = sync_steps(q);
    q->syncing = false;
    pthread_cond_broadcast(&q->changed);
    return rc;
}
