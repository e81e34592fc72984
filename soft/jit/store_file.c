/*
 * Files of records, by which translations outlive a run: how they are read.
 *
 * Nothing is read before it is needed: the file is mapped, only the header is looked at when it is
 * opened, and a record has its own checksum.
 *
 * Who may write these files can run code in this process. The barrier is whose they are: a folder
 * and files of this user that nobody else may read or write. The checksums are against accidents
 * only; with a secret key they would be no better, as it would lie where the same user can read it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/compiler.h"
#include "soft/jit/store_format.h"

static bool is_ours(const struct stat *st)
{
    return st->st_uid == geteuid() && !(st->st_mode & 077);
}

int store_folder_check(int folder)
{
    struct stat st;

    if (fstat(folder, &st) != 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    return is_ours(&st) ? 0 : -EPERM;
}

/* Who adds to the file may write its header meanwhile, or give its name to a new one. */
#define TRIES 3

int store_file_descriptor(int folder, uint64_t key, int flags)
{
    for (unsigned n = 1;; n++) {
        struct stat st;
        int fd =
            openat(folder, store_name_of(key).text, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        int err = fstat(fd, &st) != 0 ? -errno : 0;
        bool replaced = !err && !st.st_nlink;
        if (!err && (!S_ISREG(st.st_mode) || !is_ours(&st) || st.st_nlink != 1))
            err = -EPERM;
        if (!err)
            return fd;
        close(fd);
        if (!replaced || n == TRIES)
            return err;
    }
}

static bool is_header(const struct store_header *h, uint64_t key, uint64_t size)
{
    return memcmp(h->magic, STORE_MAGIC, sizeof h->magic) == 0 &&
           h->checksum == store_sum_header(key, h) && h->key == key && h->size <= size &&
           h->size <= STORE_LIMIT && h->slots && !(h->slots & (h->slots - 1)) &&
           (h->size | h->table) % STORE_ALIGN == 0 && h->table >= sizeof *h &&
           h->table <= h->size && h->slots <= (h->size - h->table) / sizeof(struct store_slot);
}

int store_file_map(struct store_file *f, int fd, uint64_t key)
{
    struct stat st;
    struct store_header h;
    bool ok = false;

    *f = (struct store_file){ .key = key };
    for (unsigned n = 0; n < TRIES && !ok; n++) {
        ssize_t got = pread(fd, &h, sizeof h, 0);
        if (got < 0 || fstat(fd, &st) != 0)
            return -errno;
        ok = got == sizeof h && is_header(&h, key, (uint64_t)st.st_size);
    }
    if (!ok)
        return -EBADMSG;
    void *map = mmap(NULL, h.size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return -errno;
    f->map = map;
    f->size = h.size;
    f->table = h.table;
    f->slots = h.slots;
    return 0;
}

int store_file_open(struct store_file *f, int folder, uint64_t key)
{
    *f = (struct store_file){ .key = key };
    int fd = store_file_descriptor(folder, key, O_RDONLY);
    if (fd < 0)
        return fd;
    int err = store_file_map(f, fd, key);
    if (!err)
        (void)futimens(fd, NULL); /* of many files the one goes that nobody uses */
    close(fd);
    return err;
}

void store_file_close(struct store_file *f)
{
    if (f->map)
        munmap((void *)(uintptr_t)f->map, f->size);
    f->map = NULL;
}

const struct store_record *store_record_at(const struct store_file *f, size_t at)
{
    const struct store_record *r = (const void *)(f->map + at);

    if (at < sizeof(struct store_header) || at > f->size || f->size - at < sizeof *r ||
        r->size % 8 || r->size > f->size - at - sizeof *r)
        return NULL;
    return r;
}

const struct store_record *store_file_find(const struct store_file *f, uint64_t hash,
                                           uint32_t *probe)
{
    if (!f->map)
        return NULL;
    const struct store_slot *slot = (const void *)(f->map + f->table);

    while (*probe < STORE_PROBES) {
        const struct store_slot *s = &slot[(hash + (*probe)++) & (f->slots - 1)];
        if (!s->at)
            return NULL;
        if (s->hash != (uint32_t)hash)
            continue;
        const struct store_record *r = store_record_at(f, (size_t)s->at * STORE_ALIGN);
        if (r && r->hash == hash)
            return r;
    }
    return NULL;
}

static const struct store_slot *slot_of(const struct store_file *f, uint64_t hash)
{
    return (const struct store_slot *)(const void *)(f->map + f->table) + (hash & (f->slots - 1));
}

void store_file_near(const struct store_file *f, uint64_t hash)
{
    __builtin_prefetch(slot_of(f, hash));
}

void store_file_nearer(const struct store_file *f, uint64_t hash)
{
    const struct store_slot *s = slot_of(f, hash);
    const uint8_t *r = f->map + (size_t)s->at * STORE_ALIGN;

    if (s->hash == (uint32_t)hash)
        for (unsigned n = 0; n < 8; n++)
            __builtin_prefetch(r + n * 64);
}

bool store_record_is_sound(const struct store_file *f, const struct store_record *r)
{
    return r->checksum == store_sum_record(f->key, r);
}
