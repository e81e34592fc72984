#!/usr/bin/env python3
"""UEFI and U-Boot from Debian's packages, and from there GRUB and Linux. Needs the firmware of guest/firmware.sh
(IREKO_FIRMWARE), the guest of `./dev guest` (IREKO_GUEST), and mtools and dosfstools on the host.
"""
import os
import pathlib
import shutil
import struct
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import guest, host, need  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402

MIB = 1 << 20
UP = "ireko: init is up"
UBOOT = "=> "


def firmware(name):
    path = need("IREKO_FIRMWARE", "guest/firmware.sh") / name
    if not path.exists():
        raise Skip(f"no {name}; guest/firmware.sh fetches it")
    return path


class Disk:
    """A disk with an EFI system partition: GRUB, its configuration, a kernel, an initial RAM disk."""

    GRUB = """set timeout=0
menuentry Linux {
    linux /Image console=ttyAMA0 grub.was.here
    initrd /initramfs
}
"""

    def __init__(self):
        files = "Image", "initramfs"  # the guest's
        if not shutil.which("mcopy") or not shutil.which("mkfs.vfat"):
            raise Skip("mtools or dosfstools is not installed")
        self.folder = tempfile.TemporaryDirectory(prefix="ireko-esp-")
        self.path = pathlib.Path(self.folder.name)
        self.image = self.path / "disk.img"
        part = self.path / "part.img"
        size = sum(guest(name).stat().st_size for name in files) // MIB + 40
        with open(part, "wb") as f:
            f.truncate(size * MIB)
        host("mkfs.vfat", "-F", "32", part)
        grub = self.path / "grub.cfg"
        grub.write_text(self.GRUB)
        host("mmd", "-i", part, "::/EFI", "::/EFI/BOOT", "::/EFI/debian")
        for source, target in ((firmware("grubaa64.efi"), "EFI/BOOT/BOOTAA64.EFI"), (grub, "EFI/debian/grub.cfg"),
                               *((guest(name), name) for name in files)):
            host("mcopy", "-i", part, source, f"::/{target}")
        # A partition table with one row: not to be started by a PC's BIOS, type EFI, from the first MiB on.
        table = bytes(446) + struct.pack("<BBHBBHII", 0, 0, 2, 0xEF, 0, 2, 2048, size * 2048) + bytes(48) + b"\x55\xaa"
        with open(self.image, "wb") as f:
            f.write(table.ljust(MIB, b"\0"))
            with open(part, "rb") as p:
                shutil.copyfileobj(p, f)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.folder.cleanup()


def start(code, *options, memory="512M"):
    return Console("run", "--firmware", code, "--memory", memory, *options)


def linux_is_up(c, marker="done 42"):
    c.wait_for(UP, seconds=180)
    c.wait_for("ireko# ")
    c.send("cat /proc/cmdline; echo done $((6 * 7))\n")
    c.wait_for(marker)


def end(c):
    status = c.finish(seconds=120)
    check(status == 0, f"exit status {status}\n{c.tail()}")


def enter_shell(c):
    c.wait_for("UEFI Interactive Shell", seconds=120)
    c.wait_for("any other key")
    c.send("\x1b")
    c.wait_for("Shell> ")


def uefi_shell(*options):
    """The shell, a variable that a restart keeps, power-off; then once more, with the variables that were kept."""
    with tempfile.TemporaryDirectory(prefix="ireko-vars-") as folder:
        code = f"{firmware('AAVMF_CODE.fd')},vars={folder}/vars.fd"
        with start(code, "--net", "none", *options) as c:
            enter_shell(c)
            c.send("set kept over\r")
            c.wait_for("Shell> ")
            c.send("reset -w\r")
            enter_shell(c)
            c.send("set kept\r")
            c.wait_for("over")
            c.process.kill()  # no chance to tidy up
            c.process.wait()
        with start(code, "--net", "none", *options) as c:
            enter_shell(c)
            c.send("set kept\r")
            c.wait_for("over")
            c.send("reset -s\r")
            end(c)


def uefi_shell_gicv3():
    """UEFI to its shell with a GICv3; its variables outlive a restart of the guest and a killed ireko"""
    uefi_shell()


def uefi_shell_gicv2():
    """the same with a GICv2 and devices on PCI"""
    uefi_shell("--gic", "v2", "--transport", "pci")


def uefi_grub_linux(*options):
    with Disk() as d:
        shutil.copy(firmware("AAVMF_VARS.fd"), d.path / "vars.fd")
        with start(f"{firmware('AAVMF_CODE.fd')},vars={d.path / 'vars.fd'}", "--disk", d.image, *options) as c:
            linux_is_up(c)
            check("grub.was.here" in c.log, c.tail())
            check("EFI stub: Booting Linux Kernel" in c.log, c.tail())
            c.send("reboot -f\n")
            linux_is_up(c)
            c.send("poweroff -f\n")
            end(c)


def uefi_mmio():
    """UEFI to GRUB to Linux from a virtio-mmio disk, with Debian's file of variables; again after a reboot"""
    uefi_grub_linux("--cpus", "2")


def uefi_pci():
    """the same from a virtio-pci disk, with an ITS"""
    uefi_grub_linux("--transport", "pci", "--gic", "v3,its")


def uefi_debian():
    """UEFI to GRUB to the kernel of an installed Debian (./dev disk), to its login; again after a reboot"""
    image = os.environ.get("IREKO_DEBIAN")
    if not image:
        raise Skip("no IREKO_DEBIAN; ./dev test --slow makes it")
    with tempfile.TemporaryDirectory(prefix="ireko-vars-") as folder:
        code = f"{firmware('AAVMF_CODE.fd')},vars={folder}/vars.fd"
        with start(code, "--disk", f"{image},overlay", "--cpus", "2", memory="1G") as c:
            for last in ("reboot", "poweroff"):
                c.wait_for("debian login:", seconds=400)
                c.send("ireko\n")
                c.wait_for("Password:")
                c.send("ireko\n")
                c.wait_for("ireko@debian")
                c.send(f"ls -d /sys/firmware/efi; sudo systemctl {last}\n")
                c.wait_for("/sys/firmware/efi", seconds=60)
            end(c)


def uefi_kernel():
    """UEFI starts the --kernel with its --initrd and --append, from fw_cfg; again after a reboot"""
    with start(firmware("AAVMF_CODE.fd"), "--kernel", guest("Image"), "--initrd", guest("initramfs"), "--append",
               "by.fw.cfg") as c:
        linux_is_up(c)
        check("by.fw.cfg" in c.log and "EFI stub: Booting Linux Kernel" in c.log, c.tail())
        c.send("reboot -f\n")
        linux_is_up(c)
        c.send("poweroff -f\n")
        end(c)


def stop_autoboot(c):
    c.wait_for("Hit any key to stop autoboot", seconds=60)
    c.send("x")
    c.wait_for(UBOOT)


def uboot_prompt():
    """U-Boot to its prompt; what it saves in the flash outlives a reset and the process"""
    with tempfile.TemporaryDirectory(prefix="ireko-vars-") as folder:
        code = f"{firmware('u-boot.bin')},vars={folder}/env"
        with start(code, "--net", "none") as c:
            stop_autoboot(c)
            c.send("setenv kept over; saveenv\n")
            c.wait_for("OK")
            c.wait_for(UBOOT)
            c.send("reset\n")
            stop_autoboot(c)
            c.send("echo a-$kept-b\n")
            c.wait_for("a-over-b")
            c.send("poweroff\n")
            end(c)
        with start(code, "--net", "none") as c:
            stop_autoboot(c)
            c.send("echo a-$kept-b\n")
            c.wait_for("a-over-b")
            c.send("poweroff\n")
            end(c)


def uboot_booti():
    """U-Boot starts Linux from a virtio disk by booti; again after a reboot"""
    with Disk() as d, start(firmware("u-boot.bin"), "--net", "none", "--disk", d.image) as c:
        for last in ("reboot -f\n", "poweroff -f\n"):
            stop_autoboot(c)
            c.send("load virtio 0:1 $kernel_addr_r /Image\n")
            c.wait_for("bytes read", seconds=120)
            c.send("load virtio 0:1 $ramdisk_addr_r /initramfs\n")
            c.wait_for("bytes read", seconds=120)
            c.send("setenv bootargs console=ttyAMA0; booti $kernel_addr_r $ramdisk_addr_r:$filesize $fdt_addr\n")
            linux_is_up(c)
            c.send(last)
        end(c)


def uboot_efi(*options):
    with Disk() as d, start(firmware("u-boot.bin"), "--net", "none", "--disk", d.image, *options) as c:
        for last in ("reboot -f\n", "poweroff -f\n"):
            c.wait_for("Hit any key to stop autoboot", seconds=120)
            linux_is_up(c)
            check("grub.was.here" in c.log, c.tail())
            c.send(last)
        end(c)


def uboot_efi_mmio():
    """U-Boot finds GRUB on a virtio-mmio disk by itself, and GRUB Linux; again after a reboot"""
    uboot_efi()


def uboot_efi_pci():
    """the same on a virtio-pci disk"""
    uboot_efi("--transport", "pci")


TESTS = [uefi_shell_gicv3, uefi_shell_gicv2, uefi_mmio, uefi_pci, uefi_debian, uefi_kernel, uboot_prompt, uboot_booti, uboot_efi_mmio,
         uboot_efi_pci]

if __name__ == "__main__":
    run([t for t in TESTS if len(sys.argv) < 2 or t.__name__ in sys.argv[1:]])
