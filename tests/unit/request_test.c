/* What one vCPU asks of others is done, however much it is. */
#include "tests/unit/soft_fixture.h"

#include <string.h>

#include "base/bytes.h"

#define CODE 0x10000
#define DATA 0x20000

static struct fixture *with_second(void **state, struct soft_vcpu **second)
{
    struct fixture *f = *state;

    *second = fixture_add_vcpu(f, 1);
    return f;
}

/* The vCPU has a translation of the page at DATA, and has decoded the word at CODE. */
static const struct insn *has_seen(struct fixture *f, struct soft_vcpu *v)
{
    struct code_page *p = code_get(v, RAM_BASE + CODE, f->ram + CODE);

    st_le32(f->ram + CODE, 0xd503201f); /* NOP */
    assert_non_null(p);
    v->cpu.page = p;
    (void)interp_step(&v->cpu, &p->slot[0]);
    tlb_entry_of(&v->kernel.tlb, RAM_BASE + DATA)->rd = RAM_BASE + DATA;
    v->kernel.empty = false;
    v->kernel.half[0] = true;
    return &p->slot[0];
}

static bool sees(struct soft_vcpu *v)
{
    return tlb_entry_of(&v->kernel.tlb, RAM_BASE + DATA)->rd == RAM_BASE + DATA;
}

static void ask_va(struct fixture *f, uint64_t va, int asid)
{
    soft_request(
        f->v,
        &(struct request){ .kind = REQUEST_TLB_VA, .asid = asid, .address = va, .size = 4096 },
        true);
}

static void ask_line(struct fixture *f, uint64_t pa)
{
    soft_request(f->v, &(struct request){ .kind = REQUEST_CODE_LINE, .address = pa }, true);
}

static void who_never_ran_is_not_asked(void **state)
{
    struct soft_vcpu *v;
    struct fixture *f = with_second(state, &v);

    ask_va(f, RAM_BASE + DATA, REQUEST_ANY_ASID);
    assert_int_equal(v->requests.count, 0);
    assert_false(f->v->barrier_needed);
    atomic_store(&v->has_run, true);
    ask_va(f, RAM_BASE + DATA, REQUEST_ANY_ASID);
    assert_int_equal(v->requests.count, 1);
    assert_true(f->v->barrier_needed);
    fixture_end_vcpu(v);
}

static void neighbours_are_one_request(void **state)
{
    struct soft_vcpu *v;
    struct fixture *f = with_second(state, &v);
    const struct requests *q = &v->requests;

    atomic_store(&v->has_run, true);
    for (uint64_t n = 0; n < 1000; n++)
        ask_va(f, RAM_BASE + n * 4096, REQUEST_ANY_ASID);
    assert_int_equal(q->count, 1);
    assert_int_equal(q->ring[0].size, 1000 * 4096);
    ask_va(f, RAM_BASE + 1000 * 4096, 7);
    assert_int_equal(q->count, 2);
    ask_va(f, RAM_BASE, 7);
    assert_int_equal(q->count, 3);
    for (uint64_t n = 0; n < 2048; n += 4)
        ask_line(f, RAM_BASE + CODE + n);
    assert_int_equal(q->count, 4);
    ask_line(f, RAM_BASE + CODE + 2048);
    assert_int_equal(q->count, 5);
    (void)has_seen(f, v);
    assert_true(sees(v));
    request_drain(v);
    assert_false(sees(v));
    assert_int_equal(q->count, 0);
    fixture_end_vcpu(v);
}

/* More than there is room for of another kind. */
static void fill(struct fixture *f, bool code)
{
    for (uint64_t n = 0; n < REQUEST_RING + 10; n++)
        if (code)
            ask_line(f, RAM_BASE + 0x100000 + n * 8192);
        else
            ask_va(f, 0x7000000000 + n * 8192, 9);
}

static void lost_requests_for_tlbs_empty_them(void **state)
{
    struct soft_vcpu *v;
    struct fixture *f = with_second(state, &v);

    atomic_store(&v->has_run, true);
    fill(f, false);
    ask_va(f, RAM_BASE + DATA, REQUEST_ANY_ASID);
    assert_true(v->requests.lost_tlb);
    assert_false(v->requests.lost_code);
    const struct insn *slot = has_seen(f, v);
    uint32_t epoch = v->code_epoch;
    request_drain(v);
    assert_false(sees(v));
    assert_int_equal(v->code_epoch, epoch);
    assert_ptr_not_equal(slot->fn, interp_decode_slot);
    assert_false(v->requests.lost_tlb);
    fixture_end_vcpu(v);
}

static void lost_requests_for_code_check_all_pages(void **state)
{
    struct soft_vcpu *v;
    struct fixture *f = with_second(state, &v);

    atomic_store(&v->has_run, true);
    const struct insn *slot = has_seen(f, v);
    fill(f, true);
    st_le32(f->ram + CODE, 0xd5033f9f); /* DSB SY */
    ask_line(f, RAM_BASE + CODE);
    assert_true(v->requests.lost_code);
    assert_false(v->requests.lost_tlb);
    request_drain(v);
    assert_true(sees(v));
    assert_ptr_equal(code_get(v, RAM_BASE + CODE, f->ram + CODE)->slot, slot);
    assert_ptr_equal(slot->fn, interp_decode_slot);
    assert_false(v->requests.lost_code);
    fixture_end_vcpu(v);
}

/* Both wait at a barrier, and each does what the other one asked before it goes on. */
static void who_waits_is_not_waited_for(void **state)
{
    struct soft_vcpu *v;
    struct fixture *f = with_second(state, &v);

    atomic_store(&v->has_run, true);
    atomic_store(&v->in_guest, true);
    atomic_store(&v->at_barrier, true);
    (void)has_seen(f, v);
    ask_va(f, RAM_BASE + DATA, REQUEST_ANY_ASID);
    soft_barrier(f->v);
    assert_true(sees(v));
    assert_false(atomic_load(&f->v->at_barrier));
    v->barrier_needed = true;
    soft_barrier(v);
    assert_false(sees(v));
    assert_int_equal(v->requests.count, 0);
    assert_false(atomic_load(&v->at_barrier));
    assert_false(v->barrier_needed);
    atomic_store(&v->in_guest, false);
    fixture_end_vcpu(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_never_ran_is_not_asked),        TEST(neighbours_are_one_request),
        TEST(lost_requests_for_tlbs_empty_them), TEST(lost_requests_for_code_check_all_pages),
        TEST(who_waits_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
