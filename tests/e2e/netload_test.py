#!/usr/bin/env python3
"""The user-mode network under load: 1000 connections at once each way, 1 GiB each way with the right sums, and iperf3 side by
side with QEMU's. Needs the guest of `./dev guest` (IREKO_GUEST) and a disk with iperf3 and Python (IREKO_NETWORK).
"""
import hashlib
import os
import pathlib
import re
import selectors
import shutil
import socket
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import need  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402

CONNECTIONS = 1000
BLOCK = os.urandom(1 << 20)
GIGABYTE = 1024  # blocks
LONG = 600

# In the guest: `out` connects to 10.0.2.2, `in` is connected to. All connections are up before the first byte is sent;
# each then carries its number there and back.
GUEST = r"""
import selectors, socket, sys
how, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if how == "out":
    all = [socket.create_connection(("10.0.2.2", port)) for _ in range(count)]
    for n, s in enumerate(all):
        s.sendall(b"%08d" % n)
    print("right", sum(s.recv(8, socket.MSG_WAITALL) == b"%08d" % n for n, s in enumerate(all)) * 7, flush=True)
else:
    with socket.create_server(("", port), backlog=count) as listener:
        print("listening", 6 * 7, flush=True)
        all = [listener.accept()[0] for _ in range(count)]
    for s in all:
        s.sendall(s.recv(8, socket.MSG_WAITALL))
    print("served", len(all) * 7, flush=True)
    for s in all:
        s.recv(1)
"""

READY = ("until grep -qs 10.0.2.3 /etc/resolv.conf; do usleep 100000; done; mount -t ext4 -o ro /dev/vda /mnt; "
         "mount -t tmpfs tmp /mnt/tmp; for d in dev proc; do mount -o bind /$d /mnt/$d; done; ulimit -n 4096; ")


def boot(script, *options, memory="512M"):
    guest = need("IREKO_GUEST")
    return Console("run", "--kernel", guest / "Image", "--initrd", guest / "initramfs", "--memory", memory, "--disk",
                   f"{need('IREKO_NETWORK')},ro", *options, "--append", f'quiet ireko.cmd="{READY}{script}"')


def serve(handler):
    """Call handler(connection) in a thread for each connection to the port that is returned."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS)

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=handler, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def serve_script():
    def handler(c):
        c.sendall(GUEST.encode())
        c.close()
    return serve(handler)


def echo_all(port_of):
    """Accept CONNECTIONS, and only when all are there answer what comes on each."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS)
    port_of.append(listener.getsockname()[1])

    def work():
        every = [listener.accept()[0] for _ in range(CONNECTIONS)]
        choice = selectors.DefaultSelector()
        for c in every:
            choice.register(c, selectors.EVENT_READ)
        left = CONNECTIONS
        while left:
            for key, _ in choice.select():
                key.fileobj.sendall(key.fileobj.recv(8, socket.MSG_WAITALL))
                choice.unregister(key.fileobj)
                left -= 1

    threading.Thread(target=work, daemon=True).start()


def more_files():
    import resource
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * CONNECTIONS + 100:
        raise Skip(f"this user may open {hard} files at most")
    resource.setrlimit(resource.RLIMIT_NOFILE, (2 * CONNECTIONS + 100, hard))


def connections_out():
    """the guest holds 1000 connections to the host at once, and each carries its own bytes"""
    more_files()
    port = []
    echo_all(port)
    script = f"nc 10.0.2.2 {serve_script()} > /mnt/tmp/s; chroot /mnt /usr/bin/python3 /tmp/s out {port[0]} {CONNECTIONS}; "
    with boot(script) as c:
        c.wait_for(f"right {7 * CONNECTIONS}", seconds=LONG)
        check(c.finish(LONG) == 0, c.tail())


def connections_in():
    """1000 connections at once from the host through a forwarded port"""
    more_files()
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    script = f"nc 10.0.2.2 {serve_script()} > /mnt/tmp/s; chroot /mnt /usr/bin/python3 /tmp/s in 22 {CONNECTIONS}; "
    with boot(script, "--net", f"user,forward=tcp:{port}:22") as c:
        c.wait_for("listening 42", seconds=LONG)
        every = [socket.create_connection(("127.0.0.1", port), timeout=LONG) for _ in range(CONNECTIONS)]
        for n, s in enumerate(every):
            s.sendall(b"%08d" % n)
        right = sum(s.recv(8, socket.MSG_WAITALL) == b"%08d" % n for n, s in enumerate(every))
        check(right == CONNECTIONS, f"{right} of {CONNECTIONS}")
        c.wait_for(f"served {7 * CONNECTIONS}", seconds=LONG)
        for s in every:
            s.close()
        check(c.finish(LONG) == 0, c.tail())


def gigabyte():
    """1 GiB to the guest, which finds the right sum, and the same back"""
    sums = []

    def give(c):
        for n in range(GIGABYTE):
            c.sendall(n.to_bytes(8, "little") + BLOCK[8:])
        c.close()

    def take(c):
        md5 = hashlib.md5()
        while part := c.recv(1 << 20):
            md5.update(part)
        sums.append(md5.hexdigest())
        c.sendall(b"got it\n")
        c.close()

    md5 = hashlib.md5()
    for n in range(GIGABYTE):
        md5.update(n.to_bytes(8, "little") + BLOCK[8:])
    script = (f"mount -o remount,size=1100m /mnt/tmp; nc 10.0.2.2 {serve(give)} > /mnt/tmp/f; md5sum /mnt/tmp/f; "
              f"nc 10.0.2.2 {serve(take)} < /mnt/tmp/f; ")
    with boot(script, memory="1600M") as c:
        c.wait_for(md5.hexdigest(), seconds=LONG)
        c.wait_for("got it", seconds=LONG)
        check(sums == [md5.hexdigest()], "the host's sum is another")
        check(c.finish(LONG) == 0, c.tail())


# ---------------------------------------------------------------- next to QEMU


class Peer:
    """iperf3 in a guest, three seconds of each direction in turn: bytes, and processor time of the monitor with its helpers."""

    def __init__(self, name, rounds):
        self.name, self.bytes, self.cpu = name, {"up": 0, "down": 0}, {"up": 0.0, "down": 0.0}
        self.rounds = rounds

    def processes(self, c):
        tasks = pathlib.Path(f"/proc/{c.process.pid}/task").glob("*/children")
        return [c.process.pid] + [int(p) for t in tasks for p in t.read_text().split()]

    def seconds(self, c):
        total = 0
        for pid in self.processes(c):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def command(self, port):
        # The server refuses a test as long as it has not read all of the one before.
        test = ("t() { echo begin $((6 * 7)); "
                f"until chroot /mnt /usr/bin/iperf3 -c 10.0.2.2 -p {port} -t 3 $1 > /tmp/o 2>&1; do sleep 1; done; tail -n 3 /tmp/o; }}; ")
        return test + "t; t -R; " * self.rounds + "echo begin $((6 * 7)); "

    def start(self, port):
        if self.name == "ireko":
            return boot(self.command(port), memory="1G")
        guest = need("IREKO_GUEST")
        return Console("-M", "virt", "-cpu", "cortex-a72", "-m", "1G", "-nographic", "-no-reboot", "-kernel", guest / "Image",
                       "-initrd", guest / "initramfs", "-append", f'quiet nokaslr ireko.cmd="{READY}{self.command(port)}"',
                       "-drive", f"if=none,id=d,format=raw,readonly=on,file={need('IREKO_NETWORK')}", "-device",
                       "virtio-blk-device,drive=d", "-netdev", "user,id=n", "-device", "virtio-net-device,netdev=n",
                       program="qemu-system-aarch64")

    def measure(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        server = subprocess.Popen(["iperf3", "-s", "-p", str(port)], stdout=subprocess.DEVNULL)
        try:
            with self.start(port) as c:
                c.wait_for("begin 42", seconds=LONG)
                for way in ("up", "down") * self.rounds:
                    at, before = c.seen, self.seconds(c)
                    c.wait_for("begin 42", seconds=LONG)
                    self.cpu[way] += self.seconds(c) - before
                    sent = re.findall(r"([\d.]+) ([KMG])Bytes .*receiver", c.log[at:c.seen])
                    check(len(sent) == 1, c.tail())
                    self.bytes[way] += float(sent[0][0]) * 1024 ** (1 + "KMG".index(sent[0][1]))
        finally:
            server.kill()
            server.wait()


def iperf():
    """iperf3 both ways: a byte costs at most half of the processor time that it costs QEMU with -netdev user"""
    for program in ("iperf3", "qemu-system-aarch64"):
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")
    need("IREKO_GUEST"), need("IREKO_NETWORK")
    peers = [Peer("ireko", 2), Peer("qemu", 2)]
    for peer in peers * 2:
        peer.measure()
    ours, theirs = peers
    ratios = {}
    for way in ("up", "down"):
        ratios[way] = (theirs.cpu[way] / theirs.bytes[way]) / (ours.cpu[way] / ours.bytes[way])
        print(f"# {way}: {ours.bytes[way] * 8 / 12e6:.0f} Mbit/s, QEMU {theirs.bytes[way] * 8 / 12e6:.0f}: throughput "
              f"{ours.bytes[way] / theirs.bytes[way]:.2f} times QEMU's, a byte's processor time 1/{ratios[way]:.2f}", flush=True)
    check(min(ratios.values()) >= 2, f"{ratios}")


ALL = [connections_out, connections_in, gigabyte, iperf]

if __name__ == "__main__":
    run([t for t in ALL if len(sys.argv) == 1 or t.__name__ in sys.argv[1:]])
