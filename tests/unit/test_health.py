"""Alive and ready: what is said of which state."""

import pytest

from ttp.observability.health import LATE, SILENT, ProcessState, not_alive, not_ready

FINE = ProcessState(0.1, serving=True)


def test_all_is_well() -> None:
    assert not_alive([FINE]) == not_ready([FINE], server=True) == []


@pytest.mark.parametrize(
    ("state", "server", "said"),
    [
        (FINE, False, "the server does not answer"),
        (ProcessState(None, serving=False), True, "process 1 has not begun"),
        (ProcessState(LATE + 1, serving=True), True, "process 1 has not beaten for 6 s"),
        (ProcessState(0.1, serving=False), True, "process 1 is not connected, or is stopping"),
        (ProcessState(0.1, serving=True, open_breakers=("db",)), True, "circuit breaker db is open"),
    ],
)
def test_why_it_is_not_ready(state: ProcessState, server: bool, said: str) -> None:
    assert not_ready([FINE, state], server=server) == [said]
    assert not_alive([FINE, state]) == [], "a restart would mend none of these"


def test_a_silent_process_is_not_alive() -> None:
    assert not_alive([FINE, ProcessState(SILENT + 1, serving=True)]) == ["process 1 has not beaten for 61 s"]
