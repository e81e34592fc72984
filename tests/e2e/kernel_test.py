#!/usr/bin/env python3
"""ireko's own kernel (`./dev kernel`, IREKO_KERNEL) has a driver for every device, on both transports, and each does its work.
Needs the initramfs of `./dev guest` (IREKO_GUEST) too.
"""
import os
import pathlib
import shutil
import socket
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import guest, host, need  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402

MIB = 1 << 20
DRIVERS = ("virtio_balloon", "virtio_blk", "virtio_console", "virtio_net", "virtio_pmem", "virtio_rng", "virtiofs",
           "vmw_vsock_virtio_transport")

# Each line tells what a device did; the last names the drivers that have a device.
SCRIPT = r"""set -e
mount -t virtiofs folder /mnt; cat /mnt/from-host; echo from the guest > /mnt/from-guest
dd if=/dev/vda of=/dev/vda bs=1M count=1 seek=1 conv=notrunc,fsync 2>/dev/null
mkdir /p; mount -t ext4 -o dax=always /dev/pmem0 /p; cat /p/from-host; echo in memory > /p/from-guest; umount /p
while ! ip -4 address show eth0 | grep -q 'inet 10.0.2.15'; do sleep 0.1; done
while ! ip -6 address show eth0 | grep -q 'inet6 fd'; do sleep 0.1; done
echo random $(head -c 64 /dev/hwrng | wc -c) from $(cat /sys/class/misc/hw_random/rng_current)
echo clock $(cat /sys/class/ptp/ptp0/clock_name)
grep -q virtio /proc/interrupts; grep -c 'MSI.*virtio' /proc/interrupts || true
echo to the console > /dev/hvc0
p=/dev/$(cd /sys/class/virtio-ports; grep -l org.ireko.test */name | cut -d / -f 1)
head -n 1 $p; echo to the port > $p
for d in /sys/bus/virtio/drivers/*; do ls -d $d/virtio* > /dev/null 2>&1 && echo driver ${d##*/}; done
echo done $((6 * 7))
"""


def small_disk(folder):
    image = folder / "disk"
    first = os.urandom(MIB)
    image.write_bytes(first + bytes(3 * MIB))
    return image, first


def small_pmem(folder):
    if not shutil.which("mke2fs"):
        raise Skip("e2fsprogs is not installed")
    tree = folder / "tree"
    tree.mkdir()
    (tree / "from-host").write_text("a file in memory\n")
    image = folder / "pmem"
    with open(image, "wb") as f:
        f.truncate(16 * MIB)
    host("mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", tree, image)
    return image


def talk(path, heard):
    """The port's other end: one line to the guest, one from it."""
    with socket.socket(socket.AF_UNIX) as s:
        while s.connect_ex(str(path)):
            threading.Event().wait(0.05)
        s.sendall(b"from the port\n")
        heard.append(s.makefile().readline())


def every_device(transport):
    with tempfile.TemporaryDirectory(prefix="ireko-kernel-") as name:
        folder = pathlib.Path(name)
        share = folder / "share"
        share.mkdir()
        (share / "from-host").write_text("a file in a folder\n")
        (share / "script").write_text(SCRIPT, encoding="ascii")
        disk, first = small_disk(folder)
        pmem = small_pmem(folder)
        heard = []
        port = threading.Thread(target=talk, args=(folder / "port", heard), daemon=True)
        port.start()
        with Console("run", "--kernel", need("IREKO_KERNEL"), "--initrd", guest("initramfs"), "--memory", "512M", "--cpus", "2",
                     "--transport", transport, "--disk", disk, "--pmem", pmem, "--share", f"{share},tag=folder",
                     "--console", f"file:{folder}/hvc0", "--console", f"unix:{folder}/port,name=org.ireko.test",
                     "--vsock", f"path={folder}/vsock", "--balloon", "16M",
                     "--append", 'ireko.cmd="mount -t virtiofs folder /mnt; cp /mnt/script /tmp; umount /mnt; sh /tmp/script"') as c:
            c.wait_for("done 42", seconds=180)
            check(c.finish() == 0, c.tail())
        port.join(10)
        for line in ("a file in a folder", "a file in memory", "random 64 from ", "clock KVM virtual PTP", "from the port"):
            check(line in c.log, f"no {line!r}\n{c.tail()}")
        for driver in DRIVERS:
            check(f"driver {driver}\r" in c.log or f"driver {driver}\n" in c.log, f"no device has the driver {driver}\n{c.tail()}")
        check((share / "from-guest").read_text() == "from the guest\n", "from-guest")
        check(heard == ["to the port\n"], f"{heard}")
        check("to the console" in (folder / "hvc0").read_text(), "hvc0")
        check(disk.read_bytes() == first + first + bytes(2 * MIB), "the disk has other contents")
        check(host("debugfs", "-R", "cat /from-guest", pmem).stdout == "in memory\n", "the pmem file")


def on_mmio():
    """every device does its work, on virtio-mmio"""
    every_device("mmio")


def on_pci():
    """every device does its work, as PCI functions"""
    every_device("pci")


if __name__ == "__main__":
    run([on_mmio, on_pci])
