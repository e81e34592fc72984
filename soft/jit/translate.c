/*
 * From guest code to a block: decode, find out where flags are read, emit.
 *
 * A block is a run of instructions in one page. It goes on behind conditional branches that are not
 * taken and at the target of an unconditional one further on in the page. It ends at every other
 * branch, at what may change the context, and after JIT_BLOCK_MAX instructions.
 */
#include <x86intrin.h>

#include "soft/jit/translate.h"
#include "soft/model.h"

jit_emitter *const jit_emitters[A64_OP_COUNT] = {
#define EMIT(op, function) [A64_##op] = function,
#include "soft/jit/emitters.def"
#undef EMIT
};

/* Is the next instruction to be looked for? */
bool jit_ends_block(const struct jit_insn *n)
{
    return (jit_facts[n->op] & FACT_ENDS) || (n->op == A64_SYS && !jit_is_plain_sys(n->i.word)) ||
           (n->op == A64_MSR_reg && !jit_is_plain_msr(n->i.word));
}

/* `missing`: options that the CPU does not have. */
static inline enum a64_op decode(jit_t t, struct jit_insn *n, uint32_t word, unsigned offset,
                                 unsigned missing)
{
    enum a64_op op = a64_decode(word);
    const struct a64_op_info *info = &a64_ops[op];

    if (UNLIKELY(info->option & missing)) {
        op = (word & 0xfffff01f) == 0xd503201f ? A64_HINT : A64_UNDEFINED;
        info = &a64_ops[op];
    }
    n->op = (uint16_t)op;
    n->done = false;
    n->sum = n->source = n->partner = n->half = 0;
    n->i = (struct insn){ .fn = info->fn, .word = word, .offset = (uint16_t)offset };
    t->multiplies |= word >> 24 == 0x9b; /* of 64 bits */
    info->format(&n->i);
    return op;
}

void jit_decode_one(jit_t t, struct jit_insn *n, uint32_t word, unsigned offset)
{
    decode(t, n, word, offset, ~t->v->cpu.vm->options);
}

unsigned jit_decode(jit_t t, unsigned offset, unsigned max)
{
    const bool check = t->jit->knobs.check;
    const struct jit *j = t->jit;
    const uint8_t *page = t->page;
    struct jit_insn *n = t->insn, *end = n + max;
    unsigned missing = ~t->v->cpu.vm->options;
    uint64_t sum = 0;

    t->stays = t->multiplies = false;
    while (n < end && offset < CODE_PAGE_SIZE) {
        uint32_t word = ld_le32(page + offset);
        enum a64_op op = decode(t, n, word, offset, missing);
        if (UNLIKELY(check) && n != t->insn && jit_is_alone(word))
            break;
        n++;
        offset += 4;
        sum = jit_checksum_add(j, sum, word);
        if (LIKELY(!(jit_facts[op] & FACTS_OF_BLOCK)))
            continue;
        if (UNLIKELY(check) && (op == A64_MSR_imm || op == A64_MSR_reg))
            break; /* an interrupt that it lets in is taken at once */
        t->stays |= op == A64_BR || jit_loops(n - 1, &t->insn[0]);
        if (op == A64_B) {
            unsigned target = jit_block_next(word, offset - 4);
            if (target < offset || target >= CODE_PAGE_SIZE)
                break;
            offset = target;
        } else if ((op == A64_B_cond && (word & 15) >= 14) ||
                   (jit_ends_block(n - 1) && !jit_goes_on(t, op))) {
            break;
        }
    }
    t->count = (unsigned)(n - t->insn);
    t->checksum = sum;
    return n[-1].i.offset + 4u; /* none is before another one */
}

/* A loop whose pages are looked up once for many turns is a block of its own. */
static unsigned decode_block(jit_t t, unsigned offset)
{
    unsigned high = jit_decode(t, offset, t->jit->knobs.max), loop = jit_loop_alone(t);

    return loop ? jit_decode(t, offset, loop) : jit_straight_decode(t, offset, high);
}

/* A search is translated as warm code from the beginning, since it seldom runs for long enough to
 * be found. */
static unsigned decode_search(jit_t t, unsigned offset, unsigned high)
{
    if (t->warm || !t->stays || t->jit->knobs.check || !jit_leap_likely(t))
        return high;
    t->warm = true;
    high = decode_block(t, offset);
    if (t->loop.leaps)
        return high;
    t->warm = false;
    t->loop.end = t->loop.streams = 0;
    return decode_block(t, offset);
}

/* A new stack pointer is known to be aligned only if it is the old one plus a multiple of 16. */
static void note_sp(jit_t t, const struct jit_insn *n)
{
    if (n->i.rd != REG_SP || (n->i.word & 0x0a000000) == 0x08000000)
        return;
    bool add = n->op == A64_ADD_imm_x || n->op == A64_SUB_imm_x;
    if (!(add && n->i.rn == REG_SP && n->i.imm % 16 == 0))
        t->sp_aligned = false;
}

/* Flags stay. Changes RDX. */
static void count_instructions(jit_t t, unsigned n)
{
    if (!n)
        return;
    x86_mov_rm(&t->hot, 1, RDX, JIT_CPU(instructions));
    x86_lea(&t->hot, 1, RDX, x86_at(RDX, (int32_t)n));
    x86_mov_mr(&t->hot, 1, JIT_CPU(instructions), RDX);
}

/* What is in xmm registers, or was before the last instruction, before one is emitted. */
static void vectors_before(jit_t t, const struct jit_insn *n)
{
    vector_sha_before(t, n);
    if (!t->group.open)
        vector_cache_widen(t);
    if (t->loop.inside && t->loop.head && jit_loops(n, &t->insn[0]))
        vector_cache_loop(t);
    else if (t->cache.used && (n->i.word & 0x1c000000) == 0x14000000)
        vector_cache_store(t); /* branches, system instructions */
    if (!t->group.open && (t->cache.used || t->before.used))
        t->before = t->cache;
}

/* Emitted along with another one, or a branch to what follows in the block. */
static inline bool is_nothing(jit_t t, const struct jit_insn *n)
{
    return n->done || (n->op == A64_B && t->at + 1 < t->count);
}

/* Call the interpreter's function. */
static __attribute__((noinline)) void emit_left(jit_t t, const struct jit_insn *n)
{
    if (jit_is_vector_only(t, n))
        jit_emit_interp_vector(t, &n->i);
    else
        jit_emit_interp(t, &n->i);
    if (t->at + 1 == t->count && jit_ends_block(n)) {
        jit_exit_lookup(t, jit_pc(t, &n->i) + 4);
        t->ended = true;
    }
}

static inline void emit_insn(jit_t t, struct jit_insn *n)
{
    if (UNLIKELY(t->cache.used || t->before.used || t->loop.inside))
        vectors_before(t, n);
    jit_emitter *emit = jit_emitters[n->op];
    if (UNLIKELY(!emit || !emit(t, &n->i)))
        emit_left(t, n);
    if (t->sp_aligned)
        note_sp(t, n);
    if (UNLIKELY(t->multiplier))
        jit_multiplier_after(t, n);
}

/* The same with what knobs want besides. */
static __attribute__((noinline)) void emit_odd(jit_t t, struct jit_insn *n)
{
    const struct jit_knobs *k = &t->jit->knobs;
    unsigned at = t->at;

    if (k->count)
        count_instructions(t, 1);
    if (is_nothing(t, n))
        return;
    emit_insn(t, n);
    if (k->count && !t->ended)
        count_instructions(t, t->at - at); /* those that were emitted along */
    if (k->wrong && n->op == A64_RBIT_x)
        x86_alu_mi(&t->hot, 1, X86_XOR, jit_slot(9), 1);
}

void jit_emit_one(jit_t t)
{
    struct jit_insn *n = &t->insn[t->at];

    if (UNLIKELY(!jit_has_room(t)))
        return;
    if (UNLIKELY(t->odd || is_nothing(t, n)))
        emit_odd(t, n);
    else
        emit_insn(t, n);
}

static void none_done(jit_t t)
{
    for (unsigned n = 0; n < t->count; n++)
        t->insn[n].done = false;
}

static void emit_streams(jit_t t)
{
    if (!jit_streams_begin(t))
        return;
    for (t->at = 0; t->at <= t->loop.end; t->at++)
        jit_emit_one(t);
    jit_streams_end(t);
    none_done(t);
}

static void emit_block(jit_t t)
{
    struct jit_straight straight; /* filled as far as it is needed */

    jit_loop_begin(t, &straight);
    if (UNLIKELY(t->loop.inside))
        emit_streams(t);
    for (t->at = 0; t->at < t->count && !t->ended; t->at++) {
        if (UNLIKELY(t->straight != NULL))
            jit_straight_before(t);
        jit_emit_one(t);
        if (UNLIKELY(t->loop.inside))
            jit_loop_end(t);
    }
    vector_cache_store(t);
    if (!t->ended)
        jit_exit_direct(t, jit_pc(t, &t->insn[t->count - 1].i) + 4);
    jit_exits_end(t);
}

/* Only warm code has loops with registers of their own. */
static void emit_twice(jit_t t)
{
    struct jit_vector_cache carry = { .used = 0 }, seen = { .used = 0 };
    uint32_t exits = t->jit->exit_next;

    t->loop.carry = &carry;
    t->loop.seen = &seen;
    struct jit_translation again = *t;
    emit_block(t);
    if (!seen.used)
        return;
    carry = seen; /* once more, with V registers carried around the loop */
    t->jit->exit_next = exits;
    *t = again;
    none_done(t);
    jit_relocs_begin(t);
    emit_block(t);
}

static void emit_alone(jit_t t)
{
    jit_flags_begin(t);
    jit_flags_analyse(t);
    jit_flags_end(t);
    jit_products_find(t);
    if (t->warm)
        emit_twice(t);
    else
        emit_block(t);
}

/* Records have places in code by 15 bits. */
#define LARGE_BYTES 0x7f00

static bool is_too_large(jit_t t)
{
    const struct jit *j = t->jit;

    return t->hot.p - j->rw - j->hot >= LARGE_BYTES || t->cold.p - j->rw - j->cold >= LARGE_BYTES;
}

/* Back to the state before something was emitted. */
static void undo(jit_t t, const struct jit_translation *before, uint32_t exits)
{
    t->jit->exit_next = exits;
    *t = *before;
    jit_relocs_begin(t);
}

static bool emit_nest(jit_t t, struct jit_nest *nest)
{
    uint32_t exits = t->jit->exit_next;
    struct jit_translation before = *t;

    if (jit_loop_is_apart(t) || !jit_nest_find(t, nest))
        return false;
    jit_nest_emit(t);
    if (!is_too_large(t))
        return true;
    undo(t, &before, exits);
    return false;
}

/* A block that is longer than others, with code as long as others'; else it gets as long as they.
 */
static void emit_straight(jit_t t, unsigned *high)
{
    if (LIKELY(t->count <= JIT_BLOCK_MAX)) {
        emit_alone(t);
        return;
    }
    uint32_t exits = t->jit->exit_next;
    struct jit_translation before = *t;

    emit_alone(t);
    if (!is_too_large(t))
        return;
    undo(t, &before, exits);
    *high = jit_decode(t, t->start, JIT_BLOCK_MAX);
    emit_alone(t);
}

/* Where a block is to be put was seldom touched lately, and the lock waits for all that was
 * written: so it is asked for before the block is decoded. Inline, or GCC takes it for a function
 * without any effect. */
#define NEAR_BYTES 320

static inline __attribute__((always_inline)) void prefetch_places(const struct jit *j)
{
    for (unsigned n = 0; n < NEAR_BYTES; n += 64) {
        __builtin_prefetch(j->rw + j->hot + n, 1);
        __builtin_prefetch(j->rw + j->cold + n, 1);
    }
    uint32_t block = atomic_load_explicit(&j->cache->block_count, memory_order_relaxed);
    __builtin_prefetch(&j->block[block], 1);
    __builtin_prefetch((const uint8_t *)&j->block[block] + 64, 1);
    __builtin_prefetch(&j->exit[j->exit_next], 1);
    __builtin_prefetch((const uint8_t *)&j->exit[j->exit_next] + 64, 1);
}

/* Is the block what would be translated now, by all that vCPUs have said since? The lock is held.
 */
static bool is_right(const struct jit *j, const struct jit_block *b, uint64_t changes)
{
    if (!jit_map_is_current(j) || (!b->is_warm && jit_is_warm(j, b->pa)))
        return false;
    return atomic_load_explicit(&j->cache->changes, memory_order_relaxed) == changes ||
           jit_block_matches(j, b, b->page);
}

/* Make a block of what was translated, unless another vCPU had the same idea. */
static uint32_t publish(jit_t t, const struct jit_block *b, uint64_t changes)
{
    struct jit *j = t->jit;
    uint32_t n;

    lock_acquire(&j->cache->lock);
    n = jit_block_find(j, b->pa, b->va, b->mode);
    if (n == JIT_NONE && is_right(j, b, changes)) {
        n = jit_block_add(j, b);
        if (n != JIT_NONE) {
            j->hot = align_up((uint32_t)(t->hot.p - j->rw), JIT_ALIGN);
            j->cold = align_up((uint32_t)(t->cold.p - j->rw), JIT_ALIGN);
            j->stats.blocks++;
            if (UNLIKELY(j->store))
                jit_store_note(t, n);
            if (UNLIKELY(j->trace))
                jit_trace_write(j, n);
        }
    }
    lock_release(&j->cache->lock);
    return n;
}

uint32_t jit_translate(struct soft_vcpu *v, uint64_t va, uint64_t pa, const uint8_t *page,
                       unsigned mode)
{
    struct jit *j = v->hot.jit;
    uint64_t start = __rdtsc();
    uint64_t changes = atomic_load(&j->cache->changes);

    if (!jit_cache_ready(j))
        return JIT_NONE;
    prefetch_places(j);
    /* these are filled as far as they are needed */
    struct jit_way_out out[JIT_BLOCK_MAX]; /* longer blocks have no more branches */
    const uint8_t *literal[JIT_LITERALS];
    struct jit_streams streams;
    struct jit_nest nest;
    struct jit_translation t = {
        .insn = j->insn,
        .out = out,
        .literal = literal,
        .loop.s = &streams,
        .hot = { .p = j->rw + j->hot, .limit = j->rw + j->hot_end },
        .cold = { .p = j->rw + j->cold, .limit = j->rw + j->cold_end },
        .v = v,
        .jit = j,
        .page_va = va & ~4095ull,
        .page_pa = pa & ~4095ull,
        .start = va & 4095,
        .page = page,
        .mode = mode,
        .pinned = jit_pinned,
        .warm = !j->knobs.warm || jit_is_warm(j, pa),
        .odd = j->knobs.count || j->knobs.wrong,
    };
    uint32_t exits = j->exit_next;
    jit_relocs_begin(&t);
    unsigned high = decode_search(&t, t.start, decode_block(&t, t.start));
    if (t.warm && emit_nest(&t, &nest))
        high = t.start + 4 * t.count;
    else
        emit_straight(&t, &high);
    struct jit_block b = {
        .pa = pa,
        .va = va,
        .page = page,
        .mode = mode,
        .is_warm = t.warm,
        .high = high & 0x1fff,
        .count = (uint8_t)t.count,
        .checksum = t.checksum,
        .code = j->hot,
        .cold = j->cold,
        .hot_size = (uint16_t)(t.hot.p - j->rw - j->hot),
        .cold_size = (uint16_t)(t.cold.p - j->rw - j->cold),
        .exit_first = exits,
        .exit_count = (uint8_t)(j->exit_next - exits),
    };
    jit_lists_end(&t, &b);
    uint64_t blocks = j->stats.blocks;
    uint32_t n = t.full ? JIT_NONE : publish(&t, &b, changes);
    j->full |= t.full;
    if (j->stats.blocks == blocks) {
        j->exit_next = exits;
    } else {
        j->stats.instructions += t.nest ? nest.count : t.count;
        j->stats.hot_bytes += b.hot_size;
        j->stats.cold_bytes += (uint32_t)(t.cold.p - j->rw) - b.cold;
    }
    j->stats.translate_ticks += __rdtsc() - start;
    return n;
}
