/*
 * Which encodings of data processing, of general and of SIMD&FP registers, does the JIT leave to
 * the interpreter?
 *
 * Every line of soft/a64.decode of these groups is taken in all its forms: what is not a register's
 * number or a long immediate takes all values, or random ones where there are too many. Each word
 * is executed on harmless operands: 1.5 in half, single and double precision and zero, one after
 * the other. A form is left if the engine's counter of that line counts for each of them
 * (hvx_vcpu_stats.left): the line has no emitter, its emitter refuses the form, or the common
 * operands take its slow path.
 *
 * usage: untranslated [FILE]
 *
 * Prints `NAME left of forms, first word`. With FILE, the lines that are left as they are known, it
 * is a TAP test that what is left is exactly that; run it with IREKO_JIT=baseline, so that it is
 * the same on every host. Ends with 77 if there is no JIT here.
 */
#include <Hypervisor/Hypervisor.h>
#include <Hypervisor/hvx.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decode_table.h"

#define RAM      0x10000000u
#define RAM_SIZE 0x200000u
#define FORMS    512 /* of one line, at most */

#define A64_HVC  0xd4000002u
#define A64_WORD 4u

#define LINES     (sizeof lines / sizeof lines[0])
#define NO_ENGINE 77

struct machine {
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;
    uint8_t *ram;
    uint32_t at; /* the next word's place, from RAM */
    struct hvx_vcpu_stats stats;
};

static void check(hv_return_t r, const char *what)
{
    if (r == HV_SUCCESS)
        return;
    fprintf(stderr, "untranslated: %s: 0x%x\n", what, (unsigned)r);
    exit(2);
}

static void machine_open(struct machine *m)
{
    void *host = NULL;

    check(hv_vm_create(NULL), "hv_vm_create");
    check(hv_vm_allocate(&host, RAM_SIZE, HV_ALLOCATE_DEFAULT), "hv_vm_allocate");
    check(hv_vm_map(host, RAM, RAM_SIZE, HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC),
          "hv_vm_map");
    m->ram = host;
    check(hv_vcpu_create(&m->vcpu, &m->exit, NULL), "hv_vcpu_create");
    check(hv_vcpu_set_sys_reg(m->vcpu, HV_SYS_REG_CPACR_EL1, 3u << 20), "CPACR_EL1");
    check(hv_vcpu_set_sys_reg(m->vcpu, HV_SYS_REG_SCTLR_EL1, 0x30d00800), "SCTLR_EL1");
    check(hv_vcpu_set_sys_reg(m->vcpu, HV_SYS_REG_VBAR_EL1, RAM), "VBAR_EL1");
    for (uint32_t k = 0; k < 0x800 / A64_WORD; k++) /* exceptions end the run as well */
        memcpy(m->ram + k * A64_WORD, &(uint32_t){ A64_HVC }, A64_WORD);
    m->at = 0x800;
}

/* All V registers are `pattern`, and the general ones a number. */
static void set_operands(struct machine *m, uint64_t pattern)
{
    hv_simd_fp_uchar16_t value;

    memcpy(&value, &pattern, sizeof pattern);
    memcpy((uint8_t *)&value + sizeof pattern, &pattern, sizeof pattern);
    for (unsigned k = 0; k < 8; k++) {
        check(hv_vcpu_set_simd_fp_reg(m->vcpu, (hv_simd_fp_reg_t)(HV_SIMD_FP_REG_Q0 + k), value),
              "Q");
        check(hv_vcpu_set_reg(m->vcpu, (hv_reg_t)(HV_REG_X0 + k), k + 1), "X");
    }
}

/* How often the instruction at m->at is left in a run. */
static uint64_t run(struct machine *m, unsigned kind)
{
    uint64_t before = m->stats.left[kind];

    check(hv_vcpu_set_reg(m->vcpu, HV_REG_PC, RAM + m->at), "PC");
    check(hv_vcpu_set_reg(m->vcpu, HV_REG_CPSR, 0x3c5), "CPSR");
    do
        check(hv_vcpu_run(m->vcpu), "hv_vcpu_run");
    while (m->exit->reason != HV_EXIT_REASON_EXCEPTION);
    check(hvx_vcpu_get_stats(m->vcpu, &m->stats), "hvx_vcpu_get_stats");
    return m->stats.left[kind] - before;
}

static bool is_left(struct machine *m, unsigned kind, uint32_t word)
{
    static const uint64_t patterns[] = { 0x3fc000003fc00000, 0x3ff8000000000000, 0x3e003e003e003e00,
                                         0 };
    bool left = true;

    memcpy(m->ram + m->at, (uint32_t[]){ word, A64_HVC }, 2 * A64_WORD);
    for (unsigned k = 0; k < sizeof patterns / sizeof patterns[0] && left; k++) {
        set_operands(m, patterns[k]);
        left = run(m, kind) > 0;
    }
    m->at += 2 * A64_WORD;
    if (m->at > RAM_SIZE - 0x1000) {
        fprintf(stderr, "untranslated: the memory for words is full\n");
        exit(2);
    }
    return left;
}

/* Data processing of registers, of SIMD&FP registers. (DDI 0487 C4.1.) */
static bool is_wanted(const struct line *l)
{
    uint32_t w = l->bits.value;

    return (w >> 25 & 7) == 5 || (w >> 25 & 7) == 7;
}

/* Put the low bits of `value` where `mask` is set. */
static uint32_t deposit(uint32_t value, uint32_t mask)
{
    uint32_t word = 0;

    for (; mask; mask &= mask - 1, value >>= 1)
        if (value & 1)
            word |= mask & -mask;
    return word;
}

static bool matches(const struct line *l, uint32_t word)
{
    for (const struct cube *h = l->holes; h->mask; h++)
        if ((word & h->mask) == h->value)
            return false;
    return true;
}

static unsigned kind_of(const char *name)
{
    for (unsigned k = 0; k < HVX_STATS_KINDS; k++) {
        const char *other = hvx_instruction_name(k);
        if (other && strcmp(other, name) == 0)
            return k;
    }
    fprintf(stderr, "untranslated: no counter of %s\n", name);
    exit(2);
}

struct result {
    unsigned left, forms;
    uint32_t first;
};

static struct result try_line(struct machine *m, const struct line *l)
{
    struct result r = { 0 };
    uint32_t shape = ~(l->bits.mask | l->free_bits), random = 1;
    unsigned width = (unsigned)__builtin_popcount(shape), kind = kind_of(l->name);
    bool all = width < 10 && 1u << width <= FORMS;
    /* rd 4, rn 1, ra 5, rm 2 */
    uint32_t registers = (4u | 1u << 5 | 5u << 10 | 2u << 16) & l->free_bits;

    for (uint32_t k = 0; k < (all ? 1u << width : FORMS); k++) {
        random = random * 1664525 + 1013904223;
        uint32_t word = l->bits.value | deposit(all ? k : random >> (32 - width), shape);
        word |= registers;
        if (!matches(l, word))
            continue;
        r.forms++;
        if (!is_left(m, kind, word))
            continue;
        if (r.left++ == 0)
            r.first = word;
    }
    return r;
}

/* Print what is left, or with `known` the lines that are not in it; how many differ. */
static unsigned compare(struct machine *m, const char *known)
{
    unsigned left = 0, wanted = 0, wrong = 0;

    for (const char *c = known; c && *c; c++)
        wanted += *c == '\n' && c[1] && c[1] != '#';
    for (size_t n = 0; n < LINES; n++) {
        if (!is_wanted(&lines[n]))
            continue;
        struct result r = try_line(m, &lines[n]);
        char text[128];
        if (r.left == 0)
            continue;
        left++;
        snprintf(text, sizeof text, "\n%s %u of %u, 0x%08x\n", lines[n].name, r.left, r.forms,
                 (unsigned)r.first);
        if (!known)
            fputs(text + 1, stdout);
        else if (!strstr(known, text) && wrong++ < 20)
            printf("# not as it is known: %s", text + 1);
    }
    if (known && left != wanted)
        printf("# %u lines are left, %u are known\n", left, wanted);
    return wrong + (known && left != wanted);
}

/* The file as text; it begins with a comment. */
static char *read_known(const char *path)
{
    static const size_t size = 1u << 16;
    char *text = calloc(1, size);
    FILE *file = fopen(path, "r");

    if (!file || !text || fread(text, 1, size, file) == size || *text != '#') {
        fprintf(stderr, "untranslated: %s is no list of what is known\n", path);
        exit(2);
    }
    fclose(file);
    return text;
}

int main(int argc, char **argv)
{
    static struct machine m;
    char *known = argc > 1 ? read_known(argv[1]) : NULL;

    if (hvx_set_engine("jit") != HV_SUCCESS)
        return NO_ENGINE;
    machine_open(&m);
    unsigned wrong = compare(&m, known);
    if (known)
        printf("1..1\n%sok 1 - what is left is as it is known\n", wrong ? "not " : "");
    free(known);
    check(hv_vcpu_destroy(m.vcpu), "hv_vcpu_destroy");
    check(hv_vm_destroy(), "hv_vm_destroy");
    return wrong ? 1 : 0;
}
