#!/usr/bin/env python3
"""Random A64 programs for comparing two CPUs.

usage: generate.py [--seed N] [--blocks N] [--rounds N] [--kind NAME]... [--only NAME]... OUTDIR

Words are made from the lines of soft/a64.decode, so a new line is tested without a change here. A
program is a series of blocks: load X0-X26, X30, SP, NZCV and V0-V3 from random data, run 16 random
instructions, store all of them. It is run as many times as there are rounds, each with its own
data. Register use while a block runs: X27 points to the middle of a sandbox for loads and stores,
X28 to the inputs and X29 to the outputs of the block.

OUTDIR gets code.bin and data.bin, to be put at CODE and DATA, and test.elf, a static Linux program
of both that writes its data to standard output when it is done: the first `svc` is its end where no
Linux answers.
"""
import argparse
import os
import random
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'soft'))
import decodegen  # noqa: E402

CODE, DATA = 0x10000000, 0x20000000
SANDBOX, SANDBOX_SIZE = DATA + 0x2000, 0x4000  # X27 is in the middle
STATE_SIZE = 384                               # of a block: inputs, and outputs
BLOCK_LENGTH = 16
FREE = [r for r in range(31) if r not in (27, 28, 29)]

SPECIAL = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0x7fffffff, 0x80000000, 0xffffffff,
           0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
           0x5555555555555555, 0xfffffffffffffff8]

SYSTEM = {'UDF', 'ERET', 'DRPS', 'SVC', 'HVC', 'SMC', 'BRK', 'HLT', 'DCPS1', 'DCPS2', 'DCPS3', 'WFE',
          'WFI', 'SEV', 'SEVL', 'WFET', 'WFIT', 'SYSL'}
BRANCH = {'B', 'B_cond', 'CBZ_w', 'CBZ_x', 'CBNZ_w', 'CBNZ_x', 'TBZ', 'TBNZ', 'BL', 'BR', 'BLR',
          'RET'}
CLASSES = ('alu', 'branch', 'load', 'atomic', 'system', 'mixed')

# `mixed` has all the others and these, which have SIMD&FP registers but for the field named; and it
# has instructions that set or read NZCV more often, as well as loops.
VECTOR = {'FADD': None, 'FMOV': None, 'FCMP': None, 'FCCMP': None, 'FCSEL': None, 'ADD_v': None,
          'EOR_v': None, 'FMOV_to_x': 'rd', 'FMOV_from_x': 'rn', 'UMOV': 'rd', 'INS_general': 'rn',
          'DUP_general': 'rn', 'FCVTZS_general': 'rd', 'SCVTF_general': 'rn'}
FLAGS = ('ADDS', 'SUBS', 'ANDS', 'BICS', 'ADC', 'SBC', 'CSEL', 'CSIN', 'CSNEG', 'CCM', 'B_cond', 'FC')
LOOP = 'loop'
# What a branch leaps over.
LEAPT = ('ADD_imm_x', 'ADDS_imm_x', 'SUBS_w', 'ANDS_imm_w', 'ADCS_x', 'CCMP_x', 'CSINC_w', 'BFM_x')

# What EL0 may do: op1, CRn, CRm, op2.
REGISTERS = {'NZCV': (3, 4, 2, 0), 'DIT': (3, 4, 2, 5), 'SSBS': (3, 4, 2, 6), 'FPCR': (3, 4, 4, 0),
             'FPSR': (3, 4, 4, 1), 'TPIDR_EL0': (3, 13, 0, 2)}
KEPT = {'FPCR': ((16, 3), (20, 2)), 'FPSR': ((28, 4),)}  # low bit, width
CACHE_OPS = {'DC CVAC': (3, 7, 10, 1), 'DC CVAU': (3, 7, 11, 1),
             'DC CIVAC': (3, 7, 14, 1), 'IC IVAU': (3, 7, 5, 1)}
PSTATE = {'DIT': (3, 2), 'SSBS': (3, 1)}  # op1, op2


def classify(p):
    """The class of a line of a64.decode, or None if it is not for these programs."""
    if p.name in SYSTEM or p.name.startswith('STXR') or p.name.startswith('STXP'):
        return None
    if p.option != 'MODEL_BASE' and p.value >> 24 != 0xD5:
        return None  # hints of an option that is off do nothing
    if p.name in BRANCH:
        return 'branch'
    if p.value >> 24 == 0xD5:
        return 'system'
    group = p.value >> 25 & 0xF
    if group & 5 == 4 and p.value >> 24 & 0xBE != 0x0C:
        ordered = p.value >> 24 & 0x3F in (0x08, 0x19) or 'atomic' in p.format
        return 'atomic' if ordered or p.name in ('LDAPR', 'SWP') else 'load'
    if group & 14 == 8 or group & 7 == 5:
        return 'alu'
    return None


def members(patterns, kind):
    """The names of a class's lines, some of them more than once."""
    if kind != 'mixed':
        return [p.name for p in patterns if classify(p) == kind]
    names = [p.name for p in patterns if classify(p)] + list(VECTOR)
    return names + [n for n in names if n.startswith(FLAGS)] * 3 + ['B_cond', LOOP] * 20


class Program:
    def __init__(self, rng, patterns):
        self.rng, self.words = rng, []
        self.patterns = {p.name: p for p in patterns}
        self.blocks = []  # of each: what was put between its prologue and epilogue, in pieces
        self.names = []   # of the lines that the pieces test
        self.prologue_words = self.apart(self.prologue)
        self.epilogue_words = self.apart(self.epilogue)

    def emit(self, *words):
        self.words += words

    def apart(self, make):
        """The words that `make` emits, without emitting them."""
        before, self.words = self.words, []
        make()
        made, self.words = self.words, before
        return made

    def encode(self, name, **fields):
        """The word of a line; fields without a value are random."""
        p = self.patterns[name]
        while True:
            word = p.value
            for field, (low, width) in p.fields.items():
                value = fields[field] if field in fields else self.random_field(field, width)
                word |= (value & ((1 << width) - 1)) << low
            if not any(h.meets(decodegen.Cube(decodegen.ALL, word)) for h in p.holes):
                return word

    def random_field(self, field, width):
        if width == 5 and field[0] == 'r':
            # 31 as often as any three others: it is special nearly everywhere.
            return self.rng.choice(FREE + [31] * 3)
        return self.rng.getrandbits(width)

    def free(self, *taken):
        return self.rng.choice([r for r in FREE if r not in taken])

    def prologue(self):
        for reg in range(0, 26, 2):
            self.emit(self.encode('LDP_x_off', rt=reg, rt2=reg + 1, rn=28, imm7=reg))
        self.emit(self.encode('LDP_x_off', rt=30, rt2=26, rn=28, imm7=26))
        self.emit(self.encode('ADD_imm_x', rd=31, rn=26, imm12=0, sh=0))
        self.emit(self.encode('LDR_x_uimm', rt=26, rn=28, imm12=28))
        self.emit(self.encode('RMIF', rn=26, imm6=0, mask=15))
        for reg in range(4):
            self.emit(self.encode('LDR_q_uimm', rt=reg, rn=28, imm12=16 + reg))

    def epilogue(self):
        for reg in range(0, 26, 2):
            self.emit(self.encode('STP_x_off', rt=reg, rt2=reg + 1, rn=29, imm7=reg))
        self.emit(self.encode('STP_x_off', rt=30, rt2=26, rn=29, imm7=26))
        # CSINC is CSET: EQ, MI, CS, VS inverted.
        for slot, cond in enumerate((1, 5, 3, 7)):
            self.emit(self.encode('CSINC_x', rd=slot, rn=31, rm=31, cond=cond))
            self.emit(self.encode('STRB_uimm', rt=slot, rn=29, imm12=224 + slot))
        self.emit(self.encode('ADD_imm_x', rd=0, rn=31, imm12=0, sh=0))
        self.emit(self.encode('STR_x_uimm', rt=0, rn=29, imm12=29))
        for reg in range(4):
            self.emit(self.encode('STR_q_uimm', rt=reg, rn=29, imm12=16 + reg))
        self.emit(self.encode('ADD_imm_x', rd=28, rn=28, imm12=STATE_SIZE, sh=0))
        self.emit(self.encode('ADD_imm_x', rd=29, rn=29, imm12=STATE_SIZE, sh=0))

    def base(self, reg, offset):
        """Instructions that make `reg` (31: SP) X27 plus an offset below 4096 either way."""
        name = 'ADD_imm_x' if offset >= 0 else 'SUB_imm_x'
        self.emit(self.encode(name, rd=reg, rn=27, imm12=abs(offset), sh=0))

    def constant(self, reg, value):
        """reg = a number of 16 bits with sign."""
        name = 'MOVZ_x' if value >= 0 else 'MOVN_x'
        self.emit(self.encode(name, rd=reg, hw=0, imm16=value if value >= 0 else ~value))

    def one_alu(self, name):
        self.emit(self.encode(name))

    def one_branch(self, name):
        """Forward over one instruction, or over none."""
        skip = self.rng.choice((1, 2))
        fields = {f: skip for f in ('imm26', 'imm19', 'imm14')}
        if name in ('BR', 'BLR', 'RET'):
            reg = self.free()
            self.emit(self.encode('ADR', rd=reg, immhi=skip + 1, immlo=0))
            fields = {'rn': reg}
        self.emit(self.encode(name, **fields))
        self.emit(self.encode(self.rng.choice(LEAPT)))

    def one_loop(self, _):
        """Some turns of a few instructions, with NZCV of one turn in the next."""
        counter = self.free()
        self.constant(counter, self.rng.randrange(1, 20))
        start = len(self.words)
        for _ in range(self.rng.randrange(1, 5)):
            while True:
                word = self.encode(self.rng.choice(LEAPT))
                if word & 31 != counter:
                    break
            self.emit(word)
        how = self.rng.choice(('SUBS_imm_x', 'SUBS_imm_w', 'SUB_imm_x', 'SUB_imm_w'))
        self.emit(self.encode(how, rd=counter, rn=counter, imm12=1, sh=0))
        back = start - len(self.words)
        if how.startswith('SUBS'):
            self.emit(self.encode('B_cond', cond=1, imm19=back))
        else:
            self.emit(self.encode(self.rng.choice(('CBNZ_w', 'CBNZ_x')), rt=counter, imm19=back))

    def one_vector(self, name):
        fields = {f: self.rng.randrange(4) for f in ('rd', 'rn', 'rm')
                  if f in self.patterns[name].fields and f != VECTOR[name]}
        self.emit(self.encode(name, **fields))

    def one_system(self, name):
        if name in ('MSR_reg', 'MRS'):
            which = self.rng.choice(list(REGISTERS))
            reg = self.free()
            # Clear what QEMU keeps for AArch32, see README.md.
            for low, width in KEPT.get(which, ()) if name == 'MSR_reg' else ():
                self.emit(self.encode('BFM_x', rd=reg, rn=31, immr=64 - low, imms=width - 1))
            op1, crn, crm, op2 = REGISTERS[which]
            self.emit(self.encode(name, o0=1, op1=op1, crn=crn, crm=crm, op2=op2, rt=reg))
        elif name == 'SYS':
            reg = self.free()
            self.base(reg, self.rng.randrange(-4000, 4000))
            op1, crn, crm, op2 = self.rng.choice(list(CACHE_OPS.values()))
            self.emit(self.encode(name, op1=op1, crn=crn, crm=crm, op2=op2, rt=reg))
        elif name == 'MSR_imm':
            op1, op2 = self.rng.choice(list(PSTATE.values()))
            self.emit(self.encode(name, op1=op1, op2=op2, crm=self.rng.randrange(2)))
        else:
            self.emit(self.encode(name))

    def vector(self, name):
        return self.patterns[name].format.startswith('v')

    def one_load(self, name):
        """A base in the sandbox, then the access. No register is used twice where that is
        UNPREDICTABLE."""
        p = self.patterns[name]
        fields = {}
        if name.endswith('_lit'):
            fields['imm19'] = -self.rng.randrange(min(len(self.words), 200) + 1)
        else:
            base = self.rng.choice(FREE + [31] * 3)
            aligned = ~15 if base == 31 else ~0
            fields['rn'] = base
            offset = self.rng.randrange(-4000, 4000) & aligned
            if name.endswith('_uimm'):
                scale = p.value >> 30 | (p.value >> 23 & 1 & (p.value >> 26)) << 2
                fields['imm12'] = self.rng.randrange(0, 3000 >> scale)
                offset = self.rng.randrange(-4000, 0) & aligned
            self.base(base, offset)
            if 'rm' in p.fields:
                fields['rm'] = self.free(base)
                self.constant(fields['rm'], self.rng.randrange(-60, 60))
                if p.fields.get('option') and self.rng.randrange(2):
                    # Something for UXTW and SXTW to ignore; UXTW only takes positive numbers then.
                    self.constant(fields['rm'], self.rng.randrange(0, 60))
                    fields['option'] = self.rng.choice((2, 6))
                    self.emit(self.encode('MOVK_x', rd=fields['rm'], hw=2, imm16=self.rng.getrandbits(16)))
                else:
                    fields['option'] = self.rng.choice((3, 6, 7))
        taken = [fields.get('rn'), fields.get('rm')]
        if self.vector(name):
            fields['rt'] = self.rng.randrange(4)
            fields['rt2'] = (fields['rt'] + 1) % 4
        else:
            fields['rt'] = self.rng.choice((self.free(*taken), 31))
            fields['rt2'] = self.free(fields['rt'], *taken)
        self.emit(self.encode(name, **{f: v for f, v in fields.items() if f in p.fields}))

    def one_atomic(self, name):
        p = self.patterns[name]
        base = self.rng.choice(FREE + [31] * 3)
        imm9 = self.rng.randrange(-16, 16) * 16 if 'imm9' in p.fields else 0
        self.base(base, (self.rng.randrange(-3000, 3000) & ~15) - imm9 & ~15)
        fields = {'rn': base, 'imm9': imm9, 'rs': self.free(base), 'rt2': 31}
        fields['rt'] = self.free(base, fields['rs'])
        if name == 'CASP':
            fields['rs'], fields['rt'] = self.rng.sample([r for r in range(0, 26, 2) if r | 1 != base | 1], 2)
        if name.startswith('LDX'):
            fields['rt2'] = self.free(base, fields['rt'])
            fields['rs'] = 31
        elif name in ('STLR', 'LDAR', 'LDAPR'):
            fields['rs'] = 31
        elif self.rng.randrange(4) == 0 and name not in ('CASP',):
            fields[self.rng.choice(('rs', 'rt'))] = 31
        width = p.fields.get('size') or p.fields.get('sz')
        if width:
            fields['size'] = fields['sz'] = self.rng.getrandbits(width[1])
        def use(which, **more):
            every = {**fields, **more}
            known = self.patterns[which].fields
            self.emit(self.encode(which, **{f: v for f, v in every.items() if f in known}))
        if name in ('CAS', 'CASP') and self.rng.randrange(2):
            # Half of the comparisons shall succeed.
            if name == 'CAS':
                if fields['rs'] != 31:
                    use('LDAR', rt=fields['rs'], rs=31)
            elif fields['sz']:
                self.emit(self.encode('LDP_x_off', rt=fields['rs'], rt2=fields['rs'] + 1, rn=base, imm7=0))
            else:
                self.emit(self.encode('LDP_w_off', rt=fields['rs'], rt2=fields['rs'] + 1, rn=base, imm7=0))
        use(name)
        if name.startswith('LDX'):
            status = self.free(base, fields['rt'], fields['rt2'])
            if self.rng.randrange(5) == 0:
                # Without a change in between a store to another address must fail.
                self.emit(self.encode('ADD_imm_x', rd=base, rn=base, imm12=64, sh=0))
            use('STX' + name[3:], rs=status, rt=fields['rt'] if self.rng.randrange(2) else
                self.free(base, status))

    def run(self, names, blocks):
        kinds = {name: 'loop' if name == LOOP else 'vector' if name in VECTOR else
                 classify(self.patterns[name]) for name in names}
        order = self.in_turn(names)
        for _ in range(blocks):
            self.words += self.prologue_words
            pieces = []
            for _ in range(BLOCK_LENGTH):
                name = next(order)
                start = len(self.words)
                getattr(self, 'one_' + kinds[name])(name)
                pieces.append(self.words[start:])
                self.names.append(name)
            self.words += self.epilogue_words
            self.blocks.append(pieces)

    def in_turn(self, names):
        """Each name equally often, in random order."""
        while True:
            yield from self.rng.sample(names, len(names))


def load_address(reg, value):
    return [0xD2800000 | (value & 0xFFFF) << 5 | reg, 0xF2A00000 | (value >> 16) << 5 | reg]


def header(inputs, outputs):
    """X27, X28 and X29; zero in all that the programs can write and Linux may have used."""
    words = []
    for op1, crn, crm, op2 in REGISTERS.values():
        words.append(0xD518001F | op1 << 16 | crn << 12 | crm << 8 | op2 << 5)
    return words + load_address(27, SANDBOX + SANDBOX_SIZE // 2) + load_address(28, inputs) + \
        load_address(29, outputs)


def again(words, start, outputs):
    """From the word `start` once more, until all inputs were used."""
    words += load_address(26, outputs) + [0xCB1A0000 | 28 << 5 | 26]  # sub x26, x28, x26
    words.append(0xB4000000 | 2 << 5 | 26)                            # cbz x26, over the next
    words.append(0x14000000 | (start - len(words)) & 0x3FFFFFF)


def footer(size):
    """write(1, DATA, size); exit(0)"""
    words = [0xD2800020, 0xD2A00001 | (DATA >> 16) << 5]
    words += [0xD2800002 | (size & 0xFFFF) << 5, 0xF2A00002 | (size >> 16) << 5]
    return words + [0xD2800808, 0xD4000001, 0xD2800000, 0xD2800BA8, 0xD4000001]


def elf(code, data):
    """A static program of two segments."""
    head = struct.pack('<16sHHIQQQIHHHHHH', b'\x7fELF\x02\x01\x01', 2, 183, 1, CODE + 4, 64, 0, 0, 64,
                       56, 2, 0, 0, 0)
    at = 0x1000
    head += struct.pack('<IIQQQQQQ', 1, 5, at, CODE, CODE, len(code), len(code), 0x1000)
    data_at = (at + len(code) + 0xFFF) & ~0xFFF
    head += struct.pack('<IIQQQQQQ', 1, 6, data_at, DATA, DATA, len(data), len(data), 0x1000)
    return head.ljust(at, b'\0') + code.ljust(data_at - at, b'\0') + data


def random_word(rng):
    value = rng.choice(SPECIAL) if rng.randrange(4) == 0 else rng.getrandbits(64)
    if rng.randrange(8) == 0:
        value >>= rng.randrange(64)
    return struct.pack('<Q', value)


def random_data(rng, blocks):
    """Each block's inputs are one of some hundred: the blocks differ, so that is variety enough."""
    pool = [random_word(rng) for _ in range(4096)]
    states = [b''.join(rng.choices(pool, k=STATE_SIZE // 8)) for _ in range(min(blocks, 800))]
    return rng.randbytes(SANDBOX + SANDBOX_SIZE - DATA) + \
        b''.join(rng.choices(states, k=blocks)) + bytes(blocks * STATE_SIZE)


def write(outdir, words, data):
    """The three files of a program; `words` start at CODE + 4."""
    words = [0x14000000] + words + footer(len(data))
    code = struct.pack(f'<{len(words)}I', *words)
    for name, content in (('code.bin', code), ('data.bin', data), ('test.elf', elf(code, data))):
        with open(os.path.join(outdir, name), 'wb') as out:
            out.write(content)
    os.chmod(os.path.join(outdir, 'test.elf'), 0o755)


def generate(rng, patterns, names, blocks, rounds, outdir):
    program = Program(rng, patterns)
    inputs = SANDBOX + SANDBOX_SIZE
    outputs = inputs + blocks * rounds * STATE_SIZE
    program.words = header(inputs, outputs)
    start = len(program.words)
    program.run(names, blocks)
    again(program.words, start, outputs)
    write(outdir, program.words, random_data(rng, blocks * rounds))
    return program


def read_patterns():
    patterns, errors = decodegen.parse(os.path.join(HERE, '..', '..', 'soft', 'a64.decode'), None)
    if errors:
        sys.exit('\n'.join(errors))
    return patterns


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--blocks', type=int, default=1000)
    parser.add_argument('--rounds', type=int, default=1)
    parser.add_argument('--kind', choices=CLASSES, action='append')
    parser.add_argument('--only', action='append', help='names of lines of a64.decode')
    parser.add_argument('outdir')
    args = parser.parse_args()
    patterns = read_patterns()
    names = args.only or [n for kind in args.kind or CLASSES for n in members(patterns, kind)]
    generate(random.Random(args.seed), patterns, names, args.blocks, args.rounds, args.outdir)


if __name__ == '__main__':
    main()
