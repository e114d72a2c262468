"""Influx line protocol: `measurement,tag=value field=1.5,other=2i 1700000000000000000`.

The device is the tag device, device_id or host, else the measurement. Fields are named `measurement.field`, and
tags, but for the device's, `tag.name`. Tags epoch and sequence number an event that has them.
"""

import re
from datetime import UTC, datetime, timedelta

from ttp.native import EventColumns
from ttp.telemetry.event import Record, Scalar, check_integer
from ttp.telemetry.sources.decoding import Origin
from ttp.telemetry.sources.intake import Malformed

DEVICE_TAGS = ("device", "device_id", "host")
PRECISIONS = {"ns": 1_000_000_000, "n": 1_000_000_000, "us": 1_000_000, "u": 1_000_000, "ms": 1000, "s": 1}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BOOLEANS = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}
_KEY_ENDS = {"measurement": ", ", "tag": "=", "tag value": ", ", "field": "="}


class LineProtocol:
    """Influx line protocol; lines that begin with # are comments.

    Args:
        precision: what timestamps count: ns, us, ms or s. ValueError if it is another.
    """

    def __init__(self, precision: str = "ns") -> None:
        if (per_second := PRECISIONS.get(precision)) is None:
            raise ValueError(f"precision must be one of ns, us, ms, s, not {precision!r}")
        self._per_second = per_second

    def read(self, columns: EventColumns, data: bytes, start: int, origin: Origin) -> int:
        """Take the plain lines from `start` on: see `Format`."""
        return origin.fill(columns.read_lines, data, start, per_second=self._per_second)

    def decode(self, line: bytes, origin: Origin) -> Record:
        """The event in a line. Malformed if it is none."""
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise Malformed("not_utf8", f"not UTF-8 at byte {error.start}") from None
        return _Line(text).record(origin, self._per_second)


class _Line:
    """One line, and how far it is read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def record(self, origin: Origin, per_second: int) -> Record:
        measurement = self._name("measurement")
        tags: dict[str, str] = {}
        while self._next() == ",":
            self._at += 1
            name = self._name("tag")
            self._expect("=")
            tags[name] = self._name("tag value")
        self._expect(" ")
        fields: dict[str, Scalar] = {}
        while True:
            name = self._name("field")
            self._expect("=")
            fields[f"{measurement}.{name}"] = self._value(name)
            if self._next() != ",":
                break
            self._at += 1
        stamp = self._text[self._at :].strip()
        device = next((tags.pop(name) for name in DEVICE_TAGS if name in tags), measurement)
        numbered = "sequence" in tags
        epoch = self._integer("epoch", tags.pop("epoch", "0" if numbered else str(origin.epoch)))
        sequence = self._integer("sequence", tags.pop("sequence")) if numbered else origin.sequence()
        fields.update((f"tag.{name}", value) for name, value in tags.items())
        return Record(device, epoch, sequence, self._timestamp(stamp, per_second) if stamp else origin.now(), fields)

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _expect(self, character: str) -> None:
        if self._next() != character:
            what = "a space" if character == " " else repr(character)
            raise self._wrong(f"{what} expected")
        self._at += 1

    def _wrong(self, what: str) -> Malformed:
        return Malformed("not_line_protocol", f"{what} at column {self._at + 1}")

    def _name(self, kind: str) -> str:
        """Text up to an unescaped end; a backslash before one of `,= ` takes it literally."""
        ends, text, at = _KEY_ENDS[kind], self._text, self._at
        out: list[str] = []
        while at < len(text) and (c := text[at]) not in ends:
            if c == " ":
                break
            if c == "\\" and text[at + 1 : at + 2] in {",", "=", " "}:
                at += 1
                c = text[at]
            out.append(c)
            at += 1
        self._at = at
        if not out:
            raise self._wrong(f"{kind} expected")
        return "".join(out)

    def _value(self, name: str) -> Scalar:
        if self._next() == '"':
            return self._quoted()
        end = self._at
        while end < len(self._text) and self._text[end] not in ", ":
            end += 1
        token, self._at = self._text[self._at : end], end
        if token in _BOOLEANS:
            return _BOOLEANS[token]
        if token[-1:] in {"i", "u"}:
            return self._integer(name, token[:-1])
        if token.lower().lstrip("+-") in {"nan", "inf", "infinity"}:
            raise Malformed("not_finite", f"field {name} is {token}")
        if not _NUMBER.fullmatch(token) or not token.isascii():
            raise self._wrong(f"field {name} is no value")
        if (value := float(token)) in {float("inf"), float("-inf")}:
            raise Malformed("out_of_range", f"field {name} does not fit a float: {token[:40]}")
        return value

    def _quoted(self) -> str:
        out: list[str] = []
        at = self._at + 1
        while at < len(self._text) and (c := self._text[at]) != '"':
            if c == "\\" and self._text[at + 1 : at + 2] in {'"', "\\"}:
                at += 1
                c = self._text[at]
            out.append(c)
            at += 1
        if at == len(self._text):
            raise self._wrong("a string without an end begins")
        self._at = at + 1
        return "".join(out)

    def _integer(self, name: str, token: str) -> int:
        digits = token.removeprefix("-").removeprefix("+")
        if not (digits.isascii() and digits.isdigit()):
            raise self._wrong(f"{name} is not an integer")
        try:
            return check_integer(name, int(token))
        except ValueError as error:
            raise Malformed("out_of_range", str(error)[:120]) from None

    def _timestamp(self, text: str, per_second: int) -> str:
        count = self._integer("timestamp", text)
        try:
            return (EPOCH + timedelta(microseconds=count * 1_000_000 // per_second)).isoformat()
        except OverflowError:
            raise Malformed("out_of_range", f"no date has the timestamp {count}") from None
