"""One TelemetryHub device, simulated: its states, its commands, and its samples as a source of events."""

import math
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import Random
from time import time
from typing import Literal

from ttp.telemetry.event import Event

DeviceState = Literal["Idle", "Measuring", "Error", "SafeState"]

INTERVALS_MS = range(10, 10_001)  # what SET_RATE takes
UNIT = "arb.units"
MAX_ERRORS = 3  # read errors in a row that lead to SafeState


class HubDevice:
    """Samples of 42 + sin(sequence / 10) + N(0, 0.1), one per interval while it measures.

    A read error puts it into Error, the next good sample back into Measuring; three errors in a row into
    SafeState, which only a reset ends. `start`, CALIBRATE and a reset restart the sequence at 0, and each begins
    a new epoch, so that (device, epoch, sequence) never repeats. Safe to use from several threads.

    Attributes:
        state: as above; Idle at first.
        latest: the last sample of this epoch.
        samples, errors: how many there were since it was made.
    """

    def __init__(
        self,
        name: str = "hub-1",
        *,
        interval_ms: int = 100,
        read_error: float = 0.0,
        seed: int = 0,
        clock: Callable[[], float] = time,
    ) -> None:
        """Args: read_error: the probability that a sample cannot be read."""
        if not 0.0 <= read_error <= 1.0:
            raise ValueError(f"read_error must be a probability between 0 and 1, not {read_error}")
        self.name = name
        self.state: DeviceState = "Idle"
        self.latest: Event | None = None
        self.samples = 0
        self.errors = 0
        self._lock = threading.Lock()
        self._clock = clock
        self._rng = Random(seed)  # noqa: S311 - a simulation
        self._read_error = read_error
        self._interval = self._checked(interval_ms) / 1000
        self._epoch = int(clock() * 1000)
        self._sequence = 0
        self._failures = 0  # in a row
        self._due = clock()

    def start(self) -> None:
        """Measure; from Idle only, otherwise nothing changes."""
        with self._lock:
            if self.state == "Idle":
                self._restart("Measuring")

    def stop(self) -> None:
        """Be Idle, unless in SafeState."""
        with self._lock:
            if self.state != "SafeState":
                self.state = "Idle"

    def reset(self) -> bool:
        """From Error and SafeState to Idle. False if it is in neither."""
        with self._lock:
            if self.state not in {"Error", "SafeState"}:
                return False
            self._restart("Idle")
            return True

    def command(self, line: str) -> str:
        """Do as a line on the serial port says: GET_STATUS, CALIBRATE, RESET, `SET_RATE=<ms>`; the answer."""
        name, _, argument = line.strip().partition("=")
        match name.upper():
            case "GET_STATUS":
                return f"STATUS={self.state}"
            case "RESET":
                return "OK" if self.reset() else f"ERROR: nothing to reset in {self.state}"
            case "CALIBRATE":
                return self._calibrate()
            case "SET_RATE":
                return self._set_rate(argument)
        return f"ERROR: unknown command {name[:20]!r}"

    def _calibrate(self) -> str:
        with self._lock:
            if self.state in {"Error", "SafeState"}:
                return f"ERROR: cannot calibrate in {self.state}"
            self._restart(self.state)
            return "OK"

    def _set_rate(self, argument: str) -> str:
        try:
            interval = self._checked(int(argument)) / 1000
        except ValueError:
            return f"ERROR: SET_RATE takes {INTERVALS_MS[0]} to {INTERVALS_MS[-1]} ms, not {argument[:20]!r}"
        with self._lock:
            self._interval = interval
            self._due = min(self._due, self._clock() + interval)
        return "OK"

    @property
    def next_due(self) -> float | None:
        """When to look again, in seconds since 1970; it never ends."""
        return self._due

    def due(self) -> Iterator[Event]:
        """The samples that are due by now. Those of more than a second ago are left out."""
        now = self._clock()
        while True:
            with self._lock:
                if self._due > now:
                    return
                self._due = max(self._due + self._interval, now - 1.0)
                event = self._measure(now) if self.state in {"Measuring", "Error"} else None
            if event is not None:
                yield event

    def _measure(self, now: float) -> Event | None:
        if self._rng.random() < self._read_error:
            self.errors += 1
            self._failures += 1
            self.state = "SafeState" if self._failures >= MAX_ERRORS else "Error"
            return None
        self._failures = 0
        self.state = "Measuring"
        value = 42.0 + math.sin(self._sequence / 10) + self._rng.gauss(0.0, 0.1)
        at = datetime.fromtimestamp(now, UTC)
        self.latest = Event(self.name, self._epoch, self._sequence, at, "value", value, UNIT)
        self._sequence += 1
        self.samples += 1
        return self.latest

    def _restart(self, state: DeviceState) -> None:
        self.state = state
        self.latest = None
        self._epoch += 1
        self._sequence = 0
        self._failures = 0
        self._due = self._clock()

    @staticmethod
    def _checked(interval_ms: int) -> int:
        if interval_ms not in INTERVALS_MS:
            raise ValueError(f"interval must be {INTERVALS_MS[0]} to {INTERVALS_MS[-1]} ms, not {interval_ms}")
        return interval_ms
