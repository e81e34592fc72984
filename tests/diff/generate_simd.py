#!/usr/bin/env python3
"""Random FP, Advanced SIMD and cryptography programs, and the comparison of two runs.

usage: generate_simd.py [--seed N] [--blocks N] [--only NAME]... OUTDIR
       generate_simd.py --compare OUTDIR ours.bin theirs.bin

Like generate.py: words come from the lines of soft/a64.decode, OUTDIR gets code.bin, data.bin,
test.elf and list.txt (one line for each tested word). A block loads V0-V31, X19-X25 and FPCR, then
runs 16 instructions; number k reads V0-V15 and writes V(16+k), a general result goes to V(16+k).D[1],
and FPSR with NZCV after it to Xk. So every difference names one instruction and its operands.
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
INPUT, OUTPUT = 640, 384                # bytes of a block: V0-V31, X19-X25, FPCR; V16-V31, X0-X15
SANDBOX, SANDBOX_SIZE = generate.DATA, 0x2000

FPCRS = [0] * 8 + [rm << 22 for rm in (1, 2, 3)] * 2 + [1 << 24, 1 << 25, 1 << 19, 1 << 26, 3 << 24] + \
        [(1 << 24 | 1 << 19 | rm << 22) for rm in (1, 2, 3)]

FORMATS = {16: (5, 10), 32: (8, 23), 64: (11, 52)}


def is_tested(p):
    group = p.value >> 25 & 15
    return group & 7 == 7 or p.name.startswith(('LD_', 'ST_'))


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


class Program:
    def __init__(self, rng, patterns, names):
        self.rng, self.words, self.list = rng, [], []
        self.patterns = {p.name: p for p in patterns}
        self.names = names

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
        word = self.encode(name, **{f: v for f, v in fields.items() if f in self.patterns[name].fields})
        self.list.append((len(self.words), word, name))
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
        for slot in range(SLOTS):
            self.one(self.rng.choice(self.names), slot)
        for k in range(8):
            self.emit('STP_q_off', rt=16 + 2 * k, rt2=17 + 2 * k, rn=29, imm7=2 * k)
            self.emit('STP_x_off', rt=2 * k, rt2=2 * k + 1, rn=29, imm7=32 + 2 * k)
        self.emit('ADD_imm_x', rd=28, rn=28, imm12=INPUT, sh=0)
        self.emit('ADD_imm_x', rd=29, rn=29, imm12=OUTPUT, sh=0)


def header(blocks):
    words = [0xD51B421F]                                   # msr nzcv, xzr
    for reg, value in ((27, SANDBOX), (28, SANDBOX + SANDBOX_SIZE),
                       (29, SANDBOX + SANDBOX_SIZE + blocks * INPUT)):
        words += [0xD2800000 | (value & 0xFFFF) << 5 | reg, 0xF2A00000 | (value >> 16) << 5 | reg]
    return words


def data(rng, blocks):
    out = bytearray(rng.randbytes(SANDBOX_SIZE))
    for _ in range(blocks):
        for _ in range(32):
            out += vector(rng)
        for _ in range(7):
            out += struct.pack('<Q', nasty_int(rng, rng.choice((32, 64))))
        out += struct.pack('<Q', rng.choice(FPCRS)) + bytes(INPUT - 576)
    return bytes(out) + bytes(blocks * OUTPUT)


def disassemble(word):
    code = subprocess.run(['llvm-mc-14', '-disassemble', '-triple=aarch64', '-mattr=+v8.6a,+crypto,+sha3,+fullfp16'],
                          input=' '.join(f'0x{b:02x}' for b in struct.pack('<I', word)), text=True,
                          capture_output=True, check=False).stdout
    return code.splitlines()[-1].strip() if code else '?'


def operand(data_bytes, block, reg):
    at = SANDBOX_SIZE + block * INPUT + 16 * reg
    return data_bytes[at:at + 16][::-1].hex()


def is_known(name, word, a, b):
    """Whether this is a listed deviation of QEMU, see README.md."""
    return name == 'FCVTZS_vfix_s' and not word >> 21 & 3 and a[:2] + bytes(14) == a and a[:2] == b[:2]


def differences(outdir, ours, theirs, limit=1):
    """What two runs disagree about, as lines of text; a summary; and how much that is."""
    with open(ours, 'rb') as f:
        a = f.read()
    with open(theirs, 'rb') as f:
        b = f.read()
    with open(os.path.join(outdir, 'list.txt'), encoding='ascii') as f:
        tested = [line.split() for line in f]
    blocks = len(tested) // SLOTS
    at = SANDBOX_SIZE + blocks * INPUT
    bad, known, lines = {}, 0, []
    if a[:SANDBOX_SIZE] != b[:SANDBOX_SIZE]:
        lines.append('stored memory differs')
        bad['memory'] = 1
    for k, (word, name) in enumerate(tested):
        block, slot = divmod(k, SLOTS)
        v = at + block * OUTPUT + 16 * slot
        x = at + block * OUTPUT + 256 + 8 * slot
        if a[v:v + 16] == b[v:v + 16] and a[x:x + 8] == b[x:x + 8]:
            continue
        word = int(word, 16)
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
    summary = (f'{len(tested)} instructions, {known} known deviations, {sum(bad.values())} differences' +
               ''.join(f' {n}:{c}' for n, c in sorted(bad.items())))
    return lines, summary, sum(bad.values())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--blocks', type=int, default=1000)
    parser.add_argument('--only', action='append', help='names of lines of a64.decode')
    parser.add_argument('--limit', type=int, default=1, help='differences shown of one name')
    parser.add_argument('--compare', nargs=2, metavar=('OURS', 'THEIRS'))
    parser.add_argument('outdir')
    args = parser.parse_args()
    if args.compare:
        lines, summary, count = differences(args.outdir, *args.compare, args.limit)
        print('\n'.join(lines + [summary]))
        sys.exit(1 if count else 0)
    patterns, errors = decodegen.parse(
        os.path.join(generate.HERE, '..', '..', 'soft', 'a64.decode'), None)
    if errors:
        sys.exit('\n'.join(errors))
    rng = random.Random(args.seed)
    program = Program(rng, patterns, args.only or [p.name for p in patterns if is_tested(p)])
    program.words = header(args.blocks)
    for _ in range(args.blocks):
        program.block()
    content = data(rng, args.blocks)
    words = [0x14000000] + program.words + generate.footer(len(content))
    code = struct.pack(f'<{len(words)}I', *words)
    listing = ''.join(f'{word:08x} {name}\n' for _, word, name in program.list)
    for name, text in (('code.bin', code), ('data.bin', content), ('list.txt', listing.encode()),
                       ('test.elf', generate.elf(code, content))):
        with open(os.path.join(args.outdir, name), 'wb') as out:
            out.write(text)


if __name__ == '__main__':
    main()
