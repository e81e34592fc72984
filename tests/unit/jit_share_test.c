/* One cache of code for all vCPUs: what waits for others, and until when. */
#include "soft/jit/runtime.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "tests/unit/soft_fixture.h"

#include "base/bytes.h"

#define CODE 0x10000

struct two {
    struct fixture *f;
    struct soft_vcpu *v[2];
    struct jit *j[2];
    uint8_t *ram;
};

static int setup(void **state)
{
    struct two *t = calloc(1, sizeof *t);
    void *fixture;

    assert_non_null(t);
    (void)fixture_setup_as(&fixture, &(struct hv_vm_desc){ .ipa_bits = 40, .engine = "jit" });
    t->f = fixture;
    t->ram = t->f->ram;
    for (unsigned n = 0; n < 2; n++) {
        t->v[n] = n ? fixture_add_vcpu(t->f, n) : t->f->v;
        t->j[n] = t->v[n]->hot.jit;
    }
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct two *t = *state;
    void *fixture = t->f;

    fixture_end_vcpu(t->v[1]);
    (void)fixture_teardown(&fixture);
    free(t);
    return 0;
}

/* The block at CODE, which branches to another page, found by vCPU `n`. */
static uint32_t find(struct two *t, unsigned n)
{
    t->v[n]->cpu.pc = RAM_BASE + CODE;
    return jit_find_block(t->v[n]);
}

static void write_code(struct two *t)
{
    st_le32(t->ram + CODE, 0xd503201f);            /* NOP */
    st_le32(t->ram + CODE + 4, 0x14000000 | 1024); /* B to the next page */
    st_le32(t->ram + CODE + 4100, 0xd65f03c0);     /* RET */
}

static void what_one_translates_the_other_one_finds(void **state)
{
    struct two *t = *state;

    write_code(t);
    uint32_t n = find(t, 0);
    assert_int_not_equal(n, JIT_NONE);
    assert_int_equal(find(t, 1), n);
    assert_int_equal(t->j[0]->stats.blocks, 1);
    assert_int_equal(t->j[1]->stats.blocks, 0);
}

static void who_is_in_code_is_waited_for(void **state)
{
    struct two *t = *state;

    uint32_t time = jit_time_next(t->j[0]);
    assert_true(jit_all_saw(t->j[0], time));
    atomic_store(&t->v[1]->in_guest, true);
    assert_false(jit_all_saw(t->j[0], time));
    assert_true(jit_all_saw(t->j[1], time));
    jit_note_between(t->j[1]);
    assert_true(jit_all_saw(t->j[0], time));
    time = jit_time_next(t->j[0]);
    assert_false(jit_all_saw(t->j[0], time));
    atomic_store(&t->v[1]->in_guest, false);
    assert_true(jit_all_saw(t->j[0], time));
}

/* It leaves the jump tables of those who did not retire it when they hear of it. */
static void a_retired_block_leaves_all_jump_tables(void **state)
{
    struct two *t = *state;

    write_code(t);
    uint32_t n = find(t, 0);
    struct jit_jump *jump = jit_jump_of(t->v[1]->kernel.jit.jump, RAM_BASE + CODE);
    *jump = (struct jit_jump){ RAM_BASE + CODE, t->j[1]->rx + jit_block_code(t->j[1], n) };
    st_le32(t->ram + CODE, 0xd5033f9f);
    jit_invalidate_line(t->v[0], RAM_BASE + CODE);
    assert_int_equal(jit_block_code(t->j[0], n), 0);
    assert_int_equal(jump->pc, RAM_BASE + CODE);
    jit_hear_changes(t->v[1]);
    assert_int_not_equal(jump->pc, RAM_BASE + CODE);
    assert_int_not_equal(find(t, 1), n);
}

/* What is found warm while both are compared. */
static void who_compares_may_wake_the_ticker(void **state)
{
    struct two *t = *state;
    struct soft_vm *vm = t->v[0]->cpu.vm;

    assert_true(vm->check_lock.rank < vm->ticker.lock.rank);
    lock_acquire(&vm->check_lock);
    atomic_store(&vm->ticker.next, UINT64_MAX);
    ticker_hurry(vm, 0);
    lock_release(&vm->check_lock);
}

static uint32_t id_of(const struct two *t, uint32_t exit)
{
    return ld_le32(t->j[0]->rw + jit_exit_bind_site(&t->j[0]->exit[exit]));
}

static const uint8_t *target_of(const struct two *t, uint32_t exit)
{
    const uint8_t *at = t->j[0]->rw + t->j[0]->exit[exit].site;

    return at + 4 + (int32_t)ld_le32(at);
}

static void lead(struct two *t, uint32_t exit, uint32_t block, uint32_t binding)
{
    lock_acquire(&t->j[0]->cache->lock);
    jit_exit_lead(t->j[0], exit, block, binding);
    lock_release(&t->j[0]->cache->lock);
}

/* The other vCPU may have compared the first id, and not have jumped yet. */
static void an_exit_gets_another_id_when_nobody_is_in_it(void **state)
{
    struct two *t = *state;
    struct jit *j = t->j[0];

    write_code(t);
    uint32_t n = find(t, 0), exit = j->block[n].exit_first;
    const uint8_t *code = j->rw + j->block[n].code, *tail = j->rw + j->exit[exit].tail;
    assert_true(j->exit[exit].bound);
    atomic_store(&t->v[1]->in_guest, true);
    lead(t, exit, n, 5);
    assert_int_equal(id_of(t, exit), 5);
    assert_ptr_equal(target_of(t, exit), code);
    for (unsigned k = 0; k < 3; k++) {
        lead(t, exit, n, 6);
        assert_int_equal(id_of(t, exit), JIT_NO_BINDING);
        assert_ptr_equal(target_of(t, exit), tail);
    }
    jit_note_between(t->j[1]);
    lead(t, exit, n, 6);
    assert_int_equal(id_of(t, exit), 6);
    assert_ptr_equal(target_of(t, exit), code);
    atomic_store(&t->v[1]->in_guest, false);
    lead(t, exit, n, 7); /* at once */
    assert_int_equal(id_of(t, exit), 7);
    assert_ptr_equal(target_of(t, exit), code);
}

/* What is patched while others execute it lies in 8 aligned bytes. */
static void exits_are_aligned(void **state)
{
    struct two *t = *state;
    struct jit *j = t->j[0];

    for (unsigned n = 0; n < 512; n++) { /* TBZ at each place, and BL to the next page */
        bool call = n % 8 == 7;
        st_le32(t->ram + CODE + n * 4, call ? 0x94000000 | 1024 : 0x36000000 | (n % 5 + 8) << 5);
    }
    for (unsigned n = 0; n < 512; n++) {
        t->v[0]->cpu.pc = RAM_BASE + CODE + n * 4;
        assert_int_not_equal(jit_find_block(t->v[0]), JIT_NONE);
    }
    assert_true(j->exit_next > 512);
    for (uint32_t n = 1; n < j->exit_next; n++) {
        assert_true(j->exit[n].site % 8 <= 4);
        if (j->exit[n].bound)
            assert_true(jit_exit_bind_site(&j->exit[n]) % 8 <= 4);
    }
}

static void a_place_is_used_again_when_nobody_is_in_it(void **state)
{
    struct two *t = *state;
    struct jit *j = t->j[0];
    uint64_t pa = RAM_BASE + CODE, away = 1u << 21;
    uint32_t clone[3];

    write_code(t);
    uint32_t n = find(t, 0), mode = j->block[n].mode;
    atomic_store(&t->v[1]->in_guest, true);
    lock_acquire(&j->cache->lock);
    clone[0] = jit_clone(t->v[0], pa, pa + away, mode);
    clone[1] = jit_clone(t->v[0], pa, pa + 2 * away, mode);
    assert_int_not_equal(clone[0], clone[1]);
    assert_int_equal(jit_block_find(j, pa, pa + away, mode), JIT_NONE); /* no bank has its page */
    lock_release(&j->cache->lock);
    jit_note_between(t->j[1]);
    lock_acquire(&j->cache->lock);
    clone[2] = jit_clone(t->v[0], pa, pa + 3 * away, mode);
    assert_true(clone[2] == clone[0]);
    assert_int_equal(jit_block_find(j, pa, pa + 3 * away, mode), clone[0]);
    lock_release(&j->cache->lock);
    atomic_store(&t->v[1]->in_guest, false);
}

static void *awaits(void *v)
{
    jit_await(v);
    return NULL;
}

/* What two run takes more of code memory than what one does. */
static void there_is_code_memory_for_each(void **state)
{
    struct two *t = *state;
    const struct jit_cache *c = t->j[0]->cache;
    const size_t one = t->j[0]->knobs.cache_size;

    assert_int_equal(c->hot_end + (size_t)(c->cold_end - c->cold_start), 2 * one);
    assert_in_range(c->cold, c->hot_end, c->cold_end);
    assert_true(c->cold_end <= c->size);
}

/* Nobody waits for it, and yet it runs: the ticker may not go to sleep. */
static void who_waits_is_looked_after(void **state)
{
    struct two *t = *state;
    struct soft_vcpu *v = t->v[1];
    pthread_t thread;
    bool kicked = false;

    atomic_store(&v->in_guest, true);
    atomic_store(&t->j[0]->cache->stopper, t->v[0]);
    assert_int_equal(pthread_create(&thread, NULL, awaits, v), 0);
    while (soft_is_inside(v))
        sched_yield();
    atomic_store(&v->cpu.attention, 0);
    assert_int_equal(ticker_start(v->cpu.vm), 0);
    ticker_wake(v->cpu.vm);
    for (uint64_t end = soft_ticks() + 10 * HVX_COUNTER_HZ; !kicked && soft_ticks() < end;) {
        sched_yield();
        kicked = atomic_load(&v->cpu.attention) & ATTENTION_LOOK;
    }
    assert_true(kicked);
    assert_false(soft_is_inside(v));
    atomic_store(&t->j[0]->cache->stopper, NULL);
    pthread_join(thread, NULL);
    assert_true(soft_is_inside(v));
    atomic_store(&v->in_guest, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_one_translates_the_other_one_finds, setup, teardown),
        cmocka_unit_test_setup_teardown(who_is_in_code_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(a_retired_block_leaves_all_jump_tables, setup, teardown),
        cmocka_unit_test_setup_teardown(an_exit_gets_another_id_when_nobody_is_in_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(exits_are_aligned, setup, teardown),
        cmocka_unit_test_setup_teardown(a_place_is_used_again_when_nobody_is_in_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(there_is_code_memory_for_each, setup, teardown),
        cmocka_unit_test_setup_teardown(who_waits_is_looked_after, setup, teardown),
        cmocka_unit_test_setup_teardown(who_compares_may_wake_the_ticker, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
