#!/usr/bin/env python3
"""libHypervisor as others use it: what it exports, and a program for Apple's API built against it.

usage: product_test.py SOURCE_ROOT SHARED_LIBRARY STATIC_LIBRARY COMPILER... (COMPILER "-": only look at the exports)
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.tap import Skip, check, run  # noqa: E402

root, shared, static = (pathlib.Path(a).resolve() for a in sys.argv[1:4])
compiler = sys.argv[4:]
EXAMPLES = {
    "hello": "exit reason 1, exception class 0x3c, x0 = 42\n",
    "mmio": "Hello world\n",
    "vtimer": "exit reason 2, the timer is masked\nexception class 0x16, 10 ms passed: yes\n",
}


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


def build_and_run(*arguments, mode=None):
    if compiler == ["-"]:
        raise Skip("not with sanitizers, nor where its programs do not run")
    environment = {**os.environ, "LD_LIBRARY_PATH": str(shared.parent)}
    if mode:
        environment["IREKO_APPLE"] = mode
    with tempfile.TemporaryDirectory() as folder:
        for name, output in EXAMPLES.items():
            program = pathlib.Path(folder) / name
            subprocess.run([*compiler, "-Wall", "-Wextra", "-Werror", f"-I{root}/include", root / f"examples/{name}.c",
                            *arguments, "-o", program], check=True)
            done = subprocess.run([program], env=environment, capture_output=True, text=True, check=False)
            check(done.returncode == 0 and done.stdout == output, f"{done.returncode}: {done.stdout}{done.stderr}")


def examples_run_with_the_shared_library():
    """the examples run with the shared library"""
    build_and_run(shared)


def examples_run_with_the_static_library():
    """the examples run with the static library"""
    build_and_run(static, "-pthread", "-lm")


def examples_run_in_apple_mode():
    """the examples run unchanged in Apple mode, on an M1 with macOS 13 and with random cancels"""
    build_and_run(shared, mode="m1,macos13")
    for name in "hello",:
        EXAMPLES.pop(name)  # it is the smallest guest, and does not expect cancels
    build_and_run(shared, mode="m4,macos15,cancel")


def examples_are_short():
    """the examples have at most 100 lines"""
    for source in (root / "examples").glob("*.c"):
        lines = len(source.read_text(encoding="utf-8").splitlines())
        check(lines <= 100, f"{source.name} has {lines}")


run([exports_are_the_declarations, examples_run_with_the_shared_library, examples_run_with_the_static_library,
     examples_run_in_apple_mode, examples_are_short])
