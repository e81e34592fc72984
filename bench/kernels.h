/*
 * The benchmark's guest programs: words with their disassembly, so that no cross assembler is
 * needed. x0 is the number of iterations, x1 points to 1 MiB of data; a program ends with hvc #0.
 */
#ifndef BENCH_KERNELS_H
#define BENCH_KERNELS_H

#include <stdint.h>

/* clang-format off */
static const uint32_t kernel_words[] = {
    /* alu: */
    0xd2800002, /* mov x2, #0x0 */
    0xd2800023, /* mov x3, #0x1 */
    0x91000442, /* add x2, x2, #0x1 */
    0xca020063, /* eor x3, x3, x2 */
    0x8b030c84, /* add x4, x4, x3, lsl #3 */
    0xf1000400, /* subs x0, x0, #0x1 */
    0x54ffff81, /* b.ne alu+0x8 */
    0xd4000002, /* hvc #0x0 */
    /* calls: */
    0xaa0003f5, /* mov x21, x0 */
    0xd28001e0, /* mov x0, #0xf */
    0x94000004, /* bl fib */
    0xf10006b5, /* subs x21, x21, #0x1 */
    0x54ffffa1, /* b.ne calls+0x4 */
    0xd4000002, /* hvc #0x0 */
    /* fib: */
    0xf100081f, /* cmp x0, #0x2 */
    0x540001a3, /* b.cc fib+0x38 */
    0xa9be7bfd, /* stp x29, x30, [sp, #-32]! */
    0x910003fd, /* mov x29, sp */
    0xa90153f3, /* stp x19, x20, [sp, #16] */
    0xaa0003f3, /* mov x19, x0 */
    0xd1000400, /* sub x0, x0, #0x1 */
    0x97fffff9, /* bl fib */
    0xaa0003f4, /* mov x20, x0 */
    0xd1000a60, /* sub x0, x19, #0x2 */
    0x97fffff6, /* bl fib */
    0x8b140000, /* add x0, x0, x20 */
    0xa94153f3, /* ldp x19, x20, [sp, #16] */
    0xa8c27bfd, /* ldp x29, x30, [sp], #32 */
    0xd65f03c0, /* ret */
    /* memory: */
    0xaa0103e4, /* mov x4, x1 */
    0x91404025, /* add x5, x1, #0x10, lsl #12 */
    0xf9400082, /* ldr x2, [x4] */
    0xb9400883, /* ldr w3, [x4, #8] */
    0x8b030042, /* add x2, x2, x3 */
    0xf8010482, /* str x2, [x4], #16 */
    0xeb05009f, /* cmp x4, x5 */
    0x54ffff63, /* b.cc memory+0x8 */
    0xf1000400, /* subs x0, x0, #0x1 */
    0x54fffee1, /* b.ne memory */
    0xd4000002, /* hvc #0x0 */
    /* mix: */
    0xaa0103f4, /* mov x20, x1 */
    0xaa0103e2, /* mov x2, x1 */
    0x52800003, /* mov w3, #0x0 */
    0x9100c044, /* add x4, x2, #0x30 */
    0xf9000044, /* str x4, [x2] */
    0x79001043, /* strh w3, [x2, #8] */
    0xaa0203e5, /* mov x5, x2 */
    0xaa0403e2, /* mov x2, x4 */
    0x11001c63, /* add w3, w3, #0x7 */
    0x7103807f, /* cmp w3, #0xe0 */
    0x54ffff21, /* b.ne mix+0xc */
    0xf90000bf, /* str xzr, [x5] */
    0x91400426, /* add x6, x1, #0x1, lsl #12 */
    0x52800003, /* mov w3, #0x0 */
    0x52800164, /* mov w4, #0xb */
    0x1ac40865, /* udiv w5, w3, w4 */
    0x1b048ca5, /* msub w5, w5, w4, w3 */
    0x1100bca5, /* add w5, w5, #0x2f */
    0x382348c5, /* strb w5, [x6, w3, uxtw] */
    0x11000463, /* add w3, w3, #0x1 */
    0x7101007f, /* cmp w3, #0x40 */
    0x54ffff21, /* b.ne mix+0x38 */
    0x382348df, /* strb wzr, [x6, w3, uxtw] */
    /* iteration: */
    0x5280000a, /* mov w10, #0x0 */
    0xaa1403e2, /* mov x2, x20 */
    0x79401043, /* ldrh w3, [x2, #8] */
    0xf9400042, /* ldr x2, [x2] */
    0x0b03014a, /* add w10, w10, w3 */
    0xb5ffffa2, /* cbnz x2, iteration+0x8 */
    0x91400682, /* add x2, x20, #0x1, lsl #12 */
    0x52800003, /* mov w3, #0x0 */
    0x38401444, /* ldrb w4, [x2], #1 */
    0x34000144, /* cbz w4, iteration+0x4c */
    0x5100c085, /* sub w5, w4, #0x30 */
    0x710024bf, /* cmp w5, #0x9 */
    0x54000088, /* b.hi iteration+0x40 */
    0x52800146, /* mov w6, #0xa */
    0x1b061463, /* madd w3, w3, w6, w5 */
    0x17fffff9, /* b iteration+0x20 */
    0x4a03014a, /* eor w10, w10, w3 */
    0x52800003, /* mov w3, #0x0 */
    0x17fffff6, /* b iteration+0x20 */
    0x91400a8b, /* add x11, x20, #0x2, lsl #12 */
    0x91400e8c, /* add x12, x20, #0x3, lsl #12 */
    0x5280000d, /* mov w13, #0x0 */
    0x5280000e, /* mov w14, #0x0 */
    0x5280000f, /* mov w15, #0x0 */
    0x52800010, /* mov w16, #0x0 */
    0x8b2d5162, /* add x2, x11, w13, uxtw #4 */
    0x8b2e4583, /* add x3, x12, w14, uxtw #1 */
    0x78ef5844, /* ldrsh w4, [x2, w15, uxtw #1] */
    0x79c00065, /* ldrsh w5, [x3] */
    0x91004063, /* add x3, x3, #0x10 */
    0x1b054090, /* madd w16, w4, w5, w16 */
    0x110005ef, /* add w15, w15, #0x1 */
    0x710021ff, /* cmp w15, #0x8 */
    0x54ffff41, /* b.ne iteration+0x6c */
    0x0b10014a, /* add w10, w10, w16 */
    0x110005ce, /* add w14, w14, #0x1 */
    0x710021df, /* cmp w14, #0x8 */
    0x54fffe41, /* b.ne iteration+0x5c */
    0x110005ad, /* add w13, w13, #0x1 */
    0x710021bf, /* cmp w13, #0x8 */
    0x54fffdc1, /* b.ne iteration+0x58 */
    0x52940027, /* mov w7, #0xa001 */
    0x52800408, /* mov w8, #0x20 */
    0x53017d49, /* lsr w9, w10, #1 */
    0x4a070126, /* eor w6, w9, w7 */
    0x7200015f, /* tst w10, #0x1 */
    0x1a8910ca, /* csel w10, w6, w9, ne */
    0x71000508, /* subs w8, w8, #0x1 */
    0x54ffff61, /* b.ne iteration+0xac */
    0x7900016a, /* strh w10, [x11] */
    0xf1000400, /* subs x0, x0, #0x1 */
    0x54fff9a1, /* b.ne iteration */
    0xd4000002, /* hvc #0x0 */
};
/* clang-format on */

/* Where they start, in words. */
enum {
    KERNEL_ALU = 0,
    KERNEL_CALLS = 8,
    KERNEL_MEMORY = 29,
    KERNEL_MIX = 40,
};

#endif
