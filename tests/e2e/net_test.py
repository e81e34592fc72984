#!/usr/bin/env python3
"""The network as a guest and its user meet it: `--net user` against servers on this host's loopback, `--net unix` against
a peer made here, `--net tap` where this user may. Needs the guest of `./dev guest` (IREKO_GUEST).
"""
import fcntl
import hashlib
import http.server
import os
import pathlib
import signal
import select
import socket
import socketserver
import struct
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import guest  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402

BYTES = os.urandom(1 << 20) * 24  # more than any window
SUM = hashlib.md5(BYTES).hexdigest()
# For the guest's shell: wait for a line in a file.
UNTIL = "until_line() { while ! grep -qs $1 $2; do usleep 100000; done; }; "


def boot(script, *options):
    return Console("run", "--kernel", guest("Image"), "--initrd", guest("initramfs"), "--memory", "512M", *options,
                   "--append", f'quiet ireko.cmd="{UNTIL}{script}"')


class Server:
    """On `address`: an HTTP server that gives BYTES, and one that answers with the sum of all that it is sent."""

    def __init__(self, address="127.0.0.1"):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-length", str(len(BYTES)))
                self.end_headers()
                self.wfile.write(BYTES)

            def log_message(self, *unused):
                pass

        class Sum(socketserver.StreamRequestHandler):
            def handle(self):
                md5 = hashlib.md5()
                while part := self.rfile.read(1 << 16):
                    md5.update(part)
                self.wfile.write(b"sum " + md5.hexdigest().encode() + b"\n")

        self.servers = [http.server.ThreadingHTTPServer((address, 0), Handler),
                        socketserver.ThreadingTCPServer((address, 0), Sum)]
        self.ports = [s.server_address[1] for s in self.servers]
        for s in self.servers:
            threading.Thread(target=s.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for s in self.servers:
            s.shutdown()
            s.server_close()


def transfer(host, get, put):
    """The guest's commands for a download and an upload of the same bytes."""
    return f"wget -q -O /tmp/file http://{host}:{get}/; md5sum /tmp/file; nc {host} {put} < /tmp/file; "


def check_transfer(c):
    c.wait_for(SUM + "  /tmp/file", seconds=120)
    c.wait_for("sum " + SUM, seconds=120)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def helper(c):
    """The process id of the ireko-usernet of `c`."""
    tasks = pathlib.Path(f"/proc/{c.process.pid}/task").glob("*/children")
    children = [child for task in tasks for child in task.read_text().split()]
    check(len(children) == 1, f"children: {children}")
    return int(children[0])


def default_network():
    """without an option there is a network: an address, the gateway, 24 MiB each way with the right sums"""
    with Server() as s:
        script = ("until_line 10.0.2.3 /etc/resolv.conf; ip -4 address show eth0; ping -c 1 10.0.2.2; "
                  "cat /sys/class/net/eth0/mtu; " + transfer("10.0.2.2", *s.ports))
        with boot(script) as c:
            c.wait_for("inet 10.0.2.15/24")
            c.wait_for("1 packets received")
            c.wait_for("65520")
            check_transfer(c)
            check(c.finish() == 0, c.tail())


def small_frames():
    """mtu=1500: segments are cut for the back end, and the sums are right"""
    with Server() as s:
        script = ("until_line 10.0.2.3 /etc/resolv.conf; cat /sys/class/net/eth0/mtu; " +
                  transfer("10.0.2.2", *s.ports))
        with boot(script, "--net", "user,mtu=1500,mac=52:54:00:01:02:03") as c:
            c.wait_for("1500")
            check_transfer(c)
            check(c.finish() == 0, c.tail())


def ipv6():
    """the guest gets an IPv6 address and reaches the router"""
    with boot("until_line ^fd00 /proc/net/if_inet6; until ping -6 -c 1 fd00::2; do usleep 100000; done; "
              "echo done $((6 * 7))") as c:
        c.wait_for("1 packets received")
        c.wait_for("done 42")


def forwarded_port():
    """a port of the host leads into the guest"""
    port = free_port()
    script = ("until_line 10.0.2.3 /etc/resolv.conf; echo listening $((6 * 7)); "
              "echo hello from the guest | nc -l -p 22")
    with boot(script, "--net", f"user,forward=tcp:{port}:22") as c:
        c.wait_for("listening 42")
        answer = b""
        while answer != b"hello from the guest\n":  # until nc listens, the guest refuses
            with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
                s.sendall(b"hello from the host\n")
                s.shutdown(socket.SHUT_WR)
                try:
                    answer = s.recv(100)
                except ConnectionResetError:
                    continue
        c.wait_for("hello from the host")
        check(c.finish() == 0, c.tail())


def dead_helper_is_an_unplugged_cable():
    """when ireko-usernet dies the guest's link is down, and the guest goes on"""
    script = ("until_line 10.0.2.3 /etc/resolv.conf; echo carrier is $(cat /sys/class/net/eth0/carrier).; "
              "until_line 0 /sys/class/net/eth0/carrier; echo carrier is $(cat /sys/class/net/eth0/carrier).; "
              "ping -c 1 -W 1 10.0.2.2; echo done $((6 * 7))")
    with boot(script) as c:
        c.wait_for("carrier is 1.")
        os.kill(helper(c), signal.SIGKILL)
        c.wait_for("carrier is 0.")
        c.wait_for("done 42")
        check(c.finish() == 0, c.tail())
        check("cable is unplugged" in c.errors, c.errors)


def helper_has_no_rights():
    """ireko-usernet is confined, and ends with ireko"""
    with boot("until_line 10.0.2.3 /etc/resolv.conf; echo done $((6 * 7)); sleep 60") as c:
        c.wait_for("done 42")
        pid = helper(c)
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        check("Seccomp:\t2" in status and "NoNewPrivs:\t1" in status, status)
        child = os.pidfd_open(pid)
        c.process.kill()
        c.process.wait()
        check(select.select([child], [], [], 30 * Console.patience)[0], "ireko-usernet outlived ireko")
        os.close(child)


# ---------------------------------------------------------------- a peer of its own


def checksum(data):
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) & 1)))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def answer(frame):
    """What 10.9.0.1 answers to a frame: ARP and ping; None if nothing."""
    mac = b"\x52\x00\x00\x00\x00\x01"
    to, kind = frame[6:12], frame[12:14]
    if kind == b"\x08\x06" and frame[38:42] == bytes([10, 9, 0, 1]):
        return (to + mac + kind + frame[14:20] + b"\0\x02" + mac + frame[38:42] + frame[22:32]).ljust(60, b"\0")
    if kind == b"\x08\x00" and frame[23] == 1 and frame[34] == 8:
        ip = frame[14:26] + frame[30:34] + frame[26:30]
        icmp = b"\0\0" + b"\0\0" + frame[38:]
        return to + mac + kind + ip + icmp[:2] + struct.pack(">H", checksum(icmp)) + icmp[4:]
    return None


class StreamPeer:
    """Serves one connection at a time on `path`; close() makes the cable end."""

    def __init__(self, path):
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.connection = None
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        try:
            self.connection, _ = self.listener.accept()
            with self.connection.makefile("rb") as f:
                while prefix := f.read(4):
                    reply = answer(f.read(struct.unpack(">I", prefix)[0]))
                    if reply:
                        self.connection.sendall(struct.pack(">I", len(reply)) + reply)
        except OSError:
            pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()
        self.path.unlink()


STATIC = "ip address add 10.9.0.2/24 dev eth0; until ping -c 1 -W 1 10.9.0.1; do true; done; echo reached $((6 * 7)); "


def stream_socket():
    """--net unix: frames over a stream; the cable comes back with the peer"""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "net.sock"
        peer = StreamPeer(path)
        script = (STATIC + "until_line 0 /sys/class/net/eth0/carrier; echo unplugged $((6 * 7)); "
                  "until_line 1 /sys/class/net/eth0/carrier; " + STATIC)
        with boot(script, "--net", f"unix,path={path}") as c:
            c.wait_for("reached 42")
            peer.close()
            c.wait_for("unplugged 42")
            peer = StreamPeer(path)
            c.wait_for("reached 42")
            check(c.finish() == 0, c.tail())


def datagram_socket():
    """--net unix,type=dgram: a frame for each datagram"""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "net.sock"
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        peer.bind(str(path))

        def serve():
            while True:
                frame, sender = peer.recvfrom(70000)
                reply = answer(frame)
                if reply:
                    peer.sendto(reply, sender)

        threading.Thread(target=serve, daemon=True).start()
        with boot(STATIC, "--net", f"unix,path={path},type=dgram") as c:
            c.wait_for("reached 42")
            check(c.finish() == 0, c.tail())
        check(os.listdir(folder) == ["net.sock"], f"left behind: {os.listdir(folder)}")


def tap():
    """--net tap: the host's kernel at the other end, with checksums and segments left to it"""
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        raise Skip("only root makes TAP interfaces")
    name = f"ireko{os.getpid() % 100000}"
    SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFFLAGS = 0x8916, 0x891C, 0x8914

    def address(text):
        return struct.pack("16sHH4s8x", name.encode(), socket.AF_INET, 0, socket.inet_aton(text))

    script = ("echo booted $((6 * 7)); read go; ip address add 10.99.0.2/30 dev eth0; "
              "until ping -c 1 -W 1 10.99.0.1; do true; done; read get put; ")
    with boot(script + transfer("10.99.0.1", "$get", "$put"), "--net", f"tap,name={name}") as c:
        c.wait_for("booted 42")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            fcntl.ioctl(s, SIOCSIFADDR, address("10.99.0.1"))
            fcntl.ioctl(s, SIOCSIFNETMASK, address("255.255.255.252"))
            fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), 0x1 | 0x40))
        c.send("go\n")
        c.wait_for("1 packets received")
        with Server("10.99.0.1") as server:
            c.send("{} {}\n".format(*server.ports))
            check_transfer(c)
            check(c.finish() == 0, c.tail())


def two_networks_and_none():
    """two cards have two addresses that stay; --net none leaves none"""
    script = "until_line 10.0.2.3 /etc/resolv.conf; cat /sys/class/net/eth*/address; ls -d /sys/class/net/eth*; "
    addresses = []
    for _ in range(2):
        with boot(script, "--net", "user", "--net", "user") as c:
            c.wait_for("/sys/class/net/eth1")
            check(c.finish() == 0, c.tail())
            lines = [line.strip() for line in c.log.splitlines() if line.count(":") == 5]
            addresses.append(lines)
    check(addresses[0] == addresses[1] and len(set(addresses[0])) == 2, f"{addresses}")
    for transport in ("mmio", "pci"):  # the first --net is the guest's first
        with boot("cat /sys/class/net/eth0/address /sys/class/net/eth1/address; echo end $((6 * 7))", "--transport", transport,
                  "--net", "user,mac=52:54:00:00:00:0a", "--net", "user,mac=52:54:00:00:00:0b") as c:
            c.wait_for("end 42")
            check(c.finish() == 0, c.tail())
            lines = [line.strip() for line in c.log.splitlines() if line.startswith("52:54:")]
            check(lines == ["52:54:00:00:00:0a", "52:54:00:00:00:0b"], f"{transport}: {lines}")
    with boot("echo cards: $(ls /sys/class/net | grep -c eth).", "--net", "none") as c:
        c.wait_for("cards: 0.")
        check(c.finish() == 0, c.tail())


ALL = [default_network, small_frames, ipv6, forwarded_port, dead_helper_is_an_unplugged_cable, helper_has_no_rights,
       stream_socket, datagram_socket, tap, two_networks_and_none]

if __name__ == "__main__":
    run([t for t in ALL if len(sys.argv) == 1 or t.__name__ in sys.argv[1:]])
