#!/usr/bin/env python3
"""Write the seeds of tests/fuzz/corpus/mmio_fuzz: short lists of records (see mmio_fuzz.c) that get
a device through what it is for, so that the fuzzer starts from there."""
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


seeds = {
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

folder = pathlib.Path(__file__).parent / "corpus" / "mmio_fuzz"
folder.mkdir(parents=True, exist_ok=True)
for name, records in seeds.items():
    (folder / name).write_bytes(b"".join(records))
