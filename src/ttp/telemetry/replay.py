"""Replay: recorded files through the server into a sink, each event once."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from ttp.telemetry.delivery import Delivery, Summary
from ttp.telemetry.recording import Recording
from ttp.telemetry.sources.files import open_file
from ttp.telemetry.sources.record_file import BadRow, RecordFile

MIN_SPEED = 1e-6


def parse_speed(text: str) -> float:
    """`full`, `original`, or how many times faster than recorded, as a number. ValueError if it is none."""
    if text == "full":
        return math.inf
    if text == "original":
        return 1.0
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = math.nan
    if not speed >= MIN_SPEED:
        raise ValueError(f"speed must be full, original or a factor of at least {MIN_SPEED:f}, not {text!r}")
    return speed


def open_files(
    paths: Sequence[Path], *, device: str | None = None, on_bad: Callable[[BadRow], None]
) -> list[RecordFile]:
    """Open files for a replay.

    Args:
        device: of the events that name none, for a single file; default: each file's stem.

    Raises:
        ValueError: a file cannot hold events, or two of them would be the same device.
        OSError: one cannot be read.
    """
    if device is not None and len(paths) > 1:
        raise ValueError("a device can be given for a single file only: events of several would share its sequence")
    files = [open_file(path, device=device, on_bad=on_bad) for path in paths]
    seen: dict[str, Path] = {}
    for file in files:
        if (other := seen.setdefault(file.device, file.path)) is not file.path:
            raise ValueError(
                f"{other} and {file.path} would both be device {file.device!r}: replay them one by one, with a device"
            )
    return files


def replay(
    files: Sequence[RecordFile], delivery: Delivery, *, speed: float = math.inf, clock: Callable[[], float] = monotonic
) -> Summary:
    """Send the files' events, store them, and return when all are stored.

    Args:
        speed: as in `Recording`.

    Raises:
        ServerUnavailable: as `Delivery.run`.
    """
    recording = Recording(files, speed=speed, clock=clock)
    return delivery.run(recording, clock=clock, on_refused=recording.refuse)
