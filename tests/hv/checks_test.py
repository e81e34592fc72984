#!/usr/bin/env python3
"""docs/conformance.md: every check that it names is in the test program that it names, and there are enough of them.

usage: checks_test.py SOURCE_ROOT
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.tap import check, run  # noqa: E402

root = pathlib.Path(sys.argv[1])
# Of any provider; apple_test.c, front_test.c and the like are about our own.
PROGRAMS = ["vm", "vcpu", "optional", "exit", "abort", "run", "smp", "debug", "gic", "gicstate", "gicits"]
AT_LEAST = 150


def checks_of(program):
    text = (root / f"tests/hv/{program}_test.c").read_text(encoding="utf-8")
    return re.findall(r"\bRUN(?:_CANCEL|_SINCE)?\((?:[\d.]+, )?(\w+)\)", text)


def the_table_is_true():
    """every check that docs/conformance.md names is run by the program that it names"""
    named = 0
    for line in (root / "docs/conformance.md").read_text(encoding="utf-8").splitlines():
        if not line.startswith("| ") or "`" not in line.split("|")[2]:
            continue
        program = None
        for word in re.findall(r"`?\w+`?", line.split("|")[2]):
            if word[0] != "`":
                program = word if word in PROGRAMS else program
                continue
            check(program and word.strip("`") in checks_of(program), f"{program}_test.c has no {word}")
            named += 1
    check(named > 40, f"only {named} names were found")
    print(f"# {named} names")


def there_are_enough():
    """the suite has at least 150 checks, each under its own name"""
    names = [f"{p}: {c}" for p in PROGRAMS for c in checks_of(p)]
    check(len(names) >= AT_LEAST and len(set(names)) == len(names), f"{len(names)}, {len(set(names))} of them different")
    print(f"# {len(names)} checks, and those of tables")


run([the_table_is_true, there_are_enough])
