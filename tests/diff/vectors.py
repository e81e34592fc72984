#!/usr/bin/env python3
"""Recorded programs: made by the generators, judged by qemu-aarch64, run again without it.

usage: vectors.py record REPLAY DIR [--class NAME]... [--seed S]
       vectors.py replay REPLAY DIR [--engine NAME]

A file of DIR is one class: xz of a line of JSON, then code, data before and data after. `replay`
prints TAP: one line for each file, and one for the lines of a64.decode that no file runs: each has to
have its reason in NOT_RECORDED.
"""
import argparse
import json
import lzma
import os
import random
import subprocess
import sys
import tempfile

import compare
import generate
import generate_simd
from generate import decodegen

TIMES = 5   # that each line is run at least
MIXED = 80  # blocks of the class that has all lines again

NOT_RECORDED = {
    'exceptions are tested by tests/unit and tests/guest':
        'UDF SVC HVC SMC BRK HLT DCPS1 DCPS2 DCPS3',
    'UNDEFINED at EL0': 'ERET ERETA DRPS SYSL',
    'waits for an event or sends one': 'WFE WFI WFET WFIT SEV SEVL',
}
PAUTH = 'pointer authentication is an option with an algorithm of our own, tests/unit/pauth_test.c'
MOPS = 'QEMU 7.2 does not have them, tests/unit/mops_test.c'


def name_of(patterns, word):
    """The line that a word matches."""
    cube = decodegen.Cube(decodegen.ALL, word)
    for p in patterns:
        if p.meets(cube) and not any(h.meets(cube) for h in p.holes):
            return p.name
    return None


def record(args, patterns, kind, version):
    """Write one file; its size, how often it runs each line."""
    names = compare.members(patterns, kind)
    rng = random.Random(f'{args.seed} {kind} vectors')
    blocks = MIXED if kind == 'mixed' else max(20, -(-TIMES * len(names) // generate.BLOCK_LENGTH))
    with tempfile.TemporaryDirectory() as path:
        if kind in generate.CLASSES:
            made = generate.generate(rng, patterns, names, blocks, 1, path).blocks
        else:
            made = generate_simd.make(rng, patterns, names, blocks, 1, path)
            made = [[[word] for word, _ in made[n:n + 16]] for n in range(0, len(made), 16)]
        ours, theirs = compare.run_both(compare.replay_command(args), path)
        code, data = (generate_simd.read(os.path.join(path, n)) for n in ('code.bin', 'data.bin'))
    if ours != theirs and kind != 'simd-fp':
        sys.exit(f'{kind}: this CPU and {version} do not agree; ./dev difftest --class {kind} says where')
    lines = {}
    for word in (word for block in made for piece in block for word in piece):
        name = name_of(patterns, word)
        lines[name] = lines.get(name, 0) + 1
    head = {'class': kind, 'seed': args.seed, 'judge': version, 'code': len(code), 'data': len(data),
            'lines': lines, 'blocks': [[w for piece in block for w in piece] for block in made]}
    text = lzma.compress(json.dumps(head).encode() + b'\n' + code + data + theirs, preset=9)
    with open(os.path.join(args.dir, kind + '.xz'), 'wb') as out:
        out.write(text)
    return len(text), len(made) * generate.BLOCK_LENGTH


def explain(head, ours, theirs):
    """Lines about what differs, without known deviations of the judge."""
    if head['class'] in generate_simd.CLASSES:
        listing = [(w, head['names'][str(w)]) for block in head['blocks'] for w in block]
        return generate_simd.differences(listing, ours, theirs)[0]
    count = len(head['blocks'])
    outputs = generate.SANDBOX + generate.SANDBOX_SIZE - generate.DATA + count * compare.STATE
    for n, words in enumerate(head['blocks']):
        at = outputs + n * compare.STATE
        a, b = (compare.state_lines(d[at:at + compare.STATE]) for d in (ours, theirs))
        if a != b:
            return [f'block {n}:'] + [f'    {w:08x} {generate_simd.disassemble(w)}' for w in words] + \
                [f'    {r}: ours {a[r]}, recorded {b[r]}' for r in a if a[r] != b[r]]
    return ['stored memory differs']


def replay(args, patterns, name):
    """The head of a file, and lines about what differs."""
    text = lzma.decompress(generate_simd.read(os.path.join(args.dir, name)))
    line, text = text.split(b'\n', 1)
    head = json.loads(line)
    code, text = text[:head['code']], text[head['code']:]
    before, after = text[:head['data']], text[head['data']:]
    with tempfile.TemporaryDirectory() as path:
        paths = [os.path.join(path, n) for n in ('code.bin', 'data.bin')]
        for where, content in zip(paths, (code, before)):
            with open(where, 'wb') as out:
                out.write(content)
        run = subprocess.run(compare.replay_command(args) + paths, capture_output=True, check=False)
    sys.stderr.write(run.stderr.decode())
    if run.returncode:
        return head, [run.stderr.decode().strip()]
    if run.stdout == after:
        return head, []
    head['names'] = {str(w): name_of(patterns, w) for block in head['blocks'] for w in block}
    return head, explain(head, run.stdout, after)


def missing(patterns, lines):
    """The lines nobody runs and nobody has a reason for; the reasons with their lines."""
    reasons = {reason: names.split() for reason, names in NOT_RECORDED.items()}
    for reason, option in (PAUTH, 'MODEL_PAUTH'), (MOPS, 'MODEL_MOPS'):
        reasons[reason] = [p.name for p in patterns if p.option == option and p.name not in lines]
    known = {n for names in reasons.values() for n in names}
    return [p.name for p in patterns if p.name not in lines and p.name not in known], reasons


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('verb', choices=('record', 'replay'))
    parser.add_argument('replay')
    parser.add_argument('dir')
    parser.add_argument('--class', dest='kind', choices=compare.CLASSES, action='append')
    parser.add_argument('--seed', default='1')
    parser.add_argument('--engine', help='of the software CPU; else the best there is')
    args = parser.parse_args()
    if compare.no_engine(args):
        return 0
    patterns = generate.read_patterns()
    if args.verb == 'record':
        version = compare.judge()
        for kind in args.kind or compare.CLASSES:
            size, count = record(args, patterns, kind, version)
            print(f'{kind}: {count} instructions, {size} bytes')
        return 0
    names = sorted(n for n in os.listdir(args.dir) if n.endswith('.xz'))
    print(f'1..{len(names) + 1}')
    lines, bad = {}, False
    for number, name in enumerate(names, 1):
        head, wrong = replay(args, patterns, name)
        for line, count in head['lines'].items():
            lines[line] = lines.get(line, 0) + count
        bad |= bool(wrong)
        print(''.join(f'# {text}\n' for text in wrong[:100]) + f'{"not " if wrong else ""}ok {number} - '
              f'{name}: {16 * len(head["blocks"])} instructions, seed {head["seed"]}, {head["judge"]}')
    without, reasons = missing(patterns, lines)
    for reason, which in reasons.items():
        print(f'# not recorded, {reason}: {" ".join(which)}')
    if without:
        print(f'# record these (tests/diff/README.md says how): {" ".join(without)}')
    run = [count for name, count in lines.items() if name not in without]
    print(f'{"not " if without else ""}ok {len(names) + 1} - {len(run)} of {len(patterns)} lines of '
          f'a64.decode are run, each at least {min(run)} times')
    return 1 if bad or without else 0


if __name__ == '__main__':
    sys.exit(main())
