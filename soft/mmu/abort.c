/*
 * Aborts (DDI 0487 D24.2.40 and D24.2.34, ISS of data and instruction aborts). Stage 2 faults have
 * level 3: the API maps pages.
 */
#include "soft/mmu/abort.h"

#include "soft/vcpu.h"

static _Noreturn void abort_exit(struct cpu *c, enum exc_class ec, uint32_t iss, uint64_t va,
                                 uint64_t ipa, uint64_t pc)
{
    soft_exit_exception(vcpu_of(c), (uint64_t)ec << 26 | ESR_IL | iss, va, ipa, pc);
    soft_unwind(c);
}

void abort_data(struct cpu *c, const struct insn *i, uint64_t va, uint32_t iss,
                const struct mmu_fault *f)
{
    if (f->stage2)
        abort_exit(c, EC_DABORT_LOWER, iss | ISS_S1PTW | f->fsc, va, f->ipa, cpu_pc(c, i));
    exc_abort(c, EC_DABORT_LOWER, iss | f->fsc, va, cpu_pc(c, i));
}

void abort_alignment(struct cpu *c, const struct insn *i, uint64_t va, bool write)
{
    exc_abort(c, EC_DABORT_LOWER, (write ? ISS_WNR : 0u) | FSC_ALIGNMENT, va, cpu_pc(c, i));
}

void abort_fetch(struct cpu *c, uint64_t pc, const struct mmu_fault *f)
{
    if (f->stage2)
        abort_exit(c, EC_IABORT_LOWER, ISS_S1PTW | f->fsc, pc, f->ipa, pc);
    exc_abort(c, EC_IABORT_LOWER, f->fsc, pc, pc);
}

void abort_stage2_data(struct cpu *c, const struct insn *i, uint64_t va, uint64_t ipa, uint32_t iss,
                       bool mapped)
{
    if (!(iss & ISS_CM))
        iss |= abort_syndrome(i->word);
    struct check *k = vcpu_of(c)->check;
    if (!mapped && c->vm->gic && !(k && check_defers(k)) && soft_gic_access(c, i, ipa, iss)) {
        soft_resume(c, cpu_pc(c, i) + 4);
        soft_unwind(c);
    }
    iss |= (mapped ? FSC_PERMISSION : FSC_TRANSLATION) | 3;
    abort_exit(c, EC_DABORT_LOWER, iss, va, ipa, cpu_pc(c, i));
}

void abort_stage2_fetch(struct cpu *c, uint64_t pc, uint64_t ipa, bool mapped)
{
    abort_exit(c, EC_IABORT_LOWER, (mapped ? FSC_PERMISSION : FSC_TRANSLATION) | 3, pc, ipa, pc);
}

void abort_no_memory(struct cpu *c, uint64_t pc)
{
    struct soft_vcpu *v = vcpu_of(c);

    cpu_end_run(c, pc);
    v->exit->reason = HV_EXIT_REASON_UNKNOWN;
    v->exiting = true;
    c->pc = pc;
    soft_unwind(c);
}

static uint32_t syndrome(unsigned size, bool sign, unsigned rt, bool sixty_four, bool ordered)
{
    return ISS_ISV | size << 22 | (uint32_t)sign << 21 | rt << 16 | (uint32_t)sixty_four << 15 |
           (uint32_t)ordered << 14;
}

/*
 * One general-purpose register, no writeback: LDR and STR with an unsigned, unscaled or register
 * offset, unprivileged ones, LDAR and STLR, LDAPR and LDAPUR with STLUR.
 */
uint32_t abort_syndrome(uint32_t word)
{
    unsigned size = word >> 30, opc = word >> 22 & 3, rt = word & 31;
    bool sign = opc & 2;
    bool sixty_four = sign ? opc == 2 : size == 3; /* opc 2 extends to 64 bits, 3 to 32 */
    bool is_register_form = (word & 0x3b200c00) == 0x38200800;
    bool is_unscaled = (word & 0x3b200400) == 0x38000000;
    bool is_unsigned_offset = (word & 0x3b000000) == 0x39000000;
    bool is_simd = word >> 26 & 1;

    if ((is_register_form || is_unscaled || is_unsigned_offset) && !is_simd)
        return syndrome(size, sign, rt, sixty_four, false);
    if ((word & 0x3fa00000) == 0x08800000) /* STLR, LDAR and the LO forms */
        return syndrome(size, false, rt, size == 3, true);
    if ((word & 0x3ffffc00) == 0x38bfc000) /* LDAPR */
        return syndrome(size, false, rt, size == 3, true);
    if ((word & 0x3f200c00) == 0x19000000) /* STLUR, LDAPUR */
        return syndrome(size, sign, rt, sixty_four, true);
    return 0;
}
