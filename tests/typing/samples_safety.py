"""What guards tasks, as type checkers see it: policies, breakers, signatures, counts. Not run."""

import secrets
from collections.abc import Sequence
from typing import assert_type

import ttp

policy = ttp.RetryPolicy(5, base_delay=0.1, max_delay=30.0, retry_on=(OSError,), give_up_on=(KeyError,))
keys = ttp.SigningKeys({2: secrets.token_bytes(32), 1: secrets.token_bytes(32)})
breaker = ttp.CircuitBreaker(
    "database",
    failure_rate=0.5,
    slow_rate=0.8,
    slow_after=1.0,
    min_calls=20,
    window=10.0,
    wait=5.0,
    max_wait=60.0,
    trials=5,
    ramp=10.0,
    retry_budget=0.1,
    failure=lambda error: isinstance(error, OSError),
)
app = ttp.App("plant", on_full="drop_oldest", durability="replica", signing_key=keys)
other = ttp.App("plant", on_full="error", durability="everysec", signing_key=secrets.token_bytes(32))


@app.task(retry=policy, breaker=breaker)
def guarded(device: str) -> int:
    """A task that waits while its dependency is down."""
    return len(device)


@breaker
async def query(key: str) -> bytes:
    """A guarded coroutine function keeps its signature."""
    async with breaker:
        return key.encode()


def counts() -> list[int]:
    """What became of what was sent."""
    sending = app.sending
    return [
        sending.accepted,
        sending.dropped,
        sending.refused_pool,
        sending.refused_queue,
        sending.refused_server,
    ]


async def refusals() -> None:
    """What users catch."""
    try:
        assert_type(await query("a"), bytes)
    except ttp.CircuitOpen as error:
        assert_type(error.retry_after, float)
    try:
        assert_type(guarded.submit("pump-1").result(), int)
    except (ttp.BadSignature, ttp.StoreUnavailable) as error:
        family: ttp.TtpError = error
        raise family from None


def texts(column: ttp.Dictionary) -> Sequence[str]:
    """Of a dictionary-encoded column."""
    assert_type(len(column), int)
    assert_type(ttp.__version__, str)
    return column.categories
