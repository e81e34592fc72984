#!/usr/bin/env python3
"""The program for macOS as the cross-build makes it: what it is, what it links, and that a Mac has all that it wants.

usage: macho_test.py SOURCE_ROOT SYSROOT LIBSYSTEM PROGRAM...   (the first program is `ireko`)
"""
import pathlib
import plistlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.tap import check, run  # noqa: E402
from macos import macho  # noqa: E402

root, sysroot, libsystem = (pathlib.Path(a) for a in sys.argv[1:4])
programs = {pathlib.Path(a).name: macho.MachO(pathlib.Path(a)) for a in sys.argv[4:]}
ireko = programs["ireko"]
OLDEST = (13, 0)
HYPERVISOR = "/System/Library/Frameworks/Hypervisor.framework/Versions/A/Hypervisor"
SYSTEM = "/usr/lib/libSystem.B.dylib"
LIBRARIES = {HYPERVISOR, SYSTEM, "/usr/lib/libz.1.dylib", "/opt/homebrew/opt/zstd/lib/libzstd.1.dylib",
             "/opt/homebrew/opt/libuv/lib/libuv.1.dylib", "/opt/homebrew/opt/dtc/lib/libfdt.1.dylib"}


def version(text):
    return tuple(int(part) for part in text.split("."))


def api():
    rows = (line.split() for line in (root / "tools/macos/api.txt").read_text(encoding="utf-8").splitlines())
    return {"_" + row[1]: version(row[0]) for row in rows if row and row[0] != "#"}


def exports():
    """What each library's stub names, by the library's install name."""
    stubs = {}
    for stub in [*sysroot.rglob("*.tbd"), libsystem]:
        text = stub.read_text(encoding="utf-8")
        name = re.search(r"install-name:\s*'([^']*)'", text)[1]
        stubs[name] = set(re.findall(r"[\w$.]+", text))
    return stubs


def it_is_a_program_for_apple_silicon():
    """every program is an arm64 executable for macOS 13.0 and later"""
    for name, program in programs.items():
        check(program.cpu == macho.CPU_TYPE_ARM64 and program.filetype == macho.MH_EXECUTE, f"{name} is something else")
        check(program.platform == macho.PLATFORM_MACOS, f"{name} is for platform {program.platform}")
        check(version(program.minos) == OLDEST, f"{name} wants macOS {program.minos}")


def it_links_what_it_should():
    """ireko links Hypervisor.framework, libSystem and its four libraries, and nothing else"""
    check(set(ireko.libraries) == LIBRARIES, f"{set(ireko.libraries) ^ LIBRARIES}")


def every_import_exists():
    """every symbol that a program imports is exported by the library it is to come from"""
    known = exports()
    for name, program in programs.items():
        missing = [s for s, (library, _) in program.imports.items() if s not in known[library]]
        check(not missing, f"{name}: {missing}")
    print(f"# ireko imports {len(ireko.imports)} symbols")


def newer_functions_are_weak():
    """functions of Hypervisor.framework that came after macOS 13 are weak, and only those, and nothing else is"""
    since = api()
    for name, program in programs.items():
        for symbol, (library, weak) in program.imports.items():
            if library == HYPERVISOR:
                check(symbol in since, f"{name}: Apple has no {symbol}")
                check(weak == (since[symbol] > OLDEST), f"{name}: {symbol} is {'' if weak else 'not '}weak")
            else:
                check(not weak, f"{name}: {symbol} is weak")
    of_api = [weak for library, weak in ireko.imports.values() if library == HYPERVISOR]
    print(f"# ireko imports {len(of_api)} functions of the framework, {sum(of_api)} of them weak")
    check(sum(of_api) > 0, "no hv_gic_* at all?")


def nothing_of_the_other_hosts_is_in_it():
    """the API's provider for other hosts is not in the program"""
    other = re.compile(r"_(hv|soft|jit|kvm|interp|tlb)_(?!.*__thunk$)")
    found = [s for s in ireko.defined if other.match(s)]
    check(not found, f"{found}")
    check("_vm_create" in ireko.defined and "_vcpu_start" in ireko.defined, "the monitor is not in it")


def the_entitlement_is_there():
    """the entitlement file grants com.apple.security.hypervisor and nothing else"""
    with open(root / "tools/entitlements.plist", "rb") as f:
        check(plistlib.load(f) == {"com.apple.security.hypervisor": True}, "it grants something else")


run([it_is_a_program_for_apple_silicon, it_links_what_it_should, every_import_exists, newer_functions_are_weak,
     nothing_of_the_other_hosts_is_in_it, the_entitlement_is_there])
