"""Which lines are plain events, and what they say: the specification of csrc/ttp/json_event.hpp and line_event.hpp."""

import json
import math
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from ttp.native._pure.codec import MAX_TASK

MAX_FIELDS: Final = 64
MAX_LEVELS: Final = 8
DEVICE = ("device_id", "device")
SEQUENCE = ("sequence", "sequence_id", "seq")
DEVICE_TAGS = ("device", "device_id", "host")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"(\+|-)?[0-9]{1,19}")
_BOOLEANS = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}


class Left(Exception):
    """This line is not plain."""


class Event(NamedTuple):
    """What a line says; None where it does not say it."""

    device: str | None
    epoch: int | None
    sequence: int | None
    timestamp: str | None
    fields: dict[str, Any]


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object, in order, repeated ones too."""


def json_event(line: bytes) -> Event:
    """An event in a JSON object. Left if it is none, or not plain."""
    if not line.startswith(b"{"):
        raise Left
    try:
        data = json.loads(
            line.decode(), parse_constant=_leave, parse_int=_integer, parse_float=_float, object_pairs_hook=_Members
        )
    except (ValueError, RecursionError):
        raise Left from None
    said: dict[str, Any] = {}
    members = _Members()
    for name, value in data:
        group = "device" if name in DEVICE else "sequence" if name in SEQUENCE else name
        if group in ("device", "sequence", "epoch", "timestamp"):
            _leave_if(group in said or (type(value) is not int if group in ("sequence", "epoch") else not _text(value)))
            said[group] = value
        else:
            members.append((name, value))
    if "timestamp" in said:
        _leave_if(not _is_timestamp(said["timestamp"]))
    flat = _flattened(members)
    top = dict(members)
    if "type" in top and "value" in top:
        kind, value = top["type"], top["value"]
        _leave_if(not _text(kind) or not kind or not (value is None or isinstance(value, int | float)))
        rest = {name: text for name, text in flat.items() if name not in ("type", "value")}
        _leave_if(kind in rest or kind in _objects(members))
        flat = {kind: value, **rest}
    _leave_if(not flat or said.get("device") == "")
    return Event(said.get("device"), said.get("epoch"), said.get("sequence"), said.get("timestamp"), flat)


def _flattened(members: _Members) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    names: set[str] = set()
    room = MAX_TASK
    for name, value in _walk("", members, 0):
        _leave_if(name in names or len(names) == MAX_FIELDS)
        names.add(name)
        room -= len(name.encode("utf-8", "surrogatepass"))
        _leave_if(room < 0)
        if isinstance(value, _Members):
            continue
        _leave_if(isinstance(value, list) or (isinstance(value, str) and not _text(value)) or not _text(name))
        fields[name] = value
    return fields


def _objects(members: _Members) -> set[str]:
    return {name for name, value in _walk("", members, 0) if isinstance(value, _Members)}


def _walk(prefix: str, members: _Members, level: int) -> Iterator[tuple[str, Any]]:
    """Flattened names and values of members, objects included."""
    _leave_if(level > MAX_LEVELS)
    for name, value in members:
        yield prefix + name, value
        if isinstance(value, _Members):
            _leave_if(not name)
            yield from _walk(f"{prefix}{name}.", value, level + 1)


def line_event(line: bytes, per_second: int) -> Event:
    """An event in a line of Influx line protocol. Left if it is none, or not plain."""
    try:
        rest = line.decode()
    except ValueError:
        raise Left from None
    measurement, rest = _name(rest, ", ")
    tags: dict[str, str] = {}
    fields: dict[str, Any] = {}
    while rest.startswith(","):
        name, rest = _name(rest[1:], "=")
        value, rest = _name(_after("=", rest), ", ")
        _leave_if(name in tags or len(tags) == MAX_FIELDS)
        tags[name] = value
    rest = "," + _after(" ", rest)
    while rest.startswith(","):
        name, rest = _name(rest[1:], "=")
        _add(fields, f"{measurement}.{name}", None)
        fields[f"{measurement}.{name}"], rest = _value(_after("=", rest))
    stamp = rest.lstrip(" ")
    timestamp = _timestamp(_integer(stamp), per_second) if stamp else None
    device = next((tags.pop(name) for name in DEVICE_TAGS if name in tags), measurement)
    numbers = {name: _integer(tags.pop(name)) if name in tags else None for name in ("epoch", "sequence")}
    for name, text in tags.items():
        _add(fields, f"tag.{name}", text)
    return Event(device, numbers["epoch"], numbers["sequence"], timestamp, fields)


def _add(fields: dict[str, Any], name: str, value: Any) -> None:
    _leave_if(name in fields or len(fields) == MAX_FIELDS)
    fields[name] = value


def _after(character: str, text: str) -> str:
    _leave_if(not text.startswith(character))
    return text[1:]


def _name(text: str, ends: str) -> tuple[str, str]:
    """Text up to an unescaped end or space, and the rest."""
    out, at = "", 0
    while at < len(text) and text[at] not in ends and text[at] != " ":
        if text[at] == "\\" and text[at + 1 : at + 2] in {",", "=", " "}:
            at += 1
        out += text[at]
        at += 1
    _leave_if(not out)
    return out, text[at:]


def _value(text: str) -> tuple[Any, str]:
    """A field's value, and the rest."""
    if text.startswith('"'):
        out, at = "", 1
        while text[at : at + 1] not in ("", '"'):
            if text[at] == "\\" and text[at + 1 : at + 2] in {'"', "\\"}:
                at += 1
            out += text[at]
            at += 1
        _leave_if(at == len(text) or text[at + 1 : at + 2] not in ("", ",", " "))
        return out, text[at + 1 :]
    token = re.split("[, ]", text, maxsplit=1)[0]
    rest = text[len(token) :]
    if token in _BOOLEANS:
        return _BOOLEANS[token], rest
    if token[-1:] in ("i", "u"):
        return _integer(token[:-1]), rest
    _leave_if(not _DECIMAL.fullmatch(token))
    return _float(token), rest


def _timestamp(count: int, per_second: int) -> str:
    try:
        return (EPOCH + timedelta(microseconds=count * 1_000_000 // per_second)).isoformat()
    except OverflowError:
        raise Left from None


def _is_timestamp(text: str) -> bool:
    if not _TIMESTAMP.fullmatch(text) or text[11:13] == "24":
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _text(value: Any) -> bool:
    """Whether it is text without halves of surrogate pairs."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _integer(text: str) -> int:
    _leave_if(not _INTEGER.fullmatch(text))
    value = int(text)
    _leave_if(not -(2**63) <= value < 2**63)
    return value


def _float(text: str) -> float:
    value = float(text)
    zero = not any(digit in "123456789" for digit in re.split("[eE]", text)[0])
    _leave_if(not math.isfinite(value) or (abs(value) < sys.float_info.min and not zero))
    return value


def _leave(_: str) -> None:
    raise Left


def _leave_if(wrong: object) -> None:
    if wrong:
        raise Left
