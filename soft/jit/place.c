/*
 * The pages that sites of code found last: places of tlb.page[], which warm code compares addresses
 * with before anything else. That takes fewer instructions than a look-up in the TLB, and what is
 * to be added to the address does not wait for it.
 *
 * What does not match goes to a thunk that looks into the TLB, puts the page that it finds there
 * into the place, and goes on. One in JIT_FILLS times it asks C instead (refill.c), which learns in
 * this way which sites miss often; and it does so where the TLB has nothing, or says that there is
 * more than a page to be had.
 */
#include "soft/jit/access.h"

#define STACK_PLACES 32

/* Of a block in its page, so that few have the same place. */
static unsigned block_number(jit_t t)
{
    unsigned block = t->start / 4;

    return block ^ block / 32;
}

/* The first place for accesses of so many bytes. */
static unsigned first_place(unsigned size)
{
    return size > TLB_PAGE_FEW ? JIT_PLACES : 0;
}

/* Stacks, and what loops and interpreters' dispatches work on, unless the site is known to leave
 * its pages often. Functions have places of their own for the stack, since they may work on
 * different pages of one. Otherwise a base of a block, or nest, gets the next place, so those that
 * are translated one after the other, as a program's loops are, have different ones. */
int jit_place_of(jit_t t, unsigned base, unsigned size, unsigned site)
{
    unsigned first = first_place(size);

    if (t->jit->knobs.unpaged || !t->warm || jit_is_site(t->jit->far, site))
        return -1;
    if (base == REG_SP || base == 29)
        return (int)(first + block_number(t) % STACK_PLACES);
    if (!t->stays && (!t->nest || t->jit->knobs.unspread))
        return -1;
    if (!t->place[base]) {
        t->jit->place = (t->jit->place + 1) % (JIT_PLACES - JIT_FAR_PLACES - STACK_PLACES);
        t->place[base] = (uint8_t)(STACK_PLACES + t->jit->place);
    }
    return (int)(first + t->place[base]);
}

int jit_place_of_far(jit_t t, unsigned stream, unsigned size)
{
    unsigned n = (block_number(t) + stream) % JIT_FAR_PLACES;

    return t->jit->knobs.unpaged ? -1 : (int)(first_place(size) + JIT_PLACES - JIT_FAR_PLACES + n);
}

uint8_t *jit_look_up_place(jit_t t, enum x86_reg at, int32_t disp, unsigned n, unsigned size,
                           bool write)
{
    size_t limit = write ? offsetof(struct tlb_page, wr) : offsetof(struct tlb_page, rd);
    struct x86_buf *b = &t->hot;

    jit_looks_up(t, x86_at(at, disp), size, write, n + 1);
    if (disp)
        x86_lea(b, 1, RDX, x86_at(at, disp));
    else
        x86_mov_rr(b, 1, RDX, at);
    x86_alu_rm(b, 1, X86_SUB, RDX, jit_place_field(n, offsetof(struct tlb_page, va)));
    x86_alu_rm(b, 1, X86_CMP, RDX, jit_place_field(n, limit));
    uint8_t *miss = x86_jcc(b, CC_AE);
    x86_mov_rm(b, 1, RCX, jit_place_field(n, offsetof(struct tlb_page, add)));
    t->look_up.end = b->p;
    return miss;
}

#define PLACE_SHIFT 5
#define ARG_SHIFT   16 /* in EDX: the place's offset, the access's size less 1 */

_Static_assert(sizeof(struct tlb_page) == 1u << PLACE_SHIFT, "a shift makes the number");
_Static_assert(sizeof(struct tlb_page) * TLB_PAGES <= 1u << (32 - ARG_SHIFT), "16 bits");

void jit_place_missed(jit_t t)
{
    unsigned n = t->look_up.page - 1;

    if (t->jit->knobs.unfilled)
        return;
    x86_mov_ri(&t->cold, RDX, n << (PLACE_SHIFT + ARG_SHIFT) | (t->look_up.size - 1));
    x86_call_to(&t->cold, t->jit->rw + t->jit->fill[t->look_up.write][n >= JIT_PLACES]);
    x86_patch(x86_jcc(&t->cold, CC_E), t->look_up.end);
}

/* The entry of the TLB at RBX; the place at RDX, or what it is copied from at RAX. */
static struct x86_mem entry(size_t offset)
{
    return x86_indexed(JIT_TLB, RBX, 0, (int32_t)(offsetof(struct tlb, e) + offset));
}

static struct x86_mem place(size_t offset)
{
    return x86_indexed(JIT_TLB, RDX, 0, (int32_t)(offsetof(struct tlb, page) + offset));
}

static struct x86_mem row(size_t offset)
{
    return x86_indexed(JIT_TLB, RAX, 0, (int32_t)(offsetof(struct tlb, page[TLB_PAGES]) + offset));
}

/* RCX = RBX's, or RAX's, sum for addresses; the place's, too. */
static void fill_add(struct x86_buf *b, struct x86_mem from)
{
    x86_mov_rm(b, 1, RCX, from);
    x86_mov_mr(b, 1, place(offsetof(struct tlb_page, add)), RCX);
}

/* Of the page that the entry has, which may be written if `write` is. */
static void fill_page(struct x86_buf *b, bool write, bool many)
{
    x86_mov_rr(b, 1, RAX, RCX);
    x86_alu_ri(b, 1, X86_AND, RAX, -4096);
    x86_mov_mr(b, 1, place(offsetof(struct tlb_page, va)), RAX);
    if (!write)
        x86_alu_rm(b, 1, X86_CMP, RAX, entry(offsetof(struct tlb_entry, wr)));
    fill_add(b, entry(offsetof(struct tlb_entry, add)));
    x86_mov_ri(b, RAX, 4096 + 1 - (many ? TLB_PAGE_MANY : TLB_PAGE_FEW));
    x86_mov_mr(b, 1, place(offsetof(struct tlb_page, rd)), RAX);
    if (!write) {
        x86_mov_ri(b, RBX, 0);
        x86_cmov_rr(b, 1, CC_NE, RAX, RBX);
    }
    x86_mov_mr(b, 1, place(offsetof(struct tlb_page, wr)), RAX);
}

/* Of a region or a window: the jumps if it is not the one that was found last there. */
static void match_row(struct x86_buf *b, bool write, bool many, uint8_t *none[2])
{
    size_t limit = write ? offsetof(struct tlb_page, wr) : offsetof(struct tlb_page, rd);

    x86_mov_rr(b, 0, RAX, RCX);
    x86_shift_ri(b, 0, X86_SHR, RAX, TLB_ROW_SHIFT - PLACE_SHIFT);
    x86_alu_ri(b, 0, X86_AND, RAX, (TLB_ROWS - 1) << PLACE_SHIFT);
    x86_mov_rr(b, 1, RBX, RCX);
    x86_alu_rm(b, 1, X86_SUB, RBX, row(offsetof(struct tlb_page, va)));
    x86_alu_rm(b, 1, X86_CMP, RBX, row(limit));
    none[0] = x86_jcc(b, CC_AE);
    none[1] = NULL;
    if (!many)
        return;
    x86_alu_ri(b, 1, X86_ADD, RBX, TLB_PAGE_MANY - TLB_PAGE_FEW);
    x86_alu_rm(b, 1, X86_CMP, RBX, row(limit));
    none[1] = x86_jcc(b, CC_AE);
}

/* A limit of 0 stays. */
static void fill_limit(struct x86_buf *b, size_t limit, bool many)
{
    x86_mov_rm(b, 1, RBX, row(limit));
    if (many) {
        x86_test_rr(b, 1, RBX, RBX);
        uint8_t *zero = x86_jcc8(b, CC_E);
        x86_alu_ri(b, 1, X86_SUB, RBX, TLB_PAGE_MANY - TLB_PAGE_FEW);
        x86_here8(b, zero);
    }
    x86_mov_mr(b, 1, place(limit), RBX);
}

static void fill_row(struct x86_buf *b, bool many)
{
    x86_mov_rm(b, 1, RBX, row(offsetof(struct tlb_page, va)));
    x86_mov_mr(b, 1, place(offsetof(struct tlb_page, va)), RBX);
    fill_add(b, row(offsetof(struct tlb_page, add)));
    fill_limit(b, offsetof(struct tlb_page, rd), many);
    fill_limit(b, offsetof(struct tlb_page, wr), many);
}

/* RDX is the place: it is in use now. ZF. */
static void end_found(struct x86_buf *b)
{
    x86_shift_ri(b, 0, X86_SHR, RDX, PLACE_SHIFT);
    x86_mov8_mi(b, x86_indexed(JIT_TLB, RDX, 0, offsetof(struct tlb, page_used)), 1);
    x86_alu_rr(b, 0, X86_XOR, RAX, RAX);
    x86_pop(b, RBX);
    x86_pop(b, RAX);
    x86_ret(b);
}

/* RAX = the offset in the page, RBX = where the entry is, if it is the right one. */
static uint8_t *match_entry(const struct jit *j, struct x86_buf *b, bool write)
{
    size_t tag = write ? offsetof(struct tlb_entry, wr) : offsetof(struct tlb_entry, rd);

    jit_tlb_index(j, b, RBX, RCX);
    x86_mov_rm(b, 1, RAX, entry(tag));
    x86_alu_rr(b, 1, X86_XOR, RAX, RCX);
    x86_alu_ri(b, 1, X86_CMP, RAX, 4095);
    return x86_jcc(b, CC_A);
}

/* The address is in RCX, in EDX what jit_place_missed() says. ZF: it was found, and RCX is what to
 * add to addresses; else RCX is kept. RAX always is. */
void jit_fill_emit(const struct jit *j, struct x86_buf *b, bool write, bool many)
{
    uint8_t *none[5];

    x86_push(b, RAX);
    x86_push(b, RBX);
    none[0] = match_entry(j, b, write);
    x86_alu_rr(b, 0, X86_ADD, RAX, RDX);
    x86_test_ri(b, 0, RAX, 0xf000); /* it goes over the end of the page */
    none[1] = x86_jcc(b, CC_NE);
    x86_alu_mi(b, 0, X86_SUB, JIT_VCPU(hot.fills), 1);
    none[2] = x86_jcc(b, CC_S);
    x86_shift_ri(b, 0, X86_SHR, RDX, ARG_SHIFT);
    x86_test8_mi(b, entry(offsetof(struct tlb_entry, pa)), TLB_IN_ROW);
    uint8_t *in_row = x86_jcc(b, CC_NE);
    fill_page(b, write, many);
    end_found(b);
    x86_here(b, in_row);
    match_row(b, write, many, &none[3]);
    fill_row(b, many);
    end_found(b);
    for (size_t n = 0; n < ARRAY_LEN(none); n++)
        if (none[n])
            x86_here(b, none[n]);
    x86_alu_ri(b, 1, X86_CMP, RSP, 0); /* not ZF */
    x86_pop(b, RBX);
    x86_pop(b, RAX);
    x86_ret(b);
}
