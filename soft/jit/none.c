/*
 * In place of the JIT on hosts that it does not translate for: there is none.
 */
#include <errno.h>

#include "base/compiler.h"
#include "soft/jit/check.h"
#include "soft/jit/jit.h"

bool jit_host_is_able(void)
{
    return false;
}

void jit_await(struct soft_vcpu *v)
{
    (void)v;
}

int jit_create(struct soft_vcpu *v)
{
    (void)v;
    return -ENOTSUP;
}

void jit_destroy(struct soft_vcpu *v)
{
    (void)v;
}

void jit_cache_close(struct jit_cache *c)
{
    (void)c;
}

void jit_read_stats(const struct soft_vcpu *v, struct hvx_vcpu_stats *stats)
{
    (void)v, (void)stats;
}

void jit_run(struct soft_vcpu *v)
{
    (void)v;
}

void jit_end_run(struct soft_vcpu *v)
{
    (void)v;
}

void jit_update_context(struct cpu *c)
{
    (void)c;
}

void jit_forget_pages(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va, uint64_t pages)
{
    (void)v, (void)b, (void)va, (void)pages;
}

void jit_forget_bank(struct soft_vcpu *v, struct mmu_bank *b)
{
    (void)v, (void)b;
}

void jit_forget_all(struct soft_vcpu *v)
{
    (void)v;
}

void jit_invalidate_line(struct soft_vcpu *v, uint64_t pa)
{
    (void)v, (void)pa;
}

void jit_invalidate_page(struct soft_vcpu *v, uint64_t pa)
{
    (void)v, (void)pa;
}

bool jit_track_may_write(struct soft_vcpu *v, uint64_t pa)
{
    (void)v, (void)pa;
    return true;
}

void jit_track_write(struct soft_vcpu *v, uint64_t pa)
{
    (void)v, (void)pa;
}

void jit_track_settle(struct soft_vcpu *v)
{
    (void)v;
}

void jit_hear_changes(struct soft_vcpu *v)
{
    (void)v;
}

void jit_adopt_map(struct soft_vcpu *v)
{
    (void)v;
}

void jit_invalidate_all(struct soft_vcpu *v)
{
    (void)v;
}

void jit_drop_all(struct soft_vcpu *v)
{
    (void)v;
}

int check_create(struct soft_vcpu *v)
{
    (void)v;
    return -ENOTSUP;
}

void check_destroy(struct soft_vcpu *v)
{
    (void)v;
}

void check_run(struct soft_vcpu *v)
{
    (void)v;
}

void check_note_store(struct check *k, uint8_t *host, unsigned size)
{
    (void)k, (void)host, (void)size;
}

uint64_t check_ticks(const struct check *k)
{
    (void)k;
    return 0;
}

bool check_defers(struct check *k)
{
    (void)k;
    return false;
}
