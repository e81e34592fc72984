/* Each register of the PL011 UART (DDI 0183G 3.3), most of them through loopback. */
    .include "kit.inc"

    .set RX, 0x10
    .set TX, 0x20
    .set RT, 0x40

    .macro READ offset, value, name
    ldr     x0, =UART
    ldr     w19, [x0, #\offset]
    CHECK   x19, \value, "\name"
    .endm

    .macro WRITE offset, value
    ldr     x0, =UART
    ldr     w1, =\value
    str     w1, [x0, #\offset]
    .endm

    .macro KEEPS offset, written, kept, name
    WRITE   \offset, \written
    READ    \offset, \kept, "\name"
    .endm

    /* Put the register at `offset` into w\to; without the kit's output in between. */
    .macro GET to, offset
    ldr     x0, =UART
    ldr     \to, [x0, #\offset]
    .endm

main:
    mov     x26, x30

    /* Reset values, before anything else touches the device. The kit printed nothing yet. */
    GET     w16, 0x30
    GET     w17, 0x34
    GET     w18, 0x2c
    GET     w19, 0x18
    GET     w27, 0x3c
    CHECK   x16, 0x300, "UARTCR after reset"
    CHECK   x17, 0x12, "UARTIFLS after reset"
    CHECK   x18, 0, "UARTLCR_H after reset"
    CHECK   x19, 0x97, "UARTFR after reset: both FIFOs empty, CTS, DSR and DCD"
    CHECK   x27, 0, "UARTRIS after reset"
    READ    0x38, 0, "UARTIMSC after reset"
    READ    0x40, 0, "UARTMIS after reset"
    READ    0x48, 0, "UARTDMACR after reset"
    READ    0x04, 0, "UARTRSR after reset"

    /* Plain storage, with the bits that exist */
    KEEPS   0x20, 0xfff, 0xff, "UARTILPR has 8 bits"
    KEEPS   0x24, 0x1ffff, 0xffff, "UARTIBRD has 16 bits"
    KEEPS   0x28, 0xff, 0x3f, "UARTFBRD has 6 bits"
    KEEPS   0x34, 0xff, 0x3f, "UARTIFLS has 6 bits"
    KEEPS   0x48, 0xff, 7, "UARTDMACR has 3 bits"
    KEEPS   0x38, 0xffff, 0x7ff, "UARTIMSC has 11 bits"
    KEEPS   0x2c, 0x1fe, 0xfe, "UARTLCR_H has 8 bits"
    WRITE   0x38, 0
    WRITE   0x34, 0x12
    WRITE   0x48, 0
    WRITE   0x24, 13
    WRITE   0x28, 1
    WRITE   0x2c, 0x70              /* 8 bits, FIFOs */

    /* Transmit interrupt: each byte that leaves */
    WRITE   0x44, 0x7ff
    GET     w19, 0x3c
    WRITE   0x00, '#'
    GET     w18, 0x3c
    GET     w17, 0x18
    WRITE   0x00, '\n'
    CHECK   x19, 0, "UARTICR clears every interrupt"
    CHECK   x18, TX, "a byte sent sets UARTRIS.TXRIS"
    mov     x1, #0xa8               /* TXFE, TXFF, BUSY */
    and     x17, x17, x1
    CHECK   x17, 0x80, "UARTFR: sent at once, not busy, room for more"

    /* Masked and unmasked */
    WRITE   0x38, TX
    GET     w19, 0x40
    WRITE   0x38, 0
    GET     w18, 0x40
    CHECK   x19, TX, "UARTMIS shows what UARTIMSC lets through"
    CHECK   x18, 0, "and nothing else"

    /* Loopback: what is sent is received */
    WRITE   0x44, 0x7ff
    WRITE   0x30, 0x381             /* enable, loopback, TXE, RXE */
    WRITE   0x00, 'A'
    GET     w19, 0x18
    GET     w18, 0x00
    GET     w17, 0x18
    WRITE   0x30, 0x301
    and     x19, x19, #0x10
    CHECK   x19, 0, "UARTFR.RXFE is clear with a byte there"
    CHECK   x18, 'A', "UARTDR gives the byte"
    and     x17, x17, #0x10
    CHECK   x17, 0x10, "UARTFR.RXFE is set again"

    /* FIFO of 32: level, full, overrun */
    WRITE   0x44, 0x7ff
    WRITE   0x30, 0x381
    mov     w2, #15
    ldr     x0, =UART
1:  str     w2, [x0]
    subs    w2, w2, #1
    b.ne    1b
    ldr     w19, [x0, #0x3c]        /* 15 bytes: below the level */
    str     w2, [x0]
    ldr     w18, [x0, #0x3c]        /* 16: at it */
    mov     w2, #16
1:  str     w2, [x0]
    subs    w2, w2, #1
    b.ne    1b
    ldr     w17, [x0, #0x18]        /* 32: full */
    str     w2, [x0]                /* 33: lost */
    ldr     w16, [x0, #0x04]
    ldr     w27, [x0, #0x3c]
    mov     w3, #0
    mov     w2, #32
1:  ldr     w4, [x0]
    orr     w3, w3, w4
    subs    w2, w2, #1
    b.ne    1b
    ldr     w2, [x0, #0x18]
    str     wzr, [x0, #0x04]        /* UARTECR */
    ldr     w5, [x0, #0x04]
    mov     w6, #0x301
    str     w6, [x0, #0x30]
    and     w19, w19, #RX
    and     w18, w18, #RX
    mov     w6, #0x50               /* RXFF, RXFE */
    and     w17, w17, w6
    and     w27, w27, #0x400
    and     w2, w2, #0x10
    stp     x2, x3, [sp, #-32]!
    str     x5, [sp, #16]
    CHECK   x19, 0, "no receive interrupt below the FIFO level"
    CHECK   x18, RX, "UARTRIS.RXRIS at the level"
    CHECK   x17, 0x40, "UARTFR.RXFF with 32 bytes"
    CHECK   x16, 8, "UARTRSR.OE after one more"
    CHECK   x27, 0x400, "UARTRIS.OERIS"
    ldr     x19, [sp]
    CHECK   x19, 0x10, "32 reads empty it"
    ldr     x19, [sp, #8]
    and     x19, x19, #0x700
    CHECK   x19, 0, "none of the 32 has an error"
    ldr     x19, [sp, #16]
    CHECK   x19, 0, "UARTECR clears the error"
    add     sp, sp, #32
    WRITE   0x44, 0x7ff

    /* Receive timeout: a byte below the level, 32 bit periods later */
    WRITE   0x30, 0x381
    WRITE   0x00, 'B'
    mrs     x19, cntvct_el0
    ldr     x2, =24000000
    add     x19, x19, x2            /* give up after a second */
    ldr     x0, =UART
1:  ldr     w18, [x0, #0x3c]
    tbnz    w18, #6, 2f
    mrs     x2, cntvct_el0
    cmp     x2, x19
    b.lo    1b
2:  ldr     w17, [x0]
    ldr     w16, [x0, #0x3c]
    mov     w6, #0x301
    str     w6, [x0, #0x30]
    and     x18, x18, #RT
    and     x16, x16, #RT
    CHECK   x18, RT, "UARTRIS.RTRIS when a byte waits"
    CHECK   x17, 'B', "the byte"
    CHECK   x16, 0, "reading it clears the timeout"

    /* Modem lines in loopback: outputs come back as inputs */
    WRITE   0x44, 0x7ff
    WRITE   0x30, 0xf80
    GET     w19, 0x18
    GET     w18, 0x3c
    WRITE   0x30, 0x3f80
    GET     w17, 0x18
    WRITE   0x30, 0x301
    mov     x1, #0x107              /* RI, DCD, DSR, CTS */
    and     x19, x19, x1
    and     x17, x17, x1
    and     x18, x18, #0xf
    CHECK   x19, 3, "RTS and DTR come back as CTS and DSR"
    CHECK   x17, 0x107, "OUT1 and OUT2 as DCD and RI"
    CHECK   x18, 4, "UARTRIS.DCDRMIS when DCD goes"

    /* Break in loopback */
    WRITE   0x44, 0x7ff
    WRITE   0x30, 0x381
    WRITE   0x2c, 0x71
    GET     w19, 0x3c
    GET     w18, 0x00
    WRITE   0x2c, 0x70
    WRITE   0x30, 0x301
    WRITE   0x04, 0
    and     x19, x19, #0x200
    CHECK   x19, 0x200, "UARTRIS.BERIS for a break"
    and     x18, x18, #0x400
    CHECK   x18, 0x400, "UARTDR.BE with its character"
    WRITE   0x44, 0x7ff

    /* Identification */
    READ    0xfe0, 0x11, "UARTPeriphID0"
    READ    0xfe4, 0x10, "UARTPeriphID1"
    READ    0xfe8, 0x34, "UARTPeriphID2: revision r1p5"
    READ    0xfec, 0x00, "UARTPeriphID3"
    READ    0xff0, 0x0d, "UARTPCellID0"
    READ    0xff4, 0xf0, "UARTPCellID1"
    READ    0xff8, 0x05, "UARTPCellID2"
    READ    0xffc, 0xb1, "UARTPCellID3"

    /* From the host */
    WRITE   0x2c, 0x70
    ASK
    mov     x19, x0
    CHECK   x19, 'x', "a character from the host"

    /* The interrupt line: SPI 1 is INTID 33 */
    adr     x23, on_irq
    mov     x19, #0
    GIC_ENABLE 31                   /* the distributor and the interface; 31 itself is unused */
    ldr     x0, =GICD
    mov     w1, #2
    str     w1, [x0, #0x104]        /* GICD_ISENABLER1: 33 */
    mov     w1, #1
    strb    w1, [x0, #0x821]        /* GICD_ITARGETSR of 33: CPU 0 */
    WRITE   0x38, TX
    WRITE   0x00, '#'
    msr     daifclr, #2
1:  cbz     x19, 1b
    msr     daifset, #2
    WRITE   0x00, '\n'
    WRITE   0x44, 0x7ff
    CHECK   x19, 33, "the interrupt reaches the vector as INTID 33"
    ret     x26

on_irq:
    ldr     x16, =GICC
    ldr     w19, [x16, #0xc]
    ldr     x15, =UART
    str     wzr, [x15, #0x38]
    str     w19, [x16, #0x10]
    eret
    .ltorg
