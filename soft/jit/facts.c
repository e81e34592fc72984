/*
 * What the translator knows of each encoding besides how to emit it: a byte each, so that the
 * passes over a block look nothing up by words. DDI 0487 C4.1 and C6.2.
 */
#include "soft/jit/translate.h"

#define W_X(name, facts) [A64_##name##_w] = (facts), [A64_##name##_x] = (facts)

const uint8_t jit_facts[A64_OP_COUNT] = {
    /* NZCV, of instructions that have an emitter */
    W_X(ADDS_imm, FLAGS_WRITE),
    W_X(SUBS_imm, FLAGS_WRITE),
    W_X(ADDS, FLAGS_WRITE),
    W_X(SUBS, FLAGS_WRITE),
    W_X(ADDS_shift, FLAGS_WRITE),
    W_X(SUBS_shift, FLAGS_WRITE),
    W_X(ADDS_ext, FLAGS_WRITE),
    W_X(SUBS_ext, FLAGS_WRITE),
    W_X(ANDS_imm, FLAGS_WRITE),
    W_X(ANDS, FLAGS_WRITE),
    W_X(ANDS_shift, FLAGS_WRITE),
    W_X(BICS, FLAGS_WRITE),
    W_X(BICS_shift, FLAGS_WRITE),
    W_X(ADC, JIT_FLAG_C),
    W_X(SBC, JIT_FLAG_C),
    W_X(ADCS, JIT_FLAG_C | FLAGS_WRITE),
    W_X(SBCS, JIT_FLAG_C | FLAGS_WRITE),
    W_X(CCMP, FLAGS_READ | FLAGS_WRITE),
    W_X(CCMN, FLAGS_READ | FLAGS_WRITE),
    W_X(CCMP_imm, FLAGS_READ | FLAGS_WRITE),
    W_X(CCMN_imm, FLAGS_READ | FLAGS_WRITE),
    W_X(CSEL, FLAGS_READ | FACT_CONDITION),
    W_X(CSINC, FLAGS_READ | FACT_CONDITION),
    W_X(CSINV, FLAGS_READ | FACT_CONDITION),
    W_X(CSNEG, FLAGS_READ | FACT_CONDITION),
    [A64_FCSEL] = FLAGS_READ,
    [A64_FCMP] = FLAGS_WRITE,
    [A64_FCCMP] = FLAGS_READ | FLAGS_WRITE,
    [A64_CPYP] = FLAGS_READ | FLAGS_WRITE, /* read, where they are undefined */
    [A64_CPYFP] = FLAGS_READ | FLAGS_WRITE,
    [A64_SETP] = FLAGS_READ | FLAGS_WRITE,

    /* branches that go on */
    [A64_B] = FACT_JUMPS,
    [A64_B_cond] = FLAGS_READ | FACT_CONDITION | FACT_CONDITIONAL,
    W_X(CBZ, FACT_CONDITIONAL),
    W_X(CBNZ, FACT_CONDITIONAL),
    [A64_TBZ] = FACT_CONDITIONAL,
    [A64_TBNZ] = FACT_CONDITIONAL,

    /* instructions after which the next one may be executed in another context, or not at all */
    [A64_UNDEFINED] = FACT_ENDS,
    [A64_UDF] = FACT_ENDS,
    [A64_BL] = FACT_ENDS,
    [A64_BR] = FACT_ENDS,
    [A64_BLR] = FACT_ENDS,
    [A64_RET] = FACT_ENDS,
    [A64_BRAZ] = FACT_ENDS,
    [A64_BRA] = FACT_ENDS,
    [A64_BLRAZ] = FACT_ENDS,
    [A64_BLRA] = FACT_ENDS,
    [A64_RETA] = FACT_ENDS,
    [A64_ERETA] = FACT_ENDS,
    [A64_ERET] = FACT_ENDS | FLAGS_WRITE | FACT_SYSTEM,
    [A64_DRPS] = FACT_ENDS,
    [A64_SVC] = FACT_ENDS | FLAGS_READ, /* SPSR_EL1 */
    [A64_HVC] = FACT_ENDS,
    [A64_SMC] = FACT_ENDS,
    [A64_BRK] = FACT_ENDS,
    [A64_HLT] = FACT_ENDS,
    [A64_DCPS1] = FACT_ENDS,
    [A64_DCPS2] = FACT_ENDS,
    [A64_DCPS3] = FACT_ENDS,
    [A64_WFE] = FACT_ENDS,
    [A64_WFI] = FACT_ENDS,
    [A64_WFET] = FACT_ENDS,
    [A64_WFIT] = FACT_ENDS,
    [A64_ISB] = FACT_ENDS,
    [A64_SB] = FACT_ENDS,

    /* the register that they name decides */
    [A64_MRS] = FACT_SYSTEM,
    [A64_MSR_reg] = FACT_SYSTEM,
    [A64_MSR_imm] = FACT_SYSTEM,
    [A64_SYS] = FACT_SYSTEM,
};
