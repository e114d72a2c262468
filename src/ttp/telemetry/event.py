"""Telemetry events: as devices send them, and as they are stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ttp.task import Priority

Scalar = float | int | str | bool | None

# The dialect of TelemetryHub's load tests: it says MEDIUM where this library says normal.
PRIORITY_NAMES: dict[Priority, str] = {"high": "HIGH", "normal": "MEDIUM", "low": "LOW"}

_DEVICE_KEYS = ("device_id", "device")
_SEQUENCE_KEYS = ("sequence", "sequence_id", "seq")
_IDENTITY_KEYS = frozenset((*_DEVICE_KEYS, *_SEQUENCE_KEYS, "epoch", "timestamp"))
_MILLISECONDS_FROM = 1e11  # a number of seconds this large lies in the year 5138


@dataclass(slots=True)
class Record:
    """One event as it travels and is stored: who, which one, when, and its fields by name.

    (device, epoch, sequence) identify an event; timestamps repeat and run backwards.

    Attributes:
        device: name of the device.
        epoch: of the device's boot; its sequence starts anew with each.
        sequence: of the event within the epoch.
        timestamp: ISO 8601, as the source wrote it.
        fields: numbers and text by field name; None means that there is no value.
    """

    device: str
    epoch: int
    sequence: int
    timestamp: str
    fields: dict[str, Scalar]

    def to_json(self) -> dict[str, Any]:
        """As one flat JSON object."""
        return {
            "device_id": self.device,
            "epoch": self.epoch,
            "sequence": self.sequence,
            "timestamp": self.timestamp,
            **self.fields,
        }


@dataclass(slots=True)
class Event:
    """One value of one sensor, as a TelemetryHub device sends it.

    Attributes:
        device, epoch, sequence: as in `Record`.
        timestamp: by the device's clock, aware.
        type: what is measured, as "temperature".
        value: in `unit`; None where the sensor could not be read.
        metadata: further text by name.
    """

    device: str
    epoch: int
    sequence: int
    timestamp: datetime
    type: str
    value: float | None
    unit: str
    priority: Priority = "normal"
    metadata: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object in the dialect of TelemetryHub, with epoch and sequence added."""
        return {
            "device_id": self.device,
            "epoch": self.epoch,
            "sequence": self.sequence,
            "timestamp": self.timestamp.isoformat(),
            "type": self.type,
            "value": self.value,
            "unit": self.unit,
            "priority": PRIORITY_NAMES[self.priority],
            "metadata": dict(self.metadata),
        }

    def record(self) -> Record:
        """As it is stored: the value under its type's name, and unit, priority and metadata beside it."""
        fields: dict[str, Scalar] = {self.type: self.value, "unit": self.unit}
        fields["priority"] = PRIORITY_NAMES[self.priority]
        for name, text in self.metadata.items():
            fields[f"metadata.{name}"] = text
        return Record(self.device, self.epoch, self.sequence, self.timestamp.isoformat(), fields)


def record_from_json(data: object, *, device: str, sequence: int) -> Record:
    """Read an event from a JSON object: in the dialect of `Event.to_json`, or with any fields of its own.

    Objects inside it are flattened (`metadata.location`); lists are refused.

    Args:
        device, sequence: taken where the object names none.

    Raises:
        ValueError: it is no event; the message says why.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"not a JSON object but {type(data).__name__}")
    name = _first(data, _DEVICE_KEYS, device)
    if not isinstance(name, str) or not name:
        raise ValueError(f"device is not a name: {name!r}")
    if "timestamp" not in data:
        raise ValueError("no timestamp")
    fields: dict[str, Scalar] = {}
    rest = {key: value for key, value in data.items() if key not in _IDENTITY_KEYS}
    if "type" in rest and "value" in rest:
        kind, value = rest.pop("type"), rest.pop("value")
        if not isinstance(kind, str) or not kind:
            raise ValueError(f"type is not a name: {kind!r}")
        if value is not None and not isinstance(value, int | float):
            raise ValueError(f"value is not a number: {value!r}")
        fields[kind] = value
    try:
        _flatten("", rest, fields)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not fields:
        raise ValueError("no fields")
    return Record(
        name,
        check_integer("epoch", data.get("epoch", 0)),
        check_integer("sequence", _first(data, _SEQUENCE_KEYS, sequence)),
        parse_timestamp(data["timestamp"]),
        fields,
    )


def parse_timestamp(value: object) -> str:
    """Check a timestamp and return it as ISO 8601 text.

    ISO text stays as it is. A number, or text of digits, counts seconds since 1970 (milliseconds from 1e11 on)
    and becomes UTC.

    Raises:
        ValueError: it is no timestamp.
    """
    if isinstance(value, str):
        text = value.strip()
        if not (text.isdigit() and len(text) != len("YYYYMMDD")):
            try:
                datetime.fromisoformat(text)
            except ValueError:
                raise ValueError(f"not an ISO 8601 timestamp: {value!r}") from None
            return text
        value = int(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"not a timestamp: {value!r}")
    try:
        return datetime.fromtimestamp(value / 1000 if abs(value) >= _MILLISECONDS_FROM else value, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"not a timestamp: {value!r}") from None


def check_integer(name: str, value: object) -> int:
    """The value, if it is an integer of 64 bits; else ValueError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{name} is not an integer: {value!r}")
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{name} does not fit 64 bits: {value}")
    return value


def _first(data: Mapping[str, Any], names: tuple[str, ...], default: object) -> object:
    return next((data[name] for name in names if name in data), default)


def _flatten(prefix: str, data: Mapping[str, Any], fields: dict[str, Scalar]) -> None:
    for name, value in data.items():
        if isinstance(value, Mapping):
            _flatten(f"{prefix}{name}.", value, fields)
        elif value is None or isinstance(value, str | int | float):
            if prefix + name in fields:
                raise ValueError(f"two fields are named {prefix + name}")
            fields[prefix + name] = value
        else:
            raise ValueError(f"field {prefix}{name} is a {type(value).__name__}")
