/*
 * System registers that the host traps instead of giving them to the guest: which they are depends
 * on the host, so everything that some host traps is here.
 *
 * Threads: one `struct sysreg_cpu` belongs to its vCPU's thread; `struct sysreg_log` is shared.
 */
#ifndef VMM_SYSREG_H
#define VMM_SYSREG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Apple's packing of a register's encoding, hv_sys_reg_t. */
#define SYSREG(op0, op1, crn, crm, op2)                                                            \
    ((uint16_t)((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2)))

#define SYSREG_CNTV_CTL  SYSREG(3, 3, 14, 3, 1)
#define SYSREG_CNTV_CVAL SYSREG(3, 3, 14, 3, 2)

/* CNTP_CTL_EL0 and CNTV_CTL_EL0 (DDI 0487 D24.10). */
#define TIMER_ENABLE  1u
#define TIMER_IMASK   2u
#define TIMER_ISTATUS 4u

/* Which unknown registers were logged already, one bit each. */
struct sysreg_log {
    _Atomic uint32_t seen[0x10000 / 32];
};

/* One vCPU's registers that live here, and the way to those that live in the CPU. */
struct sysreg_cpu {
    uint32_t cntp_ctl; /* TIMER_ENABLE, TIMER_IMASK */
    uint64_t cntp_cval;
    bool os_locked, os_double_locked;

    uint64_t (*now)(void *ctx); /* the guest's counter, 24 MHz ticks */
    uint64_t (*native_read)(void *ctx, uint16_t encoding);
    void (*native_write)(void *ctx, uint16_t encoding, uint64_t value);
    void *ctx;
    struct sysreg_log *log;
};

/* Back to the architected reset values; the connections stay. */
void sysreg_reset(struct sysreg_cpu *s);

/* One trapped access. A register that is not in the table reads as zero, ignores writes and is
 * logged once. */
uint64_t sysreg_read(struct sysreg_cpu *s, uint16_t encoding);
void sysreg_write(struct sysreg_cpu *s, uint16_t encoding, uint64_t value);

/* The level of the physical timer's interrupt at counter value `now`. */
bool sysreg_ptimer_level(const struct sysreg_cpu *s, uint64_t now);

#endif
