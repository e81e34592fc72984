/*
 * The engine `check`: interpreter and JIT in lockstep.
 *
 * From the same state the interpreter executes the instructions of one block, then the JIT does,
 * and all that an instruction can change is compared: registers, PSTATE, system registers, the exit
 * for the monitor, memory. The interpreter goes first, with an empty TLB, so that each of its
 * stores comes by the slow path, which notes what was there; the stores are taken back before the
 * JIT's turn, which runs as always, inline TLB hits included. Around each store the whole line of
 * 64 bytes is compared, so a store of a wrong size is seen too.
 *
 * Instructions whose effects go beyond that (TLB and cache maintenance, the GIC's registers, waits,
 * registers that control translation; CPYP, SETP) cannot be executed twice. They end a block before
 * them, and the interpreter alone executes them. The counter stands still meanwhile. vCPUs take
 * turns, a block at a time. A device may still change memory between the two runs; so a difference
 * counts only if it is there again when both are repeated.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "soft/jit/check.h"
#include "soft/jit/runtime.h"
#include "soft/jit/translate.h"

#define LINE     64u
#define ATTEMPTS 4

/* A block has so many instructions; each stores 64 bytes at most, in the worst case one by one. */
#define STORES_MAX (JIT_STRAIGHT_MAX * 64 * 2)

struct store {
    uint8_t *host;
    unsigned size;
    uint8_t old[8], now[8]; /* `now`: as the interpreter left it, like the line */
    uint8_t line[LINE];
};

/* The part of struct cpu before `jit_jumps`, and what else instructions change. */
struct state {
    struct cpu cpu;
    uint64_t sys[SYSREG_COUNT];
    struct pmu pmu;
    struct debug debug;
    hv_vcpu_exit_t exit;
    bool exiting;
    uint64_t monitor;
};

struct check {
    struct tlb empty;
    bool noting;
    bool deferred; /* the instruction at cpu.pc has to be executed once, alone */
    uint64_t ticks;
    struct state before, interp;
    unsigned store_count;
    struct store store[STORES_MAX];
};

#define CPU_PART offsetof(struct cpu, jit_jumps)

static void state_save(struct state *s, const struct soft_vcpu *v)
{
    memcpy(&s->cpu, &v->cpu, CPU_PART);
    memcpy(s->sys, v->sys, sizeof s->sys);
    s->pmu = v->pmu;
    s->debug = v->debug;
    s->exit = *v->exit;
    s->exiting = v->exiting;
    s->monitor = exclusive_get(v);
}

static void state_load(struct soft_vcpu *v, const struct state *s)
{
    memcpy(&v->cpu, &s->cpu, CPU_PART);
    memcpy(v->sys, s->sys, sizeof s->sys);
    v->pmu = s->pmu;
    v->debug = s->debug;
    *v->exit = s->exit;
    v->exiting = s->exiting;
    exclusive_set(v, s->monitor);
    jit_update_context(&v->cpu);
}

/* Stores. */

void check_note_store(struct check *k, uint8_t *host, unsigned size)
{
    if (!k->noting)
        return;
    for (unsigned done = 0; done < size && k->store_count < STORES_MAX; done += 8) {
        struct store *s = &k->store[k->store_count++];
        s->host = host + done;
        s->size = size - done < 8 ? size - done : 8;
        memcpy(s->old, s->host, s->size);
    }
}

static uint8_t *line_of(const struct store *s)
{
    return s->host - (uintptr_t)s->host % LINE; /* host pages are guest pages: it is in the page */
}

static void stores_keep(struct check *k)
{
    for (unsigned n = 0; n < k->store_count; n++) {
        struct store *s = &k->store[n];
        memcpy(s->now, s->host, s->size);
        memcpy(s->line, line_of(s), LINE);
    }
}

static void stores_undo(struct check *k)
{
    for (unsigned n = k->store_count; n-- > 0;)
        memcpy(k->store[n].host, k->store[n].old, k->store[n].size);
}

/* The first store that memory is not as after; NULL: it is. */
static const struct store *stores_differ(const struct check *k)
{
    for (unsigned n = 0; n < k->store_count; n++) {
        const struct store *s = &k->store[n];
        if (memcmp(s->now, s->host, s->size) != 0 || memcmp(s->line, line_of(s), LINE) != 0)
            return s;
    }
    return NULL;
}

/* Which instructions can be executed twice. */

static bool is_hint_alone(uint32_t word)
{
    unsigned hint = word >> 5 & 127;
    return hint >= 2 && hint <= 5; /* WFE, WFI, SEV, SEVL */
}

static bool is_read_alone(int r)
{
    enum sysreg_kind kind = r < 0 ? SYSREG_TRAP : soft_sysreg_table[r].kind;

    return (kind != SYSREG_PLAIN && kind != SYSREG_SPECIAL) || r == SYSREG_RNDR ||
           r == SYSREG_RNDRRS;
}

static bool is_register_alone(uint32_t word)
{
    int r = soft_sysreg_find(word >> 5 & 0xffff);

    if (bit(word, 21))
        return is_read_alone(r);
    return r != SYSREG_NZCV && r != SYSREG_FPCR && r != SYSREG_FPSR && !jit_is_plain_msr(word);
}

bool jit_is_alone(uint32_t word)
{
    if ((word & 0xfb200c00) == 0x19000400)
        return true; /* CPYP, SETP: they do as much at once as their time allows */
    if ((word & 0xff000000) != 0xd5000000)
        return false;
    if (word & 0x00100000)
        return is_register_alone(word);
    if ((word & 0x00180000) == 0x00080000)
        return (word & 0xffffffe0) != 0xd50b7420; /* SYS: all but DC ZVA */
    if ((word & 0xfffff01f) == 0xd503201f)
        return is_hint_alone(word);
    if ((word & 0xfffff000) == 0xd5031000)
        return true;                                                               /* WFET, WFIT */
    return (word & 0xfffff0ff) == 0xd503309f || (word & 0xfffff0ff) == 0xd503303f; /* DSB */
}

/* The two runs. */

/* B.cond, CBZ and CBNZ, TBZ and TBNZ: a block ends with one if it is taken, wherever it leads. */
static bool is_conditional(uint32_t word)
{
    return (word & 0xfe000000) == 0x54000000 || (word & 0x7c000000) == 0x34000000;
}

static void interp_block(struct soft_vcpu *v, unsigned count)
{
    struct cpu *c = &v->cpu;

    while (count-- > 0 && !v->exiting) {
        const struct insn *i = soft_next(c);
        uint32_t word = ld_le32(c->page->host + i->offset);
        uint64_t next = c->pc + 4;
        c->tlb = &v->check->empty;
        bool fell = interp_step(c, i);
        bool inside = (word & 0xfc000000) == 0x14000000; /* B: into the block if it is not last */
        if (!inside && (is_conditional(word) ? !fell : c->pc != next))
            return;
    }
}

static void run_interp(struct soft_vcpu *v, unsigned count)
{
    if (setjmp(v->cpu.unwind) == 0)
        interp_block(v, count);
}

static void run_jit(struct soft_vcpu *v, uint32_t block)
{
    if (setjmp(v->cpu.unwind) == 0)
        jit_run_block(v, block);
    jit_end_run(v);
}

/* JIT_NONE: an exception instead. */
static uint32_t find(struct soft_vcpu *v)
{
    return setjmp(v->cpu.unwind) == 0 ? jit_find_block(v) : JIT_NONE;
}

/* Comparison. */

#define FIELD(name_) { #name_, offsetof(struct cpu, name_), sizeof(((struct cpu *)0)->name_) }

static const struct {
    const char *name;
    size_t offset, size;
} fields[] = {
    FIELD(pc),    FIELD(nzcv),       FIELD(v),          FIELD(fpcr),     FIELD(fpsr),
    FIELD(el),    FIELD(sp_sel),     FIELD(pan),        FIELD(uao),      FIELD(dit),
    FIELD(ssbs),  FIELD(ss),         FIELD(il),         FIELD(btype),    FIELD(daif),
    FIELD(sp_el), FIELD(excl_valid), FIELD(fp_enabled), FIELD(sp_check),
};

/* Monitor state counts while there is a reservation. */
static bool monitors_differ(const struct cpu *a, const struct cpu *b)
{
    return a->excl_valid && b->excl_valid &&
           (a->excl_size != b->excl_size || a->excl_pa != b->excl_pa ||
            a->excl_value[0] != b->excl_value[0] || a->excl_value[1] != b->excl_value[1]);
}

static bool exits_differ(const struct state *s, const struct soft_vcpu *v)
{
    const hv_vcpu_exit_t *a = &s->exit, *b = v->exit;

    if (s->exiting != v->exiting)
        return true;
    return v->exiting &&
           (a->reason != b->reason || a->exception.syndrome != b->exception.syndrome ||
            a->exception.virtual_address != b->exception.virtual_address ||
            a->exception.physical_address != b->exception.physical_address);
}

/* What differs, in words; NULL: nothing. */
static const char *differs(const struct check *k, const struct soft_vcpu *v)
{
    const struct cpu *a = &k->interp.cpu, *b = &v->cpu;

    if (memcmp(a->x, b->x, (REG_ZR + 1) * sizeof a->x[0]) != 0)
        return "a general register";
    for (size_t n = 0; n < ARRAY_LEN(fields); n++)
        if (memcmp((const char *)a + fields[n].offset, (const char *)b + fields[n].offset,
                   fields[n].size) != 0)
            return fields[n].name;
    if (monitors_differ(a, b))
        return "the exclusive monitor";
    if (memcmp(k->interp.sys, v->sys, sizeof v->sys) != 0)
        return "a system register";
    if (exits_differ(&k->interp, v))
        return "the exit";
    return stores_differ(k) ? "memory" : NULL;
}

/* Both engines from k->before on, for a block of `count` instructions. What differs, or NULL; then
 * the vCPU and memory are as the JIT left them. */
static const char *run_both(struct soft_vcpu *v, uint32_t block)
{
    struct check *k = v->check;

    k->store_count = 0;
    k->deferred = false;
    k->noting = true;
    run_interp(v, v->hot.jit->block[block].count);
    k->noting = false;
    v->cpu.pc = soft_branch_address(v, v->cpu.pc);
    state_save(&k->interp, v);
    stores_keep(k);
    stores_undo(k);
    state_load(v, &k->before);
    run_jit(v, block);
    v->cpu.pc = soft_branch_address(v, v->cpu.pc);
    return differs(k, v);
}

static void start_again(struct soft_vcpu *v)
{
    stores_undo(v->check);
    state_load(v, &v->check->before);
}

/* Run both again until they agree. Of code that changes a CPU may execute either version until it
 * is told (B2.2.5), so each engine looks at memory again. */
static const char *run_until_same(struct soft_vcpu *v, uint32_t *block)
{
    const char *what = NULL;

    for (unsigned n = 0; n < ATTEMPTS && *block != JIT_NONE; n++) {
        what = run_both(v, *block);
        if (!what || n + 1 == ATTEMPTS)
            break;
        start_again(v);
        code_invalidate_all(v);
        if (!jit_block_is_current(v->hot.jit, *block)) {
            log_limited(LOG_WARN, "check", "code changed at 0x%llx, and nobody told yet",
                        (unsigned long long)v->cpu.pc);
            jit_invalidate_all(v);
            *block = find(v);
        }
    }
    return *block == JIT_NONE ? NULL : what;
}

/* Telling. */

static void tell_numbers(const char *name, unsigned n, uint64_t before, uint64_t a, uint64_t b)
{
    if (a != b)
        log_error("check", "  %s%u was 0x%llx, interp 0x%llx, jit 0x%llx", name, n,
                  (unsigned long long)before, (unsigned long long)a, (unsigned long long)b);
}

static void tell_states(const struct check *k, const struct soft_vcpu *v)
{
    const struct cpu *o = &k->before.cpu, *a = &k->interp.cpu, *b = &v->cpu;

    for (unsigned n = 0; n <= REG_ZR; n++)
        tell_numbers("x", n, o->x[n], a->x[n], b->x[n]);
    tell_numbers("pc", 0, o->pc, a->pc, b->pc);
    tell_numbers("nzcv", 0, o->nzcv, a->nzcv, b->nzcv);
    tell_numbers("fpsr", 0, o->fpsr, a->fpsr, b->fpsr);
    tell_numbers("pstate", 0, cpu_pstate(o), cpu_pstate(a), cpu_pstate(b));
    for (unsigned n = 0; n < 64; n++)
        tell_numbers(n % 2 ? "v.high " : "v.low ", n / 2, o->v[n / 2].d[n % 2],
                     a->v[n / 2].d[n % 2], b->v[n / 2].d[n % 2]);
    for (unsigned n = 0; n < SYSREG_COUNT; n++)
        tell_numbers("system register ", n, k->before.sys[n], k->interp.sys[n], v->sys[n]);
    const struct store *s = stores_differ(k);
    if (s) {
        uint64_t was = 0, interp = 0, jit = 0;
        memcpy(&was, s->old, s->size);
        memcpy(&interp, s->now, s->size);
        memcpy(&jit, s->host, s->size);
        log_error("check",
                  "  a store of %u bytes at host %p: was 0x%llx, interp 0x%llx, jit 0x%llx",
                  s->size, (void *)s->host, (unsigned long long)was, (unsigned long long)interp,
                  (unsigned long long)jit);
    }
}

/* The shortest block from here on that differs ends with the instruction that is wrong. */
static uint32_t shorten(struct soft_vcpu *v, unsigned count)
{
    struct jit *j = v->hot.jit;

    j->store = NULL; /* what is wrong is not kept, and what was kept is of the usual length */
    for (j->knobs.max = 1; j->knobs.max < count; j->knobs.max++) {
        start_again(v);
        jit_drop_all(v);
        uint32_t block = find(v);
        if (block == JIT_NONE || run_both(v, block))
            return block;
    }
    start_again(v);
    jit_drop_all(v);
    uint32_t block = find(v);
    if (block != JIT_NONE)
        run_both(v, block);
    return block;
}

static void tell(struct soft_vcpu *v, uint32_t block, const char *what)
{
    struct jit *j = v->hot.jit;
    unsigned count = j->block[block].count;

    log_error("check",
              "interpreter and JIT differ in %s, in the block of %u instructions at 0x%llx", what,
              count, (unsigned long long)v->check->before.cpu.pc);
    block = shorten(v, count);
    if (block != JIT_NONE) {
        log_error("check", "up to instruction %u of it:", j->block[block].count);
        jit_trace_block(j, block, jit_trace_to_log, NULL);
    }
    tell_states(v->check, v);
}

/* Nobody waits for a vCPU that waits for its turn. False: there is something to be looked at first.
 */
static bool take_turn(struct soft_vcpu *v)
{
    struct soft_vm *vm = v->cpu.vm;

    atomic_store(&v->aside, true);
    lock_acquire(&vm->check_lock);
    atomic_store(&v->aside, false);
    if (!atomic_load(&v->cpu.attention) && !jit_is_awaited(v))
        return true;
    lock_release(&vm->check_lock);
    jit_await(v);
    return false;
}

void check_run(struct soft_vcpu *v)
{
    struct check *k = v->check;
    struct cpu *c = &v->cpu;
    const struct insn *i = soft_next(c);

    if (k->deferred || jit_is_alone(ld_le32(c->page->host + i->offset))) {
        k->deferred = false;
        interp_step(c, i);
        return;
    }
    if (!take_turn(v))
        return;
    jmp_buf outer; /* of the caller, which is there until this function returns */
    memcpy(&outer, &c->unwind, sizeof outer);
    k->ticks = soft_ticks();
    uint32_t block = find(v);
    if (block != JIT_NONE) {
        state_save(&k->before, v);
        const char *what = run_until_same(v, &block);
        if (what) {
            tell(v, block, what);
            v->failed = v->exiting = true;
        } else if (k->deferred) {
            v->exiting = false;
        }
    }
    k->ticks = 0;
    lock_release(&c->vm->check_lock);
    memcpy(&c->unwind, &outer, sizeof outer);
}

bool check_defers(struct check *k)
{
    k->deferred = k->ticks != 0;
    return k->deferred;
}

uint64_t check_ticks(const struct check *k)
{
    return k->ticks ? k->ticks : soft_ticks();
}

int check_create(struct soft_vcpu *v)
{
    struct check *k = calloc(1, sizeof *k);

    if (!k)
        return -ENOMEM;
    tlb_clear(&k->empty);
    v->check = k;
    v->hot.jit->knobs.check = true;
    v->hot.jit->knobs.strict = true;
    v->hot.track = false; /* what the interpreter stores is taken back */
    return 0;
}

void check_destroy(struct soft_vcpu *v)
{
    free(v->check);
    v->check = NULL;
}
