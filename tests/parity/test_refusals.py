"""Values that cannot travel, anywhere in ones that can: both twins refuse the same, in the same words."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import KEYS, SCALARS

from ttp.errors import SerializationError

Twins = tuple[Any, Any]


class Choice(enum.Enum):
    TEXT = "text"
    PAIR = (1, 2)
    THING = object()


class Number(int):
    """One that is not exactly an int."""


class Text(str):
    __slots__ = ()


class Items(list[Any]):
    """One that is not exactly a list."""


@dataclass(frozen=True)
class Holder:
    held: Any


ODD: list[Any] = [
    object(), object, {1}, 1j, range(3), bytearray(b"x"), memoryview(b"x"), date(2026, 1, 2), timedelta(1),
    2**64, -(2**63) - 1, Number(2**64), Number(7), "\ud800", Text("\udfff"), Text("t"), "x" * 131_072, b"x" * 131_070,
    Choice.TEXT, Choice.PAIR, Choice.THING, Holder({1}), Items([1, object()]),
]  # fmt: skip
ODD_KEYS: list[Any] = [
    (1,), frozenset(), object, 1j, 2**64, Number(-(2**64)), Number(2), "\ud800", Text("a'b"), 1.5, float("nan"),
    Choice.TEXT, Choice.PAIR, Choice.THING, Holder(1), UUID(int=3), Decimal("1.5"), datetime(2026, 1, 2),  # noqa: DTZ001
]  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.sampled_from(ODD),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS | st.sampled_from(ODD_KEYS), inner, max_size=4)
        | st.builds(Holder, inner)
    ),
    max_leaves=12,
)
NAMES = st.text(max_size=5) | st.sampled_from(["a'b", "\ud800"])


def encoded(call: Callable[[], bytes]) -> bytes | str:
    """The bytes, or the words of the refusal."""
    try:
        return call()
    except SerializationError as error:
        return str(error)


@settings(max_examples=300)
@given(VALUES, st.lists(VALUES, max_size=3), st.dictionaries(NAMES, VALUES, max_size=3))
def test_refusals_agree(both: Twins, value: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
    native, pure = both
    assert encoded(lambda: native.pack(value)) == encoded(lambda: pure.pack(value))
    assert encoded(lambda: native.encode_row(args, kwargs)) == encoded(lambda: pure.encode_row(args, kwargs))


@pytest.mark.parametrize("kwargs", [{1: 2}, {Text("a"): 1}, {"a": 1, None: 2}])
def test_keywords_are_strings(backend: Any, kwargs: dict[Any, Any]) -> None:
    with pytest.raises(SerializationError, match=r"^kwargs\[.*\]: keywords must be strings$"):
        backend.encode_row([], kwargs)


@pytest.mark.parametrize("words", [OSError("no words"), "\ud800", None, KeyboardInterrupt()])
def test_a_key_that_cannot_be_shown(backend: Any, words: Any) -> None:
    """Its place cannot be named, what is refused still is; but interrupts are not swallowed."""

    class Silent:
        def __repr__(self) -> Any:
            if isinstance(words, BaseException):
                raise words
            return words

    if isinstance(words, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            backend.pack([{Silent(): 1}])
    else:
        with pytest.raises(SerializationError, match=r"^value\[0\]\[\?\]: cannot encode "):
            backend.pack([{Silent(): 1}])
