/*
 * What is known of code with a register map of its own, while it is translated: loops of one block
 * and of several, their streams and searches; with them the instructions of a block, and the V
 * registers that are kept from one turn to the next.
 */
#ifndef SOFT_JIT_LOOP_H
#define SOFT_JIT_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "soft/jit/runtime.h"

/* Halves of a product: made by their own instruction or sum, or earlier with the other one. Then in
 * their register, in RDX for the sum that follows, or kept in cpu.jit_halves. */
enum jit_half { HALF_MADE, HALF_EARLY, HALF_FOLLOWS, HALF_KEPT };

/* An instruction of the block. */
struct jit_insn {
    struct insn i;
    uint16_t op; /* enum a64_op */
    /* JIT_FLAGS_*: what is read behind this instruction, where a branch is not taken */
    uint8_t flags_live;
    uint8_t target_live; /* the same, at the target of this conditional branch */
    bool done;           /* emitted along with one before it */
    /* soft/jit/products.c: a product is made by the instruction `sum`, which has it as `source` -
     * 1; with it its other half, `partner` - 1. 0: none */
    uint8_t sum, source, partner;
    uint8_t end;        /* that product's register has another value behind this instruction */
    uint8_t half, kept; /* enum jit_half; where HALF_KEPT is */
};

#define JIT_BLOCK_MAX    64
#define JIT_STRAIGHT_MAX 250 /* soft/jit/straight.c */

/* Copies of V registers in host registers: soft/jit/vector_cache.c. */
struct jit_vector_cache {
    uint8_t host[32];  /* the xmm register, or 0 */
    uint8_t bytes[32]; /* above these the register is known to be zero */
    uint8_t owner[JIT_VECTOR_COPIES], next;
    uint32_t used;  /* owner[] that count */
    uint32_t dirty; /* V registers that memory does not have */
    bool wide;      /* XMM16 to XMM31 are in use, and XMM14 and XMM15 scratch: x86_evex.h */
    /* The copies of two of them have SHA-256's state in the host's order: vector_sha256.c. */
    struct {
        bool on;
        uint8_t abcd, efgh;
    } sha;
};

/* Accesses at addresses that move by `stride` each turn of a loop: soft/jit/stream.c. */
#define JIT_STREAMS     4
#define JIT_STREAM_BODY 40 /* instructions */
#define JIT_PAIRS       8

struct jit_stream {
    uint8_t rn, rm, scale; /* the base, and the index or REG_NONE */
    bool read, write;
    uint16_t page;     /* 1 + which of tlb.page[] it is looked up in, or 0: in the TLB */
    int8_t add;        /* the host register that has what is to be added to them */
    int64_t low, high; /* the bytes of a turn, from the address at its beginning */
    int64_t stride;
};

/* The bytes of an access, from where its stream is at the beginning of the turn. */
struct jit_place {
    uint8_t stream, size; /* 0: it is none */
    bool write;
    int32_t at;
};

/* What ends a search: soft/jit/leap.c. Besides, a zero byte in a word is found by a register with
 * ONES; what is loaded is stored in the next turn. */
enum {
    JIT_LEAP_ZERO = 1,
    JIT_LEAP_BYTE = 2,
    JIT_LEAP_DIFFERENCE = 4,
    JIT_LEAP_WORD = 8,
    JIT_LEAP_COPIES = 16,
};

struct jit_leap {
    uint8_t exits;         /* JIT_LEAP_* */
    uint8_t first, second; /* the stream; what it is compared with, or copied to */
    uint8_t byte, ones;    /* the V register that has the byte; the general one */
    uint8_t copy;          /* the V register that is stored */
    uint8_t counter;       /* what counts down by `take`, or REG_NONE */
    uint8_t turns, bytes;  /* at once */
    int32_t take;
};

struct jit_streams {
    struct jit_stream at[JIT_STREAMS];
    struct jit_place place[JIT_STREAM_BODY];
    int64_t moved[REG_SP]; /* by a turn, of what moves steadily */
    struct jit_leap leap;
    const uint8_t *body;            /* where the body begins that looks no pages up */
    uint8_t *miss[2 * JIT_STREAMS]; /* look-ups before it that find nothing, or NULL */
    struct jit_vector_cache before; /* as V registers are before the loop */
    uint8_t pair[JIT_PAIRS];        /* registers that are moved along with the next one */
};

/* Of a block whose head is a loop's, with registers of its own: soft/jit/loop.c. */
struct jit_loop {
    bool inside;         /* code of it is being emitted */
    unsigned end;        /* in jit_translation.insn: the last branch back */
    const uint8_t *head; /* where that leads to; NULL: it is an exit */
    bool carry_only;     /* all that is stored of flags where the head is come to */
    int8_t map[REG_COUNT];
    /* V registers in xmm registers from one turn to the next, and those that could be: at the last
     * branch back. Only in warm code. */
    struct jit_vector_cache *carry, *seen;
    /* The body that looks no pages up: is code of it being emitted? */
    bool streaming;
    unsigned streams, pairs; /* so many of them are in `s`, which only warm code has */
    bool leaps;              /* s->leap says how */
    struct jit_streams *s;
};

/* Loops of several blocks: soft/jit/nest.c. */
#define JIT_NEST_MAX      72 /* instructions */
#define JIT_NEST_PARTS    40
#define JIT_NEST_BRANCHES 40

/* Of one: instructions that only the first can be reached at from elsewhere. */
struct jit_nest_part {
    uint8_t first, count; /* in jit_nest.insn */
    const uint8_t *code;  /* NULL: not emitted so far */
};

struct jit_nest {
    struct jit_insn insn[JIT_NEST_MAX];
    unsigned count, parts, head; /* `head`: the part with the block's first instruction */
    struct jit_nest_part part[JIT_NEST_PARTS];
    struct {
        uint8_t *from;
        unsigned part;
    } jump[2 * JIT_NEST_BRANCHES + 2]; /* to parts that were not emitted then */
    unsigned jumps;
};

#endif
