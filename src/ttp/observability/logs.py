"""How logs look: one event a line, as text or JSON; what repeats is held back; no control characters."""

import json
import logging
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final, Literal

LogFormat = Literal["console", "json"]

FIELDS: Final = ("task", "task_id", "attempt", "queue", "worker", "retried", "dead")
"""What a record may say beside its message, by `extra`."""

LONGEST = 4096  # characters of a message or field
TRACEBACK = 16_384  # characters of a traceback: its begin and its end
FRAMES = 12  # of a traceback on the console
REPEATS = 5  # alike in a period; what is beyond is counted
PERIOD = 10.0  # seconds
KINDS = 1000  # of messages that are told apart


class HoldBack(logging.Filter):
    """Lets a few alike messages of a period pass; the first of the next period says how many were held back.

    Alike are those of one logger, level and template, whatever is filled in.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, int, int], tuple[float, int]] = {}  # → begin of the period, how many since

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is shown."""
        # A template's hash, since one of a program's own may be of any length.
        now, kind = self._clock(), (record.name, record.levelno, hash(str(record.msg)))
        begun, count = self._seen.get(kind, (now, 0))
        if now - begun >= PERIOD:
            if count > REPEATS:
                record.held_back = count - REPEATS
            begun, count = now, 0
        if kind not in self._seen and len(self._seen) >= KINDS:
            self._seen.clear()
        self._seen[kind] = (begun, count + 1)
        return count < REPEATS


class Console(logging.Formatter):
    """``2026-01-31 12:00:00.000 WARNING ttp.worker [pid] message  task_id=… attempt=…``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; an exception with where it comes from, innermost first."""
        stamp = datetime.fromtimestamp(record.created).astimezone().isoformat(" ", "milliseconds")[:23]
        fields = "".join(f"  {name}={_plain(str(value))}" for name, value in _fields(record).items())
        line = f"{stamp} {record.levelname} {record.name} [{record.process}] {_plain(record.getMessage())}{fields}"
        if record.exc_info and (error := record.exc_info[1]) is not None:
            line += f"  error={_plain(_told(error))}  at={_plain(_where(error))}"
        return line


class Json(logging.Formatter):
    """One JSON object a line: time, level, logger, pid, message, then the `FIELDS` and traceback that there are."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": _clip(record.getMessage()),
            **{name: v if isinstance(v, (int, float)) else _clip(str(v)) for name, v in _fields(record).items()},
        }
        if record.exc_info:
            event["traceback"] = _ends(self.formatException(record.exc_info))
        return json.dumps(event)


def set_up(format: LogFormat, level: int, stream: IO[str]) -> None:  # noqa: A002 - as the option is called
    """Log to a stream from now on."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Json() if format == "json" else Console())
    handler.addFilter(HoldBack())
    logging.basicConfig(level=level, handlers=[handler])


def _fields(record: logging.LogRecord) -> dict[str, object]:
    names = (*FIELDS, "held_back")
    return {name: value for name in names if (value := getattr(record, name, None)) is not None and value != ""}


def _clip(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def _ends(text: str) -> str:
    """A traceback's begin, which says where, and its end, which says what."""
    half = TRACEBACK // 2
    if len(text) <= TRACEBACK:
        return text
    return f"{text[:half]}\n… ({len(text) - TRACEBACK} characters) …\n{text[-half:]}"


def _told(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # a program's own class
        return type(error).__name__


def _where(error: BaseException) -> str:
    """``worker.py:42 run < pool.py:7 main``."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))


def _plain(text: str) -> str:
    """Without characters that a terminal would obey, and on one line."""
    text = _clip(text)
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
