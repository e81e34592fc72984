#!/usr/bin/env python3
"""Write an initramfs: busybox, guest/init, a power-key rule, and the kernel modules that the machine needs.

usage: mkinitramfs.py --busybox FILE --init FILE --out FILE [--modules DIR name ...] [--devices name ...]

DIR is a kernel package's lib/modules/VERSION; dependencies come from its module files' own "depends" entries. The modules
of --devices are drivers of virtio devices, loaded where there is one: lib/modules/devices has a line for each, the
beginning of a device's modalias and the files in their order. In name+name the second one is needed besides.
The same input gives the same bytes: sorted names, no times, no owners. No root is needed, because the newc format
(Linux Documentation/driver-api/early-userspace/buffer-format.rst) describes device nodes without making them.
"""
import argparse
import gzip
import pathlib
import re
import stat


DHCP_SCRIPT = b"""#!/bin/sh
case $1 in
bound | renew)
    ip address replace "$ip/$mask" dev "$interface"
    for gateway in $router; do ip route replace default via "$gateway" dev "$interface"; done
    for server in $dns; do echo "nameserver $server"; done > /etc/resolv.conf
    ;;
esac
"""


class Newc:
    def __init__(self):
        self.data = bytearray()
        self.ino = 0

    def add(self, name, mode, body=b"", rdev=(0, 0)):
        self.ino += 1
        fields = (self.ino, mode, 0, 0, 1, 0, len(body), 0, 0, *rdev, len(name) + 1, 0)
        self.data += b"070701" + b"".join(b"%08x" % f for f in fields)
        self.data += name.encode() + b"\0"
        self.pad()
        self.data += body
        self.pad()

    def pad(self):
        self.data += b"\0" * (-len(self.data) % 4)

    def finish(self):
        self.ino = -1
        self.add("TRAILER!!!", 0)
        return bytes(self.data)


def module_name(path):
    return path.name.removesuffix(".ko").replace("-", "_")


def module_aliases(path):
    """What the modaliases of its virtio devices begin with."""
    return [a.decode() for a in re.findall(rb"\0alias=(virtio:d[0-9A-F]{8}v)", path.read_bytes())]


def module_depends(path):
    found = re.search(rb"\0depends=([^\0]*)\0", path.read_bytes())
    names = found.group(1).decode() if found else ""
    return [n.replace("-", "_") for n in names.split(",") if n]


def module_order(modules, wanted):
    """The wanted modules and what they need, each after what it needs. A wanted one that is built in is skipped."""
    files = {module_name(p): p for p in sorted(pathlib.Path(modules).rglob("*.ko"))}
    order = []

    def visit(name):
        path = files.get(name)
        if path is None or path in order:
            return
        for need in module_depends(path):
            visit(need)
        order.append(path)

    for name in wanted:
        visit(name)
    return order


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--busybox", required=True)
    parser.add_argument("--init", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--modules", nargs="+", metavar=("DIR", "name"))
    parser.add_argument("--devices", nargs="*", default=[], metavar="name")
    args = parser.parse_args()

    cpio = Newc()
    for folder in ("bin", "dev", "etc", "etc/acpi", "etc/acpi/PWRF", "etc/udhcpc", "lib", "lib/modules"):
        cpio.add(folder, stat.S_IFDIR | 0o755)
    cpio.add("dev/console", stat.S_IFCHR | 0o600, rdev=(5, 1))
    cpio.add("dev/null", stat.S_IFCHR | 0o666, rdev=(1, 3))
    cpio.add("bin/busybox", stat.S_IFREG | 0o755, pathlib.Path(args.busybox).read_bytes())
    cpio.add("init", stat.S_IFREG | 0o755, pathlib.Path(args.init).read_bytes())
    # busybox acpid turns KEY_POWER of any input device into this action; so does init where there is none.
    cpio.add("etc/acpi/PWRF/00000080", stat.S_IFREG | 0o755, b"#!/bin/sh\numount -a -r 2>/dev/null\npoweroff -f\n")
    # What busybox udhcpc runs with its news in variables.
    cpio.add("etc/udhcpc/default.script", stat.S_IFREG | 0o755, DHCP_SCRIPT)
    if args.modules:
        order = module_order(args.modules[0], args.modules[1:])
        devices = ""
        files = set(order)
        for names in (words.split("+") for words in args.devices):
            needed = [p for p in module_order(args.modules[0], names) if p not in order]
            driver = [p for p in needed if module_name(p) == names[0]]
            files.update(needed)
            for alias in module_aliases(driver[0]) if driver else []:
                devices += " ".join([alias, *(p.name for p in needed)]) + "\n"
        for path in sorted(files, key=lambda p: p.name):
            cpio.add("lib/modules/" + path.name, stat.S_IFREG | 0o644, path.read_bytes())
        cpio.add("lib/modules/devices", stat.S_IFREG | 0o644, devices.encode())
        names = "".join(p.name + "\n" for p in order)
        cpio.add("lib/modules/order", stat.S_IFREG | 0o644, names.encode())
    with open(args.out, "wb") as out:
        out.write(gzip.compress(cpio.finish(), compresslevel=6, mtime=0))


if __name__ == "__main__":
    main()
