"""What the parity tests draw: values that travel, rows, frames."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=40),
    st.binary(max_size=40),
    st.datetimes(),
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=2)), timezone(timedelta(seconds=-3601))])),
    st.uuids(),
    st.decimals(allow_nan=False),
)
KEYS = st.one_of(
    st.text(max_size=10), st.integers(-(2**63), 2**64 - 1), st.booleans(), st.none(), st.binary(max_size=5)
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
ARGS = st.lists(VALUES, max_size=4)
KWARGS = st.dictionaries(st.text(max_size=8), VALUES, max_size=3)
FIDS = st.integers(1, 2**64 - 1)


def same(a: Any, b: Any) -> bool:  # noqa: PLR0911
    """Equal, types included; datetimes with their offset."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    if isinstance(a, datetime):
        return a == b and a.utcoffset() == b.utcoffset()
    if isinstance(a, Decimal):
        return str(a) == str(b)
    return bool(a == b)
