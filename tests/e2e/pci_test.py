#!/usr/bin/env python3
"""Linux finds its disk, network and random numbers on the PCI bus, with every kind of interrupt that they can have.
Needs the guest of `./dev guest` (IREKO_GUEST). `--slow` adds the rarer combinations.
"""
import os
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import guest  # noqa: E402
from harness.tap import check, run  # noqa: E402

MIB = 1 << 20
# Each step prints what it found; the disk's first MiB goes to its second, through the guest.
SCRIPT = """set -e
dd if=/dev/vda of=/dev/vda bs=1M count=1 seek=1 conv=notrunc,fsync 2>/dev/null
echo random $(head -c 64 /dev/hwrng | wc -c).
ip -4 address show eth0 | grep inet
echo functions $(ls /sys/bus/pci/devices | wc -l).
cat /proc/interrupts | grep virtio
echo done $((6 * 7))"""


def boot(*options, append="", chip=""):
    """Boot, use every device, and look at which interrupt controller has their interrupts."""
    script = "while ! ip -4 address show eth0 | grep -q inet; do sleep 0.1; done; " + SCRIPT.replace("\n", "; ")
    with tempfile.NamedTemporaryFile(suffix=".img") as disk:
        first = os.urandom(MIB)
        disk.write(first + bytes(3 * MIB))
        disk.flush()
        with Console("run", "--kernel", guest("Image"), "--initrd", guest("initramfs"), "--memory", "512M",
                     "--transport", "pci", "--disk", disk.name, *options,
                     "--append", f'ireko.cmd="{script.replace(chr(34), chr(39))}" {append}') as c:
            c.wait_for("done 42", seconds=120)
            check(c.finish() == 0, c.tail())
        disk.seek(0)
        after = disk.read()
        check(after == first + first + bytes(2 * MIB), "the disk has other contents")
    functions = re.search(r"functions (\d+)\.", c.log)
    check(functions and int(functions[1]) >= 3, c.tail())
    check("random 64." in c.log and "inet 10.0.2.15" in c.log, c.tail())
    rows = re.findall(r"^ *\d+:[ \d]+(\S+) +\d+ +\S+ +(virtio\S*)", c.log, re.M)
    check(rows and all(kind == chip for kind, _ in rows), f"{chip} is not what has all of {rows}\n{c.tail()}")
    return rows


def messages():
    """disk, network and random numbers on two CPUs, by MSI-X through the GIC's message frame"""
    rows = boot("--cpus", "2", chip="MSI")
    check(len(rows) >= 3 + 3 + 2, f"a vector for each queue and each configuration: {rows}")


def gicv2_by_wire():
    """the same with a GICv2 and without MSI: by INTx"""
    boot("--gic", "v2", "--cpus", "2", append="pci=nomsi", chip="GIC-0")


def gicv2():
    """with a GICv2, whose frame is GICv2m"""
    boot("--gic", "v2", "--cpus", "4", chip="MSI")


def its():
    """with an ITS on four CPUs"""
    boot("--gic", "v3,its", "--cpus", "4", chip="ITS-MSI")


def by_wire():
    """with a GICv3 and without MSI"""
    boot("--gic", "v3", append="pci=nomsi", chip="GICv3")


def restart():
    """a restarted guest finds the bus as at power-on"""
    with Console("run", "--kernel", guest("Image"), "--initrd", guest("initramfs"), "--memory", "512M",
                 "--transport", "pci") as c:
        c.wait_for("ireko# ", seconds=120)
        c.send("reboot -f\n")
        c.wait_for("ireko# ", seconds=120)
        c.send("ls /sys/bus/pci/devices | wc -l; echo done $((6 * 7)); poweroff -f\n")
        c.wait_for("done 42", seconds=60)
        check(c.finish() == 0, c.tail())


if __name__ == "__main__":
    run([gicv2, its, by_wire, restart] if "--slow" in sys.argv else [messages, gicv2_by_wire])
