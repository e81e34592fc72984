/*
 * Translations that outlive the run: files of records (store_file.c, store_write.c), and blocks as
 * records (store.c). The folder is open when it comes here, see hvx_set_code_folder().
 */
#ifndef SOFT_JIT_STORE_H
#define SOFT_JIT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"

/* A record; `size` bytes follow, a multiple of 8. Each begins at a multiple of STORE_ALIGN. */
struct store_record {
    uint64_t checksum; /* of all behind it, with the file's key */
    uint64_t hash;     /* it is found by */
    uint64_t name;     /* of two with the same hash and name the younger one stays */
    uint32_t size;
    uint32_t zero;
};

#define STORE_ALIGN 16
#define STORE_LIMIT (256u << 20) /* bytes of a file, and of a list */

/* Bytes of a record with `size` bytes behind it, up to the next one. */
static inline size_t store_span(size_t size)
{
    return align_up(sizeof(struct store_record) + size, STORE_ALIGN);
}

/* Memory that grows at its end. Zeros are an empty one. */
struct store_list {
    uint8_t *mapped; /* or NULL */
    uint8_t *data;
    size_t size;
};

/* So many bytes more, zeros. NULL: no memory, or too much. */
void *store_list_add(struct store_list *list, size_t size);
void store_list_free(struct store_list *list);

/* A file, mapped to be read; without one `map` is NULL. */
struct store_file {
    uint64_t key;
    const uint8_t *map;
    size_t size;
    size_t table; /* where it is in the file */
    size_t slots;
};

/* Is the folder ours alone, so that code in it can be run? -EPERM: others may write to it, or it is
 * somebody else's; -ENOTDIR. */
int store_folder_check(int folder);

/* Map the file for `key`. -ENOENT: there is none; -EPERM: it is not ours alone; -EBADMSG: it is cut
 * off, damaged or for another key; or another error. */
int store_file_open(struct store_file *f, int folder, uint64_t key);
void store_file_close(struct store_file *f);

/* The records with `hash`, one after the other; `probe` is 0 at first. NULL: no more. They lie in
 * the file whole, but may be damaged. Any thread. */
const struct store_record *store_file_find(const struct store_file *f, uint64_t hash,
                                           uint32_t *probe);
/* Somebody will look for a hash soon; and sooner. */
void store_file_near(const struct store_file *f, uint64_t hash);
void store_file_nearer(const struct store_file *f, uint64_t hash);
bool store_record_is_sound(const struct store_file *f, const struct store_record *r);

/* Records being added to the file for `key`, or to a new one that takes its name. */
struct store_writer {
    int folder;
    uint64_t key;
    int fd;
    struct store_file old; /* what is added to, or nothing */
    uint8_t *buffer;
    size_t at, filled;       /* where the buffer's bytes go to; how many there are */
    size_t limit;            /* bytes that the file may have */
    struct store_list added; /* of each record what the table needs */
    int err;                 /* the first one */
};

/* Begin, with `expected` bytes to come. What the file has is kept if it can be used, unless `anew`,
 * and if all together is not more than a file can hold. -EBUSY: another process adds to it; or
 * another error. After that there is nothing to end. */
int store_writer_begin(struct store_writer *w, int folder, uint64_t key, bool anew,
                       size_t expected);
/* Room for a record with `size` bytes behind it; all of the header but `size` is zero. Add it; it
 * may be smaller by then, with zeros up to the next one. NULL: it is too large, or something
 * failed, which store_writer_end() returns. */
struct store_record *store_writer_room(struct store_writer *w, size_t size);
void store_writer_add(struct store_writer *w, struct store_record *r);
/* The file has what was added; or, after an error, what it had before. */
int store_writer_end(struct store_writer *w);

#endif
