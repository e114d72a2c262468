"""When a failed task is tried again."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ttp


@given(st.integers(1, 40), st.floats(0, 10), st.floats(0, 100), st.integers())
def test_full_jitter_within_the_bound(attempt: int, base: float, cap: float, seed: int) -> None:
    policy = ttp.RetryPolicy(max_attempts=100, base_delay=base, max_delay=cap)
    delay = policy.delay(attempt, ValueError(), Random(seed))
    assert delay is not None
    assert 0 <= delay <= min(cap, base * 2.0 ** (attempt - 1))


def test_the_delay_is_spread_over_the_whole_range() -> None:
    policy = ttp.RetryPolicy(max_attempts=9, base_delay=1.0, max_delay=100.0)
    rng = Random(1)
    delays = [policy.delay(3, ValueError(), rng) or 0.0 for _ in range(1000)]
    assert min(delays) < 0.1
    assert 3.9 < max(delays) <= 4.0
    assert 1.8 < sum(delays) / len(delays) < 2.2


def test_attempts_end() -> None:
    policy = ttp.RetryPolicy(max_attempts=3)
    assert policy.delay(2, ValueError(), Random()) is not None
    assert policy.delay(3, ValueError(), Random()) is None
    assert ttp.RetryPolicy(max_attempts=1).delay(1, ValueError(), Random()) is None


def test_which_errors_are_worth_another_attempt() -> None:
    policy = ttp.RetryPolicy(retry_on=(OSError,), give_up_on=(FileNotFoundError,))
    assert policy.delay(1, ConnectionError(), Random()) is not None
    assert policy.delay(1, FileNotFoundError(), Random()) is None
    assert policy.delay(1, ValueError(), Random()) is None
    assert policy.delay(1, ttp.Reject("no"), Random()) is None
    assert policy.delay(1, ttp.RetryAfter(7.5), Random()) == 7.5
    assert policy.delay(1, ttp.RetryAfter(-1), Random()) == 0.0
    assert policy.delay(3, ttp.RetryAfter(7.5), Random()) is None
    assert ttp.RetryPolicy().delay(1, SystemExit(), Random()) is None


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="max_attempts"):
        ttp.RetryPolicy(0)
    for bad in (-1, float("nan"), float("inf"), 1e12):
        with pytest.raises(ValueError, match="base_delay must be 0 to"):
            ttp.RetryPolicy(base_delay=bad)
        with pytest.raises(ValueError, match="max_delay must be 0 to"):
            ttp.RetryPolicy(max_delay=bad)
    with pytest.raises(ValueError, match=r"a whole number, at least 1, not 2\.5"):
        ttp.RetryPolicy(2.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="retry_on must be exception classes"):
        ttp.RetryPolicy(retry_on=("OSError",))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be a string or a real number"):
        ttp.RetryAfter(None)  # type: ignore[arg-type]


def test_one_class_and_a_list_of_them_are_as_good_as_a_tuple() -> None:
    policy = ttp.RetryPolicy(retry_on=[OSError, KeyError], give_up_on=FileNotFoundError)  # type: ignore[arg-type]
    assert (policy.retry_on, policy.give_up_on) == ((OSError, KeyError), (FileNotFoundError,))


def test_a_wait_for_ever_is_very_long() -> None:
    policy = ttp.RetryPolicy()
    assert policy.delay(1, ttp.RetryAfter(float("inf")), Random()) == 1e11
    assert policy.delay(1, ttp.RetryAfter("30"), Random()) == 30.0  # type: ignore[arg-type] # as in a header
