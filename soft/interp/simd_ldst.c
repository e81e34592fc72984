/*
 * Advanced SIMD load and store of structures: LD1 to LD4 and ST1 to ST4, of whole registers, of one
 * element, and replicated to all elements; with and without post-index.
 * DDI 0487 C4.1.94, "Advanced SIMD load/store multiple structures" and the classes after it.
 *
 * The bytes pass through a buffer, so a load that faults changes no register. Memory that the TLB
 * knows as plain is copied at once; elsewhere each element is an access of its own, as the
 * architecture has it for alignment checks and device memory.
 */
#include "soft/interp/simd.h"

enum { STRUCTURE_MAX = 64 }; /* bytes: four registers */

#define NOINLINE __attribute__((noinline))

/* Short copies without a call: 1 to 64 bytes. */
static void copy_bytes(uint8_t *to, const uint8_t *from, unsigned bytes)
{
    for (; bytes >= 8; bytes -= 8, to += 8, from += 8)
        st_le64(to, ld_le64(from));
    for (; bytes; bytes--)
        *to++ = *from++;
}

static void load_elements(struct cpu *c, const struct insn *i, uint64_t va, uint8_t *buf,
                          unsigned bytes, unsigned size)
{
    const uint8_t *host = interp_readable(c, va, bytes);

    if (host) {
        copy_bytes(buf, host, bytes);
        return;
    }
    mem_probe(c, i, va, bytes, 1u << size, false, 0);
    for (unsigned at = 0; at < bytes; at += 1u << size) {
        switch (size) {
        case 0:
            buf[at] = mem_ld8(c, i, va + at);
            break;
        case 1:
            st_le16(buf + at, mem_ld16(c, i, va + at));
            break;
        case 2:
            st_le32(buf + at, mem_ld32(c, i, va + at));
            break;
        default:
            st_le64(buf + at, mem_ld64(c, i, va + at));
            break;
        }
    }
}

static void store_elements(struct cpu *c, const struct insn *i, uint64_t va, const uint8_t *buf,
                           unsigned bytes, unsigned size)
{
    uint8_t *host = interp_writable(c, va, bytes);

    if (host) {
        copy_bytes(host, buf, bytes);
        return;
    }
    mem_probe(c, i, va, bytes, 1u << size, true, 0);
    for (unsigned at = 0; at < bytes; at += 1u << size) {
        switch (size) {
        case 0:
            mem_st8(c, i, va + at, buf[at]);
            break;
        case 1:
            mem_st16(c, i, va + at, ld_le16(buf + at));
            break;
        case 2:
            mem_st32(c, i, va + at, ld_le32(buf + at));
            break;
        default:
            mem_st64(c, i, va + at, ld_le64(buf + at));
            break;
        }
    }
}

/* The post-indexed forms have bit 23 set; Rm of 31 stands for the number of bytes. */
static void post_index(struct cpu *c, const struct insn *i, uint64_t va, unsigned bytes)
{
    if (bit(i->word, 23))
        c->x[i->rn] = va + (i->rm == 31 ? bytes : c->x[i->rm]);
}

/* What the opcode of multiple structures says. */
struct multiple {
    unsigned registers;
    bool interleaved; /* LD2 to LD4: register r has every registers-th element */
};

static struct multiple multiple_of(const struct insn *i)
{
    switch (bits(i->word, 15, 12)) {
    case 0:
        return (struct multiple){ 4, true };
    case 2:
        return (struct multiple){ 4, false };
    case 4:
        return (struct multiple){ 3, true };
    case 6:
        return (struct multiple){ 3, false };
    case 7:
        return (struct multiple){ 1, false };
    case 8:
        return (struct multiple){ 2, true };
    default:
        return (struct multiple){ 2, false };
    }
}

static unsigned multiple_size(const struct insn *i)
{
    return (unsigned)bits(i->word, 11, 10);
}

/* Copy the elements of register r between memory and its bytes. */
ALWAYS_INLINE void copy_elements(unsigned size, uint8_t *buf, uint8_t *v, unsigned r,
                                 unsigned registers, unsigned elements, bool load)
{
    for (unsigned k = 0; k < elements; k++) {
        uint8_t *at = buf + ((k * registers + r) << size);
        if (load)
            memcpy(v + (k << size), at, 1u << size);
        else
            memcpy(at, v + (k << size), 1u << size);
    }
}

static void copy_interleaved(unsigned size, uint8_t *buf, uint8_t *v, unsigned r,
                             unsigned registers, unsigned elements, bool load)
{
    SIMD_BY_SIZE(size, copy_elements, buf, v, r, registers, elements, load);
}

/* Through the buffer; kept out of the frequent case's frame. */
static NOINLINE const struct insn *load_multiple(struct cpu *c, const struct insn *i,
                                                 struct multiple m, uint64_t va)
{
    unsigned size = multiple_size(i), each = simd_q(i) ? 16 : 8, bytes = each * m.registers;
    uint8_t buf[STRUCTURE_MAX];

    load_elements(c, i, va, buf, bytes, size);
    for (unsigned r = 0; r < m.registers; r++) {
        union vreg *v = &c->v[(i->rd + r) % 32];
        if (m.interleaved)
            copy_interleaved(size, buf, v->b, r, m.registers, each >> size, true);
        else
            copy_bytes(v->b, buf + r * each, each);
        if (!simd_q(i))
            v->d[1] = 0;
    }
    post_index(c, i, va, bytes);
    return i + 1;
}

INSN(LD_multiple)
{
    fp_check(c, i);
    struct multiple m = multiple_of(i);
    unsigned each = simd_q(i) ? 16 : 8, bytes = each * m.registers;
    uint64_t va = interp_base(c, i);
    const uint8_t *host = m.interleaved ? NULL : interp_readable(c, va, bytes);

    if (!host)
        return load_multiple(c, i, m, va);
    for (unsigned r = 0; r < m.registers; r++, host += each) {
        union vreg *v = &c->v[(i->rd + r) % 32];
        v->d[0] = ld_le64(host);
        v->d[1] = simd_q(i) ? ld_le64(host + 8) : 0;
    }
    post_index(c, i, va, bytes);
    return interp_next(c, i);
}

static NOINLINE const struct insn *store_multiple(struct cpu *c, const struct insn *i,
                                                  struct multiple m, uint64_t va)
{
    unsigned size = multiple_size(i), each = simd_q(i) ? 16 : 8, bytes = each * m.registers;
    uint8_t buf[STRUCTURE_MAX];

    for (unsigned r = 0; r < m.registers; r++) {
        union vreg *v = &c->v[(i->rd + r) % 32];
        if (m.interleaved)
            copy_interleaved(size, buf, v->b, r, m.registers, each >> size, false);
        else
            copy_bytes(buf + r * each, v->b, each);
    }
    store_elements(c, i, va, buf, bytes, size);
    post_index(c, i, va, bytes);
    return i + 1;
}

INSN(ST_multiple)
{
    fp_check(c, i);
    struct multiple m = multiple_of(i);
    unsigned each = simd_q(i) ? 16 : 8, bytes = each * m.registers;
    uint64_t va = interp_base(c, i);
    uint8_t *host = m.interleaved ? NULL : interp_writable(c, va, bytes);

    if (!host)
        return store_multiple(c, i, m, va);
    for (unsigned r = 0; r < m.registers; r++, host += each) {
        const union vreg *v = &c->v[(i->rd + r) % 32];
        st_le64(host, v->d[0]);
        if (simd_q(i))
            st_le64(host + 8, v->d[1]);
    }
    post_index(c, i, va, bytes);
    return interp_next(c, i);
}

/* One element of each of 1 to 4 registers. opcode = scale : (registers - 1)<1>, R is <0>. */
struct single {
    unsigned registers, size, index;
};

static unsigned single_registers(const struct insn *i)
{
    return (unsigned)(bit(i->word, 13) << 1 | bit(i->word, 21)) + 1;
}

static struct single single_of(const struct insn *i)
{
    unsigned scale = (unsigned)bits(i->word, 15, 14);
    unsigned index = (unsigned)(simd_q(i) << 3 | bits(i->word, 12, 10)); /* Q:S:size */
    struct single s = { single_registers(i), scale, index >> scale };

    if (scale == 2 && bit(i->word, 10)) {
        s.size = 3;
        s.index = simd_q(i);
    }
    return s;
}

INSN(LD_single)
{
    fp_check(c, i);
    struct single s = single_of(i);
    unsigned bytes = s.registers << s.size;
    uint64_t va = interp_base(c, i);
    uint8_t buf[STRUCTURE_MAX];

    load_elements(c, i, va, buf, bytes, s.size);
    for (unsigned r = 0; r < s.registers; r++)
        memcpy(c->v[(i->rd + r) % 32].b + (s.index << s.size), buf + (r << s.size), 1u << s.size);
    post_index(c, i, va, bytes);
    return i + 1;
}

INSN(ST_single)
{
    fp_check(c, i);
    struct single s = single_of(i);
    unsigned bytes = s.registers << s.size;
    uint64_t va = interp_base(c, i);
    uint8_t buf[STRUCTURE_MAX];

    for (unsigned r = 0; r < s.registers; r++)
        memcpy(buf + (r << s.size), c->v[(i->rd + r) % 32].b + (s.index << s.size), 1u << s.size);
    store_elements(c, i, va, buf, bytes, s.size);
    post_index(c, i, va, bytes);
    return i + 1;
}

INSN(LD_replicate)
{
    fp_check(c, i);
    unsigned registers = single_registers(i), size = multiple_size(i), bytes = registers << size;
    uint64_t va = interp_base(c, i);
    uint8_t buf[STRUCTURE_MAX];

    load_elements(c, i, va, buf, bytes, size);
    for (unsigned r = 0; r < registers; r++) {
        union vreg v = { .d = { 0, 0 } };
        for (unsigned k = 0; k < (simd_q(i) ? 16u : 8u); k += 1u << size)
            memcpy(v.b + k, buf + (r << size), 1u << size);
        c->v[(i->rd + r) % 32] = v;
    }
    post_index(c, i, va, bytes);
    return i + 1;
}
