"""Where telemetry goes. A sink stores events and the ids of their tasks in one transaction."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ttp.claims import Range
from ttp.errors import TtpError
from ttp.telemetry.sinks.tables import Split, split_events


class SinkError(TtpError):
    """The sink cannot be used: the message names it and says why."""


class SinkUnavailable(SinkError):
    """The sink cannot be used now: the database is away, locked or full. Worth another attempt."""


class Sink(Protocol):
    """Stores what becomes of each task once, however often the task is delivered.

    May be shared by threads, and by processes that fork.

    Attributes:
        kind: of sink, as in `open_sink`.
        id: of what is stored into, random, made with it.
        location: where it is, for people; without a password.
        events: tasks stored by this object so far.
        redelivered: tasks left out because they were stored before.
        rows: rows written.
        repeated: rows left out because one of the same key is there.
    """

    events: int
    redelivered: int
    rows: int
    repeated: int

    @property
    def kind(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def location(self) -> str: ...

    def store(self, ranges: Iterable[Range], rows: Sequence[Any], split: Split = split_events) -> None:
        """Store tasks in one transaction, those left out that are stored already.

        Args:
            ranges: the ids of the tasks, in the order of the rows.
            rows: one per task: its fields, for events those of a `Record`.
            split: what becomes of the fields of the tasks that are new.

        Raises:
            ValueError: the ranges do not cover the rows.
            SinkUnavailable: not now; nothing of it was stored.
            Exception: the database refuses these rows; nothing of it was stored.
        """
        ...

    def close(self) -> None:
        """Close it, all of it on the disk; a later `store` opens it again."""
        ...


def open_sink(target: str) -> Sink:
    """The sink of a target: `sqlite:PATH`, `postgres:URL` or `parquet:DIR`.

    Raises:
        SinkError: the target is none of these, an extra is missing, or what is there is no sink.
    """
    kind, _, rest = target.partition(":")
    if kind == "sqlite" and rest and not rest.startswith("//"):
        from ttp.telemetry.sinks.sqlite import SqliteSink  # noqa: PLC0415 - only what is used

        return SqliteSink(rest)
    if kind in ("postgres", "postgresql") and rest:
        from ttp.telemetry.sinks.postgres import PostgresSink  # noqa: PLC0415 - only what is used

        return PostgresSink(target if rest.startswith("//") else rest)
    if kind == "parquet" and rest and not rest.startswith("//"):
        from ttp.telemetry.sinks.parquet import ParquetSink  # noqa: PLC0415 - only what is used

        return ParquetSink(rest)
    # The rest of the target may hold a password, so it is not shown.
    raise SinkError(
        f"unknown target {kind!r}: expected sqlite:PATH, postgres:URL or parquet:DIR, as in sqlite:telemetry.db"
    )


def check_cover(ranges: Sequence[Range], rows: Sequence[Any]) -> None:
    """ValueError unless the ranges are the ids of so many rows."""
    if sum(last - first + 1 for _, first, last in ranges) != len(rows):
        raise ValueError(f"{ranges} are not the ids of {len(rows)} rows")
