/* Packed virtqueues, and buffers given back in order in both layouts. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "devices/virtio/queue.h"
#include "tests/unit/virtio_driver.h"

#define SIZE    6 /* no power of two: only a packed ring may have that */
#define F_AVAIL 0x80
#define F_USED  0x8000
#define TABLE   (BUFFERS + 0x1000)

enum { EVENT_ENABLE, EVENT_DISABLE, EVENT_DESC };

static struct driver driver;
static struct virtq queue;
static struct virtq_chain chain;
/* The driver's places in the ring. */
static struct {
    uint16_t avail, used;
    bool avail_wrap, used_wrap;
} at;

static int setup(void **state)
{
    (void)state;
    driver_init(&driver, SIZE);
    queue = (struct virtq){ .gmem = &driver.m,
                            .max_size = VIRTQ_MAX_SIZE,
                            .size = SIZE,
                            .desc = RAM + RING_DESC,
                            .avail = RAM + RING_AVAIL,
                            .used = RAM + RING_USED };
    virtq_negotiate(&queue, VIRTIO_F_RING_PACKED | VIRTIO_F_INDIRECT_DESC);
    at.avail = at.used = 0;
    at.avail_wrap = at.used_wrap = true;
    return virtq_start(&queue);
}

static int teardown(void **state)
{
    (void)state;
    virtq_fini(&queue);
    return 0;
}

static void setup_again(void)
{
    virtq_fini(&queue);
    assert_int_equal(setup(NULL), 0);
}

static void move(uint16_t *index, bool *wrap, unsigned n)
{
    *index = (uint16_t)(*index + n);
    if (*index >= SIZE) {
        *index = (uint16_t)(*index - SIZE);
        *wrap = !*wrap;
    }
}

/* The next descriptor; it is the driver's word as soon as `flags` are there. */
static void put(uint64_t addr, uint32_t len, uint16_t flags, uint16_t id)
{
    flags |= at.avail_wrap ? F_AVAIL : F_USED;
    driver_desc(&driver, at.avail, addr, len, id, flags);
    move(&at.avail, &at.avail_wrap, 1);
}

/* A chain of `n` writable buffers of one byte. */
static void offer(unsigned n, uint16_t id)
{
    for (unsigned i = 0; i < n; i++)
        put(RAM + BUFFERS, 1, i + 1 < n ? F_WRITE | F_NEXT : F_WRITE, id);
}

/* Has the device answered? Then go on behind the `n` descriptors of that chain. */
static bool take(unsigned n, uint16_t *id, uint32_t *written)
{
    const uint8_t *p = driver.ram + RING_DESC + 16 * at.used;
    uint16_t flags = ld_le16(p + 14);
    if (!(flags & F_AVAIL) != !(flags & F_USED) || !(flags & F_USED) == at.used_wrap)
        return false;
    *id = ld_le16(p + 12);
    *written = ld_le32(p + 8);
    assert_int_equal(!(flags & F_WRITE), *written == 0);
    move(&at.used, &at.used_wrap, n);
    return true;
}

static void taken(unsigned n, uint16_t id, uint32_t written)
{
    uint16_t got_id = 0;
    uint32_t got_written = 0;
    assert_true(take(n, &got_id, &got_written));
    assert_int_equal(got_id, id);
    assert_int_equal(got_written, written);
}

static void not_taken(void)
{
    uint16_t id;
    uint32_t written;
    assert_false(take(1, &id, &written));
}

static uint16_t pop(void)
{
    assert_int_equal(virtq_pop(&queue, &chain), 1);
    return chain.head;
}

/* ------------------------------------------------------------------ start */

static void start_checks(void **state)
{
    (void)state;
    static const struct driver_start cases[] = {
        { 1, RAM, RAM + 0x1000, RAM + 0x2000, 0 },
        { 3, RAM, RAM + 0x1000, RAM + 0x2000, 0 },
        { 512, RAM, RAM + 0x2000, RAM + 0x3000, 0 },
        { 0, RAM, RAM + 0x1000, RAM + 0x2000, -EINVAL },
        { 513, RAM, RAM + 0x3000, RAM + 0x4000, -EINVAL },
        { 8, RAM + 8, RAM + 0x1000, RAM + 0x2000, -EINVAL },
        { 8, RAM, RAM + 0x1002, RAM + 0x2000, -EINVAL },
        { 8, RAM, RAM + 0x1000, RAM + 0x2002, -EINVAL },
        { 8, RAM + RAM_SIZE - 112, RAM, RAM + 0x2000, -EINVAL },
        { 8, RAM + RAM_SIZE - 128, RAM + RAM_SIZE - 4, RAM + RAM_SIZE - 4, 0 },
        { 8, RAM, RAM + RAM_SIZE, RAM + 0x2000, -EINVAL },
        { 8, RAM, RAM + 0x1000, RAM + RAM_SIZE, -EINVAL },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        virtq_reset(&queue);
        virtq_negotiate(&queue, VIRTIO_F_RING_PACKED);
        driver_start(&queue, &cases[i]);
    }
}

/* ------------------------------------------------------------------ chains */

/* The id is that of the last descriptor, the answer stands where the chain began. */
static void chain_around_the_end(void **state)
{
    (void)state;
    uint8_t bytes[4];
    assert_int_equal(virtq_pop(&queue, &chain), 0);
    offer(4, 1);
    uint16_t head = pop();
    assert_int_equal(virtq_push(&queue, head, 4), 0);
    taken(4, 1, 4);
    memcpy(driver.ram + BUFFERS + 0x100, "abcd", 4);
    put(RAM + BUFFERS + 0x100, 2, F_NEXT, 99);
    put(RAM + BUFFERS + 0x102, 2, F_NEXT, 98);
    put(RAM + BUFFERS + 0x200, 512, F_WRITE, 0xabcd); /* index 0 of the second round */
    head = pop();
    assert_int_equal(chain.readable, 2);
    assert_int_equal(chain.writable_bytes, 512);
    assert_true(virtq_chain_read(&chain, 0, bytes, 4));
    assert_memory_equal(bytes, "abcd", 4);
    assert_int_equal(virtq_pop(&queue, &chain), 0);
    assert_int_equal(virtq_push(&queue, head, 0), 0);
    taken(3, 0xabcd, 0);
    not_taken();
}

static void bad_chains(void **state)
{
    (void)state;
    static const struct {
        uint64_t addr;
        uint32_t len;
        uint16_t flags[2];
        int rc;
    } cases[] = {
        { RAM, 1, { F_NEXT | F_WRITE, 0 }, -EPROTO }, /* order */
        { RAM + RAM_SIZE - 1, 2, { 0 }, -EFAULT },
        { UINT64_MAX, 2, { F_WRITE }, -EFAULT },
        { RAM + TABLE, 32, { F_INDIRECT | F_NEXT }, -EPROTO },
        { RAM + TABLE, 0, { F_INDIRECT }, -EPROTO },
        { RAM + TABLE, 17, { F_INDIRECT }, -EPROTO },
        { RAM + RAM_SIZE - 16, 32, { F_INDIRECT }, -EPROTO },
        { RAM + TABLE, 16 * (SIZE + 1), { F_INDIRECT }, -ELOOP },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setup_again();
        put(cases[i].addr, cases[i].len, cases[i].flags[0], 0);
        put(RAM, 1, cases[i].flags[1], 0);
        assert_int_equal(virtq_pop(&queue, &chain), cases[i].rc);
        assert_int_equal(virtq_pop(&queue, &chain), cases[i].rc);
    }
    /* A chain without an end, and one with more descriptors than the driver owns. */
    setup_again();
    for (unsigned i = 0; i < SIZE; i++)
        put(RAM, 1, F_NEXT, 0);
    assert_int_equal(virtq_pop(&queue, &chain), -EPROTO);
    setup_again();
    offer(4, 0);
    pop();
    offer(3, 1);
    assert_int_equal(virtq_pop(&queue, &chain), -EPROTO);
}

static void indirect(void **state)
{
    (void)state;
    /* NEXT means nothing in the table, nor do the ids. */
    for (unsigned i = 0; i < SIZE; i++)
        driver_desc_at(&driver, TABLE, i, RAM + BUFFERS + i, 1, 77, i > 2 ? F_WRITE : F_NEXT);
    put(RAM + TABLE, 16 * SIZE, F_INDIRECT, 5);
    uint16_t head = pop();
    assert_int_equal(chain.readable, 3);
    assert_int_equal(chain.writable, 3);
    assert_int_equal(virtq_push(&queue, head, 3), 0);
    taken(1, 5, 3);
    driver_desc_at(&driver, TABLE, 1, RAM + TABLE, 16, 0, F_INDIRECT);
    put(RAM + TABLE, 16 * SIZE, F_INDIRECT, 6);
    assert_int_equal(virtq_pop(&queue, &chain), -EPROTO);
    setup_again();
    virtq_negotiate(&queue, VIRTIO_F_RING_PACKED);
    put(RAM + TABLE, 16, F_INDIRECT, 0);
    assert_int_equal(virtq_pop(&queue, &chain), -EPROTO);
}

static void full_ring(void **state)
{
    (void)state;
    uint16_t head[SIZE];
    for (uint16_t i = 0; i < SIZE; i++)
        offer(1, i);
    for (unsigned i = 0; i < SIZE; i++)
        head[i] = pop();
    assert_int_equal(virtq_pop(&queue, &chain), 0);
    put(RAM, 1, 0, 9); /* over one that is in flight */
    assert_int_equal(virtq_pop(&queue, &chain), -EPROTO);
    for (unsigned i = 0; i < SIZE; i++)
        assert_int_equal(virtq_push(&queue, head[SIZE - 1 - i], i), 0);
    for (unsigned i = 0; i < SIZE; i++)
        taken(1, (uint16_t)(SIZE - 1 - i), i);
}

static void unpop(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        offer(1, 10);
        offer(3, 11);
        offer(2, 12);
        uint16_t head[3] = { pop(), pop(), pop() };
        virtq_unpop(&queue, 2);
        head[1] = pop();
        assert_int_equal(chain.writable_bytes, 3);
        head[2] = pop();
        assert_int_equal(virtq_pop(&queue, &chain), 0);
        const struct virtq_used used[] = { { head[2], 1 }, { head[0], 2 }, { head[1], 3 } };
        assert_int_equal(virtq_push_all(&queue, used, 3), 0);
        taken(2, 12, 1);
        taken(1, 10, 2);
        taken(3, 11, 3);
    }
}

/* ------------------------------------------------------------------ notifications */

static void set_event(uint16_t flags, unsigned index, bool wrap)
{
    st_le16(driver.ram + RING_AVAIL, (uint16_t)(index | (wrap ? 0x8000u : 0)));
    st_le16(driver.ram + RING_AVAIL + 2, flags);
}

static void use(unsigned n)
{
    offer(n, 0);
    assert_int_equal(virtq_push(&queue, pop(), n), 0);
    taken(n, 0, n);
}

static void interrupts(void **state)
{
    (void)state;
    assert_int_equal(virtq_needs_interrupt(&queue), 0);
    use(1);
    assert_int_equal(virtq_needs_interrupt(&queue), 1);
    assert_int_equal(virtq_needs_interrupt(&queue), 0);
    set_event(EVENT_DISABLE, 0, false);
    use(1);
    assert_int_equal(virtq_needs_interrupt(&queue), 0);
    set_event(EVENT_DESC, 5, false); /* not negotiated: nothing to go by */
    use(1);
    assert_int_equal(virtq_needs_interrupt(&queue), 1);

    virtq_negotiate(&queue, VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX);
    set_event(EVENT_DESC, 4, true); /* we are at 3 of the first round */
    use(1);
    assert_int_equal(virtq_needs_interrupt(&queue), 0);
    use(1);
    assert_int_equal(virtq_needs_interrupt(&queue), 1);
    set_event(EVENT_DESC, 1, false); /* 5; then 0 and 1 of the second */
    use(1);
    use(1);
    assert_int_equal(virtq_needs_interrupt(&queue), 0);
    use(2); /* over it */
    assert_int_equal(virtq_needs_interrupt(&queue), 1);
    set_event(EVENT_DESC, 1, true); /* of the third round; we are at 3 */
    use(3);
    use(1);
    assert_int_equal(virtq_needs_interrupt(&queue), 0);
    use(1);
    assert_int_equal(virtq_needs_interrupt(&queue), 1);
    set_event(EVENT_DESC, 0x7fff, true); /* nowhere */
    use(1);
    assert_in_range(virtq_needs_interrupt(&queue), 0, 1);
}

static uint16_t device_event(void)
{
    assert_int_equal(ld_le16(driver.ram + RING_USED + 2), EVENT_DESC);
    return ld_le16(driver.ram + RING_USED);
}

static void rearm(void **state)
{
    (void)state;
    assert_int_equal(virtq_rearm(&queue), 0);
    assert_int_equal(ld_le16(driver.ram + RING_USED + 2), EVENT_ENABLE);
    virtq_negotiate(&queue, VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX);
    assert_int_equal(virtq_rearm(&queue), 0);
    assert_int_equal(device_event(), 0x8000);
    offer(2, 1);
    assert_int_equal(virtq_rearm(&queue), 1);
    pop();
    assert_int_equal(virtq_rearm(&queue), 0);
    assert_int_equal(device_event(), 0x8002);
    /* Two chains of three wait, which is not enough: the event is behind them. */
    offer(1, 2);
    offer(2, 3);
    assert_int_equal(virtq_rearm_beyond(&queue, 2), 0);
    assert_int_equal(device_event(), 0x8005);
    offer(1, 4);
    assert_int_equal(virtq_rearm_beyond(&queue, 2), 1);
    assert_int_equal(virtq_rearm_beyond(&queue, 3), 0);
    assert_int_equal(device_event(), 0);
    /* Every descriptor says NEXT: the search ends. */
    for (unsigned i = 0; i < SIZE; i++)
        driver_desc(&driver, i, RAM, 1, 0, F_NEXT);
    assert_in_range(virtq_rearm_beyond(&queue, 100), 0, 1);
}

/* ------------------------------------------------------------------ in order */

static void in_order_packed(void **state)
{
    (void)state;
    virtq_negotiate(&queue, VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER);
    for (unsigned round = 0; round < 7; round++) {
        uint16_t head[3];
        for (uint16_t i = 0; i < 3; i++)
            offer(1, i);
        for (unsigned i = 0; i < 3; i++)
            head[i] = pop();
        assert_int_equal(virtq_push(&queue, head[2], 7), 0);
        assert_int_equal(virtq_push(&queue, head[1], 6), 0);
        assert_int_equal(virtq_needs_interrupt(&queue), 0);
        not_taken();
        assert_int_equal(virtq_push(&queue, head[0], 5), 0); /* all three at once */
        assert_int_equal(virtq_needs_interrupt(&queue), 1);
        for (uint16_t i = 0; i < 3; i++)
            taken(1, i, 5u + i);
    }
}

static void in_order_split(void **state)
{
    (void)state;
    queue.size = driver.size = 8;
    virtq_negotiate(&queue, VIRTIO_F_IN_ORDER);
    assert_int_equal(virtq_start(&queue), 0);
    for (unsigned i = 0; i < 8; i++)
        driver_desc(&driver, i, RAM + BUFFERS, 1, F_WRITE, 0);
    for (unsigned round = 0; round < 5; round++) {
        uint16_t head[8];
        for (uint16_t i = 0; i < 8; i++)
            driver_offer(&driver, 7 - i);
        for (unsigned i = 0; i < 8; i++)
            head[i] = pop();
        assert_int_equal(virtq_pop(&queue, &chain), 0);
        virtq_unpop(&queue, 1);
        head[7] = pop();
        for (unsigned i = 7; i > 0; i--) {
            assert_int_equal(virtq_push(&queue, head[i], i), 0);
            assert_int_equal(driver_used_idx(&driver), 8 * round);
        }
        assert_int_equal(virtq_push(&queue, head[0], 0), 0);
        assert_int_equal(driver_used_idx(&driver), 8 * round + 8);
        for (unsigned i = 0; i < 8; i++) {
            assert_int_equal(driver_used_id(&driver, i), 7 - i);
            assert_int_equal(driver_used_len(&driver, i), i);
        }
    }
}

/* Chains of any length, answered in any order: each comes back once, whole, and the ring never
 * loses its way. */
static void any_order(void **state)
{
    (void)state;
    struct {
        uint16_t head, length;
    } flying[SIZE];
    unsigned lengths[SIZE], offered, ids = 0;
    for (unsigned in_order = 0; in_order < 2; in_order++) {
        setup_again();
        virtq_negotiate(&queue, VIRTIO_F_RING_PACKED | (in_order ? VIRTIO_F_IN_ORDER : 0));
        srand(1);
        for (unsigned round = 0; round < 10000; round++) {
            unsigned left = SIZE;
            for (offered = 0; left > 0 && offered < SIZE; offered++) {
                lengths[offered] = 1 + (unsigned)rand() % left;
                left -= lengths[offered];
                offer(lengths[offered], (uint16_t)(ids + offered));
            }
            for (unsigned i = 0; i < offered; i++) {
                flying[i].head = pop();
                flying[i].length = (uint16_t)lengths[i];
                assert_int_equal(chain.writable_bytes, lengths[i]);
            }
            uint16_t id;
            uint32_t written;
            for (unsigned n = offered; n > 0; n--) {
                unsigned i = (unsigned)rand() % n;
                assert_int_equal(virtq_push(&queue, flying[i].head, flying[i].length), 0);
                flying[i] = flying[n - 1];
            }
            unsigned seen = 0;
            for (unsigned n = 0; n < offered; n++) {
                const uint8_t *p = driver.ram + RING_DESC + 16 * at.used;
                unsigned k = (uint16_t)(ld_le16(p + 12) - ids);
                assert_in_range(k, 0, offered - 1);
                assert_true(take(lengths[k], &id, &written));
                assert_int_equal(written, lengths[k]);
                assert_true(!in_order || k == n);
                seen |= 1u << k;
            }
            assert_int_equal(seen, (1u << offered) - 1);
            ids = (uint16_t)(ids + offered);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(start_checks, setup, teardown),
        cmocka_unit_test_setup_teardown(chain_around_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_chains, setup, teardown),
        cmocka_unit_test_setup_teardown(indirect, setup, teardown),
        cmocka_unit_test_setup_teardown(full_ring, setup, teardown),
        cmocka_unit_test_setup_teardown(unpop, setup, teardown),
        cmocka_unit_test_setup_teardown(interrupts, setup, teardown),
        cmocka_unit_test_setup_teardown(rearm, setup, teardown),
        cmocka_unit_test_setup_teardown(in_order_packed, setup, teardown),
        cmocka_unit_test_setup_teardown(in_order_split, setup, teardown),
        cmocka_unit_test_setup_teardown(any_order, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
