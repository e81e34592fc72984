/* The split virtqueue: what a driver may do, and what it must not. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/virtio/queue.h"
#include "tests/unit/virtio_driver.h"

#define SIZE 8

static struct driver driver;
static struct virtq queue;
static struct virtq_chain chain;

static int setup(void **state)
{
    (void)state;
    driver_init(&driver, SIZE);
    queue = (struct virtq){ .gmem = &driver.m,
                            .max_size = VIRTQ_MAX_SIZE,
                            .size = SIZE,
                            .desc = RAM + RING_DESC,
                            .avail = RAM + RING_AVAIL,
                            .used = RAM + RING_USED,
                            .indirect = true };
    return virtq_start(&queue);
}

/* Offer the chain at `head`; taking it must fail with `code`, and go on failing. */
static void pop_fails(uint16_t head, int code)
{
    driver_offer(&driver, head);
    assert_int_equal(virtq_pop(&queue, &chain), code);
    assert_int_equal(virtq_pop(&queue, &chain), code);
}

/* ------------------------------------------------------------------ start */

static void start_checks(void **state)
{
    (void)state;
    static const struct driver_start cases[] = {
        { 1, RAM, RAM + 0x1000, RAM + 0x2000, 0 },
        { 512, RAM, RAM + 0x2000, RAM + 0x3000, 0 },
        { 0, RAM, RAM + 0x1000, RAM + 0x2000, -EINVAL },
        { 3, RAM, RAM + 0x1000, RAM + 0x2000, -EINVAL },
        { 1024, RAM, RAM + 0x4000, RAM + 0x5000, -EINVAL },
        { 32768, RAM, RAM + 0x1000, RAM + 0x2000, -EINVAL },
        { 8, RAM + 8, RAM + 0x1000, RAM + 0x2000, -EINVAL },
        { 8, RAM, RAM + 0x1001, RAM + 0x2000, -EINVAL },
        { 8, RAM, RAM + 0x1000, RAM + 0x2002, -EINVAL },
        { 8, 0, RAM + 0x1000, RAM + 0x2000, -EINVAL },
        { 8, RAM, 0, RAM + 0x2000, -EINVAL },
        { 8, RAM, RAM + 0x1000, 0, -EINVAL },
        /* Each ring to the last byte of RAM, and beyond. */
        { 8, RAM + RAM_SIZE - 128, RAM, RAM + 0x2000, 0 },
        { 8, RAM + RAM_SIZE - 112, RAM, RAM + 0x2000, -EINVAL },
        { 8, RAM, RAM + RAM_SIZE - 22, RAM + 0x2000, 0 },
        { 8, RAM, RAM + RAM_SIZE - 20, RAM + 0x2000, -EINVAL },
        { 8, RAM, RAM + 0x1000, RAM + RAM_SIZE - 72, 0 },
        { 8, RAM, RAM + 0x1000, RAM + RAM_SIZE - 68, -EINVAL },
        { 8, 0xfffffffffffffff0, RAM + 0x1000, RAM + 0x2000, -EINVAL },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        virtq_reset(&queue);
        assert_false(queue.ready);
        driver_start(&queue, &cases[i]);
    }
}

/* ------------------------------------------------------------------ chains */

static void chain_of_three(void **state)
{
    (void)state;
    uint8_t bytes[8];
    assert_int_equal(virtq_pop(&queue, &chain), 0);
    driver_desc(&driver, 5, RAM + BUFFERS, 16, F_NEXT, 2);
    driver_desc(&driver, 2, RAM + BUFFERS + 0x100, 4, F_NEXT, 7);
    driver_desc(&driver, 7, RAM + BUFFERS + 0x200, 512, F_WRITE, 0);
    for (int i = 0; i < 16; i++)
        driver.ram[BUFFERS + i] = (uint8_t)i;
    memcpy(driver.ram + BUFFERS + 0x100, "abcd", 4);
    driver_offer(&driver, 5);
    assert_int_equal(virtq_pop(&queue, &chain), 1);
    assert_int_equal(chain.head, 5);
    assert_int_equal(chain.readable, 2);
    assert_int_equal(chain.readable_bytes, 20);
    assert_int_equal(chain.writable, 1);
    assert_int_equal(chain.writable_bytes, 512);

    assert_true(virtq_chain_read(&chain, 12, bytes, 8));
    assert_memory_equal(bytes,
                        "\x0c\x0d\x0e\x0f"
                        "abcd",
                        8);
    assert_false(virtq_chain_read(&chain, 13, bytes, 8));
    assert_false(virtq_chain_read(&chain, UINT64_MAX, bytes, 2));
    assert_true(virtq_chain_write(&chain, 508, "wxyz", 4));
    assert_memory_equal(driver.ram + BUFFERS + 0x200 + 508, "wxyz", 4);
    assert_false(virtq_chain_write(&chain, 509, "wxyz", 4));

    /* The header goes away, then one byte of what follows it, then all. */
    virtq_chain_skip(&chain, 16);
    assert_int_equal(chain.readable, 1);
    assert_ptr_equal(chain.iov[0].iov_base, driver.ram + BUFFERS + 0x100);
    virtq_chain_skip(&chain, 1);
    assert_true(virtq_chain_read(&chain, 0, bytes, 3));
    assert_memory_equal(bytes, "bcd", 3);
    virtq_chain_skip(&chain, 3);
    assert_int_equal(chain.readable, 0);
    assert_ptr_equal(virtq_chain_take_last(&chain), driver.ram + BUFFERS + 0x200 + 511);
    assert_int_equal(chain.writable_bytes, 511);
    assert_int_equal(chain.iov[0].iov_len, 511);
}

static void take_last_of_one(void **state)
{
    (void)state;
    driver_desc(&driver, 0, RAM + BUFFERS, 4, F_WRITE | F_NEXT, 1);
    driver_desc(&driver, 1, RAM + BUFFERS + 8, 1, F_WRITE | F_NEXT, 2);
    driver_desc(&driver, 2, 0, 0, F_WRITE, 0); /* an empty buffer is no buffer */
    driver_offer(&driver, 0);
    assert_int_equal(virtq_pop(&queue, &chain), 1);
    assert_ptr_equal(virtq_chain_take_last(&chain), driver.ram + BUFFERS + 8);
    assert_int_equal(chain.writable, 1);
    for (int i = 3; i >= 0; i--)
        assert_ptr_equal(virtq_chain_take_last(&chain), driver.ram + BUFFERS + i);
    assert_null(virtq_chain_take_last(&chain));
}

static void longest_chain(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SIZE; i++)
        driver_desc(&driver, i, RAM + BUFFERS + i, 1, i < SIZE - 1 ? F_NEXT : 0, (uint16_t)(i + 1));
    driver_offer(&driver, 0);
    assert_int_equal(virtq_pop(&queue, &chain), 1);
    assert_int_equal(chain.readable, SIZE);
}

static void bad_chains(void **state)
{
    (void)state;
    static const struct {
        struct {
            uint64_t addr;
            uint32_t len;
            uint16_t flags, next;
        } desc[2];
        uint16_t head;
        int rc;
    } cases[] = {
        { { { RAM, 1, 0, 0 } }, SIZE, -EPROTO }, /* head */
        { { { RAM, 1, 0, 0 } }, 0xffff, -EPROTO },
        { { { RAM, 1, F_NEXT, SIZE } }, 0, -EPROTO }, /* next */
        { { { RAM, 1, F_NEXT, 0xffff } }, 0, -EPROTO },
        { { { RAM, 1, F_NEXT, 0 } }, 0, -ELOOP }, /* loops */
        { { { RAM, 1, F_NEXT, 1 }, { RAM, 1, F_NEXT, 0 } }, 0, -ELOOP },
        { { { RAM, 1, F_NEXT | F_WRITE, 1 }, { RAM, 1, 0, 0 } }, 0, -EPROTO }, /* order */
        { { { RAM + RAM_SIZE - 1, 2, 0, 0 } }, 0, -EFAULT },                   /* memory */
        { { { RAM + RAM_SIZE, 1, 0, 0 } }, 0, -EFAULT },
        { { { RAM - 1, 2, 0, 0 } }, 0, -EFAULT },
        { { { RAM, UINT32_MAX, 0, 0 } }, 0, -EFAULT },
        { { { UINT64_MAX, 2, F_WRITE, 0 } }, 0, -EFAULT },
        { { { UINT64_MAX - 15, 0x80000000, F_WRITE, 0 } }, 0, -EFAULT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup(NULL);
        for (unsigned k = 0; k < 2; k++)
            driver_desc(&driver, k, cases[i].desc[k].addr, cases[i].desc[k].len,
                        cases[i].desc[k].flags, cases[i].desc[k].next);
        pop_fails(cases[i].head, cases[i].rc);
    }
}

static void end_of_ram(void **state)
{
    (void)state;
    driver_desc(&driver, 0, RAM + RAM_SIZE - 1, 1, F_WRITE, 0);
    driver_offer(&driver, 0);
    assert_int_equal(virtq_pop(&queue, &chain), 1);
    assert_true(virtq_chain_write(&chain, 0, "!", 1));
    assert_int_equal(driver.ram[RAM_SIZE - 1], '!');
}

static void total_too_long(void **state)
{
    (void)state;
    /* RAM of 3 GiB, of which nothing is touched: two buffers of 2 GiB each are too much. */
    struct gmem big = { 0 };
    assert_int_equal(gmem_add(&big, RAM, RAM_SIZE, driver.ram), 0);
    assert_int_equal(gmem_add(&big, 0x80000000, 3ull << 30, driver.ram), 0);
    queue.gmem = &big;
    driver_desc(&driver, 0, 0x80000000, 0x80000000, F_NEXT, 1);
    driver_desc(&driver, 1, 0x80000000, 0x7fffffff, F_WRITE, 0);
    driver_offer(&driver, 0);
    assert_int_equal(virtq_pop(&queue, &chain), 1);
    driver_desc(&driver, 1, 0x80000000, 0x80000000, F_WRITE, 0);
    pop_fails(0, -EPROTO);
}

/* ------------------------------------------------------------------ indirect */

#define TABLE (BUFFERS + 0x1000)

static void indirect(void **state)
{
    (void)state;
    driver_desc(&driver, 3, RAM + BUFFERS, 8, F_NEXT, 4);
    driver_desc(&driver, 4, RAM + TABLE, 16 * SIZE, F_INDIRECT | F_WRITE, 0);
    /* As many buffers as the queue has entries, less the direct one. */
    for (unsigned i = 0; i < SIZE - 1; i++)
        driver_desc_at(&driver, TABLE, i, RAM + BUFFERS + 64 * i, 64,
                       i < SIZE - 2 ? F_WRITE | F_NEXT : F_WRITE, (uint16_t)(i + 1));
    driver_offer(&driver, 3);
    assert_int_equal(virtq_pop(&queue, &chain), 1);
    assert_int_equal(chain.readable, 1);
    assert_int_equal(chain.writable, SIZE - 1);
    assert_int_equal(chain.writable_bytes, 64 * (SIZE - 1));
}

static void bad_indirect(void **state)
{
    (void)state;
    static const struct {
        uint64_t addr;
        uint32_t len;
        uint16_t flags;    /* of the descriptor in the ring */
        uint16_t in_flags; /* of the table's first */
        uint16_t in_next;
        int rc;
    } cases[] = {
        { RAM + TABLE, 32, F_INDIRECT | F_NEXT, 0, 0, -EPROTO },
        { RAM + TABLE, 0, F_INDIRECT, 0, 0, -EPROTO },
        { RAM + TABLE, 17, F_INDIRECT, 0, 0, -EPROTO },
        { RAM + RAM_SIZE - 16, 32, F_INDIRECT, 0, 0, -EPROTO },
        { 0, 16, F_INDIRECT, 0, 0, -EPROTO },
        { RAM + TABLE, 32, F_INDIRECT, F_INDIRECT, 0, -EPROTO }, /* in an indirect one */
        { RAM + TABLE, 32, F_INDIRECT, F_NEXT, 2, -EPROTO },     /* next beyond the table */
        { RAM + TABLE, 32, F_INDIRECT, F_NEXT, 0, -ELOOP },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup(NULL);
        driver_desc(&driver, 0, cases[i].addr, cases[i].len, cases[i].flags, 1);
        driver_desc_at(&driver, TABLE, 0, RAM + BUFFERS, 16, cases[i].in_flags, cases[i].in_next);
        pop_fails(0, cases[i].rc);
    }
    setup(NULL);
    queue.indirect = false; /* not negotiated */
    driver_desc(&driver, 0, RAM + TABLE, 16, F_INDIRECT, 0);
    pop_fails(0, -EPROTO);
}

/* ------------------------------------------------------------------ indices */

static void avail_index_jumps(void **state)
{
    (void)state;
    driver_desc(&driver, 0, RAM + BUFFERS, 1, 0, 0);
    driver_set_avail_idx(&driver, SIZE + 1);
    assert_int_equal(virtq_pop(&queue, &chain), -EPROTO);
    driver_set_avail_idx(&driver, 0xffff); /* backwards */
    assert_int_equal(virtq_pop(&queue, &chain), -EPROTO);
    driver_set_avail_idx(&driver, SIZE);
    for (unsigned i = 0; i < SIZE; i++)
        assert_int_equal(virtq_pop(&queue, &chain), 1);
    assert_int_equal(virtq_pop(&queue, &chain), 0);
    /* All are in flight: the driver owns no entry to offer. */
    driver_set_avail_idx(&driver, SIZE + 1);
    assert_int_equal(virtq_pop(&queue, &chain), -EPROTO);
    assert_int_equal(virtq_push(&queue, 0, 0), 0);
    assert_int_equal(virtq_pop(&queue, &chain), 1);
}

static void indices_wrap(void **state)
{
    (void)state;
    driver_desc(&driver, 6, RAM + BUFFERS, 1, F_WRITE, 0);
    for (unsigned i = 0; i < 0x10000 + 3; i++) {
        driver_offer(&driver, 6);
        assert_int_equal(virtq_pop(&queue, &chain), 1);
        assert_int_equal(virtq_push(&queue, chain.head, i), 0);
        assert_int_equal(driver_used_id(&driver, i), 6);
        assert_int_equal(driver_used_len(&driver, i), i);
        assert_int_equal(driver_used_idx(&driver), (uint16_t)(i + 1));
    }
}

static void not_ready(void **state)
{
    (void)state;
    driver_offer(&driver, 0);
    queue.ready = false;
    assert_int_equal(virtq_pop(&queue, &chain), 0);
    assert_int_equal(virtq_rearm(&queue), 0);
    assert_int_equal(virtq_needs_interrupt(&queue), 0);
}

/* ------------------------------------------------------------------ notifications */

static void interrupt_flag(void **state)
{
    (void)state;
    assert_int_equal(virtq_needs_interrupt(&queue), 0);
    assert_int_equal(virtq_push(&queue, 0, 0), 0);
    assert_int_equal(virtq_needs_interrupt(&queue), 1);
    assert_int_equal(virtq_needs_interrupt(&queue), 0);
    driver_set_avail_flags(&driver, 1);
    assert_int_equal(virtq_push(&queue, 0, 0), 0);
    assert_int_equal(virtq_needs_interrupt(&queue), 0);
}

static void event_index(void **state)
{
    (void)state;
    queue.event_idx = true;
    driver_set_avail_flags(&driver, 1); /* means nothing now */

    /* Interrupt after the third. */
    driver_set_used_event(&driver, 2);
    assert_int_equal(virtq_push(&queue, 0, 0), 0);
    assert_int_equal(virtq_needs_interrupt(&queue), 0);
    assert_int_equal(virtq_push(&queue, 0, 0), 0);
    assert_int_equal(virtq_needs_interrupt(&queue), 0);
    assert_int_equal(virtq_push(&queue, 0, 0), 0);
    assert_int_equal(virtq_needs_interrupt(&queue), 1);
    assert_int_equal(virtq_push(&queue, 0, 0), 0);
    assert_int_equal(virtq_needs_interrupt(&queue), 0);
    /* Several at once that pass the event. */
    driver_set_used_event(&driver, 5);
    for (int i = 0; i < 4; i++)
        assert_int_equal(virtq_push(&queue, 0, 0), 0);
    assert_int_equal(virtq_needs_interrupt(&queue), 1);
    /* Around the end of the index. */
    queue.next_used = queue.signalled = 0xfffe;
    driver_set_used_event(&driver, 0);
    assert_int_equal(virtq_push(&queue, 0, 0), 0);
    assert_int_equal(virtq_push(&queue, 0, 0), 0);
    assert_int_equal(virtq_needs_interrupt(&queue), 0);
    assert_int_equal(virtq_push(&queue, 0, 0), 0);
    assert_int_equal(virtq_needs_interrupt(&queue), 1);
}

static void rearm(void **state)
{
    (void)state;
    queue.event_idx = true;
    driver_desc(&driver, 0, RAM + BUFFERS, 1, 0, 0);
    assert_int_equal(virtq_rearm(&queue), 0);
    assert_int_equal(driver_avail_event(&driver), 0);
    driver_offer(&driver, 0);
    assert_int_equal(virtq_rearm(&queue), 1); /* came just before */
    assert_int_equal(virtq_pop(&queue, &chain), 1);
    assert_int_equal(virtq_rearm(&queue), 0);
    assert_int_equal(driver_avail_event(&driver), 1);
}

/* Two chains wait, which is not enough: the event is behind them, not at the first. */
static void rearm_beyond(void **state)
{
    (void)state;
    queue.event_idx = true;
    driver_desc(&driver, 0, RAM + BUFFERS, 1, F_WRITE, 0);
    driver_offer(&driver, 0);
    driver_offer(&driver, 0);
    assert_int_equal(virtq_rearm_beyond(&queue, 2), 0);
    assert_int_equal(driver_avail_event(&driver), 2);
    driver_offer(&driver, 0);
    assert_int_equal(virtq_rearm_beyond(&queue, 2), 1);
}

static void unpop(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        driver_desc(&driver, i, RAM + BUFFERS, i + 1, F_WRITE, 0);
        driver_offer(&driver, (uint16_t)i);
    }
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(virtq_pop(&queue, &chain), 1);
    assert_int_equal(virtq_pop(&queue, &chain), 0);
    virtq_unpop(&queue, 2);
    for (unsigned i = 1; i < 3; i++) {
        assert_int_equal(virtq_pop(&queue, &chain), 1);
        assert_int_equal(chain.head, i);
        assert_int_equal(chain.writable_bytes, i + 1);
    }
    assert_int_equal(virtq_pop(&queue, &chain), 0);
}

/* The index moves once, over the end of the ring too. */
static void push_all(void **state)
{
    (void)state;
    const struct virtq_used used[] = { { 4, 10 }, { 5, 20 }, { 6, 30 } };
    for (unsigned round = 0; round < 4; round++) {
        assert_int_equal(virtq_push_all(&queue, used, 3), 0);
        assert_int_equal(driver_used_idx(&driver), 3 * (round + 1));
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(driver_used_id(&driver, 3 * round + i), used[i].head);
            assert_int_equal(driver_used_len(&driver, 3 * round + i), used[i].written);
        }
    }
    assert_int_equal(virtq_push_all(&queue, used, 0), 0);
    assert_int_equal(driver_used_idx(&driver), 12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(start_checks, setup),
        cmocka_unit_test_setup(chain_of_three, setup),
        cmocka_unit_test_setup(take_last_of_one, setup),
        cmocka_unit_test_setup(longest_chain, setup),
        cmocka_unit_test_setup(bad_chains, setup),
        cmocka_unit_test_setup(end_of_ram, setup),
        cmocka_unit_test_setup(total_too_long, setup),
        cmocka_unit_test_setup(indirect, setup),
        cmocka_unit_test_setup(bad_indirect, setup),
        cmocka_unit_test_setup(avail_index_jumps, setup),
        cmocka_unit_test_setup(indices_wrap, setup),
        cmocka_unit_test_setup(not_ready, setup),
        cmocka_unit_test_setup(interrupt_flag, setup),
        cmocka_unit_test_setup(event_index, setup),
        cmocka_unit_test_setup(rearm, setup),
        cmocka_unit_test_setup(rearm_beyond, setup),
        cmocka_unit_test_setup(unpop, setup),
        cmocka_unit_test_setup(push_all, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
