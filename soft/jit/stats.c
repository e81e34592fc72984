/*
 * What the JIT counts, in the API's words. The counters are plain numbers of the vCPU's thread, and
 * only paths that call C anyway count: what translated code does by itself is not known.
 */
#include <string.h>

#include <Hypervisor/hvx.h>

#include "soft/jit/runtime.h"
#include "soft/vcpu.h"

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
    stats->translation.ns = s->translate_ns;
    stats->translation.hot_bytes = s->hot_bytes;
    stats->translation.cold_bytes = s->cold_bytes;
    stats->translation.links = s->links;
    stats->translation.cloned = s->cloned;
    stats->translation.imported = s->imported;
    stats->translation.retired = s->retired;
    stats->translation.resets = s->resets;
    stats->translation.cache_used = j->hot - j->start + j->cold - j->hot_end;
    stats->translation.cache_size = j->size;

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
