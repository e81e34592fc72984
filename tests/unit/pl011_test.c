/* Each register of the PL011, its FIFOs, its interrupts, and input that must not get lost. */
#include "devices/pl011.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/compiler.h"
#include "tests/unit/test_device.h"

#define DR    0x000
#define RSR   0x004
#define FR    0x018
#define ILPR  0x020
#define IBRD  0x024
#define FBRD  0x028
#define LCR_H 0x02c
#define CR    0x030
#define IFLS  0x034
#define IMSC  0x038
#define RIS   0x03c
#define MIS   0x040
#define ICR   0x044
#define DMACR 0x048

#define FEN   0x70 /* 8 bits, FIFOs on */
#define RX_ON 0x301

#define INT_RX 0x010
#define INT_TX 0x020
#define INT_RT 0x040
#define INT_BE 0x200
#define INT_OE 0x400

#define FR_MODEM 0x007
#define FR_RXFE  0x010
#define FR_RXFF  0x040
#define FR_TXFE  0x080

struct bench {
    struct test_bench host;
    uint8_t sent[64];
    size_t sent_count;
    unsigned rooms;
};

static void bench_send(void *ctx, const uint8_t *bytes, size_t n)
{
    struct bench *b = ctx;
    for (size_t i = 0; i < n && b->sent_count < sizeof b->sent; i++)
        b->sent[b->sent_count++] = bytes[i];
}

static void bench_room(void *ctx)
{
    ((struct bench *)ctx)->rooms++;
}

static struct device *bench_create(struct bench *b)
{
    *b = (struct bench){ .host = { .monotonic = 1000000, .deadline = ALARM_OFF } };
    struct pl011_config c = {
        .irq = test_wire(&b->host),
        .clock = test_clock(&b->host),
        .alarm = test_alarm(&b->host),
        .send = bench_send,
        .room = bench_room,
        .ctx = b,
    };
    struct device *d;
    assert_int_equal(pl011_create(&c, &d), 0);
    return d;
}

/* As a driver leaves it: FIFOs on, receiver on, 115200 baud, and it looked for input once. */
static struct device *bench_open(struct bench *b)
{
    struct device *d = bench_create(b);
    rd(d, DR);
    wr(d, IBRD, 13);
    wr(d, FBRD, 1);
    wr(d, LCR_H, FEN);
    wr(d, CR, RX_ON);
    return d;
}

static size_t receive(struct device *d, const char *text)
{
    return pl011_receive(d, (const uint8_t *)text, strlen(text));
}

static void test_registers(void **state)
{
    (void)state;
    static const struct {
        uint16_t offset;
        uint16_t reset, ones; /* read after all ones were written */
    } regs[] = {
        { RSR, 0, 0 },         { FR, FR_TXFE | FR_RXFE | FR_MODEM, FR_TXFE | FR_RXFE | FR_MODEM },
        { ILPR, 0, 0xff },     { IBRD, 0, 0xffff },
        { FBRD, 0, 0x3f },     { LCR_H, 0, 0xff },
        { CR, 0x300, 0xff87 }, { IFLS, 0x12, 0x3f },
        { IMSC, 0, 0x7ff },    { RIS, 0, 0 },
        { MIS, 0, 0 },         { ICR, 0, 0 },
        { DMACR, 0, 7 },       { 0x008, 0, 0 },
        { 0x01c, 0, 0 },       { 0x04c, 0, 0 },
        { 0x080, 0, 0 },       { 0xfdc, 0, 0 },
        { 0xfe0, 0x11, 0x11 }, { 0xfe4, 0x10, 0x10 },
        { 0xfe8, 0x34, 0x34 }, { 0xfec, 0, 0 },
        { 0xff0, 0x0d, 0x0d }, { 0xff4, 0xf0, 0xf0 },
        { 0xff8, 0x05, 0x05 }, { 0xffc, 0xb1, 0xb1 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(regs); i++) {
        struct bench b;
        struct device *d = bench_create(&b);
        assert_int_equal(rd(d, regs[i].offset), regs[i].reset);
        wr(d, regs[i].offset, 0xffffffff);
        assert_int_equal(rd(d, regs[i].offset), regs[i].ones);
        test_reset_device(d);
        assert_int_equal(rd(d, regs[i].offset), regs[i].reset);
        d->ops->destroy(d);
    }
}

static void test_widths(void **state)
{
    (void)state;
    struct bench b;
    struct device *d = bench_create(&b);
    test_write(d, IBRD, 2, 0x1234);
    assert_int_equal(test_read(d, IBRD, 1), 0x34);
    assert_int_equal(test_read(d, IBRD, 2), 0x1234);
    assert_int_equal(test_read(d, IBRD + 1, 1), 0);
    test_write(d, IBRD + 1, 1, 0xff);
    assert_int_equal(rd(d, IBRD), 0x1234);
    test_write(d, DR, 1, 'x');
    assert_int_equal(b.sent_count, 1);
    d->ops->destroy(d);
}

static void test_sends(void **state)
{
    (void)state;
    struct bench b;
    struct device *d = bench_create(&b);
    wr(d, DR, 'h'); /* not enabled yet: earlycon */
    wr(d, CR, RX_ON);
    wr(d, DR, 0x100 | 'i');
    assert_memory_equal(b.sent, "hi", 2);
    assert_int_equal(rd(d, FR) & (FR_TXFE | 0x28), FR_TXFE);
    assert_int_equal(rd(d, RIS), INT_TX);
    assert_false(b.host.level);
    wr(d, IMSC, INT_TX);
    assert_true(b.host.level);
    wr(d, ICR, INT_TX);
    assert_false(b.host.level);
    wr(d, DR, '!');
    assert_int_equal(rd(d, MIS), INT_TX);
    assert_true(b.host.level);
    d->ops->destroy(d);
}

/* UARTIFLS: how many bytes make the receive interrupt. */
static void test_receive_levels(void **state)
{
    (void)state;
    static const uint8_t levels[] = { 4, 8, 16, 24, 28, 28 };
    for (unsigned i = 0; i < ARRAY_LEN(levels); i++) {
        struct bench b;
        struct device *d = bench_open(&b);
        wr(d, IFLS, i << 3);
        wr(d, IMSC, INT_RX);
        for (unsigned n = 1; n <= 32; n++) {
            assert_int_equal(receive(d, "x"), 1);
            assert_int_equal(b.host.level, n >= levels[i]);
        }
        assert_int_equal(rd(d, FR), FR_TXFE | FR_RXFF | FR_MODEM);
        for (unsigned n = 32; n > 0; n--) {
            assert_int_equal(b.host.level, n >= levels[i]);
            assert_int_equal(rd(d, DR), 'x');
        }
        assert_int_equal(rd(d, FR), FR_TXFE | FR_RXFE | FR_MODEM);
        assert_int_equal(rd(d, DR), 0);
        d->ops->destroy(d);
    }
}

static void test_timeout(void **state)
{
    (void)state;
    struct bench b;
    struct device *d = bench_open(&b);
    wr(d, IMSC, INT_RT);
    receive(d, "ab");
    /* 32 bits of 16 * (13 + 1/64) / 24 MHz */
    assert_in_range(b.host.deadline - 1000000, 277600, 277700);
    assert_false(b.host.level);
    pl011_alarm(d);
    assert_true(b.host.level);
    assert_int_equal(rd(d, RIS), INT_RT);
    assert_int_equal(rd(d, DR), 'a');
    assert_true(b.host.level); /* until the FIFO is empty */
    assert_int_equal(rd(d, DR), 'b');
    assert_false(b.host.level);
    receive(d, "c");
    wr(d, ICR, INT_RT);
    pl011_alarm(d);
    wr(d, ICR, INT_RT);
    assert_false(b.host.level); /* or cleared */
    receive(d, "d");
    rd(d, DR);
    rd(d, DR);
    assert_int_equal(b.host.deadline, ALARM_OFF);
    pl011_alarm(d); /* came late: nothing to report */
    assert_false(b.host.level);
    d->ops->destroy(d);
}

static void test_without_alarm(void **state)
{
    (void)state;
    struct test_bench b = { 0 };
    struct pl011_config c = { .irq = test_wire(&b) };
    struct device *d;
    assert_int_equal(pl011_create(&c, &d), 0);
    wr(d, LCR_H, FEN);
    wr(d, CR, RX_ON);
    wr(d, IMSC, INT_RT);
    assert_int_equal(receive(d, "x"), 1);
    assert_true(b.level);
    wr(d, DR, 'y'); /* nobody listens */
    d->ops->destroy(d);
}

static void test_character_mode(void **state)
{
    (void)state;
    struct bench b;
    struct device *d = bench_open(&b);
    wr(d, LCR_H, 0x60);
    wr(d, IMSC, INT_RX | INT_RT);
    assert_int_equal(receive(d, "ab"), 1);
    assert_true(b.host.level);
    assert_int_equal(rd(d, FR) & (FR_RXFF | FR_RXFE), FR_RXFF);
    assert_int_equal(b.rooms, 0);
    assert_int_equal(rd(d, DR), 'a');
    assert_int_equal(b.rooms, 1);
    assert_false(b.host.level);
    assert_int_equal(receive(d, "b"), 1);
    assert_int_equal(rd(d, RIS), INT_RX);
    d->ops->destroy(d);
}

/* A paste of 1000 bytes, handed over whenever there is room. */
static void test_paste(void **state)
{
    (void)state;
    struct bench b;
    struct device *d = bench_open(&b);
    uint8_t paste[1000];
    for (size_t i = 0; i < sizeof paste; i++)
        paste[i] = (uint8_t)(i * 7);
    size_t given = pl011_receive(d, paste, sizeof paste);
    assert_int_equal(given, 32);
    for (size_t i = 0; i < sizeof paste; i++) {
        assert_int_equal(rd(d, DR), paste[i]);
        if (b.rooms > 0) {
            b.rooms = 0;
            given += pl011_receive(d, paste + given, sizeof paste - given);
        }
    }
    assert_int_equal(given, sizeof paste);
    assert_int_equal(rd(d, RIS) & INT_OE, 0);
    d->ops->destroy(d);
}

/* Room is announced in time for every level, and not for each byte. */
static void test_room_in_time(void **state)
{
    (void)state;
    static const struct {
        uint8_t ifls, reads; /* until room is announced */
    } cases[] = { { 0, 16 }, { 2, 16 }, { 3, 9 }, { 4, 5 } };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        struct device *d = bench_open(&b);
        wr(d, IFLS, (uint32_t)cases[i].ifls << 3);
        assert_int_equal(receive(d, "0123456789012345678901234567890123456789"), 32);
        for (unsigned n = 1; n <= 32; n++) {
            rd(d, DR);
            assert_int_equal(b.rooms, n >= cases[i].reads);
        }
        d->ops->destroy(d);
    }
}

static void test_input_waits_for_the_receiver(void **state)
{
    (void)state;
    struct bench b;
    struct device *d = bench_create(&b);
    rd(d, DR);
    assert_int_equal(receive(d, "early"), 0);
    wr(d, LCR_H, FEN);
    assert_int_equal(b.rooms, 0);
    wr(d, CR, 0x201); /* enabled */
    assert_int_equal(b.rooms, 1);
    assert_int_equal(receive(d, "early"), 5);
    wr(d, CR, 0x101); /* receiver off */
    assert_int_equal(receive(d, "late"), 0);
    assert_int_equal(rd(d, DR), 'e'); /* what came before can be read */
    assert_int_equal(b.rooms, 1);
    d->ops->destroy(d);
}

/* What is piped in at boot is not lost in a FIFO that the guest's driver empties when it starts. */
static void test_input_waits_for_a_listener(void **state)
{
    (void)state;
    enum { INTERRUPT, READ, POLL, WAYS };
    for (int way = 0; way < WAYS; way++) {
        struct bench b;
        struct device *d = bench_create(&b);
        wr(d, LCR_H, FEN);
        wr(d, CR, RX_ON);
        assert_int_equal(receive(d, "early"), 0);
        for (int i = 0; i < 1000; i++) { /* a console that only prints */
            rd(d, FR);
            wr(d, DR, 'x');
        }
        wr(d, IMSC, INT_TX);
        assert_int_equal(b.rooms, 0);
        if (way == INTERRUPT)
            wr(d, IMSC, INT_RT);
        else if (way == READ)
            rd(d, DR);
        else
            for (int i = 0; i < 100; i++)
                rd(d, FR);
        assert_int_equal(b.rooms, 1);
        assert_int_equal(receive(d, "early"), 5);
        d->ops->reset(d);
        wr(d, CR, RX_ON);
        assert_int_equal(receive(d, "after reset"), 0);
        d->ops->destroy(d);
    }
}

/* Linux enables the receive interrupts, disables them, switches the UART on, drains the FIFO, and
 * enables them again: what comes meanwhile waits. */
static void test_input_waits_for_linux(void **state)
{
    (void)state;
    struct bench b;
    struct device *d = bench_create(&b);
    wr(d, LCR_H, FEN);
    wr(d, IMSC, INT_RX | INT_RT);
    assert_int_equal(receive(d, "early"), 0); /* the UART is off */
    wr(d, IMSC, 0);
    wr(d, CR, RX_ON);
    assert_int_equal(b.rooms, 0);
    assert_int_equal(receive(d, "early"), 0);
    wr(d, ICR, INT_RX | INT_RT);
    for (int i = 0; i < 2 * 32 && !(rd(d, FR) & FR_RXFE); i++)
        rd(d, DR);
    wr(d, IMSC, INT_RX | INT_RT);
    assert_int_equal(b.rooms, 1);
    assert_int_equal(receive(d, "early"), 5);
    d->ops->destroy(d);
}

static void test_switching_fifos_empties_them(void **state)
{
    (void)state;
    struct bench b;
    struct device *d = bench_open(&b);
    receive(d, "0123456789012345678901234567890123456789");
    assert_int_equal(rd(d, RIS), INT_RX);
    wr(d, LCR_H, 0x60);
    assert_int_equal(rd(d, FR) & FR_RXFE, FR_RXFE);
    assert_int_equal(rd(d, RIS), 0);
    assert_int_equal(b.host.deadline, ALARM_OFF);
    assert_int_equal(b.rooms, 1);
    d->ops->destroy(d);
}

static void test_loopback(void **state)
{
    (void)state;
    struct bench b;
    struct device *d = bench_open(&b);
    wr(d, CR, RX_ON | 0x80);
    wr(d, DR, 'l');
    assert_int_equal(b.sent_count, 0);
    assert_int_equal(rd(d, DR), 'l');
    assert_int_equal(receive(d, "x"), 0); /* the line is not connected */
    wr(d, LCR_H, 0x10);                   /* 5 bits */
    wr(d, DR, 0xff);
    assert_int_equal(rd(d, DR), 0x1f);
    wr(d, CR, 0x81); /* neither transmitter nor receiver */
    wr(d, DR, 'n');
    assert_int_equal(rd(d, FR) & FR_RXFE, FR_RXFE);
    d->ops->destroy(d);
}

static void test_overrun(void **state)
{
    (void)state;
    struct bench b;
    struct device *d = bench_open(&b);
    wr(d, CR, RX_ON | 0x80);
    wr(d, IMSC, INT_OE);
    for (unsigned i = 0; i < 32; i++)
        wr(d, DR, i);
    assert_false(b.host.level);
    assert_int_equal(rd(d, RSR), 0);
    wr(d, DR, 32); /* lost */
    assert_true(b.host.level);
    assert_int_equal(rd(d, RSR), 8);
    assert_int_equal(rd(d, DR), 0);
    wr(d, DR, 33); /* the first after the gap says so */
    for (unsigned i = 1; i < 32; i++)
        assert_int_equal(rd(d, DR), i);
    assert_int_equal(rd(d, RSR), 0);
    assert_int_equal(rd(d, DR), 0x800 | 33);
    assert_int_equal(rd(d, RSR), 8);
    wr(d, RSR, 0);
    assert_int_equal(rd(d, RSR), 0);
    wr(d, ICR, INT_OE);
    assert_false(b.host.level);
    d->ops->destroy(d);
}

static void test_break(void **state)
{
    (void)state;
    struct bench b;
    struct device *d = bench_open(&b);
    wr(d, LCR_H, FEN | 1); /* goes out to nobody */
    assert_int_equal(rd(d, FR) & FR_RXFE, FR_RXFE);
    wr(d, LCR_H, FEN);
    wr(d, CR, RX_ON | 0x80);
    wr(d, ICR, 0x7ff);
    wr(d, LCR_H, FEN | 1);
    wr(d, LCR_H, FEN | 1); /* still the same break */
    assert_int_equal(rd(d, RIS), INT_BE);
    assert_int_equal(rd(d, DR), 0x400);
    assert_int_equal(rd(d, RSR), 4);
    assert_int_equal(rd(d, FR) & FR_RXFE, FR_RXFE);
    d->ops->destroy(d);
}

static void test_modem_lines(void **state)
{
    (void)state;
    static const struct {
        uint32_t cr, fr, ris;
    } lines[] = {
        { 0x0400, 0x002, 0x008 }, /* DTR, DSR */
        { 0x0800, 0x001, 0x002 }, /* RTS, CTS */
        { 0x1000, 0x004, 0x004 }, /* Out1, DCD */
        { 0x2000, 0x100, 0x001 }, /* Out2, RI */
    };
    struct bench b;
    struct device *d = bench_open(&b);
    wr(d, CR, RX_ON | 0x80);
    assert_int_equal(rd(d, RIS), 0x00e); /* CTS, DSR and DCD went away */
    for (unsigned i = 0; i < ARRAY_LEN(lines); i++) {
        wr(d, ICR, 0x7ff);
        wr(d, CR, RX_ON | 0x80 | lines[i].cr);
        assert_int_equal(rd(d, FR) & 0x107, lines[i].fr);
        assert_int_equal(rd(d, RIS), lines[i].ris);
        wr(d, CR, RX_ON | 0x80);
    }
    d->ops->destroy(d);
}

static void test_reset(void **state)
{
    (void)state;
    struct bench b;
    struct device *d = bench_open(&b);
    wr(d, IMSC, 0x7ff);
    receive(d, "0123456789012345678901234567890123456789");
    assert_true(b.host.level);
    test_reset_device(d);
    assert_false(b.host.level);
    assert_int_equal(b.host.deadline, ALARM_OFF);
    assert_int_equal(rd(d, FR) & FR_RXFE, FR_RXFE);
    wr(d, LCR_H, FEN);
    wr(d, CR, RX_ON); /* the host still holds bytes back */
    assert_int_equal(b.rooms, 0);
    rd(d, DR);
    assert_int_equal(b.rooms, 1);
    d->ops->destroy(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers),
        cmocka_unit_test(test_widths),
        cmocka_unit_test(test_sends),
        cmocka_unit_test(test_receive_levels),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_without_alarm),
        cmocka_unit_test(test_character_mode),
        cmocka_unit_test(test_paste),
        cmocka_unit_test(test_room_in_time),
        cmocka_unit_test(test_input_waits_for_the_receiver),
        cmocka_unit_test(test_input_waits_for_a_listener),
        cmocka_unit_test(test_input_waits_for_linux),
        cmocka_unit_test(test_switching_fifos_empties_them),
        cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_overrun),
        cmocka_unit_test(test_break),
        cmocka_unit_test(test_modem_lines),
        cmocka_unit_test(test_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
