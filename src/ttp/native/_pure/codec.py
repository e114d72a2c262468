"""MessagePack in its shortest form, and rows: the specification of docs/wire-format.md, Values and Row."""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from ttp.errors import CorruptFrame, SerializationError
from ttp.native import types

MAX_TASK = 131_072
MAX_DEPTH = 32
MAX_HOOKS = 32  # an object that the hook keeps turning into another is refused

_KEYS = (int, float, bytes, bool, type(None))


class _Refused(Exception):
    """A value cannot be encoded; the path is collected from the inside out."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = ""

    def at(self, step: object) -> "_Refused":
        self.path = f"[{step}]{self.path}"
        return self

    def error(self, root: str) -> SerializationError:
        return SerializationError(f"{root}{self.path}: {self.reason}")


class Encoder:
    """Appends values to `out`, at most MAX_TASK bytes."""

    def __init__(self) -> None:
        self.out = bytearray()
        self._hooks = 0

    def pack(self, value: Any) -> bytes:
        try:
            self._value(value, 0)
        except _Refused as refused:
            raise refused.error("value") from None
        return bytes(self.out)

    def row(self, args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> bytes:
        try:
            self._head(len(args), 0x90, 15, None, 0xDC, 0xDD)
            for i, value in enumerate(args):
                try:
                    self._value(value, 1)
                except _Refused as refused:
                    raise refused.at(i) from None
        except _Refused as refused:
            raise refused.error("args") from None
        if kwargs:
            try:
                self._map(kwargs, 0, names=True)
            except _Refused as refused:
                raise refused.error("kwargs") from None
        return bytes(self.out)

    def _write(self, data: bytes) -> None:
        if len(self.out) + len(data) > MAX_TASK:
            raise _Refused(f"larger than {MAX_TASK} bytes")
        self.out += data

    def _head(self, size: int, fix: int, fix_max: int, one: int | None, two: int, four: int) -> None:
        """A length in its shortest form."""
        if size <= fix_max:
            self._write(bytes([fix | size]))
        elif one is not None and size <= 0xFF:
            self._write(bytes([one, size]))
        elif size <= 0xFFFF:
            self._write(struct.pack(">BH", two, size))
        else:
            self._write(struct.pack(">BI", four, min(size, 0xFFFFFFFF)))

    def _value(self, value: Any, depth: int) -> None:
        kind = type(value)
        if kind is str:
            self._text(value)
        elif kind is float:
            self._write(struct.pack(">Bd", 0xCB, value))
        elif kind is int:
            self._int(value)
        elif value is None:
            self._write(b"\xc0")
        elif kind is bool:
            self._write(b"\xc3" if value else b"\xc2")
        elif kind is bytes:
            self._head(len(value), 0, -1, 0xC4, 0xC5, 0xC6)
            self._write(value)
        elif kind is dict:
            self._map(value, depth, names=False)
        elif kind in (list, tuple):
            self._array(value, depth)
        else:
            self._other(value, depth, key=False)

    def _text(self, value: str) -> None:
        try:
            data = value.encode()
        except UnicodeEncodeError:
            raise _Refused("string with lone surrogates") from None
        self._head(len(data), 0xA0, 31, 0xD9, 0xDA, 0xDB)
        self._write(data)

    def _int(self, value: int) -> None:
        if not -(2**63) <= value < 2**64:
            raise _Refused("integer does not fit 64 bits")
        if 0 <= value <= 0x7F:
            self._write(bytes([value]))
        elif -32 <= value < 0:
            self._write(bytes([value + 0x100]))
        else:
            size = next(n for n in (1, 2, 4, 8) if (-(2 ** (8 * n - 1)) if value < 0 else 0) <= value < 2 ** (8 * n))
            code = (0xD0 if value < 0 else 0xCC) + size.bit_length() - 1
            self._write(bytes([code]) + value.to_bytes(size, "big", signed=value < 0))

    def _array(self, value: Sequence[Any], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _Refused("nested too deep")
        count = len(value)
        self._head(count, 0x90, 15, None, 0xDC, 0xDD)
        for i in range(count):
            if len(value) != count:
                raise _Refused("changed while it was encoded")
            try:
                self._value(value[i], depth + 1)
            except _Refused as refused:
                raise refused.at(i) from None
        if len(value) != count:
            raise _Refused("changed while it was encoded")

    def _map(self, value: Mapping[Any, Any], depth: int, *, names: bool) -> None:
        if depth > MAX_DEPTH:
            raise _Refused("nested too deep")
        count = len(value)
        self._head(count, 0x80, 15, None, 0xDE, 0xDF)
        for key, item in list(value.items()):
            try:
                if names and type(key) is not str:
                    raise _Refused("keywords must be strings")
                self._key(key)
                self._value(item, depth + 1)
            except _Refused as refused:
                raise refused.at(_shown(key)) from None
            if len(value) != count:
                raise _Refused("changed while it was encoded")

    def _key(self, key: Any) -> None:
        if type(key) in (dict, list, tuple):
            raise _Refused(f"a map key cannot be a {type(key).__name__}")
        if type(key) is str or type(key) in _KEYS:
            self._value(key, 0)
        else:
            self._other(key, 0, key=True)

    def _other(self, value: Any, depth: int, *, key: bool) -> None:
        if self._hooks == MAX_HOOKS:
            raise _Refused("nested too deep")
        try:
            plainer = types.encode(value)
        except (TypeError, ValueError) as error:
            raise _Refused(str(error)) from None
        if type(plainer) is types.Ext:
            self._ext(plainer)
            return
        self._hooks += 1
        try:
            if key:
                self._key(plainer)
            else:
                self._value(plainer, depth)
        finally:
            self._hooks -= 1

    def _ext(self, value: types.Ext) -> None:
        size = len(value.data)
        fixed = {1: 0xD4, 2: 0xD5, 4: 0xD6, 8: 0xD7, 16: 0xD8}.get(size)
        if fixed is not None:
            self._write(bytes([fixed]))
        else:
            self._head(size, 0, -1, 0xC7, 0xC8, 0xC9)
        self._write(struct.pack("b", value.code))
        self._write(value.data)


class Decoder:
    """Reads values from bytes; every length is checked against what remains."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data).cast("B")
        self._at = 0
        self._promised = 0  # values that open containers still need, of a byte at least

    def whole(self) -> Any:
        value = self._value(0)
        if self._at != len(self._data):
            raise CorruptFrame("bytes after the value")
        return value

    def row(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        kind, count = self._token()
        if kind != "array":
            raise CorruptFrame("a row must begin with an array")
        args = tuple([self._value(1) for _ in range(count)])
        kwargs = {}
        if self._at != len(self._data):
            kind, count = self._token()
            if kind != "map":
                raise CorruptFrame("keyword arguments must be a map")
            for _ in range(count):
                kind, name = self._token()
                if kind != "str":
                    raise CorruptFrame("keyword is not a string")
                kwargs[_decoded(name)] = self._value(1)
        if self._at != len(self._data):
            raise CorruptFrame("bytes after the row")
        return args, kwargs

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise CorruptFrame("truncated value")
        self._at += size
        return bytes(self._data[self._at - size : self._at])

    def _uint(self, size: int) -> int:
        return int.from_bytes(self._take(size), "big")

    def _counted(self, kind: str, count: int) -> tuple[str, int]:
        """A container's head."""
        self._promised += count * (2 if kind == "map" else 1)
        if self._promised > len(self._data) - self._at:
            raise CorruptFrame("truncated value")
        return kind, count

    def _token(self) -> tuple[str, Any]:
        code = self._uint(1)
        self._promised = max(self._promised - 1, 0)
        if code <= 0x7F:
            return "scalar", code
        if code >= 0xE0:
            return "scalar", code - 0x100
        if code <= 0x8F:
            return self._counted("map", code & 15)
        if code <= 0x9F:
            return self._counted("array", code & 15)
        if code <= 0xBF:
            return "str", self._take(code & 31)
        if code in (0xC0, 0xC2, 0xC3):
            return "scalar", {0xC0: None, 0xC2: False, 0xC3: True}[code]
        if 0xC4 <= code <= 0xC6:
            return "scalar", self._take(self._uint(1 << (code - 0xC4)))
        if 0xC7 <= code <= 0xC9:
            return "ext", self._ext(self._uint(1 << (code - 0xC7)))
        if code == 0xCA:
            return "scalar", struct.unpack(">f", self._take(4))[0]
        if code == 0xCB:
            return "scalar", struct.unpack(">d", self._take(8))[0]
        if 0xCC <= code <= 0xCF:
            return "scalar", self._uint(1 << (code - 0xCC))
        if 0xD0 <= code <= 0xD3:
            return "scalar", int.from_bytes(self._take(1 << (code - 0xD0)), "big", signed=True)
        if 0xD4 <= code <= 0xD8:
            return "ext", self._ext(1 << (code - 0xD4))
        if 0xD9 <= code <= 0xDB:
            return "str", self._take(self._uint(1 << (code - 0xD9)))
        if code in (0xDC, 0xDD):
            return self._counted("array", self._uint(2 << (code - 0xDC)))
        if code in (0xDE, 0xDF):
            return self._counted("map", self._uint(2 << (code - 0xDE)))
        raise CorruptFrame("unknown value")

    def _ext(self, size: int) -> tuple[int, bytes]:
        code = int.from_bytes(self._take(1), "big", signed=True)
        return code, self._take(size)

    def _value(self, depth: int) -> Any:
        kind, value = self._token()
        if kind == "scalar":
            return value
        if kind == "str":
            return _decoded(value)
        if kind == "ext":
            try:
                return types.decode(*value)
            except CorruptFrame:
                raise
            except (ValueError, TypeError, ArithmeticError) as error:
                raise CorruptFrame(f"extension type {value[0]}: {error}") from None
        if depth > MAX_DEPTH:
            raise CorruptFrame("nested too deep")
        if kind == "array":
            return [self._value(depth + 1) for _ in range(value)]
        out = {}
        for _ in range(value):
            key, item = self._value(depth + 1), self._value(depth + 1)
            try:
                out[key] = item
            except TypeError:
                raise CorruptFrame("map key is not hashable") from None
        return out


def _shown(key: object) -> str:
    try:
        text = repr(key)
        text.encode()  # surrogates are no words either
    except Exception:
        return "?"
    return text


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise CorruptFrame("string is not UTF-8") from None


def pack(value: Any, /) -> bytes:
    """See `_core.pyi`."""
    return Encoder().pack(value)


def unpack(data: bytes | memoryview, /) -> Any:
    """See `_core.pyi`."""
    return Decoder(data).whole()


def encode_row(args: Sequence[Any], kwargs: dict[str, Any] | None = None, /) -> bytes:
    """See `_core.pyi`."""
    return Encoder().row(tuple(args), kwargs)


def decode_row(data: memoryview) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """(positional, keyword) arguments. CorruptFrame if it is not a row."""
    return Decoder(data).row()
