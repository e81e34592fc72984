#!/usr/bin/env python3
"""An installed Debian: `./dev disk`'s image boots by itself (UEFI, GRUB) to its login prompt, ssh gets in through a forwarded port, apt installs a
package from a server on this host's loopback, and what it installed is there after the next boot. Needs the image
(IREKO_DEBIAN; the key is beside it) and UEFI on this host.
"""
import functools
import gzip
import hashlib
import http.server
import json
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console, Timeout  # noqa: E402
from harness.guest import need  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402

SHORT = 60
LONG = 400


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *unused):
        pass


class Repository:
    """A Debian repository of one package, `greeting`, that installs a program of that name."""

    def __init__(self, folder):
        tree = folder / "tree"
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "usr/bin").mkdir(parents=True)
        control = ("Package: greeting\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n"
                   "Depends: libc6\nDescription: says so\n")
        (tree / "DEBIAN/control").write_text(control, encoding="ascii")
        program = tree / "usr/bin/greeting"
        program.write_text("#!/bin/sh\necho greeting $((6 * 7))\n", encoding="ascii")
        program.chmod(0o755)
        served = folder / "served"
        served.mkdir()
        deb = served / "greeting.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, deb], check=True, capture_output=True)
        data = deb.read_bytes()
        index = f"{control}Filename: ./greeting.deb\nSize: {len(data)}\nSHA256: {hashlib.sha256(data).hexdigest()}\n"
        (served / "Packages.gz").write_bytes(gzip.compress(index.encode()))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=served))
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Machine(Console):
    def __init__(self, image):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        super().__init__("run", "--disk", image, "--net", f"user,forward=tcp:{self.port}:22")

    def ssh(self, command, seconds=LONG):
        """The command's output. Until sshd listens, the forwarded port refuses."""
        key = need("IREKO_DEBIAN").parent / "ssh-key"
        deadline = time.monotonic() + seconds * self.patience
        while True:
            done = subprocess.run(
                ["ssh", "-F", "none", "-i", key, "-p", str(self.port), "-o", "StrictHostKeyChecking=no", "-o",
                 "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "BatchMode=yes", "ireko@127.0.0.1", command],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds * self.patience, check=False)
            if done.returncode != 255:
                check(done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
                return done.stdout
            if time.monotonic() > deadline:
                raise Timeout(f"no ssh: {done.stderr}\n{self.tail()}")
            self.pump(1)

    def power_off(self):
        """By the guest's own service manager; ssh may or may not live to see its command end."""
        self.ssh("sudo systemctl poweroff --no-block")
        check(self.finish(LONG) == 0, self.tail())
        check("reboot: Power down" in self.log, self.tail())


def debian():
    """login on the console, ssh through a forwarded port, apt from this host, power off, and all is there afterwards"""
    image = need("IREKO_DEBIAN")
    if not any(pathlib.Path(f"/usr/share/{place}").exists() for place in ("AAVMF/AAVMF_CODE.fd", "edk2/aarch64/QEMU_EFI.fd")):
        raise Skip("UEFI (qemu-efi-aarch64) is not installed")
    for program in ("ssh", "dpkg-deb", "sfdisk"):
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")
    with tempfile.TemporaryDirectory(prefix="ireko-debian-") as name:
        folder = pathlib.Path(name)
        disk = folder / "debian.img"
        subprocess.run(["cp", "--sparse=always", image, disk], check=True)
        repository = Repository(folder)
        with Machine(disk) as m:
            m.wait_for("debian login:", seconds=LONG)
            m.send("ireko\n")
            m.wait_for("Password:", seconds=SHORT)
            m.send("ireko\n")
            m.wait_for("ireko@debian", seconds=SHORT)
            m.send("echo logged in $((6 * 7))\n")
            m.wait_for("logged in 42", seconds=SHORT)
            check(m.ssh("echo $((6 * 7)) on $(uname -m)") == "42 on aarch64\n", "ssh")
            check(m.ssh("systemctl --failed --no-legend --plain") == "", "a unit failed")
            m.ssh(f"echo 'deb [trusted=yes] http://10.0.2.2:{repository.port} ./' | sudo tee /etc/apt/sources.list")
            m.ssh("sudo apt-get update")
            m.ssh("sudo apt-get -y install greeting")
            check(m.ssh("greeting") == "greeting 42\n", "the installed program")
            m.power_off()
        repository.close()
        with Machine(disk) as m:
            m.wait_for("debian login:", seconds=LONG)
            there = m.ssh("greeting; dpkg-query -W greeting; sudo journalctl --list-boots -q | wc -l").split()
            check(there == ["greeting", "42", "greeting", "1.0", "2"], there)
            m.power_off()
        table = subprocess.run(["sfdisk", "--json", disk], check=True, capture_output=True).stdout
        start = json.loads(table)["partitiontable"]["partitions"][1]["start"]
        subprocess.run(["e2fsck", "-fn", f"{disk}?offset={start * 512}"], check=True, capture_output=True)


if __name__ == "__main__":
    run([debian])
