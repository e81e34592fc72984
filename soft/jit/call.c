/*
 * Instructions that are not translated: calls of the interpreter's functions.
 *
 * Their records lie in the cold part, behind the call of a thunk. In general all guest registers
 * are in memory meanwhile, and the function may fault, branch or exit. Functions that touch nothing
 * but SIMD&FP registers can do none of that; only what the host's calling convention leaves to the
 * callee is put away for them.
 */
#include "soft/jit/access.h"

static uint32_t offset_of(jit_t t, const uint8_t *p)
{
    return (uint32_t)(p - t->jit->rw);
}

/* Write `size` bytes in the cold part. */
static const uint8_t *cold_data(jit_t t, const void *data, size_t size)
{
    struct x86_buf *b = &t->cold;

    memcpy(b->p, data, size);
    b->p += size;
    return b->p - size;
}

static struct jit_call record_of(jit_t t, const struct insn *i, uint32_t next)
{
    struct jit_call call = {
        .page_va = t->page_va,
        .next = next,
        .word = i->word,
        .op = t->insn[t->at].op,
        .offset = i->offset,
    };
    return call;
}

/* Jump to a thunk with the address of the record behind the jump in `record`. No call, as the host
 * would expect a return. */
#define TO_THUNK 12
static inline void to_thunk(jit_t t, enum x86_reg record, uint32_t thunk)
{
    x86_lea_ahead(&t->cold, record, TO_THUNK - 7);
    x86_jmp_to(&t->cold, t->jit->rw + thunk);
}

/* Pad with breakpoints or NOPs until the record behind to_thunk() is at a multiple of 8. */
static void align_record(struct x86_buf *b, unsigned pad)
{
    while (((uintptr_t)b->p + TO_THUNK) % 8)
        x86_plain(b, pad);
}

void jit_interp_begin(jit_t t)
{
    jit_clobber(t);
    jit_remake_store(t, &t->hot);
    t->carry_stored = false; /* MSR NZCV may be what is called */
    t->sp_aligned = false;
    vector_cache_forget(t);
}

/* In the cold part: the call, which goes on at `next`. */
static void interp_call(jit_t t, const struct insn *i, const uint8_t *next)
{
    to_thunk(t, RAX, t->jit->interp);
    struct jit_call call = record_of(t, i, offset_of(t, next));
    const uint8_t *record = cold_data(t, &call, sizeof call);
    jit_note_va(t, record + offsetof(struct jit_call, page_va));
    jit_note_code(t, record + offsetof(struct jit_call, next));
}

void jit_emit_interp(jit_t t, const struct insn *i)
{
    jit_interp_begin(t);
    jit_products_restore(t, &t->hot, t->at);
    jit_loop_leave(t, &t->hot);
    align_record(&t->cold, 0xcc);
    x86_jmp_to(&t->hot, t->cold.p);
    interp_call(t, i, t->hot.p);
    jit_loop_enter(t, &t->hot);
}

void jit_interp_paths(jit_t t, const struct insn *i, uint8_t *const *from, size_t count)
{
    const uint8_t *next = jit_loop_return(t, t->hot.p), *start = t->cold.p;

    jit_loop_leave(t, &t->cold);
    align_record(&t->cold, 0x90);
    interp_call(t, i, next);
    for (size_t n = 0; n < count; n++)
        if (from[n])
            x86_patch(from[n], start);
}

/* What the records of all slow paths of the block refer to. */
static __attribute__((noinline)) const uint8_t *slow_common(jit_t t)
{
    struct jit_slow_common c = { .page_va = t->page_va, .code = t->jit->hot };

    t->slow_common = cold_data(t, &c, sizeof c);
    jit_note_va(t, t->slow_common + offsetof(struct jit_slow_common, page_va));
    jit_note_code(t, t->slow_common + offsetof(struct jit_slow_common, code));
    return t->slow_common;
}

/* A place in the block's code, as a slow path's record has it. */
static inline uint16_t slow_place(jit_t t, const uint8_t *common, const uint8_t *p)
{
    if (LIKELY(p < common)) /* the hot part is before the cold one */
        return (uint16_t)(p - t->hot.start);
    return (uint16_t)(JIT_SLOW_COLD | (unsigned)(p - common));
}

/* The record, and the words of the instructions from `i` on. */
static void slow_data(jit_t t, const struct jit_slow *s, const struct jit_insn *i)
{
    struct x86_buf *b = &t->cold;
    uint8_t *p = b->p;

    memcpy(p, s, sizeof *s);
    p += sizeof *s;
    for (unsigned n = 0; n < s->count; n++, p += 4)
        memcpy(p, &i[n].i.word, 4);
    b->p = p;
}

/* A slow path for t->insn[first] to the one being emitted, of a look-up or of something else. */
static const uint8_t *slow_record(jit_t t, unsigned first, bool look_up, const uint8_t *after)
{
    const struct jit *j = t->jit;
    const uint8_t *common = LIKELY(t->slow_common != NULL) ? t->slow_common : slow_common(t);
    bool copies = t->cache.used || t->before.used, wide = t->cache.wide || t->before.wide;
    struct jit_slow s = {
        .next = slow_place(t, common, jit_loop_return(t, after)),
        .offset = t->insn[first].i.offset,
        .count = (uint8_t)(t->at - first + 1),
    };
    uint32_t thunk = copies ? j->slow_v[wide] : j->slow;

    if (look_up) {
        thunk = copies ? j->refill_v[wide] : j->refill;
        s.found = slow_place(t, common, jit_loop_return(t, t->look_up.end));
        s.size = t->look_up.size & 0x3ff;
        s.write = t->look_up.write;
        s.page = t->look_up.page & 0x1fff;
    }
    const uint8_t *start = t->cold.p;
    if (look_up)
        x86_lea(&t->cold, 1, RCX, t->look_up.address);
    if (look_up && t->look_up.page)
        jit_place_missed(t);
    if (copies)
        vector_sha_write(t, &t->cold);
    jit_remake_store(t, &t->cold);
    jit_products_restore(t, &t->cold, first);
    jit_loop_leave(t, &t->cold);
    to_thunk(t, look_up ? RDX : RAX, thunk);
    s.common = (uint16_t)(t->cold.p - common);
    slow_data(t, &s, &t->insn[first]);
    if (copies) {
        struct jit_slow_copies v = vector_cache_record(t);
        cold_data(t, v.store, jit_copies(wide));
        cold_data(t, v.load, jit_copies(wide));
    }
    return start;
}

void jit_slow_path(jit_t t, uint8_t *from, const uint8_t *after)
{
    x86_patch(from, slow_record(t, t->at, false, after));
}

void jit_slow_look_up(jit_t t, unsigned first, uint8_t *from)
{
    if (from)
        x86_patch(from, slow_record(t, first, true, t->hot.p));
}

void jit_slow_access(jit_t t, uint8_t *other, uint8_t *look_up)
{
    if (other)
        jit_slow_path(t, other, t->hot.p);
    jit_slow_look_up(t, t->at, look_up);
}

void jit_slow_group(jit_t t, unsigned first, uint8_t *const *from, size_t count)
{
    const uint8_t *record = NULL;

    for (size_t n = 0; n < count; n++) {
        if (!from[n])
            continue;
        if (!record)
            record = slow_record(t, first, false, t->hot.p);
        x86_patch(from[n], record);
    }
}

void jit_slow_paths(jit_t t, uint8_t *const *from, size_t count)
{
    jit_slow_group(t, t->at, from, count);
}

void jit_call_helper(jit_t t, struct x86_buf *b, jit_helper *function)
{
    jit_loop_leave(t, b);
    x86_mov_ri(b, RCX, (uintptr_t)function - (uintptr_t)jit_slow);
    x86_call_to(b, t->jit->rw + t->jit->helper);
    jit_loop_enter(t, b);
}

void jit_emit_helper(jit_t t, jit_helper *function)
{
    vector_cache_forget(t);
    jit_call_helper(t, &t->hot, function);
}

/* Data processing of SIMD and FP, bits 28:25 = x111 (DDI 0487 C4.1), without those that have
 * general registers or NZCV for operands. */
static const struct {
    uint32_t mask, value;
} not_vector_only[] = {
    { 0x5f200000, 0x1e200000 }, /* scalar floating point of one to three operands, below */
    { 0x5f200000, 0x1e000000 }, /* conversions with fixed-point */
    { 0x9fe08400, 0x0e000400 }, /* copies: DUP, INS, SMOV, UMOV of and to general registers */
};

static bool is_scalar_pure(uint32_t w)
{
    unsigned low = w >> 10 & 3;

    if (bit(w, 24))
        return true; /* FMADD and its kin */
    if (!bit(w, 21))
        return false; /* fixed-point conversions */
    if (low == 2)
        return true;                                                /* two operands */
    return low == 0 && (w >> 12 & 7) != 2 && (w >> 10 & 0x3f) != 0; /* one operand, immediate */
}

bool jit_is_vector_only(jit_t t, const struct jit_insn *n)
{
    uint32_t w = n->i.word;

    if ((w & 0x0e000000) != 0x0e000000 || !(t->mode & JIT_MODE_FP) || n->op == A64_UNDEFINED)
        return false;
    if ((w & 0x5e000000) == 0x1e000000)
        return is_scalar_pure(w);
    for (size_t k = 2; k < ARRAY_LEN(not_vector_only); k++)
        if ((w & not_vector_only[k].mask) == not_vector_only[k].value)
            return false;
    return true;
}

void jit_emit_interp_vector(jit_t t, const struct insn *i)
{
    jit_clobber(t);
    vector_cache_store(t);
    struct jit_call call = record_of(t, i, 0);
    while ((uintptr_t)t->cold.p % 8)
        x86_plain(&t->cold, 0xcc);
    const uint8_t *record = cold_data(t, &call, sizeof call);
    jit_note_va(t, record + offsetof(struct jit_call, page_va));
    jit_loop_leave(t, &t->hot);
    x86_lea_rip(&t->hot, RAX, record);
    x86_call_to(&t->hot, t->jit->rw + t->jit->vector);
    jit_loop_enter(t, &t->hot);
    vector_cache_forget(t);
}
