"""JSON Lines files: one JSON object a line."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import ClassVar

from ttp.native import EventColumns
from ttp.telemetry.event import Record, record_from_json
from ttp.telemetry.sources.decoding import check_fields, parse_json
from ttp.telemetry.sources.intake import new_columns
from ttp.telemetry.sources.record_file import RecordFile

PIECE = 1024 * 1024  # bytes that are read at once


class JsonLinesFile(RecordFile):
    """Objects in the dialect of `ttp.telemetry.event`, or with fields of their own.

    An object without a device belongs to the file's stem; one without a sequence takes the line's number.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".json")

    def check(self) -> None:
        with self._open():
            pass

    def parse(self, lines: Iterator[str]) -> Iterator[Record]:
        for number, line in enumerate(lines, 1):
            if (record := self._record(line, number)) is not None:
                yield record

    def batches(self) -> Iterator[EventColumns]:
        columns, number = new_columns(), 1
        for data in self._pieces():
            at = 0
            while at < len(data):
                before = len(columns)
                at, number = columns.read_json(
                    data, at, device=self.device, epoch=0, sequence=number, now="", by_line=True
                )
                self.events += len(columns) - before
                if not columns.full and at < len(data):  # a line that is not plain, or no event
                    end = data.find(b"\n", at) + 1 or len(data)
                    record = self._record(data[at:end].decode(errors="surrogateescape"), number)
                    at, number = end, number + 1
                    if record is not None:
                        self.events += 1
                        self.add(columns, record)
                if columns.full:
                    yield columns
        if len(columns):
            yield columns

    def _pieces(self) -> Iterator[bytes]:
        """Whole lines."""
        with self.path.open("rb") as file:
            data = file.read(PIECE).removeprefix(BOM_UTF8)
            while data:
                yield data + file.readline()
                data = file.read(PIECE)

    def _record(self, line: str, number: int) -> Record | None:
        """The event in a line; None where there is none, which is reported unless the line is empty."""
        if not line or line.isspace():
            return None
        try:
            value = parse_json(line.encode(errors="surrogateescape"))
            record = check_fields(record_from_json(value, device=self.device, sequence=number))
        except ValueError as error:
            self.refuse(str(error), number)
        else:
            self.line = number
            return record
        return None
