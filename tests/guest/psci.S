/* PSCI 1.1 (DEN 0022), SMCCC and TRNG calls. Two CPUs. */
    .include "kit.inc"

    .set SUCCESS, 0
    .set NOT_SUPPORTED, 0xffffffffffffffff
    .set INVALID_PARAMETERS, 0xfffffffffffffffe
    .set ALREADY_ON, 0xfffffffffffffffc

    .macro ANSWER expected, name
    mov     x19, x0
    CHECK   x19, \expected, "\name"
    .endm

/* 32-bit functions answer in w0; the manual lets the upper half be anything. */
    .macro ANSWER32 expected, name
    sxtw    x19, w0
    CHECK   x19, \expected, "\name"
    .endm

    .macro FEATURE id, expected, name
    ldr     x1, =\id
    CALL    0x8400000a
    ANSWER32 \expected, "PSCI_FEATURES of \name"
    .endm

main:
    mov     x26, x30
    CALL    0x84000000
    ANSWER32 0x10001, "PSCI_VERSION is 1.1"
    CALL    0x84000000, smc
    ANSWER32 0x10001, "by SMC as well"
    CALL    0x84000006
    ANSWER32 2, "MIGRATE_INFO_TYPE: no trusted OS to move"

    FEATURE 0xc4000003, 0, "CPU_ON"
    FEATURE 0x84000002, 0, "CPU_OFF"
    FEATURE 0xc4000004, 0, "AFFINITY_INFO"
    FEATURE 0x84000008, 0, "SYSTEM_OFF"
    FEATURE 0x84000009, 0, "SYSTEM_RESET"
    FEATURE 0xc4000012, 0, "SYSTEM_RESET2"
    FEATURE 0x80000000, 0, "SMCCC_VERSION"
    FEATURE 0x84000014, NOT_SUPPORTED, "an optional call that is not there"

    CALL    0x80000000
    ANSWER32 0x10001, "SMCCC_VERSION is 1.1"
    ldr     x1, =0x80000000
    CALL    0x80000001
    ANSWER32 0, "SMCCC_ARCH_FEATURES of SMCCC_VERSION"
    ldr     x1, =0x8000ffff
    CALL    0x80000001
    ANSWER32 NOT_SUPPORTED, "SMCCC_ARCH_FEATURES of something else"

    /* Unknown numbers change nothing but x0. */
    mov     x1, #11
    mov     x2, #12
    mov     x3, #13
    CALL    0x8400ffff
    ANSWER  NOT_SUPPORTED, "an unknown call"
    CALL    0xc600ffff
    ANSWER  NOT_SUPPORTED, "an unknown call of another owner"

    /* True random numbers */
    CALL    0x84000050
    ANSWER32 0x10000, "TRNG_VERSION is 1.0"
    ldr     x1, =0xc4000053
    CALL    0x84000051
    ANSWER32 0, "TRNG_FEATURES of TRNG_RND"
    mov     x1, #192
    CALL    0xc4000053
    mov     x18, x1
    mov     x17, x2
    mov     x16, x3
    ANSWER  0, "TRNG_RND gives 192 bits"
    orr     x0, x18, x17
    orr     x0, x0, x16
    cmp     x0, #0
    CHECK_TRUE ne, "they are not zero"
    cmp     x18, x17
    CHECK_TRUE ne, "nor all the same"
    mov     x1, #193
    CALL    0xc4000053
    ANSWER32 INVALID_PARAMETERS, "more than 192 bits are refused"

    /* CPU_ON, by 64-bit numbers */
    mov     x1, #0
    mov     x2, #0
    CALL    0xc4000004
    ANSWER  0, "AFFINITY_INFO: this CPU is on"
    mov     x1, #1
    mov     x2, #0
    CALL    0xc4000004
    ANSWER  1, "AFFINITY_INFO: the second is off"
    mov     x1, #99
    mov     x2, #0
    CALL    0xc4000004
    ANSWER  INVALID_PARAMETERS, "AFFINITY_INFO of no CPU"
    mov     x1, #0
    adr     x2, second
    mov     x3, #0
    CALL    0xc4000003
    ANSWER  ALREADY_ON, "CPU_ON of this CPU"
    mov     x1, #99
    adr     x2, second
    mov     x3, #0
    CALL    0xc4000003
    ANSWER  INVALID_PARAMETERS, "CPU_ON of no CPU"

    /* Twice: a CPU that went off comes on again. */
    mov     x27, #2
on_again:
    adr     x18, mailbox
    stp     xzr, xzr, [x18]
    mov     x1, #1
    adr     x2, second
    ldr     x3, =0x1122334455667788
    CALL    0xc4000003
    ANSWER  SUCCESS, "CPU_ON of the second CPU"
1:  ldr     x19, [x18]
    cbz     x19, 1b
    CHECK   x19, 0x1122334455667788, "it starts with its context in x0"
    adr     x18, mailbox
    ldr     x19, [x18, #8]
    CHECK   x19, 0x80000001, "and its own MPIDR_EL1"
    adr     x18, mailbox
    ldr     x19, [x18, #16]
    CHECK   x19, 0x3c5, "at EL1h, masked"
    adr     x18, mailbox
    mov     x0, #1
    str     x0, [x18, #24]          /* let it go off */
2:  mov     x1, #1
    mov     x2, #0
    CALL    0xc4000004
    cbz     x0, 2b
    ANSWER  1, "after CPU_OFF it is off"
    adr     x18, mailbox
    str     xzr, [x18, #24]
    subs    x27, x27, #1
    b.ne    on_again

    /* CPU_SUSPEND: standby until the timer's interrupt */
    GIC_ENABLE 27
    mrs     x18, cntvct_el0
    ldr     x0, =48000
    msr     cntv_tval_el0, x0
    mov     x0, #1
    msr     cntv_ctl_el0, x0
    mov     x1, #0
    mov     x2, #0
    mov     x3, #0
    CALL    0xc4000001
    mov     x19, x0
    mrs     x17, cntvct_el0
    msr     cntv_ctl_el0, xzr
    CHECK   x19, 0, "CPU_SUSPEND returns"
    sub     x17, x17, x18
    ldr     x0, =48000
    cmp     x17, x0
    CHECK_TRUE hs, "when the timer fired"
    ret     x26                     /* SYSTEM_OFF follows */

second:
    adr     x1, mailbox
    mrs     x2, mpidr_el1
    str     x2, [x1, #8]
    mrs     x2, daif
    mrs     x3, currentel
    orr     x2, x2, x3
    mrs     x3, spsel
    orr     x2, x2, x3
    str     x2, [x1, #16]
    dmb     sy
    str     x0, [x1]
1:  ldr     x0, [x1, #24]
    cbz     x0, 1b
    CALL    0x84000002              /* CPU_OFF */
    b       .

    .balign 16
mailbox:                            /* context, MPIDR_EL1, PSTATE, go */
    .quad   0, 0, 0, 0
    .ltorg
