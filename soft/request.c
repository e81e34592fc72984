/*
 * What one vCPU asks of others: TLB and instruction cache maintenance (DDI 0487 D8.14, D7.5.11),
 * and changes of what their TLBs may allow. It is posted to each vCPU and done by that, and the DSB
 * that follows waits until it is.
 *
 * Requests are kept one by one as long as there is room, neighbours as one. Of what does not fit
 * (kernels patch tens of thousands of instructions while another vCPU sleeps) only is remembered
 * that TLBs are to be emptied, or that any code may have changed. Translations, which all vCPUs
 * have together, are then forgotten already.
 *
 * A vCPU that has never run has nothing to drop, and is not asked. One that runs with another ASID
 * than the one whose translations go has the request, too, but is not waited for: it goes over to
 * that one by MSR, and looks at its requests before the next instruction. Most TLBIs are of this
 * kind, as most processes run on one vCPU at a time.
 */
#include "soft/request.h"

#include <sched.h>
#include <time.h>

#include "soft/model.h"
#include "soft/vcpu.h"

/* How often a DSB looks whether the others are done before it sleeps between looks, and how long.
 */
#define BARRIER_LOOKS  32
#define BARRIER_NAP_NS 20000

/* `own`: the vCPU's, which changes translations for all; the others only hear of that. */
static void apply(struct soft_vcpu *v, const struct request *r, bool own)
{
    switch (r->kind) {
    case REQUEST_TLB_ALL:
        tlb_flush_all(v);
        break;
    case REQUEST_TLB_ASID:
        tlb_flush_asid(v, r->asid);
        break;
    case REQUEST_TLB_VA:
        tlb_flush_va(v, r->address, r->size, r->asid);
        break;
    case REQUEST_CODE_LINE:
        code_invalidate_line(v, r->address);
        if (own)
            jit_invalidate_line(v, r->address);
        break;
    case REQUEST_CODE_PAGE:
        if (own)
            jit_invalidate_page(v, r->address);
        break;
    case REQUEST_WRITE_PROTECT:
        tlb_forbid_write(v, r->address);
        break;
    case REQUEST_WATCH:
        tlb_watch(v, r->address);
        break;
    case REQUEST_CODE_ALL:
        code_invalidate_all(v);
        if (own)
            jit_invalidate_all(v);
        break;
    }
}

/* --- the vCPU that is asked --- */

void request_drain(struct soft_vcpu *v)
{
    struct requests *q = &v->requests;

    lock_acquire(&q->lock);
    for (unsigned n = 0; n < q->count; n++)
        apply(v, &q->ring[n], false);
    if (q->lost_tlb)
        tlb_flush_all(v); /* among them entries for writing */
    if (q->lost_code)
        code_invalidate_all(v);
    jit_hear_changes(v);
    q->count = 0;
    q->lost_tlb = q->lost_code = false;
    atomic_fetch_and(&v->cpu.attention, ~(uint32_t)ATTENTION_REQUEST);
    lock_release(&q->lock);
}

/* --- who asks --- */

/* Does `last` cover `r` too, perhaps with a larger size? */
static bool joins(struct request *last, const struct request *r)
{
    if (last->kind != r->kind)
        return false;
    switch (r->kind) {
    case REQUEST_TLB_ALL:
        return true;
    case REQUEST_CODE_LINE:
        return align_down(last->address, IREKO_V1_CODE_LINE) ==
               align_down(r->address, IREKO_V1_CODE_LINE);
    case REQUEST_TLB_VA:
        if (last->asid != r->asid || last->address + last->size != r->address ||
            last->size > REQUEST_SIZE_MAX)
            return false;
        last->size += r->size;
        return true;
    default:
        return false;
    }
}

/* Remember what there is no room for. */
static void lose(struct requests *q, const struct request *r)
{
    switch (r->kind) {
    case REQUEST_CODE_LINE:
    case REQUEST_CODE_PAGE:
    case REQUEST_CODE_ALL:
        q->lost_code = true;
        break;
    default:
        q->lost_tlb = true;
        break;
    }
}

static void post(struct soft_vcpu *to, const struct request *r)
{
    struct requests *q = &to->requests;

    lock_acquire(&q->lock);
    if (q->count && joins(&q->ring[q->count - 1], r))
        ; /* done */
    else if (q->count < REQUEST_RING)
        q->ring[q->count++] = *r;
    else
        lose(q, r);
    cpu_attend(&to->cpu, ATTENTION_REQUEST);
    lock_release(&q->lock);
}

/* Ask all vCPUs but `but`. False: there is none to be asked. */
static bool post_all(struct soft_vm *vm, const struct soft_vcpu *but, const struct request *r)
{
    bool posted = false;

    lock_acquire(&vm->lock);
    for (unsigned n = 0; n < vm->vcpu_end; n++)
        if (vm->vcpu[n] && vm->vcpu[n] != but && atomic_load(&vm->vcpu[n]->has_run)) {
            post(vm->vcpu[n], r);
            posted = true;
        }
    lock_release(&vm->lock);
    return posted;
}

/* The ASID, if the request only concerns who runs with that. */
static int concerns(const struct request *r)
{
    bool low = !bit(r->address, 55) && !bit(r->address + (r->size - 1), 55);

    if (r->kind == REQUEST_TLB_ASID || (r->kind == REQUEST_TLB_VA && low))
        return r->asid;
    return REQUEST_ANY_ASID;
}

void soft_request(struct soft_vcpu *v, const struct request *r, bool broadcast)
{
    apply(v, r, true);
    if (!broadcast || !post_all(v->cpu.vm, v, r))
        return;
    int asid = concerns(r);
    v->barrier_asid = v->barrier_needed && v->barrier_asid != asid ? REQUEST_ANY_ASID : asid;
    v->barrier_needed = true;
}

void soft_request_all(struct soft_vm *vm, const struct request *r)
{
    (void)post_all(vm, NULL, r);
}

/* May it use what is to go before it looks at what it was asked? */
static bool is_concerned(const struct soft_vcpu *v, int asid)
{
    uint32_t now = atomic_load(&v->in_use);

    return asid == REQUEST_ANY_ASID || now == (uint32_t)asid || (now & IN_USE_GLOBAL);
}

/* Has every other vCPU that executes something in the guest done what was asked of it? */
static bool all_done(struct soft_vcpu *v)
{
    struct soft_vm *vm = v->cpu.vm;
    bool all = true;

    lock_acquire(&vm->lock);
    for (unsigned n = 0; n < vm->vcpu_end; n++) {
        struct soft_vcpu *other = vm->vcpu[n];
        if (other && other != v && soft_is_inside(other) && !atomic_load(&other->at_barrier) &&
            (atomic_load(&other->cpu.attention) & ATTENTION_REQUEST) &&
            is_concerned(other, v->barrier_asid))
            all = false;
    }
    lock_release(&vm->lock);
    return all;
}

/*
 * A vCPU that is outside the guest looks at its requests before it enters, and one that waits here
 * before it goes on, so only those that execute something are waited for. One that runs is soon
 * done; for one that waits for a core of the host this thread gives its own away, and as
 * sched_yield() may give it back at once, by sleeping.
 */
void soft_barrier(struct soft_vcpu *v)
{
    static const struct timespec nap = { .tv_nsec = BARRIER_NAP_NS };

    if (!v->barrier_needed)
        return;
    v->barrier_needed = false;
    atomic_store(&v->at_barrier, true);
    for (unsigned looks = 0; !all_done(v); looks++) {
        if (looks < BARRIER_LOOKS)
            sched_yield();
        else
            nanosleep(&nap, NULL);
    }
    atomic_store(&v->at_barrier, false);
    if (atomic_load(&v->cpu.attention) & ATTENTION_REQUEST)
        request_drain(v);
}
