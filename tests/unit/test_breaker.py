"""The circuit breaker decides by what it has counted, and by a clock that is handed in."""

import asyncio
import urllib.error
from email.message import Message
from random import Random
from typing import Any

import pytest

import ttp
from ttp.policy import Clock
from ttp.policy.breaker import dependency_failed


class Frozen(Clock):
    """A clock that only `offset` moves."""

    def monotonic(self) -> float:
        return 1000.0 + self.offset


@pytest.fixture
def clock() -> Frozen:
    return Frozen()


def breaker_of(clock: Clock, **options: Any) -> ttp.CircuitBreaker:
    return ttp.CircuitBreaker("db", clock=clock, rng=Random(1), **options)


def test_it_opens_at_the_failure_rate_and_not_below_the_fewest_calls(clock: Frozen) -> None:
    breaker = breaker_of(clock, min_calls=20, failure_rate=0.5)
    breaker.record(19, failures=19)
    assert (breaker.state, breaker.admit(7)) == ("closed", 7)
    breaker.record(1)
    assert (breaker.state, breaker.admit(7)) == ("open", 0)
    mild = breaker_of(clock, min_calls=20, failure_rate=0.5)
    mild.record(100, failures=49)
    assert mild.state == "closed"


def test_it_opens_when_calls_are_slow(clock: Frozen) -> None:
    breaker = breaker_of(clock, slow_rate=0.8)
    breaker.record(100, slow=79)
    assert breaker.admit() == 1
    breaker.record(10, slow=10)
    assert breaker.state == "open"


def test_what_is_older_than_the_window_does_not_count(clock: Frozen) -> None:
    breaker = breaker_of(clock, window=10.0)
    breaker.record(19, failures=19)
    clock.offset += 11.0
    breaker.record(19, failures=9)
    assert breaker.state == "closed"


def test_trials_close_it_and_calls_rise_again(clock: Frozen) -> None:
    breaker = breaker_of(clock, wait=5.0, trials=5, ramp=10.0)
    breaker.record(20, failures=20)
    clock.offset += 4.9
    assert breaker.admit() == 0
    clock.offset += 0.2
    assert (breaker.state, breaker.admit(100), breaker.admit(100)) == ("half_open", 5, 0)
    breaker.record(5, failures=1)
    assert breaker.state == "closed"
    assert breaker.admit(1000) in range(100, 102)
    clock.offset += 5.0
    assert breaker.admit(1000) in range(550, 552)
    clock.offset += 5.0
    assert breaker.admit(1000) == 1000


def test_failed_trials_open_it_for_twice_as_long(clock: Frozen) -> None:
    breaker = breaker_of(clock, wait=5.0, max_wait=12.0)
    breaker.record(20, failures=20)
    for wait in (5.0, 10.0, 12.0, 12.0):
        clock.offset += wait - 0.1
        assert breaker.state == "open"
        clock.offset += 0.1
        assert breaker.admit(2) == 2
        breaker.record(2, failures=2)
        assert breaker.state == "open"


def test_a_trial_that_never_reports_is_given_up(clock: Frozen) -> None:
    breaker = breaker_of(clock, wait=5.0)
    breaker.record(20, failures=20)
    clock.offset += 5.0
    assert (breaker.admit(), breaker.admit()) == (1, 0)
    clock.offset += 5.0
    assert breaker.admit() == 1


def test_calls_that_began_before_it_opened_are_no_trials(clock: Frozen) -> None:
    breaker = breaker_of(clock)
    before = breaker.epoch
    breaker.record(20, failures=20)
    clock.offset += 5.0
    breaker.record(100, epoch=before)
    assert breaker.state == "half_open"


def test_the_wait_of_those_refused_is_spread(clock: Frozen) -> None:
    breaker = breaker_of(clock, wait=5.0)
    breaker.record(20, failures=20)
    waits = [breaker.retry_after() for _ in range(100)]
    assert min(waits) >= 5.0
    assert max(waits) <= 10.0
    assert max(waits) - min(waits) > 3.0


def test_the_retry_budget(clock: Frozen) -> None:
    breaker = breaker_of(clock, min_calls=10, retry_budget=0.1)
    assert [breaker.may_retry() for _ in range(11)] == [True] * 10 + [False]
    breaker.record(1000)
    assert sum(breaker.may_retry() for _ in range(1000)) == 90
    clock.offset += 11.0
    assert breaker.may_retry()


def test_decorator_and_context_manager(clock: Frozen) -> None:
    breaker = breaker_of(clock, min_calls=2)

    @breaker
    def call(error: BaseException | None = None) -> str:
        if error is not None:
            raise error
        return "done"

    assert call() == "done"
    for _ in range(2):
        with pytest.raises(KeyError):
            call(KeyError())  # no fault of the dependency
    for _ in range(3):
        with pytest.raises(ConnectionError):
            call(ConnectionError())
    assert breaker.state == "open"
    with pytest.raises(ttp.CircuitOpen, match="'db' is open") as caught:
        call()
    assert caught.value.retry_after >= 5.0
    with pytest.raises(ttp.CircuitOpen), breaker:
        pytest.fail("entered")


def test_nested_and_slow_calls(clock: Frozen) -> None:
    breaker = breaker_of(clock, min_calls=2, slow_after=1.0)
    with breaker:
        with breaker:
            clock.offset += 0.5
        assert breaker.admit() == 1
        clock.offset += 1.0
    with breaker:
        clock.offset += 1.1
    assert breaker.admit() == 1  # two of three
    with breaker:
        clock.offset += 1.1
    with breaker:
        clock.offset += 1.1
    assert breaker.state == "open"


def test_coroutines(clock: Frozen) -> None:
    breaker = breaker_of(clock, min_calls=2)

    @breaker
    async def call() -> None:
        await asyncio.sleep(0)
        raise TimeoutError

    async def many() -> list[BaseException | None]:
        async with breaker:
            pass
        return await asyncio.gather(*(call() for _ in range(3)), return_exceptions=True)

    assert [type(error) for error in asyncio.run(many())] == [TimeoutError] * 3
    assert breaker.state == "open"


def test_whose_fault_an_error_is() -> None:
    def http(code: int) -> BaseException:
        return urllib.error.HTTPError("http://x", code, "", Message(), None)

    assert all(map(dependency_failed, (ConnectionResetError(), TimeoutError(), ttp.TaskTimeout(), http(503))))
    assert not any(map(dependency_failed, (ValueError(), http(404), KeyError("code"))))


def test_settings_that_make_no_sense() -> None:
    for options in (
        {"failure_rate": 0},
        {"slow_rate": 1.1},
        {"min_calls": 0},
        {"wait": 9, "max_wait": 1},
        {"ramp": -1},
    ):
        with pytest.raises(ValueError, match=r"must|max_wait"):
            ttp.CircuitBreaker("db", **options)
