/*
 * The C side of translated code: finding blocks, linking exits, the interpreter's functions, and
 * what has to be forgotten when translations of addresses or guest code change.
 *
 * Two things lead to code by virtual address, and each bank (exception level and address space)
 * has its own of both. The jump table is for code of one mode, and is cleared when a page of the
 * bank that was executed may mean something else. And exits to other pages compare the page's slot
 * in the bank with the id of the binding that they were linked for.
 */
#include <errno.h>
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "soft/fp/fp.h"
#include "soft/interp/interp.h"
#include "soft/jit/runtime.h"
#include "soft/vcpu.h"

_Static_assert(REQUEST_PAGES == JIT_PAGE_HASH, "a bit for each bucket");

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static struct jit *jit_of(struct cpu *c)
{
    return vcpu_of(c)->hot.jit;
}

/* The stored format of flags: N 15, Z 14, not C 8, V 0. */
static uint32_t flags_to_nzcv(uint16_t f)
{
    return (uint32_t)(f >> 14 & 3) << 30 | (uint32_t)(~f >> 8 & 1) << 29 | (uint32_t)(f & 1) << 28;
}

static uint16_t flags_from_nzcv(uint32_t nzcv)
{
    return (uint16_t)((nzcv >> 30) << 14 | (~nzcv >> 29 & 1) << 8 | (nzcv >> 28 & 1));
}

/* Contexts. */

static void clear_jumps(struct mmu_bank *b)
{
    for (; b->jit.used; b->jit.used &= b->jit.used - 1)
        memset(&b->jit.jump[(unsigned)__builtin_ctzll(b->jit.used) * JIT_JUMP_PIECE], 0,
               JIT_JUMP_PIECE * sizeof(struct jit_jump));
    b->jit.jump[0].pc = UINT64_MAX;
}

static uint32_t mode_of(const struct cpu *c)
{
    return (c->el ? JIT_MODE_EL1 : 0) | (c->fp_enabled ? JIT_MODE_FP : 0) |
           (c->sp_check ? JIT_MODE_SP_CHECK : 0) |
           (c->fpcr & (FPCR_RMODE | FPCR_FZ | FPCR_DN) ? 0 : JIT_MODE_FPCR);
}

void jit_update_context(struct cpu *c)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct mmu_bank *b = c->el ? &v->kernel : v->user;

    if (!v->hot.jit)
        return;
    atomic_store(&c->jit_jumps, b->jit.mode == mode_of(c) ? b->jit.jump : c->jit_no_jumps);
    if (atomic_load(&c->attention))
        atomic_store(&c->jit_jumps, c->jit_no_jumps);
}

/* Lookups in a mode after which a bank's jump table becomes one for it: so few that a new mode is
 * soon fast, so many that who goes to and fro does not pay for clearing. */
#define STRANGE_LIMIT 256

/* `code` of the block at cpu.pc is what an indirect branch is to find from now on. */
static void add_jump(struct cpu *c, const uint8_t *code)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct jit_bank *b = c->el ? &v->kernel.jit : &v->user->jit;

    if (UNLIKELY(b->mode != mode_of(c))) {
        if (b->used && ++b->strange < STRANGE_LIMIT)
            return;
        clear_jumps(c->el ? &v->kernel : v->user);
        b->mode = mode_of(c);
        b->strange = 0;
        jit_update_context(c);
    }
    struct jit_jump *jump = jit_jump_of(b->jump, c->pc);
    b->used |= 1ull << (unsigned)(jump - b->jump) / JIT_JUMP_PIECE;
    *jump = (struct jit_jump){ .pc = c->pc, .code = code };
}

/* The bit of a page. Each half of the address space has half of them, or pages of processes that
 * leave EL1's bank would be taken for the kernel's code. */
static unsigned filter_bit(uint64_t va)
{
    return (unsigned)(va >> 12) % (JIT_FILTER_BITS / 2) + (va >> 63 ? JIT_FILTER_BITS / 2 : 0);
}

static void filter_add(struct mmu_bank *b, uint64_t va)
{
    b->jit.filter[filter_bit(va) / 64] |= 1ull << filter_bit(va) % 64;
}

static bool filter_has(const struct mmu_bank *b, uint64_t va)
{
    return b->jit.filter[filter_bit(va) / 64] >> filter_bit(va) % 64 & 1;
}

static void forget_binds(struct mmu_bank *b)
{
    memset(b->jit.bind, 0, sizeof b->jit.bind);
}

void jit_forget_bank(struct soft_vcpu *v, struct mmu_bank *b)
{
    if (!v->hot.jit)
        return;
    clear_jumps(b);
    memset(b->jit.filter, 0, sizeof b->jit.filter);
    forget_binds(b);
}

void jit_forget_pages(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va, uint64_t pages)
{
    bool any = false;

    if (!v->hot.jit)
        return;
    for (uint64_t n = 0; n < pages && n < JIT_FILTER_BITS && !any; n++)
        any = filter_has(b, va + n * 4096);
    if (!any)
        return;
    clear_jumps(b);
    if (pages > JIT_BINDS / 4)
        forget_binds(b);
    else
        for (uint64_t n = 0; n < pages; n++)
            b->jit.bind[jit_bind_slot(va + n * 4096)] = 0;
}

void jit_forget_all(struct soft_vcpu *v)
{
    if (!v->hot.jit)
        return;
    jit_forget_bank(v, &v->kernel);
    for (unsigned n = 0; n < SOFT_EL0_BANKS; n++)
        jit_forget_bank(v, &v->bank[n]);
}

/* Changes of code. */

void jit_invalidate_line(struct soft_vcpu *v, uint64_t pa)
{
    if (v->hot.jit)
        jit_blocks_verify_line(v->hot.jit, align_down(pa, IREKO_V1_CODE_LINE), IREKO_V1_CODE_LINE);
}

void jit_invalidate_page(struct soft_vcpu *v, uint64_t pa)
{
    if (v->hot.jit)
        jit_blocks_verify_page(v->hot.jit, pa);
}

void jit_invalidate_pages(struct soft_vcpu *v, const uint64_t *pages)
{
    if (!v->hot.jit)
        return;
    for (unsigned n = 0; n < REQUEST_PAGES / 64; n++)
        for (uint64_t left = pages[n]; left; left &= left - 1)
            jit_blocks_verify_page(v->hot.jit, (n * 64ull + (unsigned)__builtin_ctzll(left)) << 12);
}

void jit_invalidate_all(struct soft_vcpu *v)
{
    if (v->hot.jit)
        jit_blocks_verify(v->hot.jit);
}

void jit_drop_all(struct soft_vcpu *v)
{
    if (!v->hot.jit)
        return;
    jit_cache_reset(v->hot.jit);
    jit_forget_all(v);
}

/* Finding code. */

/* The binding of the page of `pc`; faults do not return. NULL: no memory. */
static const struct jit_binding *bind_page(struct cpu *c, uint64_t pc)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct jit *j = v->hot.jit;
    uint64_t va = pc & ~4095ull;
    struct mmu_bank *bank = c->el ? &v->kernel : v->user;
    uint32_t *slot = &bank->jit.bind[jit_bind_slot(va)];

    if (*slot) {
        const struct jit_binding *b = &j->binding[*slot];
        if (b->va == va)
            return b;
    }
    uint64_t pa;
    const uint8_t *host = mmu_fetch_host(c, pc, &pa);
    uint32_t id = jit_binding_id(j, va, pa, host, c->el);
    if (!id)
        return NULL;
    *slot = id;
    filter_add(bank, va);
    return &j->binding[id];
}

/* Away from where it is, for the knob `cloned`. */
#define ELSEWHERE 0x12345000u

/* A copy of the same physical code, or a translation. JIT_NONE: no room. */
static uint32_t make_block(struct soft_vcpu *v, uint64_t pc, const struct jit_binding *b)
{
    struct jit *j = v->hot.jit;
    uint64_t pa = b->pa | (pc & 4095);
    uint32_t mode = mode_of(&v->cpu);

    if (UNLIKELY(j->knobs.cloned) && jit_block_find_origin(j, pa, mode) == JIT_NONE)
        (void)jit_translate(v, pc + ELSEWHERE, pa, b->host, mode);
    uint32_t n = jit_clone(v, pa, pc, mode);
    if (n != JIT_NONE)
        return n;
    n = jit_import(v, pa, pc, b->host, mode);
    if (n == JIT_NONE)
        n = jit_translate(v, pc, pa, b->host, mode);
    jit_export(v, pa, mode);
    return n;
}

/* The block at cpu.pc, translated if need be. Faults do not return. */
static uint32_t find_block(struct cpu *c)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct jit *j = v->hot.jit;
    uint64_t pc = c->pc = soft_branch_address(v, c->pc);

    if (UNLIKELY(pc & 3))
        exc_abort(c, EC_PC_ALIGNMENT, 0, pc, pc);
    for (;;) {
        const struct jit_binding *b = bind_page(c, pc);
        if (UNLIKELY(c->il))
            exc_sync(c, EC_ILLEGAL_STATE, 0, pc);
        if (b) {
            uint32_t n = jit_block_find(j, b->pa | (pc & 4095), pc, mode_of(c));
            if (UNLIKELY(j->knobs.checksum) && n != JIT_NONE && !jit_block_is_current(j, n)) {
                jit_blocks_retire(j, b->pa | (pc & 4095), 4);
                n = JIT_NONE;
            }
            if (n == JIT_NONE && UNLIKELY(v->hot.track) && jit_track_code(v, b->pa))
                continue;
            if (n == JIT_NONE)
                n = make_block(v, pc, b);
            if (n != JIT_NONE)
                return n;
        }
        jit_drop_all(v);
    }
}

static const uint8_t *block_code(struct cpu *c, uint32_t n)
{
    struct jit *j = jit_of(c);
    const uint8_t *code = j->rx + j->block[n].code;

    if (!j->knobs.unjumped)
        add_jump(c, code);
    return code;
}

/* Has the loop of soft/run.c something to do before the next instruction? */
static bool is_wanted(const struct cpu *c)
{
    const struct soft_vcpu *v = c->vcpu;
    return v->hot.jit->knobs.check || v->exiting || c->budget <= 0 ||
           atomic_load_explicit(&c->attention, memory_order_relaxed) || v->slow || v->pmu.active ||
           soft_interrupt_ready(v);
}

/* Where to go on: code for cpu.pc, or out. */
static const uint8_t *resume(struct cpu *c)
{
    struct jit *j = jit_of(c);

    if (UNLIKELY(is_wanted(c)))
        return j->rx + j->leave;
    struct jit_jump *table = c->jit_jumps;
    if (UNLIKELY(table == c->jit_no_jumps)) { /* who wanted attention was late, or in this mode */
        jit_update_context(c);
        table = c->jit_jumps;
    }
    c->jit_flags = flags_from_nzcv(c->nzcv);
    const struct jit_jump *jump = jit_jump_of(table, c->pc);
    if (jump->pc == c->pc && !c->il)
        return jump->code;
    return block_code(c, find_block(c));
}

/*
 * FPSR's cumulative flags. Translated code leaves them in MXCSR, where they are OR-ed from when
 * somebody may look at FPSR, or when C code that computes in floating point itself is to run.
 */
#define MXCSR_FLAGS  0x3fu
#define MXCSR_MASKED 0x1f80u

static void fp_collect(struct cpu *c)
{
    uint32_t m = _mm_getcsr(); /* IE, DE, ZE, OE, UE, PE; the manual has no DE here */

    c->fpsr |= (m & 1) | (m >> 1 & 0x1e);
}

static void fp_clear(void)
{
    if (_mm_getcsr() & MXCSR_FLAGS)
        _mm_setcsr(MXCSR_MASKED);
}

/* SIMD&FP data processing, and instructions of system registers. */
static bool may_see_fpsr(uint32_t word)
{
    return (word & 0x0e000000) == 0x0e000000 || (word & 0xff000000) == 0xd5000000;
}

void jit_end_run(struct soft_vcpu *v)
{
    if (!v->hot.running)
        return;
    fp_collect(&v->cpu);
    fp_clear();
    v->hot.running = false;
}

static void enter_c(struct cpu *c)
{
    c->nzcv = flags_to_nzcv(c->jit_flags);
}

/*
 * Code that runs often is found by chance: when the ticker asks for attention, the region of the
 * block that would be next is counted, and counts four times when it was the last one, too. A
 * region that was found often enough is warm; its blocks are translated anew with what costs more
 * than it saves where code runs seldom: the pages found last.
 */
static void note_heat(struct cpu *c)
{
    struct jit *j = jit_of(c);
    const struct mmu_bank *bank = c->el ? &vcpu_of(c)->kernel : vcpu_of(c)->user;
    const struct jit_binding *page = &j->binding[bank->jit.bind[jit_bind_slot(c->pc)]];

    if (page == j->binding || page->va != (c->pc & ~4095ull))
        return;
    uint64_t pa = page->pa + align_down(c->pc & 4095, JIT_REGION);
    unsigned region = jit_region(pa), heat = j->heat[region] + (region == j->heated ? 4u : 1u);
    j->heated = region;
    if (jit_is_warm(j, pa))
        return;
    j->heat[region] = (uint8_t)(heat < UINT8_MAX ? heat : UINT8_MAX);
    if (heat < j->knobs.warm)
        return;
    j->warm[region / 64] |= 1ull << region % 64;
    jit_blocks_retire(j, pa, JIT_REGION);
}

const uint8_t *jit_miss(struct cpu *c, uint64_t pc)
{
    jit_of(c)->stats.miss_calls++;
    enter_c(c);
    c->pc = pc;
    if (atomic_load_explicit(&c->attention, memory_order_relaxed) & ATTENTION_LOOK)
        note_heat(c);
    return resume(c);
}

const uint8_t *jit_link(struct cpu *c, const uint8_t *record)
{
    struct jit *j = jit_of(c);
    uint32_t exit;

    j->stats.link_calls++;
    memcpy(&exit, record, sizeof exit);
    enter_c(c);
    c->pc = j->exit[exit].target;
    if (UNLIKELY(is_wanted(c)))
        return j->rx + j->leave;
    uint64_t changes = j->stats.resets + j->reused; /* of what the exit's number means */
    uint32_t block = find_block(c);
    const struct mmu_bank *bank = c->el ? &vcpu_of(c)->kernel : vcpu_of(c)->user;
    uint32_t binding = bank->jit.bind[jit_bind_slot(c->pc)];
    if (j->stats.resets + j->reused == changes && binding && !j->knobs.unlinked)
        jit_exit_link(j, exit, block, binding);
    c->jit_flags = flags_from_nzcv(c->nzcv);
    return j->rx + j->block[block].code; /* no entry of a jump table: it may never be looked up */
}

/* Execute insn[0], which insn[1] stops. True: go on behind it; else cpu.pc says where. */
static bool run_one(struct cpu *c, const struct insn *insn)
{
    uint64_t counted = c->instructions;
    bool fp = may_see_fpsr(insn->word);

    enter_c(c);
    if (fp)
        fp_collect(c);
    if (jit_of(c)->knobs.count)
        c->instructions--; /* not if it faults */
    c->run = insn;
    c->budget = 1; /* every branch and exception comes back here, before it looks for its target */
    const struct insn *next = insn->fn(c, insn);
    if (fp)
        fp_clear();
    if (c->budget >= 0) /* below: attention is wanted */
        c->budget = CPU_BUDGET;
    c->run = NULL;
    if (jit_of(c)->knobs.count) {
        bool left = c->vcpu->exiting && c->pc == c->page_va + insn->offset;
        c->instructions = counted - left;
    }
    c->jit_flags = flags_from_nzcv(c->nzcv);
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
    return run_one(c, call->insn) ? j->rx + call->next : resume(c);
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

    enter_c(c);
    c->budget = 1;
    for (unsigned n = 0; n < s->count && (n == 0 || next); n++) {
        slow_insn(record, s, n, insn);
        c->run = insn;
        next = insn->fn(c, insn);
    }
    if (c->budget >= 0)
        c->budget = CPU_BUDGET;
    c->run = NULL;
    c->jit_flags = flags_from_nzcv(c->nzcv);
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
        return run_group(c, record, &s) ? slow_place(j, record, &s, s.next) : resume(c);
    if (!run_one(c, insn))
        return resume(c);
    for (unsigned n = 1; n < s.count; n++) {
        slow_insn(record, &s, n, insn);
        if (!run_one(c, insn))
            return resume(c);
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

const uint8_t *jit_svc(struct cpu *c, uint64_t pc, uint32_t imm)
{
    jit_of(c)->stats.svc_calls++;
    enter_c(c);
    c->budget = CPU_BUDGET;
    exc_enter_sync(c, EC_SVC64, imm, pc);
    return resume(c);
}

const uint8_t *jit_eret(struct cpu *c)
{
    jit_of(c)->stats.eret_calls++;
    c->budget = CPU_BUDGET;
    exc_return(c);
    return resume(c);
}

void jit_vector(struct cpu *c, const struct jit_call *call)
{
    struct jit *j = jit_of(c);

    j->stats.vector_calls++;
    j->stats.left[call->op]++;
    c->page_va = call->page_va;
    c->run = call->insn;
    fp_collect(c);
    call->insn->fn(c, call->insn);
    fp_clear();
    c->run = NULL;
}

/* The VM's, which its first vCPU chooses. */
static uint64_t checksum_key(struct soft_vm *vm)
{
    uint64_t key = 0;

    if (getentropy(&key, sizeof key) != 0)
        log_warn("jit", "no random numbers from the host: %s", strerror(errno));
    lock_acquire(&vm->lock);
    if (!vm->origins->key)
        vm->origins->key = key | 1;
    key = vm->origins->key;
    lock_release(&vm->lock);
    return key;
}

int jit_create(struct soft_vcpu *v)
{
    struct jit *j = calloc(1, sizeof *j);

    if (!j)
        return -ENOMEM;
    lock_init(&j->lock, LOCK_CODE);
    j->fd = -1;
    j->v = v;
    v->cpu.jit_no_jumps = j->empty.jit.jump;
    clear_jumps(&j->empty);
    j->knobs = jit_knobs_read(getenv("IREKO_JIT"));
    if (j->knobs.checksum) /* every way to a block is by find_block() */
        j->knobs.unlinked = j->knobs.unjumped = true;
    if (!j->knobs.baseline)
        j->host = jit_host_read(&j->knobs.without);
    j->checksum_key = checksum_key(v->cpu.vm);
    int err = jit_cache_create(j, j->knobs.cache_size);
    if (err) {
        lock_fini(&j->lock);
        free(j);
        return err;
    }
    j->trace = jit_trace_open(v->cpu.vm->trace_fd, j->knobs.trace);
    v->hot.jit = j;
    v->hot.one_entry = j->knobs.tlb;
    v->hot.ungrown = j->knobs.ungrown;
    v->hot.track = j->knobs.track;
    if (j->knobs.slow) {
        v->hot.empty = &j->empty.tlb;
        tlb_clear(v->hot.empty);
    }
    jit_forget_all(v);
    cpu_update_context(&v->cpu);
    return 0;
}

void jit_destroy(struct soft_vcpu *v)
{
    if (!v->hot.jit)
        return;
    lock_acquire(&v->hot.jit->lock); /* by who found this vCPU before it left the VM's list */
    lock_release(&v->hot.jit->lock);
    jit_cache_destroy(v->hot.jit);
    lock_fini(&v->hot.jit->lock);
    if (v->hot.jit->trace)
        fclose(v->hot.jit->trace);
    free(v->hot.jit);
    v->hot.jit = NULL;
}

static void enter_code(struct cpu *c, const uint8_t *code)
{
    struct jit *j = jit_of(c);
    union {
        const void *p;
        void (*call)(struct cpu *c, const uint8_t *code);
    } enter = { .p = j->rx + j->enter };

    fp_clear();
    vcpu_of(c)->hot.running = true;
    enter.call(c, code);
    jit_end_run(vcpu_of(c));
}

void jit_run(struct soft_vcpu *v)
{
    jit_update_context(&v->cpu);
    if (UNLIKELY(v->hot.written_count)) /* before a fault */
        jit_track_settle(v);
    enter_code(&v->cpu, resume(&v->cpu));
}

uint32_t jit_find_block(struct soft_vcpu *v)
{
    return find_block(&v->cpu);
}

void jit_run_block(struct soft_vcpu *v, uint32_t block)
{
    struct cpu *c = &v->cpu;

    c->jit_flags = flags_from_nzcv(c->nzcv);
    enter_code(c, jit_of(c)->rx + jit_of(c)->block[block].code);
}
