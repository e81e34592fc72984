#!/usr/bin/env python3
"""ireko-usernet alone: this test is ireko at its two sockets (host/net_user.h), and a guest that speaks Ethernet.
usage: usernet_test.py PROGRAM
"""
import array
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402

PROGRAM = sys.argv[1]
SECONDS = 20 * Console.patience
MAC, ROUTER = b"\x52\x54\0\0\0\1", b"\x52\x55\x0a\0\2\2"
DATA_FD, CONTROL_FD = 3, 4


def checksum(data):
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) & 1)))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def udp(source, target, source_port, target_port, payload, mac=ROUTER):
    """An Ethernet frame; UDP without a checksum."""
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0, socket.inet_aton(source),
                     socket.inet_aton(target))
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    return mac + MAC + b"\x08\0" + ip + struct.pack(">HHHH", source_port, target_port, 8 + len(payload), 0) + payload


class Usernet:
    def __init__(self, spec="user"):
        self.data, data = socket.socketpair()
        self.control, control = socket.socketpair()
        self.data.settimeout(SECONDS)
        self.control.settimeout(SECONDS)
        fds = [os.dup(data.fileno()), os.dup(control.fileno())]
        high = [os.dup2(fd, 50 + i) for i, fd in enumerate(fds)]

        def place():
            os.dup2(high[0], DATA_FD)
            os.dup2(high[1], CONTROL_FD)

        self.process = subprocess.Popen([PROGRAM, spec], preexec_fn=place, close_fds=False)
        for fd in fds + high:
            os.close(fd)
        data.close()
        control.close()
        self.answer = b""
        while not self.answer.endswith(b"\n"):
            self.answer += self.control.recv(1) or b"(ended)\n"

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()
        self.data.close()
        self.control.close()

    def send(self, frame):
        self.data.sendall(struct.pack(">I", len(frame)) + frame)

    def exactly(self, n):
        data = b""
        while len(data) < n:
            part = self.data.recv(n - len(data))
            check(part, "the program ended")
            data += part
        return data

    def receive(self, wanted):
        """The next frame for which `wanted` says yes."""
        while True:
            frame = self.exactly(struct.unpack(">I", self.exactly(4))[0])
            if wanted(frame):
                return frame


def gives_an_address():
    """DHCP: 10.0.2.15, router 10.0.2.2, name server 10.0.2.3"""
    with Usernet() as u:
        check(u.answer == b"\n", u.answer)
        bootp = struct.pack(">BBBBIHH16s16s", 1, 1, 6, 0, 42, 0, 0, b"", MAC.ljust(16, b"\0")) + bytes(192 - 16 + 16)
        bootp = bootp[:28] + MAC.ljust(16, b"\0") + bytes(192) + b"\x63\x82\x53\x63\x35\1\1\xff"
        u.send(udp("0.0.0.0", "255.255.255.255", 68, 67, bootp, b"\xff" * 6))
        reply = u.receive(lambda f: f[12:14] == b"\x08\0" and f[23] == 17 and f[36:38] == b"\0\x44")
        check(socket.inet_ntoa(reply[58:62]) == "10.0.2.15", reply)
        check(b"\3\4\x0a\0\2\2" in reply and b"\6\4\x0a\0\2\3" in reply, reply)


def name_servers_come_as_a_descriptor():
    """/etc/resolv.conf is asked for, read from the descriptor, and its server gets the query"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, tempfile.TemporaryFile() as conf, Usernet() as u:
        try:
            server.bind(("127.0.0.53", 53))
        except OSError as e:
            raise Skip(f"port 53 of 127.0.0.53: {e}") from None
        server.settimeout(SECONDS)
        conf.write(b"nameserver 127.0.0.53\n")
        conf.flush()
        conf.seek(0)
        # Who is 10.0.2.3? That tells who 10.0.2.15 is.
        u.send(b"\xff" * 6 + MAC + b"\x08\x06\0\1\x08\0\6\4\0\1" + MAC + b"\x0a\0\2\x0f" + bytes(6) + b"\x0a\0\2\3")
        u.receive(lambda f: f[12:14] == b"\x08\x06" and f[20:22] == b"\0\2")
        u.send(udp("10.0.2.15", "10.0.2.3", 4242, 53, b"a query"))
        check(u.control.recv(1) == b"\0", "no request")
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [conf.fileno()]))]
        u.control.sendmsg([b"\0"], rights)
        query, sender = server.recvfrom(100)
        check(query == b"a query", query)
        server.sendto(b"an answer", sender)
        reply = u.receive(lambda f: f[12:14] == b"\x08\0" and f[23] == 17)
        check(reply.endswith(b"an answer") and socket.inet_ntoa(reply[26:30]) == "10.0.2.3", reply)


def no_name_servers():
    """without a descriptor the query is lost and the program lives"""
    with Usernet() as u:
        u.send(udp("10.0.2.15", "10.0.2.3", 4242, 53, b"a query"))
        check(u.control.recv(1) == b"\0", "no request")
        u.control.send(b"\0")
        u.send(udp("10.0.2.15", "10.0.2.3", 4242, 53, b"a query"))
        check(u.control.recv(1) == b"\0", "no second request")
        check(u.process.poll() is None, "the program ended")


def ends_with_ireko():
    """it ends when the data socket does"""
    with Usernet() as u:
        u.data.close()
        check(u.process.wait(timeout=SECONDS) == 0, u.process.returncode)


def nonsense_ends_it():
    """a length that no frame has ends it, not more"""
    with Usernet() as u:
        u.data.sendall(b"\xff\xff\xff\xff")
        check(u.process.wait(timeout=SECONDS) == 0, u.process.returncode)


def garbage_does_not():
    """frames of noise do no harm"""
    with Usernet() as u:
        for n in list(range(0, 70)) + [1500, 65000, 65553]:
            u.send(os.urandom(n))
            u.send((ROUTER + MAC + b"\x08\0" + os.urandom(n))[:65553])
            u.send((ROUTER + MAC + b"\x86\xdd" + os.urandom(n))[:65553])
        u.send(udp("10.0.2.15", "10.0.2.3", 4242, 53, b"a query"))
        check(u.control.recv(1) == b"\0", "it does not answer any more")


def says_why_not():
    """a port that is taken, an option that makes no sense"""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        with Usernet(f"user,forward=tcp:{s.getsockname()[1]}:22") as u:
            check(b"cannot listen there (Address already in use)" in u.answer, u.answer)
    with Usernet("user,nonsense") as u:
        check(b"there is no option 'nonsense'" in u.answer, u.answer)


def alone():
    """without ireko it says what it is for"""
    done = subprocess.run([PROGRAM, "user"], capture_output=True, text=True, timeout=SECONDS, check=False)
    check(done.returncode == 2 and "ireko run --net user" in done.stderr, done.stderr)


if __name__ == "__main__":
    if os.environ.get("MESON_EXE_WRAPPER"):
        print("1..0 # SKIP the program forbids itself the calls that an emulation of its CPU makes; ./dev test --kvm runs it")
        sys.exit(0)
    run([gives_an_address, name_servers_come_as_a_descriptor, no_name_servers, ends_with_ireko, nonsense_ends_it,
         garbage_does_not, says_why_not, alone])
