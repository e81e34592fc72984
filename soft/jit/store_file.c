/*
 * Files of records, by which translations outlive a run: a header, a table of hashes, records.
 *
 * Nothing is read before it is needed: the file is mapped, only the header is looked at when it is
 * opened, and a record has its own checksum. A file never changes: a new one is written beside it
 * and takes its name, so that whoever has the old one mapped keeps it, and a process that ends in
 * the middle leaves a file that nobody looks at.
 *
 * Who may write these files can run code in this process. The barrier is whose they are: a folder
 * and files of this user that nobody else may read or write. The checksums are against accidents
 * only; with a secret key they would be no better, as it would lie where the same user can read it.
 */
#include "soft/jit/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/bytes.h"
#include "base/compiler.h"

#define MAGIC      "ireko-1"
#define KEPT_FILES 8 /* of other builds, hosts and switches */
#define PROBES     64
#define LIST_ROOM  (1u << 20) /* bytes to begin with */
#define BUFFER     (1u << 20)

struct header {
    char magic[8];
    uint64_t key;
    uint64_t size;  /* of the file */
    uint32_t slots; /* a power of two */
    uint32_t records;
    uint64_t checksum; /* of what is before it */
    uint8_t zero[24];
};

/* In the table, by the hash's low bits, or the next ones that were free. */
struct slot {
    uint32_t tag; /* the hash's high bits */
    uint32_t at;  /* where the record is, in STORE_ALIGN; 0: nothing */
};

_Static_assert(sizeof(struct header) % STORE_ALIGN == 0, "the table is aligned");
_Static_assert(sizeof(struct store_record) % STORE_ALIGN == 0, "what is behind it is aligned");

static uint64_t sum_of(uint64_t key, const void *data, size_t size)
{
    const uint8_t *p = data;
    uint64_t sum[4] = { key, ~key, key << 1, key >> 1 };

    for (size_t n = 0; n < size / 8; n++) {
        uint64_t *s = &sum[n % 4];
        *s = (*s ^ ld_le64(p + n * 8)) * 0x9e3779b97f4a7c15ull;
        *s ^= *s >> 32;
    }
    for (unsigned n = 1; n < 4; n++)
        sum[0] = (sum[0] ^ sum[n]) * 0xff51afd7ed558ccdull;
    return sum[0] ^ sum[0] >> 29 ^ size;
}

static uint64_t sum_of_record(uint64_t key, const struct store_record *r)
{
    return sum_of(key, &r->hash, sizeof *r - sizeof r->checksum + r->size);
}

static size_t span_of(const struct store_record *r)
{
    return align_up(sizeof *r + r->size, STORE_ALIGN);
}

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

/* Names. Those of files that are being written have the process behind. */

#define PREFIX     "code-"
#define KEY_DIGITS 16

struct name {
    char text[64];
};

static struct name name_of(uint64_t key)
{
    struct name name;
    snprintf(name.text, sizeof name.text, PREFIX "%016llx", (unsigned long long)key);
    return name;
}

/* Nothing else in the folder is ours to remove. */
static bool is_name(const char *text)
{
    if (strncmp(text, PREFIX, strlen(PREFIX)) != 0 || strlen(text) >= sizeof(struct name))
        return false;
    text += strlen(PREFIX);
    if (strspn(text, "0123456789abcdef") != KEY_DIGITS)
        return false;
    text += KEY_DIGITS;
    return !*text ||
           (*text == '.' && text[1] && strspn(text + 1, "0123456789") == strlen(text + 1));
}

/* Reading. */

static bool is_header(const struct header *h, uint64_t key, size_t size)
{
    size_t table = (size_t)h->slots * sizeof(struct slot);

    return memcmp(h->magic, MAGIC, sizeof h->magic) == 0 &&
           h->checksum == sum_of(key, h, offsetof(struct header, checksum)) && h->key == key &&
           h->size == size && h->slots && !(h->slots & (h->slots - 1)) && table <= size - sizeof *h;
}

int store_file_open(struct store_file *f, int folder, uint64_t key)
{
    struct stat st;
    struct header h;

    *f = (struct store_file){ .key = key };
    int fd = openat(folder, name_of(key).text, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = fstat(fd, &st) != 0 ? -errno : 0;
    if (!err && (!S_ISREG(st.st_mode) || !is_ours(&st) || st.st_nlink != 1))
        err = -EPERM;
    if (!err && (st.st_size < (off_t)sizeof h || st.st_size > STORE_LIMIT ||
                 pread(fd, &h, sizeof h, 0) != (ssize_t)sizeof h ||
                 !is_header(&h, key, (size_t)st.st_size)))
        err = -EBADMSG;
    void *map = err ? MAP_FAILED : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (!err && map == MAP_FAILED)
        err = -errno;
    close(fd);
    if (err)
        return err;
    f->map = map;
    f->size = (size_t)st.st_size;
    f->first = sizeof h + h.slots * sizeof(struct slot);
    return 0;
}

void store_file_close(struct store_file *f)
{
    if (f->map)
        munmap((void *)(uintptr_t)f->map, f->size);
    f->map = NULL;
}

/* The record at `at`, if all of it is in the file. */
static const struct store_record *record_at(const struct store_file *f, size_t at)
{
    const struct store_record *r = (const void *)(f->map + at);

    if (at < f->first || at > f->size || f->size - at < sizeof *r || r->size % 8 ||
        r->size > f->size - at - sizeof *r)
        return NULL;
    return r;
}

const struct store_record *store_file_find(const struct store_file *f, uint64_t hash,
                                           uint32_t *probe)
{
    if (!f->map)
        return NULL;
    const struct slot *slot = (const void *)(f->map + sizeof(struct header));
    size_t slots = (f->first - sizeof(struct header)) / sizeof *slot;

    while (*probe < PROBES) {
        const struct slot *s = &slot[(hash + (*probe)++) & (slots - 1)];
        if (!s->at)
            return NULL;
        if (s->tag != hash >> 32)
            continue;
        const struct store_record *r = record_at(f, (size_t)s->at * STORE_ALIGN);
        if (r && r->hash == hash)
            return r;
    }
    return NULL;
}

bool store_record_is_sound(const struct store_file *f, const struct store_record *r)
{
    return r->checksum == sum_of_record(f->key, r);
}

/* Lists. */

struct store_record *store_list_begin(struct store_list *list, size_t size)
{
    size_t span = align_up(sizeof(struct store_record) + size, STORE_ALIGN);

    if (list->size + span > STORE_LIMIT)
        return NULL;
    if (list->size + span > list->room) {
        size_t room = list->room ? list->room * 2 : LIST_ROOM;
        while (room < list->size + span)
            room *= 2;
        void *data = list->room ? mremap(list->data, list->room, room, MREMAP_MAYMOVE)
                                : mmap(NULL, room, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (data == MAP_FAILED)
            return NULL;
        list->data = data;
        list->room = room;
    }
    struct store_record *r = (void *)(list->data + list->size);
    *r = (struct store_record){ .size = (uint32_t)size };
    return r;
}

void store_list_end(struct store_list *list, uint64_t key, struct store_record *r)
{
    r->checksum = sum_of_record(key, r);
    list->size += span_of(r);
}

void store_list_free(struct store_list *list)
{
    if (list->room)
        munmap(list->data, list->room);
    *list = (struct store_list){ 0 };
}

void store_list_move(struct store_list *list, struct store_list *from)
{
    if (!list->size) {
        store_list_free(list);
        *list = *from;
        *from = (struct store_list){ 0 };
        return;
    }
    for (size_t at = 0; at < from->size;) {
        const struct store_record *r = (const void *)(from->data + at);
        struct store_record *copy = store_list_begin(list, r->size);
        if (!copy)
            break;
        memcpy(copy, r, sizeof *r + r->size);
        list->size += span_of(r);
        at += span_of(r);
    }
    store_list_free(from);
}

/* Writing. */

/* The records of a new file, and its table. */
struct made {
    const struct store_record **record; /* NULL: left out */
    size_t count, room;
    struct slot *slot;
    size_t slots, size;
};

static bool made_add(struct made *m, const struct store_record *r)
{
    if (m->count == m->room) {
        size_t room = m->room ? m->room * 2 : 4096;
        void *grown = realloc((void *)m->record, room * sizeof *m->record);
        if (!grown)
            return false;
        m->record = grown;
        m->room = room;
    }
    m->record[m->count++] = r;
    return true;
}

static bool made_add_file(struct made *m, const struct store_file *f)
{
    const struct store_record *r;

    for (size_t at = f->first; (r = record_at(f, at)) && store_record_is_sound(f, r);
         at += span_of(r))
        if (!made_add(m, r))
            return false;
    return true;
}

static bool made_add_list(struct made *m, const struct store_list *list)
{
    for (size_t at = 0; at < list->size;) {
        const struct store_record *r = (const void *)(list->data + at);
        if (!made_add(m, r))
            return false;
        at += span_of(r);
    }
    return true;
}

/* The slot for a record: a free one, or that of a younger one in its stead. NULL: none of those
 * where it would be looked for; guests can choose hashes, and cannot have a search take longer by
 * that. While the table is made, a slot has the number of the record in place of its address. */
static struct slot *made_slot(const struct made *m, const struct store_record *r)
{
    for (size_t n = 0; n < PROBES; n++) {
        struct slot *s = &m->slot[(r->hash + n) & (m->slots - 1)];
        if (!s->at ||
            (m->record[s->at - 1]->hash == r->hash && m->record[s->at - 1]->name == r->name))
            return s;
    }
    return NULL;
}

static bool made_finish(struct made *m)
{
    for (m->slots = 1; m->slots < m->count * 2; m->slots *= 2)
        ;
    m->slot = calloc(m->slots, sizeof *m->slot);
    if (!m->slot)
        return false;
    for (size_t n = m->count; n-- > 0;) { /* the youngest first */
        struct slot *s = made_slot(m, m->record[n]);
        if (!s || s->at)
            m->record[n] = NULL;
        else
            *s = (struct slot){ (uint32_t)(m->record[n]->hash >> 32), (uint32_t)n + 1 };
    }
    m->size = sizeof(struct header) + m->slots * sizeof *m->slot;
    m->size = align_up(m->size, STORE_ALIGN);
    return true;
}

/* Give each record its place; those that do not fit are left out. */
static uint32_t made_place(struct made *m)
{
    uint32_t *place = malloc(m->count * sizeof *place), records = 0;

    if (!place)
        return 0;
    for (size_t n = 0; n < m->count; n++) {
        if (m->record[n] && m->size + span_of(m->record[n]) > STORE_LIMIT)
            m->record[n] = NULL;
        place[n] = (uint32_t)(m->size / STORE_ALIGN);
        if (!m->record[n])
            continue;
        m->size += span_of(m->record[n]);
        records++;
    }
    for (size_t n = 0; n < m->slots; n++)
        if (m->slot[n].at)
            m->slot[n].at = place[m->slot[n].at - 1];
    free(place);
    return records;
}

static int put(FILE *out, const void *data, size_t size)
{
    return fwrite(data, 1, size, out) == size ? 0 : -errno;
}

static int write_file(FILE *out, uint64_t key, struct made *m)
{
    struct header h = { .magic = MAGIC, .key = key, .slots = (uint32_t)m->slots };
    size_t table = m->slots * sizeof *m->slot;
    static const uint8_t zero[STORE_ALIGN];

    h.records = made_place(m);
    h.size = m->size;
    h.checksum = sum_of(key, &h, offsetof(struct header, checksum));
    if (!h.records)
        return -ENOMEM;
    int err = put(out, &h, sizeof h);
    if (!err)
        err = put(out, m->slot, table);
    if (!err)
        err = put(out, zero, align_up(table, STORE_ALIGN) - table);
    for (size_t n = 0; !err && n < m->count; n++) {
        const struct store_record *r = m->record[n];
        if (!r)
            continue;
        err = put(out, r, sizeof *r + r->size);
        if (!err)
            err = put(out, zero, span_of(r) - sizeof *r - r->size);
    }
    return err;
}

/* Under its name only when it is whole. */
static int write_named(int folder, uint64_t key, struct made *m)
{
    struct name name = name_of(key), new = name;
    size_t length = strlen(name.text);

    snprintf(new.text + length, sizeof new.text - length, ".%ld", (long)getpid());
    (void)unlinkat(folder, new.text, 0); /* of a process that is no more */
    int fd = openat(folder, new.text, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!out) {
        int err = -errno;
        if (fd >= 0)
            close(fd);
        return err;
    }
    setvbuf(out, NULL, _IOFBF, BUFFER);
    int err = write_file(out, key, m);
    if (fclose(out) != 0 && !err)
        err = -errno;
    if (!err && renameat(folder, new.text, folder, name.text) != 0)
        err = -errno;
    if (err)
        (void)unlinkat(folder, new.text, 0);
    return err;
}

/* Files of other builds, and of processes that ended in the middle, go when there are many: the
 * oldest. Returns whether one went. */
static bool remove_oldest(int folder)
{
    struct dirent *entry;
    struct name oldest = { "" };
    struct timespec since = { 0 };
    unsigned files = 0;
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
        if (files++ && (st.st_mtim.tv_sec > since.tv_sec ||
                        (st.st_mtim.tv_sec == since.tv_sec && st.st_mtim.tv_nsec >= since.tv_nsec)))
            continue;
        since = st.st_mtim;
        memcpy(oldest.text, entry->d_name, strlen(entry->d_name) + 1);
    }
    closedir(dir);
    return files > KEPT_FILES && unlinkat(folder, oldest.text, 0) == 0;
}

int store_file_write(int folder, uint64_t key, const struct store_list *list)
{
    struct store_file old = { 0 };
    struct made m = { 0 };

    if (!list->size)
        return 0;
    if (store_file_open(&old, folder, key) == 0 && old.size + list->size > STORE_LIMIT)
        store_file_close(&old);
    int err = -ENOMEM;
    if ((!old.map || made_add_file(&m, &old)) && made_add_list(&m, list) && made_finish(&m))
        err = write_named(folder, key, &m);
    while (!err && remove_oldest(folder))
        ;
    store_file_close(&old);
    free((void *)m.record);
    free(m.slot);
    return err;
}
