/*
 * What C executes for translated code: instructions that are not translated, slow paths of those
 * that are, and look-ups that the first level of the TLB had no answer for. Thunks call it, all
 * guest state is in memory (but for jit_vector()), and what is returned is where to go on.
 */
#include <string.h>
#include <time.h>

#include "soft/interp/interp.h"
#include "soft/jit/state.h"

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* SIMD&FP data processing, and instructions of system registers. */
static bool may_see_fpsr(uint32_t word)
{
    return (word & 0x0e000000) == 0x0e000000 || (word & 0xff000000) == 0xd5000000;
}

/* Execute insn[0], which insn[1] stops. True: go on behind it; else cpu.pc says where. */
static bool run_one(struct cpu *c, const struct insn *insn)
{
    uint64_t counted = c->instructions;
    bool fp = may_see_fpsr(insn->word);

    jit_enter_c(c);
    if (fp)
        jit_fp_collect(c);
    if (jit_of(c)->knobs.count)
        c->instructions--; /* not if it faults */
    c->run = insn;
    c->budget = 1; /* every branch and exception comes back here, before it looks for its target */
    const struct insn *next = insn->fn(c, insn);
    if (fp)
        jit_fp_clear();
    if (c->budget >= 0) /* below: attention is wanted */
        c->budget = CPU_BUDGET;
    c->run = NULL;
    if (jit_of(c)->knobs.count) {
        bool left = c->vcpu->exiting && c->pc == c->page_va + insn->offset;
        c->instructions = counted - left;
    }
    c->jit_flags = jit_flags_from_nzcv(c->nzcv);
    if (UNLIKELY(vcpu_of(c)->hot.written_count)) {
        jit_track_settle(vcpu_of(c));
        if (next) /* the block may be another one now */
            c->pc = c->page_va + insn->offset + 4;
        return false;
    }
    if (UNLIKELY(jit_of(c)->knobs.check)) /* what is pending waits until the block ends */
        return next || (!c->vcpu->exiting && c->pc == c->page_va + insn->offset + 4);
    return next != NULL;
}

const struct insn *jit_stop(struct cpu *c, const struct insn *i)
{
    (void)c;
    return i;
}

const uint8_t *jit_interp(struct cpu *c, const struct jit_call *call)
{
    struct jit *j = jit_of(c);

    j->stats.interp_calls++;
    j->stats.left[call->op]++;
    c->page_va = call->page_va;
    return run_one(c, call->insn) ? j->rx + call->next : jit_resume(c);
}

/*
 * The page that a site found last serves accesses that stay in one. Of the others each miss costs
 * more than hits save, so a site that misses often within a short time looks into the TLB from then
 * on: its block is translated anew.
 */
#define STRAYS_OF_SITE 128
#define STRAYS         4096
#define STRAYS_NS      (STRAYS * 2000ull)

static void note_stray(struct jit *j, const struct mmu_bank *b, uint64_t page_va, unsigned offset)
{
    const struct jit_binding *page = &j->binding[b->jit.bind[jit_bind_slot(page_va)]];

    if (++j->strays == STRAYS) {
        uint64_t now = now_ns();
        if (now - j->strays_since > STRAYS_NS)
            memset(j->stray, 0, sizeof j->stray);
        j->strays = 0;
        j->strays_since = now;
    }
    if (page == j->binding || page->va != page_va)
        return;
    uint64_t pa = page->pa + offset;
    unsigned site = jit_site(pa);
    if (++j->stray[site] < STRAYS_OF_SITE)
        return;
    j->stray[site] = 0;
    j->far[site / 64] |= 1ull << site % 64;
    jit_blocks_retire(j, pa, 4);
    cpu_attend(&j->v->cpu, ATTENTION_LOOK); /* out of a loop that is the block's own */
}

static struct jit_slow_common slow_common(const uint8_t *record, const struct jit_slow *s)
{
    struct jit_slow_common common;

    memcpy(&common, record - s->common, sizeof common);
    return common;
}

/* A place that the record names, as an address. */
static const uint8_t *slow_place(const struct jit *j, const uint8_t *record,
                                 const struct jit_slow *s, unsigned place)
{
    if (place & JIT_SLOW_COLD)
        return record - s->common + (place & ~JIT_SLOW_COLD);
    return j->rx + slow_common(record, s).code + place;
}

struct jit_refilled jit_refill(struct cpu *c, uint64_t va, const uint8_t *record)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct jit_slow s;

    struct mmu_bank *b = c->el ? &v->kernel : v->user;

    v->hot.jit->stats.refill_calls++;
    memcpy(&s, record, sizeof s);
    if ((va & 4095) + s.size > 4096 || c->tlb != &b->tlb || v->hot.one_entry)
        return (struct jit_refilled){ 0 };
    const struct tlb_entry *e = tlb_find(v, b, va, s.write);
    if (!e)
        return (struct jit_refilled){ 0 };
    if (s.page) {
        tlb_fill_page(b, s.page - 1u, e);
        note_stray(v->hot.jit, b, slow_common(record, &s).page_va, s.offset);
    }
    return (struct jit_refilled){ slow_place(v->hot.jit, record, &s, s.found), e->add };
}

/* Instruction `n` of a slow path, and what stops it. Returns its encoding. */
static enum a64_op slow_insn(const uint8_t *record, const struct jit_slow *s, unsigned n,
                             struct insn insn[2])
{
    uint16_t offset = (uint16_t)(s->offset + 4 * n);
    uint32_t word;

    memcpy(&word, record + sizeof *s + n * sizeof word, sizeof word);
    enum a64_op op = a64_decode(word);
    insn[0] = (struct insn){ .word = word, .offset = offset, .fn = a64_ops[op].fn };
    insn[1] = (struct insn){ .fn = jit_stop, .offset = (uint16_t)(offset + 4) };
    a64_ops[op].format(insn);
    return op;
}

/* run_one() of a group of loads and stores, which lies across two pages for as long as a stack
 * frame does. */
static bool run_group(struct cpu *c, const uint8_t *record, const struct jit_slow *s)
{
    const struct insn *next = NULL;
    struct insn insn[2];

    jit_enter_c(c);
    c->budget = 1;
    for (unsigned n = 0; n < s->count && (n == 0 || next); n++) {
        slow_insn(record, s, n, insn);
        c->run = insn;
        next = insn->fn(c, insn);
    }
    if (c->budget >= 0)
        c->budget = CPU_BUDGET;
    c->run = NULL;
    c->jit_flags = jit_flags_from_nzcv(c->nzcv);
    return next != NULL;
}

const uint8_t *jit_slow(struct cpu *c, const uint8_t *record)
{
    struct jit *j = jit_of(c);
    const struct jit_knobs *k = &j->knobs;
    struct jit_slow s;
    struct insn insn[2];

    memcpy(&s, record, sizeof s);
    j->stats.slow_calls++;
    c->page_va = slow_common(record, &s).page_va;
    j->stats.left[slow_insn(record, &s, 0, insn)]++;
    if (s.count > 1 && !k->count && !k->check && !k->track)
        return run_group(c, record, &s) ? slow_place(j, record, &s, s.next) : jit_resume(c);
    if (!run_one(c, insn))
        return jit_resume(c);
    for (unsigned n = 1; n < s.count; n++) {
        slow_insn(record, &s, n, insn);
        if (!run_one(c, insn))
            return jit_resume(c);
    }
    return slow_place(j, record, &s, s.next);
}

const uint8_t *jit_slow_vector(struct cpu *c, const uint8_t *record, union vreg *copy)
{
    struct jit_slow s;
    struct jit_slow_copies v;

    memcpy(&s, record, sizeof s);
    memcpy(&v, record + sizeof s + s.count * sizeof(uint32_t), sizeof v);
    for (unsigned k = 0; k < JIT_VECTOR_COPIES; k++)
        if (v.store[k] < 32)
            c->v[v.store[k]] = copy[k];
    const uint8_t *next = jit_slow(c, record);
    for (unsigned k = 0; k < JIT_VECTOR_COPIES; k++)
        if (v.load[k] < 32)
            copy[k] = c->v[v.load[k]];
    return next;
}

void jit_vector(struct cpu *c, const struct jit_call *call)
{
    struct jit *j = jit_of(c);

    j->stats.vector_calls++;
    j->stats.left[call->op]++;
    c->page_va = call->page_va;
    c->run = call->insn;
    jit_fp_collect(c);
    call->insn->fn(c, call->insn);
    jit_fp_clear();
    c->run = NULL;
}
