"""Files and timed sources as receivers: everything `ttp ingest` reads is one."""

from collections.abc import Callable, Sequence
from itertools import chain
from time import time

from ttp.telemetry.delivery import play
from ttp.telemetry.event import Event, Record
from ttp.telemetry.sources import Source
from ttp.telemetry.sources.intake import Intake
from ttp.telemetry.sources.record_file import RecordFile


class FileReceiver:
    """Reads CSV and JSON Lines files to their end. The same file gives the same events every time."""

    def __init__(self, files: Sequence[RecordFile]) -> None:
        self._files = files

    def serve(self, intake: Intake) -> None:
        """Until the end, or `stopping`."""
        for columns in chain.from_iterable(file.batches() for file in self._files):
            intake.push(columns)
            if intake.stopping.is_set():
                break
        intake.settle()


class TimedReceiver:
    """Takes the events of a source when they are due."""

    def __init__(self, source: Source[Record] | Source[Event], *, clock: Callable[[], float] = time) -> None:
        self._source = source
        self._clock = clock

    def serve(self, intake: Intake) -> None:
        """Until the source ends, or `stopping`."""

        def emit(event: Event | Record) -> None:
            intake.take([event.record() if isinstance(event, Event) else event])

        play(self._source, emit, clock=self._clock, stopping=intake.stopping)
