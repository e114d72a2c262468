"""Frames and result blocks: the same bytes from both twins, and CorruptFrame, never worse, for anything else."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from golden_vectors import build, describe
from hypothesis import given
from hypothesis import strategies as st
from strategies import ARGS, FIDS

from ttp.errors import CorruptFrame

GOLDEN = Path(__file__).parent / "golden"
Twins = tuple[Any, Any]
PRODUCER = bytes(range(12))


@st.composite
def frames(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of encode_frame, rows included."""
    count = draw(st.integers(1, 6))
    fid = draw(FIDS)
    origin = draw(st.sampled_from([0, fid, 77]))
    derived = origin not in (0, fid)
    index = sorted(draw(st.sets(st.integers(0, 65_535), min_size=count, max_size=count)))
    return {
        "rows": [draw(ARGS) for _ in range(count)],
        "name": draw(st.text("abcü_.", min_size=1, max_size=30)),
        "queue": draw(st.text("abzAZ09_.-", min_size=1, max_size=64)),
        "fid": fid,
        "producer": draw(st.binary(min_size=12, max_size=12)),
        "origin": origin,
        "index": index if derived else None,
        "priority": draw(st.integers(0, 2)),
        "attempt": draw(st.integers(1, 65_535)),
        "deferrals": draw(st.integers(0, 65_535)),
        "crashes": draw(st.integers(0, 255)),
        "created_at": draw(st.integers(0, 2**63 - 1)),
        "flags": draw(st.sampled_from([0, 1])),
        "trace": draw(st.one_of(st.just(b""), st.binary(max_size=70))),
    }


def encode(twin: Any, frame: dict[str, Any]) -> bytes:
    """The frame's bytes."""
    rows = [twin.encode_row(row) for row in frame["rows"]]
    encoded: bytes = twin.encode_frame(rows, **{k: v for k, v in frame.items() if k != "rows"})
    return encoded


def resigned(data: bytes, twin: Any) -> bytes:
    """The frame with a CRC that fits its bytes."""
    return data[:-4] + int(twin.crc32c(data[:-4])).to_bytes(4, "little")


@given(frames())
def test_frames_agree_and_are_read(both: Twins, frame: dict[str, Any]) -> None:
    native, pure = both
    data = encode(pure, frame)
    assert encode(native, frame) == data
    for twin in both:
        view = twin.FrameView(data)
        assert len(view) == len(frame["rows"])
        for name in frame.keys() - {"rows", "origin", "index"}:
            assert getattr(view, name) == frame[name]
        assert view.origin == (frame["origin"] or frame["fid"])
        assert view.results == bool(frame["flags"])
        assert view.data == data
        assert [view.index(i) for i in range(len(view))] == (frame["index"] or list(range(len(view))))
        with pytest.raises(IndexError):
            view.index(len(view))


@given(frames(), st.data())
def test_derived_frames_agree(both: Twins, frame: dict[str, Any], data: st.DataObject) -> None:
    encoded = encode(both[1], frame)
    rows = sorted(data.draw(st.sets(st.integers(0, len(frame["rows"]) - 1), min_size=1)))
    changes = data.draw(
        st.fixed_dictionaries({}, optional={"attempt": st.integers(1, 9), "crashes": st.integers(0, 9)})
    )
    derived = [twin.FrameView(encoded).derive(rows, fid=78, **changes) for twin in both]
    assert derived[0] == derived[1]
    before, after = both[0].FrameView(encoded), both[0].FrameView(derived[0])
    assert [after.index(i) for i in range(len(rows))] == [before.index(row) for row in rows]
    assert (after.origin, after.fid, after.trace) == (before.origin, 78, before.trace)
    assert after.attempt == changes.get("attempt", before.attempt)


def test_what_does_not_fit_the_format(both: Twins) -> None:
    good: dict[str, Any] = {"name": "t", "queue": "q", "fid": 1, "producer": PRODUCER}
    row = both[0].encode_row([1])
    for rows, change in [
        ([], {}),
        ([row] * 4097, {}),
        ([bytes(131_073)], {}),
        ([bytes(131_072)] * 9, {}),
        ([row], {"name": ""}),
        ([row], {"name": "x" * 256}),
        ([row], {"queue": "a:b"}),
        ([row], {"fid": 0}),
        ([row], {"fid": 2**64}),
        ([row], {"producer": b"short"}),
        ([row], {"origin": 2}),
        ([row], {"origin": 2, "index": [1, 2]}),
        ([row, row], {"origin": 2, "index": [2, 1]}),
        ([row], {"index": [0]}),
        ([row], {"priority": 3}),
        ([row], {"attempt": 0}),
        ([row], {"flags": 2}),
        ([row], {"trace": bytes(1025)}),
    ]:
        for twin in both:
            with pytest.raises(ValueError, match=r"\w"):
                twin.encode_frame(rows, **{**good, **change})


@given(frames(), st.randoms(use_true_random=False))
def test_damaged_frames(both: Twins, frame: dict[str, Any], rng: random.Random) -> None:
    data = encode(both[1], frame)
    damaged = [data[:cut] for cut in rng.sample(range(len(data)), min(len(data), 40))]
    for _ in range(30):
        flipped = bytearray(data)
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        damaged.append(bytes(flipped))
    for each in damaged:
        words = set()
        for twin in both:
            with pytest.raises(CorruptFrame) as caught:
                twin.FrameView(each)
            words.add(str(caught.value))
        assert len(words) == 1


@given(frames(), st.randoms(use_true_random=False))
def test_forged_frames_are_judged_alike(both: Twins, frame: dict[str, Any], rng: random.Random) -> None:
    """Damage under a CRC that fits: both take it, with the same content, or both refuse it in the same words."""
    data = encode(both[1], frame)
    for _ in range(30):
        forged = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            forged[rng.randrange(len(data) - 4)] = rng.randrange(256)
        signed = resigned(bytes(forged), both[0])
        assert judge(both[0], signed) == judge(both[1], signed)


def judge(twin: Any, data: bytes) -> Any:
    """What a twin makes of a frame."""
    try:
        view = twin.FrameView(data)
    except CorruptFrame as error:
        return str(error)
    rows = []
    for i in range(len(view)):
        try:
            rows.append(repr(view.arguments(i)))
        except CorruptFrame as error:
            rows.append(str(error))
    return view.name, view.queue, view.trace, view.fid, view.origin, rows, [view.index(i) for i in range(len(view))]


def test_every_truncation_of_one_frame(backend: Any) -> None:
    data = build(backend)["derived"]
    for cut in range(len(data)):
        with pytest.raises(CorruptFrame):
            backend.FrameView(data[:cut])
        with pytest.raises(CorruptFrame):
            backend.FrameView(resigned(data[: max(cut, 12)], backend) if cut != len(data) else b"")


def test_golden_vectors(backend: Any) -> None:
    """What is on servers today must be read for ever."""
    built = build(backend)
    described = json.loads((GOLDEN / "golden.json").read_text())
    assert sorted(built) == sorted(described)
    for name, data in built.items():
        assert (GOLDEN / f"{name}.bin").read_bytes() == data, name
        assert describe(backend, name, data) == described[name]


def block_of(twin: Any, rows: int = 5) -> bytes:
    """A results block with one of each outcome."""
    frame = twin.encode_frame(
        [twin.encode_row([n]) for n in range(rows)], name="t", queue="q", fid=3, producer=PRODUCER, flags=1
    )
    part = twin.Slice(twin.FrameView(frame), 0, rows)
    part.cancel(4)

    def handler(n: int) -> Any:
        if n in (1, 2):
            raise ValueError(n)
        return {"n": n}

    def on_error(row: int, error: BaseException) -> int:
        part.record(row, twin.RETRY if row == 1 else twin.DEAD, [row])
        return int(twin.RETRY if row == 1 else twin.DEAD)

    part.run(handler, on_error)
    block: bytes = part.settle()[2]
    return block


def test_result_blocks(both: Twins) -> None:
    native, pure = both
    block = block_of(native)
    for twin in both:
        found = twin.ResultBlock(block)
        assert sorted(found.items()) == [(0, 1, {"n": 0}), (1, 2, [1]), (2, 3, [2]), (3, 1, {"n": 3}), (4, 4, None)]
        assert found.find(3) == (1, {"n": 3})
        assert found.find(9) is None
        assert len(twin.ResultBlock(block + block)) == 10
    assert sorted(native.ResultBlock(block).items()) == sorted(native.ResultBlock(block_of(pure)).items())


def test_damaged_result_blocks(both: Twins) -> None:
    block = block_of(both[0])
    rng = random.Random(1)
    for cut in range(len(block)):
        words = set()
        for twin in both:
            with pytest.raises(CorruptFrame) as caught:
                twin.ResultBlock(block[:cut])
            words.add(str(caught.value))
        assert len(words) == 1
    for _ in range(500):
        flipped = bytearray(block)
        flipped[rng.randrange(len(block))] ^= 1 << rng.randrange(8)
        seen = []
        for twin in both:
            try:
                seen.append(repr(twin.ResultBlock(bytes(flipped)).items()))
            except CorruptFrame as error:
                seen.append(str(error))
        assert seen[0] == seen[1]
