/*
 * Memory copy and memory set (FEAT_MOPS; DDI 0487 C6.2 CPYP, CPYFP, SETP and those after them, and
 * the pseudocode MemCpyParametersIllformedM() and its kin). Each is three instructions in a row,
 * prologue, main part and epilogue, with three registers: Xd, Xs (of SET the byte) and Xn, the
 * size.
 *
 * How the work is divided is IMPLEMENTATION DEFINED. This CPU has option A, which C = 0 says:
 * forwards, Xd and Xs are the ends and Xn minus what is left; backwards, which only CPY* does and N
 * > 0 says, they stay and Xn is what is left. The prologue prepares the registers, the main part
 * does everything, and the epilogue what is left if somebody went there early.
 *
 * Plain memory is done page by page at the host's speed, all else byte by byte. After each piece
 * the registers say what is left, so that a fault, or the end of the run, comes at any time: the
 * same instruction goes on where it was.
 */
#include <string.h>

#include "soft/interp/interp.h"
#include "soft/vcpu.h"

/* Bytes of one execution, and how many of these one is worth that is done by itself. */
enum { WORK = 1 << 16, WORK_BYTE = 64 };

/* ISS of EC 0x27 (D24.2.40, "ISS encoding for an exception from the Memory Copy and Memory Set
 * instructions"). */
#define ISS_SET      (1u << 24)
#define ISS_OPTIONS  19
#define ISS_EPILOGUE (1u << 18)
#define ISS_WRONG    (1u << 17)
#define ISS_OPTION_A (1u << 16)

static bool is_set(const struct insn *i)
{
    return (i->word & 0x07c00000) == 0x01c00000;
}

/* Which of the three: 0 prologue, 1 main, 2 epilogue. */
static unsigned stage_of(const struct insn *i)
{
    return (unsigned)(is_set(i) ? bits(i->word, 15, 14) : bits(i->word, 23, 22));
}

/* CheckMOPSEnabled(), and the registers: what is CONSTRAINED UNPREDICTABLE (K1.2, "Memory Copy and
 * Memory Set") is undefined here. */
static void mops_check(struct cpu *c, const struct insn *i)
{
    unsigned d = i->rd, s = i->rm, n = i->rn;
    bool enabled = c->el || (vcpu_of(c)->sys[SYSREG_SCTLR_EL1] & SCTLR_MSCEN);
    bool zero = d == REG_NONE || n == REG_ZR || (s == REG_ZR && !is_set(i));

    if (!enabled || d == s || d == n || s == n || zero)
        exc_undefined(c, i);
}

/* Of the main part and the epilogue: registers that a prologue of option B prepared are the
 * business of whoever moved the program here. */
static void mops_check_option(struct cpu *c, const struct insn *i)
{
    uint32_t options = (uint32_t)bits(i->word, 15, 12) & (is_set(i) ? 3 : 15);
    uint32_t iss = ISS_WRONG | ISS_OPTION_A | options << ISS_OPTIONS;

    iss |= (uint32_t)(bits(i->word, 4, 0) << 10 | bits(i->word, 20, 16) << 5 | bits(i->word, 9, 5));
    mops_check(c, i);
    if (!(c->nzcv & PSTATE_C))
        return;
    iss |= (is_set(i) ? ISS_SET : 0) | (stage_of(i) == 2 ? ISS_EPILOGUE : 0);
    exc_sync(c, EC_MOPS, iss, cpu_pc(c, i));
}

/* An access of one byte: for EL0 if the options, `bit` of the word, say so. */
static unsigned flags_of(const struct insn *i, unsigned n)
{
    return bit(i->word, n) ? MEM_UNPRIV : 0;
}

/* Can these accesses go through the TLB of the current exception level? */
static bool is_plain(const struct cpu *c, unsigned flags)
{
    return !(flags & MEM_UNPRIV) || c->el == 0;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Bytes from `va` to the end of its page; up to `va`, from the beginning of that with the byte
 * below. */
static uint64_t page_after(uint64_t va)
{
    return 4096 - (va & 4095);
}

static uint64_t page_before(uint64_t va)
{
    return ((va - 1) & 4095) + 1;
}

/* Go on: with the next instruction, or with this one, when others have had their turn. */
static const struct insn *mops_end(struct cpu *c, const struct insn *i)
{
    return c->x[i->rn] ? soft_resume(c, cpu_pc(c, i)) : i + 1;
}

/* One piece of at most `size` bytes at `to`, forwards; how many it was. */
static uint64_t set_piece(struct cpu *c, const struct insn *i, uint64_t to, uint64_t size)
{
    unsigned flags = flags_of(i, 12);
    uint8_t value = (uint8_t)c->x[i->rm];
    uint8_t *host = is_plain(c, flags) ? interp_writable(c, to, 1) : NULL;

    if (!host) {
        mem_store_slow(c, i, to, 1, value, flags);
        return 1;
    }
    size = least(size, page_after(to));
    memset(host, value, size);
    return size;
}

INSN(SETP)
{
    mops_check(c, i);
    uint64_t size = least(c->x[i->rn], INT64_MAX);
    c->x[i->rd] += size;
    c->x[i->rn] = -size;
    c->nzcv = 0;
    return i + 1;
}

INSN(SETM)
{
    mops_check_option(c, i);
    for (uint64_t work = 0; c->x[i->rn] && work < WORK;) {
        uint64_t left = -c->x[i->rn];
        uint64_t done = set_piece(c, i, c->x[i->rd] - left, least(left, WORK - work));
        c->x[i->rn] += done;
        work += done == 1 ? WORK_BYTE : done;
    }
    return mops_end(c, i);
}

/* The same of a copy. Pages of the guest may be the same memory of the host. */
static uint64_t copy_piece(struct cpu *c, const struct insn *i, uint64_t to, uint64_t from,
                           uint64_t size)
{
    unsigned write = flags_of(i, 12), read = flags_of(i, 13);
    bool plain = is_plain(c, write) && is_plain(c, read);
    const uint8_t *source = plain ? interp_readable(c, from, 1) : NULL;
    uint8_t *host = plain ? interp_writable(c, to, 1) : NULL;

    if (!source || !host) {
        uint64_t value = mem_load_slow(c, i, from, 1, read);
        mem_store_slow(c, i, to, 1, value, write);
        return 1;
    }
    size = least(size, least(page_after(to), page_after(from)));
    memmove(host, source, size);
    return size;
}

/* The same backwards: the piece ends before `to` and `from`. */
static uint64_t copy_piece_before(struct cpu *c, const struct insn *i, uint64_t to, uint64_t from,
                                  uint64_t size)
{
    size = least(size, least(page_before(to), page_before(from)));
    const uint8_t *source = interp_readable(c, from - size, (unsigned)size);
    uint8_t *host = interp_writable(c, to - size, (unsigned)size);
    bool plain = is_plain(c, flags_of(i, 12)) && is_plain(c, flags_of(i, 13));

    if (!plain || !source || !host)
        return copy_piece(c, i, to - 1, from - 1, 1);
    memmove(host, source, size);
    return size;
}

/* CPYFP: forwards. */
INSN(CPYFP)
{
    mops_check(c, i);
    uint64_t size = least(c->x[i->rn], INT64_MAX);
    c->x[i->rd] += size;
    c->x[i->rm] += size;
    c->x[i->rn] = -size;
    c->nzcv = 0;
    return i + 1;
}

/* CPYP: in the direction in which nothing is overwritten before it is read; addresses have 56 bits
 * here, and so does the size at most. */
INSN(CPYP)
{
    mops_check(c, i);
    uint64_t to = c->x[i->rd] & ones(56), from = c->x[i->rm] & ones(56);
    uint64_t size = least(c->x[i->rn], ones(55));
    bool backwards = from < to && to < from + size;

    c->x[i->rd] += backwards ? 0 : size;
    c->x[i->rm] += backwards ? 0 : size;
    c->x[i->rn] = backwards ? size : -size;
    c->nzcv = 0;
    return i + 1;
}

INSN(CPYM)
{
    bool backwards;

    mops_check_option(c, i);
    backwards = bit(i->word, 26) && !(c->x[i->rn] >> 63);
    for (uint64_t work = 0; c->x[i->rn] && work < WORK;) {
        uint64_t to = c->x[i->rd] + c->x[i->rn], from = c->x[i->rm] + c->x[i->rn], done;
        if (backwards)
            done = copy_piece_before(c, i, to, from, least(c->x[i->rn], WORK - work));
        else
            done = copy_piece(c, i, to, from, least(-c->x[i->rn], WORK - work));
        c->x[i->rn] += backwards ? -done : done;
        work += done == 1 ? WORK_BYTE : done;
    }
    return mops_end(c, i);
}
