"""`make recording`: what `ttp demo` shows, as an animated SVG for README and site.

The demo runs in a pseudo-terminal; its output is fed to a terminal emulator with the time at which it came, and
what is then on the screen is drawn, frame by frame. Nothing is made up: the numbers are those of that run.
"""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

import pyte

TARGET = Path(__file__).parents[1] / "images" / "demo.svg"
COMMAND = ("ttp", "demo", "--seconds", "6")
COLUMNS, ROWS = 114, 25
STEP = 0.25  # seconds between two frames, at least
REST = 8.0  # seconds for the summary
CELL, LINE = 8.4, 20  # pixels: width and height of a character
LEFT, TOP = 20, 58
PALETTE = {
    "default": "#d6deeb", "black": "#4b5a6b", "red": "#ff7b72", "green": "#7ee787", "brown": "#f2cc60",
    "blue": "#79c0ff", "magenta": "#d2a8ff", "cyan": "#76e3ea", "white": "#ffffff", "brightblack": "#7d8b99",
}  # fmt: skip
STYLE = """
svg { background: none }
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre }
.b { font-weight: 600 }
.f { visibility: hidden; animation: TOTALs step-end infinite }
@media (prefers-reduced-motion: reduce) { .f { animation: none !important } .f:last-of-type { visibility: visible } }
"""


class Frame(NamedTuple):
    """What is on the screen from a time on: lines of (text, colour, bold)."""

    at: float
    lines: tuple[tuple[tuple[str, str, bool], ...], ...]


def play() -> Iterator[tuple[float, bytes]]:
    """Run the command; what it prints, and when."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
    program = Path(sys.executable).parent / COMMAND[0]
    began = time.monotonic()
    with subprocess.Popen(
        [program, *COMMAND[1:]], stdin=follower, stdout=follower, stderr=follower, env=environment
    ) as process:
        os.close(follower)
        while True:
            try:
                output = os.read(leader, 1 << 16)
            except OSError:  # the other end is closed
                break
            yield time.monotonic() - began, output
    os.close(leader)
    if process.returncode:
        sys.exit(f"{' '.join(COMMAND)} ended with {process.returncode}: nothing is recorded")


def look(screen: pyte.Screen) -> tuple[tuple[tuple[str, str, bool], ...], ...]:
    """The lines of a screen, in runs of one colour."""
    lines = []
    for row in range(ROWS):
        cells = [screen.buffer[row][column] for column in range(COLUMNS)]
        runs = [
            ("".join(cell.data for cell in run), colour, bold)
            for (colour, bold), run in groupby(cells, key=lambda cell: (cell.fg, cell.bold))
        ]
        while runs and not runs[-1][0].strip():
            runs.pop()
        lines.append(tuple(runs))
    return tuple(lines)


def record() -> list[Frame]:
    """The frames of a run."""
    screen = pyte.Screen(COLUMNS, ROWS)
    screen.set_mode(pyte.modes.LNM)
    stream = pyte.ByteStream(screen)
    stream.feed(f"$ {' '.join(COMMAND)}\r\n".encode())
    frames = [Frame(0.0, look(screen))]
    for at, output in play():
        stream.feed(output)
        if (seen := look(screen)) == frames[-1].lines:
            continue
        if at - frames[-1].at < STEP and len(frames) > 1:
            frames[-1] = frames[-1]._replace(lines=seen)
        else:
            frames.append(Frame(at, seen))
    return frames


def draw(frames: list[Frame]) -> str:
    """The SVG: each frame is visible in its time."""
    total = frames[-1].at + REST
    rows = max(n for frame in frames for n, line in enumerate(frame.lines, 1) if line)
    width, height = round(2 * LEFT + COLUMNS * CELL), TOP + rows * LINE
    ends = [*(frame.at for frame in frames[1:]), total]
    style, body = [STYLE.replace("TOTAL", f"{total:.2f}")], []
    for number, (frame, end) in enumerate(zip(frames, ends, strict=True)):
        shown, hidden = 100 * frame.at / total, 100 * end / total
        before = "0% { visibility: hidden } " if frame.at else ""
        after = f"{hidden:.2f}%, 100% {{ visibility: hidden }} " if end < total else ""
        style.append(f"@keyframes k{number} {{ {before}{shown:.2f}% {{ visibility: visible }} {after}}}")
        body.append(f'<g class="f" style="animation-name: k{number}">{"".join(draw_lines(frame))}</g>')
    dots = "".join(
        f'<circle cx="{22 + 20 * n}" cy="20" r="6" fill="{c}"/>'
        for n, c in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-label="A recording of ttp demo">\n<style>{"".join(style)}</style>\n'
        f'<rect width="{width}" height="{height}" rx="10" fill="#0f1720"/>{dots}\n'
        f'<text x="{width / 2}" y="25" text-anchor="middle" fill="#7d8b99">{escape(" ".join(COMMAND))}</text>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def draw_lines(frame: Frame) -> Iterator[str]:
    """The text of a frame; every run begins at its column, whatever the font."""
    for row, runs in enumerate(frame.lines):
        column = 0
        for text, colour, bold in runs:
            if text.strip():
                fill = PALETTE.get(colour, f"#{colour}")
                x, length = LEFT + column * CELL, len(text) * CELL
                weight = ' class="b"' if bold else ""
                yield (
                    f'<text x="{x:.1f}" y="{TOP + row * LINE}" fill="{fill}"{weight} xml:space="preserve"'
                    f' textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs">{escape(text)}</text>'
                )
            column += len(text)


def main() -> None:
    """Record, draw, and say how large it is."""
    frames = record()
    TARGET.write_text(draw(frames))
    print(f"{TARGET.name}: {len(frames)} frames, {frames[-1].at:.1f} s, {TARGET.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
