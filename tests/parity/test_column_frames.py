"""Frames of columns: the same bytes from both twins, and CorruptFrame, never worse, for anything else."""

import random
import struct
from typing import Any

import pytest
from golden_vectors import build_columns
from hypothesis import given
from hypothesis import strategies as st

from ttp.errors import CorruptFrame

Twins = tuple[Any, Any]
NAMES = {"name": "t", "queue": "q", "producer": bytes(12)}


def bits(flags: list[bool]) -> bytes:
    """An LSB bitmap."""
    out = bytearray((len(flags) + 7) // 8)
    for i, flag in enumerate(flags):
        out[i // 8] |= flag << i % 8
    return bytes(out)


def ends(items: list[bytes]) -> bytes:
    """Arrow offsets."""
    out = [0]
    for item in items:
        out.append(out[-1] + len(item))
    return struct.pack(f"<{len(out)}I", *out)


@st.composite
def columns(draw: st.DrawFn, pack: Any) -> tuple[list[Any], int, list[list[Any]]]:
    """Columns, their count, and the values that they hold (times as microseconds)."""
    count = draw(st.integers(1, 20))
    out: list[Any] = []
    held: list[Any] = []
    values: list[Any]
    for i in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from([1, 2, 3, 6, 7]))
        name = f"ü{i}"
        there = draw(st.lists(st.booleans(), min_size=count, max_size=count)) if kind != 7 else [True] * count
        validity = b"" if all(there) else bits(there)
        if kind == 7:
            values = draw(st.lists(st.recursive(st.integers(0, 9), st.lists), min_size=count, max_size=count))
            items = [pack(value) for value in values]
            out.append((name, kind, b"", b"", ends(items), b"".join(items)))
        elif kind == 6:
            texts = draw(st.lists(st.text(max_size=4), min_size=1, max_size=5))
            codes = draw(st.lists(st.integers(0, len(texts) - 1), min_size=count, max_size=count))
            values = [texts[code] for code in codes]
            raw = [text.encode() for text in texts]
            out.append((name, kind, validity, struct.pack(f"<{count}i", *codes), ends(raw), b"".join(raw)))
        elif kind == 1:
            values = draw(st.lists(st.booleans(), min_size=count, max_size=count))
            out.append((name, kind, validity, bits(values), b"", b""))
        else:
            numbers: Any = st.integers(-(2**63), 2**63 - 1) if kind == 2 else st.floats(allow_nan=False)
            values = draw(st.lists(numbers, min_size=count, max_size=count))
            out.append((name, kind, validity, struct.pack(f"<{count}{'q' if kind == 2 else 'd'}", *values), b"", b""))
        held.append([value if valid else None for value, valid in zip(values, there, strict=True)])
    return out, count, held


@given(st.data())
def test_frames_of_columns_agree_and_are_read(both: Twins, data: st.DataObject) -> None:
    made, count, held = data.draw(columns(both[1].pack))
    encoded = both[1].encode_columns(made, count, fid=7, **NAMES)
    assert both[0].encode_columns(made, count, fid=7, **NAMES) == encoded
    rows = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1)))
    derived = both[1].FrameView(encoded).derive(rows, fid=8, attempt=2)
    for twin in both:
        view = twin.FrameView(encoded)
        assert view.columnar
        assert len(view) == count
        assert [[*map(bytes_of, column)] for column in view.columns()] == [[*map(bytes_of, column)] for column in made]
        assert [view.arguments(row) for row in range(count)] == [(values, {}) for values in zip(*held, strict=True)]
        assert view.derive(rows, fid=8, attempt=2) == derived
        part = twin.FrameView(derived)
        assert [part.arguments(i) for i in range(len(rows))] == [view.arguments(row) for row in rows]
        assert [part.index(i) for i in range(len(rows))] == rows
        assert part.derive([0], fid=9) == view.derive(rows[:1], fid=9, attempt=2)


def bytes_of(value: Any) -> Any:
    """What can be compared."""
    return bytes(value) if isinstance(value, memoryview) else value


def test_whatever_happens_to_a_frame_both_say_the_same(both: Twins) -> None:
    whole = build_columns(both[1])
    for size in range(0, len(whole), 7):
        for twin in both:
            with pytest.raises(CorruptFrame):
                twin.FrameView(whole[:size])
    rng = random.Random(5)
    for _ in range(3000):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 2)):
            at = rng.randrange(len(whole) - 8)
            damaged[at] = rng.choice([0, 1, 7, 64, 255, damaged[at] ^ 1 << rng.randrange(8)])
        data = bytes(damaged[:-4])
        data += int(both[0].crc32c(data)).to_bytes(4, "little")
        said = []
        for twin in both:
            try:
                view = twin.FrameView(data)
                said.append(str([[*map(bytes_of, column)] for column in view.columns()]))
            except CorruptFrame as error:
                said.append(f"refused: {error}")
        assert said[0] == said[1]


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (("", 2, b"", bytes(16), b"", b""), "no valid column name"),
        (("x", 2, b"", bytes(15), b"", b""), "column does not match the count"),
        (("x", 2, b"12", bytes(16), b"", b""), "validity does not match the count"),
        (("x", 8, b"", bytes(16), b"", b""), "column type must be between 1 and 7"),
        (("x", 6, b"", bytes(8), bytes(4), b""), "code outside the dictionary"),
        (("x", 6, b"", bytes(8), struct.pack("<2I", 0, 1), b"\xff"), "text is not UTF-8"),
        (("x", 6, b"", bytes(8), struct.pack("<2I", 0, 2), b"a"), "offsets do not match the values"),
        (("x", 7, b"", b"", struct.pack("<3I", 0, 2, 1), b"a"), "offsets are not rising"),
    ],
)
def test_wrong_columns_are_refused(both: Twins, column: Any, why: str) -> None:
    for twin in both:
        with pytest.raises(ValueError, match=why):
            twin.encode_columns([column], 2, fid=7, **NAMES)


def test_rows_of_a_slice_end_together(both: Twins) -> None:
    for twin in both:
        rows = [twin.encode_row((i,)) for i in range(6)]
        part = twin.Slice(twin.FrameView(twin.encode_frame(rows, fid=7, flags=1, **NAMES)), 0, 6)
        with pytest.raises(ValueError, match="begun"):
            part.finish_rows(2, twin.DONE)
        part.cancel(2)
        part.begin(0)
        part.withdraw()
        assert (part.next, part.running) == (0, -1)
        part.begin(0)
        part.finish_rows(4, twin.DONE)
        part.begin(4)
        part.finish_rows(9, twin.BACK)
        first, outcomes, block, children, running = part.settle()
        done, back = twin.DONE, twin.BACK
        assert (first, outcomes, children, running) == (
            0,
            bytes([done, done, twin.CANCELLED, done, back, back]),
            [],
            False,
        )
        assert sorted(i for i, _, _ in twin.ResultBlock(block).items()) == [0, 1, 2, 3]
