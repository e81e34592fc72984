/*
 * Files of kept translations (soft/jit/store.h), given any file: it is refused, or what is found in
 * it lies in it, and records can be added to it and are found.
 *
 * Input: a byte of flags, then the file. Flags have checksums made right where they would stop
 * everything else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "soft/jit/store_format.h"
#include "tests/fuzz/fuzz.h"

#define KEY      0x1234567890abcdefull
#define FIX_HEAD 1 /* magic, key and checksum of the header */
#define FIX_RECS 2 /* checksums of the records that the table leads to */
#define ADD      4 /* records are added */

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void fix_header(uint8_t *file, size_t size)
{
    struct store_header h;

    if (size < sizeof h)
        return;
    memcpy(&h, file, sizeof h);
    memcpy(h.magic, STORE_MAGIC, sizeof h.magic);
    h.key = KEY;
    h.checksum = store_sum_header(KEY, &h);
    memcpy(file, &h, sizeof h);
}

static void fix_records(uint8_t *file, size_t size)
{
    struct store_header h;
    struct store_slot slot;
    struct store_record r;

    if (size < sizeof h)
        return;
    memcpy(&h, file, sizeof h);
    for (uint64_t n = 0; n < h.slots; n++) {
        if (h.table > size || (n + 1) * sizeof slot > size - h.table)
            return;
        memcpy(&slot, file + h.table + n * sizeof slot, sizeof slot);
        size_t at = (size_t)slot.at * STORE_ALIGN;
        if (at > size || size - at < sizeof r)
            continue;
        memcpy(&r, file + at, sizeof r);
        if (r.size > size - at - sizeof r || r.size % 8)
            continue;
        r.checksum = store_sum_record(KEY, (const void *)(file + at));
        memcpy(file + at, &r, sizeof r);
    }
}

/* Look for the hashes of all slots, and for one that may be there by chance only. */
static void look(const struct store_file *f)
{
    for (size_t n = 0; n <= f->slots; n++) {
        const struct store_slot *s = (const void *)(f->map + f->table);
        const struct store_record *r =
            n < f->slots ? store_record_at(f, (size_t)s[n].at * STORE_ALIGN) : NULL;
        uint64_t hash = r ? r->hash : n;
        uint32_t probe = 0;
        while ((r = store_file_find(f, hash, &probe))) {
            const uint8_t *p = (const uint8_t *)r;
            require(r->hash == hash && probe <= STORE_PROBES && p >= f->map &&
                    sizeof *r + r->size <= (size_t)(f->map + f->size - p));
            (void)store_record_is_sound(f, r);
        }
    }
}

/* Hashes that no input has, but by chance; the others may leave no place for one. */
static void add(int folder)
{
    struct store_writer w;
    struct store_file f;

    require(store_writer_begin(&w, folder, KEY, false, 100) == 0);
    for (uint64_t n = 1; n < 4; n++) {
        struct store_record *r = store_writer_room(&w, n * 8);
        require(r != NULL);
        r->hash = n * 0x9e3779b97f4a7c15ull;
        store_writer_add(&w, r);
    }
    require(store_writer_end(&w) == 0);
    require(store_file_open(&f, folder, KEY) == 0);
    for (uint64_t n = 1; n < 4; n++) {
        uint32_t probe = 0;
        const struct store_record *r = store_file_find(&f, n * 0x9e3779b97f4a7c15ull, &probe);
        require(r && store_record_is_sound(&f, r));
    }
    look(&f);
    store_file_close(&f);
}

static void try_file(int folder, unsigned flags, const uint8_t *file, size_t size)
{
    struct store_file f;
    const struct store_name name = store_name_of(KEY);
    int fd = openat(folder, name.text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    require(fd >= 0 && write(fd, file, size) == (ssize_t)size);
    close(fd);
    int err = store_file_open(&f, folder, KEY);
    require(err == 0 || err == -EBADMSG);
    if (!err)
        look(&f);
    if (flags & ADD)
        add(folder);
    store_file_close(&f);
    require(unlinkat(folder, name.text, 0) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[] = "/dev/shm/ireko-store-fuzz-XXXXXX";

    if (size < 1)
        return 0;
    uint8_t *file = malloc(size);
    require(file && mkdtemp(path));
    memcpy(file, data + 1, size - 1);
    if (data[0] & FIX_RECS)
        fix_records(file, size - 1);
    if (data[0] & FIX_HEAD)
        fix_header(file, size - 1);
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    require(folder >= 0);
    try_file(folder, data[0], file, size - 1);
    close(folder);
    require(rmdir(path) == 0);
    free(file);
    return 0;
}

/* A good file of some records, and then a few bytes of it are others. */
size_t fuzz_make_input(uint64_t seed, uint8_t *data)
{
    uint64_t state = seed;
    uint8_t *file = data + 1;
    struct store_header h = { .slots = 8u << fuzz_random(&state) % 4 };
    struct store_slot slot[64] = { { 0 } };
    size_t at = sizeof h, count = fuzz_random(&state) % 12;

    memset(data, 0, FUZZ_INPUT_MAX);
    data[0] = (uint8_t)(fuzz_random(&state) | FIX_HEAD | (fuzz_random(&state) % 4 ? FIX_RECS : 0));
    for (size_t n = 0; n < count; n++) {
        struct store_record r = { .hash = fuzz_random(&state) & 0xffff0003u,
                                  .name = fuzz_random(&state) % 4,
                                  .size = fuzz_random(&state) % 20 * 8 };
        struct store_slot s = { (uint32_t)r.hash, (uint32_t)(at / STORE_ALIGN) };
        memcpy(file + at, &r, sizeof r);
        slot[(r.hash + fuzz_random(&state) % 3) % h.slots] = s;
        at += store_span(r.size);
    }
    h.table = at;
    h.size = at + h.slots * sizeof slot[0];
    memcpy(file, &h, sizeof h);
    memcpy(file + at, slot, h.slots * sizeof slot[0]);
    for (uint64_t n = fuzz_random(&state) % 6; n > 0; n--)
        file[fuzz_random(&state) % h.size] ^= (uint8_t)fuzz_random(&state);
    return 1 + h.size - fuzz_random(&state) % 8 / 7 * (fuzz_random(&state) % 100);
}
