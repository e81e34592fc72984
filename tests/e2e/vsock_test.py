#!/usr/bin/env python3
"""Connections between programs of the host and of a Linux guest by vsock: vsock_test.py PROGRAM, where PROGRAM is
guest/vsock.c, which the guest gets on a disk. Needs the guest of `./dev guest` (IREKO_GUEST).
"""
import contextlib
import hashlib
import pathlib
import random
import shutil
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import PROMPT, guest  # noqa: E402
from harness.tap import check, run  # noqa: E402

SECONDS = 60 * Console.patience


@contextlib.contextmanager
def booted():
    """A guest with /tmp/vsock, and the path of its socket."""
    with tempfile.TemporaryDirectory(prefix="ireko-vsock-") as folder:
        path = f"{folder}/v"
        disk = pathlib.Path(folder) / "program"
        shutil.copy(sys.argv[1], disk)
        with open(disk, "ab") as f:
            f.truncate(1 << 20)
        with Console("run", "--kernel", guest("Image"), "--initrd", guest("initramfs"), "--memory", "512M", "--net", "none",
                     "--disk", f"{disk},ro", "--vsock", f"path={path},cid=42") as c:
            c.wait_for(PROMPT)
            c.send("cat /dev/vda > /tmp/vsock; chmod +x /tmp/vsock; echo ready $((6 * 7))\n")
            c.wait_for("ready 42")
            yield c, path


def connect(path, port):
    """As a program of the host: the socket, once the guest has accepted."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(SECONDS)
    s.connect(path)
    s.sendall(b"CONNECT %d\n" % port)
    answer = b""
    while not answer.endswith(b"\n"):
        byte = s.recv(1)
        if not byte:
            raise ConnectionRefusedError(port)
        answer += byte
    check(answer.startswith(b"OK ") and int(answer[3:]) > 0, f"greeted by {answer}")
    return s


def connect_when_served(path, port):
    """The same, for a server of the guest that is about to listen."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return connect(path, port)
        except ConnectionRefusedError:
            check(time.monotonic() < deadline, f"nobody serves port {port}")
            time.sleep(0.1)


def exchange(s, data):
    """Send all, end, and what comes back until the other end does."""
    sender = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
    sender.start()
    back = b""
    while part := s.recv(65536):
        back += part
    sender.join()
    s.close()
    return back


def host_to_guest():
    """the host connects: refused without a server, then 8 MiB both ways, and 40 connections at once"""
    with booted() as (c, path):
        with contextlib.suppress(ConnectionRefusedError):
            connect(path, 99)
            raise AssertionError("somebody is at port 99")
        c.send("/tmp/vsock echo 700 &\n")
        data = random.Random(1).randbytes(8 << 20)
        check(exchange(connect_when_served(path, 700), data) == data, "other bytes came back")
        many = [connect(path, 700) for _ in range(40)]
        for n, s in enumerate(many):
            s.sendall(b"number %d" % n)
        for n, s in enumerate(many):
            check(exchange(s, b"!") == b"number %d!" % n, f"connection {n} is another one")


def guest_to_host():
    """the guest connects: refused without a server, then 4 MiB there and the sum of them back, both half closed"""
    with booted() as (c, path):
        c.send("/tmp/vsock connect 701 < /dev/null || echo refused $((6 * 7))\n")
        c.wait_for("refused 42")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{path}_701")
            listener.listen()
            listener.settimeout(SECONDS)
            c.send("head -c 4194304 /dev/urandom > /tmp/data; md5sum < /tmp/data > /tmp/sum; "
                   "/tmp/vsock connect 701 < /tmp/data > /tmp/back && cmp /tmp/sum /tmp/back && echo same $((6 * 7))\n")
            s = listener.accept()[0]
            s.settimeout(SECONDS)
            data = b""
            while part := s.recv(65536):
                data += part
            check(len(data) == 4 << 20, f"{len(data)} bytes came")
            s.sendall(f"{hashlib.md5(data).hexdigest()}  -\n".encode())
            s.close()
            c.wait_for("same 42")


def guest_restarts():
    """a guest that restarts loses its connections, and has new ones"""
    with booted() as (c, path):
        c.send("/tmp/vsock echo 700 &\n")
        s = connect_when_served(path, 700)
        s.sendall(b"x")
        check(s.recv(1) == b"x", "no echo")
        c.send("reboot -f\n")
        check(s.recv(1) == b"", "still connected")
        c.wait_for("Booting Linux")
        c.wait_for(PROMPT)
        c.send("cat /dev/vda > /tmp/vsock; chmod +x /tmp/vsock; /tmp/vsock echo 700 &\n")
        check(exchange(connect_when_served(path, 700), b"hello") == b"hello", "no echo after the restart")


if __name__ == "__main__":
    run([t for t in (host_to_guest, guest_to_host, guest_restarts) if len(sys.argv) == 2 or t.__name__ in sys.argv[2:]])
