"""Graphs as SVG, written by hand: bars and lines that are legible on light and dark pages."""

import math
from collections.abc import Callable, Sequence
from html import escape

WIDTH = 760
BAR = 26
LEFT = 250
STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px }
.note { fill: #57606a; font-size: 12px }
.grid { stroke: #d0d7de; stroke-width: 1 }
.bar { fill: #9aa7b4 } .ours { fill: #0b7285 }
.line { fill: none; stroke-width: 2.5 }
.c0 { stroke: #0b7285 } .c1 { stroke: #d9480f } .c2 { stroke: #868e96 } .c3 { stroke: #5f3dc4 }
.d0 { fill: #0b7285 } .d1 { fill: #d9480f } .d2 { fill: #868e96 } .d3 { fill: #5f3dc4 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .note { fill: #9198a1 } .grid { stroke: #3d444d }
.bar { fill: #6e7b88 } .ours { fill: #3bc9db }
.c0 { stroke: #3bc9db } .c1 { stroke: #ffa94d } .c2 { stroke: #adb5bd } .c3 { stroke: #b197fc }
.d0 { fill: #3bc9db } .d1 { fill: #ffa94d } .d2 { fill: #adb5bd } .d3 { fill: #b197fc }
}
</style>"""

Series = tuple[str, Sequence[tuple[float, float]]]


def _svg(height: float, title: str, note: str, body: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
        f"<title>{escape(title)}</title>{STYLE}"
    )
    lines = [
        f'<text class="title" x="12" y="24">{escape(title)}</text>',
        f'<text class="note" x="12" y="44">{escape(note)}</text>',
        *body,
    ]
    return "\n".join([head, *lines, "</svg>"]) + "\n"


def bars(title: str, note: str, rows: Sequence[tuple[str, float, bool]], show: Callable[[float], str]) -> str:
    """Horizontal bars on a linear scale from zero.

    Args:
        rows: (name, value, whether it is ours).
        show: a value as text.
    """
    most = max(value for _, value, _ in rows)
    room = WIDTH - LEFT - 130
    body = []
    for at, (name, value, ours) in enumerate(rows):
        y = 62 + at * BAR
        length = max(1.0, room * value / most)
        kind = "ours" if ours else "bar"
        body += [
            f'<text x="{LEFT - 10}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{LEFT}" y="{y + 1}" width="{length:.1f}" height="18" rx="2"/>',
            f'<text x="{LEFT + length + 8:.1f}" y="{y + 14}">{escape(show(value))}</text>',
        ]
    return _svg(72 + len(rows) * BAR, title, note, body)


def lines(title: str, note: str, series: Sequence[Series], axes: tuple[str, str]) -> str:
    """Lines through points, both axes logarithmic; each line is named at its end.

    Args:
        series: (name, [(x, y)]), positive numbers.
        axes: what x and y are.
    """
    points = [point for _, part in series for point in part]
    low_x, high_x = _decades([x for x, _ in points])
    low_y, high_y = _decades([y for _, y in points])
    left, right, top, bottom = 70, WIDTH - 110, 80, 340

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            left + (right - left) * (math.log10(x) - low_x) / (high_x - low_x),
            bottom - (bottom - top) * (math.log10(y) - low_y) / (high_y - low_y),
        )

    body = [f'<text class="note" x="12" y="68">{escape(axes[1])}</text>']
    for decade in range(low_y, high_y + 1):
        _, y = at(10**low_x, 10**decade)
        body += [
            f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>',
            f'<text class="note" x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{_power(decade)}</text>',
        ]
    for decade in range(low_x, high_x + 1):
        x, _ = at(10**decade, 10**low_y)
        body += [
            f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>',
            f'<text class="note" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{10**decade:,}</text>',
        ]
    body.append(f'<text class="note" x="{right}" y="{bottom + 36}" text-anchor="end">{escape(axes[0])}</text>')
    taken: list[float] = []
    for color, (name, part) in enumerate(series):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in part))
        body.append(f'<polyline class="line c{color % 4}" points="{path}"/>')
        body += [
            f'<circle class="d{color % 4}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
            for x, y in (at(*point) for point in part)
        ]
        x, y = at(*part[-1])
        while any(abs(y - other) < 15 for other in taken):
            y -= 1
        taken.append(y)
        body.append(f'<text x="{x + 10:.1f}" y="{y + 4:.1f}">{escape(name)}</text>')
    return _svg(bottom + 48, title, note, body)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """Exponents of ten around the values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _power(decade: int) -> str:
    return f"{10**decade:,}" if decade >= 0 else f"{10.0**decade:g}"
