"""This machine's live metrics."""

import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import time
from typing import Any

from ttp.telemetry.event import Record, Scalar
from ttp.telemetry.sources import check_interval


class HostSource:
    """psutil's view of CPU, memory, disks and network, one event per interval.

    The device is the host's name, and the epoch this run's start in milliseconds since 1970.
    """

    def __init__(self, *, interval: float = 1.0, count: int | None = None, clock: Callable[[], float] = time) -> None:
        import psutil  # noqa: PLC0415 - only who reads the host pays for it

        self._psutil = psutil
        self._interval = check_interval(interval)
        self._count = count
        self._clock = clock
        self._start = clock()
        self._epoch = int(self._start * 1000)
        self._taken = 0
        self._device = socket.gethostname()
        psutil.cpu_percent()  # percentages are since the call before

    @property
    def next_due(self) -> float | None:
        """When the next reading is due, in seconds since 1970; None when there is none."""
        if self._taken == self._count:
            return None
        return self._start + self._taken * self._interval

    def due(self) -> Iterator[Record]:
        """One reading, if one is due; turns that were missed are left out."""
        now = self._clock()
        at = self.next_due
        if at is None or at > now:
            return
        self._taken += 1
        late = int((now - at) / self._interval)
        self._start += late * self._interval
        yield Record(self._device, self._epoch, self._taken, datetime.fromtimestamp(now, UTC).isoformat(), self.read())

    def read(self) -> dict[str, Scalar]:
        """All metrics now, named `cpu.percent`, `memory.available` and so on; what a platform lacks is left out."""
        psutil = self._psutil
        fields: dict[str, Scalar] = {"cpu.percent": psutil.cpu_percent()}
        groups: list[tuple[str, Callable[[], Any]]] = [
            ("cpu.times", psutil.cpu_times),
            ("cpu.stats", psutil.cpu_stats),
            ("memory", psutil.virtual_memory),
            ("swap", psutil.swap_memory),
            ("disk", psutil.disk_io_counters),
            ("network", psutil.net_io_counters),
        ]
        for prefix, read in groups:
            try:
                counters = read()
            except (OSError, RuntimeError):
                continue  # containers hide some of them
            for name, value in counters._asdict().items() if counters else ():
                fields[f"{prefix}.{name}"] = value
        if hasattr(psutil, "getloadavg"):
            for minutes, load in zip((1, 5, 15), psutil.getloadavg(), strict=True):
                fields[f"load.{minutes}min"] = load
        fields["processes"] = len(psutil.pids())
        fields["uptime"] = self._clock() - psutil.boot_time()
        return fields
