/*
 * One cache of code for all vCPUs of a VM: what they have to know of each other.
 *
 * Code that is no longer right is made unreachable by the vCPU that finds out, for all: nothing in
 * the cache leads to it, and its virtual address goes to a list of the last ones. Each vCPU takes
 * it out of its own jump tables when it is next between blocks, and before it says that it has done
 * what it was asked. The code itself stays, as some may be in it.
 *
 * Memory that becomes free for other code, and comparisons of bindings that become others, wait
 * until every vCPU was between blocks, where it goes on by its PC alone: there it notes the time,
 * which goes on by one whenever there is something to wait for. One that is outside of the guest,
 * or sleeps, is between blocks, too, and hears what happened before it executes anything.
 *
 * When the cache is full all wait outside of translated code while one vCPU empties it.
 */
#include <sched.h>
#include <time.h>

#include "soft/jit/runtime.h"
#include "soft/vcpu.h"

_Static_assert(SOFT_MAX_VCPUS <= JIT_MEMBERS, "each may have a part in it");

void jit_join(struct jit *j)
{
    struct jit_cache *c = j->cache;
    bool first = true;

    lock_acquire(&c->lock);
    for (unsigned n = 0; n < c->member_end; n++)
        first &= !c->member[n];
    if (first) /* others, which are gone, were told of what changed since */
        jit_cache_reset(j);
    c->member[j->v->index] = j;
    if (c->member_end <= j->v->index)
        c->member_end = j->v->index + 1;
    jit_cache_limit(j, c);
    j->resets = c->resets;
    j->told = c->retired;
    lock_release(&c->lock);
}

void jit_part(struct jit *j)
{
    struct jit_cache *c = j->cache;

    lock_acquire(&c->lock);
    c->member[j->v->index] = NULL;
    lock_release(&c->lock);
}

/* What was retired. */

void jit_tell_retired(struct jit *j, const struct jit_block *b)
{
    struct jit_cache *c = j->cache;
    uint64_t n = atomic_load_explicit(&c->retired, memory_order_relaxed);

    c->last[n % JIT_RETIRED] =
        (struct jit_retired){ .va = b->va, .code = b->code, .el1 = b->mode & JIT_MODE_EL1 };
    atomic_store(&c->retired, n + 1);
}

static void jump_remove(struct mmu_bank *b, uint64_t va, const uint8_t *code)
{
    struct jit_jump *jump = jit_jump_of(b->jit.jump, va);

    if (jump->code == code) /* an address that is looked up elsewhere */
        *jump = (struct jit_jump){ .pc = jump == b->jit.jump ? UINT64_MAX : 0 };
}

static void remove_jumps(struct jit *j, const struct jit_retired *r)
{
    if (r->el1)
        jump_remove(&j->v->kernel, r->va, j->rx + r->code);
    else
        for (unsigned n = 0; n < j->v->bank_count; n++)
            jump_remove(&j->v->bank[n], r->va, j->rx + r->code);
}

/* Nothing that the vCPU knows of the cache is true any more. */
static void begin_anew(struct jit *j)
{
    j->resets = j->cache->resets;
    j->hot = j->hot_end = j->cold = j->cold_end = 0;
    j->exit_next = j->exit_end = 0;
    j->taken = 0;
    jit_forget_all(j->v);
}

void jit_hear_retired(struct jit *j)
{
    struct jit_cache *c = j->cache;
    uint64_t retired = atomic_load_explicit(&c->retired, memory_order_relaxed);

    if (retired == j->told)
        return;
    jit_returns_forget(j);
    if (j->resets != c->resets)
        begin_anew(j);
    else if (retired - j->told > JIT_RETIRED)
        jit_clear_all_jumps(j->v);
    else
        for (uint64_t n = j->told; n < retired; n++)
            remove_jumps(j, &c->last[n % JIT_RETIRED]);
    j->told = retired;
}

void jit_hear(struct jit *j)
{
    lock_acquire(&j->cache->lock);
    jit_hear_retired(j);
    lock_release(&j->cache->lock);
}

void jit_hear_changes(struct soft_vcpu *v)
{
    if (v->hot.jit)
        jit_hear(v->hot.jit);
}

/* Time. */

uint32_t jit_time_next(struct jit *j)
{
    uint32_t time = atomic_fetch_add(&j->cache->time, 1) + 1;

    return time ? time : atomic_fetch_add(&j->cache->time, 1) + 1; /* 0 has been for ever */
}

bool jit_all_saw(const struct jit *j, uint32_t time)
{
    const struct jit_cache *c = j->cache;

    for (unsigned n = 0; n < c->member_end; n++) {
        const struct jit *m = c->member[n];
        if (m && m != j && soft_is_inside(m->v) &&
            (int32_t)(atomic_load_explicit(&m->seen, memory_order_acquire) - time) < 0)
            return false;
    }
    return true;
}

/* All is forgotten. */

#define LOOKS  32
#define NAP_NS 20000

static void nap(unsigned looks)
{
    static const struct timespec nap = { .tv_nsec = NAP_NS };

    if (looks < LOOKS)
        sched_yield();
    else
        nanosleep(&nap, NULL);
}

bool jit_is_awaited(const struct soft_vcpu *v)
{
    return v->hot.jit && atomic_load(&v->hot.jit->cache->stopper);
}

void jit_await(struct soft_vcpu *v)
{
    while (UNLIKELY(jit_is_awaited(v))) {
        atomic_store(&v->aside, true);
        for (unsigned looks = 0; jit_is_awaited(v); looks++)
            nap(looks);
        atomic_store(&v->aside, false);
    }
}

static bool all_are_out(struct jit_cache *c, const struct soft_vcpu *v)
{
    bool all = true;

    lock_acquire(&c->lock);
    for (unsigned n = 0; n < c->member_end; n++)
        if (c->member[n] && c->member[n]->v != v && soft_is_inside(c->member[n]->v)) {
            cpu_attend(&c->member[n]->v->cpu, ATTENTION_LOOK);
            all = false;
        }
    lock_release(&c->lock);
    return all;
}

/* All others are out of translated code, and wait. False: this one had to wait for another one,
 * which did it. Nobody waits for this vCPU meanwhile. */
static bool stop_others(struct jit_cache *c, struct soft_vcpu *v)
{
    struct soft_vcpu *none = NULL;

    atomic_store(&v->aside, true);
    if (!atomic_compare_exchange_strong(&c->stopper, &none, v)) {
        atomic_store(&v->aside, false);
        jit_await(v);
        return false;
    }
    for (unsigned looks = 0; !all_are_out(c, v); looks++)
        nap(looks);
    return true;
}

static void let_others_go_on(struct jit_cache *c, struct soft_vcpu *v)
{
    atomic_store(&c->stopper, NULL);
    atomic_store(&v->aside, false);
    jit_await(v);
}

void jit_drop_all(struct soft_vcpu *v)
{
    struct jit *j = v->hot.jit;

    if (!j)
        return;
    struct jit_cache *c = j->cache;
    if (stop_others(c, v)) {
        lock_acquire(&c->lock);
        jit_cache_reset(j);
        atomic_fetch_add(&c->retired, 1); /* for all to hear of it */
        if (v->map && c->map < v->map->number)
            c->map = v->map->number;
        lock_release(&c->lock);
        let_others_go_on(c, v);
    }
    j->full = false;
    jit_hear(j);
}

/* The memory map. Blocks and bindings are of one, the newest that any vCPU has. */

bool jit_map_is_current(const struct jit *j)
{
    return j->v->map && j->v->map->number == j->cache->map;
}

void jit_adopt_map(struct soft_vcpu *v)
{
    struct jit *j = v->hot.jit;
    bool is_old = true;

    if (!j)
        return;
    while (is_old) {
        struct jit_cache *c = j->cache;
        lock_acquire(&c->lock);
        is_old = c->map < v->map->number;
        if (is_old && c->block_count == 1 && c->binding_count == 1) {
            c->map = v->map->number;
            is_old = false;
        }
        lock_release(&c->lock);
        if (is_old)
            jit_drop_all(v);
    }
    if (!j->begun) /* a CPU that starts has nothing in its instruction cache */
        jit_blocks_verify(j);
    j->begun = true;
}
