"""The simulated hub device: states, commands, epochs."""

import math

import pytest

from ttp.telemetry.device import HubDevice

START = 1_767_225_600.0


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def test_it_measures_from_start_to_stop() -> None:
    clock = Clock()
    device = HubDevice(clock=clock, interval_ms=100)
    assert list(device.due()) == []
    assert device.command("GET_STATUS") == "STATUS=Idle"
    device.start()
    clock.now += 0.45
    events = list(device.due())
    assert [event.sequence for event in events] == [0, 1, 2, 3, 4]
    assert all(abs(event.value - 42 - math.sin(event.sequence / 10)) < 1 for event in events if event.value)
    device.stop()
    clock.now += 1
    assert list(device.due()) == []
    assert device.state == "Idle"


def test_start_calibrate_and_reset_begin_an_epoch() -> None:
    clock = Clock()
    device = HubDevice(clock=clock)
    seen = set()
    for restart in ("start", "calibrate", "start again"):
        if restart == "calibrate":
            device.command("CALIBRATE")
        else:
            device.stop()
            device.start()
        for _ in range(3):
            events = list(device.due())
            assert events
            for event in events:
                assert (event.epoch, event.sequence) not in seen
                seen.add((event.epoch, event.sequence))
            clock.now += 0.1
    assert len({epoch for epoch, _ in seen}) == 3
    assert {sequence for _, sequence in seen} == {0, 1, 2}


def test_read_errors_lead_to_safe_state_which_a_reset_ends() -> None:
    clock = Clock()
    device = HubDevice(clock=clock, read_error=1.0)
    device.start()
    states = []
    for _ in range(4):
        assert list(device.due()) == []
        states.append(device.state)
        clock.now += 0.1
    assert states == ["Error", "Error", "SafeState", "SafeState"]
    assert device.errors == 3
    device.stop()
    device.start()
    assert device.state == "SafeState"
    assert device.command("CALIBRATE").startswith("ERROR")
    assert device.command("RESET") == "OK"
    assert device.command("GET_STATUS") == "STATUS=Idle"
    assert not device.reset()


@pytest.mark.parametrize("line", ["SET_RATE=9", "SET_RATE=10001", "SET_RATE=", "SET_RATE=fast", "SET_RATE", "FLY", ""])
def test_commands_that_are_none(line: str) -> None:
    assert HubDevice(clock=Clock()).command(line).startswith("ERROR")


def test_set_rate() -> None:
    clock = Clock()
    device = HubDevice(clock=clock, interval_ms=10_000)
    device.start()
    assert len(list(device.due())) == 1
    assert device.command("SET_RATE=10\r\n") == "OK"
    clock.now += 0.105
    assert len(list(device.due())) == 10
