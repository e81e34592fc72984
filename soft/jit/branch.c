/*
 * Branches (DDI 0487 C4.1.93) and the ways out of a block.
 *
 * A direct exit is a jump that leads to its tail in the cold part, which asks for the target's code
 * and has the jump lead there from then on. Inside of a page that is all. Into another page, what
 * the target's page means may change while this page keeps its meaning, so the jump comes after a
 * comparison of the page's slot with the binding that the jump was made for.
 *
 * An endless loop takes a direct branch backwards, an indirect one or a call for ever. The first
 * look at cpu.attention. The second fail to find their target when somebody wants attention, since
 * cpu.jit_jumps is an empty table then. Calls that push a return look whether they may, at
 * cpu.jit_returns_end; and each return that is taken by it has a call before it.
 */
#include "soft/jit/translate.h"
#include "soft/model.h"

static uint32_t hot_offset(jit_t t, const uint8_t *p)
{
    return (uint32_t)(p - t->jit->rw);
}

static uint64_t here_pc(jit_t t)
{
    return jit_pc(t, &t->insn[t->at < t->count ? t->at : t->count - 1].i);
}

/* The tail of a direct exit whose jump's or call's displacement is at `site`. */
static void exit_tail(jit_t t, uint64_t target, uint8_t *site, bool called, bool bound)
{
    struct jit *j = t->jit;
    struct jit_exit e = {
        .target = target,
        .site = hot_offset(t, site) & JIT_OFFSET,
        .bound = bound,
        .called = called,
        .tail = hot_offset(t, t->cold.p),
    };
    x86_patch(site, t->cold.p);
    uint32_t n = jit_exit_add(j, &e);
    x86_call_to(&t->cold, j->rw + j->link);
    x86_imm32(&t->cold, n);
}

/*
 * Others may execute an exit while it is linked. So its displacement lies in 8 aligned bytes, and
 * so does the id that was compared, in front of it: `ahead` bytes from here, in the first `most` or
 * before. Blocks move by multiples of that.
 */
static void align_exit(jit_t t, unsigned ahead, unsigned most)
{
    unsigned at = (unsigned)(hot_offset(t, t->hot.p) + ahead) % 8;

    if (at > most)
        x86_nop(&t->hot, 8 - at);
}

/* Bytes of a comparison of a binding, of the jumps in front of displacements, and of PUSH R12. */
#define COMPARE 11
#define JMP     1
#define CALL    1
#define JCC     2
#define PUSH    2

/* Where a displacement may begin: alone, and 6 or 13 bytes behind the beginning of an id. */
#define ALONE          4
#define BEHIND_ID      2
#define BEHIND_ID_CALL 1

static bool polls(jit_t t, uint64_t target)
{
    return target <= here_pc(t) || t->jit->knobs.polls;
}

/* EFLAGS: does nobody want attention? */
static void poll(jit_t t)
{
    x86_alu_mi(&t->hot, 0, X86_CMP, JIT_CPU(attention), 0);
}

/* Somebody does: go out before the instruction at `target`, `back` in the loop. */
static void attend(jit_t t, uint8_t *wanted, uint64_t target, bool back)
{
    x86_patch(wanted, t->cold.p);
    if (back) {
        vector_cache_write(t, &t->cold);
        jit_loop_leave(t, &t->cold);
    }
    jit_mov_va(t, &t->cold, RAX, target);
    x86_jmp_to(&t->cold, t->jit->rw + t->jit->miss);
}

static bool is_other_page(jit_t t, uint64_t target)
{
    return (target ^ t->page_va) >= CODE_PAGE_SIZE;
}

static int32_t bind_offset(uint64_t target)
{
    return (int32_t)(offsetof(struct mmu_bank, jit.bind) + jit_bind_slot(target) * 4);
}

/* EFLAGS: is the target's page bound as the exit was linked for? */
static void compare_binding(jit_t t, uint64_t target)
{
    x86_op_rm(&t->hot, 0, 0, 0x81, X86_CMP, x86_at(JIT_TLB, bind_offset(target)), false);
    x86_imm32(&t->hot, JIT_NO_BINDING);
}

void jit_bind_patch(uint8_t *at, uint64_t target)
{
    st_le32(at - 4, (uint32_t)bind_offset(target));
    st_le32(at, JIT_NO_BINDING);
}

/* The part of the nest that is being emitted, if the target is in it. */
static unsigned inner_part(jit_t t, uint64_t target)
{
    return UNLIKELY(t->nest != NULL) ? jit_nest_part(t, target) : JIT_NEST_PARTS;
}

/* The way that is usually taken is one jump: out of the comparison. */
void jit_exit_direct(jit_t t, uint64_t target)
{
    struct x86_buf *b = &t->hot;

    jit_clobber(t);
    unsigned part = inner_part(t, target);
    if (part < JIT_NEST_PARTS) {
        if (!polls(t, target)) {
            jit_nest_jump(t, x86_jmp(b), part);
            return;
        }
        poll(t);
        jit_nest_jump(t, x86_jcc(b, CC_E), part);
        attend(t, x86_jmp(b), target, true);
        return;
    }
    if (t->loop.inside && t->loop.head && target == jit_pc(t, &t->insn[0].i)) {
        if (t->loop.carry_only)
            jit_flags_only_carry(t);
        jit_streams_turn(t);
        poll(t);
        x86_patch(x86_jcc(b, CC_E), t->loop.head);
        attend(t, x86_jmp(b), target, true);
        return;
    }
    jit_loop_leave(t, b);
    if (is_other_page(t, target)) {
        if (polls(t, target)) {
            poll(t);
            attend(t, x86_jcc(b, CC_NE), target, false);
        }
        align_exit(t, COMPARE + JCC, BEHIND_ID);
        compare_binding(t, target);
        uint8_t *site = x86_jcc(b, CC_E);
        x86_jmp_to(b, t->cold.p);
        exit_tail(t, target, site, false, true);
    } else if (polls(t, target)) {
        poll(t);
        align_exit(t, JCC, ALONE);
        uint8_t *site = x86_jcc(b, CC_E);
        attend(t, x86_jmp(b), target, false);
        exit_tail(t, target, site, false, false);
    } else {
        align_exit(t, JMP, ALONE);
        exit_tail(t, target, x86_jmp(b), false, false);
    }
}

/*
 * Leave for `target` if `cc` holds. Flags that the target reads are stored on this way only. What
 * takes more than a jump lies behind the block, but for loops, so that the way on is dense.
 */
static void exit_if(jit_t t, enum x86_cc cc, uint64_t target)
{
    struct jit_remake remake = t->remake;
    enum jit_eflags ef = t->ef;
    bool stored = t->ef_stored, carry_stored = t->carry_stored;
    bool store = t->insn[t->at].target_live && ef != EF_NONE && !stored;

    if (!store && inner_part(t, target) < JIT_NEST_PARTS && !polls(t, target)) {
        jit_nest_jump(t, x86_jcc(&t->hot, cc), inner_part(t, target));
        return;
    }
    if (!store && !t->loop.inside && !is_other_page(t, target) && !polls(t, target)) {
        align_exit(t, JCC, ALONE);
        exit_tail(t, target, x86_jcc(&t->hot, cc), false, false);
        return;
    }
    if (!t->jit->knobs.near && (target > here_pc(t) || is_other_page(t, target))) {
        t->out[t->outs++] = (struct jit_way_out){
            .from = x86_jcc(&t->hot, cc),
            .target = target,
            .insn = t->insn,
            .at = t->at,
            .ef = store ? ef : EF_NONE,
            .looped = t->loop.inside,
            .streamed = t->loop.streaming,
            .moved = t->straight != NULL,
        };
        if (UNLIKELY(t->straight != NULL))
            memcpy(t->out[t->outs - 1].map, t->loop.map, sizeof t->loop.map);
        return;
    }
    uint8_t *stay = x86_jcc(&t->hot, (enum x86_cc)(cc ^ 1));
    if (store)
        jit_flags_store(t, t->insn[t->at].target_live);
    t->ef = EF_NONE;
    t->remake.how = REMAKE_NONE;
    jit_exit_direct(t, target);
    x86_here(&t->hot, stay);
    t->ef = ef; /* not taken: nothing changed them */
    t->ef_stored = stored;
    t->carry_stored = carry_stored;
    t->remake = remake;
}

void jit_exits_end(jit_t t)
{
    struct jit_insn *insn = t->insn;
    unsigned count = t->count;

    t->remake.how = REMAKE_NONE;
    for (unsigned n = 0; n < t->outs && jit_has_room(t); n++) {
        const struct jit_way_out *out = &t->out[n];
        x86_here(&t->hot, out->from);
        t->insn = out->insn;
        t->at = out->at;
        t->count = t->at + 1;
        t->ef = out->ef;
        t->ef_stored = false;
        jit_flags_store(t, t->insn[t->at].target_live);
        t->ef = EF_NONE;
        t->loop.inside = out->looped;
        if (UNLIKELY(out->moved))
            memcpy(t->loop.map, out->map, sizeof t->loop.map);
        t->loop.streaming = out->streamed;
        jit_exit_direct(t, out->target);
        t->loop.inside = t->loop.streaming = false;
    }
    t->insn = insn;
    t->count = count;
}

static void jump_to_miss(jit_t t, uint8_t *from)
{
    x86_patch(from, t->jit->rw + t->jit->miss);
}

_Static_assert(sizeof(struct jit_jump) == 4u << 2, "the index is scaled");

/* Of the entry for the address whose bits are in RCX, in the table at RDX. */
static struct x86_mem jump_field(size_t offset)
{
    return x86_indexed(RDX, RCX, 2, (int32_t)offset);
}

/* Is the address in RAX in the jump table? The way out if not; its entry is found by RDX and RCX.
 */
static uint8_t *look_up_jump(struct x86_buf *b)
{
    x86_mov_rm(b, 1, RDX, JIT_CPU(jit_jumps));
    x86_mov_rr(b, 0, RCX, RAX);
    x86_alu_ri(b, 0, X86_AND, RCX, (JIT_JUMPS - 1) << 2);
    x86_alu_rm(b, 1, X86_CMP, RAX, jump_field(offsetof(struct jit_jump, pc)));
    return x86_jcc(b, CC_NE);
}

static void exit_indirect(jit_t t, struct x86_buf *b)
{
    jump_to_miss(t, look_up_jump(b));
    x86_jmp_m(b, jump_field(offsetof(struct jit_jump, code)));
}

void jit_exit_indirect(jit_t t)
{
    exit_indirect(t, &t->hot);
}

void jit_exit_lookup(jit_t t, uint64_t target)
{
    jit_clobber(t);
    jit_mov_va(t, &t->hot, RAX, target);
    jit_exit_indirect(t);
}

/* A CPU with BTI has to note how a branch came. */
static bool branches_are_plain(jit_t t)
{
    return !(t->v->cpu.vm->options & MODEL_BTI);
}

/*
 * Calls that push X30 for RET (returns.c), if they may: cpu.jit_returns_end says so. The block goes
 * on behind those in warm code. Elsewhere that would be code twice, since what comes back from a
 * first call, or after the entry was forgotten, enters the block of that address.
 */
static bool are_paired(jit_t t)
{
    return !t->jit->knobs.unpredicted && branches_are_plain(t);
}

bool jit_goes_on(jit_t t, enum a64_op op)
{
    return (op == A64_BL || op == A64_BLR) && t->warm && are_paired(t) && !t->jit->knobs.check;
}

/* In cold code, for a call that is made from there: what it would push. Changes RCX. */
static void push_return(jit_t t)
{
    x86_push(&t->cold, (enum x86_reg)t->pinned[REG_LR]);
    x86_lea_rip(&t->cold, RCX, t->hot.p);
    x86_push(&t->cold, RCX);
}

/* Behind the call. */
static void come_back(jit_t t)
{
    x86_pop(&t->hot, RCX);
    vector_cache_forget(t);
    t->sp_aligned = t->carry_stored = false;
    if (t->at + 1 < t->count)
        return;
    jit_exit_direct(t, here_pc(t) + 4);
    t->ended = true;
}

/* EFLAGS: may a call push? */
static void compare_end(jit_t t)
{
    x86_alu_rm(&t->hot, 1, X86_CMP, RSP, JIT_CPU(jit_returns_end));
}

static void call_direct(jit_t t, uint64_t target)
{
    struct x86_buf *b = &t->hot;

    compare_end(t);
    attend(t, x86_jcc(b, CC_BE), target, false);
    uint8_t *mismatch = NULL;
    if (is_other_page(t, target)) {
        align_exit(t, COMPARE + 4 + JCC + PUSH + CALL, BEHIND_ID_CALL);
        compare_binding(t, target);
        mismatch = x86_jcc(b, CC_NE);
    } else {
        align_exit(t, PUSH + CALL, ALONE);
    }
    x86_push(b, (enum x86_reg)jit_pinned[REG_LR]);
    uint8_t *site = x86_call(b);
    if (mismatch) {
        x86_patch(mismatch, t->cold.p);
        push_return(t);
    }
    exit_tail(t, target, site, true, mismatch != NULL);
    come_back(t);
}

/* To the address in RAX. */
static void call_indirect(jit_t t)
{
    struct x86_buf *b = &t->hot;

    compare_end(t);
    jump_to_miss(t, x86_jcc(b, CC_BE));
    uint8_t *miss = look_up_jump(b);
    x86_push(b, (enum x86_reg)t->pinned[REG_LR]);
    x86_call_m(b, jump_field(offsetof(struct jit_jump, code)));
    x86_patch(miss, t->cold.p);
    push_return(t);
    x86_jmp_to(&t->cold, t->jit->rw + t->jit->miss);
    come_back(t);
}

/* Emitters. */

static uint64_t target_of(jit_t t, const struct insn *i)
{
    return t->page_va + (uint64_t)jit_target(i);
}

bool emit_b(jit_t t, const struct insn *i)
{
    jit_exit_direct(t, target_of(t, i));
    t->ended = true;
    return true;
}

static void set_link(jit_t t, const struct insn *i)
{
    jit_mov_va(t, &t->hot, (enum x86_reg)t->pinned[REG_LR], jit_pc(t, i) + 4);
}

bool emit_bl(jit_t t, const struct insn *i)
{
    jit_clobber(t);
    set_link(t, i);
    if (!are_paired(t))
        return emit_b(t, i);
    call_direct(t, target_of(t, i));
    return true;
}

bool emit_b_cond(jit_t t, const struct insn *i)
{
    unsigned cond = i->word & 15;

    if (cond >= 14) {
        jit_exit_direct(t, target_of(t, i));
        t->ended = true; /* what follows was decoded in vain */
        return true;
    }
    enum x86_cc cc = jit_condition(t, cond);
    exit_if(t, cc, target_of(t, i));
    return true;
}

static void compare_zero(jit_t t, const struct insn *i, unsigned w, enum x86_cc cc)
{
    unsigned rn = i->rn;

    jit_clobber(t);
    if (t->pinned[rn] != X86_NONE) {
        enum x86_reg r = (enum x86_reg)t->pinned[rn];
        x86_test_rr(&t->hot, w, r, r);
    } else if (rn == REG_ZR) {
        x86_alu_rr(&t->hot, 0, X86_XOR, RAX, RAX);
    } else {
        x86_alu_mi(&t->hot, w, X86_CMP, jit_slot(rn), 0);
    }
    exit_if(t, cc, target_of(t, i));
}

bool emit_cbz_w(jit_t t, const struct insn *i)
{
    compare_zero(t, i, 0, CC_E);
    return true;
}

bool emit_cbz_x(jit_t t, const struct insn *i)
{
    compare_zero(t, i, 1, CC_E);
    return true;
}

bool emit_cbnz_w(jit_t t, const struct insn *i)
{
    compare_zero(t, i, 0, CC_NE);
    return true;
}

bool emit_cbnz_x(jit_t t, const struct insn *i)
{
    compare_zero(t, i, 1, CC_NE);
    return true;
}

static void test_bit(jit_t t, const struct insn *i, bool set)
{
    unsigned n = i->a;

    jit_clobber(t);
    if (t->pinned[i->rn] != X86_NONE) {
        enum x86_reg r = (enum x86_reg)t->pinned[i->rn];
        if (n < 31)
            x86_test_ri(&t->hot, 0, r, (int32_t)(1u << n));
        else
            x86_bt_ri(&t->hot, 1, r, n);
    } else if (i->rn == REG_ZR) {
        x86_alu_rr(&t->hot, 0, X86_XOR, RAX, RAX);
        n = 0;
    } else {
        struct x86_mem m = jit_slot(i->rn);
        m.disp += (int32_t)(n / 8);
        x86_test8_mi(&t->hot, m, 1u << n % 8);
        n = 0;
    }
    enum x86_cc cc = n < 31 ? CC_NE : CC_B;
    exit_if(t, set ? cc : (enum x86_cc)(cc ^ 1), target_of(t, i));
}

bool emit_tbz(jit_t t, const struct insn *i)
{
    test_bit(t, i, false);
    return true;
}

bool emit_tbnz(jit_t t, const struct insn *i)
{
    test_bit(t, i, true);
    return true;
}

bool emit_br(jit_t t, const struct insn *i)
{
    if (!branches_are_plain(t))
        return false;
    jit_clobber(t);
    jit_copy(t, 1, i->rn, RAX);
    jit_exit_indirect(t);
    t->ended = true;
    return true;
}

bool emit_blr(jit_t t, const struct insn *i)
{
    if (!branches_are_plain(t))
        return false;
    jit_clobber(t);
    jit_copy(t, 1, i->rn, RAX);
    set_link(t, i);
    if (are_paired(t)) {
        call_indirect(t);
    } else {
        jit_exit_indirect(t);
        t->ended = true;
    }
    return true;
}

/* What is returned to by another address than X30 does not come from a call. */
bool emit_ret(jit_t t, const struct insn *i)
{
    if (!are_paired(t) || i->rn != REG_LR)
        return emit_br(t, i);
    jit_clobber(t);
    x86_alu_rm(&t->hot, 1, X86_CMP, (enum x86_reg)t->pinned[REG_LR], x86_at(RSP, 8));
    uint8_t *other = x86_jcc(&t->hot, CC_NE);
    x86_ret(&t->hot);
    t->ended = true;
    x86_patch(other, t->cold.p);
    x86_mov_rm(&t->cold, 1, RSP, JIT_VCPU(hot.returns_base));
    x86_mov_rr(&t->cold, 1, RAX, (enum x86_reg)t->pinned[REG_LR]);
    exit_indirect(t, &t->cold);
    return true;
}
