/*
 * What the JIT counts, in the API's words. The counters are plain numbers of the vCPU's thread, and
 * only paths that call C anyway count: what translated code does by itself is not known.
 */
#include <string.h>
#include <x86intrin.h>

#include <Hypervisor/hvx.h>

#include "base/clock.h"
#include "soft/jit/runtime.h"
#include "soft/vcpu.h"

/* Blocks are translated within a microsecond or two, so they are timed by the cheapest clock; what
 * its ticks are worth is what they were worth so far. */
static uint64_t translate_ns(const struct jit *j)
{
    uint64_t ns = clock_monotonic_ns() - j->since_ns, ticks = __rdtsc() - j->since_ticks;

    return ticks ? (uint64_t)((double)j->stats.translate_ticks / (double)ticks * (double)ns) : 0;
}

static uint64_t code_memory(struct jit_cache *c)
{
    lock_acquire(&c->lock);
    uint64_t size = c->hot_end + (uint64_t)(c->cold_end - c->cold_start);
    lock_release(&c->lock);
    return size;
}

void jit_read_stats(const struct soft_vcpu *v, struct hvx_vcpu_stats *stats)
{
    const struct jit *j = v->hot.jit;
    const struct jit_stats *s = &j->stats;

    stats->kept |= HVX_STATS_TRANSLATION;
    if (j->knobs.count) {
        stats->kept |= HVX_STATS_INSTRUCTIONS;
        stats->instructions = v->cpu.instructions;
    }
    stats->translation.blocks = s->blocks;
    stats->translation.instructions = s->instructions;
    stats->translation.ns = translate_ns(j);
    stats->translation.hot_bytes = s->hot_bytes;
    stats->translation.cold_bytes = s->cold_bytes;
    stats->translation.links = s->links;
    stats->translation.cloned = s->cloned;
    stats->translation.loaded = s->loaded;
    stats->translation.retired = s->retired;
    stats->translation.resets = s->resets;
    stats->translation.cache_used = j->taken - (j->hot_end - j->hot) - (j->cold_end - j->cold);
    stats->translation.cache_size = v->index ? 0 : code_memory(j->cache); /* all vCPUs' */

    stats->calls.link = s->link_calls;
    stats->calls.lookup = s->miss_calls;
    stats->calls.refill = s->refill_calls;
    stats->calls.slow = s->slow_calls;
    stats->calls.interp = s->interp_calls;
    stats->calls.vector = s->vector_calls;
    stats->calls.helper = v->hot.helpers;
    stats->calls.svc = s->svc_calls;
    stats->calls.eret = s->eret_calls;
    memcpy(stats->left, s->left, sizeof s->left);
}
