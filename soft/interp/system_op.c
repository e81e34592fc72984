/*
 * SYS and SYSL: cache maintenance, address translation, TLB maintenance (DDI 0487 C5.3 to C5.5).
 *
 * There are no caches to clean: data cache operations only make the faults they have to. IC drops
 * decoded slots; TLBI drops TLB entries, on other vCPUs by request when it is a shareable form.
 */
#include "soft/interp/interp.h"
#include "soft/interp/system.h"
#include "soft/mmu/abort.h"
#include "soft/vcpu.h"

#define SYS_OP(op1, crn, crm, op2) ((op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))
#define LINE                       64

enum op_kind { OP_NONE, OP_IC_ALL, OP_IC_VA, OP_DC_VA, OP_DC_SET_WAY, OP_DC_ZERO, OP_AT, OP_TLBI };

enum tlbi_scope { TLBI_ALL, TLBI_ASID, TLBI_VA, TLBI_VA_ANY, TLBI_RANGE, TLBI_RANGE_ANY };

struct op {
    enum op_kind kind;
    uint64_t el0;    /* SCTLR_EL1 bit that lets EL0 do it; 0: undefined there */
    bool shared;     /* IC, TLBI: on all vCPUs */
    uint8_t scope;   /* TLBI */
    uint8_t el;      /* AT */
    bool write, pan; /* AT */
    bool watched;    /* OP_DC_VA: invalidates, which is like a store */
};

#define TLBI_FORMS(crm_, range_crm, shared_)                                                       \
    case SYS_OP(0, 8, crm_, 0):                                                                    \
        return (struct op){ .kind = OP_TLBI, .shared = shared_, .scope = TLBI_ALL };               \
    case SYS_OP(0, 8, crm_, 1):                                                                    \
    case SYS_OP(0, 8, crm_, 5):                                                                    \
        return (struct op){ .kind = OP_TLBI, .shared = shared_, .scope = TLBI_VA };                \
    case SYS_OP(0, 8, crm_, 2):                                                                    \
        return (struct op){ .kind = OP_TLBI, .shared = shared_, .scope = TLBI_ASID };              \
    case SYS_OP(0, 8, crm_, 3):                                                                    \
    case SYS_OP(0, 8, crm_, 7):                                                                    \
        return (struct op){ .kind = OP_TLBI, .shared = shared_, .scope = TLBI_VA_ANY };            \
    case SYS_OP(0, 8, range_crm, 1):                                                               \
    case SYS_OP(0, 8, range_crm, 5):                                                               \
        return (struct op){ .kind = OP_TLBI, .shared = shared_, .scope = TLBI_RANGE };             \
    case SYS_OP(0, 8, range_crm, 3):                                                               \
    case SYS_OP(0, 8, range_crm, 7):                                                               \
        return (struct op){ .kind = OP_TLBI, .shared = shared_, .scope = TLBI_RANGE_ANY };

static struct op op_of(uint32_t word)
{
    switch (word >> 5 & 0x3fff) {
    case SYS_OP(0, 7, 1, 0): /* IC IALLUIS */
        return (struct op){ .kind = OP_IC_ALL, .shared = true };
    case SYS_OP(0, 7, 5, 0): /* IC IALLU */
        return (struct op){ .kind = OP_IC_ALL };
    case SYS_OP(3, 7, 5, 1): /* IC IVAU */
        return (struct op){ .kind = OP_IC_VA, .el0 = SCTLR_UCI, .shared = true };
    case SYS_OP(0, 7, 6, 1): /* DC IVAC */
        return (struct op){ .kind = OP_DC_VA, .watched = true };
    case SYS_OP(3, 7, 10, 1): /* DC CVAC */
    case SYS_OP(3, 7, 11, 1): /* DC CVAU */
    case SYS_OP(3, 7, 12, 1): /* DC CVAP */
    case SYS_OP(3, 7, 13, 1): /* DC CVADP */
    case SYS_OP(3, 7, 14, 1): /* DC CIVAC */
        return (struct op){ .kind = OP_DC_VA, .el0 = SCTLR_UCI };
    case SYS_OP(0, 7, 6, 2):  /* DC ISW */
    case SYS_OP(0, 7, 10, 2): /* DC CSW */
    case SYS_OP(0, 7, 14, 2): /* DC CISW */
        return (struct op){ .kind = OP_DC_SET_WAY };
    case SYS_OP(3, 7, 4, 1): /* DC ZVA */
        return (struct op){ .kind = OP_DC_ZERO, .el0 = SCTLR_DZE };
    case SYS_OP(0, 7, 8, 0): /* AT S1E1R */
        return (struct op){ .kind = OP_AT, .el = 1 };
    case SYS_OP(0, 7, 8, 1): /* AT S1E1W */
        return (struct op){ .kind = OP_AT, .el = 1, .write = true };
    case SYS_OP(0, 7, 8, 2): /* AT S1E0R */
        return (struct op){ .kind = OP_AT, .el = 0 };
    case SYS_OP(0, 7, 8, 3): /* AT S1E0W */
        return (struct op){ .kind = OP_AT, .el = 0, .write = true };
    case SYS_OP(0, 7, 9, 0): /* AT S1E1RP */
        return (struct op){ .kind = OP_AT, .el = 1, .pan = true };
    case SYS_OP(0, 7, 9, 1): /* AT S1E1WP */
        return (struct op){ .kind = OP_AT, .el = 1, .write = true, .pan = true };
        TLBI_FORMS(7, 6, false)
        TLBI_FORMS(3, 2, true) /* IS */
        TLBI_FORMS(1, 5, true) /* OS */
    default:
        return (struct op){ .kind = OP_NONE };
    }
}

/* The operand of the range forms: C5.5, TLBI RVAE1. False: a reserved granule, nothing to do. */
static bool tlbi_range(uint64_t x, uint64_t *va, uint64_t *size)
{
    static const uint8_t shift[4] = { 0, 12, 14, 16 };
    unsigned granule = shift[bits(x, 47, 46)];

    if (granule == 0)
        return false;
    *va = (uint64_t)sign_extend(x & ones(37), 37) << granule;
    *size = (bits(x, 43, 39) + 1) << (5 * bits(x, 45, 44) + 1 + granule);
    return true;
}

static void tlbi(struct soft_vcpu *v, const struct op *op, uint64_t x)
{
    int asid = (int)(x >> 48);
    struct request r = { .kind = REQUEST_TLB_VA, .asid = REQUEST_ANY_ASID, .size = 4096 };

    if (!bit(v->sys[SYSREG_TCR_EL1], 36))
        asid &= 0xff;
    switch (op->scope) {
    case TLBI_ALL:
        r.kind = REQUEST_TLB_ALL;
        break;
    case TLBI_ASID:
        r.kind = REQUEST_TLB_ASID;
        r.asid = asid;
        break;
    case TLBI_VA:
    case TLBI_VA_ANY:
        r.address = (uint64_t)sign_extend(x & ones(44), 44) << 12;
        break;
    default:
        if (!tlbi_range(x, &r.address, &r.size))
            return;
        break;
    }
    if (op->scope == TLBI_VA || op->scope == TLBI_RANGE)
        r.asid = asid;
    soft_request(v, &r, op->shared);
}

static void zero_line(struct cpu *c, const struct insn *i, uint64_t va)
{
    uint64_t line = align_down(va, LINE);
    const struct tlb_entry *e = mem_entry(c, line);

    if ((e->wr ^ line) >= 4096) {
        mem_probe(c, i, va, 1, 1, true, MEM_NO_DEVICE); /* FAR_EL1 is the address as given */
        mem_probe(c, i, line, LINE, 1, true, 0);
    }
    if ((e->wr ^ line) < 4096)
        memset((void *)(e->add + line), 0, LINE);
    else
        for (unsigned n = 0; n < LINE; n += 8)
            mem_st64(c, i, line + n, 0);
}

/* Implementation-defined ones (CRn 11 and 15) are the VMM's at EL1; others do not exist. */
static const struct insn *not_ours(struct cpu *c, const struct insn *i)
{
    unsigned crn = (unsigned)bits(i->word, 15, 12);

    if (c->el == 0 || (crn != 11 && crn != 15))
        exc_undefined(c, i);
    return system_exit(c, i);
}

INSN(SYS)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct op op = op_of(i->word);
    uint64_t x = c->x[i->rn], pa;

    if (c->el == 0) {
        if (!op.el0)
            exc_undefined(c, i);
        if (!(v->sys[SYSREG_SCTLR_EL1] & op.el0))
            system_trap_el1(c, i);
    }
    switch (op.kind) {
    case OP_IC_ALL:
        soft_request(v, &(struct request){ .kind = REQUEST_CODE_ALL }, op.shared);
        return soft_resume(c, cpu_pc(c, i) + 4);
    case OP_IC_VA:
        if (mmu_maintain(c, i, x, MMU_INVALIDATE_CODE, &pa))
            soft_request(v, &(struct request){ .kind = REQUEST_CODE_LINE, .address = pa }, true);
        return i + 1;
    case OP_DC_VA:
        mmu_maintain(c, i, x, op.watched ? MMU_INVALIDATE : MMU_CLEAN, &pa);
        if (op.watched && vcpu_of(c)->debug.watches)
            debug_check_watch(
                c, i,
                &(struct debug_access){
                    .va = align_down(x, LINE), .size = LINE, .write = true, .iss = ISS_CM });
        return i + 1;
    case OP_DC_SET_WAY:
        return i + 1;
    case OP_DC_ZERO:
        zero_line(c, i, x);
        return i + 1;
    case OP_AT:
        mmu_address_translate(c, i, x, op.el, op.write, op.pan && c->pan);
        return i + 1;
    case OP_TLBI:
        tlbi(v, &op, x);
        return soft_resume(c, cpu_pc(c, i) + 4);
    default:
        return not_ours(c, i);
    }
}

INSN(SYSL)
{
    return not_ours(c, i);
}
