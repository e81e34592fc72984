/*
 * The GIC as the guests here drive it, GICv2 (IHI 0048B) and GICv3 (IHI 0069H) alike: where a
 * register is, and one interface of a CPU over GICC_* and ICC_*. Interrupts are of group 0 with
 * GICv2 and of group 1 with GICv3, which is what each has for a guest that does not choose.
 */
#ifndef TESTS_GUEST_SYSTEM_GICKIT_H
#define TESTS_GUEST_SYSTEM_GICKIT_H

#include "kit.h"

#define GICD        0x08000000ul
#define GICC        0x08010000ul
#define GICM        0x08020000ul /* GICv2m: messages */
#define GICR        0x080a0000ul
#define GICR_STRIDE 0x20000ul
#define GICR_SGI    0x10000ul

/* Offsets that both versions have; those of private interrupts are GICv3's GICR_*. */
enum {
    CTLR = 0x000,
    TYPER = 0x004,
    IGROUPR = 0x080,
    ISENABLER = 0x100,
    ICENABLER = 0x180,
    ISPENDR = 0x200,
    ICPENDR = 0x280,
    ISACTIVER = 0x300,
    ICACTIVER = 0x380,
    IPRIORITYR = 0x400,
    ITARGETSR = 0x800,
    ICFGR = 0xc00,
    SGIR = 0xf00,
    IROUTER = 0x6000,
};

/* GICC_* */
enum {
    C_CTLR = 0x00,
    C_PMR = 0x04,
    C_BPR = 0x08,
    C_IAR = 0x0c,
    C_EOIR = 0x10,
    C_RPR = 0x14,
    C_HPPIR = 0x18,
    C_ABPR = 0x1c,
    C_AIAR = 0x20,
    C_AEOIR = 0x24,
    C_AHPPIR = 0x28,
    C_APR0 = 0xd0,
    C_NSAPR0 = 0xe0,
    C_IIDR = 0xfc,
    C_DIR = 0x1000,
};

#define SPI      40u /* to 47: no device has them */
#define SPURIOUS 1023u

/* The timers of this CPU. */
#define VIRTUAL_TIMER 27u

static inline uint32_t rd(uint64_t address)
{
    return *(volatile uint32_t *)address;
}

static inline void wr(uint64_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

static inline void wr8(uint64_t address, uint8_t value)
{
    *(volatile uint8_t *)address = value;
}

static inline uint8_t rd8(uint64_t address)
{
    return *(volatile uint8_t *)address;
}

static inline bool gic_v3(void)
{
    return READ(id_aa64pfr0_el1) >> 24 & 15;
}

/* Kit CPU `n` is affinity 0.0.0.n. */
static inline unsigned cpu_number(void)
{
    return READ(mpidr_el1) & 0xff;
}

/* The registers of private interrupts of this CPU. */
static inline uint64_t gic_private(void)
{
    return gic_v3() ? GICR + cpu_number() * GICR_STRIDE + GICR_SGI : GICD;
}

/* A register with one bit for each interrupt. */
static inline uint64_t gic_word(unsigned reg, unsigned intid)
{
    return (intid < 32 ? gic_private() : GICD) + reg + intid / 32 * 4;
}

static inline void gic_set(unsigned reg, unsigned intid)
{
    wr(gic_word(reg, intid), 1u << intid % 32);
}

static inline bool gic_get(unsigned reg, unsigned intid)
{
    return rd(gic_word(reg, intid)) >> intid % 32 & 1;
}

static inline void gic_priority(unsigned intid, uint8_t priority)
{
    wr8((intid < 32 ? gic_private() : GICD) + IPRIORITYR + intid, priority);
}

static inline void gic_edge(unsigned intid, bool edge)
{
    uint64_t reg = (intid < 32 ? gic_private() : GICD) + ICFGR + intid / 16 * 4;
    uint32_t bit = 2u << intid % 16 * 2;

    wr(reg, edge ? rd(reg) | bit : rd(reg) & ~bit);
}

static inline void gic_route(unsigned intid, unsigned cpu)
{
    if (gic_v3())
        *(volatile uint64_t *)(GICD + IROUTER + 8ul * intid) = cpu;
    else
        wr8(GICD + ITARGETSR + intid, (uint8_t)(1u << cpu));
}

/* To whichever CPU takes it. */
static inline void gic_route_any(unsigned intid, unsigned cpus)
{
    if (gic_v3())
        *(volatile uint64_t *)(GICD + IROUTER + 8ul * intid) = 1u << 31;
    else
        wr8(GICD + ITARGETSR + intid, (uint8_t)((1u << cpus) - 1));
}

/* --- the CPU's interface --- */

/* What is acknowledged; with GICv2 an SGI's source is in <12:10>. */
static inline uint32_t gic_ack(void)
{
    uint32_t value = gic_v3() ? (uint32_t)READ(icc_iar1_el1) : rd(GICC + C_IAR);

    DO("dsb sy");
    return value;
}

static inline void gic_eoi(uint32_t value)
{
    if (gic_v3())
        WRITE(icc_eoir1_el1, value);
    else
        wr(GICC + C_EOIR, value);
}

static inline void gic_dir(uint32_t value)
{
    if (gic_v3())
        WRITE(icc_dir_el1, value);
    else
        wr(GICC + C_DIR, value);
}

static inline void gic_mask(uint8_t priority)
{
    if (gic_v3())
        WRITE(icc_pmr_el1, priority);
    else
        wr(GICC + C_PMR, priority);
}

/* Preemption looks at priority bits <7:low>. */
static inline void gic_binary_point(unsigned low)
{
    if (gic_v3())
        WRITE(icc_bpr1_el1, low);
    else
        wr(GICC + C_BPR, low - 1);
}

static inline uint32_t gic_running(void)
{
    return gic_v3() ? (uint32_t)READ(icc_rpr_el1) : rd(GICC + C_RPR);
}

static inline uint32_t gic_highest(void)
{
    return gic_v3() ? (uint32_t)READ(icc_hppir1_el1) : rd(GICC + C_HPPIR);
}

/* Priority drop by gic_eoi(), deactivation by gic_dir(). */
static inline void gic_split_end(bool on)
{
    if (gic_v3())
        WRITE(icc_ctlr_el1, on ? 2 : 0);
    else
        wr(GICC + C_CTLR, on ? 0x201 : 1);
}

static inline uint32_t gic_active_priorities(void)
{
    return gic_v3() ? (uint32_t)READ(icc_ap1r0_el1) : rd(GICC + C_APR0);
}

/* An SGI to the CPUs of a mask, 0 to 15. */
static inline void gic_send(unsigned id, unsigned cpus)
{
    DO("dsb sy");
    if (gic_v3())
        WRITE(icc_sgi1r_el1, (uint64_t)id << 24 | cpus);
    else
        wr(GICD + SGIR, cpus << 16 | id);
}

static inline void gic_send_others(unsigned id)
{
    DO("dsb sy");
    if (gic_v3())
        WRITE(icc_sgi1r_el1, 1ul << 40 | (uint64_t)id << 24);
    else
        wr(GICD + SGIR, 1u << 24 | id);
}

/* Levels at the CPU, as ISR_EL1 has them. */
static inline bool irq_line(void)
{
    return READ(isr_el1) >> 7 & 1;
}

static inline bool fiq_line(void)
{
    return READ(isr_el1) >> 6 & 1;
}

/* This CPU's private interrupts and its interface: all SGIs at 0xa0 and nothing else, mask open. */
static inline void gic_open_cpu(void)
{
    uint64_t private = gic_private();

    if (gic_v3()) {
        wr(private - GICR_SGI + 0x14, 0); /* GICR_WAKER */
        while (rd(private - GICR_SGI + 0x14))
            ;
        wr(private + IGROUPR, UINT32_MAX);
    }
    wr(private + ICENABLER, UINT32_MAX);
    wr(private + ICPENDR, UINT32_MAX);
    wr(private + ICACTIVER, UINT32_MAX);
    for (unsigned i = 0; i < 32; i += 4)
        wr(private + IPRIORITYR + i, 0xa0a0a0a0);
    wr(private + ISENABLER, 0xffff);
    gic_split_end(false);
    if (gic_v3()) {
        WRITE(icc_ap0r0_el1, 0);
        WRITE(icc_ap1r0_el1, 0);
        WRITE(icc_igrpen0_el1, 0);
        WRITE(icc_igrpen1_el1, 1);
    } else {
        wr(GICC + C_APR0, 0);
        wr(GICC + C_NSAPR0, 0);
    }
    gic_binary_point(3);
    gic_mask(0xf8);
}

/* The same, and the shared interrupts: SPI to SPI + 7 edge-triggered, to CPU 0, at 0xa0, off. */
static inline void gic_open(void)
{
    wr(GICD + CTLR, 0);
    for (unsigned i = SPI; i < SPI + 8; i++) {
        gic_set(ICENABLER, i);
        gic_set(ICPENDR, i);
        gic_set(ICACTIVER, i);
        gic_priority(i, 0xa0);
        gic_edge(i, true);
        gic_route(i, 0);
    }
    wr(GICD + IGROUPR + 4, gic_v3() ? UINT32_MAX : 0);
    gic_open_cpu();
    wr(GICD + CTLR, gic_v3() ? 2 : 1);
}

#endif
