/*
 * What the files of the translator share: the state of one translation, the guest's registers and
 * flags as translated code has them.
 *
 * Register map. The state pointer is R15 (biased by JIT_BIAS so that x[0] to x[31] are a byte's
 * displacement away), the current software TLB is R14. Ten guest registers live in host registers
 * from block to block; the others are operands in memory. RAX, RCX and RDX are scratch.
 *
 * Flags. NZCV is in EFLAGS right after the instruction that set it (t->ef says how) and is stored
 * only when it is live and EFLAGS are about to be clobbered: as LAHF and SETO leave it in AX, with
 * the carry as x86 has it after a subtraction, in cpu.jit_flags. cpu.nzcv is valid in C only.
 */
#ifndef SOFT_JIT_TRANSLATE_H
#define SOFT_JIT_TRANSLATE_H

#include <stddef.h>

#include "soft/interp/a64_ops.h"
#include "soft/jit/loop.h"
#include "soft/jit/runtime.h"
#include "soft/jit/x86.h"
#include "soft/vcpu.h"

#define JIT_BIAS 128

#define JIT_STATE R15
#define JIT_TLB   R14 /* also the bank, which begins with it */

_Static_assert(offsetof(struct mmu_bank, tlb) == 0, "the bank is where its TLB is");

/* Operands at the state pointer. */
#define JIT_CPU(field)  x86_at(JIT_STATE, (int32_t)offsetof(struct cpu, field) - JIT_BIAS)
#define JIT_VCPU(field) x86_at(JIT_STATE, (int32_t)offsetof(struct soft_vcpu, field) - JIT_BIAS)

/* What EFLAGS hold: nothing, NZCV with the carry inverted, or NZCV. */
enum jit_eflags { EF_NONE, EF_SUB, EF_ADD };

/* How flags that EFLAGS do not hold any more are made again: soft/jit/remake.c. */
enum jit_remaking { REMAKE_NONE, REMAKE_ADD, REMAKE_CMP, REMAKE_TEST };

struct jit_remake {
    enum jit_remaking how;
    bool result;      /* n is that, not an operand */
    unsigned w, n, m; /* of guest register n and m, or imm if m is REG_NONE */
    int32_t imm;
};

/* Flags that somebody reads: C, any of the others. */
enum { JIT_FLAG_C = 1, JIT_FLAGS_NZV = 2 };

/* Neighbouring accesses that share a look-up: soft/jit/group.c. */
struct jit_group {
    bool open, write, writes_back; /* the last is of the access being emitted */
    unsigned first, last;          /* in jit_translation.insn */
    int64_t low, moved; /* from the base as it was: where the range begins, where the base is */
    int32_t disp;       /* of the look-up */
    uint8_t *slow[2];
};

/* A conditional branch whose way out is behind the block: soft/jit/branch.c. */
struct jit_way_out {
    uint8_t *from;
    uint64_t target;
    struct jit_insn *insn; /* jit_translation.insn, */
    unsigned at;           /* and in it */
    enum jit_eflags ef;    /* to be stored, if not EF_NONE */
    bool looped;           /* out of the loop */
    bool streamed;         /* out of its body that looks no pages up */
    bool moved;            /* out of straight code, whose map was `map` */
    int8_t map[REG_COUNT];
};

#define JIT_LITERALS 16

struct jit_translation {
    struct x86_buf hot, cold;
    struct soft_vcpu *v;
    struct jit *jit;
    struct jit_block *block;
    uint64_t page_va; /* code has it by jit_mov_va() only */
    uint64_t page_pa;
    unsigned start;       /* offset of the block in the page */
    const uint8_t *page;  /* the guest's bytes */
    unsigned mode;        /* JIT_MODE_* */
    const int8_t *pinned; /* the register map of the code being emitted, as jit_pinned[] */
    struct jit_insn *insn;
    uint64_t checksum;
    unsigned count, at; /* `at`: the one being emitted */
    enum jit_eflags ef;
    bool ef_stored;      /* cpu.jit_flags has what EFLAGS hold, as far as it is live */
    bool carry_stored;   /* only the carry was stored there last, so N and Z are 0 */
    unsigned set_at;     /* the instruction that they were set by */
    unsigned read_first; /* those that the block reads before it sets them */
    struct jit_remake remake;
    bool stays;          /* a loop, or the end of one: accesses may stay in their pages */
    bool warm;           /* it runs often, so that it may look at the pages found last */
    bool sp_aligned;     /* SP is known to be a multiple of 16 */
    bool puts_off;       /* products, past a load or store */
    unsigned multiplier; /* RDX has the value of this guest register + 1, of products; 0: of none */
    uint8_t place[REG_COUNT]; /* of tlb.page[], of accesses with this base; 0: none so far */
    struct jit_group group;
    struct jit_loop loop;
    struct jit_straight *straight; /* NULL: registers have fixed places */
    struct jit_nest *nest;         /* that the block is, or NULL */
    struct jit_way_out *out;
    unsigned outs;
    struct {
        const uint8_t *end; /* behind it */
        struct x86_mem address;
        unsigned size;
        bool write;
        unsigned page;           /* as in struct jit_slow */
        enum x86_reg found, add; /* the sum of them and disp is the address on the host */
        int32_t disp;
    } look_up; /* the last one */
    struct jit_vector_cache cache;
    struct jit_vector_cache before; /* the instruction being emitted: as slow paths find it */
    bool ended;                     /* the block's code ends here */
    bool odd;                       /* there are knobs to be looked at for each instruction */
    bool multiplies;                /* there may be MUL or UMULH of 64 bits */
    bool full;                      /* because there is no room for more, so it is no block */
    const uint8_t *slow_common;     /* struct jit_slow_common, or NULL: not needed so far */
    const uint8_t **literal;        /* constants of vector code, in the cold part */
    unsigned literals;
};

typedef struct jit_translation *jit_t;

/* Emit code for `i`. False: not by this function, so through the interpreter's. */
typedef bool jit_emitter(jit_t t, const struct insn *i);

static inline uint64_t jit_pc(jit_t t, const struct insn *i)
{
    return t->page_va + i->offset;
}

/* Registers. */

/* The host register that holds guest register `reg` (REG_SP too), or X86_NONE: between blocks, as
 * the thunks know it. Emitters ask jit_translation.pinned. */
extern const int8_t jit_pinned[REG_COUNT];

static inline struct x86_mem jit_slot(unsigned reg)
{
    return x86_at(JIT_STATE, (int32_t)(reg * 8) - JIT_BIAS);
}

/* A host register with the value of `reg`: its own, or `scratch` filled. Not to be changed. Flags
 * stay. */
static inline enum x86_reg jit_use(jit_t t, unsigned reg, enum x86_reg scratch)
{
    if (t->pinned[reg] != X86_NONE)
        return (enum x86_reg)t->pinned[reg];
    if (reg == REG_ZR)
        x86_mov_ri(&t->hot, scratch, 0);
    else
        x86_mov_rm(&t->hot, 1, scratch, jit_slot(reg));
    return scratch;
}

/* `scratch` gets a copy of `reg` that may be changed. */
static inline enum x86_reg jit_copy(jit_t t, unsigned w, unsigned reg, enum x86_reg scratch)
{
    if (t->pinned[reg] != X86_NONE)
        x86_mov_rr(&t->hot, w, scratch, (enum x86_reg)t->pinned[reg]);
    else if (reg == REG_ZR)
        x86_mov_ri(&t->hot, scratch, 0);
    else
        x86_mov_rm(&t->hot, w, scratch, jit_slot(reg));
    return scratch;
}

/* Where a result for `reg` is to be made: its own register, or `scratch`; jit_done() afterwards
 * puts it away. REG_NONE: scratch. */
static inline enum x86_reg jit_def(jit_t t, unsigned reg, enum x86_reg scratch)
{
    return t->pinned[reg] != X86_NONE ? (enum x86_reg)t->pinned[reg] : scratch;
}

static inline void jit_done(jit_t t, unsigned reg, enum x86_reg r)
{
    if (t->pinned[reg] == X86_NONE && reg != REG_NONE)
        x86_mov_mr(&t->hot, 1, jit_slot(reg), r);
    else if (t->pinned[reg] != X86_NONE && (enum x86_reg)t->pinned[reg] != r)
        x86_mov_rr(&t->hot, 1, (enum x86_reg)t->pinned[reg], r);
}

/* soft/jit/uses.c: general registers that an instruction reads and writes, as bits by their number
 * (REG_SP too), if that is known; `plain`: it neither faults nor branches, and is no call of C. */
struct jit_uses {
    uint32_t reads, writes;
    bool known, plain;
};
struct jit_uses jit_uses_of(jit_t t, const struct jit_insn *n);

/* Code whose registers move: soft/jit/straight.c. */
struct jit_straight {
    struct jit_uses uses[JIT_STRAIGHT_MAX];
    unsigned count;
    uint32_t dirty;              /* registers that memory does not have, if they have a place */
    unsigned weight[REG_SP + 1]; /* how much the next instructions use each */
};

/* What an instruction does with NZCV: reads, as bits of jit_insn.flags_live, and writes. */
enum { FLAGS_READ = JIT_FLAG_C | JIT_FLAGS_NZV, FLAGS_WRITE = 4 };

/* soft/jit/facts.c, by enum a64_op: the former, of instructions that have an emitter; conditional
 * branches; ends of blocks; instructions of which the condition, or the system register, says more;
 * B. FACTS_OF_BLOCK: what follows it may be elsewhere, or not be the block's. */
enum {
    FACT_CONDITIONAL = 8,
    FACT_ENDS = 16,
    FACT_CONDITION = 32,
    FACT_SYSTEM = 64,
    FACT_JUMPS = 128,
    FACTS_OF_BLOCK = FACT_CONDITIONAL | FACT_ENDS | FACT_SYSTEM | FACT_JUMPS,
};
extern const uint8_t jit_facts[A64_OP_COUNT];

/* soft/jit/flags.c */

/* EFLAGS are about to change: keep NZCV if anybody will read it. Changes RAX; so first of all. */
void jit_clobber(jit_t t);
/* Store those of NZCV that are `live` (JIT_FLAGS_*) if they are only in EFLAGS, which stay valid.
 * Changes RAX. */
void jit_flags_store(jit_t t, unsigned live);
/* Of the flags that are stored the carry alone is kept. Changes EFLAGS. */
void jit_flags_only_carry(jit_t t);
/* EFLAGS, which are as after `ef`, to memory, whatever t->ef says. Changes RAX and CF. */
void jit_flags_save(struct x86_buf *b, enum jit_eflags ef);
/* Do EFLAGS hold what will be read? Then an instruction that leaves them alone is better. */
bool jit_flags_held(jit_t t);
/* CF = C, or its opposite; changes RAX if EFLAGS do not hold NZCV. */
void jit_carry(jit_t t, bool inverted);
/* The instruction just emitted left NZCV in EFLAGS. */
static inline void jit_flags_set(jit_t t, enum jit_eflags ef)
{
    t->ef = ef;
    t->ef_stored = false;
    t->set_at = t->at;
    t->remake.how = REMAKE_NONE;
}
/* The host's condition for `cond` (0 to 13); loads what it needs. Changes RAX if EFLAGS do not hold
 * NZCV. */
enum x86_cc jit_condition(jit_t t, unsigned cond);
/* soft/jit/cond.c. In cold code: EFLAGS hold `nzcv` as after `ef`. Changes RAX. */
void jit_flags_immediate(jit_t t, unsigned nzcv, enum jit_eflags ef);
/* Offset in the page of a direct branch's target: of B and BL, TBZ and TBNZ, or the others. */
static inline int64_t jit_target(const struct insn *i)
{
    uint32_t w = i->word;

    if ((w & 0x7c000000) == 0x14000000)
        return i->offset + sign_extend(bits(w, 25, 0) << 2, 28);
    unsigned top = (w & 0x7e000000) == 0x36000000 ? 18 : 23;
    return i->offset + sign_extend(bits(w, top, 5) << 2, top - 2);
}
/* Is it a direct branch to the instruction at `head` of the same page? */
static inline bool jit_loops(const struct jit_insn *n, const struct jit_insn *head)
{
    return (jit_facts[n->op] & (FACT_JUMPS | FACT_CONDITIONAL)) &&
           jit_target(&n->i) == head->i.offset;
}
/* Backward pass: jit_insn.flags_live and target_live. Before it nothing was looked at; behind it
 * what was looked at is in the block's checksum. */
void jit_flags_begin(jit_t t);
void jit_flags_analyse(jit_t t);
void jit_flags_end(jit_t t);
unsigned jit_flags_of(jit_t t, const struct jit_insn *n);

/* soft/jit/remake.c. EFLAGS, which hold live flags that are not stored, are about to change: can
 * the flags be made again wherever they are read? If so t->remake says how. */
bool jit_remake_later(jit_t t);
/* Is the instruction at `at` one whose jit_clobber() makes them, because the way on may read them:
 * the block's last, or what would end a block, but for jit_goes_on()? */
static inline bool jit_remake_ends(jit_t t, unsigned at)
{
    return at + 1 >= t->count || (jit_facts[t->insn[at].op] & FACT_ENDS);
}
/* If t->remake says how: do it; EFLAGS hold them then. Changes RAX. */
void jit_remake(jit_t t);
/* The same as far as `cond` needs it at the instruction being emitted, if that is less. */
bool jit_remake_test(jit_t t, unsigned cond);
/* Code that stores them, too, on the way to a slow path or a call. Changes EFLAGS. */
void jit_remake_and_store(jit_t t, struct x86_buf *b);
static inline void jit_remake_store(jit_t t, struct x86_buf *b)
{
    if (UNLIKELY(t->remake.how != REMAKE_NONE))
        jit_remake_and_store(t, b);
}

/* soft/jit/clone.c: where code says where it lies. Constants made of virtual addresses (in the hot
 * or the cold part; flags stay), and in cold records: such an address of 64 bits, the offset in the
 * cache of code of the block. */
void jit_mov_va(jit_t t, struct x86_buf *b, enum x86_reg d, uint64_t va);
void jit_note_va(jit_t t, const uint8_t *at);
void jit_note_code(jit_t t, const uint8_t *at);
void jit_relocs_begin(jit_t t);
/* Keep the lists behind the cold part, relocations if the block can be cloned. */
void jit_lists_end(jit_t t, struct jit_block *b);

/* soft/jit/store.c: the block was made. It is kept for the next run. */
void jit_store_note(jit_t t, uint32_t block);

/* soft/jit/loop.c: how many instructions of the block are a loop that it should end with, or 0. */
unsigned jit_loop_alone(jit_t t);
/* Before the first instruction, and behind each; `s` has room for what straight code needs. */
void jit_loop_begin(jit_t t, struct jit_straight *s);
void jit_loop_end(jit_t t);
/* Inside of a loop: to its register map, and back to the usual one. Flags and scratch stay. */
void jit_loop_enter_inside(jit_t t, struct x86_buf *b);
void jit_loop_leave_inside(jit_t t, struct x86_buf *b);
static inline void jit_loop_enter(jit_t t, struct x86_buf *b)
{
    if (UNLIKELY(t->loop.inside))
        jit_loop_enter_inside(t, b);
}
static inline void jit_loop_leave(jit_t t, struct x86_buf *b)
{
    if (UNLIKELY(t->loop.inside))
        jit_loop_leave_inside(t, b);
}
/* In cold code: where what has the usual map goes on at `to`. */
const uint8_t *jit_loop_return_at(jit_t t, const uint8_t *to);
static inline const uint8_t *jit_loop_return(jit_t t, const uint8_t *to)
{
    return UNLIKELY(t->loop.inside) ? jit_loop_return_at(t, to) : to;
}

/* soft/jit/straight.c: make the block that was decoded longer, if it is straight; the end of the
 * guest's bytes. Is it straight, up to t->loop.end? Then t->straight is `s`, and the map changes
 * before each instruction. */
unsigned jit_straight_decode(jit_t t, unsigned offset, unsigned high);
bool jit_straight_begin(jit_t t, struct jit_straight *s);
void jit_straight_before(jit_t t);
/* Behind the last one: back to the usual map. */
void jit_straight_end(jit_t t);

/* A map for code that uses registers so often, into t->loop.map: is it another one? */
bool jit_loop_choose(jit_t t, unsigned uses[REG_COUNT]);
/* Add what one instruction uses, `weight` times. */
void jit_loop_count(const struct jit_insn *n, unsigned weight, unsigned uses[REG_COUNT]);
/* Is the block a loop that is better by itself, whatever loops are around it? */
bool jit_loop_is_apart(jit_t t);

/* soft/jit/nest.c: is the code at t->start one? Then it is in t->nest, with flags analysed. */
bool jit_nest_find(jit_t t, struct jit_nest *nest);
void jit_nest_emit(jit_t t);
/* The part at `target`, or JIT_NEST_PARTS: that is elsewhere. Lead a jump there. */
unsigned jit_nest_part(jit_t t, uint64_t target);
void jit_nest_jump(jit_t t, uint8_t *from, unsigned part);

/* soft/jit/translate.c: t->insn[0] to be, at most `max`, from an offset in the page on; the end of
 * the guest's bytes. One of them. One that is emitted, t->insn[t->at]. */
unsigned jit_decode(jit_t t, unsigned offset, unsigned max);
void jit_decode_one(jit_t t, struct jit_insn *n, uint32_t word, unsigned offset);
bool jit_ends_block(const struct jit_insn *n);
void jit_emit_one(jit_t t);

/* More than an instruction takes of either part, with its slow paths and its way out, and what is
 * put there before the first one, or behind the last: ten times what any is known to take. There is
 * room for 32 KiB when a block begins. */
#define JIT_STEP_BYTES 8192

/* Is there room for what one emits? Else the block ends here, and is none. */
static inline bool jit_has_room(jit_t t)
{
    if (LIKELY(t->hot.limit - t->hot.p >= JIT_STEP_BYTES) &&
        LIKELY(t->cold.limit - t->cold.p >= JIT_STEP_BYTES))
        return true;
    t->full = t->ended = true;
    return false;
}

/* soft/jit/stream.c: find the loop's streams. */
void jit_streams_find(jit_t t);
/* Behind the loop's entry: look them up. True: emit the body; then jit_streams_end(). */
bool jit_streams_begin(jit_t t);
void jit_streams_end(jit_t t);
/* In it: before a branch back leaves it; back to it from where jit_streams_leave() led. */
void jit_streams_turn(jit_t t);
void jit_streams_enter(jit_t t, struct x86_buf *b);
void jit_streams_leave(jit_t t, struct x86_buf *b);
/* What is to be added to the address of the access being emitted. */
enum x86_reg jit_stream_found(jit_t t);
/* In the usual body: which of tlb.page[] it looks at, or -1. */
int jit_stream_place(jit_t t);

/* soft/jit/leap.c, leap_emit.c: is the block a loop of what searches are made of? Does the warm
 * loop search? In front of its body: go over turns that find nothing. */
bool jit_leap_likely(jit_t t);
void jit_leap_find(jit_t t);
void jit_leap(jit_t t);

/* soft/jit/stream_pairs.c: find pairs of registers that are moved only; to xmm registers and back
 * where the body begins and where it is left; is the instruction one that moves them, and emitted?
 */
void jit_pairs_find(jit_t t);
void jit_pairs_enter(jit_t t, struct x86_buf *b);
void jit_pairs_leave(jit_t t, struct x86_buf *b);
bool jit_pair_moved(jit_t t, const struct insn *i);

/* soft/jit/products.c: find products that may be made later; does RDX still have
 * jit_translation.multiplier behind the instruction? */
void jit_products_find(jit_t t);
void jit_multiplier_after(jit_t t, const struct jit_insn *n);
/* On the way to C that executes instruction `at`: make products that were put off. Changes RDX and
 * EFLAGS. */
void jit_products_restore_at(jit_t t, struct x86_buf *b, unsigned at);
static inline void jit_products_restore(jit_t t, struct x86_buf *b, unsigned at)
{
    if (UNLIKELY(t->puts_off))
        jit_products_restore_at(t, b, at);
}

/* soft/jit/branch.c */

/* Leave for `target`, directly linked if it can be. */
void jit_exit_direct(jit_t t, uint64_t target);
/* Does a block go on behind such a call? */
bool jit_goes_on(jit_t t, enum a64_op op);
/* The end of the block: ways out that were put off. */
void jit_exits_end(jit_t t);
/* Leave for the address in RAX. */
void jit_exit_indirect(jit_t t);
/* Leave for `target` after something that may have changed the context. */
void jit_exit_lookup(jit_t t, uint64_t target);

/* soft/jit/memory.c. RAX is an address of `size` bytes, and is kept; jit_found(t, ) is where they
 * are on the host; the jump to the slow path is returned. Changes RCX, RDX and EFLAGS. */
uint8_t *jit_look_up(jit_t t, unsigned size, bool write);
/* RAX = the physical address, after jit_look_up() for writing with RAX and RDX as it left them. */
void jit_found_physical(jit_t t);
/* The same at `disp` from guest register `rn`, REG_NONE for RAX, by the page that accesses with
 * such a base found last. Changes RAX too. */
uint8_t *jit_look_up_page(jit_t t, unsigned rn, unsigned base, int32_t disp, unsigned size,
                          bool write);
/* What was found, as long as its registers are as they were. */
struct x86_mem jit_found(jit_t t, unsigned offset);

/* soft/jit/vector_cache.c. V registers are in memory; and no copy counts any more. Flags stay. */
void vector_cache_store(jit_t t);
void vector_cache_forget(jit_t t);
/* The same for what is in registers at a branch back to the loop's head, which stays there: as what
 * is carried is. At the head: load that. */
void vector_cache_loop(jit_t t);
void vector_cache_carry(jit_t t);
/* Write to memory what it does not have, where code leaves; nothing else changes. */
void vector_cache_write(jit_t t, struct x86_buf *b);
/* Where all of XMM6 to XMM15 have copies, there are more from now on, if the host has them. */
void vector_cache_widen(jit_t t);
/* What the slow path of the instruction being emitted has to know. */
struct jit_slow_copies vector_cache_record(jit_t t);

/* soft/jit/vector_sha256.c: what it has in the host's order is put into A64's; if the instruction
 * that comes next could look at it; in memory, in cold code, as it was before the instruction being
 * emitted. */
void vector_sha_settle(jit_t t);
void vector_sha_before(jit_t t, const struct jit_insn *n);
void vector_sha_write(jit_t t, struct x86_buf *b);

/* soft/jit/call.c: the interpreter's function, with everything in memory; or one that touches
 * nothing but SIMD&FP registers. */
void jit_emit_interp(jit_t t, const struct insn *i);
/* The same where `from` jumps to, for an emitter that began with jit_interp_begin() and has changed
 * nothing before the jumps. NULL: none. */
void jit_interp_begin(jit_t t);
void jit_interp_paths(jit_t t, const struct insn *i, uint8_t *const *from, size_t count);
bool jit_is_vector_only(jit_t t, const struct jit_insn *i);
void jit_emit_interp_vector(jit_t t, const struct insn *i);

/* soft/jit/system.c: MSR and SYS after which the next instruction is executed as if they had been
 * another one; MRS, MSR and SYS that are the interpreter's in this mode. */
bool jit_is_plain_msr(uint32_t word);
bool jit_is_plain_sys(uint32_t word);
bool jit_is_system_call(jit_t t, const struct jit_insn *n);
/* The jump to the slow path unless bit n of a system register is set. Changes EFLAGS. */
uint8_t *jit_unless_set(jit_t t, int r, unsigned n);
/* Leave the hot code for a slow path, which executes all of the instruction and goes on where
 * `after` says; the jump is at `from`. */
void jit_slow_path(jit_t t, uint8_t *from, const uint8_t *after);
/* The same for several jumps, which may be NULL, that go on here. */
void jit_slow_paths(jit_t t, uint8_t *const *from, size_t count);

/* RAX = function(cpu, RAX): one that neither faults nor branches and touches no general register.
 * Changes RCX, RDX and EFLAGS. */
typedef uint64_t jit_helper(struct cpu *c, uint64_t value);
void jit_emit_helper(jit_t t, jit_helper *function);
/* The same in either part, where V registers are in memory, as behind jit_interp_begin(). */
void jit_call_helper(jit_t t, struct x86_buf *b, jit_helper *function);

/* The same from a look-up, the last one, that found nothing; NULL: it was none. */
void jit_slow_look_up(jit_t t, unsigned first, uint8_t *from);
/* The ways of an access to the slow path: of something else, or NULL, and of the look-up. */
void jit_slow_access(jit_t t, uint8_t *other, uint8_t *look_up);
/* The same for the instructions from `first` to the one being emitted, which go on behind it. */
void jit_slow_group(jit_t t, unsigned first, uint8_t *const *from, size_t count);

/* soft/jit/vector_estimate.c: its tables, which translated code finds by cpu.jit_estimates. */
const uint8_t *jit_estimates(void);

/* The table of emitters by enum a64_op; NULL for the interpreter's functions. */
extern jit_emitter *const jit_emitters[A64_OP_COUNT];

/* soft/jit/alu.c, memory.c, branch.c, system.c: emitters; soft/jit/emitters.def names them. */
#define EMIT(op, function) jit_emitter function;
#include "soft/jit/emitters.def"
#undef EMIT

#endif
