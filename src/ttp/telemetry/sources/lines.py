"""Lines to columns: plain ones natively, from the buffer they came in; the others by a decoder that knows all forms."""

from collections.abc import Iterator
from typing import Protocol

from ttp.native import EventColumns
from ttp.telemetry.event import Record
from ttp.telemetry.sources.decoding import Origin, decode_json
from ttp.telemetry.sources.intake import Intake, Malformed, add, new_columns

MAX_LINE = 64 * 1024  # bytes; longer ones are refused
LONGEST = 1024 * 1024  # bytes that are read before what was good among them is sent, however little it was


class Format(Protocol):
    """How events are written in lines."""

    def read(self, columns: EventColumns, data: bytes, start: int, origin: Origin) -> int:
        """Take the plain lines from `start` on. Returns where it ended, as the methods of `EventColumns`."""
        ...

    def decode(self, line: bytes, origin: Origin) -> Record:
        """The event in any line. Malformed if it is none."""
        ...


class JsonLines:
    """A JSON object, or a bare number, a line."""

    def read(self, columns: EventColumns, data: bytes, start: int, origin: Origin) -> int:
        return origin.fill(columns.read_json, data, start)

    def decode(self, line: bytes, origin: Origin) -> Record:
        return decode_json(line, origin)


JSON_LINES = JsonLines()


class Refuser(Protocol):
    """Where lines go that are no events: an `Intake`."""

    def refuse(self, error: Malformed, raw: bytes) -> None:
        """Count one."""
        ...


def read_lines(data: bytes, form: Format, origin: Origin, refuser: Refuser) -> Iterator[EventColumns]:
    """The events in whole lines, in order, as columns of a frame each; the other lines are refused."""
    columns = new_columns()
    yield from fill(columns, data, form, origin, refuser)
    if len(columns):
        yield columns


def fill(columns: EventColumns, data: bytes, form: Format, origin: Origin, refuser: Refuser) -> Iterator[EventColumns]:
    """Add the events in whole lines. Yields the columns each time they are full: whoever gets them empties them."""
    at = 0
    while at < len(data):
        at = form.read(columns, data, at, origin)
        if not columns.full and at < len(data):
            end = data.find(b"\n", at) + 1 or len(data) + 1
            line = data[at : end - 1].strip()
            at = min(end, len(data))
            take_line(columns, line, form, origin, refuser)
        if columns.full:
            yield columns


def take_line(columns: EventColumns, line: bytes, form: Format, origin: Origin, refuser: Refuser) -> None:
    """Add the event in a line that is not plain, or refuse the line."""
    try:
        if len(line) > MAX_LINE:
            raise Malformed("too_long", f"a line of more than {MAX_LINE:,} bytes")
        add(columns, form.decode(line, origin))
    except Malformed as error:
        refuser.refuse(error, line)


class Stream:
    """Lines that come in pieces of any size; holds at most one unfinished line of `MAX_LINE` bytes.

    Frames fill while more is there to be read, and are not waited for when there is not: under little load an event
    leaves at once, and a pipe that hands out little at a time does not make small frames.
    """

    def __init__(self, form: Format, origin: Origin, intake: Intake) -> None:
        self._form = form
        self._origin = origin
        self._intake = intake
        self._columns = new_columns()
        self._read = 0  # bytes since the last push
        self._rest = b""
        self._skipping = False  # the rest of a line that was too long

    def feed(self, chunk: bytes, *, more: bool = False) -> None:
        """Send the events in the lines that end in this piece. Returns before they are accepted: see `Intake.push`.

        Args:
            more: the next piece is there, so that those which do not fill a frame go with its events.
        """
        end = chunk.rfind(b"\n") + 1
        lines, rest = self._rest + chunk[:end], chunk[end:]
        if not end:
            lines, rest = b"", lines + rest
        if self._skipping and lines:
            lines = lines[lines.index(b"\n") + 1 :]
            self._skipping = False
        self._take(lines)
        if self._skipping:
            rest = b""
        elif len(rest) > MAX_LINE:
            self._intake.refuse(Malformed("too_long", f"a line of more than {MAX_LINE:,} bytes"), rest)
            self._skipping = True
            rest = b""
        self._rest = rest
        self._read += len(chunk)
        if not more or self._read >= LONGEST:
            self.push()

    def push(self) -> None:
        """Send what was held for a full frame."""
        self._read = 0
        if len(self._columns):
            self._intake.push(self._columns)

    def end(self) -> None:
        """Nothing more comes: a last line needs no end. Returns when the server has accepted all."""
        lines, self._rest = self._rest, b""
        self._take(lines)
        self.push()
        self._intake.settle()

    def _take(self, lines: bytes) -> None:
        for columns in fill(self._columns, lines, self._form, self._origin, self._intake):
            self._read = 0
            self._intake.push(columns)
