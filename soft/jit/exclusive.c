/*
 * Load- and store-exclusives (DDI 0487 B2.12). Those of one register are inline while the VM has
 * run one vCPU only: then there is nobody whose stores a monitor has to see, and the value is
 * enough, as in soft/exclusive.c. That is a kernel until its second CPU comes up, which is before
 * it has changed its own code to use LSE.
 *
 * With several vCPUs monitors are locked, and pairs need more registers than there are. Both call
 * helpers, which do what the interpreter's functions do where the TLB has the page. All else is the
 * interpreter's: misses and faults, and the first store-exclusive to a page, after which it is
 * watched.
 *
 * The vCPU that makes it two waits until this one has looked at its request, which it does between
 * blocks (run_share()).
 */
#include "soft/interp/interp.h"
#include "soft/jit/state.h"
#include "soft/jit/translate.h"

/* excl_valid, excl_watched and excl_size at once. */
#define MONITOR(size) (1 | (int32_t)(size) << 16)

_Static_assert(offsetof(struct cpu, excl_watched) == offsetof(struct cpu, excl_valid) + 1 &&
                   offsetof(struct cpu, excl_size) == offsetof(struct cpu, excl_valid) + 2 &&
                   offsetof(struct cpu, excl_pa) >= offsetof(struct cpu, excl_valid) + 4,
               "the monitor's state is one word");

/* --- helpers: `va` is aligned --- */

/* The interpreter has to do it. */
#define STORE_INTERPRETED 2

static uint64_t physical(const struct tlb_entry *e, uint64_t va)
{
    return (e->pa & ~4095ull) | (va & 4095);
}

/* Done? */
static uint64_t load(struct cpu *c, uint64_t va, unsigned size)
{
    const struct tlb_entry *e = mem_entry(c, va);

    if ((e->rd ^ va) >= 4096)
        return false;
    interp_load_exclusive(c, (const void *)(e->add + va), physical(e, va), size);
    return true;
}

static uint64_t load_1(struct cpu *c, uint64_t va)
{
    return load(c, va, 1);
}

static uint64_t load_2(struct cpu *c, uint64_t va)
{
    return load(c, va, 2);
}

static uint64_t load_4(struct cpu *c, uint64_t va)
{
    return load(c, va, 4);
}

static uint64_t load_8(struct cpu *c, uint64_t va)
{
    return load(c, va, 8);
}

static uint64_t load_16(struct cpu *c, uint64_t va)
{
    return load(c, va, 16);
}

/* By the size's logarithm. */
static jit_helper *const loads[] = { load_1, load_2, load_4, load_8, load_16 };

/* Of cpu.excl_desired, with the size that cpu.excl_size has: the status, or STORE_INTERPRETED. A
 * page that is watched, or was, may be written. */
static uint64_t store(struct cpu *c, uint64_t va)
{
    const struct tlb_entry *e = mem_entry(c, va);
    const struct soft_vcpu *v = vcpu_of(c);
    uint64_t tag = c->excl_watched && (e->pa & TLB_WATCHED) ? e->rd : e->wr;

    if (!c->excl_valid || (tag ^ va) >= 4096 || v->hot.track ||
        (!c->excl_watched && atomic_load(&c->vm->shared)))
        return STORE_INTERPRETED;
    return !interp_store_exclusive(c, (void *)(e->add + va), physical(e, va), c->excl_desired);
}

/* --- code --- */

/* In RAX the address; the jump to the interpreter if it is misaligned, or NULL. */
static uint8_t *load_address(jit_t t, const struct insn *i, unsigned size)
{
    jit_copy(t, 1, i->rn, RAX);
    if (size == 1)
        return NULL;
    x86_test_ri(&t->hot, 0, RAX, (int32_t)size - 1);
    return x86_jcc(&t->hot, CC_NE);
}

/* To the cold part unless the vCPU is alone. Changes RDX and EFLAGS. */
static uint8_t *unless_alone(jit_t t)
{
    x86_mov_rm(&t->hot, 1, RDX, JIT_CPU(vm));
    x86_test8_mi(&t->hot, x86_at(RDX, offsetof(struct soft_vm, shared)), 1);
    return x86_jcc(&t->hot, CC_NE);
}

/* Of the address in RAX: RCX = the host's, RAX = the physical one. The jump to the interpreter. A
 * page that may be written is not watched. */
static uint8_t *translate(jit_t t, unsigned size)
{
    uint8_t *other = jit_look_up(t, size, true);

    x86_lea(&t->hot, 1, RCX, jit_found(t, 0));
    jit_found_physical(t);
    return other;
}

/* In part `b`, with the address in RAX: the jump to the interpreter. */
static uint8_t *call_load(jit_t t, struct x86_buf *b, unsigned size)
{
    jit_call_helper(t, b, loads[__builtin_ctz(size)]);
    x86_test_rr(b, 0, RAX, RAX);
    return x86_jcc(b, CC_E);
}

/* cpu.excl_desired[0], from `offset` on, = guest register `reg`. Changes RDX. */
static void desire(jit_t t, struct x86_buf *b, unsigned w, unsigned offset, unsigned reg)
{
    struct x86_mem to = JIT_CPU(excl_desired);

    to.disp += (int32_t)offset;
    if (reg == REG_ZR) {
        x86_mov_mi(b, w, to, 0);
    } else if (t->pinned[reg] != X86_NONE) {
        x86_mov_mr(b, w, to, (enum x86_reg)t->pinned[reg]);
    } else {
        x86_mov_rm(b, w, RDX, jit_slot(reg));
        x86_mov_mr(b, w, to, RDX);
    }
}

/* In part `b`, with the address in RAX and what is desired in its place: RAX = the status. The
 * jumps to the interpreter. */
static void call_store(jit_t t, struct x86_buf *b, unsigned size, uint8_t *other[2])
{
    x86_cmp8_mi(b, JIT_CPU(excl_size), size);
    other[0] = x86_jcc(b, CC_NE);
    jit_call_helper(t, b, store);
    x86_alu_ri(b, 0, X86_CMP, RAX, STORE_INTERPRETED);
    other[1] = x86_jcc(b, CC_E);
}

bool emit_ldxr(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned size = 1u << bits(i->word, 31, 30);
    uint8_t *other[3];

    if (i->rn == REG_SP)
        return false;
    jit_interp_begin(t);
    other[0] = load_address(t, i, size);
    uint8_t *shared = unless_alone(t);
    other[1] = translate(t, size);
    x86_mov_mr(b, 1, JIT_CPU(excl_pa), RAX);
    if (size < 4)
        x86_ext_rm(b, size == 1 ? X86_ZX8 : X86_ZX16, 0, RAX, x86_at(RCX, 0));
    else
        x86_mov_rm(b, size == 8, RAX, x86_at(RCX, 0));
    x86_mov_mr(b, 1, JIT_CPU(excl_value[0]), RAX);
    x86_mov_mi(b, 1, JIT_CPU(excl_value[1]), 0);
    x86_mov_mi(b, 0, JIT_CPU(excl_valid), MONITOR(size));
    const uint8_t *back = b->p;
    jit_done(t, i->rd, RAX);

    x86_patch(shared, t->cold.p);
    other[2] = call_load(t, &t->cold, size);
    x86_mov_rm(&t->cold, 1, RAX, JIT_CPU(excl_value[0]));
    x86_jmp_to(&t->cold, back);
    jit_interp_paths(t, i, other, ARRAY_LEN(other));
    return true;
}

bool emit_stxr(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned size = 1u << bits(i->word, 31, 30);
    uint8_t *other[6];

    if (i->rn == REG_SP)
        return false;
    jit_interp_begin(t);
    other[0] = load_address(t, i, size);
    uint8_t *shared = unless_alone(t);
    x86_alu_mi(b, 0, X86_CMP, JIT_CPU(excl_valid), MONITOR(size));
    other[1] = x86_jcc(b, CC_NE);
    other[2] = translate(t, size);
    x86_alu_rm(b, 1, X86_CMP, RAX, JIT_CPU(excl_pa));
    other[3] = x86_jcc(b, CC_NE);
    x86_mov_rm(b, 1, RAX, JIT_CPU(excl_value[0]));
    x86_lock_cmpxchg(b, size, x86_at(RCX, 0), jit_use(t, i->rd, RDX));
    x86_setcc(b, CC_NE, RAX);
    x86_ext_rr(b, X86_ZX8, 0, RAX, RAX);
    x86_mov8_mi(b, JIT_CPU(excl_valid), 0);
    const uint8_t *back = b->p;
    jit_done(t, i->rm, RAX);

    x86_patch(shared, t->cold.p);
    desire(t, &t->cold, 1, 0, i->rd);
    call_store(t, &t->cold, size, other + 4);
    x86_jmp_to(&t->cold, back);
    jit_interp_paths(t, i, other, ARRAY_LEN(other));
    return true;
}

bool emit_ldxp(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned w = bit(i->word, 30), size = w ? 16 : 8;
    struct x86_mem value = JIT_CPU(excl_value);
    uint8_t *other[2];

    if (i->rn == REG_SP)
        return false;
    jit_interp_begin(t);
    other[0] = load_address(t, i, size);
    other[1] = call_load(t, b, size);
    x86_mov_rm(b, w, RAX, value);
    value.disp += (int32_t)size / 2;
    x86_mov_rm(b, w, RDX, value);
    jit_done(t, i->rd, RAX);
    jit_done(t, i->ra, RDX);
    jit_interp_paths(t, i, other, ARRAY_LEN(other));
    return true;
}

bool emit_stxp(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned w = bit(i->word, 30), size = w ? 16 : 8;
    uint8_t *other[3];

    if (i->rn == REG_SP)
        return false;
    jit_interp_begin(t);
    other[0] = load_address(t, i, size);
    desire(t, b, w, 0, i->rd);
    desire(t, b, w, size / 2, i->ra);
    call_store(t, b, size, other + 1);
    jit_done(t, i->rm, RAX);
    jit_interp_paths(t, i, other, ARRAY_LEN(other));
    return true;
}
