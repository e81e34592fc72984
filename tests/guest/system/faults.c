/*
 * Every kind of stage 1 fault with its syndrome and address (DDI 0487 D8.15, D24.2.40, FAR_EL1 in
 * D19.2): translation at each level, address size, access flag, permissions, alignment; loads,
 * stores, fetches, pairs, accesses that cross a page, atomics, cache maintenance.
 */
#include "kit.h"

PROBE(jump, "br x0");
PROBE(ldr, "ldr x1, [x0]");
PROBE(ldrb, "ldrb w1, [x0]");
PROBE(ldrh, "ldrh w1, [x0]");
PROBE(str, "str x1, [x0]");
PROBE(str_w, "str w1, [x0]");
PROBE(ldp, "ldp x1, x2, [x0]");
PROBE(stp, "stp x1, x2, [x0]");
PROBE(ldp_w, "ldp w1, w2, [x0]");
PROBE(stp_post, "stp x1, x2, [x0], #16");
PROBE(ldr_q, "ldr q0, [x0]");
PROBE(str_q, "str q0, [x0]");
PROBE(ldp_q, "ldp q0, q1, [x0]");
PROBE(stp_q, "stp q0, q1, [x0]");
PROBE(ld1, "ld1 {v0.16b}, [x0]");
PROBE(ld4, "ld4 {v0.4s-v3.4s}, [x0]");
PROBE(st4, "st4 {v0.4s-v3.4s}, [x0]");
PROBE(ldtr, "ldtr x1, [x0]");
PROBE(sttr, "sttr x1, [x0]");
PROBE(ldxr, "ldxr x1, [x0]");
PROBE(ldxp, "ldxp x1, x2, [x0]");
PROBE(stxr, "ldxr x1, [x0]\n stxr w2, x1, [x0]");
PROBE(ldar, "ldar x1, [x0]");
PROBE(stlr, "stlr x1, [x0]");
PROBE(ldapr, "ldapr x1, [x0]");
PROBE(ldapur, "ldapur x1, [x0, #1]");
PROBE(ldadd, "ldadd x1, x2, [x0]");
PROBE(swp, "swp x1, x2, [x0]");
PROBE(cas, "cas x1, x2, [x0]");
PROBE(casp, "casp x2, x3, x2, x3, [x0]");
PROBE(dc_zva, "dc zva, x0");
PROBE(dc_cvau, "dc cvau, x0");
PROBE(dc_civac, "dc civac, x0");
PROBE(dc_ivac, "dc ivac, x0");
PROBE(ic_ivau, "ic ivau, x0");
PROBE(prfm, "prfm pldl1keep, [x0]");

PROBE(ldp_base, "ldp x0, x1, [x0]");
PROBE(ldr_pre, "ldr x1, [x0, #8]!");
PROBE(ld1_post, "ld1 {v0.16b, v1.16b}, [x0], #32");

/* Flags that are set before an access and read behind it, and by nobody then. */
#define BETWEEN(set, access, read) set "\n" access "\n" read " 1f\n nop\n1: cmp xzr, xzr"
PROBE(subs_ldr, BETWEEN("subs x1, x1, #1", "ldr x2, [x0]", "b.ne"));
PROBE(adds_ldp, BETWEEN("adds w1, w1, #1", "ldp x2, x3, [x0]", "b.mi"));
PROBE(cmp_str, BETWEEN("cmp x1, #1", "str x2, [x0]", "b.lt"));
PROBE(cmp_ldrb, BETWEEN("cmp w1, w2", "ldrb w3, [x0]", "b.hi"));
PROBE(subs_strh, "subs w2, w1, w2\n strh w3, [x0]"); /* SVC reads them */
PROBE(subs_br, "subs x1, x1, #3\n ldr w2, [x0]\n b.pl 1f\n mov x1, #0\n1: ldr w2, [x0]");
PROBE(tst_ldr, BETWEEN("tst x1, #0xff", "ldr q0, [x0]", "b.eq"));

/* Loads and stores of neighbours: what comes before one that faults is done. */
PROBE(counter, "ldr x1, [x0]\n add x1, x1, #1\n str x1, [x0]\n ldr x2, [x0, #8]\n"
               " add x2, x2, x1\n str x2, [x0, #16]!\n ldr x3, [x0]");

#define RW0 (NORMAL | AP_EL0 | XN) /* data of EL0 */
#define RO0 (NORMAL | AP_EL0 | AP_RO | XN)
#define RW1 (NORMAL | XN) /* data of EL1 */
#define RO1 (NORMAL | AP_RO | XN)
#define DEV (AF | AP_EL0 | XN)
#define DE2 (DEV | DEV_RE)

#define DATA0(iss)  ESR(0x24, iss)
#define DATA1(iss)  ESR(0x25, iss)
#define FETCH0(iss) ESR(0x20, iss)
#define FETCH1(iss) ESR(0x21, iss)
#define T3          (TRANSLATION | 3)
#define P3          (PERMISSION | 3)

/* One access at V + va; V's page has the attributes `page`, the one behind it `next`; 0 is none.
 * FAR is V + far. `esr` SVC0: it succeeds. */
static const struct access_case {
    const char *name;
    const uint32_t *code;
    uint64_t spsr, page, next, va, esr, far;
    uint64_t sctlr, tcr;
} accesses[] = {
    { "LDR at EL0 without a page", ldr, EL0, 0, 0, 8, DATA0(T3), 8, 0, 0 },
    { "LDR at EL1 without a page", ldr, EL1, 0, 0, 8, DATA1(T3), 8, 0, 0 },
    { "STR at EL0 without a page", str, EL0, 0, 0, 8, DATA0(WNR | T3), 8, 0, 0 },
    { "STR at EL1 without a page", str, EL1, 0, 0, 8, DATA1(WNR | T3), 8, 0, 0 },
    { "fetch at EL0 without a page", jump, EL0, 0, 0, 4, FETCH0(T3), 4, 0, 0 },
    { "fetch at EL1 without a page", jump, EL1, 0, 0, 4, FETCH1(T3), 4, 0, 0 },
    { "PRFM never faults", prfm, EL0, 0, 0, 8, SVC0, 0, 0, 0 },

    { "LDR over the edge", ldr, EL0, RW0, 0, 0xffc, DATA0(T3), 0x1000, 0, 0 },
    { "STR over the edge", str, EL0, RW0, 0, 0xffc, DATA0(WNR | T3), 0x1000, 0, 0 },
    { "STR over the edge, first page missing", str, EL1, 0, RW1, 0xffc, DATA1(WNR | T3), 0xffc, 0,
      0 },
    { "LDR over the edge into EL1's", ldr, EL0, RW0, RW1, 0xffd, DATA0(P3), 0x1000, 0, 0 },
    { "LDR over the edge, both there", ldr, EL0, RW0, RW0, 0xffd, SVC0, 0, 0, 0 },
    { "LDP over its base, second half", ldp_base, EL0, RW0, 0, 0xff8, DATA0(T3), 0x1000, 0, 0 },
    { "LDR, pre-index", ldr_pre, EL0, RW0, 0, 0xff8, DATA0(T3), 0x1000, 0, 0 },
    { "LD1, post-index, second half", ld1_post, EL0, RW0, 0, 0xff0, DATA0(T3), 0x1000, 0, 0 },
    { "LDP, second half", ldp, EL0, RW0, 0, 0xff8, DATA0(T3), 0x1000, 0, 0 },
    { "STP, second half", stp, EL0, RW0, RO0, 0xff8, DATA0(WNR | P3), 0x1000, 0, 0 },
    { "STP, post-index, second half", stp_post, EL0, RW0, 0, 0xff8, DATA0(WNR | T3), 0x1000, 0, 0 },
    { "LDR Q over the edge", ldr_q, EL0, RW0, 0, 0xff4, DATA0(T3), 0x1000, 0, 0 },
    { "STR Q over the edge", str_q, EL0, RW0, 0, 0xff4, DATA0(WNR | T3), 0x1000, 0, 0 },
    { "LDP Q, second half", ldp_q, EL0, RW0, 0, 0xff0, DATA0(T3), 0x1000, 0, 0 },
    { "STP Q, second half", stp_q, EL0, RW0, 0, 0xff0, DATA0(WNR | T3), 0x1000, 0, 0 },
    { "LD4 over the edge", ld4, EL0, RW0, 0, 0xfe0, DATA0(T3), 0x1000, 0, 0 },
    { "ST4 over the edge", st4, EL0, RW0, 0, 0xfe0, DATA0(WNR | T3), 0x1000, 0, 0 },

    { "no access flag, LDR", ldr, EL0, RW0 & ~AF, 0, 0, DATA0(ACCESS_FLAG | 3), 0, 0, 0 },
    { "no access flag, STR", str, EL1, RW1 & ~AF, 0, 0, DATA1(WNR | ACCESS_FLAG | 3), 0, 0, 0 },
    { "no access flag, fetch", jump, EL1, RO1 & ~(AF | XN), 0, 0, FETCH1(ACCESS_FLAG | 3), 0, 0,
      0 },
    { "no access flag comes before permission", str, EL0, RO1 & ~AF, 0, 0,
      DATA0(WNR | ACCESS_FLAG | 3), 0, 0, 0 },

    { "AP 00, LDR at EL0", ldr, EL0, RW1, 0, 16, DATA0(P3), 16, 0, 0 },
    { "AP 00, STR at EL1", str, EL1, RW1, 0, 16, SVC0, 0, 0, 0 },
    { "AP 01, STR at EL0", str, EL0, RW0, 0, 16, SVC0, 0, 0, 0 },
    { "AP 01, STR at EL1", str, EL1, RW0, 0, 16, SVC0, 0, 0, 0 },
    { "AP 10, STR at EL1", str, EL1, RO1, 0, 16, DATA1(WNR | P3), 16, 0, 0 },
    { "AP 10, LDR at EL1", ldr, EL1, RO1, 0, 16, SVC0, 0, 0, 0 },
    { "AP 10, LDR at EL0", ldr, EL0, RO1, 0, 16, DATA0(P3), 16, 0, 0 },
    { "AP 11, STR at EL0", str, EL0, RO0, 0, 16, DATA0(WNR | P3), 16, 0, 0 },
    { "AP 11, STR at EL1", str, EL1, RO0, 0, 16, DATA1(WNR | P3), 16, 0, 0 },
    { "AP 11, LDR at EL0", ldr, EL0, RO0, 0, 16, SVC0, 0, 0, 0 },
    { "UXN, fetch at EL0", jump, EL0, RO0, 0, 0, FETCH0(P3), 0, 0, 0 },
    { "PXN, fetch at EL1", jump, EL1, RO0, 0, 0, FETCH1(P3), 0, 0, 0 },
    { "UXN only, fetch at EL1", jump, EL1, RO0 & ~PXN, 0, 0, SVC0, 0, 0, 0 },
    { "PXN only, fetch at EL0", jump, EL0, RO0 & ~UXN, 0, 0, SVC0, 0, 0, 0 },
    { "execute-only, fetch at EL0", jump, EL0, RO1 & ~UXN, 0, 0, SVC0, 0, 0, 0 },
    { "writable by EL0, fetch at EL1", jump, EL1, RW0 & ~XN, 0, 0, FETCH1(P3), 0, 0, 0 },
    { "writable by EL0, fetch at EL0", jump, EL0, RW0 & ~XN, 0, 0, SVC0, 0, 0, 0 },
    { "WXN, writable, fetch at EL1", jump, EL1, RW1 & ~XN, 0, 0, FETCH1(P3), 0, SCTLR_WXN, 0 },
    { "WXN, writable, fetch at EL0", jump, EL0, RW0 & ~XN, 0, 0, FETCH0(P3), 0, SCTLR_WXN, 0 },
    { "WXN, read-only, fetch at EL0", jump, EL0, RO0 & ~XN, 0, 0, SVC0, 0, SCTLR_WXN, 0 },

    { "PAN, LDR of EL0's", ldr, EL1 | SPSR_PAN, RW0, 0, 0, DATA1(P3), 0, 0, 0 },
    { "PAN, STR of EL0's", str, EL1 | SPSR_PAN, RW0, 0, 0, DATA1(WNR | P3), 0, 0, 0 },
    { "PAN, LDR of EL1's", ldr, EL1 | SPSR_PAN, RW1, 0, 0, SVC0, 0, 0, 0 },
    { "PAN, LDR of EL0's at EL0", ldr, EL0 | SPSR_PAN, RW0, 0, 0, SVC0, 0, 0, 0 },
    { "PAN, fetch of EL0's", jump, EL1 | SPSR_PAN, RO0 & ~XN, 0, 0, SVC0, 0, 0, 0 },
    { "PAN, data that EL0 may only execute", ldr, EL1 | SPSR_PAN, RW1 & ~UXN, 0, 0, SVC0, 0, 0, 0 },
    { "EPAN, data that EL0 may only execute", ldr, EL1 | SPSR_PAN, RW1 & ~UXN, 0, 0, DATA1(P3), 0,
      SCTLR_EPAN, 0 },
    { "EPAN without PAN", ldr, EL1, RW1 & ~UXN, 0, 0, SVC0, 0, SCTLR_EPAN, 0 },
    { "EPAN, fetch", jump, EL1 | SPSR_PAN, RO1 & ~XN, 0, 0, SVC0, 0, SCTLR_EPAN, 0 },
    { "PAN, LDTR of EL0's", ldtr, EL1 | SPSR_PAN, RW0, 0, 0, SVC0, 0, 0, 0 },
    { "PAN, STTR of EL0's", sttr, EL1 | SPSR_PAN, RW0, 0, 0, SVC0, 0, 0, 0 },
    { "PAN, DC ZVA of EL0's", dc_zva, EL1 | SPSR_PAN, RW0, 0, 0, DATA1(WNR | P3), 0, 0, 0 },
    { "PAN, DC CVAU of EL0's", dc_cvau, EL1 | SPSR_PAN, RW0, 0, 0, SVC0, 0, 0, 0 },
    { "PAN, DC IVAC of EL0's", dc_ivac, EL1 | SPSR_PAN, RW0, 0, 0, SVC0, 0, 0, 0 },
    { "LDTR of EL1's", ldtr, EL1, RW1, 0, 8, DATA1(P3), 8, 0, 0 },
    { "STTR of EL1's", sttr, EL1, RW1, 0, 8, DATA1(WNR | P3), 8, 0, 0 },
    { "STTR of what EL0 may read", sttr, EL1, RO0, 0, 8, DATA1(WNR | P3), 8, 0, 0 },
    { "UAO, LDTR of EL1's", ldtr, EL1 | SPSR_UAO, RW1, 0, 0, SVC0, 0, 0, 0 },
    { "UAO, STTR of EL1's", sttr, EL1 | SPSR_UAO, RW1, 0, 0, SVC0, 0, 0, 0 },
    { "UAO and PAN, LDTR of EL0's", ldtr, EL1 | SPSR_UAO | SPSR_PAN, RW0, 0, 0, DATA1(P3), 0, 0,
      0 },

    { "A, LDR", ldr, EL1, RW1, 0, 4, DATA1(ALIGNMENT), 4, SCTLR_A, 0 },
    { "A, STR", str_w, EL0, RW0, 0, 2, DATA0(WNR | ALIGNMENT), 2, SCTLR_A, 0 },
    { "A, LDRH", ldrh, EL0, RW0, 0, 1, DATA0(ALIGNMENT), 1, SCTLR_A, 0 },
    { "A, LDRB", ldrb, EL0, RW0, 0, 1, SVC0, 0, SCTLR_A, 0 },
    { "A, LDP is of 8 bytes", ldp, EL0, RW0, 0, 8, SVC0, 0, SCTLR_A, 0 },
    { "A, LDP of W is of 4 bytes", ldp_w, EL0, RW0, 0, 4, SVC0, 0, SCTLR_A, 0 },
    { "A, STP", stp, EL0, RW0, 0, 4, DATA0(WNR | ALIGNMENT), 4, SCTLR_A, 0 },
    { "A, STP goes before translation", stp, EL0, 0, 0, 4, DATA0(WNR | ALIGNMENT), 4, SCTLR_A, 0 },
    { "A, LDR goes before translation", ldr, EL0, 0, 0, 4, DATA0(ALIGNMENT), 4, SCTLR_A, 0 },
    { "A, LDR Q is of 16 bytes", ldr_q, EL0, RW0, 0, 8, DATA0(ALIGNMENT), 8, SCTLR_A, 0 },
    { "A, STR Q is of 16 bytes", str_q, EL0, RW0, 0, 8, DATA0(WNR | ALIGNMENT), 8, SCTLR_A, 0 },
    { "A, LDP Q is of 16 bytes", ldp_q, EL0, RW0, 0, 8, DATA0(ALIGNMENT), 8, SCTLR_A, 0 },
    { "A, STP Q is of 16 bytes", stp_q, EL0, RW0, 0, 8, DATA0(WNR | ALIGNMENT), 8, SCTLR_A, 0 },
    { "A, LDR Q aligned", ldr_q, EL0, RW0, 0, 16, SVC0, 0, SCTLR_A, 0 },
    { "A, LD1 of bytes", ld1, EL0, RW0, 0, 1, SVC0, 0, SCTLR_A, 0 },
    { "A, LD4 of words", ld4, EL0, RW0, 0, 2, DATA0(ALIGNMENT), 2, SCTLR_A, 0 },
    { "A, DC ZVA is aligned", dc_zva, EL1, RW1, 0, 33, SVC0, 0, SCTLR_A, 0 },
    { "device, LDR", ldr, EL0, DEV, 0, 4, DATA0(ALIGNMENT), 4, 0, 0 },
    { "device, STR", str, EL1, DE2, 0, 1, DATA1(WNR | ALIGNMENT), 1, 0, 0 },
    { "device, aligned LDR", ldr, EL0, DEV, 0, 8, SVC0, 0, 0, 0 },
    { "device, LDP of 8 bytes each", ldp, EL0, DEV, 0, 8, SVC0, 0, 0, 0 },
    { "device, STP", stp, EL0, DEV, 0, 4, DATA0(WNR | ALIGNMENT), 4, 0, 0 },
    { "device, LDR Q", ldr_q, EL0, DEV, 0, 8, DATA0(ALIGNMENT), 8, 0, 0 },
    { "device, STR Q", str_q, EL0, DEV, 0, 8, DATA0(WNR | ALIGNMENT), 8, 0, 0 },
    { "device, alignment goes before permission", str, EL0, DEV | AP_RO, 0, 4,
      DATA0(WNR | ALIGNMENT), 4, 0, 0 },
    { "device, access flag goes before alignment", str, EL0, DEV & ~AF, 0, 4,
      DATA0(WNR | ACCESS_FLAG | 3), 4, 0, 0 },
    { "device, DC ZVA", dc_zva, EL1, DEV, 0, 0x48, DATA1(WNR | ALIGNMENT), 0x48, 0, 0 },
    { "non-cacheable, misaligned LDR", ldr, EL0, (RW0 & ~MEMORY) | NONCACH, 0, 4, SVC0, 0, 0, 0 },

    { "LDXR misaligned", ldxr, EL0, RW0, 0, 4, DATA0(ALIGNMENT), 4, 0, 0 },
    { "LDXP aligned to one register", ldxp, EL0, RW0, 0, 8, DATA0(ALIGNMENT), 8, 0, 0 },
    { "LDAR misaligned", ldar, EL0, RW0, 0, 4, DATA0(ALIGNMENT), 4, 0, 0 },
    { "STLR misaligned", stlr, EL0, RW0, 0, 4, DATA0(WNR | ALIGNMENT), 4, 0, 0 },
    { "LDAPR misaligned", ldapr, EL0, RW0, 0, 4, DATA0(ALIGNMENT), 4, 0, 0 },
    { "LDAPUR misaligned", ldapur, EL0, RW0, 0, 0, DATA0(ALIGNMENT), 1, 0, 0 },
    { "LDADD misaligned: as its read", ldadd, EL0, RW0, 0, 4, DATA0(ALIGNMENT), 4, 0, 0 },
    { "CASP aligned to one register", casp, EL0, RW0, 0, 8, DATA0(ALIGNMENT), 8, 0, 0 },
    { "LDXR without a page", ldxr, EL0, 0, 0, 8, DATA0(T3), 8, 0, 0 },
    { "STXR to a read-only page", stxr, EL0, RO0, 0, 8, DATA0(WNR | P3), 8, 0, 0 },
    { "LDADD to a read-only page: its write", ldadd, EL0, RO0, 0, 8, DATA0(WNR | P3), 8, 0, 0 },
    { "LDADD without a page: its read", ldadd, EL0, 0, 0, 8, DATA0(T3), 8, 0, 0 },
    { "SWP to EL1's page: its read", swp, EL0, RW1, 0, 8, DATA0(P3), 8, 0, 0 },
    { "CAS without a page: its read", cas, EL1, 0, 0, 8, DATA1(T3), 8, 0, 0 },

    { "DC ZVA without a page: CM=0, FAR as given", dc_zva, EL1, 0, 0, 0x48, DATA1(WNR | T3), 0x48,
      0, 0 },
    { "DC ZVA at EL0 to a read-only page", dc_zva, EL0, RO0, 0, 0x7f, DATA0(WNR | P3), 0x7f,
      SCTLR_DZE, 0 },
    { "DC CVAU without a page", dc_cvau, EL1, 0, 0, 0x48, DATA1(CM | WNR | T3), 0x48, 0, 0 },
    { "DC CIVAC at EL0 without a page", dc_civac, EL0, 0, 0, 3, DATA0(CM | WNR | T3), 3, SCTLR_UCI,
      0 },
    { "DC CIVAC at EL0 of EL1's page", dc_civac, EL0, RW1, 0, 0, DATA0(CM | WNR | P3), 0, SCTLR_UCI,
      0 },
    { "DC CIVAC at EL0 of a read-only page", dc_civac, EL0, RO0, 0, 0, SVC0, 0, SCTLR_UCI, 0 },
    { "DC CVAU without access flag", dc_cvau, EL1, RW1 & ~AF, 0, 0,
      DATA1(CM | WNR | ACCESS_FLAG | 3), 0, 0, 0 },
    { "DC IVAC of a read-only page", dc_ivac, EL1, RO1, 0, 0, DATA1(CM | WNR | P3), 0, 0, 0 },
    { "DC IVAC of a writable page", dc_ivac, EL1, RW1, 0, 0, SVC0, 0, 0, 0 },
    { "IC IVAU without a page", ic_ivau, EL1, 0, 0, 0x44, DATA1(CM | WNR | T3), 0x44, 0, 0 },
    { "IC IVAU of a read-only page", ic_ivau, EL1, RO1, 0, 0, SVC0, 0, 0, 0 },

    { "a tag without TBI", ldr, EL0, RW0, 0, 0x5aul << 56, DATA0(TRANSLATION | 0), 0x5aul << 56, 0,
      0 },
    { "TBI", ldr, EL0, RW0, 0, 0x5aul << 56, SVC0, 0, 0, TCR_TBI0 },
    { "TBI, FAR has the tag", str, EL0, RO0, 0, 0x5aul << 56, DATA0(WNR | P3), 0x5aul << 56, 0,
      TCR_TBI0 },
    { "TBI, a branch loses it", jump, EL1, RO0, 0, 0x5aul << 56, FETCH1(P3), 0, 0, TCR_TBI0 },
    { "TBID, a branch keeps it", jump, EL1, RO0 & ~XN, 0, 0x5aul << 56, FETCH1(TRANSLATION | 0),
      0x5aul << 56, 0, TCR_TBI0 | TCR_TBID0 },
    { "TBID, data", ldr, EL0, RW0, 0, 0x5aul << 56, SVC0, 0, 0, TCR_TBI0 | TCR_TBID0 },
    { "TBI, bits 55 to 48 still count", ldr, EL0, RW0, 0, 1ul << 48, DATA0(TRANSLATION | 0),
      1ul << 48, 0, TCR_TBI0 },
};

/* SVC #0 is what a branch finds. */
static void put_code(void)
{
    ((volatile uint32_t *)TARGET)[0] = 0xd4000001;
    ((volatile uint32_t *)TARGET)[1] = 0xd4000001;
    SYS("dc cvau", TARGET);
    DO("dsb ish");
    SYS("ic ivau", TARGET);
    DO("dsb ish\n isb");
}

static void check_access(const struct access_case *a)
{
    if ((a->tcr & TCR_TBID0) && !(READ(id_aa64isar1_el1) & 0xff0))
        return; /* TBID comes with FEAT_PAuth */
    put_code();
    *slot(&kit_low, V, 3) = a->page ? TARGET | a->page | PAGE : 0;
    *slot(&kit_low, V + 4096, 3) = a->next ? (TARGET + 4096) | a->next | PAGE : 0;
    flush();
    WRITE(far_el1, 0);
    WRITE(tcr_el1, KIT_TCR | a->tcr);
    WRITE(sctlr_el1, KIT_SCTLR | a->sctlr);
    const struct taken *t = run(a->code, a->spsr, V + a->va, 0);
    WRITE(sctlr_el1, KIT_SCTLR);
    WRITE(tcr_el1, KIT_TCR);
    check("access", a->name, t->esr, a->esr);
    if (a->esr == SVC0)
        return;
    if (t->far != V + a->far)
        check(a->name, "FAR_EL1", t->far, V + a->far);
    /* LDXR comes before STXR, and a branch is taken. */
    uint64_t elr = a->code == jump ? V + a->far : (uint64_t)a->code + (a->code == stxr ? 4 : 0);
    if (t->elr != elr)
        check(a->name, "ELR_EL1", t->elr, elr);
    if (t->x[0] != V + a->va)
        check(a->name, "the base register", t->x[0], V + a->va);
}

/* A descriptor that faults, at each level: nothing, a block where none may be, too far. */
static void levels(void)
{
    static const struct level_case {
        const char *name;
        unsigned level;
        uint64_t descriptor;
        uint32_t fsc;
    } cases[] = {
        { "invalid", 0, 0, TRANSLATION | 0 },
        { "invalid", 1, 0, TRANSLATION | 1 },
        { "invalid", 2, 0, TRANSLATION | 2 },
        { "invalid", 3, 0, TRANSLATION | 3 },
        { "bit 0 alone decides", 2, TARGET | 2, TRANSLATION | 2 },
        { "a block at level 0", 0, TARGET | BLOCK | RW0, TRANSLATION | 0 },
        { "a block at level 3", 3, TARGET | BLOCK | RW0, TRANSLATION | 3 },
        { "table beyond the output size", 0, 1ul << 44 | TABLE, ADDRESS_SIZE | 0 },
        { "table beyond the output size", 1, 1ul << 44 | TABLE, ADDRESS_SIZE | 1 },
        { "table beyond the output size", 2, 1ul << 44 | TABLE, ADDRESS_SIZE | 2 },
        { "block beyond the output size", 1, 1ul << 44 | BLOCK | RW0, ADDRESS_SIZE | 1 },
        { "block beyond the output size", 2, 1ul << 44 | BLOCK | RW0, ADDRESS_SIZE | 2 },
        { "page beyond the output size", 3, 1ul << 44 | PAGE | RW0, ADDRESS_SIZE | 3 },
        { "address size goes before the access flag", 3, 1ul << 44 | PAGE | (RW0 & ~AF),
          ADDRESS_SIZE | 3 },
        { "no access flag in a block", 1, 1ul << 30 | BLOCK | (RW0 & ~AF), ACCESS_FLAG | 1 },
        { "no access flag in a block", 2, TARGET | BLOCK | (RW0 & ~AF), ACCESS_FLAG | 2 },
        { "permission in a block", 1, 1ul << 30 | BLOCK | RW1, PERMISSION | 1 },
        { "permission in a block", 2, TARGET | BLOCK | RW1, PERMISSION | 2 },
    };

    for (unsigned i = 0; i < COUNT(cases); i++) {
        *slot(&kit_low, V, 3) = TARGET | PAGE | RW0;
        volatile uint64_t *d = slot(&kit_low, V, cases[i].level);
        uint64_t kept = *d;
        *d = cases[i].descriptor;
        flush();
        const struct taken *t = run(ldr, EL0, V + 0x38, 0);
        check("level of the fault, LDR", cases[i].name, t->esr, DATA0(cases[i].fsc));
        t = run(str, EL0, V + 0x38, 0);
        check("level of the fault, STR", cases[i].name, t->esr, DATA0(WNR | cases[i].fsc));
        check("level of the fault", "FAR_EL1", t->far, V + 0x38);
        if ((cases[i].fsc & ~3) != PERMISSION)
            check("level of the fault, fetch", cases[i].name, run(jump, EL0, V, 0)->esr,
                  FETCH0(cases[i].fsc));
        *d = kept;
        flush();
    }
}

/* Table attributes take permissions away (D8.4), unless HPD says no. */
static void hierarchy(void)
{
    static const struct {
        const char *name;
        uint64_t table, spsr;
        const uint32_t *code;
        uint64_t esr, tcr;
    } cases[] = {
        { "APTable 01, LDR at EL0", APT_EL0, EL0, ldr, DATA0(P3), 0 },
        { "APTable 01, LDR at EL1", APT_EL0, EL1, ldr, SVC0, 0 },
        { "APTable 10, STR at EL0", APT_RO, EL0, str, DATA0(WNR | P3), 0 },
        { "APTable 10, STR at EL1", APT_RO, EL1, str, DATA1(WNR | P3), 0 },
        { "APTable 10, LDR at EL0", APT_RO, EL0, ldr, SVC0, 0 },
        { "UXNTable, fetch at EL0", UXNT, EL0, jump, FETCH0(P3), 0 },
        { "PXNTable, fetch at EL1", PXNT | APT_RO, EL1, jump, FETCH1(P3), 0 },
        { "UXNTable, fetch at EL1", UXNT | APT_RO, EL1, jump, SVC0, 0 },
        { "HPD0, STR at EL0", APT_RO | APT_EL0, EL0, str, SVC0, TCR_HPD0 },
        { "HPD0, fetch at EL0", UXNT, EL0, jump, SVC0, TCR_HPD0 },
    };

    for (unsigned level = 0; level < 3; level++)
        for (unsigned i = 0; i < COUNT(cases); i++) {
            volatile uint64_t *d = slot(&kit_low, V, level);
            *slot(&kit_low, V, 3) = TARGET | PAGE | (RW0 & ~XN);
            put_code();
            *d |= cases[i].table;
            flush();
            WRITE(tcr_el1, KIT_TCR | cases[i].tcr);
            check("table attributes", cases[i].name, run(cases[i].code, cases[i].spsr, V, 0)->esr,
                  cases[i].esr);
            WRITE(tcr_el1, KIT_TCR);
            *d &= ~cases[i].table;
        }
    flush();
}

/* TTBR and output sizes against TCR_EL1.IPS (D8.2), on the upper half. */
static void sizes(void)
{
    const uint64_t far_up = ~0ul << 48 | V;
    struct space up = space_new(12, 48);

    *slot(&up, far_up, 3) = TARGET | PAGE | RW0;
    WRITE(ttbr1_el1, up.root);
    flush();
    check("TTBR1_EL1", "LDR", run(ldr, EL0, far_up, 0)->esr, SVC0);
    WRITE(ttbr1_el1, up.root | 1ul << 44);
    flush();
    check("TTBR1_EL1", "beyond the output size", run(ldr, EL0, far_up, 0)->esr,
          DATA0(ADDRESS_SIZE));
    WRITE(ttbr1_el1, up.root);
    map(&up, far_up, 3, 1ul << 32 | PAGE | RW0);
    WRITE(tcr_el1, KIT_TCR & ~TCR_IPS);
    flush();
    check("IPS 32 bits", "output of 33", run(str, EL0, far_up, 0)->esr,
          DATA0(WNR | ADDRESS_SIZE | 3));
    WRITE(tcr_el1, KIT_TCR);
    map(&up, far_up, 3, TARGET | PAGE | RW0);

    static const struct {
        const char *name;
        uint64_t tcr, spsr;
        const uint32_t *code;
        uint64_t esr;
    } upper[] = {
        { "E0PD1, LDR at EL0", TCR_E0PD1, EL0, ldr, DATA0(TRANSLATION) },
        { "E0PD1, LDR at EL1", TCR_E0PD1, EL1, ldr, SVC0 },
        { "E0PD1, LDTR at EL1", TCR_E0PD1, EL1, ldtr, DATA1(TRANSLATION) },
        { "E0PD1 and UAO, LDTR at EL1", TCR_E0PD1, EL1 | SPSR_UAO, ldtr, SVC0 },
        { "E0PD1, fetch at EL0", TCR_E0PD1, EL0, jump, FETCH0(TRANSLATION) },
        { "EPD1, LDR at EL1", TCR_EPD1, EL1, ldr, DATA1(TRANSLATION) },
        { "EPD1, fetch at EL1", TCR_EPD1, EL1, jump, FETCH1(TRANSLATION) },
    };
    for (unsigned i = 0; i < COUNT(upper); i++) {
        WRITE(tcr_el1, KIT_TCR | upper[i].tcr);
        flush();
        check("TCR_EL1", upper[i].name, run(upper[i].code, upper[i].spsr, far_up, 0)->esr,
              upper[i].esr);
    }
    WRITE(tcr_el1, KIT_TCR | TCR_TBI1);
    flush();
    check("TBI1", "LDR", run(ldr, EL0, far_up & ~(0xfful << 56), 0)->esr, SVC0);
    check("TBI1", "FAR_EL1", run(str, EL0, (far_up & ~(0xfful << 56)) + 0x1000, 0)->far,
          (far_up & ~(0xfful << 56)) + 0x1000);
    WRITE(tcr_el1, KIT_TCR);
    flush();
}

/* Straight-line code from one page into the next, which is another one's memory or missing. */
static void page_end(void)
{
    volatile uint32_t *end = (volatile uint32_t *)(TARGET + 0xffc);
    volatile uint32_t *other = (volatile uint32_t *)(TARGET + 0x5000);

    *end = 0xd503201f;   /* nop */
    *other = 0xd4000061; /* svc #3 */
    put_code();
    DO("ic iallu\n dsb ish\n isb");
    map(&kit_low, V, 3, TARGET | PAGE | (RO0 & ~XN));
    map(&kit_low, V + 0x1000, 3, 0);
    const struct taken *t = run(jump, EL0, V + 0xffc, 0);
    check("end of a page", "the next one is missing", t->esr, FETCH0(T3));
    check("end of a page", "FAR_EL1", t->far, V + 0x1000);
    check("end of a page", "ELR_EL1", t->elr, V + 0x1000);
    map(&kit_low, V + 0x1000, 3, (TARGET + 0x5000) | PAGE | RO0);
    check("end of a page", "the next one is no code", run(jump, EL0, V + 0xffc, 0)->esr,
          FETCH0(P3));
    map(&kit_low, V + 0x1000, 3, (TARGET + 0x5000) | PAGE | (RO0 & ~XN));
    check("end of a page", "goes on in the next one", run(jump, EL0, V + 0xffc, 0)->esr, SVC0 | 3);
    check("end of a page", "also at EL1", run(jump, EL1, V + 0xffc, 0)->esr, SVC0 | 3);
    map(&kit_low, V + 0x1000, 3, 0);
}

/* SPSR_EL1 has the flags of before the access, as far as they are read. */
static void flags(void)
{
    enum { N = 8, Z = 4, ALL = 15 };
    static const struct {
        const char *name;
        const uint32_t *code;
        uint64_t x1;
        unsigned read, nzcv;
    } cases[] = {
        { "SUBS, Z", subs_ldr, 1, N | Z, 4 },
        { "SUBS, N", subs_ldr, 0, N | Z, 8 },
        { "SUBS, neither", subs_ldr, 2, N | Z, 0 },
        { "ADDS, Z", adds_ldp, 0xffffffff, N | Z, 4 },
        { "ADDS, N", adds_ldp, 0x7fffffff, N | Z, 8 },
        { "CMP, less", cmp_str, 0, ALL, 8 },
        { "CMP, the same", cmp_str, 1, ALL, 6 },
        { "CMP, overflow", cmp_str, 1ul << 63, ALL, 3 },
        { "CMP of registers, more", cmp_ldrb, 7, ALL, 2 },
        { "SUBS of registers, overflow", subs_strh, 0x80000001, ALL, 3 },
        { "SUBS of registers, borrow", subs_strh, 1, ALL, 8 },
        { "SUBS, overflow", subs_br, 1ul << 63 | 1, ALL, 3 },
        { "SUBS, more", subs_br, 4, ALL, 2 },
        { "TST, Z", tst_ldr, 0x100, ALL, 4 },
        { "TST, not Z", tst_ldr, 0x101, ALL, 0 },
    };

    for (unsigned i = 0; i < COUNT(cases); i++) {
        const uint64_t x[4] = { V, cases[i].x1, 2 };
        *slot(&kit_low, V, 3) = 0;
        flush();
        kit_run(cases[i].code, EL0, x);
        const struct taken *t = &kit_cpus[0].taken;
        check("flags at a fault", cases[i].name, t->spsr >> 28 & cases[i].read, cases[i].nzcv);
        check(cases[i].name, "ELR_EL1", t->elr, (uint64_t)(cases[i].code + 1));
        *slot(&kit_low, V, 3) = TARGET | PAGE | RW0;
        kit_run(cases[i].code, EL0, x);
        check(cases[i].name, "with a page", t->esr, SVC0);
        if (cases[i].code == subs_strh || cases[i].code == subs_br)
            check("flags of a way on", cases[i].name, t->spsr >> 28, cases[i].nzcv);
    }
}

static void neighbours(void)
{
    static const struct {
        const char *name;
        uint64_t at, low, high; /* of the two pages */
        uint32_t esr, elr;      /* the latter in instructions */
        uint64_t far, x[4];
    } cases[] = {
        { "a page", 0, RW0, 0, SVC0, 8, 0, { V + 16, 6, 13, 13 } },
        { "no page", 0, 0, 0, ESR(0x24, TRANSLATION | 3), 0, V, { V, 1, 2, 3 } },
        { "read-only", 0, RO0, 0, ESR(0x24, WNR | PERMISSION | 3), 2, V, { V, 6, 2, 3 } },
        { "two pages", 0xff8, RW0, RW0, SVC0, 8, 0, { V + 0x1008, 6, 13, 13 } },
        { "the other one is missing",
          0xff8,
          RW0,
          0,
          ESR(0x24, TRANSLATION | 3),
          3,
          V + 0x1000,
          { V + 0xff8, 6, 2, 3 } },
        { "the other one is read-only",
          0xff8,
          RW0,
          RO0,
          ESR(0x24, WNR | PERMISSION | 3),
          5,
          V + 0x1008,
          { V + 0xff8, 6, 13, 3 } },
    };

    for (unsigned i = 0; i < 4 * COUNT(cases); i++) {
        unsigned n = i / 4;
        const uint64_t x[4] = { V + cases[n].at, 1, 2, 3 };
        volatile uint64_t *data = (volatile uint64_t *)(TARGET + cases[n].at);
        *slot(&kit_low, V, 3) = cases[n].low ? TARGET | PAGE | cases[n].low : 0;
        *slot(&kit_low, V + 0x1000, 3) =
            cases[n].high ? (TARGET + 0x1000) | PAGE | cases[n].high : 0;
        flush();
        data[0] = 5;
        data[1] = 7;
        kit_run(counter, EL0, x);
        const struct taken *t = &kit_cpus[0].taken;
        check("neighbours", cases[n].name, t->esr, cases[n].esr);
        if (cases[n].esr != SVC0) {
            check(cases[n].name, "ELR_EL1", t->elr, (uint64_t)(counter + cases[n].elr));
            check(cases[n].name, "FAR_EL1", t->far, cases[n].far);
        }
        for (unsigned k = 0; k < 4; k++)
            check(cases[n].name, "registers", t->x[k], cases[n].x[k]);
        check(cases[n].name, "memory", data[0], cases[n].low == RW0 ? 6 : 5);
    }
    *slot(&kit_low, V, 3) = *slot(&kit_low, V + 0x1000, 3) = 0;
    flush();
}

/* Without the MMU: data is device memory, code is not (D8.2). */
static void off(void)
{
    static const struct {
        const char *name;
        const uint32_t *code;
        uint64_t va, esr;
    } cases[] = {
        { "LDR", ldr, TARGET, SVC0 },
        { "LDR misaligned", ldr, TARGET + 4, DATA1(ALIGNMENT) },
        { "STR misaligned", str, TARGET + 1, DATA1(WNR | ALIGNMENT) },
        { "LDR Q", ldr_q, TARGET + 8, DATA1(ALIGNMENT) },
        { "DC ZVA", dc_zva, TARGET, DATA1(WNR | ALIGNMENT) },
        { "DC CIVAC", dc_civac, TARGET, SVC0 },
        { "beyond the physical size, LDR", ldr, 1ul << 52, DATA1(ADDRESS_SIZE) },
        { "beyond the physical size, STR", str, 1ul << 52, DATA1(WNR | ADDRESS_SIZE) },
        { "beyond the physical size, fetch", jump, 1ul << 52, FETCH1(ADDRESS_SIZE) },
        { "fetch", jump, TARGET, SVC0 },
    };

    put_code();
    WRITE(sctlr_el1, KIT_SCTLR & ~1ul);
    for (unsigned i = 0; i < COUNT(cases); i++) {
        const struct taken *t = run(cases[i].code, EL1, cases[i].va, 0xd4000001);
        uint64_t esr = t->esr, far = t->far;
        check("MMU off", cases[i].name, esr, cases[i].esr);
        if (esr != SVC0)
            check("MMU off", "FAR_EL1", far, cases[i].va);
        if (cases[i].code == str)
            put_code();
    }
    WRITE(sctlr_el1, KIT_SCTLR);
}

void test(void)
{
    for (unsigned i = 0; i < COUNT(accesses); i++)
        check_access(&accesses[i]);
    levels();
    hierarchy();
    sizes();
    page_end();
    flags();
    neighbours();
    off();
}
