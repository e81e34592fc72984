/*
 * The inside of qcow2 images, versions 2 and 3, after the format's published specification
 * (docs/interop/qcow2.rst of QEMU). Everything in a file is big-endian and, until it was checked,
 * anybody's word.
 *
 * Order on stable storage. Nothing on disk may refer to what is not there yet: data and refcounts
 * come before the L2 entry that needs them, an L2 table before its L1 entry, a refcount block
 * before its table entry. So changes of the tables stay in memory (qcow2_table.c) until a flush
 * writes them in this order, with a barrier after each step; a process that dies in between leaves
 * at worst clusters that are counted and not used, and the dirty bit, for which they are freed at
 * the next start (qcow2_check.c). And what the tables on disk still refer to is
 * not written over: a cluster that was dropped is free only after the flush that made its drop
 * durable.
 *
 * Locks: `lock` guards all tables. Ranges of clusters that requests work on are in `busy`: whoever
 * changes the mapping of a cluster is alone there, those who read or write in place share. While
 * `syncing` is set no table changes.
 */
#ifndef HOST_QCOW2_H
#define HOST_QCOW2_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/lock.h"
#include "host/file.h"
#include "host/image.h"

/* L2 tables and refcount blocks in memory; from QCOW2_DIRTY changed ones on they are written. Four
 * requests at once change fewer than the difference. */
#define QCOW2_TABLES 64
#define QCOW2_DIRTY  32

/* Entries of L1 and L2. */
#define QCOW2_COPIED (1ull << 63) /* its cluster has no other user: write in place */
#define QCOW2_PACKED (1ull << 62) /* L2: compressed */
#define QCOW2_ZERO   1ull         /* L2, version 3: reads as zeroes */
#define QCOW2_OFFSET 0x00fffffffffffe00ull

/* Where fields of the header are that are written. */
enum {
    QCOW2_HEADER_REFS_OFFSET = 48,
    QCOW2_HEADER_REFS_CLUSTERS = 56,
    QCOW2_HEADER_INCOMPATIBLE = 72,
    QCOW2_HEADER_AUTOCLEAR = 88,
};

/* Incompatible features. */
#define QCOW2_DIRTY_BIT       (1ull << 0)
#define QCOW2_CORRUPT_BIT     (1ull << 1)
#define QCOW2_EXTERNAL_BIT    (1ull << 2)
#define QCOW2_COMPRESSION_BIT (1ull << 3)
#define QCOW2_EXTENDED_L2_BIT (1ull << 4)

struct qcow2_table {
    uint64_t offset; /* in the file; 0: the slot is empty */
    uint64_t used;   /* of q->uses when it was last asked for */
    bool dirty;
    bool refs;     /* a refcount block, else an L2 table */
    uint8_t *data; /* a cluster */
};

/* Clusters of the guest that a request works on. */
struct qcow2_range {
    uint64_t first, last;
    bool alone;
    struct qcow2_range *next;
};

/* Entries of an array that differ from those on disk: [first, end). */
struct qcow2_span {
    uint32_t first, end;
};

struct qcow2 {
    struct image image; /* first */
    struct file file;
    struct image *backing; /* what holes read as, or NULL: zeroes */
    unsigned version;
    unsigned cluster_bits;
    uint64_t cluster_size;
    unsigned refs_order; /* a refcount has 1 << refs_order bits */
    bool zstd;           /* how clusters are compressed: else zlib */
    uint64_t incompatible, autoclear;
    uint32_t snapshots;
    uint64_t snapshots_offset;
    atomic_bool complained; /* the user knows that the image is corrupt */

    struct lock lock; /* LOCK_HOST; guards what follows */
    pthread_cond_t changed;
    int failed; /* no table can be changed any more: negative errno */
    bool syncing;
    struct qcow2_range *busy;

    uint64_t *l1; /* as in the file, but in the host's byte order */
    uint32_t l1_size;
    uint64_t l1_offset;
    struct qcow2_span l1_dirty;

    uint64_t *refs; /* the refcount table, likewise */
    uint32_t refs_size;
    uint64_t refs_offset;
    struct qcow2_span refs_dirty;

    struct qcow2_table table[QCOW2_TABLES];
    unsigned dirty; /* tables */
    uint64_t uses;

    uint64_t end;      /* bytes; all clusters are below */
    uint64_t hint;     /* no cluster below this one is free */
    uint64_t *dropped; /* clusters to be freed once that is durable */
    size_t dropped_count, dropped_room;

    uint64_t unpacked_entry; /* the L2 entry of what is in `unpacked`; 0: nothing */
    uint8_t *unpacked;       /* a cluster, or NULL */
};

static inline struct qcow2 *qcow2_of(struct image *image)
{
    return CONTAINER_OF(image, struct qcow2, image);
}

/* The image is not what the format allows: tell the user once; returns -EIO. */
int qcow2_corrupt(struct qcow2 *q, const char *what);
/* Write `n` bytes of the header. */
int qcow2_write_header(struct qcow2 *q, unsigned offset, const void *bytes, size_t n) MUST_CHECK;

/* qcow2_table.c; the lock is held. A table stays where it is until the lock is released or two more
 * were asked for. */
int qcow2_table_get(struct qcow2 *q, uint64_t offset, bool refs,
                    struct qcow2_table **out) MUST_CHECK;
/* A new one, all zeroes; nothing of the file is read. */
int qcow2_table_new(struct qcow2 *q, uint64_t offset, bool refs,
                    struct qcow2_table **out) MUST_CHECK;
/* Is the table in memory? */
bool qcow2_table_there(struct qcow2 *q, uint64_t offset);
void qcow2_table_changed(struct qcow2 *q, struct qcow2_table *t);
void qcow2_span_add(struct qcow2_span *span, uint32_t index);
/* Free a cluster after the next flush. */
void qcow2_drop(struct qcow2 *q, uint64_t cluster);
bool qcow2_is_dirty(const struct qcow2 *q);
/* Should qcow2_sync() come before more changes? */
bool qcow2_is_full(const struct qcow2 *q);
/* Bring the tables, and all data before them, to stable storage. Releases the lock meanwhile. */
int qcow2_sync(struct qcow2 *q) MUST_CHECK;

/* qcow2_refs.c; the lock is held. */
uint64_t qcow2_refs_per_block(const struct qcow2 *q);
/* Refcount `index` of a block, and set it. */
uint64_t qcow2_ref_load(const struct qcow2 *q, const uint8_t *block, uint64_t index);
void qcow2_ref_store(const struct qcow2 *q, uint8_t *block, uint64_t index, uint64_t value);
/* Take up to `most` free clusters in a row. `fresh`: they are all zeroes. -EAGAIN: the lock was
 * released; look again. */
int qcow2_alloc(struct qcow2 *q, uint64_t most, uint64_t *cluster, uint64_t *count,
                bool *fresh) MUST_CHECK;
/* One user less; `*free` if it was the last. */
int qcow2_unref(struct qcow2 *q, uint64_t cluster, bool *free) MUST_CHECK;

/* qcow2_map.c; the lock is held. */
enum qcow2_kind { QCOW2_HOLE, QCOW2_ZEROES, QCOW2_DATA, QCOW2_COMPRESSED };
struct qcow2_map {
    enum qcow2_kind kind;
    bool writable;   /* QCOW2_DATA: in place */
    uint64_t host;   /* QCOW2_DATA: where in the file */
    uint64_t entry;  /* QCOW2_COMPRESSED */
    uint64_t length; /* bytes from the offset asked for, at most to the end of an L2 table */
};
int qcow2_kind_of(const struct qcow2 *q, uint64_t entry, enum qcow2_kind *kind) MUST_CHECK;
int qcow2_map(struct qcow2 *q, uint64_t offset, uint64_t length, struct qcow2_map *map) MUST_CHECK;
/* Does qcow2_map() need nothing of the file? */
bool qcow2_map_there(struct qcow2 *q, uint64_t offset);
/* Make sure that the L2 table for `offset` is there and ours alone. -EAGAIN as above. */
int qcow2_map_own(struct qcow2 *q, uint64_t offset) MUST_CHECK;
/* Point `count` clusters from `offset` on, in one owned table, to `entry` and, with data, the
 * clusters after it; drop what was there. */
int qcow2_map_set(struct qcow2 *q, uint64_t offset, uint64_t count, uint64_t entry) MUST_CHECK;
/* The clusters of the file that a compressed one is in: the first, and how many. */
uint64_t qcow2_packed_clusters(const struct qcow2 *q, uint64_t entry, uint64_t *count);
/* The bytes in the file of a compressed cluster. */
uint64_t qcow2_packed_bytes(const struct qcow2 *q, uint64_t entry, uint64_t *length);

/* qcow2_unpack.c: the compressed cluster of `entry`, `length` bytes of it from `skip` on. No lock
 * held. */
int qcow2_unpack(struct qcow2 *q, uint64_t entry, uint64_t skip, uint64_t length,
                 struct cursor *c) MUST_CHECK;

/* qcow2_check.c. Set or clear the dirty bit, durably; no table changes meanwhile. */
int qcow2_mark(struct qcow2 *q, bool dirty) MUST_CHECK;
/* Count all references anew, and clear the dirty bit. Before the first request. */
int qcow2_repair(struct qcow2 *q, const struct disk_options *o, struct err *e) MUST_CHECK;

/* qcow2_io.c */
extern const struct image_ops qcow2_ops;

#endif
