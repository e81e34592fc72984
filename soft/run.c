/*
 * hv_vcpu_run's loop: execute slots, leave for whatever needs attention, come back.
 *
 * The inner loop runs until an instruction returns NULL. That happens when the branch budget is
 * used up (then cancel, requests of other vCPUs, interrupts and the timer are looked at), after an
 * instruction that changed how code is fetched or what is pending, and for an exit. Faults come
 * back by longjmp from any depth. In each case cpu.pc says where to go on.
 */
#include "base/log.h"
#include "soft/vcpu.h"

uint64_t soft_branch_address(const struct soft_vcpu *v, uint64_t target)
{
    const struct mmu_half *h = &v->regime.half[bit(target, 55)];
    if (v->regime.on && h->tbi && !h->tbid)
        return (uint64_t)sign_extend(target, 56);
    return target;
}

/* The slot at `pc`, from the fetch TLB or by translation. Faults do not return. */
static const struct insn *run_fetch(struct cpu *c, uint64_t pc)
{
    pc = soft_branch_address(vcpu_of(c), pc);
    c->pc = pc;
    c->run = NULL;
    if (UNLIKELY(pc & 3))
        exc_abort(c, EC_PC_ALIGNMENT, 0, pc, pc);
    const struct fetch_entry *f = &c->fetch[(pc >> CODE_PAGE_SHIFT) % FETCH_ENTRIES];
    if (LIKELY((f->va ^ pc) < CODE_PAGE_SIZE))
        c->page = f->page;
    else
        c->page = mmu_fetch(c, pc);
    c->page_va = align_down(pc, CODE_PAGE_SIZE);
    return c->run = &c->page->slot[(pc & (CODE_PAGE_SIZE - 1)) >> 2];
}

const struct insn *soft_next(struct cpu *c)
{
    const struct insn *i = run_fetch(c, c->pc);

    if (UNLIKELY(c->il)) /* what fetching finds goes first (D1.3.5) */
        exc_sync(c, EC_ILLEGAL_STATE, 0, c->pc);
    if (UNLIKELY(c->btype))
        interp_check_target(c, i);
    return i;
}

const struct insn *cpu_jump_slow(struct cpu *c, uint64_t target)
{
    c->run = NULL;
    if (UNLIKELY(c->budget <= 0 || vcpu_of(c)->slow))
        return soft_resume(c, soft_branch_address(vcpu_of(c), target));
    return run_fetch(c, target);
}

const struct insn *soft_resume(struct cpu *c, uint64_t pc)
{
    cpu_end_run(c, pc);
    c->pc = pc;
    return NULL;
}

void soft_unwind(struct cpu *c)
{
    longjmp(c->unwind, 1);
}

void soft_exit_exception(struct soft_vcpu *v, uint64_t syndrome, uint64_t va, uint64_t ipa,
                         uint64_t pc)
{
    v->exit->reason = HV_EXIT_REASON_EXCEPTION;
    v->exit->exception.syndrome = syndrome;
    v->exit->exception.virtual_address = va;
    v->exit->exception.physical_address = ipa;
    cpu_end_run(&v->cpu, pc);
    v->cpu.pc = pc;
    v->exiting = true;
}

static void run_exit(struct soft_vcpu *v, hv_exit_reason_t reason)
{
    v->exit->reason = reason;
    v->exiting = true;
}

void soft_kick(struct soft_vcpu *v, uint32_t why)
{
    cpu_attend(&v->cpu, why);
    soft_wake(v);
}

/*
 * Look at everything that may end the run or interrupt the guest; refills the budget. Always
 * between instructions.
 */
static void run_attend(struct soft_vcpu *v)
{
    struct cpu *c = &v->cpu;
    jit_await(v);
    uint32_t attention = atomic_load(&c->attention);

    c->budget = CPU_BUDGET;
    atomic_fetch_and(&c->attention, ~(uint32_t)ATTENTION_LOOK);
    if (attention & ATTENTION_MAP) {
        atomic_fetch_and(&c->attention, ~(uint32_t)ATTENTION_MAP);
        soft_map_adopt(v);
    }
    if (attention & ATTENTION_REQUEST)
        request_drain(v);
    if (UNLIKELY(v->hot.written_count)) /* by the interpreter */
        jit_track_settle(v);
    stolen_look(v);
    if (v->pmu.active)
        pmu_sync_active(v);
    if (v->cpu.vm->gic)
        soft_gic_sync_inputs(v);
    timer_note(v);
    if (attention & ATTENTION_CANCEL) {
        atomic_fetch_and(&c->attention, ~(uint32_t)ATTENTION_CANCEL);
        run_exit(v, HV_EXIT_REASON_CANCELED);
    } else if (timer_fires(v)) {
        v->vtimer_masked = true;
        run_exit(v, HV_EXIT_REASON_VTIMER_ACTIVATED);
    } else if (UNLIKELY(pmu_irq(v) && !v->pmu.irq_told && !v->cpu.vm->gic)) {
        run_exit(v, HV_EXIT_REASON_CANCELED); /* the VMM passes it to its interrupt controller */
    } else if (soft_interrupt_ready(v)) {
        exc_interrupt(v);
    }
}

/* Does something have to be looked at before or after the instruction at cpu.pc? */
static bool run_is_slow(const struct soft_vcpu *v)
{
    return (v->slow & SLOW_COUNT) || debug_is_stepping(v) ||
           ((v->slow & SLOW_BREAK) && debug_breaks_in(v, v->cpu.pc));
}

/* One instruction, with what comes before it by priority (D1.3.5): step, fetch, breakpoint. */
static void run_slowly(struct soft_vcpu *v)
{
    struct cpu *c = &v->cpu;
    bool stepping = debug_is_stepping(v);

    c->pc = soft_branch_address(v, c->pc);
    if (stepping && !c->ss)
        debug_raise_step(v);
    v->stepping = stepping;
    const struct insn *i = run_fetch(c, c->pc);
    uint32_t word = ld_le32(c->page->host + i->offset);
    if (v->debug.breaks)
        debug_check_break(v);
    if (c->il)
        exc_sync(c, EC_ILLEGAL_STATE, 0, c->pc);
    if (c->btype)
        interp_check_target(c, i);
    if (stepping)
        c->ss = false;
    uint64_t next = c->pc + 4;
    interp_step(c, i);
    if (v->slow & SLOW_COUNT)
        pmu_count(v, word, c->pc != next);
    if (stepping)
        debug_note_step(v, word);
    v->stepping = false;
}

static void run_loop(struct soft_vcpu *v)
{
    struct cpu *c = &v->cpu;

    (void)setjmp(c->unwind);
    jit_end_run(v);
    v->stepping = false;
    while (!v->exiting) {
        if (c->budget <= 0 || c->attention || soft_interrupt_ready(v)) {
            run_attend(v);
            continue;
        }
        if (UNLIKELY(v->slow) && run_is_slow(v)) {
            run_slowly(v);
            continue;
        }
        if (v->hot.jit && !v->slow && !v->pmu.active) {
            v->check ? check_run(v) : jit_run(v);
            continue;
        }
        const struct insn *i = soft_next(c);
        while (i)
            i = i->fn(c, i);
        c->run = NULL;
    }
}

/* The second vCPU that ever runs: no other one may still be in an instruction that thinks itself
 * alone, nor have an entry in its TLBs that it noted nothing of (soft/mmu/writers.c). */
static void run_share(struct soft_vcpu *v)
{
    struct soft_vm *vm = v->cpu.vm;
    struct soft_vcpu *none = NULL;

    if (atomic_compare_exchange_strong(&vm->first, &none, v) || none == v)
        return;
    atomic_store(&vm->shared, true);
    if (v->hot.jit)
        tlb_populate_writers(atomic_load(&vm->first));
    soft_request(v, &(struct request){ .kind = REQUEST_TLB_ALL }, true);
    soft_barrier(v);
}

/* The first vCPU's memory is made when it is used; a guest that has another one waits for that. */
static void run_first(struct soft_vcpu *v)
{
    atomic_store(&v->has_run, true); /* before the first look at a translation or at code */
    if (!v->hot.jit || !atomic_load(&v->cpu.vm->first))
        return;
    tlb_populate(v);
}

void soft_run(struct soft_vcpu *v)
{
    uint64_t start = soft_ticks();

    if (UNLIKELY(!atomic_load_explicit(&v->has_run, memory_order_relaxed)))
        run_first(v);
    if (UNLIKELY(!atomic_load_explicit(&v->cpu.vm->shared, memory_order_relaxed)))
        run_share(v);
    if (UNLIKELY(v->wait_exit))
        soft_waited(v);
    v->exiting = false;
    v->cpu.budget = 0;
    pmu_enter(v);
    soft_enter_guest(v);
    if (v->hot.jit)
        ticker_wake(v->cpu.vm);
    run_loop(v);
    soft_leave_guest(v);
    pmu_leave(v);
    v->stats.exits++;
    v->exec_ticks += soft_ticks() - start;
}
