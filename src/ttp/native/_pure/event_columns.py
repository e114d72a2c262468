"""Telemetry events on their way into frames of columns."""

import struct
from collections.abc import Callable
from typing import Any, Final, final

from ttp.native._pure.codec import MAX_TASK, pack
from ttp.native._pure.column import INT64, MAX_COLUMN_ROWS, STRING, VALUE, ends
from ttp.native._pure.events import Event, Left, json_event, line_event

MAX_LINE: Final = 64 * 1024
ROW_EXTRA: Final = 64  # of a row: its numbers and headers

Columns = list[tuple[str, int, bytes, bytes, bytes, bytes]]


class _Texts:
    """Texts by number, each distinct one once."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.known: dict[bytes, int] = {}
        self.size = 0

    def append(self, text: bytes) -> None:
        if text not in self.known:
            self.known[text] = len(self.known)
            self.size += len(text) + 4
        self.codes.append(self.known[text])
        self.size += 4

    def column(self, name: str) -> tuple[str, int, bytes, bytes, bytes, bytes]:
        codes = struct.pack(f"<{len(self.codes)}I", *self.codes)
        return name, STRING, b"", codes, ends(list(self.known)), b"".join(self.known)


class _Table:
    """The events of one priority."""

    def __init__(self) -> None:
        self.device, self.timestamp = _Texts(), _Texts()
        self.epoch: list[int] = []
        self.sequence: list[int] = []
        self.fields: list[bytes] = []
        self._fields = 0  # bytes

    @property
    def size(self) -> int:
        return self.device.size + self.timestamp.size + 20 * len(self.epoch) + self._fields

    def append(self, device: bytes, epoch: int, sequence: int, timestamp: bytes, fields: bytes) -> None:
        self.device.append(device)
        self.epoch.append(epoch)
        self.sequence.append(sequence)
        self.timestamp.append(timestamp)
        self.fields.append(fields)
        self._fields += len(fields)

    def columns(self) -> Columns:
        count = len(self.epoch)
        return [
            self.device.column("device"),
            ("epoch", INT64, b"", struct.pack(f"<{count}q", *self.epoch), b"", b""),
            ("sequence", INT64, b"", struct.pack(f"<{count}q", *self.sequence), b"", b""),
            self.timestamp.column("timestamp"),
            ("fields", VALUE, b"", b"", ends(self.fields), b"".join(self.fields)),
        ]


@final
class EventColumns:
    """See `_core.pyi`."""

    def __init__(self, limit: int, /) -> None:
        if not 1 <= limit <= 1 << 18:
            raise ValueError(f"limit must be between 1 and {1 << 18}")
        self._limit = limit
        self._tables = {True: _Table(), False: _Table()}
        self._full = False

    def __len__(self) -> int:
        return sum(len(table.epoch) for table in self._tables.values())

    @property
    def full(self) -> bool:
        return self._full

    def read_json(
        self,
        data: bytes | memoryview,
        start: int,
        /,
        *,
        device: str,
        epoch: int,
        sequence: int,
        now: str,
        by_line: bool = False,
    ) -> tuple[int, int]:
        return self._read(json_event, None, data, start, device, epoch, sequence, now, by_line=by_line)

    def read_lines(
        self,
        data: bytes | memoryview,
        start: int,
        /,
        *,
        device: str,
        epoch: int,
        sequence: int,
        now: str,
        per_second: int,
    ) -> tuple[int, int]:
        if per_second not in (1, 1000, 1_000_000, 1_000_000_000):
            raise ValueError("per_second must be a power of 1000")
        return self._read(lambda line: line_event(line, per_second), b"#", data, start, device, epoch, sequence, now)

    def append(self, device: str, epoch: int, sequence: int, timestamp: str, fields: bytes, high: bool, /) -> None:
        if self._full:
            raise ValueError("the columns are full")
        for name, number in (("epoch", epoch), ("sequence", sequence)):
            if not -(2**63) <= number < 2**63:
                raise ValueError(f"{name} does not fit 64 bits")
        if not self._append(device.encode(), epoch, sequence, timestamp.encode(), fields, high=high):
            raise ValueError(f"an event may take {MAX_TASK} bytes")

    def take(self) -> list[tuple[bool, int, Columns]]:
        out = [(high, len(table.epoch), table.columns()) for high, table in self._tables.items() if table.epoch]
        self._tables = {True: _Table(), False: _Table()}
        self._full = False
        return out

    def _read(
        self,
        event_of: Callable[[bytes], Event],
        comment: bytes | None,
        data: bytes | memoryview,
        start: int,
        device: str,
        epoch: int,
        sequence: int,
        now: str,
        *,
        by_line: bool = False,
    ) -> tuple[int, int]:
        whole = bytes(data)
        if not 0 <= start <= len(whole):
            raise ValueError(f"start must be between 0 and {len(whole)}")
        while start < len(whole) and not self._full and not (by_line and sequence == 2**63 - 1):
            stop = (whole.find(b"\n", start) + 1 or len(whole) + 1) - 1
            line = whole[start:stop].strip()
            if line and not (comment and line.startswith(comment)):
                try:
                    event = event_of(line) if len(line) <= MAX_LINE else None
                except Left:
                    event = None
                if event is None or not self._take(event, device, epoch, sequence, now):
                    return start, sequence
                sequence += event.sequence is None and not by_line
            sequence += by_line
            start = min(stop + 1, len(whole))
        return start, sequence

    def _take(self, event: Event, device: str, epoch: int, sequence: int, now: str) -> bool:
        numbered = event.sequence is not None
        if not (device := event.device or device) or (not numbered and sequence == 2**63 - 1):
            return False
        if event.epoch is not None:
            epoch = event.epoch
        elif numbered:
            epoch = 0
        number = event.sequence if event.sequence is not None else sequence
        if not (timestamp := event.timestamp or now):
            return False
        fields: Any = _packed(event.fields)
        if fields is None:
            return False
        high = event.fields.get("priority") == "HIGH"
        return self._append(device.encode(), epoch, number, timestamp.encode(), fields, high=high)

    def _append(self, device: bytes, epoch: int, sequence: int, timestamp: bytes, fields: bytes, *, high: bool) -> bool:
        if len(device) + len(timestamp) + len(fields) > MAX_TASK - ROW_EXTRA:
            return False
        table = self._tables[high]
        table.append(device, epoch, sequence, timestamp, fields)
        self._full = self._full or table.size >= self._limit or len(table.epoch) == MAX_COLUMN_ROWS
        return True


def _packed(fields: dict[str, Any]) -> bytes | None:
    """None where it is larger than a task may be."""
    try:
        return pack(fields)
    except ValueError:
        return None
