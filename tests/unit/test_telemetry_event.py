"""Events and their JSON."""

import json
import sys
from datetime import UTC, datetime

import pytest

from ttp.telemetry.event import Event, Record, parse_timestamp, record_from_json

EVENT = Event(
    "temperature-0001",
    1767225600,
    7,
    datetime(2026, 1, 1, 12, 30, tzinfo=UTC),
    "temperature",
    21.668,
    "°C",
    "high",
    {"location": "room-27", "firmware_version": "1.4.2"},
)

NESTED: dict[str, object] = {}  # deeper than Python calls itself
for _ in range(sys.getrecursionlimit()):
    NESTED = {"a": NESTED}


def test_json_is_the_dialect_of_telemetryhub_and_comes_back_as_the_stored_record() -> None:
    data = EVENT.to_json()
    assert data == {
        "device_id": "temperature-0001",
        "epoch": 1767225600,
        "sequence": 7,
        "timestamp": "2026-01-01T12:30:00+00:00",
        "type": "temperature",
        "value": 21.668,
        "unit": "°C",
        "priority": "HIGH",
        "metadata": {"location": "room-27", "firmware_version": "1.4.2"},
    }
    assert record_from_json(json.loads(json.dumps(data)), device="?", sequence=0) == EVENT.record()


def test_a_value_that_could_not_be_read_is_none() -> None:
    event = Event("d", 1, 2, datetime(2026, 1, 1, tzinfo=UTC), "co2", None, "ppm", metadata={"error": "read error"})
    assert event.record().fields == {
        "co2": None, "unit": "ppm", "priority": "MEDIUM", "metadata.error": "read error",
    }  # fmt: skip


def test_an_object_with_fields_of_its_own() -> None:
    data = {"timestamp": "2026-01-01", "device": "pump", "seq": 9, "rpm": 1500, "on": True, "at": {"x": 1, "y": "a"}}
    assert record_from_json(data, device="?", sequence=0) == Record(
        "pump", 0, 9, "2026-01-01", {"rpm": 1500, "on": True, "at.x": 1, "at.y": "a"}
    )
    assert record_from_json({"timestamp": 0, "v": 1}, device="stem", sequence=4) == Record(
        "stem", 0, 4, "1970-01-01T00:00:00+00:00", {"v": 1}
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ([1], "not a JSON object but list"),
        ({"v": 1}, "no timestamp"),
        ({"timestamp": "2026-01-01"}, "no fields"),
        ({"timestamp": "soon", "v": 1}, "not an ISO 8601 timestamp: 'soon'"),
        ({"timestamp": True, "v": 1}, "not a timestamp: True"),
        ({"timestamp": "2026-01-01", "v": [1]}, "field v is a list"),
        ({"timestamp": "2026-01-01", "type": "co2", "value": "much"}, "value is not a number: 'much'"),
        ({"timestamp": "2026-01-01", "type": 5, "value": 1}, "type is not a name: 5"),
        ({"timestamp": "2026-01-01", "type": "unit", "value": 1, "unit": "s"}, "two fields are named unit"),
        ({"timestamp": "2026-01-01", "a.b": 1, "a": {"b": 2}}, "two fields are named a.b"),
        ({"timestamp": "2026-01-01", "a": NESTED}, "nested too deeply"),
        ({"timestamp": "2026-01-01", "v": 1, "device": ""}, "device is not a name: ''"),
        ({"timestamp": "2026-01-01", "v": 1, "sequence": 1.5}, "sequence is not an integer: 1.5"),
        ({"timestamp": "2026-01-01", "v": 1, "epoch": 2**63}, "epoch does not fit 64 bits"),
    ],
)
def test_what_is_no_event_says_why(data: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("(", r"\(")):
        record_from_json(data, device="d", sequence=1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2014-02-14 14:30:00", "2014-02-14 14:30:00"),
        (" 2014-02-14T14:30:00Z ", "2014-02-14T14:30:00Z"),
        ("20140214", "20140214"),
        (1392388200, "2014-02-14T14:30:00+00:00"),
        ("1392388200", "2014-02-14T14:30:00+00:00"),
        (1392388200123, "2014-02-14T14:30:00.123000+00:00"),
        ("1392123100123", "2014-02-11T12:51:40.123000+00:00"),
    ],
)
def test_timestamps_stay_as_written_and_numbers_become_utc(value: object, text: str) -> None:
    assert parse_timestamp(value) == text


@pytest.mark.parametrize("value", ["", "noon", float("nan"), float("inf"), 1e30, None, "9" * 40])
def test_what_is_no_timestamp_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not a"):
        parse_timestamp(value)
