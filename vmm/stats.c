/* Counting: see stats.h. */
#include "vmm/stats.h"

#include "base/bits.h"
#include "vmm/exit.h"

enum stats_exit stats_exit_of(const hv_vcpu_exit_t *exit)
{
    switch (exit->reason) {
    case HV_EXIT_REASON_CANCELED:
        return STATS_EXIT_CANCELED;
    case HV_EXIT_REASON_VTIMER_ACTIVATED:
        return STATS_EXIT_TIMER;
    case HV_EXIT_REASON_EXCEPTION:
        break;
    default:
        return STATS_EXIT_OTHER;
    }
    switch (bits(exit->exception.syndrome, 31, 26)) {
    case EXIT_EC_WFX:
        return STATS_EXIT_WAIT;
    case EXIT_EC_HVC:
    case EXIT_EC_SMC:
        return STATS_EXIT_FIRMWARE;
    case EXIT_EC_SYSREG:
        return STATS_EXIT_SYSREG;
    case EXIT_EC_DATA_ABORT:
        return STATS_EXIT_MMIO;
    default:
        return STATS_EXIT_OTHER;
    }
}

static void stats_add_engine(struct hvx_vcpu_stats *to, const struct hvx_vcpu_stats *from)
{
    to->instructions += from->instructions;
    to->exits += from->exits;
    to->tlb_misses += from->tlb_misses;
    to->pages_decoded += from->pages_decoded;
    to->exceptions += from->exceptions;
    to->tlb_refills += from->tlb_refills;
    to->windows += from->windows;
    to->window_pages += from->window_pages;
    to->window_ns += from->window_ns;
    to->kept |= from->kept;

    to->translation.blocks += from->translation.blocks;
    to->translation.instructions += from->translation.instructions;
    to->translation.ns += from->translation.ns;
    to->translation.hot_bytes += from->translation.hot_bytes;
    to->translation.cold_bytes += from->translation.cold_bytes;
    to->translation.links += from->translation.links;
    to->translation.cloned += from->translation.cloned;
    to->translation.loaded += from->translation.loaded;
    to->translation.retired += from->translation.retired;
    to->translation.resets += from->translation.resets;
    to->translation.cache_used += from->translation.cache_used;
    to->translation.cache_size += from->translation.cache_size;

    to->calls.link += from->calls.link;
    to->calls.lookup += from->calls.lookup;
    to->calls.refill += from->calls.refill;
    to->calls.slow += from->calls.slow;
    to->calls.interp += from->calls.interp;
    to->calls.vector += from->calls.vector;
    to->calls.helper += from->calls.helper;
    to->calls.svc += from->calls.svc;
    to->calls.eret += from->calls.eret;

    for (unsigned n = 0; n < HVX_STATS_KINDS; n++)
        to->left[n] += from->left[n];
}

void stats_add(struct stats_cpu *to, const struct stats_cpu *from)
{
    for (unsigned n = 0; n < STATS_EXITS; n++)
        to->exits[n] += from->exits[n];
    to->cpu_ns += from->cpu_ns;
    stats_add_engine(&to->engine, &from->engine);
}
