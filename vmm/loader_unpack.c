/*
 * Bounded decompression. A compressed kernel may claim anything, so the output is never allowed to
 * grow beyond the guest's RAM, where it would have to fit anyway.
 */
#include <errno.h>
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#include "vmm/loader_formats.h"

#define FIRST_CAPACITY (16u << 20)
/* zlib counts in unsigned int. */
#define STEP (1u << 30)

/* An output buffer that grows up to one byte beyond its limit. */
struct unpack_buffer {
    struct loader_blob blob;
    uint64_t capacity, limit;
};

static void unpack_buffer_free(struct unpack_buffer *b)
{
    loader_blob_free(&b->blob);
}

/* Leave at least one free byte in the buffer. */
static int unpack_room(const struct loader_job *j, struct unpack_buffer *b)
{
    if (b->blob.size < b->capacity)
        return 0;
    if (b->blob.size > b->limit)
        return loader_fail(j, -E2BIG,
                           "unpacked it is larger than the %llu MiB of RAM; give more "
                           "with --memory",
                           (unsigned long long)(b->limit >> 20));
    uint64_t want = b->capacity ? b->capacity * 2 : FIRST_CAPACITY;
    if (want > b->limit + 1)
        want = b->limit + 1;
    uint8_t *bytes = realloc(b->blob.bytes, want);
    if (!bytes)
        return loader_fail(j, -ENOMEM, "no memory to unpack it");
    b->blob.bytes = bytes;
    b->capacity = want;
    return 0;
}

/* Hand the buffer over when it is within its limit. */
static int unpack_finish(const struct loader_job *j, struct unpack_buffer *b,
                         struct loader_blob *out)
{
    if (b->blob.size > b->limit)
        return unpack_room(j, b);
    *out = b->blob;
    b->blob = (struct loader_blob){ 0 };
    return 0;
}

static unsigned step_of(uint64_t n)
{
    return n > STEP ? STEP : (unsigned)n;
}

/* Inflate until the gzip stream ends. */
static int gunzip_run(const struct loader_job *j, z_stream *z, const uint8_t *bytes, uint64_t size,
                      struct unpack_buffer *b)
{
    uint64_t used = 0;
    for (;;) {
        int rc = unpack_room(j, b);
        if (rc < 0)
            return rc;
        unsigned in = step_of(size - used), room = step_of(b->capacity - b->blob.size);
        z->next_in = bytes + used;
        z->avail_in = in;
        z->next_out = b->blob.bytes + b->blob.size;
        z->avail_out = room;
        int status = inflate(z, Z_NO_FLUSH);
        used += in - z->avail_in;
        b->blob.size += room - z->avail_out;
        if (status == Z_STREAM_END)
            return 0;
        if (status == Z_BUF_ERROR || (status == Z_OK && used == size && z->avail_out > 0))
            return loader_fail(j, -ENOEXEC, "the gzip data is truncated; get the file again");
        if (status != Z_OK)
            return loader_fail(j, -ENOEXEC, "the gzip data is damaged; get the file again");
    }
}

int loader_gunzip(const struct loader_job *j, const uint8_t *bytes, uint64_t size,
                  struct loader_blob *out)
{
    CLEANUP(unpack_buffer_free) struct unpack_buffer b = { .limit = j->ram_size };
    z_stream z = { 0 };
    if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
        return loader_fail(j, -ENOMEM, "no memory to unpack it");
    int rc = gunzip_run(j, &z, bytes, size, &b);
    inflateEnd(&z);
    return rc < 0 ? rc : unpack_finish(j, &b, out);
}

static void zstd_free(ZSTD_DStream **z)
{
    ZSTD_freeDStream(*z);
}

int loader_unzstd(const struct loader_job *j, const uint8_t *bytes, uint64_t size,
                  struct loader_blob *out)
{
    CLEANUP(unpack_buffer_free) struct unpack_buffer b = { .limit = j->ram_size };
    CLEANUP(zstd_free) ZSTD_DStream *z = ZSTD_createDStream();
    if (!z)
        return loader_fail(j, -ENOMEM, "no memory to unpack it");
    ZSTD_inBuffer in = { .src = bytes, .size = size };
    for (;;) {
        int rc = unpack_room(j, &b);
        if (rc < 0)
            return rc;
        ZSTD_outBuffer to = { .dst = b.blob.bytes, .size = b.capacity, .pos = b.blob.size };
        size_t left = ZSTD_decompressStream(z, &to, &in);
        bool progress = to.pos > b.blob.size;
        b.blob.size = to.pos;
        if (ZSTD_isError(left))
            return loader_fail(j, -ENOEXEC, "the zstd data is damaged (%s); get the file again",
                               ZSTD_getErrorName(left));
        if (left == 0)
            return unpack_finish(j, &b, out);
        if (in.pos == size && !progress && to.pos < to.size)
            return loader_fail(j, -ENOEXEC, "the zstd data is truncated; get the file again");
    }
}
