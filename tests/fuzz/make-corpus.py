#!/usr/bin/env python3
"""Write the seeds of tests/fuzz/corpus. Of mmio_fuzz: short lists of records (see mmio_fuzz.c) that get a device
through what it is for, so that the fuzzer starts from there. Of net_fuzz: frames both ways, with and without headers. Of
loader_fuzz: the smallest file of each kernel format. Of qcow2_fuzz: images with each kind of cluster. Of store_fuzz: files of kept translations. Of the others: requests of a virtio
device."""
import gzip
import pathlib
import struct
import zlib

WRITE, READ, WAIT, TYPE, WIRE, RESET, POKE, DESCRIPTOR, OFFER, REQUEST, START = 0, 4, 6, 7, 8, 9, 10, 12, 13, 14, 15
PL011, PL031, PL061, BLK, DIST, CPU = range(6)
OTHER_CPU = 6


def record(kind, device=0, offset=0, value=0, width=4):
    log2 = width.bit_length() - 1
    return struct.pack("<BBHQ", kind | log2 << 4, device, offset, value)


def writes(device, pairs):
    return [record(WRITE, device, offset, value) for offset, value in pairs]


mmio_seeds = {
    "blk-requests": [record(START, offset=6, value=value) for value in (0, 0x30000000)]
    + [record(REQUEST, device=kind, offset=512 * n, value=n) for n in (1, 3) for kind in range(7)]
    + [record(DESCRIPTOR, device=1, value=0x5000 | 512 << 20 | 3 << 40 | 2 << 44), record(OFFER), record(RESET, BLK)],
    "gic-sgi": writes(DIST, [(0x000, 3), (0x100, 0xFFFFFFFF), (0x104, 0xFFFFFFFF), (0x820, 0x03030303)])
    + writes(CPU, [(0x000, 1), (0x004, 0xFF)])
    + writes(CPU + OTHER_CPU, [(0x000, 0x20F), (0x004, 0xFF)])
    + writes(DIST, [(0xF00, 0x01000003), (0xF00, 0x00030004)])
    + [record(READ, CPU, 0x00C), record(WRITE, CPU, 0x010, 4), record(READ, CPU + OTHER_CPU, 0x00C)]
    + [record(WIRE, offset=3, value=1), record(READ, CPU, 0x018), record(READ, CPU, 0x00C), record(RESET, 4)],
    "pl011-loopback": writes(PL011, [(0x024, 13), (0x02C, 0x70), (0x030, 0x381), (0x038, 0x7FF)])
    + [record(WRITE, PL011, 0x000, n, width=1) for n in range(34)]
    + writes(PL011, [(0x02C, 0x71), (0x030, 0x301), (0x02C, 0x60), (0x02C, 0x70)])
    + [record(TYPE, offset=20, value=0x41), record(WAIT, value=10**9), record(READ, PL011), record(READ, PL011)],
    "pl031-alarm": writes(PL031, [(0x010, 1), (0x008, 100), (0x004, 103)])
    + [record(WAIT, value=10**9), record(WAIT, value=3 * 10**9), record(READ, PL031, 0x014), record(WRITE, PL031, 0x01C, 1)]
    + writes(PL061, [(0x404, 0), (0x408, 8), (0x410, 8)])
    + [record(WIRE, 1, 3, 1), record(READ, PL061, 0x3FC), record(WRITE, PL061, 0x41C, 8), record(WIRE, 1, 3, 0)],
}

RAM_SIZE = b"\x07"  # the last byte of a loader input: 8 MiB
CODE = bytes(100)

image = struct.pack("<IIQQQ24xII", 0, 0, 0x80000, 0x2000, 10, 0x644D5241, 0) + CODE
elf = struct.pack("<4s5B7xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, 2, 183, 1, 0x40080000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
elf += struct.pack("<IIQQQQQQ", 1, 5, 120, 0x40080000, 0x40080000, len(CODE), 0x1000, 16) + CODE
# One frame of one raw block, so that no compressor is needed.
zstd = struct.pack("<IBB", 0xFD2FB528, 0x20, len(image)) + (len(image) << 3 | 1).to_bytes(3, "little") + image
packed = gzip.compress(image, mtime=0)
zboot = struct.pack("<2s2x4sIII4x32s", b"MZ", b"zimg", 64, len(packed), 0, b"gzip").ljust(64, b"\0") + packed
loader_seeds = {"elf": elf, "image": image, "image-gzip": packed, "image-zstd": zstd, "zboot": zboot}

# qcow2_fuzz: how to open, how many requests, the requests, the image.
READ_IT, WRITE_IT, ZERO_IT, DISCARD_IT, FLUSH_IT = range(5)
requests = [(READ_IT, 0, 8), (WRITE_IT, 0, 3), (ZERO_IT, 5, 9), (FLUSH_IT, 0, 0), (DISCARD_IT, 0, 20), (WRITE_IT, 7, 30),
            (FLUSH_IT, 0, 0), (READ_IT, 0, 60)]


def qcow2(version=3, l2=(), data=b"", features=0, snapshot=False):
    """An image with clusters of 512 bytes: header, L1, refcount table, refcount block, L2, data, and a snapshot's tables."""
    clusters = 5 + (len(data) + 511) // 512
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", version, 0, 0, 9, 64 * 512, 0, 1, 512, 1024, 1, int(snapshot), clusters * 512)
    if version == 3:
        header += struct.pack(">QQQIIB7x", features, 1, 0, 4, 112, 1 if features & 8 else 0)
    l1 = struct.pack(">Q", 4 * 512 | (0 if snapshot else 1 << 63))
    block = struct.pack(f">{clusters + snapshot}H", *([1] * 4 + [2 if snapshot else 1] * (clusters - 4) + [1] * snapshot))
    table = b"".join(struct.pack(">Q", entry) for entry in l2)
    parts = [header, l1, struct.pack(">Q", 1536), block, table]
    image = b"".join(p.ljust(512, b"\0") for p in parts) + data.ljust((clusters - 5) * 512, b"\0")
    if snapshot:
        image += (struct.pack(">QIHHIIQII", 512, 1, 1, 1, 0, 0, 0, 0, 0) + b"1s").ljust(512, b"\0")
    return image


deflate = zlib.compressobj(9, zlib.DEFLATED, -12)
deflated = deflate.compress(b"ireko" * 102 + b"\0\0") + deflate.flush()
zstd_cluster = struct.pack("<IBH", 0xFD2FB528, 0x60, 512 - 256) + (512 << 3 | 1).to_bytes(3, "little") + b"z" * 512
COPIED, PACKED, AT = 1 << 63, 1 << 62, 5 * 512
qcow2_seeds = {
    "empty": (1, qcow2()),
    "version2": (1, qcow2(version=2, l2=[AT | COPIED, 0, AT + 512 | COPIED], data=b"a" * 1024)),
    "zeroes": (1, qcow2(l2=[1, AT | COPIED | 1, AT + 512 | COPIED], data=b"a" * 1024)),
    "zlib": (1, qcow2(l2=[PACKED | AT, AT + 512 | COPIED], data=deflated.ljust(512, b"\0") + b"b" * 512)),
    "zstd": (1, qcow2(l2=[PACKED | 1 << 61 | AT], data=zstd_cluster, features=8)),
    "dirty": (1, qcow2(l2=[AT | COPIED], data=b"c" * 512, features=1)),
    "corrupt": (0, qcow2(l2=[AT | COPIED], data=b"c" * 512, features=2)),
    "snapshot": (1, qcow2(l2=[AT, AT + 512], data=b"d" * 1024, snapshot=True)),
}


def step(kind, a=0, c=0, d=0, data=b""):
    data = data.ljust((len(data) + 7) // 8 * 8, b"\0")
    return bytes([kind, a, max(1, len(data) // 8), c, d]) + (data or bytes(8))


BRING_UP, SEND, BUFFERS, RECEIVE, DESCRIPTOR, LINK = range(6)
tcp = bytes([8, 0, 0x45]) + bytes(8) + bytes([6]) + bytes(10) + bytes(12) + bytes([0x50, 0x18]) + bytes(6)
tcp6 = bytes([0x86, 0xDD, 0x60]) + bytes(5) + bytes([6, 64]) + bytes(30) + bytes(12) + bytes([0x50, 0x18]) + bytes(6)


def net_frame(flags, gso, size, start, body):
    return struct.pack("<BBHHHHH", flags, gso, 0, size, start, 16, 0) + bytes(12) + body


net_seeds = {
    "segments": b"\0" + step(BRING_UP) + step(SEND, 12, 0x20, 0, net_frame(1, 1, 1448, 34, tcp))
    + step(SEND, 50, 0xFF, 0, net_frame(1, 4, 48, 54, tcp6)) + step(SEND, 0, 1, 0, net_frame(1, 0, 0, 34, tcp))
    + step(SEND, 0, 1, 0, net_frame(0, 0, 0, 0, tcp)),
    "receive": b"\0" + step(BRING_UP) + step(BUFFERS, 5, 0x10, 0) + step(RECEIVE, 0, 2, 0) + step(RECEIVE, 0, 0x28, 0)
    + step(RECEIVE, 0, 0xFF, 0xFF) + step(LINK) + step(LINK, 1) + step(BUFFERS, 63, 0, 12) + step(RECEIVE, 0, 9, 0),
    "vnet": b"\1" + step(BRING_UP) + step(BUFFERS, 9, 0x10, 0) + step(RECEIVE, 0, 0x60, 0, net_frame(1, 1, 1448, 34, b""))
    + step(SEND, 12, 0x20, 0, net_frame(1, 1, 1448, 34, tcp)) + step(DESCRIPTOR, 2, 5, 7),
}

# Devices on virtio_script.h: whole requests of each.
REQUEST, GIVE = 1, 2


def request(queue, data=b"", room=0):
    data = data.ljust((len(data) + 7) // 8 * 8, b"\0")
    return bytes([REQUEST, queue, len(data) // 8, room >> 8, room & 255]) + data


def buffers(queue, count, size):
    return bytes([GIVE, count * 6 + queue, 0, size >> 8, size & 255])


def restart(queue):
    """The queue by itself (VIRTIO_F_RING_RESET)."""
    return bytes([0, 4, 0, 0, queue])


UP = bytes(5)
balloon_seeds = {
    "inflate": UP + request(0, struct.pack("<6I", 0x40020, 0x40021, 0x40022, 0x40031, 0x40030, 0x400F0))
    + request(1, struct.pack("<2I", 0x40020, 0x40021)),
    "restart": UP + request(0, struct.pack("<2I", 0x40020, 0x40021)) + restart(0) + request(0, struct.pack("<2I", 0x40040, 0x40041))
    + restart(2) + buffers(2, 10, 0x1000),
    "report": UP + buffers(2, 10, 0x1000) + buffers(4, 10, 0xFFFF) + bytes([4, 0x104 // 4, 0x40, 1, 2]),
}

# virtq_fuzz: kind, flags, 16 bits, 32 bits.
ASK_DESC, ASK_POP, ASK_PUSH, ASK_UNPOP, ASK_EVENTS, ASK_START = 0, 5, 8, 10, 11, 12


def ask(kind, a=0, b=0, c=0):
    return struct.pack("<BBHI", kind, a, b, c)


def rounds(start):
    """Chains of one and of two, taken, put back, taken again and given back the other way around, around the ring."""
    chains = ask(ASK_DESC, 2, 1, 0x00408000) + ask(ASK_POP) + ask(ASK_DESC, 1 | 8, 2, 0x00109000) + ask(ASK_DESC, 2, 0, 0x00088000)
    chains += ask(ASK_POP) + ask(ASK_UNPOP, 1) + ask(ASK_POP) + ask(ASK_EVENTS, 1, 2) + ask(ASK_PUSH, 1, 1, 8) + ask(ASK_EVENTS)
    return ask(ASK_START, *start) + (chains + ask(ASK_PUSH, 8, 0, 64) + ask(ASK_EVENTS, 2)) * 8


virtq_seeds = {
    "split": rounds((2, 3)),
    "packed": rounds((4 | 2, 5)),
    "in-order": rounds((8 | 4 | 2, 6)) + rounds((8, 3)),
    "indirect": ask(ASK_START, 4 | 1, 8) + b"".join(ask(ASK_DESC, 0x80, n, 0x00108000 + n) for n in range(3))
    + ask(ASK_DESC, 4, 3) + ask(ASK_POP) + ask(ASK_PUSH, 1, 0, 16) + ask(ASK_START, 1, 3) + ask(ASK_DESC, 4, 1) + ask(ASK_POP),
}

# pci_fuzz: kind, log2 of the width, slot, nothing, offset, value.
CONFIG, BAR, MEMORY, GUEST, RESET_IT = 0, 2, 4, 6, 7


def access(kind, offset, value=None, width=4, slot=0):
    read = value is None and kind < GUEST
    return struct.pack("<BBBxIQ", kind | read, width.bit_length() - 1, slot, offset, value or 0)


def on(slot, base):
    return access(CONFIG, 0x10, base, slot=slot) + access(CONFIG, 4, 6, 2, slot)


vectors = access(CONFIG, 0x42, 0x8000, 2) + b"".join(
    access(BAR, 0x4000 + 16 * i, 0x8020040, 8) + access(BAR, 0x4008 + 16 * i, 96 + i, 8) for i in range(2))
status = [access(BAR, 0x14, s, 1) for s in (0, 3, 11, 15)]
accept = access(BAR, 8, 1) + access(BAR, 12, 1)
queue = (access(BAR, 0x20, 0x40000000, 8) + access(BAR, 0x28, 0x40001000, 8) + access(BAR, 0x30, 0x40002000, 8)
         + access(BAR, 0x1C, 1, 2))
buffer = (access(GUEST, 0, 0x40003000, 8) + access(GUEST, 8, 0x200000100, 8) + access(GUEST, 0x1000, 0x10000, 8)
          + access(BAR, 0x3000, 0, 2))
up = status[0] + status[1] + accept + status[2]
accept_reset = access(BAR, 8, 1) + access(BAR, 12, 0x101)
pci_seeds = {
    "bars": on(0, 0x10000000) + on(1, 0x10004000) + access(MEMORY, 0x14) + access(MEMORY, 0x4014, 0, 1) + access(RESET_IT, 0),
    "messages": on(0, 0x10008000) + vectors + up + access(BAR, 0x10, 0, 2) + access(BAR, 0x1A, 1, 2) + queue + status[3] + buffer,
    "restart": on(0, 0x10008000) + status[0] + status[1] + accept_reset + status[2] + queue + status[3] + buffer
    + access(BAR, 0x3A, 1, 2) + access(BAR, 0x3A, width=2) + access(BAR, 0x18, 8, 2) + queue + buffer,
    "wire": on(0, 0x10008000) + up + queue + status[3] + buffer + access(CONFIG, 4, 0x406) + access(BAR, 0x1000, width=1),
    "window": access(CONFIG, 0x88, 0x14) + access(CONFIG, 0x8C, 1) + access(CONFIG, 0x90, 3, 1) + access(CONFIG, 0x90, width=1),
}

def packet(op, port, peer, data=b"", flags=0):
    return request(1, struct.pack("<QQIIIHHIII", 3, 2, peer, port, len(data), 1, op, flags, 65536, 0) + data)


def program(what, n=0, c=0, data=b""):
    data = data.ljust((len(data) + 7) // 8 * 8, b" ")
    return bytes([6, what * 8 + n, len(data) // 8, c, 0]) + data


vsock_seeds = {
    "guest-connects": UP + buffers(0, 10, 0x1000) + packet(1, 7, 1) + program(1) + packet(5, 7, 1, b"hello guest")
    + program(4) + program(3, data=b"hello program") + packet(7, 7, 1) + packet(4, 7, 1, flags=2) + program(5)
    + packet(4, 7, 1, flags=3) + buffers(0, 10, 0x1000),
    "restart": UP + buffers(0, 10, 0x1000) + packet(1, 7, 1) + program(1) + restart(0) + buffers(0, 10, 0x1000) + restart(1)
    + packet(5, 7, 1, b"hello guest") + program(4) + program(3, data=b"hello program"),
    "program-connects": UP + buffers(0, 10, 0x1000) + program(0) + program(2, c=5) + packet(2, 0x40000000, 5) + program(4)
    + program(3, data=b"x" * 40) + packet(5, 0x40000000, 5, b"y" * 40) + program(4) + program(5, c=3) + packet(3, 0x40000000, 5),
}

def fuse(opcode, data=b"", node=0, handle=0, own=6):
    """A record of fs_fuzz: node and handle 0x20 + n are the n-th that were given."""
    data = data.ljust((len(data) + 7) // 8 * 8, b"\0")
    return bytes([own, node, len(data) // 8, opcode, handle]) + data


def args(*numbers):
    return struct.pack(f"<{len(numbers)}Q", *numbers)


READ, WRITE = args(0, 0, 4096, 0, 0), args(0, 0, 5, 0, 0)
fs_seeds = {
    "restart": UP + fuse(26, struct.pack("<4I", 7, 38, 1 << 17, 0xFFFFFFFF)) + fuse(1, b"a\0") + restart(1) + fuse(14, args(2), 0x20)
    + restart(0) + fuse(15, READ, 0x20, 0x20, 7) + restart(1) + fuse(18, args(0, 0, 0), 0x20, 0x20, 7),
    "files": UP + fuse(26, struct.pack("<4I", 7, 38, 1 << 17, 0xFFFFFFFF)) + fuse(1, b"a\0") + fuse(14, args(2), 0x20)
    + fuse(15, READ, 0x20, 0x20, 7) + fuse(16, WRITE + b"world", 0x20, 0x20, 7) + fuse(25, args(0, 0, 0), 0x20, 0x20, 7)
    + fuse(20, args(0, 0), 0x20, 0x20, 7) + fuse(4, args(8, 0, 2, 0, 0, 0, 0) + bytes(32), 0x20)
    + fuse(35, struct.pack("<4I", 0o102, 0o644, 0, 0) + b"new\0") + fuse(43, args(0, 0, 9999, 0), 0x20, 0x21, 7)
    + fuse(46, args(0, 0, 4), 0x20, 0x21, 7) + fuse(47, args(0, 0, 0, 0, 0, 5, 0), 0x20, 0x20, 7)
    + fuse(18, args(0, 0, 0), 0x20, 0x20, 7) + fuse(2, args(1), 0x20) + fuse(17) + fuse(38),
    "names": UP + fuse(9, args(0o755) + b"new\0") + fuse(6, b"link\0target\0") + fuse(8, args(0o10644, 0) + b"p\0")
    + fuse(45, args(1, 1) + b"a\0b\0", 0, 0x20, 7) + fuse(12, args(1) + b"b\0c\0", 0, 0x20, 7) + fuse(1, b"c\0")
    + fuse(13, args(0) + b"hard\0", 0, 0x22, 7) + fuse(10, b"c\0") + fuse(11, b"new\0") + fuse(1, b"..\0"),
    "folders": UP + fuse(27, args(0)) + fuse(28, READ, 0, 0x20, 7) + fuse(44, READ, 0, 0x20, 7) + fuse(1, b"d\0")
    + fuse(27, args(0), 0x20) + fuse(44, READ, 0x20, 0x21, 7) + fuse(30, args(0, 0), 0, 0x20, 7)
    + fuse(29, args(0, 0, 0), 0, 0x20, 7) + fuse(42, args(1, 2, 1)) + fuse(50, args(0)),
    "links": UP + fuse(1, b"s\0") + fuse(5, b"", 0x20) + fuse(14, args(0), 0x20) + fuse(4, args(8, 0, 0, 0, 0, 0, 0) + bytes(32), 0x20)
    + fuse(1, b"o\0") + fuse(1, b"secret\0", 0x21) + fuse(1, b"f\0") + fuse(14, args(2), 0x22)
    + fuse(35, struct.pack("<4I", 0o1102, 0o644, 0, 0) + b"s\0") + fuse(21, args(1) + b"user.n\0x", 0x20)
    + fuse(22, args(100) + b"user.n\0") + fuse(23, args(100)) + fuse(24, b"user.n\0") + fuse(34, args(4)),
}


def control(port, event, value=1):
    return request(3, struct.pack("<IHH", port, event, value))


console_seeds = {
    "restart": UP + buffers(2, 10, 64) + control(0xFFFFFFFF, 0) + restart(2) + buffers(2, 10, 64) + control(0, 3) + restart(0)
    + buffers(0, 4, 100) + bytes([6, 0, 1, 0, 0]) + b"to hvc0 ",
    "ports": UP + buffers(2, 10, 64) + control(0xFFFFFFFF, 0) + control(0, 3) + control(1, 3) + control(1, 6) + control(2, 3)
    + control(0, 6) + buffers(0, 4, 100) + buffers(4, 4, 100) + bytes([6, 0, 1, 0, 0]) + b"to hvc0 " + bytes([6, 1, 1, 0, 0])
    + b"to hvc1 " + bytes([7, 0, 0, 80, 25]) + request(1, b"from hvc0") + request(5, b"from hvc1"),
}

# firmware_fuzz: kind, log2 of the width, bank, register, offset, value.
STORE, SAY, FETCH, SET, GET, PUT, SHOW_IT, POWER = range(8)


def firmware(kind, offset=0, value=0, width=4, bank=1, register=0):
    return struct.pack("<BBBBIQ", kind, width.bit_length() - 1, bank, register, offset, value)


def say(*values):
    return b"".join(firmware(SAY, 0x100, v) for v in values)


firmware_seeds = {
    "query": firmware(SHOW_IT) + say(0x98) + firmware(FETCH, 0x40) + firmware(SHOW_IT) + say(0xFF) + firmware(SHOW_IT)
    + firmware(FETCH) + say(0x90) + firmware(FETCH, 8) + firmware(POWER),
    "erase": say(0x20, 0xD0) + firmware(FETCH) + say(0x40) + firmware(STORE, 0x100, 0x12345678) + say(0x70, 0x50)
    + firmware(SAY, 0, 0x20, bank=0) + firmware(SAY, 0, 0xD0, bank=0) + firmware(FETCH, bank=0),
    "buffer": say(0xE8, 3) + b"".join(firmware(STORE, 0x100 + 4 * i, 0xA0000000 + i) for i in range(4)) + say(0xD0, 0xFF),
    "copy": firmware(PUT, 0x100, 0x20000000_0A001100) + firmware(PUT, 0x108, 0x00020040_00000000)
    + firmware(SET, value=0x00010040_00000000, width=8, register=16) + firmware(SET, value=0x1100, width=2, register=8)
    + firmware(GET, width=8) + firmware(GET),
}

rtc_seeds = {"read": UP + b"".join(request(0, struct.pack("<HxxxxxxHBxxxxx", kind, 0, 0), 24)
                                   for kind in (0x1000, 0x1001, 0x1002, 1, 2))}
pmem_seeds = {"restart": UP + request(0, bytes(4), 4) + restart(0) + request(0, bytes(4), 4) + bytes([6, 0, 0, 0, 0]),
              "flush": UP + request(0, bytes(4), 4) + bytes([6, 0, 0, 0, 0]) + request(0, b"\1\0\0\0", 8) + request(0, bytes(4), 3)}
rng_seeds = {"fill": UP + request(0, b"", 64) + buffers(0, 10, 0x1000) + request(0, bytes(8), 0xFFFF) + restart(0) + buffers(0, 3, 1)}


def store(count, slots, add=True, beyond=b""):
    """A file of kept translations with `count` records; checksums are made right by the target (flags 1 and 2)."""
    records = b"".join(struct.pack("<QQQII", 0, n, n, 16, 0) + bytes([n] * 16) + bytes(16) for n in range(count))
    table = b"".join(struct.pack("<II", n, (64 + n * 64) // 16) if n < count else bytes(8) for n in range(slots))
    return bytes([7 if add else 3]) + struct.pack("<8sQQQIIQ16x", b"", 0, 64 + len(records + table), 64 + len(records), slots, 0, 0) + records + table + beyond


store_seeds = {"whole": store(3, 8), "full": store(64, 64), "unfinished": store(2, 4, beyond=b"x" * 100), "cut-off": store(2, 8, False)[:-9],
               "refused": store(2, 8)[:-9], "table": store(0, 4)}

corpus = pathlib.Path(__file__).parent / "corpus"
for target, seeds in {"balloon": balloon_seeds, "virtq": virtq_seeds, "vsock": vsock_seeds, "fs": fs_seeds,
                      "console": console_seeds, "pmem": pmem_seeds, "rtc": rtc_seeds, "rng": rng_seeds, "store": store_seeds}.items():
    (corpus / f"{target}_fuzz").mkdir(exist_ok=True)
    for name, contents in seeds.items():
        (corpus / f"{target}_fuzz" / name).write_bytes(contents)
for name, records in mmio_seeds.items():
    (corpus / "mmio_fuzz" / name).write_bytes(b"".join(records))
for name, contents in net_seeds.items():
    (corpus / "net_fuzz" / name).write_bytes(contents)
for name, contents in loader_seeds.items():
    (corpus / "loader_fuzz" / name).write_bytes(contents + RAM_SIZE)
(corpus / "pci_fuzz").mkdir(exist_ok=True)
for name, contents in pci_seeds.items():
    (corpus / "pci_fuzz" / name).write_bytes(contents)
(corpus / "firmware_fuzz").mkdir(exist_ok=True)
for name, contents in firmware_seeds.items():
    (corpus / "firmware_fuzz" / name).write_bytes(contents)
(corpus / "qcow2_fuzz").mkdir(exist_ok=True)
for name, (how, image) in qcow2_seeds.items():
    contents = bytes([how, len(requests)]) + b"".join(struct.pack("<BBB", *r) for r in requests) + image
    (corpus / "qcow2_fuzz" / name).write_bytes(contents)
