/*
 * The same code at another virtual address: processes map the same physical pages of programs and
 * libraries wherever they like, so what was translated once is copied.
 *
 * A block's code says where it lies in three ways: constants that are made of virtual addresses;
 * displacements; and offsets in records. All of them are noted while the block is translated and
 * kept as a list behind its cold part. Most blocks are never copied, so it is found out no sooner
 * than that which displacements lead out of their part. What depends on addresses in any other way
 * must not be in a block.
 *
 * A clone whose page no bank binds to its address any more, since the process has ended or runs
 * another program, becomes the new one, in its place. So processes that come and go use no code
 * memory, and touch none that is cold. What earlier runs translated is copied in the same way
 * (store.c).
 */
#include "soft/jit/translate.h"

/* A relocation, 16 bits: the part, the kind, the offset in the part. */
#define IN_COLD    0x8000u
#define KIND_SHIFT 13
#define OFFSET     0x1fffu

enum kind {
    DISPLACEMENT, /* as x86_note_site() notes it */
    VA64,         /* constant of 64 bits */
    VA32,         /* in the hot part: of 32 bits, zero-extended */
    CODE = 2,     /* in the cold part: offset in the cache, of code of the block */
};

/*
 * Of what is copied often, records of a file, it is said beforehand what is to be added: first come
 * the constants of 64 bits, as ever, then the others, with one of these in place of part and kind.
 * What no copy changes is left out.
 */
enum change {
    HOT_VA, /* comes first, as it may not fit */
    HOT_TO_THUNK,
    HOT_TO_COLD,
    COLD_TO_THUNK,
    COLD_TO_HOT,
    CODE_IN_HOT,
    CODE_IN_COLD,
    CHANGES,
    WIDE = CHANGES,
    NONE,
};

static void note(jit_t t, const struct x86_buf *b, enum kind kind, const uint8_t *at)
{
    struct x86_sites *s = &t->jit->relocs.sites;

    s->at[s->count++ % X86_SITES] =
        (uint16_t)(((unsigned)kind << KIND_SHIFT) + (unsigned)(at - b->start));
}

void jit_mov_va(jit_t t, struct x86_buf *b, enum x86_reg d, uint64_t va)
{
    if (b == &t->hot && va <= UINT32_MAX) {
        x86_mov_ri(b, d, va);
        note(t, b, VA32, b->p - 4);
    } else {
        x86_mov_ri64(b, d, va);
        note(t, b, VA64, b->p - 8);
    }
}

void jit_note_va(jit_t t, const uint8_t *at)
{
    note(t, &t->cold, VA64, at);
}

void jit_note_code(jit_t t, const uint8_t *at)
{
    note(t, &t->cold, CODE, at);
}

void jit_relocs_begin(jit_t t)
{
    struct jit_relocs *r = &t->jit->relocs;

    r->sites.count = 0;
    r->failed = t->jit->knobs.uncloned;
    t->hot.start = t->jit->rw + t->jit->hot;
    t->cold.start = t->jit->rw + t->jit->cold - IN_COLD;
    t->hot.sites = t->cold.sites = &r->sites;
}

void jit_lists_end(jit_t t, struct jit_block *b)
{
    const struct jit_relocs *r = &t->jit->relocs;
    const struct jit_looked *l = &t->jit->looked;
    size_t looked = l->count * sizeof l->at[0], size = r->sites.count * sizeof r->sites.at[0];
    uint8_t *at = t->cold.p + ((uintptr_t)t->cold.p & 1);

    if (t->cold.limit - at < (ptrdiff_t)looked) {
        t->full = true;
        return;
    }
    memcpy(at, l->at, looked);
    b->looked = l->count & JIT_LOOKED;
    t->cold.p = at += looked;
    if (r->failed || r->sites.count > X86_SITES || b->hot_size > OFFSET || b->cold_size > OFFSET ||
        t->cold.limit - at < (ptrdiff_t)size)
        return;
    memcpy(at, r->sites.at, size);
    b->reloc_count = r->sites.count & 0xfff;
    t->cold.p = at + size;
}

/* Copying: of the block of `from`, which is in this cache, another one, or a file, to `b` in `j`.
 */

static void add_32(uint8_t *p, uint32_t delta)
{
    st_le32(p, ld_le32(p) + delta);
}

struct jit_image jit_image_of(const struct jit_code *c, const struct jit_block *b)
{
    const uint16_t *lists = (const void *)(c->rw + jit_block_lists(b));

    return (struct jit_image){
        .block = b,
        .hot = c->rw + b->code,
        .cold = c->rw + b->cold,
        .looked = lists,
        .relocs = lists + b->looked,
        .exit = &c->exit[b->exit_first],
    };
}

bool jit_image_fits(const struct jit_image *from, uint64_t va)
{
    const struct jit_block *o = from->block;
    const unsigned narrow = from->sorted ? (unsigned)HOT_VA : (unsigned)VA32;

    for (unsigned n = from->wide; n < o->reloc_count; n++) {
        bool is_narrow = from->relocs[n] >> KIND_SHIFT == narrow;
        if (is_narrow && ld_le32(from->hot + (from->relocs[n] & OFFSET)) + va - o->va > UINT32_MAX)
            return false;
        if (from->sorted && !is_narrow)
            break;
    }
    return true;
}

/* Its exits as exits of `b`, from the first on, which lead nowhere yet. */
static void copy_exits(const struct jit_image *from, struct jit *j, const struct jit_block *b)
{
    const struct jit_block *o = from->block;

    for (uint32_t n = 0; n < o->exit_count; n++) {
        const struct jit_exit *old = &from->exit[n];
        uint32_t number = b->exit_first + n, tail = old->tail + (b->cold - o->cold);
        uint32_t site = (old->site + (b->code - o->code)) & JIT_OFFSET;
        struct jit_exit *e = &j->exit[number];
        *e = (struct jit_exit){
            .target = old->target + (b->va - o->va),
            .site = site & JIT_OFFSET,
            .bound = old->bound,
            .called = old->called,
            .tail = tail,
            .block = JIT_NONE,
        };
        x86_patch(j->rw + site, j->rw + tail);
        st_le32(j->rw + tail + JIT_TAIL_NUMBER, number);
        if (old->bound)
            jit_bind_patch(j->rw + jit_exit_bind_site(e), e->target);
    }
}

/* What is to be added to a displacement that led to offset `to` of the cache, in one of the parts
 * of `o`, when they move by `hot` and `cold`. It leads to a thunk, which stays; somewhere in its
 * own part; or to the other one, or out of the block, which copy_exits() sees to. */
static uint32_t displaced(const struct jit *j, const struct jit_block *o, bool in_cold, uint32_t to,
                          uint32_t hot, uint32_t cold)
{
    uint32_t own = in_cold ? cold : hot;

    if (to < j->start)
        return 0u - own;
    if (to - (in_cold ? o->cold : o->code) <= (in_cold ? o->cold_size : o->hot_size))
        return 0;
    return (in_cold ? hot : cold) - own;
}

static const uint16_t usual[CHANGES] = {
    [HOT_VA] = VA32 << KIND_SHIFT,
    [COLD_TO_THUNK] = IN_COLD,
    [COLD_TO_HOT] = IN_COLD,
    [CODE_IN_HOT] = IN_COLD | CODE << KIND_SHIFT,
    [CODE_IN_COLD] = IN_COLD | CODE << KIND_SHIFT,
};

/* Where a displacement leads, by its part, and whether that is a thunk, or the part itself: a
 * table, as a branch for each would often be mispredicted. */
static const uint8_t leads[2][2][2] = {
    { { HOT_TO_COLD, NONE }, { HOT_TO_THUNK, HOT_TO_THUNK } },
    { { COLD_TO_HOT, NONE }, { COLD_TO_THUNK, COLD_TO_THUNK } },
};

static enum change change_of(const struct jit_code *code, const struct jit_image *from,
                             unsigned reloc)
{
    const struct jit_block *o = from->block;
    const unsigned in_cold = reloc >> 15, kind = reloc >> KIND_SHIFT & 3;
    const uint32_t place = in_cold ? o->cold : o->code, size = in_cold ? o->cold_size : o->hot_size;
    uint32_t value = ld_le32((in_cold ? from->cold : from->hot) + (reloc & OFFSET));
    uint32_t to = (reloc & OFFSET) + 4 + value; /* from its part on */

    if (kind == DISPLACEMENT)
        return leads[in_cold][to + place < code->start][to <= size];
    if (kind == VA64)
        return WIDE;
    return !in_cold ? HOT_VA : value - o->cold < o->cold_size ? CODE_IN_COLD : CODE_IN_HOT;
}

unsigned jit_image_sort(const struct jit_code *code, const struct jit_image *from, uint16_t *relocs,
                        unsigned *wide)
{
    unsigned total = from->block->reloc_count, at[NONE + 1] = { 0 };
    uint8_t change[X86_SITES];

    for (unsigned n = 0; n < total; n++) {
        change[n] = (uint8_t)change_of(code, from, from->relocs[n]);
        at[change[n]]++;
    }
    unsigned sum = *wide = at[WIDE];
    at[WIDE] = 0;
    for (unsigned c = 0; c < CHANGES; c++) { /* from numbers to places */
        sum += at[c];
        at[c] = sum - at[c];
    }
    at[NONE] = sum;
    for (unsigned n = 0; n < total; n++) {
        unsigned c = change[n], r = from->relocs[n];
        relocs[at[c]++] = (uint16_t)(c == WIDE ? r : c << KIND_SHIFT | (r & OFFSET));
    }
    return sum;
}

/* The same of a sorted list; `relocs` is to be a usual one. */
static void change_sorted(const struct jit_image *from, struct jit *j, const struct jit_block *b,
                          uint16_t *relocs)
{
    uint8_t *hot = j->rw + b->code, *cold = j->rw + b->cold;
    uint32_t hot_moves = b->code - from->block->code, cold_moves = b->cold - from->block->cold;
    uint64_t va = b->va - from->block->va;
    uint8_t *const part[CHANGES + 1] = { hot, hot, hot, cold, cold, cold, cold, cold };
    const uint32_t add[CHANGES + 1] = {
        [HOT_VA] = (uint32_t)va,
        [HOT_TO_THUNK] = 0u - hot_moves,
        [HOT_TO_COLD] = cold_moves - hot_moves,
        [COLD_TO_THUNK] = 0u - cold_moves,
        [COLD_TO_HOT] = hot_moves - cold_moves,
        [CODE_IN_HOT] = hot_moves,
        [CODE_IN_COLD] = cold_moves,
    };
    unsigned n = 0;

    for (; n < from->wide; n++) {
        uint8_t *p = (from->relocs[n] & IN_COLD ? cold : hot) + (from->relocs[n] & OFFSET);
        st_le64(p, ld_le64(p) + va);
        relocs[n] = from->relocs[n];
    }
    for (; n < from->block->reloc_count; n++) {
        unsigned c = from->relocs[n] >> KIND_SHIFT, at = from->relocs[n] & OFFSET;
        add_32(part[c] + at, add[c]);
        relocs[n] = (uint16_t)(usual[c] | at);
    }
}

/* In a copy of the code. */
static void change(const struct jit_image *from, struct jit *j, const struct jit_block *b)
{
    const struct jit_block *o = from->block;
    const uint16_t *reloc = from->relocs;
    uint32_t hot = b->code - o->code, cold = b->cold - o->cold;
    uint64_t va = b->va - o->va;

    for (unsigned n = 0; n < o->reloc_count; n++) {
        bool in_cold = reloc[n] & IN_COLD;
        uint32_t at = (in_cold ? o->cold : o->code) + (reloc[n] & OFFSET);
        uint8_t *p = j->rw + (in_cold ? b->cold : b->code) + (reloc[n] & OFFSET);
        switch ((enum kind)(reloc[n] >> KIND_SHIFT & 3)) {
        case DISPLACEMENT:
            add_32(p, displaced(j, o, in_cold, at + 4 + ld_le32(p), hot, cold));
            break;
        case VA64:
            st_le64(p, ld_le64(p) + va);
            break;
        default:
            if (!in_cold)
                add_32(p, (uint32_t)va);
            else
                add_32(p, ld_le32(p) - o->cold < o->cold_size ? cold : hot);
            break;
        }
    }
}

static void copy_code(const struct jit_image *from, struct jit *j, const struct jit_block *b)
{
    memcpy(j->rw + b->code, from->hot, b->hot_size);
    memcpy(j->rw + b->cold, from->cold, b->cold_size);
}

static bool is_bound(const struct jit *j, const struct mmu_bank *bank, const struct jit_block *b)
{
    uint32_t id = bank->jit.bind[jit_bind_slot(b->va)];

    return id && j->binding[id].va == (b->va & ~4095ull) && j->binding[id].pa == (b->pa & ~4095ull);
}

/* Is the block's page bound to its address in any bank? */
static bool is_in_use(const struct soft_vcpu *v, const struct jit_block *b)
{
    for (unsigned n = 0; n < v->bank_count; n++)
        if (is_bound(v->hot.jit, &v->bank[n], b))
            return true;
    return is_bound(v->hot.jit, &v->kernel, b);
}

/* The place of a clone that this vCPU made and nobody uses, if one has been free for long enough.
 */
static uint32_t free_place(const struct soft_vcpu *v, struct jit_block *o)
{
    struct jit *j = v->hot.jit;

    for (uint32_t n = 0; n < o->clones; n++) {
        uint32_t oldest = o->last_clone = j->block[o->last_clone].next_clone;
        struct jit_block *b = &j->block[oldest];
        if (b->maker != (v->index & (JIT_MEMBERS - 1)) ||
            (b->incoming != JIT_GONE && is_in_use(v, b)))
            continue;
        if (b->incoming != JIT_GONE)
            jit_block_release(j, oldest);
        if (!jit_all_saw(j, b->gone))
            continue;
        jit_block_cut(j, oldest);
        jit_hear_retired(j);
        jit_returns_forget(j); /* this vCPU may have been in it since */
        j->reused++;
        return oldest;
    }
    return JIT_NONE;
}

/* Where the clone's code and exits go: to such a place, or to a new one. */
static uint32_t clone_place(const struct soft_vcpu *v, uint32_t origin)
{
    struct jit *j = v->hot.jit;
    struct jit_block b = j->block[origin];
    uint32_t n = free_place(v, &j->block[origin]);

    if (n != JIT_NONE)
        return n;
    b.code = j->hot;
    b.cold = j->cold;
    b.exit_first = j->exit_next;
    n = jit_block_add_clone(j, &b, origin);
    if (n == JIT_NONE)
        return n;
    j->exit_next += b.exit_count;
    j->hot = (uint32_t)align_up(j->hot + b.hot_size, JIT_ALIGN);
    j->cold = (uint32_t)align_up(jit_block_lists(&b) + b.looked * sizeof(uint16_t), JIT_ALIGN);
    return n;
}

uint32_t jit_clone(struct soft_vcpu *v, uint64_t pa, uint64_t va, uint32_t mode)
{
    struct jit *j = v->hot.jit;
    uint32_t origin = jit_block_find_origin(j, pa, mode);

    if (origin == JIT_NONE || !j->block[origin].reloc_count || !jit_map_is_current(j) ||
        !jit_block_is_current(j, origin))
        return JIT_NONE;
    struct jit_image from = jit_image_of(&j->code, &j->block[origin]);
    if (!jit_image_fits(&from, va))
        return JIT_NONE;
    uint32_t n = clone_place(v, origin);
    if (n == JIT_NONE)
        return n;
    struct jit_block *b = &j->block[n];
    b->va = va;
    memcpy(j->rw + jit_block_lists(b), from.looked, b->looked * sizeof from.looked[0]);
    copy_code(&from, j, b);
    change(&from, j, b);
    copy_exits(&from, j, b);
    jit_block_enter(j, n);
    j->stats.cloned++;
    if (UNLIKELY(j->trace))
        jit_trace_write(j, n);
    return n;
}

/* What comes from elsewhere becomes an original. */

static bool has_site(const struct jit *j, unsigned first, unsigned count)
{
    for (unsigned n = first / 64; n <= (first + count - 1) / 64; n++) {
        uint64_t sites = __atomic_load_n(&j->far[n], __ATOMIC_RELAXED) |
                         __atomic_load_n(&j->wide[n], __ATOMIC_RELAXED);
        if (n == first / 64)
            sites &= ~0ull << first % 64;
        if (n == (first + count - 1) / 64)
            sites &= ~0ull >> (63 - (first + count - 1) % 64);
        if (sites)
            return true;
    }
    return false;
}

bool jit_is_other(const struct jit *j, const struct jit_image *from, uint64_t pa)
{
    const struct jit_block *o = from->block;

    if (jit_is_warm(j, pa) && !o->is_warm)
        return true;
    if (has_site(j, jit_site(pa), (unsigned)(o->high - (pa & 4095)) / 4))
        return true;
    for (unsigned n = 0; n < o->looked; n++) /* of a nest */
        if (has_site(j, jit_site((pa & ~4095ull) | from->looked[n]), 1))
            return true;
    return false;
}

void jit_image_copy(struct jit *j, const struct jit_image *from, uint64_t pa, uint64_t va,
                    const uint8_t *page, struct jit_block *b)
{
    const struct jit_block *o = from->block;

    *b = (struct jit_block){
        .pa = pa,
        .va = va,
        .mode = o->mode,
        .is_warm = o->is_warm,
        .count = o->count,
        .exit_count = o->exit_count,
        .code = j->hot,
        .page = page,
        .checksum = o->checksum,
        .high = o->high,
        .reloc_count = o->reloc_count,
        .looked = o->looked,
        .hot_size = o->hot_size,
        .cold_size = o->cold_size,
        .cold = j->cold,
        .exit_first = j->exit_next,
    };
    uint16_t *lists = (void *)(j->rw + jit_block_lists(b));
    memcpy(lists, from->looked, o->looked * sizeof lists[0]);
    copy_code(from, j, b);
    if (from->sorted) {
        change_sorted(from, j, b, lists + o->looked);
    } else {
        memcpy(lists + o->looked, from->relocs, o->reloc_count * sizeof lists[0]);
        change(from, j, b);
    }
    copy_exits(from, j, b);
    j->exit_next += o->exit_count;
    j->hot = (uint32_t)align_up(j->hot + o->hot_size, JIT_ALIGN);
    j->cold = (uint32_t)align_up(
        jit_block_lists(b) + (o->looked + o->reloc_count) * sizeof(uint16_t), JIT_ALIGN);
}
