"""JSON Lines files: one JSON object a line."""

import json
from collections.abc import Iterator
from typing import ClassVar

from ttp.telemetry.event import Record, record_from_json
from ttp.telemetry.sources.record_file import RecordFile


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
            if line.isspace():
                continue
            try:
                if not line.isascii():
                    line.encode()  # refuses bytes that were no UTF-8
                record = record_from_json(json.loads(line), device=self.device, sequence=number)
            except json.JSONDecodeError as error:
                self.refuse(f"not JSON: {error.msg} at column {error.colno}", number)
            except UnicodeEncodeError:
                self.refuse("not UTF-8 text", number)
            except (ValueError, RecursionError) as error:
                self.refuse(str(error), number)
            else:
                self.line = number
                yield record
