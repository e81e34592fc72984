/* Loads and stores that leave the guest: each width, sign extension, the zero register; and forms
 * that cannot be carried out. The RTC's load register holds any 32 bits, a GIC priority any byte. */
    .include "kit.inc"

    .set PRIORITY, GICD + 0x420     /* GICD_IPRIORITYR of SPI 0 to 3 */
    .set DIVISOR, UART + 0x24       /* UARTIBRD: 16 bits */
    .set LOAD, RTC + 0x8            /* RTCLR: 32 bits */

    .macro AT address
    ldr     x0, =\address
    .endm

/* Fill x19 and load; the register must hold just that afterwards. */
    .macro LOAD_CHECK address, expected, name, insn:vararg
    AT      \address
    mov     x19, #-1
    \insn
    CHECK   x19, \expected, "\name"
    .endm

/* Store and read back. */
    .macro STORE_CHECK address, expected, name, insn:vararg
    AT      \address
    ldr     x18, =0xfedcba9876543210
    \insn
    ldr     w19, [x0]
    CHECK   x19, \expected, "\name"
    .endm

/* An access without a valid syndrome: external abort, PC at it, the base unchanged. */
    .macro ABORT_CHECK name, insn:vararg
    AT      LOAD
    mov     x18, x0
    adr     x24, 7f
    adr     x17, 6f
6:  \insn
    mov     x20, #0                 /* not reached */
7:  mov     x16, x0
    and     x19, x20, #0x3f
    CHECK   x19, 0x10, "\name: an external abort"
    cmp     x21, x17
    CHECK_TRUE eq, "\name: ELR is at it"
    cmp     x22, x18
    ccmp    x16, x18, #0, eq
    CHECK_TRUE eq, "\name: FAR and the base register"
    .endm

main:
    mov     x26, x30

    /* 32 bits */
    AT      LOAD
    ldr     w1, =0x80c0e0f1
    str     w1, [x0]
    LOAD_CHECK LOAD, 0x80c0e0f1, "ldr w zero-extends", ldr w19, [x0]
    LOAD_CHECK LOAD, 0xffffffff80c0e0f1, "ldrsw extends the sign", ldrsw x19, [x0]
    LOAD_CHECK LOAD, 0x80c0e0f1, "ldur w", ldur w19, [x0]
    LOAD_CHECK LOAD, 0x80c0e0f1, "ldtr w", ldtr w19, [x0]
    LOAD_CHECK LOAD, 0x80c0e0f1, "ldar w", ldar w19, [x0]
    mov     x17, #8
    LOAD_CHECK RTC, 0x80c0e0f1, "ldr w with a register offset", ldr w19, [x0, x17]
    STORE_CHECK LOAD, 0x76543210, "str w", str w18, [x0]
    STORE_CHECK LOAD, 0, "str wzr", str wzr, [x0]
    STORE_CHECK LOAD, 0x76543210, "stlr w", stlr w18, [x0]
    AT      LOAD
    ldr     wzr, [x0]
    ldrsw   xzr, [x0]
    cmp     xzr, xzr
    CHECK_TRUE eq, "a load into the zero register"

    /* 16 bits */
    AT      DIVISOR
    mov     w1, #0x8123
    strh    w1, [x0]
    LOAD_CHECK DIVISOR, 0x8123, "ldrh zero-extends", ldrh w19, [x0]
    LOAD_CHECK DIVISOR, 0xffff8123, "ldrsh w extends the sign to 32 bits", ldrsh w19, [x0]
    LOAD_CHECK DIVISOR, 0xffffffffffff8123, "ldrsh x to 64", ldrsh x19, [x0]
    STORE_CHECK DIVISOR, 0x3210, "strh", strh w18, [x0]
    STORE_CHECK DIVISOR, 0, "strh wzr", strh wzr, [x0]
    LOAD_CHECK DIVISOR, 0, "ldarh", ldarh w19, [x0]

    /* 8 bits */
    AT      PRIORITY
    ldr     w1, =0xf0a05080
    str     w1, [x0]
    LOAD_CHECK PRIORITY, 0x80, "ldrb zero-extends", ldrb w19, [x0]
    LOAD_CHECK PRIORITY, 0x50, "ldrb of the second byte", ldrb w19, [x0, #1]
    LOAD_CHECK PRIORITY, 0xfffffff0, "ldrsb w extends the sign to 32 bits", ldrsb w19, [x0, #3]
    LOAD_CHECK PRIORITY, 0xfffffffffffffff0, "ldrsb x to 64", ldrsb x19, [x0, #3]
    LOAD_CHECK PRIORITY + 2, 0xa0, "ldarb", ldarb w19, [x0]
    STORE_CHECK PRIORITY, 0xf0a05010, "strb changes one byte", strb w18, [x0]
    STORE_CHECK PRIORITY, 0xf0a00010, "strb wzr, the second", strb wzr, [x0, #1]

    /* 64 bits: no device has such a register, so zero, and no change */
    AT      LOAD
    ldr     w1, =0x12345678
    str     w1, [x0]
    LOAD_CHECK LOAD, 0, "ldr x of a 32-bit device reads zero", ldr x19, [x0]
    STORE_CHECK LOAD, 0x12345678, "str x changes nothing", str x18, [x0]

    /* A hole: reads zero, ignores writes */
    LOAD_CHECK HOLE, 0, "ldrb of a hole", ldrb w19, [x0]
    LOAD_CHECK HOLE, 0, "ldrh of a hole", ldrh w19, [x0]
    LOAD_CHECK HOLE, 0, "ldr w of a hole", ldr w19, [x0]
    LOAD_CHECK HOLE, 0, "ldr x of a hole", ldr x19, [x0]
    LOAD_CHECK HOLE, 0, "ldrsb x of a hole", ldrsb x19, [x0]
    STORE_CHECK HOLE, 0, "str w to a hole", str w18, [x0]
    STORE_CHECK HOLE, 0, "str x to a hole", str x18, [x0]

    /* Accesses that the syndrome does not describe */
    ABORT_CHECK "ldp", ldp w1, w2, [x0]
    ABORT_CHECK "stp", stp w1, w2, [x0]
    ABORT_CHECK "ldr post-index", ldr w1, [x0], #4
    ABORT_CHECK "str pre-index", str w1, [x0, #0]!
    ABORT_CHECK "ldr d", ldr s0, [x0]
    AT      LOAD
    ldr     w19, [x0]
    CHECK   x19, 0x12345678, "and the device saw none of them"
    ret     x26
    .ltorg
