#!/usr/bin/env python3
"""The hostile guest (guest/hostile.c) under `ireko run`: whatever it does, ireko lives, the sanitizers say nothing,
and the guest comes to its end. usage: hostile_test.py IMAGE SECONDS
"""
import os
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.tap import check, run  # noqa: E402

IMAGE, SECONDS = sys.argv[1], int(sys.argv[2])


def attack(seed, cpus, *options):
    with tempfile.TemporaryDirectory() as folder:
        disks = []
        for name in ("a.img", "b.img"):
            with open(pathlib.Path(folder) / name, "wb") as f:
                f.truncate(4 << 20)
            disks += ["--disk", f.name + (",ro" if name == "b.img" else "")]
        os.mkdir(f"{folder}/shared")
        before = pathlib.Path(folder, "b.img").read_bytes()
        with Console("run", "--kernel", IMAGE, "--memory", "128M", "--cpus", cpus, *disks,
                     "--vsock", f"path={folder}/v", "--console", "pty", "--console", "none,name=x", "--share",
                     f"{folder}/shared,tag=x", "--append", f"hostile.seconds={SECONDS} hostile.seed={seed}", *options) as c:
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


if __name__ == "__main__":
    run([one_cpu, two_cpus, gicv2, its, pci])
