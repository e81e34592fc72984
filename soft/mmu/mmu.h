/*
 * Address translation: stage 1 of EL1&0 (DDI 0487 D8), the software TLB in front of it, and what
 * stands in for stage 2, the VM's memory map.
 */
#ifndef SOFT_MMU_MMU_H
#define SOFT_MMU_MMU_H

#include <stdbool.h>
#include <stdint.h>

#include "soft/cpu.h"
#include "soft/jit/jit.h"

struct soft_vcpu;

/* What an access wants, and what a page allows. */
enum { MMU_READ = 1, MMU_WRITE = 2, MMU_EXEC = 4 };

/* Fault status codes (D24.2.40, DFSC): the level is or-ed in. */
enum {
    FSC_ADDRESS_SIZE = 0x00,
    FSC_TRANSLATION = 0x04,
    FSC_ACCESS_FLAG = 0x08,
    FSC_PERMISSION = 0x0c,
    FSC_ALIGNMENT = 0x21,
    FSC_UNSUPPORTED_ATOMIC = 0x35,
};

/* Data and instruction abort ISS. */
enum { ISS_WNR = 1 << 6, ISS_S1PTW = 1 << 7, ISS_CM = 1 << 8, ISS_ISV = 1 << 24 };

/* TCR_EL1, SCTLR_EL1 and the tables' bases, taken apart once when they are written. Index 0 is the
 * lower half of the address space (TTBR0), 1 the upper. */
struct mmu_regime {
    bool on;
    bool align_check; /* SCTLR_EL1.A */
    bool wxn, epan;
    bool ha, hd;
    unsigned pa_bits;  /* TCR_EL1.IPS, at most pa_limit */
    unsigned pa_limit; /* what ID_AA64MMFR0_EL1 says */
    uint16_t asid;
    struct mmu_half {
        uint64_t base; /* TTBRn_EL1.BADDR */
        uint64_t base_mask;
        unsigned input_bits;
        unsigned granule_shift; /* 12, 14, 16 */
        bool bad;               /* T0SZ out of range: faults */
        bool epd, hpd, e0pd;
        bool tbi, tbid;
    } half[2];
    uint8_t mair[8];
};

/* One exception level's (and for EL0 one ASID's) TLBs. */
struct mmu_bank {
    struct tlb tlb;
    struct fetch_entry fetch[FETCH_ENTRIES];
    bool fetch_gp[FETCH_ENTRIES]; /* fetch[n] is a guarded page (FEAT_BTI) */
    int asid;                     /* EL0: whose; -1 for none */
    uint64_t used;                /* EL0: when last, for replacement */
    uint64_t generation;
    uint32_t lives; /* flushes */
    bool empty;     /* nothing was filled since the last flush */
    bool half[2];   /* something of this half of the address space was */
    bool global;    /* EL0: holds entries that belong to every ASID */
    /* Of each half, bit (va >> 21) % 64: holds part of a leaf above 4 KiB there. */
    uint64_t blocks[2];
    struct jit_bank jit;
    uint64_t giants; /* bit (va >> 30) % 64: of one above 2 MiB */
};

/* Second level, behind all banks of a vCPU: see soft/mmu/tlb.c. */
#define TLB_SECOND_ENTRIES 32768

struct tlb_second {
    struct tlb_entry e;
    uint64_t owner; /* bank and its generation; 0 for none */
};

/* By number, for each that has such a number: where entries that let a physical page be written may
 * be. soft/mmu/writers.c. */
#define TLB_WRITERS 65536

struct tlb_writer {
    uint32_t slot : 15; /* in the second level; of the bank the same, modulo its size */
    uint32_t bank : 4;  /* 1: EL1's; from 2 on those in soft_vcpu.bank[]; 0 for none */
    uint32_t life : 13; /* mmu_bank.lives, or the entry is gone */
};

struct tlb_writers {
    struct tlb_writer at[2];
};

_Static_assert(TLB_SECOND_ENTRIES <= 1 << 15 && TLB_ENTRIES_MAX <= TLB_SECOND_ENTRIES,
               "15 bits tell an entry");

struct mmu_request {
    uint64_t va;
    unsigned access; /* one of MMU_READ, MMU_WRITE, MMU_EXEC */
    unsigned el;
    bool pan;
    bool any;        /* no permission check: maintenance from EL1 */
    bool query;      /* AT and maintenance: a page stays clean */
    bool misaligned; /* device memory is an alignment fault */
};

struct mmu_leaf {
    uint64_t pa;
    unsigned shift;   /* log2 of what the leaf maps */
    uint8_t attr;     /* of MAIR_EL1 */
    uint8_t share;    /* SH */
    unsigned allowed; /* MMU_READ and so on; not MMU_WRITE while the descriptor is clean */
    bool global;
    bool gp;      /* a guarded page, FEAT_BTI */
    bool guarded; /* EL1's access hangs on PSTATE.PAN being clear */
};

struct mmu_fault {
    uint8_t fsc; /* with level */
    bool stage2; /* a table lies at an IPA without memory */
    uint64_t ipa;
};

/* Recompute v->regime from the registers; call after any of them changed. After TTBRn_EL1 only, the
 * bases and the ASID suffice. */
void mmu_update_regime(struct soft_vcpu *v);
void mmu_update_bases(struct soft_vcpu *v);

/* Stage 1. May set the access flag or the dirty state in the tables. False: `fault` says why. */
bool mmu_translate(struct soft_vcpu *v, const struct mmu_request *q, struct mmu_leaf *leaf,
                   struct mmu_fault *fault);

#define MMU_NON_CACHEABLE 0x44 /* an attribute: inner and outer */

/* A device, to the architecture's rules, or not. */
static inline bool mmu_is_device(uint8_t attr)
{
    return (attr & 0xf0) == 0;
}

/* soft/mmu/tlb.c */
void tlb_init(struct soft_vcpu *v); /* once, of a zeroed vCPU */
/* One more of EL0's; there are fewer than SOFT_EL0_BANKS. */
struct mmu_bank *tlb_add_bank(struct soft_vcpu *v);
/* The tables that translated code soon uses all over are in memory (base/populate.h); and those
 * that are used only when there are several vCPUs. Any thread. */
void tlb_populate(struct soft_vcpu *v);
void tlb_populate_writers(struct soft_vcpu *v);
void tlb_clear(struct tlb *t); /* also of zeroed memory */
void tlb_flush_all(struct soft_vcpu *v);
void tlb_flush_asid(struct soft_vcpu *v, int asid);
/* Every entry for [va, va + size), and for the whole of each leaf it touches; `asid` -1 for all. */
void tlb_flush_va(struct soft_vcpu *v, uint64_t va, uint64_t size, int asid);
void tlb_flush_fetch(struct soft_vcpu *v);
/* Make v->user the bank of the current ASID. */
void tlb_switch_asid(struct soft_vcpu *v);
/* The current ASID is known to others. */
void tlb_note_asid(struct soft_vcpu *v);
/* So is that there are entries for the lower half that belong to every ASID. True: it was not, and
 * what was read of tables before may not be true any more. */
bool tlb_note_global(struct soft_vcpu *v);
void tlb_flush_guarded(struct soft_vcpu *v);
/* The entry that allows the access, if need be from the second level; NULL: there is none. */
const struct tlb_entry *tlb_find(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va, bool write);
/* Put the entry that the bank has for `va` into its tlb.page[n], or the region or window that it is
 * in. */
void tlb_fill_page(struct soft_vcpu *v, struct mmu_bank *b, unsigned n, uint64_t va,
                   const struct tlb_entry *e);
/* The region that allows the access, or NULL. */
const struct tlb_wide *tlb_find_wide(struct mmu_bank *b, uint64_t va, bool write);
void tlb_fill(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va, const struct mmu_leaf *leaf,
              uint8_t *host_page, unsigned allowed);
/* The same for the region that `va` is in, if the leaf and the memory `r` go so far. */
struct soft_region;
void tlb_fill_wide(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va,
                   const struct mmu_leaf *leaf, const struct soft_region *r, unsigned allowed);
/* Forget regions and the pages found last; those that have one of `pages` pages at `va`. */
void tlb_clear_found(struct tlb *t);
void tlb_drop_found(struct tlb *t, uint64_t va, uint64_t pages);
/* Who an entry of the second level belongs to. */
static inline uint64_t tlb_owner(const struct mmu_bank *b)
{
    return (uintptr_t)b << 16 ^ b->generation;
}

/* soft/mmu/writers.c. An entry of the bank lets the physical page be written. */
void tlb_note_writer(struct soft_vcpu *v, const struct mmu_bank *b, uint64_t va, uint64_t pa);
/* No bank may have an entry for writing of the physical page. */
void tlb_forbid_write(struct soft_vcpu *v, uint64_t pa);
/* The same; stores take the slow path from now on (soft/exclusive.c). */
void tlb_watch(struct soft_vcpu *v, uint64_t pa);
/* Code of this page will be executed without tlb_fill_fetch(). */
void tlb_note_fetch(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va,
                    const struct mmu_leaf *leaf);
void tlb_fill_fetch(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va,
                    const struct mmu_leaf *leaf, struct code_page *page);

/* soft/mmu/window.c: pages of programs that the host has in a row. The vCPU's own thread, but for
 * window_destroy(). */
#define WINDOW_PAGES 65536u /* of a vCPU */

/* Map pages around `va`, which the bank has an entry for, if there is time for it; or, if `worth`
 * is set, if there will have been. False: it has to wait. */
bool window_build(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va, bool worth);
/* `e` is the bank's entry for `va`: the run of pages around it that may be accessed as this one
 * may, as va and add of `p`. Returns its bytes; 0: it is in no window. */
uint64_t window_find(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va,
                     const struct tlb_entry *e, struct tlb_page *p);
/* What is to be added to addresses of a page that is mapped in a window; 0: it is in none. */
uintptr_t window_add(const struct soft_vcpu *v, const struct mmu_bank *b, uint64_t va, uint64_t pa);
/* The bank drops these pages; of its places tlb_drop_found() is to know. */
void window_drop(struct soft_vcpu *v, const struct mmu_bank *b, uint64_t va, uint64_t pages);
/* The page may not be written any more: where its entry in the second level has this number;
 * wherever. The same of places. */
void window_forbid(struct soft_vcpu *v, const struct mmu_bank *b, unsigned slot, uint64_t pa);
void window_forbid_all(struct soft_vcpu *v);
/* There are none until the next one is built. All that leads there leads to memory again; */
void window_forget(struct soft_vcpu *v);
/* nothing does, as banks were flushed. */
void window_destroy(struct soft_vcpu *v);

/* soft/mmu/access.c */

/* The bytes of the 4 KiB page of code at `pc` and its physical address; does not return when there
 * is none. */
const uint8_t *mmu_fetch_host(struct cpu *c, uint64_t pc, uint64_t *pa);
/* The same of a page that is not executed yet; NULL when there is none. */
const uint8_t *mmu_fetch_query(struct cpu *c, uint64_t va, uint64_t *pa);
/* The page of code at `pc`; does not return when there is none. */
struct code_page *mmu_fetch(struct cpu *c, uint64_t pc);

enum mmu_maintenance { MMU_CLEAN, MMU_INVALIDATE, MMU_INVALIDATE_CODE };

/* The physical address for cache maintenance of `va`. False: nothing to maintain. `insn` as in
 * mem_load_slow(). Faults do not return. */
bool mmu_maintain(struct cpu *c, const struct insn *i, uint64_t va, enum mmu_maintenance kind,
                  uint64_t *pa);

/* AT S1E<el><R|W>[P]: sets PAR_EL1. */
void mmu_address_translate(struct cpu *c, const struct insn *i, uint64_t va, unsigned el,
                           bool write, bool pan);

#endif
