#!/usr/bin/env python3
"""Every encoding of MRS and MSR (register): soft/sysregs.def and LLVM's assembler agree on which are registers that EL1 may use.

usage: sysregs_llvm.py LLVM_MC SYSREGS_DEF

LLVM is told the features of ireko-v1 with its options, but it names registers of some others as well. ONLY_LLVM and ONLY_OURS
say why this CPU does not have them, or LLVM does not know them; every line has to be of use.
"""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.tap import check, run  # noqa: E402

FEATURES = ("+v8.2a,+neon,+fp-armv8,+lse,+rdm,+crc,+aes,+sha2,+sha3,+fullfp16,+fp16fml,+dotprod,+complxnum,+jsconv,+rcpc,"
            "+rcpc-immo,+flagm,+altnzcv,+fptoint,+sb,+wfxt,+pauth,+rand,+ssbs,+dit,+ecv,+pan,+pan-rwv,+uaops,+ccdp,+ccpp,"
            "+bti,+perfmon")

# Pattern of "R NAME" or "W NAME", and why only LLVM has it.
ONLY_LLVM = {
    r". \w+_EL(2|3|12|02)": "EL2 and EL3 are not there",
    r". (SPSR_(irq|abt|und|fiq)|CNTPS_\w+)": "EL2's, of AArch32; EL3's",
    r". SP_EL1": "EL2's: EL1 has it as SP",
    r". (TEECR32|TEEHBR32)_EL1": "ThumbEE, before Armv8",
    r". ER[RX]\w+": "FEAT_RAS is not there",
    r". DISR_EL1": "FEAT_RAS is not there",
    r". TRB\w+": "FEAT_TRBE is not there",
    r". TRC\w+": "FEAT_ETE is not there",
    r". (RVBAR|RMR)_EL1": "below a hypervisor EL1 is not the highest level",
    r". (DSPSR|DLR)_EL0": "D19.3: undefined outside of Debug state",
    r". DBG[BW][VC]R\d+_EL1": "six breakpoints, four watchpoints",
    r". ICC_AP[01]R[123]_EL1": "five bits of priority need one register",
    r". PMEV(CNTR|TYPER)\d+_EL0": "six event counters; the others are the monitor's",
    r"W PMMIR_EL1": "D19.5: read-only",
    r"W CNTFRQ_EL0": "D19.12: written at the highest level",
    r"W CNT[PV]CTSS_EL0": "D19.12: read-only",
}

# Names that LLVM 14 does not have.
ONLY_OURS = {
    r"R ID_(PFR2|DFR1|AA64ZFR0|AA64SMFR0|AA64MMFR3)_EL1": "identification space, read as zero",
    r". SCXTNUM_EL[01]": "FEAT_CSV2_2",
}


def ours(path):
    """Encoding to name, for EL1's reads and for its writes."""
    found = ({}, {})
    for m in re.finditer(r"^SYSREG\((\w+), (\d), (\d), (\d+), (\d+), (\d), (\w+),", path.read_text(encoding="utf-8"), re.M):
        name, access, encoding = m[1], m[7], tuple(map(int, m.groups()[1:6]))
        if access == "VMM_ONLY":
            continue
        if not access.endswith("_WO"):
            found[0][encoding] = name
        if not access.endswith("_RO") or access == "EL0_RO_EL1_RW":
            found[1][encoding] = name
    return found


def llvm(tool):
    encodings = [(op0, op1, crn, crm, op2) for op0 in (2, 3) for op1 in range(8) for crn in range(16)
                 for crm in range(16) for op2 in range(8)]
    found = ({}, {})
    for write, names in enumerate(found):
        words = [0xD5000000 | (1 - write) << 21 | a << 19 | b << 16 | c << 12 | d << 8 | e << 5 | 1 for a, b, c, d, e in encodings]
        text = "\n".join(" ".join(f"0x{byte:02x}" for byte in w.to_bytes(4, "little")) for w in words)
        done = subprocess.run([tool, "--disassemble", "-triple=aarch64", "-mattr=" + FEATURES], input=text, capture_output=True,
                              text=True, check=True)
        lines = [line for line in done.stdout.splitlines() if re.match(r"\s+m[rs][rs]\t", line)]
        check(len(lines) == len(encodings), "LLVM refused some")
        for encoding, line in zip(encodings, lines):
            name = line.split("\t")[2].split(", ")[1 - write]
            if not re.fullmatch(r"S\d_\d_C\d+_C\d+_\d", name):
                names[encoding] = name
    return found


def unexplained(only, explained):
    """Those of `only` that no pattern fits; then the patterns that none of them needed."""
    used = set()
    rest = []
    for name in only:
        fits = [p for p in explained if re.fullmatch(p, name)]
        used.update(fits)
        rest += [] if fits else [name]
    return rest + [f"no use: {p}" for p in explained if p not in used]


def registers_agree():
    """MRS and MSR: LLVM and this CPU know the same registers, but for those that are explained"""
    a, b = ours(pathlib.Path(sys.argv[2])), llvm(sys.argv[1])
    only_llvm, only_ours = ([f"{letter} {x[encoding]}" for letter, x, y in zip("RW", first, second)
                             for encoding in sorted(x.keys() - y.keys())] for first, second in ((b, a), (a, b)))
    both = sum(len(x.keys() & y.keys()) for x, y in zip(a, b))
    print(f"# {both} accesses are of both, {len(only_llvm)} of LLVM only, {len(only_ours)} of this CPU only")
    wrong = unexplained(only_llvm, ONLY_LLVM) + unexplained(only_ours, ONLY_OURS)
    check(not wrong, ", ".join(wrong))


if __name__ == "__main__":
    run([registers_agree])
