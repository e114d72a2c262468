"""A simulated fleet of TelemetryHub devices: the same events for the same seed, faults included."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from random import Random
from time import time
from typing import Self

from ttp.telemetry.event import Event


@dataclass(frozen=True, slots=True)
class Sensor:
    """How a type of sensor behaves: value = base + swing · sin(sequence / 10) + N(0, noise)."""

    unit: str
    base: float
    swing: float
    noise: float


SENSORS = {
    "temperature": Sensor("°C", 21.0, 3.0, 0.1),
    "humidity": Sensor("%", 45.0, 8.0, 0.5),
    "pressure": Sensor("hPa", 1013.0, 6.0, 0.2),
    "co2": Sensor("ppm", 650.0, 200.0, 10.0),
    "motion": Sensor("bool", 0.0, 0.0, 0.0),  # 1 in MOTION_SHARE of the readings
}
MOTION_SHARE = 0.2
HIGH_SHARE = 0.1
FIRMWARE = ("1.4.2", "1.5.0", "2.0.1")


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong, as probabilities per event between 0 and 1.

    Attributes:
        read_error: the sensor gives no value.
        dropout: the device falls silent for 1 to 10 events; its sequence runs on.
        spike: a value far off.
        duplicate: the same event is sent twice.
        clock_step: the device's clock jumps back by up to an hour, and stays there.
        reboot: the device begins a new epoch, its sequence at 0.
    """

    read_error: float = 0.0
    dropout: float = 0.0
    spike: float = 0.0
    duplicate: float = 0.0
    clock_step: float = 0.0
    reboot: float = 0.0

    def __post_init__(self) -> None:
        for name, share in self.items():
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"fault {name} must be a probability between 0 and 1, not {share}")

    def items(self) -> list[tuple[str, float]]:
        """(name, probability) of each."""
        return [(f.name, getattr(self, f.name)) for f in fields(self)]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `none`, one probability for all, or `spike=0.01,reboot=0.001`. ValueError if it is neither."""
        if text in {"", "none"}:
            return cls()
        names = [f.name for f in fields(cls)]
        try:
            if "=" not in text:
                return cls(**dict.fromkeys(names, float(text)))
            pairs = [part.partition("=") for part in text.split(",")]
            shares = {name.strip().replace("-", "_"): float(share) for name, _, share in pairs}
        except ValueError as error:
            raise ValueError(f"faults: {error}") from None
        if unknown := shares.keys() - set(names):
            raise ValueError(f"faults: unknown {', '.join(sorted(unknown))}; there are {', '.join(names)}")
        return cls(**shares)


@dataclass(frozen=True, slots=True)
class FleetConfig:
    """What a fleet is made of.

    Attributes:
        devices: how many; each has one sensor, types taken in turn.
        rate: events per second of the whole fleet.
        seed: the same seed and start give the same events.
        types: of sensors, keys of `SENSORS`.
        start: seconds since 1970 of the first event, and the first epoch of every device; None: when it is made.
        count: events after which it ends, duplicates and losses included; None: never.
    """

    devices: int = 100
    rate: float = 1000.0
    seed: int = 0
    types: Sequence[str] = tuple(SENSORS)
    faults: Faults = Faults()
    start: float | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        if self.devices < 1:
            raise ValueError(f"a fleet needs at least one device, not {self.devices}")
        if not (self.rate > 0 and math.isfinite(self.rate)):
            raise ValueError(f"rate must be events per second above 0, not {self.rate}")
        unknown = set(self.types) - SENSORS.keys()
        if unknown or not self.types:
            names = ", ".join(sorted(unknown)) or "none"
            raise ValueError(f"sensor types: there are {', '.join(SENSORS)}, not {names}")


class Device:
    """One device: its sensor, its epoch and sequence, and its clock."""

    def __init__(self, name: str, kind: str, epoch: int, rng: Random) -> None:
        self.name = name
        self.kind = kind
        self.sensor = SENSORS[kind]
        self.epoch = epoch
        self.sequence = 0
        self.silent = 0  # events still to be dropped
        self.clock_offset = timedelta()
        self.bias = rng.gauss(0.0, self.sensor.swing / 4)
        self.metadata = {"location": f"room-{rng.randint(1, 40)}", "firmware_version": rng.choice(FIRMWARE)}

    def measure(self, at: datetime, rng: Random) -> Event:
        """The next event, at this moment."""
        sensor = self.sensor
        if self.kind == "motion":
            value = float(rng.random() < MOTION_SHARE)
        else:
            wave = sensor.swing * math.sin(self.sequence / 10)
            value = round(sensor.base + self.bias + wave + rng.gauss(0.0, sensor.noise), 3)
        event = Event(
            self.name,
            self.epoch,
            self.sequence,
            at + self.clock_offset,
            self.kind,
            value,
            sensor.unit,
            "high" if rng.random() < HIGH_SHARE else "normal",
            self.metadata,
        )
        self.sequence += 1
        return event


class Fleet:
    """Simulated devices, which take turns: a source of the events that are due by the clock.

    Attributes:
        injected: how often each fault was.
    """

    def __init__(self, config: FleetConfig, *, clock: Callable[[], float] = time) -> None:
        self.injected: Counter[str] = Counter()
        self._config = config
        self._clock = clock
        self._rng = Random(config.seed)  # noqa: S311 - a simulation
        self._start = clock() if config.start is None else config.start
        self._made = 0  # events due so far
        kinds = [config.types[i % len(config.types)] for i in range(config.devices)]
        self._devices = [
            Device(f"{kind}-{i + 1:04d}", kind, int(self._start), self._rng) for i, kind in enumerate(kinds)
        ]
        self._faults = [(name, share) for name, share in config.faults.items() if share]

    @property
    def next_due(self) -> float | None:
        """When the next event is due, in seconds since 1970; None when there is none."""
        if self._made == self._config.count:
            return None
        return self._start + self._made / self._config.rate

    def due(self) -> Iterator[Event]:
        """The events that are due by now, in order. Never waits."""
        while (at := self.next_due) is not None and at <= self._clock():
            device = self._devices[self._made % len(self._devices)]
            self._made += 1
            event = device.measure(datetime.fromtimestamp(at, UTC), self._rng)
            yield from self._inject(device, event) if self._faults or device.silent else (event,)

    def _inject(self, device: Device, event: Event) -> Iterator[Event]:
        if device.silent:
            device.silent -= 1
            return
        copies = 1
        for name, share in self._faults:
            if self._rng.random() >= share:
                continue
            self.injected[name] += 1
            match name:
                case "read_error":
                    event = replace(event, value=None, metadata={**event.metadata, "error": "read error"})
                case "dropout":
                    device.silent = self._rng.randint(0, 9)
                    return
                case "spike" if event.value is not None:
                    event = replace(event, value=round(event.value + 20 * max(device.sensor.swing, 1.0), 3))
                case "duplicate":
                    copies = 2
                case "clock_step":
                    device.clock_offset -= timedelta(seconds=self._rng.randint(1, 3600))
                case "reboot":
                    device.epoch += 1
                    device.sequence = 0
        for _ in range(copies):
            yield event
