/*
 * qcow2: opening. The header is checked for what we can do and for what can be true; the L1 and
 * refcount tables are read; files that the image names are opened only if the user said so.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "host/qcow2.h"

#define HEADER_V2   72
#define HEADER_V3   104
#define HEADER_MOST 112        /* what we read of it: up to the compression type */
#define L1_MOST     (4u << 20) /* entries: 32 MiB, QEMU's limit */
#define REFS_MOST   (8u << 20) /* bytes */
#define NAME_MOST   1023
#define CHAIN_MOST  16 /* images below each other */

/* Header extensions that we look at. */
enum { EXTENSION_END = 0, EXTENSION_FORMAT = (int)0xe2792aca, EXTENSION_LUKS = 0x0537be77 };

struct qcow2_names {
    char backing[NAME_MOST + 1]; /* empty: there is none */
    char format[16];             /* of it; empty: not told */
};

int qcow2_corrupt(struct qcow2 *q, const char *what)
{
    if (!atomic_exchange(&q->complained, true))
        log_error("disk",
                  "a qcow2 image is corrupt: %s; stop, and repair it with qemu-img check -r all",
                  what);
    return -EIO;
}

int qcow2_write_header(struct qcow2 *q, unsigned offset, const void *bytes, size_t n)
{
    return file_write(&q->file, offset, bytes, n);
}

/* ------------------------------------------------------------------ the header */

static int bad(const struct disk_options *o, struct err *e, const char *what)
{
    return err_set(e, -EINVAL,
                   "--disk '%s': this is no good qcow2 image (%s); check it: qemu-img check '%s'",
                   o->path, what, o->path);
}

static int cannot(const struct disk_options *o, struct err *e, const char *what)
{
    return err_set(e, -ENOTSUP,
                   "--disk '%s': this qcow2 image has %s, which ireko cannot use; convert it: "
                   "qemu-img convert -O qcow2 '%s' NEW",
                   o->path, what, o->path);
}

static int check_features(const struct qcow2 *q, const struct disk_options *o, struct err *e)
{
    const uint64_t known = QCOW2_DIRTY_BIT | QCOW2_CORRUPT_BIT | QCOW2_COMPRESSION_BIT;
    if (q->incompatible & QCOW2_EXTERNAL_BIT)
        return cannot(o, e, "its data in another file");
    if (q->incompatible & QCOW2_EXTENDED_L2_BIT)
        return cannot(o, e, "subclusters");
    if (q->incompatible & ~known)
        return cannot(o, e, "a feature of later versions");
    if ((q->incompatible & QCOW2_CORRUPT_BIT) && !o->read_only)
        return err_set(e, -EIO,
                       "--disk '%s': it is marked as corrupt; repair it: qemu-img check -r all "
                       "'%s', or add ',ro' to read what is left",
                       o->path, o->path);
    return 0;
}

/* Where the tables are, and how large. */
static int check_places(const struct qcow2 *q, const struct disk_options *o, uint64_t refs_clusters,
                        struct err *e)
{
    const uint64_t mask = q->cluster_size - 1;
    uint64_t covered = q->cluster_size * (q->cluster_size / 8);
    if (q->image.size == 0 || q->image.size % 512)
        return bad(o, e, "its size is not a multiple of 512");
    if (q->l1_size > L1_MOST || (q->image.size - 1) / covered >= q->l1_size)
        return bad(o, e, "its L1 table does not fit its size");
    if (refs_clusters == 0 || refs_clusters * q->cluster_size > REFS_MOST)
        return bad(o, e, "its refcount table has no possible size");
    if ((q->l1_offset | q->refs_offset | (q->snapshots ? q->snapshots_offset : 0)) & mask)
        return bad(o, e, "a table is not aligned");
    if (q->l1_offset == 0 || q->refs_offset == 0 || q->l1_offset >= q->end ||
        q->refs_offset >= q->end || (uint64_t)q->l1_size * 8 > q->end - q->l1_offset ||
        refs_clusters * q->cluster_size > q->end - q->refs_offset)
        return bad(o, e, "a table is not in the file");
    if (q->snapshots > 65536)
        return bad(o, e, "it has too many snapshots");
    return 0;
}

/* Version 3 adds fields to the header; `h` is zero where the file's has none. */
static int parse_version3(struct qcow2 *q, const struct disk_options *o, const uint8_t *h,
                          uint32_t *length, struct err *e)
{
    *length = ld_be32(h + 100);
    if (*length < HEADER_V3 || *length % 8 || *length > q->cluster_size)
        return bad(o, e, "its header has no possible length");
    q->incompatible = ld_be64(h + QCOW2_HEADER_INCOMPATIBLE);
    q->autoclear = ld_be64(h + QCOW2_HEADER_AUTOCLEAR);
    q->refs_order = ld_be32(h + 96);
    if (q->refs_order > 6)
        return bad(o, e, "its refcounts have no possible width");
    if (q->incompatible & QCOW2_COMPRESSION_BIT) {
        uint8_t type = *length > HEADER_V3 ? h[HEADER_V3] : 0;
        if (type > 1)
            return cannot(o, e, "a compression other than zlib and zstd");
        q->zstd = type == 1;
    }
    return 0;
}

static int parse_header(struct qcow2 *q, const struct disk_options *o, const uint8_t *h,
                        uint32_t *length, struct err *e)
{
    static const uint8_t magic[4] = { 'Q', 'F', 'I', 0xfb };
    if (memcmp(h, magic, sizeof magic) != 0)
        return err_set(
            e, -EINVAL,
            "--disk '%s': this is not a qcow2 image; leave ',format=qcow2' out if it is a "
            "raw one",
            o->path);
    q->version = ld_be32(h + 4);
    if (q->version < 2 || q->version > 3)
        return cannot(o, e, "a version other than 2 and 3");
    q->cluster_bits = ld_be32(h + 20);
    if (q->cluster_bits < 9 || q->cluster_bits > 21)
        return bad(o, e, "its clusters have no possible size");
    q->cluster_size = 1ull << q->cluster_bits;
    q->refs_order = 4;
    *length = HEADER_V2;
    if (q->version == 3) {
        int rc = parse_version3(q, o, h, length, e);
        if (rc < 0)
            return rc;
    }
    if (ld_be32(h + 32) != 0)
        return cannot(o, e, "encryption");
    q->image.size = ld_be64(h + 24);
    q->l1_size = ld_be32(h + 36);
    q->l1_offset = ld_be64(h + 40);
    q->refs_offset = ld_be64(h + QCOW2_HEADER_REFS_OFFSET);
    q->snapshots = ld_be32(h + 60);
    q->snapshots_offset = ld_be64(h + 64);
    q->end = q->file.device ? q->file.size & ~(q->cluster_size - 1)
                            : (q->file.size + q->cluster_size - 1) & ~(q->cluster_size - 1);
    uint64_t refs_clusters = ld_be32(h + QCOW2_HEADER_REFS_CLUSTERS);
    int rc = check_features(q, o, e);
    if (rc == 0)
        rc = check_places(q, o, refs_clusters, e);
    q->refs_size = rc == 0 ? (uint32_t)(refs_clusters * q->cluster_size / 8) : 0;
    return rc;
}

/* The extensions between the header and the end of its cluster. */
static int parse_extensions(const struct qcow2 *q, const struct disk_options *o, uint64_t at,
                            uint64_t end, struct qcow2_names *names, struct err *e)
{
    while (at + 8 <= end) {
        uint8_t head[8];
        int rc = file_read((struct file *)(uintptr_t)&q->file, at, head, sizeof head);
        if (rc < 0)
            return err_set(e, rc, "--disk '%s': cannot read it (%s)", o->path, strerror(-rc));
        uint32_t type = ld_be32(head), length = ld_be32(head + 4);
        at += sizeof head;
        if (type == EXTENSION_END)
            return 0;
        if (length > end - at)
            return bad(o, e, "a header extension is too long");
        if (type == EXTENSION_LUKS)
            return cannot(o, e, "encryption");
        if (type == (uint32_t)EXTENSION_FORMAT) {
            if (length >= sizeof names->format)
                return bad(o, e, "the format of its backing file has no possible name");
            rc = file_read((struct file *)(uintptr_t)&q->file, at, names->format, length);
            if (rc < 0)
                return err_set(e, rc, "--disk '%s': cannot read it (%s)", o->path, strerror(-rc));
        }
        at += (length + 7) & ~7u;
    }
    return 0;
}

static int read_header(struct qcow2 *q, const struct disk_options *o, struct qcow2_names *names,
                       struct err *e)
{
    uint8_t h[HEADER_MOST];
    uint32_t length = 0;
    int rc = file_read(&q->file, 0, h, sizeof h);
    if (rc < 0)
        return err_set(e, rc, "--disk '%s': cannot read it (%s)", o->path, strerror(-rc));
    rc = parse_header(q, o, h, &length, e);
    if (rc < 0)
        return rc;
    uint64_t name = ld_be64(h + 8);
    uint32_t name_length = ld_be32(h + 16);
    uint64_t end = q->cluster_size;
    if (name != 0) {
        if (name_length == 0 || name_length > NAME_MOST || name > end || name_length > end - name)
            return bad(o, e, "the name of its backing file is not in the header");
        rc = file_read(&q->file, name, names->backing, name_length);
        if (rc < 0)
            return err_set(e, rc, "--disk '%s': cannot read it (%s)", o->path, strerror(-rc));
        if (strlen(names->backing) != name_length)
            return bad(o, e, "the name of its backing file is not a text");
        if (name > length)
            end = name;
    }
    return parse_extensions(q, o, length, end, names, e);
}

/* ------------------------------------------------------------------ tables and other files */

static int read_table(struct qcow2 *q, uint64_t offset, uint32_t entries, uint64_t **out)
{
    uint64_t *table = calloc((size_t)entries + 1, sizeof *table);
    if (!table)
        return -ENOMEM;
    *out = table;
    int rc = file_read(&q->file, offset, table, (size_t)entries * sizeof *table);
    for (uint32_t i = 0; rc == 0 && i < entries; i++)
        table[i] = ld_be64(&table[i]);
    return rc;
}

/* The path of the backing file, which is relative to the image. */
static char *backing_path(const char *image, const char *name)
{
    const char *slash = name[0] == '/' ? NULL : strrchr(image, '/');
    size_t folder = slash ? (size_t)(slash + 1 - image) : 0;
    char *path = malloc(folder + strlen(name) + 1);
    if (path) {
        memcpy(path, image, folder);
        strcpy(path + folder, name);
    }
    return path;
}

static int open_backing(struct qcow2 *q, const struct disk_options *o,
                        const struct qcow2_names *names, struct err *e)
{
    struct disk_options below = {
        .read_only = true,
        .backing = true,
        .cache = o->cache,
        .depth = o->depth + 1,
    };
    if (!o->backing)
        return err_set(
            e, -EPERM,
            "--disk '%s': it is a change of '%s'; add ',backing' to have that file read, "
            "and those it names",
            o->path, names->backing);
    if (o->depth == CHAIN_MOST)
        return err_set(e, -ELOOP, "--disk '%s': more than %d images are below it", o->path,
                       CHAIN_MOST);
    if (strcmp(names->format, "qcow2") == 0)
        below.format = DISK_FORMAT_QCOW2;
    else if (strcmp(names->format, "raw") == 0)
        below.format = DISK_FORMAT_RAW;
    else
        return err_set(
            e, -EINVAL,
            "--disk '%s': it does not tell whether its backing file is raw or qcow2; say "
            "so: qemu-img rebase -u -F FORMAT -b '%s' '%s'",
            o->path, names->backing, o->path);
    char *path = backing_path(o->path, names->backing);
    if (!path)
        return err_set(e, -ENOMEM, "--disk '%s': no memory", o->path);
    below.path = path;
    int rc = image_open(&below, &q->backing, e);
    free(path);
    return rc;
}

/* We do not keep up what the autoclear bits are about, so they must go before the first change. */
static int clear_autoclear(struct qcow2 *q, const struct disk_options *o, struct err *e)
{
    static const uint8_t none[8];
    if (q->autoclear == 0)
        return 0;
    int rc = qcow2_write_header(q, QCOW2_HEADER_AUTOCLEAR, none, sizeof none);
    if (rc == 0)
        rc = file_sync(&q->file);
    if (rc < 0)
        return err_set(e, rc, "--disk '%s': cannot write it (%s)", o->path, strerror(-rc));
    log_warn("disk", "'%s': ireko does not keep its dirty bitmaps, so they are not valid any more",
             o->path);
    return 0;
}

static int open_all(struct qcow2 *q, const struct disk_options *o, struct err *e)
{
    struct qcow2_names names = { "", "" };
    int rc = read_header(q, o, &names, e);
    if (rc < 0)
        return rc;
    rc = read_table(q, q->l1_offset, q->l1_size, &q->l1);
    if (rc == 0)
        rc = read_table(q, q->refs_offset, q->refs_size, &q->refs);
    if (rc < 0)
        return err_set(e, rc, "--disk '%s': cannot read its tables (%s)", o->path, strerror(-rc));
    if (names.backing[0])
        rc = open_backing(q, o, &names, e);
    if (rc == 0 && !o->read_only && (q->incompatible & QCOW2_DIRTY_BIT))
        rc = qcow2_repair(q, o, e);
    if (rc == 0 && !o->read_only)
        rc = clear_autoclear(q, o, e);
    return rc;
}

int image_qcow2_open(const struct disk_options *o, struct image **out, struct err *e)
{
    struct qcow2 *q = calloc(1, sizeof *q);
    if (!q)
        return err_set(e, -ENOMEM, "--disk '%s': no memory", o->path);
    int rc = file_open(&q->file, o, e);
    if (rc < 0) {
        free(q);
        return rc;
    }
    q->image.ops = &qcow2_ops;
    q->image.read_only = o->read_only;
    lock_init(&q->lock, LOCK_HOST);
    cond_init(&q->changed);
    rc = open_all(q, o, e);
    if (rc < 0) {
        q->failed = rc; /* what is not understood is left as it is */
        qcow2_ops.close(&q->image);
        return rc;
    }
    *out = &q->image;
    return 0;
}
