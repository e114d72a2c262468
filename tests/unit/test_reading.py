"""Which streams a worker reads, how many frames of each, and when."""

import pytest

from ttp.coordination.keys import Keys
from ttp.policy import CircuitBreaker, Clock
from ttp.worker.reading import CAREFUL, FETCH, Reading

A, B = Keys("plant", "a"), Keys("plant", "b")
HIGH, NORMAL, LOW = (A.stream(priority) for priority in range(3))


def test_an_idle_worker_reads_all_and_highest_first() -> None:
    reading = Reading([A, B], {})
    wanted = [keys.stream(priority) for priority in range(3) for keys in (A, B)]
    for _ in range(9):
        reading.brought(HIGH)
        assert reading.streams(busy=False) == wanted


@pytest.mark.parametrize(
    ("brings", "normal", "low"),
    [(HIGH, 4, 1), (NORMAL, 8, 1), (LOW, 8, 8), (None, 8, 8)],
)
def test_lower_priorities_are_read_less_often_while_higher_ones_bring_work(
    brings: str | None, normal: int, low: int
) -> None:
    reading = Reading([A], {})
    seen = []
    for _ in range(8):
        reading.brought(brings)
        seen.append(reading.streams(busy=True))
    assert all(streams[0] == HIGH for streams in seen)
    assert sum(NORMAL in streams for streams in seen) == normal
    assert sum(LOW in streams for streams in seen) == low


def test_a_read_brings_about_ten_milliseconds_of_work() -> None:
    reading = Reading([A], {})
    assert reading.count(0.0) == FETCH, "nothing is known yet"
    for _ in range(50):
        reading.took(0.002)
    assert reading.count(0.0) == 5
    for _ in range(50):
        reading.took(1.0)
    assert reading.count(0.0) == 1


def test_frames_are_read_singly_for_a_while_after_a_death() -> None:
    reading = Reading([A], {})
    reading.caution(100.0)
    assert reading.count(100.0 + CAREFUL - 0.001) == 1
    assert reading.count(100.0 + CAREFUL) == FETCH


def test_a_read_goes_out_early_only_where_the_work_in_hand_outlasts_it() -> None:
    reading = Reading([A], {})
    for _ in range(50):
        reading.took(0.00015)
    assert not reading.is_early(1)
    assert reading.is_early(2)
    for _ in range(50):
        reading.took(0.02)
    assert not reading.is_early(2), "others had better have the rest"


def test_a_queue_is_not_read_while_its_breaker_is_open_and_singly_while_it_probes() -> None:
    clock = Clock()
    breaker = CircuitBreaker("db", min_calls=1, wait=10.0, clock=clock)
    reading = Reading([A, B], {A: breaker})
    breaker.record(10, failures=10)
    assert reading.streams(busy=False) == [B.stream(priority) for priority in range(3)]
    clock.offset += 60.0
    assert reading.streams(busy=False)[:2] == [A.stream(0), B.stream(0)]
    assert reading.count(0.0) == 1
