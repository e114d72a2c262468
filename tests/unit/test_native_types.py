"""Types that MessagePack has not: how they travel, and how annotations bring them back."""

import enum
import functools
import os
import subprocess
import sys
import typing
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, ClassVar, NamedTuple, NewType, Optional, Union
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttp.errors import SerializationError
from ttp.native import pack, types, unpack


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Span(enum.Enum):
    SHORT = (0, 1)


@dataclass
class Point:
    x: int
    color: Color = Color.RED


@dataclass(frozen=True)
class Line:
    points: list[Point]
    ends: tuple[Point, Point] | None = None
    length: float = field(default=0.0, init=False)


@dataclass
class Tree:
    value: int
    children: "list[Tree]" = field(default_factory=list)


@dataclass
class Scaled:
    value: float
    factor: InitVar[float]

    def __post_init__(self, factor: float) -> None:
        self.value *= factor


@dataclass
class Limited:
    value: float
    limit: InitVar[float] = 1.0
    kind: ClassVar[str]
    unit: ClassVar[str] = "C"


Place = NewType("Place", Point)


class Pair(NamedTuple):
    a: int
    b: int


def travelled(value: Any) -> Any:
    """What arrives."""
    return unpack(pack(value))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Color.RED, "red"),
        (Level.LOW, 1),
        (Point(1), {"x": 1, "color": Color.RED}),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (Pair(1, 2), (1, 2)),
        (type("Text", (str,), {})("text"), "text"),
        (type("Number", (float,), {})(1.5), 1.5),
        (type("Raw", (bytes,), {})(b"raw"), b"raw"),
    ],
)
def test_what_is_encoded_in_place_of_a_value(value: Any, plain: Any) -> None:
    found = types.encode(value)
    assert found == plain
    assert type(found) is type(plain)


@pytest.mark.parametrize("value", [object(), {1}, frozenset(), 1j, bytearray(b"x"), range(3), Point, print, iter([])])
def test_what_cannot_travel(value: Any) -> None:
    with pytest.raises(TypeError, match=rf"^cannot encode {type(value).__qualname__}; "):
        types.encode(value)


@given(st.datetimes() | st.datetimes(timezones=st.timezones()))
def test_datetimes_keep_their_wall_clock_and_offset(at: datetime) -> None:
    found = travelled(at)
    assert found.replace(tzinfo=None) == at.replace(tzinfo=None, fold=0)
    offset = at.utcoffset()
    assert found.utcoffset() == (None if offset is None else timedelta(seconds=round(offset.total_seconds())))


def test_utc_arrives_as_utc() -> None:
    assert travelled(datetime(2026, 1, 2, tzinfo=timezone(timedelta(0)))).tzinfo is UTC
    assert travelled(datetime.min) == datetime.min  # noqa: DTZ901
    assert travelled(datetime.max) == datetime.max  # noqa: DTZ901


@pytest.mark.parametrize("text", ["NaN", "-0", "1E+400", "0.10", "Infinity", "sNaN", "1234567890.12345678901234567890"])
def test_decimals_keep_every_digit(text: str) -> None:
    assert str(travelled(Decimal(text))) == text


@given(st.integers(-128, 127), st.binary(max_size=40))
def test_decoding_anything_else_is_a_value_error(code: int, data: bytes) -> None:
    try:
        types.decode(code, data)
    except ValueError:
        return
    assert code in (types.DATETIME, types.UUID_, types.DECIMAL, types.NDARRAY)


DTYPES = st.text("<>|=ifuSUOVMmb?,()[]0123456789 ", max_size=12) | st.sampled_from(["<f8", "O", "<U0", "V0", "i4,i4"])


@given(st.lists(DTYPES | st.lists(st.integers(-2, 2**62), max_size=3) | st.binary(max_size=24), max_size=4))
def test_malformed_arrays_are_value_errors(parts: list[Any]) -> None:
    pytest.importorskip("numpy")
    try:
        types.decode(types.NDARRAY, pack(parts))
    except (ValueError, ArithmeticError):
        return


def test_arrays_of_every_shape_travel() -> None:
    np = pytest.importorskip("numpy")
    for array in (
        np.arange(6, dtype=">i2").reshape(2, 3)[:, ::2],
        np.asfortranarray(np.ones((2, 3))),
        np.empty((0, 3)),
        np.array(5.0),
        np.array(["a", "bcd"]),
        np.array([b"x"]),
        np.array(["2026-01-01"], "M8[D]"),
        np.array([True, False]),
        np.array([1 + 2j]),
        np.array(np.timedelta64(5, "s")),
    ):
        found = travelled(array)
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert (found == array).all()
    for refused in (np.array([None]), np.zeros(1, [("a", "i4")]), np.void(b"x")):
        with pytest.raises(TypeError, match="cannot encode"):
            types.encode(refused)


def test_masked_arrays_are_refused_where_they_stand() -> None:
    np = pytest.importorskip("numpy")
    for refused in (np.ma.array([1.0, 2.0], mask=[False, True]), np.ma.array([1.0]), np.ma.masked):
        with pytest.raises(SerializationError, match=r"^value\['x'\]: cannot encode a masked array: send its filled"):
            pack({"x": refused})
    assert (travelled(np.ma.array([1.0, 2.0], mask=[False, True]).filled(-1.0)) == [1.0, -1.0]).all()


def test_times_and_complex_numbers_of_numpy_arrive_as_they_were() -> None:
    np = pytest.importorskip("numpy")
    for scalar in (
        np.datetime64("2026-01-02", "D"),
        np.datetime64("2026-01-02T03:04:05.123456789", "ns"),
        np.timedelta64(-5, "s"),
        np.complex64(1 + 2j),
        np.complex128(1j),
    ):
        found = travelled(scalar)
        assert (type(found), found.dtype, found) == (type(scalar), scalar.dtype, scalar)
        assert travelled({scalar: 1}) == {scalar: 1}
    assert np.isnat(travelled(np.datetime64("NaT", "s")))
    assert travelled(np.array(2.5)) == np.float64(2.5)


def test_numpy_scalars_are_python_numbers() -> None:
    np = pytest.importorskip("numpy")
    for scalar in (
        np.bool_(True),
        np.int8(-1),
        np.uint64(2**64 - 1),
        np.float16(0.5),
        np.longdouble(1.5),
        np.str_("x"),
    ):
        found = travelled(scalar)
        assert found == scalar
        assert type(found) in (bool, int, float, str)


def test_numpy_is_not_imported_for_nothing() -> None:
    code = (
        "import sys; from ttp.native import pack, unpack; from uuid import UUID; unpack(pack(UUID(int=1)))"
        "; sys.exit('numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env={"PYTHONPATH": os.pathsep.join(sys.path)})


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Color, Color.BLUE),
        (Level, Level.LOW),
        (Span, Span.SHORT),
        (Point, Point(1, Color.BLUE)),
        (Tree, Tree(1, [Tree(2, [Tree(3)])])),
        (Line, Line([Point(1), Point(2)], (Point(3), Point(4)))),
        (tuple, (1, 2)),
        (tuple[int, Color], (1, Color.RED)),
        (tuple[Color, ...], (Color.RED, Color.BLUE)),
        (tuple[()], ()),
        (list[Color], [Color.RED]),
        (dict[str, Point], {"a": Point(1)}),
        (dict[str, list[tuple[int, ...]]], {"a": [(1, 2), ()]}),
        (Optional[Point], Point(1)),  # noqa: UP045
        (Optional[Point], None),  # noqa: UP045
        (Union[int, Point], 5),  # noqa: UP007
        (Union[int, Point], Point(5)),  # noqa: UP007
        (Color | None, None),
        (Color | Point, Point(1)),
        (Annotated[Color, "meta"], Color.RED),
        (Sequence[Point], [Point(1)]),
        (MutableSequence[Point], [Point(1)]),
        (Collection[Point], [Point(1)]),
        (Iterable[Point], [Point(1)]),
        (typing.Sequence[Point], [Point(1)]),
        (typing.List[Point], [Point(1)]),  # noqa: UP006
        (Mapping[str, Point], {"a": Point(1)}),
        (MutableMapping[str, Point], {"a": Point(1)}),
        (typing.Mapping[str, Sequence[Point]], {"a": [Point(1)]}),
        (dict[Color, int], {Color.RED: 1}),
        (Mapping[Level, Point], {Level.LOW: Point(1)}),
        (Place, Point(1)),
        (list[Place], [Point(1)]),
        (Sequence[Point] | None, [Point(1)]),
    ],
)
def test_what_arrives_becomes_what_is_annotated(annotation: Any, value: Any) -> None:
    convert = types.converter(annotation)
    assert convert is not None
    assert convert(travelled(value)) == value


@pytest.mark.parametrize(
    "annotation",
    [
        int, str, datetime, UUID, list, list[int], dict, dict[str, int], int | None, Any, None, "x", object, Sequence,
        typing.Sequence, typing.List, typing.Mapping, Sequence[int], Mapping[str, int], NewType("Id", int),  # noqa: UP006
    ],
)  # fmt: skip
def test_what_needs_no_conversion_has_none(annotation: Any) -> None:
    assert types.converter(annotation) is None


def test_fields_that_init_does_not_take() -> None:
    line = Line([])
    object.__setattr__(line, "length", 2.5)
    convert = types.converter(Line)
    assert convert is not None
    assert convert(travelled(line)) == line


def test_what_init_alone_takes_must_have_a_default() -> None:
    refused = r"^value\[0\]: cannot encode Scaled: it cannot be made again without its InitVar 'factor'$"
    with pytest.raises(SerializationError, match=refused):
        pack([Scaled(1.0, 2.0)])
    convert = types.converter(Limited)
    assert convert is not None
    assert convert(travelled(Limited(1.0, 2.0))) == Limited(1.0)


def test_what_does_not_fit_is_left_as_it_is() -> None:
    for annotation in (Point, tuple[int, Color], list[Color], dict[str, Color], Color | Point, Sequence[Point]):
        convert = types.converter(annotation)
        assert convert is not None
        assert convert(17) == 17
    pair = types.converter(tuple[Color, Color])
    assert pair is not None
    assert pair(["red"]) == ["red"]


def test_members_and_fields_that_are_not_there_are_said() -> None:
    color, point = types.converter(Color), types.converter(Point)
    assert color is not None
    assert point is not None
    with pytest.raises(ValueError, match="'green' is not a valid Color"):
        color("green")
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        point({"x": 1, "z": 2})


def converted(function: Callable[..., Any]) -> Callable[..., Any]:
    """The wrapper, which there must be."""
    wrapper = types.argument_converter(function)
    assert wrapper is not None
    return wrapper


def test_arguments_are_converted_wherever_they_stand() -> None:
    def handler(plain: int, color: Color, /, point: Point, *more: Color, key: Color, **rest: Point) -> tuple[Any, ...]:
        return plain, color, point, more, key, rest

    call = converted(handler)
    assert call(1, "red", {"x": 1}, "blue", "red", key="red", a={"x": 2}, plain={"x": 3}) == (
        1,
        Color.RED,
        Point(1),
        (Color.BLUE, Color.RED),
        Color.RED,
        {"a": Point(2), "plain": Point(3)},
    )
    assert call(1, "red", point={"x": 1}, key="blue") == (1, Color.RED, Point(1), (), Color.BLUE, {})
    assert call.__name__ == "handler"
    with pytest.raises(TypeError, match="missing"):
        call(1, "red")


def test_defaults_stay() -> None:
    def handler(a: int, color: Color | None = None) -> tuple[int, Color | None]:
        return a, color

    assert converted(handler)(1) == (1, None)


def test_a_class_converts_what_it_is_made_of() -> None:
    assert converted(Line)([{"x": 1, "color": "blue"}]) == Line([Point(1, Color.BLUE)])


def test_callables_that_are_no_functions_are_annotated_too() -> None:
    class Callee:
        point: Color

        def __call__(self, point: Point) -> Point:
            return point

    def handler(scale: int, point: Point) -> Point:
        return point

    for function in (Callee(), Callee().__call__, functools.partial(handler, 2), functools.partial(Callee())):
        assert converted(function)({"x": 1}) == Point(1)


def test_what_needs_no_wrapper_has_none() -> None:
    def plain(a: int, b: "list[str]", *c: float) -> Color:
        raise NotImplementedError

    def unresolvable(a: "NoSuchName") -> None:  # type: ignore[name-defined]  # noqa: F821
        raise NotImplementedError

    for function in (plain, unresolvable, lambda a, b: a, print, dict.fromkeys, type):
        assert types.argument_converter(function) is None


def test_results_become_what_is_annotated_also_as_text() -> None:
    def typed() -> Color:
        return Color.RED

    def written() -> "list[Color]":
        return [Color.RED]

    def plain() -> int:
        return 1

    def unknown() -> "NoSuchType":  # type: ignore[name-defined]  # noqa: F821
        return 1

    assert types.result_converter(typed)("red") is Color.RED  # type: ignore[misc]
    assert types.result_converter(written)(["red", "blue"]) == [Color.RED, Color.BLUE]  # type: ignore[misc]
    assert types.result_converter(plain) is None
    assert types.result_converter(unknown) is None
    assert types.result_converter(functools.partial(written))(["red"]) == [Color.RED]  # type: ignore[misc]
