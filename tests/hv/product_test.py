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
HELLO = "exit reason 1, exception class 0x3c, x0 = 42\n"


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


def build_and_run(*arguments):
    if compiler == ["-"]:
        raise Skip("not with sanitizers")
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "hello"
        subprocess.run([*compiler, f"-I{root}/include", *arguments, "-o", program], check=True)
        environment = {**os.environ, "LD_LIBRARY_PATH": str(shared.parent)}
        done = subprocess.run([program], env=environment, capture_output=True, text=True, check=False)
        check(done.returncode == 0 and done.stdout == HELLO, f"{done.returncode}: {done.stdout}{done.stderr}")


def hello_runs_with_the_shared_library():
    """examples/hello.c runs with the shared library"""
    build_and_run(root / "examples/hello.c", shared)


def hello_runs_with_the_static_library():
    """examples/hello.c runs with the static library"""
    build_and_run(root / "examples/hello.c", static, "-pthread", "-lm")


run([exports_are_the_declarations, hello_runs_with_the_shared_library, hello_runs_with_the_static_library])
