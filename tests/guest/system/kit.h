/*
 * System-level guests in C: bare metal at EL1, MMU on. A test runs a probe, a few instructions in
 * the section `.probe`, at EL0 or EL1 until its first exception, and compares what the exception
 * reports with what DDI 0487 says. A probe ends with SVC #0, so that "nothing happened" is an SVC.
 */
#ifndef TESTS_GUEST_SYSTEM_KIT_H
#define TESTS_GUEST_SYSTEM_KIT_H

#include <stdbool.h>
#include <stdint.h>

/* Where things are: the program's own RAM is identity-mapped by the lower half of the addresses. */
#define TARGET 0x42000000ul       /* memory for what tests map */
#define V      0x0000123456400000 /* a virtual address that is nobody's */
#define DEVICE 0x09010000ul       /* the RTC */

struct taken {
    uint64_t vector, esr, far, elr, spsr, x[4], spsel, pan, daif;
};

#define KIT_CPUS 8

/* Offsets are known to start.S. */
struct cpu {
    uint64_t sp, stack;
    struct taken taken;
};
extern struct cpu kit_cpus[KIT_CPUS];

#define PROBE(name, text)                                                                          \
    extern const uint32_t name[];                                                                  \
    __asm__(".pushsection .probe,\"ax\"\n.arch armv8.5-a+fp+simd+lse\n.balign 4\n" #name           \
            ":\n" text "\nsvc #0\n.popsection")

#define READ(reg)                                                                                  \
    ({                                                                                             \
        uint64_t v_;                                                                               \
        __asm__ volatile("mrs %0, " #reg : "=r"(v_)::"memory");                                    \
        v_;                                                                                        \
    })
#define WRITE(reg, v) __asm__ volatile("msr " #reg ", %0\n isb" ::"r"((uint64_t)(v)) : "memory")
#define DO(text)      __asm__ volatile(text ::: "memory")
/* A TLBI, DC or IC with an operand. */
#define SYS(text, v) __asm__ volatile(text ", %0" ::"r"((uint64_t)(v)) : "memory")

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* SPSR_EL1 of what runs; all interrupts masked. */
enum {
    EL0 = 0x3c0,
    EL1T = 0x3c4,
    EL1 = 0x3c5,
    SPSR_F = 1 << 6,
    SPSR_I = 1 << 7,
    SPSR_IL = 1 << 20,
    SPSR_PAN = 1 << 22,
    SPSR_UAO = 1 << 23,
};

/* Vectors, in steps of 0x80. */
enum { SYNC_SP0 = 0, SYNC_SPX = 4, SYNC_LOWER = 8, VECTOR_IRQ = 1, VECTOR_FIQ = 2 };

/* ESR_EL1 with IL set. */
#define ESR(ec, iss) ((uint64_t)(ec) << 26 | 1u << 25 | (uint64_t)(iss))
#define SVC0         ESR(0x15, 0)

/* Data and instruction aborts: ISS bits and fault status codes (D24.2.40); the level is added. */
enum {
    WNR = 1 << 6,
    CM = 1 << 8,
    ADDRESS_SIZE = 0x00,
    TRANSLATION = 0x04,
    ACCESS_FLAG = 0x08,
    PERMISSION = 0x0c,
    ALIGNMENT = 0x21,
};

/* Run `code`; the first exception is returned, and stays valid until the next run. */
struct taken *run(const void *code, uint64_t spsr, uint64_t x0, uint64_t x1);
void kit_run(const void *code, uint64_t spsr, const uint64_t x[4]);

/* Test points. A name that is a format would be one too many: it is two strings. */
bool check(const char *area, const char *name, uint64_t got, uint64_t want);
void note(const char *text, uint64_t value);

/* Descriptors. */
#define VALID   1ul
#define TABLE   3ul
#define PAGE    3ul
#define BLOCK   1ul
#define MEMORY  (1ul << 2) /* AttrIndx: 0 device nGnRnE, 1 write-back, 2 non-cacheable, 3 nGnRE */
#define NONCACH (2ul << 2)
#define DEV_RE  (3ul << 2)
#define AP_EL0  (1ul << 6)
#define AP_RO   (1ul << 7)
#define SH_IN   (3ul << 8)
#define AF      (1ul << 10)
#define NG      (1ul << 11)
#define DBM     (1ul << 51)
#define CONTIG  (1ul << 52)
#define PXN     (1ul << 53)
#define UXN     (1ul << 54)
#define PXNT    (1ul << 59)
#define UXNT    (1ul << 60)
#define APT_EL0 (1ul << 61)
#define APT_RO  (1ul << 62)
#define XN      (PXN | UXN)
#define NORMAL  (MEMORY | SH_IN | AF)

/* TCR_EL1 and SCTLR_EL1. */
#define TCR_T0SZ(n) ((uint64_t)(n))
#define TCR_EPD0    (1ul << 7)
#define TCR_T1SZ(n) ((uint64_t)(n) << 16)
#define TCR_A1      (1ul << 22)
#define TCR_EPD1    (1ul << 23)
#define TCR_TG1_4K  (2ul << 30)
#define TCR_TG1_16K (1ul << 30)
#define TCR_TG1_64K (3ul << 30)
#define TCR_IPS     (7ul << 32)
#define TCR_IPS40   (2ul << 32)
#define TCR_AS      (1ul << 36)
#define TCR_TBI0    (1ul << 37)
#define TCR_TBI1    (1ul << 38)
#define TCR_HA      (1ul << 39)
#define TCR_HD      (1ul << 40)
#define TCR_HPD0    (1ul << 41)
#define TCR_TBID0   (1ul << 51)
#define TCR_E0PD0   (1ul << 55)
#define TCR_E0PD1   (1ul << 56)
#define SCTLR_A     (1ul << 1)
#define SCTLR_SA    (1ul << 3)
#define SCTLR_SA0   (1ul << 4)
#define SCTLR_UMA   (1ul << 9)
#define SCTLR_DZE   (1ul << 14)
#define SCTLR_UCT   (1ul << 15)
#define SCTLR_NTWI  (1ul << 16)
#define SCTLR_NTWE  (1ul << 18)
#define SCTLR_WXN   (1ul << 19)
#define SCTLR_SPAN  (1ul << 23)
#define SCTLR_UCI   (1ul << 26)
#define SCTLR_EPAN  (1ul << 57)
#define KIT_SCTLR   (0x30d00800ul | 1 | 1 << 2 | 1 << 12 | SCTLR_SA | SCTLR_SA0)
#define KIT_TCR                                                                                    \
    (TCR_T0SZ(16) | TCR_T1SZ(16) | 0x3500ul | 0x35000000ul | TCR_TG1_4K | TCR_IPS40 | TCR_AS)

/* Tables of one half of the address space. */
struct space {
    uint64_t root; /* for TTBRn_EL1 */
    unsigned granule, bits;
};
extern struct space kit_low;

/* New tables, empty; they live until kit_reset(). */
struct space space_new(unsigned granule, unsigned bits);
/* The descriptor for `va` at `level`; tables above it are made. No TLB maintenance. */
volatile uint64_t *slot(const struct space *s, uint64_t va, unsigned level);
/* Write a descriptor and drop everything from the TLBs of all CPUs. */
void map(const struct space *s, uint64_t va, unsigned level, uint64_t descriptor);
void flush(void);
/* The kit's mappings only, and its registers. */
void kit_reset(void);
/* The same in a lower half of so many bits: TCR_EL1.T0SZ is 64 - bits. At least 31. */
void kit_reset_bits(unsigned bits);

/* How many CPUs there are, at most KIT_CPUS. */
unsigned kit_cpu_count(void);
/* Start CPU `n` at `f`, MMU on as here. When it returns from it, it switches itself off. */
void cpu_start(unsigned n, void (*f)(void));
/* The same as kit_cpus[context], with PSCI's answer. */
int64_t cpu_on(unsigned n, unsigned context, void (*f)(void));
/* The second CPU. */
void second_start(void (*f)(void));

/* A firmware call (PSCI). */
int64_t hvc(uint64_t function, uint64_t a, uint64_t b, uint64_t c);
#define SYSTEM_OFF    0x84000008ul
#define CPU_OFF       0x84000002ul
#define CPU_ON        0xc4000003ul
#define AFFINITY_INFO 0xc4000004ul

/* Each program's own. */
void test(void);
void kit_main(void);
void kit_main_other(struct cpu *cpu);

#endif
