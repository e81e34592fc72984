#!/usr/bin/env python3
"""Linux on what libHypervisor can make of a Mac (IREKO_APPLE): to the shell, with a disk.

usage: apple_test.py [--slow] WORDS...   (--slow: with 1 CPU too, and on both engines)
"""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import PROMPT, guest  # noqa: E402
from harness.tap import check, run  # noqa: E402

IREKO = os.environ["IREKO"]
slow = "--slow" in sys.argv
modes = [a for a in sys.argv[1:] if a != "--slow"]


def boots(words, engine, cpus):
    def test():
        os.environ["IREKO_APPLE"] = words
        with tempfile.TemporaryDirectory() as folder:
            image = pathlib.Path(folder) / "disk.img"
            with open(image, "wb") as f:
                f.truncate(16 << 20)
            with Console("run", "--kernel", guest("Image"), "--initrd", guest("initramfs"), "--memory", "512M",
                         "--cpus", str(cpus), "--engine", engine, "--disk", image, "--append", "") as c:
                c.wait_for(PROMPT, seconds=120)
                c.send("mke2fs -q /dev/vda && mount -t ext2 /dev/vda /mnt && seq 1 9999 > /mnt/n && umount /mnt; "
                       "mount -t ext2 /dev/vda /mnt && tail -n 1 /mnt/n; sleep 1; echo $(nproc) CPUs: $((6 * 7))\n")
                c.wait_for("9999")
                c.wait_for(f"{cpus} CPUs: 42")
                c.send("dmesg | grep -c GICv3:; echo that was it: $((6 * 7))\n")
                c.wait_for("that was it: 42")
                text = c.tail()
                c.send("poweroff -f\n")
                check(c.finish() == 0, c.tail())
                check(("macos13" in words) == ("\n0\r\nthat" in text.replace("\r\r", "\r")), text)
    test.__doc__ = f"{words}, {engine}, {cpus} CPU{'' if cpus == 1 else 's'}: Linux boots to a shell and uses a disk"
    return test


def ireko(words, *arguments):
    return subprocess.run([IREKO, *arguments], env={**os.environ, "IREKO_APPLE": words}, capture_output=True,
                          text=True, check=False)


def unsigned_is_told():
    """without the entitlement `run` and `info` say what is missing and what to do"""
    done = ireko("unsigned", "run", "--kernel", guest("Image"))
    check(done.returncode == 1 and "com.apple.security.hypervisor" in done.stderr, done.stderr)
    done = ireko("unsigned", "info")
    check(done.returncode == 0 and "codesign --sign - --entitlements" in done.stdout, done.stdout)


def macos13_has_no_gicv3():
    """on macOS 13 --gic v3 and 9 CPUs are refused with a sentence"""
    for option in ["--gic", "v3"], ["--cpus", "9"]:
        done = ireko("m1,macos13", "run", "--kernel", guest("Image"), *option)
        check(done.returncode == 1 and option[0] in done.stderr, done.stderr)


def wrong_word_is_told():
    """a word in IREKO_APPLE that does not exist is named, and no VM is made"""
    done = ireko("m1,vax", "run", "--kernel", guest("Image"))
    check(done.returncode == 1 and "'vax'" in done.stderr, done.stderr)


tests = [] if slow else [unsigned_is_told, macos13_has_no_gicv3, wrong_word_is_told]
for mode in modes:
    tests += [boots(mode, engine, cpus) for engine in (["jit", "interp"] if slow else ["jit"])
              for cpus in ([1, 2] if slow else [2])]
run(tests)
