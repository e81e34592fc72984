#!/usr/bin/env python3
"""ireko on KVM, for real: boot an arm64 Linux that has /dev/kvm under QEMU, and there run the conformance suite of the
API and Linux guests, all on engine kvm.

usage: kvm_test.py --build FOLDER [--old] [--log FILE] [step ...]

IREKO_GUEST is the guest of ./dev guest, IREKO_ARM64 the folder of tools/arm64-sysroot.sh, IREKO_KVM the host's kernel;
with --old that is the guest's own, Linux 6.1, which answers firmware calls itself.

The host is `qemu-system-aarch64 -M virt,virtualization=on,gic-version=3` with our initramfs, to which the program, the
tests and what they need are added; nothing is written to a disk. What it prints between two marks is the step's.
"""
import argparse
import importlib.util
import os
import pathlib
import re
import resource
import stat
import subprocess
import sys
import time

here = pathlib.Path(__file__).resolve().parent

SUITE = ["vm", "vcpu", "optional", "exit", "abort", "run", "smp", "debug", "gic", "gicstate", "gicits"]
BOOTS = ["uboot", "boot-1-v3", "boot-2-v3", "boot-2-v3-pci", "boot-2-v3,its-pci", "boot-1-v2", "boot-2-v2", "reset-2-v3"]
STEPS = ["info"] + ["hv-" + name for name in SUITE] + BOOTS
# Who has the devices' interrupts, as Linux calls them.
CHIPS = {("mmio", "v2"): "GIC-0", ("mmio", "v3"): "GICv3", ("pci", "v3"): "MSI", ("pci", "v3,its"): "ITS-MSI"}
LIBRARIES = ["libuv.so.1", "libfdt.so.1", "libz.so.1", "libzstd.so.1", "libslirp.so.0", "libglib-2.0.so.0",
             "libpcre2-8.so.0"]
C_LIBRARIES = ["ld-linux-aarch64.so.1", "libc.so.6", "libm.so.6"]


def newc():
    spec = importlib.util.spec_from_file_location("mkinitramfs", here.parent.parent / "guest" / "mkinitramfs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Newc()


def write_initramfs(args, out):
    build, guest = pathlib.Path(args.build), pathlib.Path(args.guest)
    cpio = newc()
    cpio.add("kvm", stat.S_IFDIR | 0o755)
    files = {"ireko": build / "ireko", "ireko-usernet": build / "ireko-usernet", "inside.sh": here / "inside.sh",
             "Image": guest / "Image", "initramfs": guest / "initramfs"}
    if args.firmware:
        files["u-boot.bin"] = pathlib.Path(args.firmware) / "u-boot.bin"
    files.update({f"hv-{name}": build / "tests" / "hv" / f"hv_{name}_test" for name in SUITE})
    for name, path in files.items():
        cpio.add("kvm/" + name, stat.S_IFREG | 0o755, path.read_bytes())
    for name in LIBRARIES:
        cpio.add("lib/" + name, stat.S_IFREG | 0o755,
                 (pathlib.Path(args.root) / "usr/lib/aarch64-linux-gnu" / name).read_bytes())
    for name in C_LIBRARIES:
        cpio.add("lib/" + name, stat.S_IFREG | 0o755, (pathlib.Path("/usr/aarch64-linux-gnu/lib") / name).read_bytes())
    data = (guest / "initramfs").read_bytes()
    out.write_bytes(data + b"\0" * (-len(data) % 4) + cpio.finish())


def run_host(args, initrd, steps):
    # Time is counted in instructions: else a guest's timer outruns an emulation that is slow, and nothing else happens.
    command = ["qemu-system-aarch64", "-M", "virt,virtualization=on,gic-version=3", "-cpu", "neoverse-n1", "-smp", "2",
               "-m", "2G", "-icount", "shift=1,sleep=off", "-nographic", "-nic", "none", "-no-reboot",
               "-kernel", args.kernel, "-initrd", initrd,
               "-append", f'console=ttyAMA0 quiet ireko.cmd="sh /kvm/inside.sh {" ".join(steps)}"']
    with open(args.log, "wb") as log:
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=args.timeout, check=False)
        except subprocess.TimeoutExpired:
            log.write(f"\nthe host was ended after {args.timeout:.0f} s\n".encode())
    return pathlib.Path(args.log).read_text(encoding="utf-8", errors="replace").replace("\r", "")


def points_of(step, text, status):
    """(good, name, skip, notes) of what a step printed."""
    if step == "info" or step.startswith("hv-"):
        notes = []
        for line in text.splitlines():
            found = re.match(r"(ok|not ok) \d+ - (.*?)(?: # SKIP (.*))?$", line)
            if found:
                yield found[1] == "ok", f"{step}: {found[2]}", found[3], notes
                notes = []
            elif line.startswith("#"):
                notes.append(line)
        if status != 0 or step == "info":
            yield status == 0, f"{step} ends with status {status}", None, text.splitlines()[-20:]
        return
    if step == "uboot":
        good = status == 0 and "05fc0000: 6f766572 ffffffff" in text
        yield good, "U-Boot runs from flash and writes to it", None, [] if good else text.splitlines()[-30:]
        return
    kind, cpus, gic, transport = (step + "-mmio").split("-")[:4]
    if kind == "boot":
        wanted = [f"sum 42, {cpus} CPU", f"interrupts by {CHIPS[transport, gic]}\n", "written by the host",
                  "from the host's loopback"]
    else:
        wanted = [f"life 2, {cpus} CPU"]
    wanted.append("on the disk: written by the guest")
    missing = [w for w in wanted if w not in text]
    what = {"boot": "Linux boots, uses its disk and its network", "reset": "Linux restarts"}[kind]
    yield status == 0 and not missing, f"{step}: {what}", None, \
        [] if not missing else [f"missing: {missing}"] + text.splitlines()[-30:]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    for name, variable in ("guest", "IREKO_GUEST"), ("root", "IREKO_ARM64"), ("kernel", "IREKO_KVM"), ("firmware", "IREKO_FIRMWARE"):
        parser.add_argument("--" + name, default=os.environ.get(variable))
    parser.add_argument("--old", action="store_true")
    parser.add_argument("--log", default="kvm-host.log")
    parser.add_argument("--timeout", type=int, default=1500)
    parser.add_argument("steps", nargs="*")
    args = parser.parse_args()
    args.timeout *= float(os.environ.get("IREKO_PATIENCE", "1"))
    if not args.guest or not args.root or not args.kernel:
        print("1..0 # SKIP only by ./dev test --kvm")
        return
    if args.old:
        args.kernel = str(pathlib.Path(args.guest) / "Image")
    steps = args.steps or [s for s in STEPS if s != "uboot" or args.firmware]
    initrd = pathlib.Path(args.log).with_suffix(".initramfs")
    write_initramfs(args, initrd)
    start = time.monotonic()
    text = run_host(args, str(initrd), steps)
    initrd.unlink()
    count = failed = 0
    for step in steps:
        found = re.search(rf"^@@ begin {step}\n(.*?)^@@ end {step} (\d+) after (\S+)$", text, re.S | re.M)
        points = list(points_of(step, found[1], int(found[2]))) if found else \
            [(False, f"{step} did not end", None, text.splitlines()[-30:])]
        for good, name, skip, notes in points:
            count += 1
            failed += not good
            for note in notes:
                print("#", note)
            print(f"{'ok' if good else 'not ok'} {count} - {name}{f' # SKIP {skip}' if skip else ''}")
    print(f"1..{count}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"# {time.monotonic() - start:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of processor time")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
