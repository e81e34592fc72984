#!/usr/bin/env python3
"""A file in the memory of a Linux guest: a file system on it, what is synced survives a kill, and what is read-only stays.
Needs the guest of `./dev guest` (IREKO_GUEST) and e2fsprogs on the host.
"""
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import guest, host  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402

MIB = 1 << 20


# Process 1 of a root: shows what it runs from, and writes there.
INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox grep ' / ' /proc/mounts
/bin/busybox mount -o remount,rw /
echo written > /file
/bin/busybox sync
echo root is up $((6 * 7))
/bin/busybox poweroff -f
"""


def image(folder, name="pmem.img"):
    """An ext4 file system with busybox in it, so that it is a root."""
    if not shutil.which("mke2fs"):
        raise Skip("e2fsprogs is not installed")
    tree = pathlib.Path(folder) / "tree"
    tree.mkdir(exist_ok=True)
    for sub in ("bin", "dev", "proc", "sbin", "sys"):
        (tree / sub).mkdir(exist_ok=True)
    shutil.copy(guest("busybox"), tree / "bin" / "busybox")
    init = tree / "sbin" / "init"
    init.write_text(INIT, encoding="ascii")
    init.chmod(0o755)
    path = pathlib.Path(folder) / name
    with open(path, "wb") as f:
        f.truncate(32 * MIB)
    host("mke2fs", "-q", "-t", "ext4", "-d", tree, path)
    return path


def boot(script, *options):
    return Console("run", "--kernel", guest("Image"), "--initrd", guest("initramfs"), "--memory", "512M", "--net", "none", *options,
                   "--append", f'ireko.cmd="set -e; {script}"')


def file_system():
    """a root in memory: a program runs from it, and what it writes and syncs survives a kill of ireko"""
    with tempfile.TemporaryDirectory(prefix="ireko-pmem-") as folder:
        path = image(folder)
        script = ("mount -t ext4 /dev/pmem0 /mnt; chroot /mnt /bin/busybox sh -c 'busybox seq 1 20000 > /numbers'; sync; "
                  "chroot /mnt /bin/busybox md5sum /numbers; echo synced $((6 * 7)); cat")
        with boot(script, "--pmem", path) as c:
            c.wait_for("synced 42", seconds=120)
            c.process.kill()
            c.process.wait()
        host("e2fsck", "-fp", path, good=(0, 1))
        host("e2fsck", "-fn", path)
        numbers = host("debugfs", "-R", "cat /numbers", path).stdout
        check(numbers == "".join(f"{n}\n" for n in range(1, 20001)), "/numbers has other contents")


def root():
    """root=/dev/pmem0: the guest boots from it, and what its init wrote is in the file"""
    with tempfile.TemporaryDirectory(prefix="ireko-pmem-") as folder:
        path = image(folder)
        with Console("run", "--kernel", guest("Image"), "--initrd", guest("initramfs"), "--memory", "512M", "--net", "none", "--pmem",
                     path, "--append", "root=/dev/pmem0") as c:
            c.wait_for("/dev/pmem0 / ext4", seconds=120)
            c.wait_for("root is up 42")
            check(c.finish() == 0, c.tail())
        host("e2fsck", "-fp", path, good=(0, 1))
        check(host("debugfs", "-R", "cat /file", path).stdout == "written\n", "/file has other contents")


def two_files():
    """two files, over PCI as well: each is itself; what is written to a read-only one reads back, and the file stays"""
    for transport in ("mmio", "pci"):
        with tempfile.TemporaryDirectory(prefix="ireko-pmem-") as folder:
            first, second = pathlib.Path(folder) / "a", pathlib.Path(folder) / "b"
            first.write_bytes(b"the first".ljust(2 * MIB, b"\0"))
            second.write_bytes(b"the second".ljust(4 * MIB, b"\0"))
            script = ("head -c 9 /dev/pmem0; echo; head -c 10 /dev/pmem1; echo; echo written > /dev/pmem0; "
                      "echo kept > /dev/pmem1; sync; echo 3 > /proc/sys/vm/drop_caches; head -n 1 /dev/pmem1; cat /sys/block/pmem1/size; echo done $((6 * 7))")
            with boot(script, "--transport", transport, "--pmem", first, "--pmem", f"{second},ro") as c:
                c.wait_for("the first")
                c.wait_for("the second")
                c.wait_for("kept")
                c.wait_for("8192")
                c.wait_for("done 42")
                check(c.finish() == 0, c.tail())
            check(first.read_bytes().startswith(b"written\n"), "the first was not written")
            check(second.read_bytes().startswith(b"the second"), "the read-only one was written")


if __name__ == "__main__":
    run([t for t in (file_system, root, two_files) if len(sys.argv) == 1 or t.__name__ in sys.argv[1:]])
