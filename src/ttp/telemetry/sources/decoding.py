"""One line, or one packet, of JSON to an event.

What a sender leaves out is filled in by an `Origin`. Numbers are finite floats or integers of 64 bits; anything else
is refused. Timestamps may repeat and run backwards: (device, epoch, sequence) identify an event.
"""

import json
import math
import threading
from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime
from time import time
from typing import Any

from ttp.telemetry.event import Record, check_integer, record_from_json
from ttp.telemetry.sources.intake import Malformed


class Origin:
    """What events get that do not say it themselves.

    The epoch is the start of the receiver in milliseconds since 1970, and the sequence counts its events, so
    that no two of them are taken for one.

    Args:
        device: of events that name none.
        clock: seconds since 1970; the time of receipt, for events without a timestamp.
    """

    def __init__(self, device: str, *, clock: Callable[[], float] = time) -> None:
        self.device = device
        self.epoch = int(clock() * 1000)
        self._clock = clock
        self._numbers = _Numbers()

    def of(self, device: str) -> "Origin":
        """The same for another device; they share the sequence."""
        other = copy(self)
        other.device = device
        return other

    def sequence(self) -> int:
        """The next one."""
        with self._numbers.lock:
            self._numbers.next += 1
            return self._numbers.next - 1

    def fill(self, read: Callable[..., tuple[int, int]], data: bytes, start: int, **options: int) -> int:
        """Let a method of `EventColumns` read lines, and fill in what they leave out; where it ended."""
        with self._numbers.lock:
            numbers, now = self._numbers, self.now()
            at, numbers.next = read(
                data, start, device=self.device, epoch=self.epoch, sequence=numbers.next, now=now, **options
            )
        return at

    def now(self) -> str:
        """The time of receipt, as ISO 8601."""
        return datetime.fromtimestamp(self._clock(), UTC).isoformat()


class _Numbers:
    """Sequence numbers that several origins share."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.next = 0


def decode_json(line: bytes, origin: Origin) -> Record:
    """An event in one JSON object, or in a bare number. Malformed if it is none."""
    return record_of(parse_json(line), origin)


def parse_json(data: bytes) -> Any:
    """Any JSON value; NaN and infinities are none. Malformed if it is not JSON."""
    try:
        return json.loads(data.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise Malformed("not_utf8", f"not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise Malformed("not_json", f"not JSON: {error.msg} at column {error.colno}") from None
    except RecursionError:
        raise Malformed("not_json", "nested too deeply") from None
    except Malformed:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise Malformed("out_of_range", str(error)) from None


def record_of(value: object, origin: Origin) -> Record:
    """An event in a JSON value that was parsed."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = {"value": value}
    data: object = value
    if isinstance(value, dict):
        data = dict[str, Any](value)
        data.setdefault("timestamp", origin.now())
        data.setdefault("epoch", origin.epoch if not _numbered(data) else 0)
    try:
        record = record_from_json(data, device=origin.device, sequence=-1)
    except ValueError as error:
        raise Malformed("no_event", str(error)) from None
    if record.sequence == -1 and not _numbered(data):
        record.sequence = origin.sequence()
    return check_fields(record)


def _numbered(data: object) -> bool:
    return isinstance(data, dict) and not data.keys().isdisjoint(("sequence", "sequence_id", "seq"))


def _refuse_constant(name: str) -> None:
    raise Malformed("not_finite", f"{name} is not JSON")


def check_fields(record: Record) -> Record:
    """The event, if its numbers and texts are such; else Malformed."""
    for name, value in record.fields.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise Malformed("not_finite", f"field {name} is {value}")
        if isinstance(value, int):
            try:
                check_integer(name, int(value))
            except ValueError as error:
                raise Malformed("out_of_range", str(error)) from None
        for text in (name, value):
            if isinstance(text, str) and not text.isascii():
                _check_text(text)
    if not record.device.isascii():
        _check_text(record.device)
    return record


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Malformed("not_utf8", "half of a surrogate pair") from None
