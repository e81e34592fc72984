/*
 * Translations that outlive the run: blocks as records of a file (store_file.c, store_write.c).
 * They become blocks again in store_load.c.
 *
 * A block is taken from the file in place of a translation when nothing else has it. It is stored
 * like what another vCPU has, code, exits and relocations (clone.c), and what it was made of: the
 * words that were translated and those that were looked at, which all have to be in memory at the
 * same places of the page. Physical and virtual addresses do not count. All else that code depends
 * on is in the file's key: the build, what the host's CPU has, the switches, the guest's CPU.
 *
 * When a block is made, only those words are noted. Records are made of the blocks that are still
 * found when the VM ends, or before the cache is reset. By then the guest's RAM is free, and the
 * host has memory at hand for the file: where that is dear, as in a virtual machine, writing takes
 * a fraction of the time. Records go to the file's end, by which those of warm code take the place
 * of earlier ones of the same code. The file is only read while vCPUs run, so nobody locks it.
 */
#include "soft/jit/store_block.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "soft/jit/translate.h"

/* The key of files. */

struct build {
    uintptr_t address; /* in the program or library that this is */
    uint64_t hash;     /* of its build id; 0: it has none */
};

static void find_build_id(struct build *b, const uint8_t *p, size_t size)
{
    while (size >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, p, sizeof note);
        size_t name = align_up(note.n_namesz, 4), desc = align_up(note.n_descsz, 4);
        if (name + desc > size - sizeof note)
            return;
        p += sizeof note;
        if (note.n_type == NT_GNU_BUILD_ID && name == 4 && memcmp(p, "GNU", 4) == 0) {
            for (size_t n = 0; n < note.n_descsz; n++)
                b->hash = store_mix(b->hash, p[name + n]);
            b->hash |= 1;
            return;
        }
        p += name + desc;
        size -= sizeof note + name + desc;
    }
}

static int find_build(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct build *b = ctx;
    bool here = false;

    (void)size;
    for (unsigned n = 0; n < info->dlpi_phnum; n++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[n];
        here |= ph->p_type == PT_LOAD && b->address - info->dlpi_addr - ph->p_vaddr < ph->p_memsz;
    }
    for (unsigned n = 0; here && n < info->dlpi_phnum && !b->hash; n++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[n];
        if (ph->p_type == PT_NOTE)
            find_build_id(b, (const uint8_t *)info->dlpi_addr + ph->p_vaddr, ph->p_memsz);
    }
    return here;
}

/* 0: the build has no name. */
static uint64_t key_of(const struct jit *j)
{
    struct build build = { .address = (uintptr_t)jit_store_open };
    const struct jit_knobs *k = &j->knobs;
    const struct soft_vm *vm = j->v->cpu.vm;

    dl_iterate_phdr(find_build, &build);
    if (!build.hash)
        return 0;
    uint64_t h = store_mix(build.hash, j->start);
    for (size_t n = 0; n < sizeof j->host; n++)
        h = store_mix(h, ((const uint8_t *)&j->host)[n]);
    for (size_t n = offsetof(struct jit_knobs, baseline); n <= offsetof(struct jit_knobs, wrong);
         n++)
        h = store_mix(h, ((const uint8_t *)k)[n]);
    h = store_mix(store_mix(h, k->max), k->warm == 0);
    h = store_mix(store_mix(h, vm->options), vm->gic != NULL);
    return store_mix(h, vm->check); /* which knobs.check will be, but is not yet */
}

/* Open and close. */

static const char *reason(int err)
{
    return err == -EPERM     ? "it is not this user's alone"
           : err == -EBADMSG ? "it is cut off or damaged"
                             : strerror(-err);
}

/* What hvx_set_code_folder() said, or the knob. A descriptor of our own, or why not. */
static int folder_of(const struct jit *j)
{
    int given = j->v->cpu.vm->code_folder;
    const char *path = j->knobs.keep;

    if (!given && mkdir(path, 0700) != 0 && errno != EEXIST)
        return -errno;
    int folder = given ? fcntl(given, F_DUPFD_CLOEXEC, 0)
                       : open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int err = folder < 0 ? -errno : store_folder_check(folder);
    if (err && folder >= 0)
        close(folder);
    return err ? err : folder;
}

static struct jit_store *store_new(const struct jit *j)
{
    const struct soft_vm *vm = j->v->cpu.vm;
    enum log_level level = vm->code_folder && vm->code_quiet ? LOG_INFO : LOG_WARN;
    struct jit_store *s = calloc(1, sizeof *s);
    uint64_t key = key_of(j);
    int folder = folder_of(j);

    if (!s || !key || folder < 0) {
        log_message(level, "jit", "no translations are kept: %s",
                    folder < 0 ? reason(folder)
                    : s        ? "this build has no build id"
                               : "there is no memory");
        if (folder >= 0)
            close(folder);
        free(s);
        return NULL;
    }
    s->folder = folder;
    s->key = key;
    s->level = level;
    int err = store_file_open(&s->file, folder, key);
    if (err && err != -ENOENT)
        log_message(level, "jit", "the file of kept translations is not used: %s", reason(err));
    return s;
}

/* From a block to a record. */

/* Of a block that was translated: what is behind this is each of the words that it was made of.
 * Guests run while it is, and may change them: a record has what was seen, or one guest could have
 * another run what is not the translation of its code. */
struct noted {
    uint64_t hash;
    uint32_t block;
    uint32_t size; /* up to the next one */
    uint32_t word[];
};

static struct store_block stored_of(const struct jit_block *b)
{
    return (struct store_block){
        .va = b->va,
        .code = b->code,
        .cold = b->cold,
        .words = (uint16_t)(b->count + b->looked),
        .high = b->high,
        .reloc_count = b->reloc_count,
        .hot_size = b->hot_size,
        .cold_size = b->cold_size,
        .mode = b->mode,
        .is_warm = b->is_warm,
        .count = b->count,
        .exit_count = b->exit_count,
    };
}

void jit_store_note(jit_t t, uint32_t block)
{
    struct jit *j = t->jit;
    const struct jit_block *b = &j->block[block];
    const struct store_block s = stored_of(b);

    if (!b->reloc_count)
        return;
    /* a guest may make code for as long as it runs */
    size_t span = store_span(store_parts_of(&s).end);
    if (atomic_fetch_add_explicit(&j->store->noted, span, memory_order_relaxed) > STORE_LIMIT)
        return;
    size_t size = align_up(sizeof(struct noted) + s.words * sizeof(uint32_t), 8);
    struct noted *n = store_list_add(&j->cache->noted, size);
    if (!n)
        return;
    n->hash = store_hash_of(t->page, s.va & 4095, s.mode);
    n->block = block;
    n->size = (uint32_t)size;
    for (unsigned k = 0; k < s.count; k++)
        n->word[k] = t->insn[k].i.word;
    for (unsigned k = s.count; k < s.words; k++)
        n->word[k] = j->looked.word[j->looked.at[k - s.count] / 4];
}

/* The hot part as it was before exits were linked. */
static void copy_hot(uint8_t *hot, const struct jit_image *image)
{
    const struct jit_block *b = image->block;

    memcpy(hot, image->hot, b->hot_size);
    for (unsigned n = 0; n < b->exit_count; n++) {
        const struct jit_exit *e = &image->exit[n];
        st_le32(hot + (e->site - b->code), e->tail - (e->site + 4));
        if (e->bound)
            jit_bind_patch(hot + (jit_exit_bind_site(e) - b->code), e->target);
    }
}

static void fill_exits(struct store_exit *to, const struct store_block *s,
                       const struct jit_exit *from)
{
    for (unsigned n = 0; n < s->exit_count; n++) {
        const struct jit_exit *e = &from[n];
        to[n].target = (int32_t)(int64_t)(e->target - s->va); /* B reaches 128 MiB */
        to[n].site = (uint16_t)((e->site - s->code) | (e->bound ? STORE_BOUND : 0) |
                                (e->called ? STORE_CALLED : 0));
        to[n].tail = (uint16_t)(e->tail - s->cold);
    }
}

/* `r` has room for all relocations; its size becomes that with those that are kept. */
static void fill(struct store_record *r, const struct jit_cache *c, const struct noted *noted,
                 struct store_block s)
{
    const struct jit_block *b = &c->block[noted->block];
    struct store_parts p = store_parts_of(&s);
    struct jit_image image = jit_image_of(&c->code, b);
    uint8_t *to = (uint8_t *)(r + 1);

    uint64_t name = store_mix(s.mode, s.va & 4095);

    for (unsigned n = 0; n < s.count; n++)
        name = store_mix(name, noted->word[n]);
    memcpy(to + p.word, noted->word, s.words * sizeof noted->word[0]);
    fill_exits((void *)(to + p.exits), &s, image.exit);
    memcpy(to + p.looked, image.looked, p.hot - p.looked);
    copy_hot(to + p.hot, &image);
    memcpy(to + p.cold, image.cold, s.cold_size);
    memset(to + p.cold + s.cold_size, 0, p.relocs - p.cold - s.cold_size);
    image.hot = to + p.hot;
    image.cold = to + p.cold;
    unsigned wide;
    s.reloc_count = (uint16_t)jit_image_sort(&c->code, &image, (void *)(to + p.relocs), &wide);
    s.wide = (uint16_t)wide;
    memcpy(to, &s, sizeof s);
    p = store_parts_of(&s);
    size_t end = p.relocs + s.reloc_count * sizeof(uint16_t);
    memset(to + end, 0, store_span(p.end) - sizeof *r - end);
    *r = (struct store_record){ .hash = noted->hash, .name = name, .size = (uint32_t)p.end };
}

/* Records of what was noted and is still there, to the writer, or without one to the list of those
 * that wait. */
static void make_records(struct jit_cache *c, struct store_writer *w)
{
    const struct noted *n;

    for (size_t at = 0; at < c->noted.size; at += n->size) {
        n = (const void *)(c->noted.data + at);
        if (!c->block[n->block].code)
            continue;
        const struct store_block s = stored_of(&c->block[n->block]);
        size_t room = store_parts_of(&s).end;
        struct store_record *r =
            w ? store_writer_room(w, room) : store_list_add(&c->waiting, store_span(room));
        if (!r)
            return;
        fill(r, c, n, s);
        if (w)
            store_writer_add(w, r);
        else
            c->waiting.size -= store_span(room) - store_span(r->size);
    }
}

void jit_store_reset(struct jit_cache *c)
{
    if (c->store)
        make_records(c, NULL);
    store_list_free(&c->noted);
}

/* The VM ends. */

/* A file is worth its writing if this much of it would be new. */
#define WORTH 16

static bool writer_ready(struct jit_store *s)
{
    size_t noted = atomic_load_explicit(&s->noted, memory_order_relaxed);

    if (!noted || noted < s->file.size / WORTH)
        return false;
    s->err = store_writer_begin(&s->writer, s->folder, s->key, atomic_load(&s->told), noted);
    return !s->err;
}

static void write_records(struct jit_cache *c, struct store_writer *w)
{
    const struct store_record *r;

    for (size_t at = 0; at < c->waiting.size; at += store_span(r->size)) {
        r = (const void *)(c->waiting.data + at);
        struct store_record *to = store_writer_room(w, r->size);
        if (!to)
            return;
        memcpy(to, r, sizeof *r + r->size);
        store_writer_add(w, to);
    }
    make_records(c, w);
}

struct jit_store *jit_store_open(const struct jit *j)
{
    return j->v->cpu.vm->code_folder || j->knobs.keep[0] ? store_new(j) : NULL;
}

void jit_store_close(struct jit_cache *c)
{
    struct jit_store *s = c->store;

    if (!s)
        return;
    if (writer_ready(s)) {
        write_records(c, &s->writer);
        s->err = store_writer_end(&s->writer);
    }
    store_list_free(&c->noted);
    store_list_free(&c->waiting);
    if (s->err && s->err != -EBUSY)
        log_message(s->level, "jit", "translations are not kept: %s", strerror(-s->err));
    store_file_close(&s->file);
    close(s->folder);
    free(s);
}
