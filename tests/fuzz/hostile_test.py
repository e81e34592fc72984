#!/usr/bin/env python3
"""The hostile guest (guest/hostile.c) under `ireko run`: whatever it does, ireko lives, the sanitizers say nothing,
and the guest comes to its end. usage: hostile_test.py IMAGE SECONDS
"""
import os
import pathlib
import re
import struct
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.tap import check, run  # noqa: E402

IMAGE, SECONDS = sys.argv[1], int(sys.argv[2])


# At the reset vector: copy what is behind the first 64 KiB of the flash to where the image is linked, and go there as a
# loader would, with the device tree's address in x0.
STUB = [
    0xD2A00021,  # movz x1, #1, lsl #16
    0xD2A80102,  # movz x2, #0x4008, lsl #16
    0xD2A00043,  # movz x3, #2, lsl #16         as many bytes
    0xAA0203E4,  # mov  x4, x2
    0xA8C11C26,  # ldp  x6, x7, [x1], #16
    0xA8811C46,  # stp  x6, x7, [x2], #16
    0xF1004063,  # subs x3, x3, #16
    0x54FFFFA1,  # b.ne . - 12
    0xD5033F9F,  # dsb  sy
    0xD508751F,  # ic   iallu
    0xD5033F9F,  # dsb  sy
    0xD5033FDF,  # isb
    0xD2A80000,  # movz x0, #0x4000, lsl #16
    0xD61F0080,  # br   x4
]


def attack(seed, cpus, *options, firmware=None):
    with tempfile.TemporaryDirectory() as folder:
        disks = []
        for name in ("a.img", "b.img"):
            with open(pathlib.Path(folder) / name, "wb") as f:
                f.truncate(4 << 20)
            disks += ["--disk", f.name + (",ro" if name == "b.img" else "")]
        os.mkdir(f"{folder}/shared")
        before = pathlib.Path(folder, "b.img").read_bytes()
        # Firmware has no command line, so its seed and seconds are those of hostile.c.
        start = ["--firmware", firmware] if firmware else [
            "--kernel", IMAGE, "--append", f"hostile.seconds={SECONDS} hostile.seed={seed}"]
        with Console("run", *start, "--memory", "128M", "--cpus", cpus, *disks,
                     "--vsock", f"path={folder}/v", "--console", "pty", "--console", "none,name=x", "--share",
                     f"{folder}/shared,tag=x", *options) as c:
            c.send("input that nobody reads, " * 40)
            status = c.finish(seconds=SECONDS + 60)
            check(status == 0, f"exit status {status}\n{c.tail()}")
            done = re.search(r"hostile: done, accesses: (\d+)", c.log)
            check(done, c.tail())
            check("Sanitizer" not in c.errors and "runtime error" not in c.errors, c.tail())
            print(f"# seed {seed}: {done[1]} accesses in {SECONDS} s")
        check(pathlib.Path(folder, "b.img").read_bytes() == before, "the read-only disk was written")


def one_cpu():
    """a hostile guest on one CPU"""
    attack(os.environ.get("IREKO_SEED", "1"), 1)


def two_cpus():
    """a hostile guest on two CPUs at once"""
    attack(os.environ.get("IREKO_SEED", "2"), 2)


def gicv2():
    """a hostile guest on two CPUs with a GICv2"""
    attack(os.environ.get("IREKO_SEED", "3"), 2, "--gic", "v2")


def its():
    """a hostile guest on two CPUs with an ITS, whose tables and commands it makes up"""
    attack(os.environ.get("IREKO_SEED", "4"), 2, "--gic", "v3,its")


def pci():
    """a hostile guest on two CPUs, whose devices are on a PCI bus"""
    attack(os.environ.get("IREKO_SEED", "5"), 2, "--transport", "pci", "--gic", "v3,its")


def firmware():
    """hostile firmware on two CPUs: its flash, and fw_cfg"""
    with tempfile.TemporaryDirectory() as folder:
        code = pathlib.Path(folder, "code")
        stub = b"".join(struct.pack("<I", word) for word in STUB)
        code.write_bytes(stub.ljust(0x10000, b"\0") + pathlib.Path(IMAGE).read_bytes())
        attack("of its own", 2, firmware=f"{code},vars={folder}/vars")


if __name__ == "__main__":
    run([one_cpu, two_cpus, gicv2, its, pci, firmware])
