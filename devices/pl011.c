/*
 * PL011 UART (Arm DDI 0183G, revision r1p5: FIFOs of 32).
 *
 * Transmission takes no time: a byte written leaves at once, so the transmit FIFO is always empty,
 * FR.BUSY never set, and each write makes the transmit interrupt pending, as the FIFO passing
 * through its level would. It leaves even while the UART is disabled: earlycon counts on firmware
 * that enabled it, and there is none.
 *
 * Reception waits instead of losing: while the FIFO is full, the receiver disabled, or nobody
 * listens, the host keeps its bytes (pl011_receive() takes fewer) and config.room says when to try
 * again. So an overrun happens in loopback only. Somebody listens while a receive interrupt is
 * enabled, or, until UARTIMSC is written again, once UARTDR is read or registers are read over and
 * over with nothing sent. Without this rule, what a script pipes in at boot would fill the FIFO,
 * and Linux's driver, which enables, disables, drains and enables again, would throw it away.
 *
 * The receive interrupt follows the FIFO level; the timeout interrupt comes 32 bit periods after
 * the last byte, through an alarm. Our side of the cable holds CTS, DSR and DCD asserted.
 */
#include "devices/pl011.h"

#include <errno.h>
#include <libfdt.h>
#include <stdlib.h>

#include "base/bits.h"
#include "devices/primecell.h"

#define UARTDR    0x000
#define UARTRSR   0x004 /* write: UARTECR */
#define UARTFR    0x018
#define UARTILPR  0x020
#define UARTIBRD  0x024
#define UARTFBRD  0x028
#define UARTLCR_H 0x02c
#define UARTCR    0x030
#define UARTIFLS  0x034
#define UARTIMSC  0x038
#define UARTRIS   0x03c
#define UARTMIS   0x040
#define UARTICR   0x044
#define UARTDMACR 0x048

/* Error flags as in UARTDR<11:8>; UARTRSR has them in <3:0>. */
#define DR_BE 0x400u
#define DR_OE 0x800u

#define FR_CTS  0x001u
#define FR_DSR  0x002u
#define FR_DCD  0x004u
#define FR_RXFE 0x010u
#define FR_RXFF 0x040u
#define FR_TXFE 0x080u
#define FR_RI   0x100u

#define LCR_H_BRK 0x01u
#define LCR_H_FEN 0x10u

#define CR_UARTEN 0x0001u
#define CR_LBE    0x0080u
#define CR_TXE    0x0100u
#define CR_RXE    0x0200u
#define CR_DTR    0x0400u
#define CR_RTS    0x0800u
#define CR_OUT1   0x1000u
#define CR_OUT2   0x2000u
#define CR_MASK   0xff87u

#define INT_RI   0x001u
#define INT_CTS  0x002u
#define INT_DCD  0x004u
#define INT_DSR  0x008u
#define INT_RX   0x010u
#define INT_TX   0x020u
#define INT_RT   0x040u
#define INT_BE   0x200u
#define INT_OE   0x400u
#define INT_MASK 0x7ffu

#define PL011_PERIPH_ID 0x00341011
#define PL011_FIFO      32
#define PL011_POLLS     64 /* reads in a row that make a guest a listening one */
#define PL011_CLOCK_HZ  24000000

struct pl011 {
    struct device device;
    struct pl011_config config;
    uint16_t fifo[PL011_FIFO]; /* as UARTDR shows them */
    unsigned head, count;
    bool overrun;    /* the next character carries DR_OE */
    bool wants_room; /* the host holds bytes back */
    bool listening;  /* the guest has shown that it wants input */
    unsigned polls;  /* register reads since the last byte sent, or UARTIMSC written */
    bool timing;     /* the receive timeout is running */
    uint32_t rsr, ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc, ris, dmacr;
};

static struct pl011 *pl011_of(struct device *d)
{
    return CONTAINER_OF(d, struct pl011, device);
}

static void pl011_update_irq(struct pl011 *p)
{
    irq_line_set(&p->config.irq, p->ris & p->imsc);
}

static unsigned pl011_depth(const struct pl011 *p)
{
    return p->lcr_h & LCR_H_FEN ? PL011_FIFO : 1;
}

/* How many characters make the receive interrupt pending (UARTIFLS<5:3>). */
static unsigned pl011_receive_level(const struct pl011 *p)
{
    static const uint8_t eighths[8] = { 1, 2, 4, 6, 7, 7, 7, 7 };
    return p->lcr_h & LCR_H_FEN ? PL011_FIFO / 8 * eighths[bits(p->ifls, 5, 3)] : 1;
}

/* The modem inputs, as FR shows them. */
static uint32_t pl011_modem(const struct pl011 *p)
{
    if (!(p->cr & CR_LBE))
        return FR_CTS | FR_DSR | FR_DCD;
    return (p->cr & CR_RTS ? FR_CTS : 0) | (p->cr & CR_DTR ? FR_DSR : 0) |
           (p->cr & CR_OUT1 ? FR_DCD : 0) | (p->cr & CR_OUT2 ? FR_RI : 0);
}

static uint32_t pl011_flags(const struct pl011 *p)
{
    return pl011_modem(p) | FR_TXFE | (p->count == 0 ? FR_RXFE : 0) |
           (p->count >= pl011_depth(p) ? FR_RXFF : 0);
}

/* 32 bit periods. Without a divisor the line has no speed; take that of 115200 baud. */
static uint64_t pl011_timeout_ns(const struct pl011 *p)
{
    uint64_t divisor = p->ibrd ? p->ibrd * 64ull + p->fbrd : 13 * 64 + 1;
    return 32 * 16 * divisor * (1000000000 / 64) / PL011_CLOCK_HZ;
}

static void pl011_stop_timeout(struct pl011 *p)
{
    if (p->timing)
        alarm_set(&p->config.alarm, ALARM_OFF);
    p->timing = false;
}

/* A character came: restart the timeout. Without an alarm the time is over at once. */
static void pl011_start_timeout(struct pl011 *p)
{
    if (!(p->lcr_h & LCR_H_FEN))
        return;
    if (!p->config.alarm.set) {
        p->ris |= INT_RT;
        return;
    }
    p->timing = true;
    alarm_set(&p->config.alarm, clock_now(&p->config.clock) + pl011_timeout_ns(p));
}

/* A character, with its error flags, reaches the receiver. */
static void pl011_push(struct pl011 *p, uint32_t character)
{
    if (p->count >= pl011_depth(p)) {
        p->overrun = true;
        p->rsr |= DR_OE >> 8;
        p->ris |= INT_OE;
        return;
    }
    if (p->overrun)
        character |= DR_OE;
    p->overrun = false;
    p->fifo[(p->head + p->count++) % PL011_FIFO] = (uint16_t)character;
    if (character & DR_BE)
        p->ris |= INT_BE;
    if (p->count >= pl011_receive_level(p))
        p->ris |= INT_RX;
}

static bool pl011_receiver_on(const struct pl011 *p)
{
    return p->listening && (p->cr & (CR_UARTEN | CR_RXE | CR_LBE)) == (CR_UARTEN | CR_RXE);
}

size_t pl011_receive(struct device *d, const uint8_t *bytes, size_t n)
{
    struct pl011 *p = pl011_of(d);
    size_t taken = 0;
    lock_acquire(&d->lock);
    while (taken < n && pl011_receiver_on(p) && p->count < pl011_depth(p))
        pl011_push(p, bytes[taken++]);
    p->wants_room = taken < n;
    if (taken > 0)
        pl011_start_timeout(p);
    pl011_update_irq(p);
    lock_release(&d->lock);
    return taken;
}

void pl011_alarm(struct device *d)
{
    struct pl011 *p = pl011_of(d);
    lock_acquire(&d->lock);
    if (p->timing && p->count > 0) {
        p->timing = false;
        p->ris |= INT_RT;
        pl011_update_irq(p);
    }
    lock_release(&d->lock);
}

/* If the host holds bytes back and the receiver takes some, say so: not for each byte, but also not
 * so late that a guest which waits for its level waits for ever. */
static void pl011_offer_room(struct pl011 *p)
{
    if (!p->wants_room || !pl011_receiver_on(p))
        return;
    if (p->count > pl011_depth(p) / 2 && p->count >= pl011_receive_level(p))
        return;
    p->wants_room = false;
    if (p->config.room)
        p->config.room(p->config.ctx);
}

static void pl011_listen(struct pl011 *p)
{
    if (p->listening)
        return;
    p->listening = true;
    pl011_offer_room(p);
}

static uint32_t pl011_read_data(struct pl011 *p)
{
    pl011_listen(p);
    if (p->count == 0)
        return 0;
    uint32_t character = p->fifo[p->head];
    p->head = (p->head + 1) % PL011_FIFO;
    p->count--;
    p->rsr = character >> 8 | (p->overrun ? DR_OE >> 8 : 0);
    if (p->count < pl011_receive_level(p))
        p->ris &= ~INT_RX;
    if (p->count == 0) {
        p->ris &= ~INT_RT;
        pl011_stop_timeout(p);
    }
    pl011_update_irq(p);
    pl011_offer_room(p);
    return character;
}

static void pl011_write_data(struct pl011 *p, uint32_t value)
{
    uint8_t byte = (uint8_t)value;
    p->polls = 0;
    if (!(p->cr & CR_LBE)) {
        if (p->config.send)
            p->config.send(p->config.ctx, &byte, 1);
    } else if ((p->cr & (CR_UARTEN | CR_TXE | CR_RXE)) == (CR_UARTEN | CR_TXE | CR_RXE)) {
        pl011_push(p, byte & (uint32_t)ones(5 + (unsigned)bits(p->lcr_h, 6, 5)));
        pl011_start_timeout(p);
    }
    p->ris |= INT_TX;
    pl011_update_irq(p);
}

/* Switching the FIFOs on or off empties them; a break in loopback is received. */
static void pl011_write_lcr_h(struct pl011 *p, uint32_t value)
{
    uint32_t changed = p->lcr_h ^ value;
    p->lcr_h = value & 0xff;
    if (changed & LCR_H_FEN) {
        p->count = 0;
        p->overrun = false;
        p->ris &= ~(INT_RX | INT_RT);
        pl011_stop_timeout(p);
    }
    if ((changed & value & LCR_H_BRK) && (p->cr & CR_LBE)) {
        pl011_push(p, DR_BE);
        pl011_start_timeout(p);
    }
    pl011_update_irq(p);
    pl011_offer_room(p);
}

static void pl011_write_cr(struct pl011 *p, uint32_t value)
{
    uint32_t before = pl011_modem(p);
    p->cr = value & CR_MASK;
    uint32_t changed = before ^ pl011_modem(p);
    p->ris |= (changed & FR_RI ? INT_RI : 0) | (changed & FR_CTS ? INT_CTS : 0) |
              (changed & FR_DCD ? INT_DCD : 0) | (changed & FR_DSR ? INT_DSR : 0);
    pl011_update_irq(p);
    pl011_offer_room(p);
}

/* Whoever masks the receive interrupts does not listen, until it polls. */
static void pl011_write_imsc(struct pl011 *p, uint32_t value)
{
    p->imsc = value & INT_MASK;
    pl011_update_irq(p);
    p->polls = 0;
    p->listening = value & (INT_RX | INT_RT);
    pl011_offer_room(p);
}

static uint32_t pl011_read_register(struct pl011 *p, uint64_t offset)
{
    switch (offset) {
    case UARTDR:
        return pl011_read_data(p);
    case UARTRSR:
        return p->rsr;
    case UARTFR:
        return pl011_flags(p);
    case UARTILPR:
        return p->ilpr;
    case UARTIBRD:
        return p->ibrd;
    case UARTFBRD:
        return p->fbrd;
    case UARTLCR_H:
        return p->lcr_h;
    case UARTCR:
        return p->cr;
    case UARTIFLS:
        return p->ifls;
    case UARTIMSC:
        return p->imsc;
    case UARTRIS:
        return p->ris;
    case UARTMIS:
        return p->ris & p->imsc;
    case UARTDMACR:
        return p->dmacr;
    default:
        return offset >= PRIMECELL_ID && offset < PRIMECELL_ID_LIMIT
                   ? primecell_read_id(PL011_PERIPH_ID, offset)
                   : 0;
    }
}

static uint64_t pl011_read(struct device *d, uint64_t offset, unsigned width)
{
    struct pl011 *p = pl011_of(d);
    if (offset % 4)
        return 0;
    if (!p->listening && ++p->polls == PL011_POLLS)
        pl011_listen(p);
    return pl011_read_register(p, offset) & ones(8 * width);
}

static void pl011_write(struct device *d, uint64_t offset, unsigned width, uint64_t value)
{
    struct pl011 *p = pl011_of(d);
    uint32_t v = (uint32_t)value;
    (void)width;
    switch (offset) {
    case UARTDR:
        pl011_write_data(p, v);
        break;
    case UARTRSR:
        p->rsr = 0;
        p->overrun = false;
        break;
    case UARTILPR:
        p->ilpr = v & 0xff;
        break;
    case UARTIBRD:
        p->ibrd = v & 0xffff;
        break;
    case UARTFBRD:
        p->fbrd = v & 0x3f;
        break;
    case UARTLCR_H:
        pl011_write_lcr_h(p, v);
        break;
    case UARTCR:
        pl011_write_cr(p, v);
        break;
    case UARTIFLS:
        p->ifls = v & 0x3f;
        break;
    case UARTIMSC:
        pl011_write_imsc(p, v);
        break;
    case UARTICR:
        p->ris &= ~v;
        pl011_update_irq(p);
        break;
    case UARTDMACR:
        p->dmacr = v & 7;
        break;
    default:
        break;
    }
}

static void pl011_set_defaults(struct pl011 *p)
{
    p->head = p->count = p->polls = 0;
    p->overrun = p->listening = false;
    p->rsr = p->ilpr = p->ibrd = p->fbrd = p->lcr_h = p->imsc = p->ris = p->dmacr = 0;
    p->cr = CR_TXE | CR_RXE;
    p->ifls = 0x12;
}

static void pl011_reset(struct device *d)
{
    struct pl011 *p = pl011_of(d);
    pl011_set_defaults(p);
    pl011_stop_timeout(p);
    pl011_update_irq(p);
}

static int pl011_fdt(const struct device *d, void *fdt, const struct device_place *place)
{
    int rc = primecell_fdt_begin(fdt, "serial", "arm,pl011", d->ops->size, place, 1);
    return rc ? rc : fdt_end_node(fdt) ? -ENOSPC : 0;
}

static void pl011_destroy(struct device *d)
{
    struct pl011 *p = pl011_of(d);
    pl011_stop_timeout(p);
    lock_fini(&d->lock);
    free(p);
}

static const struct device_ops pl011_ops = {
    .name = "pl011",
    .size = PRIMECELL_SIZE,
    .min_width = 1,
    .max_width = 4,
    .read = pl011_read,
    .write = pl011_write,
    .reset = pl011_reset,
    .fdt = pl011_fdt,
    .destroy = pl011_destroy,
};

int pl011_create(const struct pl011_config *config, struct device **out)
{
    struct pl011 *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->device.ops = &pl011_ops;
    lock_init(&p->device.lock, LOCK_DEVICE);
    p->config = *config;
    pl011_set_defaults(p);
    *out = &p->device;
    return 0;
}
