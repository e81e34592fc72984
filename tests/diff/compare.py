#!/usr/bin/env python3
"""Compare an engine with qemu-aarch64 on random programs.

usage: compare.py REPLAY [--kind KIND]... [--seeds A-B] [--blocks N] [--keep DIR]

Prints one TAP line for each kind and seed. Skips when qemu-aarch64 is not installed.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

import generate
import generate_simd

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = generate.CLASSES + ('simd',)
# Without pointer authentication, like the CPU model: its hints do nothing.
QEMU = ['qemu-aarch64', '-cpu', 'max,pauth=off']


def first_difference(path, blocks):
    """Which block, and which bytes of it, come out differently."""
    with open(os.path.join(path, 'ours.bin'), 'rb') as ours, \
            open(os.path.join(path, 'theirs.bin'), 'rb') as theirs:
        a, b = ours.read(), theirs.read()
    if len(a) != len(b):
        return f'{len(a)} bytes of output, not {len(b)}'
    outputs = generate.SANDBOX + generate.SANDBOX_SIZE - generate.DATA + blocks * generate.STATE_SIZE
    # Outputs first: a wrong register says more than the memory that it was stored to.
    order = list(range(outputs, len(a))) + list(range(outputs))
    at = next(n for n in order if a[n] != b[n])
    if at < outputs:
        return f'byte 0x{at:x} of the data: 0x{a[at]:02x}, not 0x{b[at]:02x}'
    block, byte = divmod(at - outputs, generate.STATE_SIZE)
    return f'block {block} byte {byte} of its outputs: 0x{a[at]:02x}, not 0x{b[at]:02x}'


def compare(args, kind, seed, path):
    """None if both agree, else what differs."""
    if kind == 'simd':
        command = ['generate_simd.py']
    else:
        command = ['generate.py', '--kind', kind]
    subprocess.run([sys.executable, os.path.join(HERE, command[0]), *command[1:], '--seed', str(seed),
                    '--blocks', str(args.blocks), path], check=True)
    names = {n: os.path.join(path, n) for n in
             ('code.bin', 'data.bin', 'test.elf', 'ours.bin', 'theirs.bin')}
    os.chmod(names['test.elf'], 0o755)
    with open(names['theirs.bin'], 'wb') as out:
        theirs = subprocess.run(QEMU + [names['test.elf']], stdout=out, check=False)
    if theirs.returncode:
        return f'qemu-aarch64 ended with {theirs.returncode}'
    with open(names['ours.bin'], 'wb') as out:
        ours = subprocess.run([args.replay, names['code.bin'], names['data.bin']], stdout=out,
                              stderr=subprocess.PIPE, text=True, check=False)
    if ours.returncode:
        return ours.stderr.strip()
    if kind == 'simd':
        lines, summary, count = generate_simd.differences(path, names['ours.bin'],
                                                          names['theirs.bin'])
        return '\n# '.join([summary] + lines) if count else None
    if subprocess.run(['cmp', '-s', names['ours.bin'], names['theirs.bin']], check=False).returncode:
        return first_difference(path, args.blocks)
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('replay')
    parser.add_argument('--kind', choices=KINDS, action='append')
    parser.add_argument('--seeds', default='1-1')
    parser.add_argument('--blocks', type=int, default=300)
    parser.add_argument('--keep', help='leave the last program here')
    args = parser.parse_args()
    if not shutil.which(QEMU[0]):
        print('1..0 # SKIP qemu-aarch64 is not installed')
        return 0
    first, last = (int(n) for n in args.seeds.split('-'))
    runs = [(k, s) for k in args.kind or KINDS for s in range(first, last + 1)]
    print(f'1..{len(runs)}')
    bad = 0
    with tempfile.TemporaryDirectory() as scratch:
        for number, (kind, seed) in enumerate(runs, 1):
            wrong = compare(args, kind, seed, args.keep or scratch)
            bad += wrong is not None
            print(f'{"not " if wrong else ""}ok {number} - {kind} seed {seed}')
            if wrong:
                print(f'# {wrong}')
                if args.keep:
                    break
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
