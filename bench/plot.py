"""The picture: how many times as fast as QEMU's best model each row is, as bars on a logarithmic axis, in SVG."""
import math
from xml.sax.saxutils import escape

from report import number
from rows import GROUPS

LEFT, WIDTH, BAR, GAP = 210, 520, 14, 6
COLOURS = {"boot": "#8250df", "system": "#bf8700", "micro": "#0969da", "fp": "#953800", "simd": "#bc4c00", "string": "#bf3989",
           "crypto": "#1b7c83", "disk": "#57606a", "fio": "#6e7781", "net": "#0550ae",
           "program": "#1a7f37", "smp": "#cf222e"}
STYLE = """text { font: 12px system-ui, sans-serif; fill: #1f2328 } .small { font-size: 11px; fill: #656d76 }
.title { font-size: 15px; font-weight: 600 } .grid { stroke: #d0d7de } .one { stroke: #1f2328; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .small { fill: #8d96a0 } .grid { stroke: #30363d }
.one { stroke: #e6edf3 } .paper { fill: #0d1117 } }
.paper { fill: none }"""


def ticks(low, high):
    """1, 2 and 5 times powers of ten inside of the range."""
    every = (m * 10.0 ** e for e in range(-3, 4) for m in (1, 2, 5))
    return [t for t in every if low <= t <= high]


def svg(lines, caption):
    known = [l for l in lines if l.ratio]
    low = min([0.5] + [l.ratio for l in known]) / 1.2
    high = max([2.0] + [l.ratio for l in known]) * 1.2

    def x(ratio):
        return LEFT + WIDTH * math.log(ratio / low) / math.log(high / low)

    body = []
    y = 62
    group = None
    for line in known:
        if line.row.group != group:
            group = line.row.group
            y += 8
            body.append(f'<text class="small" x="8" y="{y + 11}">{escape(GROUPS[group].title)}</text>')
            y += BAR + GAP
        start, end = sorted((x(1), x(line.ratio)))
        label = x(line.ratio) + 4 if line.ratio >= 1 else x(1) + 4
        faint = "" if line.ratio >= 1 else ' opacity="0.45"'
        body.append(f'<text x="{LEFT - 8}" y="{y + 11}" text-anchor="end">{escape(line.row.title)}</text>'
                    f'<rect x="{start:.1f}" y="{y}" width="{max(end - start, 1):.1f}" height="{BAR}" rx="2" fill="{COLOURS[group]}"{faint}/>'
                    f'<text class="small" x="{label:.1f}" y="{y + 11}">{number(line.ratio)}</text>')
        y += BAR + GAP
    grid = []
    for t in ticks(low, high):
        kind = "one" if t == 1 else "grid"
        grid.append(f'<line class="{kind}" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="60" y2="{y}"/>'
                    f'<text class="small" x="{x(t):.1f}" y="54" text-anchor="middle">{t:g}×</text>')
    total = LEFT + WIDTH + 60
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{y + 12}" viewBox="0 0 {total} {y + 12}">',
        f"<style>{STYLE}</style>", f'<rect class="paper" width="{total}" height="{y + 12}"/>',
        '<text class="title" x="8" y="20">Speed of ireko; 1× is QEMU\'s TCG with its best CPU model</text>',
        f'<text class="small" x="8" y="37">{escape(caption)}</text>', *grid, *body, "</svg>", ""])
