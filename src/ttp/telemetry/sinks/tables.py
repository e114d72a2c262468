"""The tables of a sink, the same in each of them, and how events become their rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Kind = Literal["text", "integer", "real", "time"]
Rows = list[tuple[Any, ...]]
EventRow = tuple[str, int, int, str, Mapping[str, Any]]
"""The fields of a `Record`."""


@dataclass(frozen=True, eq=False, slots=True)
class Table:
    """A table by its columns.

    Attributes:
        columns: name → kind; integers have 64 bits; a time is ISO 8601 text, in UTC where it has no zone.
        key: names of the columns that identify a row: a second one of the same key adds nothing.
        merge: columns of a second row that do add something: how it is merged into the first.
    """

    name: str
    columns: Mapping[str, Kind]
    key: tuple[str, ...]
    merge: Mapping[str, Literal["sum", "min", "max"]] = field(default_factory=dict)


_EVENT: dict[str, Kind] = {
    "device": "text", "epoch": "integer", "sequence": "integer", "timestamp": "time", "field": "text",
}  # fmt: skip
_KEY = ("device", "epoch", "sequence", "field")

READINGS = Table("readings", {**_EVENT, "value": "real"}, _KEY)
"""One row per event and numeric field; true and false are 1 and 0."""
ATTRIBUTES = Table("attributes", {**_EVENT, "value": "text"}, _KEY)
"""The same for fields that are no such number: text, NaN, and integers that no float equals."""
ALERTS = Table("alerts", {**_EVENT, "value": "real", "reason": "text"}, _KEY)
"""Readings outside their limits; the reason names the limit."""
WINDOWS = Table(
    "windows",
    {
        "device": "text", "field": "text", "start": "time", "seconds": "real",
        "count": "integer", "sum": "real", "min": "real", "max": "real",
    },
    ("device", "field", "start", "seconds"),
    {"count": "sum", "sum": "sum", "min": "min", "max": "max"},
)  # fmt: skip
"""Readings of so many seconds of the device's clock, summed up."""
TABLES = (READINGS, ATTRIBUTES, ALERTS, WINDOWS)

Split = Callable[[Sequence[Any]], Mapping[Table, Rows]]
"""What makes rows of tables out of the fields of tasks."""


def split_events(events: Sequence[EventRow]) -> dict[Table, Rows]:
    """One row per field: numbers, and the rest as text."""
    readings: Rows = []
    attributes: Rows = []
    for device, epoch, sequence, timestamp, fields in events:
        for name, value in fields.items():
            if (number := as_number(value)) is not None:
                readings.append((device, epoch, sequence, timestamp, name, number))
            elif value is not None:
                attributes.append((device, epoch, sequence, timestamp, name, str(value)))
    return {READINGS: readings, ATTRIBUTES: attributes}


def as_number(value: Any) -> float | None:
    """The float that equals a number; None for all else, NaN included."""
    if type(value) is float:
        return value if value == value else None  # noqa: PLR0124 - NaN, which databases treat as nothing or as equal
    if not isinstance(value, int):
        return None
    try:
        return number if (number := float(value)) == value else None
    except OverflowError:
        return None


def as_time(timestamp: str) -> datetime:
    """A moment from ISO 8601 text, in UTC where it has no zone. ValueError if it is none."""
    moment = datetime.fromisoformat(timestamp)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
