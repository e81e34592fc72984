/* SHA-256's message schedule on a register whose value was just computed: a translator has it in one
 * of the host's registers, and the host's instruction has no form with three operands. */
    .include "kit.inc"

main:
    mov     x26, x30
    mov     w19, #0
    mov     w18, #20000             /* until it is translated, and then some */
    movi    v1.2d, #0
    mov     w0, #1
    mov     v1.s[0], w0
    movi    v2.2d, #0
1:  eor     v0.16b, v2.16b, v2.16b
    .inst   0x5e282820              /* sha256su0 v0.4s, v1.4s: element 3 is sigma0(1), the others 0 */
    mov     w1, v0.s[3]
    add     w19, w19, w1
    subs    w18, w18, #1
    b.ne    1b
    mov     w27, #0x4000            /* 1 ror 18 and 1 ror 7 */
    movk    w27, #0x0200, lsl #16
    mov     w0, #20000
    mul     w27, w27, w0
    cmp     w19, w27
    CHECK_TRUE eq, "sha256su0 of a register that was just written"
    ret     x26
    .ltorg
