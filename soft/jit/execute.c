/*
 * What C executes for translated code: instructions that are not translated, slow paths of those
 * that are, and look-ups that the first level of the TLB had no answer for. Thunks call it, all
 * guest state is in memory (but for jit_vector()), and what is returned is where to go on.
 */
#include <string.h>

#include "soft/interp/interp.h"
#include "soft/jit/state.h"

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

/* An instruction, and what stops it. */
static void make_insn(struct insn insn[2], uint32_t word, uint32_t op, uint16_t offset)
{
    insn[0] = (struct insn){ .word = word, .offset = offset, .fn = a64_ops[op].fn };
    insn[1] = (struct insn){ .fn = jit_stop, .offset = (uint16_t)(offset + 4) };
    a64_ops[op].format(insn);
}

const uint8_t *jit_interp(struct cpu *c, const struct jit_call *call)
{
    struct jit *j = jit_of(c);
    struct insn insn[2];

    j->stats.interp_calls++;
    j->stats.left[call->op]++;
    c->page_va = call->page_va;
    make_insn(insn, call->word, call->op, call->offset);
    return run_one(c, insn) ? j->rx + call->next : jit_resume(c);
}

/* Instruction `n` of a slow path, and what stops it. Returns its encoding. */
static enum a64_op slow_insn(const uint8_t *record, const struct jit_slow *s, unsigned n,
                             struct insn insn[2])
{
    uint16_t offset = (uint16_t)(s->offset + 4 * n);
    uint32_t word;

    memcpy(&word, record + sizeof *s + n * sizeof word, sizeof word);
    enum a64_op op = a64_decode(word);
    make_insn(insn, word, op, offset);
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
    c->page_va = jit_slow_common_of(record, &s).page_va;
    j->stats.left[slow_insn(record, &s, 0, insn)]++;
    if (s.count > 1 && !k->count && !k->check && !k->track)
        return run_group(c, record, &s) ? jit_slow_place(j, record, &s, s.next) : jit_resume(c);
    if (!run_one(c, insn))
        return jit_resume(c);
    for (unsigned n = 1; n < s.count; n++) {
        slow_insn(record, &s, n, insn);
        if (!run_one(c, insn))
            return jit_resume(c);
    }
    return jit_slow_place(j, record, &s, s.next);
}

const uint8_t *jit_slow_vector(struct cpu *c, const uint8_t *record, union vreg *copy,
                               size_t copies)
{
    struct jit_slow s;

    memcpy(&s, record, sizeof s);
    const uint8_t *store = record + sizeof s + s.count * sizeof(uint32_t), *load = store + copies;
    for (size_t k = 0; k < copies; k++)
        if (store[k] < 32)
            c->v[store[k]] = copy[k];
    const uint8_t *next = jit_slow(c, record);
    for (size_t k = 0; k < copies; k++)
        if (load[k] < 32)
            copy[k] = c->v[load[k]];
    return next;
}

void jit_vector(struct cpu *c, const struct jit_call *call)
{
    struct jit *j = jit_of(c);
    struct insn insn[2];

    j->stats.vector_calls++;
    j->stats.left[call->op]++;
    c->page_va = call->page_va;
    make_insn(insn, call->word, call->op, call->offset);
    c->run = insn;
    jit_fp_collect(c);
    insn->fn(c, insn);
    jit_fp_clear();
    c->run = NULL;
}
