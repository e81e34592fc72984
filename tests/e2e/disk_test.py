#!/usr/bin/env python3
"""What Linux writes to a virtio-blk disk is what the host finds in the image: ext4 made in the guest, a power-off without
unmount, a killed ireko. Needs the guest of `./dev guest` (IREKO_GUEST) and e2fsprogs on the host.
"""
import hashlib
import os
import pathlib
import re
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import guest, host  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402

MIB = 1 << 20
# Debian's mke2fs runs from the tools disk, whatever libraries the guest has.
MKFS = "MKE2FS_CONFIG=/t/mke2fs.conf /t/lib/ld-linux-aarch64.so.1 --library-path /t/lib /t/mke2fs"


class Folder:
    """A temporary folder of disk images."""

    def __init__(self):
        if not shutil.which("mke2fs"):
            raise Skip("e2fsprogs is not installed")
        self.folder = tempfile.TemporaryDirectory(prefix="ireko-disk-")
        self.path = pathlib.Path(self.folder.name)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.folder.cleanup()

    def blank(self, name, size):
        with open(self.path / name, "wb") as f:
            f.truncate(size)
        return self.path / name

    def ext4(self, name, size):
        image = self.blank(name, size)
        host("mke2fs", "-q", "-t", "ext4", image)
        return image

    def tools(self):
        image = self.blank("tools.img", 16 * MIB)
        host("mke2fs", "-q", "-t", "ext2", "-d", guest("e2fs"), image)
        return image


def boot(script, *disks, options=()):
    """Boot with the disks as /dev/vda, ..., run `script`, which stops at the first failure, and power off."""
    options = list(options)
    for disk in disks:
        options += ["--disk", disk]
    return Console("run", "--kernel", guest("Image"), "--initrd", guest("initramfs"), "--memory", "512M", *options,
                   "--append", f'ireko.cmd="set -e; {script}"')


def cat(image, path):
    return host("debugfs", "-R", f"cat {path}", image).stdout


def numbers(last):
    return "".join(f"{n}\n" for n in range(1, last + 1))


def guest_makes_ext4():
    """mkfs.ext4, write, sync and power-off in the guest: e2fsck is clean"""
    with Folder() as f:
        image, tools = f.blank("disk.img", 96 * MIB), f.tools()
        script = (f"mkdir /t; mount -t ext2 -o ro /dev/vdb /t; {MKFS} -q -t ext4 -E lazy_itable_init=0 /dev/vda; "
                  "mount -t ext4 /dev/vda /mnt; seq 1 50000 > /mnt/numbers; cp -r /t/lib /mnt; sync; umount /mnt; "
                  "echo done $((6 * 7))")
        with boot(script, image, f"{tools},ro") as c:
            c.wait_for("done 42", seconds=120)
            check(c.finish() == 0, c.tail())
        host("e2fsck", "-fn", image)
        check(cat(image, "/numbers") == numbers(50000), "/numbers has other contents")
        for library in sorted((guest("e2fs") / "lib").glob("lib*.so.*")):
            if not library.is_symlink():
                host("debugfs", "-R", f"dump /lib/{library.name} {f.path / 'copy'}", image)
                check((f.path / "copy").read_bytes() == library.read_bytes(), f"{library.name} has other contents")
        host("e2fsck", "-fn", tools)


def power_off_without_unmount():
    """what was synced survives a power-off of a mounted file system"""
    with Folder() as f:
        image = f.ext4("disk.img", 64 * MIB)
        script = ("mount -t ext4 /dev/vda /mnt; seq 1 20000 > /mnt/numbers; mkdir /mnt/d; sync; echo done $((6 * 7)); "
                  "poweroff -f")
        with boot(script, image) as c:
            c.wait_for("done 42", seconds=120)
            check(c.finish() == 0, c.tail())
        host("e2fsck", "-fp", image, good=(0, 1))  # replays the journal
        host("e2fsck", "-fn", image)
        check(cat(image, "/numbers") == numbers(20000), "/numbers has other contents")


def killed_ireko():
    """a killed ireko leaves a disk that fsck accepts, with everything that was synced"""
    with Folder() as f:
        image = f.ext4("disk.img", 64 * MIB)
        script = ("mount -t ext4 /dev/vda /mnt; seq 1 20000 > /mnt/numbers; sync; i=0; "
                  "while true; do i=$((i + 1)); mkdir /mnt/d$i; seq 1 3000 > /mnt/d$i/f; sync; echo round $i.; done")
        with boot(script, image) as c:
            c.wait_for("round 5.", seconds=120)
            c.process.kill()
            c.process.wait()
        host("e2fsck", "-fp", image, good=(0, 1))
        host("e2fsck", "-fn", image)
        check(cat(image, "/numbers") == numbers(20000), "/numbers has other contents")
        for i in range(1, 6):
            check(cat(image, f"/d{i}/f") == numbers(3000), f"/d{i}/f has other contents")


def discard_frees_the_host():
    """a discard in the guest gives the host its storage back"""
    with Folder() as f:
        image = f.path / "disk.img"
        image.write_bytes(b"x" * (32 * MIB))
        os.sync()
        before = image.stat().st_blocks
        with boot("blkdiscard /dev/vda; sync; echo done $((6 * 7))", image) as c:
            c.wait_for("done 42")
            check(c.finish() == 0, c.tail())
        check(image.stat().st_size == 32 * MIB, "the image changed its size")
        after = image.stat().st_blocks
        check(after < before / 10, f"{before} blocks before, {after} after")


def overlay_keeps_the_image():
    """with overlay the guest writes and reads back, the image stays; two CPUs have two queues"""
    with Folder() as f:
        image = f.ext4("disk.img", 64 * MIB)
        before = image.read_bytes()
        script = ("ls /sys/block/vda/mq; mount -t ext4 /dev/vda /mnt; seq 1 20000 > /mnt/numbers; sync; "
                  "echo 3 > /proc/sys/vm/drop_caches; md5sum < /mnt/numbers; umount /mnt; echo done $((6 * 7))")
        with boot(script, f"{image},overlay", options=("--cpus", "2")) as c:
            c.wait_for("1")
            c.wait_for(hashlib.md5(numbers(20000).encode()).hexdigest())
            c.wait_for("done 42")
            check(c.finish() == 0, c.tail())
        check(re.search(r"^0\s+1\s*$", c.log, re.M), "not two queues\n" + c.tail())
        check(image.read_bytes() == before, "the image was written to")


def write_cache():
    """cache=writethrough: the guest sees no write cache, and its writes survive a kill without a flush"""
    with Folder() as f:
        image = f.blank("disk.img", MIB)
        script = "cat /sys/block/vda/queue/write_cache; echo written | dd of=/dev/vda conv=notrunc,sync oflag=direct; echo done $((6 * 7)); cat"
        with boot(script, f"{image},cache=writethrough") as c:
            c.wait_for("write through")
            c.wait_for("done 42")
        check(image.read_bytes().startswith(b"written\n"), "the write is not there")


def many_disks():
    """each of eight disks is itself"""
    with Folder() as f:
        images = []
        for n in range(8):
            images.append(f.blank(f"{n}.img", MIB))
            images[n].write_bytes(f"disk number {n}\n".encode().ljust(MIB, b"\0"))
        script = ("for d in a b c d e f g h; do head -n 1 /dev/vd$d; cat /sys/block/vd$d/serial; echo; "
                  "echo seen $d > /dev/vd$d; done; sync; echo done $((6 * 7))")
        with boot(script, *images) as c:
            for n in range(8):
                c.wait_for(f"disk number {n}")
                c.wait_for(f"ireko-disk{n}")
            c.wait_for("done 42")
            check(c.finish() == 0, c.tail())
        for n, image in enumerate(images):
            check(image.read_bytes().startswith(f"seen {'abcdefgh'[n]}\n".encode()), f"disk {n} was not written")


ALL = [guest_makes_ext4, power_off_without_unmount, killed_ireko, discard_frees_the_host, overlay_keeps_the_image, write_cache,
       many_disks]

if __name__ == "__main__":
    run([t for t in ALL if len(sys.argv) == 1 or t.__name__ in sys.argv[1:]])
