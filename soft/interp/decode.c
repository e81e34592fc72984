/*
 * From words to slots. A page starts as slots that decode themselves when they are reached; a
 * decoded slot keeps its function for as long as the page's bytes do not change.
 *
 * Several vCPUs may reach a slot at the same time. They write the same values, and `fn` last, so
 * whoever sees the new function also sees its operands.
 */
#include "soft/interp/interp.h"
#include "soft/model.h"
#include "soft/vcpu.h"

/* What `word` is on a CPU with these options: the rest of the hint space does nothing. */
static const struct a64_op_info *decode_op(uint32_t word, unsigned options)
{
    const struct a64_op_info *op = &a64_ops[a64_decode(word)];

    if (op->option & ~options)
        return &a64_ops[(word & 0xfffff01f) == 0xd503201f ? A64_HINT : A64_UNDEFINED];
    return op;
}

/* Decode a slot of the current page; its function. Not inline, so that the caller has no frame when
 * it goes on. */
static __attribute__((noinline)) insn_fn *decode(struct cpu *c, const struct insn *i)
{
    struct code_page *page = c->page;
    struct insn *slot = &page->slot[i->offset / 4];
    struct insn decoded = { .word = ld_le32(page->host + i->offset), .offset = i->offset };
    unsigned options = c->vm->options;
    const struct a64_op_info *op = decode_op(decoded.word, options);

    decoded.fn = op->fn;
    op->format(&decoded);
    insn_fn *fn = options & MODEL_BTI ? interp_with_bti(decoded.fn) : decoded.fn;
    decoded.fn = slot->fn;
    *slot = decoded;
    __atomic_store_n(&slot->fn, fn, __ATOMIC_RELEASE);
    return fn;
}

const struct insn *interp_decode_slot(struct cpu *c, const struct insn *i)
{
    return decode(c, i)(c, i);
}

/*
 * Functions go on to the next slot by themselves, so the instruction runs from a copy that another
 * one follows.
 */
static const struct insn *step_done(struct cpu *c, const struct insn *i)
{
    (void)c;
    return i;
}

bool interp_step(struct cpu *c, const struct insn *i)
{
    if (i->fn == interp_decode_slot)
        decode(c, i);
    const struct insn copy[2] = {
        *i,
        { .fn = step_done, .offset = (uint16_t)(i->offset + 4) },
    };
    int32_t budget = c->budget;
    c->run = copy;
    c->budget = 1; /* every branch and exception comes back here, before it looks for its target */
    const struct insn *next = copy->fn(c, copy);
    if (c->budget >= 0)
        c->budget = budget - 1;
    if (next == &copy[1])
        cpu_end_run(c, cpu_pc(c, next));
    c->run = NULL;
    if (next)
        c->pc = cpu_pc(c, next);
    return next == &copy[1];
}

void interp_reset_page(struct code_page *page)
{
    for (unsigned n = 0; n < CODE_PAGE_SLOTS; n++)
        page->slot[n] = (struct insn){ .fn = interp_decode_slot, .offset = (uint16_t)(n * 4) };
    page->slot[CODE_PAGE_SLOTS] = (struct insn){ .fn = interp_page_end, .offset = CODE_PAGE_SIZE };
}

INSN(UNDEFINED)
{
    exc_undefined(c, i);
}

void interp_sp_misaligned(struct cpu *c, const struct insn *i)
{
    exc_sync(c, EC_SP_ALIGNMENT, 0, cpu_pc(c, i));
}
