#!/usr/bin/env python3
"""The public headers say what Apple's do, and nothing else: functions, enumerants and the macOS that brought them. Their
values, types and layouts are checked by `layout`, at compile time. usage: headers_test.py SOURCE_ROOT
"""
import importlib.util
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.tap import check, run  # noqa: E402

root = pathlib.Path(sys.argv[1])
here = pathlib.Path(__file__).parent
headers = {h.name: h.read_text(encoding="utf-8") for h in [*(root / "include/Hypervisor").glob("*.h"),
                                                           root / "include/arm64/hv/hv_kern_types.h"]}
ours = headers.pop("hvx.h")

# System registers that came after macOS 11.
NEWER = {
    "15.0": """ACTLR_EL1 CNTP_CTL_EL0 CNTP_CVAL_EL0 CNTP_TVAL_EL0 CNTHCTL_EL2 CNTHP_CTL_EL2 CNTHP_CVAL_EL2 CNTHP_TVAL_EL2
        CNTVOFF_EL2 CPTR_EL2 ELR_EL2 ESR_EL2 FAR_EL2 HCR_EL2 HPFAR_EL2 MAIR_EL2 MDCR_EL2 SCTLR_EL2 SPSR_EL2 SP_EL2
        TCR_EL2 TPIDR_EL2 TTBR0_EL2 TTBR1_EL2 VBAR_EL2 VMPIDR_EL2 VPIDR_EL2 VTCR_EL2 VTTBR_EL2""",
    "15.2": "ID_AA64ZFR0_EL1 ID_AA64SMFR0_EL1 SMPRI_EL1 SMCR_EL1 SCXTNUM_EL1 TPIDR2_EL0 SCXTNUM_EL0",
}


def layout_gen():
    spec = importlib.util.spec_from_file_location("layout_gen", here / "layout_gen.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def api():
    """Function to the macOS that brought it."""
    rows = (line.split() for line in (root / "tools/macos/api.txt").read_text(encoding="utf-8").splitlines())
    return {row[1]: row[0] for row in rows if row and row[0] != "#"}


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def functions_are_apples():
    """every function of Apple's is declared, and no other in a header of its name"""
    declared = {name for text in headers.values()
                for name in re.findall(r"\b(hv_[a-z0-9_]+)\(", without_comments(text))}
    check(declared == set(api()), f"they differ in {sorted(declared ^ set(api()))}")
    print(f"# {len(declared)} functions")


def ours_are_apart():
    """what Apple does not have is in hvx.h and begins with hvx"""
    names = re.findall(r"^(?:static inline )?(?:hv_return_t |bool |uint64_t |const char \*)(\w+)\(", without_comments(ours), re.M)
    foreign = [n for n in names if not n.startswith("hvx_")]
    check(len(names) > 10 and not foreign, f"{foreign}")


def enumerants_are_apples():
    """every constant of the headers is one whose value `layout` checks"""
    checked = {name for name, _ in layout_gen().checks()}
    checked |= set(re.findall(r"\b(?:VALUE|CODE)\((HV_\w+)", (here / "layout_test.c").read_text(encoding="utf-8")))
    declared = {name for text in headers.values() for name in
                re.findall(r"^\s*(HV_[A-Za-z0-9_]+)\s*=|^#define (HV_[A-Z0-9_]+)\b", without_comments(text), re.M)
                for name in name if name}
    check(declared == checked, f"they differ in {sorted(declared ^ checked)}")
    print(f"# {len(declared)} constants")


def registers_came_when_they_came():
    """every system register says which macOS brought it"""
    text = headers["hv_vcpu_types.h"]
    found = re.findall(r"^ *HV_SYS_REG_(\w+) = \w+,(?: +/\* macOS ([\d.]+))?", text, re.M)
    since = {name: version for version, names in NEWER.items() for name in names.split()}
    wrong = [name for name, version in found if (version or "11.0") != since.get(name, "11.0")]
    check(len(found) == 148 and not wrong, f"{len(found)} registers; {wrong}")


run([functions_are_apples, ours_are_apart, enumerants_are_apples, registers_came_when_they_came])
