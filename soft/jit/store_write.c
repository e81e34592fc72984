/*
 * Files of records: how they are written.
 *
 * A run adds to the file what it found nothing for, at the end: records, one buffer after the
 * other, then a table of all, then the header that leads to it. One process at a time does so;
 * another one that ends meanwhile does not wait, but leaves its own out. If there is no file, or
 * none that can be added to, a new one is made beside it, and takes its name when it is whole.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/populate.h"
#include "soft/jit/store_format.h"

#define KEPT_FILES 8 /* of other builds, hosts and switches */
#define BUFFER     (256u << 10)
#define KEPT_BYTES (2ull * STORE_LIMIT) /* of all files */

/* Lists. They have addresses for all that they may hold, and pages of 2 MiB if the host makes some:
 * a fault for each small page takes longer than to note what belongs there. */

#define LIST_ROOM (STORE_LIMIT + LARGE_PAGE)

static bool list_map(struct store_list *list)
{
    uint8_t *p = mmap(NULL, LIST_ROOM, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (p == MAP_FAILED)
        return false;
    (void)madvise(p, LIST_ROOM, MADV_HUGEPAGE);
    list->mapped = p;
    list->data = p + (-(uintptr_t)p & (LARGE_PAGE - 1));
    return true;
}

void *store_list_add(struct store_list *list, size_t size)
{
    if (size > STORE_LIMIT - list->size)
        return NULL;
    if (!list->mapped && !list_map(list))
        return NULL;
    list->size += size;
    return list->data + list->size - size;
}

void store_list_free(struct store_list *list)
{
    if (list->mapped)
        munmap(list->mapped, LIST_ROOM);
    *list = (struct store_list){ 0 };
}

/* Names. */

/* Nothing else in the folder is ours to remove. */
static bool is_name(const char *text)
{
    if (strncmp(text, STORE_PREFIX, strlen(STORE_PREFIX)) != 0 ||
        strlen(text) >= sizeof(struct store_name))
        return false;
    text += strlen(STORE_PREFIX);
    if (strspn(text, "0123456789abcdef") != STORE_DIGITS)
        return false;
    text += STORE_DIGITS;
    return !*text ||
           (*text == '.' && text[1] && strspn(text + 1, "0123456789") == strlen(text + 1));
}

static struct store_name new_name(uint64_t key)
{
    struct store_name name = store_name_of(key);
    size_t length = strlen(name.text);

    snprintf(name.text + length, sizeof name.text - length, ".%ld", (long)getpid());
    return name;
}

/* Begin. */

static int open_new(struct store_writer *w)
{
    struct store_name name = new_name(w->key);

    (void)unlinkat(w->folder, name.text, 0); /* of a process that is no more */
    w->fd =
        openat(w->folder, name.text, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    w->at = sizeof(struct store_header);
    return w->fd < 0 ? -errno : 0;
}

/* Is the descriptor that of the file, or did another one take its name? */
static bool is_named(const struct store_writer *w)
{
    struct stat here, there;

    return fstat(w->fd, &here) == 0 &&
           fstatat(w->folder, store_name_of(w->key).text, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* A write beyond the process's own limit would end it. */
static size_t size_limit(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < STORE_LIMIT ? limit.rlim_cur
                                                                                : STORE_LIMIT;
}

/* Of these for records, and for the tables of earlier ones. */
static size_t room(const struct store_writer *w)
{
    return w->limit / 8 * 7;
}

/* -EBUSY, or an error that means that there is nothing to add to. */
static int open_old(struct store_writer *w, size_t expected)
{
    w->fd = store_file_descriptor(w->folder, w->key, O_RDWR);
    if (w->fd < 0)
        return w->fd;
    if (flock(w->fd, LOCK_EX | LOCK_NB) != 0 || !is_named(w))
        return -EBUSY;
    int err = store_file_map(&w->old, w->fd, w->key);
    if (!err && w->old.size + expected > room(w))
        err = -EFBIG;
    w->at = w->old.size;
    return err;
}

static void writer_close(struct store_writer *w)
{
    store_file_close(&w->old);
    store_list_free(&w->added);
    free(w->buffer);
    w->buffer = NULL;
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

int store_writer_begin(struct store_writer *w, int folder, uint64_t key, bool anew, size_t expected)
{
    *w = (struct store_writer){
        .folder = folder, .key = key, .fd = -1, .buffer = malloc(BUFFER), .limit = size_limit()
    };
    int err = !w->buffer ? -ENOMEM : anew ? -ENOENT : open_old(w, expected);
    if (err && err != -EBUSY && err != -ENOMEM) {
        if (w->fd >= 0)
            close(w->fd);
        store_file_close(&w->old);
        err = open_new(w);
    }
    if (err)
        writer_close(w);
    return err;
}

/* Add. */

/* What the table needs to know of a record. */
struct added {
    uint64_t hash, name;
    size_t at;
};

static void put(struct store_writer *w, const void *data, size_t size)
{
    const uint8_t *p = data;

    if (!w->err && size && (w->at > w->limit || size > w->limit - w->at))
        w->err = -EFBIG;
    while (!w->err && size) {
        ssize_t done = pwrite(w->fd, p, size, (off_t)w->at);
        if (done <= 0) {
            w->err = done < 0 ? -errno : -ENOSPC;
            return;
        }
        p += done;
        size -= (size_t)done;
        w->at += (size_t)done;
    }
}

struct store_record *store_writer_room(struct store_writer *w, size_t size)
{
    size_t span = store_span(size);

    if (w->filled + span > BUFFER) {
        put(w, w->buffer, w->filled);
        w->filled = 0;
    }
    if (w->err || span > BUFFER || w->at + w->filled + span > room(w))
        return NULL;
    struct store_record *r = (void *)(w->buffer + w->filled);
    memset(r, 0, sizeof *r);
    memset((uint8_t *)r + span - STORE_ALIGN, 0, STORE_ALIGN); /* what `size` leaves */
    r->size = (uint32_t)size;
    return r;
}

void store_writer_add(struct store_writer *w, struct store_record *r)
{
    struct added *a = store_list_add(&w->added, sizeof *a);

    if (!a)
        return;
    *a = (struct added){ r->hash, r->name, w->at + w->filled };
    r->checksum = store_sum_record(w->key, r);
    w->filled += store_span(r->size);
}

/* The table. While it is made, a slot of a new record has its number and this bit in place of where
 * it is. */
#define NEW 0x80000000u

struct table {
    struct store_slot *slot;
    size_t slots;
};

static struct added added_at(const struct store_file *f, size_t at)
{
    const struct store_record *r = store_record_at(f, at);

    return r ? (struct added){ r->hash, r->name, at } : (struct added){ .at = 0 };
}

/* The slot for a record, new, or old and at `at`: a free one. NULL: a younger one has its name; or
 * none of those is free where it would be looked for, as guests can choose hashes, and cannot have
 * a search take longer by that. */
static struct store_slot *free_slot(const struct store_writer *w, const struct table *t,
                                    uint32_t hash, const struct added *new, size_t at)
{
    for (size_t n = 0; n < STORE_PROBES; n++) {
        struct store_slot *s = &t->slot[(hash + n) & (t->slots - 1)];
        if (!s->at)
            return s;
        if (s->hash != hash || !(s->at & NEW))
            continue;
        const struct added *a = (const struct added *)(void *)w->added.data + (s->at & ~NEW);
        const struct added b = new ? *new : added_at(&w->old, at);
        if (!b.at || (a->hash == b.hash && a->name == b.name))
            return NULL;
    }
    return NULL;
}

static bool make_table(const struct store_writer *w, struct table *t)
{
    const struct store_slot *old = w->old.map ? (const void *)(w->old.map + w->old.table) : NULL;
    const size_t old_slots = old ? w->old.slots : 0;
    const struct added *new = (const void *)w->added.data;
    size_t count = w->added.size / sizeof *new, all = count;
    struct store_slot *s;

    for (size_t n = 0; n < old_slots; n++)
        all += old[n].at != 0;
    for (t->slots = 1; t->slots < all * 2; t->slots *= 2)
        ;
    t->slot = calloc(t->slots, sizeof *t->slot);
    if (!t->slot)
        return false;
    for (size_t n = count; n-- > 0;) /* the youngest first */
        if ((s = free_slot(w, t, (uint32_t)new[n].hash, &new[n], 0)))
            *s = (struct store_slot){ (uint32_t)new[n].hash, NEW | (uint32_t)n };
    for (size_t n = 0; n < old_slots; n++)
        if (old[n].at && old[n].at < NEW &&
            (s = free_slot(w, t, old[n].hash, NULL, (size_t)old[n].at * STORE_ALIGN)))
            *s = old[n];
    for (size_t n = 0; n < t->slots; n++)
        if (t->slot[n].at & NEW)
            t->slot[n].at = (uint32_t)(new[t->slot[n].at & ~NEW].at / STORE_ALIGN);
    return true;
}

/* End. */

/* Files of other builds, and of processes that ended in the middle, go when there are many, or
 * large ones: the one that was not used for the longest time. Returns whether one went. */
static bool remove_oldest(int folder)
{
    struct dirent *entry;
    struct store_name oldest = { "" };
    struct timespec since = { 0 };
    unsigned files = 0;
    uint64_t bytes = 0;
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    while ((entry = readdir(dir))) {
        struct stat st;
        if (!is_name(entry->d_name) ||
            fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        bytes += (uint64_t)st.st_size;
        if (files++ && (st.st_mtim.tv_sec > since.tv_sec ||
                        (st.st_mtim.tv_sec == since.tv_sec && st.st_mtim.tv_nsec >= since.tv_nsec)))
            continue;
        since = st.st_mtim;
        memcpy(oldest.text, entry->d_name, strlen(entry->d_name) + 1);
    }
    closedir(dir);
    return (files > KEPT_FILES || (files > 1 && bytes > KEPT_BYTES)) &&
           unlinkat(folder, oldest.text, 0) == 0;
}

static void put_header(struct store_writer *w, size_t table, size_t slots)
{
    struct store_header h = {
        .magic = STORE_MAGIC,
        .key = w->key,
        .size = w->at,
        .table = table,
        .slots = (uint32_t)slots,
    };

    h.checksum = store_sum_header(w->key, &h);
    w->at = 0;
    put(w, &h, sizeof h);
}

static void put_table(struct store_writer *w)
{
    struct table t;

    if (w->err || !make_table(w, &t)) {
        w->err = w->err ? w->err : -ENOMEM;
        return;
    }
    size_t at = w->at;
    put(w, t.slot, t.slots * sizeof *t.slot);
    free(t.slot);
    if (!w->err && ftruncate(w->fd, (off_t)w->at) != 0) /* who did not finish wrote more */
        w->err = -errno;
    if (!w->err)
        put_header(w, at, t.slots);
}

/* The new file, which is whole, takes its name; or it goes. */
static int end_new(const struct store_writer *w, bool whole)
{
    struct store_name name = store_name_of(w->key), new = new_name(w->key);
    int err = 0;

    if (whole && renameat(w->folder, new.text, w->folder, name.text) != 0)
        err = -errno;
    if (!whole || err)
        (void)unlinkat(w->folder, new.text, 0);
    return err;
}

int store_writer_end(struct store_writer *w)
{
    bool is_new = !w->old.map, any = w->added.size != 0;

    put(w, w->buffer, w->filled);
    if (any)
        put_table(w);
    if (is_new) {
        int err = end_new(w, any && !w->err);
        w->err = w->err ? w->err : err;
    } else if (w->err) {
        (void)!ftruncate(w->fd, (off_t)w->old.size);
    }
    writer_close(w);
    while (!w->err && any && remove_oldest(w->folder))
        ;
    return w->err;
}
