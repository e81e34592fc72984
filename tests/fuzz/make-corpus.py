#!/usr/bin/env python3
"""Write the seeds of tests/fuzz/corpus. Of mmio_fuzz: short lists of records (see mmio_fuzz.c) that get a device
through what it is for, so that the fuzzer starts from there. Of loader_fuzz: the smallest file of each kernel format."""
import gzip
import pathlib
import struct

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

corpus = pathlib.Path(__file__).parent / "corpus"
for name, records in mmio_seeds.items():
    (corpus / "mmio_fuzz" / name).write_bytes(b"".join(records))
for name, contents in loader_seeds.items():
    (corpus / "loader_fuzz" / name).write_bytes(contents + RAM_SIZE)
