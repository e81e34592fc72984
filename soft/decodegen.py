#!/usr/bin/env python3
"""Turn a64.decode into C: an enumeration of encodings, a matcher and a table of handlers.

usage: decodegen.py [--formats F.c] a64.decode a64_ops.h a64_ops.c

The grammar is described at the top of a64.decode. Every bad line is reported as file:line:
message. Two patterns that a word could match both, constraints taken into account, are an error: so
the order of lines means nothing.
"""
import argparse
import re
import sys

ALL = 0xFFFFFFFF


class Bad(Exception):
    """A line that breaks the grammar."""


class Cube:
    """The words w with (w & mask) == value."""

    def __init__(self, mask, value):
        self.mask, self.value = mask, value

    def meets(self, other):
        return not (self.mask & other.mask & (self.value ^ other.value))

    def covers(self, other):
        return self.meets(other) and not (self.mask & ~other.mask)

    def intersect(self, other):
        return Cube(self.mask | other.mask, self.value | other.value)


def some_word(cube, holes):
    """A word of `cube` outside every cube of `holes`, or None."""
    holes = [h for h in holes if h.meets(cube)]
    if not holes:
        return cube.value
    if any(h.covers(cube) for h in holes):
        return None
    bit = holes[0].mask & ~cube.mask
    bit &= -bit
    for value in (0, bit):
        word = some_word(Cube(cube.mask | bit, cube.value | value), holes)
        if word is not None:
            return word
    return None


class Pattern(Cube):
    """One line of the file."""

    def __init__(self, line, name):
        super().__init__(0, 0)
        self.line, self.name, self.function, self.format = line, name, name, 'raw'
        self.option = 'MODEL_BASE'
        self.fields, self.holes = {}, []

    def parse_bits(self, tokens):
        left = 32
        for token in tokens:
            if re.fullmatch(r'[01.]+', token):
                for char in token:
                    left -= 1
                    if left >= 0 and char != '.':
                        self.mask |= 1 << left
                        self.value |= int(char) << left
                continue
            match = re.fullmatch(r'(\.|[A-Za-z]\w*):(\d+)', token)
            if not match or match[2] == '0':
                raise Bad(f"'{token}' is neither bits nor a field name:width")
            left -= int(match[2])
            if match[1] != '.':
                if match[1] in self.fields:
                    raise Bad(f"field '{match[1]}' occurs twice")
                self.fields[match[1]] = (left, int(match[2]))
        if left:
            raise Bad(f'{self.name} has {32 - left} bits, not 32')

    def parse_hole(self, text):
        hole = Cube(0, 0)
        for term in text.split(','):
            match = re.fullmatch(r'(\w+)=(0b[01x]+|\d+)', term)
            if not match:
                raise Bad(f"'{term}' is not field=value")
            if match[1] not in self.fields:
                raise Bad(f"{self.name} has no field '{match[1]}'")
            low, width = self.fields[match[1]]
            digits = match[2][2:] if match[2].startswith('0b') else f'{int(match[2]):0{width}b}'
            if len(digits) != width:
                raise Bad(f"'{match[2]}' is not a value of {width} bits")
            for place, digit in enumerate(reversed(digits)):
                if digit != 'x':
                    hole.mask |= 1 << (low + place)
                    hole.value |= int(digit) << (low + place)
        self.holes.append(hole)

    def test(self, known):
        """C expression that is true for the words of this pattern, given bits already tested."""
        terms = []
        mask = self.mask & ~known
        if mask:
            terms.append(f'(w & 0x{mask:08x}) == 0x{self.value & mask:08x}')
        terms += [f'(w & 0x{h.mask:08x}) != 0x{h.value:08x}' for h in self.holes]
        return ' && '.join(terms)


def parse_line(number, words, sets, formats):
    pattern = Pattern(number, words[0])
    if not re.fullmatch(r'[A-Z]\w*', words[0]):
        raise Bad(f"'{words[0]}' is not a name")
    is_bits = [not re.match(r'[@!%=&]', word) for word in words[1:]]
    count = is_bits.index(False) if False in is_bits else len(is_bits)
    pattern.parse_bits(words[1:1 + count])
    extra = []
    for word in words[1 + count:]:
        if word[0] == '%':
            if word not in sets:
                raise Bad(f"unknown set of constraints '{word}'")
            extra += sets[word]
        else:
            extra.append(word)
    for word in extra:
        if word[0] == '@':
            pattern.format = word[1:]
            if formats is not None and pattern.format not in formats:
                raise Bad(f"unknown format '{word}'")
        elif word[0] == '=':
            pattern.function = word[1:]
        elif word[0] == '&':
            pattern.option = 'MODEL_' + word[1:].upper()
        elif word[0] == '!':
            pattern.parse_hole(word[1:])
        else:
            raise Bad(f"'{word}' follows the attributes")
    if some_word(pattern, pattern.holes) is None:
        raise Bad(f'{pattern.name} matches no word')
    return pattern


def parse(path, formats):
    patterns, sets, errors = [], {}, []
    with open(path, encoding='ascii') as lines:
        for number, line in enumerate(lines, 1):
            words = line.split('#')[0].split()
            try:
                if words and words[0][0] == '%':
                    sets[words[0]] = words[1:]
                elif words:
                    patterns.append(parse_line(number, words, sets, formats))
            except Bad as bad:
                errors.append(f'{path}:{number}: {bad}')
    names = {}
    for p in patterns:
        if p.name in names:
            errors.append(f'{path}:{p.line}: {p.name} is on line {names[p.name]} already')
        names.setdefault(p.name, p.line)
    for at, p in enumerate(patterns):
        for q in patterns[:at]:
            if not p.meets(q):
                continue
            word = some_word(p.intersect(q), p.holes + q.holes)
            if word is not None:
                errors.append(f'{path}:{p.line}: {p.name} overlaps {q.name} of line {q.line}: '
                              f'0x{word:08x} is both')
    return patterns, errors


def longest_run(mask, limit):
    """(high, low) of the longest run of ones, the highest such; at most `limit` bits."""
    best = (0, -1, 0)
    high = 31
    while high >= 0:
        if mask >> high & 1:
            low = high
            while low > 0 and mask >> (low - 1) & 1 and high - low + 1 < limit:
                low -= 1
            if high - low + 1 > best[0]:
                best = (high - low + 1, high, low)
            high = low
        high -= 1
    return best[1], best[2]


def emit_tree(out, patterns, known, indent):
    """C statements that return the enumerator of the pattern that matches `w`."""
    pad = '    ' * indent
    common = ALL & ~known
    for p in patterns:
        common &= p.mask
    if len(patterns) > 2 and not common:
        # No bit decides for all: the one that most patterns fix.
        votes = [(sum(p.mask >> b & 1 for p in patterns), b) for b in range(32) if not known >> b & 1]
        most, bit = max(votes)
        common = 1 << bit if most * 2 > len(patterns) else 0
    if len(patterns) <= 2 or not common:
        for p in patterns:
            test = p.test(known)
            if not test:
                out.append(f'{pad}return A64_{p.name};')
                return
            out.append(f'{pad}if ({test})')
            out.append(f'{pad}    return A64_{p.name};')
        out.append(f'{pad}return A64_UNDEFINED;')
        return
    high, low = longest_run(common, 8)
    field = ((1 << (high - low + 1)) - 1) << low
    out.append(f'{pad}switch (w >> {low} & 0x{field >> low:x}) {{ /* {high}:{low} */')
    for number in range(1 << (high - low + 1)):
        cube = Cube(field, number << low)
        inside = [p for p in patterns if p.meets(cube)]
        if inside:
            out.append(f'{pad}case 0x{number:x}:')
            emit_tree(out, inside, known | field, indent + 1)
    out.append(f'{pad}default:\n{pad}    return A64_UNDEFINED;\n{pad}}}')


TOP = (31, 21)
LOW = (15, 10)


def field_of(bits):
    return ((1 << (bits[0] - bits[1] + 1)) - 1) << bits[1]


def decided(cube, inside):
    """The name of what every word of `cube` is, of the patterns that meet it; None if they are not all the same."""
    if not inside:
        return 'UNDEFINED'
    p = inside[0]
    if len(inside) == 1 and p.covers(cube) and not any(h.meets(cube) for h in p.holes):
        return p.name
    return None


class Tables:
    """Rows of enumerators: by the bits TOP; where they do not decide, by LOW; and what neither decides, as lists of
    patterns. An entry that is no enumerator is A64_OP_COUNT + the number of a row of `low`, or of a list of `rest`."""

    def __init__(self, patterns):
        self.low, self.rest = {}, {}
        self.top = [self.top_entry(number << TOP[1], patterns) for number in range(1 << (TOP[0] - TOP[1] + 1))]

    def top_entry(self, value, patterns):
        cube = Cube(field_of(TOP), value)
        inside = [p for p in patterns if p.meets(cube)]
        name = decided(cube, inside)
        if name:
            return f'A64_{name}'
        row = tuple(self.low_entry(cube, number << LOW[1], inside) for number in range(1 << (LOW[0] - LOW[1] + 1)))
        return f'A64_OP_COUNT + {self.low.setdefault(row, len(self.low))}'

    def low_entry(self, top, value, patterns):
        cube = top.intersect(Cube(field_of(LOW), value))
        inside = [p for p in patterns if p.meets(cube)]
        name = decided(cube, inside)
        if name:
            return f'A64_{name}'
        number, _ = self.rest.setdefault(tuple(p.name for p in inside), (len(self.rest), inside))
        return f'A64_OP_COUNT + {number}'


HEADER = '''/* Generated by soft/decodegen.py from soft/a64.decode: do not edit. */
#ifndef SOFT_A64_OPS_H
#define SOFT_A64_OPS_H

#include <stdint.h>

#include "soft/insn.h"

/* Every encoding of A64 that this CPU knows; a word that is none of them is A64_UNDEFINED. */
enum a64_op {{
    A64_UNDEFINED,
{enum}
    A64_OP_COUNT
}};

struct a64_op_info {{
    const char *name;
    void (*format)(struct insn *i); /* fills the operands of `i` from its word */
    insn_fn *fn;
    unsigned option; /* enum model_option that the CPU has to have */
}};

extern const struct a64_op_info a64_ops[A64_OP_COUNT];

/* By bits {top}: the encoding where they decide alone, as they do for most code; else A64_OP_COUNT +
 * a row of a64_by_low: by bits {low}; else A64_OP_COUNT + a case of a64_decode_rest(). */
extern const uint16_t a64_by_top[{tops}];
extern const uint16_t a64_by_low[][{lows}];
enum a64_op a64_decode_rest(unsigned rest, uint32_t w);

static inline enum a64_op a64_decode(uint32_t w)
{{
    unsigned op = a64_by_top[w >> {top_shift}];

    if (op >= A64_OP_COUNT)
        op = a64_by_low[op - A64_OP_COUNT][w >> {low_shift} & {low_mask}];
    return op < A64_OP_COUNT ? (enum a64_op)op : a64_decode_rest(op - A64_OP_COUNT, w);
}}

{formats}

insn_fn interp_UNDEFINED;
{functions}

#endif
'''


def generate(patterns):
    functions = sorted({p.function for p in patterns})
    header = HEADER.format(
        top=f'{TOP[0]}:{TOP[1]}', low=f'{LOW[0]}:{LOW[1]}', top_shift=TOP[1], low_shift=LOW[1],
        low_mask=field_of(LOW) >> LOW[1], tops=1 << (TOP[0] - TOP[1] + 1), lows=1 << (LOW[0] - LOW[1] + 1),
        enum='\n'.join(f'    A64_{p.name},' for p in patterns),
        formats='\n'.join(f'void format_{f}(struct insn *i);'
                          for f in sorted({'raw'} | {p.format for p in patterns})),
        functions='\n'.join(f'insn_fn interp_{f};' for f in functions))
    tables = Tables(patterns)
    out = ['/* Generated by soft/decodegen.py from soft/a64.decode: do not edit. */',
           '#include "soft/interp/a64_ops.h"', '#include "soft/model.h"', '',
           'const struct a64_op_info a64_ops[A64_OP_COUNT] = {',
           '    [A64_UNDEFINED] = { "UNDEFINED", format_raw, interp_UNDEFINED, MODEL_BASE },']
    for p in patterns:
        out.append(f'    [A64_{p.name}] = {{ "{p.name}", format_{p.format}, '
                   f'interp_{p.function}, {p.option} }},')
    out += ['};', '', f'const uint16_t a64_by_top[{len(tables.top)}] = {{']
    out += [f'    [0x{number:03x}] = {entry},' for number, entry in enumerate(tables.top) if entry != 'A64_UNDEFINED']
    out += ['};', '', f'const uint16_t a64_by_low[{len(tables.low)}][{1 << (LOW[0] - LOW[1] + 1)}] = {{']
    out += [f'    {{ {", ".join(row)} }},' for row in tables.low]
    out += ['};', '', 'enum a64_op a64_decode_rest(unsigned rest, uint32_t w)', '{', '    switch (rest) {']
    for number, inside in tables.rest.values():
        out.append(f'    case {number}:')
        emit_tree(out, inside, field_of(TOP) | field_of(LOW), 2)
    out += ['    default:', '        return A64_UNDEFINED;', '    }', '}']
    return header, '\n'.join(out) + '\n'


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--formats', help='C file that defines the format_NAME functions')
    parser.add_argument('source')
    parser.add_argument('header')
    parser.add_argument('code')
    args = parser.parse_args()
    formats = None
    if args.formats:
        with open(args.formats, encoding='utf-8') as text:
            formats = set(re.findall(r'^void format_(\w+)\(', text.read(), re.M))
    patterns, errors = parse(args.source, formats)
    if errors:
        sys.exit('\n'.join(errors))
    header, code = generate(patterns)
    for path, text in ((args.header, header), (args.code, code)):
        with open(path, 'w', encoding='ascii') as out:
            out.write(text)


if __name__ == '__main__':
    main()
