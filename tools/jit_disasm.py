#!/usr/bin/env python3
"""Mnemonics for a trace of the JIT (ireko run --trace FILE): objdump disassembles the host's code of each block.

usage: jit_disasm.py FILE [ADDRESS ...]    only blocks at these guest addresses (hexadecimal), if any are given
"""
import re
import subprocess
import sys
import tempfile


def disassemble(code, start):
    """objdump's lines for `code`, which is at offset `start` of the code cache."""
    with tempfile.NamedTemporaryFile(suffix=".bin") as f:
        f.write(code)
        f.flush()
        out = subprocess.run(["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", f"--adjust-vma={start:#x}",
                              f.name], capture_output=True, text=True, check=True).stdout
    return [line for line in out.splitlines() if re.match(r"\s*[0-9a-f]+:\t", line)]


def show(part):
    """Print what was gathered of a part of a block."""
    if part["code"]:
        print(f"  {part['name']}")
        print("\n".join(disassemble(part["code"], part["start"])))
    part.update(name=None, code=b"")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    wanted = {int(a, 16) for a in sys.argv[2:]}
    part = {"name": None, "code": b"", "start": 0}
    shown = True
    with open(sys.argv[1], encoding="ascii") as trace:
        for line in trace:
            row = re.match(r"  (hot|cold) +([0-9a-f]+):([0-9a-f]+)$", line)
            if row and shown:
                if row[1] != part["name"]:
                    show(part)
                    part.update(name=row[1], start=int(row[2], 16))
                part["code"] += bytes.fromhex(row[3])
            elif not row:
                show(part)
                if line.startswith("block"):
                    shown = not wanted or int(re.search(r"va 0x([0-9a-f]+)", line)[1], 16) in wanted
                if shown:
                    print(line, end="")
    show(part)


if __name__ == "__main__":
    main()
