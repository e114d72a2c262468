"""Open a file of recorded telemetry, whatever its format."""

import stat
from collections.abc import Callable
from pathlib import Path

from ttp.telemetry.sources.csv import CsvFile
from ttp.telemetry.sources.jsonl import JsonLinesFile
from ttp.telemetry.sources.record_file import BadRow, RecordFile


def open_file(path: Path, *, device: str | None = None, on_bad: Callable[[BadRow], None]) -> RecordFile:
    """The file as CSV or as JSON Lines: by its suffix, else by its first character.

    Raises:
        ValueError, OSError: as `RecordFile.check`.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path}: no regular file, and it is read more than once: write it to a file first")
    suffix = path.suffix.lower()
    kind: type[RecordFile] = CsvFile
    if suffix in JsonLinesFile.suffixes:
        kind = JsonLinesFile
    elif suffix not in CsvFile.suffixes:
        with path.open("rb") as file:
            if file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
                kind = JsonLinesFile
    recorded = kind(path, device=device, on_bad=on_bad)
    recorded.check()
    return recorded
