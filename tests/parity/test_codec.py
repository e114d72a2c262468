"""Values and rows: both twins write the same bytes, read them back, and refuse the same with the same words."""

import enum
import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ARGS, KWARGS, VALUES, same

from ttp.errors import CorruptFrame, SerializationError

Twins = tuple[Any, Any]


class Color(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    tags: list[str]


class Odd(str):
    __slots__ = ()


@given(VALUES)
def test_values_round_trip_and_agree(both: Twins, value: Any) -> None:
    native, pure = both
    packed = pure.pack(value)
    assert native.pack(value) == packed
    for twin in both:
        assert same(twin.unpack(packed), value)
        assert same(twin.unpack(memoryview(packed)), value)


@given(ARGS, KWARGS)
def test_rows_agree(both: Twins, args: list[Any], kwargs: dict[str, Any]) -> None:
    native, pure = both
    row = pure.encode_row(args, kwargs)
    assert native.encode_row(args, kwargs) == row
    frame = pure.encode_frame([row], name="t", queue="q", fid=1, producer=bytes(12))
    for twin in both:
        found_args, found_kwargs = twin.FrameView(frame).arguments(0)
        assert isinstance(found_args, tuple)
        assert same(list(found_args), args)
        assert same(found_kwargs, kwargs)


def test_annotated_types_travel_as_plain_ones(backend: Any) -> None:
    assert backend.unpack(backend.pack(Color.RED)) == "red"
    assert backend.unpack(backend.pack(Point(1, ["a"]))) == {"x": 1, "tags": ["a"]}
    assert backend.unpack(backend.pack(Odd("odd"))) == "odd"
    assert backend.unpack(backend.pack((1, (2,)))) == [1, [2]]


def nested(depth: int) -> list[Any]:
    """Lists in lists."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


REFUSED = {
    "an object": object(),
    "deep inside": {"x": [1, {"y": {2: object()}}]},
    "a set": {1, 2},
    "large integer": 2**64,
    "small integer": -(2**63) - 1,
    "lone surrogate": ["ok", "\ud800"],
    "tuple as key": {(1, 2): 3},
    "too deep": nested(33),
    "too large": b"x" * 131_072,
    "too large in parts": ["x" * 70_000, "y" * 70_000],
    "field of a dataclass": Point(1, [object()]),  # type: ignore[list-item]
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_is_named_alike(both: Twins, value: Any) -> None:
    native, pure = both
    for call in (lambda t: t.pack(value), lambda t: t.encode_row([1, value]), lambda t: t.encode_row([], {"k": value})):
        with pytest.raises(SerializationError) as ours:
            call(pure)
        with pytest.raises(SerializationError) as theirs:
            call(native)
        assert str(theirs.value) == str(ours.value)
    with pytest.raises(SerializationError, match=r"^args\[1\]"):
        native.encode_row([1, value])


def test_the_path_is_exact(backend: Any) -> None:
    with pytest.raises(SerializationError, match=r"^args\[1\]\['x'\]\[1\]\['y'\]\[2\]: cannot encode object"):
        backend.encode_row([0, REFUSED["deep inside"]])
    with pytest.raises(SerializationError, match=r"^kwargs\['name'\]\[0\]: "):
        backend.encode_row([], {"name": [object()]})
    assert backend.unpack(backend.pack(nested(32))) == nested(32)


@given(VALUES, st.randoms(use_true_random=False))
def test_truncated_and_flipped_values(both: Twins, value: Any, rng: random.Random) -> None:
    packed = both[1].pack(value)
    for cut in range(len(packed)):
        for twin in both:
            with pytest.raises(CorruptFrame):
                twin.unpack(packed[:cut])
    flipped = bytearray(packed)
    for _ in range(20):
        flipped[:] = packed
        flipped[rng.randrange(len(packed))] ^= 1 << rng.randrange(8)
        outcomes = []
        for twin in both:
            try:
                outcomes.append(("value", repr(twin.unpack(bytes(flipped)))))
            except CorruptFrame as error:
                outcomes.append(("corrupt", str(error)))
        assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xdd\xff\xff\xff\xff",  # an array of 4 billion elements
        b"\xdf\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc6\x7f\xff\xff\xff",
        b"\x81\x90\x01",  # a list as key
        b"\xa1\xff",  # not UTF-8
        b"\xd4\x63\x00",  # an unknown extension
        b"\xd7\x02\x00\x00\x00\x00\x00\x00\x00\x00",  # a UUID of 8 bytes
        b"\x91" * 40 + b"\x90",
        b"\x01\x02",
    ],
)
def test_bad_bytes(backend: Any, data: bytes) -> None:
    with pytest.raises(CorruptFrame):
        backend.unpack(data)


def test_every_form_is_read(backend: Any) -> None:
    forms = {
        b"\xcc\x05": 5, b"\xcd\x00\x05": 5, b"\xce\x00\x00\x00\x05": 5, b"\xcf" + bytes(7) + b"\x05": 5,
        b"\xd0\xff": -1, b"\xd1\xff\xff": -1, b"\xd2\xff\xff\xff\xff": -1, b"\xd3" + b"\xff" * 8: -1,
        b"\xca\x3f\x80\x00\x00": 1.0, b"\xd9\x01a": "a", b"\xda\x00\x01a": "a", b"\xdb\x00\x00\x00\x01a": "a",
        b"\xc4\x01a": b"a", b"\xc5\x00\x01a": b"a", b"\xdc\x00\x01\x01": [1], b"\xdd\x00\x00\x00\x01\x01": [1],
        b"\xde\x00\x01\x01\x02": {1: 2}, b"\xdf\x00\x00\x00\x01\x01\x02": {1: 2},
    }  # fmt: skip
    for data, value in forms.items():
        assert same(backend.unpack(data), value)


def test_crc32c(backend: Any) -> None:
    assert backend.crc32c(b"123456789") == 0xE3069283
    assert backend.crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert backend.crc32c(b"\xff" * 32) == 0x62A8AB43
    assert backend.crc32c(b"") == 0


@given(st.binary(max_size=300))
def test_crc32c_agrees(both: Twins, data: bytes) -> None:
    assert both[0].crc32c(data) == both[1].crc32c(data)


def test_numpy_travels(backend: Any) -> None:
    np = pytest.importorskip("numpy")
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    found = backend.unpack(backend.pack({"a": array, "n": np.int64(7), "f": np.float32(0.5)}))
    assert found["n"] == 7
    assert type(found["n"]) is int
    assert found["f"] == 0.5
    assert found["a"].dtype == array.dtype
    assert (found["a"] == array).all()
    with pytest.raises(SerializationError, match="dtype object"):
        backend.pack(np.array([object()]))
