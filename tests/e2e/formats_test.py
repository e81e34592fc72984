#!/usr/bin/env python3
"""The same Linux in every format that --kernel takes. Needs the guest of `./dev guest` (IREKO_GUEST)."""
import gzip
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import guest  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402


def linux_image():
    path = guest("Image")
    image = path.read_bytes()
    if image[56:60] != b"ARM\x64":
        raise Skip(f"{path} is no plain Image")
    return image


def zboot(payload, kind):
    """EFI zboot: a PE header with one section around a compressed Image (Linux, zboot-header.S)."""
    head = bytearray(4096)
    struct.pack_into("<2s2x4sII", head, 0, b"MZ", b"zimg", len(head), len(payload))
    struct.pack_into("<8s", head, 24, kind)
    struct.pack_into("<I", head, 60, 64)
    struct.pack_into("<4sHH12xHH", head, 64, b"PE\0\0", 0xAA64, 1, 0, 0)
    struct.pack_into("<8sIIII", head, 88, b".payload", len(payload), len(head), len(payload), len(head))
    return bytes(head) + payload


def elf(image):
    """An ELF file linked at virtual addresses, as vmlinux is."""
    virtual = 0xFFFF800008000000 + struct.unpack_from("<Q", image, 8)[0]
    memory = max(struct.unpack_from("<Q", image, 16)[0], len(image))
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 183, 1, virtual, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 7, 4096, virtual, virtual, len(image), memory, 4096)
    return (header + segment).ljust(4096, b"\0") + image


def boots(kernel):
    with tempfile.TemporaryDirectory(prefix="ireko-kernel-") as folder:
        path = pathlib.Path(folder) / "kernel"
        path.write_bytes(kernel)
        with Console("run", "--kernel", path, "--memory", "256M", "--append", "earlycon=pl011,0x09000000") as c:
            c.wait_for("Booting Linux on physical CPU")
            c.wait_for("Machine model:", "Linux version")


def zstd(data):
    if not shutil.which("zstd"):
        raise Skip("zstd is not installed")
    done = subprocess.run(["zstd", "-1", "-q", "-c"], input=data, capture_output=True, check=True)
    check(done.stdout, "zstd printed nothing")
    return done.stdout


def boots_gzip():
    """Image.gz"""
    boots(gzip.compress(linux_image(), 1))


def boots_zstd():
    """Image.zst"""
    boots(zstd(linux_image()))


def boots_zboot_gzip():
    """EFI zboot with gzip"""
    boots(zboot(gzip.compress(linux_image(), 1), b"gzip"))


def boots_zboot_zstd():
    """EFI zboot with zstd"""
    boots(zboot(zstd(linux_image()), b"zstd"))


def boots_elf():
    """ELF at virtual addresses"""
    boots(elf(linux_image()))


def boots_elf_gzip():
    """ELF, compressed"""
    boots(gzip.compress(elf(linux_image()), 1))


if __name__ == "__main__":
    run([boots_gzip, boots_zstd, boots_zboot_gzip, boots_zboot_zstd, boots_elf, boots_elf_gzip])
