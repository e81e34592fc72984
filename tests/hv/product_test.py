#!/usr/bin/env python3
"""libHypervisor as others use it: what it exports, and a program for Apple's API built against it.

usage: product_test.py SOURCE_ROOT BUILD_ROOT SHARED_LIBRARY COMPILER... (COMPILER "-": only look at the exports)
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.tap import Skip, check, run  # noqa: E402

root, build, shared = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
compiler = sys.argv[4:]
EXAMPLES = {
    "hello": "exit reason 1, exception class 0x3c, x0 = 42\n",
    "mmio": "Hello world\n",
    "vtimer": "exit reason 2, the timer is masked\nexception class 0x16, 10 ms passed: yes\n",
}


class Installed:
    """What `meson install` puts under a prefix, here in a folder that is gone afterwards."""

    def __enter__(self):
        if compiler == ["-"]:
            raise Skip("not with sanitizers, nor where its programs do not run")
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", self.root], check=True,
                       stdout=subprocess.DEVNULL)
        self.libraries = next(self.root.rglob("libHypervisor.so")).parent
        return self

    def __exit__(self, *unused):
        self.folder.cleanup()

    def pkg_config(self, *arguments):
        """The words that pkg-config answers. It puts the folder before the paths itself."""
        environment = {**os.environ, "PKG_CONFIG_LIBDIR": str(self.libraries / "pkgconfig"),
                       "PKG_CONFIG_SYSROOT_DIR": str(self.root)}
        return subprocess.run(["pkg-config", *arguments, "hypervisor"], env=environment, capture_output=True, text=True,
                              check=True).stdout.split()

    def run_examples(self, *arguments, mode=None, but=()):
        environment = {**os.environ, "LD_LIBRARY_PATH": str(self.libraries)}
        if mode:
            environment["IREKO_APPLE"] = mode
        for name, output in EXAMPLES.items():
            if name in but:
                continue
            program = self.root / name
            subprocess.run([*compiler, "-Wall", "-Wextra", "-Werror", root / f"examples/{name}.c", *arguments,
                            "-o", program], check=True)
            done = subprocess.run([program], env=environment, capture_output=True, text=True, check=False)
            check(done.returncode == 0 and done.stdout == output, f"{done.returncode}: {done.stdout}{done.stderr}")


def declared():
    names = set()
    for header in [*(root / "include/Hypervisor").glob("*.h"), root / "include/os/object.h"]:
        text = re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.S)
        names |= set(re.findall(r"\b((?:hv|hvx|os)_[a-z0-9_]+)\(", text))
    return names


def exports_are_the_declarations():
    """the shared library exports what the headers declare, and nothing else"""
    listing = subprocess.run(["nm", "-D", "--defined-only", shared], capture_output=True, text=True, check=True).stdout
    exported = {line.split()[2].split("@")[0] for line in listing.splitlines() if line.split()[1] == "T"}
    check(len(exported) > 80, f"only {len(exported)} symbols")
    check(exported == declared(), f"they differ in {sorted(exported ^ declared())}")


def all_of_it_is_installed():
    """shared library with its soname, static library, every header, pkg-config: under a prefix"""
    with Installed() as i:
        soname = subprocess.run(["readelf", "-d", i.libraries / "libHypervisor.so"], capture_output=True, text=True,
                                check=True).stdout
        check("[libHypervisor.so.1]" in soname and (i.libraries / "libHypervisor.so.1").exists(), soname)
        check((i.libraries / "libHypervisor.a").stat().st_size > 100000, "there is no static library")
        include = i.pkg_config("--cflags")
        check(len(include) == 1 and include[0].startswith("-I"), f"{include}")
        for header in (root / "include").rglob("*.h"):
            copy = pathlib.Path(include[0][2:]) / header.relative_to(root / "include")
            check(copy.read_bytes() == header.read_bytes(), f"{copy} is not {header}")
        check(i.pkg_config("--libs-only-l") == ["-lHypervisor"], "it is not one flag to link with")


def examples_run_with_the_shared_library():
    """the examples run with the shared library that is installed"""
    with Installed() as i:
        i.run_examples(*i.pkg_config("--cflags", "--libs"))


def examples_run_with_the_static_library():
    """the examples run with the static library that is installed"""
    with Installed() as i:
        i.run_examples("-static", *i.pkg_config("--static", "--cflags", "--libs"))


def examples_run_in_apple_mode():
    """the examples run unchanged in Apple mode, on an M1 with macOS 13 and with random cancels"""
    with Installed() as i:
        words = i.pkg_config("--cflags", "--libs")
        i.run_examples(*words, mode="m1,macos13")
        # hello is the smallest guest, and does not expect cancels
        i.run_examples(*words, mode="m4,macos15,cancel", but=["hello"])


def examples_are_short():
    """the examples have at most 100 lines"""
    for source in (root / "examples").glob("*.c"):
        lines = len(source.read_text(encoding="utf-8").splitlines())
        check(lines <= 100, f"{source.name} has {lines}")


run([exports_are_the_declarations, all_of_it_is_installed, examples_run_with_the_shared_library, examples_run_with_the_static_library,
     examples_run_in_apple_mode, examples_are_short])
