"""The simulated fleet."""

from collections import Counter, defaultdict
from dataclasses import fields, replace
from itertools import pairwise

import pytest

from ttp.telemetry.event import Event
from ttp.telemetry.hub import SENSORS, Faults, Fleet, FleetConfig

NO_FAULTS = Faults()
START = 1_767_225_600.0


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def events(count: int = 2000, *, devices: int = 10, seed: int = 1, faults: Faults = NO_FAULTS) -> list[Event]:
    config = FleetConfig(devices=devices, rate=100.0, seed=seed, faults=faults, start=START, count=count)
    return list(Fleet(config, clock=Clock(START + 1e9)).due())


def test_the_same_seed_gives_the_same_events_whenever_they_are_fetched() -> None:
    faults = Faults.parse("0.01")
    clock = Clock()
    fleet = Fleet(FleetConfig(devices=10, rate=100.0, seed=1, faults=faults, start=START, count=2000), clock=clock)
    by_and_by: list[Event] = []
    while (at := fleet.next_due) is not None:
        clock.now = at
        by_and_by += fleet.due()
    assert by_and_by == events(faults=faults)
    assert events(seed=2) != events(seed=1)


def test_events_are_due_at_the_rate_of_the_whole_fleet() -> None:
    clock = Clock()
    fleet = Fleet(FleetConfig(devices=7, rate=50.0), clock=clock)
    assert len(list(fleet.due())) == 1  # the first at once
    assert list(fleet.due()) == []
    assert fleet.next_due == START + 1 / 50
    clock.now += 2.0
    assert len(list(fleet.due())) == 100


def test_each_device_counts_its_own_events() -> None:
    sequences: dict[str, list[int]] = defaultdict(list)
    for event in events():
        sequences[event.device].append(event.sequence)
        assert event.epoch == int(START)
        assert event.type in event.device
        assert event.unit == SENSORS[event.type].unit
    assert len(sequences) == 10
    assert all(found == list(range(200)) for found in sequences.values())
    assert {event.type for event in events()} == set(SENSORS)


def test_a_tenth_is_of_high_priority() -> None:
    share = Counter(event.priority for event in events(20_000))
    assert set(share) == {"high", "normal"}
    assert 0.09 < share["high"] / 20_000 < 0.11


def test_values_are_near_what_the_sensor_measures() -> None:
    for event in events():
        sensor = SENSORS[event.type]
        assert event.value is not None
        if event.type == "motion":
            assert event.value in {0.0, 1.0}
        else:
            assert abs(event.value - sensor.base) < 3 * sensor.swing + 10 * sensor.noise


@pytest.mark.parametrize("name", [fault.name for fault in fields(Faults)])
def test_each_fault_does_what_it_says(name: str) -> None:
    config = FleetConfig(devices=5, rate=100.0, seed=3, start=START, count=5000, faults=Faults.parse(f"{name}=0.02"))
    fleet = Fleet(config, clock=Clock(START + 1e9))
    found = list(fleet.due())
    injected = fleet.injected[name]
    assert set(fleet.injected) == {name}
    assert 50 < injected < 200
    by_device: dict[str, list[Event]] = defaultdict(list)
    for event in found:
        by_device[event.device].append(event)
    steps = [pair for device in by_device.values() for pair in pairwise(device)]
    gaps = sum(b.sequence > a.sequence + 1 for a, b in steps)
    match name:
        case "read_error":
            assert sum(event.value is None and "error" in event.metadata for event in found) == injected
        case "dropout":
            assert 5000 - 10 * injected <= len(found) <= 5000 - injected
            assert injected // 2 < gaps <= injected
        case "spike":
            far = [
                e
                for e in found
                if e.value is not None and abs(e.value - SENSORS[e.type].base) > 10 * max(SENSORS[e.type].swing, 1)
            ]
            assert len(far) == injected
        case "duplicate":
            assert sum(a == b for a, b in steps) == injected == len(found) - 5000
        case "clock_step":
            # a step on a device's first event has nothing before it to be seen against
            assert injected - 5 <= sum(b.timestamp < a.timestamp for a, b in steps) <= injected
        case "reboot":
            assert sum(b.epoch > a.epoch and b.sequence == 0 for a, b in steps) in range(injected - 5, injected + 1)
    if name != "dropout":
        assert gaps == 0
    if name != "duplicate":
        assert len({(e.device, e.epoch, e.sequence) for e in found}) == len(found)


def test_faults_are_read_from_text() -> None:
    assert Faults.parse("none") == Faults.parse("") == Faults()
    assert Faults.parse("0.5") == Faults(0.5, 0.5, 0.5, 0.5, 0.5, 0.5)
    assert Faults.parse("spike=0.1, clock-step=0.2") == Faults(spike=0.1, clock_step=0.2)


@pytest.mark.parametrize("text", ["often", "spike=", "spike=2", "-0.1", "fire=0.1", "spike"])
def test_faults_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="fault"):
        Faults.parse(text)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"devices": 0}, "device"),
        ({"rate": 0.0}, "rate"),
        ({"rate": float("nan")}, "rate"),
        ({"types": ("noise",)}, "noise"),
        ({"types": ()}, "types"),
    ],
)
def test_fleets_that_make_no_sense_are_refused(wrong: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        replace(FleetConfig(), **wrong)  # type: ignore[arg-type]
