/*
 * The C side of translated code: finding blocks, linking exits, and what has to be forgotten when
 * translations of addresses or guest code change. What C executes for it is in execute.c.
 *
 * Two things lead to code by virtual address, and each bank (exception level and address space)
 * has its own of both. The jump table is for code of one mode, and is cleared when a page of the
 * bank that was executed may mean something else. And exits to other pages compare the page's slot
 * in the bank with the id of the binding that they were linked for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

#include "base/clock.h"
#include "base/log.h"
#include "soft/fp/fp.h"
#include "soft/interp/interp.h"
#include "soft/jit/state.h"
#include "soft/jit/translate.h"
#include "soft/vcpu.h"

/* Contexts. */

void jit_clear_jumps(struct mmu_bank *b)
{
    for (; b->jit.used; b->jit.used &= b->jit.used - 1)
        memset(&b->jit.jump[(unsigned)__builtin_ctzll(b->jit.used) * JIT_JUMP_PIECE], 0,
               JIT_JUMP_PIECE * sizeof(struct jit_jump));
    b->jit.jump[0].pc = UINT64_MAX;
}

void jit_clear_all_jumps(struct soft_vcpu *v)
{
    jit_clear_jumps(&v->kernel);
    for (unsigned n = 0; n < v->bank_count; n++)
        jit_clear_jumps(&v->bank[n]);
}

static uint32_t mode_of(const struct cpu *c)
{
    return (c->el ? JIT_MODE_EL1 : 0) | (c->fp_enabled ? JIT_MODE_FP : 0) |
           (c->sp_check ? JIT_MODE_SP_CHECK : 0) |
           (c->fpcr & (FPCR_RMODE | FPCR_FZ | FPCR_FZ16 | FPCR_DN | FPCR_AHP) ? 0 : JIT_MODE_FPCR);
}

void jit_update_context(struct cpu *c)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct mmu_bank *b = c->el ? &v->kernel : v->user;

    if (!v->hot.jit)
        return;
    jit_returns_update(v, b, mode_of(c));
    atomic_store(&c->jit_jumps, b->jit.mode == mode_of(c) ? b->jit.jump : c->jit_no_jumps);
    if (atomic_load(&c->attention)) {
        atomic_store(&c->jit_jumps, c->jit_no_jumps);
        atomic_store(&c->jit_returns_end, UINTPTR_MAX);
    }
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
        jit_returns_forget(v->hot.jit);
        jit_clear_jumps(c->el ? &v->kernel : v->user);
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
    set_add(b->jit.filter, filter_bit(va));
}

static bool filter_has(const struct mmu_bank *b, uint64_t va)
{
    return set_has(b->jit.filter, filter_bit(va));
}

static void forget_binds(struct mmu_bank *b)
{
    memset(b->jit.bind, 0, sizeof b->jit.bind);
}

void jit_forget_bank(struct soft_vcpu *v, struct mmu_bank *b)
{
    if (!v->hot.jit)
        return;
    jit_returns_forget(v->hot.jit);
    jit_clear_jumps(b);
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
    jit_returns_forget(v->hot.jit);
    jit_clear_jumps(b);
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
    for (unsigned n = 0; n < v->bank_count; n++)
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

void jit_invalidate_all(struct soft_vcpu *v)
{
    if (v->hot.jit)
        jit_blocks_verify(v->hot.jit);
}

/* Finding code. */

static struct mmu_bank *bank_now(struct soft_vcpu *v)
{
    return v->cpu.el ? &v->kernel : v->user;
}

uint32_t jit_bound(struct soft_vcpu *v, uint64_t va)
{
    uint32_t id = bank_now(v)->jit.bind[jit_bind_slot(va)];

    return id && v->hot.jit->binding[id].va == (va & ~4095ull) ? id : 0;
}

/* A fetch finds the page of `va` there. Returns the binding's id; 0: there is none, and the slot
 * stays. */
static uint32_t bind(struct soft_vcpu *v, uint64_t va, uint64_t pa, const uint8_t *host)
{
    uint64_t page = va & ~4095ull;
    uint32_t id = jit_binding_id(v->hot.jit, page, pa, host, v->cpu.el);

    if (id) {
        bank_now(v)->jit.bind[jit_bind_slot(page)] = id;
        filter_add(bank_now(v), page);
    }
    return id;
}

/* The binding of the page of `pc`; faults do not return. NULL: there is none. */
static const struct jit_binding *bind_page(struct cpu *c, uint64_t pc)
{
    struct soft_vcpu *v = vcpu_of(c);
    uint32_t id = jit_bound(v, pc);

    if (!id) {
        uint64_t pa;
        const uint8_t *host = mmu_fetch_host(c, pc, &pa);
        id = bind(v, pc, pa, host);
    }
    return id ? &v->hot.jit->binding[id] : NULL;
}

uint32_t jit_bind(struct soft_vcpu *v, uint64_t va)
{
    uint64_t pa;

    if (bank_now(v)->jit.bind[jit_bind_slot(va)])
        return jit_bound(v, va);
    const uint8_t *host = mmu_fetch_query(&v->cpu, va & ~4095ull, &pa);
    return host ? bind(v, va, pa, host) : 0;
}

/* Away from where it is, for the knob `cloned`. */
#define ELSEWHERE 0x12345000u

/* What another vCPU made meanwhile, a copy, or a translation. JIT_NONE: no room, or later. */
static uint32_t make_block(struct soft_vcpu *v, uint64_t pc, const struct jit_binding *b)
{
    struct jit *j = v->hot.jit;
    uint64_t pa = b->pa | (pc & 4095);
    uint32_t mode = mode_of(&v->cpu);

    __builtin_prefetch(b->host + (pc & 4095)); /* nobody has read it so far */
    if (!jit_cache_ready(j))
        return JIT_NONE;
    lock_acquire(&j->cache->lock);
    uint32_t n = jit_block_find(j, pa, pc, mode);
    if (n == JIT_NONE)
        n = jit_clone(v, pa, pc, mode);
    if (n == JIT_NONE && j->store)
        n = jit_store_load(v, pa, pc, b->host, mode);
    lock_release(&j->cache->lock);
    return n != JIT_NONE ? n : jit_translate(v, pc, pa, b->host, mode);
}

/* The same with one at another address first. */
static uint32_t make_clone(struct soft_vcpu *v, uint64_t pc, const struct jit_binding *b)
{
    struct jit *j = v->hot.jit;
    uint64_t pa = b->pa | (pc & 4095);

    lock_acquire(&j->cache->lock);
    bool there = jit_block_find_origin(j, pa, mode_of(&v->cpu)) != JIT_NONE;
    lock_release(&j->cache->lock);
    if (!there)
        (void)jit_translate(v, pc + ELSEWHERE, pa, b->host, mode_of(&v->cpu));
    return make_block(v, pc, b);
}

/* The block at `pc`, whose page is `b`. */
static uint32_t block_at(struct soft_vcpu *v, uint64_t pc, const struct jit_binding *b)
{
    struct jit *j = v->hot.jit;
    uint32_t n = jit_block_glance(j, b->pa | (pc & 4095), pc, mode_of(&v->cpu));

    if (UNLIKELY(j->knobs.checksum) && n != JIT_NONE && !jit_block_is_current(j, n)) {
        jit_blocks_retire(j, b->pa | (pc & 4095), 4);
        n = JIT_NONE;
    }
    if (n != JIT_NONE)
        return n;
    return UNLIKELY(j->knobs.cloned) ? make_clone(v, pc, b) : make_block(v, pc, b);
}

/* The block at cpu.pc, translated if need be. Faults do not return. JIT_NONE: there was no room,
 * and all is forgotten, or something changed; the loop of soft/run.c comes here again. */
static uint32_t find_block(struct cpu *c)
{
    struct soft_vcpu *v = vcpu_of(c);
    uint64_t pc = c->pc = soft_branch_address(v, c->pc);
    const struct jit_binding *b;
    uint32_t n = JIT_NONE;

    if (UNLIKELY(pc & 3))
        exc_abort(c, EC_PC_ALIGNMENT, 0, pc, pc);
    do {
        b = bind_page(c, pc);
        if (UNLIKELY(c->il))
            exc_sync(c, EC_ILLEGAL_STATE, 0, pc);
    } while (b && UNLIKELY(v->hot.track) && jit_track_code(v, b->pa));
    if (b)
        n = block_at(v, pc, b);
    if (UNLIKELY(v->hot.jit->full)) {
        jit_drop_all(v);
        return JIT_NONE;
    }
    return n;
}

/* Its code, or what leads back to soft/run.c. */
static const uint8_t *code_of(const struct jit *j, uint32_t block)
{
    uint32_t code = jit_block_code(j, block); /* of JIT_NONE, none */

    return j->rx + (code ? code : j->leave);
}

static const uint8_t *block_code(struct cpu *c, uint32_t n)
{
    struct jit *j = jit_of(c);
    const uint8_t *code = code_of(j, n);

    if (!j->knobs.unjumped && code != j->rx + j->leave)
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

const uint8_t *jit_resume(struct cpu *c)
{
    struct jit *j = jit_of(c);

    if (UNLIKELY(is_wanted(c)))
        return j->rx + j->leave;
    jit_note_between(j);
    struct jit_jump *table = c->jit_jumps;
    if (UNLIKELY(table == c->jit_no_jumps ||
                 atomic_load_explicit(&c->jit_returns_end, memory_order_relaxed) ==
                     UINTPTR_MAX)) { /* who wanted attention was late, or in this mode */
        jit_update_context(c);
        table = c->jit_jumps;
    }
    c->jit_flags = jit_flags_from_nzcv(c->nzcv);
    const struct jit_jump *jump = jit_jump_of(table, c->pc);
    if (jump->pc == c->pc && !c->il)
        return jump->code;
    return block_code(c, find_block(c));
}

void jit_end_run(struct soft_vcpu *v)
{
    if (!v->hot.running)
        return;
    jit_fp_collect(&v->cpu);
    jit_fp_clear();
    v->hot.running = false;
}

/* Do the instructions from `offset` of the page on lead back there, with no call or other branch
 * that is always taken before? */
static bool is_loop(const uint8_t *page, unsigned offset)
{
    struct jit_insn head = { .i.offset = (uint16_t)offset };

    for (unsigned n = 0; n < JIT_BLOCK_MAX && offset + 4 <= CODE_PAGE_SIZE; n++, offset += 4) {
        uint32_t word = ld_le32(page + offset);
        struct jit_insn at = { .i = { .word = word, .offset = (uint16_t)offset },
                               .op = (uint16_t)a64_decode(word) };
        if (jit_loops(&at, &head))
            return true;
        if ((word & 0x7c000000) == 0x14000000 || (word & 0xfe000000) == 0xd6000000)
            return false; /* B, BL, BR and its kin */
    }
    return false;
}

/*
 * Code that runs often is found by chance: when the ticker asks for attention, the region of the
 * block that would be next is counted, and counts four times when it was the last one, too. A
 * region that was found often enough is warm; its blocks are translated anew with what costs more
 * than it saves where code runs seldom: the pages found last. A loop of one block is sure to run
 * again, so twice is enough.
 */
#define LOOP_HEAT 5

static void note_heat(struct cpu *c)
{
    struct jit *j = jit_of(c);
    const struct mmu_bank *bank = c->el ? &vcpu_of(c)->kernel : vcpu_of(c)->user;
    const struct jit_binding *page = &j->binding[bank->jit.bind[jit_bind_slot(c->pc)]];

    if (page == j->binding || page->va != (c->pc & ~4095ull))
        return;
    uint64_t pa = page->pa + align_down(c->pc & 4095, JIT_REGION);
    unsigned region = jit_region(pa), heat = j->heat[region] + (region == j->heated ? 4u : 1u);
    heat += is_loop(page->host, c->pc & 4095) ? LOOP_HEAT : 0;
    j->heated = region;
    if (jit_is_warm(j, pa))
        return;
    ticker_note_warming(c->vm);
    j->heat[region] = (uint8_t)(heat < UINT8_MAX ? heat : UINT8_MAX);
    if (heat < j->knobs.warm)
        return;
    jit_note(j->warm, region);
    jit_blocks_retire_cold(j, pa, JIT_REGION);
}

const uint8_t *jit_miss(struct cpu *c, uint64_t pc)
{
    jit_of(c)->stats.miss_calls++;
    jit_enter_c(c);
    c->pc = pc;
    if (atomic_load_explicit(&c->attention, memory_order_relaxed) & ATTENTION_LOOK)
        note_heat(c);
    if (UNLIKELY(jit_returns_are_full(vcpu_of(c))))
        jit_returns_forget(jit_of(c));
    return jit_resume(c);
}

/* It was written, perhaps by another vCPU, before anything led to its block. A host keeps that
 * order for who came by a jump that was patched; ThreadSanitizer does not see such jumps. */
static __attribute__((noinline, no_sanitize("thread"))) uint64_t target_of(const struct jit *j,
                                                                           uint32_t exit)
{
    return j->exit[exit].target;
}

const uint8_t *jit_link(struct cpu *c, const uint8_t *record)
{
    struct jit *j = jit_of(c);
    uint32_t exit;

    j->stats.link_calls++;
    memcpy(&exit, record, sizeof exit);
    jit_enter_c(c);
    c->pc = target_of(j, exit);
    if (UNLIKELY(is_wanted(c)))
        return j->rx + j->leave;
    uint64_t reused = j->reused; /* others use no exit's number again while this vCPU is here */
    uint32_t block = find_block(c);
    const struct mmu_bank *bank = c->el ? &vcpu_of(c)->kernel : vcpu_of(c)->user;
    uint32_t binding = bank->jit.bind[jit_bind_slot(c->pc)];
    if (block != JIT_NONE && j->reused == reused && binding && !j->knobs.unlinked) {
        lock_acquire(&j->cache->lock);
        jit_exit_lead(j, exit, block, binding);
        lock_release(&j->cache->lock);
    }
    c->jit_flags = jit_flags_from_nzcv(c->nzcv);
    return code_of(j, block); /* no entry of a jump table: it may never be looked up */
}

const uint8_t *jit_svc(struct cpu *c, uint64_t pc, uint32_t imm)
{
    jit_of(c)->stats.svc_calls++;
    jit_enter_c(c);
    c->budget = CPU_BUDGET;
    exc_enter_sync(c, EC_SVC64, imm, pc);
    return jit_resume(c);
}

const uint8_t *jit_eret(struct cpu *c)
{
    jit_of(c)->stats.eret_calls++;
    c->budget = CPU_BUDGET;
    exc_return(c);
    return jit_resume(c);
}

int jit_create(struct soft_vcpu *v)
{
    struct jit *j = calloc(1, sizeof *j);

    if (!j)
        return -ENOMEM;
    j->v = v;
    j->since_ns = clock_monotonic_ns();
    j->since_ticks = __rdtsc();
    v->cpu.jit_no_jumps = j->empty.jit.jump;
    v->cpu.jit_estimates = jit_estimates();
    jit_clear_jumps(&j->empty);
    j->knobs = jit_knobs_read(getenv("IREKO_JIT"));
    if (j->knobs.checksum) /* every way to a block is by find_block() */
        j->knobs.unlinked = j->knobs.unjumped = true;
    if (!j->knobs.baseline)
        j->host = jit_host_read(&j->knobs.without);
    j->host.xmm32 &= !j->knobs.sixteen;
    j->insn = malloc(JIT_STRAIGHT_MAX * sizeof *j->insn);
    int err = j->insn ? jit_cache_open(j) : -ENOMEM;
    if (!err)
        err = jit_returns_create(j);
    if (err) {
        free(j->insn);
        free(j);
        return err;
    }
    jit_look_ups_make(j);
    j->trace = jit_trace_open(v->cpu.vm->trace_fd, j->knobs.trace);
    jit_join(j);
    v->hot.jit = j;
    v->hot.one_entry = j->knobs.tlb;
    v->hot.ungrown = j->knobs.ungrown;
    v->hot.narrow = j->knobs.narrow;
    v->hot.shut = j->knobs.shut;
    v->hot.aliased = j->knobs.aliased || j->knobs.check; /* who keeps addresses of the host */
    v->hot.open = j->knobs.open;
    v->hot.track = j->knobs.track;
    if (j->knobs.slow) {
        v->hot.empty = &j->empty.tlb;
        tlb_clear(v->hot.empty);
    }
    jit_clear_all_jumps(v); /* what else there is to forget is zero as yet */
    cpu_update_context(&v->cpu);
    return 0;
}

void jit_destroy(struct soft_vcpu *v)
{
    struct jit *j = v->hot.jit;

    if (!j)
        return;
    jit_part(j);
    jit_returns_destroy(j);
    if (j->trace)
        fclose(j->trace);
    v->hot.jit = NULL;
    free(j->insn);
    free(j);
}

static void enter_code(struct cpu *c, const uint8_t *code)
{
    struct jit *j = jit_of(c);
    union {
        const void *p;
        void (*call)(struct cpu *c, const uint8_t *code);
    } enter = { .p = j->rx + j->enter };

    jit_fp_clear();
    vcpu_of(c)->hot.running = true;
    enter.call(c, code);
    jit_end_run(vcpu_of(c));
}

void jit_run(struct soft_vcpu *v)
{
    jit_update_context(&v->cpu);
    if (UNLIKELY(v->hot.written_count)) /* before a fault */
        jit_track_settle(v);
    enter_code(&v->cpu, jit_resume(&v->cpu));
}

uint32_t jit_find_block(struct soft_vcpu *v)
{
    jit_note_between(v->hot.jit);
    return find_block(&v->cpu);
}

void jit_run_block(struct soft_vcpu *v, uint32_t block)
{
    struct cpu *c = &v->cpu;

    c->jit_flags = jit_flags_from_nzcv(c->nzcv);
    enter_code(c, code_of(jit_of(c), block));
}
