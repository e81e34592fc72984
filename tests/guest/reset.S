/* SYSTEM_RESET really restarts the guest: memory is cleared and loaded again, devices are reset. The
 * host sends `r` for a reset, `2` for SYSTEM_RESET2 and `o` to go off. */
    .include "kit.inc"

    .set MARK, 0x42000000

main:
    mov     x26, x30
    ldr     x0, =MARK
    ldr     x19, [x0]
    adr     x0, data
    ldr     x18, [x0]
    ldr     x0, =UART
    ldr     w17, [x0, #0x38]
    ldr     x0, =GICD
    ldr     w16, [x0]

    /* Leave traces for the next life. */
    mov     x1, #0x5a
    ldr     x0, =MARK
    str     x1, [x0]
    adr     x0, data
    str     x1, [x0]
    ldr     x0, =UART
    mov     w1, #0x10
    str     w1, [x0, #0x38]
    ldr     x0, =GICD
    mov     w1, #1
    str     w1, [x0]

    ASK
    cmp     w0, #'r'
    b.eq    reset
    cmp     w0, #'2'
    b.eq    reset2
    CHECK   x19, 0, "memory is cleared"
    CHECK   x18, 0x1234, "the program is loaded again"
    CHECK   x17, 0, "the UART is reset"
    CHECK   x16, 0, "the interrupt controller is reset"
    ret     x26

reset:
    CALL    0x84000009
    b       on_unexpected
reset2:
    mov     x1, #0
    mov     x2, #0
    CALL    0xc4000012
    b       on_unexpected

    .balign 8
data:
    .quad   0x1234
    .ltorg
