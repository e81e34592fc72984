#!/usr/bin/env python3
"""Print compile-time checks of every enumerant of the API's large tables, and of every function's type.

Each value is computed from what its name says (an encoding, an offset and a stride), not read from the
headers, so a slip in a header does not compile; the types are those of tools/macos/api.txt.
usage: layout_gen.py API_TXT > layout_checks.h
"""
import pathlib
import sys

# Name and op0, op1, CRn, CRm, op2; DDI 0487 D22.
SYS_REGS = """
MDCCINT_EL1 2 0 0 2 0      MDSCR_EL1 2 0 0 2 2        MIDR_EL1 3 0 0 0 0         MPIDR_EL1 3 0 0 0 5
ID_AA64PFR0_EL1 3 0 0 4 0  ID_AA64PFR1_EL1 3 0 0 4 1  ID_AA64ZFR0_EL1 3 0 0 4 4  ID_AA64SMFR0_EL1 3 0 0 4 5
ID_AA64DFR0_EL1 3 0 0 5 0  ID_AA64DFR1_EL1 3 0 0 5 1  ID_AA64ISAR0_EL1 3 0 0 6 0 ID_AA64ISAR1_EL1 3 0 0 6 1
ID_AA64MMFR0_EL1 3 0 0 7 0 ID_AA64MMFR1_EL1 3 0 0 7 1 ID_AA64MMFR2_EL1 3 0 0 7 2 SCTLR_EL1 3 0 1 0 0
ACTLR_EL1 3 0 1 0 1        CPACR_EL1 3 0 1 0 2        SMPRI_EL1 3 0 1 2 4        SMCR_EL1 3 0 1 2 6
TTBR0_EL1 3 0 2 0 0        TTBR1_EL1 3 0 2 0 1        TCR_EL1 3 0 2 0 2
APIAKEYLO_EL1 3 0 2 1 0    APIAKEYHI_EL1 3 0 2 1 1    APIBKEYLO_EL1 3 0 2 1 2    APIBKEYHI_EL1 3 0 2 1 3
APDAKEYLO_EL1 3 0 2 2 0    APDAKEYHI_EL1 3 0 2 2 1    APDBKEYLO_EL1 3 0 2 2 2    APDBKEYHI_EL1 3 0 2 2 3
APGAKEYLO_EL1 3 0 2 3 0    APGAKEYHI_EL1 3 0 2 3 1
SPSR_EL1 3 0 4 0 0         ELR_EL1 3 0 4 0 1          SP_EL0 3 0 4 1 0           AFSR0_EL1 3 0 5 1 0
AFSR1_EL1 3 0 5 1 1        ESR_EL1 3 0 5 2 0          FAR_EL1 3 0 6 0 0          PAR_EL1 3 0 7 4 0
MAIR_EL1 3 0 10 2 0        AMAIR_EL1 3 0 10 3 0       VBAR_EL1 3 0 12 0 0        CONTEXTIDR_EL1 3 0 13 0 1
TPIDR_EL1 3 0 13 0 4       SCXTNUM_EL1 3 0 13 0 7     CNTKCTL_EL1 3 0 14 1 0     CSSELR_EL1 3 2 0 0 0
TPIDR_EL0 3 3 13 0 2       TPIDRRO_EL0 3 3 13 0 3     TPIDR2_EL0 3 3 13 0 5      SCXTNUM_EL0 3 3 13 0 7
CNTP_TVAL_EL0 3 3 14 2 0   CNTP_CTL_EL0 3 3 14 2 1    CNTP_CVAL_EL0 3 3 14 2 2   CNTV_CTL_EL0 3 3 14 3 1
CNTV_CVAL_EL0 3 3 14 3 2   SP_EL1 3 4 4 1 0           VPIDR_EL2 3 4 0 0 0        VMPIDR_EL2 3 4 0 0 5
SCTLR_EL2 3 4 1 0 0        HCR_EL2 3 4 1 1 0          MDCR_EL2 3 4 1 1 1         CPTR_EL2 3 4 1 1 2
TTBR0_EL2 3 4 2 0 0        TTBR1_EL2 3 4 2 0 1        TCR_EL2 3 4 2 0 2          VTTBR_EL2 3 4 2 1 0
VTCR_EL2 3 4 2 1 2         SPSR_EL2 3 4 4 0 0         ELR_EL2 3 4 4 0 1          ESR_EL2 3 4 5 2 0
FAR_EL2 3 4 6 0 0          HPFAR_EL2 3 4 6 0 4        MAIR_EL2 3 4 10 2 0        VBAR_EL2 3 4 12 0 0
TPIDR_EL2 3 4 13 0 2       CNTVOFF_EL2 3 4 14 0 3     CNTHCTL_EL2 3 4 14 1 0     CNTHP_TVAL_EL2 3 4 14 2 0
CNTHP_CTL_EL2 3 4 14 2 1   CNTHP_CVAL_EL2 3 4 14 2 2  SP_EL2 3 6 4 1 0
"""

# Names after the prefix, and their encodings: IHI 0069 12.
ICC = """
PMR_EL1 3 0 4 6 0      BPR0_EL1 3 0 12 8 3    AP0R0_EL1 3 0 12 8 4   AP1R0_EL1 3 0 12 9 0
RPR_EL1 3 0 12 11 3    BPR1_EL1 3 0 12 12 3   CTLR_EL1 3 0 12 12 4   SRE_EL1 3 0 12 12 5
IGRPEN0_EL1 3 0 12 12 6  IGRPEN1_EL1 3 0 12 12 7
"""
ICH = """
AP0R0_EL2 3 4 12 8 0   AP1R0_EL2 3 4 12 9 0   HCR_EL2 3 4 12 11 0    VTR_EL2 3 4 12 11 1
MISR_EL2 3 4 12 11 2   EISR_EL2 3 4 12 11 3   ELRSR_EL2 3 4 12 11 5  VMCR_EL2 3 4 12 11 7
"""

# Name, first offset, stride, first and last number; IHI 0069 12.8, 12.10.
DISTRIBUTOR = [
    ("IGROUPR", 0x0080, 4, 0, 31), ("ISENABLER", 0x0100, 4, 0, 31), ("ICENABLER", 0x0180, 4, 0, 31),
    ("ISPENDR", 0x0200, 4, 0, 31), ("ICPENDR", 0x0280, 4, 0, 31), ("ISACTIVER", 0x0300, 4, 0, 31),
    ("ICACTIVER", 0x0380, 4, 0, 31), ("IPRIORITYR", 0x0400, 4, 0, 254), ("ICFGR", 0x0c00, 4, 0, 63),
    ("IROUTER", 0x6000, 8, 32, 1019),
]
DISTRIBUTOR_SINGLE = [("CTLR", 0), ("TYPER", 4), ("PIDR2", 0xffe8)]
SGI = 0x10000
REDISTRIBUTOR = [
    ("TYPER", 0x0008), ("PIDR2", 0xffe8), ("IGROUPR0", SGI + 0x080), ("ISENABLER0", SGI + 0x100),
    ("ICENABLER0", SGI + 0x180), ("ISPENDR0", SGI + 0x200), ("ICPENDR0", SGI + 0x280),
    ("ISACTIVER0", SGI + 0x300), ("ICACTIVER0", SGI + 0x380),
] + [(f"IPRIORITYR{n}", SGI + 0x400 + 4 * n) for n in range(8)] + [
    ("ICFGR0", SGI + 0xc00), ("ICFGR1", SGI + 0xc04),
]


def encodings(text):
    words = text.split()
    for i in range(0, len(words), 6):
        op0, op1, crn, crm, op2 = map(int, words[i + 1:i + 6])
        yield words[i], op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2


def checks():
    for name, value in encodings(SYS_REGS):
        yield "HV_SYS_REG_" + name, value
    for n in range(16):
        for op2, kind in enumerate(("BVR", "BCR", "WVR", "WCR"), 4):
            yield f"HV_SYS_REG_DBG{kind}{n}_EL1", 2 << 14 | n << 3 | op2
    for name, offset in DISTRIBUTOR_SINGLE:
        yield "HV_GIC_DISTRIBUTOR_REG_GICD_" + name, offset
    for name, base, stride, first, last in DISTRIBUTOR:
        for n in range(first, last + 1):
            yield f"HV_GIC_DISTRIBUTOR_REG_GICD_{name}{n}", base + stride * n
    for name, offset in REDISTRIBUTOR:
        yield "HV_GIC_REDISTRIBUTOR_REG_GICR_" + name, offset
    for name, value in encodings(ICC):
        yield "HV_GIC_ICC_REG_" + name, value
        yield "HV_GIC_ICV_REG_" + name, value
    yield "HV_GIC_ICC_REG_SRE_EL2", 3 << 14 | 4 << 11 | 12 << 7 | 9 << 3 | 5
    for name, value in encodings(ICH):
        yield "HV_GIC_ICH_REG_" + name, value
    for n in range(16):
        yield f"HV_GIC_ICH_REG_LR{n}_EL2", 3 << 14 | 4 << 11 | 12 << 7 | (12 + n // 8) << 3 | n % 8
    for n in range(31):
        yield f"HV_REG_X{n}", n
    for n in range(32):
        yield f"HV_SIMD_FP_REG_Q{n}", n
        yield f"HV_SME_Z_REG_{n}", n
    for n in range(16):
        yield f"HV_SME_P_REG_{n}", n


def functions(api):
    """Name and type, as C writes it: returned type, arguments in parentheses."""
    for line in pathlib.Path(api).read_text(encoding="utf-8").splitlines():
        if line and line[0] != "#":
            yield line.split(maxsplit=2)[1:]


def main():
    rows = list(checks())
    types = list(functions(sys.argv[1]))
    assert len({name for name, _ in rows}) == len(rows)
    for name, value in rows:
        print(f'_Static_assert({name} == {value:#x}, "{name}");')
    for name, kind in types:
        print(f'_Static_assert(__builtin_types_compatible_p(__typeof__({name}), {kind}), "{name}");')
    print(f"#define LAYOUT_CHECKS {len(rows)}\n#define LAYOUT_FUNCTIONS {len(types)}")


if __name__ == "__main__":
    main()
