/*
 * Translations that outlive the run: files of records (store_file.c), and blocks as records
 * (store.c). The folder is open when it comes here, see hvx_set_code_folder().
 */
#ifndef SOFT_JIT_STORE_H
#define SOFT_JIT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A record; `size` bytes follow, a multiple of 8. Each begins at a multiple of STORE_ALIGN. */
struct store_record {
    uint64_t checksum; /* of all behind it, with the file's key */
    uint64_t hash;     /* it is found by */
    uint64_t name;     /* of two with the same hash and name the younger one stays */
    uint32_t size;
    uint32_t zero;
};

#define STORE_ALIGN 16
#define STORE_LIMIT (256u << 20) /* bytes of a file, and of all records that wait for one */

/* Records one after the other, in memory. Zeros are an empty one. */
struct store_list {
    uint8_t *data;
    size_t size, room;
};

/* A file, mapped to be read; without one `map` is NULL. */
struct store_file {
    uint64_t key;
    const uint8_t *map;
    size_t size;
    size_t first; /* where records begin */
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
bool store_record_is_sound(const struct store_file *f, const struct store_record *r);

/* Room for one more record with `size` bytes behind it, which store_list_end() makes valid, for a
 * file of `key`. NULL: no memory, or more than a file can hold. */
struct store_record *store_list_begin(struct store_list *list, size_t size);
void store_list_end(struct store_list *list, uint64_t key, struct store_record *r);
/* All of `from` behind what is in `list`; `from` is empty then. */
void store_list_move(struct store_list *list, struct store_list *from);
void store_list_free(struct store_list *list);

/* Write a file for `key`: what the one there is now has, if there is one that can be used, and the
 * list's records. If that is more than a file can hold, only the latter. */
int store_file_write(int folder, uint64_t key, const struct store_list *list);

#endif
