#!/usr/bin/env python3
"""Random FP, Advanced SIMD and cryptography programs, and the comparison of two runs.

usage: generate_simd.py [--seed N] [--blocks N] [--rounds N] [--kind NAME]... [--only NAME]... OUTDIR
       generate_simd.py --compare OUTDIR ours.bin theirs.bin

Like generate.py: words come from the lines of soft/a64.decode, OUTDIR gets code.bin, data.bin,
test.elf and list.txt (one line for each tested word). A block loads V0-V31, X19-X25 and FPCR, then
runs 16 instructions; number k reads V0-V15 and writes V(16+k), a general result goes to V(16+k).D[1],
and FPSR with NZCV after it to Xk. So every difference names one instruction and its operands.
V0-V15 are stored at the end as well: nothing may have changed them.
"""
import argparse
import os
import random
import struct
import subprocess
import sys

import generate
from generate import decodegen

SLOTS = 16
# Bytes of a block: V0-V31, X19-X25, FPCR; V16-V31, X0-X15, V0-V15.
INPUT, OUTPUT = 640, 640
CLASSES = ('fp', 'simd-fp', 'simd-int', 'simd-load', 'crypto')
SANDBOX, SANDBOX_SIZE = generate.DATA, 0x2000

FPCRS = [0] * 8 + [rm << 22 for rm in (1, 2, 3)] * 2 + [1 << 24, 1 << 25, 1 << 19, 1 << 26, 3 << 24] + \
        [(1 << 24 | 1 << 19 | rm << 22) for rm in (1, 2, 3)]

FORMATS = {16: (5, 10), 32: (8, 23), 64: (11, 52)}


def classify(p):
    """The class of a line of a64.decode, or None if it is not for these programs."""
    if p.name.startswith(('LD_', 'ST_')):
        return 'simd-load'
    if p.value >> 25 & 7 != 7:
        return None
    if p.value >> 24 & 0x7E == 0x1E:
        return 'fp'
    if p.name.startswith(('AES', 'SHA1', 'SHA256', 'SHA512', 'RAX1', 'EOR3', 'BCAX', 'XAR', 'PMULL')):
        return 'crypto'
    return 'simd-fp' if p.name.startswith(('F', 'SCVTF', 'UCVTF')) else 'simd-int'


def nasty_float(rng, n):
    exp_bits, frac_bits = FORMATS[n]
    bias, top = (1 << exp_bits - 1) - 1, (1 << exp_bits) - 1
    frac = rng.choice((0, 1, (1 << frac_bits) - 1, 1 << frac_bits - 1, (1 << frac_bits - 1) - 1,
                       rng.getrandbits(frac_bits), rng.getrandbits(frac_bits),
                       rng.getrandbits(frac_bits) & -1 << frac_bits // 2))
    exp = rng.choice((0, 0, 1, 2, top, top, top - 1, bias, bias + rng.randrange(-3, 4),
                      bias + frac_bits, bias + rng.choice((15, 16, 31, 32, 63, 64)),
                      bias + rng.randrange(-frac_bits - 3, frac_bits + 3), rng.randrange(top + 1)))
    return rng.getrandbits(1) << n - 1 | (exp & top) << frac_bits | frac


def nasty_int(rng, n):
    return rng.choice((0, 1, (1 << n) - 1, 1 << n - 1, (1 << n - 1) - 1, rng.getrandbits(n),
                       rng.getrandbits(n), rng.getrandbits(n) >> rng.randrange(n),
                       -rng.randrange(2 * n + 2) & (1 << n) - 1, rng.randrange(2 * n + 2) & (1 << n) - 1))


def vector(rng):
    kind = rng.choice(('f16', 'f32', 'f32', 'f64', 'f64', 'i8', 'i16', 'i32', 'i64'))
    n = int(kind[1:])
    make = nasty_float if kind[0] == 'f' else nasty_int
    value = 0
    for k in range(128 // n):
        value |= make(rng, n) << k * n
    return value.to_bytes(16, 'little')


def deviates(name, word):
    """Whether QEMU deviates for some data, see docs/correctness.md."""
    return name == 'FCVTZS_vfix_s' and not word >> 21 & 3


class Program:
    def __init__(self, rng, patterns, names):
        self.rng, self.words, self.list = rng, [], []  # list: word and name of what is tested
        self.deviant = set()                           # registers of this block with QEMU's deviations
        self.patterns = {p.name: p for p in patterns}
        self.names = generate.Program.in_turn(self, names)

    def encode(self, name, **fields):
        p = self.patterns[name]
        while True:
            word = p.value
            for field, (low, width) in p.fields.items():
                value = fields[field] if field in fields else self.rng.getrandbits(width)
                word |= (value & (1 << width) - 1) << low
            if not any(h.meets(decodegen.Cube(decodegen.ALL, word)) for h in p.holes):
                return word

    def emit(self, name, **fields):
        self.words.append(self.encode(name, **fields))

    def source(self, slot):
        return 16 + slot if self.rng.randrange(8) == 0 else self.rng.randrange(16)

    def general(self):
        return self.rng.choice((19, 20, 21, 22, 23, 24, 25, 31))

    def one(self, name, slot):
        rng = self.rng
        rd = 16 + slot
        self.words.append(0xD51B443F)                      # msr fpsr, xzr
        fields = {'rd': rd, 'rn': self.source(slot), 'rm': self.source(slot), 'ra': self.source(slot)}
        writes_general = name in ('SMOV', 'UMOV', 'UMOV_d', 'FJCVTZS') or '_to_' in name or \
            name.startswith('FCVT') and name.endswith(('_general', '_fixed'))
        if writes_general:
            fields['rd'] = 17
        elif name in ('DUP_general', 'INS_general') or '_from_' in name or \
                name.endswith(('_general', '_fixed')):
            fields['rn'] = self.general()
        memory = name.startswith(('LD_', 'ST_'))
        if memory:
            # x17 = sandbox + offset, near the end of its first page as often as not.
            offset = rng.choice((rng.randrange(0x1000), rng.randrange(0xFC0, 0x1000)))
            self.emit('ADD_imm_x', rd=17, rn=27, imm12=offset, sh=0)
            fields = {'rn': 17, 'rt': rd, 'rm': self.general()}
        given = {f: v for f, v in fields.items() if f in self.patterns[name].fields}
        word = self.encode(name, **given)
        while 'm' in self.patterns[name].fields and word >> 16 & 31 in self.deviant:
            word = self.encode(name, **given)              # M:Rm may be the result of an earlier one
        if deviates(name, word):
            self.deviant.add(rd)
        self.list.append((word, name))
        self.words.append(word)
        if writes_general:
            self.words.append(0x4E181C00 | 17 << 5 | rd)   # ins v.d[1], x17
        self.words.append(0xD53B4420 | slot)               # mrs x, fpsr
        self.words.append(0xD53B4200 | 18)                 # mrs x18, nzcv
        self.words.append(0xAA000000 | 18 << 16 | slot << 5 | slot)  # orr x, x, x18
        if memory:
            self.words.append(0xCB000000 | 27 << 16 | 17 << 5 | 17)       # sub x17, x17, x27
            self.words.append(0x8B000000 | 17 << 16 | 32 << 10 | slot << 5 | slot)

    def block(self):
        for reg in range(0, 32, 2):
            self.emit('LDP_q_off', rt=reg, rt2=reg + 1, rn=28, imm7=reg)
        for k, reg in enumerate((19, 20, 21, 22, 23, 24, 25, 17)):
            self.emit('LDR_x_uimm', rt=reg, rn=28, imm12=64 + k)
        self.words.append(0xD51B4400 | 17)                 # msr fpcr, x17
        self.deviant.clear()
        for slot in range(SLOTS):
            self.one(next(self.names), slot)
        for k in range(8):
            self.emit('STP_q_off', rt=16 + 2 * k, rt2=17 + 2 * k, rn=29, imm7=2 * k)
            self.emit('STP_x_off', rt=2 * k, rt2=2 * k + 1, rn=29, imm7=32 + 2 * k)
            self.emit('STP_q_off', rt=2 * k, rt2=2 * k + 1, rn=29, imm7=24 + 2 * k)
        self.emit('ADD_imm_x', rd=28, rn=28, imm12=INPUT, sh=0)
        self.emit('ADD_imm_x', rd=29, rn=29, imm12=OUTPUT, sh=0)


def header(inputs, outputs):
    return [0xD51B421F] + generate.load_address(27, SANDBOX) + generate.load_address(28, inputs) + \
        generate.load_address(29, outputs)                 # msr nzcv, xzr


def data(rng, blocks):
    vectors = [vector(rng) for _ in range(4096)]
    numbers = [struct.pack('<Q', nasty_int(rng, rng.choice((32, 64)))) for _ in range(1024)]
    controls = [struct.pack('<Q', fpcr) for fpcr in FPCRS]
    states = [b''.join(rng.choices(vectors, k=32) + rng.choices(numbers, k=7) +
                       [rng.choice(controls), bytes(INPUT - 576)]) for _ in range(min(blocks, 800))]
    return rng.randbytes(SANDBOX_SIZE) + b''.join(rng.choices(states, k=blocks)) + bytes(blocks * OUTPUT)


def disassemble(word):
    code = subprocess.run(['llvm-mc-14', '-disassemble', '-triple=aarch64', '-mattr=+v8.6a,+crypto,+sha3,+fullfp16'],
                          input=' '.join(f'0x{b:02x}' for b in struct.pack('<I', word)), text=True,
                          capture_output=True, check=False).stdout
    return code.splitlines()[-1].strip() if code else '?'


def operand(data_bytes, block, reg):
    at = SANDBOX_SIZE + block * INPUT + 16 * reg
    return data_bytes[at:at + 16][::-1].hex()


def is_known(name, word, a, b):
    """Whether this is such a deviation."""
    return deviates(name, word) and a[:2] + bytes(14) == a and a[:2] == b[:2]


def differences(listing, a, b, limit=1):
    """What the data of two runs disagree about, as lines of text; counts: known, and by name."""
    blocks = (len(a) - SANDBOX_SIZE) // (INPUT + OUTPUT)
    at = SANDBOX_SIZE + blocks * INPUT
    bad, known, lines = {}, 0, []
    if a[:SANDBOX_SIZE] != b[:SANDBOX_SIZE]:
        lines.append('stored memory differs')
        bad['memory'] = 1
    for block in range(blocks):
        first = at + block * OUTPUT
        if a[first:first + OUTPUT] == b[first:first + OUTPUT]:
            continue
        if a[first + 384:first + OUTPUT] != b[first + 384:first + OUTPUT]:
            lines.append(f'V0-V15 differ after block {block}')
            bad['sources'] = bad.get('sources', 0) + 1
        for slot in range(SLOTS):
            v, x = first + 16 * slot, first + 256 + 8 * slot
            if a[v:v + 16] == b[v:v + 16] and a[x:x + 8] == b[x:x + 8]:
                continue
            word, name = listing[(block * SLOTS + slot) % len(listing)]
            if a[x:x + 8] == b[x:x + 8] and is_known(name, word, a[v:v + 16], b[v:v + 16]):
                known += 1
                continue
            bad[name] = bad.get(name, 0) + 1
            if bad[name] > limit:
                continue
            fpcr = a[SANDBOX_SIZE + block * INPUT + 568:][:8][::-1].hex()
            lines.append(f'{name} {word:08x} {disassemble(word)} fpcr={fpcr[8:]}')
            for field, reg in (('n', word >> 5 & 31), ('m', word >> 16 & 31), ('a', word >> 10 & 31),
                               ('d', 16 + slot)):
                lines.append(f'    {field}: v{reg} {operand(a, block, reg)}')
            lines.append(f'    ours   {a[v:v + 16][::-1].hex()} flags {a[x:x + 8][::-1].hex()}')
            lines.append(f'    theirs {b[v:v + 16][::-1].hex()} flags {b[x:x + 8][::-1].hex()}')
    return lines, known, bad


def make(rng, patterns, names, blocks, rounds, outdir):
    """Write a program; the list of what it tests."""
    program = Program(rng, patterns, names)
    inputs = SANDBOX + SANDBOX_SIZE
    outputs = inputs + blocks * rounds * INPUT
    program.words = header(inputs, outputs)
    start = len(program.words)
    for _ in range(blocks):
        program.block()
    generate.again(program.words, start, outputs)
    generate.write(outdir, program.words, data(rng, blocks * rounds))
    return program.list


def read(path):
    with open(path, 'rb') as content:
        return content.read()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--blocks', type=int, default=1000)
    parser.add_argument('--rounds', type=int, default=1)
    parser.add_argument('--kind', choices=CLASSES, action='append')
    parser.add_argument('--only', action='append', help='names of lines of a64.decode')
    parser.add_argument('--limit', type=int, default=1, help='differences shown of one name')
    parser.add_argument('--compare', nargs=2, metavar=('OURS', 'THEIRS'))
    parser.add_argument('outdir')
    args = parser.parse_args()
    list_path = os.path.join(args.outdir, 'list.txt')
    if args.compare:
        with open(list_path, encoding='ascii') as f:
            listing = [(int(word, 16), name) for word, name in map(str.split, f)]
        lines, known, bad = differences(listing, *map(read, args.compare), args.limit)
        print('\n'.join(lines + [f'{known} known deviations, {sum(bad.values())} differences {bad}']))
        sys.exit(1 if bad else 0)
    patterns = generate.read_patterns()
    names = args.only or [p.name for p in patterns if classify(p) in (args.kind or CLASSES)]
    listing = make(random.Random(args.seed), patterns, names, args.blocks, args.rounds, args.outdir)
    with open(list_path, 'w', encoding='ascii') as f:
        f.writelines(f'{word:08x} {name}\n' for word, name in listing)


if __name__ == '__main__':
    main()
