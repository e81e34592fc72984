#!/usr/bin/env python3
"""Virtio consoles of a Linux guest: a shell on hvc0 whose terminal changes its size, several consoles, a port for programs.
Needs the guest of `./dev guest` (IREKO_GUEST).
"""
import contextlib
import fcntl
import os
import pathlib
import pty
import select
import signal
import socket
import struct
import sys
import tempfile
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import PROMPT, guest  # noqa: E402
from harness.tap import check, run  # noqa: E402

SECONDS = 60 * Console.patience


def options(*more):
    return ["run", "--kernel", str(guest("Image")), "--initrd", str(guest("initramfs")), "--memory", "512M", "--net", "none", *more]


class Line:
    """One end of a console: what is read from a descriptor, and what is written to it."""

    def __init__(self, fd):
        self.fd = fd
        self.log = ""
        self.seen = 0

    def send(self, text):
        os.write(self.fd, text.encode())

    def wait_for(self, marker):
        deadline = time.monotonic() + SECONDS
        while (at := self.log.find(marker, self.seen)) < 0:
            left = deadline - time.monotonic()
            ready = select.select([self.fd], [], [], max(0, left))[0]
            check(ready, f"no {marker!r} in\n{self.log[-3000:]}")
            data = os.read(self.fd, 65536)
            check(data, f"the end came before {marker!r}\n{self.log[-3000:]}")
            self.log += data.decode("utf-8", "replace")
        self.seen = at + len(marker)


def connect(path):
    """To a socket that ireko makes, once it is there."""
    deadline = time.monotonic() + SECONDS
    while True:
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(str(path))
            return s
        except (FileNotFoundError, ConnectionRefusedError):
            s.close()
            check(time.monotonic() < deadline, f"no socket at {path}")
            time.sleep(0.05)


def set_size(fd, rows, cols):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def shell_on_a_terminal():
    """--console stdio on a terminal: a shell on hvc0 that has the terminal's size, also when that changes"""
    with tempfile.TemporaryDirectory(prefix="ireko-console-") as folder:
        words = options("--console", "stdio", "--serial", f"unix:{folder}/serial")
        program = os.environ["IREKO"]
        pid, terminal = pty.fork()
        if pid == 0:
            # Until the parent has set the size.
            os.read(0, 1)
            os.execv(program, [program, *words])
        try:
            set_size(terminal, 33, 101)
            os.write(terminal, b"\n")
            with connect(f"{folder}/serial") as serial:
                boot, shell = Line(serial.fileno()), Line(terminal)
                boot.wait_for(PROMPT)
                boot.send("setsid sh -c 'exec sh < /dev/hvc0 > /dev/hvc0 2>&1' &\n")
                shell.send("echo hvc $((6 * 7)); until stty size 2> /dev/null; do sleep 1; done\n")
                shell.wait_for("hvc 42")
                shell.wait_for("33 101")
                set_size(terminal, 44, 132)
                shell.send("while [ \"$(stty size)\" = '33 101' ]; do sleep 1; done; stty size; echo resized\n")
                shell.wait_for("44 132")
                boot.send("poweroff -f\n")
                boot.wait_for("Power down")
                deadline = time.monotonic() + SECONDS
                while os.waitpid(pid, os.WNOHANG)[0] == 0:
                    check(time.monotonic() < deadline, "ireko does not end")
                    if select.select([terminal], [], [], 0.1)[0]:
                        with contextlib.suppress(OSError):
                            os.read(terminal, 65536)
                pid = 0
        finally:
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            os.close(terminal)


def several_ports():
    """two consoles and a named port: each is itself, and what comes early waits"""
    with tempfile.TemporaryDirectory(prefix="ireko-console-") as folder:
        words = options("--console", f"unix:{folder}/a", "--console", f"unix:{folder}/b",
                        "--console", f"unix:{folder}/c,name=org.ireko.test", "--console", f"file:{folder}/d,name=log")
        with Console(*words) as c, connect(f"{folder}/b") as b, connect(f"{folder}/c") as port:
            port.sendall(b"said early\n")  # before there is a guest
            c.wait_for(PROMPT)
            c.send("cat /sys/class/virtio-ports/vport*/name; ls /dev/hvc1 /dev/vport*\n")
            c.wait_for("org.ireko.test")
            c.send("p=/dev/$(cd /sys/class/virtio-ports; grep -l test */name | cut -d / -f 1); head -n 1 $p | sed s/said/heard/; "
                   "echo 'to the host' > $p; echo hvc1 $((6 * 7)) > /dev/hvc1; "
                   "seq 1 20000 > /dev/$(cd /sys/class/virtio-ports; grep -l log */name | cut -d / -f 1); poweroff -f\n")
            c.wait_for("heard early")
            Line(port.fileno()).wait_for("to the host")
            Line(b.fileno()).wait_for("hvc1 42")
            check(c.finish() == 0, c.tail())
            log = pathlib.Path(folder, "d").read_text(encoding="ascii")
            check(log == "".join(f"{n}\n" for n in range(1, 20001)), f"{len(log)} bytes in the file")


if __name__ == "__main__":
    run([t for t in (shell_on_a_terminal, several_ports) if len(sys.argv) == 1 or t.__name__ in sys.argv[1:]])
