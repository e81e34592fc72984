/*
 * Which words are instructions: this CPU's decoder against LLVM's disassembler, and against a
 * linear scan of all lines of a64.decode.
 *
 * usage: decode_check [--all] [--range FIRST-LAST] DIFFERENCES
 *
 * Words go in groups of 1024 that share bits 31:10. One scan over all lines finds those that a
 * word of the group can match; each word is then tried on these. By default bits that are part of
 * a register's number or of a long immediate in every line that the group can match take only the
 * values of the registers 0, 1, 30 and 31; so do the two fields at the bottom where no line
 * matches, but among the system instructions. --all tries every word; --range has hexadecimal
 * words, to share the work out.
 *
 * DIFFERENCES lists words that only one side accepts, with the reason; see there.
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <llvm-c/Disassembler.h>
#include <llvm-c/Target.h>

#include "soft/interp/a64_ops.h"
#include "decode_table.h"

#define GROUP     1024u
#define LINES     (sizeof lines / sizeof lines[0])
#define MAX_SHOWN 60
#define MAX_RULES 64
#define MAX_KINDS 512

/* ireko-v2 and its options for LLVM: what has instructions of its own. */
static const char features[] =
    "+v8.2a,+neon,+fp-armv8,+lse,+rdm,+crc,+aes,+sha2,+sha3,+fullfp16,+fp16fml,+dotprod,"
    "+complxnum,+jsconv,+rcpc,+rcpc-immo,+flagm,+altnzcv,+fptoint,+sb,+wfxt,+pauth,+mops";

struct rule {
    uint32_t mask, value;
    int low[2];        /* of two fields of 5 bits that are equal; none: -1 */
    char mnemonic[16]; /* what LLVM sees, if we accept none of these; else empty */
    uint64_t words;
    char text[256];
};

struct kind {
    char name[48];
    uint32_t example;
    uint64_t words;
    bool ours;
};

struct check {
    LLVMDisasmContextRef llvm;
    bool all;
    struct rule rules[MAX_RULES];
    unsigned rule_count;
    struct kind kinds[MAX_KINDS];
    unsigned kind_count;
    uint64_t words, valid, explained, unexplained, matcher_wrong, ambiguous;
};

static bool cube_has(const struct cube *c, uint32_t w)
{
    return (w & c->mask) == c->value;
}

static bool line_has(const struct line *l, uint32_t w)
{
    if (!cube_has(&l->bits, w))
        return false;
    for (const struct cube *h = l->holes; h->mask; h++)
        if (cube_has(h, w))
            return false;
    return true;
}

static uint32_t field5(uint32_t w, int low)
{
    return w >> low & 31;
}

/* The mnemonic, up to the first tab or space. */
static bool llvm_decode(struct check *c, uint32_t w, char *mnemonic, size_t size)
{
    uint8_t bytes[4] = { (uint8_t)w, (uint8_t)(w >> 8), (uint8_t)(w >> 16), (uint8_t)(w >> 24) };
    char text[128];

    if (LLVMDisasmInstruction(c->llvm, bytes, 4, 0x1000, text, mnemonic ? sizeof text : 2) == 0)
        return false;
    if (mnemonic) {
        const char *start = text + strspn(text, " \t");
        snprintf(mnemonic, size, "%.*s", (int)strcspn(start, " \t"), start);
    }
    return true;
}

/* `mnemonic`: empty if only we accept the word. */
static struct rule *explain(struct check *c, uint32_t w, const char *mnemonic)
{
    for (struct rule *r = c->rules; r < c->rules + c->rule_count; r++)
        if (strcmp(r->mnemonic, mnemonic) == 0 && (w & r->mask) == r->value &&
            (r->low[0] < 0 || field5(w, r->low[0]) == field5(w, r->low[1])))
            return r;
    return NULL;
}

static void note_difference(struct check *c, uint32_t w, enum a64_op op)
{
    char name[48] = "";
    bool ours = op != A64_UNDEFINED;

    if (!ours)
        llvm_decode(c, w, name, sizeof name);
    struct rule *r = explain(c, w, name);
    if (r) {
        r->words++;
        c->explained++;
        return;
    }
    c->unexplained++;
    if (ours)
        snprintf(name, sizeof name, "%s", a64_ops[op].name);
    struct kind *k = c->kinds;
    while (k < c->kinds + c->kind_count && (k->ours != ours || strcmp(k->name, name)))
        k++;
    if (k == c->kinds + MAX_KINDS)
        return;
    if (k == c->kinds + c->kind_count) {
        c->kind_count++;
        snprintf(k->name, sizeof k->name, "%s", name);
        k->example = w;
        k->ours = ours;
    }
    k->words++;
}

/* `near`: the lines that a word of this group can match. */
static void check_word(struct check *c, uint32_t w, const struct line *const *near, unsigned count)
{
    const struct line *match = NULL;
    enum a64_op op = a64_decode(w);

    c->words++;
    for (unsigned k = 0; k < count; k++) {
        if (line_has(near[k], w)) {
            c->ambiguous += match != NULL;
            match = near[k];
        }
    }
    if (op != (match ? (enum a64_op)(match - lines + 1) : A64_UNDEFINED)) {
        if (c->matcher_wrong++ < MAX_SHOWN)
            printf("# 0x%08x: the matcher says %s, the lines %s\n", w, a64_ops[op].name,
                   match ? match->name : "UNDEFINED");
    }
    c->valid += op != A64_UNDEFINED;
    if (llvm_decode(c, w, NULL, 0) != (op != A64_UNDEFINED))
        note_difference(c, w, op);
}

/* Whether the five bits at `low` take all values. */
static bool is_reduced_out(uint32_t w, int low, uint32_t free_bits)
{
    uint32_t n = field5(w, low);

    return field5(free_bits, low) == 31 && n > 1 && n < 30;
}

static void check_group(struct check *c, uint32_t first)
{
    const struct line *near[LINES];
    unsigned count = 0;
    uint32_t free_bits = 0xffffffff;

    for (unsigned k = 0; k < LINES; k++) {
        if ((first & lines[k].bits.mask & ~(GROUP - 1)) == (lines[k].bits.value & ~(GROUP - 1))) {
            near[count++] = &lines[k];
            free_bits &= lines[k].free_bits;
        }
    }
    if (!count)
        free_bits = first >> 26 == 0x35 ? 0 : GROUP - 1;
    if (c->all)
        free_bits = 0;
    if (is_reduced_out(first, 16, free_bits) || is_reduced_out(first, 10, free_bits))
        return;
    for (uint32_t w = first; w < first + GROUP - 1; w++)
        if (!is_reduced_out(w, 5, free_bits) && !is_reduced_out(w, 0, free_bits))
            check_word(c, w, near, count);
    check_word(c, first + GROUP - 1, near, count);
}

static bool read_rule(struct check *c, const char *line)
{
    char who[8], what[16];
    struct rule *r = &c->rules[c->rule_count];

    *r = (struct rule){ .low = { -1, -1 } };
    if (c->rule_count == MAX_RULES - 1 ||
        sscanf(line, "%7s %x/%x %15s", who, &r->value, &r->mask, what) != 4 || r->value & ~r->mask)
        return false;
    snprintf(r->text, sizeof r->text, "%s", line);
    c->rule_count++;
    if (strcmp(who, "llvm") == 0) {
        memcpy(r->mnemonic, what, sizeof what);
        return true;
    }
    if (strcmp(who, "ours"))
        return false;
    return strcmp(what, "-") == 0 ||
           (sscanf(what, "%d=%d", &r->low[0], &r->low[1]) == 2 && r->low[0] >= 0 &&
            r->low[0] <= 27 && r->low[1] >= 0 && r->low[1] <= 27);
}

static void read_rules(struct check *c, const char *path)
{
    char line[256];
    FILE *f = fopen(path, "r");

    if (!f) {
        perror(path);
        exit(2);
    }
    while (fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        if (*line && *line != '#' && !read_rule(c, line)) {
            fprintf(stderr, "%s: bad line: %s\n", path, line);
            exit(2);
        }
    }
    fclose(f);
}

static int report(const struct check *c, bool whole)
{
    unsigned unused = 0;

    for (const struct rule *r = c->rules; r < c->rules + c->rule_count; r++) {
        printf("# %11llu %s\n", (unsigned long long)r->words, r->text);
        unused += r->words == 0;
    }
    for (const struct kind *k = c->kinds; k < c->kinds + c->kind_count && k < c->kinds + MAX_SHOWN;
         k++)
        printf("# only %s: %s, %llu words, such as 0x%08x\n", k->ours ? "ours" : "llvm", k->name,
               (unsigned long long)k->words, k->example);
    printf("# %llu words, %llu valid here; %llu differences explained\n",
           (unsigned long long)c->words, (unsigned long long)c->valid,
           (unsigned long long)c->explained);
    printf("1..3\n%sok 1 - matcher and lines agree (%llu do not)\n", c->matcher_wrong ? "not " : "",
           (unsigned long long)c->matcher_wrong);
    printf("%sok 2 - no word is two instructions (%llu are)\n", c->ambiguous ? "not " : "",
           (unsigned long long)c->ambiguous);
    printf("%sok 3 - LLVM agrees (%llu unexplained; %u explanations unused)\n",
           c->unexplained || (whole && unused) ? "not " : "", (unsigned long long)c->unexplained,
           unused);
    return c->matcher_wrong || c->ambiguous || c->unexplained || (whole && unused);
}

int main(int argc, char **argv)
{
    static struct check c;
    uint32_t first = 0, last = 0xffffffff;
    int at = 1;

    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--all") == 0)
            c.all = true;
        else if (strcmp(argv[at], "--range") || ++at == argc ||
                 sscanf(argv[at], "%x-%x", &first, &last) != 2)
            argc = 0;
    }
    if (at + 1 != argc) {
        fprintf(stderr, "usage: decode_check [--all] [--range FIRST-LAST] DIFFERENCES\n");
        return 2;
    }
    read_rules(&c, argv[at]);
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64Disassembler();
    c.llvm = LLVMCreateDisasmCPUFeatures("aarch64-linux-gnu", "", features, NULL, 0, NULL, NULL);
    if (!c.llvm) {
        fprintf(stderr, "decode_check: this LLVM has no AArch64\n");
        return 2;
    }
    for (uint64_t group = first & ~(GROUP - 1); group <= last; group += GROUP)
        check_group(&c, (uint32_t)group);
    LLVMDisasmDispose(c.llvm);
    return report(&c, first == 0 && last == 0xffffffff);
}
