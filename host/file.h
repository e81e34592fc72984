/*
 * A file or block device that holds an image: opened, checked, locked; read and written at any
 * alignment, also past the host's page cache.
 */
#ifndef HOST_FILE_H
#define HOST_FILE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/compiler.h"
#include "base/err.h"
#include "host/cursor.h"

struct disk_options;

/* With `direct`, what offset, length and memory of a transfer are aligned to on the way. */
#define FILE_ALIGN 4096u

struct file {
    int fd;
    uint64_t size; /* bytes, when it was opened */
    bool read_only;
    bool device;
    bool direct;  /* past the page cache */
    bool no_sync; /* file_sync() does nothing */
    /* Writes that cover blocks of FILE_ALIGN partly read them first, alone; others share. The last
     * lock there is: nothing is called with it held. */
    pthread_rwlock_t blocks;
};

/* Open, check and lock. `name` is the path as the user wrote it. One sentence in `e`. */
int file_open(struct file *f, const struct disk_options *o, struct err *e) MUST_CHECK;
void file_close(struct file *f);

/* How many bytes came until `length` or the end of the file, or negative errno. */
int64_t file_readv(struct file *f, uint64_t offset, uint64_t length, struct cursor *c) MUST_CHECK;
int file_writev(struct file *f, uint64_t offset, uint64_t length, struct cursor *c) MUST_CHECK;
/* The same for one buffer; what is beyond the end of the file reads as zeroes. */
int file_read(struct file *f, uint64_t offset, void *buffer, size_t length) MUST_CHECK;
int file_write(struct file *f, uint64_t offset, const void *buffer, size_t length) MUST_CHECK;
/* Everything written is on stable storage when this returns 0. */
int file_sync(struct file *f) MUST_CHECK;
/* Make the range zeroes, by a hole or by writing. */
int file_zero(struct file *f, uint64_t offset, uint64_t length) MUST_CHECK;

#endif
