/*
 * An interpreter as scripting languages have them: a register machine, one indirect jump to the
 * next operation at the end of each. The program counts the steps of the Collatz sequences up to a
 * limit.
 */
#include "bench.h"

enum op {
    OP_ADD,
    OP_ADDI,
    OP_MULI,
    OP_SHR1,
    OP_ODD,
    OP_JZ,
    OP_JLT,
    OP_JNE1,
    OP_JMP,
    OP_MOV,
    OP_END,
    OPS
};

struct code {
    uint8_t op, a, b;
    int16_t n;
};

/* r0 number, r1 its sequence, r2 steps in all, r3 limit, r4 is it odd */
static const struct code program[] = {
    { OP_MOV, 1, 0, 0 },  /*  0: next number */
    { OP_ODD, 4, 1, 0 },  /*  1: next step */
    { OP_JZ, 4, 0, 5 },   /*  2 */
    { OP_MULI, 1, 0, 3 }, /*  3 */
    { OP_ADDI, 1, 0, 1 }, /*  4 */
    { OP_SHR1, 1, 0, 0 }, /*  5 */
    { OP_ADD, 2, 4, 0 },  /*  6 */
    { OP_ADDI, 2, 0, 1 }, /*  7 */
    { OP_JNE1, 1, 0, 1 }, /*  8 */
    { OP_ADDI, 0, 0, 1 }, /*  9 */
    { OP_JLT, 0, 3, 0 },  /* 10 */
    { OP_END, 2, 0, 0 },  /* 11 */
};

static uint64_t interpret(const struct code *code, uint64_t *r)
{
    static const void *const labels[OPS] = {
        [OP_ADD] = &&add, [OP_ADDI] = &&addi, [OP_MULI] = &&muli, [OP_SHR1] = &&shr1,
        [OP_ODD] = &&odd, [OP_JZ] = &&jz,     [OP_JLT] = &&jlt,   [OP_JNE1] = &&jne1,
        [OP_JMP] = &&jmp, [OP_MOV] = &&mov,   [OP_END] = &&end,
    };
    const struct code *c = code;
#define NEXT goto *labels[c->op]
#define STEP                                                                                       \
    do {                                                                                           \
        c++;                                                                                       \
        NEXT;                                                                                      \
    } while (0)
    NEXT;
add:
    r[c->a] += r[c->b];
    STEP;
addi:
    r[c->a] += (uint64_t)c->n;
    STEP;
muli:
    r[c->a] *= (uint64_t)c->n;
    STEP;
shr1:
    r[c->a] >>= 1;
    STEP;
odd:
    r[c->a] = r[c->b] & 1;
    STEP;
mov:
    r[c->a] = r[c->b];
    STEP;
jz:
    c = r[c->a] == 0 ? code + c->n : c + 1;
    NEXT;
jlt:
    c = r[c->a] < r[c->b] ? code + c->n : c + 1;
    NEXT;
jne1:
    c = r[c->a] != 1 ? code + c->n : c + 1;
    NEXT;
jmp:
    c = code + c->n;
    NEXT;
end:
    return r[c->a];
}

int main(void)
{
    uint64_t start = bench_now();
    uint64_t registers[8] = { [0] = 2, [3] = 100000 };
    return bench_report(start, interpret(program, registers));
}
