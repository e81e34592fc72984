/*
 * System registers and barriers that are no more than moves (DDI 0487 C5.2, C6.2).
 */
#include "soft/jit/translate.h"

/* EL1 registers that only keep a value, in soft_vcpu.sys. */
static int plain_register(uint32_t word)
{
    static const uint16_t plain[] = {
        SYSREG_TPIDR_EL1, SYSREG_TPIDR_EL0, SYSREG_TPIDRRO_EL0, SYSREG_ELR_EL1, SYSREG_SPSR_EL1,
        SYSREG_ESR_EL1,   SYSREG_FAR_EL1,   SYSREG_VBAR_EL1,    SYSREG_PAR_EL1,
    };
    int r = soft_sysreg_find(word >> 5 & 0xffff);

    for (size_t n = 0; r >= 0 && n < ARRAY_LEN(plain); n++)
        if (plain[n] == r)
            return r;
    return -1;
}

bool jit_is_plain_msr(uint32_t word)
{
    return plain_register(word) >= 0;
}

static struct x86_mem sysreg_slot(int r)
{
    struct x86_mem m = JIT_VCPU(sys);
    m.disp += r * 8;
    return m;
}

/* EL0 has TPIDR_EL0, and TPIDRRO_EL0 to read. */
static bool is_allowed(jit_t t, int r, bool write)
{
    return (t->mode & JIT_MODE_EL1) || r == SYSREG_TPIDR_EL0 || (r == SYSREG_TPIDRRO_EL0 && !write);
}

bool emit_mrs(jit_t t, const struct insn *i)
{
    int r = plain_register(i->word);

    if (r < 0 || !is_allowed(t, r, false))
        return false;
    enum x86_reg d = jit_def(i->rd, RAX);
    x86_mov_rm(&t->hot, 1, d, sysreg_slot(r));
    jit_done(t, i->rd, d);
    return true;
}

bool emit_msr(jit_t t, const struct insn *i)
{
    int r = plain_register(i->word);

    if (r < 0 || !is_allowed(t, r, true))
        return false;
    x86_mov_mr(&t->hot, 1, sysreg_slot(r), jit_use(t, i->rn, RAX));
    return true;
}

bool emit_nop(jit_t t, const struct insn *i)
{
    (void)t, (void)i;
    return true;
}

/* A full barrier; x86 orders all but a store before a later load. DMB of loads or of stores alone
 * (CRm<1:0> = 01, 10) is what x86 does anyway. */
bool emit_dmb(jit_t t, const struct insn *i)
{
    if ((i->word >> 8 & 3) != 3)
        return true;
    jit_clobber(t);
    x86_lock_or_mi(&t->hot, x86_at(RSP, -8), 0);
    return true;
}
