/*
 * Pointer authentication (FEAT_PAuth, DDI 0487 D8.10 and C6.2; shared pseudocode AddPAC, Auth,
 * Strip). Only CPUs with the option `pauth` decode to these functions.
 *
 * The algorithm is our own (ID_AA64ISAR1_EL1.API and GPI): a keyed mix of 64 bits, not a cipher.
 * It keeps signed pointers apart as hardware does, cheaply; it withstands no analysis. A pointer
 * that fails gets an error code, which makes its use fault; nothing faults here (no FEAT_FPAC).
 */
#include "soft/interp/interp.h"
#include "soft/vcpu.h"

/* Numbered as in the encodings, and as the key registers follow each other. */
enum pac_key { KEY_IA, KEY_IB, KEY_DA, KEY_DB, KEY_GA };

static bool key_is_data(enum pac_key key)
{
    return key >= KEY_DA;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 32) * 0xd6e8feb86659fd93ull;
    return x ^ x >> 29;
}

/* ComputePAC(). */
static uint64_t compute(const struct soft_vcpu *v, uint64_t x, uint64_t modifier, enum pac_key key)
{
    const uint64_t *k = &v->sys[SYSREG_APIAKEYLO_EL1 + 2 * key];

    return mix(mix(mix(x ^ k[0]) ^ modifier) + k[1]);
}

/* SCTLR_EL1.EnIA, EnIB, EnDA, EnDB. */
static bool key_is_enabled(const struct soft_vcpu *v, enum pac_key key)
{
    static const uint8_t enable[] = { 31, 30, 27, 13 };

    return bit(v->sys[SYSREG_SCTLR_EL1], enable[key]);
}

/* EffectiveTBI(): bits <63:56> of an address in this half are a tag. */
static bool is_tagged(const struct mmu_half *h, bool data)
{
    return h->tbi && (data || !h->tbid);
}

/* The bits of the code for an address whose half is `h`; bit 55 stays to tell the half. */
static uint64_t code_mask(const struct mmu_half *h, bool tagged)
{
    return (ones(55) & ~ones(h->input_bits)) | (tagged ? 0 : 0xffull << 56);
}

static uint64_t extend(uint64_t p, uint64_t mask, bool upper)
{
    return upper ? p | mask | 1ull << 55 : p & ~(mask | 1ull << 55);
}

/* AddPAC(). */
static uint64_t pointer_sign(const struct soft_vcpu *v, uint64_t p, uint64_t modifier,
                             enum pac_key key)
{
    const struct mmu_half *half = v->regime.half;
    bool data = key_is_data(key);

    if (!key_is_enabled(v, key))
        return p;
    bool tagged = is_tagged(&half[bit(p, 55)], data);
    bool either = is_tagged(&half[0], data) || is_tagged(&half[1], data);
    bool upper = bit(p, either ? 55 : 63);
    uint64_t mask = code_mask(&half[upper], tagged);
    uint64_t extension = mask | 1ull << 55;
    uint64_t code = compute(v, extend(p, mask, upper), modifier, key);

    if ((p & extension) != 0 && (p & extension) != extension)
        code ^= 1ull << (tagged ? 54 : 62); /* no address to begin with: shall not pass */
    return (extend(p, mask, upper) & ~mask) | (code & mask);
}

/* Auth(). The error code is 0b01 for key A and 0b10 for key B. */
static uint64_t pointer_authenticate(const struct soft_vcpu *v, uint64_t p, uint64_t modifier,
                                     enum pac_key key)
{
    const struct mmu_half *h = &v->regime.half[bit(p, 55)];
    bool tagged = is_tagged(h, key_is_data(key));
    uint64_t mask = code_mask(h, tagged);

    if (!key_is_enabled(v, key))
        return p;
    uint64_t address = extend(p, mask, bit(p, 55));
    if (((compute(v, address, modifier, key) ^ p) & mask) == 0)
        return address;
    unsigned at = tagged ? 53 : 61;
    return (address & ~(3ull << at)) | (uint64_t)(key & 1 ? 2 : 1) << at;
}

/* Strip(). */
static uint64_t pointer_strip(const struct soft_vcpu *v, uint64_t p, bool data)
{
    const struct mmu_half *h = &v->regime.half[bit(p, 55)];

    return extend(p, code_mask(h, is_tagged(h, data)), bit(p, 55));
}

/* rd is where the pointer goes and rm where it comes from, rn the modifier, a the key. */
INSN(PAC)
{
    c->x[i->rd] = pointer_sign(vcpu_of(c), c->x[i->rm], c->x[i->rn], (enum pac_key)i->a);
    return i + 1;
}

INSN(AUT)
{
    c->x[i->rd] = pointer_authenticate(vcpu_of(c), c->x[i->rm], c->x[i->rn], (enum pac_key)i->a);
    return i + 1;
}

INSN(XPAC)
{
    c->x[i->rd] = pointer_strip(vcpu_of(c), c->x[i->rm], i->a);
    return i + 1;
}

INSN(PACGA)
{
    uint64_t code = compute(vcpu_of(c), c->x[i->rn], c->x[i->rm], KEY_GA);

    c->x[i->rd] = code & ~ones(32);
    return i + 1;
}

/* Branches: rn is the target, rm the modifier. */
static uint64_t branch_target(struct cpu *c, const struct insn *i)
{
    return pointer_authenticate(vcpu_of(c), c->x[i->rn], c->x[i->rm], (enum pac_key)i->a);
}

INSN(BRA)
{
    return interp_branch_indirect(c, i, branch_target(c, i), interp_branch_type(c, i));
}

INSN(BLRA)
{
    uint64_t target = branch_target(c, i);

    c->x[REG_LR] = cpu_pc(c, i) + 4;
    return interp_branch_indirect(c, i, target, BTYPE_CALL);
}

INSN(RETA)
{
    return interp_branch_indirect(c, i, branch_target(c, i), BTYPE_NONE);
}

INSN(ERETA)
{
    struct soft_vcpu *v = vcpu_of(c);

    if (c->el == 0)
        exc_undefined(c, i);
    uint64_t target =
        pointer_authenticate(v, v->sys[SYSREG_ELR_EL1], c->x[REG_SP], (enum pac_key)i->a);
    cpu_end_run(c, cpu_pc(c, i) + 4);
    exc_return(c);
    c->pc = target;
    return NULL;
}

static uint64_t load_address(struct cpu *c, const struct insn *i)
{
    return pointer_authenticate(vcpu_of(c), interp_base(c, i), 0, (enum pac_key)i->a) +
           (uint64_t)i->imm;
}

INSN(LDRA)
{
    c->x[i->rd] = mem_ld64(c, i, load_address(c, i));
    return i + 1;
}

INSN(LDRA_pre)
{
    uint64_t address = load_address(c, i);
    uint64_t value = mem_ld64(c, i, address);

    c->x[i->rn] = address;
    c->x[i->rd] = value;
    return i + 1;
}
