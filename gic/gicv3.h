/*
 * GICv3: a distributor, a redistributor and a CPU interface per CPU, and a frame for messages, as a
 * guest with a single Security state sees it (IHI 0069H: GICD_CTLR.DS is 1, ARE is 1); with an ITS
 * and LPIs if the caller asks for them. No CPU and no bus here: the caller routes MMIO and ICC_*
 * accesses in and interrupt levels out.
 *
 * CPUs come and go (gicv3_attach()); a redistributor's state stays. CPUs are numbered by the
 * caller; the guest knows them by their affinity.
 *
 * Threads: every call from any thread. One lock inside, LOCK_GIC; `signal` is called with it held
 * and may only take locks of a higher rank.
 */
#ifndef GIC_GICV3_H
#define GIC_GICV3_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

#define GICV3_MAX_CPUS    64
#define GICV3_DIST_SIZE   0x10000
#define GICV3_REDIST_SIZE 0x20000 /* two frames, of one CPU */
#define GICV3_MSI_SIZE    0x10000
#define GICV3_ITS_SIZE    0x20000 /* registers, and the frame that devices write to */
#define GICV3_SPI_BASE    32
#define GICV3_SPI_COUNT   988

struct gicv3;

struct gicv3_config {
    unsigned msi_base, msi_count; /* INTIDs that the message frame makes pending; count 0: none */
    /* The IRQ or FIQ input of `cpu` changed its level. */
    void (*signal)(void *ctx, unsigned cpu, bool irq, bool fiq);
    void *ctx;
    bool its; /* an ITS and LPIs, whose tables are reached by: */
    /* Copy out of and into guest memory, up to 512 bytes of one page. 0 or -EFAULT, all or nothing.
     * The GIC's lock is held. */
    int (*guest_read)(void *ctx, uint64_t address, void *to, size_t size);
    int (*guest_write)(void *ctx, uint64_t address, const void *from, size_t size);
};

/* ICC_* registers, by op0:op1:CRn:CRm:op2 packed as MRS and MSR have them. */
enum gicv3_icc {
    GICV3_ICC_PMR = 0xc230,
    GICV3_ICC_IAR0 = 0xc640,
    GICV3_ICC_EOIR0 = 0xc641,
    GICV3_ICC_HPPIR0 = 0xc642,
    GICV3_ICC_BPR0 = 0xc643,
    GICV3_ICC_AP0R0 = 0xc644,
    GICV3_ICC_AP1R0 = 0xc648,
    GICV3_ICC_DIR = 0xc659,
    GICV3_ICC_RPR = 0xc65b,
    GICV3_ICC_SGI1R = 0xc65d,
    GICV3_ICC_ASGI1R = 0xc65e,
    GICV3_ICC_SGI0R = 0xc65f,
    GICV3_ICC_IAR1 = 0xc660,
    GICV3_ICC_EOIR1 = 0xc661,
    GICV3_ICC_HPPIR1 = 0xc662,
    GICV3_ICC_BPR1 = 0xc663,
    GICV3_ICC_CTLR = 0xc664,
    GICV3_ICC_SRE = 0xc665,
    GICV3_ICC_IGRPEN0 = 0xc666,
    GICV3_ICC_IGRPEN1 = 0xc667,
};

/* 0, -EINVAL or -ENOMEM. No CPU is attached. */
int gicv3_create(const struct gicv3_config *config, struct gicv3 **out) MUST_CHECK;
void gicv3_destroy(struct gicv3 *g);

/* Everything as after gicv3_create(), but for CPUs, affinities and input levels. */
void gicv3_reset(struct gicv3 *g);

/* CPU `cpu` (below GICV3_MAX_CPUS) exists from here on, with its interface in the reset state. */
void gicv3_attach(struct gicv3 *g, unsigned cpu, uint64_t mpidr);
void gicv3_detach(struct gicv3 *g, unsigned cpu);

/* The value of MPIDR_EL1, by which the guest routes interrupts. */
void gicv3_set_affinity(struct gicv3 *g, unsigned cpu, uint64_t mpidr);

/* MMIO, `width` 1, 2, 4 or 8 bytes, offset aligned to it. Widths and offsets that the architecture
 * does not allow read as zero and are ignored when written. */
uint64_t gicv3_dist_read(struct gicv3 *g, uint64_t offset, unsigned width);
void gicv3_dist_write(struct gicv3 *g, uint64_t offset, unsigned width, uint64_t value);
uint64_t gicv3_redist_read(struct gicv3 *g, unsigned cpu, uint64_t offset, unsigned width);
void gicv3_redist_write(struct gicv3 *g, unsigned cpu, uint64_t offset, unsigned width,
                        uint64_t value);

/* The frame of messages that are SPIs. */
uint64_t gicv3_msi_read(struct gicv3 *g, uint64_t offset, unsigned width);
void gicv3_msi_write(struct gicv3 *g, uint64_t offset, unsigned width, uint64_t value);

/* The ITS, if there is one. A CPU that writes to GITS_TRANSLATER is device 0. */
#define GICV3_ITS_TRANSLATER 0x10040
#define GICV3_ITS_CPU_DEVICE 0
uint64_t gicv3_its_read(struct gicv3 *g, uint64_t offset, unsigned width);
void gicv3_its_write(struct gicv3 *g, uint64_t offset, unsigned width, uint64_t value);

/* What a device's write to GITS_TRANSLATER does. One that the guest did not map has no effect. */
void gicv3_its_message(struct gicv3 *g, uint32_t device, uint32_t event);

/* The CPU interface. Reading IAR<n> acknowledges. */
uint64_t gicv3_icc_read(struct gicv3 *g, unsigned cpu, enum gicv3_icc reg);
void gicv3_icc_write(struct gicv3 *g, unsigned cpu, enum gicv3_icc reg, uint64_t value);

/* Inputs, by INTID. Of an edge-triggered SPI every `true` is an edge. -EINVAL: not an SPI, or one
 * of the message frame's. */
int gicv3_set_spi(struct gicv3 *g, unsigned intid, bool level);
void gicv3_set_ppi(struct gicv3 *g, unsigned cpu, unsigned intid, bool level);

/* What a write to the message frame does. -EINVAL: not one of its INTIDs. */
int gicv3_send_msi(struct gicv3 *g, uint32_t intid);

/*
 * The distributor, all redistributors and the ITS as bytes; the CPU interfaces are not in it, nor
 * is guest memory. `data` has gicv3_state_size() bytes. -EINVAL: not such a state, and nothing was
 * changed.
 */
size_t gicv3_state_size(const struct gicv3 *g);
void gicv3_state_save(struct gicv3 *g, uint8_t *data);
int gicv3_state_restore(struct gicv3 *g, const uint8_t *data, size_t size) MUST_CHECK;

#endif
