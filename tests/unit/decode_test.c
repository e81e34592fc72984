/*
 * The decoder: known words of every format come out as their line of a64.decode with the operands
 * that the functions rely on, and decodegen.py refuses bad lines with their place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "soft/interp/interp.h"
#include "soft/vcpu.h"

#define OFFSET 0x100 /* where the words are decoded, as if */

struct sample {
    uint32_t word;
    const char *name;
    uint8_t rd, rn, rm, ra, a, b;
    int64_t imm;
};

enum { SP = REG_SP, ZR = REG_ZR, NONE = REG_NONE };

/* clang-format off */
static const struct sample samples[] = {
    /* udf #7 */                      { 0x00000007, "UDF", .rd = 7 },
    /* adr x1, .-4 */                 { 0x10ffffe1, "ADR", .rd = 1, .imm = OFFSET - 4 },
    /* adrp x2, .+0x3000 */           { 0xf0000002, "ADRP", .rd = 2, .imm = 0x3000 },
    /* add sp, sp, #1, lsl #12 */     { 0x914007ff, "ADD_imm_x", .rd = SP, .rn = SP, .imm = 0x1000 },
    /* cmp w3, #5 */                  { 0x7100147f, "SUBS_imm_w", .rd = NONE, .rn = 3, .imm = 5 },
    /* and x0, x1, #0xff00ff00ff00ff */ { 0x92009c20, "AND_imm_x", .rd = 0, .rn = 1, .imm = 0x00ff00ff00ff00ff },
    /* tst w1, #0x80000001 */         { 0x7201043f, "ANDS_imm_w", .rd = NONE, .rn = 1, .imm = 0x80000001 },
    /* mov sp, #1 (orr) */            { 0xb24003ff, "ORR_imm_x", .rd = SP, .rn = ZR, .imm = 1 },
    /* mov w4, #0xfffeffff (movn) */  { 0x12a00024, "MOVN_w", .rd = 4, .imm = 0xfffeffff },
    /* movz x5, #9, lsl #48 */        { 0xd2e00125, "MOVZ_x", .rd = 5, .imm = 9ll << 48 },
    /* movk x5, #9, lsl #16 */        { 0xf2a00125, "MOVK_x", .rd = 5, .a = 16, .imm = 9 << 16 },
    /* lsl w6, w7, #3 (ubfm) */       { 0x531d70e6, "UBFM_w", .rd = 6, .rn = 7, .a = 3, .b = 32, .imm = 0xfffffff8 },
    /* ubfx x6, x7, #8, #4 */         { 0xd3482ce6, "UBFM_x", .rd = 6, .rn = 7, .a = 8, .imm = 15 },
    /* sxtb x6, w7 */                 { 0x93401ce6, "SBFM_x", .rd = 6, .rn = 7, .a = 56, .b = 56 },
    /* bfi w6, w7, #4, #2 */          { 0x331c04e6, "BFM_w", .rd = 6, .rn = 7, .a = 4, .b = 32, .imm = 0x30 },
    /* extr x1, x2, x3, #63 */        { 0x93c3fc41, "EXTR_x", .rd = 1, .rn = 2, .rm = 3, .a = 63 },
    /* b.ne .+8 */                    { 0x54000041, "B_cond", .rn = 1, .a = 1, .imm = (OFFSET + 8) * 8 },
    /* b .-0x200: leaves the page */  { 0x17ffff80, "B", .imm = OFFSET - 0x200 },
    /* cbnz x9, . */                  { 0xb5000009, "CBNZ_x", .rn = 9, .a = 9, .imm = OFFSET * 8 },
    /* tbz x9, #33, .+4 */            { 0xb6080029, "TBZ", .rn = 9, .a = 33, .imm = (OFFSET + 4) * 8 },
    /* ret */                         { 0xd65f03c0, "RET", .rn = 30 },
    /* svc #0x1234 */                 { 0xd4024681, "SVC", .imm = 0x1234 },
    /* paciasp */                     { 0xd503233f, "PAC_lr", .rd = 30, .rn = SP, .rm = 30 },
    /* autib1716 */                   { 0xd50321df, "AUT1716", .rd = 17, .rn = 16, .rm = 17, .a = 1 },
    /* pacdb x1, sp */                { 0xdac10fe1, "PAC", .rd = 1, .rn = SP, .rm = 1, .a = 3 },
    /* xpaci xzr */                   { 0xdac143ff, "XPAC", .rd = NONE, .rn = ZR, .rm = ZR },
    /* pacga x1, xzr, sp */           { 0x9adf33e1, "PACGA", .rd = 1, .rn = ZR, .rm = SP },
    /* blrab x3, sp */                { 0xd73f0c7f, "BLRA", .rn = 3, .rm = SP, .a = 1 },
    /* braaz x3 */                    { 0xd61f087f, "BRAZ", .rn = 3, .rm = ZR },
    /* retab */                       { 0xd65f0fff, "RETA", .rn = 30, .rm = SP, .a = 1 },
    /* ldrab x1, [x2, #-8]! */        { 0xf8fffc41, "LDRA_pre", .rd = 1, .rn = 2, .a = 3, .imm = -8 },
    /* csdb: a hint */                { 0xd503229f, "HINT", .rd = 31, .rn = 20, .rm = 3, .ra = 8 },
    /* mrs x3, cntvct_el0 */          { 0xd53be043, "MRS", .rd = 3, .rn = 3 },
    /* msr ttbr0_el1, xzr */          { 0xd518201f, "MSR_reg", .rd = NONE, .rn = ZR },
    /* ldr xzr, [sp, #8] */           { 0xf94007ff, "LDR_x_uimm", .rd = NONE, .rn = SP, .imm = 8 },
    /* strh wzr, [x1, #2] */          { 0x7900043f, "STRH_uimm", .rd = ZR, .rn = 1, .imm = 2 },
    /* ldr q1, [x2, #16] */           { 0x3dc00441, "LDR_q_uimm", .rd = 1, .rn = 2, .imm = 16 },
    /* ldur w1, [x2, #-1] */          { 0xb85ff041, "LDR_w_unscaled", .rd = 1, .rn = 2, .imm = -1 },
    /* str x1, [x2], #8 */            { 0xf8008441, "STR_x_post", .rd = 1, .rn = 2, .imm = 8 },
    /* str h1, [x2, #-2]! */          { 0x7c1fec41, "STR_h_pre", .rd = 1, .rn = 2, .imm = -2 },
    /* ldr x1, [x2, w3, sxtw #3] */   { 0xf863d841, "LDR_x_reg", .rd = 1, .rn = 2, .rm = 3, .a = 3, .b = 1, .imm = 0xffffffff },
    /* str w1, [x2, xzr] */           { 0xb83f6841, "STR_w_reg", .rd = 1, .rn = 2, .rm = ZR, .imm = -1 },
    /* ldr d1, [x2, x3, lsl #3] */    { 0xfc637841, "LDR_d_reg", .rd = 1, .rn = 2, .rm = 3, .a = 3, .imm = -1 },
    /* ldrsw x1, .+4 */               { 0x98000021, "LDRSW_lit", .rd = 1, .imm = OFFSET + 4 },
    /* ldr q31, .+4 */                { 0x9c00003f, "LDR_q_lit", .rd = 31, .imm = OFFSET + 4 },
    /* stp x29, x30, [sp, #-16]! */   { 0xa9bf7bfd, "STP_x_pre", .rd = 29, .ra = 30, .rn = SP, .imm = -16 },
    /* ldp w1, wzr, [x2], #8 */       { 0x28c17c41, "LDP_w_post", .rd = 1, .ra = NONE, .rn = 2, .imm = 8 },
    /* ldnp q0, q1, [x2, #32] */      { 0xac410440, "LDNP_q", .rd = 0, .ra = 1, .rn = 2, .imm = 32 },
    /* stlxr w1, x2, [x3] */          { 0xc801fc62, "STXR", .rd = 2, .rm = 1, .rn = 3, .ra = ZR, .a = 8 },
    /* ldaxp w1, w2, [x3] */          { 0x887f8861, "LDXP", .rd = 1, .ra = 2, .rn = 3, .a = 4 },
    /* stlrb wzr, [x3] */             { 0x089ffc7f, "STLR", .rd = ZR, .rn = 3, .a = 1 },
    /* ldaprh w1, [sp] */             { 0x78bfc3e1, "LDAPR", .rd = 1, .ra = 16, .rn = SP, .a = 2 },
    /* ldapursh w1, [x2, #-1] */      { 0x59dff041, "LDAPURSH_w", .rd = 1, .ra = 28, .rn = 2, .a = 2, .b = 32, .imm = -1 },
    /* stlur x1, [x2, #8] */          { 0xd9008041, "STLUR_x", .rd = 1, .rn = 2, .a = 8, .imm = 8 },
    /* stadd w1, [x2] (ldadd) */      { 0xb821005f, "LDADD", .rd = NONE, .rm = 1, .rn = 2, .a = 4 },
    /* cas wzr, w1, [x2] */           { 0x88bf7c41, "CAS", .rd = 1, .rm = ZR, .rn = 2, .a = 4, .b = NONE },
    /* caspal x30, xzr, x2, x3, [x4] */ { 0x487efc82, "CASP", .rd = 2, .ra = 3, .rm = 30, .rn = 4, .a = 8, .b = NONE, .imm = ZR },
    /* udiv x1, x2, xzr */            { 0x9adf0841, "UDIV_x", .rd = 1, .rn = 2, .rm = ZR },
    /* mov x1, xzr */                 { 0xaa1f03e1, "MOV_x", .rd = 1, .rn = ZR, .rm = ZR },
    /* eor w1, w2, w3, ror #31 */     { 0x4ac37c41, "EOR_shift_w", .rd = 1, .rn = 2, .rm = 3, .a = 31, .b = 3 },
    /* add sp, sp, w1, uxtb #4 */     { 0x8b2113ff, "ADD_ext_x", .rd = SP, .rn = SP, .rm = 1, .a = 4, .imm = 0xff },
    /* cmp sp, w1, sxth */            { 0xeb21a3ff, "SUBS_ext_x", .rd = NONE, .rn = SP, .rm = 1, .b = 1, .imm = 0xffff },
    /* rmif x1, #63, #10 */           { 0xba1f842a, "RMIF", .rn = 1, .a = 63, .b = 10 },
    /* ccmp x1, x2, #5, ge */         { 0xfa42a025, "CCMP_x", .rd = 5, .rn = 1, .rm = 2, .a = 10, .b = 5 },
    /* ccmn w1, #31, #0, eq */        { 0x3a5f0820, "CCMN_imm_w", .rd = 0, .rn = 1, .rm = ZR, .b = 0, .imm = 31 },
    /* cset x1, eq (csinc) */         { 0x9a9f17e1, "CSINC_x", .rd = 1, .rn = ZR, .rm = ZR, .a = 1 },
    /* mul x1, x2, x3 (madd) */       { 0x9b037c41, "MADD_x", .rd = 1, .rn = 2, .rm = 3, .ra = ZR },
    /* add v1.4s, v2.4s, v31.4s */    { 0x4ebf8441, "ADD_v", .rd = 1, .rn = 2, .rm = 31, .ra = 1 },
};

/* Words that no line may match. */
static const uint32_t undefined[] = {
    0x00010000, /* next to UDF */
    0x11800000, /* add with shift 2: tags */
    0x12400000, /* 32-bit logical with N */
    0x9200fc00, /* and x0, x0, with a mask of ones */
    0x12007c00, /* the same in 32 bits */
    0x12c00000, /* 32-bit movn, lsl #32 */
    0x53008000, /* 32-bit ubfm, imms 32 */
    0x0b208000 | 5u << 10, /* add extended, shift 5 */
    0x0bc00000, /* add, ror */
    0x2a008000, /* 32-bit orr, lsl #32 */
    0xb8e00841, /* ldr register, option 0b000 */
    0x68000000, /* stgp: tags */
    0x48217c02, /* casp with an odd register */
    0xd503307f, /* tcommit */
    0x54000010, /* bc.eq */
    0xd63f0800, /* blraaz with a modifier */
    0xdac12000, /* paciza with a modifier */
};
/* clang-format on */

static void known_words(void **state)
{
    (void)state;
    for (size_t n = 0; n < ARRAY_LEN(samples); n++) {
        const struct sample *s = &samples[n];
        const struct a64_op_info *op = &a64_ops[a64_decode(s->word)];
        struct insn i = { .fn = op->fn, .word = s->word, .offset = OFFSET };

        if (strcmp(op->name, s->name) != 0)
            fail_msg("0x%08x is %s, not %s", s->word, op->name, s->name);
        op->format(&i);
        if (i.rd != s->rd || i.rn != s->rn || i.rm != s->rm || i.ra != s->ra || i.a != s->a ||
            i.b != s->b || i.imm != s->imm)
            fail_msg("0x%08x %s: rd %u rn %u rm %u ra %u a %u b %u imm 0x%llx", s->word, s->name,
                     i.rd, i.rn, i.rm, i.ra, i.a, i.b, (unsigned long long)i.imm);
        assert_non_null(i.fn);
    }
}

static void undefined_words(void **state)
{
    (void)state;
    for (size_t n = 0; n < ARRAY_LEN(undefined); n++)
        if (a64_decode(undefined[n]) != A64_UNDEFINED)
            fail_msg("0x%08x is %s", undefined[n], a64_ops[a64_decode(undefined[n])].name);
}

/* A slot decodes itself once, and a step executes one instruction of several. */
static void slots(void **state)
{
    static const uint32_t words[] = { 0x91000400, 0x91000800 }; /* add x0, x0, #1; #2 */
    struct code_page *page = calloc(1, sizeof *page);
    struct cpu *c = calloc(1, sizeof *c);
    struct soft_vm vm = { .options = 0 };
    uint8_t *bytes = calloc(1, CODE_PAGE_SIZE);

    (void)state;
    assert_true(page && c && bytes);
    memcpy(bytes + 8, words, sizeof words);
    interp_reset_page(page);
    page->host = bytes;
    c->page = page;
    c->vm = &vm;
    c->page_va = 0x7000;
    assert_ptr_equal(page->slot[CODE_PAGE_SLOTS].fn, interp_page_end);
    assert_ptr_equal(page->slot[2].fn, interp_decode_slot);
    interp_step(c, &page->slot[2]);
    assert_int_equal(c->x[0], 1);
    assert_int_equal(c->pc, 0x700c);
    assert_int_equal(c->instructions, 1);
    assert_ptr_equal(page->slot[2].fn, interp_ADD_imm_x);
    assert_ptr_equal(page->slot[3].fn, interp_decode_slot);
    interp_step(c, &page->slot[3]);
    assert_int_equal(c->x[0], 3);
    free(bytes);
    free(c);
    free(page);
}

/* What the generator says about a file of one bad line, or of two that do not go together. */
static void bad_lines(void **state)
{
    static const struct {
        const char *lines, *message;
    } bad[] = {
        { "A 0000 rd:5\n", ":1: A has 9 bits, not 32" },
        { "A .:33\n", ":1: A has 33 bits, not 32" },
        { "A .:32 @no_such\n", ":1: unknown format '@no_such'" },
        { "A .:16 x:8 x:8\n", ":1: field 'x' occurs twice" },
        { "A .:30 x:2 !y=1\n", ":1: A has no field 'y'" },
        { "A .:30 x:2 !x=4\n", ":1: '4' is not a value of 2 bits" },
        { "A .:30 x:2 !x\n", ":1: 'x' is not field=value" },
        { "A .:30 x:2 !x=0b0x !x=0b1x\n", ":1: A matches no word" },
        { "A .:30 2x:2\n", ":1: '2x:2' is neither bits nor a field name:width" },
        { "A .:32 %none\n", ":1: unknown set of constraints '%none'" },
        { "A 0 .:31\nA 1 .:31\n", ":2: A is on line 1 already" },
        { "A 0 .:31\n\nB .:31 1\n", ":3: B overlaps A of line 1: 0x00000001 is both" },
        { "A 0 x:2 .:29 !x=1\nB 0 01 .:29\nC 001 .:28 y:1 !y=0\n",
          ":3: C overlaps B of line 2: 0x20000001 is both" },
    };
    char dir[] = "/tmp/decode_test.XXXXXX", command[1024], path[64], said[512];

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/x.decode", dir);
    (void)snprintf(command, sizeof command, "'%s' '%s' --formats '%s' %s %s/x.h %s/x.c 2>&1",
                   getenv("PYTHON"), getenv("DECODEGEN"), getenv("FORMATS"), path, dir, dir);
    for (size_t n = 0; n < ARRAY_LEN(bad); n++) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_true(fputs(bad[n].lines, f) >= 0 && fclose(f) == 0);
        FILE *p = popen(command, "r");
        assert_non_null(p);
        said[fread(said, 1, sizeof said - 1, p)] = '\0';
        assert_int_not_equal(pclose(p), 0);
        if (strncmp(said, path, strlen(path)) != 0 || !strstr(said, bad[n].message))
            fail_msg("%s gave: %s", bad[n].lines, said);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_words),
        cmocka_unit_test(undefined_words),
        cmocka_unit_test(slots),
        cmocka_unit_test(bad_lines),
    };
    return cmocka_run_group_tests_name("decode", tests, NULL, NULL);
}
