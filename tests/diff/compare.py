#!/usr/bin/env python3
"""Compare an engine with qemu-aarch64 on random programs.

usage: compare.py REPLAY [--engine NAME] [--count N] [--class NAME]... [--seed S] [--keep DIR]

Of each class at least N instructions are compared, in programs of BLOCKS blocks that run ROUNDS
times on different data (fewer if N is small). Program number k of a class comes from the seed "S class k" alone. Prints
one TAP line for each class, before it what differs: the instruction, its operands and both results.
Skips when qemu-aarch64 is not installed, or when there is no such engine here.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

import generate
import generate_simd

CLASSES = generate.CLASSES + generate_simd.CLASSES
BLOCKS, ROUNDS = 400, 100
# Without pointer authentication, like the CPU model: its hints do nothing.
QEMU = ['qemu-aarch64', '-cpu', 'max,pauth=off']
STATE = generate.STATE_SIZE
NO_ENGINE = 77  # what replay ends with


class Failed(Exception):
    """A program did not come to its end."""


def judge():
    """Whose word counts, for the record."""
    version = subprocess.run(QEMU[:1] + ['--version'], capture_output=True, text=True, check=True)
    return f'{version.stdout.splitlines()[0]}, {" ".join(QEMU[1:])}'


def replay_command(args):
    """How to run a program on the engine asked for."""
    return [args.replay] + (['--engine', args.engine] if args.engine else [])


def no_engine(args):
    """Says so in TAP if the engine asked for is not there."""
    if not args.engine:
        return False
    # That there is no program to run is what it says next.
    run = subprocess.run(replay_command(args), capture_output=True, check=False)
    if run.returncode == NO_ENGINE:
        print(f'1..0 # SKIP there is no engine {args.engine} here')
    return run.returncode == NO_ENGINE


def run_both(replay, path):
    """The data of both when the program in `path` has ended; `replay` is a command."""
    names = [os.path.join(path, n) for n in ('code.bin', 'data.bin', 'test.elf')]
    ours = subprocess.run(replay + names[:2], capture_output=True, check=False)
    if ours.returncode:
        raise Failed(ours.stderr.decode().strip() or f'replay ended with {ours.returncode}')
    theirs = subprocess.run(QEMU + names[2:], capture_output=True, check=False)
    if theirs.returncode:
        raise Failed(f'qemu-aarch64 ended with {theirs.returncode}')
    if len(ours.stdout) != len(theirs.stdout):
        raise Failed(f'{len(ours.stdout)} bytes of data, not {len(theirs.stdout)}')
    return ours.stdout, theirs.stdout


def state_lines(state):
    """A stored state as names and values."""
    names = [f'x{r}' for r in range(26)] + ['x30', 'x26']
    values = {n: state[8 * k:8 * k + 8][::-1].hex() for k, n in enumerate(names)}
    values['nzcv'] = ''.join(str(b) for b in state[224:228])
    values['sp'] = state[232:240][::-1].hex()
    for reg in range(4):
        values[f'v{reg}'] = state[256 + 16 * reg:272 + 16 * reg][::-1].hex()
    return values


def reduce_block(replay, patterns, pieces, inputs, path):
    """Run ever longer beginnings of a block of `generate`; the first that differs, as lines, and
    what its last instruction had before it."""
    program = generate.Program(random.Random(0), patterns)
    count = len(pieces) + 1
    start = generate.SANDBOX + generate.SANDBOX_SIZE
    program.words = generate.header(start, start + count * STATE) + [0xD503201F] * 256
    for n in range(count):
        program.words += program.prologue_words
        for piece in pieces[:n]:
            program.words += piece
        program.words += program.epilogue_words
    memory = random.Random(0).randbytes(start - generate.DATA)
    generate.write(path, program.words, memory + inputs * count + bytes(count * STATE))
    a, b = run_both(replay, path)
    at = len(memory) + count * STATE
    for n in range(count):
        ours, theirs = (d[at + n * STATE:][:STATE] for d in (a, b))
        if ours != theirs and n:
            before, ours, theirs = map(state_lines, (a[at + (n - 1) * STATE:][:STATE], ours, theirs))
            lines = [f'{w:08x} {generate_simd.disassemble(w)}' for piece in pieces[:n] for w in piece]
            changed = [r for r in ours if ours[r] != theirs[r]]
            lines += [f'    before {r} {v}' for r, v in before.items()]
            return lines + [f'    {r}: ours {ours[r]}, theirs {theirs[r]}' for r in changed]
    return ['it does not differ on its own; the block is'] + \
        [f'    {w:08x} {generate_simd.disassemble(w)}' for piece in pieces for w in piece]


def integer_differences(args, patterns, program, a, b, path):
    """Lines about the first block that came out differently, and how many did."""
    blocks = args.blocks * args.rounds
    start = generate.SANDBOX + generate.SANDBOX_SIZE - generate.DATA
    outputs = start + blocks * STATE
    bad = [n for n, at in enumerate(range(outputs, outputs + blocks * STATE, STATE))
           if a[at:at + STATE] != b[at:at + STATE]]
    if not bad:
        at = next(n for n in range(outputs) if a[n] != b[n])
        return [f'stored memory differs: byte 0x{at:x}: 0x{a[at]:02x}, not 0x{b[at]:02x}'], 1
    inputs = a[start + bad[0] * STATE:][:STATE]
    with tempfile.TemporaryDirectory() as scratch:
        lines = reduce_block(replay_command(args), patterns, program.blocks[bad[0] % args.blocks], inputs, scratch)
    at = outputs + bad[0] * STATE
    ours, theirs = (state_lines(d[at:at + STATE]) for d in (a, b))
    lines += [f'    {r} in the end: ours {ours[r]}, theirs {theirs[r]}' for r in ours if ours[r] != theirs[r]]
    return [f'block {bad[0]} of {path}:'] + lines, len(bad)


def one_program(args, patterns, names, kind, number, path):
    """Lines about differences, how many are known, how many are not."""
    rng = random.Random(f'{args.seed} {kind} {number}')
    if kind in generate.CLASSES:
        program = generate.generate(rng, patterns, names, args.blocks, args.rounds, path)
        a, b = run_both(replay_command(args), path)
        if a == b:
            return [], 0, 0
        lines, bad = integer_differences(args, patterns, program, a, b, f'program {number}')
        return lines, 0, bad
    listing = generate_simd.make(rng, patterns, names, args.blocks, args.rounds, path)
    a, b = run_both(replay_command(args), path)
    if a == b:
        return [], 0, 0
    lines, known, bad = generate_simd.differences(listing, a, b)
    return lines, known, sum(bad.values())


def members(patterns, kind):
    """The names of a class's lines."""
    if kind in generate.CLASSES:
        return generate.members(patterns, kind)
    return [p.name for p in patterns if generate_simd.classify(p) == kind]


def one_class(args, patterns, kind, path):
    """A TAP line without its number."""
    names = members(patterns, kind)
    size = args.blocks * args.rounds * generate.BLOCK_LENGTH
    count = known = bad = number = 0
    start = time.monotonic()
    while count < args.count and bad < 100:
        try:
            lines, k, wrong = one_program(args, patterns, names, kind, number, path)
        except Failed as failed:
            lines, k, wrong = [f'program {number}: {failed}'], 0, 1
        if lines and (not bad or wrong):
            print('\n'.join('# ' + line for line in lines[:200]), flush=True)
        if wrong and args.keep:
            break
        count, known, bad, number = count + size, known + k, bad + wrong, number + 1
    print(f'# {kind}: {count / (time.monotonic() - start) / 1e6:.2f} million a second', flush=True)
    return (f'{"not " if bad else ""}ok', f'{kind}: {count} instructions of {len(set(names))} lines, '
            f'seed {args.seed}, {known} explained differences, {bad} others')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('replay')
    parser.add_argument('--engine', help='of the software CPU; else the best there is')
    parser.add_argument('--class', dest='kind', choices=CLASSES, action='append')
    parser.add_argument('--count', type=int, default=4000, help='instructions of each class')
    parser.add_argument('--seed', default='1')
    parser.add_argument('--keep', help='leave the program that differs here')
    args = parser.parse_args()
    wanted = -(-args.count // generate.BLOCK_LENGTH)
    args.blocks = min(BLOCKS, wanted)
    args.rounds = min(ROUNDS, -(-wanted // BLOCKS))
    if not shutil.which(QEMU[0]):
        print('1..0 # SKIP qemu-aarch64 is not installed')
        return 0
    if no_engine(args):
        return 0
    patterns = generate.read_patterns()
    kinds = args.kind or CLASSES
    print(f'# judge: {judge()}\n1..{len(kinds)}', flush=True)
    bad = False
    with tempfile.TemporaryDirectory() as scratch:
        for number, kind in enumerate(kinds, 1):
            ok, text = one_class(args, patterns, kind, args.keep or scratch)
            bad |= ok != 'ok'
            print(f'{ok} {number} - {text}', flush=True)
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
